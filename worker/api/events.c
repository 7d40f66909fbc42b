/* The Socket.IO door: a packet to a namespace becomes a row's handler, an op's answer
 * an acknowledgement, a live event the packet that members of the namespace get. */
#include "worker/api/door.h"

#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/id.h"
#include "common/mem.h"
#include "common/stamp.h"
#include "worker/api/parting.h"
#include "worker/domain/health.h"
#include "worker/domain/room.h"

/* A namespace of an API, and its rows by name. */
struct place {
	struct nsp nsp;
	const struct api *api;
	struct api_counts *counts;
	struct map rows;
	const struct api_event *any;
	char name[];
};

static struct {
	const struct services *services;
	struct map places;           /* by namespace and API: "/chat messenger" */
} door;

static const struct place *place_of(const struct socket *s)
{
	return CONTAINER_OF_CONST(s->nsp, struct place, nsp);
}

/* --- Answers --- */

static void event_replied(struct op *op, struct str json)
{
	if (op->ack.p != NULL)
		socket_ack(op->asker, op->ack, json, op->blobs);
}

static void event_failed(struct op *op, const struct fault *fault)
{
	const struct api *api = op->api;
	note_refusal(op, fault);
	if (api->emit_error != NULL)
		api->emit_error(op, fault);
	if (op->ack.p != NULL && api->error != NULL)
		socket_ack(op->asker, op->ack, api->error(op, fault), (struct strs){ 0 });
}

static const struct asker_vt event_asker = { .reply = event_replied, .fail = event_failed };

static void hello_replied(struct op *op, struct str json UNUSED)
{
	socket_accept(op->asker);
}

static enum reason refusal(enum err e)
{
	if (e == ERR_CROWDED)
		return REASON_CROWDED;
	return e == ERR_NO_TOKEN || e == ERR_UNAUTHENTICATED ? REASON_UNWELCOME : REASON_REFUSED;
}

/* While Redis is away a client is sent off to try again: after a CONNECT_ERROR it would not. */
static void hello_failed(struct op *op, const struct fault *fault)
{
	/* A token as bad as any other. */
	const struct fault deleted = { .code = ERR_UNAUTHENTICATED };
	struct socket *s = op->asker;
	char text[200];
	if (fault->code == ERR_USER_DELETED)
		fault = &deleted;
	if (fault->code == ERR_UNAVAILABLE || fault->code == ERR_INTERNAL) {
		session_close(s->session, REASON_UNAVAILABLE);
		return;
	}
	const struct api *api = op->api;
	const enum reason why = refusal(fault->code);
	if (why != REASON_REFUSED && api->refused != NULL) {
		socket_accept(s);
		api->refused(op, fault);
		socket_disconnect(s, why);
		return;
	}
	struct str detail = fault->detail.len > 0 ? fault->detail : str_z(err_text(fault->code));
	snprintf(text, sizeof(text), "%.*s", STR_ARG(detail));
	socket_refuse(s, why, text);
}

static const struct asker_vt hello_asker = { .reply = hello_replied, .fail = hello_failed };

struct socket *events_asker(const struct op *op)
{
	return op->vt == &event_asker || op->vt == &hello_asker ? op->asker : NULL;
}

/* --- For handlers --- */

void api_accept(struct op *op)
{
	struct socket *s = events_asker(op);
	if (s != NULL)
		socket_accept(s);
}

void api_emit_raw(struct op *op, struct str array, struct strs blobs)
{
	struct socket *s = events_asker(op);
	if (s != NULL)
		socket_emit(s, array, blobs);
}

static void put_array(struct buf *array, const char *event, struct str args)
{
	struct json_out j = json_out(array);
	json_open(&j, '[');
	json_str(&j, str_z(event));
	if (args.len > 0)
		json_raw(&j, args);
	json_close(&j, ']');
}

void api_emit(struct op *op, const char *event, struct str args)
{
	struct buf array = { 0 };
	put_array(&array, event, args);
	api_emit_raw(op, buf_view(&array), (struct strs){ 0 });
	buf_fini(&array);
}

/* The op lives until its answer is here, or never will be. */
static void on_answer(struct socket *s UNUSED, void *arg, struct str array, struct strs blobs)
{
	struct op *op = arg;
	struct raw_event answer = { .blobs = blobs };
	if (array.len >= 2)
		answer.args = str_trim((struct str){ array.p + 1, array.len - 2 });
	op->then(op, array.p != NULL ? &answer : NULL);
}

void api_ask(struct op *op, const char *event, struct str args, op_fn *answered)
{
	struct buf array = { 0 };
	struct socket *s = events_asker(op);
	if (s == NULL) {
		answered(op, NULL);
		return;
	}
	op->then = answered;
	put_array(&array, event, args);
	socket_ask(s, buf_view(&array), on_answer, op);
	buf_fini(&array);
}

struct str api_sid(const struct op *op)
{
	const struct socket *s = events_asker(op);
	return s != NULL ? socket_sid(s) : STR_NONE;
}

void api_resume(struct op *op, struct str sid, struct str pid)
{
	struct socket *s = events_asker(op);
	if (s != NULL)
		socket_recover(s, sid, pid, STR(""));
}

const struct api_event *api_row(const struct op *op)
{
	return op->vt == &event_asker ? op->row : NULL;
}

/* --- Events that clients send --- */

static struct op *event_op(struct socket *s, const struct sio_packet *p)
{
	struct op *op = op_new(door.services, &event_asker, s, &s->ops);
	op->api = place_of(s)->api;
	if (p->id.p != NULL)
		op->ack = arena_str(&op->arena, p->id);
	if (s->peer.user.p != NULL)
		op->user = arena_str(&op->arena, s->peer.user);
	if (s->take[0] != '\0') {
		op->session = arena_str(&op->arena, (struct str){ s->pid, SOCKET_SID_LEN });
		op->take = arena_str(&op->arena, str_z(s->take));
	}
	return op;
}

/* The event's name as text, for rows and messages. */
static struct str event_name(struct op *op, const struct sio_packet *p)
{
	return json_type(p->event) == JSON_STRING ? json_text(&op->arena, p->event) : p->event;
}

/* As much of a name as is said again: up to 100 bytes, in whole characters. */
static struct str shown_name(struct str name)
{
	size_t len = name.len < 100 ? name.len : 100;
	while (len > 0 && len < name.len && ((unsigned char)name.p[len] & 0xc0) == 0x80)
		len--;
	return (struct str){ name.p, len };
}

/* An event without arguments has an empty object. */
static struct str first_argument(struct str args)
{
	struct str value;
	return sio_next_arg(&args, &value) ? value : STR("{}");
}

enum { SMALL = 4096 };

/* Whether the socket's requests under way keep so much of what was sent, Redis being slow, that it
 * has to wait. Small ones need not be looked at: event-rate bounds these. */
static bool is_swamped(const struct socket *s, const struct op *op)
{
	size_t kept = 0;
	if (op->kept <= SMALL)
		return false;
	LIST_EACH(&s->ops, link)
		kept += LIST_OF(link, struct op, link)->kept;
	return kept > conf.queue_hard;
}

static void run_raw(struct op *op, const struct api_event *row, const struct sio_packet *p,
                    struct strs blobs)
{
	struct raw_event raw = { .event = p->event, .args = p->args, .blobs = blobs };
	row->handle(op, &raw);
}

static void run(struct op *op, const struct api_event *row, struct str arg)
{
	struct fault why = {
		.code = ERR_INVALID, .field = STR("data"), .detail = STR("must be an object"),
	};
	void *args = row->size > 0 ? arena_alloc(&op->arena, row->size) : NULL;
	if (row->schema != NULL) {
		/* Handlers may keep what they got until the op ends: the packet does
		 * not live so long. */
		arg = arena_str(&op->arena, arg);
		bool fine = json_type(arg) == JSON_OBJECT &&
		            schema_decode(row->schema, arg, &op->arena, args, &why) == ERR_OK;
		if (!fine) {
			op_fault(op, &why);
			return;
		}
	}
	row->handle(op, args);
}

static void on_event(struct socket *s, const struct sio_packet *p, struct strs blobs)
{
	const struct place *place = place_of(s);
	struct op *op = event_op(s, p);
	struct str name = event_name(op, p);
	const struct api_event *row = map_get(&place->rows, name);
	if (row == NULL)
		row = place->any;
	op->row = row;
	place->counts->events++;
	op->kept = p->args.len;
	if (!session_allow(s->session) || is_swamped(s, op)) {
		op_fail(op, ERR_RATE, NULL, NULL);
	} else if (row == NULL) {
		struct str detail = op_text(op, "Unknown event: %.*s", STR_ARG(shown_name(name)));
		struct fault fault = { .code = ERR_UNKNOWN_EVENT, .detail = detail };
		op_fault(op, &fault);
	} else if (row->raw) {
		run_raw(op, row, p, blobs);
	} else {
		run(op, row, first_argument(p->args));
	}
}

/* --- Coming and going --- */

static const struct field arrival_fields[] = {
	FIELD(arrival, pid, F_STR),
	FIELD(arrival, offset, F_STR),
	{ 0 }
};

/* As user_connect wants them. */
static const char *const follows_words[] = {
	[FOLLOWS_NONE] = "", [FOLLOWS_DIRECT] = "direct", [FOLLOWS_ALL] = "any",
};

/* An offset that makes no sense means a fresh start, never an error. */
static const struct arrival *read_arrival(struct op *op, const struct socket *s, struct str auth)
{
	unsigned char raw[SOCKET_SID_LEN / 4 * 3];
	char *pid = arena_alloc(&op->arena, SOCKET_SID_LEN);
	struct arrival *a = arena_alloc(&op->arena, sizeof(*a));
	const struct api *api = place_of(s)->api;
	struct fault why;
	if (schema_decode(arrival_fields, auth, &op->arena, a, &why) != ERR_OK)
		*a = (struct arrival){ 0 };
	id_random(raw, sizeof(raw));
	id_encode(pid, raw, sizeof(raw));
	a->api = str_z(api->name);
	a->new_pid = (struct str){ pid, SOCKET_SID_LEN };
	a->new_sid = arena_str(&op->arena, socket_sid(s));
	a->follows = str_z(follows_words[api->follows]);
	a->also = str_z(api->also);
	return a;
}

const struct arrival *events_arrival(const struct op *op)
{
	return op->vt == &hello_asker ? op->row : NULL;
}

static bool recovers(const struct api *api)
{
	return api->recovers && conf.recovery_window_ms > 0;
}

static void on_connect(struct socket *s, struct str auth)
{
	struct op *op = op_new(door.services, &hello_asker, s, &s->ops);
	const struct origin *o = s->session->origin;
	struct handshake h = { .auth = arena_str(&op->arena, auth), .headers = STR("{}") };
	op->api = place_of(s)->api;
	place_of(s)->counts->sockets++;
	if (recovers(op->api))
		op->row = read_arrival(op, s, h.auth);
	if (o != NULL) {
		h.query = o->query;
		h.authorization = o->authorization;
		if (o->headers.len > 0)
			h.headers = o->headers;
	}
	if (!session_allow(s->session))
		op_fail(op, ERR_RATE, NULL, NULL);
	else
		place_of(s)->api->hello(op, &h);
	/* A good token, but nobody to ask whose it is. */
	if (!s->closed && !list_empty(&s->ops) && !health_is_up(door.services))
		session_close(s->session, REASON_UNAVAILABLE);
}

/* Says that the token is no longer good, and disconnects. */
static void dismiss(struct socket *s, enum reason why)
{
	const struct api *api = place_of(s)->api;
	struct op *op = op_new(door.services, &event_asker, s, &s->ops);
	op->api = api;
	if (s->open && api->expired != NULL)
		api->expired(op);
	op_reply(op, STR_NONE);
	socket_disconnect(s, why);
}

static void on_expired(struct socket *s)
{
	dismiss(s, REASON_EXPIRED);
}

/* Whether it is not to be taken up again. */
static bool is_for_good(enum reason why)
{
	switch (why) {
	case REASON_LEFT:
	case REASON_UNWELCOME:
	case REASON_CROWDED:
	case REASON_REFUSED:
	case REASON_EXPIRED:
	case REASON_DELETED:
	case REASON_OUSTED:
	case REASON_EVENTS_LOST:
		return true;
	default:
		return false;
	}
}

static void on_closed(struct socket *s, enum reason why)
{
	bool leaves = is_for_good(why);
	place_of(s)->counts->sockets--;
	api_gone(door.services, s->peer.user);
	if (place_of(s)->api->closed != NULL)
		place_of(s)->api->closed(door.services, socket_sid(s), leaves);
	/* One that was taken up elsewhere has another take by now: Redis knows better then. */
	if (s->take[0] != '\0')
		parting_tell((struct str){ s->pid, SOCKET_SID_LEN }, str_z(s->take), leaves);
}

/* --- Live events --- */

/* The last argument of each event: where the client stands, should it have to come back (§13). */
static void add_offset(struct json_out *j, uint64_t stamp)
{
	buf_z(j->to, ",\"");        /* after the event's arguments; a stamp needs no escapes */
	stamp_write(j->to, stamp);
	buf_char(j->to, '"');
}

/* `42/nsp,[…]`: the Engine.IO and Socket.IO types, the namespace, then the API's own words. */
static enum audience encode(const struct encoder *e, const struct feed_event *event, unsigned nth,
                            struct buf *out)
{
	const struct place *place = CONTAINER_OF_CONST(e, struct place, nsp.encoder);
	if (place->api->encode == NULL)
		return HEAR_NONE;
	buf_z(out, "42");
	if (place->nsp.name.len > 1) {
		buf_str(out, place->nsp.name);
		buf_char(out, ',');
	}
	struct json_out j = json_out(out);
	json_open(&j, '[');
	const unsigned audience = place->api->encode(event, nth, &j);
	if (event->stamp != 0 && (audience & HEAR_MORE) == 0 && recovers(place->api))
		add_offset(&j, event->stamp);
	json_close(&j, ']');
	return audience & ~(unsigned)HEAR_MORE;
}

static bool applies(const struct feed_event *event)
{
	return event->type == EVENT_USER_DELETED || event->type == EVENT_RESUMED ||
	       api_is_move(event);
}

/* Its client has come back elsewhere: this is what is left of the old connection. */
static bool is_taken_over(const struct socket *s, const struct feed_event *event)
{
	return s->take[0] != '\0' &&
	       str_eq(event->session, (struct str){ s->pid, SOCKET_SID_LEN }) &&
	       event->take > strtoll(s->take, NULL, 10);
}

/* On the user's own feed: a room is entered or left, or the account is gone. */
static void apply(struct peer *p, const struct feed_event *event)
{
	struct socket *s = CONTAINER_OF(p, struct socket, peer);
	if (event->type == EVENT_USER_DELETED)
		dismiss(s, REASON_DELETED);
	else if (event->type != EVENT_RESUMED)
		api_move(door.services, p, place_of(s)->api, event);
	else if (is_taken_over(s, event))
		session_close(s->session, REASON_TAKEN_OVER);
}

/* --- Namespaces --- */

static struct place *place_new(struct str name, const struct api *api)
{
	struct str api_name = str_z(api->name);
	struct place *place = xcalloc(1, sizeof(*place) + name.len + 1 + api_name.len + 1);
	memcpy(place->name, name.p, name.len);
	place->name[name.len] = ' ';
	memcpy(place->name + name.len + 1, api_name.p, api_name.len);
	place->api = api;
	place->counts = api_counts(api);
	place->nsp = (struct nsp){
		.encoder = { .encode = encode, .apply = apply, .applies = applies },
		.name = { place->name, name.len },
		.api = api,
	};
	for (const struct api_event *row = api->events; row->name != NULL; row++) {
		if (strcmp(row->name, "*") == 0)
			place->any = row;
		else
			map_put(&place->rows, str_z(row->name), (void *)(uintptr_t)row);
	}
	map_put(&door.places, (struct str){ place->name, name.len + 1 + api_name.len }, place);
	return place;
}

static const struct nsp *find(const struct session *s, struct str name)
{
	char key[256];
	struct str root = str_z(conf.listens[s->listener].root);
	const struct api *api = api_find(str_z(s->mount->path), root, name);
	if (api == NULL)
		return NULL;
	int n = snprintf(key, sizeof(key), "%.*s %s", STR_ARG(name), api->name);
	struct place *place = map_get(&door.places, (struct str){ key, (size_t)n });
	if (place == NULL)
		place = place_new(name, api);
	return &place->nsp;
}

void events_oust(struct peer *p)
{
	session_close(CONTAINER_OF(p, struct socket, peer)->session, REASON_OUSTED);
}

void events_init(const struct services *services)
{
	door.services = services;
}

void events_fini(void)
{
	size_t cursor = 0;
	struct place *place;
	while ((place = map_next(&door.places, &cursor)) != NULL) {
		map_fini(&place->rows);
		free(place);
	}
	map_fini(&door.places);
}

const struct socket_app events_app = {
	.find = find,
	.connect = on_connect,
	.event = on_event,
	.expired = on_expired,
	.closed = on_closed,
};

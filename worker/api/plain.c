/* The door for plain WebSockets: JSON texts to a client who only listens.
 *
 * An upgrade is granted at once, but the answer is kept back (conn_cork) until the client is known
 * and hears all its rooms: what happens after it sees its socket open, it hears. Who is refused
 * sees it open too, with one last message and a close. What clients send is counted and ignored. */
#include "worker/api/door.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/conf.h"
#include "common/log_line.h"
#include "common/mem.h"
#include "worker/domain/health.h"

enum { GREETING_MS = 10000 };

/* An API where it is served. */
struct place {
	struct encoder encoder;
	const struct api *api;
	struct api_counts *counts;
};

/* One client. Its link: in `all`; in `slow`, to be closed at the end of the turn;
 * in `dying`, over. */
struct plain {
	struct peer peer;            /* the user's id is its own copy */
	struct conn *conn;           /* NULL once it is over; its deadline is that of silence */
	struct list link;
	struct list ops;             /* its greeting, while that is under way */
	struct expiry expiry;        /* of its token */
	struct deadline ping;        /* before the first: of the greeting */
	uint32_t slow_ms;            /* outq_is_slow's */
	uint32_t began_s;            /* clock_now_ms() / 1000 when it came */
};

static struct {
	const struct services *services;
	struct place *places;
	size_t n_places;
	struct list all, slow, dying;
	struct deadline_list greeting, ping, silence;
	struct expiries expiries;
	struct batch *ping_frame;
	struct plain_counts counts;
} door;

static const struct place *place_of(const struct plain *p)
{
	return CONTAINER_OF_CONST(p->peer.encoder, struct place, encoder);
}

/* --- The end --- */

static void tell(const struct plain *p, enum reason why)
{
	struct buf line = { 0 };
	p->conn->told = true;
	if (!reason_is_logged(why))
		return;
	buf_z(&line, "websocket");
	log_field(&line, "user", p->peer.user);
	log_field(&line, "at", str_z(place_of(p)->api->path));
	conn_describe(p->conn, &line);
	buf_printf(&line, " after=%us", (uint32_t)(clock_now_ms() / 1000) - p->began_s);
	reason_log(why, &line);
	buf_fini(&line);
}

/* There is no connection any more, or a close is under way. */
static void forget(struct plain *p, enum reason why)
{
	tell(p, why);
	door.counts.closed[why]++;
	door.counts.n--;
	place_of(p)->counts->sockets--;
	api_gone(door.services, p->peer.user);
	p->conn = NULL;
	op_orphan(&p->ops);
	peer_fini(door.services->hub, &p->peer);
	expiry_clear(&p->expiry);
	deadline_clear(&p->ping);
	list_remove(&p->link);
	list_push(&door.dying, &p->link);
}

/* `text`: for the close frame, or NULL: the reason's own. */
static void end(struct plain *p, enum reason why, const char *text)
{
	struct conn *c = p->conn;
	if (c == NULL)
		return;
	forget(p, why);
	conn_cork(c, false);
	ws_close(c, why, text);
}

static void plain_free(struct plain *p)
{
	union { const char *in; void *out; } user = { p->peer.user.p };
	free(user.out);
	list_remove(&p->link);
	free(p);
}

/* --- The greeting --- */

/* The client hears all it is to hear: now it may know. */
static void greeted(struct op *op, struct str json UNUSED)
{
	struct plain *p = op->asker;
	conn_cork(p->conn, false);
	deadline_set(&door.ping, &p->ping);
}

/* Why one whom a token does not let in any more goes; who was not greeted yet was never welcome. */
static enum reason dismissal(const struct plain *p, const struct fault *fault)
{
	if (fault->code == ERR_CROWDED)
		return REASON_CROWDED;
	if (p->conn->corked)
		return REASON_UNWELCOME;
	return fault->code == ERR_USER_DELETED ? REASON_DELETED : REASON_EXPIRED;
}

static void refused(struct op *op, const struct fault *fault)
{
	const struct api *api = op->api;
	struct plain *p = op->asker;
	if (fault->code == ERR_UNAVAILABLE || fault->code == ERR_INTERNAL) {
		end(p, REASON_UNAVAILABLE, NULL);
		return;
	}
	struct str said = api->error(op, fault);
	struct str text = json_text(&op->arena, said);
	ws_send(p->conn, WS_TEXT, said);
	end(p, dismissal(p, fault), op_text(op, "%.*s", STR_ARG(text)).p);
}

static const struct asker_vt greeting = { .reply = greeted, .fail = refused };

static struct op *greeting_op(struct plain *p)
{
	struct op *op = op_new(door.services, &greeting, p, &p->ops);
	op->api = place_of(p)->api;
	return op;
}

struct peer *plain_asker(const struct op *op)
{
	struct plain *p = op->vt == &greeting ? op->asker : NULL;
	return p != NULL ? &p->peer : NULL;
}

void plain_identify(const struct op *op, int64_t expires_s)
{
	struct peer *peer = plain_asker(op);
	if (peer == NULL)
		return;
	struct plain *p = CONTAINER_OF(peer, struct plain, peer);
	char *user = xmalloc(op->user.len + 1);
	memcpy(user, op->user.p, op->user.len);
	peer->user = (struct str){ user, op->user.len };
	expiry_set(&door.expiries, &p->expiry, expires_s);
}

/* Redis hangs: a client may as well come again. */
static void on_greeting_late(struct deadline *d)
{
	end(CONTAINER_OF(d, struct plain, ping), REASON_UNAVAILABLE, NULL);
}

/* Was welcome, and is no more. */
static void dismiss(struct plain *p, enum err why)
{
	op_fail(greeting_op(p), why, NULL, NULL);
}

static void on_expired(struct expiry *e)
{
	dismiss(CONTAINER_OF(e, struct plain, expiry), ERR_UNAUTHENTICATED);
}

/* A reader that does not keep up is closed at the end of the turn, for members may be
 * being told just now. */
static void push(struct plain *p, struct batch *b, uint32_t from, uint32_t to)
{
	bool slow = outq_is_slow(&p->conn->out, to - from, &p->slow_ms);
	conn_push(p->conn, b, from, to);
	if (!slow)
		return;
	list_remove(&p->link);
	list_push(&door.slow, &p->link);
}

/* --- The heartbeat: a ping each interval, and any byte is a sign of life --- */

static void on_ping_due(struct deadline *d)
{
	struct plain *p = CONTAINER_OF(d, struct plain, ping);
	deadline_set(&door.ping, d);
	push(p, door.ping_frame, 0, batch_len(door.ping_frame));
}

static void on_silence(struct deadline *d)
{
	end(CONTAINER_OF(d, struct conn, deadline)->owner, REASON_PING_TIMEOUT, NULL);
}

static void on_heard(struct conn *c)
{
	deadline_set(&door.silence, &c->deadline);
}

static void on_message(struct conn *c, bool binary UNUSED, struct str bytes UNUSED)
{
	door.counts.messages++;
	place_of(c->owner)->counts->events++;
}

/* Also before it was greeted: the upgrade goes out then, and behind it why it ends. */
static void on_closed(struct conn *c, enum reason why)
{
	conn_cork(c, false);
	forget(c->owner, why);
}

static const struct ws_user listener = {
	.message = on_message, .closed = on_closed, .heard = on_heard,
};

/* --- What it hears --- */

static void peer_send(struct peer *peer, struct batch *b, uint32_t from, uint32_t to)
{
	struct plain *p = CONTAINER_OF(peer, struct plain, peer);
	if (p->conn != NULL)
		push(p, b, from, to);
}

static void peer_lost(struct peer *peer)
{
	end(CONTAINER_OF(peer, struct plain, peer), REASON_EVENTS_LOST, NULL);
}

static const struct peer_vt plain_peer = { .send = peer_send, .lost = peer_lost };

static enum audience encode(const struct encoder *e, const struct feed_event *event, unsigned nth,
                            struct buf *out)
{
	const struct place *place = CONTAINER_OF_CONST(e, struct place, encoder);
	struct json_out j = json_out(out);
	const unsigned audience = place->api->encode(event, nth, &j);
	return audience & ~(unsigned)HEAR_MORE;
}

static bool applies(const struct feed_event *event)
{
	return event->type == EVENT_USER_DELETED || api_is_move(event);
}

static void apply(struct peer *peer, const struct feed_event *event)
{
	struct plain *p = CONTAINER_OF(peer, struct plain, peer);
	if (p->conn == NULL)
		return;
	if (event->type == EVENT_USER_DELETED)
		dismiss(p, ERR_USER_DELETED);
	else
		api_move(door.services, peer, place_of(p)->api, event);
}

/* --- Coming --- */

static struct plain *plain_new(const struct place *place, struct conn *c)
{
	struct plain *p = xcalloc(1, sizeof(*p));
	p->conn = c;
	p->began_s = (uint32_t)(clock_now_ms() / 1000);
	list_init(&p->ops);
	expiry_init(&p->expiry);
	list_push(&door.all, &p->link);
	peer_init(&p->peer, &plain_peer, &place->encoder, STR_NONE);
	return p;
}

static void greet(struct plain *p, const struct head *h)
{
	struct op *op = greeting_op(p);
	const struct handshake shown = {
		.auth = STR("{}"),
		.query = arena_str(&op->arena, h->query),
		.authorization = arena_str(&op->arena, head_field(h, "authorization")),
		.headers = STR("{}"),
	};
	place_of(p)->api->hello(op, &shown);
	/* A good token, but nobody to ask whose it is. */
	if (!list_empty(&p->ops) && !health_is_up(door.services))
		end(p, REASON_UNAVAILABLE, NULL);
}

/* The API whose path this is, with or without a slash at its end. */
static const struct place *place_find(struct str path)
{
	if (path.len > 1 && path.p[path.len - 1] == '/')
		path.len--;
	for (size_t i = 0; i < door.n_places; i++)
		if (str_eqz(path, door.places[i].api->path))
			return &door.places[i];
	return NULL;
}

static void refuse(struct request *r, const struct head *h)
{
	if (str_eqz(h->method, "GET") || str_eqz(h->method, "HEAD"))
		http_answer(r, 426, "application/json",
		            STR("{\"message\":\"This is a WebSocket\",\"errors\":{}}"),
		            "Upgrade: websocket\r\n");
	else
		http_answer(r, 405, "application/json",
		            STR("{\"message\":\"Method not allowed\",\"errors\":{}}"),
		            "Allow: GET\r\n");
}

void plain_head(struct request *r, const struct head *h)
{
	const struct place *place = place_find(h->path);
	struct conn *c = r->conn;
	if (place == NULL) {
		rest_head(r, h);
		return;
	}
	if (!ws_wanted(h)) {
		refuse(r, h);
		return;
	}
	struct plain *p = plain_new(place, c);
	if (!ws_accept(r, h, &listener, p)) {
		plain_free(p);
		return;
	}
	door.counts.n++;
	place->counts->sockets++;
	door.counts.opened++;
	conn_cork(c, true);
	on_heard(c);
	deadline_set(&door.greeting, &p->ping);
	greet(p, h);
}

/* --- The worker's --- */

void plain_tick(void)
{
	while (!list_empty(&door.slow))
		end(LIST_OF(door.slow.next, struct plain, link), REASON_SLOW_READER, NULL);
	LIST_EACH(&door.dying, link)
		plain_free(LIST_OF(link, struct plain, link));
}

size_t plain_drain(size_t most)
{
	size_t n = 0;
	for (; n < most && !list_empty(&door.all); n++)
		end(LIST_OF(door.all.next, struct plain, link), REASON_DRAINING, NULL);
	return n;
}

const struct plain_counts *plain_counts(void)
{
	return &door.counts;
}

static bool is_plain(const struct api *api)
{
	return api->nsp == NULL && api->events == NULL && api->path != NULL;
}

static void find_places(void)
{
	size_t n = 0;
	while (apis[n] != NULL)
		n++;
	door.places = xcalloc(n + 1, sizeof(*door.places));
	for (size_t i = 0; i < n; i++)
		if (is_plain(apis[i]))
			door.places[door.n_places++] = (struct place){
				.encoder = { .encode = encode, .apply = apply, .applies = applies },
				.api = apis[i],
				.counts = api_counts(apis[i]),
			};
}

void plain_init(const struct services *services, struct deadlines *ds)
{
	door.services = services;
	list_init(&door.all);
	list_init(&door.slow);
	list_init(&door.dying);
	deadline_list_init(ds, &door.greeting, GREETING_MS, on_greeting_late);
	deadline_list_init(ds, &door.ping, conf.ping_interval_ms, on_ping_due);
	deadline_list_init(ds, &door.silence, conf.ping_interval_ms + conf.ping_timeout_ms,
	                   on_silence);
	expiries_init(&door.expiries, ds, on_expired);
	door.ping_frame = batch_new();
	batch_frame(door.ping_frame, WS_PING, STR(""));
	find_places();
}

void plain_fini(void)
{
	plain_drain(SIZE_MAX);
	plain_tick();
	batch_unref(door.ping_frame);
	free(door.places);
}

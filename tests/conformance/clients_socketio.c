/* Socket.IO as socket.io-client's tests want it. Connections are recovered from memory: a client
 * that comes back to its worker and heard the last event goes on as who it was; one that missed
 * something begins anew. */
#include "tests/conformance/clients.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/id.h"
#include "common/mem.h"
#include "worker/socketio/codec.h"

enum { ID_LEN = 20, MAX_PARTED = 1000 };

/* Somebody at one namespace; by its public and its private id in the maps. */
struct client {
	struct list link;            /* among those who parted, the oldest first */
	const void *api;
	char sid[ID_LEN], pid[ID_LEN];
	uint64_t said;               /* how many events; an event's offset is its number */
	unsigned step;               /* how far it is in a series of events */
	bool parted;
	struct buf handshake;        /* JSON */
};

static struct {
	struct map by_sid, by_pid;
	struct list parted;
	size_t n_parted;
} all = { .parted = { &all.parted, &all.parted } };

/* --- Who is there --- */

static struct str id(const char *text)
{
	return (struct str){ text, ID_LEN };
}

static struct client *client_of(const struct op *op)
{
	return map_get(&all.by_sid, api_sid(op));
}

static struct client *client_new(const struct op *op)
{
	unsigned char raw[ID_LEN / 4 * 3];
	struct client *c = xcalloc(1, sizeof(*c));
	list_init(&c->link);
	c->api = op->api;
	memcpy(c->sid, api_sid(op).p, ID_LEN);
	id_random(raw, sizeof(raw));
	id_encode(c->pid, raw, sizeof(raw));
	map_put(&all.by_sid, id(c->sid), c);
	map_put(&all.by_pid, id(c->pid), c);
	return c;
}

/* Parted clients are counted; the others are not. */
static void set_parted(struct client *c, bool parted)
{
	if (c->parted == parted)
		return;
	c->parted = parted;
	all.n_parted += parted ? 1 : (size_t)-1;
	if (parted)
		list_push(&all.parted, &c->link);
	else
		list_remove(&c->link);
}

static void client_free(struct client *c)
{
	set_parted(c, false);
	map_take(&all.by_sid, id(c->sid));
	map_take(&all.by_pid, id(c->pid));
	buf_fini(&c->handshake);
	free(c);
}

static void closed(const struct services *services UNUSED, struct str sid, bool left)
{
	struct client *c = map_get(&all.by_sid, sid);
	if (c == NULL)
		return;
	if (left) {
		client_free(c);
		return;
	}
	set_parted(c, true);
	if (all.n_parted > MAX_PARTED)
		client_free(LIST_OF(all.parted.next, struct client, link));
}

struct comeback {
	struct str pid, offset;
};

static const struct field comeback_fields[] = {
	FIELD(comeback, pid, F_STR),
	FIELD(comeback, offset, F_STR),
	{ 0 }
};

/* Who it says it was, if it has all that was said to it then; else NULL. */
static struct client *client_back(struct op *op, struct str auth)
{
	struct comeback back = { 0 };
	struct fault why;
	uint64_t offset;
	if (schema_decode(comeback_fields, auth, &op->arena, &back, &why) != ERR_OK)
		return NULL;
	struct client *c = map_get(&all.by_pid, back.pid);
	if (c == NULL || !c->parted || c->api != op->api || !str_u64(back.offset, &offset) ||
	    offset != c->said)
		return NULL;
	set_parted(c, false);
	return c;
}

/* --- What is said to them --- */

/* Emits an event with its offset as last argument (protocol.md §13). */
static void say(struct op *op, const char *event, struct str args, struct strs blobs)
{
	struct client *c = client_of(op);
	if (c == NULL)
		return;
	c->said++;
	struct str comma = args.len > 0 ? STR(",") : STR("");
	struct str array = op_text(op, "[\"%s\"%.*s%.*s,\"%llu\"]", event, STR_ARG(comma),
	                           STR_ARG(args), (unsigned long long)c->said);
	api_emit_raw(op, array, blobs);
}

/* Ends an op whose acknowledgement, if one was asked for, is never given. */
static void end(struct op *op)
{
	op->ack = STR_NONE;
	op_reply(op, STR_NONE);
}

/* What an event is answered with, whatever its arguments. */
struct line {
	const char *event;           /* NULL ends a speech */
	struct str args;
	bool binary;
};

static void speak(struct op *op, const void *args UNUSED)
{
	static const struct str bytes[] = { { "asdfasdf", 8 } };
	for (const struct line *l = api_row(op)->with; l->event != NULL; l++)
		say(op, l->event, l->args, (struct strs){ bytes, l->binary ? COUNT_OF(bytes) : 0 });
	end(op);
}

#define TEXT(literal) { (literal), sizeof(literal) - 1 }
static const struct str no_args = TEXT("");
static const struct line hi[] = { { .event = "hi" }, { 0 } };
static const struct line no[] = { { "false", TEXT("false"), false }, { 0 } };
static const struct line doge[] = {
	{ "doge", TEXT("{\"_placeholder\":true,\"num\":0}"), true }, { 0 }
};
static const struct line takebin[] = {
	{ "takebin", TEXT("{\"_placeholder\":true,\"num\":0}"), true }, { 0 }
};
static const struct line utf8[] = {
	{ "takeUtf8", TEXT("\"てすと\""), false },
	{ "takeUtf8", TEXT("\"Я Б Г Д Ж Й\""), false },
	{ "takeUtf8", TEXT("\"Ä ä Ü ü ß\""), false },
	{ "takeUtf8", TEXT("\"utf8 — string\""), false },
	{ "takeUtf8", TEXT("\"utf8 — string\""), false },
	{ 0 }
};

/* --- Dates --- */

static struct str now(struct op *op)
{
	struct buf text = { 0 };
	clock_iso_millis(&text, clock_wall_ms());
	struct str date = op_text(op, "\"%.*s\"", STR_ARG(buf_view(&text)));
	buf_fini(&text);
	return date;
}

static void acknowledge_date(struct op *op, const void *args UNUSED)
{
	op_reply(op, now(op));
}

static void get_date(struct op *op, const void *args UNUSED)
{
	say(op, "takeDate", now(op), (struct strs){ 0 });
	end(op);
}

static void get_date_object(struct op *op, const void *args UNUSED)
{
	say(op, "takeDateObj", op_text(op, "{\"date\":%.*s}", STR_ARG(now(op))),
	    (struct strs){ 0 });
	end(op);
}

/* --- Acknowledgements, both ways --- */

static struct str first_arg(struct str *args)
{
	struct str value;
	return sio_next_arg(args, &value) ? value : STR("null");
}

static void echo(struct op *op, const void *args)
{
	const struct raw_event *raw = args;
	struct str rest = raw->args;
	op->blobs = raw->blobs;
	op_reply(op, first_arg(&rest));
}

static void get_id(struct op *op, const void *args UNUSED)
{
	op_reply(op, op_text(op, "\"%.*s\"", STR_ARG(api_sid(op))));
}

static void get_handshake(struct op *op, const void *args UNUSED)
{
	const struct client *c = client_of(op);
	op_reply(op, buf_view(&c->handshake));
}

struct verdict {
	bool test;
};

static const struct field verdict_fields[] = {
	FIELD(verdict, test, F_BOOL),
	{ 0 }
};

/* Wants (5, {test: true}); what else the answer holds goes back, so that its attachments
 * are seen. */
static void asked(struct op *op, const void *result)
{
	const struct raw_event *answer = result;
	struct verdict verdict = { 0 };
	struct fault why;
	if (answer == NULL) {
		end(op);
		return;
	}
	struct str rest = answer->args;
	bool five = str_eqz(first_arg(&rest), "5");
	struct str second = first_arg(&rest);
	if (five && json_type(second) == JSON_OBJECT &&
	    schema_decode(verdict_fields, second, &op->arena, &verdict, &why) == ERR_OK &&
	    verdict.test)
		say(op, "got it", rest, answer->blobs);
	end(op);
}

static void ask(struct op *op, const void *args UNUSED)
{
	api_ask(op, "ack", STR_NONE, asked);
}

/* --- What clients send in binary; what is wrong gets no answer, for which their tests wait --- */

struct mixed {
	struct str hello, message, goodbye;
};

static const struct field mixed_fields[] = {
	FIELD(mixed, hello, F_STR),
	FIELD(mixed, message, F_OBJECT),
	FIELD(mixed, goodbye, F_STR),
	{ 0 }
};

static bool is_mixed(struct op *op, struct str value)
{
	struct mixed m = { 0 };
	struct fault why;
	return json_type(value) == JSON_OBJECT &&
	       schema_decode(mixed_fields, value, &op->arena, &m, &why) == ERR_OK &&
	       str_eqz(m.hello, "lol") && str_eqz(m.goodbye, "gotcha") && m.message.len > 0;
}

static bool is_binary(struct op *op UNUSED, struct str value)
{
	return json_type(value) == JSON_OBJECT;
}

static bool is_text(struct op *op UNUSED, struct str value)
{
	return json_type(value) == JSON_STRING;
}

/* One event of a series: its argument, how many attachments, and what is said then. */
struct step {
	unsigned at;                 /* 1 begins a series */
	bool (*is_right)(struct op *op, struct str value);
	size_t blobs;
	const char *reply;           /* or NULL */
};

static void take_step(struct op *op, const void *args)
{
	const struct raw_event *raw = args;
	const struct step *step = api_row(op)->with;
	struct client *c = client_of(op);
	struct str rest = raw->args;
	bool right = step->is_right(op, first_arg(&rest)) && raw->blobs.n == step->blobs &&
	             (step->at == 1 || c->step == step->at - 1);
	c->step = right ? step->at : 0;
	if (right && step->reply != NULL)
		say(op, step->reply, no_args, (struct strs){ 0 });
	end(op);
}

static const struct step buffa = { 1, is_binary, 1, "buffack" };
static const struct step jsonbuff = { 1, is_mixed, 1, "jsonbuff-ack" };
static const struct step abuff1 = { 1, is_binary, 1, NULL };
static const struct step abuff2 = { 2, is_text, 0, "abuff2-ack" };
static const struct step blob = { 1, is_binary, 1, "back" };
static const struct step jsonblob = { 1, is_mixed, 1, "jsonblob-ack" };
static const struct step blob1 = { 1, is_binary, 1, NULL }, blob2 = { 2, is_text, 0, NULL };
static const struct step blob3 = { 3, is_binary, 1, "blob3-ack" };

/* --- Coming --- */

static void put_query(struct json_out *j, struct op *op, struct str query)
{
	struct str name, value;
	enum query_pair pair;
	json_open(j, '{');
	while ((pair = query_next(&op->arena, &query, &name, &value)) != QUERY_END) {
		if (pair == QUERY_MALFORMED)
			continue;
		json_str(j, name);
		buf_char(j->to, ':');
		j->comma = false;
		json_str(j, value);
	}
	json_close(j, '}');
}

static void put_handshake(struct buf *out, struct op *op, const struct handshake *h)
{
	struct json_out j = json_out(out);
	buf_clear(out);
	json_open(&j, '{');
	json_put_raw(&j, "headers", h->headers);
	json_put_time(&j, "time", clock_wall_ms());
	json_put_int(&j, "issued", clock_wall_ms());
	json_put_bool(&j, "secure", false);
	json_key(&j, "query");
	put_query(&j, op, h->query);
	json_put_raw(&j, "auth", h->auth);
	json_close(&j, '}');
}

static struct client *let_in(struct op *op, const struct handshake *h)
{
	struct client *c = client_back(op, h->auth);
	if (c == NULL)
		c = client_new(op);
	put_handshake(&c->handshake, op, h);
	api_resume(op, id(c->sid), id(c->pid));
	api_accept(op);
	return c;
}

static void hello(struct op *op, const struct handshake *h)
{
	let_in(op, h);
	op_reply(op, STR_NONE);
}

static void hello_main(struct op *op, const struct handshake *h)
{
	if (query_get(&op->arena, h->query, "fail").len > 0)
		op_fail(op, ERR_FORBIDDEN, NULL, "Auth failed (main namespace)");
	else
		hello(op, h);
}

static void hello_with_handshake(struct op *op, const struct handshake *h)
{
	const struct client *c = let_in(op, h);
	say(op, "handshake", buf_view(&c->handshake), (struct strs){ 0 });
	op_reply(op, STR_NONE);
}

static void hello_never(struct op *op, const struct handshake *h UNUSED)
{
	op_fail(op, ERR_FORBIDDEN, NULL, "Auth failed (custom namespace)");
}

void clients_greet_socketio(const struct request *r UNUSED, const struct head *h UNUSED,
                            struct greeting *out)
{
	out->keeps_headers = true;
}

/* --- Tables. An event without a row is not answered. --- */

static const struct api_event main_events[] = {
	{ .name = "hi", .raw = true, .handle = speak, .with = hi },
	{ .name = "false", .raw = true, .handle = speak, .with = no },
	{ .name = "doge", .raw = true, .handle = speak, .with = doge },
	{ .name = "getbin", .raw = true, .handle = speak, .with = takebin },
	{ .name = "getUtf8", .raw = true, .handle = speak, .with = utf8 },
	{ .name = "echo", .raw = true, .handle = echo },
	{ .name = "ack", .raw = true, .handle = ask },
	{ .name = "getAckDate", .raw = true, .handle = acknowledge_date },
	{ .name = "getDate", .raw = true, .handle = get_date },
	{ .name = "getDateObj", .raw = true, .handle = get_date_object },
	{ .name = "buffa", .raw = true, .handle = take_step, .with = &buffa },
	{ .name = "jsonbuff", .raw = true, .handle = take_step, .with = &jsonbuff },
	{ .name = "abuff1", .raw = true, .handle = take_step, .with = &abuff1 },
	{ .name = "abuff2", .raw = true, .handle = take_step, .with = &abuff2 },
	{ .name = "blob", .raw = true, .handle = take_step, .with = &blob },
	{ .name = "jsonblob", .raw = true, .handle = take_step, .with = &jsonblob },
	{ .name = "blob1", .raw = true, .handle = take_step, .with = &blob1 },
	{ .name = "blob2", .raw = true, .handle = take_step, .with = &blob2 },
	{ .name = "blob3", .raw = true, .handle = take_step, .with = &blob3 },
	{ .name = "getHandshake", .raw = true, .handle = get_handshake },
	{ .name = "getId", .raw = true, .handle = get_id },
	{ 0 }
};

static const struct api_event id_events[] = {
	{ .name = "getId", .raw = true, .handle = get_id },
	{ 0 }
};

static const struct api_event no_events[] = {
	{ 0 }
};

#define NAMESPACE(label, rows, greet) \
	const struct api api_##label = { \
		.name = #label, .beside = "clients", .events = (rows), .hello = (greet), \
		.closed = closed, \
	}

NAMESPACE(clients, main_events, hello_main);
NAMESPACE(foo, id_events, hello);
NAMESPACE(timeout_socket, no_events, hello);
NAMESPACE(valid, no_events, hello);
NAMESPACE(asd, no_events, hello);
NAMESPACE(abc, no_events, hello_with_handshake);
NAMESPACE(no, no_events, hello_never);

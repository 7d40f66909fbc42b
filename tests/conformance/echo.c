/* The server under test of the protocol suites (Engine.IO, Socket.IO, RFC 6455): an API made from
 * outside, by its own tables of APIs and paths. Linked only into confab-conformance. */
#include <string.h>

#include "common/conf.h"
#include "tests/conformance/clients.h"
#include "worker/api/door.h"
#include "worker/engineio/poll.h"
#include "worker/mounts.h"

/* --- Socket.IO: namespaces "/" and "/custom" --- */

static void say_back(struct op *op, const void *args)
{
	const struct raw_event *raw = args;
	struct str comma = raw->args.len > 0 ? STR(",") : STR("");
	struct str array =
		op_text(op, "[\"message-back\"%.*s%.*s]", STR_ARG(comma), STR_ARG(raw->args));
	api_emit_raw(op, array, raw->blobs);
	op_reply(op, STR_NONE);
}

static void acknowledge(struct op *op, const void *args)
{
	const struct raw_event *raw = args;
	op->blobs = raw->blobs;
	op_reply(op, raw->args);
}

static void ignore(struct op *op, const void *args UNUSED)
{
	op_reply(op, STR_NONE);
}

static void hello(struct op *op, const struct handshake *h)
{
	api_accept(op);
	api_emit(op, "auth", h->auth);
	op_reply(op, STR_NONE);
}

static const struct api_event events[] = {
	{ .name = "message", .raw = true, .handle = say_back },
	{ .name = "message-with-ack", .raw = true, .handle = acknowledge },
	{ .name = "*", .raw = true, .handle = ignore },
	{ 0 }
};

static const struct api api_echo = { .name = "echo", .events = events, .hello = hello };
static const struct api api_custom = { .name = "custom", .events = events, .hello = hello };

const struct api *const apis[] = {
	&api_echo, &api_custom,
	&api_clients, &api_foo, &api_timeout_socket, &api_valid, &api_asd, &api_abc, &api_no,
	NULL
};
const struct api_route *const api_routes[] = { NULL };

/* --- Engine.IO: every message comes back --- */

static void session_opened(struct session *s UNUSED)
{
}

static void session_message(struct session *s, bool binary, struct str bytes)
{
	session_send(s, binary, bytes);
}

static void session_closed(struct session *s UNUSED, enum reason why UNUSED)
{
}

static const struct session_upper engine_echo = {
	.opened = session_opened,
	.message = session_message,
	.closed = session_closed,
};

/* --- RFC 6455: a bare WebSocket --- */

static void bare_message(struct conn *c, bool binary, struct str bytes)
{
	ws_send(c, binary ? WS_BINARY : WS_TEXT, bytes);
}

static void bare_closed(struct conn *c UNUSED, enum reason why UNUSED)
{
}

static const struct ws_user bare_echo = { .message = bare_message, .closed = bare_closed };

static void bare_head(struct request *r, const struct head *h)
{
	ws_accept(r, h, &bare_echo, NULL);
}

/* --- Paths: what is at one depends on the root of the port's `listen` line --- */

struct engine *mounts_engine;

static const struct mount socketio = { "/socket.io/", &socketio_upper, &mounts_engine, NULL };
static const struct mount engineio = { "/engine.io/", &engine_echo, &mounts_engine, NULL };
static const struct mount clients_socketio = {
	"/socket.io/", &socketio_upper, &mounts_engine, clients_greet_socketio,
};
static const struct mount clients_engineio = {
	"/engine.io/", &clients_engine, &mounts_engine, clients_greet_engineio,
};

/* The services of ports whose root is `clients`. */
static const struct http_service clients_mounts[] = {
	{ "/socket.io/", engine_head, &clients_socketio },
	{ "/engine.io/", engine_head, &clients_engineio },
	{ 0 }
};

static void by_port(struct request *r, const struct head *h)
{
	const struct http_service *s = clients_mounts;
	if (strcmp(conf.listens[r->conn->listener].root, "clients") == 0) {
		while (strcmp(s->prefix, r->service->prefix) != 0)
			s++;
		r->service = s;
	}
	engine_head(r, h);
}

const struct http_service mounts[] = {
	{ "/socket.io/", by_port, &socketio },
	{ "/engine.io/", by_port, &engineio },
	{ "/echo", bare_head, NULL },
	{ "/", rest_head, NULL },
	{ 0 }
};

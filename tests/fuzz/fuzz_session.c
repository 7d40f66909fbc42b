/* Whole sessions: a worker without Redis, four clients, and an input that is a little program
 * of what they do. Whatever they did, at the end nothing of it is left.
 *
 * A line is a command, digits for a client and a session, and what it says:
 *   o0        client 0 opens Engine.IO by polling; its session is number 0 from then on
 *   e0        the same where every Engine.IO message comes back
 *   q0        the same at the other worker
 *   w0        opens by WebSocket
 *   g01       client 0: GET for session 1
 *   p01DATA   client 0: POST for session 1
 *   u01       client 0: WebSocket for session 1, to upgrade it
 *   t0TEXT    a text message over client 0's WebSocket; b0BYTES a binary one
 *   f0XDATA   a frame whose first byte is X
 *   r01DATA   any bytes; ~ is CRLF, $ the sid of session 1
 *   x0 h0 d0  closes; closes for writing; reads no more, or again
 *   +5        time passes
 *   !B        the server tells all sockets B: e an event, l that events were lost, c good-bye;
 *             y that they are let in, n that they are not (auth {"a":3} waits for either);
 *             d drains one session
 * A first line of '#' has the conformance server's API behind the namespaces; else it is the one
 * below, whose events are told by what they should lead to. */
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/wire.h"
#include "worker/api/door.h"
#include "worker/engineio/codec.h"
#include "worker/engineio/poll.h"
#include "worker/mounts.h"

enum { CLIENTS = 4, LINES_MAX = 60, BIG = 9000, STEP_MS = 5000, STEPS_MAX = 40 };

static struct {
	struct client clients[CLIENTS];
	bool ws[CLIENTS];            /* a 101 came */
	bool wild[CLIENTS];          /* sent raw bytes: its answers are not looked at closely */
	char sids[CLIENTS][SID_LEN];
	struct list stubs;
} play;

/* --- The application --- */

struct stub {
	struct list link;
	struct socket *socket;
};

static const struct nsp namespaces[] = {
	{ .name = { "/", 1 } }, { .name = { "/a", 2 } }, { .name = { "/b", 2 } },
};

static const struct nsp *stub_find(const struct session *s, struct str name)
{
	(void)s;
	for (size_t i = 0; i < COUNT_OF(namespaces); i++)
		if (str_eq(namespaces[i].name, name))
			return &namespaces[i];
	return NULL;
}

static void stub_connect(struct socket *s, struct str auth)
{
	struct stub *stub = calloc(1, sizeof(*stub));

	stub->socket = s;
	list_push(&play.stubs, &stub->link);
	if (str_eqz(auth, "{\"a\":1}"))
		socket_refuse(s, REASON_REFUSED, "no");
	else if (str_eqz(auth, "{\"a\":2}"))
		socket_identify(s, STR("ann"), clock_wall_ms() / 1000 + 5);
	else if (!str_eqz(auth, "{\"a\":3}"))
		socket_accept(s);
}

static void stub_echo(struct socket *s, const struct sio_packet *p, struct strs blobs)
{
	if (p->id.p != NULL)
		socket_ack(s, p->id, p->args, blobs);
	else
		socket_emit(s, p->data, blobs);
}

static void stub_expired(struct socket *s)
{
	socket_disconnect(s, REASON_EXPIRED);
}

static void stub_answered(struct socket *s, void *arg, struct str args, struct strs blobs)
{
	(void)arg, (void)blobs;
	if (args.p != NULL && args.len > 2)
		stub_expired(s);
}

static void stub_ask(struct socket *s, const struct sio_packet *p, struct strs blobs)
{
	(void)blobs;
	socket_ask(s, p->data, stub_answered, NULL);
}

static void stub_bye(struct socket *s, const struct sio_packet *p, struct strs blobs)
{
	(void)p, (void)blobs;
	stub_expired(s);
	socket_emit(s, STR("[1]"), (struct strs){ 0 });
}

static void stub_end(struct socket *s, const struct sio_packet *p, struct strs blobs)
{
	(void)p, (void)blobs;
	session_close(s->session, REASON_UNAVAILABLE);
}

/* Two of these are more than queue-hard. */
static void stub_big(struct socket *s, const struct sio_packet *p, struct strs blobs)
{
	static const char zeros[BIG];
	const struct str blob[] = { { zeros, BIG } };

	(void)p, (void)blobs;
	socket_emit(s, STR("[{\"_placeholder\":true,\"num\":0}]"), (struct strs){ blob, 1 });
}

static void stub_identify(struct socket *s, const struct sio_packet *p, struct strs blobs)
{
	(void)blobs;
	socket_identify(s, p->event, clock_wall_ms() / 1000 + (int64_t)p->args.len);
}

static const struct {
	const char *name;
	void (*take)(struct socket *s, const struct sio_packet *p, struct strs blobs);
} stub_events[] = {
	{ "\"ask\"", stub_ask }, { "\"bye\"", stub_bye }, { "\"end\"", stub_end },
	{ "\"big\"", stub_big }, { "\"who\"", stub_identify },
};

static void stub_event(struct socket *s, const struct sio_packet *p, struct strs blobs)
{
	for (size_t i = 0; i < COUNT_OF(stub_events); i++) {
		if (str_eqz(p->event, stub_events[i].name)) {
			stub_events[i].take(s, p, blobs);
			return;
		}
	}
	stub_echo(s, p, blobs);
}

static void stub_closed(struct socket *s, enum reason why)
{
	unsigned found = 0;

	(void)why;
	LIST_EACH(&play.stubs, link) {
		struct stub *stub = LIST_OF(link, struct stub, link);
		if (stub->socket != s)
			continue;
		found++;
		list_remove(link);
		free(stub);
	}
	CHECK(found == 1);
}

static const struct socket_app stub_app = {
	.find = stub_find, .connect = stub_connect, .event = stub_event, .expired = stub_expired,
	.closed = stub_closed,
};

/* --- What clients hear --- */

/* Learns the sid from an open packet. */
static void learn(unsigned n, struct str packet)
{
	static const char before[] = "0{\"sid\":\"";

	if (str_starts(packet, STR(before)) && packet.len > sizeof(before) + SID_LEN)
		memcpy(play.sids[n], packet.p + sizeof(before) - 1, SID_LEN);
}

/* All that a GET was answered can be read. */
static void hear_payload(unsigned n, struct str body)
{
	struct buf scratch = { 0 };
	struct eio_packet packet;
	bool first = true;
	int more;

	learn(n, body);
	while ((more = eio_payload_next(&body, &first, &scratch, &packet)) > 0)
		;
	CHECK(more == 0);
	buf_fini(&scratch);
}

static void hear_frames(unsigned n, struct str *rest)
{
	enum ws_opcode opcode;
	struct str payload;

	while (frame_next(rest, &opcode, &payload)) {
		CHECK(opcode == WS_TEXT || opcode == WS_BINARY || opcode == WS_PONG ||
		      opcode == WS_CLOSE);
		CHECK(opcode != WS_TEXT || (payload.len > 0 && utf8_valid(payload)));
		CHECK(opcode != WS_CLOSE || (rest->len == 0 && payload.len != 1));
		if (opcode == WS_TEXT)
			learn(n, payload);
	}
}

static struct str header_value(struct str head, const char *name)
{
	while (head.len > 0) {
		struct str line = str_cut(&head, '\n'), value = line;
		if (str_eq_nocase(str_cut(&value, ':'), str_z(name)))
			return str_trim((struct str){ value.p, value.len - 1 });
	}
	return STR_NONE;
}

static size_t head_length(struct str s)
{
	for (size_t i = 4; i <= s.len; i++)
		if (memcmp(s.p + i - 4, "\r\n\r\n", 4) == 0)
			return i;
	return 0;
}

/* One answer; false: it is not whole. */
static bool hear_answer(unsigned n, struct str *rest)
{
	const size_t len = head_length(*rest);
	const struct str head = { rest->p, len };
	uint64_t body = 0;

	if (len == 0)
		return false;
	CHECK(str_starts(head, STR("HTTP/1.1 ")));
	const struct str length = header_value(head, "content-length");
	CHECK(length.p == NULL || str_u64(length, &body));
	CHECK(rest->len - len >= body);
	const struct str content = { rest->p + len, (size_t)body };
	*rest = str_from(*rest, len + (size_t)body);
	if (str_starts(head, STR("HTTP/1.1 101 ")))
		play.ws[n] = true;
	else if (str_eqz(header_value(head, "content-type"), "text/plain; charset=UTF-8"))
		hear_payload(n, content);
	return true;
}

static void hear(unsigned n)
{
	struct client *c = &play.clients[n];

	if (c->fd == 0)
		return;
	client_read(c);
	struct str rest = buf_view(&c->in);
	while (!play.wild[n] && !play.ws[n] && hear_answer(n, &rest))
		;
	if (!play.wild[n] && play.ws[n])
		hear_frames(n, &rest);
	buf_consume(&c->in, play.wild[n] ? c->in.len : c->in.len - rest.len);
	if (c->ended)
		client_close(c);
}

static void turn(void)
{
	wire_turn();
	for (unsigned n = 0; n < CLIENTS; n++)
		hear(n);
}

/* --- What clients do --- */

static struct client *connected(unsigned n)
{
	struct client *c = &play.clients[n];

	if (c->fd == 0) {
		client_connect(c);
		play.ws[n] = play.wild[n] = false;
	}
	return c;
}

static struct str sid(unsigned session)
{
	return (struct str){ play.sids[session], SID_LEN };
}

/* `session` CLIENTS: none, it is to be opened. */
static void request(unsigned n, const char *method, const char *path, unsigned session,
                    bool websocket, struct str body)
{
	static const char upgrade[] =
		"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
	struct buf out = { 0 };

	buf_printf(&out, "%s %s?EIO=4&transport=%s", method, path,
	           websocket ? "websocket" : "polling");
	if (session < CLIENTS) {
		buf_z(&out, "&sid=");
		buf_str(&out, sid(session));
	}
	buf_z(&out, " HTTP/1.1\r\nHost: a\r\n");
	if (websocket)
		buf_z(&out, upgrade);
	if (method[0] == 'P')
		buf_printf(&out, "Content-Length: %zu\r\n", body.len);
	buf_z(&out, "\r\n");
	buf_str(&out, body);
	client_write(connected(n), buf_view(&out));
	buf_fini(&out);
}

/* Masked with zeros, which change nothing. */
static void send_frame(unsigned n, unsigned first, struct str payload)
{
	struct buf out = { 0 };

	buf_char(&out, (char)first);
	if (payload.len < 126) {
		buf_char(&out, (char)(0x80 | payload.len));
	} else {
		buf_char(&out, (char)(0x80 | 126));
		buf_char(&out, (char)(payload.len >> 8));
		buf_char(&out, (char)payload.len);
	}
	buf_add(&out, "\0\0\0\0", 4);
	buf_str(&out, payload);
	client_write(connected(n), buf_view(&out));
	buf_fini(&out);
}

static unsigned digit(struct str *line)
{
	return fuzz_byte(line) % CLIENTS;
}

static const char socketio[] = "/socket.io/", engineio[] = "/engine.io/";

static void open_polling(unsigned n, struct str rest)
{
	(void)rest;
	request(n, "GET", socketio, CLIENTS, false, STR_NONE);
}

static void open_echo(unsigned n, struct str rest)
{
	(void)rest;
	request(n, "GET", engineio, CLIENTS, false, STR_NONE);
}

static void open_elsewhere(unsigned n, struct str rest)
{
	open_polling(n, rest);
	wire.engine.worker = 1;
	wire_turn();
	wire.engine.worker = 0;
}

static void open_websocket(unsigned n, struct str rest)
{
	request(n, "GET", rest.len > 0 ? engineio : socketio, CLIENTS, true, STR_NONE);
}

/* The path at which that session was opened. */
static const char *path_of(unsigned session)
{
	const struct session *s = map_get(&wire.engine.sessions, sid(session));
	return s != NULL ? s->mount->path : socketio;
}

static void get(unsigned n, struct str rest)
{
	const unsigned session = digit(&rest);
	request(n, "GET", path_of(session), session, false, STR_NONE);
}

static void post(unsigned n, struct str rest)
{
	const unsigned session = digit(&rest);
	request(n, "POST", path_of(session), session, false, rest);
}

static void upgrade(unsigned n, struct str rest)
{
	const unsigned session = digit(&rest);
	request(n, "GET", path_of(session), session, true, STR_NONE);
}

static void text(unsigned n, struct str rest)
{
	send_frame(n, 0x80 | WS_TEXT, rest);
}

static void binary(unsigned n, struct str rest)
{
	send_frame(n, 0x80 | WS_BINARY, rest);
}

static void frame(unsigned n, struct str rest)
{
	const unsigned first = fuzz_byte(&rest);
	send_frame(n, first, rest);
}

static void raw(unsigned n, struct str rest)
{
	const unsigned session = digit(&rest);
	struct buf out = { 0 };

	for (size_t i = 0; i < rest.len; i++) {
		if (rest.p[i] == '~')
			buf_z(&out, "\r\n");
		else if (rest.p[i] == '$')
			buf_str(&out, sid(session));
		else
			buf_char(&out, rest.p[i]);
	}
	struct client *c = connected(n);
	play.wild[n] = true;
	client_write(c, buf_view(&out));
	buf_fini(&out);
}

static void hang_up(unsigned n, struct str rest)
{
	(void)rest;
	client_close(&play.clients[n]);
}

static void close_half(unsigned n, struct str rest)
{
	(void)rest;
	shutdown(connected(n)->fd, SHUT_WR);
}

static void deafen(unsigned n, struct str rest)
{
	struct client *c = connected(n);

	(void)rest;
	c->deaf = !c->deaf;
	play.wild[n] = true;
}

static void let_time_pass(unsigned n, struct str rest)
{
	static const unsigned ms[] = { 120, 1000, 5000, 12000, 21000, 26000 };

	(void)n;
	wire_wait(ms[fuzz_byte(&rest) % COUNT_OF(ms)]);
}

/* One frame, shared by all. */
static void tell_all(void)
{
	struct batch *b = batch_new();

	batch_frame(b, WS_TEXT, STR("42[\"news\"]"));
	LIST_EACH(&play.stubs, link) {
		struct peer *p = &LIST_OF(link, struct stub, link)->socket->peer;
		p->vt->send(p, b, 0, batch_len(b));
	}
	batch_unref(b);
}

static void serve(unsigned what)
{
	if (what == 'd')
		engine_drain(&wire.engine, 1);
	if (what == 'e')
		tell_all();
	while (what == 'l' && !list_empty(&play.stubs)) {
		struct peer *p = &LIST_OF(play.stubs.next, struct stub, link)->socket->peer;
		p->vt->lost(p);
	}
	LIST_EACH(&play.stubs, link) {
		struct socket *s = LIST_OF(link, struct stub, link)->socket;
		if (what == 'c')
			stub_expired(s);
		if (what == 'y')
			socket_accept(s);
		if (what == 'n')
			socket_refuse(s, REASON_REFUSED, "no");
	}
}

static const struct {
	char name;
	void (*run)(unsigned n, struct str rest);
} commands[] = {
	{ 'o', open_polling }, { 'e', open_echo }, { 'q', open_elsewhere }, { 'w', open_websocket },
	{ 'g', get }, { 'p', post }, { 'u', upgrade }, { 't', text }, { 'b', binary },
	{ 'f', frame }, { 'r', raw }, { 'x', hang_up }, { 'h', close_half }, { 'd', deafen },
};

static void run_line(struct str line)
{
	const unsigned name = fuzz_byte(&line);

	if (name == '!')
		serve(fuzz_byte(&line));
	if (name == '+')
		let_time_pass(0, line);
	for (size_t i = 0; i < COUNT_OF(commands); i++) {
		if ((unsigned char)commands[i].name == name) {
			const unsigned n = digit(&line);
			commands[i].run(n, line);
		}
	}
	turn();
}

/* Everybody leaves; after all time-outs nothing must be left of them. */
static void end_play(void)
{
	for (unsigned n = 0; n < CLIENTS; n++)
		client_close(&play.clients[n]);
	wire_turn();
	for (unsigned i = 0; i < STEPS_MAX && wire.engine.sessions.n + wire.net.n_conns > 0; i++)
		wire_wait(STEP_MS);
	wire_check_empty();
	CHECK(list_empty(&play.stubs));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct str s = fuzz_str(bytes, len);

	if (wire.base == NULL) {
		mounts_engine = &wire.engine;
		wire_start(mounts, &stub_app);   /* those of the conformance server */
		list_init(&play.stubs);
	}
	wire.sockets.app = str_starts(s, STR("#")) ? &events_app : &stub_app;
	for (unsigned n = 0; n < CLIENTS; n++)
		memset(play.sids[n], 'x', SID_LEN);
	for (unsigned i = 0; s.len > 0 && i < LINES_MAX; i++)
		run_line(str_cut(&s, '\n'));
	end_play();
	return 0;
}

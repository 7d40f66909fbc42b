/* What a client sends over a WebSocket, through a connection from the handshake on.
 *
 * An input is a byte that says where to cut, then what follows the handshake. It is sent at once
 * and in pieces: both must come to the same messages, the same answers and the same end.
 * A small reading of RFC 6455 says what these have to be. */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/wire.h"

enum { PIECE_MAX = 5, PIECES = 64, KEPT_MAX = 2 + 4 + 125, LARGEST = 2000 };

static const char handshake[] =
	"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/* What came of it. */
struct outcome {
	struct buf messages;         /* each as a line: t or b, length, bytes */
	struct buf answer;           /* all that was sent after the 101 */
	enum reason why;
	bool closed;
};

static struct outcome *current;

static void add_message(struct buf *to, bool binary, struct str bytes)
{
	buf_printf(to, "%c%zu ", binary ? 'b' : 't', bytes.len);
	buf_str(to, bytes);
	buf_char(to, '\n');
}

static void on_message(struct conn *c, bool binary, struct str bytes)
{
	CHECK(!current->closed && bytes.len <= LARGEST);
	CHECK(binary || utf8_valid(bytes));
	add_message(&current->messages, binary, bytes);
	ws_send(c, binary ? WS_BINARY : WS_TEXT, bytes);
}

static void on_closed(struct conn *c, enum reason why)
{
	(void)c;
	CHECK(!current->closed);
	current->closed = true;
	current->why = why;
}

static const struct ws_user user = { .message = on_message, .closed = on_closed };

static void on_head(struct request *r, const struct head *h)
{
	CHECK(ws_accept(r, h, &user, NULL));
}

static const struct http_service services[] = { { "/", on_head, NULL }, { 0 } };

/* --- A reading of RFC 6455 --- */

struct model {
	struct buf messages, open;   /* `open`: the fragmented message so far */
	bool fragmented, binary;
	enum reason why;             /* HTTP_DONE: it goes on */
	bool early;                  /* … by a frame that is not whole: it may be noticed later */
	bool at_rest;                /* nothing is unfinished */
};

struct frame {
	unsigned opcode;
	bool final, bad;             /* bad: its header alone is against the rules */
	struct str payload;          /* as it came */
	const unsigned char *mask;
	uint64_t len;                /* of the payload, as announced */
};

/* Cuts a frame off; false: its header is not whole. */
static bool frame_cut(struct str *rest, struct frame *f)
{
	const unsigned char *p = (const unsigned char *)rest->p;
	if (rest->len < 2)
		return false;
	const size_t wide = (p[1] & 0x7f) == 126 ? 2 : (p[1] & 0x7f) == 127 ? 8 : 0;
	const bool masked = (p[1] & 0x80) != 0;
	const size_t header = 2 + wide + (masked ? 4 : 0);
	if (rest->len < header)
		return false;
	uint64_t len = wide > 0 ? 0 : p[1] & 0x7f;
	for (size_t i = 0; i < wide; i++)
		len = len << 8 | p[2 + i];
	*f = (struct frame){ .opcode = p[0] & 0x0f, .final = (p[0] & 0x80) != 0, .len = len };
	const bool control = f->opcode >= 8;
	f->bad = !masked || (p[0] & 0x70) != 0 || (f->opcode > 2 && f->opcode < 8) ||
	         f->opcode > 10 || (control && (!f->final || len > 125)) ||
	         (wide == 2 && len < 126) || (wide == 8 && len < 65536) || len > INT64_MAX;
	f->mask = p + 2 + wide;
	*rest = str_from(*rest, header);
	f->payload = (struct str){ rest->p, len < rest->len ? (size_t)len : rest->len };
	*rest = str_from(*rest, f->payload.len);
	return true;
}

static void unmask(const struct frame *f, struct buf *out)
{
	for (size_t i = 0; i < f->payload.len; i++)
		buf_char(out, (char)((unsigned char)f->payload.p[i] ^ f->mask[i % 4]));
}

/* Whether text that begins so may still be UTF-8: some ending makes it so. */
static bool may_be_utf8(struct str s)
{
	static const char endings[] = { '\x80', '\xbf' };
	struct buf text = { 0 };
	bool may = utf8_valid(s);

	for (size_t i = 0; i < COUNT_OF(endings) && !may; i++) {
		buf_clear(&text);
		buf_str(&text, s);
		for (size_t n = 0; n < 3 && !may; n++) {
			buf_char(&text, endings[i]);
			may = utf8_valid(buf_view(&text));
		}
	}
	buf_fini(&text);
	return may;
}

static enum reason model_close(const struct frame *f)
{
	struct buf text = { 0 };
	enum reason why = REASON_CLIENT_GONE;

	unmask(f, &text);
	const struct str all = buf_view(&text);
	if (all.len >= 2) {
		const unsigned code =
			(unsigned)(unsigned char)all.p[0] << 8 | (unsigned char)all.p[1];
		if (!utf8_valid(str_from(all, 2)))
			why = REASON_BAD_UTF8;
		else if (code < 1000 || (code > 1011 && code < 3000) || code > 4999 ||
		         code == 1004 || code == 1005 || code == 1006)
			why = REASON_PROTOCOL_ERROR;
	} else if (all.len == 1) {
		why = REASON_PROTOCOL_ERROR;
	}
	buf_fini(&text);
	return why;
}

static enum reason model_data(struct model *m, const struct frame *f)
{
	if ((f->opcode == 0) != m->fragmented)
		return REASON_PROTOCOL_ERROR;
	if (m->open.len + f->len > LARGEST)
		return REASON_TOO_LARGE;
	if (!m->fragmented)
		m->binary = f->opcode == 2;
	m->fragmented = true;
	unmask(f, &m->open);
	const struct str text = buf_view(&m->open);
	const bool whole = f->final && f->payload.len == f->len;
	if (!m->binary && !(whole ? utf8_valid(text) : may_be_utf8(text)))
		return REASON_BAD_UTF8;
	if (whole) {
		add_message(&m->messages, m->binary, text);
		buf_clear(&m->open);
		m->fragmented = false;
	}
	return REASON_HTTP_DONE;
}

static void model_read(struct model *m, struct str rest)
{
	struct frame f;

	m->why = REASON_HTTP_DONE;
	while (m->why == REASON_HTTP_DONE && frame_cut(&rest, &f)) {
		const bool whole = f.payload.len == f.len;
		const bool control = f.opcode >= 8;
		/* A control frame is looked at when it is whole, or can be seen never to be. */
		if (control && !whole && !f.bad)
			return;
		if (f.bad)
			m->why = REASON_PROTOCOL_ERROR;
		else if (!control)
			m->why = model_data(m, &f);
		else if (f.opcode == 8)
			m->why = model_close(&f);
		m->early = !whole && (f.payload.len == 0 || (control && f.len <= 125));
		if (!whole)
			return;
	}
	m->at_rest = m->why == REASON_HTTP_DONE && rest.len == 0 && !m->fragmented;
}

/* --- Running it --- */

static struct conn *the_conn(void)
{
	return list_empty(&wire.net.conns) ? NULL : LIST_OF(wire.net.conns.next, struct conn, link);
}

static void turn(struct client *c)
{
	wire_turn();
	client_read(c);
	/* What is kept for later is bounded by a control frame; the rest is the reader's. */
	const struct conn *conn = the_conn();
	CHECK(conn == NULL || conn->finishing || conn->in.len <= KEPT_MAX);
}

/* An unfinished message keeps a reader, and nothing else does. */
static void check_reader(const struct model *m)
{
	const struct conn *conn = the_conn();
	if (conn != NULL && m->at_rest)
		CHECK(conn->state == NULL && conn->in.len == 0);
}

static void shake_hands(struct client *c)
{
	client_connect(c);
	client_write(c, STR(handshake));
	turn(c);
	CHECK(str_starts(buf_view(&c->in), STR("HTTP/1.1 101 ")));
	buf_clear(&c->in);
}

static void run(struct str s, uint32_t seed, const struct model *m, struct outcome *out)
{
	const size_t most = PIECE_MAX + s.len / PIECES;
	struct client c;

	current = out;
	shake_hands(&c);
	while (s.len > 0) {
		const size_t n = seed != 0 ? fuzz_roll(&seed, most) : s.len;
		const struct str piece = { s.p, n < s.len ? n : s.len };
		client_write(&c, piece);
		turn(&c);
		s = str_from(s, piece.len);
	}
	check_reader(m);
	buf_str(&out->answer, buf_view(&c.in));
	client_close(&c);
	wire_turn();
	wire_wait(5000);             /* over the time for last words */
	CHECK(the_conn() == NULL && out->closed);
}

/* Frames as a server sends them, and after a close frame, nothing; its code, or 0. */
static unsigned check_answer(struct str rest)
{
	enum ws_opcode opcode;
	struct str payload;

	while (frame_next(&rest, &opcode, &payload)) {
		CHECK(opcode == WS_TEXT || opcode == WS_BINARY || opcode == WS_PONG ||
		      opcode == WS_CLOSE);
		CHECK(opcode != WS_TEXT || utf8_valid(payload));
		if (opcode != WS_CLOSE)
			continue;
		CHECK(rest.len == 0 && payload.len != 1);
		return payload.len == 0 ? 1005
		                        : (unsigned)(unsigned char)payload.p[0] << 8 |
		                                  (unsigned char)payload.p[1];
	}
	CHECK(rest.len == 0);
	return 0;
}

static void check_outcome(const struct outcome *o, const struct model *m)
{
	const unsigned code = check_answer(buf_view(&o->answer));

	CHECK(str_eq(buf_view(&o->messages), buf_view(&m->messages)));
	if (m->why == REASON_HTTP_DONE || (m->early && code == 0)) {
		CHECK(code == 0 && o->why == REASON_CLIENT_GONE);
		return;
	}
	CHECK(o->why == m->why && code != 0);
	CHECK(m->why == REASON_CLIENT_GONE || code == reason_code(m->why));
}

static void model_fini(struct model *m)
{
	buf_fini(&m->messages);
	buf_fini(&m->open);
}

static void outcome_fini(struct outcome *o)
{
	buf_fini(&o->messages);
	buf_fini(&o->answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct str s = fuzz_str(bytes, len);
	const uint32_t seed = fuzz_byte(&s) + 1;
	struct model m = { .why = REASON_HTTP_DONE };
	struct outcome whole = { 0 }, pieces = { 0 };

	if (wire.base == NULL)
		wire_start(services, NULL);
	model_read(&m, s);
	run(s, 0, &m, &whole);
	run(s, seed, &m, &pieces);
	CHECK(str_eq(buf_view(&whole.answer), buf_view(&pieces.answer)) && whole.why == pieces.why);
	check_outcome(&whole, &m);
	check_outcome(&pieces, &m);
	wire_check_empty();
	model_fini(&m);
	outcome_fini(&whole);
	outcome_fini(&pieces);
	return 0;
}

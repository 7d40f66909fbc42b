/* WebSocket over a connection. c->state is the `reader` of the message in progress, NULL at rest.
 *
 * wslay's context costs 8.8 KB, so a connection has one only from a message's first byte to its
 * last; the worker keeps one for the next message. To know when all is at rest, frames are measured
 * here before wslay sees them; a control frame is kept until it is whole, because wslay checks
 * the reason of a close frame correctly only then. */
#include "worker/net/ws.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <wslay/wslay.h>

#include "common/conf.h"
#include "common/mem.h"

/* A message may come in so many frames more than its bytes need. */
enum { MAX_FRAGMENTS = 16384, CONTROL_MAX = 125, MAX_WAITING = 1024 };

struct ws {
	struct wslay_event_callbacks callbacks;
	struct buf out;          /* what wslay wants to send: pongs and closes */
	struct reader *spare;    /* at rest, as good as new; or NULL */
};

struct reader {
	wslay_event_context_ptr ctx;
	struct conn *c;
	struct str given;        /* what wslay may read now */
	uint64_t frame_left;     /* bytes of the current frame that have not come */
	unsigned fragments;      /* of the open message; 0: none is open */
	bool ended;              /* a close was received, or is due */
	bool busy;               /* wslay is on the stack: not to be freed now */
	enum reason why;
};

static ssize_t on_recv(wslay_event_context_ptr ctx, uint8_t *to, size_t len, int flags UNUSED,
                       void *arg)
{
	struct reader *rd = arg;
	size_t n = rd->given.len < len ? rd->given.len : len;
	if (n == 0) {
		wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	memcpy(to, rd->given.p, n);
	rd->given = str_from(rd->given, n);
	return (ssize_t)n;
}

static ssize_t on_send(wslay_event_context_ptr ctx UNUSED, const uint8_t *bytes, size_t len,
                       int flags UNUSED, void *arg)
{
	struct reader *rd = arg;
	buf_add(&rd->c->net->ws->out, bytes, len);
	return (ssize_t)len;
}

static void on_message(wslay_event_context_ptr ctx UNUSED,
                       const struct wslay_event_on_msg_recv_arg *m, void *arg)
{
	struct reader *rd = arg;
	if (m->opcode == WSLAY_CONNECTION_CLOSE) {
		rd->ended = true;
		rd->why = REASON_CLIENT_GONE;
		return;
	}
	if (wslay_is_ctrl_frame(m->opcode) || rd->c->user == NULL)
		return;
	const struct ws_user *user = rd->c->user;
	user->message(rd->c, m->opcode == WSLAY_BINARY_FRAME,
	              (struct str){ (const char *)m->msg, m->msg_length });
}

struct ws *ws_new(void)
{
	struct ws *ws = xcalloc(1, sizeof(*ws));
	ws->callbacks = (struct wslay_event_callbacks){
		.recv_callback = on_recv,
		.send_callback = on_send,
		.on_msg_recv_callback = on_message,
	};
	return ws;
}

static struct reader *reader_new(struct ws *ws)
{
	struct reader *rd = xcalloc(1, sizeof(*rd));
	if (wslay_event_context_server_init(&rd->ctx, &ws->callbacks, rd) != 0)
		abort();     /* out of memory */
	return rd;
}

static void reader_free(struct reader *rd)
{
	if (rd == NULL)
		return;
	wslay_event_context_free(rd->ctx);
	free(rd);
}

void ws_free(struct ws *ws)
{
	reader_free(ws->spare);
	buf_fini(&ws->out);
	free(ws);
}

static struct reader *reader_take(struct conn *c)
{
	const struct ws_user *user = c->user;
	struct ws *ws = c->net->ws;
	struct reader *rd = ws->spare != NULL ? ws->spare : reader_new(ws);
	ws->spare = NULL;
	rd->c = c;
	size_t max = user->max_message != 0 ? user->max_message : conf.max_payload;
	wslay_event_config_set_max_recv_msg_length(rd->ctx, max);
	c->state = rd;
	return rd;
}

/* Between messages, with nothing read or to be written. */
static bool is_at_rest(const struct reader *rd)
{
	return !rd->ended && rd->frame_left == 0 && rd->fragments == 0 && rd->given.len == 0 &&
	       !wslay_event_want_write(rd->ctx);
}

static void reader_give_back(struct conn *c)
{
	struct reader *rd = c->state;
	c->state = NULL;
	if (rd == NULL || c->net->ws->spare != NULL || !is_at_rest(rd))
		reader_free(rd);
	else
		c->net->ws->spare = rd;
}

/* A frame's size from its first bytes (RFC 6455 §5.2); 0: more are needed. */
static uint64_t frame_size(struct str bytes)
{
	const unsigned char *p = (const unsigned char *)bytes.p;
	if (bytes.len < 2)
		return 0;
	uint64_t len = p[1] & 0x7f;
	size_t wide = len == 126 ? 2 : len == 127 ? 8 : 0;
	size_t header = 2 + wide + (p[1] & 0x80 ? 4 : 0);
	if (bytes.len < header)
		return 0;
	if (wide != 0) {
		len = 0;
		for (size_t i = 0; i < wide; i++)
			len = len << 8 | p[2 + i];
	}
	return header + (len & INT64_MAX);
}

static bool is_control(struct str frame)
{
	return (frame.p[0] & 0x08) != 0;
}

/* Counts the frames of the open message, for each costs wslay memory however small it is. */
static void count_fragment(struct reader *rd, struct str frame)
{
	if (is_control(frame))
		return;
	bool final = (frame.p[0] & 0x80) != 0;
	rd->fragments = final ? 0 : rd->fragments + 1;
	if (rd->fragments > MAX_FRAGMENTS) {
		rd->ended = true;
		rd->why = REASON_TOO_LARGE;
	}
}

/* How much of `bytes` wslay may have now; 0: wait for more. */
static size_t measure(struct reader *rd, struct str bytes)
{
	if (rd->frame_left == 0) {
		uint64_t size = frame_size(bytes);
		if (size == 0)
			return 0;
		/* One that says its length in more than seven bits goes on as it is: wslay refuses
		 * it at its header. */
		if (is_control(bytes) && ((unsigned char)bytes.p[1] & 0x7f) <= CONTROL_MAX &&
		    bytes.len < size)
			return 0;
		count_fragment(rd, bytes);
		rd->frame_left = size;
	}
	size_t n = rd->frame_left < bytes.len ? (size_t)rd->frame_left : bytes.len;
	rd->frame_left -= n;
	return n;
}

static const struct {
	uint16_t code;
	enum reason why;
} close_reasons[] = {
	{ WSLAY_CODE_PROTOCOL_ERROR, REASON_PROTOCOL_ERROR },
	{ WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA, REASON_BAD_UTF8 },
	{ WSLAY_CODE_MESSAGE_TOO_BIG, REASON_TOO_LARGE },
};

/* wslay has stopped reading: it queued a close, and its code says why. */
static void note_end(struct reader *rd)
{
	if (rd->ended || wslay_event_get_read_enabled(rd->ctx))
		return;
	rd->ended = true;
	rd->why = REASON_PROTOCOL_ERROR;
	/* The code is known once wslay has "sent" it; we say it in our own frame. */
	wslay_event_send(rd->ctx);
	uint16_t code = wslay_event_get_status_code_sent(rd->ctx);
	for (size_t i = 0; i < COUNT_OF(close_reasons); i++)
		if (close_reasons[i].code == code)
			rd->why = close_reasons[i].why;
}

/* A close frame of one byte is malformed (RFC 6455 §5.5.1), which wslay lets pass. */
static bool is_short_close(struct str frame)
{
	return ((unsigned char)frame.p[0] & 0x0f) == WS_CLOSE &&
	       ((unsigned char)frame.p[1] & 0x7f) == 1;
}

/* Gives wslay the next piece. */
static void feed(struct reader *rd, struct str piece)
{
	rd->given = piece;
	while (rd->given.len > 0 && !rd->ended && !rd->c->closed && !rd->c->finishing) {
		int status = wslay_event_recv(rd->ctx);
		if (status != 0) {
			/* A malformed frame; the close that wslay queued for it is empty. */
			rd->ended = true;
			rd->why = REASON_PROTOCOL_ERROR;
			return;
		}
		note_end(rd);
	}
}

/* Sends the pongs and the close reply that wslay queued. */
static void send_replies(struct reader *rd)
{
	struct buf *out = &rd->c->net->ws->out;
	if (!wslay_event_want_write(rd->ctx))
		return;
	buf_clear(out);
	if (wslay_event_send(rd->ctx) == 0 && out->len > 0)
		conn_bytes(rd->c, buf_view(out));
}

/* The peer closed, or must be: tells the owner, says so on the wire and ends. */
static void end(struct reader *rd)
{
	struct conn *c = rd->c;
	const struct ws_user *user = c->user;
	enum reason why = rd->why;
	if (why == REASON_CLIENT_GONE)
		send_replies(rd);
	c->user = NULL;
	if (user != NULL)
		user->closed(c, why);
	if (c->closed || c->finishing)
		return;
	if (why == REASON_CLIENT_GONE)
		conn_finish(c, why);
	else
		ws_close(c, why, NULL);
}

/* Whether the peer has enough to read already. What it says meanwhile is not looked at, so that
 * nobody can make us answer without end; if it never reads on, its pong is missing in the end.
 * Pieces count too, for a pong of two bytes costs hundreds. */
static bool is_behind(const struct conn *c)
{
	return c->out.bytes > conf.queue_soft || c->out.n > MAX_WAITING;
}

static size_t on_input(struct conn *c, struct str bytes)
{
	const struct ws_user *user = c->user;
	struct str rest = bytes;
	if (user != NULL && user->heard != NULL)
		user->heard(c);
	/* A connection has a user until it is closed or finishing. */
	while (rest.len > 0 && c->user != NULL && !c->closed && !c->finishing) {
		c->deferred = is_behind(c);
		if (c->deferred)
			break;
		struct reader *rd = c->state != NULL ? c->state : reader_take(c);
		bool starts = rd->frame_left == 0;
		size_t n = measure(rd, rest);
		if (n == 0)
			break;
		if (starts && is_short_close(rest)) {
			rd->ended = true;
			rd->why = REASON_PROTOCOL_ERROR;
		}
		rd->busy = true;
		feed(rd, (struct str){ rest.p, n });
		rd->busy = false;
		rest = str_from(rest, n);
		if (c->closed) {
			reader_give_back(c);
			return bytes.len;
		}
		if (rd->ended)
			end(rd);
		else
			send_replies(rd);
		if (!c->closed && rd->frame_left == 0 && rd->fragments == 0)
			reader_give_back(c);
	}
	struct reader *rd = c->state;
	if (!c->closed && rd != NULL && rd->frame_left == 0 && rd->fragments == 0)
		reader_give_back(c);
	return c->finishing ? bytes.len : bytes.len - rest.len;
}

static void on_written(struct conn *c)
{
	if (!c->deferred || is_behind(c))
		return;
	c->deferred = false;
	conn_resume(c);
}

static void on_closed(struct conn *c, enum reason why)
{
	const struct ws_user *user = c->user;
	c->user = NULL;
	if (user != NULL)
		user->closed(c, why);
	struct reader *rd = c->state;
	if (rd != NULL && !rd->busy)
		reader_give_back(c);
}

static const struct conn_vt ws_vt = {
	.input = on_input, .written = on_written, .closed = on_closed,
};

/* RFC 6455 §4.2.2: SHA-1 of the key and a fixed text, in base64. */
static struct str accept_key(struct str key, char out[32])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	unsigned char digest[SHA_DIGEST_LENGTH];
	char text[128];
	int n = snprintf(text, sizeof(text), "%.*s%s", STR_ARG(key), guid);
	SHA1((const unsigned char *)text, (size_t)n, digest);
	int len = EVP_EncodeBlock((unsigned char *)out, digest, sizeof(digest));
	return (struct str){ out, (size_t)len };
}

bool ws_wanted(const struct head *h)
{
	return h->upgrade && head_has_token(h, "upgrade", "websocket");
}

/* 16 bytes in base64: 22 characters and "==". */
static bool is_key(struct str key)
{
	unsigned char raw[20];
	return key.len == 24 && str_eqz(str_from(key, 22), "==") &&
	       !str_has((struct str){ key.p, 22 }, '=') &&
	       EVP_DecodeBlock(raw, (const unsigned char *)key.p, 24) == 18;
}

bool ws_accept(struct request *r, const struct head *h, const struct ws_user *user, void *owner)
{
	struct conn *c = r->conn;
	struct str key = head_field(h, "sec-websocket-key");
	/* The bytes of a body would be taken for frames. */
	if (!str_eqz(h->method, "GET") || h->minor == 0 || r->receiving || !ws_wanted(h) ||
	    !is_key(key)) {
		http_close_after(r);
		r->ends = REASON_BAD_REQUEST;
		http_refuse(r, 400, "Not a WebSocket request");
		return false;
	}
	if (!str_eqz(head_field(h, "sec-websocket-version"), "13")) {
		http_close_after(r);
		r->ends = REASON_BAD_REQUEST;
		http_answer(r, 426, "text/plain", STR("WebSocket version 13 only"),
		            "Sec-WebSocket-Version: 13\r\n");
		return false;
	}
	char accept[32];
	struct buf out = { 0 };
	buf_z(&out,
	      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n");
	buf_z(&out, "Sec-WebSocket-Accept: ");
	buf_str(&out, accept_key(key, accept));
	buf_z(&out, "\r\n");
	http_cors(r, &out);
	if (r->extra != NULL)
		buf_z(&out, r->extra);
	buf_z(&out, "\r\n");
	http_leave(r, buf_view(&out));
	buf_fini(&out);
	c->vt = &ws_vt;
	c->user = user;
	c->owner = owner;
	conn_resume(c);
	return true;
}

void ws_send(struct conn *c, enum ws_opcode opcode, struct str payload)
{
	struct batch *b = batch_new();
	batch_frame(b, opcode, payload);
	conn_push(c, b, 0, batch_len(b));
	batch_unref(b);
}

void ws_close(struct conn *c, enum reason why, const char *text)
{
	char payload[2 + CONTROL_MAX];
	unsigned code = reason_code(why);
	c->user = NULL;
	if (c->closed || c->finishing)
		return;
	/* 1009 comes bare, as from other servers: stock clients are tested for it. */
	if (text == NULL)
		text = why == REASON_TOO_LARGE ? "" : reason_text(why);
	size_t len = strnlen(text, CONTROL_MAX - 2);
	payload[0] = (char)(code >> 8);
	payload[1] = (char)(code & 0xff);
	memcpy(payload + 2, text, len);
	ws_send(c, WS_CLOSE, (struct str){ payload, code != 0 ? len + 2 : 0 });
	conn_finish(c, why);
}

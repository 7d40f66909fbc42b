/* Engine.IO over HTTP (protocol.md §1 to §4): which request gets which answer. */
#include "worker/engineio/poll.h"

#include "common/conf.h"
#include "common/err.h"
#include "common/json.h"
#include "common/log_line.h"
#include "worker/engineio/transport.h"

enum refusal {
	TRANSPORT_UNKNOWN, SESSION_UNKNOWN, BAD_METHOD, BAD_REQUEST, FORBIDDEN, BAD_VERSION,
};

static const struct {
	unsigned status;
	const char *text;
} refusals[] = {
	[TRANSPORT_UNKNOWN] = { 400, "Transport unknown" },
	[SESSION_UNKNOWN] = { 400, "Session ID unknown" },
	[BAD_METHOD] = { 400, "Bad handshake method" },
	[BAD_REQUEST] = { 400, "Bad request" },
	[FORBIDDEN] = { 403, "Forbidden" },
	[BAD_VERSION] = { 400, "Unsupported protocol version" },
};

/* §1.2: JSON for polling, a line of text for a WebSocket. */
static void refuse_saying(struct request *r, bool upgrade, enum refusal which, const char *text)
{
	struct buf body = { 0 };
	struct json_out j = json_out(&body);
	if (upgrade) {
		http_close_after(r);
		r->ends = REASON_BAD_REQUEST;
		http_answer(r, 400, "text/html", str_z(text), NULL);
		return;
	}
	json_open(&j, '{');
	json_put_int(&j, "code", which);
	json_put_str(&j, "message", str_z(text));
	json_close(&j, '}');
	http_answer(r, refusals[which].status, "application/json", buf_view(&body), NULL);
	buf_fini(&body);
}

static void refuse(struct request *r, bool upgrade, enum refusal which)
{
	refuse_saying(r, upgrade, which, refusals[which].text);
}

static void answer_payload(struct request *r, struct str payload)
{
	http_answer(r, 200, "text/plain; charset=UTF-8", payload, "cache-control: no-store\r\n");
}

/* A parameter as it stands: Engine.IO's own need no decoding. */
static struct str parameter(struct str query, const char *name)
{
	while (query.len > 0) {
		struct str value = str_cut(&query, '&');
		struct str key = str_cut(&value, '=');
		if (str_eqz(key, name))
			return value.p != NULL ? value : STR("");
	}
	return STR_NONE;
}

/* --- The handshake --- */

static void open_polling(struct request *r, const struct mount *m, struct origin *origin)
{
	struct session *s = session_new(m, origin, r->conn->listener);
	polling_begin(s);
	struct buf *out = &s->engine->scratch;
	buf_clear(out);
	session_open_packet(s, true, out);
	answer_payload(r, buf_view(out));
	session_start(s);
}

/* Well-formed so far: whether the application wants it, and this version. */
static void welcome(struct request *r, const struct head *h, const struct mount *m)
{
	struct greeting g = { 0 };
	if (m->greet != NULL) {
		m->greet(r, h, &g);
		buf_char(&g.headers, '\0');
		r->extra = g.headers.p;
	}
	if (g.refusal != NULL)
		refuse_saying(r, h->upgrade, FORBIDDEN, g.refusal);
	else if (!str_eqz(parameter(h->query, "EIO"), "4"))
		refuse(r, h->upgrade, BAD_VERSION);
	else if (h->upgrade)
		websocket_open(r, h, m, origin_new(h, g.keeps_headers));
	else
		open_polling(r, m, origin_new(h, g.keeps_headers));
	buf_fini(&g.headers);
}

static void refuse_haste(struct request *r)
{
	struct buf line = { 0 };
	if (log_may(LOG_REFUSALS)) {
		conn_describe(r->conn, &line);
		log_info("request handshake%.*s refused: %s", STR_ARG(buf_view(&line)),
		         err_text(ERR_RATE));
		buf_fini(&line);
	}
	http_answer(r, 429, "application/json",
	            STR("{\"code\":3,\"message\":\"Too many handshakes\"}"), HTTP_RETRY_AFTER("1"));
}

static void handshake(struct request *r, const struct head *h, const struct mount *m,
                      bool websocket)
{
	if (!str_eqz(h->method, "GET"))
		refuse(r, h->upgrade, BAD_METHOD);
	else if (websocket != h->upgrade)
		refuse(r, h->upgrade, BAD_REQUEST);
	else if (!websocket && !session_may_begin(r->conn))
		refuse_haste(r);
	else
		welcome(r, h, m);
}

/* --- GET --- */

static void on_poll_gone(struct request *r)
{
	struct session *s = r->owner;
	if (s == NULL)
		return;
	s->polling->held = NULL;
	session_over(s, REASON_CLIENT_ERROR, r->conn);
}

static void add_frame(struct buf *payload, enum ws_opcode opcode, struct str bytes)
{
	if (opcode == WS_BINARY) {
		eio_payload_add(payload, EIO_BINARY, bytes);
		return;
	}
	if (payload->len > 0)
		buf_char(payload, '\x1e');
	buf_str(payload, bytes);
}

/* Takes queued frames into a payload, as many as fit max_payload, but one at least. */
static void take_frames(struct session *s, struct buf *payload)
{
	struct slice *slice;
	while ((slice = outq_first(&s->polling->out)) != NULL) {
		struct str rest = batch_range(slice->batch, slice->from, slice->to), frame;
		enum ws_opcode opcode;
		size_t before = rest.len;
		if (!frame_next(&rest, &opcode, &frame))
			return;
		size_t more = opcode == WS_BINARY ? frame.len / 3 * 4 + 6 : frame.len + 1;
		if (payload->len > 0 && payload->len + more > conf.max_payload)
			return;
		add_frame(payload, opcode, frame);
		outq_advance(&s->polling->out, before - rest.len);
		s->engine->queued -= before - rest.len;
	}
}

void poll_answer(struct session *s, struct str last)
{
	struct buf payload = { 0 };
	struct request *r = s->polling->held;
	s->polling->held = NULL;
	r->owner = NULL;
	take_frames(s, &payload);
	if (last.len > 0)
		add_frame(&payload, WS_TEXT, last);
	answer_payload(r, buf_view(&payload));
	buf_fini(&payload);
}

/* A second GET while one is held: the client has lost count (§4). */
static void overlap(struct session *s, struct request *r)
{
	session_over(s, REASON_OVERLAP, r->conn);
	http_answer(r, 400, NULL, STR_NONE, NULL);
}

static void poll(struct session *s, struct request *r)
{
	if (s->polling->held != NULL) {
		overlap(s, r);
		return;
	}
	s->polling->held = r;
	r->owner = s;
	r->gone = on_poll_gone;
	if (s->closing) {
		poll_answer(s, STR("1"));
		session_bury(s);
	} else if (!outq_empty(&s->polling->out)) {
		poll_answer(s, STR_NONE);
	}
}

/* --- POST --- */

static void on_post_gone(struct request *r)
{
	struct session *s = r->owner;
	if (s == NULL)
		return;
	s->post = NULL;
	session_over(s, REASON_CLIENT_ERROR, r->conn);
}

/* Takes the held GET away from its session; NULL if there is none. */
static struct request *take_held(struct session *s)
{
	struct request *held = s->polling != NULL ? s->polling->held : NULL;
	if (held == NULL)
		return NULL;
	s->polling->held = NULL;
	held->owner = NULL;
	return held;
}

/* The body can't be had: neither can the session go on, for packets of it are lost. The client
 * hears why before its GET ends, and so does not take that for an ordinary close. */
static void on_post_unreadable(struct request *r, unsigned status)
{
	struct session *s = r->owner;
	struct conn *c = r->conn;
	c->told = s != NULL;         /* one line will do */
	http_answer(r, status, NULL, STR_NONE, NULL);
	if (s == NULL)
		return;
	struct request *held = take_held(s);
	s->post = NULL;
	session_over(s, http_unreadable(status), c);
	if (held != NULL)
		refuse(held, false, SESSION_UNKNOWN);
}

/* Processes the packets in order; false: one could not be read. */
static bool take_payload(struct session *s, struct str payload)
{
	struct buf scratch = { 0 };
	struct eio_packet packet;
	bool first = true;
	int n;
	while ((n = eio_payload_next(&payload, &first, &scratch, &packet)) > 0) {
		session_packet(s, &packet);
		if (s->dead || s->closing)
			break;
	}
	buf_fini(&scratch);
	return n >= 0;
}

/* Whether a session that ended in the midst of a payload ended by the payload's fault. */
static bool is_fault(enum reason why)
{
	return why == REASON_PARSE_ERROR || why == REASON_PROTOCOL_ERROR || why == REASON_TOO_LARGE;
}

static void on_post_complete(struct request *r, struct str content)
{
	struct session *s = r->owner;
	if (s == NULL) {
		refuse(r, false, SESSION_UNKNOWN);
		return;
	}
	if (!take_payload(s, content))
		session_close(s, REASON_PARSE_ERROR);
	s->post = NULL;
	r->owner = NULL;
	if ((s->dead || s->closing) && is_fault((enum reason)s->why))
		http_answer(r, 400, NULL, STR_NONE, NULL);
	else
		http_answer(r, 200, "text/html", STR("ok"), NULL);
}

static void post(struct session *s, struct request *r, const struct head *h)
{
	struct str type = head_field(h, "content-type");
	if (s->post != NULL) {
		struct conn *first = s->post->conn;
		overlap(s, r);
		conn_close(first, REASON_OVERLAP);
		return;
	}
	if (str_eqz(str_cut(&type, ';'), "application/octet-stream")) {
		session_over(s, REASON_PARSE_ERROR, r->conn);
		http_answer(r, 400, NULL, STR_NONE, NULL);
		return;
	}
	if (s->mount->upper->posted != NULL)
		s->mount->upper->posted(s, h);
	s->post = r;
	r->owner = s;
	r->max_body = conf.max_payload;
	r->complete = on_post_complete;
	r->unreadable = on_post_unreadable;
	r->gone = on_post_gone;
}

/* --- A request with a sid --- */

static void serve(struct session *s, struct request *r, const struct head *h, bool websocket)
{
	if (!str_eqz(parameter(h->query, "EIO"), "4") || websocket != h->upgrade)
		refuse(r, h->upgrade, BAD_REQUEST);
	else if (websocket)
		websocket_probe(r, h, s);
	else if (s->polling == NULL)
		refuse(r, false, BAD_REQUEST);
	else if (str_eqz(h->method, "GET"))
		poll(s, r);
	else if (s->closing)
		refuse(r, false, SESSION_UNKNOWN);
	else if (str_eqz(h->method, "POST"))
		post(s, r, h);
	else
		http_answer(r, 405, NULL, STR_NONE, "Allow: GET, POST\r\n");
}

void engine_head(struct request *r, const struct head *h)
{
	const struct mount *m = r->service->arg;
	struct engine *e = *m->engine;
	struct str transport = parameter(h->query, "transport");
	struct str sid = parameter(h->query, "sid");
	bool websocket = str_eqz(transport, "websocket");
	if (!websocket && !str_eqz(transport, "polling")) {
		refuse(r, h->upgrade, TRANSPORT_UNKNOWN);
		return;
	}
	if (sid.p == NULL) {
		handshake(r, h, m, websocket);
		return;
	}
	int worker = sid_worker(e, sid);
	if (worker >= 0 && (unsigned)worker != e->worker) {
		http_hand_over(r, (unsigned)worker);
		return;
	}
	struct session *s = session_find(e, sid);
	if (s == NULL || s->mount != m)
		refuse(r, h->upgrade, SESSION_UNKNOWN);
	else
		serve(s, r, h, websocket);
}

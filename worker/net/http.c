/* HTTP/1.1 over a connection. c->state is the request in flight, or NULL between two. */
#include "worker/net/http.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/conf.h"
#include "common/json.h"
#include "common/log_line.h"
#include "common/mem.h"

static const struct {
	unsigned status;
	const char *text;
} status_texts[] = {
	{ 200, "OK" }, { 201, "Created" }, { 204, "No Content" }, { 206, "Partial Content" },
	{ 304, "Not Modified" }, { 400, "Bad Request" }, { 401, "Unauthorized" },
	{ 403, "Forbidden" }, { 404, "Not Found" }, { 405, "Method Not Allowed" },
	{ 408, "Request Timeout" }, { 409, "Conflict" }, { 413, "Content Too Large" },
	{ 414, "URI Too Long" }, { 415, "Unsupported Media Type" },
	{ 416, "Range Not Satisfiable" },
	{ 422, "Unprocessable Content" }, { 426, "Upgrade Required" }, { 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" }, { 500, "Internal Server Error" },
	{ 501, "Not Implemented" }, { 503, "Service Unavailable" },
	{ 505, "HTTP Version Not Supported" }, { 507, "Insufficient Storage" },
};

enum {
	/* Of a body that comes in pieces, so many bytes at least in each body-timeout. */
	BROUGHT_AT_LEAST = 256 * 1024,
	/* With more answers than this unread, no further request is. */
	UNREAD_MAX = 64 * 1024,
};

static const char *status_text(unsigned status)
{
	for (size_t i = 0; i < COUNT_OF(status_texts); i++)
		if (status_texts[i].status == status)
			return status_texts[i].text;
	return "Status";
}

static void fail_body(struct request *r, unsigned status);

static void on_head_late(struct deadline *d)
{
	conn_close(CONTAINER_OF(d, struct conn, deadline), REASON_HTTP_TIMEOUT);
}

static void on_body_late(struct deadline *d)
{
	struct conn *c = CONTAINER_OF(d, struct conn, deadline);
	struct request *r = c->state;
	if (r->more != NULL)
		conn_close(c, REASON_HTTP_TIMEOUT);     /* it does not take what it asked for */
	else
		fail_body(r, 408);
}

static void on_idle(struct deadline *d)
{
	conn_close(CONTAINER_OF(d, struct conn, deadline), REASON_HTTP_IDLE);
}

void http_init(struct http *http, struct deadlines *ds, const struct http_service *services)
{
	http->services = services;
	deadline_list_init(ds, &http->head, conf.header_timeout_ms, on_head_late);
	deadline_list_init(ds, &http->body, conf.body_timeout_ms, on_body_late);
	deadline_list_init(ds, &http->idle, conf.idle_timeout_ms, on_idle);
}

void http_start(struct conn *c)
{
	deadline_set(&c->net->http->head, &c->deadline);
}

/* --- Answers --- */

/* RFC 9110 §6.6.1, made once a second. */
static void add_date(struct buf *out)
{
	static char text[40];
	static int64_t made;
	int64_t now = clock_wall_ms() / 1000;
	if (now != made) {
		struct tm tm;
		time_t t = (time_t)now;
		strftime(text, sizeof(text), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n",
		         gmtime_r(&t, &tm));
		made = now;
	}
	buf_z(out, text);
}

static bool cors_is_open(void)
{
	return conf.n_cors_origins == 1 && strcmp(conf.cors_origins[0], "*") == 0;
}

void http_cors(const struct request *r, struct buf *out)
{
	if (cors_is_open()) {
		buf_z(out, "Access-Control-Allow-Origin: *\r\n");
		return;
	}
	if (r->origin != NULL)
		buf_printf(out, "Access-Control-Allow-Origin: %s\r\n", r->origin);
	buf_z(out, "Vary: Origin\r\n");
}

static void request_free(struct request *r)
{
	r->conn->state = NULL;
	buf_fini(&r->content);
	free(r->origin);
	free(r);
}

/* The answer is queued: on to the next request, or to the end. */
static void end_request(struct request *r)
{
	struct conn *c = r->conn;
	bool keep = r->keep_alive;
	enum reason ends = r->ends;
	request_free(r);
	if (keep) {
		c->idle = true;
		conn_resume(c);
	} else {
		conn_finish(c, ends);
	}
	/* Also the time for the answer to be read: what conn_finish gives is for
	 * a few last words. */
	deadline_set(&c->net->http->idle, &c->deadline);
}

static bool has_content(unsigned status)
{
	return status != 204 && status != 304;
}

/* A client of HTTP/1.0 that asked for the connection to stay reads to its end
 * unless it is told that it does. */
static void put_connection(const struct request *r, struct buf *out)
{
	if (!r->keep_alive)
		buf_z(out, "Connection: close\r\n");
	else if (r->is_1_0)
		buf_z(out, "Connection: keep-alive\r\n");
}

static void put_head(struct request *r, struct buf *out, unsigned status, const char *type,
                     uint64_t length, const char *extra)
{
	/* The rest of the body is not read; or there will be nobody to read another request. */
	if (r->receiving || r->conn->net->http->draining)
		r->keep_alive = false;
	buf_printf(out, "HTTP/1.1 %u %s\r\n", status, status_text(status));
	if (type != NULL)
		buf_printf(out, "Content-Type: %s\r\n", type);
	if (has_content(status))
		buf_printf(out, "Content-Length: %llu\r\n", (unsigned long long)length);
	add_date(out);
	http_cors(r, out);
	if (extra != NULL)
		buf_z(out, extra);
	if (r->extra != NULL)
		buf_z(out, r->extra);
	put_connection(r, out);
	buf_z(out, "\r\n");
}

void http_answer(struct request *r, unsigned status, const char *type, struct str body,
                 const char *extra)
{
	struct buf out = { 0 };
	put_head(r, &out, status, type, body.len, extra);
	if (!r->is_head && has_content(status))
		buf_str(&out, body);
	conn_bytes(r->conn, buf_view(&out));
	buf_fini(&out);
	end_request(r);
}

bool http_stream(struct request *r, unsigned status, const char *type, uint64_t length,
                 const char *extra)
{
	struct buf out = { 0 };
	put_head(r, &out, status, type, length, extra);
	conn_bytes(r->conn, buf_view(&out));
	buf_fini(&out);
	if (!r->is_head && has_content(status) && length > 0) {
		deadline_set(&r->conn->net->http->body, &r->conn->deadline);
		return true;
	}
	end_request(r);
	return false;
}

void http_send(struct request *r, struct str bytes, bool last)
{
	r->sent_turn = r->conn->net->turn;
	conn_bytes(r->conn, bytes);
	deadline_set(&r->conn->net->http->body, &r->conn->deadline);
	if (!last)
		return;
	deadline_clear(&r->conn->deadline);
	end_request(r);
}

void http_refuse(struct request *r, unsigned status, const char *message)
{
	struct buf body = { 0 };
	struct json_out j = json_out(&body);
	json_open(&j, '{');
	json_put_str(&j, "message", str_z(message));
	json_put_raw(&j, "errors", STR("{}"));
	json_close(&j, '}');
	http_answer(r, status, "application/json", buf_view(&body), NULL);
	buf_fini(&body);
}

void http_close_after(struct request *r)
{
	r->keep_alive = false;
}

void http_leave(struct request *r, struct str bytes)
{
	struct conn *c = r->conn;
	deadline_clear(&c->deadline);
	conn_bytes(c, bytes);
	request_free(r);
}

void http_later(struct request *r)
{
	struct conn *c = r->conn;
	deadline_set(&c->net->http->idle, &c->deadline);
	c->net->http->deferred = true;
	request_free(r);
}

void http_hand_over(struct request *r, unsigned worker)
{
	struct conn *c = r->conn;
	struct net *n = c->net;
	if (!outq_empty(&c->out)) {
		http_later(r);       /* our own answers first */
		return;
	}
	if (!n->hand_over(n->ctx, c, worker, r->raw)) {
		http_refuse(r, 503, "The session's worker is busy, please retry");
		return;
	}
	request_free(r);
	conn_close(c, REASON_HANDED_OVER);
}

/* --- Requests --- */

static bool origin_allowed(struct str origin)
{
	if (cors_is_open())
		return true;
	for (unsigned i = 0; i < conf.n_cors_origins; i++)
		if (str_eqz(origin, conf.cors_origins[i]))
			return true;
	return false;
}

/* Browsers name their origin on every WebSocket; on other requests only when it
 * is a foreign one. */
static bool check_origin(struct request *r, const struct head *h)
{
	struct str origin = head_field(h, "origin");
	if (origin.p == NULL)
		return cors_is_open() || !h->upgrade;
	if (!origin_allowed(origin))
		return false;
	if (!cors_is_open())
		r->origin = strndup(origin.p, origin.len);
	return true;
}

static void tell_origin(struct conn *c, const struct head *h)
{
	struct buf line = { 0 };
	c->told = true;
	if (!reason_is_logged(REASON_BAD_ORIGIN))
		return;
	buf_z(&line, "connection");
	conn_describe(c, &line);
	log_field(&line, "origin", head_field(h, "origin"));
	reason_log(REASON_BAD_ORIGIN, &line);
	buf_fini(&line);
}

static bool is_preflight(const struct head *h)
{
	return str_eqz(h->method, "OPTIONS") &&
	       head_field(h, "access-control-request-method").p != NULL;
}

static void answer_preflight(struct request *r, const struct head *h)
{
	struct buf extra = { 0 };
	struct str asked = head_field(h, "access-control-request-headers");
	buf_z(&extra, "Access-Control-Allow-Methods: GET,HEAD,PUT,PATCH,POST,DELETE\r\n");
	if (asked.p != NULL)
		buf_printf(&extra, "Access-Control-Allow-Headers: %.*s\r\n"
		                   "Vary: Access-Control-Request-Headers\r\n", STR_ARG(asked));
	buf_z(&extra, "Access-Control-Max-Age: 600\r\nContent-Length: 0\r\n");
	buf_char(&extra, '\0');
	http_answer(r, 204, NULL, STR_NONE, extra.p);
	buf_fini(&extra);
}

static bool path_matches(struct str path, const char *prefix)
{
	struct str p = str_z(prefix);
	if (str_starts(path, p))
		return true;
	return p.len > 1 && path.len == p.len - 1 && str_starts(p, path);
}

static const struct http_service *find_service(const struct http *http, struct str path)
{
	const struct http_service *s = http->services;
	while (s->prefix != NULL && !path_matches(path, s->prefix))
		s++;
	return s->prefix != NULL ? s : NULL;
}

enum reason http_unreadable(unsigned status)
{
	switch (status) {
	case 408:
		return REASON_HTTP_TIMEOUT;
	case 413:
	case 414:
	case 431:
		return REASON_TOO_LARGE;
	default:
		return REASON_BAD_REQUEST;
	}
}

static void fail_body(struct request *r, unsigned status)
{
	r->receiving = true;
	r->ends = http_unreadable(status);
	if (r->unreadable != NULL)
		r->unreadable(r, status);
	else
		http_refuse(r, status, status_text(status));
}

/* Whether the body can't be had; it was answered then. */
static bool is_refused(struct request *r, enum body_status status)
{
	if (status != BODY_TOO_LARGE && status != BODY_BAD)
		return false;
	fail_body(r, status == BODY_TOO_LARGE ? 413 : 400);
	return true;
}

/* The body that the service wants: begins to read it, or has it already. */
static void begin_body(struct request *r, const struct head *h)
{
	enum body_status status = body_start(&r->body, h, r->max_body);
	if (is_refused(r, status))
		return;
	r->receiving = status == BODY_MORE;
	r->expects = h->expect_continue;
	if (!r->waits)
		http_read(r);
}

void http_wait(struct request *r)
{
	r->waits = true;
	deadline_clear(&r->conn->deadline);
}

void http_read(struct request *r)
{
	r->waits = false;
	if (!r->receiving) {
		r->complete(r, STR_NONE);
		return;
	}
	deadline_set(&r->conn->net->http->body, &r->conn->deadline);
	if (r->expects)
		conn_bytes(r->conn, STR("HTTP/1.1 100 Continue\r\n\r\n"));
	r->expects = false;
	conn_resume(r->conn);
}

static void dispatch(struct request *r, const struct head *h)
{
	struct conn *c = r->conn;
	/* First of all: whatever the answer is, a page that may read it must be able to. */
	const bool allowed = check_origin(r, h);
	if (c->throttled) {
		r->ends = REASON_CONNECT_RATE;
		http_close_after(r);
		http_answer(r, 429, "application/json",
		            STR("{\"message\":\"Too many connections from this address\","
		                "\"errors\":{}}"),
		            HTTP_RETRY_AFTER("1"));
		return;
	}
	if (!allowed) {
		tell_origin(c, h);
		r->ends = REASON_BAD_ORIGIN;
		http_close_after(r);
		http_refuse(r, 403, "Origin not allowed");
		return;
	}
	if (is_preflight(h)) {
		answer_preflight(r, h);
		return;
	}
	r->service = find_service(c->net->http, h->path);
	if (r->service == NULL) {
		http_refuse(r, 404, "Not found");
		return;
	}
	r->service->head(r, h);
	if (c->closed || c->state != r)
		return;
	r->raw = STR_NONE;
	if (r->complete != NULL)
		begin_body(r, h);
}

static struct request *request_new(struct conn *c, const struct head *h, struct str raw)
{
	struct request *r = xcalloc(1, sizeof(*r));
	r->conn = c;
	r->raw = raw;
	r->ends = REASON_HTTP_DONE;
	/* A body that nobody reads must not be taken for the next request. */
	r->receiving = h->body != BODY_NONE && !(h->body == BODY_LENGTH && h->length == 0);
	r->keep_alive = h->keep_alive;
	r->is_1_0 = h->minor == 0;
	r->is_head = str_eqz(h->method, "HEAD");
	c->state = r;
	c->net->http->requests++;
	return r;
}

/* A head that can't be read: say why and close, for nobody knows where the next request begins. */
static void refuse_head(struct conn *c, unsigned status)
{
	struct head none = { .n = 0 };
	struct request *r = request_new(c, &none, STR_NONE);
	r->ends = http_unreadable(status);
	deadline_clear(&c->deadline);
	http_refuse(r, status, status_text(status));
}

/* Reads one head; the bytes used, 0 if it is not whole. */
static size_t take_head(struct conn *c, struct str bytes)
{
	struct head h;
	int n = head_parse(bytes, &h);
	if (n < 0) {
		refuse_head(c, (unsigned)-n);
		return bytes.len;
	}
	if (n == 0) {
		/* A request's first bytes end the idle time; more of them don't
		 * extend the new one. */
		if (c->idle)
			deadline_set(&c->net->http->head, &c->deadline);
		c->idle = false;
		return 0;
	}
	c->idle = false;
	deadline_clear(&c->deadline);
	dispatch(request_new(c, &h, bytes), &h);
	if (c->net->http->deferred) {
		c->net->http->deferred = false;
		return 0;
	}
	return (size_t)n;
}

/* The bytes of a slow body that is not kept only have to keep coming. */
static void extend_time(struct request *r)
{
	if (r->waits || r->body.total - r->brought < BROUGHT_AT_LEAST)
		return;
	r->brought = r->body.total;
	deadline_set(&r->conn->net->http->body, &r->conn->deadline);
}

/* False: the request was answered meanwhile. */
static bool take_pieces(struct request *r, struct str *bytes, enum body_status *status)
{
	struct conn *c = r->conn;
	struct str piece;
	do {
		*status = body_next(&r->body, bytes, &piece);
		if (piece.len > 0)
			r->piece(r, piece);
		if (c->closed || c->state != r)
			return false;
	} while (*status == BODY_MORE && bytes->len > 0 && !r->waits);
	extend_time(r);
	return true;
}

static void take_body(struct request *r, struct str *bytes)
{
	enum body_status status;
	if (r->piece == NULL)
		status = body_feed(&r->body, bytes, &r->content);
	else if (!take_pieces(r, bytes, &status))
		return;
	if (is_refused(r, status) || status == BODY_MORE)
		return;
	r->receiving = false;
	deadline_clear(&r->conn->deadline);
	if (!r->waits)
		r->complete(r, buf_view(&r->content));
}

static size_t on_input(struct conn *c, struct str bytes)
{
	struct str rest = bytes;
	while (rest.len > 0 && !c->closed && !c->finishing && c->vt == &http_vt) {
		struct request *r = c->state;
		if (r != NULL && (r->complete == NULL || !r->receiving || r->waits))
			break;       /* held: what follows waits for the answer */
		if (r != NULL) {
			take_body(r, &rest);
			continue;
		}
		if (c->out.bytes > UNREAD_MAX)
			break;       /* on_drained goes on */
		size_t used = take_head(c, rest);
		if (used == 0 || c->closed)
			break;
		rest = str_from(rest, used);
	}
	return bytes.len - rest.len;
}

/* One piece a turn: a client that is as fast as we are must not keep the others waiting. */
static void on_drained(struct conn *c)
{
	struct request *r = c->state;
	if (r != NULL && r->more != NULL && r->sent_turn == c->net->turn)
		conn_await(c);
	else if (r != NULL && r->more != NULL)
		r->more(r);
	else if (c->in.len > 0)
		conn_resume(c);
}

static void on_closed(struct conn *c, enum reason why UNUSED)
{
	struct request *r = c->state;
	if (r == NULL)
		return;
	if (r->gone != NULL)
		r->gone(r);
	request_free(r);
}

const struct conn_vt http_vt = { .input = on_input, .drained = on_drained, .closed = on_closed };

bool http_owes(const struct net *n)
{
	LIST_EACH(&n->conns, link) {
		const struct conn *c = LIST_OF(link, struct conn, link);
		const struct request *r = c->vt == &http_vt ? c->state : NULL;
		/* What comes, or is taken, at the client's pace could last. */
		if (r != NULL && !r->receiving && r->more == NULL)
			return true;
	}
	return false;
}

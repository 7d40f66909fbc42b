/* Engine.IO over WebSocket, and the way there from polling (protocol.md §5, §7). */
#include "worker/engineio/transport.h"

static void on_closed(struct conn *c, enum reason why)
{
	struct session *s = c->owner;
	s->ws = NULL;
	session_over(s, why, c);
}

static void on_message(struct conn *c, bool binary, struct str bytes)
{
	struct session *s = c->owner;
	struct eio_packet packet = { EIO_BINARY, bytes };
	if (!binary && !eio_decode(bytes, &packet))
		session_close(s, REASON_PARSE_ERROR);
	else
		session_packet(s, &packet);
}

static const struct ws_user session_ws = { .message = on_message, .closed = on_closed };

void websocket_open(struct request *r, const struct head *h, const struct mount *m,
                    struct origin *origin)
{
	struct conn *c = r->conn;
	struct session *s = session_new(m, origin, c->listener);
	if (!ws_accept(r, h, &session_ws, s)) {
		session_bury(s);
		return;
	}
	s->ws = c;
	struct buf *out = &s->engine->scratch;
	buf_clear(out);
	session_open_packet(s, false, out);
	ws_send(c, WS_TEXT, buf_view(out));
	session_start(s);
}

/* --- The upgrade: the session polls until "5"; over the WebSocket goes only "3probe" --- */

static void forget_probe(struct polling *p)
{
	p->probe = NULL;
	deadline_clear(&p->upgrade);
	deadline_clear(&p->noop);
}

void websocket_end_probe(struct polling *p, enum reason why)
{
	struct conn *c = p->probe;
	forget_probe(p);
	if (c != NULL)
		ws_close(c, why, NULL);
}

static void on_probe_closed(struct conn *c, enum reason why UNUSED)
{
	struct session *s = c->owner;
	forget_probe(s->polling);
}

/* Answers a held GET, so that the client can pause its polling. */
static void release_poll(struct session *s)
{
	if (s->polling->held != NULL)
		poll_answer(s, outq_empty(&s->polling->out) ? STR("6") : STR_NONE);
}

void websocket_noop_due(struct deadline *d)
{
	struct polling *p = CONTAINER_OF(d, struct polling, noop);
	release_poll(p->session);
	deadline_set(&p->session->engine->noop, d);
}

void websocket_upgrade_late(struct deadline *d)
{
	websocket_end_probe(CONTAINER_OF(d, struct polling, upgrade), REASON_PROBE_FAILED);
}

static void swap(struct session *s, struct conn *c)
{
	forget_probe(s->polling);
	if (s->polling->held != NULL)
		poll_answer(s, STR("1"));
	s->ws = c;
	c->user = &session_ws;
	s->engine->queued -= s->polling->out.bytes;
	conn_take_over(c, &s->polling->out);
	polling_end(s);
}

static void on_probe_message(struct conn *c, bool binary, struct str bytes)
{
	struct session *s = c->owner;
	if (!binary && str_eqz(bytes, "2probe")) {
		ws_send(c, WS_TEXT, STR("3probe"));
		release_poll(s);
		deadline_set(&s->engine->noop, &s->polling->noop);
	} else if (!binary && str_eqz(bytes, "5")) {
		swap(s, c);
	} else {
		websocket_end_probe(s->polling, REASON_PROBE_FAILED);
	}
}

static const struct ws_user probe_ws = { .message = on_probe_message, .closed = on_probe_closed };

void websocket_probe(struct request *r, const struct head *h, struct session *s)
{
	struct conn *c = r->conn;
	bool taken = s->polling == NULL || s->polling->probe != NULL || s->closing;
	if (!ws_accept(r, h, &probe_ws, s))
		return;
	if (taken) {
		ws_close(c, REASON_OVERLAP, NULL);
		return;
	}
	s->polling->probe = c;
	deadline_set(&s->engine->upgrade, &s->polling->upgrade);
}

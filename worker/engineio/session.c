/* An Engine.IO v4 session. A session lives in the engine's map; one that is over waits on `dying`
 * for the end of the turn, so that whoever is on the stack may still look at it. */
#include "worker/engineio/session.h"

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "common/clock.h"
#include "common/conf.h"
#include "common/id.h"
#include "common/json.h"
#include "common/log_line.h"
#include "common/mem.h"
#include "worker/engineio/transport.h"
#include "worker/net/gate.h"

enum { NOOP_MS = 100, GRACE_MS = 30000, TURN_BATCH = 64 * 1024 };
/* Clients that begin over one connection, to events of one client: a proxy may bring
 * all through a few. */
enum { BEGIN_TIMES = 10 };

static void on_ping_due(struct deadline *d);
static void on_pong_late(struct deadline *d);
static void on_connect_late(struct deadline *d);
static void on_grace_over(struct deadline *d);

void engine_init(struct engine *e, struct deadlines *ds, unsigned worker, unsigned workers,
                 const unsigned char key[32], const unsigned char host[SID_HOST])
{
	*e = (struct engine){ .worker = worker, .workers = workers };
	memcpy(e->key, key, sizeof(e->key));
	memcpy(e->host, host, sizeof(e->host));
	list_init(&e->dirty);
	list_init(&e->dying);
	deadline_list_init(ds, &e->ping, conf.ping_interval_ms, on_ping_due);
	deadline_list_init(ds, &e->pong, conf.ping_timeout_ms, on_pong_late);
	deadline_list_init(ds, &e->noop, NOOP_MS, websocket_noop_due);
	deadline_list_init(ds, &e->upgrade, conf.upgrade_timeout_ms, websocket_upgrade_late);
	deadline_list_init(ds, &e->connect, conf.connect_timeout_ms, on_connect_late);
	deadline_list_init(ds, &e->grace, GRACE_MS, on_grace_over);
	e->ping_frame = batch_new();
	batch_frame(e->ping_frame, WS_TEXT, STR("2"));
}

/* --- The sid: 12 random bytes, host, worker, and a MAC over these, in base64 --- */

static void sid_mac(const struct engine *e, const unsigned char *raw, unsigned char mac[SID_MAC])
{
	crypto_shorthash(mac, raw, SID_RANDOM + SID_HOST + 1, e->key);
}

static void sid_make(const struct engine *e, char sid[SID_LEN])
{
	unsigned char raw[SID_RANDOM + SID_HOST + 1 + SID_MAC];
	id_random(raw, SID_RANDOM);
	memcpy(raw + SID_RANDOM, e->host, SID_HOST);
	raw[SID_RANDOM + SID_HOST] = (unsigned char)e->worker;
	sid_mac(e, raw, raw + SID_RANDOM + SID_HOST + 1);
	id_encode(sid, raw, sizeof(raw));
}

int sid_worker(const struct engine *e, struct str sid)
{
	unsigned char raw[SID_RANDOM + SID_HOST + 1 + SID_MAC], mac[SID_MAC];
	if (!id_decode(raw, sizeof(raw), sid))
		return -1;
	sid_mac(e, raw, mac);
	if (sodium_memcmp(mac, raw + SID_RANDOM + SID_HOST + 1, SID_MAC) != 0)
		return -1;
	unsigned worker = raw[SID_RANDOM + SID_HOST];
	if (memcmp(raw + SID_RANDOM, e->host, SID_HOST) != 0 || worker >= e->workers)
		return -1;
	return (int)worker;
}

/* --- Life --- */

struct str session_sid(const struct session *s)
{
	return (struct str){ s->sid, SID_LEN };
}

struct session *session_find(const struct engine *e, struct str sid)
{
	return map_get(&e->sessions, sid);
}

struct session *session_new(const struct mount *m, struct origin *origin, unsigned listener)
{
	struct engine *e = *m->engine;
	struct session *s = xcalloc(1, sizeof(*s));
	s->engine = e;
	s->mount = m;
	s->origin = origin;
	s->listener = (uint8_t)listener;
	list_init(&s->dirty);
	sid_make(e, s->sid);
	map_put(&e->sessions, session_sid(s), s);
	return s;
}

void polling_begin(struct session *s)
{
	s->polling = xcalloc(1, sizeof(*s->polling));
	s->polling->session = s;
}

void polling_end(struct session *s)
{
	struct polling *p = s->polling;
	deadline_clear(&p->upgrade);
	deadline_clear(&p->noop);
	s->engine->queued -= p->out.bytes;
	outq_fini(&p->out);
	if (p->held != NULL)
		p->held->owner = NULL;
	free(p);
	s->polling = NULL;
}

struct conn *session_conn(const struct session *s)
{
	const struct request *r =
		s->polling != NULL && s->polling->held != NULL ? s->polling->held : s->post;
	if (s->ws != NULL)
		return s->ws;
	return r != NULL ? r->conn : NULL;
}

void session_start(struct session *s)
{
	s->engine->n_sessions++;
	s->engine->opened++;
	s->began_s = (uint32_t)(clock_now_ms() / 1000);
	deadline_set(&s->engine->ping, &s->heartbeat);
	s->mount->upper->opened(s);
}

void session_open_packet(const struct session *s, bool upgrades, struct buf *out)
{
	struct json_out j = json_out(out);
	buf_char(out, EIO_OPEN);
	json_open(&j, '{');
	json_put_str(&j, "sid", session_sid(s));
	json_put_raw(&j, "upgrades", upgrades ? STR("[\"websocket\"]") : STR("[]"));
	json_put_int(&j, "pingInterval", conf.ping_interval_ms);
	json_put_int(&j, "pingTimeout", conf.ping_timeout_ms);
	json_put_int(&j, "maxPayload", conf.max_payload);
	json_close(&j, '}');
}

void session_bury(struct session *s)
{
	struct engine *e = s->engine;
	if (s->dead)
		return;
	s->dead = true;
	map_take(&e->sessions, session_sid(s));
	deadline_clear(&s->heartbeat);
	deadline_clear(&s->step);
	if (s->polling != NULL)
		polling_end(s);
	list_remove(&s->dirty);
	list_push(&e->dying, &s->dirty);
}

/* Reasons that a polling client is told by a closing packet, at once or with its next GET. */
static bool is_told(enum reason why)
{
	return why == REASON_DRAINING || why == REASON_EVENTS_LOST || why == REASON_OUSTED ||
	       why == REASON_CONNECT_TIMEOUT;
}

static void close_polling(struct session *s, enum reason why)
{
	if (s->polling != NULL && s->polling->held != NULL) {
		poll_answer(s, why == REASON_CLIENT_CLOSED ? STR("6") : STR("1"));
	} else if (s->polling != NULL && is_told(why)) {
		s->closing = true;
		deadline_set(&s->engine->grace, &s->step);
		return;
	}
	session_bury(s);
}

/* Of the sid only some, for whoever knows all of it is the client. */
static void tell(const struct session *s, enum reason why, struct conn *c)
{
	struct buf line = { 0 };
	if (s->polling == NULL && c != NULL)
		c->told = true;
	if (!reason_is_logged(why))
		return;
	buf_printf(&line, "session %.8s", s->sid);
	if (s->mount->upper->describe != NULL)
		s->mount->upper->describe(s, &line);
	buf_printf(&line, " over=%s", s->polling == NULL ? "websocket" : "polling");
	conn_describe(c, &line);
	buf_printf(&line, " after=%us", (uint32_t)(clock_now_ms() / 1000) - s->began_s);
	reason_log(why, &line);
	buf_fini(&line);
}

void session_close(struct session *s, enum reason why)
{
	session_over(s, why, session_conn(s));
}

void session_over(struct session *s, enum reason why, struct conn *c)
{
	struct engine *e = s->engine;
	if (s->dead || s->closing)
		return;
	tell(s, why, c);
	e->n_sessions--;
	e->closed[why]++;
	s->why = (uint8_t)why;
	deadline_clear(&s->heartbeat);
	s->mount->upper->closed(s, why);
	/* A POST whose body is still coming goes on without a session, for there is nobody any more
	 * who could take its packets. */
	if (s->post != NULL)
		s->post->owner = NULL;
	s->post = NULL;
	if (s->polling != NULL)
		websocket_end_probe(s->polling, why);
	if (s->ws == NULL) {
		close_polling(s, why);
		return;
	}
	ws_close(s->ws, why, NULL);
	s->ws = NULL;
	session_bury(s);
}

void session_connected(struct session *s, bool connected)
{
	if (s->dead || s->closing)
		return;
	if (connected)
		deadline_clear(&s->step);
	else
		deadline_set(&s->engine->connect, &s->step);
}

static void on_connect_late(struct deadline *d)
{
	session_close(CONTAINER_OF(d, struct session, step), REASON_CONNECT_TIMEOUT);
}

static void on_grace_over(struct deadline *d)
{
	session_bury(CONTAINER_OF(d, struct session, step));
}

/* --- The heartbeat (§6): a ping, its pong, and a rest --- */

static void on_ping_due(struct deadline *d)
{
	struct session *s = CONTAINER_OF(d, struct session, heartbeat);
	struct engine *e = s->engine;
	s->awaits_pong = true;
	deadline_set(&e->pong, &s->heartbeat);
	session_push(s, e->ping_frame, 0, batch_len(e->ping_frame));
}

static void on_pong_late(struct deadline *d)
{
	session_close(CONTAINER_OF(d, struct session, heartbeat), REASON_PING_TIMEOUT);
}

static void take_pong(struct session *s)
{
	if (!s->awaits_pong)
		return;
	s->awaits_pong = false;
	deadline_set(&s->engine->ping, &s->heartbeat);
}

void session_packet(struct session *s, const struct eio_packet *p)
{
	switch (p->type) {
	case EIO_MESSAGE:
	case EIO_BINARY:
		s->mount->upper->message(s, p->type == EIO_BINARY, p->data);
		return;
	case EIO_PONG:
		take_pong(s);
		return;
	case EIO_CLOSE:
		session_close(s, REASON_CLIENT_CLOSED);
		return;
	case EIO_UPGRADE:
	case EIO_NOOP:
		return;
	case EIO_OPEN:
	case EIO_PING:
		session_close(s, REASON_PARSE_ERROR);
		return;
	}
}

/* --- Output --- */

static void touch(struct session *s)
{
	if (list_empty(&s->dirty))
		list_push(&s->engine->dirty, &s->dirty);
}

/* A reader that does not keep up is closed at the end of the turn, for members are
 * being told just now. */
static void check_limit(struct session *s, const struct outq *q, uint32_t more)
{
	if (!outq_is_slow(q, more, &s->slow_ms))
		return;
	s->doomed = true;
	s->why = REASON_SLOW_READER;
	touch(s);
}

void session_push(struct session *s, struct batch *b, uint32_t from, uint32_t to)
{
	if (s->dead || s->closing || s->doomed)
		return;
	if (s->ws != NULL) {
		check_limit(s, &s->ws->out, to - from);
		conn_push(s->ws, b, from, to);
		return;
	}
	struct polling *p = s->polling;
	if (p == NULL)
		return;
	check_limit(s, &p->out, to - from);
	outq_push(&p->out, b, from, to);
	s->engine->queued += to - from;
	touch(s);
}

bool session_is_behind(const struct session *s)
{
	const struct outq *q = s->ws != NULL        ? &s->ws->out
	                       : s->polling != NULL ? &s->polling->out
	                                            : NULL;
	return q != NULL && q->bytes > conf.queue_soft;
}

/* Where this turn's frames for single sessions go, so that each needs no memory of its own. */
static struct batch *turn_batch(struct engine *e)
{
	if (e->turn != NULL && batch_len(e->turn) > TURN_BATCH) {
		batch_unref(e->turn);
		e->turn = NULL;
	}
	if (e->turn == NULL)
		e->turn = batch_new();
	return e->turn;
}

void session_send(struct session *s, bool binary, struct str bytes)
{
	struct engine *e = s->engine;
	struct batch *b = turn_batch(e);
	uint32_t from = batch_len(b);
	buf_clear(&e->scratch);
	if (!binary) {
		buf_char(&e->scratch, EIO_MESSAGE);
		buf_str(&e->scratch, bytes);
		bytes = buf_view(&e->scratch);
	}
	batch_frame(b, binary ? WS_BINARY : WS_TEXT, bytes);
	session_push(s, b, from, batch_len(b));
}

/* A bucket that refills at so many times event-rate and holds so many bursts; kept as the time at
 * which it is full. */
static bool allow(uint64_t *bucket_us, unsigned times)
{
	if (conf.event_rate.per_second == 0)
		return true;
	uint64_t cost = 1000000 / conf.event_rate.per_second / times;
	uint64_t now = clock_now_ms() * 1000;
	uint64_t full = *bucket_us > now ? *bucket_us : now;
	if (full - now + cost > cost * conf.event_rate.burst * times)
		return false;
	*bucket_us = full + cost;
	return true;
}

bool session_allow(struct session *s)
{
	return allow(&s->bucket_us, 1);
}

bool session_may_begin(struct conn *c)
{
	const bool more = c->begun;
	c->begun = true;
	return allow(&c->bucket_us, BEGIN_TIMES) && (!more || gate_again(c->net->gate, conn_fd(c)));
}

/* --- The end of a turn --- */

static void session_free(struct session *s)
{
	list_remove(&s->dirty);
	free(s->origin);
	free(s);
}

void engine_tick(struct engine *e)
{
	while (!list_empty(&e->dirty)) {
		struct session *s = LIST_OF(e->dirty.next, struct session, dirty);
		list_remove(&s->dirty);
		if (s->doomed)
			session_close(s, (enum reason)s->why);
		else if (s->polling != NULL && s->polling->held != NULL &&
		         !outq_empty(&s->polling->out))
			poll_answer(s, STR_NONE);
		else if (s->polling != NULL)
			outq_pack(&s->polling->out);
	}
	LIST_EACH(&e->dying, link)
		session_free(LIST_OF(link, struct session, dirty));
	if (e->turn != NULL)
		batch_unref(e->turn);
	e->turn = NULL;
}

size_t engine_drain(struct engine *e, size_t most)
{
	size_t cursor = 0, n = 0;
	struct session *s, *found[64];
	if (most > COUNT_OF(found))
		most = COUNT_OF(found);
	while (n < most && (s = map_next(&e->sessions, &cursor)) != NULL)
		if (!s->closing)
			found[n++] = s;
	for (size_t i = 0; i < n; i++)
		session_close(found[i], REASON_DRAINING);
	return n;
}

void engine_fini(struct engine *e)
{
	size_t cursor;
	struct session *s;
	while (engine_drain(e, SIZE_MAX) > 0)
		engine_tick(e);
	while (cursor = 0, (s = map_next(&e->sessions, &cursor)) != NULL)
		session_bury(s);
	engine_tick(e);
	map_fini(&e->sessions);
	batch_unref(e->ping_frame);
	buf_fini(&e->scratch);
}

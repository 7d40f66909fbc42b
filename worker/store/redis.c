/* One connection to Redis that comes back by itself.
 *
 * hiredis resolves, connects and parses; waiting, the queue of pending answers and the way back are
 * here. Its asynchronous layer is not used: it aborts the process at an answer that nobody
 * asked for, and forbids PING on a connection for pub/sub. Commands of one turn leave in
 * one write at its end.
 *
 * A connection counts as up once a PING was answered well: a Redis that still loads, or wants a
 * password, is not. Nothing is freed while its own callbacks run: redis_drop only marks. */
#include "worker/store/redis.h"

#include <assert.h>
#include <errno.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/id.h"
#include "common/log_line.h"
#include "common/mem.h"
#include "common/resp.h"

enum {
	READ_BYTES = 64 * 1024,
	OUT_KEEP_BYTES = 256 * 1024,
	CONNECT_TIMEOUT_MS = 5000,
	PATIENCE_MS = 10000,
	WATCH_STEPS = 10,            /* looks at the oldest pending answer within one patience */
	REST_FIRST_MS = 50,
	REST_MAX_MS = 2000,
};

enum redis_state {
	REDIS_RESTING,       /* no socket; the timer ends the rest */
	REDIS_CONNECTING,    /* the timer ends the patience */
	REDIS_GREETING,      /* connected, PING is under way; the timer still runs */
	REDIS_UP,            /* the timer watches the oldest pending answer */
};

struct pending {
	redis_fn *fn;
	void *ctx;
};

struct redis {
	struct event_base *base;
	struct conf_redis where;
	const char *name;
	const struct redis_owner *owner;
	void *ctx;
	enum redis_state state;
	redisContext *link;
	struct event readable, writable, flush, timer;
	struct buf out;
	struct pending *queue;       /* a ring, its size a power of two */
	size_t first, n, cap;
	uint64_t answered, watched;  /* answers so far; as of the watch's last look */
	unsigned strikes;            /* looks at the same oldest answer */
	unsigned patience_ms;
	unsigned attempts;           /* since it proved itself */
	size_t taken;                /* bytes of the answer that is not whole yet */
	uint64_t losses;
	struct log_bound said;       /* losses are logged once a second */
	char dropped[128];           /* why it is to be dropped; empty: it is not */
};

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_writable(evutil_socket_t fd, short what, void *arg);
static void on_flush(evutil_socket_t fd, short what, void *arg);
static void on_timer(evutil_socket_t fd, short what, void *arg);

/* --- the queue of answers -------------------------------------------------------------------- */

static void queue_grow(struct redis *r)
{
	const size_t cap = r->cap ? r->cap * 2 : 16;
	struct pending *queue = xcalloc(cap, sizeof(*queue));

	for (size_t i = 0; i < r->n; i++)
		queue[i] = r->queue[(r->first + i) & (r->cap - 1)];
	free(r->queue);
	r->queue = queue;
	r->cap = cap;
	r->first = 0;
}

static void queue_push(struct redis *r, redis_fn *fn, void *ctx)
{
	if (r->n == r->cap)
		queue_grow(r);
	r->queue[(r->first + r->n++) & (r->cap - 1)] = (struct pending){ fn, ctx };
}

static void queue_answer(struct redis *r, const redisReply *reply)
{
	const struct pending p = r->queue[r->first];

	r->first = (r->first + 1) & (r->cap - 1);
	r->n--;
	r->answered++;
	if (p.fn != NULL)
		p.fn(p.ctx, reply);
}

/* --- losing and finding it ------------------------------------------------------------------- */

static void timer_set(struct redis *r, unsigned ms)
{
	const struct timeval t = {
		.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000,
	};
	event_add(&r->timer, &t);
}

/* The longer it is away, the longer the rest; a random half keeps workers from
 * coming all at once. */
static void redis_rest(struct redis *r)
{
	unsigned ms = REST_FIRST_MS, random;

	for (unsigned i = 0; i < r->attempts && ms < REST_MAX_MS; i++)
		ms *= 2;
	if (ms > REST_MAX_MS)
		ms = REST_MAX_MS;
	id_random(&random, sizeof(random));
	r->attempts++;
	timer_set(r, ms / 2 + random % (ms / 2));
}

/* Gives the socket back and tells all who wait for an answer. Sends fail from here on. */
static void redis_cut(struct redis *r)
{
	r->state = REDIS_RESTING;
	r->dropped[0] = '\0';
	event_del(&r->timer);
	event_del(&r->flush);
	if (event_initialized(&r->readable)) {
		event_del(&r->readable);
		event_del(&r->writable);
	}
	if (r->link != NULL)
		redisFree(r->link);
	r->link = NULL;
	buf_fini(&r->out);
	while (r->n > 0)
		queue_answer(r, NULL);
}

static void redis_lose(struct redis *r, const char *why)
{
	const bool was_up = r->state == REDIS_UP;

	if (was_up || r->attempts == 0)
		log_bounded(&r->said, LOG_WARN, "redis %s: %s: %s", r->name,
		            was_up ? "connection lost" : "no connection", why);
	r->losses++;
	redis_cut(r);
	redis_rest(r);
	if (was_up)
		r->owner->down(r->ctx);
}

void redis_drop(struct redis *r, const char *why)
{
	if (r->state == REDIS_RESTING || r->dropped[0] != '\0')
		return;
	snprintf(r->dropped, sizeof(r->dropped), "%s", why[0] != '\0' ? why : "dropped");
	event_active(&r->flush, EV_TIMEOUT, 0);
}

static void redis_connect(struct redis *r)
{
	const struct conf_redis *w = &r->where;

	/* A host's name is resolved here, and that waits; once per attempt,
	 * and usually a number. */
	r->link = w->kind == REDIS_TCP ? redisConnectNonBlock(w->host, w->port)
	                               : redisConnectUnixNonBlock(w->path);
	if (r->link == NULL || r->link->err != 0) {
		char why[sizeof(r->link->errstr)];
		snprintf(why, sizeof(why), "%s",
		         r->link != NULL ? r->link->errstr : "out of memory");
		redis_lose(r, why);
		return;
	}
	resp_bound(r->link->reader);
	r->taken = 0;
	r->state = REDIS_CONNECTING;
	event_assign(&r->readable, r->base, r->link->fd, EV_READ | EV_PERSIST, on_readable, r);
	event_assign(&r->writable, r->base, r->link->fd, EV_WRITE, on_writable, r);
	event_add(&r->writable, NULL);
	timer_set(r, CONNECT_TIMEOUT_MS);
}

/* --- sending --------------------------------------------------------------------------------- */

static void put_command(struct buf *out, const struct str *args, size_t n)
{
	buf_char(out, '*');
	buf_u64(out, n);
	buf_add(out, "\r\n", 2);
	for (size_t i = 0; i < n; i++) {
		buf_char(out, '$');
		buf_u64(out, args[i].len);
		buf_add(out, "\r\n", 2);
		buf_str(out, args[i]);
		buf_add(out, "\r\n", 2);
	}
}

static void redis_put(struct redis *r, const struct str *args, size_t n)
{
	if (r->out.len == 0)
		event_active(&r->flush, EV_TIMEOUT, 0);
	put_command(&r->out, args, n);
}

bool redis_send(struct redis *r, redis_fn *fn, void *ctx, const struct str *args, size_t n)
{
	if (!redis_is_up(r))
		return false;
	redis_put(r, args, n);
	if (r->owner->push != NULL) {
		assert(fn == NULL);
		return true;
	}
	queue_push(r, fn, ctx);
	if (r->n == 1 && !event_pending(&r->timer, EV_TIMEOUT, NULL)) {
		r->watched = r->answered;
		r->strikes = 0;
		timer_set(r, r->patience_ms / WATCH_STEPS);
	}
	return true;
}

static void redis_write(struct redis *r)
{
	if (r->out.len == 0)
		return;
	const ssize_t n = send(r->link->fd, r->out.p, r->out.len, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		redis_lose(r, strerror(errno));
		return;
	}
	if (n > 0)
		buf_consume(&r->out, (size_t)n);
	if (r->out.len > 0)
		event_add(&r->writable, NULL);
	else if (r->out.cap > OUT_KEEP_BYTES)
		buf_fini(&r->out);
}

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
	struct redis *r = arg;
	(void)fd;
	(void)what;

	if (r->dropped[0] == '\0') {
		redis_write(r);
		return;
	}
	char why[sizeof(r->dropped)];
	memcpy(why, r->dropped, sizeof(why));
	redis_lose(r, why);
}

static void greeted(void *ctx, const redisReply *reply)
{
	struct redis *r = ctx;

	if (reply == NULL)
		return;
	if (reply->type != REDIS_REPLY_STATUS) {
		redis_drop(r, reply->type == REDIS_REPLY_ERROR ? reply->str : "no answer to PING");
		return;
	}
	r->state = REDIS_UP;
	event_del(&r->timer);
	if (r->said.left_out == 0)
		log_info("redis %s: connected", r->name);
	r->owner->up(r->ctx);
}

static void redis_greet(struct redis *r)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(r->link->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	if (error != 0) {
		redis_lose(r, strerror(error));
		return;
	}
	r->state = REDIS_GREETING;
	event_add(&r->readable, NULL);
	redis_put(r, &STR("PING"), 1);
	queue_push(r, greeted, r);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct redis *r = arg;
	(void)fd;
	(void)what;

	if (r->state == REDIS_CONNECTING)
		redis_greet(r);
	else
		redis_write(r);
}

/* --- receiving ------------------------------------------------------------------------------- */

static void redis_take(struct redis *r, const redisReply *reply)
{
	if (r->n > 0)
		queue_answer(r, reply);
	else if (r->owner->push != NULL && r->state == REDIS_UP)
		r->owner->push(r->ctx, reply);
	else
		redis_drop(r, reply->type == REDIS_REPLY_ERROR ? reply->str
		                                               : "an answer that nobody asked for");
}

static void redis_dispatch(struct redis *r)
{
	redisReader *reader = r->link->reader;
	redisReply *reply;

	while (r->dropped[0] == '\0') {
		if (!resp_next(reader, &r->taken, &reply)) {
			redis_drop(r, reader->errstr);
			return;
		}
		if (reply == NULL)
			return;
		redis_take(r, reply);
		freeReplyObject(reply);
	}
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct redis *r = arg;
	char bytes[READ_BYTES];
	(void)what;

	if (r->dropped[0] != '\0')
		return;
	const ssize_t n = read(fd, bytes, sizeof(bytes));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		redis_lose(r, n == 0 ? "closed by Redis" : strerror(errno));
		return;
	}
	if (redisReaderFeed(r->link->reader, bytes, (size_t)n) != REDIS_OK) {
		redis_lose(r, "no protocol of Redis");
		return;
	}
	r->taken += (size_t)n;
	redis_dispatch(r);
}

/* Looks are counted, not milliseconds: a worker that was stopped itself must not blame Redis. */
static void redis_watch(struct redis *r)
{
	if (r->n == 0)
		return;
	if (r->answered != r->watched) {
		r->watched = r->answered;
		r->strikes = 0;
	} else if (++r->strikes >= WATCH_STEPS - 1) {
		redis_drop(r, "no answer");
		return;
	}
	timer_set(r, r->patience_ms / WATCH_STEPS);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct redis *r = arg;
	(void)fd;
	(void)what;

	if (r->state == REDIS_RESTING)
		redis_connect(r);
	else if (r->state == REDIS_UP)
		redis_watch(r);
	else
		redis_lose(r, "no answer");
}

/* --------------------------------------------------------------------------------------------- */

struct redis *redis_new(struct event_base *base, const struct conf_redis *where, const char *name,
                        const struct redis_owner *owner, void *ctx)
{
	struct redis *r = xcalloc(1, sizeof(*r));

	r->base = base;
	r->where = *where;
	r->name = name;
	r->owner = owner;
	r->ctx = ctx;
	r->patience_ms = PATIENCE_MS;
	event_assign(&r->timer, base, -1, 0, on_timer, r);
	event_assign(&r->flush, base, -1, 0, on_flush, r);
	redis_connect(r);
	return r;
}

void redis_free(struct redis *r)
{
	if (r == NULL)
		return;
	redis_cut(r);
	free(r->queue);
	free(r);
}

void redis_proven(struct redis *r)
{
	r->attempts = 0;
}

uint64_t redis_losses(const struct redis *r)
{
	return r->losses;
}

bool redis_is_up(const struct redis *r)
{
	return r->state == REDIS_UP && r->dropped[0] == '\0';
}

void redis_patience(struct redis *r, unsigned ms)
{
	r->patience_ms = ms;
}

/* The master's own connection to Redis. Each call waits at most for CLIENT_CONNECT_MS and
 * CLIENT_COMMAND_MS, however slowly its answer drips; after a failure calls fail at once until the
 * next attempt is due. */
#include "master/redis_client.h"

#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/conf.h"
#include "common/mem.h"
#include "common/resp.h"
#include "master/times.h"

enum { READ_BYTES = 16 * 1024 };

struct redis_client {
	redisContext *link;          /* NULL: not connected */
	unsigned links;              /* made so far */
	unsigned retry_ms;           /* the wait after the next failure */
	uint64_t due_ms;             /* no attempt before */
	uint64_t errors[REDIS_ERROR_COUNT], losses;
	char why[256];
};

static struct timeval timeval_of(long ms)
{
	return (struct timeval){ .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
}

struct redis_client *redis_client_new(void)
{
	struct redis_client *r = xcalloc(1, sizeof(*r));
	r->retry_ms = CLIENT_RETRY_MIN_MS;
	snprintf(r->why, sizeof(r->why), "not connected yet");
	return r;
}

static void drop(struct redis_client *r)
{
	if (r->link != NULL)
		redisFree(r->link);
	r->link = NULL;
}

void redis_client_free(struct redis_client *r)
{
	drop(r);
	free(r);
}

static void failed(struct redis_client *r, const char *why)
{
	snprintf(r->why, sizeof(r->why), "%s", why);
	drop(r);
	r->losses++;
	r->due_ms = clock_now_ms() + r->retry_ms;
	r->retry_ms = r->retry_ms * 2 < CLIENT_RETRY_MAX_MS ? r->retry_ms * 2 : CLIENT_RETRY_MAX_MS;
}

static const char *why_of(const redisContext *link)
{
	const bool late = errno == EAGAIN || errno == ETIMEDOUT;

	if (link == NULL)
		return "out of memory";
	return link->err == REDIS_ERR_IO && late ? "no answer in time" : link->errstr;
}

/* Whether there is something to read before anything was asked: the connection's end, or an answer
 * that would be taken for the next call's. */
static bool is_spoilt(const struct redis_client *r)
{
	struct pollfd link = { .fd = r->link->fd, .events = POLLIN };

	return r->link->reader->len > r->link->reader->pos || poll(&link, 1, 0) > 0;
}

static bool connected(struct redis_client *r)
{
	if (r->link != NULL && is_spoilt(r)) {
		drop(r);
		r->losses++;
	}
	if (r->link != NULL)
		return true;
	if (clock_now_ms() < r->due_ms)
		return false;
	const struct conf_redis *to = &conf.redis;
	struct timeval limit = timeval_of(CLIENT_CONNECT_MS);
	r->link = to->kind == REDIS_TCP ? redisConnectWithTimeout(to->host, to->port, limit)
	                                : redisConnectUnixWithTimeout(to->path, limit);
	if (r->link == NULL || r->link->err != 0 ||
	    redisSetTimeout(r->link, timeval_of(CLIENT_COMMAND_MS)) != REDIS_OK) {
		failed(r, why_of(r->link));
		return false;
	}
	/* hiredis does not: an embedded Redis that is started anew would keep it. */
	(void)fcntl(r->link->fd, F_SETFD, FD_CLOEXEC);
	resp_bound(r->link->reader);
	r->links++;
	return true;
}

/* Waits for more bytes until `end_us`; NULL, or what is wrong. */
static const char *read_some(struct redis_client *r, uint64_t end_us)
{
	struct pollfd link = { .fd = r->link->fd, .events = POLLIN };
	char bytes[READ_BYTES];
	const uint64_t now_us = clock_exact_us();
	const int left_ms = now_us < end_us ? (int)((end_us - now_us + 999) / 1000) : 0;

	/* A signal shortens the wait, which the next turn begins anew. */
	const int ready = poll(&link, 1, left_ms);
	if (ready < 0 && errno == EINTR)
		return NULL;
	if (left_ms == 0 || ready == 0)
		return "no answer in time";
	const ssize_t n = ready > 0 ? read(r->link->fd, bytes, sizeof(bytes)) : -1;
	if (n <= 0)
		return n == 0 ? "closed by Redis" : strerror(errno);
	const bool good = redisReaderFeed(r->link->reader, bytes, (size_t)n) == REDIS_OK;
	return good ? NULL : "no protocol of Redis";
}

static redisReply *await_reply(struct redis_client *r, uint64_t end_us)
{
	redisReader *reader = r->link->reader;
	redisReply *reply = NULL;
	size_t taken = 0;
	const char *why = NULL;

	while (why == NULL && reply == NULL) {
		const size_t before = reader->len;
		why = read_some(r, end_us);
		taken += reader->len - before;
		if (why == NULL && !resp_next(reader, &taken, &reply))
			why = reader->errstr;
	}
	if (why != NULL) {
		char kept[sizeof(r->why)];
		snprintf(kept, sizeof(kept), "%s", why);
		failed(r, kept);
	}
	return reply;
}

static bool send_command(struct redis_client *r, size_t n, const struct str *args, uint64_t end_us)
{
	const char *texts[CLIENT_ARGS];
	size_t lens[CLIENT_ARGS];
	int done = 0;
	for (size_t i = 0; i < n; i++) {
		texts[i] = args[i].p;
		lens[i] = args[i].len;
	}
	bool ok = redisAppendCommandArgv(r->link, (int)n, texts, lens) == REDIS_OK;
	while (ok && !done)
		ok = clock_exact_us() < end_us && redisBufferWrite(r->link, &done) == REDIS_OK;
	if (!ok)
		failed(r, r->link->err != 0 ? why_of(r->link) : "no answer in time");
	return ok;
}

static redisReply *ask(struct redis_client *r, size_t n, const struct str *args)
{
	const uint64_t end_us = clock_exact_us() + CLIENT_COMMAND_MS * UINT64_C(1000);

	if (!send_command(r, n, args, end_us))
		return NULL;
	redisReply *reply = await_reply(r, end_us);
	if (reply != NULL)
		r->retry_ms = CLIENT_RETRY_MIN_MS;
	return reply;
}

struct redisReply *redis_client_ask(struct redis_client *r, size_t n, const struct str *args)
{
	if (n > CLIENT_ARGS || !connected(r)) {
		r->errors[REDIS_ERROR_DOWN]++;
		return NULL;
	}
	redisReply *reply = ask(r, n, args);
	if (reply == NULL)
		r->errors[REDIS_ERROR_LOST]++;
	else if (reply->type == REDIS_REPLY_ERROR)
		r->errors[redis_error_of((struct str){ reply->str, reply->len })]++;
	return reply;
}

void redis_client_doubt(struct redis_client *r)
{
	r->errors[REDIS_ERROR_SHAPE]++;
	if (r->link != NULL)
		failed(r, "an answer of another form");
}

const uint64_t *redis_client_errors(const struct redis_client *r)
{
	return r->errors;
}

uint64_t redis_client_losses(const struct redis_client *r)
{
	return r->losses;
}

const char *redis_client_why(const struct redis_client *r)
{
	return r->why;
}

unsigned redis_client_link(const struct redis_client *r)
{
	return r->links;
}

void redis_client_hurry(struct redis_client *r)
{
	r->due_ms = 0;
	r->retry_ms = CLIENT_RETRY_MIN_MS;
}

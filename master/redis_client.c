/* The master's own connection to Redis. Each call waits at most for CLIENT_CONNECT_MS and
 * CLIENT_COMMAND_MS; after a failure calls fail at once until the next attempt is due. */
#include "master/redis_client.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>

#include "common/clock.h"
#include "common/conf.h"
#include "common/mem.h"
#include "master/times.h"

struct redis_client {
	redisContext *link;          /* NULL: not connected */
	unsigned links;              /* made so far */
	unsigned retry_ms;           /* the wait after the next failure */
	uint64_t due_ms;             /* no attempt before */
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

static void failed(struct redis_client *r)
{
	bool late = errno == EAGAIN || errno == ETIMEDOUT;
	const char *why = r->link == NULL ? "out of memory" : r->link->err == REDIS_ERR_IO && late
	                ? "no answer in time" : r->link->errstr;
	snprintf(r->why, sizeof(r->why), "%s", why);
	drop(r);
	r->due_ms = clock_now_ms() + r->retry_ms;
	r->retry_ms = r->retry_ms * 2 < CLIENT_RETRY_MAX_MS ? r->retry_ms * 2 : CLIENT_RETRY_MAX_MS;
}

static bool connected(struct redis_client *r)
{
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
		failed(r);
		return false;
	}
	r->links++;
	return true;
}

struct redisReply *redis_client_ask(struct redis_client *r, size_t n, const struct str *args)
{
	const char *texts[CLIENT_ARGS];
	size_t lens[CLIENT_ARGS];
	if (n > CLIENT_ARGS || !connected(r))
		return NULL;
	for (size_t i = 0; i < n; i++) {
		texts[i] = args[i].p;
		lens[i] = args[i].len;
	}
	redisReply *reply = redisCommandArgv(r->link, (int)n, texts, lens);
	if (reply == NULL)
		failed(r);
	else
		r->retry_ms = CLIENT_RETRY_MIN_MS;
	return reply;
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

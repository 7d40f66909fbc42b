/* One connection to Redis that comes back by itself: hiredis with a libevent adapter of our own
 * (one persistent event), back-off with jitter, and a watch on answers that never come. */
#ifndef CONFAB_REDIS_H
#define CONFAB_REDIS_H

#include <event2/event.h>
#include <hiredis/hiredis.h>

#include "common/conf.h"

struct redis;

/* `reply` is NULL when the connection was lost before an answer; it is freed after the call. */
typedef void redis_fn(void *ctx, const redisReply *reply);

struct redis_owner {
	void (*up)(void *ctx);       /* connected (and loaded): commands may be sent */
	void (*down)(void *ctx);     /* lost; every pending command was answered with NULL before */
	/* Not NULL: a connection for pub/sub. All that comes goes here,
	 * redis_send's fn must be NULL. */
	redis_fn *push;
};

/* Starts connecting. `name` is for the log. Owned by the caller. */
struct redis *redis_new(struct event_base *base, const struct conf_redis *where, const char *name,
                        const struct redis_owner *owner, void *ctx);
/* Answers all pending commands with NULL and frees; not from within a callback
 * of this connection. */
void redis_free(struct redis *r);
bool redis_is_up(const struct redis *r);
/* Sends; false when the connection is down (fn is not called then). `fn` may be NULL. */
MUST_USE bool redis_send(struct redis *r, redis_fn *fn, void *ctx, const struct str *args,
                         size_t n);
/* Drops the connection, as if it had failed, after the callback under way; it comes back as after
 * any loss. */
void redis_drop(struct redis *r, const char *why);
/* What came made sense: after the next loss it comes back soon. Until then the rests grow, though
 * Redis answers PING. */
void redis_proven(struct redis *r);
/* How often it was lost, or could not be made. */
uint64_t redis_losses(const struct redis *r);
/* How long an answer may take before the connection is dropped; 10 s unless told. */
void redis_patience(struct redis *r, unsigned ms);

#endif

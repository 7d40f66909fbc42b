/* The master's own connection to Redis: synchronous, with short time-outs, opened when it is
 * needed. */
#ifndef CONFAB_REDIS_CLIENT_H
#define CONFAB_REDIS_CLIENT_H

#include "common/redis_error.h"

struct redis_client;
struct redisReply;

/* For conf.redis. Connects at the first call. */
struct redis_client *redis_client_new(void);
void redis_client_free(struct redis_client *r);

/* Asks, and waits for the answer: a reply, which may be an error, for the caller's freeReplyObject.
 * NULL when Redis does not answer in time or, after a failure, when it is too early to try again;
 * redis_client_why says more. At most CLIENT_ARGS arguments. */
MUST_USE struct redisReply *redis_client_ask(struct redis_client *r, size_t n,
                                             const struct str *args);
enum { CLIENT_ARGS = 80 };
const char *redis_client_why(const struct redis_client *r);
/* Grows with each new connection: whoever sees another number than before meets a Redis that may
 * have forgotten something. 0: never connected. */
unsigned redis_client_link(const struct redis_client *r);
/* The answer was of no form that was asked for: it may be another's, and the connection is
 * given up. */
void redis_client_doubt(struct redis_client *r);
/* Calls that came to nothing, by enum redis_error; how often a connection was lost or not made. */
const uint64_t *redis_client_errors(const struct redis_client *r);
uint64_t redis_client_losses(const struct redis_client *r);
/* Tries again at the next call, however short ago the last failure is. */
void redis_client_hurry(struct redis_client *r);

#endif

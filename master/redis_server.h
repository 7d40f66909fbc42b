/* The embedded redis-server: a child that is started first, watched, and stopped last. */
#ifndef CONFAB_REDIS_SERVER_H
#define CONFAB_REDIS_SERVER_H

#include <sys/types.h>

#include "master/host.h"
#include "master/redis_client.h"

struct redis_server;

/* Finds redis.conf and settles all paths; starts nothing. NULL: `why` says what is missing. */
struct redis_server *redis_server_new(const struct host *host, struct redis_client *client,
                                      char *why, size_t size);
void redis_server_free(struct redis_server *s);

/* Starts the process when it is due and nobody else serves the socket, asks a starting one whether
 * it answers, kills one that does not end. False: it cannot be had; `why` says the reason. */
MUST_USE bool redis_server_tick(struct redis_server *s, char *why, size_t size);
/* When the next tick is due; UINT64_MAX: not before something happens. */
uint64_t redis_server_due_ms(const struct redis_server *s);
/* Whether it has loaded its data and answers. */
bool redis_server_ready(const struct redis_server *s);
/* Whether the process that ended was it. */
bool redis_server_reaped(struct redis_server *s, pid_t pid, int status);

/* Tells it to save and end; no more starts. The second call kills it. */
void redis_server_stop(struct redis_server *s);
/* Whether it has ended, or never started. */
bool redis_server_gone(const struct redis_server *s);
/* Where its own log is. */
const char *redis_server_log(const struct redis_server *s);

#endif

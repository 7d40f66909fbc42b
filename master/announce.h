/* What a person reads when the server is up. */
#ifndef CONFAB_ANNOUNCE_H
#define CONFAB_ANNOUNCE_H

#include "master/host.h"

/* Writes to standard output what listens where, what is kept where, and what to try next.
 * `redis_log`: the embedded Redis' log, or NULL. */
void announce(const struct host *host, const char *redis_log);

#endif

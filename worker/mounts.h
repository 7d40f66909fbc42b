/* Which path is whose. */
#ifndef CONFAB_MOUNTS_H
#define CONFAB_MOUNTS_H

#include "worker/engineio/session.h"

/* The worker's engine, once it runs; mounts refer to it. */
extern struct engine *mounts_engine;
/* The services of every port, the longest prefixes first; ends with prefix NULL. */
extern const struct http_service mounts[];

#endif

/* The lease: tells Redis once a second which workers are alive, so that others can clean up after a
 * dead host. */
#ifndef CONFAB_LEASE_H
#define CONFAB_LEASE_H

#include "master/functions.h"
#include "master/spawn.h"

struct lease {
	struct redis_client *client;
	struct functions *functions; /* told when Redis lacks ours */
	const char *host;
	bool lost;                   /* the last renewal failed */
};

/* Registers the workers, or renews what they have, and sweeps whose lease is over. */
void lease_renew(struct lease *l, const struct crew_member *alive, unsigned n);
/* Sweeps one that has ended. If Redis does not answer, the end of its lease will do. */
void lease_end(struct lease *l, const struct crew_member *who);

#endif

/* The lease: tells Redis once a second which workers are alive, so that others can clean up after a
 * dead host, and has those told who went offline. */
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

/* Calls a function: an array of `least` elements, for the caller's freeReplyObject, or NULL.
 * Logs the first of a row of failures, and their end. */
struct redisReply *lease_ask(struct lease *l, const struct str *args, size_t n, size_t least);
/* Registers the workers, or renews what they have, and sweeps whose lease is over. Marks in anew[]
 * those who had none: Redis may have forgotten, or swept, what they said. */
void lease_renew(struct lease *l, const struct crew_member *alive, unsigned n, bool *anew);
/* Tells of the users whose time to come back is over. */
void lease_tell_gone(struct lease *l);
/* Sweeps one that has ended. If Redis does not answer, the end of its lease will do. */
void lease_end(struct lease *l, const struct crew_member *who);

#endif

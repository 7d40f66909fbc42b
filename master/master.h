/* The master: owns ports and children, holds no chat. */
#ifndef CONFAB_MASTER_H
#define CONFAB_MASTER_H

#include "common/conf.h"

struct assets;
struct master;
struct metrics;
struct tally;
struct throttle;

/* What a worker inherits. All descriptors are close-on-exec and stay open in the master. */
struct inheritance {
	unsigned index, count;       /* which worker, of how many */
	unsigned generation;         /* grows with every spawn of any worker; unique on this host */
	int listeners[CONF_MAX_LISTEN];      /* this worker's socket for each conf.listens[i] */
	int inbox;                   /* its CHAN messages arrive here */
	int master;                  /* to the master's inbox */
	int peers[CONF_MAX_WORKERS]; /* to each worker's inbox; [index] is its own */
	unsigned char sid_key[32];   /* shared by the workers of this master: who made a sid */
	char host[33]; /* names this host in Redis and in sids: 12 hex digits, kept in data-dir */
	const char *functions;       /* path of the Lua library, for messages */
	struct throttle *connects;   /* connect-rate, of all workers (common/throttle.h) */
	/* Connections of one address, clients of one user (common/tally.h). */
	struct tally *addresses, *clients;
	struct metrics *metrics;     /* the counters of all workers, by index (common/metrics.h) */
	const struct assets *assets; /* the files to serve (common/assets.h), or NULL */
};

/* The body of a worker process; given to master_run so that the master does not depend on it.
 * Returns its exit status. */
typedef int worker_fn(const struct inheritance *in);

/* Runs until told to stop: exit status of the program. `file` (NULL: none) and `options` are what
 * conf_load was given: SIGHUP reads them again. */
int master_run(worker_fn *worker, const char *file, const char *const *options);

#endif

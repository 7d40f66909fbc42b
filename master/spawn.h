/* The crew: the worker processes, each at its place with its sockets, watched and replaced. */
#ifndef CONFAB_SPAWN_H
#define CONFAB_SPAWN_H

#include <sys/types.h>

#include "common/chan.h"
#include "master/host.h"
#include "master/master.h"

struct crew;

/* What a worker is made of; `leave` is called first in the child, to let go of what is the
 * master's. */
struct crew_setup {
	worker_fn *body;
	struct host *host;
	const char *functions;
	int master;                  /* to the master's inbox */
	struct metrics *metrics;     /* a page for each worker */
	struct throttle *connects;   /* one for all of them */
	struct tally *addresses, *clients;   /* a page for each worker */
	const struct assets *assets; /* or NULL */
	void (*leave)(void *master);
	void *arg;
};

/* A process in Redis' eyes. */
struct crew_member {
	unsigned index, generation;
};

/* Opens the listening sockets and inboxes of conf.workers workers; starts none. NULL: `why` says
 * what failed. */
struct crew *crew_new(const struct crew_setup *setup, char *why, size_t size);
/* Closes all; only when none is alive. */
void crew_free(struct crew *c);

/* From now on every place is kept filled, by crew_tick. */
void crew_start(struct crew *c);
/* Starts what is due, kills the silent and those over their time, goes on rolling. */
void crew_tick(struct crew *c);
/* When the next tick is due; UINT64_MAX: not before something happens. */
uint64_t crew_due_ms(const struct crew *c);
/* Puts what the workers use among what they count; once in a while. */
void crew_measure(struct crew *c);
/* A worker's CHAN_BEAT or CHAN_READY. */
void crew_hear(struct crew *c, const struct chan_message *m);
/* After a pause of our own: nobody is blamed for having been silent meanwhile. */
void crew_forgive(struct crew *c);
/* Whether the process that ended was a worker; *who says which. */
bool crew_reaped(struct crew *c, pid_t pid, int status, struct crew_member *who);

/* Replaces one after another, each once its predecessor has drained. */
void crew_roll(struct crew *c);
/* Tells a worker that its lease in Redis is a new one. */
void crew_leased(struct crew *c, const struct crew_member *who);
/* No more starts; those alive drain, or are told to end, or are killed. */
void crew_drain(struct crew *c);
void crew_stop(struct crew *c);
void crew_kill(struct crew *c);

/* Fills the living into out[CONF_MAX_WORKERS]; returns how many they are. */
unsigned crew_alive(const struct crew *c, struct crew_member *out);
/* Whether every place has a worker that serves. */
bool crew_ready(const struct crew *c);

#endif

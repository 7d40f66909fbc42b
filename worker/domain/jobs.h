/* Work that must not block the event loop: one thread with a bounded queue. */
#ifndef CONFAB_JOBS_H
#define CONFAB_JOBS_H

#include <event2/event.h>

#include "worker/op.h"

struct jobs;

/* Embedded in what has all that the work needs: in the thread nobody looks at the op. */
struct job {
	struct list link;
	struct op *op;
	void (*work)(struct job *job);       /* in the thread */
	void (*finish)(struct job *job);     /* on the loop: goes on with the op, or fails it */
	void (*release)(struct job *job);    /* last call in any case: frees. NULL: the op does */
};

/* Starts the thread; jobs finish on the loop of `base`; at most `most` wait. Call after fork. */
struct jobs *jobs_new(struct event_base *base, unsigned most);
/* Drops what waits (those ops end unanswered), ends the thread. */
void jobs_free(struct jobs *jobs);
/* Takes over the job. ERR_UNAVAILABLE when too many are waiting. */
void jobs_add(struct jobs *jobs, struct job *job);

#endif

/* Presence: who is online. A user is, while any socket of theirs is open on any worker,
 * and for five seconds more; each coming and going is told once, by Redis. This says there who
 * is on this worker. */
#ifndef CONFAB_PRESENCE_H
#define CONFAB_PRESENCE_H

#include "worker/op.h"

struct presence;

/* A user who is waited for. */
struct awaited {
	struct str username;         /* as they spell it */
	struct str feed;             /* where their coming and going is told */
	bool online;
	uint64_t stamp;              /* as of when */
};

/* Owned by the caller; `services` outlives it. */
struct presence *presence_new(const struct services *services);
void presence_free(struct presence *p);
/* The user has a socket on this worker, or has none any more. Said again, it changes nothing. */
void presence_say(struct presence *p, struct str user, bool here);
/* Redis is there again: says what it may not have heard. */
void presence_again(struct presence *p);
/* Redis is there, and may take by now what it refused: says that. */
void presence_retry(struct presence *p);
/* End of a turn: says what changed in it. */
void presence_tick(struct presence *p);

/* The user of that name; the socket's session keeps waiting for them. `then` gets a struct awaited.
 * ERR_NO_USER. */
void presence_await(struct op *op, struct str username, op_fn *then);
/* No more. `then` gets a struct awaited of which only the feed is set. ERR_NO_USER. */
void presence_forget(struct op *op, struct str username, op_fn *then);

#endif

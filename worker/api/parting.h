/* Partings: what Redis is told of a session that can be taken up again (protocol.md §13) when its
 * socket is over, or leaves a room. */
#ifndef CONFAB_PARTING_H
#define CONFAB_PARTING_H

#include "worker/op.h"

void partings_init(const struct services *services);
void partings_fini(void);
/* A session's socket is over: tells Redis, now or when it is there; `leaves`: it can't
 * be taken up again. */
void parting_tell(struct str session, struct str take, bool leaves);
/* The asking socket left a room: its session does, too. */
void parting_unfollow(const struct op *asked, struct str room);
/* Redis is there again, or may take by now what it refused: says what could not be said. */
void partings_again(void);

#endif

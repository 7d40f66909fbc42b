/* Partings: what Redis is told of a session that can be taken up again (protocol.md §13) when its
 * socket is over. */
#ifndef CONFAB_PARTING_H
#define CONFAB_PARTING_H

#include "worker/op.h"

void partings_init(const struct services *services);
void partings_fini(void);
/* A session's socket is over: tells Redis, now or when it is there; `leaves`: it can't
 * be taken up again. `take` is that of the socket, or the new_pid it came with. */
void parting_tell(struct str session, struct str take, bool leaves);
/* Redis is there again, or may take by now what it refused: says what could not be said. */
void partings_again(void);

#endif

/* Stayings: what Redis is told of the sessions (protocol.md §13) whose sockets live, in case this
 * worker was swept: the sweep gave them a time after which they are gone. */
#ifndef CONFAB_STAYING_H
#define CONFAB_STAYING_H

#include "worker/engineio/session.h"
#include "worker/op.h"

void stayings_init(const struct services *services, const struct engine *engine);
/* Redis is there again, or may have swept this worker: says all again. */
void stayings_again(void);
/* The same if Redis did not take all that was said last. */
void stayings_retry(void);

#endif

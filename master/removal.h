/* Removes uploaded files that no message refers to any more, and what workers that
 * died left of others. */
#ifndef CONFAB_REMOVAL_H
#define CONFAB_REMOVAL_H

#include "master/lease.h"

/* Once a second: removes some of the files that Redis says are due. */
void removal_tick(struct lease *l);

#endif

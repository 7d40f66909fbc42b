/* Whether this worker can do its work. */
#ifndef CONFAB_HEALTH_H
#define CONFAB_HEALTH_H

#include "worker/op.h"

/* Whether the connection to Redis serves. */
bool health_is_up(const struct services *services);
/* Asks Redis for the version of our functions; `then` gets a struct str, or the op fails
 * (ERR_UNAVAILABLE). */
void health_check(struct op *op, op_fn *then);

#endif

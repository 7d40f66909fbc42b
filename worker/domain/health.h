/* Whether this worker can do its work. */
#ifndef CONFAB_HEALTH_H
#define CONFAB_HEALTH_H

#include "worker/op.h"

/* Asks Redis for the version of our functions; `then` gets a struct str, or the op fails
 * (ERR_UNAVAILABLE). */
void health_check(struct op *op, op_fn *then);

#endif

/* How much there is of all, on all hosts. */
#ifndef CONFAB_TOTALS_H
#define CONFAB_TOTALS_H

#include "worker/op.h"

struct totals {
	int64_t users, rooms, messages;
};

/* Counts for op->user, at a cost that does not grow. `then` gets a struct totals. ERR_USER_DELETED,
 * ERR_UNAVAILABLE. */
void totals_count(struct op *op, op_fn *then);

#endif

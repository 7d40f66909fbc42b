/* How much there is of all: one call, three numbers. */
#include "worker/domain/totals.h"

#include "common/json.h"
#include "worker/store/call.h"

static const struct function fn_totals = { .name = "totals", .reads = true, .at_least = 3 };

static void totals_came(struct op *op, const struct strs *reply)
{
	struct totals t;

	if (json_i64(reply->v[0], &t.users) && json_i64(reply->v[1], &t.rooms) &&
	    json_i64(reply->v[2], &t.messages))
		op->then(op, &t);
	else
		op_fail(op, ERR_INTERNAL, NULL, NULL);
}

void totals_count(struct op *op, op_fn *then)
{
	op->then = then;
	CALL(op, &fn_totals, totals_came, op->user);
}

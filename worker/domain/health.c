/* Whether this worker can do its work: Redis answers, and has our functions. */
#include "worker/domain/health.h"

#include "worker/store/call.h"

static const struct function fn_version = {
	.name = "confab_version", .reads = true, .at_least = 1,
};

static void version_came(struct op *op, const struct strs *reply)
{
	op->then(op, &reply->v[0]);
}

bool health_is_up(const struct services *services)
{
	return calls_up(services->calls);
}

void health_check(struct op *op, op_fn *then)
{
	op->then = then;
	call(op, &fn_version, version_came, NULL, 0);
}

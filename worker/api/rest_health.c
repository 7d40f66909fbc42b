/* What a load balancer asks. */
#include "worker/api/api.h"
#include "worker/domain/health.h"

static void health_known(struct op *op, const void *version)
{
	const struct str *v = version;
	op_reply(op, op_text(op, "{\"status\":\"ok\",\"functions\":%.*s}", STR_ARG(*v)));
}

static void check(struct op *op, const void *args UNUSED)
{
	health_check(op, health_known);
}

const struct api_route routes_health[] = {
	{ .name = "GET /health", .handle = check },
	{ 0 }
};

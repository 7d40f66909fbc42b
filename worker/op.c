/* One request in flight. */
#include "worker/op.h"

#include <stdlib.h>

#include "common/log.h"
#include "common/mem.h"

static void op_free(struct op *op)
{
	if (op->cleanup != NULL)
		op->cleanup(op);
	list_remove(&op->link);
	arena_fini(&op->arena);
	free(op);
}

struct op *op_new(const struct services *services, const struct asker_vt *vt, void *asker,
                  struct list *ops)
{
	struct op *op = xcalloc(1, sizeof(*op));
	op->services = services;
	op->vt = vt;
	op->asker = asker;
	op->status = 200;
	list_init(&op->link);
	if (ops != NULL)
		list_push(ops, &op->link);
	return op;
}

void op_reply(struct op *op, struct str json)
{
	if (op->asker != NULL)
		op->vt->reply(op, json);
	op_free(op);
}

void op_fault(struct op *op, const struct fault *fault)
{
	bool (*caught)(struct op *, const struct fault *) = op->caught;
	op->caught = NULL;
	if (caught != NULL && caught(op, fault))
		return;
	if (op->asker != NULL)
		op->vt->fail(op, fault);
	op_free(op);
}

void op_fail(struct op *op, enum err code, const char *field, const char *detail)
{
	struct fault fault = { .code = code, .field = str_z(field), .detail = str_z(detail) };
	op_fault(op, &fault);
}

void op_orphan(struct list *ops)
{
	struct list orphans;

	list_init(&orphans);
	list_splice(&orphans, ops);
	LIST_EACH(&orphans, link)
		LIST_OF(link, struct op, link)->asker = NULL;
	/* One that ends may end others. */
	while (!list_empty(&orphans)) {
		struct op *op = LIST_OF(orphans.next, struct op, link);
		list_remove(&op->link);
		if (op->unheard != NULL)
			op->unheard(op);
	}
}

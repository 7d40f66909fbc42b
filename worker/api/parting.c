/* Partings: Redis is told that a session's socket is over. What it could not be told, being away,
 * or refused is kept until it takes it: a session whose end is never told would live for ever. */
#include "worker/api/parting.h"

#include <stdlib.h>
#include <string.h>

#include "common/list.h"
#include "common/mem.h"
#include "worker/domain/user.h"

/* One that Redis does not know of yet. */
struct parting {
	struct list link;
	struct str session, take;
	bool leaves;
	char text[];
};

static struct {
	const struct services *services;
	struct list untold;
} partings;

static bool parting_failed(struct op *op, const struct fault *fault);

static void parting_told(struct op *op, const void *result UNUSED)
{
	op_reply(op, STR_NONE);
}

void parting_tell(struct str session, struct str take, bool leaves)
{
	struct op *op = op_new(partings.services, NULL, NULL, NULL);
	bool *state = arena_alloc(&op->arena, sizeof(*state));
	*state = leaves;
	op->state = state;
	op->session = arena_str(&op->arena, session);
	op->take = arena_str(&op->arena, take);
	op->caught = parting_failed;
	session_end(op, leaves, parting_told);
}

/* Redis is away, or has no room for it. */
static bool parting_failed(struct op *op, const struct fault *fault UNUSED)
{
	struct parting *p = xcalloc(1, sizeof(*p) + op->session.len + op->take.len);
	memcpy(p->text, op->session.p, op->session.len);
	memcpy(p->text + op->session.len, op->take.p, op->take.len);
	p->session = (struct str){ p->text, op->session.len };
	p->take = (struct str){ p->text + op->session.len, op->take.len };
	p->leaves = *(const bool *)op->state;
	list_push(&partings.untold, &p->link);
	op_reply(op, STR_NONE);
	return true;
}

void partings_again(void)
{
	struct list waiting;
	list_init(&waiting);
	list_splice(&waiting, &partings.untold);
	LIST_EACH(&waiting, link) {
		struct parting *p = LIST_OF(link, struct parting, link);
		parting_tell(p->session, p->take, p->leaves);
		free(p);
	}
}

void partings_init(const struct services *services)
{
	partings.services = services;
	list_init(&partings.untold);
}

void partings_fini(void)
{
	LIST_EACH(&partings.untold, link)
		free(LIST_OF(link, struct parting, link));
}

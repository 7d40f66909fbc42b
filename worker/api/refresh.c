/* State channels after a gap: what is so now is read and told to those who knew less. */
#include "worker/api/door.h"
#include "worker/domain/state.h"

/* op->held is the feed's name. */
static void state_came(struct op *op, const void *result)
{
	const struct str *event = result, *feed = op->held;

	hub_hear(op->services->hub, *feed, *event);
	op_reply(op, STR_NONE);
}

void refresh_feed(const struct services *services, struct str name)
{
	if (!state_is_channel(name))
		return;
	struct op *op = op_new(services, NULL, NULL, NULL);
	struct str *feed = arena_alloc(&op->arena, sizeof(*feed));

	*feed = arena_str(&op->arena, name);
	op->held = feed;
	state_read(op, *feed, state_came);
}

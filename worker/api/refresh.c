/* State channels after a gap: what is so now is read and told to those who knew less. */
#include "worker/api/door.h"
#include "worker/domain/state.h"

static bool refused;

bool refresh_was_refused(void)
{
	const bool was = refused;

	refused = false;
	return was;
}

/* op->held is the feed's name. */
static void state_came(struct op *op, const void *result)
{
	const struct str *event = result, *feed = op->held;

	hub_hear(op->services->hub, *feed, *event);
	op_reply(op, STR_NONE);
}

static bool state_refused(struct op *op, const struct fault *fault)
{
	refused = refused || fault->code == ERR_UNAVAILABLE;
	op_reply(op, STR_NONE);
	return true;
}

void refresh_feed(const struct services *services, struct str feed)
{
	if (!state_is_channel(feed))
		return;
	struct op *op = op_new(services, NULL, NULL, NULL);
	struct str *name = arena_alloc(&op->arena, sizeof(*name));

	*name = arena_str(&op->arena, feed);
	op->held = name;
	op->caught = state_refused;
	state_read(op, *name, state_came);
}

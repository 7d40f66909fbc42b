/* State channels: which function reads which. */
#include "worker/domain/state.h"

#include "worker/store/call.h"

static const struct {
	const char *prefix;
	struct function fn;
} readers[] = {
	{ "presence:", { .name = "presence_read", .reads = true, .at_least = 1 } },
	{ "lobby:", { .name = "lobby_read", .reads = true, .at_least = 1 } },
};

static const struct function *reader_of(struct str feed)
{
	for (size_t i = 0; i < COUNT_OF(readers); i++)
		if (str_starts(feed, str_z(readers[i].prefix)))
			return &readers[i].fn;
	return NULL;
}

bool state_is_channel(struct str feed)
{
	return reader_of(feed) != NULL;
}

static void state_came(struct op *op, const struct strs *reply)
{
	op->then(op, &reply->v[0]);
}

void state_read(struct op *op, struct str feed, op_fn *then)
{
	const struct function *reader = reader_of(feed);

	op->then = then;
	if (reader == NULL)
		op_fail(op, ERR_NOT_FOUND, NULL, NULL);
	else
		CALL(op, reader, state_came, feed);
}

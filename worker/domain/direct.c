/* Direct conversations: arguments for the Redis functions, and their replies as structs. */
#include "worker/domain/direct.h"

#include <inttypes.h>

#include "common/conf.h"
#include "worker/store/call.h"

static const struct function fn_post = { .name = "direct_post", .at_least = 1 };
static const struct function fn_page = { .name = "direct_page", .reads = true, .at_least = 1 };
static const struct function fn_unread = { .name = "direct_unread", .reads = true, .at_least = 1 };
static const struct function fn_read = { .name = "message_read", .at_least = 1 };

static void ill_shaped(struct op *op)
{
	op_fail(op, ERR_INTERNAL, NULL, NULL);
}

static void message_posted(struct op *op, const struct strs *reply)
{
	struct message message;

	if (message_read(reply->v[0], &op->arena, &message))
		op->then(op, &message);
	else
		ill_shaped(op);
}

void direct_post(struct op *op, const struct direct_draft *d, op_fn *then)
{
	op->then = then;
	CALL(op, &fn_post, message_posted, op->user, d->username, d->content, d->attachments,
	     d->client_message_id, op_text(op, "%u", conf.message_rate.per_second),
	     op_text(op, "%u", conf.message_rate.burst), op_text(op, "%u", conf.history_max),
	     STR("0") /* the log's length: as worker_hello said */);
}

/* next, message… */
static void page_came(struct op *op, const struct strs *reply)
{
	const size_t n = reply->n - 1;
	struct message *messages = arena_alloc(&op->arena, n * sizeof(*messages));
	const struct direct_page page = { .next = reply->v[0], .v = messages, .n = n };
	bool good = true;

	for (size_t i = 0; good && i < n; i++)
		good = message_read(reply->v[i + 1], &op->arena, &messages[i]);
	if (good)
		op->then(op, &page);
	else
		ill_shaped(op);
}

void direct_page(struct op *op, struct str username, struct str before, int64_t limit, op_fn *then)
{
	op->then = then;
	CALL(op, &fn_page, page_came, op->user, username, before, op_text(op, "%" PRId64, limit));
}

static void unread_came(struct op *op, const struct strs *reply)
{
	int64_t unread;

	if (json_i64(reply->v[0], &unread))
		op->then(op, &unread);
	else
		ill_shaped(op);
}

void direct_unread(struct op *op, struct str username, op_fn *then)
{
	op->then = then;
	CALL(op, &fn_unread, unread_came, op->user, username);
}

static void is_read(struct op *op, const struct strs *reply UNUSED)
{
	op->then(op, NULL);
}

void direct_read(struct op *op, struct str message, struct str origin, op_fn *then)
{
	op->then = then;
	CALL(op, &fn_read, is_read, op->user, message, origin);
}

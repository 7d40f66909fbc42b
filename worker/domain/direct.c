/* Direct conversations: arguments for the Redis functions, and their replies as structs. */
#include "worker/domain/direct.h"

#include <inttypes.h>

#include "common/conf.h"
#include "worker/store/call.h"

static const struct function fn_post = { .name = "direct_post", .at_least = 1 };
static const struct function fn_page = { .name = "direct_page", .reads = true, .at_least = 1 };
static const struct function fn_unread = { .name = "direct_unread", .reads = true, .at_least = 1 };
static const struct function fn_read = { .name = "message_read", .at_least = 1 };

void direct_post(struct op *op, const struct direct_draft *d, op_fn *then)
{
	struct str attachments;

	if (!attachments_text(op, d->attachments, &attachments)) {
		op_fail(op, ERR_INVALID, "attachments", "name an unknown upload");
		return;
	}
	op->then = then;
	CALL(op, &fn_post, message_came, op->user, d->username, d->content, attachments,
	     d->client_message_id, op_text(op, "%u", conf.message_rate.per_second),
	     op_text(op, "%u", conf.message_rate.burst), op_text(op, "%u", conf.history_max),
	     STR("0") /* the log's length: as worker_hello said */);
}

void direct_page(struct op *op, struct str username, struct str before, int64_t limit, op_fn *then)
{
	op->then = then;
	CALL(op, &fn_page, messages_came, op->user, username, before,
	     op_text(op, "%" PRId64, limit));
}

static void unread_came(struct op *op, const struct strs *reply)
{
	int64_t unread;

	if (json_i64(reply->v[0], &unread))
		op->then(op, &unread);
	else
		op_fail(op, ERR_INTERNAL, NULL, NULL);
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

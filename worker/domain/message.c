/* Messages and reactions: arguments for the Redis functions, and their replies as structs. */
#include "worker/domain/message.h"

#include <inttypes.h>

#include "common/conf.h"
#include "worker/domain/upload.h"
#include "worker/store/call.h"

static const struct function fn_post = { .name = "message_post", .at_least = 1 };
static const struct function fn_edit = { .name = "message_edit", .at_least = 1 };
static const struct function fn_delete = { .name = "message_delete", .at_least = 2 };
static const struct function fn_react = { .name = "message_react", .at_least = 2 };
static const struct function fn_unreact = { .name = "message_unreact", .at_least = 2 };
static const struct function fn_forward = { .name = "message_forward", .at_least = 2 };
static const struct function fn_fetch = { .name = "room_posts", .at_least = 1 };
static const struct function fn_page = { .name = "message_page", .reads = true, .at_least = 1 };

static void ill_shaped(struct op *op)
{
	op_fail(op, ERR_INTERNAL, NULL, NULL);
}

void message_came(struct op *op, const struct strs *reply)
{
	struct message message;

	if (op->then == NULL)
		op_reply(op, STR_NONE);
	else if (message_read(reply->v[0], &op->arena, &message))
		op->then(op, &message);
	else
		ill_shaped(op);
}

/* Each a line: neither an id nor compact JSON has a line end in it. */
bool attachments_text(struct op *op, struct strs attachments, struct str *out)
{
	struct buf lines = { 0 };
	bool good = true;

	for (size_t i = 0; i < attachments.n; i++) {
		const struct str one = attachments.v[i];
		good &= upload_id_valid(one) || (one.len > 0 && one.p[0] == '{');
		buf_str(&lines, one);
		buf_char(&lines, '\n');
	}
	*out = lines.len > 0 ? arena_str(&op->arena, buf_view(&lines)) : STR_NONE;
	buf_fini(&lines);
	return good;
}

void message_post(struct op *op, const struct draft *d, op_fn *then)
{
	struct str attachments;

	if (!attachments_text(op, d->attachments, &attachments)) {
		op_fail(op, ERR_INVALID, "attachments", "name an unknown upload");
		return;
	}
	op->then = then;
	CALL(op, &fn_post, message_came, op->user, d->room, want_word(d->want), d->content,
	     d->reply_to, attachments, d->client_message_id,
	     op_text(op, "%u", conf.message_rate.per_second),
	     op_text(op, "%u", conf.message_rate.burst), op_text(op, "%u", conf.history_max),
	     STR("0") /* the log's length: as worker_hello said */);
}

void message_edit(struct op *op, const struct message_ref *ref, struct str content, op_fn *then)
{
	op->then = then;
	CALL(op, &fn_edit, message_came, op->user, ref->id, ref->room, want_word(ref->want),
	     content);
}

/* Deleted, or taken back. */
static void is_gone(struct op *op, const struct strs *reply UNUSED)
{
	op->then(op, NULL);
}

void message_delete(struct op *op, const struct message_ref *ref, op_fn *then)
{
	op->then = then;
	CALL(op, &fn_delete, is_gone, op->user, ref->id, ref->room, want_word(ref->want));
}

/* reaction, "1" if it is new */
static void reaction_came(struct op *op, const struct strs *reply)
{
	struct reaction reaction;

	if (!reaction_read(reply->v[0], &op->arena, &reaction))
		ill_shaped(op);
	else
		op->then(op, str_eqz(reply->v[1], "1") ? &reaction : NULL);
}

void message_react(struct op *op, const struct message_ref *ref, struct str emoji, op_fn *then)
{
	op->then = then;
	CALL(op, &fn_react, reaction_came, op->user, ref->id, ref->room, want_word(ref->want),
	     emoji);
}

void message_unreact(struct op *op, const struct message_ref *ref, struct str emoji, op_fn *then)
{
	op->then = then;
	CALL(op, &fn_unreact, is_gone, op->user, ref->id, ref->room, want_word(ref->want),
	     emoji);
}

void message_forward(struct op *op, const struct forward *f, op_fn *then)
{
	const struct message_ref *from = &f->original;

	op->then = then;
	CALL(op, &fn_forward, message_came, op->user, from->id, from->room, want_word(from->want),
	     f->room, want_word(f->want), f->client_message_id,
	     op_text(op, "%u", conf.message_rate.per_second),
	     op_text(op, "%u", conf.message_rate.burst), op_text(op, "%u", conf.history_max),
	     STR("0") /* the log's length: as worker_hello said */);
}

/* next, message… */
void messages_came(struct op *op, const struct strs *reply)
{
	const size_t n = reply->n - 1;
	struct message *messages = arena_alloc(&op->arena, n * sizeof(*messages));
	const struct message_list list = { .next = reply->v[0], .v = messages, .n = n };
	bool good = true;

	for (size_t i = 0; good && i < n; i++)
		good = message_read(reply->v[i + 1], &op->arena, &messages[i]);
	if (good)
		op->then(op, &list);
	else
		ill_shaped(op);
}

void message_fetch(struct op *op, struct str room, struct str before, int64_t limit, op_fn *then)
{
	op->then = then;
	CALL(op, &fn_fetch, messages_came, op->user, room, before, op_text(op, "%" PRId64, limit));
}

/* total, message… */
static void messages_listed(struct op *op, const struct strs *reply)
{
	const size_t n = reply->n - 1;
	struct message *messages = arena_alloc(&op->arena, n * sizeof(*messages));
	struct message_page page = { .v = messages, .n = n };
	bool good = json_i64(reply->v[0], &page.total);

	for (size_t i = 0; good && i < n; i++)
		good = message_read(reply->v[i + 1], &op->arena, &messages[i]);
	if (good)
		op->then(op, &page);
	else
		ill_shaped(op);
}

void message_page(struct op *op, struct str room, enum want want, int64_t page, int64_t limit,
                  op_fn *then)
{
	op->then = then;
	CALL(op, &fn_page, messages_listed, op->user, room, want_word(want),
	     op_text(op, "%" PRId64, page), op_text(op, "%" PRId64, limit));
}

/* Rooms by name: arguments for the Redis functions, and their replies as structs. */
#include "worker/domain/place.h"

#include <inttypes.h>

#include "common/conf.h"
#include "common/stamp.h"
#include "worker/domain/hasher.h"
#include "worker/domain/message.h"
#include "worker/store/call.h"

static const struct function fn_post = { .name = "gateway_post", .at_least = 2 };
static const struct function fn_direct = { .name = "gateway_direct", .at_least = 2 };
static const struct function fn_leave = { .name = "gateway_leave", .at_least = 1 };
static const struct function fn_list = { .name = "gateway_rooms", .reads = true, .at_least = 1 };
static const struct function fn_members = {
	.name = "gateway_members", .reads = true, .at_least = 1
};
static const struct function fn_messages = {
	.name = "gateway_messages", .reads = true, .at_least = 2
};
static const struct function fn_history = {
	.name = "gateway_history", .reads = true, .at_least = 1
};
static const struct function fn_try = { .name = "room_try", .at_least = 3 };
static const struct function fn_right = { .name = "password_right", .at_least = 1 };
static const struct function fn_join = { .name = "room_join", .at_least = 1 };

static void ill_shaped(struct op *op)
{
	op_fail(op, ERR_INTERNAL, NULL, NULL);
}

static bool is_owner(struct str role)
{
	return str_eqz(role, "owner");
}

/* --- Messages --- */

static bool message_of(struct str json, struct str place, struct arena *a,
                       struct place_message *out)
{
	struct message m;

	if (!message_read(json, a, &m))
		return false;
	*out = (struct place_message){ m.id, place, m.author.username, m.content, m.created_at };
	return true;
}

/* name, message */
static void posted(struct op *op, const struct strs *reply)
{
	struct place_message message;

	if (message_of(reply->v[1], reply->v[0], &op->arena, &message))
		op->then(op, &message);
	else
		ill_shaped(op);
}

void place_post(struct op *op, const struct place_draft *d, op_fn *then)
{
	op->then = then;
	CALL(op, &fn_post, posted, op->user, d->place, d->content, d->client_message_id,
	     op_text(op, "%u", conf.message_rate.per_second),
	     op_text(op, "%u", conf.message_rate.burst), op_text(op, "%u", conf.history_max),
	     STR("0") /* the log's length: as worker_hello said */);
}

/* name, next, message… */
static void page_came(struct op *op, const struct strs *reply)
{
	const size_t n = reply->n - 2;
	struct place_message *messages = arena_alloc(&op->arena, n * sizeof(*messages));
	const struct place_page page = { .next = reply->v[1], .v = messages, .n = n };
	bool good = true;

	for (size_t i = 0; good && i < n; i++)
		good = message_of(reply->v[i + 2], reply->v[0], &op->arena, &messages[i]);
	if (good)
		op->then(op, &page);
	else
		ill_shaped(op);
}

void place_messages(struct op *op, struct str name, struct str before, int64_t limit, op_fn *then)
{
	op->then = then;
	CALL(op, &fn_messages, page_came, op->user, name, before,
	     op_text(op, "%" PRId64, limit));
}

/* --- History --- */

/* The strings of a reply from the first on that has not been taken. */
static bool take(struct strs *rest, size_t n, const struct str **out)
{
	if (rest->n < n)
		return false;
	*out = rest->v;
	rest->v += n;
	rest->n -= n;
	return true;
}

/* name, id, how many messages, and of each: id, username, createdAt, text */
static bool past_read(struct strs *rest, struct arena *a, struct place_past *out)
{
	const struct str *room, *said;
	uint64_t n;

	if (!take(rest, 3, &room) || !str_u64(room[2], &n) || n > rest->n / 4)
		return false;
	struct place_message *messages = arena_alloc(a, n * sizeof(*messages));
	*out = (struct place_past){ .name = room[0], .room = room[1], .v = messages, .n = n };
	for (size_t i = 0; i < n; i++) {
		struct place_message *m = &messages[i];
		if (!take(rest, 4, &said) || !json_i64(said[2], &m->created_at))
			return false;
		m->id = said[0];
		m->place = room[0];
		m->sender = said[1];
		m->text = said[3];
	}
	return true;
}

/* clock, rooms… */
static void history_came(struct op *op, const struct strs *reply)
{
	struct strs rest = { reply->v + 1, reply->n - 1 };
	/* Each takes three strings at least. */
	struct place_past *rooms = arena_alloc(&op->arena, rest.n / 3 * sizeof(*rooms));
	struct place_history history = { .v = rooms };
	bool good = stamp_parse(reply->v[0], &history.stamp);

	while (good && rest.n > 0)
		good = past_read(&rest, &op->arena, &rooms[history.n++]);
	if (good)
		op->then(op, &history);
	else
		ill_shaped(op);
}

void place_history(struct op *op, op_fn *then)
{
	op->then = then;
	/* All of it is queued at once; what comes after it must find room, too. */
	CALL(op, &fn_history, history_came, op->user, op_text(op, "%u", conf.gateway_history),
	     op_text(op, "%u", conf.queue_hard / 4));
}

/* --- Rooms --- */

/* next, then name, status and role of each */
static void listed(struct op *op, const struct strs *reply)
{
	const size_t n = (reply->n - 1) / 3;
	struct place *places = arena_alloc(&op->arena, n * sizeof(*places));
	const struct place_list list = { .next = reply->v[0], .v = places, .n = n };

	for (size_t i = 0; i < n; i++) {
		const struct str *told = &reply->v[1 + 3 * i];
		places[i] = (struct place){ told[0], told[1], is_owner(told[2]) };
	}
	op->then(op, &list);
}

void place_list(struct op *op, struct str after, int64_t limit, op_fn *then)
{
	op->then = then;
	CALL(op, &fn_list, listed, op->user, after, op_text(op, "%" PRId64, limit));
}

/* next, then role and user of each */
static void members_came(struct op *op, const struct strs *reply)
{
	const size_t n = (reply->n - 1) / 2;
	struct room_member *members = arena_alloc(&op->arena, n * sizeof(*members));
	const struct room_members list = { .next = reply->v[0], .v = members, .n = n };

	for (size_t i = 0; i < n; i++) {
		const struct str *told = &reply->v[1 + 2 * i];
		members[i].is_owner = is_owner(told[0]);
		if (!user_read(told[1], &op->arena, &members[i].user)) {
			ill_shaped(op);
			return;
		}
	}
	op->then(op, &list);
}

void place_members(struct op *op, struct str name, struct str after, int64_t limit, op_fn *then)
{
	op->then = then;
	CALL(op, &fn_members, members_came, op->user, name, after,
	     op_text(op, "%" PRId64, limit));
}

static void direct_came(struct op *op, const struct strs *reply)
{
	op->then(op, &reply->v[0]);
}

void place_direct(struct op *op, struct str username, op_fn *then)
{
	op->then = then;
	CALL(op, &fn_direct, direct_came, op->user, username);
}

static void left(struct op *op, const struct strs *reply UNUSED)
{
	op->then(op, NULL);
}

void place_leave(struct op *op, struct str name, op_fn *then)
{
	op->then = then;
	CALL(op, &fn_leave, left, op->user, name);
}

/* --- Joining --- */

/* A channel on the way of being joined. */
struct joining {
	struct str name, password;
	struct str room, hash, tried;        /* once it is found */
	struct fault refusal;                /* by the room, though the password is right */
};

/* What of a room decides whether it can be joined. */
struct door {
	struct str id, status;
	bool is_member;
};

static const struct field door_fields[] = {
	FIELD(door, id, F_STR, .required = true),
	FIELD(door, status, F_STR, .required = true),
	FIELD_AS(door, is_member, "isMember", F_BOOL),
	{ 0 }
};

static void joined(struct op *op, const struct strs *reply UNUSED)
{
	const struct joining *j = op->state;

	op->caught = NULL;
	op->then(op, &j->name);
}

/* A try that did not fail for its password counts as none; then `then` ends it. */
static bool give_back(struct op *op, void (*then)(struct op *op, const struct strs *reply))
{
	const struct joining *j = op->state;

	if (j->tried.len == 0)
		return false;
	CALL(op, &fn_right, then,
	     op_text(op, "room:%.*s:user:%.*s", STR_ARG(j->room), STR_ARG(op->user)), j->tried);
	return true;
}

static void try_returned(struct op *op, const struct strs *reply UNUSED)
{
	op_fail(op, ERR_UNAVAILABLE, NULL, NULL);
}

/* Too many others wait: it was not wrong. */
static bool not_compared(struct op *op, const struct fault *fault UNUSED)
{
	return give_back(op, try_returned);
}

static void refusal_told(struct op *op, const struct strs *reply UNUSED)
{
	const struct joining *j = op->state;

	op_fault(op, &j->refusal);
}

/* It is full, say. Forbidden: the password is another by now. */
static bool not_joined(struct op *op, const struct fault *fault)
{
	struct joining *j = arena_alloc(&op->arena, sizeof(*j));

	if (fault->code == ERR_FORBIDDEN)
		return false;
	*j = *(const struct joining *)op->state;
	j->refusal = *fault;
	j->refusal.field = arena_str(&op->arena, fault->field);
	j->refusal.detail = arena_str(&op->arena, fault->detail);
	op->state = j;
	return give_back(op, refusal_told);
}

static void password_compared(struct op *op, const void *result)
{
	const struct joining *j = op->state;
	const bool *right = result;

	op->caught = NULL;
	if (*right) {
		op->caught = not_joined;
		CALL(op, &fn_join, joined, op->user, j->room, j->hash, j->tried);
	} else {
		op_fail(op, ERR_FORBIDDEN, "password", "is wrong");
	}
}

static bool door_read(struct str json, struct arena *a, struct door *out)
{
	struct fault why;

	*out = (struct door){ 0 };
	return json_valid(json, &json) && json_type(json) == JSON_OBJECT &&
	       schema_decode(door_fields, json, a, out, &why) == ERR_OK;
}

/* room, hash, tried */
static void room_found(struct op *op, const struct strs *reply)
{
	const struct joining *asked = op->state;
	const struct str hash = reply->v[1];
	struct door door;

	if (!door_read(arena_str(&op->arena, reply->v[0]), &op->arena, &door)) {
		ill_shaped(op);
	} else if (door.is_member || !str_eqz(door.status, "PRIVATE") || hash.len == 0) {
		/* No password would change what the function says. */
		CALL(op, &fn_join, joined, op->user, door.id, STR(""), STR(""));
	} else if (asked->password.len == 0) {
		op_fail(op, ERR_INVALID, "password", "is required for this channel");
	} else {
		struct joining *j = arena_alloc(&op->arena, sizeof(*j));
		*j = *asked;
		j->room = door.id;
		j->hash = arena_str(&op->arena, hash);
		j->tried = arena_str(&op->arena, reply->v[2]);
		op->state = j;
		op->caught = not_compared;
		password_verify(op, j->password, j->hash, password_compared);
	}
}

void place_join(struct op *op, struct str name, struct str password, op_fn *then)
{
	struct joining *j = arena_alloc(&op->arena, sizeof(*j));

	*j = (struct joining){ .name = name, .password = password };
	op->then = then;
	op->state = j;
	CALL(op, &fn_try, room_found, op->user, name, op_text(op, "%u", conf.password_rate),
	     password.len > 0 ? STR("1") : STR("0"));
}

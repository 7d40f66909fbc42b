/* Rooms: arguments for the Redis functions, and their replies as structs. */
#include "worker/domain/room.h"

#include <inttypes.h>
#include <string.h>

#include "common/stamp.h"
#include "worker/store/call.h"

/* A room as Redis tells it. */
struct told {
	struct room room;
	struct str kind;
};

static const struct field room_fields[] = {
	FIELD_AS(told, room.id, "id", F_STR, .required = true),
	FIELD_AS(told, kind, "kind", F_STR, .required = true),
	FIELD_AS(told, room.name, "name", F_STR),
	FIELD_AS(told, room.status, "status", F_STR, .required = true),
	FIELD_AS(told, room.owner, "owner", F_STR),
	FIELD_AS(told, room.created_at, "createdAt", F_INT, .required = true),
	FIELD_AS(told, room.last_message_at, "lastMessageAt", F_INT),
	FIELD_AS(told, room.member_count, "memberCount", F_INT, .required = true),
	FIELD_AS(told, room.is_member, "isMember", F_BOOL, .required = true),
	FIELD_AS(told, room.unread, "unread", F_INT),
	FIELD_AS(told, room.other, "other", F_OBJECT, .fields = user_fields),
	{ 0 }
};

static const struct function fn_create = { .name = "room_create", .at_least = 2 };
static const struct function fn_direct = { .name = "room_direct", .at_least = 2 };
static const struct function fn_enter = { .name = "room_enter", .reads = true, .at_least = 2 };
static const struct function fn_follow = { .name = "room_follow", .at_least = 2 };
static const struct function fn_list = { .name = "room_list", .reads = true, .at_least = 2 };
static const struct function fn_feeds = { .name = "room_feeds", .reads = true, .at_least = 1 };
static const struct function fn_members = { .name = "room_members", .reads = true, .at_least = 1 };
static const struct function fn_show = { .name = "room_show", .reads = true, .at_least = 2 };
static const struct function fn_add = { .name = "room_add", .at_least = 1 };
static const struct function fn_invite = { .name = "room_invite", .at_least = 1 };
static const struct function fn_remove = { .name = "room_remove", .at_least = 1 };

struct str want_word(enum want want)
{
	static const char *const words[] = {
		[WANT_ANY] = "", [WANT_CHANNEL] = "channel", [WANT_DIRECT] = "direct",
	};

	return str_z(words[want]);
}

/* The ids of rooms are made by the functions: there is nothing to escape in them. */
struct str room_feed(struct op *op, struct str id)
{
	return op_text(op, "room:%.*s", STR_ARG(id));
}

static bool room_read(struct str json, struct arena *a, struct room *out)
{
	struct told told = { 0 };
	struct fault why;

	if (!json_valid(json, &json) || schema_decode(room_fields, json, a, &told, &why) ||
	    !room_kind_read(told.kind, &told.room.kind))
		return false;
	*out = told.room;
	return true;
}

static void ill_shaped(struct op *op)
{
	op_fail(op, ERR_INTERNAL, NULL, NULL);
}

static bool is_one(struct str flag)
{
	return str_eqz(flag, "1");
}

/* A call's arguments: some fixed ones, then the strings of a list. */
static void call_with(struct op *op, const struct function *f, reply_fn *done,
                      const struct str *fixed, size_t n, struct strs rest)
{
	struct str *args = arena_alloc(&op->arena, (n + rest.n) * sizeof(*args));

	memcpy(args, fixed, n * sizeof(*args));
	if (rest.n)
		memcpy(args + n, rest.v, rest.n * sizeof(*args));
	call(op, f, done, args, n + rest.n);
}

static void room_created(struct op *op, const struct strs *reply)
{
	struct room_entry entry = { .made = true };

	if (!room_read(reply->v[0], &op->arena, &entry.room) ||
	    !stamp_parse(reply->v[1], &entry.stamp))
		ill_shaped(op);
	else
		op->then(op, &entry);
}

/* The gateway API calls a channel by its bare name, and tells direct rooms by a slash. */
static bool is_channel_name(struct str name)
{
	for (size_t i = 0; i < name.len; i++) {
		const unsigned char c = (unsigned char)name.p[i];
		if (c < ' ' || c == 0x7f || c == '@' || c == '/')
			return false;
	}
	return true;
}

void room_create(struct op *op, const struct room_plan *plan, op_fn *then)
{
	const struct str fixed[] = {
		op->user, room_kind_word(plan->kind), plan->name,
		plan->is_private ? STR("PRIVATE") : STR("PUBLIC"), plan->hash,
	};

	if (plan->kind == ROOM_CHANNEL && !is_channel_name(plan->name)) {
		op_fail(op, ERR_INVALID, "name", "must not have @, / or control characters");
		return;
	}
	op->then = then;
	call_with(op, &fn_create, room_created, fixed, COUNT_OF(fixed), plan->users);
}

static void direct_found(struct op *op, const struct strs *reply)
{
	struct room_entry entry = { .made = is_one(reply->v[1]) };

	if (!room_read(reply->v[0], &op->arena, &entry.room))
		ill_shaped(op);
	else
		op->then(op, &entry);
}

void room_direct(struct op *op, struct str other, op_fn *then)
{
	op->then = then;
	CALL(op, &fn_direct, direct_found, op->user, other);
}

static void room_entered(struct op *op, const struct strs *reply)
{
	struct room_entry entry = { 0 };

	if (!stamp_parse(reply->v[0], &entry.stamp) ||
	    !room_read(reply->v[1], &op->arena, &entry.room))
		ill_shaped(op);
	else
		op->then(op, &entry);
}

void room_enter(struct op *op, struct str id, enum want want, op_fn *then)
{
	op->then = then;
	if (op->session.p != NULL)
		CALL(op, &fn_follow, room_entered, op->user, id, want_word(want), op->session,
		     op->take);
	else
		CALL(op, &fn_enter, room_entered, op->user, id, want_word(want));
}

/* next, clock, room… */
static void rooms_listed(struct op *op, const struct strs *reply)
{
	const size_t n = reply->n - 2;
	struct room *rooms = arena_alloc(&op->arena, n * sizeof(*rooms));
	struct room_list list = { .next = reply->v[0], .v = rooms, .n = n };
	bool good = stamp_parse(reply->v[1], &list.stamp);

	for (size_t i = 0; good && i < n; i++)
		good = room_read(reply->v[i + 2], &op->arena, &rooms[i]);
	if (good)
		op->then(op, &list);
	else
		ill_shaped(op);
}

void room_list(struct op *op, enum want want, struct str after, int64_t limit, op_fn *then)
{
	op->then = then;
	CALL(op, &fn_list, rooms_listed, op->user, want_word(want), after,
	     op_text(op, "%" PRId64, limit));
}

static void feeds_came(struct op *op, const struct strs *reply)
{
	struct room_feeds feeds = { .feeds = { reply->v + 1, reply->n - 1 } };

	if (stamp_parse(reply->v[0], &feeds.stamp))
		op->then(op, &feeds);
	else
		ill_shaped(op);
}

void room_feeds(struct op *op, enum want want, op_fn *then)
{
	op->then = then;
	CALL(op, &fn_feeds, feeds_came, op->user, want_word(want));
}

/* next, then role and user of each */
static void members_listed(struct op *op, const struct strs *reply)
{
	const size_t n = (reply->n - 1) / 2;
	struct room_member *members = arena_alloc(&op->arena, n * sizeof(*members));
	const struct room_members list = { .next = reply->v[0], .v = members, .n = n };

	for (size_t i = 0; i < n; i++) {
		const struct str *pair = &reply->v[1 + 2 * i];
		members[i].is_owner = str_eqz(pair[0], "owner");
		if (!user_read(pair[1], &op->arena, &members[i].user)) {
			ill_shaped(op);
			return;
		}
	}
	op->then(op, &list);
}

void room_members(struct op *op, struct str id, struct str after, int64_t limit, op_fn *then)
{
	op->then = then;
	CALL(op, &fn_members, members_listed, op->user, id, after,
	     op_text(op, "%" PRId64, limit));
}

/* next, room, then whether each is online, and the user */
static void room_shown(struct op *op, const struct strs *reply)
{
	const size_t n = (reply->n - 2) / 2;
	struct room_viewed *users = arena_alloc(&op->arena, n * sizeof(*users));
	struct room_view view = { .next = reply->v[0], .v = users, .n = n };
	bool good = room_read(reply->v[1], &op->arena, &view.room);

	for (size_t i = 0; good && i < n; i++) {
		const struct str *pair = &reply->v[2 + 2 * i];
		users[i].is_online = is_one(pair[0]);
		good = user_read(pair[1], &op->arena, &users[i].user);
	}
	if (good)
		op->then(op, &view);
	else
		ill_shaped(op);
}

void room_show(struct op *op, struct str id, struct str after, int64_t limit, op_fn *then)
{
	op->then = then;
	CALL(op, &fn_show, room_shown, op->user, id, after, op_text(op, "%" PRId64, limit));
}

static void users_added(struct op *op, const struct strs *reply)
{
	const struct strs added = { .v = reply->v + 1, .n = reply->n - 1 };

	op->then(op, &added);
}

static void add(struct op *op, const struct function *f, struct str id, struct strs users,
                op_fn *then)
{
	const struct str fixed[] = { op->user, id };

	op->then = then;
	call_with(op, f, users_added, fixed, COUNT_OF(fixed), users);
}

void room_add(struct op *op, struct str id, struct strs users, op_fn *then)
{
	add(op, &fn_add, id, users, then);
}

void room_invite(struct op *op, struct str id, struct strs users, op_fn *then)
{
	add(op, &fn_invite, id, users, then);
}

static void user_removed(struct op *op, const struct strs *reply UNUSED)
{
	op->then(op, NULL);
}

void room_remove(struct op *op, struct str id, struct str user, op_fn *then)
{
	op->then = then;
	CALL(op, &fn_remove, user_removed, op->user, id, user);
}

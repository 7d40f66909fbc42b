/* The channels API over REST (docs/channels.md): making and listing channels and conversations,
 * their members, and history. */
#include "worker/api/api.h"
#include "worker/api/channels_shape.h"
#include "worker/api/page.h"
#include "worker/domain/hasher.h"

enum { LIST_MAX = 1000, MESSAGES_MAX = 100, MESSAGES_DEFAULT = 50, CHANNEL_NAME_MAX = 64 };

/* Which room a request is about, and what is said when it is refused; op->state. */
struct subject {
	struct str room;
	const char *denied, *unknown;
	const void *args;            /* the request's */
};

/* --- Arguments --- */

struct list_args { struct str after; int64_t limit; };
struct page_args { struct str room; int64_t page, limit; };
struct create_args { struct str name, password; bool is_private; struct strs members; };
struct member_args { struct str room, user, after; int64_t limit; struct strs users; };
struct converse_args { struct str user; };

#define LIST_PAGE(args) \
	FIELD(args, after, F_STR), \
	FIELD(args, limit, F_INT, .min = 1, .max = LIST_MAX)
#define MESSAGE_PAGE \
	FIELD(page_args, page, F_INT, .min = 1, .max = INT32_MAX), \
	FIELD(page_args, limit, F_INT, .min = 1, .max = MESSAGES_MAX)
/* Of the path: always there, but after the body was decoded. */
#define ROOM_ID FIELD_AS(member_args, room, "id", F_ID)

static const struct field list_schema[] = { LIST_PAGE(list_args), { 0 } };
static const struct field messages_schema[] = {
	FIELD_AS(page_args, room, "channelId", F_ID, .required = true), MESSAGE_PAGE, { 0 }
};
static const struct field direct_messages_schema[] = {
	FIELD_AS(page_args, room, "id", F_ID), MESSAGE_PAGE, { 0 }
};
static const struct field create_schema[] = {
	FIELD(create_args, name, F_STR, .min = 1, .max = CHANNEL_NAME_MAX, .required = true),
	FIELD_AS(create_args, is_private, "private", F_BOOL),
	FIELD(create_args, password, F_STR, .min = 1, .max = PASSWORD_MAX),
	FIELD(create_args, members, F_IDS, .max = LIST_MAX),
	{ 0 }
};
static const struct field members_schema[] = { ROOM_ID, LIST_PAGE(member_args), { 0 } };
static const struct field add_schema[] = {
	ROOM_ID, FIELD(member_args, users, F_IDS, .min = 1, .max = LIST_MAX, .required = true),
	{ 0 }
};
static const struct field remove_schema[] = {
	ROOM_ID, FIELD_AS(member_args, user, "userId", F_ID), { 0 }
};
static const struct field converse_schema[] = {
	FIELD_AS(converse_args, user, "userId", F_ID, .required = true), { 0 }
};

/* --- Refusals --- */

static void deny(struct op *op)
{
	op_fail(op, ERR_FORBIDDEN, NULL, ((const struct subject *)op->state)->denied);
}

static void room_of_other_kind(struct op *op, const void *result UNUSED)
{
	deny(op);
}

static bool still_unknown(struct op *op, const struct fault *fault)
{
	if (fault->code == ERR_NOT_MEMBER)
		deny(op);
	else if (fault->code == ERR_NO_ROOM)
		op_fail(op, ERR_NO_ROOM, NULL, ((const struct subject *)op->state)->unknown);
	return fault->code == ERR_NOT_MEMBER || fault->code == ERR_NO_ROOM;
}

/* A room of another kind is refused, unlike one that does not exist; the domain says the same to
 * both, so it is asked again. */
static bool room_refused(struct op *op, const struct fault *fault)
{
	const struct subject *s = op->state;
	const bool direct = fault->code == ERR_INVALID && str_eqz(fault->field, "room");

	if (fault->code == ERR_NO_ROOM) {
		op->caught = still_unknown;
		room_enter(op, s->room, WANT_ANY, room_of_other_kind);
	} else if (fault->code == ERR_NOT_MEMBER || fault->code == ERR_FORBIDDEN || direct) {
		deny(op);
	} else if (fault->code == ERR_NO_USER ||
	           (fault->code == ERR_INVALID && str_eqz(fault->field, "users"))) {
		/* The only way left for users to be wrong: nobody has such an id. */
		op_fail(op, ERR_NO_USER, NULL, NULL);
	} else {
		return false;
	}
	return true;
}

static void ask(struct op *op, struct str room, enum want want, const void *args)
{
	struct subject *s = arena_alloc(&op->arena, sizeof(*s));
	const bool direct = want == WANT_DIRECT;

	s->room = room;
	s->denied = direct ? "Access denied to conversation" : "Access denied to channel";
	s->unknown = direct ? "Conversation not found" : "Channel not found";
	s->args = args;
	op->state = s;
	op->caught = room_refused;
}

/* The domain blames `users` for what a client here calls otherwise. */
static bool blame(struct op *op, const struct fault *fault, const char *field)
{
	if (fault->code != ERR_INVALID || !str_eqz(fault->field, "users"))
		return false;
	struct fault renamed = *fault;
	renamed.field = str_z(field);
	op_fault(op, &renamed);
	return true;
}

static bool members_blamed(struct op *op, const struct fault *fault)
{
	return blame(op, fault, "members");
}

static bool user_blamed(struct op *op, const struct fault *fault)
{
	if (fault->code != ERR_NO_USER)
		return blame(op, fault, "userId");
	op_fail(op, ERR_NO_USER, NULL, NULL);
	return true;
}

/* --- Answers --- */

/* {"data": */
static struct json_out open_data(struct buf *json)
{
	struct json_out j = json_out(json);

	json_open(&j, '{');
	json_key(&j, "data");
	return j;
}

/* {"data":[ */
static struct json_out open_list(struct buf *json)
{
	struct json_out j = open_data(json);

	json_open(&j, '[');
	return j;
}

static void reply_rooms(struct op *op, const struct room_list *list,
                        void (*put)(struct json_out *j, const struct room *r))
{
	struct buf json = { 0 };
	struct json_out j = open_list(&json);

	for (size_t i = 0; i < list->n; i++)
		put(&j, &list->v[i]);
	page_reply(op, &json, &j, list->next);
}

/* --- Channels --- */

static void channels_listed(struct op *op, const void *list)
{
	reply_rooms(op, list, channels_put_channel);
}

static void list_channels(struct op *op, const void *args)
{
	const struct list_args *a = args;

	room_list(op, WANT_CHANNEL, a->after, page_limit(a->limit, LIST_MAX), channels_listed);
}

static void channel_created(struct op *op, const void *result)
{
	const struct room_entry *entry = result;
	struct buf json = { 0 };
	struct json_out j = open_data(&json);

	op->status = 201;
	channels_put_channel(&j, &entry->room);
	api_reply(op, &json);
}

/* `hash`: of the password, a struct str. */
static void create_with(struct op *op, const void *hash)
{
	const struct create_args *a = op->state;
	const struct room_plan plan = {
		.kind = ROOM_CHANNEL, .name = a->name, .hash = *(const struct str *)hash,
		.is_private = a->is_private || a->password.p != NULL, .users = a->members,
	};

	op->caught = members_blamed;
	room_create(op, &plan, channel_created);
}

static void create_channel(struct op *op, const void *args)
{
	const struct create_args *a = args;

	op->state = a;
	if (a->password.p != NULL)
		password_hash(op, a->password, create_with);
	else
		create_with(op, &STR_NONE);
}

/* --- Members --- */

static void members_listed(struct op *op, const void *result)
{
	const struct room_members *list = result;
	struct buf json = { 0 };
	struct json_out j = open_list(&json);

	for (size_t i = 0; i < list->n; i++)
		channels_put_member(&j, &list->v[i]);
	page_reply(op, &json, &j, list->next);
}

static void room_is_channel(struct op *op, const void *result UNUSED)
{
	const struct subject *s = op->state;
	const struct member_args *a = s->args;

	room_members(op, a->room, a->after, page_limit(a->limit, LIST_MAX), members_listed);
}

static void list_members(struct op *op, const void *args)
{
	const struct member_args *a = args;

	ask(op, a->room, WANT_CHANNEL, a);
	room_enter(op, a->room, WANT_CHANNEL, room_is_channel);
}

static void members_added(struct op *op, const void *result)
{
	const struct strs *added = result;
	struct buf json = { 0 };
	struct json_out j = open_list(&json);

	for (size_t i = 0; i < added->n; i++)
		json_str(&j, added->v[i]);
	json_close(&j, ']');
	api_reply(op, &json);
}

static void add_members(struct op *op, const void *args)
{
	const struct member_args *a = args;

	ask(op, a->room, WANT_CHANNEL, a);
	room_add(op, a->room, a->users, members_added);
}

static void member_removed(struct op *op, const void *result UNUSED)
{
	op_reply(op, STR("{}"));
}

static void remove_member(struct op *op, const void *args)
{
	const struct member_args *a = args;

	ask(op, a->room, WANT_CHANNEL, a);
	room_remove(op, a->room, a->user, member_removed);
}

/* --- Conversations --- */

static void conversations_listed(struct op *op, const void *list)
{
	reply_rooms(op, list, channels_put_conversation);
}

static void list_conversations(struct op *op, const void *args)
{
	const struct list_args *a = args;

	room_list(op, WANT_DIRECT, a->after, page_limit(a->limit, LIST_MAX), conversations_listed);
}

static void conversation_found(struct op *op, const void *result)
{
	const struct room_entry *entry = result;
	struct buf json = { 0 };
	struct json_out j = open_data(&json);

	op->status = entry->made ? 201 : 200;
	channels_put_conversation(&j, &entry->room);
	api_reply(op, &json);
}

static void converse(struct op *op, const void *args)
{
	op->caught = user_blamed;
	room_direct(op, ((const struct converse_args *)args)->user, conversation_found);
}

/* --- History --- */

static void page_read(struct op *op, const void *result)
{
	const struct message_page *page = result;
	const struct subject *s = op->state;
	const struct page_args *a = s->args;
	const int64_t number = page_limit(a->page, 1);
	const int64_t limit = page_limit(a->limit, MESSAGES_DEFAULT);
	struct buf json = { 0 };
	struct json_out j = open_list(&json);

	for (size_t i = 0; i < page->n; i++)
		channels_put_message(&j, &page->v[i]);
	json_close(&j, ']');
	json_put_int(&j, "page", number);
	json_put_int(&j, "limit", limit);
	json_put_int(&j, "total", page->total);
	json_put_bool(&j, "hasMore", number * limit < page->total);
	api_reply(op, &json);
}

static void read_page(struct op *op, enum want want, const struct page_args *a)
{
	ask(op, a->room, want, a);
	message_page(op, a->room, want, page_limit(a->page, 1),
	             page_limit(a->limit, MESSAGES_DEFAULT), page_read);
}

static void list_messages(struct op *op, const void *args)
{
	read_page(op, WANT_CHANNEL, args);
}

static void list_direct_messages(struct op *op, const void *args)
{
	read_page(op, WANT_DIRECT, args);
}

#define ROUTE(request, fields, args, handler) \
	{ .name = (request), .schema = (fields), .size = sizeof(struct args), \
	  .needs = NEEDS_USER, .handle = (handler) }

extern const struct api_route routes_channels[];
const struct api_route routes_channels[] = {
	ROUTE("GET /api/channels", list_schema, list_args, list_channels),
	ROUTE("POST /api/channels", create_schema, create_args, create_channel),
	ROUTE("GET /api/channels/:id/members", members_schema, member_args, list_members),
	ROUTE("POST /api/channels/:id/members", add_schema, member_args, add_members),
	ROUTE("DELETE /api/channels/:id/members/:userId", remove_schema, member_args,
	      remove_member),
	ROUTE("GET /api/conversations", list_schema, list_args, list_conversations),
	ROUTE("POST /api/conversations", converse_schema, converse_args, converse),
	ROUTE("GET /api/messages", messages_schema, page_args, list_messages),
	ROUTE("GET /api/conversations/:id/messages", direct_messages_schema, page_args,
	      list_direct_messages),
	{ 0 }
};

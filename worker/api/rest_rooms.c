/* The REST of the notifications API (docs/notifications.md): making rooms, posting, inviting and
 * leaving, which others are notified of, and reading. */
#include "worker/api/api.h"
#include "worker/api/notifications_shape.h"
#include "worker/api/page.h"
#include "worker/domain/message.h"

enum {
	LIST_MAX = 1000, POSTS_MAX = 100, POSTS_DEFAULT = 50, ROOM_NAME_MAX = 64,
	CONTENT_MAX = 2000, CLIENT_ID_MAX = 64,
};

/* --- Arguments --- */

struct list_args { struct str after; int64_t limit; };
struct create_args { struct str name; struct strs users; };
struct room_args { struct str room, after; int64_t limit; };
struct invite_args { struct str room; struct strs users; };
struct post_args { struct str room, content, client_message_id; };
struct posts_args { struct str room, before; int64_t limit; };

/* Of the path: always there, but after the body was decoded. */
#define ROOM_ID(args) FIELD_AS(args, room, "roomId", F_ID)
#define LIST_PAGE(args) \
	FIELD(args, after, F_STR), \
	FIELD(args, limit, F_INT, .min = 1, .max = LIST_MAX)

static const struct field list_schema[] = { LIST_PAGE(list_args), { 0 } };
static const struct field create_schema[] = {
	FIELD(create_args, name, F_STR, .min = 1, .max = ROOM_NAME_MAX),
	FIELD(create_args, users, F_IDS, .max = LIST_MAX, .required = true),
	{ 0 }
};
static const struct field room_schema[] = { ROOM_ID(room_args), LIST_PAGE(room_args), { 0 } };
static const struct field invite_schema[] = {
	ROOM_ID(invite_args),
	FIELD(invite_args, users, F_IDS, .min = 1, .max = LIST_MAX, .required = true),
	{ 0 }
};
static const struct field leave_schema[] = { ROOM_ID(room_args), { 0 } };
static const struct field post_schema[] = {
	ROOM_ID(post_args),
	FIELD(post_args, content, F_STR, .min = 1, .max = CONTENT_MAX, .required = true),
	FIELD_AS(post_args, client_message_id, "clientMessageId", F_STR, .min = 1,
	         .max = CLIENT_ID_MAX),
	{ 0 }
};
static const struct field posts_schema[] = {
	ROOM_ID(posts_args),
	FIELD(posts_args, before, F_STR),
	FIELD(posts_args, limit, F_INT, .min = 1, .max = POSTS_MAX),
	{ 0 }
};

/* --- Refusals --- */

/* The domain blames its `room` for what a client calls `roomId`; and it forbids nothing here but
 * to write to somebody who is gone. */
static bool room_refused(struct op *op, const struct fault *fault)
{
	if (fault->code == ERR_FORBIDDEN) {
		op_fail(op, ERR_FORBIDDEN, NULL, "The other user has been deleted");
		return true;
	}
	if (fault->code != ERR_INVALID || !str_eqz(fault->field, "room"))
		return false;
	struct fault renamed = *fault;
	renamed.field = STR("roomId");
	op_fault(op, &renamed);
	return true;
}

/* --- Answers --- */

static struct json_out open_object(struct buf *json)
{
	struct json_out j = json_out(json);

	json_open(&j, '{');
	return j;
}

static void open_list(struct json_out *j, const char *key)
{
	json_key(j, key);
	json_open(j, '[');
}

static void done(struct op *op, const void *result UNUSED)
{
	op_reply(op, STR("{}"));
}

/* --- Rooms --- */

static void room_created(struct op *op, const void *result)
{
	const struct room_entry *entry = result;
	struct buf json = { 0 };
	struct json_out j = open_object(&json);

	op->status = 201;
	json_put_str(&j, "roomId", entry->room.id);
	api_reply(op, &json);
}

static void create_room(struct op *op, const void *args)
{
	const struct create_args *a = args;
	const struct room_plan plan = {
		.kind = ROOM_GROUP, .name = a->name, .is_private = true, .users = a->users,
	};

	room_create(op, &plan, room_created);
}

static void rooms_listed(struct op *op, const void *result)
{
	const struct room_list *list = result;
	struct buf json = { 0 };
	struct json_out j = open_object(&json);

	open_list(&j, "rooms");
	for (size_t i = 0; i < list->n; i++)
		notifications_put_room(&j, &list->v[i]);
	page_reply(op, &json, &j, list->next);
}

static void list_rooms(struct op *op, const void *args)
{
	const struct list_args *a = args;

	room_list(op, WANT_ANY, a->after, page_limit(a->limit, LIST_MAX), rooms_listed);
}

static void room_shown(struct op *op, const void *result)
{
	const struct room_view *view = result;
	struct buf json = { 0 };
	struct json_out j = open_object(&json);

	notifications_put_names(&j, &view->room);
	open_list(&j, "users");
	for (size_t i = 0; i < view->n; i++)
		notifications_put_user(&j, &view->v[i]);
	page_reply(op, &json, &j, view->next);
}

static void show_room(struct op *op, const void *args)
{
	const struct room_args *a = args;

	room_show(op, a->room, a->after, page_limit(a->limit, LIST_MAX), room_shown);
}

/* --- Members --- */

static void users_invited(struct op *op, const void *result)
{
	const struct strs *added = result;
	struct buf json = { 0 };
	struct json_out j = open_object(&json);

	open_list(&j, "added");
	for (size_t i = 0; i < added->n; i++)
		json_str(&j, added->v[i]);
	json_close(&j, ']');
	api_reply(op, &json);
}

static void invite(struct op *op, const void *args)
{
	const struct invite_args *a = args;

	op->caught = room_refused;
	room_invite(op, a->room, a->users, users_invited);
}

static void leave_room(struct op *op, const void *args)
{
	const struct room_args *a = args;

	op->caught = room_refused;
	room_remove(op, a->room, op->user, done);
}

/* --- Posts --- */

static void posted(struct op *op, const void *result)
{
	const struct message *m = result;
	struct buf json = { 0 };
	struct json_out j = open_object(&json);

	op->status = 201;
	json_put_str(&j, "postId", m->id);
	notifications_put_time(&j, "createdAt", m->created_at);
	api_reply(op, &json);
}

static void post(struct op *op, const void *args)
{
	const struct post_args *a = args;
	const struct draft draft = {
		.room = a->room, .want = WANT_ANY, .content = a->content,
		.client_message_id = a->client_message_id,
	};

	op->caught = room_refused;
	message_post(op, &draft, posted);
}

static void posts_read(struct op *op, const void *result)
{
	const struct message_list *page = result;
	struct buf json = { 0 };
	struct json_out j = open_object(&json);

	open_list(&j, "posts");
	for (size_t i = 0; i < page->n; i++)
		notifications_put_post(&j, &page->v[i]);
	page_reply(op, &json, &j, page->next);
}

static void read_posts(struct op *op, const void *args)
{
	const struct posts_args *a = args;

	message_fetch(op, a->room, a->before, page_limit(a->limit, POSTS_DEFAULT), posts_read);
}

#define ROUTE(request, fields, args, handler) \
	{ .name = (request), .schema = (fields), .size = sizeof(struct args), \
	  .needs = NEEDS_USER, .handle = (handler) }

extern const struct api_route routes_rooms[];
const struct api_route routes_rooms[] = {
	ROUTE("POST /room/create/", create_schema, create_args, create_room),
	ROUTE("POST /room/post/:roomId", post_schema, post_args, post),
	ROUTE("POST /room/invite/:roomId", invite_schema, invite_args, invite),
	ROUTE("POST /room/leave/:roomId", leave_schema, room_args, leave_room),
	ROUTE("GET /room/", list_schema, list_args, list_rooms),
	ROUTE("GET /room/:roomId", room_schema, room_args, show_room),
	ROUTE("GET /room/posts/:roomId", posts_schema, posts_args, read_posts),
	{ 0 }
};

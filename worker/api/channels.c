/* The channels API on Socket.IO (docs/channels.md): channels and direct conversations, which a
 * socket joins to hear them. Every event is answered through its acknowledgement, if one is asked
 * for. */
#include "common/clock.h"
#include "worker/api/api.h"
#include "worker/api/channels_shape.h"

enum { CONTENT_MAX = 2000, CLIENT_ID_MAX = 64 };

/* What differs between channels and conversations, beside the names in the schemas. */
struct place {
	enum want want;
	const char *key;             /* what a room's id is called */
	const char *joined, *left;   /* events */
	const char *denied;
};

static const struct place channel = {
	.want = WANT_CHANNEL, .key = "channelId",
	.joined = "joined_channel", .left = "left_channel",
	.denied = "Access denied to channel",
};
static const struct place conversation = {
	.want = WANT_DIRECT, .key = "conversationId",
	.joined = "conversation_joined", .left = "conversation_left",
	.denied = "Access denied to conversation",
};

/* What a request under way is about; op->state. */
struct request {
	const struct place *place;
	struct str room;
	const char *not_author;      /* why only the author may; NULL if anybody may */
};

/* --- Arguments --- */

struct room_args { struct str room; };
struct send_args { struct str room, content, reply_to, attachments, client_message_id; };
struct edit_args { struct str message, room, content; };

#define CONTENT(args) FIELD(args, content, F_STR, .min = 1, .max = CONTENT_MAX, .required = true)
#define ROOM(args, key) FIELD_AS(args, room, key, F_ID, .required = true)
#define MESSAGE(args) FIELD_AS(args, message, "messageId", F_ID, .required = true)
#define SEND_OPTIONS \
	FIELD_AS(send_args, reply_to, "replyToId", F_ID), \
	FIELD(send_args, attachments, F_ARRAY), \
	FIELD_AS(send_args, client_message_id, "clientMessageId", F_STR, .min = 1, \
	         .max = CLIENT_ID_MAX)

static const struct field room_schema[] = { ROOM(room_args, "channelId"), { 0 } };
static const struct field direct_schema[] = { ROOM(room_args, "conversationId"), { 0 } };
static const struct field send_schema[] = {
	CONTENT(send_args), ROOM(send_args, "channelId"), SEND_OPTIONS, { 0 }
};
static const struct field send_direct_schema[] = {
	CONTENT(send_args), ROOM(send_args, "conversationId"), SEND_OPTIONS, { 0 }
};
static const struct field edit_schema[] = {
	MESSAGE(edit_args), CONTENT(edit_args), ROOM(edit_args, "channelId"), { 0 }
};
static const struct field edit_direct_schema[] = {
	MESSAGE(edit_args), CONTENT(edit_args), ROOM(edit_args, "conversationId"), { 0 }
};
static const struct field delete_schema[] = {
	MESSAGE(edit_args), ROOM(edit_args, "channelId"), { 0 }
};
static const struct field delete_direct_schema[] = {
	MESSAGE(edit_args), ROOM(edit_args, "conversationId"), { 0 }
};

/* --- Failures --- */

/* The domain's words, turned into those for this place. */
static bool refused(struct op *op, const struct fault *fault)
{
	const struct request *r = op->state;

	switch (fault->code) {
	case ERR_NO_ROOM:
	case ERR_NOT_MEMBER:
	case ERR_FORBIDDEN:
		op_fail(op, fault->code, NULL, r->place->denied);
		return true;
	case ERR_NOT_AUTHOR:
		op_fail(op, fault->code, NULL, r->not_author);
		return true;
	case ERR_INVALID:
		if (!str_eqz(fault->field, "replyTo"))
			return false;
		op_fail(op, ERR_INVALID, "replyToId", "is not a message of this room");
		return true;
	default:
		return false;
	}
}

static struct str fault_text(struct op *op, const struct fault *fault)
{
	const struct api_event *row = api_row(op);

	switch (fault->code) {
	case ERR_INVALID:
		return op_text(op, "Invalid message data: %.*s%s%.*s", STR_ARG(fault->field),
		               fault->field.len ? " " : "", STR_ARG(fault->detail));
	case ERR_INTERNAL:
	case ERR_UNAVAILABLE:
		return str_z(row != NULL ? row->failure : err_text(fault->code));
	case ERR_USER_DELETED:
		return str_z(err_text(ERR_UNAUTHENTICATED));
	case ERR_NO_MESSAGE:
	case ERR_MESSAGE_DELETED:
	case ERR_RATE:
		return str_z(err_text(fault->code));
	default:
		return fault->detail.len ? fault->detail : str_z(err_text(fault->code));
	}
}

static struct str channels_error(struct op *op, const struct fault *fault)
{
	struct buf json = { 0 };
	struct json_out j = json_out(&json);

	json_open(&j, '{');
	json_put_bool(&j, "ok", false);
	json_put_str(&j, "error", fault_text(op, fault));
	json_close(&j, '}');
	const struct str answer = arena_str(&op->arena, buf_view(&json));
	buf_fini(&json);
	return answer;
}

/* Emits an event whose argument is an object of one text. */
static void emit_text(struct op *op, const char *event, const char *key, struct str text)
{
	struct buf json = { 0 };
	struct json_out j = json_out(&json);

	json_open(&j, '{');
	json_put_str(&j, key, text);
	json_close(&j, '}');
	api_emit(op, event, buf_view(&json));
	buf_fini(&json);
}

static void channels_emit_error(struct op *op, const struct fault *fault)
{
	emit_text(op, "error", "message", fault_text(op, fault));
}

static void channels_expired(struct op *op)
{
	emit_text(op, "error", "message", str_z(err_text(ERR_UNAUTHENTICATED)));
}

/* --- Handlers --- */

static struct json_out open_ok(struct buf *json)
{
	struct json_out j = json_out(json);

	json_open(&j, '{');
	json_put_bool(&j, "ok", true);
	return j;
}

static void ask(struct op *op, const struct place *place, struct str room, const char *not_author)
{
	struct request *r = arena_alloc(&op->arena, sizeof(*r));

	*r = (struct request){ .place = place, .room = room, .not_author = not_author };
	op->state = r;
	op->caught = refused;
}

/* Says that the socket came or went, to itself and through the acknowledgement. */
static void tell_place(struct op *op, const char *event)
{
	const struct request *r = op->state;
	struct buf json = { 0 };
	struct json_out j = open_ok(&json);

	emit_text(op, event, r->place->key, r->room);
	json_put_str(&j, r->place->key, r->room);
	api_reply(op, &json);
}

static void enter(struct op *op);

static void place_entered(struct op *op, const void *result)
{
	const struct request *r = op->state;
	const struct room_entry *entry = result;

	if (api_join(op, room_feed(op, r->room), entry->stamp, enter))
		tell_place(op, r->place->joined);
}

static void enter(struct op *op)
{
	const struct request *r = op->state;

	op->caught = refused;
	room_enter(op, r->room, r->place->want, place_entered);
}

static void join_channel(struct op *op, const void *args)
{
	ask(op, &channel, ((const struct room_args *)args)->room, NULL);
	enter(op);
}

static void join_conversation(struct op *op, const void *args)
{
	ask(op, &conversation, ((const struct room_args *)args)->room, NULL);
	enter(op);
}

static void leave(struct op *op, const struct place *place, const struct room_args *a)
{
	ask(op, place, a->room, NULL);
	api_leave(op, room_feed(op, a->room));
	tell_place(op, place->left);
}

static void leave_channel(struct op *op, const void *args)
{
	leave(op, &channel, args);
}

static void leave_conversation(struct op *op, const void *args)
{
	leave(op, &conversation, args);
}

/* Posted or edited: the acknowledgement has the message as it is now. */
static void message_told(struct op *op, const void *result)
{
	struct buf json = { 0 };

	if (op->ack.p == NULL) {
		op_reply(op, STR_NONE);
		return;
	}
	struct json_out j = open_ok(&json);
	json_key(&j, "message");
	channels_put_message(&j, result);
	api_reply(op, &json);
}

static void post(struct op *op, const struct place *place, const struct send_args *a)
{
	const struct draft draft = {
		.room = a->room, .want = place->want, .content = a->content,
		.reply_to = a->reply_to, .attachments = a->attachments,
		.client_message_id = a->client_message_id,
	};

	ask(op, place, a->room, NULL);
	message_post(op, &draft, message_told);
}

static void send_message(struct op *op, const void *args)
{
	post(op, &channel, args);
}

static void send_direct_message(struct op *op, const void *args)
{
	post(op, &conversation, args);
}

static void edit(struct op *op, const struct place *place, const struct edit_args *a)
{
	const struct message_ref ref = { .id = a->message, .room = a->room, .want = place->want };

	ask(op, place, a->room, "You can only edit your own messages");
	message_edit(op, &ref, a->content, message_told);
}

static void edit_message(struct op *op, const void *args)
{
	edit(op, &channel, args);
}

static void edit_direct_message(struct op *op, const void *args)
{
	edit(op, &conversation, args);
}

static void message_gone(struct op *op, const void *result UNUSED)
{
	struct buf json = { 0 };

	open_ok(&json);
	api_reply(op, &json);
}

static void erase(struct op *op, const struct place *place, const struct edit_args *a)
{
	const struct message_ref ref = { .id = a->message, .room = a->room, .want = place->want };

	ask(op, place, a->room, "You can only delete your own messages");
	message_delete(op, &ref, message_gone);
}

static void delete_message(struct op *op, const void *args)
{
	erase(op, &channel, args);
}

static void delete_direct_message(struct op *op, const void *args)
{
	erase(op, &conversation, args);
}

static void ping(struct op *op, const void *args UNUSED)
{
	const int64_t now = clock_wall_ms();
	struct buf json = { 0 };
	struct json_out j = open_ok(&json);

	api_emit(op, "pong", op_text(op, "{\"timestamp\":%lld}", (long long)now));
	json_put_int(&j, "timestamp", now);
	api_reply(op, &json);
}

/* --- Connection --- */

static void user_greeted(struct op *op, const void *result)
{
	const struct user *user = &((const struct user_entry *)result)->user;
	struct buf json = { 0 };
	struct json_out j = json_out(&json);

	json_open(&j, '{');
	json_put_str(&j, "userId", user->id);
	json_key(&j, "user");
	json_open(&j, '{');
	json_put_str(&j, "id", user->id);
	json_put_str(&j, "name", user->name);
	if (user->email.p != NULL)
		json_put_str(&j, "email", user->email);
	json_close(&j, '}');
	json_close(&j, '}');
	api_accept(op);
	api_emit(op, "authenticated", buf_view(&json));
	buf_fini(&json);
	op_reply(op, STR_NONE);
}

static void hello(struct op *op, const struct handshake *h)
{
	api_authenticate(op, api_token(op, h), user_greeted);
}

#define EVENT_ROW(event, fields, args, handler, excuse) \
	{ .name = (event), .schema = (fields), .size = sizeof(struct args), .handle = (handler), \
	  .failure = (excuse) }

static const struct api_event events[] = {
	EVENT_ROW("join_channel", room_schema, room_args, join_channel, "Failed to join channel"),
	EVENT_ROW("leave_channel", room_schema, room_args, leave_channel,
	          "Failed to leave channel"),
	EVENT_ROW("send_message", send_schema, send_args, send_message, "Failed to send message"),
	EVENT_ROW("edit_message", edit_schema, edit_args, edit_message, "Failed to edit message"),
	EVENT_ROW("delete_message", delete_schema, edit_args, delete_message,
	          "Failed to delete message"),
	EVENT_ROW("join_conversation", direct_schema, room_args, join_conversation,
	          "Failed to join conversation"),
	EVENT_ROW("leave_conversation", direct_schema, room_args, leave_conversation,
	          "Failed to leave conversation"),
	EVENT_ROW("send_direct_message", send_direct_schema, send_args, send_direct_message,
	          "Failed to send message"),
	EVENT_ROW("edit_direct_message", edit_direct_schema, edit_args, edit_direct_message,
	          "Failed to edit message"),
	EVENT_ROW("delete_direct_message", delete_direct_schema, edit_args, delete_direct_message,
	          "Failed to delete message"),
	{ .name = "ping", .handle = ping, .failure = "Failed to ping" },
	{ 0 }
};

const struct api api_channels = {
	.name = "channels", .recovers = true, .events = events, .hello = hello, .encode = channels_encode,
	.error = channels_error, .emit_error = channels_emit_error, .expired = channels_expired,
};

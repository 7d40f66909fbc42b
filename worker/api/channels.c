/* The channels API on Socket.IO (docs/channels.md): channels and direct conversations, which a
 * socket joins to hear them. Each handler serves both: its row says of which. Every event is
 * answered through its acknowledgement, if one is asked for. */
#include "common/clock.h"
#include "worker/api/api.h"
#include "worker/api/channels_shape.h"
#include "worker/domain/upload.h"

enum { CONTENT_MAX = 2000, EMOJI_MAX = 10, CLIENT_ID_MAX = 64, ATTACHMENTS_MAX = 10 };

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

/* What an event under way is about; op->state. */
struct subject {
	const struct place *place;
	struct str room;
	const struct place *target;  /* forwards: where to */
	const char *not_author;      /* why only the author may; NULL if anybody may */
};

/* --- Arguments --- */

struct room_args { struct str room; };
struct send_args { struct str room, content, reply_to, attachments, client_message_id; };
struct message_args { struct str message, room, content, emoji; };
struct forward_args { struct str message, channel, conversation, target, client_message_id; };

#define ROOM(args, key) FIELD_AS(args, room, key, F_ID, .required = true)
#define MESSAGE(args) FIELD_AS(args, message, "messageId", F_ID, .required = true)
#define CONTENT(args) FIELD(args, content, F_STR, .min = 1, .max = CONTENT_MAX, .required = true)
#define EMOJI FIELD(message_args, emoji, F_STR, .min = 1, .max = EMOJI_MAX, .required = true)
#define CLIENT_ID(args) \
	FIELD_AS(args, client_message_id, "clientMessageId", F_STR, .min = 1, .max = CLIENT_ID_MAX)

/* Each shape twice: for a channel, and for a conversation. */
#define ROOM_FIELDS(key) { ROOM(room_args, key), { 0 } }
#define SEND_FIELDS(key) { \
	CONTENT(send_args), ROOM(send_args, key), \
	FIELD_AS(send_args, reply_to, "replyToId", F_ID), \
	FIELD(send_args, attachments, F_ARRAY, .max = ATTACHMENTS_MAX), \
	CLIENT_ID(send_args), { 0 } }
#define EDIT_FIELDS(key) { \
	MESSAGE(message_args), CONTENT(message_args), ROOM(message_args, key), { 0 } }
#define DELETE_FIELDS(key) { MESSAGE(message_args), ROOM(message_args, key), { 0 } }
#define REACT_FIELDS(key) { MESSAGE(message_args), EMOJI, ROOM(message_args, key), { 0 } }
#define FORWARD_FIELDS(key) { \
	MESSAGE(forward_args), FIELD_AS(forward_args, channel, "channelId", F_ID), \
	FIELD_AS(forward_args, conversation, "conversationId", F_ID), \
	FIELD_AS(forward_args, target, key, F_ID, .required = true), \
	CLIENT_ID(forward_args), { 0 } }

static const struct field room_schema[] = ROOM_FIELDS("channelId");
static const struct field direct_schema[] = ROOM_FIELDS("conversationId");
static const struct field send_schema[] = SEND_FIELDS("channelId");
static const struct field send_direct_schema[] = SEND_FIELDS("conversationId");
static const struct field edit_schema[] = EDIT_FIELDS("channelId");
static const struct field edit_direct_schema[] = EDIT_FIELDS("conversationId");
static const struct field delete_schema[] = DELETE_FIELDS("channelId");
static const struct field delete_direct_schema[] = DELETE_FIELDS("conversationId");
static const struct field react_schema[] = REACT_FIELDS("channelId");
static const struct field react_direct_schema[] = REACT_FIELDS("conversationId");
static const struct field forward_schema[] = FORWARD_FIELDS("targetChannelId");
static const struct field forward_direct_schema[] = FORWARD_FIELDS("targetConversationId");

/* --- Failures --- */

/* The domain's words, turned into those for this place. */
static bool refused(struct op *op, const struct fault *fault)
{
	const struct subject *s = op->state;
	const bool target = str_eqz(fault->field, "targetRoom");

	switch (fault->code) {
	case ERR_NO_ROOM:
	case ERR_NOT_MEMBER:
	case ERR_FORBIDDEN:
		op_fail(op, fault->code, NULL, (target ? s->target : s->place)->denied);
		return true;
	case ERR_NOT_AUTHOR:
		op_fail(op, fault->code, NULL, s->not_author);
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

static const struct place *place_of(const struct op *op)
{
	return api_row(op)->with;
}

static void ask(struct op *op, const struct subject *about)
{
	struct subject *s = arena_alloc(&op->arena, sizeof(*s));

	*s = *about;
	op->state = s;
	op->caught = refused;
}

/* Says that the socket came or went, to itself and through the acknowledgement. */
static void tell_place(struct op *op, const char *event)
{
	const struct subject *s = op->state;
	struct buf json = { 0 };
	struct json_out j = open_ok(&json);

	emit_text(op, event, s->place->key, s->room);
	json_put_str(&j, s->place->key, s->room);
	api_reply(op, &json);
}

static void enter(struct op *op);

static void place_entered(struct op *op, const void *result)
{
	const struct subject *s = op->state;
	const struct room_entry *entry = result;

	if (api_join(op, room_feed(op, s->room), entry->stamp, enter))
		tell_place(op, s->place->joined);
}

static void enter(struct op *op)
{
	const struct subject *s = op->state;

	op->caught = refused;
	room_enter(op, s->room, s->place->want, place_entered);
}

static void join(struct op *op, const void *args)
{
	const struct room_args *a = args;

	ask(op, &(struct subject){ .place = place_of(op), .room = a->room });
	enter(op);
}

static void place_left(struct op *op, const void *result UNUSED)
{
	const struct subject *s = op->state;

	api_leave(op, room_feed(op, s->room));
	tell_place(op, s->place->left);
}

/* The session leaves first: a room that the client was told it had left must not come back. */
static void leave(struct op *op, const void *args)
{
	const struct room_args *a = args;

	ask(op, &(struct subject){ .place = place_of(op), .room = a->room });
	if (op->session.p != NULL)
		session_unfollow(op, a->room, place_left);
	else
		place_left(op, NULL);
}

/* Posted, edited or forwarded: the acknowledgement has the message as it is now. */
static void message_told(struct op *op, const void *result)
{
	struct buf json = { 0 };
	struct json_out j = open_ok(&json);

	json_key(&j, "message");
	channels_put_message(&j, result);
	api_reply(op, &json);
}

/* Without an acknowledgement nobody reads what was made. */
static op_fn *message_told_to(const struct op *op)
{
	return op->ack.p != NULL ? message_told : NULL;
}

struct reference { struct str id; };

static const struct field reference_schema[] = {
	FIELD(reference, id, F_ID, .required = true),
	{ 0 }
};

/* The ids in an array of Attachments: what else clients say of them does not count. */
static bool read_attachments(struct op *op, struct str array, struct strs *out)
{
	struct str *ids = arena_alloc(&op->arena, ATTACHMENTS_MAX * sizeof(*ids));
	struct json_iter it = json_iter(array);
	struct reference reference;
	struct fault why;
	struct str value;

	*out = (struct strs){ ids, 0 };
	while (array.len > 0 && json_next(&it, NULL, &value)) {
		reference.id = STR_NONE;
		if (json_type(value) != JSON_OBJECT ||
		    schema_decode(reference_schema, value, &op->arena, &reference, &why) != ERR_OK)
			return false;
		/* A JSON object would be stored as it is. */
		if (!upload_id_valid(reference.id))
			return false;
		ids[out->n++] = reference.id;
	}
	return true;
}

static void send_message(struct op *op, const void *args)
{
	const struct send_args *a = args;
	struct draft draft = {
		.room = a->room, .want = place_of(op)->want, .content = a->content,
		.reply_to = a->reply_to, .client_message_id = a->client_message_id,
	};

	if (!read_attachments(op, a->attachments, &draft.attachments)) {
		op_fail(op, ERR_INVALID, "attachments", "name an unknown upload");
		return;
	}

	ask(op, &(struct subject){ .place = place_of(op) });
	message_post(op, &draft, message_told_to(op));
}

/* The message that an event is about. */
static struct message_ref ask_of(struct op *op, const struct message_args *a,
                                 const char *not_author)
{
	const struct place *place = place_of(op);

	ask(op, &(struct subject){ .place = place, .not_author = not_author });
	return (struct message_ref){ .id = a->message, .room = a->room, .want = place->want };
}

static void edit_message(struct op *op, const void *args)
{
	const struct message_args *a = args;
	const struct message_ref ref = ask_of(op, a, "You can only edit your own messages");

	message_edit(op, &ref, a->content, message_told_to(op));
}

static void is_done(struct op *op, const void *result UNUSED)
{
	struct buf json = { 0 };

	open_ok(&json);
	api_reply(op, &json);
}

static void delete_message(struct op *op, const void *args)
{
	const struct message_ref ref = ask_of(op, args, "You can only delete your own messages");

	message_delete(op, &ref, is_done);
}

static void reaction_told(struct op *op, const void *result)
{
	struct buf json = { 0 };
	struct json_out j = open_ok(&json);

	if (result != NULL) {
		json_key(&j, "reaction");
		channels_put_reaction(&j, result);
	}
	api_reply(op, &json);
}

static void add_reaction(struct op *op, const void *args)
{
	const struct message_args *a = args;
	const struct message_ref ref = ask_of(op, a, NULL);

	message_react(op, &ref, a->emoji, reaction_told);
}

static void remove_reaction(struct op *op, const void *args)
{
	const struct message_args *a = args;
	const struct message_ref ref = ask_of(op, a, NULL);

	message_unreact(op, &ref, a->emoji, is_done);
}

/* What is forwarded to a conversation is named by its id alone; its room may be named, too. */
static void forward_message(struct op *op, const void *args)
{
	const struct forward_args *a = args;
	const struct place *target = place_of(op);
	struct forward f = {
		.original = { .id = a->message, .room = a->channel, .want = WANT_CHANNEL },
		.room = a->target, .want = target->want,
		.client_message_id = a->client_message_id,
	};

	if (a->channel.p == NULL && a->conversation.p == NULL && target == &channel) {
		op_fail(op, ERR_INVALID, channel.key, "is required");
		return;
	}
	if (a->channel.p == NULL)
		f.original = (struct message_ref){ a->message, a->conversation, WANT_DIRECT };
	ask(op, &(struct subject){
		.place = a->channel.p != NULL ? &channel : &conversation, .target = target });
	message_forward(op, &f, message_told_to(op));
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

#define EVENT_ROW(event, place, fields, args, handler, excuse) \
	{ .name = (event), .with = &(place), .schema = (fields), .size = sizeof(struct args), \
	  .handle = (handler), .failure = (excuse) }

static const struct api_event events[] = {
	EVENT_ROW("join_channel", channel, room_schema, room_args, join, "Failed to join channel"),
	EVENT_ROW("leave_channel", channel, room_schema, room_args, leave,
	          "Failed to leave channel"),
	EVENT_ROW("send_message", channel, send_schema, send_args, send_message,
	          "Failed to send message"),
	EVENT_ROW("edit_message", channel, edit_schema, message_args, edit_message,
	          "Failed to edit message"),
	EVENT_ROW("delete_message", channel, delete_schema, message_args, delete_message,
	          "Failed to delete message"),
	EVENT_ROW("forward_message", channel, forward_schema, forward_args, forward_message,
	          "Failed to forward message"),
	EVENT_ROW("add_reaction", channel, react_schema, message_args, add_reaction,
	          "Failed to add reaction"),
	EVENT_ROW("remove_reaction", channel, react_schema, message_args, remove_reaction,
	          "Failed to remove reaction"),
	EVENT_ROW("join_conversation", conversation, direct_schema, room_args, join,
	          "Failed to join conversation"),
	EVENT_ROW("leave_conversation", conversation, direct_schema, room_args, leave,
	          "Failed to leave conversation"),
	EVENT_ROW("send_direct_message", conversation, send_direct_schema, send_args, send_message,
	          "Failed to send message"),
	EVENT_ROW("edit_direct_message", conversation, edit_direct_schema, message_args,
	          edit_message, "Failed to edit message"),
	EVENT_ROW("delete_direct_message", conversation, delete_direct_schema, message_args,
	          delete_message, "Failed to delete message"),
	EVENT_ROW("forward_to_direct", conversation, forward_direct_schema, forward_args,
	          forward_message, "Failed to forward message"),
	EVENT_ROW("add_direct_reaction", conversation, react_direct_schema, message_args,
	          add_reaction, "Failed to add reaction"),
	EVENT_ROW("remove_direct_reaction", conversation, react_direct_schema, message_args,
	          remove_reaction, "Failed to remove reaction"),
	{ .name = "ping", .handle = ping, .failure = "Failed to ping" },
	{ 0 }
};

const struct api api_channels = {
	.name = "channels", .recovers = true, .events = events, .hello = hello,
	.encode = channels_encode, .error = channels_error, .emit_error = channels_emit_error,
	.expired = channels_expired,
};

/* The gateway API on Socket.IO (docs/gateway.md): channels and direct conversations by name, which
 * a socket hears by its user's being in them. What is asked is answered by an event for success or
 * one for failure, and the same goes through the acknowledgement, if one is asked for. */
#include "worker/api/api.h"
#include "worker/api/gateway_shape.h"
#include "worker/domain/hasher.h"

enum { TEXT_MAX = 128, NAME_MAX_CHARS = 64, CLIENT_ID_MAX = 64 };

/* How an event of clients is answered, beside what its row says. */
struct answers {
	const char *success, *error; /* events */
	const char *taken, *forbidden;       /* texts for these refusals */
};

static const struct answers sent_answers = {
	.success = "sendMessageSuccess", .error = "sendMessageError",
	.forbidden = "The other user has deleted the account",
};
static const struct answers created_answers = {
	.success = "createChannelSuccess", .error = "createChannelError",
	.taken = "There is a channel of that name already",
};
static const struct answers joined_answers = {
	.success = "joinChannelSuccess", .error = "joinChannelError",
	.taken = "You are in this channel already",
	.forbidden = "This channel is by invitation only",
};
static const struct answers left_answers = {
	.success = "leaveChannelSuccess", .error = "leaveChannelError",
};

/* --- Arguments --- */

struct send_args { struct str room, text, client_message_id; };
struct create_args { struct str name, status, password; };
struct join_args { struct str name, password; };
struct leave_args { struct str name; };

static const struct field send_schema[] = {
	FIELD(send_args, room, F_STR, .min = 1, .required = true),
	FIELD(send_args, text, F_STR, .min = 1, .max = TEXT_MAX, .required = true),
	FIELD_AS(send_args, client_message_id, "clientMessageId", F_STR, .min = 1,
	         .max = CLIENT_ID_MAX),
	{ 0 }
};
static const struct field create_schema[] = {
	FIELD(create_args, name, F_STR, .min = 1, .max = NAME_MAX_CHARS, .required = true),
	FIELD(create_args, status, F_STR, .required = true),
	FIELD(create_args, password, F_STR),
	{ 0 }
};
static const struct field join_schema[] = {
	FIELD(join_args, name, F_STR, .min = 1, .required = true),
	FIELD(join_args, password, F_STR),
	{ 0 }
};
static const struct field leave_schema[] = {
	FIELD(leave_args, name, F_STR, .min = 1, .required = true), { 0 }
};

/* --- Failures --- */

static struct str text_or(const char *text, const struct fault *fault)
{
	return str_z(text != NULL ? text : err_text(fault->code));
}

static struct str invalid_text(struct op *op, const struct fault *fault)
{
	if (str_eqz(fault->field, "users"))
		return STR("You can't open a conversation with yourself");
	if (str_eqz(fault->field, "room") && str_eqz(fault->detail, "is direct"))
		return STR("A direct conversation can't be left");
	return op_text(op, "%.*s%s%.*s", STR_ARG(fault->field), fault->field.len > 0 ? " " : "",
	               STR_ARG(fault->detail));
}

/* Only wrong passwords are told with the time to wait where one joins. */
static struct str rate_text(struct op *op, const struct fault *fault, const struct answers *answers)
{
	if (answers == &joined_answers && fault->retry_after_s > 0)
		return op_text(op, "Too many wrong passwords: try again in %u s",
		               fault->retry_after_s);
	return str_z(err_text(ERR_RATE));
}

static struct str fault_text(struct op *op, const struct fault *fault)
{
	static const struct answers none = { 0 };
	const struct api_event *row = api_row(op);
	const struct answers *answers = row != NULL ? row->with : &none;

	switch (fault->code) {
	case ERR_INVALID:
		return invalid_text(op, fault);
	case ERR_INTERNAL:
	case ERR_UNAVAILABLE:
		return text_or(row != NULL ? row->failure : NULL, fault);
	case ERR_RATE:
		return rate_text(op, fault, answers);
	case ERR_TAKEN:
		return text_or(answers->taken, fault);
	case ERR_FORBIDDEN:
		if (str_eqz(fault->field, "password"))
			return STR("Wrong password");
		return text_or(answers->forbidden, fault);
	case ERR_NO_ROOM:
		return STR("There is no room of that name");
	case ERR_NOT_MEMBER:
		return STR("You are not in this room");
	case ERR_NO_USER:
		return STR("There is no user of that name");
	case ERR_FULL:
	case ERR_UNKNOWN_EVENT:
		return fault->detail;
	default:
		return str_z(err_text(fault->code));
	}
}

/* {"message": "…" */
static struct json_out open_body(struct buf *json, struct str message)
{
	struct json_out j = json_out(json);

	json_open(&j, '{');
	json_put_str(&j, "message", message);
	return j;
}

static struct str error(struct op *op, const struct fault *fault)
{
	struct buf json = { 0 };
	struct json_out j = open_body(&json, fault_text(op, fault));

	json_close(&j, '}');
	const struct str body = arena_str(&op->arena, buf_view(&json));
	buf_fini(&json);
	return body;
}

static void emit_error(struct op *op, const struct fault *fault)
{
	const struct api_event *row = api_row(op);
	const struct answers *answers = row != NULL ? row->with : NULL;

	api_emit(op, answers != NULL ? answers->error : "error", error(op, fault));
}

/* --- Handlers --- */

/* Ends the op with what `json` holds, but for its end. */
static void succeed(struct op *op, struct buf *json)
{
	const struct answers *answers = api_row(op)->with;

	buf_char(json, '}');
	api_emit(op, answers->success, buf_view(json));
	op_reply(op, buf_view(json));
	buf_fini(json);
}

static void message_sent(struct op *op, const void *result)
{
	const struct place_message *m = result;
	struct buf json = { 0 };
	struct json_out j = open_body(&json, STR("Message sent"));

	json_put_str(&j, "id", m->id);
	json_put_str(&j, "room", m->place);
	json_put_time(&j, "createdAt", m->created_at);
	succeed(op, &json);
}

static void send_message(struct op *op, const void *args)
{
	const struct send_args *a = args;
	const struct place_draft draft = {
		.place = a->room, .content = a->text, .client_message_id = a->client_message_id,
	};

	place_post(op, &draft, message_sent);
}

static void tell_created(struct op *op, const char *message, struct str name)
{
	const struct create_args *a = op->state;
	struct buf json = { 0 };
	struct json_out j = open_body(&json, str_z(message));

	json_put_str(&j, "name", name);
	json_put_str(&j, "status", a->status);
	succeed(op, &json);
}

static void direct_opened(struct op *op, const void *name)
{
	tell_created(op, "Conversation opened", *(const struct str *)name);
}

static void channel_created(struct op *op, const void *result)
{
	const struct room_entry *entry = result;

	tell_created(op, "Channel created", entry->room.name);
}

/* `hash`: of the password, a struct str. */
static void create_with(struct op *op, const void *hash)
{
	const struct create_args *a = op->state;
	const struct room_plan plan = {
		.kind = ROOM_CHANNEL, .name = a->name, .hash = *(const struct str *)hash,
		.is_private = str_eqz(a->status, "PRIVATE"),
	};

	room_create(op, &plan, channel_created);
}

/* A password is only for private channels; clients send one that was left empty, too. */
static void create_channel(struct op *op, const void *args)
{
	const struct create_args *a = args;

	op->state = a;
	if (str_eqz(a->status, "DIRECT"))
		place_direct(op, a->name, direct_opened);
	else if (str_eqz(a->status, "PUBLIC"))
		create_with(op, &STR_NONE);
	else if (!str_eqz(a->status, "PRIVATE"))
		op_fail(op, ERR_INVALID, "status", "must be PUBLIC, PRIVATE or DIRECT");
	else if (a->password.len == 0)
		op_fail(op, ERR_INVALID, "password", "is required for a private channel");
	else
		password_hash(op, a->password, create_with);
}

static void tell_done(struct op *op, const char *message, struct str name)
{
	struct buf json = { 0 };
	struct json_out j = open_body(&json, str_z(message));

	json_put_str(&j, "name", name);
	succeed(op, &json);
}

static void channel_joined(struct op *op, const void *name)
{
	tell_done(op, "Channel joined", *(const struct str *)name);
}

static void join_channel(struct op *op, const void *args)
{
	const struct join_args *a = args;

	place_join(op, a->name, a->password, channel_joined);
}

static void channel_left(struct op *op, const void *result UNUSED)
{
	const struct leave_args *a = op->state;

	tell_done(op, "Channel left", a->name);
}

static void leave_channel(struct op *op, const void *args)
{
	const struct leave_args *a = args;

	op->state = a;
	place_leave(op, a->name, channel_left);
}

/* --- Connection --- */

/* What the client hears of these rooms goes on where the history ends: what was told in between
 * came before it, and is told again. */
static void hear_on(struct op *op, const struct place_history *h)
{
	for (size_t i = 0; i < h->n; i++) {
		const struct str feed = room_feed(op, h->v[i].room);
		api_leave(op, feed);
		api_hear(op, feed, h->stamp);
	}
}

static void history_came(struct op *op, const void *result)
{
	const struct place_history *h = result;
	struct buf json = { 0 };
	struct json_out j = json_out(&json);

	/* A room may have been left since that was read. */
	if (hub_last(op->services->hub, user_feed(op, op->user)) > h->stamp) {
		place_history(op, history_came);
		return;
	}
	hear_on(op, h);
	gateway_put_history(&j, h);
	api_emit(op, "updateChatHistory", buf_view(&json));
	buf_fini(&json);
	op_reply(op, STR_NONE);
}

/* Who goes on where the last connection ended has the history, and gets what was missed of it. */
static void user_greeted(struct op *op, const void *result)
{
	const struct user_entry *entry = result;

	/* It hears its rooms already. */
	api_accept(op);
	if (entry->recovered)
		op_reply(op, STR_NONE);
	else
		place_history(op, history_came);
}

static void hello(struct op *op, const struct handshake *h)
{
	api_authenticate(op, api_token(op, h), user_greeted);
}

static void deny(struct op *op, enum err why)
{
	const struct fault fault = { .code = why };

	api_emit(op, "accessDenied", error(op, &fault));
}

static void refused(struct op *op, const struct fault *fault)
{
	deny(op, fault->code);
}

static void expired(struct op *op)
{
	deny(op, ERR_UNAUTHENTICATED);
}

#define EVENT_ROW(event, answers, fields, args, handler, excuse) \
	{ .name = (event), .with = &(answers), .schema = (fields), .size = sizeof(struct args), \
	  .handle = (handler), .failure = (excuse) }

static const struct api_event events[] = {
	EVENT_ROW("sendMessage", sent_answers, send_schema, send_args, send_message,
	          "Failed to send message"),
	EVENT_ROW("createChannel", created_answers, create_schema, create_args, create_channel,
	          "Failed to create channel"),
	EVENT_ROW("joinChannel", joined_answers, join_schema, join_args, join_channel,
	          "Failed to join channel"),
	EVENT_ROW("leaveChannel", left_answers, leave_schema, leave_args, leave_channel,
	          "Failed to leave channel"),
	{ 0 }
};

const struct api api_gateway = {
	.name = "gateway", .recovers = true, .follows = FOLLOWS_ALL,
	.events = events, .hello = hello, .encode = gateway_encode, .error = error,
	.emit_error = emit_error, .refused = refused, .expired = expired,
};

/* The messenger API on Socket.IO (docs/messenger.md): chats between two, by username, and who is
 * online. All answers are acknowledgements; a refusal is one of `{error: {code, message}}`. */
#include "worker/api/api.h"
#include "worker/api/messenger_shape.h"
#include "worker/domain/direct.h"
#include "worker/domain/presence.h"

enum {
	CONTENT_MAX = 2000, CLIENT_ID_MAX = 64, USERS_MAX = 1000, CHATS_DEFAULT = 50,
	CHATS_MAX = 100,
};
/* Users whom one socket waits for: as many as a page has. */
enum { AWAITED_MAX = USERS_MAX };

/* --- Arguments --- */

struct list_args { struct str after; int64_t limit; };
struct chats_args { struct str user, before; int64_t limit; };
struct user_args { struct str user; };
struct chat_args { struct str id; };
struct send_args { struct str message, user, media, client_message_id; };

#define USER(args) FIELD(args, user, F_STR, .min = 1, .max = 32, .required = true)

static const struct field list_schema[] = {
	FIELD(list_args, after, F_STR, .max = 32),
	FIELD(list_args, limit, F_INT, .min = 1, .max = USERS_MAX),
	{ 0 }
};
static const struct field chats_schema[] = {
	USER(chats_args),
	FIELD(chats_args, before, F_ID),
	FIELD(chats_args, limit, F_INT, .min = 1, .max = CHATS_MAX),
	{ 0 }
};
static const struct field user_schema[] = { USER(user_args), { 0 } };
static const struct field chat_schema[] = {
	FIELD(chat_args, id, F_ID, .required = true),
	{ 0 }
};
static const struct field send_schema[] = {
	FIELD(send_args, message, F_STR, .min = 1, .max = CONTENT_MAX, .required = true),
	USER(send_args),
	FIELD(send_args, media, F_ARRAY),
	FIELD_AS(send_args, client_message_id, "clientMessageId", F_STR, .min = 1,
	         .max = CLIENT_ID_MAX),
	{ 0 }
};

/* --- Failures --- */

static const char *code_of(enum err code)
{
	switch (code) {
	case ERR_NO_USER:
	case ERR_NO_ROOM:
	case ERR_NO_MESSAGE:
		return "not-found";
	case ERR_FORBIDDEN:
	case ERR_NOT_MEMBER:
	case ERR_UNAUTHENTICATED:
	case ERR_USER_DELETED:
		return "forbidden";
	case ERR_RATE:
		return "rate-limited";
	case ERR_UNAVAILABLE:
	case ERR_INTERNAL:
		return "unavailable";
	default:
		return "bad-request";
	}
}

/* What is wrong, in this API's nouns. */
static struct str text_of(struct op *op, const struct fault *fault)
{
	const struct api_event *row = api_row(op);

	switch (fault->code) {
	case ERR_NO_USER:
		return STR("There is no such user");
	case ERR_NO_MESSAGE:
		return STR("There is no such chat");
	case ERR_FORBIDDEN:
		return STR("Only its recipient can read a chat");
	case ERR_INTERNAL:
	case ERR_UNAVAILABLE:
		return str_z(row != NULL ? row->failure : err_text(fault->code));
	case ERR_INVALID:
		return op_text(op, "%.*s%s%.*s", STR_ARG(fault->field),
		               fault->field.len > 0 ? " " : "", STR_ARG(fault->detail));
	case ERR_FULL:
	case ERR_UNKNOWN_EVENT:
		return fault->detail;
	default:
		return str_z(err_text(fault->code));
	}
}

static struct str error(struct op *op, const struct fault *fault)
{
	struct buf json = { 0 };
	struct json_out j = json_out(&json);

	json_open(&j, '{');
	json_key(&j, "error");
	json_open(&j, '{');
	json_put_str(&j, "code", str_z(code_of(fault->code)));
	json_put_str(&j, "message", text_of(op, fault));
	json_close(&j, '}');
	json_close(&j, '}');
	const struct str answer = arena_str(&op->arena, buf_view(&json));
	buf_fini(&json);
	return answer;
}

/* --- Handlers --- */

static void done(struct op *op, const void *result UNUSED)
{
	op_reply(op, STR("{}"));
}

static void users_told(struct op *op, const void *result)
{
	const struct user_page *page = result;
	struct buf json = { 0 };
	struct json_out j = json_out(&json);

	json_open(&j, '{');
	json_key(&j, "users");
	json_open(&j, '[');
	for (size_t i = 0; i < page->n; i++) {
		json_open(&j, '{');
		json_put_str(&j, "username", page->v[i].username);
		json_put_bool(&j, "isOnline", page->v[i].online);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	api_reply(op, &json);
}

static void fetch_users(struct op *op, const void *args)
{
	const struct list_args *a = args;

	user_list(op, a->after, a->limit > 0 ? a->limit : USERS_MAX, users_told);
}

/* The page is newest first, the answer oldest first. */
static void chats_told(struct op *op, const void *result)
{
	const struct message_list *page = result;
	struct buf json = { 0 };
	struct json_out j = json_out(&json);

	json_open(&j, '{');
	json_key(&j, "chats");
	json_open(&j, '[');
	for (size_t i = page->n; i > 0; i--)
		messenger_put_chat(&j, &page->v[i - 1]);
	json_close(&j, ']');
	api_reply(op, &json);
}

static void fetch_conversation(struct op *op, const void *args)
{
	const struct chats_args *a = args;

	direct_page(op, a->user, a->before, a->limit > 0 ? a->limit : CHATS_DEFAULT, chats_told);
}

static void unread_told(struct op *op, const void *result)
{
	const int64_t *unread = result;

	op_reply(op, op_text(op, "{\"unreadChatsCount\":%lld}", (long long)*unread));
}

static void fetch_unread_count(struct op *op, const void *args)
{
	const struct user_args *a = args;

	direct_unread(op, a->user, unread_told);
}

static void read_chat(struct op *op, const void *args)
{
	const struct chat_args *a = args;

	direct_read(op, a->id, api_sid(op), done);
}

static void chat_told(struct op *op, const void *result)
{
	struct buf json = { 0 };
	struct json_out j = json_out(&json);

	json_open(&j, '{');
	json_key(&j, "chat");
	messenger_put_chat(&j, result);
	api_reply(op, &json);
}

/* The domain calls them attachments. */
static bool media_refused(struct op *op, const struct fault *fault)
{
	if (fault->code != ERR_INVALID || !str_eqz(fault->field, "attachments"))
		return false;
	op_fail(op, ERR_INVALID, "media", "name an unknown upload");
	return true;
}

static void send_message(struct op *op, const void *args)
{
	const struct send_args *a = args;
	struct direct_draft draft = {
		.username = a->user, .content = a->message,
		.client_message_id = a->client_message_id,
	};
	const char *wrong;

	if (a->media.p != NULL &&
	    !messenger_media(a->media, &op->arena, &draft.attachments, &wrong)) {
		op_fail(op, ERR_INVALID, "media", wrong);
		return;
	}
	op->caught = media_refused;
	direct_post(op, &draft, chat_told);
}

/* --- Waiting for users --- */

static void await(struct op *op);

static void wait_refused(struct op *op, const void *result UNUSED)
{
	op_fail(op, ERR_FULL, NULL, "You wait for 1000 users, which is the most");
}

/* One who is online already is announced at once. */
static void user_awaited(struct op *op, const void *result)
{
	const struct awaited *awaited = result;
	struct buf json = { 0 };
	struct json_out j = json_out(&json);

	if (!api_may_hear(op, awaited->feed, STR("presence:"), AWAITED_MAX)) {
		presence_forget(op, ((const struct user_args *)op->state)->user, wait_refused);
		return;
	}
	if (!api_join(op, awaited->feed, awaited->stamp, await))
		return;
	json_open(&j, '{');
	json_put_str(&j, "user", awaited->username);
	json_close(&j, '}');
	if (awaited->online)
		api_emit(op, "user-online", buf_view(&json));
	buf_fini(&json);
	done(op, NULL);
}

static void await(struct op *op)
{
	const struct user_args *a = op->state;

	presence_await(op, a->user, user_awaited);
}

static void wait_for_user(struct op *op, const void *args)
{
	op->state = args;
	await(op);
}

static void user_forgotten(struct op *op, const void *result)
{
	const struct awaited *awaited = result;

	api_leave(op, awaited->feed);
	done(op, NULL);
}

static void stop_waiting(struct op *op, const void *args)
{
	const struct user_args *a = args;

	presence_forget(op, a->user, user_forgotten);
}

/* --- Connection --- */

static void tell_auth_failed(struct op *op, struct str message)
{
	struct buf json = { 0 };
	struct json_out j = json_out(&json);

	json_open(&j, '{');
	json_put_str(&j, "message", message);
	json_close(&j, '}');
	api_emit(op, "auth-failed", buf_view(&json));
	buf_fini(&json);
}

static void refused(struct op *op, const struct fault *fault)
{
	tell_auth_failed(op, str_z(err_text(fault->code)));
}

static void user_greeted(struct op *op, const void *result UNUSED)
{
	api_accept(op);
	op_reply(op, STR_NONE);
}

static void hello(struct op *op, const struct handshake *h)
{
	api_authenticate(op, api_token(op, h), user_greeted);
}

static void expired(struct op *op)
{
	tell_auth_failed(op, str_z(err_text(ERR_UNAUTHENTICATED)));
}

#define EVENT_ROW(event, fields, args, handler, excuse) \
	{ .name = (event), .schema = (fields), .size = sizeof(struct args), .handle = (handler), \
	  .failure = (excuse) }

static const struct api_event events[] = {
	EVENT_ROW("fetch-users", list_schema, list_args, fetch_users, "Failed to fetch the users"),
	EVENT_ROW("fetch-conversation-with-user", chats_schema, chats_args, fetch_conversation,
	          "Failed to fetch the conversation"),
	EVENT_ROW("fetch-unread-chats-count", user_schema, user_args, fetch_unread_count,
	          "Failed to count the chats"),
	EVENT_ROW("read-chat", chat_schema, chat_args, read_chat, "Failed to read the chat"),
	EVENT_ROW("send-message", send_schema, send_args, send_message,
	          "Failed to send the message"),
	EVENT_ROW("wait-for-user", user_schema, user_args, wait_for_user,
	          "Failed to wait for the user"),
	EVENT_ROW("stop-waiting-for-user", user_schema, user_args, stop_waiting,
	          "Failed to stop waiting for the user"),
	{ 0 }
};

const struct api api_messenger = {
	.name = "messenger", .path = "/ws/", .nsp = "/chat", .recovers = true,
	.follows = FOLLOWS_DIRECT, .also = "presence",
	.events = events, .hello = hello, .encode = messenger_encode, .error = error,
	.refused = refused, .expired = expired,
};

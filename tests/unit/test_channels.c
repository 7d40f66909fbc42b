/* How the channels API says things: each live event, messages, rooms and members to exact JSON, and
 * the text of each failure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "worker/api/api.h"
#include "worker/api/channels_shape.h"

extern const struct api api_channels;

#define AUTHOR \
	"\"author\":{\"id\":\"u1\",\"username\":\"ann\",\"name\":\"Ann \\u00e9\",\"image\":null}"
#define USER "\"user\":{\"id\":\"u1\",\"name\":\"Ann \\u00e9\",\"image\":null}"
#define TIMES "\"createdAt\":1500658348123,\"updatedAt\":1500658349000"
#define ISO_TIMES \
	"\"createdAt\":\"2017-07-21T17:32:28.123Z\",\"updatedAt\":\"2017-07-21T17:32:29.000Z\""

/* The message replied to, as Redis tells it and as it is said. */
#define REPLIED \
	"{\"id\":\"m0\",\"room\":\"r1\",\"kind\":\"channel\"," AUTHOR \
	",\"content\":\"first\"," TIMES ",\"deletedAt\":null,\"replyToId\":\"m9\"," \
	"\"replyTo\":null,\"attachments\":[],\"reactions\":[],\"read\":false}"
#define SAID_REPLIED \
	"{\"id\":\"m0\",\"content\":\"first\",\"channelId\":\"r1\",\"userId\":\"u1\"," ISO_TIMES \
	",\"replyToId\":\"m9\"," USER ",\"attachments\":[],\"reactions\":[],\"replyTo\":null}"

#define REACTION \
	"{\"id\":\"x1\",\"emoji\":\"\\u2764\",\"messageId\":\"m1\",\"userId\":\"u2\"," \
	"\"userName\":\"Bob\",\"createdAt\":1500658348123}"
#define SAID_REACTION \
	"{\"id\":\"x1\",\"emoji\":\"\\u2764\",\"messageId\":\"m1\",\"userId\":\"u2\"," \
	"\"createdAt\":\"2017-07-21T17:32:28.123Z\",\"user\":{\"id\":\"u2\",\"name\":\"Bob\"}}"
/* A forwarded message, with a reaction. */
#define COPY(room, kind) \
	"{\"id\":\"m2\",\"room\":\"" room "\",\"kind\":\"" kind "\"," AUTHOR \
	",\"content\":\"first\"," TIMES ",\"deletedAt\":null,\"replyToId\":null," \
	"\"replyTo\":null,\"attachments\":[],\"reactions\":[" REACTION "],\"read\":false}"
#define SAID_COPY(key, room) \
	"{\"id\":\"m2\",\"content\":\"first\",\"" key "\":\"" room "\",\"userId\":\"u1\"," \
	ISO_TIMES ",\"replyToId\":null," USER ",\"attachments\":[]," \
	"\"reactions\":[" SAID_REACTION "],\"replyTo\":null}"

static const struct {
	const char *event;
	const char *said;            /* the array's elements; "" for an event that is not told */
} events[] = {
	{
		"{\"type\":\"message\",\"room\":\"r1\",\"kind\":\"channel\",\"actor\":\"u1\","
		"\"message\":{\"id\":\"m1\",\"room\":\"r1\",\"kind\":\"channel\"," AUTHOR
		",\"content\":\"say \\\"hi\\\"\"," TIMES ",\"deletedAt\":null,\"replyToId\":null,"
		"\"replyTo\":null,\"attachments\":[],\"reactions\":[],\"read\":false}}",
		"\"new_message\",{\"id\":\"m1\",\"content\":\"say \\\"hi\\\"\","
		"\"channelId\":\"r1\",\"userId\":\"u1\"," ISO_TIMES ",\"replyToId\":null," USER
		",\"attachments\":[],\"reactions\":[],\"replyTo\":null}",
	},
	{
		"{\"type\":\"message\",\"room\":\"r1\",\"kind\":\"group\",\"actor\":\"u1\","
		"\"message\":{\"id\":\"m1\",\"room\":\"r1\",\"kind\":\"group\"," AUTHOR
		",\"content\":\"hi\"," TIMES ",\"deletedAt\":null,\"replyToId\":\"m0\","
		"\"replyTo\":" REPLIED ",\"attachments\":[],\"reactions\":[],\"read\":false}}",
		"\"new_message\",{\"id\":\"m1\",\"content\":\"hi\",\"channelId\":\"r1\","
		"\"userId\":\"u1\"," ISO_TIMES ",\"replyToId\":\"m0\"," USER
		",\"attachments\":[],\"reactions\":[],\"replyTo\":" SAID_REPLIED "}",
	},
	{
		"{\"type\":\"message\",\"room\":\"r2\",\"kind\":\"direct\",\"actor\":\"u1\","
		"\"message\":{\"id\":\"m1\",\"room\":\"r2\",\"kind\":\"direct\"," AUTHOR
		",\"content\":\"hi\"," TIMES ",\"deletedAt\":null,\"replyToId\":null,"
		"\"replyTo\":null,\"attachments\":[],\"reactions\":[],\"read\":false}}",
		"\"new_direct_message\",{\"id\":\"m1\",\"content\":\"hi\","
		"\"conversationId\":\"r2\",\"userId\":\"u1\"," ISO_TIMES ",\"replyToId\":null," USER
		",\"attachments\":[],\"reactions\":[],\"replyTo\":null}",
	},
	{
		"{\"type\":\"edited\",\"room\":\"r1\",\"kind\":\"channel\",\"actor\":\"u1\","
		"\"messageId\":\"m1\",\"content\":\"better\",\"updatedAt\":1500658349000}",
		"\"message_edited\",{\"messageId\":\"m1\",\"content\":\"better\","
		"\"channelId\":\"r1\",\"updatedAt\":\"2017-07-21T17:32:29.000Z\"}",
	},
	{
		"{\"type\":\"edited\",\"room\":\"r2\",\"kind\":\"direct\",\"actor\":\"u1\","
		"\"messageId\":\"m1\",\"content\":\"better\",\"updatedAt\":1500658349000}",
		"\"direct_message_edited\",{\"messageId\":\"m1\",\"content\":\"better\","
		"\"conversationId\":\"r2\",\"updatedAt\":\"2017-07-21T17:32:29.000Z\"}",
	},
	{
		"{\"type\":\"deleted\",\"room\":\"r1\",\"kind\":\"channel\",\"actor\":\"u1\","
		"\"messageId\":\"m1\",\"deletedAt\":1500658349000}",
		"\"message_deleted\",{\"messageId\":\"m1\",\"channelId\":\"r1\"}",
	},
	{
		"{\"type\":\"deleted\",\"room\":\"r2\",\"kind\":\"direct\",\"actor\":\"u1\","
		"\"messageId\":\"m1\",\"deletedAt\":1500658349000}",
		"\"direct_message_deleted\",{\"messageId\":\"m1\",\"conversationId\":\"r2\"}",
	},
	{
		"{\"type\":\"reacted\",\"room\":\"r1\",\"kind\":\"channel\",\"actor\":\"u2\","
		"\"reaction\":" REACTION "}",
		"\"reaction_added\"," SAID_REACTION,
	},
	{
		"{\"type\":\"reacted\",\"room\":\"r2\",\"kind\":\"direct\",\"actor\":\"u2\","
		"\"reaction\":" REACTION "}",
		"\"direct_reaction_added\"," SAID_REACTION,
	},
	{
		"{\"type\":\"unreacted\",\"room\":\"r1\",\"kind\":\"group\",\"actor\":\"u2\","
		"\"messageId\":\"m1\",\"emoji\":\"\\u2764\",\"userId\":\"u2\"}",
		"\"reaction_removed\",{\"messageId\":\"m1\",\"emoji\":\"\\u2764\","
		"\"userId\":\"u2\",\"channelId\":\"r1\"}",
	},
	{
		"{\"type\":\"unreacted\",\"room\":\"r2\",\"kind\":\"direct\",\"actor\":\"u2\","
		"\"messageId\":\"m1\",\"emoji\":\"\\u2764\",\"userId\":\"u2\"}",
		"\"direct_reaction_removed\",{\"messageId\":\"m1\",\"emoji\":\"\\u2764\","
		"\"userId\":\"u2\",\"conversationId\":\"r2\"}",
	},
	{
		"{\"type\":\"forwarded\",\"room\":\"r3\",\"kind\":\"channel\",\"actor\":\"u1\","
		"\"message\":" COPY("r3", "channel") ",\"original\":" REPLIED "}",
		"\"message_forwarded\",{\"originalMessage\":" SAID_REPLIED ","
		"\"targetChannelId\":\"r3\",\"message\":" SAID_COPY("channelId", "r3") "}",
	},
	{
		"{\"type\":\"forwarded\",\"room\":\"r2\",\"kind\":\"direct\",\"actor\":\"u1\","
		"\"message\":" COPY("r2", "direct") ",\"original\":null}",
		"\"message_forwarded_to_direct\",{\"originalMessage\":null,"
		"\"targetConversationId\":\"r2\","
		"\"message\":" SAID_COPY("conversationId", "r2") "}",
	},
	{
		"{\"type\":\"room-created\",\"room\":\"r1\",\"kind\":\"group\",\"actor\":\"u1\","
		"\"name\":\"team\"}", "",
	},
	{
		"{\"type\":\"added\",\"room\":\"r1\",\"kind\":\"group\",\"actor\":\"u1\","
		"\"name\":null}", "",
	},
	{ "{\"type\":\"removed\",\"room\":\"r1\",\"kind\":\"group\",\"actor\":\"u1\"}", "" },
	{
		"{\"type\":\"joined\",\"room\":\"r1\",\"kind\":\"group\",\"actor\":\"u1\","
		"\"users\":[\"u2\"]}", "",
	},
	{
		"{\"type\":\"left\",\"room\":\"r1\",\"kind\":\"group\",\"actor\":\"u1\","
		"\"user\":\"u2\",\"userDeleted\":false}", "",
	},
	{ "{\"type\":\"user-deleted\",\"actor\":\"u1\",\"user\":\"u1\"}", "" },
};

static void assert_said(const struct buf *json, const char *said)
{
	const struct str is = buf_view(json);

	if (!str_eqz(is, said))
		fail_msg("said    %.*s\nwanted  %s", STR_ARG(is), said);
}

static void test_events(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(events); i++) {
		struct arena arena = { 0 };
		struct feed_event e;
		struct buf json = { 0 };
		struct json_out j = json_out(&json);

		assert_true(event_read(str_z(events[i].event), &arena, &e));
		const enum audience to = api_channels.encode(&e, 0, &j);
		assert_int_equal(to, events[i].said[0] ? HEAR_ALL : HEAR_NONE);
		assert_said(&json, events[i].said);
		buf_fini(&json);
		arena_fini(&arena);
	}
}

static void test_deleted_message(void **state UNUSED)
{
	const struct message m = {
		.id = STR("m1"), .room = STR("r1"), .kind = ROOM_CHANNEL,
		.author = { STR("u1"), STR("ann"), STR("\"Ann\""),
		            STR("\"https://x.example/a.png\"") },
		.content = STR("\"[This message was deleted]\""),
		.created_at = 0, .updated_at = 1, .deleted_at = 2,
		.reply_to_id = STR("null"), .reply_to = STR("null"),
		.attachments = STR("[]"), .reactions = STR("[]"),
	};
	struct buf json = { 0 };
	struct json_out j = json_out(&json);

	channels_put_message(&j, &m);
	assert_said(&json, "{\"id\":\"m1\",\"content\":\"[This message was deleted]\","
	                   "\"channelId\":\"r1\",\"userId\":\"u1\","
	                   "\"createdAt\":\"1970-01-01T00:00:00.000Z\","
	                   "\"updatedAt\":\"1970-01-01T00:00:00.001Z\","
	                   "\"deletedAt\":\"1970-01-01T00:00:00.002Z\",\"replyToId\":null,"
	                   "\"user\":{\"id\":\"u1\",\"name\":\"Ann\","
	                   "\"image\":\"https://x.example/a.png\"},"
	                   "\"attachments\":[],\"reactions\":[],\"replyTo\":null}");
	buf_fini(&json);
}

static void test_rooms(void **state UNUSED)
{
	const struct room empty = {
		.id = STR("r1"), .kind = ROOM_CHANNEL, .name = STR("a \"b\""),
		.status = STR("PRIVATE"),
	};
	const struct room direct = {
		.id = STR("r2"), .kind = ROOM_DIRECT, .status = STR("DIRECT"),
		.last_message_at = 1000,
		.other = { .id = STR("u2"), .username = STR("bob"), .name = STR("Bob") },
	};
	struct buf json = { 0 };
	struct json_out j = json_out(&json);

	channels_put_channel(&j, &empty);
	channels_put_conversation(&j, &direct);
	assert_said(&json, "{\"id\":\"r1\",\"name\":\"a \\\"b\\\"\",\"private\":true,"
	                   "\"ownerId\":null,\"memberCount\":0,\"isMember\":false,"
	                   "\"createdAt\":\"1970-01-01T00:00:00.000Z\"},"
	                   "{\"id\":\"r2\",\"user\":{\"id\":\"u2\",\"username\":\"bob\","
	                   "\"name\":\"Bob\",\"image\":null},"
	                   "\"createdAt\":\"1970-01-01T00:00:00.000Z\","
	                   "\"lastMessageAt\":\"1970-01-01T00:00:01.000Z\"}");
	buf_fini(&json);
}

static void test_member(void **state UNUSED)
{
	const struct room_member m = {
		.user = { .id = STR("u1"), .username = STR("ann"), .name = STR("Ann"),
		          .image = STR("i"), .email = STR("secret@x.example") },
		.is_owner = true,
	};
	struct buf json = { 0 };
	struct json_out j = json_out(&json);

	channels_put_member(&j, &m);
	assert_said(&json, "{\"id\":\"u1\",\"username\":\"ann\",\"name\":\"Ann\",\"image\":\"i\","
	                   "\"role\":\"owner\"}");
	buf_fini(&json);
}

static const struct {
	struct fault fault;
	const char *text;
} faults[] = {
	{ { .code = ERR_INVALID, .field = { "content", 7 }, .detail = { "is required", 11 } },
	  "Invalid message data: content is required" },
	{ { .code = ERR_INVALID, .detail = { "must be an object", 17 } },
	  "Invalid message data: must be an object" },
	{ { .code = ERR_UNKNOWN_EVENT, .detail = { "Unknown event: dance", 20 } },
	  "Unknown event: dance" },
	{ { .code = ERR_NOT_MEMBER, .detail = { "Access denied to channel", 24 } },
	  "Access denied to channel" },
	{ { .code = ERR_NO_MESSAGE, .field = { "message", 7 } }, "Message not found" },
	{ { .code = ERR_MESSAGE_DELETED, .field = { "replyTo", 7 },
	    .detail = { "is deleted", 10 } },
	  "Message has been deleted" },
	{ { .code = ERR_RATE, .detail = { "3", 1 }, .retry_after_s = 3 },
	  "Rate limit exceeded. Please slow down." },
	{ { .code = ERR_UNAVAILABLE }, "Temporarily unavailable, please retry" },
	{ { .code = ERR_UNAUTHENTICATED }, "Authentication failed" },
	{ { .code = ERR_USER_DELETED, .field = { "user", 4 } }, "Authentication failed" },
	{ { .code = ERR_NO_TOKEN }, "Authentication token required" },
};

static void test_failures(void **state UNUSED)
{
	static const struct services services;

	for (size_t i = 0; i < COUNT_OF(faults); i++) {
		struct op *op = op_new(&services, NULL, NULL, NULL);
		struct buf wanted = { 0 };
		struct json_out j = json_out(&wanted);

		json_open(&j, '{');
		json_put_bool(&j, "ok", false);
		json_put_str(&j, "error", str_z(faults[i].text));
		json_close(&j, '}');
		buf_char(&wanted, '\0');
		const struct str said = api_channels.error(op, &faults[i].fault);
		assert_string_equal(arena_str(&op->arena, said).p, wanted.p);
		buf_fini(&wanted);
		op_reply(op, STR_NONE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_deleted_message),
		cmocka_unit_test(test_rooms),
		cmocka_unit_test(test_member),
		cmocka_unit_test(test_failures),
	};

	return cmocka_run_group_tests_name("channels", tests, NULL, NULL);
}

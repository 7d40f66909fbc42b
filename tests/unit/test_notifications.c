/* How the notifications API says things: each live event, rooms and posts to exact JSON,
 * and the word for each failure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "worker/api/api.h"
#include "worker/api/notifications_shape.h"

extern const struct api api_notifications;

#define MESSAGE(kind) \
	"\"message\":{\"id\":\"m1\",\"room\":\"r1\",\"kind\":\"" kind "\"," \
	"\"author\":{\"id\":\"u1\",\"username\":\"ann\",\"name\":\"Ann\",\"image\":null}," \
	"\"content\":\"say \\\"hi\\\" \\u00e9\",\"createdAt\":1500658348999," \
	"\"updatedAt\":1500658349000}"
#define NEW_POST \
	"{\"type\":\"NewPost\",\"userId\":\"u1\",\"roomId\":\"r1\",\"postId\":\"m1\"," \
	"\"content\":\"say \\\"hi\\\" \\u00e9\",\"createdAt\":\"2017-07-21T17:32:28Z\"}"
#define OF(type, kind) \
	"{\"type\":\"" type "\",\"room\":\"r1\",\"kind\":\"" kind "\",\"actor\":\"u1\""

static const struct {
	const char *event;
	const char *said;            /* "" for an event that is not told */
} events[] = {
	{ OF("message", "group") "," MESSAGE("group") "}", NEW_POST },
	{ OF("message", "direct") ",\"unread\":3," MESSAGE("direct") "}", NEW_POST },
	{ OF("forwarded", "channel") "," MESSAGE("channel") ",\"original\":null}", NEW_POST },
	{
		OF("room-created", "direct") ",\"name\":null}",
		"{\"type\":\"RoomCreated\",\"creatorId\":\"u1\",\"roomId\":\"r1\"}",
	},
	{
		OF("added", "group") ",\"name\":\"team\"}",
		"{\"type\":\"RoomInvitation\",\"userWhoInvited\":\"u1\",\"roomId\":\"r1\"}",
	},
	{
		OF("joined", "group") ",\"users\":[\"u2\",\"u \\\"3\\\"\"]}",
		"{\"type\":\"NewUsersInRoom\",\"userWhoInvited\":\"u1\","
		"\"newUsers\":[\"u2\",\"u \\\"3\\\"\"],\"roomId\":\"r1\"}",
	},
	{
		OF("left", "group") ",\"user\":\"u2\",\"userDeleted\":false}",
		"{\"type\":\"UserLeftRoom\",\"userId\":\"u2\",\"roomId\":\"r1\","
		"\"userDeleted\":false}",
	},
	{
		OF("left", "direct") ",\"user\":\"u1\",\"userDeleted\":true}",
		"{\"type\":\"UserLeftRoom\",\"userId\":\"u1\",\"roomId\":\"r1\","
		"\"userDeleted\":true}",
	},
	{ OF("edited", "group") ",\"messageId\":\"m1\",\"content\":\"x\",\"updatedAt\":1}", "" },
	{ OF("deleted", "group") ",\"messageId\":\"m1\",\"deletedAt\":1}", "" },
	{ OF("removed", "group") "}", "" },
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
		const enum audience to = api_notifications.encode(&e, 0, &j);
		assert_int_equal(to, events[i].said[0] ? HEAR_OTHERS : HEAR_NONE);
		assert_int_equal(api_notifications.encode(&e, 1, &j), HEAR_NONE);
		assert_said(&json, events[i].said);
		buf_fini(&json);
		arena_fini(&arena);
	}
}

static void test_rooms(void **state UNUSED)
{
	const struct room group = {
		.id = STR("r1"), .kind = ROOM_GROUP, .name = STR("a \"b\""),
		.status = STR("PRIVATE"), .member_count = 3, .unread = 2,
		.last_message_at = 1500658348123,
	};
	const struct room direct = {
		.id = STR("r2"), .kind = ROOM_DIRECT, .status = STR("DIRECT"),
	};
	const struct room_viewed user = {
		.user = { .id = STR("u1"), .username = STR("ann"), .name = STR("Ann"),
		          .email = STR("secret@x.example") },
		.is_online = true,
	};
	struct buf json = { 0 };
	struct json_out j = json_out(&json);

	notifications_put_room(&j, &group);
	notifications_put_room(&j, &direct);
	notifications_put_user(&j, &user);
	assert_said(&json, "{\"roomId\":\"r1\",\"name\":\"a \\\"b\\\"\",\"kind\":\"group\","
	                   "\"members\":3,\"lastPostAt\":\"2017-07-21T17:32:28Z\","
	                   "\"unread\":2},"
	                   "{\"roomId\":\"r2\",\"name\":null,\"kind\":\"direct\",\"members\":0,"
	                   "\"lastPostAt\":null,\"unread\":0},"
	                   "{\"userId\":\"u1\",\"username\":\"ann\",\"name\":\"Ann\","
	                   "\"isOnline\":true}");
	buf_fini(&json);
}

static void test_post(void **state UNUSED)
{
	const struct message m = {
		.id = STR("m1"), .room = STR("r1"), .author = { .id = STR("u1") },
		.content = STR("\"[This message was deleted]\""),
		.created_at = 1999, .deleted_at = 2,
	};
	struct buf json = { 0 };
	struct json_out j = json_out(&json);

	notifications_put_post(&j, &m);
	assert_said(&json, "{\"postId\":\"m1\",\"userId\":\"u1\","
	                   "\"content\":\"[This message was deleted]\","
	                   "\"createdAt\":\"1970-01-01T00:00:01Z\"}");
	buf_fini(&json);
}

static void test_failures(void **state UNUSED)
{
	static const struct {
		enum err code;
		const char *word;
	} words[] = {
		{ ERR_NO_TOKEN, "\"MissingToken\"" },
		{ ERR_UNAUTHENTICATED, "\"BadToken\"" },
		{ ERR_USER_DELETED, "\"UserIsDeleted\"" },
	};

	for (size_t i = 0; i < COUNT_OF(words); i++) {
		const struct fault fault = { .code = words[i].code };
		assert_true(str_eqz(api_notifications.error(NULL, &fault), words[i].word));
	}
}

static void test_place(void **state UNUSED)
{
	assert_null(api_find(STR("/room/websocket"), STR("notifications"), STR("/")));
	assert_null(api_find(STR("/socket.io/"), STR("notifications"), STR("/notifications")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_rooms),
		cmocka_unit_test(test_post),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_place),
	};

	return cmocka_run_group_tests_name("notifications", tests, NULL, NULL);
}

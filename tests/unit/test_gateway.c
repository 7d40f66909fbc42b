/* How the gateway API says things: live events, the history, rooms and members to exact JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "worker/api/gateway_shape.h"

#define AUTHOR(name) \
	"\"author\":{\"id\":\"u1\",\"username\":\"" name "\",\"name\":\"Ann\",\"image\":null}"
/* As Redis tells a message; `more` are other members, with a comma behind. */
#define POSTED(type, kind, author, more) \
	"{\"type\":\"" type "\",\"room\":\"r1\",\"kind\":\"" kind "\",\"actor\":\"u1\"," \
	"\"message\":{\"id\":\"m1\",\"room\":\"r1\",\"kind\":\"" kind "\"," \
	AUTHOR(author) "," more "\"content\":\"say \\\"\\u00e9\\\"\",\"createdAt\":1500658348123," \
	"\"updatedAt\":1500658349000,\"deletedAt\":null}"
#define SAID(room, sender) \
	"\"newMessage\",{\"id\":\"m1\",\"room\":\"" room "\",\"sender\":\"" sender "\"," \
	"\"text\":\"say \\\"\\u00e9\\\"\",\"createdAt\":\"2017-07-21T17:32:28.123Z\"}"

static const struct {
	const char *event;
	enum audience to;
	const char *said;            /* the array's elements */
} events[] = {
	{
		POSTED("message", "channel", "ann", "") ",\"name\":\"caf\\u00e9 \\\"1\\\"\"}",
		HEAR_ALL, SAID("café \\\"1\\\"", "ann"),
	},
	{
		POSTED("message", "group", "ann", "") ",\"name\":\"team\"}",
		HEAR_ALL, SAID("team#r1", "ann"),
	},
	{
		POSTED("forwarded", "group", "ann", "") ",\"name\":\"team\",\"original\":null}",
		HEAR_ALL, SAID("team#r1", "ann"),
	},
	{ POSTED("message", "group", "ann", "") ",\"name\":null}", HEAR_NONE, "" },
	{ POSTED("message", "group", "ann", "") "}", HEAR_NONE, "" },
	{
		POSTED("message", "direct", "bob", "\"recipient\":\"Ann\",") ",\"unread\":1}",
		HEAR_ALL, SAID("Ann/bob", "bob"),
	},
	{
		POSTED("message", "direct", "ann", "\"recipient\":\"Bob\",") ",\"unread\":1}",
		HEAR_ALL, SAID("ann/Bob", "ann"),
	},
	{
		/* _ stands before small letters, and behind capital ones. */
		POSTED("forwarded", "direct", "A", "\"recipient\":\"_a\",") ",\"original\":null}",
		HEAR_ALL, SAID("_a/A", "A"),
	},
	{
		POSTED("message", "direct", "annette", "\"recipient\":\"ann\",") "}",
		HEAR_ALL, SAID("ann/annette", "annette"),
	},
	{
		"{\"type\":\"room-created\",\"room\":\"r1\",\"kind\":\"direct\",\"actor\":\"u1\","
		"\"name\":null}",
		HEAR_OTHERS,
		"\"reconnectNeeded\","
		"{\"message\":\"Somebody opened a direct conversation with you\"}",
	},
	{
		"{\"type\":\"room-created\",\"room\":\"r1\",\"kind\":\"channel\",\"actor\":\"u1\","
		"\"name\":\"general\"}", HEAR_NONE, "",
	},
	{
		"{\"type\":\"edited\",\"room\":\"r1\",\"kind\":\"channel\",\"actor\":\"u1\","
		"\"messageId\":\"m1\",\"content\":\"better\",\"updatedAt\":1500658349000}",
		HEAR_NONE, "",
	},
	{
		"{\"type\":\"added\",\"room\":\"r1\",\"kind\":\"channel\",\"actor\":\"u1\","
		"\"name\":\"general\"}", HEAR_NONE, "",
	},
	{ "{\"type\":\"came\",\"user\":\"u1\",\"username\":\"ann\"}", HEAR_NONE, "" },
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
		assert_int_equal(gateway_encode(&e, 0, &j), events[i].to);
		assert_said(&json, events[i].said);
		assert_int_equal(gateway_encode(&e, 1, &j), HEAR_NONE);
		buf_fini(&json);
		arena_fini(&arena);
	}
}

static void test_history(void **state UNUSED)
{
	const struct place_message said[] = {
		{ STR("m1"), STR("a\"b"), STR("ann"), STR("\"hi\""), 0 },
		{ STR("m2"), STR("a\"b"), STR("bob"), STR("\"ho\""), 1 },
	};
	const struct place_past rooms[] = {
		{ .name = STR("a\"b"), .room = STR("r1"), .v = said, .n = COUNT_OF(said) },
		{ .name = STR("quiet"), .room = STR("r2") },
	};
	const struct place_history some = { .v = rooms, .n = COUNT_OF(rooms) }, none = { 0 };
	struct buf json = { 0 };
	struct json_out j = json_out(&json);

	gateway_put_history(&j, &some);
	gateway_put_history(&j, &none);
	assert_said(&json, "{\"a\\\"b\":[{\"id\":\"m1\",\"room\":\"a\\\"b\",\"sender\":\"ann\","
	                   "\"text\":\"hi\",\"createdAt\":\"1970-01-01T00:00:00.000Z\"},"
	                   "{\"id\":\"m2\",\"room\":\"a\\\"b\",\"sender\":\"bob\","
	                   "\"text\":\"ho\",\"createdAt\":\"1970-01-01T00:00:00.001Z\"}],"
	                   "\"quiet\":[]},{}");
	buf_fini(&json);
}

static void test_rooms(void **state UNUSED)
{
	const struct place direct = { STR("ann/bob"), STR("DIRECT"), false };
	const struct place own = { STR("a\"b"), STR("PUBLIC"), true };
	const struct room_member member = {
		.user = { .id = STR("u1"), .username = STR("ann"), .name = STR("Ann \"A\""),
		          .email = STR("secret@x.example"), .online = true },
	};
	struct buf json = { 0 };
	struct json_out j = json_out(&json);

	gateway_put_room(&j, &direct);
	gateway_put_room(&j, &own);
	gateway_put_member(&j, &member);
	assert_said(&json, "{\"name\":\"ann/bob\",\"status\":\"DIRECT\",\"role\":\"member\"},"
	                   "{\"name\":\"a\\\"b\",\"status\":\"PUBLIC\",\"role\":\"owner\"},"
	                   "{\"username\":\"ann\",\"name\":\"Ann \\\"A\\\"\",\"role\":\"member\","
	                   "\"isOnline\":true}");
	buf_fini(&json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_history),
		cmocka_unit_test(test_rooms),
	};

	return cmocka_run_group_tests_name("gateway", tests, NULL, NULL);
}

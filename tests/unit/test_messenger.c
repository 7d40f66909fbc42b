/* How the messenger API says things: each live event, chats and their media to exact JSON,
 * and the code and text of each failure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/clock.h"
#include "worker/api/api.h"
#include "worker/api/messenger_shape.h"

extern const struct api api_messenger;

enum { SAYINGS_MAX = 3 };

#define MESSAGE(kind, more) \
	"\"message\":{\"id\":\"m1\",\"room\":\"r2\",\"kind\":\"" kind "\"," \
	"\"author\":{\"id\":\"u1\",\"username\":\"ann\",\"name\":\"Ann\",\"image\":null}," more \
	"\"content\":\"say \\\"\\u00e9\\\"\",\"createdAt\":1,\"updatedAt\":1,\"deletedAt\":null," \
	"\"replyToId\":null,\"replyTo\":null,\"attachments\":[],\"reactions\":[],\"read\":false}"
#define HEAD(type, kind) \
	"{\"type\":\"" type "\",\"room\":\"r2\",\"kind\":\"" kind "\",\"actor\":\"u1\","
#define CHAT \
	"{\"id\":\"m1\",\"sender\":\"ann\",\"recipient\":\"bob\"," \
	"\"message\":\"say \\\"\\u00e9\\\"\",\"has_read\":false}"

/* An event, and what is said of it one after the other: HEAR_NONE ends it. */
static const struct {
	const char *event;
	struct {
		unsigned to;
		const char *said;
	} sayings[SAYINGS_MAX];
} events[] = {
	{
		HEAD("message", "direct") MESSAGE("direct", "\"recipient\":\"bob\",")
		",\"unread\":3}",
		{ { HEAR_OTHERS | HEAR_MORE,
		    "\"unread-chats-count\",{\"unreadChatsCount\":3,\"user\":\"ann\"}" },
		  { HEAR_OTHERS, "\"chat\",{\"chat\":" CHAT "}" } },
	},
	{
		HEAD("forwarded", "direct") MESSAGE("direct", "\"recipient\":\"bob\",")
		",\"original\":null,\"unread\":1}",
		{ { HEAR_OTHERS | HEAR_MORE,
		    "\"unread-chats-count\",{\"unreadChatsCount\":1,\"user\":\"ann\"}" },
		  { HEAR_OTHERS, "\"chat\",{\"chat\":" CHAT "}" } },
	},
	{
		HEAD("read", "direct") "\"username\":\"bob\",\"messageId\":\"m1\","
		"\"peer\":\"ann\",\"unread\":2,\"origin\":\"s1\"}",
		{ { HEAR_OTHERS, "\"read-chat\",{\"id\":\"m1\",\"user\":\"bob\"}" },
		  { HEAR_OWN,
		    "\"unread-chats-count\",{\"unreadChatsCount\":2,\"user\":\"ann\"}" } },
	},
	{
		"{\"type\":\"came\",\"user\":\"u2\",\"username\":\"bob\"}",
		{ { HEAR_ALL, "\"user-join\",{\"user\":\"bob\"}" } },
	},
	{
		"{\"type\":\"went\",\"user\":\"u2\",\"username\":\"bob\"}",
		{ { HEAR_ALL, "\"user-leave\",{\"user\":\"bob\"}" } },
	},
	{
		"{\"type\":\"online\",\"user\":\"u2\",\"username\":\"bob\",\"clock\":\"1-7\"}",
		{ { HEAR_ALL, "\"user-online\",{\"user\":\"bob\"}" } },
	},
	{
		"{\"type\":\"offline\",\"user\":\"u2\",\"username\":\"bob\",\"clock\":\"1-7\"}",
		{ { HEAR_ALL, "\"user-offline\",{\"user\":\"bob\"}" } },
	},
	/* Not of this API: rooms of many, and what has no word here. */
	{ HEAD("message", "group") MESSAGE("group", "") "}", { { 0 } } },
	{ HEAD("message", "channel") MESSAGE("channel", "") "}", { { 0 } } },
	{ HEAD("forwarded", "channel") MESSAGE("channel", "") ",\"original\":null}", { { 0 } } },
	{ HEAD("edited", "direct") "\"messageId\":\"m1\",\"content\":\"b\",\"updatedAt\":2}",
	  { { 0 } } },
	{ HEAD("deleted", "direct") "\"messageId\":\"m1\",\"deletedAt\":2}", { { 0 } } },
	{ HEAD("unreacted", "direct") "\"messageId\":\"m1\",\"emoji\":\"x\",\"userId\":\"u1\"}",
	  { { 0 } } },
	{ HEAD("room-created", "direct") "\"name\":null}", { { 0 } } },
	{ HEAD("removed", "direct") "\"name\":null}", { { 0 } } },
	{ HEAD("left", "direct") "\"user\":\"u1\",\"userDeleted\":true}", { { 0 } } },
	{ "{\"type\":\"user-deleted\",\"actor\":\"u1\",\"user\":\"u1\"}", { { 0 } } },
};

static void assert_said(const struct buf *json, const char *said)
{
	const struct str is = buf_view(json);

	if (!str_eqz(is, said))
		fail_msg("said    %.*s\nwanted  %s", STR_ARG(is), said);
}

/* What the nth of an event's sayings is, and that nothing is said after the last. */
static void assert_saying(const struct feed_event *e, size_t at, unsigned nth)
{
	const char *said = events[at].sayings[nth].said;
	struct buf json = { 0 };
	struct json_out j = json_out(&json);

	assert_int_equal(api_messenger.encode(e, nth, &j), events[at].sayings[nth].to);
	assert_said(&json, said != NULL ? said : "");
	buf_fini(&json);
}

static void test_events(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(events); i++) {
		struct arena arena = { 0 };
		struct feed_event e;

		assert_true(event_read(str_z(events[i].event), &arena, &e));
		for (unsigned nth = 0; nth < SAYINGS_MAX; nth++)
			assert_saying(&e, i, nth);
		arena_fini(&arena);
	}
}

static const struct {
	const char *attachments, *media;     /* media: the chat's last member */
	bool read;
} chats[] = {
	{ "[]", "", false },
	{ "[]", "", true },
	{ "[{\"id\":\"f1\",\"url\":\"https://x.example/a\",\"size\":3},"
	  "{\"id\":\"f2\",\"url\":\"/b\\u00e9\"}]",
	  ",\"media\":[\"https://x.example/a\",\"/b\\u00e9\"]", false },
	/* What is no file is left out. */
	{ "[7,{\"id\":\"f1\"}]", ",\"media\":[]", true },
};

static void test_chats(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(chats); i++) {
		const struct message m = {
			.id = STR("m1"), .room = STR("r2"), .kind = ROOM_DIRECT,
			.author = { .id = STR("u1"), .username = STR("ann") },
			.recipient = STR("bob"), .content = STR("\"a \\\"b\\\"\""),
			.attachments = str_z(chats[i].attachments), .read = chats[i].read,
		};
		struct buf json = { 0 }, wanted = { 0 };
		struct json_out j = json_out(&json);

		buf_printf(&wanted, "{\"id\":\"m1\",\"sender\":\"ann\",\"recipient\":\"bob\","
		                    "\"message\":\"a \\\"b\\\"\",\"has_read\":%s%s}",
		           chats[i].read ? "true" : "false", chats[i].media);
		buf_char(&wanted, '\0');
		messenger_put_chat(&j, &m);
		assert_said(&json, wanted.p);
		buf_fini(&wanted);
		buf_fini(&json);
	}
}

/* The attachment that a link is stored as. */
static void put_link(struct json_out *j, const char *url, const char *name)
{
	json_open(j, '{');
	json_put_str(j, "id", str_z(url));
	json_put_str(j, "filename", str_z(name));
	json_put_str(j, "originalName", str_z(name));
	json_put_str(j, "mimeType", STR("application/octet-stream"));
	json_put_int(j, "size", 0);
	json_put_str(j, "url", str_z(url));
	json_put_time(j, "createdAt", clock_wall_ms());
	json_close(j, '}');
}

static const struct {
	const char *url, *name;
} links[] = {
	{ "https://x.example/a/b.png", "b.png" },
	{ "https://x.example/b.png?c=/d", "b.png" },
	{ "https://x.example", "x.example" },
	{ "https://x.example/a/", "https://x.example/a/" },
};

static void test_links(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(links); i++) {
		struct arena arena = { 0 };
		struct buf wanted = { 0 };
		struct json_out j = json_out(&wanted);
		struct strs attachments;
		const char *wrong;

		put_link(&j, links[i].url, links[i].name);
		const struct str media = arena_printf(&arena, "[\"%s\"]", links[i].url);
		assert_true(messenger_media(media, &arena, &attachments, &wrong));
		assert_int_equal(attachments.n, 1);
		assert_said(&wanted, attachments.v[0].p);
		buf_fini(&wanted);
		arena_fini(&arena);
	}
}

static void test_no_media(void **state UNUSED)
{
	struct arena arena = { 0 };
	struct strs attachments = { NULL, 7 };
	const char *wrong;

	assert_true(messenger_media(STR("[]"), &arena, &attachments, &wrong));
	assert_int_equal(attachments.n, 0);
	arena_fini(&arena);
}

#define UPLOAD "0123456789abcdef0123456789abcdef"

static void test_uploads(void **state UNUSED)
{
	struct arena arena = { 0 };
	struct strs attachments;
	const char *wrong;

	assert_true(messenger_media(STR("[\"/uploads/" UPLOAD "/a.png\",\"https://x/y\"]"), &arena,
	                            &attachments, &wrong));
	assert_int_equal(attachments.n, 2);
	assert_memory_equal(attachments.v[0].p, UPLOAD, 32);
	assert_int_equal(attachments.v[0].len, 32);
	assert_false(
		messenger_media(STR("[\"/uploads/0123/a.png\"]"), &arena, &attachments, &wrong));
	assert_false(messenger_media(STR("[\"/uploads/{}\"]"), &arena, &attachments, &wrong));
	arena_fini(&arena);
}

/* `count` links in an array, each of `len` bytes. */
static struct str many(struct arena *a, size_t count, size_t len)
{
	static const char scheme[] = "https://";
	struct buf json = { 0 };

	buf_char(&json, '[');
	for (size_t i = 0; i < count; i++) {
		buf_printf(&json, "%s\"%s", i > 0 ? "," : "", scheme);
		for (size_t n = strlen(scheme); n < len; n++)
			buf_char(&json, 'x');
		buf_char(&json, '"');
	}
	buf_char(&json, ']');
	const struct str text = arena_str(a, buf_view(&json));
	buf_fini(&json);
	return text;
}

static void test_how_many_and_how_long(void **state UNUSED)
{
	struct arena arena = { 0 };
	struct strs attachments;
	const char *wrong;

	assert_true(messenger_media(many(&arena, 10, 20), &arena, &attachments, &wrong));
	assert_false(messenger_media(many(&arena, 11, 20), &arena, &attachments, &wrong));
	assert_string_equal(wrong, "must have at most 10 elements");
	assert_true(messenger_media(many(&arena, 1, 2048), &arena, &attachments, &wrong));
	assert_in_range(attachments.v[0].len, 2 * 2048, 2 * 2048 + 2 * 255 + 200);
	assert_false(messenger_media(many(&arena, 1, 2049), &arena, &attachments, &wrong));
	assert_string_equal(wrong, "must be an array of URLs of uploads, or https URLs");
	arena_fini(&arena);
}

/* The name of what a long link leads to is cut between two characters. */
static void test_long_names(void **state UNUSED)
{
	struct arena arena = { 0 };
	struct strs attachments;
	const char *wrong;
	char url[1000] = "[\"https://x.example/a";

	for (size_t i = 0; i < 300; i++)
		strcat(url, "\xc3\xa9");
	strcat(url, "\"]");
	assert_true(messenger_media(str_z(url), &arena, &attachments, &wrong));
	assert_true(utf8_valid(attachments.v[0]));
	assert_in_range(attachments.v[0].len, 2 * 621 + 2 * 255, 2 * 621 + 2 * 255 + 200);
	arena_fini(&arena);
}

static const char *const no_links[] = {
	"[\"\"]", "[\"https://\"]", "[\"http://x.example/a\"]", "[\"javascript:alert(1)\"]",
	"[\"/a.png\"]", "[\"HTTPS://x.example/a\"]", "[\"https://x.example/a b\"]",
	"[\"https://x.example/a\\n\"]", "[\"https://x.example/\\\"\"]",
	"[\"https://x.example/\\\\\"]", "[\"https://x.example/\\u007f\"]",
	"[7]", "[null]", "[{}]", "[[\"https://x.example/a\"]]", "[\"https://x.example/a\",\"b\"]",
};

static void test_no_links(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(no_links); i++) {
		struct arena arena = { 0 };
		struct strs attachments;
		const char *wrong;

		if (messenger_media(str_z(no_links[i]), &arena, &attachments, &wrong))
			fail_msg("taken: %s", no_links[i]);
		assert_string_equal(wrong, "must be an array of URLs of uploads, or https URLs");
		arena_fini(&arena);
	}
}

static const struct {
	struct fault fault;
	const char *code, *message;
} faults[] = {
	{ { .code = ERR_INVALID, .field = { "user", 4 }, .detail = { "is required", 11 } },
	  "bad-request", "user is required" },
	{ { .code = ERR_INVALID, .detail = { "must be an object", 17 } },
	  "bad-request", "must be an object" },
	{ { .code = ERR_UNKNOWN_EVENT, .detail = { "Unknown event: dance", 20 } },
	  "bad-request", "Unknown event: dance" },
	{ { .code = ERR_NO_USER, .field = { "other", 5 } }, "not-found", "There is no such user" },
	{ { .code = ERR_NO_MESSAGE, .field = { "message", 7 } },
	  "not-found", "There is no such chat" },
	{ { .code = ERR_FORBIDDEN, .field = { "message", 7 } },
	  "forbidden", "Only its recipient can read a chat" },
	{ { .code = ERR_USER_DELETED, .field = { "user", 4 } },
	  "forbidden", "The user has been deleted" },
	{ { .code = ERR_RATE, .detail = { "3", 1 }, .retry_after_s = 3 },
	  "rate-limited", "Rate limit exceeded. Please slow down." },
	{ { .code = ERR_UNAVAILABLE }, "unavailable", "Temporarily unavailable, please retry" },
	{ { .code = ERR_INTERNAL }, "unavailable", "Internal error" },
};

static void test_failures(void **state UNUSED)
{
	static const struct services services;

	for (size_t i = 0; i < COUNT_OF(faults); i++) {
		struct op *op = op_new(&services, NULL, NULL, NULL);
		const char *wanted = op_text(op, "{\"error\":{\"code\":\"%s\",\"message\":\"%s\"}}",
		                             faults[i].code, faults[i].message).p;
		const struct str said = api_messenger.error(op, &faults[i].fault);

		assert_string_equal(arena_str(&op->arena, said).p, wanted);
		op_reply(op, STR_NONE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_chats),
		cmocka_unit_test(test_links),
		cmocka_unit_test(test_no_media),
		cmocka_unit_test(test_uploads),
		cmocka_unit_test(test_how_many_and_how_long),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_no_links),
		cmocka_unit_test(test_failures),
	};

	return cmocka_run_group_tests_name("messenger", tests, NULL, NULL);
}

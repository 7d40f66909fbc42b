/* Events and messages as the Redis functions write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/stamp.h"
#include "worker/domain/event.h"

#define HEAD(type) "{\"type\":\"" type "\",\"room\":\"r1\",\"kind\":\"group\",\"actor\":\"ann\""
#define PRESENCE(type) \
	"{\"type\":\"" type "\",\"actor\":\"ann\",\"user\":\"u1\",\"username\":\"ann\""
#define LOBBY(what) \
	"{\"type\":\"lobby-" what "\",\"actor\":\"ann\",\"room\":\"hall\",\"kind\":\"lobby\"," \
	"\"clock\":\"1-2\""
#define MESSAGE \
	"{\"id\":\"m1\",\"room\":\"r1\",\"kind\":\"group\",\"author\":{\"id\":\"ann\"," \
	"\"username\":\"ann_1\",\"name\":\"Ann \\\"A\\\"\",\"image\":null}," \
	"\"content\":\"hi \\u00e9\"," \
	"\"createdAt\":1700000000123,\"updatedAt\":1700000000124,\"deletedAt\":null," \
	"\"replyToId\":null,\"replyTo\":null,\"attachments\":[],\"reactions\":[{\"id\":\"x\"}]," \
	"\"read\":true}"
#define REACTION \
	"{\"id\":\"x1\",\"emoji\":\"\\u2764\",\"messageId\":\"m1\",\"userId\":\"bob\"," \
	"\"userName\":\"Bob\",\"createdAt\":1700000000125}"

static struct arena arena;

static bool reads(const char *json, struct feed_event *e)
{
	*e = (struct feed_event){ 0 };
	return event_read(str_z(json), &arena, e);
}

static void equal(struct str got, const char *want)
{
	assert_int_equal(got.len, str_z(want).len);
	assert_memory_equal(got.p, want, got.len);
}

static void reads_each_type(void **state)
{
	static const struct { const char *json; enum event_type type; } rows[] = {
		{ HEAD("message") ",\"message\":" MESSAGE "}", EVENT_MESSAGE },
		{ HEAD("edited") ",\"messageId\":\"m1\",\"content\":\"x\",\"updatedAt\":5}",
		  EVENT_EDITED },
		{ HEAD("deleted") ",\"messageId\":\"m1\",\"deletedAt\":7}", EVENT_DELETED },
		{ HEAD("reacted") ",\"reaction\":" REACTION "}", EVENT_REACTED },
		{ HEAD("unreacted") ",\"messageId\":\"m1\",\"emoji\":\"+\",\"userId\":\"ann\"}",
		  EVENT_UNREACTED },
		{ HEAD("forwarded") ",\"message\":" MESSAGE ",\"original\":" MESSAGE "}",
		  EVENT_FORWARDED },
		{ HEAD("forwarded") ",\"message\":" MESSAGE ",\"original\":null}",
		  EVENT_FORWARDED },
		{ HEAD("joined") ",\"users\":[\"bob\",\"eve\"]}", EVENT_JOINED },
		{ HEAD("left") ",\"user\":\"bob\",\"userDeleted\":true}", EVENT_LEFT },
		{ HEAD("room-created") ",\"name\":null}", EVENT_ROOM_CREATED },
		{ HEAD("added") ",\"name\":\"Team\"}", EVENT_ADDED },
		{ HEAD("removed") "}", EVENT_REMOVED },
		{ "{\"type\":\"user-deleted\",\"actor\":\"ann\",\"user\":\"ann\"}",
		  EVENT_USER_DELETED },
		{ "{\"type\":\"resumed\",\"actor\":\"ann\",\"feed\":\"user:ann\","
		  "\"session\":\"p1\",\"take\":1}", EVENT_RESUMED },
		{ HEAD("read") ",\"messageId\":\"m\",\"username\":\"bob\",\"peer\":\"ann\"}",
		  EVENT_READ },
		{ PRESENCE("came") "}", EVENT_CAME },
		{ PRESENCE("went") "}", EVENT_WENT },
		{ PRESENCE("online") ",\"clock\":\"1-2\"}", EVENT_ONLINE },
		{ PRESENCE("offline") ",\"clock\":\"1-2\"}", EVENT_OFFLINE },
		{ LOBBY("users") ",\"users\":[]}", EVENT_LOBBY_USERS },
		{ LOBBY("message") ",\"name\":\"ann\",\"content\":\"x\"}", EVENT_LOBBY_MESSAGE },
	};
	struct feed_event e;
	bool seen[EVENT_COUNT] = { false };
	(void)state;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_true(reads(rows[i].json, &e));
		assert_int_equal(e.type, rows[i].type);
		equal(e.actor, "ann");
		seen[e.type] = true;
	}
	for (size_t i = 0; i < EVENT_COUNT; i++)
		assert_true(seen[i]);
}

static void keeps_what_is_written(void **state)
{
	struct feed_event e;
	(void)state;

	assert_true(reads(HEAD("message") ",\"message\":" MESSAGE "}", &e));
	equal(e.room, "r1");
	assert_int_equal(e.kind, ROOM_GROUP);
	const struct message *m = &e.message;
	equal(m->id, "m1");
	equal(m->author.id, "ann");
	equal(m->author.username, "ann_1");
	equal(m->author.name, "\"Ann \\\"A\\\"\"");
	equal(m->author.image, "null");
	equal(m->content, "\"hi \\u00e9\"");
	assert_true(m->created_at == 1700000000123 && m->updated_at == 1700000000124);
	assert_true(m->deleted_at == 0 && m->read);
	equal(m->reply_to_id, "null");
	equal(m->reply_to, "null");
	equal(m->attachments, "[]");
	equal(m->reactions, "[{\"id\":\"x\"}]");

	assert_true(reads(HEAD("edited") ",\"messageId\":\"m\",\"content\":\"x\",\"updatedAt\":5}",
	                  &e));
	equal(e.content, "\"x\"");
	assert_true(e.at == 5);
	assert_true(reads(HEAD("deleted") ",\"messageId\":\"m1\",\"deletedAt\":7}", &e));
	assert_true(e.at == 7);
	assert_true(reads(HEAD("joined") ",\"users\":[\"bob\",\"eve\"]}", &e));
	equal(e.users, "[\"bob\",\"eve\"]");
	assert_true(reads(HEAD("read") ",\"messageId\":\"m\",\"username\":\"bob\",\"peer\":\"ann\","
	                  "\"unread\":2,\"origin\":\"s\"}", &e));
	equal(e.username, "bob");
	equal(e.peer, "ann");
	equal(e.origin, "s");
	assert_true(e.unread == 2);
	assert_true(reads(PRESENCE("online") ",\"clock\":\"2-7\"}", &e));
	assert_true(e.as_of == stamp_make(2, 7) && e.stamp == 0);
	assert_true(reads(PRESENCE("went") "}", &e));
	equal(e.user, "u1");
	assert_true(reads(
		LOBBY("users") ",\"users\":[{\"id\":\"s\"}],\"came\":[],\"left\":[\"bob\"]}", &e));
	equal(e.users, "[{\"id\":\"s\"}]");
	assert_true(e.came.n == 0 && e.left.n == 1 && e.kind == ROOM_LOBBY);
	assert_true(reads(LOBBY("message") ",\"name\":\"ann\",\"content\":\"x\"}", &e));
	equal(e.name, "\"ann\"");
	assert_true(reads(HEAD("left") ",\"user\":\"bob\",\"userDeleted\":true}", &e));
	assert_true(e.user_deleted);
	assert_true(reads(HEAD("forwarded") ",\"message\":" MESSAGE ",\"original\":null}", &e));
	equal(e.original, "null");
	assert_true(reads(HEAD("reacted") ",\"reaction\":" REACTION "}", &e));
	equal(e.reaction.id, "x1");
	equal(e.reaction.emoji, "\"\\u2764\"");
	assert_true(e.reaction.created_at == 1700000000125);
}

static void refuses_the_rest(void **state)
{
	static const char *const rows[] = {
		"", "{}", "[]", "null", "\"x\"", "{", "{\"type\":\"message\"}",
		HEAD("message") "}", HEAD("nonsense") "}", HEAD("message") ",\"message\":{}}",
		HEAD("message") ",\"message\":\"m\"}", HEAD("edited") ",\"messageId\":\"m1\"}",
		HEAD("joined") ",\"users\":{}}", PRESENCE("online") "}",
		PRESENCE("came") ",\"clock\":\"x\"}", "{\"type\":\"went\",\"user\":\"u1\"}",
		LOBBY("users") "}", LOBBY("message") ",\"name\":\"ann\"}",
		HEAD("read") ",\"messageId\":\"m\",\"username\":\"bob\"}", HEAD("left") "}",
		HEAD("removed") "} x",
		"{\"type\":\"removed\",\"room\":\"r1\",\"kind\":\"cellar\"}",
		"{\"type\":\"removed\",\"room\":\"r1\"}",
		"{\"type\":7,\"room\":\"r1\",\"kind\":\"group\"}",
		HEAD("deleted") ",\"messageId\":\"m1\",\"deletedAt\":\"soon\"}",
		HEAD("removed") ",\"user\":\"\xff\"}",
		HEAD("reacted") "}", HEAD("reacted") ",\"reaction\":{}}",
		HEAD("reacted") ",\"reaction\":{\"id\":\"x1\"}}",
	};
	struct feed_event e;
	(void)state;

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_false(reads(rows[i], &e));
}

static void reads_a_message_alone(void **state)
{
	struct message m;
	(void)state;

	assert_true(message_read(STR(MESSAGE), &arena, &m));
	equal(m.room, "r1");
	assert_true(message_read(STR("{\"id\":\"m\",\"room\":\"r\",\"kind\":\"direct\",\"author\":"
	                             "{\"id\":\"a\",\"username\":\"a\"},"
	                             "\"content\":\"\",\"createdAt\":1,"
	                             "\"updatedAt\":1,\"deletedAt\":9}"), &arena, &m));
	assert_int_equal(m.kind, ROOM_DIRECT);
	assert_true(m.deleted_at == 9);
	equal(m.reactions, "[]");
	assert_false(message_read(STR("[]"), &arena, &m));
	assert_false(message_read(STR("null"), &arena, &m));
	assert_false(message_read(STR("x"), &arena, &m));
}

static void reads_a_reaction_alone(void **state)
{
	struct reaction r;
	(void)state;

	assert_true(reaction_read(STR(REACTION), &arena, &r));
	equal(r.message, "m1");
	equal(r.user, "bob");
	equal(r.user_name, "\"Bob\"");
	assert_false(reaction_read(STR("{\"id\":\"x1\"}"), &arena, &r));
	assert_false(reaction_read(STR("[]"), &arena, &r));
	assert_false(reaction_read(STR("x"), &arena, &r));
}

static void tells_kinds_by_words(void **state)
{
	enum room_kind kind;
	(void)state;

	for (unsigned i = ROOM_GROUP; i <= ROOM_LOBBY; i++) {
		assert_true(room_kind_read(room_kind_word((enum room_kind)i), &kind));
		assert_int_equal(kind, i);
	}
	assert_false(room_kind_read(STR("cellar"), &kind));
	assert_false(room_kind_read(STR(""), &kind));
}

static int forget(void **state)
{
	(void)state;
	arena_fini(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(reads_each_type, forget),
		cmocka_unit_test_teardown(keeps_what_is_written, forget),
		cmocka_unit_test_teardown(refuses_the_rest, forget),
		cmocka_unit_test_teardown(reads_a_message_alone, forget),
		cmocka_unit_test_teardown(reads_a_reaction_alone, forget),
		cmocka_unit_test(tells_kinds_by_words),
	};
	return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}

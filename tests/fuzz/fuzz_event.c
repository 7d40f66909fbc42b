/* What Redis tells: a message of a feed, "<prev> <id> <json>", and the events
 * and messages in it. */
#include "tests/fuzz/fuzz.h"
#include "common/stamp.h"
#include "worker/domain/event.h"
#include "worker/store/sub.h"

static void check_raw(struct str raw)
{
	struct str value;
	CHECK(raw.p == NULL || (json_valid(raw, &value) && value.len == raw.len));
}

static void check_message(const struct message *m)
{
	CHECK(m->id.p != NULL && m->room.p != NULL && m->author.id.p != NULL);
	CHECK(m->kind <= ROOM_LOBBY);
	const struct str raws[] = { m->author.name, m->author.image, m->content, m->reply_to_id,
		                    m->reply_to, m->attachments, m->reactions };
	for (size_t i = 0; i < COUNT_OF(raws); i++) {
		CHECK(raws[i].len > 0);
		check_raw(raws[i]);
	}
	CHECK(json_type(m->attachments) == JSON_ARRAY && json_type(m->reactions) == JSON_ARRAY);
}

static void check_reaction(const struct reaction *r)
{
	CHECK(r->id.p != NULL && r->message.p != NULL && r->user.p != NULL);
	CHECK(r->user_name.len > 0 && r->emoji.len > 0);
	check_raw(r->user_name);
	check_raw(r->emoji);
}

/* What whoever says it to clients relies on. */
static bool has_needs(const struct feed_event *e)
{
	switch (e->type) {
	case EVENT_EDITED:
		return e->message_id.p != NULL && e->content.p != NULL;
	case EVENT_DELETED:
		return e->message_id.p != NULL;
	case EVENT_REACTED:
		return e->reaction.id.p != NULL;
	case EVENT_UNREACTED:
		return e->message_id.p != NULL && e->emoji.p != NULL;
	case EVENT_LEFT:
	case EVENT_USER_DELETED:
		return e->user.p != NULL;
	case EVENT_RESUMED:
		return e->feed.p != NULL && e->session.p != NULL;
	case EVENT_JOINED:
		return e->users.len > 0;
	case EVENT_READ:
		return e->message_id.p != NULL && e->username.p != NULL && e->peer.p != NULL;
	case EVENT_CAME:
	case EVENT_WENT:
	case EVENT_ONLINE:
	case EVENT_OFFLINE:
		return e->user.p != NULL && e->username.p != NULL;
	case EVENT_LOBBY_USERS:
		return e->users.len > 0;
	case EVENT_LOBBY_MESSAGE:
		return e->content.p != NULL;
	default:
		return true;
	}
}

/* Some are about a user alone; all others about a room. */
static bool has_room(enum event_type type)
{
	switch (type) {
	case EVENT_USER_DELETED:
	case EVENT_RESUMED:
	case EVENT_CAME:
	case EVENT_WENT:
	case EVENT_ONLINE:
	case EVENT_OFFLINE:
		return false;
	default:
		return true;
	}
}

static void check_event(const struct feed_event *e)
{
	CHECK(has_needs(e));
	CHECK(e->type < EVENT_COUNT && e->kind <= ROOM_LOBBY);
	CHECK(!has_room(e->type) || e->room.p != NULL);
	CHECK(e->name.len > 0 && e->original.len > 0);
	check_raw(e->name);
	check_raw(e->original);
	check_raw(e->content);
	check_raw(e->emoji);
	check_raw(e->users);
	CHECK(e->users.p == NULL || json_type(e->users) == JSON_ARRAY);
	for (size_t i = 0; i < e->came.n; i++)
		CHECK(utf8_valid(e->came.v[i]));
	for (size_t i = 0; i < e->left.n; i++)
		CHECK(utf8_valid(e->left.v[i]));
	if (e->type == EVENT_MESSAGE || e->type == EVENT_FORWARDED)
		check_message(&e->message);
	if (e->type == EVENT_REACTED)
		check_reaction(&e->reaction);
}

/* The stamps say themselves again; what follows them is the rest of the text. */
static struct str check_feed_message(struct str text)
{
	struct str json = text;
	struct buf again = { 0 };
	uint64_t prev, stamp, stamp_again;

	if (!feed_message(&json, &prev, &stamp))
		return STR_NONE;
	CHECK(json.len > 0 && fuzz_within(json, text));
	CHECK(json.p + json.len == text.p + text.len);
	stamp_write(&again, stamp);
	CHECK(stamp_parse(buf_view(&again), &stamp_again) && stamp == stamp_again);
	buf_fini(&again);
	return json;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const struct str text = fuzz_str(bytes, len);
	struct arena a = { 0 };
	struct feed_event e = { 0 };
	struct message m = { 0 };
	struct reaction r;

	struct str json = check_feed_message(text);
	if (json.p == NULL)
		json = text;
	if (event_read(json, &a, &e))
		check_event(&e);
	if (message_read(json, &a, &m))
		check_message(&m);
	if (reaction_read(json, &a, &r))
		check_reaction(&r);
	arena_fini(&a);
	return 0;
}

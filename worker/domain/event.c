/* What happened, read from the JSON that the Redis functions write: a table each for events,
 * messages and reactions, and one that says what each type of event must bring. */
#include "worker/domain/event.h"

#include "common/schema.h"
#include "common/stamp.h"

/* As they stand in the JSON, before words become numbers. */
struct message_wire {
	struct message message;
	struct str kind;
};

struct event_wire {
	struct feed_event event;
	struct str type, kind, clock;
	struct str message;
	int64_t updated_at, deleted_at;
};

static const struct field author_schema[] = {
	FIELD(author, id, F_STR, .required = true),
	FIELD(author, username, F_STR, .required = true),
	FIELD(author, name, F_RAW),
	FIELD(author, image, F_RAW),
	{ 0 }
};

static const struct field reaction_schema[] = {
	FIELD(reaction, id, F_STR, .required = true),
	FIELD_AS(reaction, message, "messageId", F_STR, .required = true),
	FIELD_AS(reaction, user, "userId", F_STR, .required = true),
	FIELD_AS(reaction, user_name, "userName", F_RAW, .required = true),
	FIELD(reaction, emoji, F_RAW, .required = true),
	FIELD_AS(reaction, created_at, "createdAt", F_INT, .required = true),
	{ 0 }
};

static const struct field message_schema[] = {
	FIELD_AS(message_wire, message.id, "id", F_STR, .required = true),
	FIELD_AS(message_wire, message.room, "room", F_STR, .required = true),
	FIELD(message_wire, kind, F_STR, .required = true),
	FIELD_AS(message_wire, message.author, "author", F_OBJECT, .fields = author_schema,
	         .required = true),
	FIELD_AS(message_wire, message.content, "content", F_RAW, .required = true),
	FIELD_AS(message_wire, message.created_at, "createdAt", F_INT, .required = true),
	FIELD_AS(message_wire, message.updated_at, "updatedAt", F_INT, .required = true),
	FIELD_AS(message_wire, message.deleted_at, "deletedAt", F_INT),
	FIELD_AS(message_wire, message.reply_to_id, "replyToId", F_RAW),
	FIELD_AS(message_wire, message.reply_to, "replyTo", F_RAW),
	FIELD_AS(message_wire, message.attachments, "attachments", F_ARRAY),
	FIELD_AS(message_wire, message.reactions, "reactions", F_ARRAY),
	FIELD_AS(message_wire, message.read, "read", F_BOOL),
	FIELD_AS(message_wire, message.recipient, "recipient", F_STR),
	{ 0 }
};

static const struct field event_schema[] = {
	FIELD(event_wire, type, F_STR, .required = true),
	FIELD_AS(event_wire, event.room, "room", F_STR),
	FIELD(event_wire, kind, F_STR),
	FIELD_AS(event_wire, event.actor, "actor", F_STR),
	FIELD_AS(event_wire, event.user, "user", F_STR),
	FIELD_AS(event_wire, event.users, "users", F_ARRAY),
	FIELD_AS(event_wire, event.user_deleted, "userDeleted", F_BOOL),
	FIELD_AS(event_wire, event.name, "name", F_RAW),
	FIELD(event_wire, message, F_OBJECT),
	FIELD_AS(event_wire, event.original, "original", F_RAW),
	FIELD_AS(event_wire, event.message_id, "messageId", F_STR),
	FIELD_AS(event_wire, event.content, "content", F_RAW),
	FIELD_AS(event_wire, updated_at, "updatedAt", F_INT),
	FIELD_AS(event_wire, deleted_at, "deletedAt", F_INT),
	FIELD_AS(event_wire, event.reaction, "reaction", F_OBJECT, .fields = reaction_schema),
	FIELD_AS(event_wire, event.emoji, "emoji", F_RAW),
	FIELD_AS(event_wire, event.feed, "feed", F_STR),
	FIELD_AS(event_wire, event.session, "session", F_STR),
	FIELD_AS(event_wire, event.take, "take", F_INT),
	FIELD_AS(event_wire, event.username, "username", F_STR),
	FIELD_AS(event_wire, event.peer, "peer", F_STR),
	FIELD_AS(event_wire, event.unread, "unread", F_INT),
	FIELD_AS(event_wire, event.origin, "origin", F_STR),
	FIELD_AS(event_wire, event.came, "came", F_STRS),
	FIELD_AS(event_wire, event.left, "left", F_STRS),
	FIELD(event_wire, clock, F_STR),
	{ 0 }
};

static const char *const event_words[EVENT_COUNT] = {
#define EVENT(name, word) [EVENT_##name] = word,
#include "worker/domain/event.def"
#undef EVENT
};

static const char *const kind_words[] = {
	[ROOM_GROUP] = "group", [ROOM_CHANNEL] = "channel", [ROOM_DIRECT] = "direct",
	[ROOM_LOBBY] = "lobby",
};

#define NEED(member) (1u << NEED_##member)
enum { NEED_room, NEED_user, NEED_message, NEED_message_id, NEED_content, NEED_reaction, NEED_emoji,
       NEED_feed, NEED_session, NEED_username, NEED_peer, NEED_users, NEED_name, NEED_clock };

/* The strings that must be there; all that is not listed here has a fair meaning
 * when it is absent. */
static const size_t need_offsets[] = {
	[NEED_room] = offsetof(struct event_wire, event.room),
	[NEED_user] = offsetof(struct event_wire, event.user),
	[NEED_message] = offsetof(struct event_wire, message),
	[NEED_message_id] = offsetof(struct event_wire, event.message_id),
	[NEED_content] = offsetof(struct event_wire, event.content),
	[NEED_reaction] = offsetof(struct event_wire, event.reaction.id),
	[NEED_emoji] = offsetof(struct event_wire, event.emoji),
	[NEED_feed] = offsetof(struct event_wire, event.feed),
	[NEED_session] = offsetof(struct event_wire, event.session),
	[NEED_username] = offsetof(struct event_wire, event.username),
	[NEED_peer] = offsetof(struct event_wire, event.peer),
	[NEED_users] = offsetof(struct event_wire, event.users),
	[NEED_name] = offsetof(struct event_wire, event.name),
	[NEED_clock] = offsetof(struct event_wire, clock),
};

static const unsigned event_needs[EVENT_COUNT] = {
	[EVENT_MESSAGE] = NEED(room) | NEED(message),
	[EVENT_EDITED] = NEED(room) | NEED(message_id) | NEED(content),
	[EVENT_DELETED] = NEED(room) | NEED(message_id),
	[EVENT_REACTED] = NEED(room) | NEED(reaction),
	[EVENT_UNREACTED] = NEED(room) | NEED(message_id) | NEED(emoji),
	[EVENT_FORWARDED] = NEED(room) | NEED(message),
	[EVENT_JOINED] = NEED(room) | NEED(users),
	[EVENT_LEFT] = NEED(room) | NEED(user),
	[EVENT_ROOM_CREATED] = NEED(room),
	[EVENT_ADDED] = NEED(room),
	[EVENT_REMOVED] = NEED(room),
	[EVENT_USER_DELETED] = NEED(user),
	[EVENT_RESUMED] = NEED(feed) | NEED(session),
	[EVENT_READ] = NEED(room) | NEED(message_id) | NEED(username) | NEED(peer),
	[EVENT_CAME] = NEED(user) | NEED(username),
	[EVENT_WENT] = NEED(user) | NEED(username),
	[EVENT_ONLINE] = NEED(user) | NEED(username) | NEED(clock),
	[EVENT_OFFLINE] = NEED(user) | NEED(username) | NEED(clock),
	[EVENT_LOBBY_USERS] = NEED(room) | NEED(users) | NEED(clock),
	[EVENT_LOBBY_MESSAGE] = NEED(room) | NEED(name) | NEED(content) | NEED(clock),
};

/* The index of `word` among `n` words, or n. */
static unsigned word_index(struct str word, const char *const *words, unsigned n)
{
	unsigned i = 0;

	while (i < n && !str_eqz(word, words[i]))
		i++;
	return i;
}

struct str room_kind_word(enum room_kind kind)
{
	return str_z(kind_words[kind]);
}

bool room_kind_read(struct str word, enum room_kind *out)
{
	const unsigned kind = word_index(word, kind_words, COUNT_OF(kind_words));

	*out = (enum room_kind)kind;
	return kind < COUNT_OF(kind_words);
}

/* A raw value that is absent, or null, leaves no text; whoever writes it again wants one. */
static void raw_default(struct str *raw, struct str otherwise)
{
	if (raw->p == NULL)
		*raw = otherwise;
}

/* `json` is valid JSON without blanks around. */
static bool message_take(struct str json, struct arena *a, struct message *out)
{
	struct message_wire wire = { 0 };
	struct fault why = { 0 };

	if (json_type(json) != JSON_OBJECT ||
	    schema_decode(message_schema, json, a, &wire, &why) != ERR_OK ||
	    !room_kind_read(wire.kind, &wire.message.kind))
		return false;
	struct message *m = &wire.message;
	raw_default(&m->author.name, STR("null"));
	raw_default(&m->author.image, STR("null"));
	raw_default(&m->reply_to_id, STR("null"));
	raw_default(&m->reply_to, STR("null"));
	raw_default(&m->attachments, STR("[]"));
	raw_default(&m->reactions, STR("[]"));
	*out = *m;
	return true;
}

static bool has_needs(const struct event_wire *wire, unsigned needs)
{
	for (size_t i = 0; i < COUNT_OF(need_offsets); i++) {
		const void *at = (const char *)wire + need_offsets[i];
		if ((needs & 1u << i) != 0 && ((const struct str *)at)->p == NULL)
			return false;
	}
	return true;
}

/* What schemas cannot say: words, and which members a type needs. */
static bool event_finish(struct event_wire *wire, struct arena *a)
{
	const unsigned type = word_index(wire->type, event_words, EVENT_COUNT);
	struct feed_event *e = &wire->event;

	if (type == EVENT_COUNT || !has_needs(wire, event_needs[type]))
		return false;
	e->type = (enum event_type)type;
	if (e->room.p != NULL && !room_kind_read(wire->kind, &e->kind))
		return false;
	if (wire->message.p != NULL && !message_take(wire->message, a, &e->message))
		return false;
	if (wire->clock.p != NULL && !stamp_parse(wire->clock, &e->as_of))
		return false;
	e->at = type == EVENT_DELETED ? wire->deleted_at : wire->updated_at;
	raw_default(&e->name, STR("null"));
	raw_default(&e->original, STR("null"));
	return true;
}

bool event_read(struct str json, struct arena *a, struct feed_event *out)
{
	struct event_wire wire = { 0 };
	struct fault why = { 0 };

	if (!json_valid(json, &json) || json_type(json) != JSON_OBJECT ||
	    schema_decode(event_schema, json, a, &wire, &why) != ERR_OK || !event_finish(&wire, a))
		return false;
	*out = wire.event;
	return true;
}

bool message_read(struct str json, struct arena *a, struct message *out)
{
	return json_valid(json, &json) && message_take(json, a, out);
}

bool reaction_read(struct str json, struct arena *a, struct reaction *out)
{
	struct fault why = { 0 };

	*out = (struct reaction){ 0 };
	return json_valid(json, &json) && json_type(json) == JSON_OBJECT &&
	       schema_decode(reaction_schema, json, a, out, &why) == ERR_OK;
}

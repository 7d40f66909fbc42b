/* How the channels API says things. A room's id is called by what the room is: channelId, or
 * conversationId for a direct one; for the rest the two speak alike. */
#include "worker/api/channels_shape.h"

/* An optional text: null if there is none. */
static void put_text(struct json_out *j, const char *key, struct str text)
{
	json_key(j, key);
	if (text.p != NULL)
		json_str(j, text);
	else
		json_null(j);
}

static void put_room_id(struct json_out *j, enum room_kind kind, struct str id)
{
	json_put_str(j, kind == ROOM_DIRECT ? "conversationId" : "channelId", id);
}

/* --- Reactions --- */

void channels_put_reaction(struct json_out *j, const struct reaction *r)
{
	json_open(j, '{');
	json_put_str(j, "id", r->id);
	json_put_raw(j, "emoji", r->emoji);
	json_put_str(j, "messageId", r->message);
	json_put_str(j, "userId", r->user);
	json_put_time(j, "createdAt", r->created_at);
	json_key(j, "user");
	json_open(j, '{');
	json_put_str(j, "id", r->user);
	json_put_raw(j, "name", r->user_name);
	json_close(j, '}');
	json_close(j, '}');
}

static void put_reactions(struct json_out *j, struct str array)
{
	struct arena arena = { 0 };
	struct json_iter it = json_iter(array);
	struct str value;
	struct reaction r;

	json_key(j, "reactions");
	json_open(j, '[');
	while (json_next(&it, NULL, &value))
		if (reaction_read(value, &arena, &r))
			channels_put_reaction(j, &r);
	json_close(j, ']');
	arena_fini(&arena);
}

/* --- Messages --- */

static void put_author(struct json_out *j, const struct author *a)
{
	json_key(j, "user");
	json_open(j, '{');
	json_put_str(j, "id", a->id);
	json_put_raw(j, "name", a->name);
	json_put_raw(j, "image", a->image);
	json_close(j, '}');
}

/* All but replyTo; leaves the object open. */
static void open_message(struct json_out *j, const struct message *m)
{
	json_open(j, '{');
	json_put_str(j, "id", m->id);
	json_put_raw(j, "content", m->content);
	put_room_id(j, m->kind, m->room);
	json_put_str(j, "userId", m->author.id);
	json_put_time(j, "createdAt", m->created_at);
	json_put_time(j, "updatedAt", m->updated_at);
	if (m->deleted_at)
		json_put_time(j, "deletedAt", m->deleted_at);
	json_put_raw(j, "replyToId", m->reply_to_id);
	put_author(j, &m->author);
	json_put_raw(j, "attachments", m->attachments);
	put_reactions(j, m->reactions);
}

/* A message within another, or within an event: what it replies to itself is not told. */
static void put_inner(struct json_out *j, const char *key, struct str json)
{
	struct arena arena = { 0 };
	struct message m;

	json_key(j, key);
	if (json_type(json) == JSON_OBJECT && message_read(json, &arena, &m)) {
		open_message(j, &m);
		json_key(j, "replyTo");
		json_null(j);
		json_close(j, '}');
	} else {
		json_null(j);
	}
	arena_fini(&arena);
}

void channels_put_message(struct json_out *j, const struct message *m)
{
	open_message(j, m);
	put_inner(j, "replyTo", m->reply_to);
	json_close(j, '}');
}

/* --- Rooms --- */

void channels_put_channel(struct json_out *j, const struct room *r)
{
	json_open(j, '{');
	json_put_str(j, "id", r->id);
	put_text(j, "name", r->name);
	json_put_bool(j, "private", str_eqz(r->status, "PRIVATE"));
	put_text(j, "ownerId", r->owner);
	json_put_int(j, "memberCount", r->member_count);
	json_put_bool(j, "isMember", r->is_member);
	json_put_time(j, "createdAt", r->created_at);
	json_close(j, '}');
}

/* Leaves the object open. */
static void open_user(struct json_out *j, const struct user *u)
{
	json_open(j, '{');
	json_put_str(j, "id", u->id);
	json_put_str(j, "username", u->username);
	json_put_str(j, "name", u->name);
	put_text(j, "image", u->image);
}

void channels_put_conversation(struct json_out *j, const struct room *r)
{
	json_open(j, '{');
	json_put_str(j, "id", r->id);
	json_key(j, "user");
	open_user(j, &r->other);
	json_close(j, '}');
	json_put_time(j, "createdAt", r->created_at);
	if (r->last_message_at)
		json_put_time(j, "lastMessageAt", r->last_message_at);
	else
		json_put_raw(j, "lastMessageAt", STR("null"));
	json_close(j, '}');
}

void channels_put_member(struct json_out *j, const struct room_member *m)
{
	open_user(j, &m->user);
	json_put_str(j, "role", m->is_owner ? STR("owner") : STR("member"));
	json_close(j, '}');
}

/* --- Live events --- */

static void put_posted(struct json_out *j, const struct feed_event *e)
{
	channels_put_message(j, &e->message);
}

static void put_edited(struct json_out *j, const struct feed_event *e)
{
	json_open(j, '{');
	json_put_str(j, "messageId", e->message_id);
	json_put_raw(j, "content", e->content);
	put_room_id(j, e->kind, e->room);
	json_put_time(j, "updatedAt", e->at);
	json_close(j, '}');
}

static void put_deleted(struct json_out *j, const struct feed_event *e)
{
	json_open(j, '{');
	json_put_str(j, "messageId", e->message_id);
	put_room_id(j, e->kind, e->room);
	json_close(j, '}');
}

static void put_reacted(struct json_out *j, const struct feed_event *e)
{
	channels_put_reaction(j, &e->reaction);
}

static void put_unreacted(struct json_out *j, const struct feed_event *e)
{
	json_open(j, '{');
	json_put_str(j, "messageId", e->message_id);
	json_put_raw(j, "emoji", e->emoji);
	json_put_str(j, "userId", e->actor);
	put_room_id(j, e->kind, e->room);
	json_close(j, '}');
}

static void put_forwarded(struct json_out *j, const struct feed_event *e)
{
	const bool direct = e->kind == ROOM_DIRECT;

	json_open(j, '{');
	put_inner(j, "originalMessage", e->original);
	json_put_str(j, direct ? "targetConversationId" : "targetChannelId", e->room);
	json_key(j, "message");
	channels_put_message(j, &e->message);
	json_close(j, '}');
}

static const struct {
	const char *name, *direct;   /* what the event is called in channels, and in direct rooms */
	void (*put)(struct json_out *j, const struct feed_event *e);
} told[EVENT_COUNT] = {
	[EVENT_MESSAGE] = { "new_message", "new_direct_message", put_posted },
	[EVENT_EDITED] = { "message_edited", "direct_message_edited", put_edited },
	[EVENT_DELETED] = { "message_deleted", "direct_message_deleted", put_deleted },
	[EVENT_REACTED] = { "reaction_added", "direct_reaction_added", put_reacted },
	[EVENT_UNREACTED] = { "reaction_removed", "direct_reaction_removed", put_unreacted },
	[EVENT_FORWARDED] = { "message_forwarded", "message_forwarded_to_direct", put_forwarded },
};

enum audience channels_encode(const struct feed_event *e, unsigned nth, struct json_out *out)
{
	if (nth > 0 || told[e->type].put == NULL)
		return HEAR_NONE;
	json_str(out, str_z(e->kind == ROOM_DIRECT ? told[e->type].direct : told[e->type].name));
	told[e->type].put(out, e);
	return HEAR_ALL;
}

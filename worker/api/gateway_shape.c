/* How the gateway API says things. It calls rooms by name; of those without one it does not
 * speak. */
#include "worker/api/gateway_shape.h"

/* --- Names --- */

static int lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : (unsigned char)c;
}

/* By the bytes of the lower-case forms, as the Redis functions have it. */
static bool is_before(struct str a, struct str b)
{
	for (size_t i = 0; i < a.len && i < b.len; i++)
		if (lower(a.p[i]) != lower(b.p[i]))
			return lower(a.p[i]) < lower(b.p[i]);
	return a.len < b.len;
}

/* The name of an event's room, into `name`; false if it has none. */
static bool name_room(const struct feed_event *e, struct buf *name)
{
	struct arena arena = { 0 };
	const struct str a = e->message.author.username, b = e->message.recipient;

	if (e->kind == ROOM_DIRECT) {
		const bool first = is_before(a, b);
		buf_str(name, first ? a : b);
		buf_char(name, '/');
		buf_str(name, first ? b : a);
		return b.len > 0;
	}
	if (json_type(e->name) != JSON_STRING)
		return false;
	buf_str(name, json_text(&arena, e->name));
	arena_fini(&arena);
	if (e->kind == ROOM_GROUP) {
		buf_char(name, '#');
		buf_str(name, e->room);
	}
	return true;
}

/* --- Messages --- */

void gateway_put_message(struct json_out *j, const struct place_message *m)
{
	json_open(j, '{');
	json_put_str(j, "id", m->id);
	json_put_str(j, "room", m->place);
	json_put_str(j, "sender", m->sender);
	json_put_raw(j, "text", m->text);
	json_put_time(j, "createdAt", m->created_at);
	json_close(j, '}');
}

/* A room's name may need escapes, as keys otherwise never do. */
static void put_name_key(struct json_out *j, struct str name)
{
	json_str(j, name);
	buf_char(j->to, ':');
	j->comma = false;
}

void gateway_put_history(struct json_out *j, const struct place_history *h)
{
	json_open(j, '{');
	for (size_t i = 0; i < h->n; i++) {
		const struct place_past *past = &h->v[i];
		put_name_key(j, past->name);
		json_open(j, '[');
		for (size_t k = 0; k < past->n; k++)
			gateway_put_message(j, &past->v[k]);
		json_close(j, ']');
	}
	json_close(j, '}');
}

/* --- Rooms --- */

static struct str role(bool is_owner)
{
	return is_owner ? STR("owner") : STR("member");
}

void gateway_put_room(struct json_out *j, const struct place *p)
{
	json_open(j, '{');
	json_put_str(j, "name", p->name);
	json_put_str(j, "status", p->status);
	json_put_str(j, "role", role(p->is_owner));
	json_close(j, '}');
}

void gateway_put_member(struct json_out *j, const struct room_member *m)
{
	json_open(j, '{');
	json_put_str(j, "username", m->user.username);
	json_put_str(j, "name", m->user.name);
	json_put_str(j, "role", role(m->is_owner));
	json_put_bool(j, "isOnline", m->user.online);
	json_close(j, '}');
}

/* --- Live events --- */

static enum audience put_posted(struct json_out *j, const struct feed_event *e)
{
	const struct message *m = &e->message;
	struct buf name = { 0 };
	const bool named = name_room(e, &name);

	if (named) {
		const struct place_message said = {
			m->id, buf_view(&name), m->author.username, m->content, m->created_at
		};
		json_str(j, STR("newMessage"));
		gateway_put_message(j, &said);
	}
	buf_fini(&name);
	return named ? HEAR_ALL : HEAR_NONE;
}

/* Whoever opened it knows. */
static enum audience put_opened(struct json_out *j)
{
	json_str(j, STR("reconnectNeeded"));
	json_open(j, '{');
	json_put_str(j, "message", STR("Somebody opened a direct conversation with you"));
	json_close(j, '}');
	return HEAR_OTHERS;
}

enum audience gateway_encode(const struct feed_event *e, unsigned nth, struct json_out *out)
{
	if (nth > 0)
		return HEAR_NONE;
	switch (e->type) {
	case EVENT_MESSAGE:
	case EVENT_FORWARDED:
		return put_posted(out, e);
	case EVENT_ROOM_CREATED:
		return e->kind == ROOM_DIRECT ? put_opened(out) : HEAR_NONE;
	default:
		return HEAR_NONE;
	}
}

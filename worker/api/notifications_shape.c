/* How the notifications API says things. */
#include "worker/api/notifications_shape.h"

#include "common/clock.h"

void notifications_put_time(struct json_out *j, const char *key, int64_t wall_ms)
{
	struct buf text = { 0 };

	clock_iso_seconds(&text, wall_ms);
	json_put_str(j, key, buf_view(&text));
	buf_fini(&text);
}

/* --- Rooms --- */

void notifications_put_names(struct json_out *j, const struct room *r)
{
	json_put_str(j, "roomId", r->id);
	json_key(j, "name");
	if (r->name.len > 0)
		json_str(j, r->name);
	else
		json_null(j);
	json_put_str(j, "kind", room_kind_word(r->kind));
}

void notifications_put_room(struct json_out *j, const struct room *r)
{
	json_open(j, '{');
	notifications_put_names(j, r);
	json_put_int(j, "members", r->member_count);
	if (r->last_message_at != 0)
		notifications_put_time(j, "lastPostAt", r->last_message_at);
	else
		json_put_raw(j, "lastPostAt", STR_NONE);
	json_put_int(j, "unread", r->unread);
	json_close(j, '}');
}

void notifications_put_user(struct json_out *j, const struct room_viewed *u)
{
	json_open(j, '{');
	json_put_str(j, "userId", u->user.id);
	json_put_str(j, "username", u->user.username);
	json_put_str(j, "name", u->user.name);
	json_put_bool(j, "isOnline", u->is_online);
	json_close(j, '}');
}

void notifications_put_post(struct json_out *j, const struct message *m)
{
	json_open(j, '{');
	json_put_str(j, "postId", m->id);
	json_put_str(j, "userId", m->author.id);
	json_put_raw(j, "content", m->content);
	notifications_put_time(j, "createdAt", m->created_at);
	json_close(j, '}');
}

/* --- Live events --- */

static void put_new_post(struct json_out *j, const struct feed_event *e)
{
	json_put_str(j, "userId", e->actor);
	json_put_str(j, "roomId", e->room);
	json_put_str(j, "postId", e->message.id);
	json_put_raw(j, "content", e->message.content);
	notifications_put_time(j, "createdAt", e->message.created_at);
}

static void put_room_created(struct json_out *j, const struct feed_event *e)
{
	json_put_str(j, "creatorId", e->actor);
	json_put_str(j, "roomId", e->room);
}

static void put_room_invitation(struct json_out *j, const struct feed_event *e)
{
	json_put_str(j, "userWhoInvited", e->actor);
	json_put_str(j, "roomId", e->room);
}

static void put_new_users(struct json_out *j, const struct feed_event *e)
{
	json_put_str(j, "userWhoInvited", e->actor);
	json_put_raw(j, "newUsers", e->users);
	json_put_str(j, "roomId", e->room);
}

static void put_user_left(struct json_out *j, const struct feed_event *e)
{
	json_put_str(j, "userId", e->user);
	json_put_str(j, "roomId", e->room);
	json_put_bool(j, "userDeleted", e->user_deleted);
}

static const struct {
	const char *name;
	void (*put)(struct json_out *j, const struct feed_event *e);
} told[EVENT_COUNT] = {
	[EVENT_MESSAGE] = { "NewPost", put_new_post },
	[EVENT_FORWARDED] = { "NewPost", put_new_post },
	[EVENT_ROOM_CREATED] = { "RoomCreated", put_room_created },
	[EVENT_ADDED] = { "RoomInvitation", put_room_invitation },
	[EVENT_JOINED] = { "NewUsersInRoom", put_new_users },
	[EVENT_LEFT] = { "UserLeftRoom", put_user_left },
};

/* Who did it hears nothing, on no device. */
enum audience notifications_encode(const struct feed_event *e, unsigned nth, struct json_out *out)
{
	if (nth > 0 || told[e->type].put == NULL)
		return HEAR_NONE;
	json_open(out, '{');
	json_put_str(out, "type", str_z(told[e->type].name));
	told[e->type].put(out, e);
	json_close(out, '}');
	return HEAR_OTHERS;
}

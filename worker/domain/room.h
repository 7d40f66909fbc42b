/* Rooms: groups, channels, and direct rooms of two. The acting user is op->user. Each verb ends the
 * op, or goes on with `then`, whose result is borrowed; none uses op->state or op->caught. */
#ifndef CONFAB_ROOM_H
#define CONFAB_ROOM_H

#include "worker/domain/event.h"
#include "worker/domain/user.h"

/* The kind of room that the caller's API means; any other is ERR_NO_ROOM. */
enum want { WANT_ANY, WANT_CHANNEL /* and groups */, WANT_DIRECT };

/* As its asker sees it. */
struct room {
	struct str id;
	enum room_kind kind;
	struct str name;             /* STR_NONE: none */
	struct str status;           /* "PUBLIC", "PRIVATE", "DIRECT" */
	struct str owner;            /* STR_NONE: nobody is left */
	int64_t created_at;          /* milliseconds since 1970 */
	int64_t last_message_at;     /* 0: none */
	int64_t member_count;
	int64_t unread;              /* posts that are news to the asker */
	bool is_member;
	struct user other;           /* direct rooms: who is not the asker */
};

/* A room as of a moment, from which on its feed tells what changes. */
struct room_entry {
	struct room room;
	uint64_t stamp;
	bool made;                   /* room_create, room_direct: now, by this call */
};

struct room_list {
	struct str next;             /* for `after`; empty at the end */
	uint64_t stamp;
	const struct room *v;
	size_t n;
};

struct room_feeds {
	uint64_t stamp;              /* as of when: what comes later is to be heard */
	struct strs feeds;
};

struct room_member {
	struct user user;
	bool is_owner;
};

struct room_members {
	struct str next;
	const struct room_member *v;
	size_t n;
};

/* A room and a page of those who are in it. */
struct room_view {
	struct room room;
	struct str next;
	const struct room_viewed *v;
	size_t n;
};

struct room_viewed {
	struct user user;
	bool is_online;
};

struct room_plan {
	enum room_kind kind;         /* ROOM_GROUP or ROOM_CHANNEL */
	struct str name;             /* STR_NONE: none (groups only) */
	bool is_private;
	struct str hash;             /* of its password (hasher.h); STR_NONE: none */
	struct strs users;           /* members beside the asker */
};

/* What a want is called in the arguments of the Redis functions. */
struct str want_word(enum want want);
/* The name of a room's feed, in the op's arena. */
struct str room_feed(struct op *op, struct str id);

/* Makes a room. `then` gets a struct room_entry. ERR_INVALID name, users; ERR_TAKEN. */
void room_create(struct op *op, const struct room_plan *plan, op_fn *then);
/* The direct room with another user, made if it is not there. `then` gets a struct room_entry
 * without stamp. ERR_INVALID users (oneself), ERR_NO_USER. */
void room_direct(struct op *op, struct str other, op_fn *then);
/* Whether the user may hear the room; a socket's session follows it from now on. `then` gets a
 * struct room_entry. ERR_NO_ROOM, ERR_NOT_MEMBER. */
void room_enter(struct op *op, struct str id, enum want want, op_fn *then);
/* The user's rooms, and after them public channels if channels are wanted. `then` gets a struct
 * room_list; a page may be short while `next` is not empty. ERR_INVALID after. */
void room_list(struct op *op, enum want want, struct str after, int64_t limit, op_fn *then);
/* The feeds of all rooms of that kind that the user is in. `then` gets a struct room_feeds. */
void room_feeds(struct op *op, enum want want, op_fn *then);
/* Its members, for members. `then` gets a struct room_members. ERR_NO_ROOM, ERR_NOT_MEMBER,
 * ERR_INVALID after. */
void room_members(struct op *op, struct str id, struct str after, int64_t limit, op_fn *then);
/* The room with its members and who of them is online, for members. `then` gets a struct room_view.
 * ERR_NO_ROOM, ERR_NOT_MEMBER, ERR_INVALID after. */
void room_show(struct op *op, struct str id, struct str after, int64_t limit, op_fn *then);
/* Adds users; `then` gets a struct strs, the ids of those who were not in it. ERR_NO_ROOM,
 * ERR_INVALID room (direct) or users, ERR_NOT_MEMBER, ERR_FORBIDDEN. */
void room_add(struct op *op, struct str id, struct strs users, op_fn *then);
/* The same by a member only: no way into a public channel. */
void room_invite(struct op *op, struct str id, struct strs users, op_fn *then);
/* Takes a member out; `then` gets NULL. ERR_NO_ROOM, ERR_INVALID room (direct), ERR_NOT_MEMBER,
 * ERR_FORBIDDEN, ERR_NO_USER. */
void room_remove(struct op *op, struct str id, struct str user, op_fn *then);

#endif

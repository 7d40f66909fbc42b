/* What happened, as Redis tells it: one struct for live events, and one for messages wherever
 * they come from. All strings are slices of the JSON they were read from, or live in the arena. */
#ifndef CONFAB_EVENT_H
#define CONFAB_EVENT_H

#include "common/arena.h"
#include "common/json.h"

enum event_type {
#define EVENT(name, word) EVENT_##name,
#include "worker/domain/event.def"
#undef EVENT
	EVENT_COUNT
};

enum room_kind { ROOM_GROUP, ROOM_CHANNEL, ROOM_DIRECT, ROOM_LOBBY };

/* What a kind is called in what Redis stores and tells. */
struct str room_kind_word(enum room_kind kind);
/* False: no kind is called so. */
bool room_kind_read(struct str word, enum room_kind *out);

/* Members whose type is "raw" hold JSON as it stands: a string with its quotes,
 * `null`, an array. */
struct author {
	struct str id, username;
	struct str name, image;      /* raw */
};

struct reaction {
	struct str id, message, user;
	struct str user_name, emoji; /* raw strings */
	int64_t created_at;          /* milliseconds since 1970 */
};

struct message {
	struct str id, room;
	enum room_kind kind;
	struct author author;
	struct str content;          /* raw string */
	int64_t created_at, updated_at;      /* milliseconds since 1970 */
	int64_t deleted_at;          /* 0: not deleted */
	struct str reply_to_id;      /* raw: string or null */
	struct str reply_to;         /* raw: a message or null */
	struct str attachments;      /* raw array */
	struct str reactions;        /* raw array, each for reaction_read */
	bool read;
	struct str recipient;        /* direct rooms: the username of who is not the author */
};

struct feed_event {
	enum event_type type;
	uint64_t stamp;              /* its place in its feed's log; 0 on feeds without one */
	uint64_t as_of;              /* such a feed's: when it was so; 0: nobody asks */
	struct str room, actor, user;
	struct str feed, session;    /* RESUMED: by whose members it is to be heard, and which */
	int64_t take;                /* RESUMED: how often that session was taken up */
	enum room_kind kind;
	struct str name;             /* raw: the room's; LOBBY_MESSAGE: the sender's */
	struct str users;            /* raw array; JOINED: ids; LOBBY_USERS: all, as objects */
	bool user_deleted;
	struct message message;      /* MESSAGE, FORWARDED */
	struct str original;         /* FORWARDED: raw message or null */
	struct str message_id;       /* EDITED, DELETED, UNREACTED, READ */
	struct str content;          /* EDITED, LOBBY_MESSAGE: raw string */
	int64_t at;                  /* EDITED: updatedAt; DELETED: deletedAt */
	struct reaction reaction;    /* REACTED */
	struct str emoji;            /* UNREACTED: raw */
	struct str username;         /* CAME, WENT, ONLINE, OFFLINE, READ: the user's */
	struct str peer;             /* READ: the author's username */
	int64_t unread;              /* the reader's: READ; MESSAGE, FORWARDED in direct rooms */
	struct str origin;           /* READ: the socket that asked, or empty */
	struct strs came, left;      /* LOBBY_USERS: names */
};

/* Reads an event, a message, a reaction that a Redis function wrote; false when it is none. */
bool event_read(struct str json, struct arena *a, struct feed_event *out);
bool message_read(struct str json, struct arena *a, struct message *out);
bool reaction_read(struct str json, struct arena *a, struct reaction *out);

#endif

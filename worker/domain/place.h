/* Rooms by the names that people call them by, as the gateway API has them: a channel by its name,
 * a group that has a name by NAME#ID, a direct room by both usernames, A/B. Others have none. The
 * acting user is op->user. Each verb ends the op, or goes on with `then`, whose result is borrowed;
 * place_join alone uses op->state. All that name a room refuse by ERR_NO_ROOM and, unless it is
 * joined, by ERR_NOT_MEMBER. */
#ifndef CONFAB_PLACE_H
#define CONFAB_PLACE_H

#include "worker/domain/room.h"

struct place {
	struct str name;
	struct str status;           /* "PUBLIC", "PRIVATE", "DIRECT" */
	bool is_owner;               /* the asker */
};

struct place_list {
	struct str next;             /* for `after`; empty at the end */
	const struct place *v;
	size_t n;
};

/* A message to be. Its content has been checked for the API's length. */
struct place_draft {
	struct str place, content;
	struct str client_message_id;        /* STR_NONE: none */
};

struct place_message {
	struct str id, place, sender;        /* the names of the room and of the author */
	struct str text;             /* raw string */
	int64_t created_at;          /* milliseconds since 1970 */
};

struct place_page {
	struct str next;             /* for `before`; empty at the end */
	const struct place_message *v;       /* newest first */
	size_t n;
};

/* What was said last in a room. */
struct place_past {
	struct str name, room;
	const struct place_message *v;       /* oldest first */
	size_t n;
};

struct place_history {
	uint64_t stamp;              /* as of when */
	const struct place_past *v;
	size_t n;
};

/* Posts. `then` gets a struct place_message: that of an earlier call with this client_message_id,
 * if there was one. ERR_INVALID clientMessageId, ERR_FORBIDDEN (the other of a direct room is
 * deleted), ERR_RATE. */
void place_post(struct op *op, const struct place_draft *draft, op_fn *then);
/* Joins a channel. `then` gets its name, a struct str. ERR_TAKEN (a member already), ERR_INVALID
 * password (there is none), ERR_FORBIDDEN (password: a wrong one; room: by invitation only),
 * ERR_RATE (too many wrong ones). */
void place_join(struct op *op, struct str name, struct str password, op_fn *then);
/* Leaves a channel or a group. `then` gets NULL. ERR_INVALID room (direct). */
void place_leave(struct op *op, struct str name, op_fn *then);
/* The direct room with the user of that name, made if it is not there. `then` gets its name, a
 * struct str. ERR_INVALID users (oneself), ERR_NO_USER. */
void place_direct(struct op *op, struct str username, op_fn *then);
/* What was said last in the rooms most recently active: at most 50 rooms, of each gateway-history
 * messages, and not more of all than is good for a connection's queue. `then` gets a struct
 * place_history. */
void place_history(struct op *op, op_fn *then);
/* The user's rooms. `then` gets a struct place_list; a page may be short while `next` is not empty.
 * ERR_INVALID after. */
void place_list(struct op *op, struct str after, int64_t limit, op_fn *then);
/* The members of a room. `then` gets a struct room_members, with who is online. ERR_INVALID
 * after. */
void place_members(struct op *op, struct str name, struct str after, int64_t limit, op_fn *then);
/* What was said before a message (STR_NONE: up to now). `then` gets a struct place_page.
 * ERR_INVALID before. */
void place_messages(struct op *op, struct str name, struct str before, int64_t limit, op_fn *then);

#endif

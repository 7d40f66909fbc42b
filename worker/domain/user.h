/* Users: accounts made here, and those whose tokens another service signs. Each verb ends the op,
 * or goes on with `then`; it uses op->state and op->caught. */
#ifndef CONFAB_USER_H
#define CONFAB_USER_H

#include "common/schema.h"
#include "common/token.h"
#include "worker/op.h"

struct user {
	struct str id, username, name;
	struct str image, email;     /* STR_NONE: none */
	bool deleted;
	bool online;                 /* user_list's */
};

struct user_page {
	const struct user *v;        /* by lower-case username */
	size_t n;
};

/* A user as of a moment, from which on the user's feed tells what changes. */
struct user_entry {
	struct user user;
	uint64_t stamp;
	bool recovered;              /* by a socket that goes on where its last one ended */
};

struct signup {
	struct str username, password;
	struct str name, image;      /* STR_NONE: none */
};

/* The name of a user's feed, in the op's arena: the id is escaped, as in all keys. */
struct str user_feed(struct op *op, struct str id);
/* A socket that comes, perhaps back. */
struct arrival {
	struct str pid, offset;      /* what the client says of its last session, or STR_NONE */
	struct str api;              /* where it comes to: only there can it be recovered */
	struct str new_pid, new_sid; /* for a new session */
	struct str follows;          /* rooms heard as a member: "direct", "channel", "any", "" */
	struct str also;             /* one more feed it hears, or "" */
};

/* What a socket has: the session it had, or a new one. */
struct arrived {
	struct user_entry entry;
	struct str pid, sid, take;
	struct strs feeds;           /* pairs of a feed to hear and the stamp from where, as text */
};

/* How the Redis functions write a user, for those that a reply nests. */
extern const struct field user_fields[];
/* Reads a user that a Redis function wrote; false when it is not one. */
MUST_USE bool user_read(struct str json, struct arena *a, struct user *out);

/* Who bears this token: made at first sight, updated by what it says. `then` gets a struct
 * user_entry. ERR_USER_DELETED; ERR_UNAUTHENTICATED: no id, or unknown and
 * provision-users is off. */
void user_enter(struct op *op, const struct claims *claims, op_fn *then);
/* The same for a socket, with its session. `then` gets a struct arrived. */
void user_connect(struct op *op, const struct claims *claims, const struct arrival *arrival,
                  op_fn *then);
/* The socket of op->session is over; it may be taken up again, or (`leaves`) not.
 * `then` gets NULL. */
void session_end(struct op *op, bool leaves, op_fn *then);
/* The sockets of these sessions, pairs of a session and its take, live. `then` gets NULL. */
void sessions_stay(struct op *op, struct strs pairs, op_fn *then);
/* The socket of op->session left a room. `then` gets NULL. */
void session_unfollow(struct op *op, struct str room, op_fn *then);
/* Makes an account. `then` gets a struct user. ERR_INVALID, ERR_TAKEN, ERR_UNAVAILABLE (too many
 * passwords wait). */
void user_create(struct op *op, const struct signup *signup, op_fn *then);
/* Whose password this is. `then` gets a struct user. ERR_UNAUTHENTICATED, alike in text and time
 * for unknown and deleted users and wrong passwords; ERR_RATE. */
void user_signin(struct op *op, struct str username, struct str password, op_fn *then);
/* One user, also a deleted one. `then` gets a struct user. ERR_NO_USER. */
void user_get(struct op *op, struct str id, op_fn *then);
/* All users that are not deleted, after a username ("": from the first).
 * `then` gets a struct user_page. */
void user_list(struct op *op, struct str after, int64_t limit, op_fn *then);
/* Deletes an account, for ever. `then` gets NULL. ERR_NO_USER, ERR_USER_DELETED. */
void user_delete(struct op *op, struct str id, op_fn *then);

#endif

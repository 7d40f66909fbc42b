/* The lobby: rooms of people without accounts, who are there while they are logged in. Redis knows
 * who is in which; this keeps the logins of one worker's sockets, says them again when Redis may
 * have forgotten, and logs out those whose socket is over.
 *
 * Every verb is about op->state, a struct lobby_user that lives as long as the op, and uses
 * op->caught. */
#ifndef CONFAB_LOBBY_H
#define CONFAB_LOBBY_H

#include "worker/op.h"

struct lobby;

struct lobby_user {
	struct str sid;              /* the socket's id */
	struct str name, room;
	uint64_t since;              /* logged in users: as of when they know who is there */
};

/* Who is in a room. */
struct lobby_room {
	uint64_t stamp;              /* as of when */
	struct str users;            /* raw array of {id, name, room}, in order of arrival */
};

/* A user is out of a room without their doing: the name was given to another while Redis had
 * forgotten them. The socket's end is then told by lobby_part. */
typedef void lobby_ousted_fn(void *ctx, struct str feed, struct str sid);
/* Owned by the caller; `services` outlives it. To be freed after the calls. */
struct lobby *lobby_new(const struct services *services, lobby_ousted_fn *ousted, void *ctx);
void lobby_free(struct lobby *l);
/* Redis is there again, or may have swept this worker: says all again. */
void lobby_again(struct lobby *l);
/* Redis is there, and may take by now what it refused: says that. */
void lobby_retry(struct lobby *l);
/* The socket of that id is over: whoever is logged in by it, or about to be, is logged out, now or
 * when Redis is there. */
void lobby_part(struct lobby *l, struct str sid);

/* The name of a room's feed, in the op's arena. */
struct str lobby_feed(struct op *op, struct str room);

/* A socket is heard in the order in which it asks. While a login or a logout of it is under way:
 * true, and `then` is called once that is over; the op is dropped if the socket is over by then. */
bool lobby_wait(struct op *op, void (*then)(struct op *op));
/* Who is logged in by that socket, borrowed until it logs out; NULL: nobody. */
const struct lobby_user *lobby_find(const struct op *op);

/* Logs in; nobody may be by that socket. `then` gets a struct lobby_room; it may ask once more by
 * lobby_recall, and ends by lobby_reply. ERR_INVALID name, room; ERR_TAKEN. A login that failed, in
 * whatever way, is undone. */
void lobby_login(struct op *op, op_fn *then);
/* The same login as of now. */
void lobby_recall(struct op *op, op_fn *then);
/* Logs out who is logged in. `then` gets NULL and ends by lobby_reply; or the struct fault why it
 * failed, and ends by lobby_fault: nothing has changed. */
void lobby_logout(struct op *op, op_fn *then);
/* Ends the op of a login or a logout; what its socket asked meanwhile goes on. */
void lobby_reply(struct op *op, struct str json);
void lobby_fault(struct op *op, const struct fault *fault);
/* Tells all in the room of who is logged in. `then` gets NULL. ERR_NOT_FOUND: nobody is. */
void lobby_say(struct op *op, struct str text, op_fn *then);

#endif

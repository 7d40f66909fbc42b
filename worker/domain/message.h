/* Messages: posting, changing, reacting, forwarding, reading. The acting user is op->user.
 * Each verb ends the op, or goes on with `then`, whose result is borrowed; none uses op->state or
 * op->caught. Where `then` gets a struct message it may be NULL: the op ends without an answer,
 * and what Redis says is not read. All refuse by ERR_NO_ROOM and ERR_NOT_MEMBER what is
 * not for that user. */
#ifndef CONFAB_MESSAGE_H
#define CONFAB_MESSAGE_H

#include "worker/domain/room.h"

/* A message to be. Its content has been checked for the API's length. */
struct draft {
	struct str room;
	enum want want;
	struct str content;
	struct str reply_to;         /* STR_NONE: none */
	struct strs attachments;     /* each an upload's id, or a JSON object, stored as it is */
	struct str client_message_id;        /* STR_NONE: none */
};

/* A message that is meant. */
struct message_ref {
	struct str id, room;
	enum want want;
};

/* A copy to be, in the same room or another. */
struct forward {
	struct message_ref original; /* room STR_NONE: wherever it is */
	struct str room;             /* … to which it goes */
	enum want want;
	struct str client_message_id;        /* STR_NONE: none */
};

struct message_list {
	struct str next;             /* for `before`; empty at the end */
	const struct message *v;     /* newest first */
	size_t n;
};

struct message_page {
	int64_t total;               /* of the whole room */
	const struct message *v;     /* newest first */
	size_t n;
};

/* Posts. `then` gets a struct message: that of an earlier call with this client_message_id, if
 * there was one. ERR_INVALID attachments, replyTo, clientMessageId; ERR_MESSAGE_DELETED (replied
 * to), ERR_FORBIDDEN (the other of a direct room is deleted), ERR_RATE. */
void message_post(struct op *op, const struct draft *draft, op_fn *then);
/* Changes the text of one's own. `then` gets a struct message. ERR_NO_MESSAGE, ERR_NOT_AUTHOR,
 * ERR_MESSAGE_DELETED. */
void message_edit(struct op *op, const struct message_ref *ref, struct str content, op_fn *then);
/* Deletes one's own; no error if it is deleted already. `then` gets NULL. ERR_NO_MESSAGE,
 * ERR_NOT_AUTHOR. */
void message_delete(struct op *op, const struct message_ref *ref, op_fn *then);
/* Adds a reaction: one per user, message and emoji. `then` gets a struct reaction, or NULL if it
 * was there already. ERR_NO_MESSAGE, ERR_MESSAGE_DELETED. */
void message_react(struct op *op, const struct message_ref *ref, struct str emoji, op_fn *then);
/* Takes it back; no error if there is none. `then` gets NULL. ERR_NO_MESSAGE. */
void message_unreact(struct op *op, const struct message_ref *ref, struct str emoji, op_fn *then);
/* Posts what a message says once more, as one's own. `then` gets the new one, a struct message. As
 * message_post, and ERR_NO_MESSAGE, ERR_MESSAGE_DELETED; refusals of the room it goes to are about
 * `targetRoom`. */
void message_forward(struct op *op, const struct forward *forward, op_fn *then);
/* A page of a room's history; pages count from 1. `then` gets a struct message_page. */
void message_page(struct op *op, struct str room, enum want want, int64_t page, int64_t limit,
                  op_fn *then);
/* What was said before a message (STR_NONE: the newest), to be read: in groups and channels nothing
 * is unread then. `then` gets a struct message_list. ERR_INVALID before. */
void message_fetch(struct op *op, struct str room, struct str before, int64_t limit, op_fn *then);

/* Attachments as an argument of a Redis function; false: one of them names no upload. */
bool attachments_text(struct op *op, struct strs attachments, struct str *out);

/* For verbs in other files whose reply begins with a message, or is a message_list:
 * go on with op->then. */
void message_came(struct op *op, const struct strs *reply);
void messages_came(struct op *op, const struct strs *reply);

#endif

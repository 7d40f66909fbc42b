/* Direct conversations, by the other one's username (any case). The acting user is op->user.
 * Each verb ends the op, or goes on with `then`, whose result is borrowed; none uses op->state or
 * op->caught. All refuse by ERR_NO_USER somebody who is not known. */
#ifndef CONFAB_DIRECT_H
#define CONFAB_DIRECT_H

#include "worker/domain/message.h"

/* A message to be. Its content has been checked for the API's length. */
struct direct_draft {
	struct str username, content;
	struct strs attachments;     /* as a draft's */
	struct str client_message_id;        /* STR_NONE: none */
};

/* Posts, and makes the room if this is the first. `then` gets a struct message. ERR_INVALID user
 * (oneself), attachments, ERR_NO_USER (deleted ones too), ERR_RATE, and with a client_message_id
 * as message_post. */
void direct_post(struct op *op, const struct direct_draft *draft, op_fn *then);
/* What came before a message (STR_NONE: the newest). `then` gets a struct message_list.
 * ERR_INVALID before. */
void direct_page(struct op *op, struct str username, struct str before, int64_t limit, op_fn *then);
/* How many of the other's messages the user has not read. `then` gets an int64_t. */
void direct_unread(struct op *op, struct str username, op_fn *then);
/* The user has read a message of the other's; no error if it was read before. `origin`: the socket
 * that says so, which need not hear of it. `then` gets NULL. ERR_NO_MESSAGE, ERR_FORBIDDEN
 * (one's own). */
void direct_read(struct op *op, struct str message, struct str origin, op_fn *then);

#endif

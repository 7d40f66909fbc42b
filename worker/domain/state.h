/* State channels: feeds without a log, whose news say what is so now (who is online, who is in
 * a lobby's room). What was missed is made good by reading the state. */
#ifndef CONFAB_STATE_H
#define CONFAB_STATE_H

#include "worker/op.h"

bool state_is_channel(struct str feed);
/* What is so now. `then` gets a struct str: the event that says it, as it is published; empty if
 * there is nothing to say. ERR_NOT_FOUND: it is no state channel. */
void state_read(struct op *op, struct str feed, op_fn *then);

#endif

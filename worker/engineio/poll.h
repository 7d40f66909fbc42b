/* Engine.IO over HTTP: handshakes, polling, and the door for upgrades. */
#ifndef CONFAB_POLL_H
#define CONFAB_POLL_H

#include "worker/engineio/session.h"

/* The `head` of an http_service whose arg is a struct mount. */
void engine_head(struct request *r, const struct head *h);

#endif

/* Why a connection, a client or a socket ended: one enum for the log,
 * the counters and the client. */
#ifndef CONFAB_REASON_H
#define CONFAB_REASON_H

#include "common/buf.h"

enum reason {
#define REASON(name, code, gravity, text) REASON_##name,
#include "worker/reason.def"
#undef REASON
	REASON_COUNT
};

const char *reason_text(enum reason r);
/* The WebSocket close code that says so (RFC 6455 §7.4); 0: none is sent. */
unsigned reason_code(enum reason r);
/* Whether it is a limit that was reached, or a rule that was broken. */
bool reason_is_fault(enum reason r);

/* Whether the log is to tell of such an end now (log_line.h); to be asked once of each … */
bool reason_is_logged(enum reason r);
/* … which is then told like this: `line` says who ended. */
void reason_log(enum reason r, const struct buf *line);

#endif

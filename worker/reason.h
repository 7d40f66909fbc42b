/* Why a connection or a session ended: one enum for the log, the counters and the client. */
#ifndef CONFAB_REASON_H
#define CONFAB_REASON_H

#include "common/base.h"

enum reason {
#define REASON(name, code, text) REASON_##name,
#include "worker/reason.def"
#undef REASON
	REASON_COUNT
};

const char *reason_text(enum reason r);
/* The WebSocket close code that says so (RFC 6455 §7.4); 0: none is sent. */
unsigned reason_code(enum reason r);

#endif

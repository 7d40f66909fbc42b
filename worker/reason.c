/* Why a connection, a client or a socket ended. */
#include "worker/reason.h"

#include "common/log_line.h"

enum gravity { NORMAL, FAULT };

static const struct {
	unsigned code;
	enum gravity gravity;
	const char *text;
} reasons[] = {
#define REASON(name, code, gravity, text) { code, gravity, text },
#include "worker/reason.def"
#undef REASON
};

const char *reason_text(enum reason r)
{
	return reasons[r].text;
}

unsigned reason_code(enum reason r)
{
	return reasons[r].code;
}

bool reason_is_fault(enum reason r)
{
	return reasons[r].gravity == FAULT;
}

bool reason_is_logged(enum reason r)
{
	if (!reason_is_fault(r))
		return log_on(LOG_DEBUG);
	return log_may(r == REASON_UNWELCOME ? LOG_REFUSALS : LOG_ENDS);
}

void reason_log(enum reason r, const struct buf *line)
{
	log_write(reason_is_fault(r) ? LOG_INFO : LOG_DEBUG, "%.*s ended: %s",
	          STR_ARG(buf_view(line)), reason_text(r));
}

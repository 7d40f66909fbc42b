/* Why a connection or a session ended. */
#include "worker/reason.h"

static const struct {
	unsigned code;
	const char *text;
} reasons[] = {
#define REASON(name, code, text) { code, text },
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

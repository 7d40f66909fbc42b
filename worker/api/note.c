/* Refusals that tell of guessing or haste, in the log: who, what, from where;
 * never what was shown. */
#include "common/log_line.h"
#include "worker/api/door.h"
#include "worker/net/conn.h"

static bool is_noted(const struct fault *fault)
{
	switch (fault->code) {
	case ERR_UNAUTHENTICATED:
	case ERR_NO_TOKEN:
	case ERR_USER_DELETED:
	case ERR_RATE:
		return true;
	case ERR_FORBIDDEN:
		return str_eqz(fault->field, "password");
	default:
		return false;
	}
}

static void say(const struct buf *line, const struct fault *fault)
{
	log_info("%.*s refused: %s", STR_ARG(buf_view(line)), err_text(fault->code));
}

void note_refusal(const struct op *op, const struct fault *fault)
{
	const struct socket *s = events_asker(op);
	const struct api_event *row = api_row(op);
	struct buf line = { 0 };
	if (s == NULL || !is_noted(fault) || !log_may(LOG_REFUSALS))
		return;
	buf_printf(&line, "event %s", row != NULL ? row->name : "-");
	socket_describe(s, &line);
	say(&line, fault);
	buf_fini(&line);
}

void note_request(const struct op *op, const char *route, const struct conn *c,
                  const struct fault *fault)
{
	struct buf line = { 0 };
	if (!is_noted(fault) || !log_may(LOG_REFUSALS))
		return;
	buf_printf(&line, "request %s", route);
	log_field(&line, "user", op->user.len > 0 ? op->user : op->claimed);
	conn_describe(c, &line);
	say(&line, fault);
	buf_fini(&line);
}

/* Lines of the log that others cause, clients above all: fields that nothing a client says can
 * forge, and a bound for lines that would come at will. */
#ifndef CONFAB_LOG_LINE_H
#define CONFAB_LOG_LINE_H

#include "common/buf.h"
#include "common/log.h"

/* Adds " key=value"; a value without spaces or controls, which become %XX, and not long.
 * "-": none. */
void log_field(struct buf *line, const char *key, struct str value);

/* Each kind of line has a bound of its own: a flood of one does not hide another. */
enum log_kind { LOG_ENDS, LOG_REFUSALS, LOG_KINDS };

enum { LOG_AT_ONCE = 20 };       /* lines of a kind in a second */

/* Whether a line of that kind may be written now, at level info; else it is counted. To be asked
 * before the line is made: a flood costs no more than this. */
bool log_may(enum log_kind kind);
/* Says how many were left out, once their second is over; to be called about once a second. */
void log_left_out(void);

/* The bound itself. */
struct log_bound {
	uint64_t began_ms;           /* its second */
	unsigned lines;
	uint64_t left_out;
};

/* Begins a new second where the last one is over; how many lines of that were left out. */
uint64_t log_bound_turn(struct log_bound *b, uint64_t now_ms);
/* Whether one more line may be written in this second, which has room for `most`;
 * else it is counted. */
bool log_bound_allow(struct log_bound *b, unsigned most);
/* Writes one line in each second; it says how many were left out before it. */
void log_bounded(struct log_bound *b, enum log_level level, const char *format, ...)
	PRINTF_LIKE(3, 4);

#endif

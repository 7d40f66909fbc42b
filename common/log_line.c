/* Lines of the log that others cause. */
#include "common/log_line.h"

#include "common/clock.h"

enum { LOG_SECOND_MS = 1000, LOG_VALUE_MAX = 128 };

static struct log_bound bounds[LOG_KINDS];

/* --- Fields --- */

/* At most LOG_VALUE_MAX bytes, and no character cut in two. */
static struct str shortened(struct str value)
{
	if (value.len <= LOG_VALUE_MAX)
		return value;
	value.len = LOG_VALUE_MAX;
	while (value.len > 0 && ((unsigned char)value.p[value.len] & 0xc0) == 0x80)
		value.len--;
	return value;
}

void log_field(struct buf *line, const char *key, struct str value)
{
	const struct str shown = shortened(value);

	buf_printf(line, " %s=", key);
	for (size_t i = 0; i < shown.len; i++) {
		const unsigned char c = (unsigned char)shown.p[i];
		if (c <= ' ' || c == 0x7f || c == '%')
			buf_printf(line, "%%%02X", (unsigned)c);
		else
			buf_char(line, shown.p[i]);
	}
	if (shown.len < value.len)
		buf_z(line, "...");
	if (value.len == 0)
		buf_char(line, '-');
}

/* --- The bound --- */

uint64_t log_bound_turn(struct log_bound *b, uint64_t now_ms)
{
	if (now_ms - b->began_ms < LOG_SECOND_MS)
		return 0;
	const uint64_t n = b->left_out;
	*b = (struct log_bound){ .began_ms = now_ms };
	return n;
}

bool log_bound_allow(struct log_bound *b, unsigned most)
{
	if (b->lines >= most) {
		b->left_out++;
		return false;
	}
	b->lines++;
	return true;
}

void log_bounded(struct log_bound *b, enum log_level level, const char *format, ...)
{
	const uint64_t left_out = log_bound_turn(b, clock_now_ms());
	struct buf line = { 0 };
	va_list args;

	if (!log_bound_allow(b, 1))
		return;
	va_start(args, format);
	buf_vprintf(&line, format, args);
	va_end(args);
	if (left_out > 0)
		buf_printf(&line, " (and %llu more before)", (unsigned long long)left_out);
	log_write(level, "%.*s", STR_ARG(buf_view(&line)));
	buf_fini(&line);
}

static void say_left_out(enum log_kind kind)
{
	static const char *const words[] = { [LOG_ENDS] = "ends", [LOG_REFUSALS] = "refusals" };
	const uint64_t n = log_bound_turn(&bounds[kind], clock_now_ms());

	if (n > 0)
		log_info("... and %llu more %s", (unsigned long long)n, words[kind]);
}

bool log_may(enum log_kind kind)
{
	if (!log_on(LOG_INFO))
		return false;
	say_left_out(kind);
	return log_bound_allow(&bounds[kind], LOG_AT_ONCE);
}

void log_left_out(void)
{
	for (unsigned kind = 0; kind < LOG_KINDS; kind++)
		say_left_out((enum log_kind)kind);
}

/* The log: each line is put together here and leaves in one write(), so that processes which share
 * the file do not mix theirs. */
#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"

enum { LOG_MAX_TEXT = 4000 };

static struct {
	char where[32];
	enum log_level level;
	uint64_t dropped;
} the_log = { .where = "-", .level = LOG_INFO };

void log_init(const char *where, enum log_level level)
{
	snprintf(the_log.where, sizeof(the_log.where), "%s", where);
	the_log.level = level;
}

bool log_on(enum log_level level)
{
	return level <= the_log.level;
}

uint64_t log_dropped(void)
{
	return the_log.dropped;
}

/* Whether the byte at s.p[i] could start a new line or drive a terminal: ASCII and C1 controls, and
 * all that is no UTF-8. */
static bool is_unsafe(struct str s, size_t i, bool utf8)
{
	const unsigned char c = (unsigned char)s.p[i];

	if (c < 0x80)
		return c < 0x20 || c == 0x7f;
	if (!utf8)
		return true;
	const unsigned char other = (unsigned char)(c == 0xc2 ? s.p[i + 1] : i ? s.p[i - 1] : 0);
	return c == 0xc2 ? other < 0xa0 : c < 0xa0 && other == 0xc2;
}

static void put_text(struct buf *line, struct str s)
{
	const bool utf8 = utf8_valid(s);

	for (size_t i = 0; i < s.len; i++) {
		if (is_unsafe(s, i, utf8))
			buf_printf(line, "\\x%02x", (unsigned)(unsigned char)s.p[i]);
		else
			buf_char(line, s.p[i]);
	}
}

static void write_line(struct str line)
{
	ssize_t n;

	do
		n = write(STDERR_FILENO, line.p, line.len);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)line.len)
		the_log.dropped++;
}

void log_write(enum log_level level, const char *format, ...)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };
	char text[LOG_MAX_TEXT];
	const int before = errno;
	va_list args;

	if (!log_on(level))
		return;
	va_start(args, format);
	const int n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	const bool cut = n >= (int)sizeof(text);
	/* Not the turn's time: in a turn that takes long, the lines should tell where. */
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	struct buf line = { 0 };
	clock_iso_millis(&line, (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
	buf_printf(&line, " %s %s ", names[level], the_log.where);
	put_text(&line, (struct str){ text, cut ? sizeof(text) - 1 : n > 0 ? (size_t)n : 0 });
	buf_z(&line, cut ? "...\n" : "\n");
	write_line(buf_view(&line));
	buf_fini(&line);
	errno = before;
}

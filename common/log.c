/* The log: each line is put together here and leaves in one write(), so that processes which share
 * the file do not mix theirs; a pipe promises that for PIPE_BUF bytes.
 *
 * Nobody waits for the log. Whoever reads it may stop (a pipe, a terminal, a socket of systemd's):
 * then lines are dropped, as they are on a full disk, and the first one that can be written after
 * that says how many. Standard error itself is not made non-blocking, for others share it:
 * the shell, and whoever else writes to the terminal. A pipe or a terminal is opened
 * once more instead. */
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"

enum {
	LOG_MAX_LINE = PIPE_BUF,
	LOG_MAX_TEXT = LOG_MAX_LINE + 1,     /* what is longer is seen to be */
	CHAR_BYTES = 16,                     /* of UTF-8, escaped */
	TAIL_BYTES = 4,                      /* "...\n" */
};

/* How to write without waiting. */
enum way {
	WAY_WRITE,                   /* a file, which never waits; or a pipe opened again */
	WAY_SEND,                    /* a socket */
	WAY_ASK,                     /* any other pipe: look first whether there is room */
};

static struct {
	char where[32];
	enum log_level level;
	enum way way;
	int fd;
	uint64_t dropped, said;      /* lines; those of them that a line told of */
	bool torn;                   /* the file's last line has no end */
} the_log = { .where = "-", .level = LOG_INFO, .fd = STDERR_FILENO };

static void find_way(void)
{
	struct stat what;

	if (the_log.fd != STDERR_FILENO)
		close(the_log.fd);
	the_log.way = WAY_WRITE;
	the_log.fd = STDERR_FILENO;
	if (fstat(STDERR_FILENO, &what) != 0)
		return;
	if (S_ISSOCK(what.st_mode)) {
		the_log.way = WAY_SEND;
	} else if (S_ISFIFO(what.st_mode) || S_ISCHR(what.st_mode)) {
		const int fd =
			open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (fd >= 0)
			the_log.fd = fd;
		else
			the_log.way = WAY_ASK;
	}
}

void log_init(const char *where, enum log_level level)
{
	/* A child of the master counts its own lines. */
	if (strcmp(where, the_log.where) != 0)
		the_log.dropped = the_log.said = 0;
	snprintf(the_log.where, sizeof(the_log.where), "%s", where);
	the_log.level = level;
	find_way();
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

/* As much of it as fits. */
static void put_text(struct buf *line, struct str s, size_t max)
{
	const bool utf8 = utf8_valid(s);
	size_t i = 0;

	for (; i < s.len; i++) {
		const bool inside = utf8 && ((unsigned char)s.p[i] & 0xc0) == 0x80;
		if (!inside && line->len + CHAR_BYTES > max)
			break;
		if (is_unsafe(s, i, utf8))
			buf_printf(line, "\\x%02x", (unsigned)(unsigned char)s.p[i]);
		else
			buf_char(line, s.p[i]);
	}
	if (i < s.len)
		buf_z(line, "...");
}

static ssize_t write_bytes(struct str line)
{
	struct pollfd room = { .fd = the_log.fd, .events = POLLOUT };

	if (the_log.way == WAY_SEND)
		return send(the_log.fd, line.p, line.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (the_log.way == WAY_ASK && poll(&room, 1, 0) != 1)
		return -1;
	return write(the_log.fd, line.p, line.len);
}

static bool write_line(struct str line)
{
	ssize_t n;

	do
		n = write_bytes(line);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		the_log.torn = n != (ssize_t)line.len;
	return n == (ssize_t)line.len;
}

static void put_head(struct buf *line, enum log_level level)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };
	/* Not the turn's time: in a turn that takes long, the lines should tell where. */
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (the_log.torn)
		buf_char(line, '\n');
	clock_iso_millis(line, (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
	buf_printf(line, " %s %s ", names[level], the_log.where);
}

/* False: there is still no room. */
static bool say_dropped(void)
{
	struct buf line = { 0 };

	put_head(&line, LOG_WARN);
	buf_printf(&line, "log: %llu lines could not be written\n",
	           (unsigned long long)(the_log.dropped - the_log.said));
	const bool ok = write_line(buf_view(&line));
	buf_fini(&line);
	if (ok)
		the_log.said = the_log.dropped;
	return ok;
}

void log_write(enum log_level level, const char *format, ...)
{
	char text[LOG_MAX_TEXT];
	const int before = errno;
	va_list args;

	if (!log_on(level))
		return;
	va_start(args, format);
	const int n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	const size_t len = n < 0 ? 0 : n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1;
	const bool room = the_log.said == the_log.dropped || say_dropped();
	struct buf line = { 0 };
	put_head(&line, level);
	put_text(&line, (struct str){ text, len }, LOG_MAX_LINE - TAIL_BYTES);
	buf_char(&line, '\n');
	if (!room || !write_line(buf_view(&line)))
		the_log.dropped++;
	buf_fini(&line);
	errno = before;
}

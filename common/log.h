/* The log: one event a line, `2026-01-31T12:00:00.123Z level where what happened`, to standard
 * error or a file. No secrets, and no message text above debug. */
#ifndef CONFAB_LOG_H
#define CONFAB_LOG_H

#include "common/base.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* `where` is the process' name in each line ("master", "worker 2"); copied. */
void log_init(const char *where, enum log_level level);
bool log_on(enum log_level level);
/* Never waits. Lines that cannot be written (full disk, a pipe that nobody reads) are dropped
 * and counted, and the next one that can is preceded by one that says how many. Lines are cut
 * at PIPE_BUF bytes. */
void log_write(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);
uint64_t log_dropped(void);

#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) \
	do { \
		if (log_on(LOG_DEBUG)) \
			log_write(LOG_DEBUG, __VA_ARGS__); \
	} while (0)

#endif

/* Time, read once per turn, and its text. */
#include "common/clock.h"

#include <time.h>

static struct {
	uint64_t now_ms;
	int64_t wall_ms;
	bool fresh;
} clock_state;

static int64_t read_us(clockid_t which)
{
	struct timespec t;

	clock_gettime(which, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void clock_update(void)
{
	clock_state.now_ms = (uint64_t)read_us(CLOCK_MONOTONIC) / 1000;
	clock_state.wall_ms = read_us(CLOCK_REALTIME) / 1000;
	clock_state.fresh = true;
}

void clock_stale(void)
{
	clock_state.fresh = false;
}

static void freshen(void)
{
	if (!clock_state.fresh)
		clock_update();
}

uint64_t clock_now_ms(void)
{
	freshen();
	return clock_state.now_ms;
}

int64_t clock_wall_ms(void)
{
	freshen();
	return clock_state.wall_ms;
}

uint64_t clock_exact_us(void)
{
	return (uint64_t)read_us(CLOCK_MONOTONIC);
}

int64_t clock_exact_wall_us(void)
{
	return read_us(CLOCK_REALTIME);
}

/* The last `width` decimal digits of n. */
static char *put_digits(char *to, int64_t n, int width)
{
	for (int i = width - 1; i >= 0; i--) {
		to[i] = (char)('0' + n % 10);
		n /= 10;
	}
	return to + width;
}

/* `2017-07-21T`. Most times that are told are of the same day, so the calendar's work is kept. */
static const char *date_text(int64_t day)
{
	static int64_t kept_day = INT64_MIN;
	static char text[11] = "0000-00-00T";

	if (day == kept_day)
		return text;
	const time_t seconds = (time_t)(day * 86400);
	struct tm tm;
	gmtime_r(&seconds, &tm);
	put_digits(text, tm.tm_year + 1900, 4);
	put_digits(text + 5, tm.tm_mon + 1, 2);
	put_digits(text + 8, tm.tm_mday, 2);
	kept_day = day;
	return text;
}

/* RFC 3339 knows the years 0000 to 9999 only. */
static int64_t within_years(int64_t wall_ms)
{
	const int64_t first = -62167219200000, last = 253402300799999;

	return wall_ms < first ? first : wall_ms > last ? last : wall_ms;
}

static void iso(struct buf *out, int64_t wall_ms, bool millis)
{
	const int64_t day_ms = 86400000;

	wall_ms = within_years(wall_ms);
	const int64_t in_day = (wall_ms % day_ms + day_ms) % day_ms;
	buf_add(out, date_text((wall_ms - in_day) / day_ms), 11);
	char text[] = "00:00:00.000Z";
	put_digits(text, in_day / 3600000, 2);
	put_digits(text + 3, in_day / 60000 % 60, 2);
	put_digits(text + 6, in_day / 1000 % 60, 2);
	put_digits(text + 9, in_day % 1000, 3);
	buf_add(out, text, millis ? 12 : 8);
	buf_char(out, 'Z');
}

void clock_iso_seconds(struct buf *out, int64_t wall_ms)
{
	iso(out, wall_ms, false);
}

void clock_iso_millis(struct buf *out, int64_t wall_ms)
{
	iso(out, wall_ms, true);
}

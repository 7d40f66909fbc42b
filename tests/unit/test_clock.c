/* Clocks and their text, random identifiers, errors, and the log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/id.h"
#include "common/log.h"

static void test_clock_text(void **state UNUSED)
{
	static const struct {
		int64_t ms;
		const char *millis;
	} cases[] = {
		{ 0, "1970-01-01T00:00:00.000Z" },
		{ 1, "1970-01-01T00:00:00.001Z" },
		{ -1, "1969-12-31T23:59:59.999Z" },
		{ 1500658348123, "2017-07-21T17:32:28.123Z" },
		{ 951782400000, "2000-02-29T00:00:00.000Z" },
		{ 4107542399999, "2100-02-28T23:59:59.999Z" },
		{ 4107542400000, "2100-03-01T00:00:00.000Z" },
		{ 253402300799999, "9999-12-31T23:59:59.999Z" },
		{ INT64_MAX, "9999-12-31T23:59:59.999Z" },
		{ INT64_MIN, "0000-01-01T00:00:00.000Z" },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf b = { 0 };
		clock_iso_millis(&b, cases[i].ms);
		assert_int_equal(b.len, 24);
		assert_memory_equal(b.p, cases[i].millis, 24);
		buf_clear(&b);
		clock_iso_seconds(&b, cases[i].ms);
		assert_int_equal(b.len, 20);
		assert_memory_equal(b.p, cases[i].millis, 19);
		assert_int_equal(b.p[19], 'Z');
		buf_fini(&b);
	}
}

/* The C library agrees, on days all over the calendar. */
static void test_clock_text_calendar(void **state UNUSED)
{
	for (int64_t s = -5000000000; s < 20000000000; s += 86400 * 9 + 12345) {
		const time_t seconds = (time_t)s;
		struct buf b = { 0 };
		struct tm tm;
		char expected[32];
		gmtime_r(&seconds, &tm);
		strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%SZ", &tm);
		clock_iso_seconds(&b, s * 1000);
		assert_int_equal(b.len, 20);
		assert_memory_equal(b.p, expected, 20);
		buf_fini(&b);
	}
}

static void test_clock_reads(void **state UNUSED)
{
	clock_update();
	const uint64_t before = clock_now_ms();
	const int64_t wall = clock_wall_ms();
	assert_true(wall > 1500000000000);
	/* time() may be a tick of the kernel behind. */
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	assert_true(wall / 1000 <= (int64_t)now.tv_sec);
	/* Time stands between updates. */
	assert_int_equal(clock_now_ms(), before);
	clock_update();
	assert_true(clock_now_ms() >= before);
}

static void test_id_code(void **state UNUSED)
{
	static const unsigned char bytes[] = { 0xfb, 0xff, 0xfe, 0, 0, 0, 'M', 'a', 'n' };
	unsigned char back[9] = { 0 };
	char text[12];

	id_encode(text, bytes, sizeof(bytes));
	assert_memory_equal(text, "-__-AAAATWFu", 12);
	assert_true(id_decode(back, sizeof(back), (struct str){ text, 12 }));
	assert_memory_equal(back, bytes, sizeof(bytes));
	assert_false(id_decode(back, 9, (struct str){ text, 11 }));
	assert_false(id_decode(back, 6, (struct str){ text, 12 }));
	assert_false(id_decode(back, 3, STR_NONE));
	assert_true(id_decode(back, 0, STR_NONE));
	static const char *const bad[] = { "AA+A", "AA/A", "AAA=", "AAA ", "AA\nA", "AA\xc3\xa9" };
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(id_decode(back, 3, str_z(bad[i])));
}

static void test_id_round_trips(void **state UNUSED)
{
	for (size_t i = 0; i < 2000; i++) {
		unsigned char bytes[30], back[30];
		char text[40];
		const size_t len = i % 11 * 3;
		id_random(bytes, len);
		id_encode(text, bytes, len);
		assert_true(id_decode(back, len, (struct str){ text, len / 3 * 4 }));
		if (len)
			assert_memory_equal(back, bytes, len);
	}
}

static int compare_u64(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(uint64_t));
}

/* No value comes twice, across many refills; large requests are filled to the end. */
static void test_id_random(void **state UNUSED)
{
	static uint64_t all[4096];
	unsigned char large[3000] = { 0 };
	size_t zeroes = 0;

	for (size_t i = 0; i < COUNT_OF(all); i++)
		id_random(&all[i], sizeof(all[i]));
	qsort(all, COUNT_OF(all), sizeof(all[0]), compare_u64);
	for (size_t i = 1; i < COUNT_OF(all); i++)
		assert_true(all[i] != all[i - 1]);
	id_random(large, sizeof(large));
	for (size_t i = sizeof(large) - 100; i < sizeof(large); i++)
		zeroes += !large[i];
	assert_true(zeroes < 20);
}

/* Parent and child must not hand out the same bytes from what the parent had in store. */
static void test_id_fork(void **state UNUSED)
{
	unsigned char mine[48], theirs[48];
	int ends[2], status;

	id_random(mine, 3);
	assert_int_equal(pipe(ends), 0);
	const pid_t child = fork();
	assert_true(child >= 0);
	if (!child) {
		id_random(theirs, sizeof(theirs));
		_exit(write(ends[1], theirs, sizeof(theirs)) != (ssize_t)sizeof(theirs));
	}
	id_random(mine, sizeof(mine));
	assert_int_equal(read(ends[0], theirs, sizeof(theirs)), sizeof(theirs));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_memory_not_equal(mine, theirs, sizeof(mine));
	close(ends[0]);
	close(ends[1]);
}

static void test_err(void **state UNUSED)
{
	assert_int_equal(err_status(ERR_NOT_MEMBER), 403);
	assert_string_equal(err_text(ERR_NO_ROOM), "Room not found");
	assert_int_equal(err_from_word(STR("NOTMEMBER you are not in it")), ERR_NOT_MEMBER);
	assert_int_equal(err_from_word(STR("TAKEN")), ERR_TAKEN);
	assert_int_equal(err_from_word(STR("NOTMEMBERS")), ERR_INTERNAL);
	assert_int_equal(err_from_word(STR("ERR unknown function")), ERR_INTERNAL);
	assert_int_equal(err_from_word(STR("OK")), ERR_INTERNAL);
	assert_int_equal(err_from_word(STR_NONE), ERR_INTERNAL);
	for (unsigned e = 0; e < ERR_COUNT; e++) {
		assert_true(err_status((enum err)e) >= 200);
		assert_non_null(err_text((enum err)e));
	}
}

/* Standard error, led into a pipe while a test writes its log. */
struct capture {
	int kept, from;
};

static void capture_begin(struct capture *c)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	c->kept = dup(STDERR_FILENO);
	c->from = ends[0];
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	log_init("worker 2", LOG_INFO);
}

static size_t capture_end(struct capture *c, char *text, size_t size)
{
	const ssize_t n = read(c->from, text, size - 1);

	dup2(c->kept, STDERR_FILENO);
	log_init("worker 2", LOG_INFO);
	close(c->kept);
	close(c->from);
	text[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

static void test_log_lines(void **state UNUSED)
{
	struct capture c;
	char text[8192];

	capture_begin(&c);
	log_debug("not %s", "this");
	errno = EDOM;
	log_warn("a=%d\nb\x1b[2J\x7f \xc3\xa9 \xc2\x9b \xc2\xa0", 1);
	assert_int_equal(errno, EDOM);
	log_error("bad \xff\xc3\xa9");
	capture_end(&c, text, sizeof(text));
	assert_int_equal(text[10], 'T');
	char *second = strchr(text, '\n') + 1;
	assert_memory_equal(text + 24, " warn worker 2 a=1\\x0ab\\x1b[2J\\x7f \xc3\xa9 "
	                    "\\xc2\\x9b \xc2\xa0\n", (size_t)(second - text) - 24);
	assert_string_equal(second + 24, " error worker 2 bad \\xff\\xc3\\xa9\n");
	assert_false(log_on(LOG_DEBUG));
	assert_true(log_on(LOG_ERROR));
}

static void test_log_long(void **state UNUSED)
{
	struct capture c;
	char text[8192];

	capture_begin(&c);
	log_info("%05000d", 1);
	const size_t len = capture_end(&c, text, sizeof(text));
	assert_true(len < 5000);
	assert_string_equal(text + len - 5, "0...\n");
	assert_int_equal(log_dropped(), 0);
}

/* A line that is cut is cut between characters. */
static void test_log_long_utf8(void **state UNUSED)
{
	struct capture c;
	char text[8192], long_text[8192];

	for (size_t i = 0; i < sizeof(long_text) - 1; i++)
		long_text[i] = "\xe2\x82\xac"[i % 3];
	long_text[3999] = '\0';
	capture_begin(&c);
	log_info("%s%s", "\x1b\x1b\x1b\x1b", long_text);
	const size_t len = capture_end(&c, text, sizeof(text));
	assert_true(utf8_valid((struct str){ text, len }));
	assert_int_equal(log_dropped(), 0);
}

static void test_log_drops(void **state UNUSED)
{
	const int kept = dup(STDERR_FILENO), full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	assert_true(full >= 0);
	dup2(full, STDERR_FILENO);
	log_init("dropper", LOG_INFO);
	log_info("lost");
	log_info("lost too");
	dup2(kept, STDERR_FILENO);
	log_init("dropper", LOG_INFO);
	close(kept);
	close(full);
	assert_int_equal(log_dropped(), 2);
}

static void drain(int fd)
{
	char bytes[65536];

	while (read(fd, bytes, sizeof(bytes)) > 0)
		;
}

/* A pipe whose reader stops takes 64 kB; what is logged beyond that is dropped at once, and told
 * of when there is room. */
static void test_log_stopped_reader(void **state UNUSED)
{
	struct capture c;
	char text[8192];
	uint64_t dropped;

	log_init("-", LOG_INFO);
	capture_begin(&c);
	for (unsigned i = 0; i < 3000; i++)
		log_info("%u", i);
	dropped = log_dropped();
	assert_true(dropped > 1000 && dropped < 3000);
	drain(c.from);
	log_info("again");
	assert_int_equal(log_dropped(), dropped);
	capture_end(&c, text, sizeof(text));
	char expected[64];
	snprintf(expected, sizeof(expected), " warn worker 2 log: %u lines could not be written\n",
	         (unsigned)dropped);
	assert_non_null(strstr(text, expected));
	assert_string_equal(strchr(text, '\n') + 1 + 24, " info worker 2 again\n");
}

/* Where a line broke off on a full disk, the next one begins anew. */
static void test_log_torn_line(void **state UNUSED)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, before;
	struct rlimit limit, tight;
	char text[8192], path[] = "/tmp/confab-test-XXXXXX";
	const int kept = dup(STDERR_FILENO), file = mkstemp(path);

	assert_true(file >= 0);
	unlink(path);
	dup2(file, STDERR_FILENO);
	log_init("torn", LOG_INFO);
	sigaction(SIGXFSZ, &ignore, &before);
	getrlimit(RLIMIT_FSIZE, &limit);
	tight = limit;
	tight.rlim_cur = 30;
	setrlimit(RLIMIT_FSIZE, &tight);
	log_info("first");
	log_info("second");
	setrlimit(RLIMIT_FSIZE, &limit);
	sigaction(SIGXFSZ, &before, NULL);
	log_info("third");
	assert_int_equal(log_dropped(), 2);
	dup2(kept, STDERR_FILENO);
	close(kept);
	const ssize_t n = pread(file, text, sizeof(text) - 1, 0);
	close(file);
	assert_true(n > 0);
	text[n] = '\0';
	assert_int_equal(text[30], '\n');
	assert_memory_equal(text + 31 + 24, " warn torn log: 2 lines could not be written\n", 45);
	assert_non_null(strstr(text, " info torn third\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clock_text),
		cmocka_unit_test(test_clock_text_calendar),
		cmocka_unit_test(test_clock_reads),
		cmocka_unit_test(test_id_code),
		cmocka_unit_test(test_id_round_trips),
		cmocka_unit_test(test_id_random),
		cmocka_unit_test(test_id_fork),
		cmocka_unit_test(test_err),
		cmocka_unit_test(test_log_lines),
		cmocka_unit_test(test_log_long),
		cmocka_unit_test(test_log_long_utf8),
		cmocka_unit_test(test_log_drops),
		cmocka_unit_test(test_log_stopped_reader),
		cmocka_unit_test(test_log_torn_line),
	};

	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}

/* What ends with a token, while the wall clock goes on, and jumps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <event2/event.h>
#include <time.h>

#include "common/clock.h"
#include "worker/expiry.h"

enum { HOUR = 3600, START = 1700000000 };

static int64_t wall_s, passed_s;

/* libc's gives way to it. */
int clock_gettime(clockid_t which, struct timespec *t)
{
	*t = (struct timespec){ .tv_sec = (time_t)(which == CLOCK_REALTIME ? wall_s : passed_s) };
	return 0;
}

static struct expiries all;
static struct deadlines deadlines;
static struct event_base *base;
static unsigned ended;

static void over(struct expiry *e UNUSED)
{
	ended++;
}

static int begin(void **state)
{
	(void)state;
	wall_s = START;
	passed_s = 100;
	ended = 0;
	clock_update();
	base = event_base_new();
	deadlines_init(&deadlines, base);
	expiries_init(&all, &deadlines, over);
	return 0;
}

static int end(void **state)
{
	(void)state;
	deadlines_fini(&deadlines);
	event_base_free(base);
	return 0;
}

static void put_clock(int64_t by)
{
	wall_s += by;
	clock_update();
}

/* Seconds go by; how many things ended in them. */
static unsigned pass(int64_t seconds)
{
	const unsigned before = ended;
	for (int64_t i = 0; i < seconds; i++) {
		passed_s++;
		put_clock(1);
		deadlines_tick(&deadlines);
	}
	return ended - before;
}

static void set(struct expiry *e, int64_t at_s)
{
	expiry_init(e);
	expiry_set(&all, e, at_s);
}

static void its_second_ends_it(void **state)
{
	const int64_t in[] = { 1, 2, 1023, 1024, 1025, 3000 };
	struct expiry e[COUNT_OF(in)], never;
	(void)state;
	set(&never, 0);
	for (size_t i = 0; i < COUNT_OF(in); i++)
		set(&e[i], START + in[i]);
	for (size_t i = 0; i < COUNT_OF(in); i++) {
		assert_int_equal(pass(START + in[i] - wall_s - 1), 0);
		assert_int_equal(pass(1), 1);
	}
	assert_int_equal(pass(3000), 0);
}

static void a_clock_put_forward_ends_it_at_once(void **state)
{
	struct expiry soon, later;
	(void)state;
	set(&soon, START + HOUR / 2);
	set(&later, START + 2 * HOUR);
	put_clock(HOUR);
	assert_int_equal(pass(1), 1);
	assert_true(list_empty(&soon.link));
	put_clock(HOUR);
	assert_int_equal(pass(1), 1);
}

static void a_clock_put_back_gives_it_that_time(void **state)
{
	struct expiry e;
	(void)state;
	set(&e, START + 10);
	assert_int_equal(pass(5), 0);
	put_clock(-HOUR);
	assert_int_equal(pass(HOUR + 4), 0);
	assert_int_equal(pass(1), 1);
}

/* What is set before anybody has noticed ends in time, too. */
static void it_is_set_just_after_the_clock_was_put_back(void **state)
{
	struct expiry e, over_already;
	(void)state;
	put_clock(-HOUR);
	set(&e, wall_s + 10);
	assert_int_equal(pass(9), 0);
	assert_int_equal(pass(1), 1);
	set(&over_already, wall_s - 3);
	put_clock(-HOUR);
	assert_int_equal(pass(HOUR - 4), 0);
	assert_int_equal(pass(1), 1);
}

static void a_clock_before_1970(void **state)
{
	struct expiry e;
	(void)state;
	set(&e, 1000);
	put_clock(-START - 100);
	assert_int_equal(pass(1099), 0);
	assert_int_equal(pass(1), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(its_second_ends_it, begin, end),
		cmocka_unit_test_setup_teardown(a_clock_put_forward_ends_it_at_once, begin, end),
		cmocka_unit_test_setup_teardown(a_clock_put_back_gives_it_that_time, begin, end),
		cmocka_unit_test_setup_teardown(it_is_set_just_after_the_clock_was_put_back, begin,
		                                end),
		cmocka_unit_test_setup_teardown(a_clock_before_1970, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

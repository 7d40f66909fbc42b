/* Rates per key, also across processes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/throttle.h"

enum { NOW = 1000000 };

static const struct conf_rate rate = { .per_second = 10, .burst = 3 };

static void a_burst_then_the_rate(void **state)
{
	struct throttle *t = throttle_new();
	(void)state;
	for (int i = 0; i < 3; i++)
		assert_true(throttle_allow(t, rate, STR("a"), NOW));
	assert_false(throttle_allow(t, rate, STR("a"), NOW));
	assert_false(throttle_allow(t, rate, STR("a"), NOW + 99));
	assert_true(throttle_allow(t, rate, STR("a"), NOW + 100));
	assert_false(throttle_allow(t, rate, STR("a"), NOW + 100));
	for (int i = 0; i < 3; i++)
		assert_true(throttle_allow(t, rate, STR("a"), NOW + 10000));
	assert_false(throttle_allow(t, rate, STR("a"), NOW + 10000));
}

static void each_key_for_itself(void **state)
{
	struct throttle *t = throttle_new();
	(void)state;
	while (throttle_allow(t, rate, STR("a"), NOW))
		;
	/* One in 4,096 shares a bucket; of ten none, but for a chance in 400. */
	int others = 0;
	for (char c = 'b'; c < 'l'; c++)
		others += throttle_allow(t, rate, (struct str){ &c, 1 }, NOW);
	assert_true(others >= 9);
}

static void no_rate_no_limit(void **state)
{
	struct throttle *t = throttle_new();
	(void)state;
	for (int i = 0; i < 100; i++)
		assert_true(throttle_allow(t, (struct conf_rate){ 0 }, STR("a"), NOW));
}

static void all_processes_count_together(void **state)
{
	struct throttle *t = throttle_new();
	(void)state;
	const pid_t pid = fork();
	if (pid == 0) {
		while (throttle_allow(t, rate, STR("a"), NOW))
			;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_false(throttle_allow(t, rate, STR("a"), NOW));
}

/* A reload: who took what the rate of before allowed is not shut out by it for long. */
static void another_rate_has_the_last_word(void **state)
{
	static const struct conf_rate before = { .per_second = 1, .burst = 1000 };
	struct throttle *t = throttle_new();
	(void)state;
	while (throttle_allow(t, before, STR("a"), NOW))
		;
	assert_false(throttle_allow(t, rate, STR("a"), NOW));
	assert_false(throttle_allow(t, rate, STR("a"), NOW + 99));
	assert_true(throttle_allow(t, rate, STR("a"), NOW + 100));
	/* The clock of one that is in a long turn is behind, and gives nothing back. */
	assert_false(throttle_allow(t, rate, STR("a"), NOW - 5000));
	assert_false(throttle_allow(t, rate, STR("a"), NOW + 100));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_then_the_rate),
		cmocka_unit_test(each_key_for_itself),
		cmocka_unit_test(no_rate_no_limit),
		cmocka_unit_test(all_processes_count_together),
		cmocka_unit_test(another_rate_has_the_last_word),
	};
	return cmocka_run_group_tests_name("throttle", tests, NULL, NULL);
}

/* The pages of counters that processes share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/metrics.h"

enum { PAGES = 3 };

static void test_a_child_counts_for_all(void **state UNUSED)
{
	struct metrics *pages = metrics_map(PAGES);
	const uint64_t large = (uint64_t)1 << 40;
	int status;

	assert_non_null(pages);
	const pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		for (unsigned cell = 0; cell < METRIC_COUNT; cell++)
			metrics_put(&pages[1], cell, cell + large);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	for (unsigned cell = 0; cell < METRIC_COUNT; cell++) {
		assert_true(metrics_get(&pages[1], cell) == cell + large);
		assert_true(metrics_get(&pages[0], cell) == 0);
		assert_true(metrics_get(&pages[2], cell) == 0);
	}
	metrics_clear(&pages[1]);
	for (unsigned cell = 0; cell < METRIC_COUNT; cell++)
		assert_true(metrics_get(&pages[1], cell) == 0);
	metrics_unmap(pages, PAGES);
}

static void test_pages_share_no_cache_line(void **state UNUSED)
{
	struct metrics *pages = metrics_map(PAGES);

	assert_non_null(pages);
	for (unsigned i = 0; i < PAGES; i++)
		assert_int_equal((uintptr_t)&pages[i] % METRICS_LINE, 0);
	metrics_unmap(pages, PAGES);
}

static void test_each_has_a_word_of_its_own(void **state UNUSED)
{
	for (unsigned a = 0; a < METRIC_CLOSED; a++) {
		assert_true(strlen(metric_word((enum metric)a)) > 0);
		for (unsigned b = 0; b < a; b++)
			assert_string_not_equal(metric_word((enum metric)a),
			                        metric_word((enum metric)b));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_child_counts_for_all),
		cmocka_unit_test(test_pages_share_no_cache_line),
		cmocka_unit_test(test_each_has_a_word_of_its_own),
	};

	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}

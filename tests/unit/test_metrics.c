/* The pages of counters that processes share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/metrics.h"

enum { PAGES = 3 };

static const uint64_t large = (uint64_t)1 << 40;

static bool is_gauge(unsigned cell)
{
	const struct metric_row *row = metric_rows;

	while (cell >= row->first + row->cells)
		row++;
	return row->kind == GAUGE;
}

static void test_a_child_counts_for_all(void **state UNUSED)
{
	struct metrics *pages = metrics_map(PAGES);
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

/* Of a worker that ends, gauges go and counters stay; those that its successor begins with
 * are these. */
static void test_counters_outlive_a_worker(void **state UNUSED)
{
	static const unsigned came[] = { METRIC_OPENED, METRIC_TCP_OPENED, METRIC_SOCKETS_OPENED };
	struct metrics *page = metrics_map(1);
	uint64_t before[METRIC_COUNT];

	assert_non_null(page);
	for (unsigned cell = 0; cell < METRIC_COUNT; cell++)
		metrics_put(page, cell, cell + large);
	for (size_t i = 0; i < COUNT_OF(came); i++)
		metrics_put(page, came[i], 0);
	metrics_before(page, before);
	for (unsigned cell = 0; cell < METRIC_COUNT; cell++)
		assert_true(before[cell] == (is_gauge(cell) ? 0 : metrics_get(page, cell)));
	metrics_end(page);
	for (unsigned cell = 0; cell < METRIC_COUNT; cell++)
		assert_true(metrics_get(page, cell) == before[cell]);
	metrics_unmap(page, 1);
}

/* What comes and goes is accounted for, each kind by itself. */
static void test_what_a_worker_that_ends_has_open_is_lost(void **state UNUSED)
{
	static const unsigned kinds[][3] = {
		{ METRIC_OPENED, METRIC_CLOSED, METRIC_CONNECTIONS },
		{ METRIC_TCP_OPENED, METRIC_TCP_CLOSED, METRIC_TCP },
		{ METRIC_SOCKETS_OPENED, METRIC_SOCKETS_CLOSED, METRIC_SOCKETS },
	};
	struct metrics *page = metrics_map(1);

	assert_non_null(page);
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		const unsigned opened = kinds[i][0], closed = kinds[i][1], gauge = kinds[i][2];
		metrics_put(page, opened, 10);
		metrics_put(page, closed + 3, 4);
		metrics_put(page, closed, 1);
		metrics_put(page, gauge, 5);
		metrics_end(page);
		assert_int_equal(metrics_get(page, closed + METRIC_LOST), 5);
		assert_int_equal(metrics_get(page, gauge), 0);
		metrics_end(page);
		assert_int_equal(metrics_get(page, closed + METRIC_LOST), 5);
		metrics_put(page, opened, 12);
		metrics_end(page);
		assert_int_equal(metrics_get(page, closed + METRIC_LOST), 7);
	}
	metrics_unmap(page, 1);
}

static void test_rows_take_all_cells_once(void **state UNUSED)
{
	unsigned next = 0;

	for (const struct metric_row *row = metric_rows; row->word != NULL; row++) {
		assert_int_equal(row->first, next);
		assert_true(row->cells > 0);
		next += row->cells;
	}
	assert_int_equal(next, METRIC_COUNT);
	assert_int_equal(METRIC_CLOSED + METRIC_LOST, METRIC_CLOSED_LAST);
	assert_int_equal(METRIC_TCP_CLOSED + METRIC_LOST, METRIC_TCP_CLOSED_LAST);
	assert_int_equal(METRIC_SOCKETS_CLOSED + METRIC_LOST, METRIC_SOCKETS_CLOSED_LAST);
}

static void test_each_has_names_of_its_own(void **state UNUSED)
{
	for (const struct metric_row *a = metric_rows; a->word != NULL; a++) {
		assert_true(strlen(a->word) + strlen(a->exposed) > 0);
		for (const struct metric_row *b = metric_rows; b < a; b++) {
			assert_true(a->word[0] == '\0' || strcmp(a->word, b->word) != 0);
			assert_true(a->exposed[0] == '\0' || strcmp(a->exposed, b->exposed) != 0);
		}
	}
}

static void test_a_time_goes_into_the_first_bucket_that_holds_it(void **state UNUSED)
{
	struct histogram h = { 0 };

	for (unsigned i = 0; i < HISTOGRAM_BOUNDS; i++) {
		assert_true(i == 0 || histogram_bounds_us[i] > histogram_bounds_us[i - 1]);
		histogram_add(&h, histogram_bounds_us[i]);
		assert_int_equal(h.buckets[i], i == 0 ? 1 : 2);
		histogram_add(&h, (int64_t)histogram_bounds_us[i] + 1);
		assert_int_equal(h.buckets[i + 1], 1);
	}
}

static void test_bounds_are_what_their_texts_say(void **state UNUSED)
{
	for (unsigned i = 0; i < HISTOGRAM_BOUNDS; i++) {
		const double us = strtod(histogram_bounds_text[i], NULL) * 1e6;
		assert_int_equal((uint32_t)(us + 0.5), histogram_bounds_us[i]);
	}
}

static void test_a_time_below_zero_is_none(void **state UNUSED)
{
	struct histogram h = { 0 };

	histogram_add(&h, -5);
	assert_int_equal(h.buckets[0], 1);
	assert_int_equal(h.sum_us, 0);
	histogram_add(&h, 3600000000);
	assert_int_equal(h.buckets[HISTOGRAM_BOUNDS], 1);
	assert_true(h.sum_us == 3600000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_child_counts_for_all),
		cmocka_unit_test(test_pages_share_no_cache_line),
		cmocka_unit_test(test_counters_outlive_a_worker),
		cmocka_unit_test(test_what_a_worker_that_ends_has_open_is_lost),
		cmocka_unit_test(test_rows_take_all_cells_once),
		cmocka_unit_test(test_each_has_names_of_its_own),
		cmocka_unit_test(test_a_time_goes_into_the_first_bucket_that_holds_it),
		cmocka_unit_test(test_bounds_are_what_their_texts_say),
		cmocka_unit_test(test_a_time_below_zero_is_none),
	};

	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}

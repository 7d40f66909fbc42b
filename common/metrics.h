/* What the workers count, in memory that all processes of a host share: a page per worker, which
 * outlives its process. The worker writes most cells of its page, the master some; all may read.
 * Each cell is right by itself; two of them need not be of the same moment. */
#ifndef CONFAB_METRICS_H
#define CONFAB_METRICS_H

#include <stdatomic.h>

#include "common/histogram.h"
#include "common/redis_error.h"

enum {
	METRIC_REASONS = 40,         /* ways to end, at most … */
	METRIC_LOST = METRIC_REASONS - 1,    /* … the last: the worker did */
	METRIC_APIS = 16,            /* at most */
	METRIC_CLASSES = 6,          /* of HTTP statuses: the first digit */
	METRIC_LINKS = 2,            /* to Redis: commands, subscriptions */
	METRICS_LINE = 64,           /* bytes that caches share */
};

/* The reason of those who were connected to a worker that ended. */
#define METRIC_LOST_REASON "worker ended"

enum metric_kind { GAUGE, COUNTER, HISTOGRAM };

/* The first cell of each row, and its last one. */
enum metric {
#define METRIC(name, kind, cells, word, exposed, help) \
	METRIC_##name, METRIC_##name##_LAST = METRIC_##name + (cells) - 1,
#include "common/metrics.def"
#undef METRIC
	METRIC_COUNT
};

struct metric_row {
	enum metric first;
	enum metric_kind kind;
	unsigned cells;
	const char *word, *exposed, *help;   /* word NULL ends the table */
};

extern const struct metric_row metric_rows[];

struct metrics {
	_Alignas(METRICS_LINE) _Atomic uint64_t cells[METRIC_COUNT];
};

/* The pages of so many workers, and behind them the master's own, of which only the rows of
 * metrics_is_masters are used; zeroed, to be made before they are forked; NULL: errno says why. */
struct metrics *metrics_map(unsigned workers);
void metrics_unmap(struct metrics *pages, unsigned workers);
/* Whether the master counts in this row, too. */
bool metrics_is_masters(enum metric row);
/* The worker has ended, and nobody writes its page: nothing is open any more,
 * and what was is lost. */
void metrics_end(struct metrics *page);
/* What a worker has to add to all it counts; 0 for gauges. */
void metrics_before(const struct metrics *page, uint64_t before[METRIC_COUNT]);

static inline void metrics_put(struct metrics *page, unsigned cell, uint64_t n)
{
	atomic_store_explicit(&page->cells[cell], n, memory_order_relaxed);
}

static inline uint64_t metrics_get(const struct metrics *page, unsigned cell)
{
	return atomic_load_explicit(&page->cells[cell], memory_order_relaxed);
}

#endif

/* What the workers count, in memory that all processes of a host share: a page per worker, written by
 * that worker only and read by all. Each cell is right by itself; two of them need not be of the same
 * moment. */
#ifndef CONFAB_METRICS_H
#define CONFAB_METRICS_H

#include <stdatomic.h>

#include "common/base.h"

enum {
	METRIC_REASONS = 32,         /* ways to end, at most */
	METRICS_LINE = 64,           /* bytes that caches share */
};

enum metric {
#define METRIC(name, kind, word, help) METRIC_##name,
#include "common/metrics.def"
#undef METRIC
	METRIC_CLOSED,               /* + enum reason: clients whose connection ended so */
	METRIC_COUNT = METRIC_CLOSED + METRIC_REASONS
};

struct metrics {
	_Alignas(METRICS_LINE) _Atomic uint64_t cells[METRIC_COUNT];
};

/* The pages of so many workers, zeroed, to be made before they are forked; NULL: errno says why. */
struct metrics *metrics_map(unsigned workers);
void metrics_unmap(struct metrics *pages, unsigned workers);
/* Back to nothing; while nobody writes it. */
void metrics_clear(struct metrics *page);

static inline void metrics_put(struct metrics *page, unsigned cell, uint64_t n)
{
	atomic_store_explicit(&page->cells[cell], n, memory_order_relaxed);
}

static inline uint64_t metrics_get(const struct metrics *page, unsigned cell)
{
	return atomic_load_explicit(&page->cells[cell], memory_order_relaxed);
}

/* What one below METRIC_CLOSED is called. */
const char *metric_word(enum metric m);

#endif

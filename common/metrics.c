/* What the workers count, in shared memory. */
#include "common/metrics.h"

#include <sys/mman.h>

_Static_assert(sizeof(struct histogram) == HISTOGRAM_CELLS * sizeof(uint64_t),
               "a cell for each number");

const struct metric_row metric_rows[] = {
#define METRIC(name, kind, cells, word, exposed, help) \
	{ METRIC_##name, kind, cells, word, exposed, help },
#include "common/metrics.def"
#undef METRIC
	{ 0 }
};

struct metrics *metrics_map(unsigned workers)
{
	void *pages = mmap(NULL, (workers + 1) * sizeof(struct metrics), PROT_READ | PROT_WRITE,
	                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return pages != MAP_FAILED ? pages : NULL;
}

void metrics_unmap(struct metrics *pages, unsigned workers)
{
	munmap(pages, (workers + 1) * sizeof(*pages));
}

bool metrics_is_masters(enum metric row)
{
	return row == METRIC_LOG_DROPPED || row == METRIC_CALL_ERRORS || row == METRIC_REDIS_LOSSES;
}

/* What comes and goes: how much of it came, and the first cell of how it went. */
static const struct {
	unsigned opened, closed;
} passages[] = {
	{ METRIC_OPENED, METRIC_CLOSED },
	{ METRIC_TCP_OPENED, METRIC_TCP_CLOSED },
	{ METRIC_SOCKETS_OPENED, METRIC_SOCKETS_CLOSED },
};

/* Not by the gauges: what was killed while it wrote these may have left them at odds. */
static void lose(struct metrics *page, unsigned opened, unsigned closed)
{
	const unsigned lost = closed + METRIC_LOST;
	const uint64_t came = metrics_get(page, opened);
	uint64_t went = 0;

	for (unsigned r = 0; r < METRIC_REASONS; r++)
		went += metrics_get(page, closed + r);
	if (came > went)
		metrics_put(page, lost, metrics_get(page, lost) + came - went);
}

void metrics_end(struct metrics *page)
{
	for (size_t i = 0; i < COUNT_OF(passages); i++)
		lose(page, passages[i].opened, passages[i].closed);
	for (const struct metric_row *row = metric_rows; row->word != NULL; row++)
		for (unsigned i = 0; row->kind == GAUGE && i < row->cells; i++)
			metrics_put(page, row->first + i, 0);
}

void metrics_before(const struct metrics *page, uint64_t before[METRIC_COUNT])
{
	for (const struct metric_row *row = metric_rows; row->word != NULL; row++)
		for (unsigned i = 0; i < row->cells; i++)
			before[row->first + i] =
				row->kind != GAUGE ? metrics_get(page, row->first + i) : 0;
}

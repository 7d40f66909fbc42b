/* What the workers count, in shared memory. */
#include "common/metrics.h"

#include <sys/mman.h>

_Static_assert(sizeof(struct histogram) == HISTOGRAM_CELLS * sizeof(uint64_t), "a cell for each number");

const struct metric_row metric_rows[] = {
#define METRIC(name, kind, cells, word, exposed, help) \
	{ METRIC_##name, kind, cells, word, exposed, help },
#include "common/metrics.def"
#undef METRIC
	{ 0 }
};

struct metrics *metrics_map(unsigned workers)
{
	void *pages = mmap(NULL, workers * sizeof(struct metrics), PROT_READ | PROT_WRITE,
	                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return pages != MAP_FAILED ? pages : NULL;
}

void metrics_unmap(struct metrics *pages, unsigned workers)
{
	munmap(pages, workers * sizeof(*pages));
}

void metrics_end(struct metrics *page)
{
	const uint64_t opened = metrics_get(page, METRIC_OPENED);
	uint64_t closed = 0;

	for (unsigned cell = METRIC_CLOSED; cell <= METRIC_CLOSED_LAST; cell++)
		closed += metrics_get(page, cell);
	/* Not by the gauge: what was killed while it wrote these may have left them at odds. */
	if (opened > closed)
		metrics_put(page, METRIC_LOST, metrics_get(page, METRIC_LOST) + opened - closed);
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

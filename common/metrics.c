/* What the workers count, in shared memory. */
#include "common/metrics.h"

#include <sys/mman.h>

static const char *const words[METRIC_CLOSED] = {
#define METRIC(name, kind, word, help) [METRIC_##name] = word,
#include "common/metrics.def"
#undef METRIC
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

void metrics_clear(struct metrics *page)
{
	for (unsigned cell = 0; cell < METRIC_COUNT; cell++)
		metrics_put(page, cell, 0);
}

const char *metric_word(enum metric m)
{
	return words[m];
}

/* A histogram with fixed bounds, from a tenth of a millisecond to ten seconds. */
#include "common/histogram.h"

const uint32_t histogram_bounds_us[HISTOGRAM_BOUNDS] = {
	100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000,
	2500000, 5000000, 10000000,
};

const char *const histogram_bounds_text[HISTOGRAM_BOUNDS] = {
	"0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1",
	"0.25", "0.5", "1", "2.5", "5", "10",
};

void histogram_add(struct histogram *h, int64_t us)
{
	const uint64_t time = us > 0 ? (uint64_t)us : 0;
	unsigned bucket = 0;

	while (bucket < HISTOGRAM_BOUNDS && time > histogram_bounds_us[bucket])
		bucket++;
	h->buckets[bucket]++;
	h->sum_us += time;
}

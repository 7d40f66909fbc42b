/* A histogram: how often something took how long, in buckets that are the same for all. */
#ifndef CONFAB_HISTOGRAM_H
#define CONFAB_HISTOGRAM_H

#include "common/base.h"

enum {
	HISTOGRAM_BOUNDS = 16,
	HISTOGRAM_CELLS = HISTOGRAM_BOUNDS + 2,      /* a bucket without bound, then the sum */
};

struct histogram {
	/* Each counts what the one before it is too short for. */
	uint64_t buckets[HISTOGRAM_BOUNDS + 1];
	uint64_t sum_us;
};

/* The longest time of each bucket but the last, in microseconds, and in seconds as text. */
extern const uint32_t histogram_bounds_us[HISTOGRAM_BOUNDS];
extern const char *const histogram_bounds_text[HISTOGRAM_BOUNDS];

/* Clocks of two hosts may differ: a time below 0 counts as 0. */
void histogram_add(struct histogram *h, int64_t us);

#endif

/* How long things took, as percentiles to within 1.6 %. */
#ifndef CONFAB_BENCH_LATENCY_H
#define CONFAB_BENCH_LATENCY_H

#include <stdint.h>

/* Two powers of two differ by 64 steps, so that a value is known to one part in 64. */
enum { LATENCY_STEPS = 64, LATENCY_BUCKETS = 64 * LATENCY_STEPS };

struct latency {
	uint64_t count, max;
	uint64_t buckets[LATENCY_BUCKETS];
};

void latency_add(struct latency *l, uint64_t ns);
/* The value below which `share` (0 to 1) of all lie; 0 if there is none. */
uint64_t latency_at(const struct latency *l, double share);

#endif

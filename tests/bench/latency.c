/* A histogram whose buckets grow with the values. */
#include "tests/bench/latency.h"

static unsigned bucket_of(uint64_t ns)
{
	if (ns < 2 * LATENCY_STEPS)
		return (unsigned)ns;
	const unsigned shift = 63u - (unsigned)__builtin_clzll(ns) - 6u;
	return shift * LATENCY_STEPS + (unsigned)(ns >> shift);
}

static uint64_t value_of(unsigned bucket)
{
	if (bucket < 2 * LATENCY_STEPS)
		return bucket;
	const unsigned shift = bucket / LATENCY_STEPS - 1;
	return (uint64_t)(bucket - shift * LATENCY_STEPS) << shift;
}

void latency_add(struct latency *l, uint64_t ns)
{
	l->buckets[bucket_of(ns)]++;
	l->count++;
	if (ns > l->max)
		l->max = ns;
}

uint64_t latency_at(const struct latency *l, double share)
{
	const uint64_t wanted = (uint64_t)((double)l->count * share);
	uint64_t seen = 0;

	for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
		seen += l->buckets[i];
		if (seen > wanted)
			return value_of(i);
	}
	return l->max;
}

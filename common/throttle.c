/* Rates counted by all processes of a host. A bucket is the time at which it will be full again;
 * each event moves that on by its share, unless it is too far ahead already. */
#include "common/throttle.h"

#include <sodium.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "common/id.h"

enum { BUCKETS = 4096 };

/* Beyond any two processes' notions of now: one whose turn takes longer is killed. */
#define APART_US UINT64_C(10000000)

struct throttle {
	unsigned char secret[crypto_shorthash_KEYBYTES];     /* nobody can choose to collide */
	_Atomic uint64_t full_us[BUCKETS];
};

struct throttle *throttle_new(void)
{
	void *memory = mmap(NULL, sizeof(struct throttle), PROT_READ | PROT_WRITE,
	                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return NULL;
	struct throttle *t = memory;
	id_random(t->secret, sizeof(t->secret));
	return t;
}

static _Atomic uint64_t *bucket_of(struct throttle *t, struct str key)
{
	uint64_t hash;
	crypto_shorthash((unsigned char *)&hash, (const unsigned char *)key.p, key.len, t->secret);
	return &t->full_us[hash % BUCKETS];
}

bool throttle_allow(struct throttle *t, struct conf_rate rate, struct str key, uint64_t now_ms)
{
	if (rate.per_second == 0)
		return true;
	_Atomic uint64_t *bucket = bucket_of(t, key);
	const uint64_t now = now_ms * 1000, cost = 1000000 / rate.per_second;
	const uint64_t empty = now + cost * (rate.burst > 0 ? rate.burst : 1);
	uint64_t full = atomic_load_explicit(bucket, memory_order_relaxed), after;
	bool allowed;
	do {
		const uint64_t from = full > now ? full : now;
		allowed = from + cost <= empty;
		if (!allowed && full <= empty + APART_US)
			return false;
		/* What an earlier rate took may be far more than a burst of this one. */
		after = allowed ? from + cost : empty;
	} while (!atomic_compare_exchange_weak_explicit(bucket, &full, after, memory_order_relaxed,
	                                                memory_order_relaxed));
	return allowed;
}

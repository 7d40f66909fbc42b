/* A count-min sketch with two rows, in a page per worker. A slot is a counter of each
 * row, in 16 bits each. */
#include "common/tally.h"

#include <limits.h>
#include <sodium.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "common/id.h"

enum { ROWS = 2, CELLS = 65536 };

struct tally_page {
	_Atomic uint32_t cells[ROWS][CELLS];
};

struct tally {
	unsigned workers;
	unsigned char secret[crypto_shorthash_KEYBYTES];     /* nobody can choose to collide */
	_Alignas(4096) struct tally_page pages[];
};

struct tally *tally_new(unsigned workers)
{
	const size_t size = sizeof(struct tally) + workers * sizeof(struct tally_page);
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return NULL;
	struct tally *t = memory;
	t->workers = workers;
	id_random(t->secret, sizeof(t->secret));
	return t;
}

/* The memory goes back to the system, and is zero when it is used again. */
void tally_clear(struct tally *t, unsigned worker)
{
	struct tally_page *page = &t->pages[worker];
	if (madvise(page, sizeof(*page), MADV_REMOVE) != 0)
		memset(page, 0, sizeof(*page));
}

uint32_t tally_slot(const struct tally *t, struct str key)
{
	uint64_t hash;
	crypto_shorthash((unsigned char *)&hash, (const unsigned char *)key.p, key.len, t->secret);
	const uint32_t slot = (uint32_t)hash;
	return slot != 0 ? slot : 1;
}

static unsigned cell_of(uint32_t slot, unsigned row)
{
	return slot >> (16 * row) & (CELLS - 1);
}

/* Nobody else writes here, so that it need not be one step. */
static void change(struct tally *t, unsigned worker, uint32_t slot, uint32_t by)
{
	for (unsigned row = 0; row < ROWS; row++) {
		_Atomic uint32_t *cell = &t->pages[worker].cells[row][cell_of(slot, row)];
		const uint32_t n = atomic_load_explicit(cell, memory_order_relaxed);
		atomic_store_explicit(cell, n + by, memory_order_relaxed);
	}
}

void tally_add(struct tally *t, unsigned worker, uint32_t slot)
{
	change(t, worker, slot, 1);
}

void tally_take(struct tally *t, unsigned worker, uint32_t slot)
{
	change(t, worker, slot, UINT32_MAX);
}

unsigned tally_count(const struct tally *t, uint32_t slot)
{
	unsigned least = UINT_MAX;
	for (unsigned row = 0; row < ROWS; row++) {
		unsigned n = 0;
		for (unsigned w = 0; w < t->workers; w++)
			n += atomic_load_explicit(&t->pages[w].cells[row][cell_of(slot, row)],
			                          memory_order_relaxed);
		least = n < least ? n : least;
	}
	return least;
}

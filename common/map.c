/* A hash table by linear probing. A slot is free when its value is NULL; taking an entry out moves
 * those behind it back, so there are no tombstones and a search ends at the first free slot. */
#include "common/map.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

#include "common/id.h"
#include "common/mem.h"

enum { MAP_FIRST = 8 };

static uint32_t map_hash(struct str key)
{
	static unsigned char secret[crypto_shorthash_KEYBYTES];
	static bool have_secret;
	uint64_t hash;

	_Static_assert(sizeof(hash) == crypto_shorthash_BYTES, "one word of hash");
	if (!have_secret) {
		id_random(secret, sizeof(secret));
		have_secret = true;
	}
	crypto_shorthash((unsigned char *)&hash, (const unsigned char *)key.p, key.len, secret);
	return (uint32_t)hash;
}

static struct str slot_key(const struct map_slot *slot)
{
	return (struct str){ slot->key, slot->len };
}

/* The slot with this key, or the free one where it would be put; there is always a free one. */
static struct map_slot *map_find(const struct map *m, struct str key, uint32_t hash)
{
	size_t i = hash & (m->cap - 1);

	while (m->slots[i].value &&
	       (m->slots[i].hash != hash || !str_eq(slot_key(&m->slots[i]), key)))
		i = (i + 1) & (m->cap - 1);
	return &m->slots[i];
}

static void map_grow(struct map *m)
{
	const struct map old = *m;

	m->cap = old.cap ? old.cap * 2 : MAP_FIRST;
	m->slots = xcalloc(m->cap, sizeof(*m->slots));
	for (size_t i = 0; i < old.cap; i++)
		if (old.slots[i].value)
			*map_find(m, slot_key(&old.slots[i]), old.slots[i].hash) = old.slots[i];
	free(old.slots);
}

void map_fini(struct map *m)
{
	free(m->slots);
	*m = (struct map){ 0 };
}

void *map_get(const struct map *m, struct str key)
{
	return m->n ? map_find(m, key, map_hash(key))->value : NULL;
}

void *map_put(struct map *m, struct str key, void *value)
{
	const uint32_t hash = map_hash(key);

	assert(value && key.len <= UINT32_MAX);
	if (m->n >= m->cap / 4 * 3)
		map_grow(m);
	struct map_slot *slot = map_find(m, key, hash);
	void *before = slot->value;
	/* The key is replaced too: the old one lived in the old value. */
	*slot = (struct map_slot){
		.key = key.p, .value = value, .len = (uint32_t)key.len, .hash = hash,
	};
	m->n += !before;
	return before;
}

/* Closes the gap at `free_at`: an entry further on may fill it unless its own home lies in
 * between. */
static void map_close_gap(struct map *m, size_t free_at)
{
	const size_t mask = m->cap - 1;

	for (size_t i = (free_at + 1) & mask; m->slots[i].value; i = (i + 1) & mask) {
		const size_t from_home = (i - m->slots[i].hash) & mask;
		if (from_home < ((i - free_at) & mask))
			continue;
		m->slots[free_at] = m->slots[i];
		free_at = i;
	}
	m->slots[free_at] = (struct map_slot){ 0 };
}

void *map_take(struct map *m, struct str key)
{
	if (!m->n)
		return NULL;
	struct map_slot *slot = map_find(m, key, map_hash(key));
	void *value = slot->value;
	if (value) {
		m->n--;
		map_close_gap(m, (size_t)(slot - m->slots));
	}
	return value;
}

void *map_next(const struct map *m, size_t *cursor)
{
	while (*cursor < m->cap) {
		void *value = m->slots[(*cursor)++].value;
		if (value)
			return value;
	}
	return NULL;
}

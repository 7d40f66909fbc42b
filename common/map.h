/* A hash table from strings to pointers: open addressing, SipHash keyed per process (so that
 * nobody outside can choose collisions). Keys are borrowed: they live in the values. */
#ifndef CONFAB_MAP_H
#define CONFAB_MAP_H

#include "common/str.h"

/* 24 bytes: a connection stands in three maps. */
struct map_slot {
	const char *key;
	void *value;       /* NULL: the slot is free */
	uint32_t len, hash;
};

/* Zero-initialised is empty and holds no memory. */
struct map {
	struct map_slot *slots;
	size_t n, cap;
};

/* Gives the table back; the values stay their owners'. */
void map_fini(struct map *m);
/* The value under `key`, borrowed, or NULL. */
void *map_get(const struct map *m, struct str key);
/* Puts or replaces; `key` must live as long as the entry. Returns the value that
 * was there, or NULL. */
void *map_put(struct map *m, struct str key, void *value);
/* Takes out; returns the value, or NULL. */
void *map_take(struct map *m, struct str key);
/* Walks: start with *cursor = 0; returns the next value, or NULL at the end.
 * No changes meanwhile. */
void *map_next(const struct map *m, size_t *cursor);

#endif

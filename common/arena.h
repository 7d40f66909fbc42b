/* Memory of one request: taken bit by bit, given back all at once. */
#ifndef CONFAB_ARENA_H
#define CONFAB_ARENA_H

#include <stdarg.h>

#include "common/str.h"

struct arena_block;

/* Zero-initialised is empty and holds no memory. */
struct arena {
	struct arena_block *blocks;
	size_t left;       /* bytes free in the newest block */
};

void arena_fini(struct arena *a);
/* Zeroed, aligned for any type, valid until arena_fini. */
void *arena_alloc(struct arena *a, size_t size);
/* A copy of s, with a NUL behind it that its length does not count. */
struct str arena_str(struct arena *a, struct str s);
struct str arena_printf(struct arena *a, const char *format, ...) PRINTF_LIKE(2, 3);

#endif

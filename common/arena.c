/* Memory of one request: a list of blocks, newest first, each filled from its start.
 *
 * What does not fit a block's rest gets a new block; what is larger than a block gets one of its
 * own behind the newest, whose rest stays in use. */
#include "common/arena.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

struct arena_block {
	struct arena_block *next;
	size_t size;
	_Alignas(max_align_t) char bytes[];
};

/* With malloc's own header just a page. */
enum { ARENA_BLOCK = 4096 - 16 - sizeof(struct arena_block) };

void arena_fini(struct arena *a)
{
	while (a->blocks) {
		struct arena_block *b = a->blocks;
		a->blocks = b->next;
		free(b);
	}
	a->left = 0;
}

static struct arena_block *block_new(size_t size)
{
	struct arena_block *b = xmalloc(sizeof(*b) + size);

	b->size = size;
	b->next = NULL;
	return b;
}

static void *take_large(struct arena *a, size_t size)
{
	struct arena_block *b = block_new(size);
	struct arena_block **behind = a->blocks ? &a->blocks->next : &a->blocks;

	b->next = *behind;
	*behind = b;
	return b->bytes;
}

/* As arena_alloc, but with whatever the memory held. */
static void *take(struct arena *a, size_t size)
{
	const size_t unit = _Alignof(max_align_t);

	assert(size < PTRDIFF_MAX - ARENA_BLOCK);
	size = (size + unit - 1) / unit * unit;
	if (size > ARENA_BLOCK)
		return take_large(a, size);
	if (!a->blocks || size > a->left) {
		struct arena_block *b = block_new(ARENA_BLOCK);
		b->next = a->blocks;
		a->blocks = b;
		a->left = b->size;
	}
	void *p = a->blocks->bytes + (a->blocks->size - a->left);
	a->left -= size;
	return p;
}

void *arena_alloc(struct arena *a, size_t size)
{
	return memset(take(a, size), 0, size);
}

struct str arena_str(struct arena *a, struct str s)
{
	char *p = take(a, s.len + 1);

	if (s.len)
		memcpy(p, s.p, s.len);
	p[s.len] = '\0';
	return (struct str){ p, s.len };
}

struct str arena_printf(struct arena *a, const char *format, ...)
{
	char shortly[256];
	va_list args, again;

	va_start(args, format);
	va_copy(again, args);
	const int n = vsnprintf(shortly, sizeof(shortly), format, args);
	va_end(args);
	const size_t len = n > 0 ? (size_t)n : 0;
	struct str s = { shortly, len };
	if (len < sizeof(shortly)) {
		s = arena_str(a, s);
	} else {
		char *p = take(a, len + 1);
		vsnprintf(p, len + 1, format, again);
		s.p = p;
	}
	va_end(again);
	return s;
}

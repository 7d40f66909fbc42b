/* Allocation that never fails: out of memory ends the process, and its parent starts another. */
#ifndef CONFAB_MEM_H
#define CONFAB_MEM_H

#include "common/base.h"

/* As malloc, calloc, realloc, strdup; each returns memory the caller frees with free(). */
void *xmalloc(size_t size) __attribute__((malloc, alloc_size(1), returns_nonnull));
void *xcalloc(size_t count, size_t size) __attribute__((malloc, alloc_size(1, 2), returns_nonnull));
void *xrealloc(void *old, size_t size) __attribute__((alloc_size(2), returns_nonnull));
char *xstrdup(const char *text) __attribute__((malloc, returns_nonnull));

#endif

/* A growing run of bytes, owned by its holder. Zero-initialised is empty and holds no memory. */
#ifndef CONFAB_BUF_H
#define CONFAB_BUF_H

#include <stdarg.h>

#include "common/str.h"

struct buf {
	char *p;
	size_t len, cap;
};

/* Gives the memory back; the buffer is empty and usable again. */
void buf_fini(struct buf *b);
/* Forgets the content, keeps the memory. */
void buf_clear(struct buf *b);
/* Room for `more` bytes at the end; returns where they go. The caller then adds to len. */
char *buf_reserve(struct buf *b, size_t more);
void buf_add(struct buf *b, const void *bytes, size_t len);
void buf_str(struct buf *b, struct str s);
void buf_z(struct buf *b, const char *text);
void buf_char(struct buf *b, char c);
void buf_u64(struct buf *b, uint64_t n);
void buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_vprintf(struct buf *b, const char *format, va_list args) PRINTF_LIKE(2, 0);
/* Drops the first `n` bytes. */
void buf_consume(struct buf *b, size_t n);
/* The content, borrowed until the next change. */
struct str buf_view(const struct buf *b);

#endif

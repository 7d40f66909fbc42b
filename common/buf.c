/* A growing run of bytes: doubles when full, so that adding is cheap on average. */
#include "common/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

enum { BUF_FIRST = 64 };

void buf_fini(struct buf *b)
{
	free(b->p);
	*b = (struct buf){ 0 };
}

void buf_clear(struct buf *b)
{
	b->len = 0;
}

/* Apart, so that what is called for each few bytes stays short. */
static NOINLINE void buf_grow(struct buf *b, size_t more)
{
	size_t cap = b->cap ? b->cap : BUF_FIRST;

	/* A size that cannot be had goes to xrealloc as it is, which then ends the process. */
	if (more > PTRDIFF_MAX - b->len)
		cap = PTRDIFF_MAX;
	while (cap - b->len < more && cap < PTRDIFF_MAX)
		cap *= 2;
	b->p = xrealloc(b->p, cap);
	b->cap = cap;
}

char *buf_reserve(struct buf *b, size_t more)
{
	if (!b->p || b->cap - b->len < more)
		buf_grow(b, more);
	return b->p + b->len;
}

void buf_add(struct buf *b, const void *bytes, size_t len)
{
	if (!len)
		return;
	memcpy(buf_reserve(b, len), bytes, len);
	b->len += len;
}

void buf_str(struct buf *b, struct str s)
{
	buf_add(b, s.p, s.len);
}

void buf_z(struct buf *b, const char *text)
{
	buf_add(b, text, strlen(text));
}

void buf_char(struct buf *b, char c)
{
	*buf_reserve(b, 1) = c;
	b->len++;
}

void buf_u64(struct buf *b, uint64_t n)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	buf_add(b, digits + at, sizeof(digits) - at);
}

void buf_vprintf(struct buf *b, const char *format, va_list args)
{
	va_list again;

	va_copy(again, args);
	char *to = buf_reserve(b, 1);
	const int len = vsnprintf(to, b->cap - b->len, format, args);
	/* The NUL that vsnprintf writes needs room too, though it is not counted. */
	if (len > 0 && (size_t)len >= b->cap - b->len) {
		to = buf_reserve(b, (size_t)len + 1);
		vsnprintf(to, (size_t)len + 1, format, again);
	}
	va_end(again);
	b->len += len > 0 ? (size_t)len : 0;
}

void buf_printf(struct buf *b, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	buf_vprintf(b, format, args);
	va_end(args);
}

void buf_consume(struct buf *b, size_t n)
{
	if (n >= b->len) {
		b->len = 0;
		return;
	}
	b->len -= n;
	memmove(b->p, b->p + n, b->len);
}

struct str buf_view(const struct buf *b)
{
	return (struct str){ b->p, b->len };
}

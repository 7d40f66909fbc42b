/* Bytes encoded once and shared: a batch grows at its end while its turn lasts and is only read
 * afterwards. Small ones live in one allocation with their struct; those that outgrow it move their
 * bytes, never the struct, which is why ranges are offsets. */
#include "worker/fanout/frame.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

enum {
	BATCH_BYTES = 256,           /* of a fresh batch, struct included */
	FRAME_FIN = 0x80,
	FRAME_MASK = 0x80,
	LEN_16 = 126,
	LEN_64 = 127,
};

struct batch {
	char *p;                     /* `first`, or memory of its own */
	uint32_t refs, len, cap;
	uint32_t share;              /* outq.c's */
	bool private;                /* of one queue */
	char first[];
};

struct batch *batch_new(void)
{
	struct batch *b = xmalloc(BATCH_BYTES);

	b->p = b->first;
	b->refs = 1;
	b->len = 0;
	b->cap = BATCH_BYTES - offsetof(struct batch, first);
	b->private = false;
	return b;
}

struct batch *batch_new_private(void)
{
	struct batch *b = batch_new();

	b->private = true;
	return b;
}

bool batch_is_private(const struct batch *b)
{
	return b->private;
}

uint32_t batch_memory(const struct batch *b)
{
	return BATCH_BYTES + (b->p != b->first ? b->cap : 0);
}

uint32_t *batch_share(struct batch *b)
{
	return &b->share;
}

struct batch *batch_ref(struct batch *b)
{
	b->refs++;
	return b;
}

void batch_unref(struct batch *b)
{
	assert(b->refs > 0);
	if (--b->refs > 0)
		return;
	if (b->p != b->first)
		free(b->p);
	free(b);
}

static void batch_grow(struct batch *b, size_t more)
{
	size_t cap = b->cap;

	assert(more < UINT32_MAX / 2 - b->len);
	while (cap - b->len < more)
		cap *= 2;
	if (b->p == b->first)
		b->p = memcpy(xmalloc(cap), b->first, b->len);
	else
		b->p = xrealloc(b->p, cap);
	b->cap = (uint32_t)cap;
}

void batch_bytes(struct batch *b, struct str bytes)
{
	if (bytes.len > b->cap - b->len)
		batch_grow(b, bytes.len);
	if (bytes.len > 0)
		memcpy(b->p + b->len, bytes.p, bytes.len);
	b->len += (uint32_t)bytes.len;
}

/*   byte 0      1         2 or 3      2 to 9
 *  +----------+---------+-----------+-----------+---------+
 *  | 80|opcode| length  | (16 bits) | (64 bits) | payload |
 *  +----------+---------+-----------+-----------+---------+
 *               <126, or 126, or 127: the length follows, big-endian */
void batch_frame(struct batch *b, enum ws_opcode opcode, struct str payload)
{
	unsigned char head[10] = { (unsigned char)(FRAME_FIN | opcode) };
	const size_t extra = payload.len < LEN_16 ? 0 : payload.len <= UINT16_MAX ? 2 : 8;

	head[1] = (unsigned char)(extra == 0 ? payload.len : extra == 2 ? LEN_16 : LEN_64);
	for (size_t i = 0; i < extra; i++)
		head[2 + i] = (unsigned char)((uint64_t)payload.len >> 8 * (extra - 1 - i));
	batch_bytes(b, (struct str){ (const char *)head, 2 + extra });
	batch_bytes(b, payload);
}

uint32_t batch_len(const struct batch *b)
{
	return b->len;
}

struct str batch_range(const struct batch *b, uint32_t from, uint32_t to)
{
	assert(from <= to && to <= b->len);
	return (struct str){ b->p + from, to - from };
}

bool frame_next(struct str *bytes, enum ws_opcode *opcode, struct str *payload)
{
	const unsigned char *p = (const unsigned char *)bytes->p;

	if (bytes->len < 2)
		return false;
	const unsigned code = p[1];
	const size_t extra = code == LEN_64 ? 8 : code == LEN_16 ? 2 : 0;
	if (code >= FRAME_MASK || bytes->len < 2 + extra)
		return false;
	uint64_t len = extra > 0 ? 0 : code;
	for (size_t i = 0; i < extra; i++)
		len = len << 8 | p[2 + i];
	if (len > bytes->len - 2 - extra)
		return false;
	*opcode = (enum ws_opcode)(p[0] & 0x0f);
	*payload = (struct str){ bytes->p + 2 + extra, (size_t)len };
	*bytes = str_from(*bytes, 2 + extra + (size_t)len);
	return true;
}

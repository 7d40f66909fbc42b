/* What waits to be written to one connection. */
#include "worker/net/outq.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/conf.h"
#include "common/mem.h"

/* A queue keeps a batch alive of which it has at least one part in SHARED_PARTS; a slice shorter
 * than SLICE_LEAST is copied in any case, since the slice itself costs as much; copies go together
 * in batches of PRIVATE_BYTES, each of which goes when all of it is written. */
enum { SHARED_PARTS = 4, SLICE_LEAST = 64, PRIVATE_BYTES = 8 * 1024,
       SLICES_FIRST = 8 };

static struct slice *slice_at(struct outq *q, uint32_t i)
{
	return q->cap == 0 ? &q->one : &q->many[q->head + i];
}

/* Makes room for one more slice at the end. */
static void make_room(struct outq *q)
{
	if (q->cap == 0 && q->n == 0)
		return;
	if (q->cap == 0) {
		struct slice *many = xmalloc(SLICES_FIRST * sizeof(*many));
		many[0] = q->one;
		q->many = many;
		q->head = 0;
		q->cap = SLICES_FIRST;
	} else if (q->head + q->n == q->cap && q->head >= q->cap / 2) {
		memmove(q->many, q->many + q->head, q->n * sizeof(*q->many));
		q->head = 0;
	} else if (q->head + q->n == q->cap) {
		q->cap *= 2;
		q->many = xrealloc(q->many, q->cap * sizeof(*q->many));
	}
}

void outq_push(struct outq *q, struct batch *b, uint32_t from, uint32_t to)
{
	q->bytes += to - from;
	if (q->n > 0) {
		struct slice *last = slice_at(q, q->n - 1);
		if (last->batch == b && last->to == from) {
			last->to = to;
			return;
		}
	}
	make_room(q);
	*slice_at(q, q->n) = (struct slice){ batch_ref(b), from, to };
	q->n++;
}

bool outq_empty(const struct outq *q)
{
	return q->n == 0;
}

struct slice *outq_first(struct outq *q)
{
	return q->n == 0 ? NULL : slice_at(q, 0);
}

int outq_pieces(struct outq *q, struct iovec *v, int max)
{
	int n = 0;
	for (uint32_t i = 0; i < q->n && n < max; i++) {
		const struct slice *s = slice_at(q, i);
		struct str bytes = batch_range(s->batch, s->from, s->to);
		union { const char *in; void *out; } p = { bytes.p };  /* writev takes no const */
		v[n++] = (struct iovec){ p.out, bytes.len };
	}
	return n;
}

static void drop_first(struct outq *q)
{
	batch_unref(slice_at(q, 0)->batch);
	q->n--;
	if (q->packed > 0)
		q->packed--;
	if (q->cap == 0)
		return;
	q->head++;
	if (q->n > 0)
		return;
	free(q->many);
	q->cap = 0;
}

void outq_advance(struct outq *q, size_t written)
{
	q->bytes -= (uint32_t)written;
	while (written > 0) {
		struct slice *s = slice_at(q, 0);
		size_t len = s->to - s->from;
		if (written < len) {
			s->from += (uint32_t)written;
			return;
		}
		written -= len;
		drop_first(q);
	}
}

void outq_move(struct outq *to, struct outq *from)
{
	while (from->n > 0) {
		const struct slice *s = slice_at(from, 0);
		outq_push(to, s->batch, s->from, s->to);
		drop_first(from);
	}
	from->bytes = 0;
}

/* --- Packing --- */

static uint32_t slice_len(const struct slice *s)
{
	return s->to - s->from;
}

/* Counts how much of each of their batches the new slices have that may be kept. */
static void count_shares(struct outq *q)
{
	for (uint32_t i = q->packed; i < q->n; i++)
		*batch_share(slice_at(q, i)->batch) = 0;
	for (uint32_t i = q->packed; i < q->n; i++) {
		const struct slice *s = slice_at(q, i);
		if (slice_len(s) >= SLICE_LEAST)
			*batch_share(s->batch) += slice_len(s);
	}
}

static bool is_worth_keeping(const struct slice *s)
{
	if (batch_is_private(s->batch))
		return true;
	return slice_len(s) >= SLICE_LEAST &&
	       *batch_share(s->batch) >= batch_memory(s->batch) / SHARED_PARTS;
}

/* The first `n` slices are in their place: a copy of one more goes behind them, in a batch
 * of the queue's own. How many there are then. */
static uint32_t copy_behind(struct outq *q, uint32_t n, struct slice from)
{
	const struct str bytes = batch_range(from.batch, from.from, from.to);
	struct slice *last = n > 0 ? slice_at(q, n - 1) : NULL;

	if (last != NULL && batch_is_private(last->batch) &&
	    batch_len(last->batch) + bytes.len <= PRIVATE_BYTES) {
		batch_bytes(last->batch, bytes);
		last->to = batch_len(last->batch);
	} else {
		struct batch *b = batch_new_private();
		batch_bytes(b, bytes);
		*slice_at(q, n++) = (struct slice){ b, 0, batch_len(b) };
	}
	batch_unref(from.batch);
	return n;
}

/* Gives back what is left of room for the slices of a busy turn, or of a longer queue. */
static void shrink(struct outq *q)
{
	if (q->cap <= SLICES_FIRST || q->n > q->cap / 4)
		return;
	memmove(q->many, q->many + q->head, q->n * sizeof(*q->many));
	q->head = 0;
	q->cap = q->n * 2 > SLICES_FIRST ? q->n * 2 : SLICES_FIRST;
	q->many = xrealloc(q->many, q->cap * sizeof(*q->many));
}

void outq_pack(struct outq *q)
{
	uint32_t n = q->packed;

	if (n == q->n)
		return;
	count_shares(q);
	for (uint32_t i = n; i < q->n; i++) {
		const struct slice s = *slice_at(q, i);
		if (is_worth_keeping(&s))
			*slice_at(q, n++) = s;
		else
			n = copy_behind(q, n, s);
	}
	q->n = q->packed = n;
	shrink(q);
}

/* --- Slow readers --- */

bool outq_is_slow(const struct outq *q, uint32_t more, uint32_t *since_ms)
{
	const uint32_t now = (uint32_t)clock_now_ms() | 1;
	const uint64_t bytes = q->bytes + (uint64_t)more;
	if (q->bytes <= conf.queue_soft)
		*since_ms = 0;
	if (*since_ms == 0 && bytes > conf.queue_soft)
		*since_ms = now;
	const bool long_since = *since_ms != 0 && now - *since_ms > conf.queue_soft_ms;
	return long_since || bytes > conf.queue_hard;
}

void outq_fini(struct outq *q)
{
	while (q->n > 0)
		drop_first(q);
	q->bytes = 0;
}

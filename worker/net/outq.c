/* What waits to be written to one connection. */
#include "worker/net/outq.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/conf.h"
#include "common/mem.h"

static struct slice *slice_at(struct outq *q, uint32_t i)
{
	return q->many == NULL ? &q->one : &q->many[q->head + i];
}

/* Makes room for one more slice at the end. */
static void make_room(struct outq *q)
{
	if (q->many == NULL && q->n == 0)
		return;
	if (q->many == NULL) {
		q->cap = 8;
		q->many = xmalloc(q->cap * sizeof(*q->many));
		q->many[0] = q->one;
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
	if (q->many != NULL)
		q->head++;
	if (q->n > 0)
		return;
	free(q->many);
	q->many = NULL;
	q->head = q->cap = 0;
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

bool outq_is_slow(const struct outq *q, uint32_t more, uint32_t *since_ms)
{
	uint32_t now = (uint32_t)clock_now_ms() | 1;
	if (q->bytes <= conf.queue_soft)
		*since_ms = 0;
	else if (*since_ms == 0)
		*since_ms = now;
	bool long_since = *since_ms != 0 && now - *since_ms > conf.queue_soft_ms;
	return long_since || q->bytes + (uint64_t)more > conf.queue_hard;
}

void outq_fini(struct outq *q)
{
	while (q->n > 0)
		drop_first(q);
	q->bytes = 0;
}

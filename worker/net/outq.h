/* What waits to be written to one connection: references to ranges of shared batches. Idle, it owns nothing. */
#ifndef CONFAB_OUTQ_H
#define CONFAB_OUTQ_H

#include <sys/uio.h>

#include "worker/fanout/frame.h"

struct slice {
	struct batch *batch;
	uint32_t from, to;
};

struct outq {
	struct slice one;    /* the first slice while there is only room for one */
	struct slice *many;  /* NULL: `one` holds what there is */
	uint32_t head, n, cap;
	uint32_t bytes;
};

/* Adds [from, to) of the batch: extends the last slice where it ends just there, else takes a reference. */
void outq_push(struct outq *q, struct batch *b, uint32_t from, uint32_t to);
bool outq_empty(const struct outq *q);
/* The first slice, for reading; NULL if empty. */
struct slice *outq_first(struct outq *q);
/* Up to `max` pieces to write, in order; how many. */
int outq_pieces(struct outq *q, struct iovec *v, int max);
/* So many bytes have been written. */
void outq_advance(struct outq *q, size_t written);
/* Moves all of `from` behind what is in `to`. */
void outq_move(struct outq *to, struct outq *from);
/* Before each push, of so many bytes: whether the reader is too slow for it. Either the queue would be longer
 * than queue-hard, or what is left of earlier ones has been longer than queue-soft for too long; *since_ms is
 * the caller's for that: since when, of the clock's low bits; 0: it is not. */
bool outq_is_slow(const struct outq *q, uint32_t more, uint32_t *since_ms);
/* Drops all. */
void outq_fini(struct outq *q);

#endif

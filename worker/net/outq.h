/* What waits to be written to one connection: references to ranges of shared batches.
 * Idle, it owns nothing.
 *
 * A reference keeps its whole batch alive, so a queue that is left waiting at the end of a turn
 * is packed: of a batch of which it has less than a quarter, and of small pieces anywhere, it gets
 * a copy of its own. A packed queue then keeps at most five times its bytes alive, slices included
 * (of which what it shares with other queues is there once for all), and beside that what is left
 * of the batches at its head, which were the work of one turn. */
#ifndef CONFAB_OUTQ_H
#define CONFAB_OUTQ_H

#include <sys/uio.h>

#include "worker/fanout/frame.h"

struct slice {
	struct batch *batch;
	uint32_t from, to;
};

struct outq {
	union {
		struct slice one;            /* while there is no room for more: cap is 0 */
		struct {
			struct slice *many;
			uint32_t head;
		};
	};
	uint32_t n, cap;
	uint32_t packed;     /* so many of the first slices are */
	uint32_t bytes;
};

/* Adds [from, to) of the batch: extends the last slice where it ends just there,
 * else takes a reference. */
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
/* At the end of a turn, when nobody adds to its batches any more, but not all could be written:
 * bounds the memory as said above. Costs nothing where nothing was pushed since. */
void outq_pack(struct outq *q);
/* Before each push, of so many bytes: whether the reader is too slow for it. Either the queue
 * would be longer than queue-hard, or it has been longer than queue-soft for too long; *since_ms is
 * the caller's for that: since which push, of the clock's low bits; 0: it is not. */
bool outq_is_slow(const struct outq *q, uint32_t more, uint32_t *since_ms);
/* Drops all. */
void outq_fini(struct outq *q);

#endif

/* Output queues: what comes out is what went in, however it is packed and written; what a queue
 * keeps alive is bounded by its bytes; who is too slow for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/mem.h"
#include "worker/net/outq.h"

enum { KB = 1024 };

/* Packed, and all of it its own. */
static const size_t FACTOR = 5;

static uint32_t add(struct batch *b, size_t len, char c)
{
	char *text = xmalloc(len + 1);
	memset(text, c, len);
	batch_bytes(b, (struct str){ text, len });
	free(text);
	return batch_len(b);
}

/* A batch of `size` bytes of which the queue gets the first `share`. */
static void push_share(struct outq *q, size_t share, size_t size)
{
	struct batch *b = batch_new();
	add(b, share, 'm');
	add(b, size - share, 'x');
	outq_push(q, b, 0, (uint32_t)share);
	batch_unref(b);
}

/* What it keeps alive, as if it shared nothing. */
static size_t memory_of(const struct outq *q)
{
	const struct slice *slices = q->cap == 0 ? &q->one : q->many + q->head;
	size_t bytes = q->cap * sizeof(*slices);

	for (uint32_t i = 0; i < q->n; i++)
		*batch_share(slices[i].batch) = 0;
	for (uint32_t i = 0; i < q->n; i++)
		if ((*batch_share(slices[i].batch))++ == 0)
			bytes += batch_memory(slices[i].batch);
	return bytes;
}

static size_t drain(struct outq *q, struct buf *to, size_t at_once)
{
	size_t n = 0;
	while (!outq_empty(q)) {
		struct iovec v[3];
		const int pieces = outq_pieces(q, v, 3);
		size_t written = 0;
		for (int i = 0; i < pieces && written < at_once; i++) {
			const size_t left = at_once - written;
			const size_t more = left < v[i].iov_len ? left : v[i].iov_len;
			buf_add(to, v[i].iov_base, more);
			written += more;
		}
		outq_advance(q, written);
		n += written;
	}
	return n;
}

/* A turn's batch of 64 KB, of which one reader gets 20 bytes, 1,000 times: was 64 MB. */
static void small_shares_keep_no_batch_alive(void **state)
{
	struct outq q = { 0 };
	(void)state;

	for (unsigned i = 0; i < 1000; i++) {
		push_share(&q, 20, 64 * KB);
		outq_pack(&q);
	}
	assert_int_equal(q.bytes, 20000);
	assert_in_range(memory_of(&q), 20000, FACTOR * 20000);
	outq_fini(&q);
}

static void large_shares_stay_shared(void **state)
{
	struct outq q = { 0 };
	struct batch *b = batch_new();
	(void)state;

	outq_push(&q, b, 0, add(b, 40 * KB, 'm'));
	outq_pack(&q);
	assert_ptr_equal(outq_first(&q)->batch, b);
	batch_unref(b);
	outq_fini(&q);
}

/* Two rooms take turns: no slice is much of its batch, but together they are all of it. */
static void shares_are_counted_over_all_slices(void **state)
{
	struct outq q = { 0 };
	struct batch *rooms[2] = { batch_new(), batch_new() };
	(void)state;

	for (unsigned i = 0; i < 100; i++) {
		const uint32_t from = batch_len(rooms[i % 2]);
		outq_push(&q, rooms[i % 2], from, add(rooms[i % 2], 200, 'm'));
	}
	outq_pack(&q);
	assert_int_equal(q.n, 100);
	assert_ptr_equal(outq_first(&q)->batch, rooms[0]);
	assert_in_range(memory_of(&q), q.bytes, FACTOR * q.bytes);
	batch_unref(rooms[0]);
	batch_unref(rooms[1]);
	outq_fini(&q);
}

/* A slice costs 16 bytes, whatever is in it. */
static void tiny_slices_become_one(void **state)
{
	struct outq q = { 0 };
	struct batch *rooms[2] = { batch_new(), batch_new() };
	(void)state;

	for (unsigned i = 0; i < 20000; i++) {
		const uint32_t from = batch_len(rooms[i % 2]);
		outq_push(&q, rooms[i % 2], from, add(rooms[i % 2], 3, 'm'));
	}
	outq_pack(&q);
	assert_int_equal(q.bytes, 60000);
	assert_in_range(memory_of(&q), q.bytes, FACTOR * q.bytes);
	batch_unref(rooms[0]);
	batch_unref(rooms[1]);
	outq_fini(&q);
}

/* Of each batch just enough to keep it, or just too little, in pieces of any size;
 * what follows is random. */
static void memory_is_bounded_for_any_mixture(void **state)
{
	static const size_t shares[] = { 1, 3, 63, 64, 65, 100, 1000, 16 * KB };
	static const size_t sizes[] = { 20 * KB, 64 * KB, 100 * KB };
	struct outq q = { 0 };
	(void)state;

	srand(7);
	for (unsigned turn = 0; turn < 3000; turn++) {
		const unsigned frames = 1 + (unsigned)rand() % 4;
		for (unsigned i = 0; i < frames; i++)
			push_share(&q, shares[rand() % (int)COUNT_OF(shares)],
			           sizes[rand() % (int)COUNT_OF(sizes)]);
		outq_pack(&q);
		/* The last batch of its own has room for more, and the slices too. */
		assert_true(memory_of(&q) <= FACTOR * q.bytes + 512);
		if (q.bytes > 4000 * KB)
			outq_fini(&q);
	}
	outq_fini(&q);
}

/* What is pushed, packed, written and moved at random comes out as it went in. */
static void nothing_is_lost_or_moved_about(void **state)
{
	struct buf in = { 0 }, out = { 0 };
	struct outq q = { 0 }, other = { 0 };
	(void)state;

	srand(11);
	for (unsigned turn = 0; turn < 2000; turn++) {
		struct batch *rooms[3] = { batch_new(), batch_new(), batch_new() };
		const unsigned frames = (unsigned)rand() % 12;
		for (unsigned i = 0; i < frames; i++) {
			struct batch *b = rooms[rand() % 3];
			const size_t len = 1 + (size_t)rand() % (rand() % 4 == 0 ? 3000 : 50);
			const char c = (char)('a' + rand() % 26);
			if (rand() % 3 == 0)
				add(b, (size_t)rand() % 9000, '-');  /* somebody else's */
			const uint32_t from = batch_len(b);
			outq_push(&q, b, from, add(b, len, c));
			buf_str(&in, batch_range(b, from, batch_len(b)));
		}
		for (unsigned i = 0; i < COUNT_OF(rooms); i++)
			batch_unref(rooms[i]);
		if (rand() % 4 != 0)
			outq_pack(&q);
		struct iovec v[2];
		if (rand() % 2 == 0 && outq_pieces(&q, v, 2) > 0) {
			const size_t n = 1 + (size_t)rand() % v[0].iov_len;
			buf_add(&out, v[0].iov_base, n);
			outq_advance(&q, n);
		}
		if (turn % 500 == 499)
			outq_move(&other, &q);
		if (turn % 500 == 499)
			drain(&other, &out, 777);
		assert_int_equal(q.bytes, in.len - out.len);
	}
	drain(&q, &out, 64 * KB);
	assert_int_equal(in.len, out.len);
	assert_memory_equal(in.p, out.p, in.len);
	buf_fini(&in);
	buf_fini(&out);
}

/* Polling takes whole frames out of slices: packing leaves them whole. */
static void frames_are_not_torn(void **state)
{
	struct outq q = { 0 };
	unsigned seen = 0;
	(void)state;

	for (unsigned i = 0; i < 500; i++) {
		struct batch *b = batch_new();
		batch_frame(b, WS_TEXT, STR("4hello"));
		const uint32_t to = batch_len(b);
		add(b, 4000, 'x');
		outq_push(&q, b, 0, to);
		batch_unref(b);
		outq_pack(&q);
	}
	while (!outq_empty(&q)) {
		const struct slice *s = outq_first(&q);
		struct str rest = batch_range(s->batch, s->from, s->to), payload;
		const size_t before = rest.len;
		enum ws_opcode opcode;
		assert_true(frame_next(&rest, &opcode, &payload));
		assert_true(str_eq(payload, STR("4hello")));
		outq_advance(&q, before - rest.len);
		seen++;
	}
	assert_int_equal(seen, 500);
}

/* --- who is too slow --- */

static void pass(unsigned ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000L }, NULL);
	clock_update();
}

static bool push(struct outq *q, size_t len, uint32_t *since_ms)
{
	const bool slow = outq_is_slow(q, (uint32_t)len, since_ms);
	push_share(q, len, len);
	return slow;
}

static void soft_is_for_a_while_hard_is_at_once(void **state)
{
	struct outq q = { 0 };
	uint32_t since_ms = 0;
	(void)state;

	clock_update();
	assert_false(push(&q, 1000, &since_ms));
	assert_int_equal(since_ms, 0);
	/* The push that goes above soft is the one from which time counts … */
	assert_false(push(&q, 1, &since_ms));
	assert_int_not_equal(since_ms, 0);
	pass(10);
	assert_false(push(&q, 1, &since_ms));
	/* … so that the next of whatever kind, be it a ping, is late. */
	pass(50);
	assert_true(push(&q, 1, &since_ms));
	/* It has caught up. */
	outq_advance(&q, 3);
	assert_false(push(&q, 1, &since_ms));
	assert_false(push(&q, 2999, &since_ms));
	assert_true(push(&q, 1, &since_ms));
	outq_fini(&q);
}

/* One message may be longer than queue-soft: time begins anew with each. */
static void rare_long_messages_are_not_slow(void **state)
{
	struct outq q = { 0 };
	uint32_t since_ms = 0;
	(void)state;

	clock_update();
	for (unsigned i = 0; i < 3; i++) {
		assert_false(push(&q, 2000, &since_ms));
		outq_advance(&q, 2000);
		pass(60);
	}
}

static int limits(void **state)
{
	(void)state;
	conf.queue_soft = 1000;
	conf.queue_hard = 4000;
	conf.queue_soft_ms = 40;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_shares_keep_no_batch_alive),
		cmocka_unit_test(large_shares_stay_shared),
		cmocka_unit_test(shares_are_counted_over_all_slices),
		cmocka_unit_test(tiny_slices_become_one),
		cmocka_unit_test(memory_is_bounded_for_any_mixture),
		cmocka_unit_test(nothing_is_lost_or_moved_about),
		cmocka_unit_test(frames_are_not_torn),
		cmocka_unit_test(soft_is_for_a_while_hard_is_at_once),
		cmocka_unit_test(rare_long_messages_are_not_slow),
	};

	return cmocka_run_group_tests(tests, limits, NULL);
}

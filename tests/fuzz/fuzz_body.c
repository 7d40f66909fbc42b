/* Bodies of HTTP requests: however they are cut, the same comes of them.
 *
 * An input is a letter (c: chunked, l: by length), a byte that says where to cut, then the body; of
 * one by length its first byte says how long it is. */
#include "tests/fuzz/fuzz.h"
#include "worker/net/body.h"

enum { MOST = 300, PIECE_MAX = 9 };

struct outcome {
	enum body_status status;
	struct buf content;
	size_t left;                 /* bytes it did not take */
	uint64_t total;
};

static void feed(const struct head *h, struct str in, uint32_t seed, struct outcome *out)
{
	struct body b;

	out->status = body_start(&b, h, MOST);
	while (out->status == BODY_MORE && in.len > 0) {
		const size_t n = seed != 0 ? fuzz_roll(&seed, PIECE_MAX) : in.len;
		struct str piece = { in.p, n < in.len ? n : in.len };
		const size_t offered = piece.len;
		out->status = body_feed(&b, &piece, &out->content);
		CHECK(out->status != BODY_MORE || piece.len == 0);
		in = str_from(in, offered - piece.len);
	}
	out->left = in.len;
	out->total = b.total;
	CHECK(out->content.len == b.total && b.total <= MOST);
	/* Over is over: nothing more is taken, and the answer stays. */
	struct str more = STR("0\r\n\r\n");
	if (out->status != BODY_MORE)
		CHECK(body_feed(&b, &more, &out->content) == out->status && more.len == 5);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct str s = fuzz_str(bytes, len);
	struct head h = { .body = fuzz_byte(&s) == 'l' ? BODY_LENGTH : BODY_CHUNKED };
	const uint32_t seed = fuzz_byte(&s) + 1;
	struct outcome whole = { 0 }, pieces = { 0 };

	if (h.body == BODY_LENGTH)
		h.length = 2 * (uint64_t)fuzz_byte(&s);
	feed(&h, s, 0, &whole);
	feed(&h, s, seed, &pieces);
	CHECK(whole.status == pieces.status && whole.left == pieces.left);
	CHECK(whole.total == pieces.total);
	CHECK(str_eq(buf_view(&whole.content), buf_view(&pieces.content)));
	if (h.body == BODY_LENGTH && whole.status == BODY_DONE)
		CHECK(whole.total == h.length && whole.left == s.len - h.length);
	buf_fini(&whole.content);
	buf_fini(&pieces.content);
	return 0;
}

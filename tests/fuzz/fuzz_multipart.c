/* multipart/form-data: however a body is cut, the same comes of it, and content stays
 * within what was given.
 *
 * An input is a byte that says where to cut, a line that is the Content-Type, then the body. */
#include "tests/fuzz/fuzz.h"
#include "worker/net/multipart.h"

enum { PIECE_MAX = 9 };

/* What came of a body: content as it is, marks between. */
struct outcome {
	enum multipart_event last;
	struct buf told;
	size_t content;
};

static void note(const struct multipart *m, enum multipart_event event, struct str data,
                 struct outcome *out)
{
	const struct str head = buf_view(&m->head);

	if (event == MULTIPART_PART) {
		CHECK(fuzz_within(m->name, head) && fuzz_within(m->filename, head));
		buf_printf(&out->told, "\n[part %d ", m->is_file);
		buf_str(&out->told, m->name);
		buf_char(&out->told, '|');
		buf_str(&out->told, m->filename);
		buf_char(&out->told, ']');
	} else if (event == MULTIPART_DATA) {
		CHECK(data.len > 0);
		buf_str(&out->told, data);
		out->content += data.len;
	} else if (event == MULTIPART_END) {
		buf_z(&out->told, "\n[end]");
	}
}

static void feed(struct str type, struct str in, uint32_t seed, struct outcome *out)
{
	struct multipart m;
	const size_t all = in.len;

	if (!multipart_init(&m, type))
		return;
	while (in.len > 0 && out->last < MULTIPART_OVER) {
		const size_t n = seed != 0 ? fuzz_roll(&seed, PIECE_MAX) : in.len;
		struct str piece = { in.p, n < in.len ? n : in.len }, data;
		const size_t offered = piece.len;
		do {
			const size_t before = piece.len;
			out->last = multipart_next(&m, &piece, &data);
			CHECK(piece.len < before || out->last != MULTIPART_MORE);
			note(&m, out->last, data, out);
		} while (piece.len > 0 && out->last < MULTIPART_OVER);
		CHECK(out->last >= MULTIPART_OVER || piece.len == 0);
		in = str_from(in, offered - piece.len);
	}
	CHECK(out->content <= all);
	/* Over is over. */
	struct str more = STR("--"), data;
	if (out->last >= MULTIPART_OVER)
		CHECK(multipart_next(&m, &more, &data) == out->last && more.len == 2);
	multipart_fini(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct str s = fuzz_str(bytes, len);
	const uint32_t seed = fuzz_byte(&s) + 1;
	const struct str type = str_cut(&s, '\n');
	struct outcome whole = { 0 }, pieces = { 0 };

	feed(type, s, 0, &whole);
	feed(type, s, seed, &pieces);
	CHECK((whole.last >= MULTIPART_OVER) == (pieces.last >= MULTIPART_OVER));
	CHECK(whole.last < MULTIPART_OVER || whole.last == pieces.last);
	CHECK(whole.content == pieces.content);
	CHECK(str_eq(buf_view(&whole.told), buf_view(&pieces.told)));
	buf_fini(&whole.told);
	buf_fini(&pieces.told);
	return 0;
}

/* JSON: the scanner against jansson, the reader and the writer against both. */
#include <string.h>

#include "common/json.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/jansson.h"

static void write_value(struct arena *a, struct str value, struct buf *out);

static void write_string(struct arena *a, struct str literal, struct buf *out)
{
	struct json_out j = json_out(out);
	const struct str text = json_text(a, literal);

	CHECK(utf8_valid(text) && json_text_is(literal, text));
	json_str(&j, text);
}

static void write_container(struct arena *a, struct str value, struct buf *out)
{
	struct json_iter it = json_iter(value);
	struct str key, inner;
	const bool object = json_type(value) == JSON_OBJECT;
	bool comma = false;

	buf_char(out, object ? '{' : '[');
	for (; json_next(&it, &key, &inner); comma = true) {
		CHECK(fuzz_within(inner, value) && object == (key.p != NULL));
		if (comma)
			buf_char(out, ',');
		if (object) {
			write_string(a, key, out);
			buf_char(out, ':');
		}
		write_value(a, inner, out);
	}
	buf_char(out, object ? '}' : ']');
}

/* Says it again, without blanks, with just the escapes that are needed. */
static void write_value(struct arena *a, struct str value, struct buf *out)
{
	struct str trimmed;
	int64_t n;

	CHECK(json_valid(value, &trimmed) && trimmed.len == value.len && trimmed.p == value.p);
	switch (json_type(value)) {
	case JSON_OBJECT:
	case JSON_ARRAY:
		write_container(a, value, out);
		return;
	case JSON_STRING:
		write_string(a, value, out);
		return;
	case JSON_NUMBER:
		if (json_i64(value, &n) && !str_eqz(value, "-0")) {
			const struct str text = arena_printf(a, "%lld", (long long)n);
			CHECK(str_eq(text, value));
		}
		buf_str(out, value);
		return;
	case JSON_NULL:
	case JSON_BOOL:
		buf_str(out, value);
		return;
	}
}

static void check_rewritten(struct str value, bool known)
{
	struct arena a = { 0 };
	struct buf once = { 0 }, twice = { 0 };

	write_value(&a, value, &once);
	write_value(&a, buf_view(&once), &twice);
	CHECK(str_eq(buf_view(&once), buf_view(&twice)));
	CHECK(!known || jansson_same(value, buf_view(&once)));
	buf_fini(&once);
	buf_fini(&twice);
	arena_fini(&a);
}

/* On purpose ours has a limit of depth, keeps numbers that fit no type and keys with NUL, and ends
 * nothing at a NUL. */
static void check_opinions(struct str text, bool ours, enum opinion theirs)
{
	if (theirs == OPINION_NONE || ours == (theirs == OPINION_YES))
		return;
	CHECK(!ours);
	CHECK(str_has(text, '\0') || jansson_depth(text) > JSON_DEPTH);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const struct str text = fuzz_str(bytes, len);
	const enum opinion theirs = jansson_reads(text);
	struct str value, scanned;

	const bool ours = json_valid(text, &value);
	check_opinions(text, ours, theirs);
	const size_t n = json_scan(text);
	CHECK(n <= len && (!ours || n > 0));
	if (n > 0)
		CHECK(json_valid((struct str){ text.p, n }, &scanned));
	if (ours) {
		CHECK(theirs == OPINION_NONE || jansson_depth(text) <= JSON_DEPTH);
		CHECK(value.len > 0 && fuzz_within(value, text));
		check_rewritten(value, theirs == OPINION_YES);
	}
	return 0;
}

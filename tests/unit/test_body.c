/* The body of a request: by length and chunked, in every split, and what smuggling makes of it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "worker/net/body.h"

#define BYTES(literal) { literal, sizeof(literal) - 1 }

enum { MAX = 100 };

static struct body chunked(uint64_t max)
{
	struct head h = { .body = BODY_CHUNKED };
	struct body b;
	assert_int_equal(body_start(&b, &h, max), BODY_MORE);
	return b;
}

/* Feeds a copy that ends where the bytes do; *used is how many were taken. */
static enum body_status feed(struct body *b, struct str bytes, struct buf *out, size_t *used)
{
	char *copy = malloc(bytes.len ? bytes.len : 1);
	memcpy(copy, bytes.p, bytes.len);
	struct str in = { copy, bytes.len };
	enum body_status s = body_feed(b, &in, out);
	*used = bytes.len - in.len;
	free(copy);
	return s;
}

/* Feeds the bytes in two pieces cut at `at`, and says what came of it. */
static enum body_status feed_cut(struct body b, struct str bytes, size_t at, struct buf *out,
                                 size_t *used)
{
	buf_clear(out);
	enum body_status s = feed(&b, (struct str){ bytes.p, at }, out, used);
	if (s != BODY_MORE)
		return s;
	assert_int_equal(*used, at);
	size_t more;
	s = feed(&b, str_from(bytes, at), out, &more);
	*used += more;
	assert_true(s != BODY_DONE || b.total == out->len);
	return s;
}

static void assert_chunked(const char *what, struct str bytes, enum body_status expected,
                           const char *content, size_t after)
{
	struct buf out = { 0 };
	for (size_t at = 0; at <= bytes.len; at++) {
		size_t used;
		enum body_status s = feed_cut(chunked(MAX), bytes, at, &out, &used);
		if (s != expected)
			fail_msg("%s, cut at %zu: %d instead of %d", what, at, (int)s,
			         (int)expected);
		if (content && !str_eqz(buf_view(&out), content))
			fail_msg("%s, cut at %zu: content \"%.*s\"", what, at,
			         STR_ARG(buf_view(&out)));
		if (content)
			assert_int_equal(bytes.len - used, after);
	}
	buf_fini(&out);
}

static void test_chunked_good(void **state UNUSED)
{
	static const struct {
		const char *what;
		struct str bytes;
		const char *content;
		size_t after;
	} rows[] = {
		{ "empty", BYTES("0\r\n\r\n"), "", 0 },
		{ "one chunk", BYTES("5\r\nhello\r\n0\r\n\r\n"), "hello", 0 },
		{ "three chunks", BYTES("1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\n\r\n"),
		  "abcdef", 0 },
		{ "upper and lower case", BYTES("A\r\n0123456789\r\nb\r\n0123456789a\r\n0\r\n\r\n"),
		  "01234567890123456789a", 0 },
		{ "zeros first", BYTES("0000000000000001\r\na\r\n000\r\n\r\n"), "a", 0 },
		{ "extensions", BYTES("1;a=b;c=\"d e\"\t\r\nx\r\n0;last\r\n\r\n"), "x", 0 },
		{ "line ends as content", BYTES("6\r\n0\r\n\r\n\n\r\n0\r\n\r\n"),
		  "0\r\n\r\n\n", 0 },
		{ "the next request stays", BYTES("1\r\na\r\n0\r\n\r\nGET / HTTP/1.1\r\n"),
		  "a", 16 },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_chunked(rows[i].what, rows[i].bytes, BODY_DONE, rows[i].content,
		               rows[i].after);
}

static void test_chunked_bad(void **state UNUSED)
{
	static const struct {
		const char *what;
		struct str bytes;
	} rows[] = {
		{ "no size", BYTES("\r\n") },
		{ "no size before an extension", BYTES(";a\r\n") },
		{ "17 digits", BYTES("00000000000000001\r\na\r\n") },
		{ "size that overflows", BYTES("fffffffffffffffff\r\n") },
		{ "plus", BYTES("+1\r\na\r\n") },
		{ "minus", BYTES("-1\r\na\r\n") },
		{ "0x", BYTES("0x1\r\na\r\n") },
		{ "underscore", BYTES("1_0\r\n") },
		{ "blank before the size", BYTES(" 1\r\na\r\n") },
		{ "blank after the size", BYTES("1 \r\na\r\n") },
		{ "blank before an extension", BYTES("1 ;a\r\na\r\n") },
		{ "not hexadecimal", BYTES("g\r\n") },
		{ "bare LF after the size", BYTES("1\na\r\n") },
		{ "bare CR after the size", BYTES("1\ra\r\n") },
		{ "bare LF after the last size", BYTES("0\n\r\n") },
		{ "bare LF in an extension", BYTES("1;a\nb\r\n") },
		{ "bare CR in an extension", BYTES("1;a\rb\r\n") },
		{ "NUL in an extension", BYTES("1;\0\r\na\r\n") },
		{ "control byte in an extension", BYTES("1;\x1b\r\na\r\n") },
		{ "DEL in an extension", BYTES("1;\x7f\r\na\r\n") },
		{ "chunk longer than its size", BYTES("1\r\nab\r\n") },
		{ "chunk without a line end", BYTES("1\r\na0\r\n\r\n") },
		{ "bare LF after the content", BYTES("1\r\na\n0\r\n\r\n") },
		{ "bare CR after the content", BYTES("1\r\na\r0\r\n\r\n") },
		{ "CR and another byte after the content", BYTES("1\r\na\rX0\r\n\r\n") },
		{ "bare LF at the end", BYTES("0\r\n\n") },
		{ "bare CR at the end", BYTES("0\r\n\rX") },
		{ "trailer", BYTES("0\r\nX: a\r\n\r\n") },
		{ "trailer with a length (CVE-2026-63379)",
		  BYTES("0\r\nContent-Length: 5\r\n\r\n") },
		{ "trailer of a blank", BYTES("0\r\n \r\n\r\n") },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_chunked(rows[i].what, rows[i].bytes, BODY_BAD, NULL, 0);
}

static void test_chunked_incomplete(void **state UNUSED)
{
	static const char text[] = "5;x\r\nhello\r\n3\r\nabc\r\n0\r\n\r\n";
	for (size_t len = 0; len < sizeof(text) - 1; len++)
		assert_chunked("prefix", (struct str){ text, len }, BODY_MORE, NULL, 0);
}

static void test_one_byte_at_a_time(void **state UNUSED)
{
	const struct str bytes = STR("5;ext\r\nhello\r\n0\r\n\r\n");
	struct body b = chunked(MAX);
	struct buf out = { 0 };
	size_t used;
	for (size_t i = 0; i < bytes.len; i++)
		assert_int_equal(feed(&b, (struct str){ bytes.p + i, 1 }, &out, &used),
		                 i + 1 < bytes.len ? BODY_MORE : BODY_DONE);
	assert_true(str_eqz(buf_view(&out), "hello"));
	buf_fini(&out);
}

static void test_chunked_too_large(void **state UNUSED)
{
	assert_chunked("one chunk", STR("65\r\n"), BODY_TOO_LARGE, NULL, 0);
	assert_chunked("the largest size", STR("ffffffffffffffff\r\n"), BODY_TOO_LARGE, NULL, 0);
	assert_chunked("2^63", STR("8000000000000000\r\n"), BODY_TOO_LARGE, NULL, 0);
	assert_chunked("second chunk", STR("1\r\na\r\n64\r\n"), BODY_TOO_LARGE, NULL, 0);
	assert_chunked("a sum that overflows", STR("1\r\na\r\nffffffffffffffff\r\n"),
	               BODY_TOO_LARGE, NULL, 0);
	assert_chunked("just fits", STR("64\r\n"), BODY_MORE, NULL, 0);
}

/* A refused body stays refused, a complete one takes no more. */
static void test_outcome_stays(void **state UNUSED)
{
	static const struct {
		const char *bytes;
		enum body_status expected;
	} rows[] = {
		{ "x", BODY_BAD },
		{ "65\r\n", BODY_TOO_LARGE },
		{ "0\r\n\r\n", BODY_DONE },
	};
	struct buf out = { 0 };
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct body b = chunked(MAX);
		size_t used;
		assert_int_equal(feed(&b, str_z(rows[i].bytes), &out, &used), rows[i].expected);
		assert_int_equal(feed(&b, STR("1\r\na\r\n0\r\n\r\n"), &out, &used),
		                 rows[i].expected);
		assert_int_equal(used, 0);
	}
	assert_int_equal(out.len, 0);
	buf_fini(&out);
}

static enum body_status feed_extension(size_t len)
{
	struct body b = chunked(MAX);
	struct buf text = { 0 }, out = { 0 };
	size_t used;
	buf_z(&text, "1;");
	for (size_t i = 0; i < len; i++)
		buf_char(&text, 'x');
	buf_z(&text, "\r\na\r\n0\r\n\r\n");
	enum body_status s = feed(&b, buf_view(&text), &out, &used);
	buf_fini(&text);
	buf_fini(&out);
	return s;
}

static void test_extension_limit(void **state UNUSED)
{
	assert_int_equal(feed_extension(0), BODY_DONE);
	assert_int_equal(feed_extension(256), BODY_DONE);
	assert_int_equal(feed_extension(257), BODY_BAD);
	assert_int_equal(feed_extension(70000), BODY_BAD);
}

static void test_by_length(void **state UNUSED)
{
	const struct head h = { .body = BODY_LENGTH, .length = 5 };
	const struct str bytes = STR("helloGET");
	struct buf out = { 0 };
	for (size_t at = 0; at <= bytes.len; at++) {
		struct body b;
		size_t used;
		assert_int_equal(body_start(&b, &h, 5), BODY_MORE);
		assert_int_equal(feed_cut(b, bytes, at, &out, &used), BODY_DONE);
		assert_int_equal(used, 5);
		assert_true(str_eqz(buf_view(&out), "hello"));
	}
	for (size_t len = 0; len < 5; len++) {
		struct body b;
		size_t used;
		body_start(&b, &h, MAX);
		assert_int_equal(feed_cut(b, (struct str){ bytes.p, len }, 0, &out, &used),
		                 BODY_MORE);
	}
	buf_fini(&out);
}

static void test_start(void **state UNUSED)
{
	static const struct {
		enum body_kind kind;
		uint64_t length;
		enum body_status expected;
	} rows[] = {
		{ BODY_NONE, 0, BODY_DONE },
		{ BODY_LENGTH, 0, BODY_DONE },
		{ BODY_LENGTH, MAX, BODY_MORE },
		{ BODY_LENGTH, MAX + 1, BODY_TOO_LARGE },
		{ BODY_LENGTH, INT64_MAX, BODY_TOO_LARGE },
		{ BODY_CHUNKED, 0, BODY_MORE },
	};
	struct buf out = { 0 };
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct head h = { .body = rows[i].kind, .length = rows[i].length };
		struct body b;
		assert_int_equal(body_start(&b, &h, MAX), rows[i].expected);
		struct str nothing = STR_NONE;
		assert_int_equal(body_feed(&b, &nothing, &out), rows[i].expected);
	}
	assert_null(out.p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chunked_good),
		cmocka_unit_test(test_chunked_bad),
		cmocka_unit_test(test_chunked_incomplete),
		cmocka_unit_test(test_one_byte_at_a_time),
		cmocka_unit_test(test_chunked_too_large),
		cmocka_unit_test(test_outcome_stays),
		cmocka_unit_test(test_extension_limit),
		cmocka_unit_test(test_by_length),
		cmocka_unit_test(test_start),
	};
	return cmocka_run_group_tests_name("body", tests, NULL, NULL);
}

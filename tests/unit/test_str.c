/* Strings, and what is UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/str.h"

static void test_str_compares(void **state UNUSED)
{
	assert_true(str_eq(STR(""), STR_NONE));
	assert_true(str_eq(STR("ab"), STR("ab")));
	assert_false(str_eq(STR("ab"), STR("abc")));
	assert_false(str_eq(STR("ab"), STR("aB")));
	assert_true(str_eqz(STR("ab"), "ab"));
	assert_true(str_eqz(STR_NONE, NULL));
	assert_true(str_eq_nocase(STR("Content-Length"), STR("content-lENGTH")));
	/* The bit that tells the cases apart means nothing outside letters. */
	assert_false(str_eq_nocase(STR("@"), STR("`")));
	assert_false(str_eq_nocase(STR("["), STR("{")));
	assert_true(str_starts(STR("room:1"), STR("room:")));
	assert_true(str_starts(STR("room"), STR_NONE));
	assert_false(str_starts(STR("roo"), STR("room")));
	assert_true(str_has(STR("a\0b"), '\0'));
	assert_false(str_has(STR_NONE, '\0'));
	assert_true(str_has(STR("\xff"), '\xff'));
}

static void test_str_cuts(void **state UNUSED)
{
	struct str rest = STR("a,,b");

	assert_true(str_eqz(str_cut(&rest, ','), "a"));
	assert_true(str_eqz(rest, ",b"));
	assert_true(str_eqz(str_cut(&rest, ','), ""));
	assert_true(str_eqz(str_cut(&rest, ','), "b"));
	assert_null(rest.p);
	assert_int_equal(str_cut(&rest, ',').len, 0);
	/* What follows the last separator is empty, but it is there. */
	rest = STR("a,");
	str_cut(&rest, ',');
	assert_non_null(rest.p);
	assert_int_equal(rest.len, 0);
	assert_true(str_eqz(str_trim(STR(" \t a b\t ")), "a b"));
	assert_int_equal(str_trim(STR(" \t ")).len, 0);
	assert_int_equal(str_trim(STR_NONE).len, 0);
	assert_true(str_eqz(str_from(STR("abc"), 1), "bc"));
	assert_int_equal(str_from(STR("abc"), 9).len, 0);
}

static void test_str_u64(void **state UNUSED)
{
	static const char *const bad[] = {
		"", "-1", "+1", " 1", "1 ", "1.", "0x1", "18446744073709551616",
		"99999999999999999999", "184467440737095516150",
	};
	uint64_t n = 7;

	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(str_u64(str_z(bad[i]), &n));
	assert_int_equal(n, 7);
	assert_true(str_u64(STR("18446744073709551615"), &n));
	assert_true(n == UINT64_MAX);
	assert_true(str_u64(STR("007"), &n));
	assert_int_equal(n, 7);
}

static const struct {
	const char *text;
	bool valid;
	size_t count;
} utf8_cases[] = {
	{ "", true, 0 },
	{ "plain ascii, more than one word of it", true, 37 },
	{ "\x7f", true, 1 },
	{ "\xc2\x80", true, 1 },
	{ "\xdf\xbf", true, 1 },
	{ "\xe0\xa0\x80", true, 1 },
	{ "\xed\x9f\xbf", true, 1 },
	{ "\xee\x80\x80", true, 1 },
	{ "\xef\xbf\xbf", true, 1 },
	{ "\xf0\x90\x80\x80", true, 1 },
	{ "\xf4\x8f\xbf\xbf", true, 1 },
	{ "12345678\xc3\xa9" "12345678\xe2\x82\xac", true, 18 },
	{ "\x80", false, 0 },                  /* a continuation alone */
	{ "\xbf", false, 0 },
	{ "\xc0\x80", false, 0 },              /* overlong */
	{ "\xc0\xaf", false, 0 },
	{ "\xc1\xbf", false, 0 },
	{ "\xe0\x80\xaf", false, 0 },
	{ "\xe0\x9f\xbf", false, 0 },
	{ "\xf0\x80\x80\xaf", false, 0 },
	{ "\xf0\x8f\xbf\xbf", false, 0 },
	{ "\xed\xa0\x80", false, 0 },          /* surrogates */
	{ "\xed\xaf\xbf", false, 0 },
	{ "\xed\xb0\x80", false, 0 },
	{ "\xed\xbf\xbf", false, 0 },
	{ "\xf4\x90\x80\x80", false, 0 },      /* above U+10FFFF */
	{ "\xf5\x80\x80\x80", false, 0 },
	{ "\xf8\x88\x80\x80\x80", false, 0 },
	{ "\xfe", false, 0 },
	{ "\xff", false, 0 },
	{ "\xc3\x28", false, 0 },              /* not continued */
	{ "\xc3\xc3", false, 0 },
	{ "\xe2\x28\xa1", false, 0 },
	{ "\xe2\x82\x28", false, 0 },
	{ "\xf0\x9f\x98\x28", false, 0 },
	{ "\xf0\x9f\x28\x80", false, 0 },
	{ "1234567\x80", false, 0 },           /* the last byte of a word, the first of the next */
	{ "12345678\x80", false, 0 },
};

static void test_utf8_table(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(utf8_cases); i++) {
		const struct str s = str_z(utf8_cases[i].text);
		if (utf8_valid(s) != utf8_cases[i].valid)
			fail_msg("case %zu is judged wrongly", i);
		if (utf8_cases[i].valid)
			assert_int_equal(utf8_count(s), utf8_cases[i].count);
	}
	assert_true(utf8_valid(STR_NONE));
	assert_true(utf8_valid(STR("a\0b")));
}

static size_t encode(unsigned point, char out[4])
{
	if (point < 0x80) {
		out[0] = (char)point;
		return 1;
	}
	const size_t len = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
	for (size_t i = len - 1; i > 0; i--, point >>= 6)
		out[i] = (char)(0x80 | (point & 0x3f));
	out[0] = (char)((0xf00u >> len) | point);
	return len;
}

/* Each code point there is, at each place in a word, and cut short. */
static void test_utf8_every_point(void **state UNUSED)
{
	for (unsigned point = 0; point < 0x110400; point++) {
		char text[16] = "abcdefgh";
		const size_t at = point % 9;
		const size_t len = encode(point, text + at);
		const bool valid = point < 0x110000 && (point < 0xd800 || point > 0xdfff);
		if (utf8_valid((struct str){ text, at + len }) != valid)
			fail_msg("U+%04X is judged wrongly", point);
		for (size_t less = 1; less < len; less++)
			if (utf8_valid((struct str){ text, at + less }))
				fail_msg("U+%04X is accepted in part", point);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_str_compares),
		cmocka_unit_test(test_str_cuts),
		cmocka_unit_test(test_str_u64),
		cmocka_unit_test(test_utf8_table),
		cmocka_unit_test(test_utf8_every_point),
	};

	return cmocka_run_group_tests_name("str", tests, NULL, NULL);
}

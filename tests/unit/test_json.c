/* JSON: what is accepted and refused, reading, and writing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/mem.h"

static const char *const good[] = {
	"null", "true", "false", "0", "-0", "7", "-12", "10", "0.5", "-0.0", "1e5", "1E+5",
	"1.25e-3", "9223372036854775808", "123456789012345678901234567890", "1e999", "\"\"",
	"\"a\"",
	"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\u00e9\\uD83D\\uDE00\\uabCD\"", "\"\\u0000\"",
	"\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"", "\"\x7f\"", "\"/\"",
	"\"long enough that it is read by words, \xc3\xa9 and more \\n words after that\"",
	"[]", "[ ]", "{}", "{ }", "[1]", "[1,2]", "[[],{}]", "[[[]]]", " \t\r\n[ 1 , \"a\" ] ",
	"{\"a\":1}", "{ \"a\" : { \"b\" : [ null ] } , \"c\":\"\" }", "{\"a\":1,\"a\":2}",
	"{\"\":0}",
	("[\"message:send\",{\"room\":\"r1\",\"text\":\"hi, \\ud83d\\ude00\"},"
	 "[1.5e3,true,false,null]]"),
	"[\"]\",\"}\",\"\\\"]\"]", "{\"}\":\"{\"}",
};

static const char *const bad[] = {
	"", " ", "nul", "nulll", "True", "NaN", "Infinity", "-Infinity", "-", "+1", "01", "-01",
	"00", "1.", ".5", "1.e5", "1e", "1e+", "1.5.5", "0x10", "1 2", "--1", "1-", "'a'", "a",
	"\"", "\"a", "\"\\\"", "\"\\x41\"", "\"\\a\"", "\"\\u12\"", "\"\\u123g\"", "\"\\U0041\"",
	"\"\\\n\"", "\"\n\"", "\"\t\"", "\"1234567\x01\"", "\"12345678\x1f\"", "\"\x1f\"",
	"\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\ud800\"", "\"\\ud800x\"", "\"\\ud800\\n\"",
	"\"\\ud83d\\u0041\"", "\"\\udc00\\ud800\"", "\"\\ud800\\udbff\"", "\"\\ud800\\ue000\"",
	"\"\\ud83d\\uDE0\"", "\"\\ud800\\", "\"\\ud800\\u",
	"\"\x80\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xc3\"",
	"\"\xe2\x82\"", "\"abcdefghi\xff\"", "\"\xc3\\u00a9\"", "\xef\xbb\xbf[]",
	"[", "]", "{", "}", "[,]", "[1,]", "[,1]", "[1 2]", "[1,,2]", "[1}", "{1}", "[}", "{]",
	"{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}", "{\"a\" 1}", "{\"a\":1 \"b\":2}", "{a:1}",
	"{1:1}", "{\"a\"::1}", "{\"a\":1]", "{\"a\",\"b\"}", "[\"a\":1]", "{null:1}", "{[]:1}",
	"[]]", "[][]", "{}x", "[1]//", "/**/[]", "[\v1]", "[\f1]", "\xc2\xa0[]", "\"a\" \"b\"",
	"{\"a\":tru}", "[fals]", "[nul]", "[tru",
};

/* A copy that ends where the memory ends, so that reading on is caught. */
static char *exact(struct str s)
{
	char *p = xmalloc(s.len);

	if (s.len)
		memcpy(p, s.p, s.len);
	return p;
}

static bool is_valid(struct str text)
{
	char *p = exact(text);
	struct str value;
	const bool valid = json_valid((struct str){ p, text.len }, &value);

	free(p);
	return valid;
}

static void test_json_tables(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(good); i++)
		if (!is_valid(str_z(good[i])))
			fail_msg("refused: %s", good[i]);
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		if (is_valid(str_z(bad[i])))
			fail_msg("accepted: %s", bad[i]);
	assert_false(is_valid(STR_NONE));
	assert_false(is_valid(STR("1\0")));
	assert_false(is_valid(STR("\0")));
	assert_false(is_valid(STR("\"a\0b\"")));
	assert_false(is_valid(STR("\"\\\0\"")));
}

/* A beginning of a document is none, but for numbers, and for blanks at the end. */
static void test_json_truncations(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		struct str value;
		assert_true(json_valid(str_z(good[i]), &value));
		const bool number = json_type(value) == JSON_NUMBER;
		for (size_t len = 0; len < value.len; len++) {
			const bool accepted = is_valid((struct str){ value.p, len });
			if (accepted && !number)
				fail_msg("accepted in part, %zu bytes: %s", len, good[i]);
			const char last = len ? value.p[len - 1] : ' ';
			if (number && accepted != (last >= '0' && last <= '9'))
				fail_msg("number judged wrongly, %zu bytes: %s", len, good[i]);
		}
	}
}

/* No byte put anywhere may make the scanner read outside, and no control byte in a string
 * passes. */
static void test_json_any_byte(void **state UNUSED)
{
	const struct str doc = STR("[\"ab\\u00e9\\ud83d\\ude00 some more text\","
	                           "{\"k\":-1.5e+3},true]");
	char text[128];

	for (size_t at = 0; at < doc.len; at++) {
		memcpy(text, doc.p, doc.len);
		for (unsigned c = 0; c < 256; c++) {
			text[at] = (char)c;
			const bool valid = is_valid((struct str){ text, doc.len });
			if (valid && (c > 0x7f || (c < 0x20 && at >= 1 && at < 37)))
				fail_msg("accepted with byte %02x at %zu", c, at);
		}
	}
}

static void test_json_scan_length(void **state UNUSED)
{
	assert_int_equal(json_scan(STR("[1] ,2")), 3);
	assert_int_equal(json_scan(STR("  [1] ,2")), 5);
	assert_int_equal(json_scan(STR("\"a\"x")), 3);
	assert_int_equal(json_scan(STR("12,3")), 2);
	assert_int_equal(json_scan(STR("1.x")), 0);
	assert_int_equal(json_scan(STR("null")), 4);
	assert_int_equal(json_scan(STR_NONE), 0);
	struct str value;
	assert_true(json_valid(STR(" \n {\"a\" : 1}\t "), &value));
	assert_true(str_eqz(value, "{\"a\" : 1}"));
}

static struct str nested(struct buf *b, int depth, char open, const char *inside, char close)
{
	buf_clear(b);
	for (int i = 0; i < depth; i++) {
		buf_char(b, open);
		if (open == '{' && i < depth - 1)
			buf_z(b, "\"a\":");
	}
	buf_z(b, inside);
	for (int i = 0; i < depth; i++)
		buf_char(b, close);
	return buf_view(b);
}

static void test_json_depth(void **state UNUSED)
{
	struct buf b = { 0 };

	assert_true(is_valid(nested(&b, JSON_DEPTH, '[', "", ']')));
	assert_true(is_valid(nested(&b, JSON_DEPTH, '[', "1", ']')));
	assert_true(is_valid(nested(&b, JSON_DEPTH, '{', "", '}')));
	assert_false(is_valid(nested(&b, JSON_DEPTH + 1, '[', "", ']')));
	assert_false(is_valid(nested(&b, JSON_DEPTH + 1, '{', "", '}')));
	assert_false(is_valid(nested(&b, 100000, '[', "", ']')));
	/* Depth is what is open at once, not how many there are. */
	buf_clear(&b);
	buf_z(&b, "[[]");
	for (int i = 0; i < 1000; i++)
		buf_z(&b, ",[{}]");
	buf_char(&b, ']');
	assert_true(is_valid(buf_view(&b)));
	buf_fini(&b);
}

static void test_json_walks_object(void **state UNUSED)
{
	static const struct {
		const char *key, *value;
		enum json_type type;
	} members[] = {
		{ "\"a\"", "1", JSON_NUMBER }, { "\"b,}\"", "\"x\\\"}\"", JSON_STRING },
		{ "\"c\"", "[1, [2], \"]\"]", JSON_ARRAY },
		{ "\"\"", "{ \"}\" : {} }", JSON_OBJECT },
		{ "\"d\"", "true", JSON_BOOL }, { "\"e\"", "null", JSON_NULL },
		{ "\"f\"", "-1e3", JSON_NUMBER },
	};
	struct json_iter it = json_iter(STR("{ \"a\" : 1 ,\"b,}\":\"x\\\"}\",\n"
	                                    "\"c\":[1, [2], \"]\"] ,\"\":{ \"}\" : {} },"
	                                    "\"d\":true,\"e\":null , \"f\":-1e3 }"));
	struct str key, value;

	for (size_t i = 0; i < COUNT_OF(members); i++) {
		assert_true(json_next(&it, &key, &value));
		assert_true(str_eqz(key, members[i].key));
		assert_true(str_eqz(value, members[i].value));
		assert_int_equal(json_type(value), members[i].type);
	}
	assert_false(json_next(&it, &key, &value));
	assert_false(json_next(&it, &key, &value));
}

static void test_json_walks_array(void **state UNUSED)
{
	struct json_iter it = json_iter(STR("[\"a\" , \"b\",[],{},3]"));
	static const char *const elements[] = { "\"a\"", "\"b\"", "[]", "{}", "3" };
	struct str value;

	for (size_t i = 0; i < COUNT_OF(elements); i++) {
		assert_true(json_next(&it, NULL, &value));
		assert_true(str_eqz(value, elements[i]));
	}
	assert_false(json_next(&it, NULL, &value));
	it = json_iter(STR("[ ]"));
	assert_false(json_next(&it, NULL, &value));
	it = json_iter(STR("{}"));
	assert_false(json_next(&it, NULL, &value));
}

static void test_json_text(void **state UNUSED)
{
	const struct {
		struct str literal, text;
	} cases[] = {
		{ STR("\"\""), STR("") },
		{ STR("\"plain \xc3\xa9\""), STR("plain \xc3\xa9") },
		{ STR("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), STR("\"\\/\b\f\n\r\t") },
		{ STR("\"a\\u0041\\u00e9\\u20AC\\uD83D\\uDE00z\""),
		  STR("aA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z") },
		{ STR("\"\\u007f\\u0080\\u07ff\\u0800\\uffff\""),
		  STR("\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf") },
		{ STR("\"\\ud800\\udc00\\udbff\\udfff\""),
		  STR("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf") },
		{ STR("\"a\\u0000b\""), STR("a\0b") },
	};
	struct arena a = { 0 };

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		assert_int_equal(json_scan(cases[i].literal), cases[i].literal.len);
		const struct str text = json_text(&a, cases[i].literal);
		if (!str_eq(text, cases[i].text))
			fail_msg("case %zu gives %.*s", i, STR_ARG(text));
		assert_true(utf8_valid(text));
		for (size_t j = 0; j < COUNT_OF(cases); j++)
			assert_int_equal(json_text_is(cases[i].literal, cases[j].text), i == j);
	}
	/* Nothing to unescape: a slice, and no memory. */
	struct arena none = { 0 };
	assert_ptr_equal(json_text(&none, cases[1].literal).p, cases[1].literal.p + 1);
	assert_null(none.blocks);
	assert_false(json_text_is(STR("\"a\\n\""), STR("a\nb")));
	assert_false(json_text_is(STR("\"a\\nb\""), STR("a\n")));
	arena_fini(&a);
}

static void test_json_i64(void **state UNUSED)
{
	static const char *const none[] = {
		"1.0", "1e3", "-", "", "9223372036854775808", "-9223372036854775809", "--1", "-1.5",
		"99999999999999999999999",
	};
	int64_t n = 7;

	for (size_t i = 0; i < COUNT_OF(none); i++)
		assert_false(json_i64(str_z(none[i]), &n));
	assert_int_equal(n, 7);
	assert_true(json_i64(STR("9223372036854775807"), &n) && n == INT64_MAX);
	assert_true(json_i64(STR("-9223372036854775808"), &n) && n == INT64_MIN);
	assert_true(json_i64(STR("-0"), &n) && n == 0);
	assert_true(json_i64(STR("-42"), &n) && n == -42);
}

static void test_json_writes(void **state UNUSED)
{
	struct buf b = { 0 };
	struct json_out j = json_out(&b);

	json_open(&j, '{');
	json_put_str(&j, "s", STR("a\"\\\b\f\n\r\t\x01\x1f\x7f/\xc3\xa9\0z"));
	json_put_int(&j, "min", INT64_MIN);
	json_put_bool(&j, "b", false);
	json_put_raw(&j, "raw", STR("[1]"));
	json_put_raw(&j, "none", STR_NONE);
	json_put_time(&j, "t", 1500658348123);
	json_key(&j, "list");
	json_open(&j, '[');
	json_int(&j, 1);
	json_open(&j, '[');
	json_close(&j, ']');
	json_str(&j, STR_NONE);
	json_open(&j, '{');
	json_close(&j, '}');
	json_null(&j);
	json_bool(&j, true);
	json_close(&j, ']');
	json_put_int(&j, "last", 0);
	json_close(&j, '}');
	buf_char(&b, '\0');
	assert_string_equal(b.p, "{\"s\":\"a\\\"\\\\\\b\\f\\n\\r\\t"
	                    "\\u0001\\u001f\x7f/\xc3\xa9\\u0000z\","
	                    "\"min\":-9223372036854775808,\"b\":false,\"raw\":[1],\"none\":null,"
	                    "\"t\":\"2017-07-21T17:32:28.123Z\",\"list\":[1,[],\"\",{},null,true],"
	                    "\"last\":0}");
	assert_true(is_valid(str_z(b.p)));
	buf_fini(&b);
}

/* What is written comes back, at every length and for every ASCII character. */
static void test_json_round_trip(void **state UNUSED)
{
	for (size_t len = 0; len < 300; len++) {
		struct buf text = { 0 }, b = { 0 };
		struct arena a = { 0 };
		for (size_t i = 0; i < len; i++)
			buf_char(&text, (char)((i * 7 + len) % 128));
		struct json_out j = json_out(&b);
		json_str(&j, buf_view(&text));
		assert_int_equal(json_scan(buf_view(&b)), b.len);
		assert_true(str_eq(json_text(&a, buf_view(&b)), buf_view(&text)));
		assert_true(json_text_is(buf_view(&b), buf_view(&text)));
		arena_fini(&a);
		buf_fini(&b);
		buf_fini(&text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_tables),
		cmocka_unit_test(test_json_truncations),
		cmocka_unit_test(test_json_any_byte),
		cmocka_unit_test(test_json_scan_length),
		cmocka_unit_test(test_json_depth),
		cmocka_unit_test(test_json_walks_object),
		cmocka_unit_test(test_json_walks_array),
		cmocka_unit_test(test_json_text),
		cmocka_unit_test(test_json_i64),
		cmocka_unit_test(test_json_writes),
		cmocka_unit_test(test_json_round_trip),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}

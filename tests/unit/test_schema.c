/* Declared shapes: what each field type takes and refuses, from JSON and from texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/schema.h"

struct inner {
	struct str name;
	int64_t size;
	struct strs tags;
};

struct all {
	struct str str, bounded, exact, most, least, id, raw, object, array;
	struct inner inner;
	struct strs strs, ids;
	int64_t number, ranged, positive;
	bool flag;
};

static const struct field inner_fields[] = {
	FIELD(inner, name, F_STR, .required = true, .min = 1, .max = 5),
	FIELD(inner, size, F_INT, .min = 1, .max = 9),
	FIELD(inner, tags, F_STRS),
	{ 0 }
};

static const struct field all_fields[] = {
	FIELD(all, str, F_STR),
	FIELD(all, bounded, F_STR, .min = 2, .max = 4),
	FIELD(all, exact, F_STR, .min = 3, .max = 3),
	FIELD(all, most, F_STR, .max = 4),
	FIELD(all, least, F_STR, .min = 2),
	FIELD(all, id, F_ID),
	FIELD(all, raw, F_RAW),
	FIELD(all, object, F_OBJECT),
	FIELD(all, inner, F_OBJECT, .fields = inner_fields),
	FIELD(all, array, F_ARRAY, .max = 2),
	FIELD(all, strs, F_STRS, .min = 1, .max = 3),
	FIELD_AS(all, ids, "user-ids", F_IDS, .max = 2),
	FIELD(all, number, F_INT),
	FIELD(all, ranged, F_INT, .min = -5, .max = 5),
	FIELD(all, positive, F_INT, .min = 1),
	FIELD(all, flag, F_BOOL),
	{ 0 }
};

/* Decodes into a fresh struct; the arena outlives it. */
static enum err decode(const struct field *fields, const char *json, struct arena *a,
                       struct all *out, struct fault *why)
{
	struct str value;

	memset(out, 0, sizeof(*out));
	if (!json_valid(str_z(json), &value))
		fail_msg("the test itself is wrong: %s", json);
	return schema_decode(fields, value, a, out, why);
}

static const char *fault_text(struct arena *a, const struct fault *why)
{
	return arena_printf(a, "%.*s %.*s", STR_ARG(why->field), STR_ARG(why->detail)).p;
}

static void test_schema_takes(void **state UNUSED)
{
	struct arena a = { 0 };
	struct fault why;
	struct all v;

	assert_int_equal(decode(all_fields,
		"{\"str\":\"\",\"bounded\":\"\\u00e9\xf0\x9f\x98\x80\",\"exact\":\"abc\","
		"\"most\":\"\","
		"\"least\":\"0123456789\",\"id\":\"r-1\",\"raw\":[1, {\"a\":2}],"
		"\"object\":{\"x\":1},"
		"\"inner\":{\"name\":\"n\",\"size\":9,\"tags\":[]},\"array\":[1,[2,3]],"
		"\"strs\":[\"a\",\"b\\n\",\"\"],\"user-ids\":[\"u1\",42],"
		"\"number\":-9223372036854775808,"
		"\"ranged\":-5,\"positive\":9223372036854775807,\"flag\":true,"
		"\"unknown\":{\"id\":7}}",
		&a, &v, &why), ERR_OK);
	assert_true(v.str.p && !v.str.len);
	assert_true(str_eqz(v.bounded, "\xc3\xa9\xf0\x9f\x98\x80"));
	assert_true(str_eqz(v.id, "r-1"));
	assert_true(str_eqz(v.raw, "[1, {\"a\":2}]"));
	assert_true(str_eqz(v.object, "{\"x\":1}"));
	assert_true(str_eqz(v.inner.name, "n"));
	assert_int_equal(v.inner.size, 9);
	assert_int_equal(v.inner.tags.n, 0);
	assert_true(str_eqz(v.array, "[1,[2,3]]"));
	assert_int_equal(v.strs.n, 3);
	assert_true(str_eqz(v.strs.v[1], "b\n"));
	assert_true(v.strs.v[2].p && !v.strs.v[2].len);
	assert_int_equal(v.ids.n, 2);
	assert_true(str_eqz(v.ids.v[1], "42"));
	assert_true(v.number == INT64_MIN && v.positive == INT64_MAX);
	assert_int_equal(v.ranged, -5);
	assert_true(v.flag);
	arena_fini(&a);
}

static const struct {
	const char *json, *fault;
} refused[] = {
	{ "[]", " must be an object" },
	{ "\"str\"", " must be an object" },
	{ "{\"str\":1}", "str must be a string" },
	{ "{\"str\":[\"a\"]}", "str must be a string" },
	{ "{\"str\":\"a\\u0000\"}", "str must not contain NUL" },
	{ "{\"bounded\":\"\"}", "bounded must have 2 to 4 characters" },
	{ "{\"bounded\":\"\xc3\xa9\"}", "bounded must have 2 to 4 characters" },
	{ "{\"bounded\":\"12345\"}", "bounded must have 2 to 4 characters" },
	{ "{\"exact\":\"12\"}", "exact must have 3 characters" },
	{ "{\"exact\":\"1234\"}", "exact must have 3 characters" },
	{ "{\"most\":\"12345\"}", "most must have at most 4 characters" },
	{ "{\"least\":\"1\"}", "least must have at least 2 characters" },
	{ "{\"id\":true}", "id must be a string" },
	{ "{\"id\":\"\"}", "id must be 1 to 128 printable ASCII characters" },
	{ "{\"id\":\"a\\n\"}", "id must be 1 to 128 printable ASCII characters" },
	{ "{\"id\":\"\xc3\xa9\"}", "id must be 1 to 128 printable ASCII characters" },
	{ "{\"id\":\"\\u0000\"}", "id must be 1 to 128 printable ASCII characters" },
	{ "{\"id\":\"\x7f\"}", "id must be 1 to 128 printable ASCII characters" },
	{ "{\"object\":[]}", "object must be an object" },
	{ "{\"object\":\"{}\"}", "object must be an object" },
	{ "{\"inner\":7}", "inner must be an object" },
	{ "{\"inner\":{}}", "inner.name is required" },
	{ "{\"inner\":{\"name\":null}}", "inner.name is required" },
	{ "{\"inner\":{\"name\":\"\"}}", "inner.name must have 1 to 5 characters" },
	{ "{\"inner\":{\"name\":\"a\",\"size\":10}}", "inner.size must be from 1 to 9" },
	{ "{\"inner\":{\"name\":\"a\",\"tags\":[\"x\",1]}}", "inner.tags.1 must be a string" },
	{ "{\"array\":{}}", "array must be an array" },
	{ "{\"array\":[1,2,3]}", "array must have at most 2 elements" },
	{ "{\"strs\":\"a\"}", "strs must be an array" },
	{ "{\"strs\":[]}", "strs must have 1 to 3 elements" },
	{ "{\"strs\":[\"a\",\"b\",\"c\",\"d\"]}", "strs must have 1 to 3 elements" },
	{ "{\"strs\":[\"a\",null]}", "strs.1 must be a string" },
	{ "{\"strs\":[\"a\\u0000\"]}", "strs.0 must not contain NUL" },
	{ "{\"user-ids\":[\"a\",\"b\",\"c\"]}", "user-ids must have at most 2 elements" },
	{ "{\"user-ids\":[\"\"]}", "user-ids.0 must be 1 to 128 printable ASCII characters" },
	{ "{\"user-ids\":[[]]}", "user-ids.0 must be a string" },
	{ "{\"number\":\"1\"}", "number must be a number" },
	{ "{\"number\":true}", "number must be a number" },
	{ "{\"number\":1.5}", "number must be a whole number" },
	{ "{\"number\":1e3}", "number must be a whole number" },
	{ "{\"number\":9223372036854775808}", "number must be a whole number" },
	{ "{\"ranged\":6}", "ranged must be from -5 to 5" },
	{ "{\"ranged\":-6}", "ranged must be from -5 to 5" },
	{ "{\"ranged\":99999999999999999999}", "ranged must be from -5 to 5" },
	{ "{\"ranged\":0.5}", "ranged must be a whole number" },
	{ "{\"positive\":0}", "positive must be at least 1" },
	{ "{\"flag\":\"true\"}", "flag must be true or false" },
	{ "{\"flag\":1}", "flag must be true or false" },
};

static void test_schema_refuses(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(refused); i++) {
		struct arena a = { 0 };
		struct fault why = { .retry_after_s = 9 };
		struct all v;
		if (decode(all_fields, refused[i].json, &a, &v, &why) != ERR_INVALID)
			fail_msg("accepted: %s", refused[i].json);
		assert_string_equal(fault_text(&a, &why), refused[i].fault);
		assert_int_equal(why.code, ERR_INVALID);
		assert_int_equal(why.retry_after_s, 0);
		arena_fini(&a);
	}
}

static void test_schema_null_is_absent(void **state UNUSED)
{
	for (const struct field *f = all_fields; f->name; f++) {
		struct field one[] = { *f, { 0 } };
		struct arena a = { 0 };
		struct fault why;
		struct all v, zero;
		const char *null = arena_printf(&a, "{\"%s\":null}", f->name).p;
		memset(&zero, 0, sizeof(zero));
		assert_int_equal(decode(one, null, &a, &v, &why), ERR_OK);
		assert_memory_equal(&v, &zero, sizeof(v));
		assert_int_equal(decode(one, "{}", &a, &v, &why),
	                 ERR_OK);
		assert_memory_equal(&v, &zero, sizeof(v));
		one[0].required = true;
		const char *required = arena_printf(&a, "%s is required", f->name).p;
		assert_int_equal(decode(one, null, &a, &v, &why), ERR_INVALID);
		assert_string_equal(fault_text(&a, &why), required);
		assert_int_equal(decode(one, "{\"other\":1}", &a, &v, &why),
	                 ERR_INVALID);
		assert_string_equal(fault_text(&a, &why), required);
		arena_fini(&a);
	}
}

/* Zero, false and the empty string are values: a required field that has one is there. */
static void test_schema_required_zeroes(void **state UNUSED)
{
	static const struct field fields[] = {
		FIELD(all, str, F_STR, .required = true),
		FIELD(all, number, F_INT, .required = true),
		FIELD(all, flag, F_BOOL, .required = true),
		{ 0 }
	};
	struct arena a = { 0 };
	struct fault why;
	struct all v;

	assert_int_equal(decode(fields, "{\"flag\":false,\"number\":0,\"str\":\"\"}", &a, &v, &why),
	                 ERR_OK);
	/* The first missing one, in the table's order, is told. */
	assert_int_equal(decode(fields, "{\"flag\":false}", &a, &v, &why),
	                 ERR_INVALID);
	assert_string_equal(fault_text(&a, &why), "str is required");
	arena_fini(&a);
}

static void test_schema_duplicates(void **state UNUSED)
{
	struct arena a = { 0 };
	struct fault why;
	struct all v;

	assert_int_equal(decode(all_fields, "{\"str\":\"a\",\"number\":1,\"str\":\"b\"}",
	                        &a, &v, &why),
	                 ERR_OK);
	assert_true(str_eqz(v.str, "b"));
	/* An earlier one does not count at all, be it bad or good. */
	assert_int_equal(decode(all_fields, "{\"number\":\"x\",\"number\":2}", &a, &v, &why),
	                 ERR_OK);
	assert_int_equal(v.number, 2);
	assert_int_equal(decode(all_fields, "{\"number\":2,\"number\":\"x\"}", &a, &v, &why),
	                 ERR_INVALID);
	assert_int_equal(decode(all_fields, "{\"str\":\"a\",\"str\":null}", &a, &v, &why),
	                 ERR_OK);
	assert_null(v.str.p);
	/* Keys are equal as they read, not as they are written. */
	assert_int_equal(decode(all_fields, "{\"n\\u0075mber\":3,\"numbe\":4,\"numbers\":5}",
	                        &a, &v, &why),
	                 ERR_OK);
	assert_int_equal(v.number, 3);
	arena_fini(&a);
}

static void test_schema_id_lengths(void **state UNUSED)
{
	for (int len = 126; len <= 130; len++) {
		struct arena a = { 0 };
		struct fault why;
		struct all v;
		const char *text = arena_printf(&a, "{\"id\":\"%0*d\"}", len, 0).p;
		const char *number = arena_printf(&a, "{\"id\":1%0*d}", len - 1, 0).p;
		assert_int_equal(decode(all_fields, text, &a, &v, &why) == ERR_OK, len <= 128);
		assert_int_equal(decode(all_fields, number, &a, &v, &why) == ERR_OK, len <= 128);
		arena_fini(&a);
	}
}

static const struct {
	const char *name, *text, *fault;
} texts[] = {
	{ "str", "any text", NULL },
	{ "str", "", NULL },
	{ "str", "\xc3\xa9", NULL },
	{ "str", "\xc3", "str must be valid UTF-8" },
	{ "bounded", "", "bounded must have 2 to 4 characters" },
	{ "id", "r1", NULL },
	{ "id", "", "id must be 1 to 128 printable ASCII characters" },
	{ "raw", "[1]", NULL },
	{ "raw", "[1", "raw must be JSON" },
	{ "object", "{}", NULL },
	{ "object", "[]", "object must be an object" },
	{ "object", "{", "object must be an object" },
	{ "inner", "{\"name\":\"a\"}", NULL },
	{ "inner", "{}", "inner.name is required" },
	{ "array", "[1,2]", NULL },
	{ "array", "1,2", "array must be an array" },
	{ "strs", "a,b,", NULL },
	{ "strs", "", "strs must have 1 to 3 elements" },
	{ "strs", "a,b,c,d", "strs must have 1 to 3 elements" },
	{ "user-ids", "", NULL },
	{ "user-ids", "a,", "user-ids.1 must be 1 to 128 printable ASCII characters" },
	{ "number", "-12", NULL },
	{ "number", "", "number must be a number" },
	{ "number", "+1", "number must be a number" },
	{ "number", "12x", "number must be a number" },
	{ "number", "true", "number must be a number" },
	{ "number", "1.5", "number must be a whole number" },
	{ "ranged", "6", "ranged must be from -5 to 5" },
	{ "flag", "true", NULL },
	{ "flag", "false", NULL },
	{ "flag", "1", "flag must be true or false" },
	{ "flag", "", "flag must be true or false" },
	{ "unknown", "\xff", NULL },
};

static void test_schema_texts(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct arena a = { 0 };
		struct fault why;
		struct all v;
		memset(&v, 0, sizeof(v));
		const enum err e = schema_put_text(all_fields, str_z(texts[i].name),
		                                   str_z(texts[i].text), &a, &v, &why);
		if ((e == ERR_OK) != !texts[i].fault)
			fail_msg("judged wrongly: %s=%s", texts[i].name, texts[i].text);
		if (texts[i].fault)
			assert_string_equal(fault_text(&a, &why), texts[i].fault);
		arena_fini(&a);
	}
}

static void test_schema_text_values(void **state UNUSED)
{
	struct arena a = { 0 };
	struct fault why;
	struct all v;

	memset(&v, 0, sizeof(v));
	assert_int_equal(schema_put_text(all_fields, STR("number"), STR("-12"), &a, &v, &why),
	                 ERR_OK);
	assert_int_equal(v.number, -12);
	assert_int_equal(schema_put_text(all_fields, STR("flag"), STR("true"), &a, &v, &why),
	                 ERR_OK);
	assert_true(v.flag);
	assert_int_equal(schema_put_text(all_fields, STR("flag"), STR("false"), &a, &v, &why),
	                 ERR_OK);
	assert_false(v.flag);
	assert_int_equal(schema_put_text(all_fields, STR("strs"), STR("a,,c"), &a, &v, &why),
	                 ERR_OK);
	assert_int_equal(v.strs.n, 3);
	assert_true(str_eqz(v.strs.v[0], "a") && !v.strs.v[1].len && str_eqz(v.strs.v[2], "c"));
	assert_int_equal(schema_put_text(all_fields, STR("str"), STR("a\0b"), &a, &v, &why),
	                 ERR_INVALID);
	assert_string_equal(fault_text(&a, &why), "str must not contain NUL");
	arena_fini(&a);
}

static void test_schema_require(void **state UNUSED)
{
	static const struct field fields[] = {
		FIELD(all, str, F_STR, .required = true),
		FIELD(all, id, F_ID),
		FIELD(all, ids, F_IDS, .required = true),
		{ 0 }
	};
	struct arena a = { 0 };
	struct fault why;
	struct all v;

	memset(&v, 0, sizeof(v));
	assert_int_equal(schema_require(fields, &v, &why), ERR_INVALID);
	assert_string_equal(fault_text(&a, &why), "str is required");
	/* An empty text came; none did not. */
	assert_int_equal(schema_put_text(fields, STR("str"), STR_NONE, &a, &v, &why),
	                 ERR_OK);
	assert_int_equal(schema_require(fields, &v, &why), ERR_INVALID);
	assert_string_equal(fault_text(&a, &why), "ids is required");
	assert_int_equal(schema_put_text(fields, STR("ids"), STR(""), &a, &v, &why),
	                 ERR_OK);
	assert_int_equal(schema_require(fields, &v, &why), ERR_OK);
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_schema_takes),
		cmocka_unit_test(test_schema_refuses),
		cmocka_unit_test(test_schema_null_is_absent),
		cmocka_unit_test(test_schema_required_zeroes),
		cmocka_unit_test(test_schema_duplicates),
		cmocka_unit_test(test_schema_id_lengths),
		cmocka_unit_test(test_schema_texts),
		cmocka_unit_test(test_schema_text_values),
		cmocka_unit_test(test_schema_require),
	};

	return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}

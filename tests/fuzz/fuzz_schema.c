/* Declared shapes: whatever is decoded keeps the table's promises, from JSON as from named texts.
 *
 * An input that is JSON is decoded as an object; one that begins with '?' is a query string. */
#include <string.h>

#include "common/schema.h"
#include "tests/fuzz/fuzz.h"
#include "worker/net/head.h"

struct inner {
	struct str id;
	int64_t n;
};

struct shape {
	struct str text, name, id, raw, object, array;
	struct strs texts, ids;
	int64_t number, free;
	bool flag;
	struct inner inner;
};

static const struct field inner_schema[] = {
	FIELD(inner, id, F_ID, .required = true),
	FIELD(inner, n, F_INT, .min = -5, .max = 5),
	{ 0 }
};

static const struct field schema[] = {
	FIELD(shape, text, F_STR),
	FIELD(shape, name, F_STR, .min = 2, .max = 5),
	FIELD(shape, id, F_ID),
	FIELD(shape, raw, F_RAW),
	FIELD(shape, object, F_OBJECT),
	FIELD(shape, array, F_ARRAY, .max = 3),
	FIELD(shape, texts, F_STRS, .max = 4),
	FIELD(shape, ids, F_IDS, .min = 1, .max = 4),
	FIELD(shape, number, F_INT, .min = 10, .max = 99),
	FIELD(shape, free, F_INT),
	FIELD(shape, flag, F_BOOL),
	FIELD(shape, inner, F_OBJECT, .fields = inner_schema),
	{ 0 }
};

static void check_text(struct str s, size_t min, size_t max)
{
	if (s.p == NULL)
		return;
	CHECK(utf8_valid(s) && !str_has(s, '\0'));
	CHECK(utf8_count(s) >= min && utf8_count(s) <= max);
}

static void check_id(struct str s)
{
	if (s.p == NULL)
		return;
	CHECK(s.len >= 1 && s.len <= 128);
	for (size_t i = 0; i < s.len; i++)
		CHECK(s.p[i] >= ' ' && s.p[i] <= '~');
}

static void check_raw(struct str s)
{
	struct str value;
	CHECK(s.p == NULL || (json_valid(s, &value) && value.len == s.len));
}

static size_t elements(struct str array)
{
	struct json_iter it = json_iter(array);
	struct str value;
	size_t n = 0;

	while (json_next(&it, NULL, &value))
		n++;
	return n;
}

static void check_shape(const struct shape *s)
{
	check_text(s->text, 0, SIZE_MAX);
	check_text(s->name, 2, 5);
	check_id(s->id);
	check_raw(s->raw);
	check_raw(s->object);
	check_raw(s->array);
	CHECK(s->object.p == NULL || json_type(s->object) == JSON_OBJECT);
	CHECK(s->array.p == NULL || (json_type(s->array) == JSON_ARRAY && elements(s->array) <= 3));
	CHECK(s->texts.n <= 4 && s->ids.n <= 4);
	for (size_t i = 0; i < s->texts.n; i++)
		check_text(s->texts.v[i], 0, SIZE_MAX);
	for (size_t i = 0; i < s->ids.n; i++)
		check_id(s->ids.v[i]);
	CHECK(s->number == 0 || (s->number >= 10 && s->number <= 99));
	check_id(s->inner.id);
	CHECK(s->inner.n >= -5 && s->inner.n <= 5);
}

/* A refusal can be said to whoever is to blame. */
static void check_fault(enum err e, const struct fault *why)
{
	CHECK(e == ERR_INVALID && why->code == ERR_INVALID);
	CHECK(why->detail.len > 0 && utf8_valid(why->detail) && utf8_valid(why->field));
}

static void decode_object(struct str text, struct arena *a)
{
	struct shape s = { .flag = false };
	struct fault why = { 0 };
	struct str value;

	if (!json_valid(text, &value))
		return;
	const enum err e = schema_decode(schema, value, a, &s, &why);
	if (e == ERR_OK)
		check_shape(&s);
	else
		check_fault(e, &why);
}

static void decode_query(struct str query, struct arena *a)
{
	struct shape s = { .flag = false };
	struct fault why = { 0 };
	struct str name, value;
	enum query_pair pair;
	enum err e = ERR_OK;

	while (e == ERR_OK && (pair = query_next(a, &query, &name, &value)) != QUERY_END)
		if (pair == QUERY_PAIR)
			e = schema_put_text(schema, name, value, a, &s, &why);
	if (e != ERR_OK) {
		check_fault(e, &why);
		return;
	}
	check_shape(&s);
	CHECK(schema_require(schema, &s, &why) == ERR_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const struct str text = fuzz_str(bytes, len);
	struct arena a = { 0 };

	if (str_starts(text, STR("?")))
		decode_query(str_from(text, 1), &a);
	else
		decode_object(text, &a);
	arena_fini(&a);
	return 0;
}

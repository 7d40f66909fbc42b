/* Declared shapes: each field type is a row of three small functions, which take the value from
 * JSON, take it from a text, and tell afterwards whether it is there. */
#include "common/schema.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum { SCHEMA_MAX_FIELDS = 64, ID_MAX = 128 };

/* One field on its way into the struct. */
struct taking {
	const struct field *field;
	struct arena *arena;
	struct fault *why;
	void *to;
};

/* Stores `value` and says true, or tells what is wrong with it. */
typedef bool take_function(const struct taking *t, struct str value);

static bool wrong(const struct taking *t, struct str detail)
{
	t->why->detail = detail;
	return false;
}

/* --- bounds ---------------------------------------------------------------------------------- */

static bool has_bounds(const struct field *f)
{
	return f->min || f->max;
}

static bool has_max(const struct field *f)
{
	return f->max >= f->min && has_bounds(f);
}

static bool is_within(const struct field *f, int64_t n)
{
	if (!has_bounds(f))
		return true;
	return n >= f->min && (!has_max(f) || n <= f->max);
}

/* Whether `count` of a thing is within the field's bounds. */
static bool take_count(const struct taking *t, size_t count, const char *things)
{
	const int64_t min = t->field->min, max = t->field->max;

	if (is_within(t->field, (int64_t)count))
		return true;
	struct buf text = { 0 };
	if (!has_max(t->field))
		buf_printf(&text, "must have at least %" PRId64 " %s", min, things);
	else if (min == max)
		buf_printf(&text, "must have %" PRId64 " %s", min, things);
	else if (!min)
		buf_printf(&text, "must have at most %" PRId64 " %s", max, things);
	else
		buf_printf(&text, "must have %" PRId64 " to %" PRId64 " %s", min, max, things);
	wrong(t, arena_str(t->arena, buf_view(&text)));
	buf_fini(&text);
	return false;
}

static bool wrong_range(const struct taking *t)
{
	const struct field *f = t->field;

	if (!has_max(f))
		return wrong(t, arena_printf(t->arena, "must be at least %" PRId64, f->min));
	return wrong(t, arena_printf(t->arena, "must be from %" PRId64 " to %" PRId64,
	                             f->min, f->max));
}

/* --- strings and ids ------------------------------------------------------------------------- */

/* The struct str at the target; never with a NULL pointer, which means absent. */
static bool store_str(const struct taking *t, struct str s)
{
	*(struct str *)t->to = s.p ? s : STR("");
	return true;
}

static bool is_text(const struct taking *t, struct str text)
{
	if (str_has(text, '\0'))
		return wrong(t, STR("must not contain NUL"));
	if (!utf8_valid(text))
		return wrong(t, STR("must be valid UTF-8"));
	return true;
}

static bool text_to_str(const struct taking *t, struct str text)
{
	if (!is_text(t, text) ||
	    (has_bounds(t->field) && !take_count(t, utf8_count(text), "characters")))
		return false;
	return store_str(t, text);
}

static bool json_to_str(const struct taking *t, struct str value)
{
	if (json_type(value) != JSON_STRING)
		return wrong(t, STR("must be a string"));
	return text_to_str(t, json_text(t->arena, value));
}

static bool is_id(struct str text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.p[i] < 0x20 || text.p[i] > 0x7e)
			return false;
	return text.len >= 1 && text.len <= ID_MAX;
}

static bool text_to_id(const struct taking *t, struct str text)
{
	if (!is_id(text))
		return wrong(t, STR("must be 1 to 128 printable ASCII characters"));
	return store_str(t, text);
}

static bool json_to_id(const struct taking *t, struct str value)
{
	if (json_type(value) == JSON_NUMBER)
		return text_to_id(t, value);
	if (json_type(value) != JSON_STRING)
		return wrong(t, STR("must be a string"));
	return text_to_id(t, json_text(t->arena, value));
}

/* --- raw JSON, objects, arrays --------------------------------------------------------------- */

static bool json_to_raw(const struct taking *t, struct str value)
{
	return store_str(t, value);
}

static bool json_to_object(const struct taking *t, struct str value)
{
	if (json_type(value) != JSON_OBJECT)
		return wrong(t, STR("must be an object"));
	if (!t->field->fields)
		return store_str(t, value);
	return schema_decode(t->field->fields, value, t->arena, t->to, t->why) == ERR_OK;
}

static size_t count_elements(struct str array)
{
	struct json_iter it = json_iter(array);
	struct str element;
	size_t n = 0;

	while (json_next(&it, NULL, &element))
		n++;
	return n;
}

static bool is_array(const struct taking *t, struct str value, size_t *count)
{
	if (json_type(value) != JSON_ARRAY)
		return wrong(t, STR("must be an array"));
	*count = count_elements(value);
	return take_count(t, *count, "elements");
}

static bool json_to_array(const struct taking *t, struct str value)
{
	size_t count;

	return is_array(t, value, &count) && store_str(t, value);
}

/* --- lists of strings ------------------------------------------------------------------------ */

/* One element: as a field of its own, without the list's bounds, and blamed by its index. */
static bool take_element(const struct taking *t, take_function *take, struct str value,
                         struct str *to, size_t index)
{
	const struct field plain = { .type = t->field->type };
	const struct taking element = { &plain, t->arena, t->why, to };

	if (take(&element, value))
		return true;
	t->why->field = arena_printf(t->arena, "%zu", index);
	return false;
}

static bool json_to_list(const struct taking *t, struct str value, take_function *take)
{
	struct strs *list = t->to;
	struct str element;
	size_t count, i = 0;

	if (!is_array(t, value, &count))
		return false;
	struct str *v = arena_alloc(t->arena, count * sizeof(*v));
	struct json_iter it = json_iter(value);
	for (; i < count && json_next(&it, NULL, &element); i++)
		if (!take_element(t, take, element, &v[i], i))
			return false;
	*list = (struct strs){ v, i };
	return true;
}

static size_t count_parts(struct str text)
{
	size_t n = text.len > 0;

	for (size_t i = 0; i < text.len; i++)
		n += text.p[i] == ',';
	return n;
}

static bool text_to_list(const struct taking *t, struct str text, take_function *take)
{
	struct strs *list = t->to;
	const size_t count = count_parts(text);

	if (!take_count(t, count, "elements"))
		return false;
	struct str *v = arena_alloc(t->arena, count * sizeof(*v));
	for (size_t i = 0; i < count; i++)
		if (!take_element(t, take, str_cut(&text, ','), &v[i], i))
			return false;
	*list = (struct strs){ v, count };
	return true;
}

static bool json_to_strs(const struct taking *t, struct str value)
{
	return json_to_list(t, value, json_to_str);
}

static bool json_to_ids(const struct taking *t, struct str value)
{
	return json_to_list(t, value, json_to_id);
}

static bool text_to_strs(const struct taking *t, struct str text)
{
	return text_to_list(t, text, text_to_str);
}

static bool text_to_ids(const struct taking *t, struct str text)
{
	return text_to_list(t, text, text_to_id);
}

/* --- numbers and truth ----------------------------------------------------------------------- */

static bool is_whole(struct str number)
{
	return !str_has(number, '.') && !str_has(number, 'e') && !str_has(number, 'E');
}

static bool json_to_int(const struct taking *t, struct str value)
{
	int64_t n;

	if (json_type(value) != JSON_NUMBER)
		return wrong(t, STR("must be a number"));
	/* A whole number that no int64_t holds is out of any range. */
	if (!json_i64(value, &n))
		return has_bounds(t->field) && is_whole(value)
		               ? wrong_range(t)
		               : wrong(t, STR("must be a whole number"));
	if (!is_within(t->field, n))
		return wrong_range(t);
	*(int64_t *)t->to = n;
	return true;
}

static bool text_to_int(const struct taking *t, struct str text)
{
	struct str value;

	return json_valid(text, &value) ? json_to_int(t, value)
	                                : wrong(t, STR("must be a number"));
}

static bool text_to_bool(const struct taking *t, struct str text)
{
	const bool is_true = str_eq(text, STR("true"));

	if (!is_true && !str_eq(text, STR("false")))
		return wrong(t, STR("must be true or false"));
	*(bool *)t->to = is_true;
	return true;
}

/* --- JSON in a text -------------------------------------------------------------------------- */

static bool text_to_raw(const struct taking *t, struct str text)
{
	struct str value;

	return json_valid(text, &value) ? json_to_raw(t, value) : wrong(t, STR("must be JSON"));
}

static bool text_to_object(const struct taking *t, struct str text)
{
	struct str value;

	return json_to_object(t, json_valid(text, &value) ? value : STR_NONE);
}

static bool text_to_array(const struct taking *t, struct str text)
{
	struct str value;

	return json_to_array(t, json_valid(text, &value) ? value : STR_NONE);
}

/* --- presence, and the table ----------------------------------------------------------------- */

static bool has_str(const void *at)
{
	return ((const struct str *)at)->p != NULL;
}

static bool has_strs(const void *at)
{
	return ((const struct strs *)at)->v != NULL;
}

static bool always(const void *at UNUSED)
{
	return true;
}

static const struct {
	take_function *from_json, *from_text;
	bool (*is_there)(const void *at);
} types[] = {
	[F_STR] = { json_to_str, text_to_str, has_str },
	[F_ID] = { json_to_id, text_to_id, has_str },
	[F_RAW] = { json_to_raw, text_to_raw, has_str },
	[F_OBJECT] = { json_to_object, text_to_object, has_str },
	[F_ARRAY] = { json_to_array, text_to_array, has_str },
	[F_STRS] = { json_to_strs, text_to_strs, has_strs },
	[F_IDS] = { json_to_ids, text_to_ids, has_strs },
	[F_INT] = { json_to_int, text_to_int, always },
	/* In JSON and in a text the two words are the same. */
	[F_BOOL] = { text_to_bool, text_to_bool, always },
};

/* --- whole objects --------------------------------------------------------------------------- */

/* Every event of every feed is decoded this way: most names differ in length. */
static bool is_named(const struct field *field, struct str name)
{
	return field->name_len == name.len && memcmp(field->name, name.p, name.len) == 0;
}

/* The field of that name among n, or n; it is looked for from `from` on, and then before. */
static size_t field_find(const struct field *fields, size_t n, size_t from, struct str name)
{
	for (size_t i = from; i < n; i++)
		if (is_named(&fields[i], name))
			return i;
	for (size_t i = 0; i < from; i++)
		if (is_named(&fields[i], name))
			return i;
	return n;
}

/* The latest value of each field; those that are absent, or null, stay STR_NONE. */
static void collect(const struct field *fields, size_t n, struct str object, struct arena *a,
                    struct str *values)
{
	struct json_iter it = json_iter(object);
	struct str key, value;
	size_t next = 0;     /* what we wrote ourselves comes in the order of its table */

	while (json_next(&it, &key, &value)) {
		const size_t i = field_find(fields, n, next, json_text(a, key));
		if (i == n)
			continue;
		values[i] = json_type(value) == JSON_NULL ? STR_NONE : value;
		next = i + 1;
	}
}

static enum err is_required(const struct field *field, struct fault *why)
{
	*why = (struct fault){
		.code = ERR_INVALID, .field = str_z(field->name), .detail = STR("is required")
	};
	return ERR_INVALID;
}

static enum err take_field(const struct field *field, take_function *take, struct str value,
                           struct arena *a, void *out, struct fault *why)
{
	const struct taking t = { field, a, why, (char *)out + field->offset };

	*why = (struct fault){ .code = ERR_INVALID };
	if (take(&t, value)) {
		*why = (struct fault){ .code = ERR_OK };
		return ERR_OK;
	}
	/* What is inside has named itself already: "outer.inner". */
	if (why->field.len)
		why->field = arena_printf(a, "%s.%.*s", field->name, STR_ARG(why->field));
	else
		why->field = str_z(field->name);
	return ERR_INVALID;
}

enum err schema_decode(const struct field *fields, struct str object, struct arena *a, void *out,
                       struct fault *why)
{
	struct str values[SCHEMA_MAX_FIELDS];
	size_t n = 0;

	if (json_type(object) != JSON_OBJECT) {
		*why = (struct fault){ .code = ERR_INVALID, .detail = STR("must be an object") };
		return ERR_INVALID;
	}
	for (; fields[n].name; n++) {
		assert(n < SCHEMA_MAX_FIELDS);
		values[n] = STR_NONE;
	}
	collect(fields, n, object, a, values);
	for (size_t i = 0; i < n; i++) {
		if (!values[i].len && fields[i].required)
			return is_required(&fields[i], why);
		if (values[i].len &&
		    take_field(&fields[i], types[fields[i].type].from_json, values[i], a, out, why))
			return ERR_INVALID;
	}
	return ERR_OK;
}

enum err schema_put_text(const struct field *fields, struct str name, struct str text,
                         struct arena *a, void *out, struct fault *why)
{
	for (const struct field *f = fields; f->name; f++)
		if (is_named(f, name))
			return take_field(f, types[f->type].from_text, text, a, out, why);
	return ERR_OK;
}

enum err schema_require(const struct field *fields, const void *out, struct fault *why)
{
	for (const struct field *f = fields; f->name; f++) {
		const void *at = (const char *)out + f->offset;
		if (f->required && !f->fields && !types[f->type].is_there(at))
			return is_required(f, why);
	}
	return ERR_OK;
}

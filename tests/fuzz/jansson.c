/* A second opinion on JSON. */
#include "tests/fuzz/jansson.h"

#include <jansson.h>

static json_t *read_text(struct str text, json_error_t *why)
{
	return json_loadb(text.p != NULL ? text.p : "", text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL,
	                  why);
}

enum opinion jansson_reads(struct str text)
{
	json_error_t why;
	json_t *value = read_text(text, &why);

	if (value == NULL) {
		const enum json_error_code code = json_error_code(&why);
		const bool cannot = code == json_error_numeric_overflow ||
		                    code == json_error_null_byte_in_key;
		return cannot ? OPINION_NONE : OPINION_NO;
	}
	json_decref(value);
	return OPINION_YES;
}

static size_t depth_of(json_t *value)
{
	size_t most = 0, i;
	const char *key;
	json_t *inner;

	if (!json_is_array(value) && !json_is_object(value))
		return 0;
	json_array_foreach(value, i, inner) {
		const size_t depth = depth_of(inner);
		most = depth > most ? depth : most;
	}
	json_object_foreach(value, key, inner) {
		const size_t depth = depth_of(inner);
		most = depth > most ? depth : most;
	}
	return most + 1;
}

size_t jansson_depth(struct str text)
{
	json_error_t why;
	json_t *value = read_text(text, &why);
	const size_t depth = depth_of(value);

	json_decref(value);
	return depth;
}

bool jansson_same(struct str a, struct str b)
{
	json_error_t why;
	json_t *one = read_text(a, &why), *other = read_text(b, &why);
	const bool same = one != NULL && other != NULL && json_equal(one, other);

	json_decref(one);
	json_decref(other);
	return same;
}

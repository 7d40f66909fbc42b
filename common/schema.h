/* Declared shapes: a table of fields decodes a JSON object, or a query string, into a C struct.
 * Used for what clients send and for what Redis functions answer alike. */
#ifndef CONFAB_SCHEMA_H
#define CONFAB_SCHEMA_H

#include "common/arena.h"
#include "common/err.h"
#include "common/json.h"

enum field_type {
	F_STR,       /* struct str: a string, unescaped; min..max code points; no NUL */
	F_ID,        /* struct str: 1 to 128 printable ASCII characters, or a number as its text */
	F_RAW,       /* struct str: any value, as raw JSON */
	F_OBJECT,    /* struct str: an object, raw; or a nested struct where .fields is set */
	F_ARRAY,     /* struct str: an array, raw; at most max elements */
	F_STRS,      /* struct strs: an array of F_STR, these without bounds; min..max elements */
	F_IDS,       /* struct strs: an array of F_ID; min..max elements */
	F_INT,       /* int64_t: min..max (as integers) */
	F_BOOL,      /* bool */
};

struct field {
	const char *name;            /* NULL ends a table */
	size_t name_len;
	enum field_type type;
	size_t offset;               /* into the decoded struct */
	const struct field *fields;  /* F_OBJECT: decode into the struct at offset */
	int64_t min, max;            /* 0, 0: unbounded */
	bool required;               /* else absent, or null, leaves zeroes */
};

/* FIELD(struct tag, member, type, .required = true, …): the JSON name is the member's. */
#define FIELD(tag, member, ...) FIELD_AS(tag, member, #member, __VA_ARGS__)
/* The same with another JSON name. */
#define FIELD_AS(tag, member, json, ...) \
	{ .name = (json), .name_len = sizeof(json) - 1, .offset = offsetof(struct tag, member), \
	  .type = __VA_ARGS__ }

/* Decodes `object` (valid JSON) into `out` (zeroed by the caller). Unknown keys are ignored,
 * of equal ones the last counts. Strings are slices of `object` or live in the arena. On failure
 * returns ERR_INVALID and says in *why which field and what ("must be a string"). */
MUST_USE enum err schema_decode(const struct field *fields, struct str object, struct arena *a,
                                void *out, struct fault *why);
/* The same for one named text (a path segment, a query parameter; already percent-decoded): ERR_OK
 * when no field has that name. Lists are separated by commas; F_RAW, F_OBJECT,
 * F_ARRAY take JSON. */
MUST_USE enum err schema_put_text(const struct field *fields, struct str name, struct str text,
                                  struct arena *a, void *out, struct fault *why);
/* After schema_put_text: whether all that is required is there: a string that came is not NULL. Of
 * an F_INT, an F_BOOL and a nested struct nothing tells, so for texts they cannot be required. */
MUST_USE enum err schema_require(const struct field *fields, const void *out, struct fault *why);

#endif

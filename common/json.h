/* JSON without a tree: a validating scanner, a reader over validated text, and a writer.
 * RFC 8259, strict: UTF-8, no lone surrogates, nesting up to JSON_DEPTH. Numbers stay text. */
#ifndef CONFAB_JSON_H
#define CONFAB_JSON_H

#include "common/arena.h"
#include "common/buf.h"

enum { JSON_DEPTH = 32 };

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* Scanner: the length of the one value at the start of `text` (leading blanks counted, trailing
 * ones not), or 0 if there is none. Pure; any bytes may be given. */
size_t json_scan(struct str text);
/* Whether `text` is exactly one value, blanks around it allowed; *value is it without them. */
bool json_valid(struct str text, struct str *value);

/* Reader, for values that the scanner accepted (no blanks around). */
enum json_type json_type(struct str value);
struct json_iter {
	struct str rest;
};
/* Starts on an array or an object. */
struct json_iter json_iter(struct str container);
/* The next element; for an object *key is the raw key with its quotes (key may be NULL for arrays).
 * False at the end. */
bool json_next(struct json_iter *it, struct str *key, struct str *value);
/* A raw string literal's text: a slice of it when there is nothing to unescape,
 * else in the arena. */
struct str json_text(struct arena *a, struct str literal);
/* Whether a raw string literal says `text` (compared unescaped). */
bool json_text_is(struct str literal, struct str text);
/* An integer without fraction or exponent; false when it is none or does not fit. */
bool json_i64(struct str number, int64_t *out);

/* Writer: compact JSON into a buffer; commas are put by the writer. */
struct json_out {
	struct buf *to;
	bool comma;        /* something stands before, at this level */
};
struct json_out json_out(struct buf *to);
void json_open(struct json_out *j, char bracket);      /* '{' or '[' */
void json_close(struct json_out *j, char bracket);     /* '}' or ']' */
void json_key(struct json_out *j, const char *key);    /* must need no escapes */
void json_str(struct json_out *j, struct str text);    /* escaped; must be valid UTF-8 */
void json_int(struct json_out *j, int64_t n);
void json_bool(struct json_out *j, bool b);
void json_raw(struct json_out *j, struct str value);   /* JSON already; STR_NONE: null */
/* Not a symbol, for jansson has one of this name, and the linker would mix them up. */
static inline void json_null(struct json_out *j)
{
	json_raw(j, STR_NONE);
}
/* Key and value at once. */
void json_put_str(struct json_out *j, const char *key, struct str text);
void json_put_int(struct json_out *j, const char *key, int64_t n);
void json_put_bool(struct json_out *j, const char *key, bool b);
void json_put_raw(struct json_out *j, const char *key, struct str value);
/* An ISO 8601 time with milliseconds, as a string. */
void json_put_time(struct json_out *j, const char *key, int64_t wall_ms);

#endif

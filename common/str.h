/* A string from outside: a pointer and a length, borrowed, not terminated. */
#ifndef CONFAB_STR_H
#define CONFAB_STR_H

#include "common/base.h"

struct str {
	const char *p;
	size_t len;
};

/* A list of strings, borrowed like each of them. */
struct strs {
	const struct str *v;
	size_t n;
};

#define STR(literal) ((struct str){ (literal), sizeof(literal) - 1 })
#define STR_NONE ((struct str){ NULL, 0 })
/* For printf: "%.*s", STR_ARG(s). */
#define STR_ARG(s) (int)(s).len, (s).p

/* A terminated C string, seen as a str; NULL gives STR_NONE. */
struct str str_z(const char *text);
bool str_eq(struct str a, struct str b);
bool str_eqz(struct str a, const char *b);
/* Equal but for the case of ASCII letters. */
bool str_eq_nocase(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
/* The part of s from `from` on; empty when s is shorter. */
struct str str_from(struct str s, size_t from);
/* Cuts *rest at the first `sep`: returns what stood before it and leaves in *rest what follows;
 * without a `sep`, returns all and leaves STR_NONE. */
struct str str_cut(struct str *rest, char sep);
/* Without blanks and tabs at both ends. */
struct str str_trim(struct str s);
/* Decimal digits only, no sign, no overflow; false leaves *out alone. */
bool str_u64(struct str s, uint64_t *out);
/* Whether a byte occurs; a needle string occurs. */
bool str_has(struct str s, char byte);

/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool utf8_valid(struct str s);
/* Code points in valid UTF-8. */
size_t utf8_count(struct str s);

#endif

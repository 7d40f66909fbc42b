/* JSON without a tree, scanner and reader: the scanner checks everything once, so that the reader
 * need not, and values travel as slices of the text they came in. */
#include "common/json.h"

#include <string.h>

#include "common/json_plain.h"

static bool is_blank(char c)
{
	return c <= ' ' && (c == ' ' || c == '\n' || c == '\r' || c == '\t');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* --- the scanner ----------------------------------------------------------------------------- */

struct scan {
	const char *p, *end;
	unsigned depth;
	uint64_t objects;    /* the lowest bit: whether the innermost container is an object */
};
_Static_assert(JSON_DEPTH <= 64, "one bit per level");

static void scan_blanks(struct scan *s)
{
	while (s->p < s->end && is_blank(*s->p))
		s->p++;
}

static bool scan_char(struct scan *s, char c)
{
	if (s->p == s->end || *s->p != c)
		return false;
	s->p++;
	return true;
}

static int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The code unit of the `uXXXX` at p, or -1. */
static int code_unit(const char *p, const char *end)
{
	int unit = 0;

	if (end - p < 5 || *p != 'u')
		return -1;
	for (int i = 1; i < 5; i++) {
		const int digit = hex_value(p[i]);
		if (digit < 0)
			return -1;
		unit = unit << 4 | digit;
	}
	return unit;
}

/* The end of the escape whose backslash stands at p, or NULL. A surrogate counts only as the first
 * of a pair (RFC 8259, section 7). */
static const char *escape_end(const char *p, const char *end)
{
	if (end - p < 2)
		return NULL;
	if (p[1] != 'u')
		return p[1] && strchr("\"\\/bfnrt", p[1]) ? p + 2 : NULL;
	const int unit = code_unit(p + 1, end);
	if (unit < 0 || (unit >= 0xdc00 && unit <= 0xdfff))
		return NULL;
	if (unit < 0xd800 || unit > 0xdfff)
		return p + 6;
	if (end - p < 12 || p[6] != '\\')
		return NULL;
	const int low = code_unit(p + 7, end);
	return low >= 0xdc00 && low <= 0xdfff ? p + 12 : NULL;
}

static bool scan_string(struct scan *s)
{
	uint64_t seen = 0;

	if (!scan_char(s, '"'))
		return false;
	const char *start = s->p;
	while ((s->p = json_plain_end(s->p, s->end, &seen)) < s->end && *s->p == '\\') {
		const char *after = escape_end(s->p, s->end);
		if (!after)
			return false;
		s->p = after;
	}
	const struct str content = { start, (size_t)(s->p - start) };
	/* No byte of a longer code point looks like a quote, so this can wait until the end. */
	return scan_char(s, '"') && (!(seen & 0x8080808080808080u) || utf8_valid(content));
}

static bool scan_digits(struct scan *s)
{
	const char *start = s->p;

	while (s->p < s->end && is_digit(*s->p))
		s->p++;
	return s->p > start;
}

static bool scan_number(struct scan *s)
{
	scan_char(s, '-');
	if (!scan_char(s, '0') && !scan_digits(s))
		return false;
	if (scan_char(s, '.') && !scan_digits(s))
		return false;
	if (!scan_char(s, 'e') && !scan_char(s, 'E'))
		return true;
	if (!scan_char(s, '+'))
		scan_char(s, '-');
	return scan_digits(s);
}

static bool scan_word(struct scan *s, struct str word)
{
	if (!str_starts((struct str){ s->p, (size_t)(s->end - s->p) }, word))
		return false;
	s->p += word.len;
	return true;
}

/* What is neither an array nor an object. */
static bool scan_scalar(struct scan *s)
{
	switch (*s->p) {
	case '"':
		return scan_string(s);
	case 't':
		return scan_word(s, STR("true"));
	case 'f':
		return scan_word(s, STR("false"));
	case 'n':
		return scan_word(s, STR("null"));
	default:
		return scan_number(s);
	}
}

static bool in_object(const struct scan *s)
{
	return s->objects & 1;
}

static char closing(const struct scan *s)
{
	return in_object(s) ? '}' : ']';
}

/* Up to where a value is due: in an object the key and its colon stand before it. */
static bool scan_to_value(struct scan *s)
{
	if (!in_object(s))
		return true;
	scan_blanks(s);
	if (!scan_string(s))
		return false;
	scan_blanks(s);
	return scan_char(s, ':');
}

/* Into a container; *empty: it has no value, and its bracket closes next. */
static bool scan_open(struct scan *s, bool *empty)
{
	if (s->depth++ == JSON_DEPTH)
		return false;
	s->objects = s->objects << 1 | (*s->p++ == '{');
	scan_blanks(s);
	*empty = s->p < s->end && *s->p == closing(s);
	return *empty || scan_to_value(s);
}

/* After a value: out of all containers that close here; then a value is due, or depth is 0. */
static bool scan_after_value(struct scan *s)
{
	while (s->depth) {
		scan_blanks(s);
		if (scan_char(s, ','))
			return scan_to_value(s);
		if (!scan_char(s, closing(s)))
			return false;
		s->depth--;
		s->objects >>= 1;
	}
	return true;
}

static bool scan_value(struct scan *s)
{
	do {
		bool complete = true;
		scan_blanks(s);
		if (s->p == s->end)
			return false;
		if (*s->p != '{' && *s->p != '[') {
			if (!scan_scalar(s))
				return false;
		} else if (!scan_open(s, &complete)) {
			return false;
		}
		if (complete && !scan_after_value(s))
			return false;
	} while (s->depth);
	return true;
}

size_t json_scan(struct str text)
{
	if (!text.len)
		return 0;
	struct scan s = { .p = text.p, .end = text.p + text.len };
	return scan_value(&s) ? (size_t)(s.p - text.p) : 0;
}

static struct str after_blanks(struct str s)
{
	while (s.len && is_blank(s.p[0]))
		s = str_from(s, 1);
	return s;
}

bool json_valid(struct str text, struct str *value)
{
	const size_t len = json_scan(text);

	if (!len || after_blanks(str_from(text, len)).len)
		return false;
	*value = after_blanks((struct str){ text.p, len });
	return true;
}

/* --- the reader ------------------------------------------------------------------------------ */

enum json_type json_type(struct str value)
{
	switch (value.len ? value.p[0] : 'n') {
	case '{':
		return JSON_OBJECT;
	case '[':
		return JSON_ARRAY;
	case '"':
		return JSON_STRING;
	case 't':
	case 'f':
		return JSON_BOOL;
	case 'n':
		return JSON_NULL;
	default:
		return JSON_NUMBER;
	}
}

/* The functions that skip rely on the scanner's yes, but stay inside their text even so. */
static const char *skip_string(const char *p, const char *end)
{
	const char *quote = memchr(p + 1, '"', (size_t)(end - p - 1));
	uint64_t seen = 0;

	if (quote == NULL || quote[-1] != '\\')
		return quote != NULL ? quote + 1 : end;
	for (p++; (p = json_plain_end(p, end, &seen)) < end && *p == '\\';)
		p = end - p < 2 ? end : p + 2;
	return p < end ? p + 1 : end;
}

static const char *skip_container(const char *p, const char *end)
{
	unsigned depth = 0;

	while (p < end) {
		const char c = *p;
		if (c == '"') {
			p = skip_string(p, end);
			continue;
		}
		p++;
		if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && --depth == 0)
			break;
	}
	return p;
}

static const char *skip_plain(const char *p, const char *end)
{
	while (p < end && !is_blank(*p) && *p != ',' && *p != ']' && *p != '}')
		p++;
	return p;
}

/* Cuts the value at the start of *rest off, and the blanks behind it. */
static struct str take_value(struct str *rest)
{
	const char *p = rest->p, *end = rest->p + rest->len;

	if (*p == '"')
		p = skip_string(p, end);
	else if (*p == '{' || *p == '[')
		p = skip_container(p, end);
	else
		p = skip_plain(p, end);
	const struct str value = { rest->p, (size_t)(p - rest->p) };
	*rest = after_blanks(str_from(*rest, value.len));
	return value;
}

struct json_iter json_iter(struct str container)
{
	if (container.len < 2)
		return (struct json_iter){ STR_NONE };
	const struct str inside = { container.p + 1, container.len - 2 };
	return (struct json_iter){ after_blanks(inside) };
}

bool json_next(struct json_iter *it, struct str *key, struct str *value)
{
	struct str *rest = &it->rest;
	struct str name = STR_NONE;

	if (!rest->len)
		return false;
	*value = take_value(rest);
	/* Only what an object's keys are followed by tells them from an array's strings. */
	if (rest->len && rest->p[0] == ':') {
		name = *value;
		*rest = after_blanks(str_from(*rest, 1));
		*value = rest->len ? take_value(rest) : STR_NONE;
	}
	if (rest->len)
		*rest = after_blanks(str_from(*rest, 1));
	if (key)
		*key = name;
	return true;
}

static size_t put_utf8(char out[4], unsigned point)
{
	static const struct {
		unsigned below, first;
	} forms[] = { { 0x80, 0 }, { 0x800, 0xc0 }, { 0x10000, 0xe0 }, { 0x110000, 0xf0 } };
	size_t more = 0;

	while (more < 3 && point >= forms[more].below)
		more++;
	for (size_t i = more; i > 0; i--) {
		out[i] = (char)(0x80 | (point & 0x3f));
		point >>= 6;
	}
	out[0] = (char)(forms[more].first | point);
	return more + 1;
}

/* Decodes the escape whose backslash stands at *p, and steps over it; returns how many bytes it
 * is. */
static size_t unescape(char out[4], const char **p, const char *end)
{
	static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
	const char *at = *p;

	if (at[1] != 'u') {
		const char *found = strchr(from, at[1]);
		out[0] = found ? to[found - from] : at[1];
		*p += 2;
		return 1;
	}
	unsigned point = (unsigned)code_unit(at + 1, end);
	*p += 6;
	if (point >= 0xd800 && point <= 0xdfff) {
		const unsigned low = (unsigned)code_unit(at + 7, end);
		point = 0x10000 + ((point & 0x3ff) << 10) + (low & 0x3ff);
		*p += 6;
	}
	return put_utf8(out, point);
}

static struct str without_quotes(struct str literal)
{
	return (struct str){ literal.p + 1, literal.len - 2 };
}

struct str json_text(struct arena *a, struct str literal)
{
	const struct str raw = without_quotes(literal);
	const char *end = raw.p + raw.len;

	if (!str_has(raw, '\\'))
		return raw;
	/* An escape is never shorter than what it stands for. */
	char *text = arena_alloc(a, raw.len + 1);
	size_t len = 0;
	for (const char *p = raw.p; p < end;) {
		char piece[4] = { *p };
		size_t n = 1;
		if (*p == '\\')
			n = unescape(piece, &p, end);
		else
			p++;
		memcpy(text + len, piece, n);
		len += n;
	}
	return (struct str){ text, len };
}

bool json_text_is(struct str literal, struct str text)
{
	const struct str raw = without_quotes(literal);
	const char *end = raw.p + raw.len;

	if (!str_has(raw, '\\'))
		return str_eq(raw, text);
	for (const char *p = raw.p; p < end;) {
		char piece[4] = { *p };
		size_t n = 1;
		if (*p == '\\')
			n = unescape(piece, &p, end);
		else
			p++;
		if (!str_starts(text, (struct str){ piece, n }))
			return false;
		text = str_from(text, n);
	}
	return !text.len;
}

bool json_i64(struct str number, int64_t *out)
{
	const bool negative = number.len && number.p[0] == '-';
	const uint64_t limit = (uint64_t)INT64_MAX + negative;
	uint64_t n;

	if (!str_u64(str_from(number, negative), &n) || n > limit)
		return false;
	*out = negative ? (int64_t)(0 - n) : (int64_t)n;
	return true;
}

/* Strings from outside: comparing, cutting, and what counts as UTF-8. */
#include "common/str.h"

#include <string.h>

struct str str_z(const char *text)
{
	return text ? (struct str){ text, strlen(text) } : STR_NONE;
}

bool str_eq(struct str a, struct str b)
{
	return a.len == b.len && (!a.len || !memcmp(a.p, b.p, a.len));
}

bool str_eqz(struct str a, const char *b)
{
	return str_eq(a, str_z(b));
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool str_eq_nocase(struct str a, struct str b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (lower(a.p[i]) != lower(b.p[i]))
			return false;
	return true;
}

bool str_starts(struct str s, struct str prefix)
{
	return s.len >= prefix.len && str_eq((struct str){ s.p, prefix.len }, prefix);
}

struct str str_from(struct str s, size_t from)
{
	if (!s.p)
		return STR_NONE;
	if (from > s.len)
		from = s.len;
	return (struct str){ s.p + from, s.len - from };
}

/* memchr, but for strings that may be STR_NONE. */
static const char *find(struct str s, char byte)
{
	return s.len ? memchr(s.p, (unsigned char)byte, s.len) : NULL;
}

struct str str_cut(struct str *rest, char sep)
{
	const struct str all = *rest;
	const char *at = find(all, sep);

	if (!at) {
		*rest = STR_NONE;
		return all;
	}
	const size_t len = (size_t)(at - all.p);
	*rest = str_from(all, len + 1);
	return (struct str){ all.p, len };
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct str str_trim(struct str s)
{
	while (s.len && is_blank(s.p[0]))
		s = str_from(s, 1);
	while (s.len && is_blank(s.p[s.len - 1]))
		s.len--;
	return s;
}

bool str_u64(struct str s, uint64_t *out)
{
	uint64_t n = 0;

	if (!s.len)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(s.p[i] - '0'), &n))
			return false;
	}
	*out = n;
	return true;
}

bool str_has(struct str s, char byte)
{
	return find(s, byte) != NULL;
}

/* The bytes of the code point at p, which is not ASCII, or 0 if it is ill-formed. The second byte's
 * bounds are what keeps out overlong forms, surrogates and the space beyond (RFC 3629, section
 * 4). */
static size_t multibyte(const unsigned char *p, size_t left)
{
	const unsigned char c = p[0];

	if (c < 0xe0)
		return c >= 0xc2 && left >= 2 && (p[1] & 0xc0) == 0x80 ? 2 : 0;
	const size_t len = c < 0xf0 ? 3 : 4;
	const unsigned char low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
	const unsigned char high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;

	if (c > 0xf4 || left < len || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

/* How many of the bytes from p on are ASCII, by whole words: what follows is looked at singly. */
static size_t ascii_words(const unsigned char *p, size_t left)
{
	size_t n = 0;

	for (uint64_t word; left - n >= sizeof(word); n += sizeof(word)) {
		memcpy(&word, p + n, sizeof(word));
		if (word & 0x8080808080808080u)
			break;
	}
	return n;
}

bool utf8_valid(struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t i = 0;

	while (i < s.len) {
		i += ascii_words(p + i, s.len - i);
		while (i < s.len && p[i] < 0x80)
			i++;
		while (i < s.len && p[i] >= 0x80) {
			const size_t len = multibyte(p + i, s.len - i);
			if (!len)
				return false;
			i += len;
		}
	}
	return true;
}

size_t utf8_count(struct str s)
{
	size_t n = 0;

	/* Every byte but a continuation begins a code point. */
	for (size_t i = 0; i < s.len; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

/* Inside of json.c and json_out.c: over what needs no look in a JSON string,
 * eight bytes at a time. */
#ifndef CONFAB_JSON_PLAIN_H
#define CONFAB_JSON_PLAIN_H

#include <endian.h>
#include <string.h>

#include "common/base.h"

/* The top bits of those of eight bytes that need a look inside a string: a quote, a backslash or a
 * control character. `byte - k` borrows into the top bit when byte < k; what a borrow spoils lies
 * above the first that is found, so the lowest bit is always right. */
static inline uint64_t json_special_bits(uint64_t word)
{
	const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
	const uint64_t quote = word ^ ones * '"', slash = word ^ ones * '\\';

	return (((word - ones * 0x20) & ~word) | ((quote - ones) & ~quote) |
	        ((slash - ones) & ~slash)) & tops;
}

static inline bool json_is_special(char c)
{
	return (unsigned char)c < 0x20 || c == '"' || c == '\\';
}

/* The first byte at or after p that is special in a string, or end; those before it are or-ed into
 * *seen. */
static inline const char *json_plain_end(const char *p, const char *end, uint64_t *seen)
{
	for (uint64_t word; end - p >= 8; p += 8) {
		memcpy(&word, p, sizeof(word));
		word = le64toh(word);
		const uint64_t bits = json_special_bits(word);
		if (bits) {
			*seen |= word & ((bits & -bits) - 1);
			return p + __builtin_ctzll(bits) / 8;
		}
		*seen |= word;
	}
	while (p < end && !json_is_special(*p))
		*seen |= (unsigned char)*p++;
	return p;
}

#endif

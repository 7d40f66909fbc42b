/* What every fuzz target stands on: the entry that libFuzzer and replay.c call, checks that end the
 * process, and dice thrown by the input. */
#ifndef CONFAB_FUZZ_H
#define CONFAB_FUZZ_H

#include <stdio.h>
#include <stdlib.h>

#include "common/str.h"

/* Once for each input; always 0. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* A promise of the code under test. Not assert(): it must hold in every build. */
#define CHECK(promise) \
	do { \
		if (!(promise)) { \
			fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #promise); \
			abort(); \
		} \
	} while (0)

static inline struct str fuzz_str(const uint8_t *bytes, size_t len)
{
	return (struct str){ (const char *)bytes, len };
}

/* Cuts the first byte off; 0 when there is none. */
static inline unsigned fuzz_byte(struct str *rest)
{
	if (rest->len == 0)
		return 0;
	const unsigned byte = (unsigned char)rest->p[0];
	*rest = (struct str){ rest->p + 1, rest->len - 1 };
	return byte;
}

/* A number from 1 to `most` that depends on *seed alone; for places to cut an input at. */
static inline size_t fuzz_roll(uint32_t *seed, size_t most)
{
	*seed = *seed * 1664525u + 1013904223u;
	return most == 0 ? 0 : 1 + (*seed >> 16) % most;
}

/* Whether `part` lies within `whole`. */
static inline bool fuzz_within(struct str part, struct str whole)
{
	return part.p == NULL ||
	       (part.p >= whole.p && part.len <= whole.len &&
	        (size_t)(part.p - whole.p) <= whole.len - part.len);
}

#endif

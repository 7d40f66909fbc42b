/* A place in the one order of all feeds: an epoch and a clock in one number, `<epoch>-<clock>` in
 * text. 20 bits of epoch above 44 bits of clock; compared as numbers. 0 is before everything. */
#ifndef CONFAB_STAMP_H
#define CONFAB_STAMP_H

#include "common/buf.h"

enum { STAMP_CLOCK_BITS = 44, STAMP_TEXT_MAX = 24 };

static inline uint64_t stamp_make(uint64_t epoch, uint64_t clock)
{
	return epoch << STAMP_CLOCK_BITS | clock;
}

static inline uint64_t stamp_epoch(uint64_t stamp)
{
	return stamp >> STAMP_CLOCK_BITS;
}

static inline uint64_t stamp_clock(uint64_t stamp)
{
	return stamp & (((uint64_t)1 << STAMP_CLOCK_BITS) - 1);
}

/* False, and *out alone, unless `text` is two decimal numbers in range with a '-' between. */
bool stamp_parse(struct str text, uint64_t *out);
void stamp_write(struct buf *out, uint64_t stamp);

#endif

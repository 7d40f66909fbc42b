/* Time, read once per turn of the event loop. */
#ifndef CONFAB_CLOCK_H
#define CONFAB_CLOCK_H

#include "common/buf.h"

/* Reads both clocks now. */
void clock_update(void);
/* The turn is over and time will pass: whoever asks next reads the clocks anew. */
void clock_stale(void);
/* Monotonic milliseconds as of this turn; never goes back. */
uint64_t clock_now_ms(void);
/* Milliseconds since 1970 as of this turn; may jump with the host's clock. */
int64_t clock_wall_ms(void);
/* Microseconds, read at each call, for what is measured within a turn: monotonic; since 1970. */
uint64_t clock_exact_us(void);
int64_t clock_exact_wall_us(void);
/* Writes `2017-07-21T17:32:28Z`, or with milliseconds `…28.123Z` (RFC 3339, UTC). */
void clock_iso_seconds(struct buf *out, int64_t wall_ms);
void clock_iso_millis(struct buf *out, int64_t wall_ms);

#endif

/* A place in the one order of all feeds. */
#include "common/stamp.h"

bool stamp_parse(struct str text, uint64_t *out)
{
	uint64_t epoch, clock;
	struct str head = str_cut(&text, '-');
	if (!str_u64(head, &epoch) || !str_u64(text, &clock))
		return false;
	if (epoch >> (64 - STAMP_CLOCK_BITS) != 0 || clock >> STAMP_CLOCK_BITS != 0)
		return false;
	*out = stamp_make(epoch, clock);
	return true;
}

void stamp_write(struct buf *out, uint64_t stamp)
{
	buf_u64(out, stamp_epoch(stamp));
	buf_char(out, '-');
	buf_u64(out, stamp_clock(stamp));
}

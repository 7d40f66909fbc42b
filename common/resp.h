/* The bounds of what is taken from Redis: hiredis' reader believes any length that it is told. */
#ifndef CONFAB_RESP_H
#define CONFAB_RESP_H

#include <hiredis/hiredis.h>

#include "common/base.h"

enum {
	/* Of one answer. The largest that our functions give is a page of 500 events. */
	RESP_MAX_BYTES = 64 * 1024 * 1024,
	RESP_MAX_LINE = 64 * 1024,
	RESP_MAX_ELEMENTS = 256 * 1024,
};

/* Makes the reader of a new connection refuse arrays with more elements, and arrays in arrays,
 * which no answer of ours has: before anything is allocated for them. */
void resp_bound(redisReader *reader);

/* The next answer if it is whole, else NULL; to be freed by freeReplyObject. False, and nothing
 * more can be read: no answer of Redis, or one beyond the bounds; reader->errstr says which.
 * `*taken`: the bytes that the answer under way has so far; what was fed has to be added. */
MUST_USE bool resp_next(redisReader *reader, size_t *taken, redisReply **out);

#endif

/* The body of an HTTP/1.1 request as it arrives: by length or chunked (RFC 9112 §6, §7). Pure. */
#ifndef CONFAB_BODY_H
#define CONFAB_BODY_H

#include "common/buf.h"
#include "worker/net/head.h"

struct body {
	enum body_kind kind;
	uint64_t left;       /* bytes still to come, of the body or of this chunk */
	uint64_t total;      /* content bytes so far */
	uint64_t max;
	uint8_t state;       /* chunked: where in the grammar */
	uint16_t line;       /* bytes of the chunk's size line, or of the trailers, so far */
};

enum body_status { BODY_MORE, BODY_DONE, BODY_BAD /* 400 */, BODY_TOO_LARGE /* 413 */ };

/* Starts on the body that `h` announces; BODY_DONE at once when there is none, BODY_TOO_LARGE when
 * the announced length is over `max`. */
enum body_status body_start(struct body *b, const struct head *h, uint64_t max);
/* Takes bytes from *in (cutting off what it used), adds content to `out`. Trailers are refused
 * unless empty. Chunk extensions are skipped, bounded; line ends are CRLF only. */
enum body_status body_feed(struct body *b, struct str *in, struct buf *out);
/* The same without a copy: stops after the next run of content, which *piece is then;
 * else it is empty. */
enum body_status body_next(struct body *b, struct str *in, struct str *piece);

#endif

/* The head of an HTTP/1.1 request, parsed strictly (RFC 9112): a pure function over bytes.
 * What two servers could read in two ways is refused: bare LF, obs-fold, blanks before the colon,
 * doubled or odd Content-Length, Content-Length beside Transfer-Encoding, NUL and control bytes. */
#ifndef CONFAB_HEAD_H
#define CONFAB_HEAD_H

#include "common/arena.h"
#include "common/str.h"

enum { HEAD_MAX_BYTES = 16 * 1024, HEAD_MAX_FIELDS = 64 };

enum body_kind { BODY_NONE, BODY_LENGTH, BODY_CHUNKED };

struct head_field {
	struct str name, value;      /* value without blanks around */
};

/* All strings are slices of the input. */
struct head {
	struct str method, target;   /* in origin-form ("/…") or "*"; absolute-form is cut to it */
	struct str path, query;      /* of target: before and after the first '?' */
	struct head_field fields[HEAD_MAX_FIELDS];
	unsigned n;
	unsigned minor;              /* HTTP/1.minor: 0 or 1 */
	enum body_kind body;
	uint64_t length;             /* BODY_LENGTH */
	bool keep_alive;
	bool expect_continue;
	bool upgrade;                /* Connection names "upgrade" and there is an Upgrade field */
};

/* Parses the head at the start of `bytes`. Returns its length when it is complete, 0 when more
 * bytes are needed, or minus the HTTP status that refuses it (400, 413 for a Content-Length past
 * 2^63, 414 for a target over 8 KiB, 431, 501 for another Transfer-Encoding, 505). One empty line
 * before the request line is skipped (RFC 9112 §2.2). Refuses as early as it can tell. */
int head_parse(struct str bytes, struct head *out);

/* The value of the first field of that name (any case), or STR_NONE. */
struct str head_field(const struct head *h, const char *name);
/* Whether a comma-separated field holds `token`, in any case, in any of its lines. */
bool head_has_token(const struct head *h, const char *name, const char *token);

/* Percent-decoding into the arena ('+' is a blank where `form`); STR_NONE with *ok false when it is
 * malformed, not UTF-8, or holds NUL. */
struct str percent_decode(struct arena *a, struct str raw, bool form, bool *ok);
/* The decoded value of the first good pair of that name in a query string;
 * STR_NONE: there is none. */
struct str query_get(struct arena *a, struct str query, const char *name);

enum query_pair { QUERY_END, QUERY_PAIR, QUERY_MALFORMED };

/* Walks a query string: the next pair, decoded. Of a malformed one, what cannot be
 * decoded is STR_NONE. */
enum query_pair query_next(struct arena *a, struct str *rest, struct str *name, struct str *value);

#endif

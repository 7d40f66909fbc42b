/* Tokens found good before, by their SHA-256: verifying a public-key signature costs 300 µs, and
 * after an outage every client shows its token again. Bounded: the oldest goes first. */
#ifndef CONFAB_TOKEN_CACHE_H
#define CONFAB_TOKEN_CACHE_H

#include "common/list.h"
#include "common/map.h"
#include "common/token.h"

enum { TOKEN_CACHE_MAX = 10000 };

struct token_cache {
	struct map by_digest;
	struct list by_age; /* the oldest first */
	size_t n, most;
};

/* A good token; its times are yet to be judged against the clock. */
struct token_said {
	struct claims claims;
	int64_t nbf;
};

/* Holds at most `most` (> 0) tokens. */
void token_cache_init(struct token_cache *c, size_t most);
void token_cache_fini(struct token_cache *c);
/* What that token says, borrowed until the next put or drop; NULL: not known. */
const struct token_said *token_cache_get(const struct token_cache *c, struct str token);
/* Remembers a copy. */
void token_cache_put(struct token_cache *c, struct str token, const struct token_said *said);
/* Forgets it, if it was known. */
void token_cache_drop(struct token_cache *c, struct str token);

#endif

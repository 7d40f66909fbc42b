/* A bounded memory of good tokens. Each entry is one block: the struct, then its strings. */
#include "common/token_cache.h"

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "common/mem.h"

struct known {
	struct list link; /* in by_age */
	unsigned char digest[crypto_hash_sha256_BYTES];
	struct token_said said;
	char text[];
};

static struct str digest_key(const unsigned char *digest)
{
	return (struct str){ (const char *)digest, crypto_hash_sha256_BYTES };
}

static void token_digest(struct str token, unsigned char *digest)
{
	crypto_hash_sha256(digest, (const unsigned char *)token.p, token.len);
}

void token_cache_init(struct token_cache *c, size_t most)
{
	*c = (struct token_cache){ .most = most };
	list_init(&c->by_age);
}

static void known_free(struct token_cache *c, struct known *k)
{
	map_take(&c->by_digest, digest_key(k->digest));
	list_remove(&k->link);
	c->n--;
	free(k);
}

void token_cache_fini(struct token_cache *c)
{
	LIST_EACH(&c->by_age, link)
		known_free(c, LIST_OF(link, struct known, link));
	map_fini(&c->by_digest);
}

static struct known *known_find(const struct token_cache *c, struct str token)
{
	unsigned char digest[crypto_hash_sha256_BYTES];

	if (c->n == 0)
		return NULL;         /* as it stays where all tokens are signed with a secret */
	token_digest(token, digest);
	return map_get(&c->by_digest, digest_key(digest));
}

const struct token_said *token_cache_get(const struct token_cache *c, struct str token)
{
	const struct known *k = known_find(c, token);

	return k ? &k->said : NULL;
}

void token_cache_drop(struct token_cache *c, struct str token)
{
	struct known *k = known_find(c, token);

	if (k)
		known_free(c, k);
}

static char *string_keep(struct str *s, char *to)
{
	if (!s->len)
		return to;
	memcpy(to, s->p, s->len);
	s->p = to;
	return to + s->len;
}

static struct known *known_new(const struct token_said *said)
{
	const struct claims *from = &said->claims;
	struct known *k = xmalloc(sizeof(*k) + from->sub.len + from->name.len + from->username.len +
	                          from->image.len + from->email.len);
	struct claims *to = &k->said.claims;

	list_init(&k->link);
	k->said = *said;
	char *at = string_keep(&to->sub, k->text);
	at = string_keep(&to->name, at);
	at = string_keep(&to->username, at);
	at = string_keep(&to->image, at);
	string_keep(&to->email, at);
	return k;
}

void token_cache_put(struct token_cache *c, struct str token, const struct token_said *said)
{
	struct known *k = known_new(said);

	token_digest(token, k->digest);
	token_cache_drop(c, token);
	if (c->n >= c->most)
		known_free(c, LIST_OF(c->by_age.next, struct known, link));
	map_put(&c->by_digest, digest_key(k->digest), k);
	list_push(&c->by_age, &k->link);
	c->n++;
}

/* JSON Web Tokens (RFC 7519), verified and issued: libjwt behind a door that pins the algorithm to
 * the key and checks the times itself, since the library does neither. */
#ifndef CONFAB_TOKEN_H
#define CONFAB_TOKEN_H

#include "common/arena.h"
#include "common/conf.h"
#include "common/err.h"

enum { TOKEN_MAX = 8192, TOKEN_LEEWAY_S = 5 };

struct token_keys;

/* What a good token says; strings live in the arena, absent ones are STR_NONE. */
struct claims {
	struct str sub, name, username, image, email;
	int64_t exp;       /* seconds since 1970; 0: never */
};

/* An empty set; owned by the caller. issuer and audience may be NULL: not checked. */
struct token_keys *token_keys_new(const char *issuer, const char *audience);
void token_keys_free(struct token_keys *keys);
/* Adds a shared secret (algorithm "HS256", "HS384" or "HS512"); refuses an empty one. */
MUST_USE bool token_keys_secret(struct token_keys *keys, struct str secret, const char *alg);
/* Adds a PEM file for "RS256" … or "ES256" …; a private key can sign too. On failure says why. */
MUST_USE bool token_keys_pem(struct token_keys *keys, const char *path, const char *alg,
                             char *why, size_t size);
/* Adds all keys of a configuration, by the two above: its PEM files, then the secret, which is
 * made if it is to be (conf_jwt_secret). False: `why` says what is wrong with which. */
MUST_USE bool token_keys_load(struct token_keys *keys, const struct conf *c, char *why,
                              size_t size);
/* Whether that would be done, for who has no use for the keys; the secret is made all the same. */
MUST_USE bool token_keys_check(const struct conf *c, char *why, size_t size);
/* Whether tokens can be issued (a secret or a private key is there). */
bool token_keys_can_sign(const struct token_keys *keys);

/* ERR_OK and *out, or ERR_UNAUTHENTICATED (bad in whatever way), or ERR_NO_TOKEN (empty). */
MUST_USE enum err token_verify(struct token_keys *keys, struct str token, int64_t now_s,
                               struct arena *a, struct claims *out);
/* A token for these claims, valid from now until claims->exp, by the first key that can sign; in
 * the arena. ERR_NO_SIGNING_KEY, or ERR_INVALID (no sub that token_verify would take). */
MUST_USE enum err token_issue(struct token_keys *keys, const struct claims *claims, int64_t now_s,
                              struct arena *a, struct str *out);

#endif

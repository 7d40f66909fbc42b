/* JSON Web Tokens, verified and issued.
 *
 * libjwt computes signatures, and checks those of public keys. All else is done here, since it
 * takes the algorithm from the token, accepts a missing key and knows no time: the header is
 * read first, keys are chosen by the algorithm they are for, what libjwt then used is compared
 * with it, and the claims are read from the very bytes that were signed, with their types and
 * without duplicates. */
#include "common/token.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <jwt.h>
#include <openssl/hmac.h>
#include <sodium.h>

#include "common/id.h"
#include "common/mem.h"
#include "common/token_cache.h"
#include "common/token_pem.h"

enum { SUB_MAX = 128, NAME_MAX_POINTS = 64, USERNAME_MAX = 32, IMAGE_MAX = 2048, EMAIL_MAX = 254 };

#define LATEST_S INT64_C(253402300799) /* the end of the year 9999 */

struct key {
	jwt_alg_t alg;
	bool shared; /* a secret, which signs and verifies; else `pem` */
	char *kid;   /* NULL: none */
	char *secret;
	size_t secret_len;
	struct pem pem;
};

struct token_keys {
	char *issuer, *audience; /* NULL: not checked */
	struct key *keys;
	size_t n;
	struct token_cache cache; /* of tokens signed by public-key algorithms */
};

/* Keys. */

static const struct {
	const char *name;
	jwt_alg_t alg;
} algs[] = {
	{ "HS256", JWT_ALG_HS256 }, { "HS384", JWT_ALG_HS384 }, { "HS512", JWT_ALG_HS512 },
	{ "RS256", JWT_ALG_RS256 }, { "RS384", JWT_ALG_RS384 }, { "RS512", JWT_ALG_RS512 },
	{ "ES256", JWT_ALG_ES256 }, { "ES384", JWT_ALG_ES384 }, { "ES512", JWT_ALG_ES512 },
};

/* The algorithm of exactly that name; JWT_ALG_NONE for all that is not in the table. */
static jwt_alg_t alg_find(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(algs); i++)
		if (!strcmp(algs[i].name, name))
			return algs[i].alg;
	return JWT_ALG_NONE;
}

static char *copy_unless_empty(const char *text)
{
	return text && *text ? xstrdup(text) : NULL;
}

struct token_keys *token_keys_new(const char *issuer, const char *audience)
{
	struct token_keys *keys = xcalloc(1, sizeof(*keys));

	keys->issuer = copy_unless_empty(issuer);
	keys->audience = copy_unless_empty(audience);
	token_cache_init(&keys->cache, TOKEN_CACHE_MAX);
	return keys;
}

static void key_fini(struct key *key)
{
	if (key->secret)
		sodium_memzero(key->secret, key->secret_len);
	free(key->secret);
	free(key->kid);
	pem_fini(&key->pem);
}

void token_keys_free(struct token_keys *keys)
{
	if (!keys)
		return;
	for (size_t i = 0; i < keys->n; i++)
		key_fini(&keys->keys[i]);
	token_cache_fini(&keys->cache);
	free(keys->keys);
	free(keys->issuer);
	free(keys->audience);
	free(keys);
}

static void key_add(struct token_keys *keys, struct key key)
{
	keys->keys = xrealloc(keys->keys, (keys->n + 1) * sizeof(key));
	keys->keys[keys->n++] = key;
}

bool token_keys_secret(struct token_keys *keys, struct str secret, const char *alg)
{
	struct key key = { .alg = alg_find(alg), .shared = true, .secret_len = secret.len };

	if (!secret.len || secret.len > INT_MAX || strncmp(alg, "HS", 2) != 0 ||
	    key.alg == JWT_ALG_NONE)
		return false;
	key.secret = xmalloc(secret.len);
	memcpy(key.secret, secret.p, secret.len);
	key_add(keys, key);
	return true;
}

/* A file's name without directory and .pem. */
static char *kid_of_path(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *kid = xstrdup(slash ? slash + 1 : path);
	const size_t len = strlen(kid);

	if (len > 4 && !strcmp(kid + len - 4, ".pem"))
		kid[len - 4] = '\0';
	return kid;
}

bool token_keys_pem(struct token_keys *keys, const char *path, const char *alg, char *why,
                    size_t size)
{
	struct key key = { .alg = alg_find(alg) };

	if (!pem_load(&key.pem, path, alg, why, size))
		return false;
	key.kid = kid_of_path(path);
	key_add(keys, key);
	return true;
}

bool token_keys_load(struct token_keys *keys, const struct conf *c, char *why, size_t size)
{
	struct buf secret = { 0 };

	for (unsigned i = 0; i < c->n_jwt_keys; i++)
		if (!token_keys_pem(keys, c->jwt_keys[i].path, c->jwt_keys[i].alg, why, size))
			return false;
	bool ok = conf_jwt_secret(c, &secret, why, size);
	if (ok && secret.len && !token_keys_secret(keys, buf_view(&secret), c->jwt_secret_alg)) {
		snprintf(why, size, "jwt-secret: cannot be used with %s", c->jwt_secret_alg);
		ok = false;
	}
	if (secret.len)
		sodium_memzero(secret.p, secret.len);
	buf_fini(&secret);
	return ok;
}

bool token_keys_check(const struct conf *c, char *why, size_t size)
{
	struct token_keys *keys = token_keys_new(NULL, NULL);
	const bool ok = token_keys_load(keys, c, why, size);

	token_keys_free(keys);
	return ok;
}

static const struct key *signing_key(const struct token_keys *keys)
{
	for (size_t i = 0; i < keys->n; i++)
		if (keys->keys[i].shared || keys->keys[i].pem.sign)
			return &keys->keys[i];
	return NULL;
}

bool token_keys_can_sign(const struct token_keys *keys)
{
	return signing_key(keys) != NULL;
}

/* Parts: the JSON of header and payload. */

/* The bytes of a part. libsodium takes its time, the same for all letters, as secrets want it:
 * here it is for the last, odd ones. */
static bool part_decode(struct str part, unsigned char *bytes, size_t *len)
{
	const size_t fours = part.len / 4;
	const struct str rest = str_from(part, 4 * fours);

	if (!id_decode(bytes, 3 * fours, (struct str){ part.p, 4 * fours }) ||
	    sodium_base642bin(bytes + 3 * fours, 3, rest.p, rest.len, NULL, len, NULL,
	                      sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
		return false;
	*len += 3 * fours;
	return true;
}

/* A part's object, to be json_decref'ed; NULL: not base64url, not strict JSON, not an object. */
static json_t *part_object(struct str part, struct arena *a)
{
	unsigned char *bytes = arena_alloc(a, part.len + 1);
	size_t len;

	if (!part_decode(part, bytes, &len))
		return NULL;
	json_t *object = json_loadb((const char *)bytes, len, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(object))
		return object;
	json_decref(object);
	return NULL;
}

static bool is_base64url(struct str part)
{
	for (size_t i = 0; i < part.len; i++) {
		const char c = part.p[i];
		if (!(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
		    c != '-' && c != '_')
			return false;
	}
	return part.len > 0;
}

struct parts {
	const char *whole;   /* ends with NUL */
	struct str header, payload, signature;
};

/* Exactly three, none empty. */
static bool token_split(struct str token, struct parts *out)
{
	out->whole = token.p;
	out->header = str_cut(&token, '.');
	out->payload = str_cut(&token, '.');
	out->signature = token;
	return is_base64url(out->header) && is_base64url(out->payload) &&
	       is_base64url(out->signature);
}

/* Signatures. */

static const EVP_MD *hmac_hash(jwt_alg_t alg)
{
	return alg == JWT_ALG_HS256   ? EVP_sha256()
	       : alg == JWT_ALG_HS384 ? EVP_sha384()
	                              : EVP_sha512();
}

/* Whether the signature is this secret's, in the one way to write it (RFC 7518, section 3.2).
 * libjwt would read header and payload once more, for three times the price. */
static bool hmac_good(const struct key *key, const struct parts *parts)
{
	const size_t len = (size_t)(parts->signature.p - 1 - parts->whole);
	char right[sodium_base64_ENCODED_LEN(EVP_MAX_MD_SIZE,
	                                     sodium_base64_VARIANT_URLSAFE_NO_PADDING)];
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned n;

	if (HMAC(hmac_hash(key->alg), key->secret, (int)key->secret_len,
	         (const unsigned char *)parts->whole, len, mac, &n) == NULL)
		return false;
	sodium_bin2base64(right, sizeof(right), mac, n, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	return parts->signature.len == strlen(right) &&
	       sodium_memcmp(parts->signature.p, right, parts->signature.len) == 0;
}

/* Whether libjwt accepts the token with this key, by the key's algorithm and no other. */
static bool pem_good(const struct key *key, const char *token)
{
	const char *pem = key->pem.verify;
	jwt_t *jwt = NULL;

	if (jwt_decode(&jwt, token, (const unsigned char *)pem, (int)strlen(pem)) != 0)
		return false;
	const bool good = jwt_get_alg(jwt) == key->alg;
	jwt_free(jwt);
	return good;
}

static bool signature_good(const struct key *key, const struct parts *parts)
{
	return key->shared ? hmac_good(key, parts) : pem_good(key, parts->whole);
}

static bool has_kid(const struct key *key, const char *kid)
{
	return kid && key->kid && !strcmp(key->kid, kid);
}

/* The key that made the signature, or NULL. Where a key for that algorithm has the token's kid,
 * no other is tried; a kid of ours or nobody's is else only a hint, since all keys here are
 * trusted. */
static const struct key *key_find(const struct token_keys *keys, jwt_alg_t alg, const char *kid,
                                  const struct parts *parts)
{
	bool named = false;

	for (size_t i = 0; i < keys->n; i++)
		named = named || (keys->keys[i].alg == alg && has_kid(&keys->keys[i], kid));
	for (size_t i = 0; i < keys->n; i++) {
		const struct key *key = &keys->keys[i];
		if (key->alg == alg && (!named || has_kid(key, kid)) && signature_good(key, parts))
			return key;
	}
	return NULL;
}

static const struct key *header_check(const struct token_keys *keys, const json_t *header,
                                      const struct parts *parts)
{
	const char *alg = json_string_value(json_object_get(header, "alg"));
	const json_t *kid = json_object_get(header, "kid");

	/* RFC 7515, section 4.1.11: extensions that must be understood, of which we have none. */
	if (!alg || json_object_get(header, "crit") || (kid && !json_is_string(kid)))
		return NULL;
	const jwt_alg_t wanted = alg_find(alg);
	return wanted == JWT_ALG_NONE ? NULL
	                              : key_find(keys, wanted, json_string_value(kid), parts);
}

/* Claims. */

/* Absent leaves *out alone; what is there must be an integer in a sane range. */
static bool time_read(const json_t *payload, const char *name, int64_t least, int64_t *out)
{
	const json_t *value = json_object_get(payload, name);

	if (!value)
		return true;
	*out = json_integer_value(value);
	return json_is_integer(value) && *out >= least && *out <= LATEST_S;
}

static bool times_good(const struct token_said *said, int64_t now_s)
{
	return (!said->claims.exp || now_s < said->claims.exp + TOKEN_LEEWAY_S) &&
	       said->nbf <= now_s + TOKEN_LEEWAY_S;
}

static bool is_text(const json_t *value, const char *text)
{
	return json_is_string(value) && !strcmp(json_string_value(value), text);
}

static bool issuer_good(const struct token_keys *keys, const json_t *payload)
{
	return !keys->issuer || is_text(json_object_get(payload, "iss"), keys->issuer);
}

/* One audience, or an array in which ours is (RFC 7519, section 4.1.3). */
static bool audience_good(const struct token_keys *keys, const json_t *payload)
{
	const json_t *aud = json_object_get(payload, "aud");

	if (!keys->audience || is_text(aud, keys->audience))
		return true;
	for (size_t i = 0; i < json_array_size(aud); i++)
		if (is_text(json_array_get(aud, i), keys->audience))
			return true;
	return false;
}

/* A string of 1 to `most` code points; anything else counts as absent. */
static struct str text_read(const json_t *payload, const char *name, size_t most, struct arena *a)
{
	const json_t *value = json_object_get(payload, name);

	if (!json_is_string(value))
		return STR_NONE;
	const struct str text = { json_string_value(value), json_string_length(value) };
	return text.len && utf8_count(text) <= most ? arena_str(a, text) : STR_NONE;
}

static struct str either(struct str first, struct str second)
{
	return first.len ? first : second;
}

static bool sub_good(struct str sub)
{
	for (size_t i = 0; i < sub.len; i++)
		if (sub.p[i] < 0x20 || sub.p[i] > 0x7e)
			return false;
	return sub.len > 0;
}

static bool claims_read(const struct token_keys *keys, const json_t *payload, struct arena *a,
                        struct token_said *said)
{
	struct claims *c = &said->claims;

	if (!time_read(payload, "exp", 1, &c->exp) || !time_read(payload, "nbf", 0, &said->nbf) ||
	    !issuer_good(keys, payload) || !audience_good(keys, payload))
		return false;
	c->sub = text_read(payload, "sub", SUB_MAX, a);
	c->name = text_read(payload, "name", NAME_MAX_POINTS, a);
	c->username = either(text_read(payload, "username", USERNAME_MAX, a),
	                     text_read(payload, "preferred_username", USERNAME_MAX, a));
	c->image = either(text_read(payload, "picture", IMAGE_MAX, a),
	                  text_read(payload, "image", IMAGE_MAX, a));
	c->email = text_read(payload, "email", EMAIL_MAX, a);
	return sub_good(c->sub);
}

/* Verifying. */

static bool token_read(struct token_keys *keys, struct str token, int64_t now_s, struct arena *a,
                       struct token_said *said)
{
	struct parts parts;

	if (!token_split(arena_str(a, token), &parts))
		return false;
	/* Claims first: they cost less than the signature. */
	json_t *header = part_object(parts.header, a), *payload = part_object(parts.payload, a);
	const struct key *key = NULL;
	if (header && payload && claims_read(keys, payload, a, said) && times_good(said, now_s))
		key = header_check(keys, header, &parts);
	json_decref(header);
	json_decref(payload);
	if (key && !key->shared)
		token_cache_put(&keys->cache, token, said);
	return key != NULL;
}

static struct str keep(struct str s, struct arena *a)
{
	return s.len ? arena_str(a, s) : STR_NONE;
}

static void claims_copy(struct claims *to, const struct claims *from, struct arena *a)
{
	*to = (struct claims){
		.sub = keep(from->sub, a),
		.name = keep(from->name, a),
		.username = keep(from->username, a),
		.image = keep(from->image, a),
		.email = keep(from->email, a),
		.exp = from->exp,
	};
}

enum err token_verify(struct token_keys *keys, struct str token, int64_t now_s, struct arena *a,
                      struct claims *out)
{
	struct token_said said = { 0 };

	if (!token.len)
		return ERR_NO_TOKEN;
	if (token.len > TOKEN_MAX)
		return ERR_UNAUTHENTICATED;
	const struct token_said *known = token_cache_get(&keys->cache, token);
	if (known && times_good(known, now_s)) {
		claims_copy(out, &known->claims, a);
		return ERR_OK;
	}
	if (known)
		token_cache_drop(&keys->cache, token);
	if (known || !token_read(keys, token, now_s, a, &said))
		return ERR_UNAUTHENTICATED;
	*out = said.claims;
	return ERR_OK;
}

/* Issuing. */

static bool put_text(json_t *payload, const char *name, struct str text)
{
	return !text.len || json_object_set_new(payload, name, json_stringn(text.p, text.len)) == 0;
}

static bool put_time(json_t *payload, const char *name, int64_t seconds)
{
	return !seconds || json_object_set_new(payload, name, json_integer(seconds)) == 0;
}

/* The payload as JSON, to be freed; NULL: a string is not UTF-8. */
static char *payload_text(const struct token_keys *keys, const struct claims *c, int64_t now_s)
{
	json_t *payload = json_object();
	const bool ok = put_text(payload, "sub", c->sub) && put_text(payload, "name", c->name) &&
	                put_text(payload, "username", c->username) &&
	                put_text(payload, "image", c->image) &&
	                put_text(payload, "email", c->email) &&
	                put_text(payload, "iss", str_z(keys->issuer)) &&
	                put_text(payload, "aud", str_z(keys->audience)) &&
	                put_time(payload, "iat", now_s) && put_time(payload, "exp", c->exp);
	char *text = ok ? json_dumps(payload, JSON_COMPACT) : NULL;

	json_decref(payload);
	return text;
}

/* The signed token, to be freed; NULL on failure. */
static char *token_sign(const struct key *key, const char *payload)
{
	const unsigned char *bytes =
		(const unsigned char *)(key->shared ? key->secret : key->pem.sign);
	const size_t len = key->shared ? key->secret_len : strlen(key->pem.sign);
	char *token = NULL;
	jwt_t *jwt;

	if (jwt_new(&jwt) != 0)
		return NULL;
	if (jwt_set_alg(jwt, key->alg, bytes, (int)len) == 0 &&
	    jwt_add_grants_json(jwt, payload) == 0 &&
	    (!key->kid || jwt_add_header(jwt, "kid", key->kid) == 0))
		token = jwt_encode_str(jwt);
	jwt_free(jwt);
	return token;
}

enum err token_issue(struct token_keys *keys, const struct claims *claims, int64_t now_s,
                     struct arena *a, struct str *out)
{
	const struct key *key = signing_key(keys);

	if (!key)
		return ERR_NO_SIGNING_KEY;
	if (!sub_good(claims->sub) || claims->sub.len > SUB_MAX)
		return ERR_INVALID;
	char *payload = payload_text(keys, claims, now_s);
	char *token = payload ? token_sign(key, payload) : NULL;
	free(payload);
	*out = arena_str(a, str_z(token));
	free(token);
	return out->len && out->len <= TOKEN_MAX ? ERR_OK : ERR_INTERNAL;
}

/* Tokens: the good ones of each algorithm, and every forgery known to have worked somewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <sodium.h>

#include "common/token.h"
#include "common/token_cache.h"

#define NOW INT64_C(1800000000)
#define SECRET "a secret of thirty-two bytes, ok?"

static char dir[] = "/tmp/test_token.XXXXXX";
static char rsa_file[64], rsa_public[64], ec_file[64], ec_public[64], p384_file[64], weak_file[64],
	junk_file[64], other_file[64];
static EVP_PKEY *rsa, *ec;

/* Making tokens by hand, so that what is wrong with one is only what the test says. */

static void add_base64(struct buf *out, const void *bytes, size_t len)
{
	char text[4096];

	assert_true(len < 2048);
	sodium_bin2base64(text, sizeof(text), bytes, len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	buf_z(out, text);
}

static void add_unsigned(struct buf *out, const char *header, const char *payload)
{
	add_base64(out, header, strlen(header));
	buf_char(out, '.');
	add_base64(out, payload, strlen(payload));
}

static void add_hmac(struct buf *out, const EVP_MD *hash, const void *key, size_t len)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned mac_len;

	HMAC(hash, key, (int)len, (const unsigned char *)out->p, out->len, mac, &mac_len);
	buf_char(out, '.');
	add_base64(out, mac, mac_len);
}

/* An ES256 signature is r and s side by side, where OpenSSL writes DER. */
static size_t der_to_raw(unsigned char *signature, size_t len)
{
	const unsigned char *at = signature;
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)len);

	assert_non_null(sig);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(sig), signature, 32), 32);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(sig), signature + 32, 32), 32);
	ECDSA_SIG_free(sig);
	return 64;
}

static void add_signature(struct buf *out, EVP_PKEY *key)
{
	unsigned char signature[512];
	size_t len = sizeof(signature);
	EVP_MD_CTX *md = EVP_MD_CTX_new();

	assert_int_equal(EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, key), 1);
	assert_int_equal(
		EVP_DigestSign(md, signature, &len, (const unsigned char *)out->p, out->len), 1);
	EVP_MD_CTX_free(md);
	if (key == ec)
		len = der_to_raw(signature, len);
	buf_char(out, '.');
	add_base64(out, signature, len);
}

static struct buf hs256(const char *header, const char *payload)
{
	struct buf token = { 0 };

	add_unsigned(&token, header, payload);
	add_hmac(&token, EVP_sha256(), SECRET, strlen(SECRET));
	return token;
}

static const char hs_header[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
static const char good_payload[] = "{\"sub\":\"ann\"}";

static struct token_keys *secret_keys(const char *issuer, const char *audience)
{
	struct token_keys *keys = token_keys_new(issuer, audience);

	assert_true(token_keys_secret(keys, STR(SECRET), "HS256"));
	return keys;
}

static struct token_keys *pem_keys(const char *path, const char *alg)
{
	struct token_keys *keys = token_keys_new(NULL, NULL);
	char why[256];

	if (!token_keys_pem(keys, path, alg, why, sizeof(why)))
		fail_msg("%s", why);
	return keys;
}

static enum err verify(struct token_keys *keys, struct str token, int64_t now_s)
{
	struct arena a = { 0 };
	struct claims claims;
	const enum err e = token_verify(keys, token, now_s, &a, &claims);

	arena_fini(&a);
	return e;
}

/* Frees both. */
static void assert_verdict(enum err expected, struct token_keys *keys, struct buf token)
{
	assert_int_equal(verify(keys, buf_view(&token), NOW), expected);
	buf_fini(&token);
	token_keys_free(keys);
}

static void assert_payload(enum err expected, const char *payload)
{
	struct token_keys *keys = secret_keys(NULL, NULL);
	struct buf token = hs256(hs_header, payload);

	if (verify(keys, buf_view(&token), NOW) != expected)
		fail_msg("%s", payload);
	buf_fini(&token);
	token_keys_free(keys);
}

#define assert_claims_refused(payload) assert_payload(ERR_UNAUTHENTICATED, payload)
#define assert_claims_taken(payload) assert_payload(ERR_OK, payload)

/* Good ones. */

static void test_hs256_good(void **state)
{
	(void)state;
	assert_verdict(ERR_OK, secret_keys(NULL, NULL), hs256(hs_header, good_payload));
}

/* A token that says HS384 or HS512, with a signature by that hash or another. */
static void assert_hmac(enum err expected, const char *alg, const EVP_MD *hash)
{
	struct token_keys *keys = token_keys_new(NULL, NULL);
	struct buf token = { 0 };
	char header[64];

	assert_true(token_keys_secret(keys, STR(SECRET), alg));
	snprintf(header, sizeof(header), "{\"alg\":\"%s\"}", alg);
	add_unsigned(&token, header, good_payload);
	add_hmac(&token, hash, SECRET, strlen(SECRET));
	assert_verdict(expected, keys, token);
}

static void test_longer_hmacs(void **state)
{
	(void)state;
	assert_hmac(ERR_OK, "HS384", EVP_sha384());
	assert_hmac(ERR_OK, "HS512", EVP_sha512());
	assert_hmac(ERR_UNAUTHENTICATED, "HS384", EVP_sha256());
	assert_hmac(ERR_UNAUTHENTICATED, "HS512", EVP_sha384());
}

static void test_rs256_good(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct buf token = { 0 };
		add_unsigned(&token, "{\"alg\":\"RS256\",\"typ\":\"JWT\"}", good_payload);
		add_signature(&token, rsa);
		assert_verdict(ERR_OK, pem_keys(i ? rsa_public : rsa_file, "RS256"), token);
	}
}

static void test_es256_good(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct buf token = { 0 };
		add_unsigned(&token, "{\"alg\":\"ES256\",\"typ\":\"JWT\"}", good_payload);
		add_signature(&token, ec);
		assert_verdict(ERR_OK, pem_keys(i ? ec_public : ec_file, "ES256"), token);
	}
}

static void test_claims(void **state)
{
	struct token_keys *keys = secret_keys(NULL, NULL);
	struct buf token =
		hs256(hs_header,
	              "{\"sub\":\"ann|1 ~\",\"name\":\"\\u00c4nn\",\"preferred_username\":\"ann\","
	              "\"image\":\"/a.png\",\"email\":\"a@b\",\"exp\":1800000001,"
	              "\"admin\":null}");
	struct arena a = { 0 };
	struct claims c;

	(void)state;
	assert_int_equal(token_verify(keys, buf_view(&token), NOW, &a, &c), ERR_OK);
	buf_fini(&token);
	token_keys_free(keys);
	assert_true(str_eqz(c.sub, "ann|1 ~"));
	assert_true(str_eqz(c.name, "Änn"));
	assert_true(str_eqz(c.username, "ann"));
	assert_true(str_eqz(c.image, "/a.png"));
	assert_true(str_eqz(c.email, "a@b"));
	assert_int_equal(c.exp, 1800000001);
	arena_fini(&a);
}

static void test_claims_of_other_types_are_ignored(void **state)
{
	char payload[1024], name[66];
	struct arena a = { 0 };
	struct claims c;

	(void)state;
	memset(name, 'n', 65);
	name[65] = '\0';
	snprintf(payload, sizeof(payload),
	         "{\"sub\":\"ann\",\"name\":\"%s\",\"username\":7,"
	         "\"preferred_username\":\"pu\",\"picture\":\"\",\"image\":[],\"email\":null}",
	         name);
	struct token_keys *keys = secret_keys(NULL, NULL);
	struct buf token = hs256(hs_header, payload);
	assert_int_equal(token_verify(keys, buf_view(&token), NOW, &a, &c), ERR_OK);
	assert_null(c.name.p);
	assert_true(str_eqz(c.username, "pu"));
	assert_null(c.image.p);
	assert_null(c.email.p);
	assert_int_equal(c.exp, 0);
	arena_fini(&a);
	buf_fini(&token);
	token_keys_free(keys);
}

/* Issues with the file (NULL: a secret), verifies with the other. */
static void assert_round_trip(const char *sign, const char *check, const char *alg)
{
	const struct claims said = { .sub = STR("ann"),
		                     .name = STR("Änn \"A\""),
		                     .username = STR("ann"),
		                     .image = STR("http://x/"),
		                     .email = STR("a@b"),
		                     .exp = NOW + 60 };
	struct token_keys *from = sign ? pem_keys(sign, alg) : secret_keys("us", "them");
	struct token_keys *to = sign ? pem_keys(check, alg) : secret_keys("us", "them");
	struct arena a = { 0 };
	struct str token;
	struct claims c;

	assert_true(token_keys_can_sign(from));
	assert_int_equal(token_issue(from, &said, NOW, &a, &token), ERR_OK);
	for (int i = 0; i < 2; i++) { /* the second time out of the cache */
		assert_int_equal(token_verify(to, token, NOW, &a, &c), ERR_OK);
		assert_true(str_eq(c.sub, said.sub));
		assert_true(str_eq(c.name, said.name));
		assert_true(str_eq(c.username, said.username));
		assert_true(str_eq(c.image, said.image));
		assert_true(str_eq(c.email, said.email));
		assert_int_equal(c.exp, said.exp);
	}
	assert_int_equal(verify(to, token, NOW + 60 + TOKEN_LEEWAY_S - 1), ERR_OK);
	assert_int_equal(verify(to, token, NOW + 60 + TOKEN_LEEWAY_S), ERR_UNAUTHENTICATED);
	assert_int_equal(verify(to, token, NOW), ERR_OK);
	arena_fini(&a);
	token_keys_free(from);
	token_keys_free(to);
}

static void test_issued_are_verified(void **state)
{
	(void)state;
	assert_round_trip(NULL, NULL, "HS256");
	assert_round_trip(rsa_file, rsa_public, "RS256");
	assert_round_trip(rsa_file, rsa_file, "RS512");
	assert_round_trip(ec_file, ec_public, "ES256");
	assert_round_trip(p384_file, p384_file, "ES384");
}

static void test_public_keys_cannot_sign(void **state)
{
	const struct claims said = { .sub = STR("ann") };
	struct token_keys *keys = pem_keys(rsa_public, "RS256");
	struct arena a = { 0 };
	struct str token;

	(void)state;
	assert_false(token_keys_can_sign(keys));
	assert_int_equal(token_issue(keys, &said, NOW, &a, &token), ERR_NO_SIGNING_KEY);
	assert_true(token_keys_secret(keys, STR(SECRET), "HS256"));
	assert_int_equal(token_issue(keys, &said, NOW, &a, &token), ERR_OK);
	assert_int_equal(token_issue(keys, &(struct claims){ 0 }, NOW, &a, &token), ERR_INVALID);
	arena_fini(&a);
	token_keys_free(keys);
}

/* Forged signatures and algorithms. */

static void test_alg_none(void **state)
{
	static const char *const headers[] = { "{\"alg\":\"none\"}", "{\"alg\":\"NoNe\"}",
		                               "{\"alg\":\"\"}",     "{}",
		                               "{\"alg\":null}",     "{\"alg\":[\"HS256\"]}" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(headers); i++) {
		struct buf bare = { 0 }, dotted = { 0 };
		add_unsigned(&bare, headers[i], good_payload);
		buf_str(&dotted, buf_view(&bare));
		buf_char(&dotted, '.');
		assert_verdict(ERR_UNAUTHENTICATED, secret_keys(NULL, NULL), bare);
		assert_verdict(ERR_UNAUTHENTICATED, token_keys_new(NULL, NULL), dotted);
		assert_verdict(ERR_UNAUTHENTICATED, secret_keys(NULL, NULL),
		               hs256(headers[i], good_payload));
	}
}

static void test_hs256_signed_with_the_public_pem(void **state)
{
	char pem[4096];
	FILE *f = fopen(rsa_public, "r");
	struct buf token = { 0 };

	(void)state;
	assert_non_null(f);
	const size_t len = fread(pem, 1, sizeof(pem), f);
	fclose(f);
	add_unsigned(&token, hs_header, good_payload);
	add_hmac(&token, EVP_sha256(), pem, len);
	assert_verdict(ERR_UNAUTHENTICATED, pem_keys(rsa_public, "RS256"), token);
}

static void test_hs512_for_hs256(void **state)
{
	struct buf token = { 0 };

	(void)state;
	add_unsigned(&token, "{\"alg\":\"HS512\",\"typ\":\"JWT\"}", good_payload);
	add_hmac(&token, EVP_sha512(), SECRET, strlen(SECRET));
	assert_verdict(ERR_UNAUTHENTICATED, secret_keys(NULL, NULL), token);
}

static void test_lower_case_alg(void **state)
{
	(void)state;
	assert_verdict(ERR_UNAUTHENTICATED, secret_keys(NULL, NULL),
	               hs256("{\"alg\":\"hs256\"}", good_payload));
}

static void test_rs256_with_only_a_secret(void **state)
{
	struct buf token = { 0 };

	(void)state;
	add_unsigned(&token, "{\"alg\":\"RS256\"}", good_payload);
	add_signature(&token, rsa);
	assert_verdict(ERR_UNAUTHENTICATED, secret_keys(NULL, NULL), token);
}

static void test_wrong_key(void **state)
{
	struct buf hs = { 0 }, es = { 0 };

	(void)state;
	add_unsigned(&hs, hs_header, good_payload);
	add_hmac(&hs, EVP_sha256(), "another", 7);
	assert_verdict(ERR_UNAUTHENTICATED, secret_keys(NULL, NULL), hs);
	add_unsigned(&es, "{\"alg\":\"RS256\"}", good_payload);
	add_signature(&es, ec);
	assert_verdict(ERR_UNAUTHENTICATED, pem_keys(rsa_public, "RS256"), es);
}

static void test_signature_of_another_payload(void **state)
{
	struct buf good = hs256(hs_header, good_payload), token = { 0 };

	(void)state;
	add_unsigned(&token, hs_header, "{\"sub\":\"root\"}");
	buf_z(&token, strrchr((buf_char(&good, '\0'), good.p), '.'));
	buf_fini(&good);
	assert_verdict(ERR_UNAUTHENTICATED, secret_keys(NULL, NULL), token);
}

/* HAProxy's overflow: a signature that is too long, too short, or missing. */
static void test_es256_signature_lengths(void **state)
{
	static const size_t lengths[] = { 1, 63, 65, 132, 1024 };
	const unsigned char zeroes[1024] = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lengths); i++) {
		struct buf token = { 0 };
		add_unsigned(&token, "{\"alg\":\"ES256\",\"typ\":\"JWT\"}", good_payload);
		buf_char(&token, '.');
		add_base64(&token, zeroes, lengths[i]);
		assert_verdict(ERR_UNAUTHENTICATED, pem_keys(ec_public, "ES256"), token);
	}
}

static void test_empty_keys(void **state)
{
	struct token_keys *keys = token_keys_new(NULL, NULL);
	struct buf token = { 0 };

	(void)state;
	assert_false(token_keys_secret(keys, STR_NONE, "HS256"));
	assert_false(token_keys_secret(keys, STR(""), "HS256"));
	assert_false(token_keys_secret(keys, STR(SECRET), "none"));
	assert_false(token_keys_secret(keys, STR(SECRET), "RS256"));
	assert_false(token_keys_can_sign(keys));
	add_unsigned(&token, hs_header, good_payload);
	add_hmac(&token, EVP_sha256(), "", 0);
	assert_verdict(ERR_UNAUTHENTICATED, keys, token);
}

static void test_crit(void **state)
{
	(void)state;
	assert_verdict(ERR_UNAUTHENTICATED, secret_keys(NULL, NULL),
	               hs256("{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}", good_payload));
	assert_verdict(ERR_UNAUTHENTICATED, secret_keys(NULL, NULL),
	               hs256("{\"alg\":\"HS256\",\"crit\":[]}", good_payload));
}

static void test_duplicate_header(void **state)
{
	(void)state;
	assert_verdict(ERR_UNAUTHENTICATED, secret_keys(NULL, NULL),
	               hs256("{\"alg\":\"none\",\"alg\":\"HS256\"}", good_payload));
}

static void test_kid_tricks(void **state)
{
	static const char *const tricks[] = { "\"../../../dev/null\"",
		                              "\"' OR 1=1 --\"",
		                              "\"a\\u0000b\"",
		                              "7",
		                              "[]",
		                              "null",
		                              "{\"a\":1}" };
	char header[128];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(tricks); i++) {
		struct buf forged = { 0 };
		snprintf(header, sizeof(header), "{\"alg\":\"HS256\",\"kid\":%s}", tricks[i]);
		add_unsigned(&forged, header, good_payload);
		add_hmac(&forged, EVP_sha256(), "", 0);
		assert_verdict(ERR_UNAUTHENTICATED, secret_keys(NULL, NULL), forged);
	}
	assert_verdict(ERR_UNAUTHENTICATED, secret_keys(NULL, NULL),
	               hs256("{\"alg\":\"HS256\",\"kid\":7}", good_payload));
	/* A kid that none of our keys has is no reason to refuse: the signature decides. */
	assert_verdict(ERR_OK, secret_keys(NULL, NULL),
	               hs256("{\"alg\":\"HS256\",\"kid\":\"x\"}", good_payload));
}

/* With two keys any may have signed, unless the token names one. */
static void test_kid_chooses(void **state)
{
	static const struct {
		const char *header;
		enum err expected;
	} rows[] = {
		{ "{\"alg\":\"RS256\"}", ERR_OK },
		{ "{\"alg\":\"RS256\",\"kid\":\"rsa\"}", ERR_OK },
		{ "{\"alg\":\"RS256\",\"kid\":\"other\"}", ERR_UNAUTHENTICATED },
		{ "{\"alg\":\"RS256\",\"kid\":\"unknown\"}", ERR_OK },
	};
	char why[256];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct token_keys *keys = pem_keys(other_file, "RS256");
		struct buf token = { 0 };
		assert_true(token_keys_pem(keys, rsa_file, "RS256", why, sizeof(why)));
		add_unsigned(&token, rows[i].header, good_payload);
		add_signature(&token, rsa);
		assert_verdict(rows[i].expected, keys, token);
	}
}

/* Broken forms. */

static void test_garbage(void **state)
{
	static const char *const texts[] = { ".",
		                             "..",
		                             "...",
		                             "a",
		                             "a.b",
		                             "a.b.c",
		                             "Bearer x.y.z",
		                             "....",
		                             "\xff.\xff.\xff",
		                             "e30.e30.e30",
		                             "eyJhbGciOiJIUzI1NiJ9..",
		                             "e30=.e30=.e30=" };
	struct token_keys *keys = secret_keys(NULL, NULL);
	char *big = calloc(1, TOKEN_MAX + 1);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++)
		assert_int_equal(verify(keys, str_z(texts[i]), NOW), ERR_UNAUTHENTICATED);
	assert_int_equal(verify(keys, STR("a\0b.c.d"), NOW), ERR_UNAUTHENTICATED);
	assert_int_equal(verify(keys, STR_NONE, NOW), ERR_NO_TOKEN);
	assert_non_null(big);
	memset(big, 'A', TOKEN_MAX + 1);
	big[10] = big[20] = '.';
	assert_int_equal(verify(keys, (struct str){ big, TOKEN_MAX }, NOW), ERR_UNAUTHENTICATED);
	assert_int_equal(verify(keys, (struct str){ big, TOKEN_MAX + 1 }, NOW),
	                 ERR_UNAUTHENTICATED);
	free(big);
	token_keys_free(keys);
}

static void test_wrong_number_of_parts(void **state)
{
	struct buf two = { 0 }, four = hs256(hs_header, good_payload),
		   padded = hs256(hs_header, good_payload);

	(void)state;
	add_unsigned(&two, hs_header, good_payload);
	assert_verdict(ERR_UNAUTHENTICATED, secret_keys(NULL, NULL), two);
	buf_z(&four, ".e30");
	assert_verdict(ERR_UNAUTHENTICATED, secret_keys(NULL, NULL), four);
	buf_char(&padded, '=');
	assert_verdict(ERR_UNAUTHENTICATED, secret_keys(NULL, NULL), padded);
}

static void test_every_cut_and_flip(void **state)
{
	struct token_keys *keys = secret_keys(NULL, NULL);
	struct buf token = hs256(hs_header, good_payload);

	(void)state;
	for (size_t i = 1; i < token.len; i++)
		assert_int_equal(verify(keys, (struct str){ token.p, i }, NOW),
		                 ERR_UNAUTHENTICATED);
	for (size_t i = 0; i < token.len; i++) {
		token.p[i] ^= 1;
		assert_int_equal(verify(keys, buf_view(&token), NOW), ERR_UNAUTHENTICATED);
		token.p[i] ^= 1;
	}
	assert_verdict(ERR_OK, keys, token);
}

/* Claims that must refuse. */

static void test_expired(void **state)
{
	(void)state;
	assert_claims_refused("{\"sub\":\"ann\",\"exp\":1799999995}");
	assert_claims_taken("{\"sub\":\"ann\",\"exp\":1799999996}");
	assert_claims_taken("{\"sub\":\"ann\",\"exp\":253402300799}");
}

static void test_nbf_in_the_future(void **state)
{
	(void)state;
	assert_claims_refused("{\"sub\":\"ann\",\"nbf\":1800000006}");
	assert_claims_taken("{\"sub\":\"ann\",\"nbf\":1800000005}");
	assert_claims_taken("{\"sub\":\"ann\",\"nbf\":0}");
}

static void test_times_of_odd_types(void **state)
{
	static const char *const values[] = { "\"1900000000\"",
		                              "1900000000.0",
		                              "1900000000.5",
		                              "1.9e9",
		                              "-1",
		                              "-1900000000",
		                              "0",
		                              "9223372036854775807",
		                              "9223372036854775808",
		                              "18446744073709551616",
		                              "253402300800",
		                              "true",
		                              "null",
		                              "[]",
		                              "{}",
		                              "1e400" };
	char payload[128];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(values); i++) {
		snprintf(payload, sizeof(payload), "{\"sub\":\"ann\",\"exp\":%s}", values[i]);
		assert_claims_refused(payload);
		snprintf(payload, sizeof(payload), "{\"sub\":\"ann\",\"nbf\":%s}", values[i]);
		if (strcmp(values[i], "0") != 0)
			assert_claims_refused(payload);
	}
}

static void test_duplicate_claims(void **state)
{
	(void)state;
	assert_claims_refused("{\"sub\":\"ann\",\"sub\":\"bob\"}");
	assert_claims_refused("{\"sub\":\"ann\",\"exp\":1,\"exp\":1900000000}");
	assert_claims_refused("{\"sub\":\"ann\",\"s\\u0075b\":\"bob\"}");
}

static void test_bad_sub(void **state)
{
	char long_sub[160] = "{\"sub\":\"";

	(void)state;
	assert_claims_refused("{}");
	assert_claims_refused("{\"sub\":\"\"}");
	assert_claims_refused("{\"sub\":7}");
	assert_claims_refused("{\"sub\":null}");
	assert_claims_refused("{\"sub\":[\"ann\"]}");
	assert_claims_refused("{\"sub\":\"\\u00e4nn\"}");
	assert_claims_refused("{\"sub\":\"a\\nb\"}");
	assert_claims_refused("{\"sub\":\"a\\u0000b\"}");
	memset(long_sub + 8, 'a', 128);
	strcpy(long_sub + 136, "\"}");
	assert_claims_taken(long_sub);
	strcpy(long_sub + 136, "a\"}");
	assert_claims_refused(long_sub);
}

static void test_payload_is_no_object(void **state)
{
	(void)state;
	assert_claims_refused("[]");
	assert_claims_refused("\"sub\"");
	assert_claims_refused("{\"sub\":\"ann\"} x");
	assert_claims_refused("{\"sub\":\"a\xff\"}");
	assert_claims_refused("");
}

static void test_wrong_issuer(void **state)
{
	(void)state;
	assert_verdict(ERR_UNAUTHENTICATED, secret_keys("us", NULL),
	               hs256(hs_header, good_payload));
	assert_verdict(ERR_UNAUTHENTICATED, secret_keys("us", NULL),
	               hs256(hs_header, "{\"sub\":\"a\",\"iss\":\"US\"}"));
	assert_verdict(ERR_UNAUTHENTICATED, secret_keys("us", NULL),
	               hs256(hs_header, "{\"sub\":\"a\",\"iss\":[\"us\"]}"));
	assert_verdict(ERR_OK, secret_keys("us", NULL),
	               hs256(hs_header, "{\"sub\":\"a\",\"iss\":\"us\"}"));
	assert_verdict(ERR_OK, secret_keys("", ""),
	               hs256(hs_header, "{\"sub\":\"a\",\"iss\":\"x\"}"));
}

static void test_wrong_audience(void **state)
{
	(void)state;
	assert_verdict(ERR_UNAUTHENTICATED, secret_keys(NULL, "chat"),
	               hs256(hs_header, good_payload));
	assert_verdict(ERR_UNAUTHENTICATED, secret_keys(NULL, "chat"),
	               hs256(hs_header, "{\"sub\":\"a\",\"aud\":\"cha\"}"));
	assert_verdict(ERR_UNAUTHENTICATED, secret_keys(NULL, "chat"),
	               hs256(hs_header, "{\"sub\":\"a\",\"aud\":[\"x\",1,[\"chat\"]]}"));
	assert_verdict(ERR_OK, secret_keys(NULL, "chat"),
	               hs256(hs_header, "{\"sub\":\"a\",\"aud\":[\"x\",\"chat\"]}"));
	assert_verdict(ERR_OK, secret_keys(NULL, "chat"),
	               hs256(hs_header, "{\"sub\":\"a\",\"aud\":\"chat\"}"));
}

/* Key files. */

static void assert_file_refused(const char *path, const char *alg, const char *word)
{
	struct token_keys *keys = token_keys_new(NULL, NULL);
	char why[256] = "";

	assert_false(token_keys_pem(keys, path, alg, why, sizeof(why)));
	if (!strstr(why, path) || !strstr(why, word))
		fail_msg("\"%s\" does not say \"%s\"", why, word);
	token_keys_free(keys);
}

static void test_key_files_refused(void **state)
{
	(void)state;
	assert_file_refused("/nonexistent.pem", "RS256", "No such file");
	assert_file_refused(junk_file, "RS256", "no key in PEM form");
	assert_file_refused(ec_file, "RS256", "needs an RSA key");
	assert_file_refused(rsa_file, "ES256", "needs an EC key on P-256");
	assert_file_refused(p384_file, "ES256", "P-256");
	assert_file_refused(ec_public, "ES384", "P-384");
	assert_file_refused(weak_file, "RS256", "2048 bits");
	assert_file_refused(rsa_file, "HS256", "no algorithm for a PEM key");
	assert_file_refused(rsa_file, "none", "no algorithm for a PEM key");
}

/* The cache. */

static void test_cache_is_bounded(void **state)
{
	const struct token_said said = { .claims = { .sub = STR("ann") }, .nbf = 7 };
	struct token_cache c;

	(void)state;
	token_cache_init(&c, 2);
	token_cache_put(&c, STR("1"), &said);
	token_cache_put(&c, STR("2"), &said);
	token_cache_put(&c, STR("2"), &said);
	assert_non_null(token_cache_get(&c, STR("1")));
	token_cache_put(&c, STR("3"), &said);
	assert_null(token_cache_get(&c, STR("1")));
	assert_true(str_eqz(token_cache_get(&c, STR("2"))->claims.sub, "ann"));
	assert_int_equal(token_cache_get(&c, STR("3"))->nbf, 7);
	assert_int_equal(c.n, 2);
	token_cache_drop(&c, STR("2"));
	token_cache_drop(&c, STR("2"));
	assert_null(token_cache_get(&c, STR("2")));
	assert_int_equal(c.n, 1);
	token_cache_fini(&c);
}

/* A token that is in the cache makes no other one good. */
static void test_cache_is_by_whole_token(void **state)
{
	struct token_keys *keys = pem_keys(rsa_public, "RS256");
	struct buf token = { 0 };

	(void)state;
	add_unsigned(&token, "{\"alg\":\"RS256\"}", good_payload);
	add_signature(&token, rsa);
	assert_int_equal(verify(keys, buf_view(&token), NOW), ERR_OK);
	token.p[token.len - 9] = token.p[token.len - 9] == 'A' ? 'B' : 'A';
	assert_verdict(ERR_UNAUTHENTICATED, keys, token);
}

static void key_write(const char *name, char *path, EVP_PKEY *key, bool private)
{
	snprintf(path, 64, "%s/%s.pem", dir, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	if (key)
		assert_int_equal(private ? PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL)
		                         : PEM_write_PUBKEY(f, key),
		                 1);
	else
		fputs("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", f);
	fclose(f);
}

static int group_setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	EVP_PKEY *p384 = EVP_EC_gen("P-384"), *weak = EVP_RSA_gen(1024), *other = EVP_RSA_gen(2048);
	rsa = EVP_RSA_gen(2048);
	ec = EVP_EC_gen("P-256");
	key_write("rsa", rsa_file, rsa, true);
	key_write("rsa-public", rsa_public, rsa, false);
	key_write("ec", ec_file, ec, true);
	key_write("ec-public", ec_public, ec, false);
	key_write("p384", p384_file, p384, true);
	key_write("weak", weak_file, weak, true);
	key_write("other", other_file, other, true);
	key_write("junk", junk_file, NULL, false);
	EVP_PKEY_free(p384);
	EVP_PKEY_free(weak);
	EVP_PKEY_free(other);
	return 0;
}

static int group_teardown(void **state)
{
	char *const files[] = { rsa_file,  rsa_public, ec_file,   ec_public,
		                p384_file, weak_file,  junk_file, other_file };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(files); i++)
		unlink(files[i]);
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(ec);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hs256_good),
		cmocka_unit_test(test_longer_hmacs),
		cmocka_unit_test(test_rs256_good),
		cmocka_unit_test(test_es256_good),
		cmocka_unit_test(test_claims),
		cmocka_unit_test(test_claims_of_other_types_are_ignored),
		cmocka_unit_test(test_issued_are_verified),
		cmocka_unit_test(test_public_keys_cannot_sign),
		cmocka_unit_test(test_alg_none),
		cmocka_unit_test(test_hs256_signed_with_the_public_pem),
		cmocka_unit_test(test_hs512_for_hs256),
		cmocka_unit_test(test_lower_case_alg),
		cmocka_unit_test(test_rs256_with_only_a_secret),
		cmocka_unit_test(test_wrong_key),
		cmocka_unit_test(test_signature_of_another_payload),
		cmocka_unit_test(test_es256_signature_lengths),
		cmocka_unit_test(test_empty_keys),
		cmocka_unit_test(test_crit),
		cmocka_unit_test(test_duplicate_header),
		cmocka_unit_test(test_kid_tricks),
		cmocka_unit_test(test_kid_chooses),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_wrong_number_of_parts),
		cmocka_unit_test(test_every_cut_and_flip),
		cmocka_unit_test(test_expired),
		cmocka_unit_test(test_nbf_in_the_future),
		cmocka_unit_test(test_times_of_odd_types),
		cmocka_unit_test(test_duplicate_claims),
		cmocka_unit_test(test_bad_sub),
		cmocka_unit_test(test_payload_is_no_object),
		cmocka_unit_test(test_wrong_issuer),
		cmocka_unit_test(test_wrong_audience),
		cmocka_unit_test(test_key_files_refused),
		cmocka_unit_test(test_cache_is_bounded),
		cmocka_unit_test(test_cache_is_by_whole_token),
	};

	return cmocka_run_group_tests_name("token", tests, group_setup, group_teardown);
}

/* Tokens: whatever comes, none is taken that was not signed, and what a good one
 * says is within bounds.
 *
 * An input is a token; or '=', a header, a line feed and a payload, which are signed here with
 * the secret: so the fuzzer gets past the signature. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>

#include "common/buf.h"
#include "common/token.h"
#include "tests/fuzz/fuzz.h"

#define NOW INT64_C(1800000000)
#define SECRET "a secret of thirty-two bytes, ok?"

/* Nobody has the private halves any more, so all that is signed with them is what
 * stands in `signed_by`. */
static const char ec_public[] =
	"-----BEGIN PUBLIC KEY-----\n"
	"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEJi6yRzBSCOqoBHiBQfO6MBQsKGc1\n"
	"9fQsfJXEQ3J5iFhNjlEM7kntiBTiqE6PhD1eOHHTd8I5rT8975xh/CsmrA==\n"
	"-----END PUBLIC KEY-----\n";
static const char rsa_public[] =
	"-----BEGIN PUBLIC KEY-----\n"
	"MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA03JOdzrgs2QAaAMKxakl\n"
	"izp/r/Z56mZqfNf7CnOslqL9D2ZDy03bgb+6BG4hSq0+p1kEGjl1GD4/se9Pb7xQ\n"
	"tDkwt27LjJHb11jtOsYf5j9ECWwido69oDiuXscXNH9byLDqKR+2ziygrBusbrzJ\n"
	"CIvARPW+X6X4OcYdFTW4iNqKYu2lpyKnCXTnV7hajXFkeCy1nM4o2XHytJaRMOOl\n"
	"q5ZQchu8kbLqKWf64jcjXwSlEu2mvHopX7bPyeHwxWzgymUCzdeqzBq+0u5K4xkh\n"
	"wYBTLwWVDNkEHsRqp36eVaL0Y3LDccpB8OO3jwZKJ+zAWamLXkiP0wThXdc17FYQ\n"
	"RQIDAQAB\n"
	"-----END PUBLIC KEY-----\n";
static const char *const signed_by[] = {
	"eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE5MDAwMDAwMDB9",
	"eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE5MDAwMDAwMDB9",
};

static void add_pem(struct token_keys *keys, const char *pem, const char *alg)
{
	char path[40], why[256];
	const int fd = memfd_create("key", MFD_CLOEXEC);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK(write(fd, pem, strlen(pem)) == (ssize_t)strlen(pem));
	CHECK(token_keys_pem(keys, path, alg, why, sizeof(why)));
	close(fd);
}

static void add_base64(struct buf *out, const void *bytes, size_t len)
{
	const int variant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
	const size_t size = sodium_base64_ENCODED_LEN(len, (unsigned)variant);

	sodium_bin2base64(buf_reserve(out, size), size, bytes, len, variant);
	out->len += size - 1;
}

static void add_mac(struct buf *out, struct str text)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	HMAC(EVP_sha256(), SECRET, sizeof(SECRET) - 1, (const unsigned char *)text.p, text.len, mac,
	     &len);
	add_base64(out, mac, len);
}

/* Up to the last dot. */
static struct str signed_part(struct str token)
{
	while (token.len > 0 && token.p[token.len - 1] != '.')
		token.len--;
	return (struct str){ token.p, token.len > 0 ? token.len - 1 : 0 };
}

static bool is_signed(struct str token)
{
	const struct str part = signed_part(token);
	struct buf mac = { 0 };

	for (size_t i = 0; i < COUNT_OF(signed_by); i++)
		if (str_eqz(part, signed_by[i]))
			return true;
	add_mac(&mac, part);
	const bool good = str_eq(str_from(token, part.len + 1), buf_view(&mac));
	buf_fini(&mac);
	return good;
}

static void check_claim(struct str s, size_t most)
{
	CHECK(s.p == NULL || (s.len > 0 && utf8_valid(s) && utf8_count(s) <= most));
}

static bool verify(struct token_keys *keys, struct str token)
{
	struct arena a = { 0 };
	struct claims c = { .exp = 0 };
	const enum err e = token_verify(keys, token, NOW, &a, &c);

	CHECK(e == ERR_OK || e == ERR_UNAUTHENTICATED || (e == ERR_NO_TOKEN && token.len == 0));
	if (e == ERR_OK) {
		CHECK(is_signed(token) && c.sub.len >= 1 && c.sub.len <= 128);
		CHECK(c.exp == 0 || c.exp + TOKEN_LEEWAY_S > NOW);
		check_claim(c.name, 64);
		check_claim(c.username, 32);
		check_claim(c.image, 2048);
		check_claim(c.email, 254);
	}
	arena_fini(&a);
	return e == ERR_OK;
}

static struct token_keys *new_keys(void)
{
	struct token_keys *keys = token_keys_new(NULL, NULL);
	const struct claims ann = { .sub = STR("ann") };
	struct arena a = { 0 };
	struct str token;

	CHECK(token_keys_secret(keys, STR(SECRET), "HS256"));
	add_pem(keys, ec_public, "ES256");
	add_pem(keys, rsa_public, "RS256");
	CHECK(token_issue(keys, &ann, NOW, &a, &token) == ERR_OK && verify(keys, token));
	arena_fini(&a);
	return keys;
}

/* Signed with the secret; and then with one bit of the signature wrong. */
static void try_signed(struct token_keys *keys, struct str text)
{
	struct buf token = { 0 };
	const struct str header = str_cut(&text, '\n');

	add_base64(&token, header.p, header.len);
	buf_char(&token, '.');
	add_base64(&token, text.p, text.len);
	const size_t dot = token.len;
	buf_char(&token, '.');
	buf_reserve(&token, 64);     /* so that what is signed stays where it is */
	add_mac(&token, (struct str){ token.p, dot });
	verify(keys, buf_view(&token));
	token.p[dot + 1] = token.p[dot + 1] == 'A' ? 'B' : 'A';
	CHECK(!verify(keys, buf_view(&token)));
	token.len = dot + 1;
	CHECK(!verify(keys, buf_view(&token)));
	buf_fini(&token);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static struct token_keys *keys;
	const struct str text = fuzz_str(bytes, len);

	if (keys == NULL)
		keys = new_keys();
	if (str_starts(text, STR("=")))
		try_signed(keys, str_from(text, 1));
	else
		verify(keys, text);
	return 0;
}

/* PEM keys, by OpenSSL: libjwt would take any key for any algorithm, and only finds out at the
 * first token. */
#include "common/token_pem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "common/mem.h"

enum { RSA_MIN_BITS = 2048 }; /* RFC 7518, section 3.3 */

struct pem_alg {
	const char *name;
	int type;
	const char *curve; /* NULL: RSA */
	const char *wanted;
};

static const struct pem_alg algs[] = {
	{ "RS256", EVP_PKEY_RSA, NULL, "an RSA key of 2048 bits or more" },
	{ "RS384", EVP_PKEY_RSA, NULL, "an RSA key of 2048 bits or more" },
	{ "RS512", EVP_PKEY_RSA, NULL, "an RSA key of 2048 bits or more" },
	{ "ES256", EVP_PKEY_EC, "prime256v1", "an EC key on P-256" },
	{ "ES384", EVP_PKEY_EC, "secp384r1", "an EC key on P-384" },
	{ "ES512", EVP_PKEY_EC, "secp521r1", "an EC key on P-521" },
};

static const struct pem_alg *alg_find(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(algs); i++)
		if (!strcmp(algs[i].name, name))
			return &algs[i];
	return NULL;
}

static bool key_fits(EVP_PKEY *key, const struct pem_alg *alg)
{
	char curve[32] = "";

	if (EVP_PKEY_get_base_id(key) != alg->type)
		return false;
	if (!alg->curve)
		return EVP_PKEY_get_bits(key) >= RSA_MIN_BITS;
	return EVP_PKEY_get_group_name(key, curve, sizeof(curve), NULL) == 1 &&
	       !strcmp(curve, alg->curve);
}

/* What the library asks for the password of an encrypted key: there is none, and no asking at the
 * terminal. */
static int no_password(UNUSED char *to, UNUSED int size, UNUSED int writing, UNUSED void *arg)
{
	return -1;
}

static EVP_PKEY *key_read(BIO *file, bool *private)
{
	EVP_PKEY *key = PEM_read_bio_PrivateKey(file, NULL, no_password, NULL);

	*private = key != NULL;
	if (key || BIO_reset(file) != 0)
		return key;
	return PEM_read_bio_PUBKEY(file, NULL, no_password, NULL);
}

/* The key as PEM text, or NULL. */
static char *key_text(EVP_PKEY *key, bool private)
{
	BIO *memory = BIO_new(private ? BIO_s_secmem() : BIO_s_mem());
	char *bytes, *text = NULL;

	if (memory && (private ? PEM_write_bio_PrivateKey(memory, key, NULL, NULL, 0, NULL, NULL)
	                       : PEM_write_bio_PUBKEY(memory, key)) == 1) {
		const size_t len = (size_t)BIO_get_mem_data(memory, &bytes);
		text = xmalloc(len + 1);
		memcpy(text, bytes, len);
		text[len] = '\0';
	}
	BIO_free(memory);
	return text;
}

static bool key_take(struct pem *pem, EVP_PKEY *key, bool private)
{
	pem->verify = key_text(key, false);
	pem->sign = private ? key_text(key, true) : NULL;
	if (pem->verify && (pem->sign || !private))
		return true;
	pem_fini(pem);
	return false;
}

bool pem_load(struct pem *pem, const char *path, const char *alg, char *why, size_t size)
{
	const struct pem_alg *wanted = alg_find(alg);
	bool private, ok = false;

	if (!wanted) {
		snprintf(why, size, "%s: %s is no algorithm for a PEM key", path, alg);
		return false;
	}
	BIO *file = BIO_new_file(path, "r");
	if (!file) {
		snprintf(why, size, "%s: %s", path, strerror(errno));
		ERR_clear_error();
		return false;
	}
	EVP_PKEY *key = key_read(file, &private);
	if (!key)
		snprintf(why, size,
		         "%s: no key in PEM form that can be read (one with a password cannot)",
		         path);
	else if (!key_fits(key, wanted))
		snprintf(why, size, "%s: %s needs %s", path, alg, wanted->wanted);
	else if (!(ok = key_take(pem, key, private)))
		snprintf(why, size, "%s: the key cannot be written as PEM", path);
	EVP_PKEY_free(key);
	BIO_free(file);
	ERR_clear_error();
	return ok;
}

static void wipe(char *text)
{
	if (text)
		OPENSSL_cleanse(text, strlen(text));
	free(text);
}

void pem_fini(struct pem *pem)
{
	wipe(pem->verify);
	wipe(pem->sign);
	*pem = (struct pem){ 0 };
}

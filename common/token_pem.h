/* PEM keys for tokens: read once, and checked against the one algorithm each is for. */
#ifndef CONFAB_TOKEN_PEM_H
#define CONFAB_TOKEN_PEM_H

#include "common/base.h"

struct pem {
	char *verify; /* the public key */
	char *sign;   /* the private key; NULL: the file has none */
};

/* Reads a public or private key for "RS256" … "ES512". The public half of a private key is derived.
 * False: `why` says what is wrong with the file, or why the key is none for that algorithm. */
MUST_USE bool pem_load(struct pem *pem, const char *path, const char *alg, char *why, size_t size);
/* Wipes and frees both. */
void pem_fini(struct pem *pem);

#endif

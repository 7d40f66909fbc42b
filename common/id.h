/* Random identifiers in URL-safe base64 (RFC 4648 §5, unpadded). */
#ifndef CONFAB_ID_H
#define CONFAB_ID_H

#include "common/str.h"

/* Fills from the kernel's generator, buffered; safe across fork. */
void id_random(void *out, size_t len);
/* Writes 4 characters for every 3 bytes of `len` (a multiple of 3), unterminated. */
void id_encode(char *out, const void *bytes, size_t len);
/* The reverse; false unless `text` has just the characters for `len` bytes. */
bool id_decode(void *out, size_t len, struct str text);

#endif

/* Random identifiers: the kernel's randomness, fetched by the block, in URL-safe base64. */
#include "common/id.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Randomness in store; what is handed out is wiped, and a child of fork throws away its
 * parent's. */
static struct {
	unsigned char bytes[512];
	size_t left;       /* the unused ones, at the end */
	bool watches_fork;
} store;

static void forget_store(void)
{
	memset(store.bytes, 0, sizeof(store.bytes));
	store.left = 0;
}

static void from_kernel(unsigned char *out, size_t len)
{
	while (len) {
		const ssize_t n = getrandom(out, len, 0);
		if (n < 0 && errno != EINTR)
			abort();
		if (n > 0) {
			out += n;
			len -= (size_t)n;
		}
	}
}

static void refill(void)
{
	if (!store.watches_fork && pthread_atfork(NULL, NULL, forget_store))
		abort();
	store.watches_fork = true;
	from_kernel(store.bytes, sizeof(store.bytes));
	store.left = sizeof(store.bytes);
}

void id_random(void *out, size_t len)
{
	if (len > sizeof(store.bytes) / 4) {
		from_kernel(out, len);
		return;
	}
	if (store.left < len)
		refill();
	unsigned char *from = store.bytes + sizeof(store.bytes) - store.left;
	memcpy(out, from, len);
	explicit_bzero(from, len);
	store.left -= len;
}

void id_encode(char *out, const void *bytes, size_t len)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const unsigned char *in = bytes;

	assert(len % 3 == 0);
	for (; len; len -= 3, in += 3) {
		const unsigned three = (unsigned)in[0] << 16 | (unsigned)in[1] << 8 | in[2];
		for (int shift = 18; shift >= 0; shift -= 6)
			*out++ = letters[three >> shift & 63];
	}
}

/* What a letter stands for, or -1. */
static int letter_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool id_decode(void *out, size_t len, struct str text)
{
	unsigned char *to = out;

	assert(len % 3 == 0);
	if (text.len != len / 3 * 4)
		return false;
	for (size_t i = 0; i < text.len; i += 4) {
		unsigned three = 0;
		for (size_t j = i; j < i + 4; j++) {
			const int value = letter_value(text.p[j]);
			if (value < 0)
				return false;
			three = three << 6 | (unsigned)value;
		}
		*to++ = (unsigned char)(three >> 16);
		*to++ = (unsigned char)(three >> 8);
		*to++ = (unsigned char)three;
	}
	return true;
}

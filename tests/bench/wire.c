/* Bytes, WebSocket frames and marks, for both ends of a benchmark. */
#include "tests/bench/wire.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

void die(const char *what, int error)
{
	fprintf(stderr, "%s%s%s\n", what, error != 0 ? ": " : "",
	        error != 0 ? strerror(error) : "");
	exit(EXIT_FAILURE);
}

void program_begin(unsigned life_s)
{
	struct rlimit files;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(life_s);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* --- bytes --- */

void bytes_add(struct bytes *b, const void *p, size_t len)
{
	if (len == 0)
		return;
	if (b->cap - b->len < len) {
		b->cap = (b->len + len) * 2;
		b->p = realloc(b->p, b->cap);
		if (b->p == NULL)
			die("out of memory", 0);
	}
	memcpy(b->p + b->len, p, len);
	b->len += len;
}

void bytes_drop(struct bytes *b, size_t len)
{
	b->len -= len;
	if (b->len == 0)
		bytes_free(b);
	else if (len > 0)
		memmove(b->p, b->p + len, b->len);
}

void bytes_free(struct bytes *b)
{
	free(b->p);
	*b = (struct bytes){ 0 };
}

bool bytes_send(struct bytes *b, int fd, const void *p, size_t len)
{
	if (b->len > 0) {
		bytes_add(b, p, len);
		return true;
	}
	const ssize_t n = send(fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return false;
	const size_t sent = n > 0 ? (size_t)n : 0;
	bytes_add(b, (const char *)p + sent, len - sent);
	return true;
}

/* --- frames --- */

enum { FIN = 0x80, MASK = 0x80, LEN_16 = 126, LEN_64 = 127, MASK_LEN = 4 };

size_t frame_head(unsigned char head[FRAME_HEAD_MAX], unsigned opcode, size_t len, bool client)
{
	const size_t wide = len < LEN_16 ? 0 : len <= UINT16_MAX ? 2 : 8;

	memset(head, 0, FRAME_HEAD_MAX);
	head[0] = (unsigned char)(FIN | opcode);
	head[1] = (unsigned char)(wide == 0 ? len : wide == 2 ? LEN_16 : LEN_64);
	for (size_t i = 0; i < wide; i++)
		head[2 + i] = (unsigned char)((uint64_t)len >> 8 * (wide - 1 - i));
	if (!client)
		return 2 + wide;
	head[1] |= MASK;
	return 2 + wide + MASK_LEN;
}

bool frame_read(const char *bytes, size_t have, struct frame *f)
{
	const unsigned char *p = (const unsigned char *)bytes;

	if (have < 2)
		return false;
	const unsigned code = p[1] & 0x7f;
	const size_t wide = code == LEN_64 ? 8 : code == LEN_16 ? 2 : 0;
	const size_t head = 2 + wide + (p[1] & MASK ? MASK_LEN : 0);
	if (have < head)
		return false;
	uint64_t len = wide > 0 ? 0 : code;
	for (size_t i = 0; i < wide; i++)
		len = len << 8 | p[2 + i];
	if (len > have - head)
		return false;
	*f = (struct frame){ p[0] & 0x0f, bytes + head, (size_t)len, head + (size_t)len };
	return true;
}

/* --- marks --- */

enum { TIME_DIGITS = 16, SLOT_DIGITS = 4 };

static void hex_write(char *p, int digits, uint64_t value)
{
	for (int i = digits - 1; i >= 0; i--, value >>= 4)
		p[i] = "0123456789abcdef"[value & 15];
}

static uint64_t hex_read(const char *p, int digits)
{
	uint64_t value = 0;
	for (int i = 0; i < digits; i++)
		value = value << 4 | (uint64_t)(p[i] <= '9' ? p[i] - '0' : p[i] - 'a' + 10);
	return value;
}

void mark_write(char *p, uint64_t at_ns, unsigned slot)
{
	p[0] = '@';
	p[1] = '#';
	hex_write(p + 2, TIME_DIGITS, at_ns);
	hex_write(p + 2 + TIME_DIGITS, SLOT_DIGITS, slot);
}

bool mark_is(const char *p, size_t left)
{
	return left >= MARK_LEN && p[0] == '@' && p[1] == '#';
}

const char *mark_find(const char *p, size_t len)
{
	const char *at = memmem(p, len, "@#", 2);
	return at != NULL && mark_is(at, len - (size_t)(at - p)) ? at : NULL;
}

void mark_read(const char *p, uint64_t *at_ns, unsigned *slot)
{
	*at_ns = hex_read(p + 2, TIME_DIGITS);
	*slot = (unsigned)hex_read(p + 2 + TIME_DIGITS, SLOT_DIGITS);
}

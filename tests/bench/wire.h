/* What the load generator and the floor server share: bytes waiting, WebSocket frames (RFC 6455
 * §5.2), and the mark by which a delivery is known. */
#ifndef CONFAB_BENCH_WIRE_H
#define CONFAB_BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Says what failed (and why, if `error` is not 0) and ends the program. */
__attribute__((noreturn)) void die(const char *what, int error);
/* For main: as many files as may be open, and an end, at the latest, after `life_s`
 * or with the parent. */
void program_begin(unsigned life_s);
uint64_t now_ns(void);

/* Bytes in memory of their own; all zero is empty. */
struct bytes {
	char *p;
	size_t len, cap;
};

void bytes_add(struct bytes *b, const void *p, size_t len);
void bytes_drop(struct bytes *b, size_t len);
void bytes_free(struct bytes *b);

/* Sends on a non-blocking socket; what it does not take waits in `b`. False: the peer is gone. */
bool bytes_send(struct bytes *b, int fd, const void *p, size_t len);

enum { FRAME_HEAD_MAX = 14, OPCODE_TEXT = 1, OPCODE_CLOSE = 8, OPCODE_PING = 9, OPCODE_PONG = 10 };

struct frame {
	unsigned opcode;
	const char *payload;
	size_t len, size;            /* of the payload, of the whole frame */
};

/* The header of a frame into `head`, and its length. A client's has a mask: of zeros, which leaves
 * the payload as it is and costs the server the same. */
size_t frame_head(unsigned char head[FRAME_HEAD_MAX], unsigned opcode, size_t len, bool client);
/* The first frame in `p`; false while it is incomplete. A client's payload must have a mask
 * of zeros. */
bool frame_read(const char *p, size_t len, struct frame *f);

/* A marked text: "@#", the time it was due (16 hexadecimal digits of ns), its slot (4 digits). */
enum { MARK_LEN = 22 };

void mark_write(char *p, uint64_t at_ns, unsigned slot);
bool mark_is(const char *p, size_t left);
/* Where it is in `p`; NULL: nowhere. */
const char *mark_find(const char *p, size_t len);
void mark_read(const char *p, uint64_t *at_ns, unsigned *slot);

/* What clients of this benchmark send as Sec-WebSocket-Key, and the answer to it. */
#define HANDSHAKE_KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define HANDSHAKE_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

#endif

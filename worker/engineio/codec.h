/* Engine.IO v4 packets and polling payloads (protocol.md §3, §4): pure functions. */
#ifndef CONFAB_EIO_CODEC_H
#define CONFAB_EIO_CODEC_H

#include "common/buf.h"

enum eio_type {
	EIO_OPEN = '0', EIO_CLOSE = '1', EIO_PING = '2', EIO_PONG = '3',
	EIO_MESSAGE = '4', EIO_UPGRADE = '5', EIO_NOOP = '6',
	EIO_BINARY = 'b',    /* a binary message; its data is raw bytes here */
};

struct eio_packet {
	enum eio_type type;
	struct str data;     /* after the type; for EIO_BINARY the bytes, decoded */
};

/* One WebSocket text message. False: parse error. EIO_BINARY is not accepted here: a binary
 * WebSocket message is one, without any type byte. */
bool eio_decode(struct str text, struct eio_packet *out);

/* The next packet of a polling payload: cuts it from *rest. Base64 is decoded into `scratch`
 * (cleared first), standard or URL-safe alphabet, padded or not. 1: one, 0: end, -1: parse error
 * (an empty packet, unknown type, bad base64, invalid UTF-8). Begin with *rest = the whole body;
 * an empty body is a parse error. */
int eio_payload_next(struct str *rest, bool *first, struct buf *scratch, struct eio_packet *out);

/* Adds a packet to a polling payload, with the separator where something stands before. */
void eio_payload_add(struct buf *payload, enum eio_type type, struct str data);

#endif

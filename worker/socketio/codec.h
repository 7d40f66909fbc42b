/* Socket.IO v5 packets (protocol.md §10 to §12): pure functions over the text of an
 * Engine.IO message. */
#ifndef CONFAB_SIO_CODEC_H
#define CONFAB_SIO_CODEC_H

#include "common/buf.h"
#include "common/json.h"

enum sio_type {
	SIO_CONNECT, SIO_DISCONNECT, SIO_EVENT, SIO_ACK, SIO_CONNECT_ERROR,
	SIO_BINARY_EVENT, SIO_BINARY_ACK,
};

enum { SIO_MAX_ATTACHMENTS = 10, SIO_MAX_ID_DIGITS = 18 };

/* Slices of the decoded text. */
struct sio_packet {
	enum sio_type type;
	unsigned attachments;    /* of a binary event or ack: 1 to SIO_MAX_ATTACHMENTS */
	struct str nsp;          /* with its slash; "/" where none was given */
	struct str id;           /* decimal digits of the ack id; STR_NONE if absent */
	struct str data;         /* the JSON, validated for this type; STR_NONE if absent */
	/* Events: */
	struct str event;        /* raw JSON of the first element (a string or a number) */
	struct str args;         /* what follows it: "1,{…}" without brackets; empty for none */
};

/* Decodes a packet as a server receives it, with every rule of §10: payload per type, reserved
 * event names, no CONNECT_ERROR, no trailing bytes. False: the session must be closed. For binary
 * packets, placeholders are checked too: each `num` a whole number below `attachments`. */
bool sio_decode(struct str text, struct sio_packet *out);

/* Walks `args`: the next argument's raw JSON; false at the end. */
bool sio_next_arg(struct str *args, struct str *value);

/* Encoders add to `out`. `nsp` "/" is left out, any other written with its comma; `id` may be
 * STR_NONE. `data` is JSON (for events and acks the whole array) or STR_NONE. */
void sio_encode(struct buf *out, enum sio_type type, unsigned attachments, struct str nsp,
                struct str id, struct str data);

#endif

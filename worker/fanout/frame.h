/* Bytes encoded once and shared: a batch holds WebSocket frames (RFC 6455 §5.2, unmasked), header
 * and payload side by side; output queues refer to ranges of it, polling takes the payloads. */
#ifndef CONFAB_FRAME_H
#define CONFAB_FRAME_H

#include "common/str.h"

enum ws_opcode {
	WS_CONTINUATION = 0, WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10,
};

struct batch;

/* Empty, with one reference, the caller's. */
struct batch *batch_new(void);
struct batch *batch_ref(struct batch *b);
void batch_unref(struct batch *b);
/* Adds a frame at the end; ranges given out before stay as they are. */
void batch_frame(struct batch *b, enum ws_opcode opcode, struct str payload);
/* Adds bytes that are no frame (an HTTP answer). */
void batch_bytes(struct batch *b, struct str bytes);
uint32_t batch_len(const struct batch *b);
/* The bytes from `from` to `to`, valid until the next addition. */
struct str batch_range(const struct batch *b, uint32_t from, uint32_t to);

/* For outq.c. One that holds what was copied for a single queue, and may be added
 * to while that lasts. */
struct batch *batch_new_private(void);
bool batch_is_private(const struct batch *b);
/* The memory that goes when its last reference does. */
uint32_t batch_memory(const struct batch *b);
/* Whose it is to count in: how much of it a queue has. */
uint32_t *batch_share(struct batch *b);

/* Cuts the next frame from *bytes, which begin at a frame; false at the end. */
bool frame_next(struct str *bytes, enum ws_opcode *opcode, struct str *payload);

#endif

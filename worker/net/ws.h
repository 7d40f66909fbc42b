/* WebSocket over a connection (RFC 6455): wslay reads what clients send, in a context that exists
 * only while a message is unfinished; what we send is framed once and shared (fanout/frame.h). */
#ifndef CONFAB_WS_H
#define CONFAB_WS_H

#include "worker/net/http.h"

/* Whom a WebSocket serves; c->owner is its object. */
struct ws_user {
	/* One whole message; text is valid UTF-8. May close. */
	void (*message)(struct conn *c, bool binary, struct str bytes);
	/* The connection is gone, or a close is under way: the owner must forget it. Not called
	 * after ws_close or ws_release. */
	void (*closed)(struct conn *c, enum reason why);
	size_t max_message;          /* bytes; 0: conf.max_payload */
	/* Bytes came, whatever they are: the peer lives. May be NULL. */
	void (*heard)(struct conn *c);
};

struct ws;

struct ws *ws_new(void);
void ws_free(struct ws *ws);
/* Answers an upgrade request: true: the connection speaks WebSocket now and belongs to `user` and
 * `owner`, the request is freed. False: it was refused (400, 405, 426). RFC 6455 §4.2. */
bool ws_accept(struct request *r, const struct head *h, const struct ws_user *user, void *owner);
/* Whether the request is a well-formed one. */
bool ws_wanted(const struct head *h);
/* Sends one frame of its own. */
void ws_send(struct conn *c, enum ws_opcode opcode, struct str payload);
/* Sends what is queued, then a close frame with the reason's code and text (or `text`),
 * then closes. The owner is not told. */
void ws_close(struct conn *c, enum reason why, const char *text);

#endif

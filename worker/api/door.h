/* Between the doors of the APIs (events.c for Socket.IO, rest.c for HTTP) and what they share (api.c). */
#ifndef CONFAB_DOOR_H
#define CONFAB_DOOR_H

#include "worker/api/api.h"
#include "worker/net/http.h"
#include "worker/socketio/socket.h"

/* events.c: what stands behind the namespaces of Socket.IO. */
extern const struct socket_app events_app;
void events_init(const struct services *services);
void events_fini(void);
/* The socket that asks, or NULL when it is gone or the asker is none. */
struct socket *events_asker(const struct op *op);

/* rest.c: the `head` of the service at "/". */
void rest_head(struct request *r, const struct head *h);
void rest_init(const struct services *services);

/* api.c */
/* Verifies a token; the claims live in the op's arena. */
MUST_USE enum err api_verify(struct op *op, struct str token, struct claims *out);

#endif

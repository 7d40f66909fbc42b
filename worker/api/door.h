/* Between the doors of the APIs (events.c for Socket.IO, rest.c for HTTP) and what they share (api.c). */
#ifndef CONFAB_DOOR_H
#define CONFAB_DOOR_H

#include "worker/api/api.h"
#include "worker/domain/user.h"
#include "worker/net/http.h"
#include "worker/socketio/socket.h"

/* events.c: what stands behind the namespaces of Socket.IO. */
extern const struct socket_app events_app;
void events_init(const struct services *services);
void events_fini(void);
/* Redis is there again: says what could not be said meanwhile. */
void events_redis_up(void);
/* A session's socket is over: tells Redis, now or when it is there; `leaves`: it can't be taken up again. */
void events_part(struct str session, struct str take, bool leaves);
/* The asking socket left a room: its session does, too. */
void events_unfollow(const struct op *asked, struct str room);
/* What the client says of an earlier session, for a CONNECT where that can be recovered; else NULL. */
const struct arrival *events_arrival(const struct op *op);
/* The socket that asks, or NULL when it is gone or the asker is none. */
struct socket *events_asker(const struct op *op);

/* rest.c: the `head` of the service at "/". */
void rest_head(struct request *r, const struct head *h);
void rest_init(const struct services *services);

/* api.c */
/* Verifies a token; the claims live in the op's arena. */
MUST_USE enum err api_verify(struct op *op, struct str token, struct claims *out);

#endif

/* Within Engine.IO: what sessions, polling and WebSockets share. */
#ifndef CONFAB_TRANSPORT_H
#define CONFAB_TRANSPORT_H

#include "worker/engineio/codec.h"
#include "worker/engineio/session.h"

/* session.c */
struct session *session_new(const struct mount *m, struct origin *origin, unsigned listener);
/* It polls, from now on; and no more. */
void polling_begin(struct session *s);
void polling_end(struct session *s);
/* Takes a session that polls from the allowances of the connection (ten times event-rate)
 * and, unless it is the first there, of its address: it outlives its request, and would else be
 * no client to either. */
bool session_may_begin(struct conn *c);
struct session *session_find(const struct engine *e, struct str sid);
/* The worker that made a sid; -1: none of this host did. */
int sid_worker(const struct engine *e, struct str sid);
/* The open packet: "0{…}" (§2). */
void session_open_packet(const struct session *s, bool upgrades, struct buf *out);
/* The heart beats from now on. */
void session_start(struct session *s);
/* One packet from the client; may end the session. */
void session_packet(struct session *s, const struct eio_packet *p);
/* session_close for what came over this connection, or its end: it is none of the session's
 * any more. */
void session_over(struct session *s, enum reason why, struct conn *c);
/* Forgets it without a word to the client; the upper must have been told. */
void session_bury(struct session *s);

/* origin.c: what an application may ask for later; NULL when there is nothing. */
struct origin *origin_new(const struct head *h, bool headers);

/* poll.c: answers the held GET with what is queued, and a closing packet after it
 * where `last` is one. */
void poll_answer(struct session *s, struct str last);

/* websocket.c: a WebSocket without sid becomes a session; one with a sid asks
 * for an upgrade (§7). */
void websocket_open(struct request *r, const struct head *h, const struct mount *m,
                    struct origin *origin);
void websocket_probe(struct request *r, const struct head *h, struct session *s);
/* The probe, if there is one, comes to nothing. */
void websocket_end_probe(struct polling *p, enum reason why);
void websocket_noop_due(struct deadline *d);
void websocket_upgrade_late(struct deadline *d);

#endif

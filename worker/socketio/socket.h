/* A Socket.IO v5 socket: one client in one namespace of a session (protocol.md §10 to §12).
 * Owned by its session; freed at the end of the turn in which it closed. */
#ifndef CONFAB_SOCKET_H
#define CONFAB_SOCKET_H

#include "worker/engineio/session.h"
#include "worker/expiry.h"
#include "worker/fanout/hub.h"
#include "worker/op.h"
#include "worker/socketio/codec.h"

struct socket;

/* A namespace where it is served. One object per (API, name), alive as long as the worker. */
struct nsp {
	struct encoder encoder;
	struct str name;             /* "/chat" */
	const void *api;             /* api.c's */
};

/* What stands behind the namespaces. */
struct socket_app {
	/* The namespace of that name for this session; NULL: there is none. */
	const struct nsp *(*find)(const struct session *s, struct str name);
	/* A client wants in: ends with socket_accept or socket_refuse, at once or later. */
	void (*connect)(struct socket *s, struct str auth);
	void (*event)(struct socket *s, const struct sio_packet *p, struct strs blobs);
	/* The token that the socket came with has expired. */
	void (*expired)(struct socket *s);
	/* It is over; give up what hangs on it. */
	void (*closed)(struct socket *s, enum reason why);
};

enum { SOCKET_SID_LEN = 20 };

/* The sockets of a worker. */
struct sockets {
	const struct socket_app *app;
	struct hub *hub;
	struct list dying;
	struct deadline_list attachment, ack;
	struct expiries expiries;
	struct buf scratch;
	uint64_t n, opened, events;
	uint64_t closed[REASON_COUNT];
};

struct socket {
	struct peer peer;
	struct session *session;
	const struct nsp *nsp;
	struct list link, ops;
	struct expiry expiry;        /* of its token */
	struct asked *asked;         /* questions to the client, the newest first */
	uint32_t next_ack;
	char sid[SOCKET_SID_LEN];
	char pid[SOCKET_SID_LEN];    /* names its recoverable session: the client's secret */
	char take[11];               /* how often that was taken up; empty: Redis knows of none */
	bool open : 1, closed : 1;
	bool late : 1;               /* peer_vt.is_late */
};

void sockets_init(struct sockets *all, struct deadlines *ds, struct hub *hub,
                  const struct socket_app *app);
void sockets_fini(struct sockets *all);
/* End of a turn: frees what closed. */
void sockets_tick(struct sockets *all);
/* All that are not closed. `each` must not end any. */
void sockets_each(const struct engine *e, void (*each)(struct socket *s, void *ctx), void *ctx);
/* The upper of sessions that speak Socket.IO; engine->upper must be the struct sockets. */
extern const struct session_upper socketio_upper;

struct str socket_sid(const struct socket *s);
/* Adds to a line of the log whose it is, where, and from which address: " user=… at=… from=…". */
void socket_describe(const struct socket *s, struct buf *line);
/* Whose socket it is, until when (seconds since 1970; 0: for ever). */
void socket_identify(struct socket *s, struct str user, int64_t expires_s);
/* Its session (protocol.md §13): the client is told the pid, and the sid that goes with it.
 * Without a `take` it is none of Redis'. */
void socket_recover(struct socket *s, struct str sid, struct str pid, struct str take);
/* The client is in: CONNECT with its sid. */
void socket_accept(struct socket *s);
/* CONNECT_ERROR {message} and the end of the socket. */
void socket_refuse(struct socket *s, enum reason why, const char *message);
/* DISCONNECT and the end of the socket; the session stays. */
void socket_disconnect(struct socket *s, enum reason why);
/* Emits an event; `data` is the whole array with the event's name,
 * with placeholders for `blobs`. */
void socket_emit(struct socket *s, struct str data, struct strs blobs);
/* Answers an acknowledgement; `args` is what goes between the brackets. */
void socket_ack(struct socket *s, struct str id, struct str args, struct strs blobs);
/* Emits an event that asks for an acknowledgement: `fn` gets, once, the answer's array and
 * attachments, or STR_NONE when none came in 30 s or the socket closed. */
typedef void socket_ack_fn(struct socket *s, void *arg, struct str args, struct strs blobs);
void socket_ask(struct socket *s, struct str data, socket_ack_fn *fn, void *arg);

#endif

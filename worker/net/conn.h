/* One TCP connection: bytes in, bytes out, and one way to end. What the bytes mean is its
 * protocol's business (http.c, then perhaps ws.c). Owned by the net's list; closed by conn_close
 * only; freed at the end of the turn, so that nothing is freed in its own callback. */
#ifndef CONFAB_CONN_H
#define CONFAB_CONN_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/buf.h"
#include "worker/deadline.h"
#include "worker/net/outq.h"
#include "worker/reason.h"

struct conn;
struct gate;

struct conn_vt {
	/* Bytes came: returns how many were used; the rest is offered again with what follows. May
	 * close the connection. */
	size_t (*input)(struct conn *c, struct str bytes);
	/* All output has been written. May be NULL. */
	void (*drained)(struct conn *c);
	/* Some output has been written. May be NULL. */
	void (*written)(struct conn *c);
	/* It is closed; forget it. */
	void (*closed)(struct conn *c, enum reason why);
};

/* All connections of a worker. */
struct net {
	struct event_base *base;
	struct list conns, todo, dying;
	struct deadline_list linger;     /* closing, until the peer has read our last words */
	struct deadline_list rests;      /* … after a round of many writes */
	struct deadline rest;
	struct http *http;               /* http.c: services, time-outs */
	struct ws *ws;                   /* ws.c: scratch memory */
	struct gate *gate;               /* gate.c: who may connect */
	char *input;                     /* one read buffer for all */
	size_t n_conns;
	uint64_t opened;
	uint64_t queued;                 /* bytes in the queues of all connections */
	uint64_t turn;                   /* counts net_tick */
	/* Hands a connection to another worker, with what was read of it; false: it can't
	 * be had (worker.c). */
	bool (*hand_over)(void *ctx, struct conn *c, unsigned worker, struct str bytes);
	void *ctx;
	uint64_t closed[REASON_COUNT];
};

struct conn {
	struct event event;
	struct net *net;
	const struct conn_vt *vt;
	void *state;         /* the protocol's */
	const void *user;    /* whom the protocol serves, and … */
	void *owner;         /* … its object */
	struct outq out;
	struct buf in;       /* bytes read and not used yet */
	struct list link;    /* net->conns or net->dying */
	struct list todo;    /* net->todo: has output of this turn, or input to be offered again */
	struct deadline deadline;
	uint8_t listener;    /* index into conf.listens */
	uint8_t why;         /* enum reason, once it is finishing */
	bool wants_write : 1, resumes : 1, finishing : 1, paused : 1, closed : 1;
	bool corked : 1;     /* output waits until it is uncorked */
	bool idle : 1;       /* HTTP: between two requests */
	bool deferred : 1;   /* WebSocket: its input waits until the peer has read more */
	bool told : 1;       /* the log knows of its end */
	bool begun : 1;      /* a client that polls began over it, or may have at another worker */
	bool throttled : 1;  /* too often, or too many, from its address: told so, and closed */
	uint32_t gate_slot;  /* where gate.c counts it; 0: nowhere */
	uint64_t bucket_us;  /* of clients that poll and begin over it: session_may_begin's */
};

enum { NET_INPUT = 64 * 1024 };

void net_init(struct net *n, struct event_base *base, struct deadlines *ds);
/* Closes what is left and frees. */
void net_fini(struct net *n);
/* A new connection over `fd` (taken over), non-blocking; `bytes` were read of it before. */
struct conn *conn_new(struct net *n, int fd, unsigned listener, const struct conn_vt *vt,
                      struct str bytes);
int conn_fd(const struct conn *c);
/* Adds " from=" and the peer's address to a line of the log; "-" when there is no connection
 * (NULL), or the peer has reset it. Behind a proxy that is the proxy. */
void conn_describe(const struct conn *c, struct buf *line);
/* Queues output; it leaves at the end of the turn. */
void conn_push(struct conn *c, struct batch *b, uint32_t from, uint32_t to);
void conn_bytes(struct conn *c, struct str bytes);
/* Queues all that another queue holds. */
void conn_take_over(struct conn *c, struct outq *q);
/* Keeps all output back, or lets it go. */
void conn_cork(struct conn *c, bool corked);
/* Something is to be done at the end of the turn. */
void conn_touch(struct conn *c);
/* Offers kept input again at the end of the turn. */
void conn_resume(struct conn *c);
/* Stops, or goes on, reading (back-pressure). */
void conn_pause(struct conn *c, bool paused);
/* Nothing waits to be written: `drained` is called again in a later turn,
 * when the socket takes bytes. */
void conn_await(struct conn *c);
/* Closes once the output is written and the peer has had a chance to read it. */
void conn_finish(struct conn *c, enum reason why);
/* Closes now; the protocol's `closed` is called. Harmless when closed already. */
void conn_close(struct conn *c, enum reason why);
/* End of a turn: writes, resumes, frees. */
void net_tick(struct net *n);

#endif

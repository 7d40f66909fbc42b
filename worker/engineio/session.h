/* An Engine.IO v4 session (protocol.md §2 to §8): it outlives its connections, which are held GETs
 * while it polls and one WebSocket once it is upgraded. Owned by the engine's map; what is above it
 * (Socket.IO, or an echo) is its upper. */
#ifndef CONFAB_SESSION_H
#define CONFAB_SESSION_H

#include "common/map.h"
#include "worker/net/ws.h"

struct session;

/* What a session carries messages for. */
struct session_upper {
	void (*opened)(struct session *s);
	/* One message without its Engine.IO type. */
	void (*message)(struct session *s, bool binary, struct str bytes);
	/* Adds to a line of the log who is there: " user=… at=…". May be NULL. */
	void (*describe)(const struct session *s, struct buf *line);
	/* The session is over; s->state is to be given up. Nothing more is called. */
	void (*closed)(struct session *s, enum reason why);
	/* A POST with messages begins; its head is borrowed. May be NULL. */
	void (*posted)(struct session *s, const struct head *h);
};

/* What an application says of a handshake; zeroed, it is welcome as it is. */
struct greeting {
	const char *refusal;         /* refused (403, code 4) with this text */
	bool keeps_headers;          /* the session keeps the request's headers: 1 KB and more */
	struct buf headers;          /* header lines for the answer, with CRLF; the caller frees */
};

/* A path at which sessions are made: the `arg` of an http_service with engine_head. */
struct mount {
	const char *path;
	const struct session_upper *upper;
	struct engine **engine;      /* where the worker's engine is found once it runs */
	/* A session is asked for; may be NULL. */
	void (*greet)(const struct request *r, const struct head *h, struct greeting *out);
};

enum { SID_LEN = 32, SID_RANDOM = 12, SID_HOST = 3, SID_MAC = 8 };

struct engine {
	struct map sessions;         /* by sid */
	struct list dirty;           /* sessions with something for a GET, or doomed */
	struct list dying;           /* over; freed at the end of the turn */
	struct batch *ping_frame, *turn;     /* a ping; this turn's frames for single sessions */
	struct buf scratch;
	struct deadline_list ping, pong, noop, upgrade, connect, grace;
	unsigned char key[32];       /* authenticates sids */
	unsigned char host[SID_HOST];
	unsigned worker, workers;
	void *upper;                 /* the uppers' own (Socket.IO's sockets) */
	uint64_t n_sessions, opened; /* those that are open; those that ever were */
	uint64_t queued;             /* bytes that wait for a GET, of all sessions */
	uint64_t closed[REASON_COUNT];
};

/* What came with the request that opened the session, in one allocation. */
struct origin {
	struct str query;            /* without Engine.IO's own parameters */
	struct str authorization;
	struct str headers;          /* JSON; STR_NONE unless the greeting keeps them */
	char text[];
};

/* What a session has only while it polls. */
struct polling {
	struct session *session;
	struct request *held;        /* the GET that waits for packets */
	struct conn *probe;          /* a WebSocket that asks to become the transport */
	struct outq out;             /* packets waiting for a GET, as frames */
	struct deadline upgrade, noop;
};

struct session {
	char sid[SID_LEN];
	struct engine *engine;
	const struct mount *mount;
	void *state;                 /* the upper's */
	struct conn *ws;             /* the transport, once it is a WebSocket */
	struct polling *polling;     /* NULL once it is one */
	struct request *post;        /* the POST being read */
	struct origin *origin;       /* NULL: nothing worth keeping */
	struct list dirty;
	struct deadline heartbeat;   /* on the ping or the pong list */
	struct deadline step;        /* connect; later grace */
	uint64_t bucket_us;          /* event-rate: when the allowance is whole again */
	uint32_t slow_ms;            /* outq_is_slow's */
	uint32_t began_s;            /* clock_now_ms() / 1000 when it opened */
	uint8_t listener;
	uint8_t why;                 /* enum reason, once doomed or dead */
	bool awaits_pong : 1;
	bool doomed : 1;             /* to be closed at the end of the turn */
	bool closing : 1;            /* over, but for a last GET that is to be told so */
	bool dead : 1;               /* over; freed at the end of the turn */
};

void engine_init(struct engine *e, struct deadlines *ds, unsigned worker, unsigned workers,
                 const unsigned char key[32], const unsigned char host[SID_HOST]);
/* Closes up to `most` sessions, because the worker goes away; how many are left. */
size_t engine_drain(struct engine *e, size_t most);
/* Frees all, sessions included. */
void engine_fini(struct engine *e);
/* End of a turn: answers held GETs that have something, closes what is doomed,
 * frees what is over. */
void engine_tick(struct engine *e);

struct str session_sid(const struct session *s);
/* A connection that it has now, or NULL. */
struct conn *session_conn(const struct session *s);
/* Queues one message (without an Engine.IO type); binary ones travel as such. */
void session_send(struct session *s, bool binary, struct str bytes);
/* Queues frames of a shared batch, whose text payloads begin with the Engine.IO type. */
void session_push(struct session *s, struct batch *b, uint32_t from, uint32_t to);
/* Whether more waits to be sent than queue-soft allows. */
bool session_is_behind(const struct session *s);
/* Ends it: the client is told as its transport allows, the upper by `closed`. */
void session_close(struct session *s, enum reason why);
/* A namespace was joined, or none is any more: stops or starts the connect time-out. */
void session_connected(struct session *s, bool connected);
/* Takes one event from the connection's allowance; false: it sends too many. */
bool session_allow(struct session *s);
/* Adds a request's headers as a JSON object with names in lower case; of one name,
 * values are joined. */
void origin_headers(const struct head *h, struct buf *out);

#endif

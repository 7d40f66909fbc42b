/* The feeds a worker follows: one connection for pub/sub, and the way back after it broke. Every
 * event of a feed is handed over once, and events of all feeds in the order of their stamps. */
#ifndef CONFAB_SUB_H
#define CONFAB_SUB_H

#include "worker/store/call.h"

struct sub;
struct channel;

enum feed_state {
	FEED_CLOSED,
	FEED_OPENING,    /* subscribe is under way, or the connection is broken */
	FEED_LIVE,       /* events come */
};

/* Embedded by whoever follows it; zeroed but for name and logged before it is opened. */
struct feed {
	struct str name;         /* the channel, `room:r1`; borrowed from the embedder */
	uint64_t last;           /* stamp up to which all was handed over; 0: nothing is known */
	enum feed_state state;
	bool logged;             /* has a log (`room:`, `user:`): gaps are filled from it */
	struct channel *channel; /* the sub's, while it is not closed */
};

struct sub_owner {
	/* The feed is live: what is published from now on comes. After an open,
	 * or after a new start. */
	void (*live)(void *ctx, struct feed *f);
	/* One event: its stamp (0 on a feed without a log) and its JSON, borrowed for the call.
	 * False: it cannot be read, and nothing was done; unless it comes from the log, it comes
	 * again from there. */
	bool (*event)(void *ctx, struct feed *f, uint64_t stamp, struct str json);
	/* Events after `stood`, up to which all were handed over, are gone for good (log trimmed,
	 * or Redis lost data); f->last is where it goes on, perhaps before that. For a feed without
	 * a log: it was not live until now, read the state anew. */
	void (*gap)(void *ctx, struct feed *f, uint64_t stood);
};

/* Logs are read through services->calls. */
struct sub *sub_new(struct event_base *base, const struct conf_redis *where,
                    const struct services *services, const struct sub_owner *owner, void *ctx);
void sub_free(struct sub *s);
/* How often its connection was lost, or could not be made. */
uint64_t sub_losses(const struct sub *s);
/* Starts to follow; owner->live comes later, never from within. */
void feed_open(struct sub *s, struct feed *f);
/* Stops; may be called in any state, also from within owner callbacks. */
void feed_close(struct sub *s, struct feed *f);
/* Somebody knows what happened up to `since` and is to hear all that comes after it: what may have
 * been missed, or was handed over before, is read from the log and handed over (again). */
void feed_since(struct sub *s, struct feed *f, uint64_t since);
/* The command connection came up: what worker_hello told, see calls_owner. */
void sub_epoch(struct sub *s, uint64_t now, uint64_t epoch_start);

/* Takes apart what is published on a feed with a log, "<prev> <id> <json>", and leaves the JSON in
 * *text. False when it is no such thing. Pure. */
MUST_USE bool feed_message(struct str *text, uint64_t *prev, uint64_t *stamp);

#endif

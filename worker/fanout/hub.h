/* The local members of every room: who on this worker hears a feed. A feed is followed while it has a
 * member; an event is encoded once for all members who speak alike, and each one's output queue gets a
 * reference to the bytes. */
#ifndef CONFAB_HUB_H
#define CONFAB_HUB_H

#include "common/list.h"
#include "worker/domain/event.h"
#include "worker/fanout/frame.h"
#include "worker/store/sub.h"

struct hub;
struct peer;

enum audience { HEAR_NONE, HEAR_ALL, HEAR_OTHERS /* all but the actor's own peers */ };

/* How one API in one namespace says an event. One object per (API, namespace), alive as long as the worker. */
struct encoder {
	/* Adds the payload of one text frame to `out`, or HEAR_NONE. */
	enum audience (*encode)(const struct encoder *e, const struct feed_event *event, struct buf *out);
	/* What the event changes for a member (a room left, a user deleted); runs after all have
	 * been told. May be NULL. May close or leave. */
	void (*apply)(struct peer *p, const struct feed_event *event);
	bool (*applies)(const struct feed_event *event);   /* cheap: whether apply is wanted at all */
};

struct peer_vt {
	/* The bytes [from, to) of a batch, whole frames; takes its own reference. */
	void (*send)(struct peer *p, struct batch *b, uint32_t from, uint32_t to);
	/* Events were lost for good: the transport is to be closed, recovery to be refused. */
	void (*lost)(struct peer *p);
};

/* Somebody who can hear: embedded in a Socket.IO socket or a plain WebSocket. */
struct peer {
	const struct peer_vt *vt;
	const struct encoder *encoder;
	struct str user;             /* whose it is; borrowed from the embedder */
	struct list memberships;     /* of struct member, hub.c's */
};

/* Owned by the caller; follows feeds through `sub` once that is attached. */
struct hub *hub_new(void);
void hub_attach(struct hub *h, struct sub *sub);
void hub_free(struct hub *h);
/* The callbacks for sub_new; ctx is the hub. */
extern const struct sub_owner hub_sub_owner;

void peer_init(struct peer *p, const struct peer_vt *vt, const struct encoder *e, struct str user);
/* Leaves everything. */
void peer_fini(struct hub *h, struct peer *p);

/* Called once when the feed is live, at once (true) or later; never if it is cancelled before. */
typedef void feed_live_fn(void *ctx);
/* Makes sure the feed is followed, so that whatever is read afterwards misses nothing: returns true
 * when it is live already; else `fn` is called once it is. Keeps the feed open for `ctx` until
 * hub_release(ctx): hold, read the state, join, release. */
bool hub_hold(struct hub *h, struct str feed, feed_live_fn *fn, void *ctx);
void hub_release(struct hub *h, struct str feed, void *ctx);
/* Follows a feed for ever whose events name in `feed` whose members they are for: what is said to this
 * worker alone. */
void hub_listen(struct hub *h, struct str feed);
/* The stamp of the newest event handed out on that feed; 0 if it is not followed. */
uint64_t hub_last(struct hub *h, struct str feed);

/* From now on the peer hears what happens on the feed after `since`. Joining twice is one membership. */
void hub_join(struct hub *h, struct peer *p, struct str feed, uint64_t since);
/* False when it was not a member. */
bool hub_leave(struct hub *h, struct peer *p, struct str feed);
bool hub_is_member(const struct peer *p, struct str feed);
/* Ends the turn: batches are closed; what comes next goes into new ones. */
void hub_tick(struct hub *h);
/* Members and feeds of this worker, for metrics. */
void hub_counts(const struct hub *h, size_t *feeds, size_t *members);
/* Events queued for a member so far. */
uint64_t hub_deliveries(const struct hub *h);

#endif

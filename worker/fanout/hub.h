/* The local members of every room: who on this worker hears a feed. A feed is followed while it has
 * a member; an event is encoded once for all members who speak alike, and each one's output queue
 * gets a reference to the bytes. */
#ifndef CONFAB_HUB_H
#define CONFAB_HUB_H

#include "common/histogram.h"
#include "common/list.h"
#include "worker/domain/event.h"
#include "worker/fanout/frame.h"
#include "worker/store/sub.h"

struct hub;
struct peer;

enum audience {
	HEAR_NONE,
	HEAR_ALL,
	HEAR_OTHERS,     /* all but the actor's own peers */
	HEAR_OWN,        /* only these, without the one that asked for it (feed_event.origin) */
};

/* How one API in one namespace says an event. One object per (API, namespace), alive as
 * long as the worker. */
struct encoder {
	/* An event may take several packets: adds the payload of its nth as a text frame to `out`.
	 * HEAR_NONE: there are no more. */
	enum audience (*encode)(const struct encoder *e, const struct feed_event *event,
	                        unsigned nth, struct buf *out);
	/* What the event changes for a member (a room left, a user deleted); runs after all have
	 * been told. May be NULL. May close or leave. */
	void (*apply)(struct peer *p, const struct feed_event *event);
	bool (*applies)(const struct feed_event *event);   /* cheap: whether apply is wanted */
};

struct peer_vt {
	/* The bytes [from, to) of a batch, whole frames; takes its own reference. */
	void (*send)(struct peer *p, struct batch *b, uint32_t from, uint32_t to);
	/* Events were lost for good: the transport is to be closed, recovery to be refused. */
	void (*lost)(struct peer *p);
	/* Whether this is the one of that id (feed_event.origin). May be NULL: none has an id. */
	bool (*is)(const struct peer *p, struct str id);
	/* Whether so much waits for it already that news which the next ones replace are left out;
	 * when it has caught up it is told the newest of them. May be NULL: never. */
	bool (*is_behind)(const struct peer *p);
	/* With is_behind: its note that it was left out, and has not been told since. One does
	 * not do for both: who has caught up is not behind any more, and this note alone says that
	 * it is owed the news. The embedder keeps it, which has a bit to spare; in struct peer or
	 * struct member it would be a word. */
	bool (*is_late)(const struct peer *p);
	void (*set_late)(struct peer *p, bool late);
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
/* Follows a feed for ever whose events name in `feed` whose members they are for: what is said
 * to this worker alone. */
void hub_listen(struct hub *h, struct str feed);
/* State channels (feeds without a log) have no way to heal a gap themselves: `stale` is called with
 * the name of one whose state must be read anew, as an event for hub_hear. */
void hub_on_stale(struct hub *h, void (*stale)(void *ctx, struct str feed), void *ctx);
/* Calls it for every state channel that is followed: what was read meanwhile may be outdated. */
void hub_stale_all(struct hub *h);
/* Redis has lost its data, and begins to count anew: of state channels, whatever it
 * says next is news. */
void hub_forget(struct hub *h);
/* Who goes by that id on that feed; NULL: there is no such peer. */
struct peer *hub_named(struct hub *h, struct str feed, struct str id);
/* An event of a state channel, as JSON, that did not come by the channel itself:
 * told to those who know less. */
void hub_hear(struct hub *h, struct str feed, struct str json);
/* A user is here while a peer hears the user's own feed: `here` is called when the first one joins
 * it, and when the last one leaves. */
typedef void hub_here_fn(void *ctx, struct str user, bool here);
void hub_on_here(struct hub *h, hub_here_fn *here, void *ctx);
/* Calls it for all who are here. */
void hub_here_all(struct hub *h);
/* The stamp of the newest event handed out on that feed; 0 if it is not followed. */
uint64_t hub_last(struct hub *h, struct str feed);

/* From now on the peer hears what happens on the feed after `since`; on a state channel, what has
 * come since it was held by somebody. Joining twice is one membership. */
void hub_join(struct hub *h, struct peer *p, struct str feed, uint64_t since);
/* False when it was not a member. */
bool hub_leave(struct hub *h, struct peer *p, struct str feed);
bool hub_is_member(const struct peer *p, struct str feed);
/* How many feeds whose names begin so it hears. */
size_t hub_heard(const struct peer *p, struct str prefix);
/* Ends the turn: batches are closed; what comes next goes into new ones. */
void hub_tick(struct hub *h);
/* After the turn's writing: notes how long the messages took that were told in it. */
void hub_written(struct hub *h);
/* Feeds and members of this worker, for metrics. */
void hub_counts(const struct hub *h, size_t *feeds, size_t *members);
/* Users who are here. */
size_t hub_users(const struct hub *h);
/* Events queued for a member so far. */
uint64_t hub_deliveries(const struct hub *h);
/* From a message's creation to its being written. */
const struct histogram *hub_times(const struct hub *h);

#endif

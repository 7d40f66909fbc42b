/* The way back into order: logs of feeds read again, in pages, and handed out together with what
 * was kept aside meanwhile, all by stamp. Used by sub.c only. */
#ifndef CONFAB_REFILL_H
#define CONFAB_REFILL_H

#include <event2/event_struct.h>

#include "common/list.h"
#include "worker/store/call.h"

enum { REFILL_FEEDS = 200 };

struct refill;

/* One entry of a log, or one live message that has to wait. */
struct entry {
	struct list link;
	uint64_t stamp, prev;
	struct str feed, json;       /* in text */
	char text[];
};

struct refills_owner {
	/* The next entry of all. False: something before it has to be read first;
	 * it is offered again. */
	bool (*entry)(void *ctx, const struct entry *e);
	/* The log of a feed was read, and whatever it has up to that stamp will be offered. */
	void (*covered)(void *ctx, struct str feed, uint64_t upto);
	/* Send a ping on the pub/sub connection; refills_pong when it is back. */
	void (*ping)(void *ctx, uint64_t number);
};

/* Embedded by the sub. */
struct refills {
	const struct services *services;
	const struct refills_owner *owner;
	void *ctx;
	struct list refills;
	struct list held;            /* live messages, as they came, which is by stamp */
	size_t held_bytes;
	uint64_t limit;              /* nothing after it is handed out; UINT64_MAX: no limit */
	uint64_t read;               /* the newest stamp that came on the pub/sub connection */
	uint64_t pings, pong;        /* sent; the newest that is back */
	struct event retry;
};

void refills_init(struct refills *rs, struct event_base *base, const struct services *services,
                  const struct refills_owner *owner, void *ctx);
void refills_fini(struct refills *rs);
/* Forgets all refills and all that is held: the connection is gone, or it became too much. */
void refills_clear(struct refills *rs);
/* Nothing is to be waited for: what comes can be handed out at once. */
bool refills_idle(const struct refills *rs);
/* Keeps a live message aside (copied); false when too much is held already. */
MUST_USE bool refills_hold(struct refills *rs, struct str feed, uint64_t stamp, uint64_t prev,
                           struct str json);
/* Hands out what may be handed out by now. */
void refills_hand_out(struct refills *rs);
void refills_pong(struct refills *rs, uint64_t number);
/* Starts those that wait for nothing but a working link to Redis. */
void refills_start(struct refills *rs);

/* An empty one; it is started by refills_start, and frees itself when all was handed out. */
struct refill *refill_new(struct refills *rs);
/* One more feed, to be read from after `since`; `waits`: its subscription is still under way.
 * Returns how many it has now, at most REFILL_FEEDS. */
size_t refill_feed(struct refill *r, struct str feed, uint64_t since, bool waits);
/* It ends at `upto`, which was handed out already; else it ends at the time of its first page. */
void refill_until(struct refill *r, uint64_t upto);
/* The subscription of one of those that wait is there, or no longer wanted. */
void refill_acked(struct refill *r);
/* Reads this feed from an earlier stamp; only while the refill waits. */
void refill_lower(struct refill *r, struct str feed, uint64_t since);

#endif

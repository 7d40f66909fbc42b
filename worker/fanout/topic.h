/* A topic: a feed with somebody on this worker in it. Its members stand in groups, one per encoder;
 * holders keep it open while they read its state. For fanout/ alone: all others know the hub. */
#ifndef CONFAB_TOPIC_H
#define CONFAB_TOPIC_H

#include "worker/fanout/hub.h"

struct topic {
	struct feed feed;
	struct list groups;
	struct holding *holding;     /* NULL: nobody holds it */
	size_t members;
	struct list idle;            /* among the hub's, once nobody is left */
	char name[];
};

struct group {
	struct topic *topic;
	const struct encoder *encoder;
	struct list members;
	struct batch *batch;         /* of this turn; NULL: none yet (tell.c's) */
	struct list link;            /* among the topic's */
	struct list open;            /* among the teller's, while there is a batch */
};

struct member {
	struct list of_group, of_peer;
	struct group *group;
	struct peer *peer;           /* NULL: the end of a walk */
	uint64_t since;
};

struct hold {
	struct list link;
	feed_live_fn *fn;            /* NULL: was called, or was not needed */
	void *ctx;
};

/* An event of a state channel, for those who are about to join. */
struct kept {
	struct list link;
	size_t len;
	char json[];
};

/* Who holds a topic, and of a state channel what came meanwhile. */
struct holding {
	struct list holds, kept;
};

struct topic *topic_new(struct str feed);
/* Only when it has no member. */
void topic_free(struct topic *t);
bool topic_is_unused(const struct topic *t);
/* The members who speak alike; made if there are none yet. */
struct group *topic_group(struct topic *t, const struct encoder *e);
/* Any of its members; NULL: there is none. */
const struct peer *topic_peer(const struct topic *t);
/* The one that goes by that id (peer_vt.is); NULL: there is none. */
struct peer *topic_named(const struct topic *t, struct str id);
/* All are to hear whatever comes next. */
void topic_forget(struct topic *t);
/* Nobody is to hear again what came up to `at`. */
void topic_advance(struct topic *t, uint64_t at);
/* Keeps an event of a state channel while somebody holds it: who reads the state now and joins
 * then, would miss it. */
void topic_keep(struct topic *t, struct str json);

struct member *member_find(const struct group *g, const struct peer *p);
struct member *member_new(struct group *g, struct peer *p, uint64_t since);
void member_free(struct member *m);

/* The hold of `ctx`, or NULL. */
struct hold *hold_find(const struct topic *t, const void *ctx);
/* One that waits for the feed to be live, or NULL. */
struct hold *hold_waiting(const struct topic *t);
struct hold *hold_new(struct topic *t, void *ctx);
void hold_free(struct topic *t, struct hold *hold);

#endif

/* The local members of every room.
 *
 * A topic is a feed with somebody in it; its members stand in groups, one per encoder. An event is
 * read once, encoded once per group, and framed into the group's open batch, which all its events of
 * one turn share. A topic without members and holders is given up at the end of the turn.
 *
 * Whoever is called while a group is walked may leave, or destroy other peers: the walk's cursor moves
 * on when the member it points to goes. What joins meanwhile stands behind the walk's end.
 *
 * The hub owns topics, groups and members; peers belong to those who embed them. */
#include "worker/fanout/hub.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/map.h"
#include "common/mem.h"

enum { BATCH_FULL_BYTES = 64 * 1024 };

struct topic {
	struct feed feed;
	struct list groups;
	struct list holds;
	size_t members;
	struct list idle;            /* among the hub's, once nobody is left */
	char name[];
};

struct group {
	struct topic *topic;
	const struct encoder *encoder;
	struct list members;
	struct batch *batch;         /* of this turn; NULL: none yet */
	struct list link;            /* among the topic's */
	struct list open;            /* among the hub's, while there is a batch */
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

struct hub {
	struct sub *sub;
	struct map topics;
	struct list idle, open;
	struct list *next;           /* of the walk under way; NULL: there is none */
	struct member end;           /* where it ends */
	struct buf scratch;
	size_t members;
	uint64_t deliveries;
};

/* --- topics ---------------------------------------------------------------------------------- */

static bool is_logged(struct str feed)
{
	return str_starts(feed, STR("room:")) || str_starts(feed, STR("user:")) ||
	       str_eq(feed, STR("control"));
}

static struct topic *topic_get(const struct hub *h, struct str feed)
{
	return map_get(&h->topics, feed);
}

static struct topic *topic_open(struct hub *h, struct str feed)
{
	struct topic *t = topic_get(h, feed);

	if (t != NULL) {
		list_remove(&t->idle);
		return t;
	}
	t = xcalloc(1, sizeof(*t) + feed.len);
	memcpy(t->name, feed.p, feed.len);
	t->feed.name = (struct str){ t->name, feed.len };
	t->feed.logged = is_logged(feed);
	list_init(&t->groups);
	list_init(&t->holds);
	list_init(&t->idle);
	map_put(&h->topics, t->feed.name, t);
	feed_open(h->sub, &t->feed);
	return t;
}

static void topic_free(struct hub *h, struct topic *t)
{
	feed_close(h->sub, &t->feed);
	map_take(&h->topics, t->feed.name);
	list_remove(&t->idle);
	LIST_EACH(&t->groups, link) {
		struct group *g = LIST_OF(link, struct group, link);
		assert(list_empty(&g->members));
		if (g->batch != NULL)
			batch_unref(g->batch);
		list_remove(&g->open);
		free(g);
	}
	LIST_EACH(&t->holds, link)
		free(LIST_OF(link, struct hold, link));
	free(t);
}

static void topic_check(struct hub *h, struct topic *t)
{
	if (t->members > 0 || !list_empty(&t->holds))
		return;
	list_remove(&t->idle);
	list_push(&h->idle, &t->idle);
}

static struct group *topic_group(struct topic *t, const struct encoder *e)
{
	LIST_EACH(&t->groups, link) {
		struct group *g = LIST_OF(link, struct group, link);
		if (g->encoder == e)
			return g;
	}
	struct group *g = xcalloc(1, sizeof(*g));
	g->topic = t;
	g->encoder = e;
	list_init(&g->members);
	list_init(&g->open);
	list_push(&t->groups, &g->link);
	return g;
}

/* --- members --------------------------------------------------------------------------------- */

/* The shorter of the group's and the peer's list decides: whoever is in few rooms, or wherever few
 * are, is found at once, and no table of all memberships is needed. */
static struct member *member_find(const struct group *g, const struct peer *p)
{
	struct list *a = g->members.next, *b = p->memberships.next;

	for (; a != &g->members && b != &p->memberships; a = a->next, b = b->next) {
		struct member *in_group = LIST_OF(a, struct member, of_group);
		struct member *in_peer = LIST_OF(b, struct member, of_peer);
		if (in_group->peer == p)
			return in_group;
		if (in_peer->group == g)
			return in_peer;
	}
	return NULL;
}

static void member_remove(struct hub *h, struct member *m)
{
	struct topic *t = m->group->topic;

	if (h->next == &m->of_group)
		h->next = m->of_group.next;
	list_remove(&m->of_group);
	list_remove(&m->of_peer);
	free(m);
	h->members--;
	t->members--;
	topic_check(h, t);
}

/* Walks over a group's members as they are now; one walk at a time. */
static void walk_begin(struct hub *h, struct group *g)
{
	assert(h->next == NULL);
	list_push(&g->members, &h->end.of_group);
	h->next = g->members.next;
}

/* The next member, or NULL: the walk is over. */
static struct member *walk_next(struct hub *h)
{
	struct list *link = h->next;

	if (link == &h->end.of_group) {
		list_remove(link);
		h->next = NULL;
		return NULL;
	}
	h->next = link->next;
	return LIST_OF(link, struct member, of_group);
}

/* --- telling --------------------------------------------------------------------------------- */

static bool is_told(const struct member *m, uint64_t stamp)
{
	return stamp == 0 || m->since < stamp;
}

static bool is_actor(const struct peer *p, const struct feed_event *e)
{
	return e->actor.len > 0 && str_eq(p->user, e->actor);
}

static void batch_close(struct group *g)
{
	batch_unref(g->batch);
	g->batch = NULL;
	list_remove(&g->open);
}

static void group_tell(struct hub *h, struct group *g, const struct feed_event *e)
{
	struct member *m;

	if (list_empty(&g->members))
		return;
	buf_clear(&h->scratch);
	const enum audience audience = g->encoder->encode(g->encoder, e, &h->scratch);
	if (audience == HEAR_NONE)
		return;
	if (g->batch == NULL) {
		g->batch = batch_new();
		list_push(&h->open, &g->open);
	}
	struct batch *b = g->batch;
	const uint32_t from = batch_len(b);
	batch_frame(b, WS_TEXT, buf_view(&h->scratch));
	walk_begin(h, g);
	while ((m = walk_next(h)) != NULL) {
		const bool own = audience == HEAR_OTHERS && is_actor(m->peer, e);
		if (!is_told(m, e->stamp) || own)
			continue;
		m->peer->vt->send(m->peer, b, from, batch_len(b));
		h->deliveries++;
	}
	if (batch_len(b) > BATCH_FULL_BYTES)
		batch_close(g);
}

static void group_apply(struct hub *h, struct group *g, const struct feed_event *e)
{
	const struct encoder *encoder = g->encoder;
	struct member *m;

	if (encoder->apply == NULL || (encoder->applies != NULL && !encoder->applies(e)))
		return;
	walk_begin(h, g);
	while ((m = walk_next(h)) != NULL)
		if (is_told(m, e->stamp))
			encoder->apply(m->peer, e);
}

/* To all members of a topic (NULL: there are none here): first the news, then what follows from it. */
static void topic_tell(struct hub *h, struct topic *t, const struct feed_event *e)
{
	if (t == NULL)
		return;
	LIST_EACH(&t->groups, told)
		group_tell(h, LIST_OF(told, struct group, link), e);
	LIST_EACH(&t->groups, changed)
		group_apply(h, LIST_OF(changed, struct group, link), e);
}

static void on_event(void *ctx, struct feed *f, uint64_t stamp, struct str json)
{
	struct hub *h = ctx;
	struct topic *t = CONTAINER_OF(f, struct topic, feed);
	struct arena arena = { 0 };
	struct feed_event e;

	if (t->members == 0 && list_empty(&t->holds))
		return;
	if (event_read(json, &arena, &e)) {
		e.stamp = stamp;
		topic_tell(h, e.feed.p != NULL ? topic_get(h, e.feed) : t, &e);
	} else {
		log_warn("feed %.*s: an event that cannot be read", STR_ARG(f->name));
	}
	arena_fini(&arena);
}

/* Some events are nowhere any more: those who had not heard them are lost. State that has no log is read anew
 * by those who keep it. */
static void on_gap(void *ctx, struct feed *f, uint64_t stood)
{
	struct hub *h = ctx;
	struct topic *t = CONTAINER_OF(f, struct topic, feed);

	if (!f->logged)
		return;
	LIST_EACH(&t->groups, link) {
		struct member *m;
		walk_begin(h, LIST_OF(link, struct group, link));
		while ((m = walk_next(h)) != NULL)
			if (m->since < f->last || f->last < stood)
				m->peer->vt->lost(m->peer);
	}
}

static void on_live(void *ctx, struct feed *f)
{
	struct topic *t = CONTAINER_OF(f, struct topic, feed);
	struct list waiting;
	(void)ctx;

	list_init(&waiting);
	list_splice(&waiting, &t->holds);
	while (!list_empty(&waiting)) {
		struct hold *hold = LIST_OF(waiting.next, struct hold, link);
		feed_live_fn *fn = hold->fn;
		list_remove(&hold->link);
		list_push(&t->holds, &hold->link);
		hold->fn = NULL;
		if (fn != NULL)
			fn(hold->ctx);
	}
}

const struct sub_owner hub_sub_owner = { .live = on_live, .event = on_event, .gap = on_gap };

/* --- holding --------------------------------------------------------------------------------- */

static struct hold *hold_find(struct topic *t, const void *ctx)
{
	LIST_EACH(&t->holds, link) {
		struct hold *hold = LIST_OF(link, struct hold, link);
		if (hold->ctx == ctx)
			return hold;
	}
	return NULL;
}

bool hub_hold(struct hub *h, struct str feed, feed_live_fn *fn, void *ctx)
{
	struct topic *t = topic_open(h, feed);
	const bool live = t->feed.state == FEED_LIVE;
	struct hold *hold = hold_find(t, ctx);

	if (hold == NULL) {
		hold = xcalloc(1, sizeof(*hold));
		hold->ctx = ctx;
		list_push(&t->holds, &hold->link);
	}
	hold->fn = live ? NULL : fn;
	return live;
}

void hub_release(struct hub *h, struct str feed, void *ctx)
{
	struct topic *t = topic_get(h, feed);
	struct hold *hold = t != NULL ? hold_find(t, ctx) : NULL;

	if (hold == NULL)
		return;
	list_remove(&hold->link);
	free(hold);
	topic_check(h, t);
}

void hub_listen(struct hub *h, struct str feed)
{
	hub_hold(h, feed, NULL, h);
}

uint64_t hub_last(struct hub *h, struct str feed)
{
	const struct topic *t = topic_get(h, feed);
	return t != NULL ? t->feed.last : 0;
}

/* --- joining --------------------------------------------------------------------------------- */

/* Somebody comes who knows less than was handed out: it is handed out again from there, but not to
 * those who heard it. */
static void topic_rewind(struct hub *h, struct topic *t, uint64_t since)
{
	const uint64_t last = t->feed.last;

	LIST_EACH(&t->groups, link) {
		struct group *g = LIST_OF(link, struct group, link);
		LIST_EACH(&g->members, of_group) {
			struct member *m = LIST_OF(of_group, struct member, of_group);
			if (m->since < last)
				m->since = last;
		}
	}
	feed_since(h->sub, &t->feed, since);
}

void hub_join(struct hub *h, struct peer *p, struct str feed, uint64_t since)
{
	struct topic *t = topic_open(h, feed);
	struct group *g = topic_group(t, p->encoder);

	if (member_find(g, p) != NULL)
		return;
	if (since != 0 && since < t->feed.last)
		topic_rewind(h, t, since);
	else
		feed_since(h->sub, &t->feed, since);
	struct member *m = xcalloc(1, sizeof(*m));
	m->group = g;
	m->peer = p;
	m->since = since;
	list_push(&g->members, &m->of_group);
	list_push(&p->memberships, &m->of_peer);
	t->members++;
	h->members++;
}

bool hub_leave(struct hub *h, struct peer *p, struct str feed)
{
	struct topic *t = topic_get(h, feed);

	if (t == NULL)
		return false;
	struct member *m = member_find(topic_group(t, p->encoder), p);
	if (m == NULL)
		return false;
	member_remove(h, m);
	return true;
}

bool hub_is_member(const struct peer *p, struct str feed)
{
	LIST_EACH(&p->memberships, link) {
		const struct member *m = LIST_OF(link, struct member, of_peer);
		if (str_eq(m->group->topic->feed.name, feed))
			return true;
	}
	return false;
}

void peer_init(struct peer *p, const struct peer_vt *vt, const struct encoder *e, struct str user)
{
	p->vt = vt;
	p->encoder = e;
	p->user = user;
	list_init(&p->memberships);
}

void peer_fini(struct hub *h, struct peer *p)
{
	while (!list_empty(&p->memberships))
		member_remove(h, LIST_OF(p->memberships.next, struct member, of_peer));
}

/* --------------------------------------------------------------------------------------------- */

void hub_tick(struct hub *h)
{
	while (!list_empty(&h->open))
		batch_close(LIST_OF(h->open.next, struct group, open));
	while (!list_empty(&h->idle))
		topic_free(h, LIST_OF(h->idle.next, struct topic, idle));
}

void hub_counts(const struct hub *h, size_t *feeds, size_t *members)
{
	*feeds = h->topics.n;
	*members = h->members;
}

uint64_t hub_deliveries(const struct hub *h)
{
	return h->deliveries;
}

struct hub *hub_new(void)
{
	struct hub *h = xcalloc(1, sizeof(*h));

	list_init(&h->idle);
	list_init(&h->open);
	return h;
}

void hub_attach(struct hub *h, struct sub *sub)
{
	h->sub = sub;
}

void hub_free(struct hub *h)
{
	size_t cursor = 0;
	struct topic *t;

	if (h == NULL)
		return;
	while ((t = map_next(&h->topics, &cursor)) != NULL) {
		list_remove(&t->idle);
		list_push(&h->idle, &t->idle);
	}
	hub_tick(h);
	map_fini(&h->topics);
	buf_fini(&h->scratch);
	free(h);
}

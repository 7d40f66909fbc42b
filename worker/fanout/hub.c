/* The local members of every room: which topics there are, who joins and leaves,
 * what their feeds bring.
 *
 * A topic without members and holders is given up at the end of the turn. A state channel has
 * no log to read again: what comes while somebody holds it, to read the state and join then,
 * is kept for that joiner.
 *
 * The hub owns topics, with their groups and members; peers belong to those who embed them. */
#include "worker/fanout/hub.h"

#include <stdlib.h>

#include "common/log_line.h"
#include "common/map.h"
#include "common/mem.h"
#include "worker/fanout/tell.h"
#include "worker/fanout/topic.h"

struct hub {
	struct sub *sub;
	void (*stale)(void *ctx, struct str feed);
	void *stale_ctx;
	hub_here_fn *here;
	void *here_ctx;
	struct map topics;
	struct list idle;
	struct teller teller;
	size_t members, users;
	struct log_bound said;       /* nonsense is logged once a second */
};

/* --- topics ---------------------------------------------------------------------------------- */

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
	t = topic_new(feed);
	map_put(&h->topics, t->feed.name, t);
	feed_open(h->sub, &t->feed);
	return t;
}

static void topic_close(struct hub *h, struct topic *t)
{
	feed_close(h->sub, &t->feed);
	teller_forget(&h->teller, t);
	map_take(&h->topics, t->feed.name);
	topic_free(t);
}

static void topic_check(struct hub *h, struct topic *t)
{
	if (!topic_is_unused(t))
		return;
	list_remove(&t->idle);
	list_push(&h->idle, &t->idle);
}

/* --- users ----------------------------------------------------------------------------------- */

static bool is_user(const struct topic *t)
{
	return str_starts(t->feed.name, STR("user:"));
}

/* The first member has come, or the last one gone: if the feed is a user's own, so has the user. */
static void topic_here(const struct hub *h, const struct topic *t, const struct peer *p, bool here)
{
	if (h->here != NULL && is_user(t))
		h->here(h->here_ctx, p->user, here);
}

void hub_on_here(struct hub *h, hub_here_fn *here, void *ctx)
{
	h->here = here;
	h->here_ctx = ctx;
}

void hub_here_all(struct hub *h)
{
	size_t cursor = 0;
	const struct topic *t;

	while ((t = map_next(&h->topics, &cursor)) != NULL)
		if (t->members > 0)
			topic_here(h, t, topic_peer(t), true);
}

/* --- what feeds bring ------------------------------------------------------------------------ */

static bool on_event(void *ctx, struct feed *f, uint64_t stamp, struct str json)
{
	struct hub *h = ctx;
	struct topic *t = CONTAINER_OF(f, struct topic, feed);
	struct arena arena = { 0 };
	struct feed_event e;

	if (topic_is_unused(t))
		return true;
	const bool readable = event_read(json, &arena, &e);
	if (readable) {
		e.stamp = stamp;
		/* What names another feed is no state of this one, which is held for ever. */
		if (e.feed.p != NULL)
			t = topic_get(h, e.feed);
		else
			topic_keep(t, json);
		if (t != NULL)
			tell_topic(&h->teller, t, &e, json);
	} else {
		log_bounded(&h->said, LOG_WARN, "feed %.*s: an event that cannot be read",
		            STR_ARG(f->name));
	}
	arena_fini(&arena);
	return readable;
}

void hub_hear(struct hub *h, struct str feed, struct str json)
{
	struct topic *t = topic_get(h, feed);

	if (t != NULL && json.len > 0)
		on_event(h, &t->feed, 0, json);
}

static void topic_stale(const struct hub *h, const struct topic *t)
{
	if (!t->feed.logged && t->members > 0 && h->stale != NULL)
		h->stale(h->stale_ctx, t->feed.name);
}

void hub_stale_all(struct hub *h)
{
	size_t cursor = 0;
	const struct topic *t;

	while ((t = map_next(&h->topics, &cursor)) != NULL)
		topic_stale(h, t);
}

void hub_forget(struct hub *h)
{
	size_t cursor = 0;
	struct topic *t;

	while ((t = map_next(&h->topics, &cursor)) != NULL)
		if (!t->feed.logged)
			topic_forget(t);
	h->teller.newest = 0;
}

void hub_on_stale(struct hub *h, void (*stale)(void *ctx, struct str feed), void *ctx)
{
	h->stale = stale;
	h->stale_ctx = ctx;
}

/* Some events are nowhere any more; state that has no log is read anew. */
static void on_gap(void *ctx, struct feed *f, uint64_t stood)
{
	struct hub *h = ctx;
	struct topic *t = CONTAINER_OF(f, struct topic, feed);

	if (f->logged)
		tell_lost(&h->teller, t, stood);
	else
		topic_stale(h, t);
}

static void on_live(void *ctx, struct feed *f)
{
	struct topic *t = CONTAINER_OF(f, struct topic, feed);
	struct hold *hold;
	(void)ctx;

	/* Each may release itself and others, and new ones may come:
	 * those have nothing to be told. */
	while ((hold = hold_waiting(t)) != NULL) {
		feed_live_fn *fn = hold->fn;
		hold->fn = NULL;
		fn(hold->ctx);
	}
}

const struct sub_owner hub_sub_owner = { .live = on_live, .event = on_event, .gap = on_gap };

/* --- holding --------------------------------------------------------------------------------- */

bool hub_hold(struct hub *h, struct str feed, feed_live_fn *fn, void *ctx)
{
	struct topic *t = topic_open(h, feed);
	const bool live = t->feed.state == FEED_LIVE;
	struct hold *hold = hold_find(t, ctx);

	if (hold == NULL)
		hold = hold_new(t, ctx);
	hold->fn = live ? NULL : fn;
	return live;
}

void hub_release(struct hub *h, struct str feed, void *ctx)
{
	struct topic *t = topic_get(h, feed);
	struct hold *hold = t != NULL ? hold_find(t, ctx) : NULL;

	if (hold == NULL)
		return;
	hold_free(t, hold);
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

void hub_join(struct hub *h, struct peer *p, struct str feed, uint64_t since)
{
	struct topic *t = topic_open(h, feed);
	struct group *g = topic_group(t, p->encoder);

	if (member_find(g, p) != NULL)
		return;
	/* Somebody comes who knows less than was handed out: it is handed out again from there, but
	 * not to those who heard it. */
	if (since != 0 && since < t->feed.last)
		topic_advance(t, t->feed.last);
	feed_since(h->sub, &t->feed, since);
	struct member *m = member_new(g, p, since);
	h->members++;
	if (t->members == 1) {
		h->users += is_user(t);
		topic_here(h, t, p, true);
	}
	tell_kept(&h->teller, t, m);
}

static void part(struct hub *h, struct member *m)
{
	struct topic *t = m->group->topic;
	struct peer *p = m->peer;

	teller_skip(&h->teller, m);
	member_free(m);
	h->members--;
	if (t->members == 0) {
		h->users -= is_user(t);
		topic_here(h, t, p, false);
	}
	topic_check(h, t);
}

struct peer *hub_named(struct hub *h, struct str feed, struct str id)
{
	struct topic *t = topic_get(h, feed);

	return t != NULL ? topic_named(t, id) : NULL;
}

bool hub_leave(struct hub *h, struct peer *p, struct str feed)
{
	struct topic *t = topic_get(h, feed);

	if (t == NULL)
		return false;
	struct member *m = member_find(topic_group(t, p->encoder), p);
	if (m == NULL)
		return false;
	part(h, m);
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

size_t hub_heard(const struct peer *p, struct str prefix)
{
	size_t n = 0;

	LIST_EACH(&p->memberships, link) {
		const struct member *m = LIST_OF(link, struct member, of_peer);
		n += str_starts(m->group->topic->feed.name, prefix);
	}
	return n;
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
		part(h, LIST_OF(p->memberships.next, struct member, of_peer));
}

/* --------------------------------------------------------------------------------------------- */

void hub_tick(struct hub *h)
{
	teller_tick(&h->teller);
	while (!list_empty(&h->idle))
		topic_close(h, LIST_OF(h->idle.next, struct topic, idle));
}

void hub_written(struct hub *h)
{
	teller_written(&h->teller);
}

void hub_counts(const struct hub *h, size_t *feeds, size_t *members)
{
	*feeds = h->topics.n;
	*members = h->members;
}

size_t hub_users(const struct hub *h)
{
	return h->users;
}

uint64_t hub_deliveries(const struct hub *h)
{
	return h->teller.deliveries;
}

const struct histogram *hub_times(const struct hub *h)
{
	return &h->teller.times;
}

struct hub *hub_new(void)
{
	struct hub *h = xcalloc(1, sizeof(*h));

	list_init(&h->idle);
	teller_init(&h->teller);
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
	teller_fini(&h->teller);
	free(h);
}

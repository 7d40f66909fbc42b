/* Telling: an event is encoded once per group, and framed into the group's open batch, which all
 * its events of one turn share.
 *
 * Whoever is called while a group is walked may leave, or destroy other peers: the walk's cursor
 * moves on when the member it points to goes. What joins meanwhile stands behind the walk's end. */
#include "worker/fanout/tell.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/mem.h"

enum { BATCH_FULL_BYTES = 64 * 1024 };

void teller_init(struct teller *w)
{
	*w = (struct teller){ 0 };
	list_init(&w->open);
	list_init(&w->late);
}

void teller_fini(struct teller *w)
{
	buf_fini(&w->scratch);
}

/* --- walking --- */

/* Walks over a group's members as they are now; one walk at a time. */
static void walk_begin(struct teller *w, struct group *g)
{
	assert(w->next == NULL);
	list_push(&g->members, &w->end.of_group);
	w->next = g->members.next;
}

/* The next member, or NULL: the walk is over. */
static struct member *walk_next(struct teller *w)
{
	struct list *link = w->next;

	if (link == &w->end.of_group) {
		list_remove(link);
		w->next = NULL;
		return NULL;
	}
	w->next = link->next;
	return LIST_OF(link, struct member, of_group);
}

void teller_skip(struct teller *w, const struct member *m)
{
	if (w->next == &m->of_group)
		w->next = m->of_group.next;
}

/* --- who hears --- */

/* When it happened, whether or not there is a log of it; 0: it is for all. */
static uint64_t event_at(const struct feed_event *e)
{
	return e->stamp != 0 ? e->stamp : e->as_of;
}

static bool is_told(const struct member *m, const struct feed_event *e)
{
	return event_at(e) == 0 || m->since < event_at(e);
}

static bool is_actor(const struct peer *p, const struct feed_event *e)
{
	return e->actor.len > 0 && str_eq(p->user, e->actor);
}

static bool is_origin(const struct peer *p, const struct feed_event *e)
{
	return e->origin.len > 0 && p->vt->is != NULL && p->vt->is(p, e->origin);
}

/* Whether a peer is among an event's audience. */
static bool hears(const struct peer *p, const struct feed_event *e, enum audience audience)
{
	if (audience == HEAR_OTHERS)
		return !is_actor(p, e);
	return audience != HEAR_OWN || (is_actor(p, e) && !is_origin(p, e));
}

/* The next such news says all that this one says; those who lag behind can wait for it. (Who came
 * online and who went is no such news: it has a log, and a place in it that a client that comes
 * back would pass over.) */
static bool is_passing(const struct feed_event *e)
{
	return e->type == EVENT_LOBBY_USERS;
}

static bool is_behind(const struct peer *p)
{
	return p->vt->is_behind != NULL && p->vt->is_behind(p);
}

static bool is_late(const struct peer *p)
{
	return p->vt->is_late != NULL && p->vt->is_late(p);
}

/* --- those who are late --- */

enum { LATE_MS = 200 };

/* The newest of the news that somebody was left out of. */
struct late_news {
	struct list link;
	const struct topic *topic;
	size_t len;
	char json[];
};

void teller_forget(struct teller *w, const struct topic *t)
{
	LIST_EACH(&w->late, link) {
		struct late_news *news = LIST_OF(link, struct late_news, link);
		if (news->topic != t)
			continue;
		list_remove(link);
		free(news);
	}
}

static void keep_news(struct teller *w, const struct topic *t, struct str json)
{
	struct late_news *news = xmalloc(sizeof(*news) + json.len);

	news->topic = t;
	news->len = json.len;
	memcpy(news->json, json.p, json.len);
	list_push(&w->late, &news->link);
}

/* Before passing news are told: who lags behind is left out, and told the newest of them later. */
static void leave_out(struct teller *w, const struct topic *t, struct str json)
{
	bool late = false;

	LIST_EACH(&t->groups, link) {
		const struct group *g = LIST_OF(link, struct group, link);
		LIST_EACH(&g->members, of_group) {
			struct peer *p = LIST_OF(of_group, struct member, of_group)->peer;
			const bool behind = is_behind(p);
			if (behind != is_late(p))
				p->vt->set_late(p, behind);
			late = late || behind;
		}
	}
	teller_forget(w, t);
	if (late)
		keep_news(w, t, json);
}

/* --- saying it --- */

static void batch_close(struct group *g)
{
	batch_unref(g->batch);
	g->batch = NULL;
	list_remove(&g->open);
}

/* The nth packet of an event, in w->scratch. */
static enum audience say(struct teller *w, const struct encoder *encoder,
                         const struct feed_event *e, unsigned nth)
{
	buf_clear(&w->scratch);
	return encoder->encode(encoder, e, nth, &w->scratch);
}

/* The group's batch of this turn. */
static struct batch *group_batch(struct teller *w, struct group *g)
{
	if (g->batch == NULL) {
		g->batch = batch_new();
		list_push(&w->open, &g->open);
	}
	return g->batch;
}

static void group_send(struct teller *w, struct group *g, const struct feed_event *e,
                       enum audience audience)
{
	struct batch *b = group_batch(w, g);
	const uint32_t from = batch_len(b);
	struct member *m;

	batch_frame(b, WS_TEXT, buf_view(&w->scratch));
	walk_begin(w, g);
	while ((m = walk_next(w)) != NULL) {
		if (!is_told(m, e) || !hears(m->peer, e, audience))
			continue;
		if (is_passing(e) && is_late(m->peer))
			continue;
		m->peer->vt->send(m->peer, b, from, batch_len(b));
		w->deliveries++;
	}
}

static void group_tell(struct teller *w, struct group *g, const struct feed_event *e)
{
	enum audience audience;

	if (list_empty(&g->members))
		return;
	for (unsigned nth = 0; (audience = say(w, g->encoder, e, nth)) != HEAR_NONE; nth++)
		group_send(w, g, e, audience);
	if (g->batch != NULL && batch_len(g->batch) > BATCH_FULL_BYTES)
		batch_close(g);
}

/* To one peer that has just joined: the rest of the group has heard it. */
static void member_tell(struct teller *w, struct member *m, const struct feed_event *e)
{
	struct batch *b = batch_new();
	enum audience audience;

	for (unsigned nth = 0; (audience = say(w, m->peer->encoder, e, nth)) != HEAR_NONE; nth++) {
		const uint32_t from = batch_len(b);
		batch_frame(b, WS_TEXT, buf_view(&w->scratch));
		if (hears(m->peer, e, audience))
			m->peer->vt->send(m->peer, b, from, batch_len(b));
	}
	batch_unref(b);
}

static void group_apply(struct teller *w, struct group *g, const struct feed_event *e)
{
	const struct encoder *encoder = g->encoder;
	struct member *m;

	if (encoder->apply == NULL || (encoder->applies != NULL && !encoder->applies(e)))
		return;
	walk_begin(w, g);
	while ((m = walk_next(w)) != NULL)
		if (is_told(m, e))
			encoder->apply(m->peer, e);
}

/* What is handed out again, to one who comes back, is as old as that one was away: it says nothing
 * about us. */
static bool is_news(const struct teller *w, const struct feed_event *e)
{
	return (e->type == EVENT_MESSAGE || e->type == EVENT_FORWARDED) && e->stamp > w->newest;
}

static void note(struct teller *w, const struct feed_event *e)
{
	if (w->n_noted == TELLER_NOTED)
		teller_written(w);
	w->noted[w->n_noted++] = e->message.created_at;
}

void teller_written(struct teller *w)
{
	if (w->n_noted == 0)
		return;
	const int64_t now_us = clock_exact_wall_us();
	for (unsigned i = 0; i < w->n_noted; i++)
		histogram_add(&w->times, now_us - w->noted[i] * 1000);
	w->n_noted = 0;
}

void tell_topic(struct teller *w, struct topic *t, const struct feed_event *e, struct str json)
{
	const uint64_t before = w->deliveries;

	if (is_passing(e))
		leave_out(w, t, json);
	LIST_EACH(&t->groups, told)
		group_tell(w, LIST_OF(told, struct group, link), e);
	if (is_news(w, e)) {
		w->newest = e->stamp;
		if (w->deliveries > before)
			note(w, e);
	}
	LIST_EACH(&t->groups, changed)
		group_apply(w, LIST_OF(changed, struct group, link), e);
	/* On a state channel each member stands where it was told last:
	 * what is read anew may be older. */
	if (e->stamp == 0 && e->as_of != 0)
		topic_advance(t, e->as_of);
}

void tell_kept(struct teller *w, struct topic *t, struct member *m)
{
	if (t->holding == NULL)
		return;
	LIST_EACH(&t->holding->kept, link) {
		const struct kept *k = LIST_OF(link, struct kept, link);
		struct arena arena = { 0 };
		struct feed_event e;
		if (event_read((struct str){ k->json, k->len }, &arena, &e) && is_told(m, &e)) {
			member_tell(w, m, &e);
			m->since = e.as_of;
		}
		arena_fini(&arena);
	}
}

/* Who came and left meanwhile is not said, only who is there. */
static void late_tell(struct teller *w, struct member *m, const struct late_news *news)
{
	struct arena arena = { 0 };
	struct feed_event e;

	m->peer->vt->set_late(m->peer, false);
	if (event_read((struct str){ news->json, news->len }, &arena, &e)) {
		e.came.n = e.left.n = 0;
		member_tell(w, m, &e);
	}
	arena_fini(&arena);
}

/* Whether somebody is late still. */
static bool topic_catch_up(struct teller *w, const struct late_news *news)
{
	bool late = false;

	LIST_EACH(&news->topic->groups, link) {
		const struct group *g = LIST_OF(link, struct group, link);
		LIST_EACH(&g->members, of_group) {
			struct member *m = LIST_OF(of_group, struct member, of_group);
			if (!is_late(m->peer))
				continue;
			if (is_behind(m->peer))
				late = true;
			else
				late_tell(w, m, news);
		}
	}
	return late;
}

/* Looked at a few times a second, so that their queues need not know of it. */
static void catch_up(struct teller *w)
{
	if (list_empty(&w->late) || clock_now_ms() < w->look_ms)
		return;
	w->look_ms = clock_now_ms() + LATE_MS;
	LIST_EACH(&w->late, link) {
		const struct late_news *news = LIST_OF(link, struct late_news, link);
		if (!topic_catch_up(w, news))
			teller_forget(w, news->topic);
	}
}

void tell_lost(struct teller *w, struct topic *t, uint64_t stood)
{
	const uint64_t last = t->feed.last;

	LIST_EACH(&t->groups, link) {
		struct member *m;
		walk_begin(w, LIST_OF(link, struct group, link));
		while ((m = walk_next(w)) != NULL)
			if (m->since < last || last < stood)
				m->peer->vt->lost(m->peer);
	}
}

void teller_tick(struct teller *w)
{
	catch_up(w);
	while (!list_empty(&w->open))
		batch_close(LIST_OF(w->open.next, struct group, open));
}

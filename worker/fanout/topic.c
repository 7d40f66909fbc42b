/* Topics, their groups, members and holders: who there is, not what they are told (tell.c). */
#include "worker/fanout/topic.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

/* All others are state channels, or for this worker alone. */
static bool is_logged(struct str feed)
{
	return str_starts(feed, STR("room:")) || str_starts(feed, STR("user:")) ||
	       str_eq(feed, STR("presence")) || str_eq(feed, STR("control"));
}

struct topic *topic_new(struct str feed)
{
	struct topic *t = xcalloc(1, sizeof(*t) + feed.len);

	memcpy(t->name, feed.p, feed.len);
	t->feed.name = (struct str){ t->name, feed.len };
	t->feed.logged = is_logged(feed);
	list_init(&t->groups);
	list_init(&t->idle);
	return t;
}

static void holding_free(struct topic *t)
{
	if (t->holding == NULL)
		return;
	LIST_EACH(&t->holding->holds, held)
		free(LIST_OF(held, struct hold, link));
	LIST_EACH(&t->holding->kept, kept)
		free(LIST_OF(kept, struct kept, link));
	free(t->holding);
	t->holding = NULL;
}

void topic_free(struct topic *t)
{
	list_remove(&t->idle);
	LIST_EACH(&t->groups, link) {
		struct group *g = LIST_OF(link, struct group, link);
		assert(list_empty(&g->members));
		if (g->batch != NULL)
			batch_unref(g->batch);
		list_remove(&g->open);
		free(g);
	}
	holding_free(t);
	free(t);
}

bool topic_is_unused(const struct topic *t)
{
	return t->members == 0 && t->holding == NULL;
}

struct group *topic_group(struct topic *t, const struct encoder *e)
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

const struct peer *topic_peer(const struct topic *t)
{
	LIST_EACH(&t->groups, link) {
		const struct group *g = LIST_OF(link, struct group, link);
		if (!list_empty(&g->members))
			return LIST_OF(g->members.next, struct member, of_group)->peer;
	}
	return NULL;
}

struct peer *topic_named(const struct topic *t, struct str id)
{
	LIST_EACH(&t->groups, link) {
		const struct group *g = LIST_OF(link, struct group, link);
		LIST_EACH(&g->members, of_group) {
			struct peer *p = LIST_OF(of_group, struct member, of_group)->peer;
			if (p->vt->is != NULL && p->vt->is(p, id))
				return p;
		}
	}
	return NULL;
}

void topic_forget(struct topic *t)
{
	LIST_EACH(&t->groups, group) {
		struct group *g = LIST_OF(group, struct group, link);
		LIST_EACH(&g->members, of_group)
			LIST_OF(of_group, struct member, of_group)->since = 0;
	}
}

void topic_advance(struct topic *t, uint64_t at)
{
	LIST_EACH(&t->groups, group) {
		struct group *g = LIST_OF(group, struct group, link);
		LIST_EACH(&g->members, of_group) {
			struct member *m = LIST_OF(of_group, struct member, of_group);
			if (m->since < at)
				m->since = at;
		}
	}
}

/* --- members --- */

/* The shorter of the group's and the peer's list decides: whoever is in few rooms, or wherever few
 * are, is found at once, and no table of all memberships is needed. */
struct member *member_find(const struct group *g, const struct peer *p)
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

struct member *member_new(struct group *g, struct peer *p, uint64_t since)
{
	struct member *m = xcalloc(1, sizeof(*m));

	m->group = g;
	m->peer = p;
	m->since = since;
	list_push(&g->members, &m->of_group);
	list_push(&p->memberships, &m->of_peer);
	g->topic->members++;
	return m;
}

void member_free(struct member *m)
{
	m->group->topic->members--;
	list_remove(&m->of_group);
	list_remove(&m->of_peer);
	free(m);
}

/* --- holding --- */

struct hold *hold_find(const struct topic *t, const void *ctx)
{
	if (t->holding == NULL)
		return NULL;
	LIST_EACH(&t->holding->holds, link) {
		struct hold *hold = LIST_OF(link, struct hold, link);
		if (hold->ctx == ctx)
			return hold;
	}
	return NULL;
}

struct hold *hold_waiting(const struct topic *t)
{
	if (t->holding == NULL)
		return NULL;
	LIST_EACH(&t->holding->holds, link) {
		struct hold *hold = LIST_OF(link, struct hold, link);
		if (hold->fn != NULL)
			return hold;
	}
	return NULL;
}

struct hold *hold_new(struct topic *t, void *ctx)
{
	struct hold *hold = xcalloc(1, sizeof(*hold));

	if (t->holding == NULL) {
		t->holding = xcalloc(1, sizeof(*t->holding));
		list_init(&t->holding->holds);
		list_init(&t->holding->kept);
	}
	hold->ctx = ctx;
	list_push(&t->holding->holds, &hold->link);
	return hold;
}

void hold_free(struct topic *t, struct hold *hold)
{
	list_remove(&hold->link);
	free(hold);
	if (list_empty(&t->holding->holds))
		holding_free(t);
}

void topic_keep(struct topic *t, struct str json)
{
	if (t->feed.logged || t->holding == NULL)
		return;
	struct kept *k = xmalloc(sizeof(*k) + json.len);
	k->len = json.len;
	memcpy(k->json, json.p, json.len);
	list_push(&t->holding->kept, &k->link);
}

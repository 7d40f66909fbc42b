/* Presence: what Redis has to be told of the users on this worker.
 *
 * Only of users whose coming or going is not told yet there is an entry here: whoever knows which
 * users the worker has says when the first socket of one opened and the last one closed. All that
 * are dirty at the end of a turn go in few calls, so that a rush of connections costs few; what was
 * not answered is said again when Redis is back, and what it refused after a while. */
#include "worker/domain/presence.h"

#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/map.h"
#include "common/mem.h"
#include "common/stamp.h"
#include "worker/store/call.h"

enum { USERS_A_CALL = 200 };

/* A user of whom Redis has still to hear. */
struct change {
	struct list dirty;           /* among the presence's, while it is to be told */
	bool here;
	bool asked;                  /* a call about it is under way … */
	bool outdated;               /* … and does not say the last of it */
	size_t len;
	char id[];
};

struct presence {
	const struct services *services;
	struct map changes;          /* by user */
	struct list dirty;
};

/* What a call says: the first `n_here` of them are here, the others are not. */
struct news {
	struct presence *presence;
	struct change *changes[USERS_A_CALL];
	size_t n, n_here;
};

static const struct function fn_update = { .name = "presence_update", .at_least = 1 };
static const struct function fn_wait = { .name = "user_wait", .at_least = 5 };
static const struct function fn_unwait = { .name = "user_unwait", .at_least = 1 };

static struct str id_of(const struct change *c)
{
	return (struct str){ c->id, c->len };
}

static struct change *change_new(struct presence *p, struct str id)
{
	struct change *c = xcalloc(1, sizeof(*c) + id.len);

	memcpy(c->id, id.p, id.len);
	c->len = id.len;
	list_init(&c->dirty);
	map_put(&p->changes, id_of(c), c);
	return c;
}

static void change_free(struct presence *p, struct change *c)
{
	map_take(&p->changes, id_of(c));
	list_remove(&c->dirty);
	free(c);
}

/* To be told with the next call; one that is under way is waited for, so that the last
 * word is the last. */
static void say(struct presence *p, struct change *c)
{
	c->outdated = c->asked;
	list_remove(&c->dirty);
	if (!c->asked)
		list_push(&p->dirty, &c->dirty);
}

void presence_say(struct presence *p, struct str user, bool here)
{
	struct change *c = map_get(&p->changes, user);

	if (c == NULL)
		c = change_new(p, user);
	c->here = here;
	say(p, c);
}

/* --- Telling Redis --- */

static void news_told(struct op *op, const struct strs *reply UNUSED)
{
	const struct news *news = op->state;

	for (size_t i = 0; i < news->n; i++) {
		struct change *c = news->changes[i];
		c->asked = false;
		if (c->outdated)
			say(news->presence, c);
		else
			change_free(news->presence, c);
	}
	op_reply(op, STR_NONE);
}

/* presence_again or presence_retry will say it once more. */
static bool news_failed(struct op *op, const struct fault *fault UNUSED)
{
	const struct news *news = op->state;

	for (size_t i = 0; i < news->n; i++)
		news->changes[i]->asked = news->changes[i]->outdated = false;
	op_reply(op, STR_NONE);
	return true;
}

/* Takes dirty users off the list: those who are here, or those who are not. */
static void news_take(struct news *news, bool here)
{
	LIST_EACH(&news->presence->dirty, link) {
		struct change *c = LIST_OF(link, struct change, dirty);
		if (news->n == USERS_A_CALL)
			return;
		if (c->here != here)
			continue;
		list_remove(&c->dirty);
		c->asked = true;
		news->changes[news->n++] = c;
	}
}

static void tell_some(struct presence *p)
{
	struct op *op = op_new(p->services, NULL, NULL, NULL);
	struct news *news = arena_alloc(&op->arena, sizeof(*news));
	struct str *args = arena_alloc(&op->arena, (USERS_A_CALL + 3) * sizeof(*args));

	*news = (struct news){ .presence = p };
	news_take(news, true);
	news->n_here = news->n;
	news_take(news, false);
	args[0] = p->services->worker;
	args[1] = op_text(op, "%u", conf.messenger_announce_limit);
	args[2] = op_text(op, "%zu", news->n_here);
	for (size_t i = 0; i < news->n; i++)
		args[3 + i] = id_of(news->changes[i]);
	op->state = news;
	op->caught = news_failed;
	call(op, &fn_update, news_told, args, 3 + news->n);
}

void presence_tick(struct presence *p)
{
	while (!list_empty(&p->dirty))
		tell_some(p);
}

void presence_again(struct presence *p)
{
	size_t cursor = 0;
	struct change *c;

	while ((c = map_next(&p->changes, &cursor)) != NULL)
		say(p, c);
}

void presence_retry(struct presence *p)
{
	size_t cursor = 0;
	struct change *c;

	while ((c = map_next(&p->changes, &cursor)) != NULL)
		if (!c->asked)
			say(p, c);
}

struct presence *presence_new(const struct services *services)
{
	struct presence *p = xcalloc(1, sizeof(*p));

	p->services = services;
	list_init(&p->dirty);
	return p;
}

void presence_free(struct presence *p)
{
	size_t cursor = 0;
	struct change *c;

	if (p == NULL)
		return;
	while ((c = map_next(&p->changes, &cursor)) != NULL)
		free(c);
	map_fini(&p->changes);
	free(p);
}

/* --- Waiting for somebody --- */

/* id, feed, "1" if online, clock, username */
static void user_awaited(struct op *op, const struct strs *reply)
{
	struct awaited a = {
		.feed = reply->v[1], .online = str_eqz(reply->v[2], "1"), .username = reply->v[4],
	};

	if (stamp_parse(reply->v[3], &a.stamp))
		op->then(op, &a);
	else
		op_fail(op, ERR_INTERNAL, NULL, NULL);
}

void presence_await(struct op *op, struct str username, op_fn *then)
{
	op->then = then;
	CALL(op, &fn_wait, user_awaited, username, op->session, op->take);
}

static void user_forgotten(struct op *op, const struct strs *reply)
{
	const struct awaited a = { .feed = reply->v[0] };

	op->then(op, &a);
}

void presence_forget(struct op *op, struct str username, op_fn *then)
{
	op->then = then;
	CALL(op, &fn_unwait, user_forgotten, username, op->session, op->take);
}

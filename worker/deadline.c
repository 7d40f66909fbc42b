/* Time-outs by the thousand, each list with one interval. */
#include "worker/deadline.h"

#include "common/clock.h"

/* The timer only wakes the loop; deadlines_tick does the work at the end of the turn. */
static void on_timer(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct deadlines *ds = arg;
	ds->armed_ms = 0;
}

void deadlines_init(struct deadlines *ds, struct event_base *base)
{
	ds->timer = evtimer_new(base, on_timer, ds);
	ds->armed_ms = 0;
	ds->begun = false;
	list_init(&ds->lists);
}

void deadlines_fini(struct deadlines *ds)
{
	event_free(ds->timer);
}

void deadline_list_init(struct deadlines *ds, struct deadline_list *l, uint64_t interval_ms,
                        deadline_fn *expired)
{
	list_init(&l->members);
	l->all = ds;
	l->interval_ms = interval_ms;
	l->expired = expired;
	list_push(&ds->lists, &l->link);
}

void deadline_clear(struct deadline *d)
{
	if (!deadline_is_set(d))
		return;
	list_remove(&d->link);
	d->due_ms = 0;
}

void deadline_set(struct deadline_list *l, struct deadline *d)
{
	deadline_clear(d);
	d->due_ms = clock_now_ms() + l->interval_ms;
	l->all->begun |= list_empty(&l->members);
	list_push(&l->members, &d->link);
}

bool deadline_is_set(const struct deadline *d)
{
	return d->due_ms != 0;
}

static struct deadline *first_of(struct deadline_list *l)
{
	return list_empty(&l->members) ? NULL : LIST_OF(l->members.next, struct deadline, link);
}

static void expire(struct deadline_list *l, uint64_t now)
{
	struct deadline *d;
	while ((d = first_of(l)) != NULL && d->due_ms <= now) {
		deadline_clear(d);
		l->expired(d);
	}
}

static uint64_t earliest(struct deadlines *ds)
{
	uint64_t due = 0;
	LIST_EACH(&ds->lists, link) {
		struct deadline *d = first_of(LIST_OF(link, struct deadline_list, link));
		if (d != NULL && (due == 0 || d->due_ms < due))
			due = d->due_ms;
	}
	return due;
}

void deadlines_tick(struct deadlines *ds)
{
	uint64_t now = clock_now_ms();
	if (now < ds->armed_ms && !ds->begun)
		return;
	ds->begun = false;
	LIST_EACH(&ds->lists, link)
		expire(LIST_OF(link, struct deadline_list, link), now);

	/* A timer that fires early costs one empty turn; only a later one must be moved. */
	uint64_t due = earliest(ds);
	if (due == 0 || (ds->armed_ms != 0 && ds->armed_ms <= due))
		return;
	uint64_t wait = due > now ? due - now : 0;
	struct timeval tv = { (time_t)(wait / 1000), (suseconds_t)(wait % 1000 * 1000) };
	evtimer_add(ds->timer, &tv);
	ds->armed_ms = due;
}

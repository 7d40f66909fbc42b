/* What ends with the second of a token's end. */
#include "worker/expiry.h"

#include "common/clock.h"

enum { SECOND_MS = 1000 };

/* A clock that nobody has set may be before 1970, too. */
static struct list *slot_of(struct expiries *all, int64_t s)
{
	return &all->slots[(uint64_t)s % EXPIRY_SLOTS];
}

/* One that is not due is in the slot of another second if the clock was put back just
 * before it was set. */
static void expire_slot(struct expiries *all, struct list *slot, int64_t now)
{
	struct list due;
	list_init(&due);
	LIST_EACH(slot, link) {
		const int64_t at_s = LIST_OF(link, struct expiry, link)->at_s;
		struct list *to = at_s <= now ? &due : slot_of(all, at_s);
		if (to == slot)
			continue;
		list_remove(link);
		list_push(to, link);
	}
	while (!list_empty(&due)) {
		struct expiry *e = LIST_OF(due.next, struct expiry, link);
		list_remove(&e->link);
		all->over(e);
	}
}

/* Once a second: what ended since. After a jump of the clock, all slots at most. */
static void on_second(struct deadline *d)
{
	struct expiries *all = CONTAINER_OF(d, struct expiries, tick);
	int64_t now = clock_wall_ms() / 1000;
	bool jumped = now - all->looked_s > EXPIRY_SLOTS || now < all->looked_s;
	int64_t from = jumped ? now - EXPIRY_SLOTS + 1 : all->looked_s + 1;
	for (int64_t t = from; t <= now; t++)
		expire_slot(all, slot_of(all, t), now);
	all->looked_s = now;
	deadline_set(&all->second, d);
}

void expiries_init(struct expiries *all, struct deadlines *ds, void (*over)(struct expiry *e))
{
	*all = (struct expiries){ .looked_s = clock_wall_ms() / 1000, .over = over };
	for (size_t i = 0; i < EXPIRY_SLOTS; i++)
		list_init(&all->slots[i]);
	deadline_list_init(ds, &all->second, SECOND_MS, on_second);
	deadline_set(&all->second, &all->tick);
}

void expiry_init(struct expiry *e)
{
	list_init(&e->link);
}

void expiry_set(struct expiries *all, struct expiry *e, int64_t at_s)
{
	/* One that ended already, or while it was being checked, is found at the next look. */
	const int64_t found_s = at_s > all->looked_s ? at_s : all->looked_s + 1;
	list_remove(&e->link);
	e->at_s = at_s;
	if (at_s != 0)
		list_push(slot_of(all, found_s), &e->link);
}

void expiry_clear(struct expiry *e)
{
	list_remove(&e->link);
}

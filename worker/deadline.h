/* Time-outs by the thousand: every list has one interval, so appending keeps it sorted, and setting
 * or clearing a deadline is O(1). One libevent timer serves them all. */
#ifndef CONFAB_DEADLINE_H
#define CONFAB_DEADLINE_H

#include <event2/event.h>

#include "common/list.h"

/* Embedded in what may expire. Zeroed or cleared, it is on no list. */
struct deadline {
	struct list link;
	uint64_t due_ms;
};

typedef void deadline_fn(struct deadline *d);

struct deadline_list {
	struct list members, link;
	struct deadlines *all;
	uint64_t interval_ms;
	deadline_fn *expired;        /* called with the deadline cleared */
};

struct deadlines {
	struct event *timer;
	struct list lists;
	uint64_t armed_ms;           /* when the timer is set to fire; 0: it is not */
	bool begun;                  /* a list got its first, which may be due before that */
};

void deadlines_init(struct deadlines *ds, struct event_base *base);
void deadlines_fini(struct deadlines *ds);
void deadline_list_init(struct deadlines *ds, struct deadline_list *l, uint64_t interval_ms,
                        deadline_fn *expired);
/* Sets, or moves, to now + the list's interval. */
void deadline_set(struct deadline_list *l, struct deadline *d);
void deadline_clear(struct deadline *d);
bool deadline_is_set(const struct deadline *d);
/* End of a turn: calls what is due, arms the timer for what is next. */
void deadlines_tick(struct deadlines *ds);

#endif

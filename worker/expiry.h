/* What ends with the second of a token's end: lists by that second, looked at once a second. */
#ifndef CONFAB_EXPIRY_H
#define CONFAB_EXPIRY_H

#include "worker/deadline.h"

enum { EXPIRY_SLOTS = 1024 };

/* Embedded in what ends. */
struct expiry {
	struct list link;
	int64_t at_s;        /* seconds since 1970 */
};

struct expiries {
	struct list slots[EXPIRY_SLOTS];     /* by at_s */
	int64_t looked_s;                    /* up to which second they were looked at */
	struct deadline_list second;
	struct deadline tick;
	void (*over)(struct expiry *e);      /* called with it off its list */
};

void expiries_init(struct expiries *all, struct deadlines *ds, void (*over)(struct expiry *e));
void expiry_init(struct expiry *e);
/* Sets, or moves, to a second; 0: it never ends. */
void expiry_set(struct expiries *all, struct expiry *e, int64_t at_s);
void expiry_clear(struct expiry *e);

#endif

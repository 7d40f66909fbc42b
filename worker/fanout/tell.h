/* Telling: an event to the members of a topic, encoded once for all who speak alike.
 * For fanout/ alone. */
#ifndef CONFAB_TELL_H
#define CONFAB_TELL_H

#include "common/histogram.h"
#include "worker/fanout/topic.h"

enum { TELLER_NOTED = 256 };

/* What telling needs; one per hub. */
struct teller {
	struct list open;            /* groups with a batch of this turn */
	struct list *next;           /* of the walk under way; NULL: there is none */
	struct member end;           /* where it ends */
	struct list late;            /* news that somebody was left out of: each topic's newest */
	uint64_t look_ms;            /* when to see next who has caught up */
	struct buf scratch;
	uint64_t deliveries;
	uint64_t newest;             /* stamp of the last message that was news */
	int64_t noted[TELLER_NOTED]; /* when the messages were created that leave in this turn */
	unsigned n_noted;
	struct histogram times;
};

void teller_init(struct teller *w);
void teller_fini(struct teller *w);
/* Ends the turn: those who lagged behind and do so no more are told what they were left out of;
 * batches are closed, and what comes next goes into new ones. */
void teller_tick(struct teller *w);
/* What was told has been written: notes how old it is. */
void teller_written(struct teller *w);
/* A member goes, perhaps in the middle of a walk. */
void teller_skip(struct teller *w, const struct member *m);

/* A topic goes. */
void teller_forget(struct teller *w, const struct topic *t);

/* To all members: first the news, then what follows from it for each. `json` is what
 * `e` was read from. */
void tell_topic(struct teller *w, struct topic *t, const struct feed_event *e, struct str json);
/* To one who has just joined a state channel: what was kept since the state that it knows. */
void tell_kept(struct teller *w, struct topic *t, struct member *m);
/* To all who had not heard the events that are nowhere any more: that those are lost.
 * The topic `stood` there. */
void tell_lost(struct teller *w, struct topic *t, uint64_t stood);

#endif

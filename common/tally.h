/* How many of each key are open on this host: counters in shared memory, a page for each worker,
 * which only that worker writes. Keys share counters by chance, two of them for each key,
 * and the lower one counts: it takes a crowd in both for a key to seem to have more than it has. */
#ifndef CONFAB_TALLY_H
#define CONFAB_TALLY_H

#include "common/str.h"

struct tally;

/* In memory that forked processes share and that is used only where something is counted;
 * NULL: there is none (errno). Never freed. */
struct tally *tally_new(unsigned workers);
/* The worker at this place has ended: what it counted is gone. */
void tally_clear(struct tally *t, unsigned worker);
/* Where a key is counted, for whoever can't say the key again later; never 0. */
uint32_t tally_slot(const struct tally *t, struct str key);
/* One more, one less, at this worker. */
void tally_add(struct tally *t, unsigned worker, uint32_t slot);
void tally_take(struct tally *t, unsigned worker, uint32_t slot);
/* How many there are, at all workers. */
unsigned tally_count(const struct tally *t, uint32_t slot);

#endif

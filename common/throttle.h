/* How often something may happen, per key, counted by all processes of the host together:
 * buckets in shared memory. Keys share a bucket by chance (4,096 of them), which can only
 * make it stricter. */
#ifndef CONFAB_THROTTLE_H
#define CONFAB_THROTTLE_H

#include "common/conf.h"

struct throttle;

/* In memory that forked processes share; NULL: there is none (errno). Never freed. */
struct throttle *throttle_new(void);
/* Takes one from the bucket of `key` at `now_ms` (monotonic, of one host); false: it is empty.
 * A rate of 0 allows all. */
bool throttle_allow(struct throttle *t, struct conf_rate rate, struct str key, uint64_t now_ms);

#endif

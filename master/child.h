/* What worker and redis-server have in common as children of the master. */
#ifndef CONFAB_CHILD_H
#define CONFAB_CHILD_H

#include <sys/types.h>

#include "common/base.h"

/* Called first in a fork of `parent`: ends with it by SIGTERM, has every signal as a fresh program
 * has it but for those in `ignored` (ended by 0), and blocks none. */
void child_begin(pid_t parent, const int *ignored);
/* Names the process for ps and top, as far as there is room. */
void child_title(const char *title);
/* How a process ended, by its wait status: "exited with status 1", "was killed by SIGSEGV". Returns
 * `out`. */
const char *child_end(int status, char *out, size_t size);
/* The wait before the next start of a child that lived so long: 0 unless it crashed at its start,
 * then growing with `last_ms`, the wait before this one. */
unsigned child_backoff(unsigned last_ms, uint64_t lived_ms);

#endif

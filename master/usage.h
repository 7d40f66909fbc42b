/* What a process uses of the system. */
#ifndef CONFAB_USAGE_H
#define CONFAB_USAGE_H

#include <sys/types.h>

#include "common/base.h"

struct usage {
	uint64_t memory;             /* bytes it has in memory */
	uint64_t files;              /* descriptors it has open; 0: not for us to see */
};

/* False: there is no such process any more. */
MUST_USE bool usage_read(pid_t pid, struct usage *out);

#endif

/* What a master owns on its host: the run and the data directory, and a name that stays. */
#ifndef CONFAB_HOST_H
#define CONFAB_HOST_H

#include <limits.h>

#include "common/base.h"

struct host {
	char id[33];                 /* 12 hex digits, made once */
	char run_dir[PATH_MAX], data_dir[PATH_MAX];      /* absolute */
	bool left_behind;            /* the master before us was killed */
	unsigned generation;         /* the last one given out */
	int run_lock, data_lock, generations;    /* descriptors of the files below; -1: not open */
};

/* Makes the directories of the configuration where they are missing, and locks both:
 * RUN/confab.pid, which holds our pid, and DATA/host-id. False: `why` names the process that has
 * them, or what failed; nothing is then held. */
MUST_USE bool host_open(struct host *h, char *why, size_t size);
/* A number that no worker of this data directory had before, over restarts too. */
unsigned host_next_generation(struct host *h);
/* In a child: lets go of the locks without giving them up. */
void host_leave(struct host *h);
/* Removes the pid file and unlocks. */
void host_close(struct host *h);

#endif

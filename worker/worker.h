/* A worker process: one event loop, everything wired to it. */
#ifndef CONFAB_WORKER_H
#define CONFAB_WORKER_H

#include "master/master.h"

/* Runs until drained or told to stop; the exit status of the process. */
int worker_main(const struct inheritance *in);

#endif

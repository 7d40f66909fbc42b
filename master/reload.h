/* A new configuration for a running master. */
#ifndef CONFAB_RELOAD_H
#define CONFAB_RELOAD_H

#include "common/conf.h"

/* Reads the configuration again, as conf_load, into `conf`; keeps of the old one what only a
 * restart can change, and says so. False: it is bad, which is logged, and nothing has changed. */
MUST_USE bool reload_conf(const char *file, const char *const *options);

#endif

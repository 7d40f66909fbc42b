/* The library of Redis functions, loaded and kept loaded. */
#ifndef CONFAB_FUNCTIONS_H
#define CONFAB_FUNCTIONS_H

#include "master/redis_client.h"

struct functions;

/* Finds the library and reads its version. NULL: `why` says what is missing. */
struct functions *functions_new(struct redis_client *client, char *why, size_t size);
void functions_free(struct functions *f);
/* The file's path; lives as long as `f`. */
const char *functions_path(const struct functions *f);

enum functions_end {
	FUNCTIONS_OK,
	FUNCTIONS_REFUSED,       /* by Redis, or there is nothing to load */
	FUNCTIONS_UNANSWERED,    /* Redis said nothing, or it is too early to ask again */
};

/* Loads the file, unless Redis has a newer version. Where it is not loaded,
 * `why` says what happened. */
MUST_USE enum functions_end functions_load(struct functions *f, char *why, size_t size);
/* A worker missed them: the next tick loads them again. */
void functions_missed(struct functions *f);
/* Once a second: looks after each reconnection whether Redis still has them. */
void functions_tick(struct functions *f);

/* The N of the line `local VERSION = N`; 0 if there is none. */
unsigned functions_version(struct str code);

#endif

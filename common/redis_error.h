/* The ways a call of Redis comes to nothing, of redis_error.def. */
#ifndef CONFAB_REDIS_ERROR_H
#define CONFAB_REDIS_ERROR_H

#include "common/str.h"

enum redis_error {
#define REDIS_ERROR(name, word, passing, label) REDIS_ERROR_##name,
#include "common/redis_error.def"
#undef REDIS_ERROR
	REDIS_ERROR_COUNT
};

/* What Redis means by a refusal; FAILED for what none of the words begins. */
enum redis_error redis_error_of(struct str refusal);
bool redis_error_passes(enum redis_error e);
const char *redis_error_label(enum redis_error e);

#endif

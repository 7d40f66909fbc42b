/* The ways a call of Redis comes to nothing. */
#include "common/redis_error.h"

static const struct {
	const char *word;
	bool passing;
	const char *label;
} errors[REDIS_ERROR_COUNT] = {
#define REDIS_ERROR(name, word, passing, label) [REDIS_ERROR_##name] = { word, passing, label },
#include "common/redis_error.def"
#undef REDIS_ERROR
};

enum redis_error redis_error_of(struct str refusal)
{
	struct str rest = refusal;
	const struct str word = str_cut(&rest, ' ');

	if (str_starts(refusal, STR("ERR Function not found")))
		return REDIS_ERROR_NO_FUNCTION;
	for (unsigned e = 0; e < REDIS_ERROR_COUNT; e++)
		if (word.len > 0 && str_eqz(word, errors[e].word))
			return (enum redis_error)e;
	return REDIS_ERROR_FAILED;
}

bool redis_error_passes(enum redis_error e)
{
	return errors[e].passing;
}

const char *redis_error_label(enum redis_error e)
{
	return errors[e].label;
}

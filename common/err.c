/* What is said about an error, out of err.def. */
#include "common/err.h"

static const struct {
	const char *word;
	unsigned status;
	const char *text;
} errors[ERR_COUNT] = {
#define ERR(name, word, status, text) [ERR_##name] = { word, status, text },
#include "common/err.def"
#undef ERR
};

unsigned err_status(enum err e)
{
	return errors[e].status;
}

const char *err_text(enum err e)
{
	return errors[e].text;
}

enum err err_from_word(struct str refusal)
{
	const struct str word = str_cut(&refusal, ' ');

	/* Not from ERR_OK on: what refuses is never a success. */
	for (unsigned e = ERR_OK + 1; e < ERR_COUNT; e++)
		if (str_eqz(word, errors[e].word))
			return (enum err)e;
	return ERR_INTERNAL;
}

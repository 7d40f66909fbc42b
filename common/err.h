/* The errors of err.def, and what is said about one. */
#ifndef CONFAB_ERR_H
#define CONFAB_ERR_H

#include "common/str.h"

enum err {
#define ERR(name, word, status, text) ERR_##name,
#include "common/err.def"
#undef ERR
	ERR_COUNT
};

/* One failure: which, the field to blame and what is wrong with it (both may be empty), and after
 * how many seconds to try again (0: not said). The strings are borrowed. */
struct fault {
	enum err code;
	struct str field, detail;
	unsigned retry_after_s;
};

unsigned err_status(enum err e);       /* the HTTP status */
const char *err_text(enum err e);      /* a sentence for people */
/* The error whose word begins `refusal`, as a Redis function words it; ERR_INTERNAL for none. */
enum err err_from_word(struct str refusal);

#endif

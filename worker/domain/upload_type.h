/* What uploaded files may be, by their content, and how they are called for it. */
#ifndef CONFAB_UPLOAD_TYPE_H
#define CONFAB_UPLOAD_TYPE_H

#include "common/buf.h"

struct upload_type {
	const char *found;           /* what libmagic calls it */
	const char *type;            /* what we do */
	/* Those that fit, with blanks between; the first is added where none does. */
	const char *extensions;
	bool shown;                  /* a browser may show it in place */
};

/* How a file with such a beginning is called; `found`: what libmagic says.
 * NULL: it is not accepted. */
const struct upload_type *upload_type_of(const char *found, struct str beginning);
/* By what we call it; NULL: none. */
const struct upload_type *upload_type_named(struct str type);
/* The last part of a client's name for a file; false: nothing that can be called so, and why. */
bool upload_name_read(struct str name, struct str *out, const char **why);
/* A name for URLs, of letters, digits, `.`, `-` and `_`, that ends as the type's files do. */
void upload_filename(struct buf *out, struct str original, const struct upload_type *type);

#endif

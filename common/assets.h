/* The files that the server serves as they are, read into memory once: the master loads them before
 * it forks, and the workers share its pages. */
#ifndef CONFAB_ASSETS_H
#define CONFAB_ASSETS_H

#include "common/str.h"

/* In the order in which they are preferred. */
enum asset_coding { ASSET_BROTLI, ASSET_GZIP, ASSET_PLAIN, ASSET_CODINGS };

/* One of the ways in which a file may be sent. */
struct asset_form {
	struct str bytes;            /* p NULL: the build made none */
	char etag[28];               /* with its quotes; of these bytes */
};

struct asset {
	struct str name;             /* its path below the directory: "js/page.js" */
	const char *type;            /* media type */
	struct asset_form forms[ASSET_CODINGS];
};

struct assets;

/* All regular files below `dir`, those hidden left out; NAME.gz and NAME.br are forms of NAME. The
 * caller frees. NULL: `why`. */
struct assets *assets_load(const char *dir, char *why, size_t size);
void assets_free(struct assets *a);
/* The file of that name, or NULL; `a` may be NULL. */
const struct asset *assets_get(const struct assets *a, struct str name);
/* The word of Content-Encoding; NULL for ASSET_PLAIN. */
const char *asset_coding_word(enum asset_coding coding);

#endif

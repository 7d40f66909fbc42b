/* Uploaded files: on their way to disk, kept, and found again. They lie in DATA_DIR/uploads/xx/ID,
 * and until they are whole and known to Redis in DATA_DIR/uploads/new/ID.
 * The acting user is op->user. */
#ifndef CONFAB_UPLOAD_H
#define CONFAB_UPLOAD_H

#include "worker/op.h"

enum { UPLOAD_ID = 32 /* hex digits: 128 bits that nobody guesses */, UPLOAD_FILES_MAX = 20 };

/* The thread that looks into files and waits for the disk. Call after fork. */
struct uploads;
struct event_base;
struct uploads *uploads_new(struct event_base *base);
void uploads_free(struct uploads *u);

/* The files of one request. What the verbs on it return is in *why, too; after an error only
 * upload_drop is left to do. */
struct upload;
struct upload *upload_new(void);
/* A file begins; `name` is the client's. ERR_INVALID. */
MUST_USE enum err upload_begin(struct upload *u, struct str name, struct fault *why);
/* Some of its content; it waits in memory for upload_flush. ERR_TOO_LARGE. */
MUST_USE enum err upload_write(struct upload *u, struct str bytes, struct fault *why);
/* It is whole. ERR_INVALID: it is empty. */
MUST_USE enum err upload_end(struct upload *u, struct fault *why);
unsigned upload_count(const struct upload *u);
/* Whether so much waits that it should be flushed before more comes. */
bool upload_is_full(const struct upload *u);
/* Writes what waits, off the loop; `then` gets NULL. Meanwhile only upload_drop may be called.
 * ERR_NO_SPACE: the disk is full, or would be. */
void upload_flush(struct op *op, struct upload *u, op_fn *then);
/* Removes what is not kept, and frees; after a flush, if one is under way. */
void upload_drop(struct upload *u);

/* Whether the user may upload so many bytes; `then` gets NULL. ERR_NO_SPACE. */
void upload_allow(struct op *op, uint64_t bytes, op_fn *then);
/* Looks what the files are, stores and keeps them; takes over `u`. `then` gets a struct strs:
 * an Attachment (JSON) for each. ERR_MEDIA_TYPE, ERR_NO_SPACE, ERR_NO_USER, ERR_USER_DELETED. */
void upload_keep(struct op *op, struct upload *u, op_fn *then);

/* A file that is kept. */
struct kept_file {
	struct str filename;         /* ASCII, as in its URL */
	struct str original;         /* as its uploader called it */
	struct str type;
	bool shown;                  /* safe for a browser to show in place */
};

bool upload_id_valid(struct str id);
/* Finds one. `then` gets a struct kept_file. ERR_NOT_FOUND. */
void upload_find(struct op *op, struct str id, op_fn *then);
/* Opens it for reading; -1 if it is not there. */
int upload_open(struct str id, uint64_t *size);

#endif

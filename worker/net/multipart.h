/* The parts of a multipart/form-data body (RFC 7578, RFC 2046 §5.1) in whatever pieces it comes:
 * nothing of a part's content is kept. Pure. */
#ifndef CONFAB_MULTIPART_H
#define CONFAB_MULTIPART_H

#include "common/buf.h"

enum { BOUNDARY_MAX = 70, PART_HEAD_MAX = 8 * 1024, PARTS_MAX = 100 };

enum multipart_event {
	MULTIPART_MORE,      /* all bytes given are used */
	MULTIPART_PART,      /* a part begins: name, filename */
	MULTIPART_DATA,      /* some of its content */
	MULTIPART_END,       /* it is whole */
	MULTIPART_OVER,      /* so is the body; what follows does not count */
	MULTIPART_BAD,       /* 400 */
};

struct multipart {
	char delimiter[BOUNDARY_MAX + 4];    /* CR LF - - boundary */
	uint8_t length;
	uint8_t matched;             /* bytes of the delimiter that came last */
	uint8_t state;
	uint8_t parts;
	bool in_part, is_file;
	struct buf head;             /* of the part: its lines; name and filename are slices */
	struct str name, filename;   /* unescaped; is_file: there is a filename, perhaps empty */
};

/* Starts on the body announced by this Content-Type; false: it is no multipart/form-data with
 * a boundary. */
bool multipart_init(struct multipart *m, struct str content_type);
void multipart_fini(struct multipart *m);
/* Takes bytes from *in, cutting off what it used, up to the next event. MULTIPART_DATA: *data is
 * a run of content, of *in or of `m`, valid until the next call. OVER and BAD stay. */
enum multipart_event multipart_next(struct multipart *m, struct str *in, struct str *data);

#endif

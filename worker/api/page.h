/* Lists over REST, a page at a time. */
#ifndef CONFAB_PAGE_H
#define CONFAB_PAGE_H

#include "worker/api/api.h"

/* How much was asked for, or what is usual. */
int64_t page_limit(int64_t asked, int64_t usual);
/* Closes the list under construction, says where it goes on ("next", null at the end), closes
 * the object and answers with it. */
void page_reply(struct op *op, struct buf *json, struct json_out *j, struct str next);

#endif

/* Lists over REST, a page at a time. */
#include "worker/api/page.h"

int64_t page_limit(int64_t asked, int64_t usual)
{
	return asked != 0 ? asked : usual;
}

void page_reply(struct op *op, struct buf *json, struct json_out *j, struct str next)
{
	json_close(j, ']');
	json_key(j, "next");
	if (next.len > 0)
		json_str(j, next);
	else
		json_null(j);
	api_reply(op, json);
}

/* The gateway API over REST (docs/gateway.md): rooms by name, their members, and history. */
#include "worker/api/api.h"
#include "worker/api/gateway_shape.h"
#include "worker/api/page.h"

enum { LIST_MAX = 1000, MESSAGES_MAX = 100, MESSAGES_DEFAULT = 50 };

struct list_args { struct str name, after; int64_t limit; };
struct page_args { struct str name, before; int64_t limit; };

#define LIST_PAGE \
	FIELD(list_args, after, F_STR), \
	FIELD(list_args, limit, F_INT, .min = 1, .max = LIST_MAX)

static const struct field rooms_schema[] = { LIST_PAGE, { 0 } };
static const struct field members_schema[] = { FIELD(list_args, name, F_STR), LIST_PAGE, { 0 } };
static const struct field messages_schema[] = {
	FIELD(page_args, name, F_STR),
	FIELD(page_args, before, F_STR),
	FIELD(page_args, limit, F_INT, .min = 1, .max = MESSAGES_MAX),
	{ 0 }
};

/* {"KEY":[ */
static struct json_out open_list(struct buf *json, const char *key)
{
	struct json_out j = json_out(json);

	json_open(&j, '{');
	json_key(&j, key);
	json_open(&j, '[');
	return j;
}

static void rooms_listed(struct op *op, const void *result)
{
	const struct place_list *list = result;
	struct buf json = { 0 };
	struct json_out j = open_list(&json, "rooms");

	for (size_t i = 0; i < list->n; i++)
		gateway_put_room(&j, &list->v[i]);
	page_reply(op, &json, &j, list->next);
}

static void list_rooms(struct op *op, const void *args)
{
	const struct list_args *a = args;

	place_list(op, a->after, page_limit(a->limit, LIST_MAX), rooms_listed);
}

static void members_listed(struct op *op, const void *result)
{
	const struct room_members *list = result;
	struct buf json = { 0 };
	struct json_out j = open_list(&json, "members");

	for (size_t i = 0; i < list->n; i++)
		gateway_put_member(&j, &list->v[i]);
	page_reply(op, &json, &j, list->next);
}

static void list_members(struct op *op, const void *args)
{
	const struct list_args *a = args;

	place_members(op, a->name, a->after, page_limit(a->limit, LIST_MAX), members_listed);
}

static void messages_listed(struct op *op, const void *result)
{
	const struct place_page *page = result;
	struct buf json = { 0 };
	struct json_out j = open_list(&json, "messages");

	for (size_t i = 0; i < page->n; i++)
		gateway_put_message(&j, &page->v[i]);
	page_reply(op, &json, &j, page->next);
}

static void list_messages(struct op *op, const void *args)
{
	const struct page_args *a = args;

	place_messages(op, a->name, a->before, page_limit(a->limit, MESSAGES_DEFAULT),
	               messages_listed);
}

#define ROUTE(request, fields, args, handler) \
	{ .name = (request), .schema = (fields), .size = sizeof(struct args), \
	  .needs = NEEDS_USER, .handle = (handler) }

extern const struct api_route routes_gateway[];
const struct api_route routes_gateway[] = {
	ROUTE("GET /api/rooms", rooms_schema, list_args, list_rooms),
	ROUTE("GET /api/rooms/:name/members", members_schema, list_args, list_members),
	ROUTE("GET /api/rooms/:name/messages", messages_schema, page_args, list_messages),
	{ 0 }
};

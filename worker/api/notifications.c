/* The notifications API (docs/notifications.md): plain WebSockets that tell a user what happens in
 * all their rooms. What clients do goes over REST (rest_rooms.c). */
#include "worker/api/api.h"
#include "worker/api/notifications_shape.h"

static void welcome(struct op *op, const void *entry UNUSED)
{
	op_reply(op, STR_NONE);
}

static void hello(struct op *op, const struct handshake *h)
{
	api_authenticate(op, api_token(op, h), welcome);
}

/* All that is told of a failure is a word; as JSON, for clients parse every message. */
static struct str error(struct op *op UNUSED, const struct fault *fault)
{
	switch (fault->code) {
	case ERR_NO_TOKEN:
		return STR("\"MissingToken\"");
	case ERR_USER_DELETED:
		return STR("\"UserIsDeleted\"");
	case ERR_CROWDED:
		return STR("\"TooManyConnections\"");
	default:
		return STR("\"BadToken\"");
	}
}

extern const struct api api_notifications;
const struct api api_notifications = {
	.name = "notifications",
	.path = "/room/websocket",
	.follows = FOLLOWS_ALL,
	.hello = hello,
	.encode = notifications_encode,
	.error = error,
};

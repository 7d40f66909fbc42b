/* How the notifications API says things (docs/notifications.md): pure functions from domain
 * structs to its JSON. */
#ifndef CONFAB_NOTIFICATIONS_SHAPE_H
#define CONFAB_NOTIFICATIONS_SHAPE_H

#include "worker/domain/room.h"
#include "worker/fanout/hub.h"

/* A time without milliseconds. */
void notifications_put_time(struct json_out *j, const char *key, int64_t wall_ms);
/* A room as it stands in the list of one's own. */
void notifications_put_room(struct json_out *j, const struct room *r);
/* What of a room is said wherever it stands; within an object. */
void notifications_put_names(struct json_out *j, const struct room *r);
void notifications_put_user(struct json_out *j, const struct room_viewed *u);
void notifications_put_post(struct json_out *j, const struct message *m);
/* A live event: one JSON text (struct api.encode). */
enum audience notifications_encode(const struct feed_event *e, unsigned nth, struct json_out *out);

#endif

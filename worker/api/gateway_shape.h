/* How the gateway API says things (docs/gateway.md): pure functions from domain structs to its
 * JSON. */
#ifndef CONFAB_GATEWAY_SHAPE_H
#define CONFAB_GATEWAY_SHAPE_H

#include "worker/domain/place.h"
#include "worker/fanout/hub.h"

/* A Message. */
void gateway_put_message(struct json_out *j, const struct place_message *m);
/* The argument of updateChatHistory: the messages of each room, by its name. */
void gateway_put_history(struct json_out *j, const struct place_history *h);
void gateway_put_room(struct json_out *j, const struct place *p);
void gateway_put_member(struct json_out *j, const struct room_member *m);
/* A live event: its name and its argument (struct api.encode). */
enum audience gateway_encode(const struct feed_event *e, unsigned nth, struct json_out *out);

#endif

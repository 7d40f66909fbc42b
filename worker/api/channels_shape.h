/* How the channels API says things (docs/channels.md): pure functions from domain structs to its
 * JSON. */
#ifndef CONFAB_CHANNELS_SHAPE_H
#define CONFAB_CHANNELS_SHAPE_H

#include "worker/domain/message.h"
#include "worker/fanout/hub.h"

/* A Message, or in a direct room a DirectMessage. */
void channels_put_message(struct json_out *j, const struct message *m);
void channels_put_reaction(struct json_out *j, const struct reaction *r);
void channels_put_channel(struct json_out *j, const struct room *r);
void channels_put_conversation(struct json_out *j, const struct room *r);
void channels_put_member(struct json_out *j, const struct room_member *m);
/* A live event: its name and its argument (struct api.encode). */
enum audience channels_encode(const struct feed_event *e, unsigned nth, struct json_out *out);

#endif

/* How the messenger API says things (docs/messenger.md): pure functions from domain
 * structs to its JSON. */
#ifndef CONFAB_MESSENGER_SHAPE_H
#define CONFAB_MESSENGER_SHAPE_H

#include "worker/domain/message.h"
#include "worker/fanout/hub.h"

/* A Chat: a message of a direct room. */
void messenger_put_chat(struct json_out *j, const struct message *m);
/* A live event: its name and its argument (struct api.encode). */
enum audience messenger_encode(const struct feed_event *e, unsigned nth, struct json_out *out);
/* What a draft has of media: the ids of uploads, and for links elsewhere Attachments of the
 * channels API. `media` is a raw array; false: `wrong` says what is not to be accepted. */
bool messenger_media(struct str media, struct arena *a, struct strs *attachments,
                     const char **wrong);

#endif

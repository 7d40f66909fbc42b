/* Between the doors of the APIs (events.c for Socket.IO, rest.c for HTTP) and what
 * they share (api.c). */
#ifndef CONFAB_DOOR_H
#define CONFAB_DOOR_H

#include "common/metrics.h"
#include "worker/api/api.h"
#include "worker/domain/user.h"
#include "worker/net/http.h"
#include "worker/socketio/socket.h"

struct assets;

/* events.c: what stands behind the namespaces of Socket.IO. */
extern const struct socket_app events_app;
void events_init(const struct services *services);
void events_fini(void);
/* Another has the name of a lobby's user, who has to come again. */
void events_oust(struct peer *p);
/* What the client says of an earlier session, for a CONNECT where that can be recovered;
 * else NULL. */
const struct arrival *events_arrival(const struct op *op);
/* The socket that asks, or NULL when it is gone or the asker is none. */
struct socket *events_asker(const struct op *op);

/* rest.c: the `head` of the service at "/". */
void rest_head(struct request *r, const struct head *h);
/* Answers the request that op->asker is with what is wrong. */
void rest_refuse(struct op *op, const struct fault *fault);
void rest_init(const struct services *services);
struct rest_counts {
	uint64_t responses[METRIC_CLASSES];  /* by the first digit of their status */
	struct histogram times;
};
const struct rest_counts *rest_counts(void);

/* files.c: answers with a file that goes by this path, where the REST APIs have none;
 * false: there is none. */
MUST_USE bool files_answer(struct request *r, const struct head *h);
/* The `head` of paths at which there are only files. */
void files_head(struct request *r, const struct head *h);
/* `assets` (common/assets.h) may be NULL: no files at all. */
void files_init(const struct assets *assets);

/* upload.c: the `head` of the path to which files are uploaded, and of that below which
 * they lie. */
void upload_head(struct request *r, const struct head *h);
void kept_head(struct request *r, const struct head *h);
void upload_init(const struct services *services);

/* plain.c: the `head` of paths at which APIs have plain WebSockets; for what is below
 * them that of rest.c. */
void plain_head(struct request *r, const struct head *h);
void plain_init(const struct services *services, struct deadlines *ds);
void plain_fini(void);
/* End of a turn: closes slow readers, frees what is over. */
void plain_tick(void);
/* Closes up to `most`, because the worker goes away; how many these were. */
size_t plain_drain(size_t most);
struct plain_counts {
	uint64_t n, opened, messages;
	uint64_t closed[REASON_COUNT];
};
const struct plain_counts *plain_counts(void);
/* The client that asks to be let in, or NULL when it is gone or the asker is none. */
struct peer *plain_asker(const struct op *op);
/* It is op->user's, until when (seconds since 1970; 0: for ever). */
void plain_identify(const struct op *op, int64_t expires_s);

/* note.c: the log tells who was refused for want of a right token or password, or came too often:
 * a client's event, or a request to `route`. Nothing of other refusals. */
void note_refusal(const struct op *op, const struct fault *fault);
void note_request(const struct op *op, const char *route, const struct conn *c,
                  const struct fault *fault);

/* refresh.c: reads a state channel anew and tells it to those who knew less;
 * nothing for other feeds. */
void refresh_feed(const struct services *services, struct str feed);
/* Whether some could not be read since this was asked last. */
bool refresh_was_refused(void);

/* api.c */
/* What each API has and got; kept by the doors. */
struct api_counts {
	uint64_t sockets, events;
};
struct api_counts *api_counts(const struct api *api);
/* A client is over that was its user's; STR_NONE: it was nobody's. */
void api_gone(const struct services *services, struct str user);
/* Verifies a token; the claims live in the op's arena. */
MUST_USE enum err api_verify(struct op *op, struct str token, struct claims *out);
/* Whether an event on a user's own feed says that they came into a room or out of one … */
bool api_is_move(const struct feed_event *event);
/* … and has a client of theirs hear that room from now on, if its API wants that, or no more. */
void api_move(const struct services *services, struct peer *p, const struct api *api,
              const struct feed_event *event);

#endif

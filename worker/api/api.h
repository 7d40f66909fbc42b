/* What an API is to the server: tables of events and routes, a greeting, and how it says things.
 * Adding one is a file with such a table and a line in apis.def. */
#ifndef CONFAB_API_H
#define CONFAB_API_H

#include "common/json.h"
#include "common/schema.h"
#include "common/token.h"
#include "worker/domain/event.h"
#include "worker/fanout/hub.h"
#include "worker/op.h"

/* One event that clients send. Its first argument is an object (absent: {}), decoded by the schema
 * into a zeroed struct of `size` bytes that lives as long as the op. */
struct api_event {
	const char *name;            /* NULL ends a table; "*" takes whatever no other row names */
	const struct field *schema;  /* NULL: arguments are ignored */
	size_t size;
	void (*handle)(struct op *op, const void *args);
	const void *with;            /* for handle (api_row): sets it apart from rows of its kind */
	const char *failure;         /* to be said when it is our fault: "Failed to send message" */
	bool raw;                    /* handle gets a struct raw_event, and does the decoding */
};

/* An event as it came, or an acknowledgement. */
struct raw_event {
	struct str event;            /* raw JSON: string or number; STR_NONE: an acknowledgement */
	struct str args;             /* raw JSON values with commas between */
	struct strs blobs;           /* its binary attachments */
};

/* A token will do for NEEDS_TOKEN: whether op->user still is somebody, the handler asks.
 * NEEDS_SCRAPER: the metrics-token, if there is one. */
enum { NEEDS_USER = 1, NEEDS_TOKEN = 2, NEEDS_SCRAPER = 4 };

enum { HEAR_MORE = 8 };

/* One REST endpoint. Path parameters (`:id`), the query and the JSON body all decode into one
 * struct; on equal names the path wins. A trailing slash of the request is optional. */
struct api_route {
	const char *name;            /* "POST /room/post/:roomId"; NULL ends a table */
	const struct field *schema;
	size_t size;
	unsigned needs;
	void (*handle)(struct op *op, const void *args);
};

/* What came with a Socket.IO CONNECT and the HTTP request that opened its session. Borrowed. */
struct handshake {
	struct str auth;             /* the CONNECT's JSON object; "{}" if none */
	struct str query;            /* of the HTTP request, raw */
	struct str authorization;    /* the header's value */
	struct str headers;          /* JSON, lower-case names; "{}" unless the mount keeps them */
};

/* The rooms that a socket hears by its user's being a member; all others it has to join. */
enum follows { FOLLOWS_NONE, FOLLOWS_DIRECT, FOLLOWS_ALL };

struct api {
	const char *name;            /* its namespace: "/name" on all ports, "/" where it is root */
	const char *path, *nsp;      /* one more place: path "/ws/", namespace "/chat"; or NULL.
	                              * Without any namespace (nsp and events NULL): plain
	                              * WebSockets at that path */
	const char *beside;          /* it is there only on ports with this root; NULL: on all */
	bool recovers;               /* clients may hear what they missed; events carry offsets */
	enum follows follows;
	const char *also;            /* one more feed for every authenticated socket; or NULL */
	const struct api_event *events;
	const struct api_route *routes;      /* may be NULL */
	/* A client connects: ends the op by api_accept and op_reply, or refuses by op_fail (a
	 * CONNECT_ERROR with the fault's text). */
	void (*hello)(struct op *op, const struct handshake *h);
	/* Says a live event in this API's words, which may take several of its events:
	 * for the nth, adds its name and arguments, as elements of an array that is open already
	 * (plain WebSockets: one JSON text). HEAR_NONE: no more. HEAR_MORE besides an audience:
	 * the same clients hear one more, and have heard the live event only then. */
	enum audience (*encode)(const struct feed_event *e, unsigned nth, struct json_out *out);
	/* What to acknowledge for a failure (JSON), in the arena; and what to emit beside it. Plain
	 * WebSockets: a string, which is the last message and the reason of the close. */
	struct str (*error)(struct op *op, const struct fault *fault);
	void (*emit_error)(struct op *op, const struct fault *fault);        /* may be NULL */
	/* A client came without a good token: it is let in to be told so, and disconnected
	 * afterwards. NULL: it gets a CONNECT_ERROR. */
	void (*refused)(struct op *op, const struct fault *fault);
	/* The token of an open socket expired: says so; the socket is disconnected afterwards. */
	void (*expired)(struct op *op);
	/* The socket of this id is over, for good where it `left`; refused ones too.
	 * May be NULL. */
	void (*closed)(const struct services *services, struct str sid, bool left);
};

/* --- For handlers --- */

/* The token a client showed: auth.token, ?token=, or Authorization (Bearer or bare);
 * STR_NONE if none. */
struct str api_token(struct op *op, const struct handshake *h);
/* Verifies it, makes the user known (domain), follows the user's feed, sets op->user and goes on
 * with `then` (result: struct user_entry of domain/user.h); refuses with ERR_NO_TOKEN,
 * ERR_UNAUTHENTICATED, ERR_USER_DELETED, ERR_CROWDED (clients: the user has too many). */
void api_authenticate(struct op *op, struct str token, op_fn *then);
/* Accepts a CONNECT: the client hears so before anything that follows. */
void api_accept(struct op *op);
/* Emits an event to the asking socket; `args` is the JSON of its arguments, comma-separated, or
 * STR_NONE. Nothing for a REST request. */
void api_emit(struct op *op, const char *event, struct str args);
/* The same with the whole array as JSON, placeholders included, and the attachments they
 * stand for. */
void api_emit_raw(struct op *op, struct str array, struct strs blobs);
/* Emits an event that asks for an acknowledgement. `answered` gets, once, a struct raw_event,
 * or NULL when none came in 30 s or the socket closed; till then the op goes on. */
void api_ask(struct op *op, const char *event, struct str args, op_fn *answered);
/* The asking socket's id; STR_NONE for a REST request. */
struct str api_sid(const struct op *op);
/* For an API that recovers its clients itself, before api_accept: the socket goes by this private
 * id, and by the public id of an earlier one (STR_NONE: its own). Both have 20 characters. */
void api_resume(struct op *op, struct str sid, struct str pid);
/* The row of the event under way, for its `with` and `failure`; NULL for none. */
const struct api_event *api_row(const struct op *op);
/* Joins the asking socket to a feed whose right of entry was checked at `stamp`.
 * True: joined. False: the feed was not followed yet or the user's state moved meanwhile:
 * `again` will be called to check anew. */
bool api_join(struct op *op, struct str feed, uint64_t stamp, void (*again)(struct op *op));
/* Whether the asking socket may join that feed, which begins with `prefix`: it hears fewer than
 * `most` such, or this one already. */
bool api_may_hear(const struct op *op, struct str feed, struct str prefix, size_t most);
/* A session that follows the feed has to be told apart (domain/user.h). */
void api_leave(struct op *op, struct str feed);
/* For state channels: follows the feed until the op ends. True: it is live, the state can be read;
 * else `live` will be called when it is. */
bool api_hold(struct op *op, struct str feed, void (*live)(struct op *op));
/* The asking socket hears what has happened on a held feed since the state was read at `since`. */
void api_hear(struct op *op, struct str feed, uint64_t since);
/* Closes the object under construction in `json`, answers with it, and frees the buffer. */
void api_reply(struct op *op, struct buf *json);

/* The APIs and their routes, NULL-terminated; from apis.def. */
extern const struct api *const apis[];
extern const struct api_route *const api_routes[];
/* The API whose namespace this is on a port with that root, at that path;
 * NULL: invalid namespace. */
const struct api *api_find(struct str path, struct str root, struct str nsp);

#endif

/* One request in flight: who asked, how to answer, and the memory it may use meanwhile. It ends by
 * exactly one op_reply or op_fail; if the asker dies first, the answer is dropped. */
#ifndef CONFAB_OP_H
#define CONFAB_OP_H

#include "common/arena.h"
#include "common/err.h"
#include "common/list.h"

struct op;
struct metrics;
struct tally;

/* What one worker's requests work with; wired by worker.c, alive as long as the worker. */
struct services {
	struct calls *calls;         /* store/call.h */
	struct hub *hub;             /* fanout/hub.h */
	struct hasher *hasher;       /* domain/hasher.h */
	struct uploads *uploads;     /* domain/upload.h */
	struct presence *presence;   /* domain/presence.h */
	struct lobby *lobby;         /* domain/lobby.h */
	struct str worker;           /* our name in Redis: HOST.N.GENERATION */
	struct token_keys *keys;     /* common/token.h */
	const struct metrics *metrics;       /* common/metrics.h: the pages of … */
	unsigned workers;            /* … so many workers */
	struct tally *clients;       /* common/tally.h: clients of each user, in a page … */
	unsigned place;              /* … of this worker's */
};

/* A continuation: what a domain verb came to. The result is borrowed for the time of the call. */
typedef void op_fn(struct op *op, const void *result);

/* How an asker hears its answer. Called at most once per op, never after the asker died. */
struct asker_vt {
	void (*reply)(struct op *op, struct str json);
	void (*fail)(struct op *op, const struct fault *fault);
};

struct op {
	struct arena arena;
	const struct services *services;
	const struct asker_vt *vt;
	void *asker;         /* a socket or an HTTP request; NULL once it is gone */
	struct list link;    /* among the asker's ops */
	const void *api;     /* the struct api it came through, if any (api/api.h) … */
	const void *row;     /* … and what its door keeps of it (events.c, rest.c) */
	struct str ack;      /* Socket.IO: id for the acknowledgement, in the arena; or STR_NONE */
	struct str user;     /* id of the acting user, in the arena; or STR_NONE */
	struct str claimed;  /* who somebody without proof says to be, for the log; or STR_NONE */
	struct str session, take;    /* the recoverable session and its count; or STR_NONE */
	unsigned status;     /* HTTP status of a good answer; 200 */
	const char *type;    /* HTTP: what it is, if not JSON; or NULL */
	struct strs blobs;   /* Socket.IO: binary attachments of the answer */
	size_t kept;         /* Socket.IO: bytes of the event that it may keep */
	op_fn *then;         /* the API's continuation, set by the domain verb it called */
	/* Looks at a failure before the asker does; true: it took over.
	 * Cleared before it is called. */
	bool (*caught)(struct op *op, const struct fault *fault);
	const void *state;   /* whatever the verb under way must remember, in the arena */
	const void *held;    /* what it keeps until it ends (api.c) … */
	void (*cleanup)(struct op *op);      /* … and gives back then, whichever way it ends */
	/* Ends it when its asker dies: set while it waits for what may never come.
	 * NULL: it goes on. */
	void (*unheard)(struct op *op);
};

/* A new op on the asker's list `ops` (NULL: nobody's, its answer goes nowhere). */
struct op *op_new(const struct services *services, const struct asker_vt *vt, void *asker,
                  struct list *ops);
/* Answers with one JSON value (or nothing: STR_NONE) and frees the op. */
void op_reply(struct op *op, struct str json);
/* Refuses and frees the op. `detail` may be NULL: the error's own text. */
void op_fail(struct op *op, enum err code, const char *field, const char *detail);
void op_fault(struct op *op, const struct fault *fault);
/* The asker dies: its ops go on or end, unheard. */
void op_orphan(struct list *ops);
/* Formats into the op's arena. */
#define op_text(op, ...) arena_printf(&(op)->arena, __VA_ARGS__)

#endif

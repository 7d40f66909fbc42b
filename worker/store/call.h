/* Calls of Redis functions: the only place that deals with lost connections, refusals and answers
 * of the wrong shape. A continuation runs only on success; all else ends the op. */
#ifndef CONFAB_CALL_H
#define CONFAB_CALL_H

#include <event2/event.h>

#include "common/conf.h"
#include "common/histogram.h"
#include "common/redis_error.h"
#include "worker/op.h"

struct calls;

struct function {
	const char *name;
	bool reads;          /* registered no-writes: called by FCALL_RO */
	unsigned at_least;   /* strings in the reply */
};

/* A flat reply: strings (integers as text) that live until the continuation returns. */
typedef void reply_fn(struct op *op, const struct strs *reply);

/* What the worker wants to know: the connection is up, with the stamps of now and of the epoch's
 * start as worker_hello told them (a start of 0: this Redis has forgotten all that was known
 * before); or down; or Redis lacks our functions. */
struct calls_owner {
	void (*up)(void *ctx, uint64_t now, uint64_t epoch_start);
	void (*down)(void *ctx);
	void (*functions_missing)(void *ctx);
};

struct calls *calls_new(struct event_base *base, const struct conf_redis *where,
                        const struct calls_owner *owner, void *ctx);
/* For good: what is under way fails, and so does at once what is called later. */
void calls_close(struct calls *c);
void calls_free(struct calls *c);
bool calls_up(const struct calls *c);
/* Round trips so far, and how many are under way. */
uint64_t calls_count(const struct calls *c);
size_t calls_pending(const struct calls *c);
/* Those that came to nothing, by enum redis_error; and how often the connection was
 * lost or not made. */
const uint64_t *calls_errors(const struct calls *c);
uint64_t calls_losses(const struct calls *c);
/* How long those took that are answered, or have failed. */
const struct histogram *calls_times(const struct calls *c);

/* Calls `f` with `n` arguments (copied). Lost connection, refusal, time-out (10 s), a short reply,
 * or too many calls under way: op_fault with the right error. `done` gets the reply otherwise. */
void call(struct op *op, const struct function *f, reply_fn *done, const struct str *args,
          size_t n);

#define CALL(op, f, done, ...) \
	call(op, f, done, (const struct str[]){ __VA_ARGS__ }, \
	     sizeof((const struct str[]){ __VA_ARGS__ }) / sizeof(struct str))

#endif

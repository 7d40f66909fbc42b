/* Calls of Redis functions.
 *
 * Calls are accepted once worker_hello was answered, so that nothing is written before the epoch is
 * known. What a call needs to remember lives in its op's arena. How long an answer may take is
 * redis.c's watch: it drops the connection, and all calls under way fail. */
#include "worker/store/call.h"

#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log_line.h"
#include "common/mem.h"
#include "common/stamp.h"
#include "worker/store/redis.h"

enum {
	/* What Redis may owe us when it hangs. An op has at least a kilobyte, and the arguments are
	 * there twice, in it and in what is to be sent: together some 64 MB. */
	CALLS_MAX_PENDING = 16384,
	CALLS_MAX_BYTES = 16 * 1024 * 1024,
	MISSED_EVERY_MS = 1000,
	HELLO_AGAIN_MS = 500,
	RUN_ID_MAX = 64,
};

struct calls {
	struct redis *redis;
	const struct calls_owner *owner;
	void *ctx;
	struct event again;          /* says hello once more, after a refusal */
	bool up;
	uint64_t count;
	size_t pending, pending_bytes;       /* under way, and their arguments */
	struct histogram times;
	uint64_t errors[REDIS_ERROR_COUNT];
	struct log_bound said[REDIS_ERROR_COUNT];
	uint64_t missed_again_ms;
	char run_id[RUN_ID_MAX];     /* of the Redis we greet, and of the one that answered last */
	char known_run_id[RUN_ID_MAX];
	uint64_t known_epoch;
};

/* One call under way. */
struct asked {
	struct calls *calls;
	struct op *op;
	const struct function *function;
	reply_fn *done;
	size_t bytes;
	uint64_t sent_us;
};

/* --- replies --------------------------------------------------------------------------------- */

static struct str reply_text(const redisReply *reply)
{
	return (struct str){ reply->str, reply->len };
}

/* A string, or an integer as text; false for what a flat reply must not hold. */
static bool element_text(const redisReply *element, struct arena *a, struct str *out)
{
	if (element->type == REDIS_REPLY_STRING || element->type == REDIS_REPLY_STATUS)
		*out = reply_text(element);
	else if (element->type == REDIS_REPLY_INTEGER)
		*out = arena_printf(a, "%lld", element->integer);
	else if (element->type == REDIS_REPLY_NIL)
		*out = STR_NONE;
	else
		return false;
	return true;
}

static bool reply_flat(const redisReply *reply, struct arena *a, struct strs *out)
{
	if (reply->type == REDIS_REPLY_NIL) {
		*out = (struct strs){ NULL, 0 };
		return true;
	}
	const bool many = reply->type == REDIS_REPLY_ARRAY;
	const size_t n = many ? reply->elements : 1;
	struct str *v = arena_alloc(a, n * sizeof(*v));
	for (size_t i = 0; i < n; i++)
		if (!element_text(many ? reply->element[i] : reply, a, &v[i]))
			return false;
	*out = (struct strs){ v, n };
	return true;
}

/* --- refusals -------------------------------------------------------------------------------- */

/* One line a second of each kind, whatever is thrown at us. */
static void calls_log(struct calls *c, enum redis_error e, const char *what, struct str refusal)
{
	const enum log_level level = redis_error_passes(e) ? LOG_WARN : LOG_ERROR;

	log_bounded(&c->said[e], level, "redis commands: %s: %.*s", what, STR_ARG(refusal));
}

/* The master reads and loads them; once a second is often enough to ask it. */
static void calls_miss(struct calls *c)
{
	if (clock_now_ms() < c->missed_again_ms)
		return;
	c->missed_again_ms = clock_now_ms() + MISSED_EVERY_MS;
	c->owner->functions_missing(c->ctx);
}

/* Every call of Redis that comes to nothing passes here. */
static void calls_count_error(struct calls *c, enum redis_error e, const char *what,
                              struct str refusal)
{
	c->errors[e]++;
	/* When the connection is gone, redis.c has said so. */
	if (e != REDIS_ERROR_DOWN && e != REDIS_ERROR_LOST)
		calls_log(c, e, what, refusal);
	if (e == REDIS_ERROR_NO_FUNCTION)
		calls_miss(c);
}

static void calls_refuse(struct calls *c, struct op *op, enum redis_error e, const char *what)
{
	calls_count_error(c, e, what, str_z(redis_error_label(e)));
	op_fail(op, ERR_UNAVAILABLE, NULL, NULL);
}

/* What stands behind the word: "field: detail", one word that is a field, or a detail. */
static void read_detail(struct str rest, struct fault *out)
{
	struct str detail = rest;
	const struct str head = str_cut(&detail, ' ');

	if (head.len > 1 && head.p[head.len - 1] == ':') {
		out->field = (struct str){ head.p, head.len - 1 };
		out->detail = detail;
	} else if (detail.len == 0) {
		out->field = head;
	} else {
		out->detail = rest;
	}
}

static void read_retry(struct str rest, struct fault *out)
{
	uint64_t seconds;

	if (str_u64(str_cut(&rest, ' '), &seconds))
		out->retry_after_s = seconds < 3600 ? (unsigned)seconds : 3600;
	out->detail = rest;
}

static struct fault refusal_read(struct calls *c, const struct function *f, struct str refusal)
{
	struct fault fault = { .code = err_from_word(refusal) };
	const enum redis_error e = redis_error_of(refusal);
	struct str rest = refusal;
	str_cut(&rest, ' ');

	if (e != REDIS_ERROR_FAILED) {
		fault.code = ERR_UNAVAILABLE;
		calls_count_error(c, e, f->name, refusal);
	} else if (fault.code == ERR_INTERNAL) {
		calls_count_error(c, e, f->name, refusal);
	} else if (fault.code == ERR_RATE) {
		read_retry(rest, &fault);
	} else {
		read_detail(rest, &fault);
	}
	return fault;
}

/* --- calls ----------------------------------------------------------------------------------- */

static void call_answered(void *ctx, const redisReply *reply)
{
	const struct asked *asked = ctx;
	struct calls *c = asked->calls;
	struct op *op = asked->op;
	struct strs flat;

	c->pending--;
	c->pending_bytes -= asked->bytes;
	histogram_add(&c->times, (int64_t)(clock_exact_us() - asked->sent_us));
	if (reply == NULL) {
		calls_refuse(c, op, REDIS_ERROR_LOST, asked->function->name);
	} else if (reply->type == REDIS_REPLY_ERROR) {
		const struct fault fault = refusal_read(c, asked->function, reply_text(reply));
		op_fault(op, &fault);
	} else if (reply_flat(reply, &op->arena, &flat) && flat.n >= asked->function->at_least) {
		asked->done(op, &flat);
	} else {
		/* Perhaps another's answer; then all that follow are, too. */
		redis_drop(c->redis, "an answer of the wrong shape");
		calls_refuse(c, op, REDIS_ERROR_SHAPE, asked->function->name);
	}
}

static size_t bytes_of(const struct str *args, size_t n)
{
	size_t bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes += args[i].len;
	return bytes;
}

static bool is_full(const struct calls *c)
{
	return c->pending >= CALLS_MAX_PENDING || c->pending_bytes >= CALLS_MAX_BYTES;
}

void call(struct op *op, const struct function *f, reply_fn *done, const struct str *args, size_t n)
{
	struct calls *c = op->services->calls;

	if (!c->up || is_full(c)) {
		calls_refuse(c, op, c->up ? REDIS_ERROR_FULL : REDIS_ERROR_DOWN, f->name);
		return;
	}
	struct asked *asked = arena_alloc(&op->arena, sizeof(*asked));
	*asked = (struct asked){ c, op, f, done, bytes_of(args, n), clock_exact_us() };
	struct str *command = arena_alloc(&op->arena, (n + 3) * sizeof(*command));
	command[0] = f->reads ? STR("FCALL_RO") : STR("FCALL");
	command[1] = str_z(f->name);
	command[2] = STR("0");
	for (size_t i = 0; i < n; i++)
		command[3 + i] = args[i];
	if (!redis_send(c->redis, call_answered, asked, command, n + 3)) {
		calls_refuse(c, op, REDIS_ERROR_DOWN, f->name);
		return;
	}
	c->pending++;
	c->pending_bytes += asked->bytes;
	c->count++;
}

/* --- the greeting ---------------------------------------------------------------------------- */

static void hello_refused(struct calls *c, const redisReply *reply)
{
	const struct timeval later = { .tv_usec = HELLO_AGAIN_MS * 1000L };
	const struct str why = reply->type == REDIS_REPLY_ERROR ? reply_text(reply)
	                                                        : STR("a reply of the wrong shape");

	const enum redis_error e = reply->type == REDIS_REPLY_ERROR ? redis_error_of(why)
	                                                            : REDIS_ERROR_SHAPE;

	calls_count_error(c, e, "worker_hello", why);
	event_add(&c->again, &later);
}

static bool hello_read(const redisReply *reply, uint64_t numbers[3])
{
	struct arena a = { 0 };
	struct strs flat;
	bool ok = reply->type == REDIS_REPLY_ARRAY && reply_flat(reply, &a, &flat) && flat.n >= 3;

	for (size_t i = 0; ok && i < 3; i++)
		ok = str_u64(flat.v[i], &numbers[i]) && numbers[i] >> STAMP_CLOCK_BITS == 0;
	arena_fini(&a);
	return ok && numbers[0] >> (64 - STAMP_CLOCK_BITS) == 0;
}

/* Another Redis process whose epoch is not newer has forgotten all we know: it began at nothing. */
static void hello_answered(void *ctx, const redisReply *reply)
{
	struct calls *c = ctx;
	uint64_t numbers[3];

	if (reply == NULL)
		return;
	if (!hello_read(reply, numbers)) {
		hello_refused(c, reply);
		return;
	}
	const uint64_t epoch = numbers[0];
	const bool forgot = strcmp(c->run_id, c->known_run_id) != 0 && epoch <= c->known_epoch;
	memcpy(c->known_run_id, c->run_id, sizeof(c->run_id));
	c->known_epoch = epoch;
	c->up = true;
	redis_proven(c->redis);
	c->owner->up(c->ctx, stamp_make(epoch, numbers[1]),
	             forgot ? 0 : stamp_make(epoch, numbers[2]));
}

static struct str run_id_find(const redisReply *reply)
{
	struct str info = reply->type == REDIS_REPLY_STRING ? reply_text(reply) : STR_NONE;

	while (info.len > 0) {
		struct str line = str_cut(&info, '\n');
		if (str_eq(str_cut(&line, ':'), STR("run_id")))
			return str_cut(&line, '\r');
	}
	return STR_NONE;
}

static void info_answered(void *ctx, const redisReply *reply)
{
	struct calls *c = ctx;

	if (reply == NULL)
		return;
	const struct str run_id = run_id_find(reply);
	if (run_id.len == 0 || run_id.len >= RUN_ID_MAX) {
		hello_refused(c, reply);
		return;
	}
	snprintf(c->run_id, sizeof(c->run_id), "%.*s", STR_ARG(run_id));
	char room_log[16], user_log[16], history[16];
	snprintf(room_log, sizeof(room_log), "%u", conf.room_log_max);
	snprintf(user_log, sizeof(user_log), "%u", conf.user_log_max);
	snprintf(history, sizeof(history), "%u", conf.history_max);
	const struct str hello[] = { STR("FCALL"), STR("worker_hello"), STR("0"), run_id,
	                             str_z(room_log), str_z(user_log), str_z(history) };
	/* Not sent: the connection is lost, and the next one says hello again. */
	if (!redis_send(c->redis, hello_answered, c, hello, COUNT_OF(hello)))
		c->up = false;
}

static void say_hello(struct calls *c)
{
	const struct str info[] = { STR("INFO"), STR("server") };

	if (!redis_send(c->redis, info_answered, c, info, COUNT_OF(info)))
		c->up = false;
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	say_hello(arg);
}

static void on_up(void *ctx)
{
	say_hello(ctx);
}

static void on_down(void *ctx)
{
	struct calls *c = ctx;
	const bool was_up = c->up;

	c->up = false;
	event_del(&c->again);
	if (was_up)
		c->owner->down(c->ctx);
}

static const struct redis_owner calls_redis_owner = { .up = on_up, .down = on_down };

/* --------------------------------------------------------------------------------------------- */

struct calls *calls_new(struct event_base *base, const struct conf_redis *where,
                        const struct calls_owner *owner, void *ctx)
{
	struct calls *c = xcalloc(1, sizeof(*c));

	c->owner = owner;
	c->ctx = ctx;
	event_assign(&c->again, base, -1, 0, on_again, c);
	c->redis = redis_new(base, where, "commands", &calls_redis_owner, c);
	return c;
}

void calls_close(struct calls *c)
{
	c->up = false;
	redis_free(c->redis);
	c->redis = NULL;
	event_del(&c->again);
}

void calls_free(struct calls *c)
{
	if (c == NULL)
		return;
	calls_close(c);
	free(c);
}

bool calls_up(const struct calls *c)
{
	return c->up;
}

uint64_t calls_count(const struct calls *c)
{
	return c->count;
}

size_t calls_pending(const struct calls *c)
{
	return c->pending;
}

const uint64_t *calls_errors(const struct calls *c)
{
	return c->errors;
}

uint64_t calls_losses(const struct calls *c)
{
	return redis_losses(c->redis);
}

const struct histogram *calls_times(const struct calls *c)
{
	return &c->times;
}

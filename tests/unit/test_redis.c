/* The connection to Redis and the calls of functions: against a real server that stops, dies and
 * comes back, and against a false one that says whatever a row tells it to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <event2/event_struct.h>
#include <event2/event.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/mem.h"
#include "common/resp.h"
#include "redis_child.h"
#include "worker/store/call.h"
#include "worker/store/redis.h"

static struct event_base *base;

/* --- waiting --------------------------------------------------------------------------------- */

static void on_late(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	*(bool *)arg = true;
}

/* Turns the loop until *count is at least `want`; a test that waits for more than 20 s
 * has failed. */
static void await(const unsigned *count, unsigned want)
{
	const struct timeval limit = { .tv_sec = 20 };
	struct event guard;
	bool late = false;

	evtimer_assign(&guard, base, on_late, &late);
	event_add(&guard, &limit);
	while (*count < want && !late)
		event_base_loop(base, EVLOOP_ONCE);
	event_del(&guard);
	assert_true(*count >= want);
}

/* --- a false Redis --------------------------------------------------------------------------- */

/* Answers each command by what `answer` says; NULL: with nothing. */
struct fake {
	struct conf_redis where;
	char dir[64];
	int listener, conn;
	struct event accepts, reads;
	redisReader *reader;
	const char *(*answer)(const char *command, const char *second);
	unsigned connects, commands;
};

static void fake_hang_up(struct fake *f)
{
	if (f->conn < 0)
		return;
	event_del(&f->reads);
	close(f->conn);
	redisReaderFree(f->reader);
	f->conn = -1;
}

static void fake_read(evutil_socket_t fd, short what, void *arg)
{
	struct fake *f = arg;
	char bytes[65536];
	void *command;
	(void)what;

	const ssize_t n = read(fd, bytes, sizeof(bytes));
	if (n <= 0) {
		fake_hang_up(f);
		return;
	}
	redisReaderFeed(f->reader, bytes, (size_t)n);
	while (redisReaderGetReply(f->reader, &command) == REDIS_OK && command != NULL) {
		const redisReply *c = command;
		const char *text = f->answer(c->element[0]->str,
		                             c->elements > 1 ? c->element[1]->str : "");
		f->commands++;
		freeReplyObject(command);
		if (text != NULL)
			assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	}
}

static void fake_accept(evutil_socket_t fd, short what, void *arg)
{
	struct fake *f = arg;
	(void)what;

	fake_hang_up(f);
	f->conn = accept(fd, NULL, NULL);
	assert_true(f->conn >= 0);
	f->reader = redisReaderCreate();
	event_assign(&f->reads, base, f->conn, EV_READ | EV_PERSIST, fake_read, f);
	event_add(&f->reads, NULL);
	f->connects++;
}

static void fake_start(struct fake *f, const char *(*answer)(const char *, const char *))
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	*f = (struct fake){ .conn = -1, .answer = answer, .where.kind = REDIS_UNIX };
	strcpy(f->dir, "/tmp/confab-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->where.path, sizeof(f->where.path), "%s/fake", f->dir);
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", f->where.path);
	f->listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(f->listener, (const struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(f->listener, 5), 0);
	event_assign(&f->accepts, base, f->listener, EV_READ | EV_PERSIST, fake_accept, f);
	event_add(&f->accepts, NULL);
}

static void fake_end(struct fake *f)
{
	fake_hang_up(f);
	event_del(&f->accepts);
	close(f->listener);
	unlink(f->where.path);
	rmdir(f->dir);
}

/* --- a connection ---------------------------------------------------------------------------- */

static struct {
	unsigned ups, downs, answers, lost, pushes;
	char text[64];
} seen;

static void count_up(void *ctx)
{
	(void)ctx;
	seen.ups++;
}

static void count_down(void *ctx)
{
	(void)ctx;
	/* All that was pending is answered before. */
	snprintf(seen.text, sizeof(seen.text), "%u lost", seen.lost);
	seen.downs++;
}

static void count_push(void *ctx, const redisReply *reply)
{
	(void)ctx;
	(void)reply;
	seen.pushes++;
}

static const struct redis_owner counting = { .up = count_up, .down = count_down };
static const struct redis_owner subscriber = { .up = count_up, .down = count_down,
	                                       .push = count_push };

static void take_answer(void *ctx, const redisReply *reply)
{
	seen.lost += reply == NULL;
	if (ctx != NULL && reply != NULL)
		assert_string_equal(reply->str, ctx);
	seen.answers++;
}

static bool echo(struct redis *r, const char *text)
{
	const struct str args[] = { STR("ECHO"), str_z(text) };
	static char kept[8][32];
	static unsigned next;
	char *mine = kept[next++ % 8];

	snprintf(mine, sizeof(kept[0]), "%s", text);
	return redis_send(r, take_answer, mine, args, 2);
}

static int begin(void **state)
{
	(void)state;
	memset(&seen, 0, sizeof(seen));
	base = event_base_new();
	return 0;
}

static int end(void **state)
{
	(void)state;
	event_base_free(base);
	return 0;
}

static void answers_come_in_order(void **state)
{
	struct redis_child server = { 0 };
	(void)state;

	redis_child_start(&server);
	struct redis *r = redis_new(base, &server.where, "test", &counting, NULL);
	assert_false(redis_is_up(r));
	assert_false(echo(r, "too early"));
	await(&seen.ups, 1);
	for (unsigned i = 0; i < 8; i++) {
		char text[8];
		snprintf(text, sizeof(text), "%u", i);
		assert_true(echo(r, text));
	}
	await(&seen.answers, 8);
	assert_int_equal(seen.lost, 0);
	assert_true(redis_send(r, NULL, NULL, (const struct str[]){ STR("PING") }, 1));
	assert_true(echo(r, "after one that nobody hears"));
	await(&seen.answers, 9);
	redis_free(r);
	redis_child_end(&server);
}

static void comes_back_after_a_kill(void **state)
{
	struct redis_child server = { 0 };
	(void)state;

	redis_child_start(&server);
	struct redis *r = redis_new(base, &server.where, "test", &counting, NULL);
	for (unsigned round = 1; round <= 3; round++) {
		await(&seen.ups, round);
		kill(server.pid, SIGSTOP);
		assert_true(echo(r, "a") && echo(r, "b"));
		redis_child_kill(&server);
		await(&seen.downs, round);
		assert_int_equal(seen.answers, 2 * round);
		assert_int_equal(seen.lost, 2 * round);
		assert_false(redis_is_up(r));
		assert_false(echo(r, "down"));
		redis_child_start(&server);
	}
	await(&seen.ups, 4);
	assert_true(echo(r, "well"));
	await(&seen.answers, 7);
	assert_int_equal(seen.lost, 6);
	redis_free(r);
	redis_child_end(&server);
}

static void waits_for_a_server(void **state)
{
	struct redis_child server = { .where = { .kind = REDIS_UNIX } };
	(void)state;

	redis_child_start(&server);
	redis_child_kill(&server);
	struct redis *r = redis_new(base, &server.where, "test", &counting, NULL);
	event_base_loop(base, EVLOOP_ONCE);
	assert_false(redis_is_up(r));
	redis_child_start(&server);
	await(&seen.ups, 1);
	redis_free(r);
	redis_child_end(&server);
}

static void a_silent_server_is_dropped(void **state)
{
	struct redis_child server = { 0 };
	(void)state;

	redis_child_start(&server);
	struct redis *r = redis_new(base, &server.where, "test", &counting, NULL);
	redis_patience(r, 200);
	await(&seen.ups, 1);
	assert_true(echo(r, "in time"));
	await(&seen.answers, 1);
	kill(server.pid, SIGSTOP);
	assert_true(echo(r, "never") && echo(r, "either"));
	await(&seen.downs, 1);
	assert_int_equal(seen.lost, 2);
	assert_string_equal(seen.text, "2 lost");
	kill(server.pid, SIGCONT);
	await(&seen.ups, 2);
	redis_free(r);
	redis_child_end(&server);
}

static struct redis *dropped_within;

static void drop_twice(void *ctx, const redisReply *reply)
{
	(void)ctx;
	seen.answers++;
	seen.lost += reply == NULL;
	redis_drop(dropped_within, "test");
	redis_drop(dropped_within, "again");
	assert_false(redis_is_up(dropped_within));
	assert_false(echo(dropped_within, "no"));
}

static void may_be_dropped_in_its_callback(void **state)
{
	struct redis_child server = { 0 };
	(void)state;

	redis_child_start(&server);
	struct redis *r = dropped_within = redis_new(base, &server.where, "test", &counting, NULL);
	await(&seen.ups, 1);
	for (unsigned i = 0; i < 3; i++)
		assert_true(
			redis_send(r, drop_twice, NULL, (const struct str[]){ STR("PING") }, 1));
	await(&seen.downs, 1);
	assert_int_equal(seen.answers, 3);
	assert_int_equal(seen.lost, 2);
	await(&seen.ups, 2);
	assert_true(echo(r, "pending when freed"));
	redis_free(r);
	assert_int_equal(seen.lost, 3);
	redis_child_end(&server);
}

/* --- what a server may say -------------------------------------------------------------------- */

static const char *greeting;
static unsigned refusals;

static const char *refuse_first(const char *command, const char *second)
{
	(void)second;
	assert_string_equal(command, "PING");
	return refusals-- > 0 ? greeting : "+PONG\r\n";
}

/* Whatever a server greets with, we come again until it is well. */
static void a_bad_greeting_is_survived(void **state)
{
	static const char *const rows[] = {
		"-LOADING Redis is loading the dataset in memory\r\n",
		"-NOAUTH Authentication required.\r\n",
		"-ERR max number of clients reached\r\n",
		"HTTP/1.1 400 Bad Request\r\n\r\n",
		"$-2\r\n",
		"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
		"+PONG\r\n+PONG\r\n",
		"+PONG\r\n*3\r\n$7\r\nmessage\r\n$1\r\nx\r\n$1\r\ny\r\n",
		"+PONG\r\n@1\r\n",
	};
	(void)state;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct fake fake;
		greeting = rows[i];
		refusals = 2;
		fake_start(&fake, refuse_first);
		struct redis *r = redis_new(base, &fake.where, "test", &counting, NULL);
		await(&fake.commands, 3);
		const unsigned ups = seen.ups;
		if (!redis_is_up(r))
			await(&seen.ups, ups + 1);
		assert_int_equal(fake.connects, 3);
		redis_free(r);
		fake_end(&fake);
	}
}

static const char *push_after_ping(const char *command, const char *second)
{
	(void)command;
	(void)second;
	return "+PONG\r\n*3\r\n$7\r\nmessage\r\n$1\r\nx\r\n$1\r\ny\r\n-ERR x\r\n";
}

static void pushes_go_to_their_owner(void **state)
{
	struct fake fake;
	(void)state;

	fake_start(&fake, push_after_ping);
	struct redis *r = redis_new(base, &fake.where, "test", &subscriber, NULL);
	await(&seen.pushes, 2);
	assert_int_equal(seen.downs, 0);
	redis_free(r);
	fake_end(&fake);
}

/* --- calls ----------------------------------------------------------------------------------- */

static struct {
	unsigned ups, downs, missing, answered;
	uint64_t now, start;
	struct fault fault;
	char field[64], detail[128], reply[128];
	size_t n;
} told;

static void calls_are_up(void *ctx, uint64_t now, uint64_t start)
{
	(void)ctx;
	told.now = now;
	told.start = start;
	told.ups++;
}

static void calls_are_down(void *ctx)
{
	(void)ctx;
	told.downs++;
}

static void functions_are_missing(void *ctx)
{
	(void)ctx;
	told.missing++;
}

static const struct calls_owner telling = {
	calls_are_up, calls_are_down, functions_are_missing
};

static void asker_reply(struct op *op, struct str json)
{
	(void)op;
	(void)json;
}

static void asker_fail(struct op *op, const struct fault *fault)
{
	(void)op;
	told.fault = *fault;
	snprintf(told.field, sizeof(told.field), "%.*s", STR_ARG(fault->field));
	snprintf(told.detail, sizeof(told.detail), "%.*s", STR_ARG(fault->detail));
	told.answered++;
}

static const struct asker_vt asker = { asker_reply, asker_fail };
static const struct function probe = { "probe", .reads = true, .at_least = 2 };
static struct services services;

static void probe_done(struct op *op, const struct strs *reply)
{
	told.fault = (struct fault){ .code = ERR_OK };
	told.n = reply->n;
	told.reply[0] = '\0';
	for (size_t i = 0; i < reply->n; i++) {
		const size_t len = strlen(told.reply);
		snprintf(told.reply + len, sizeof(told.reply) - len, "%.*s,", STR_ARG(reply->v[i]));
	}
	told.answered++;
	op_reply(op, STR_NONE);
}

static void ask(struct list *ops)
{
	struct op *op = op_new(&services, &asker, &told, ops);
	CALL(op, &probe, probe_done, STR("one"), STR(""));
}

static const char *function_answer;

static const char *like_redis(const char *command, const char *second)
{
	if (strcmp(command, "PING") == 0)
		return "+PONG\r\n";
	if (strcmp(command, "INFO") == 0)
		return "$37\r\n# Server\r\nredis_mode:x\r\nrun_id:abc\r\nx\r\n";
	if (strcmp(second, "worker_hello") == 0)
		return "*3\r\n$1\r\n3\r\n:900\r\n$3\r\n800\r\n";
	assert_string_equal(command, "FCALL_RO");
	assert_string_equal(second, "probe");
	return function_answer;
}

static void each_answer_has_its_meaning(void **state)
{
	static const struct {
		const char *answer;
		enum err code;
		const char *field, *detail;
		unsigned retry_after_s;
	} rows[] = {
		{ "*2\r\n$1\r\na\r\n:-5\r\n", ERR_OK, "", "a,-5,", 0 },
		{ "*3\r\n$0\r\n\r\n$-1\r\n+c\r\n", ERR_OK, "", ",,c,", 0 },
		{ "-NOROOM room\r\n", ERR_NO_ROOM, "room", "", 0 },
		{ "-INVALID name: is too long\r\n", ERR_INVALID, "name", "is too long", 0 },
		{ "-TAKEN by somebody else\r\n", ERR_TAKEN, "", "by somebody else", 0 },
		{ "-RATE 7\r\n", ERR_RATE, "", "", 7 },
		{ "-RATE 2 slow down\r\n", ERR_RATE, "", "slow down", 2 },
		{ "-RATE soon\r\n", ERR_RATE, "", "", 0 },
		{ "-ERR Function not found\r\n", ERR_UNAVAILABLE, "", "", 0 },
		{ "-READONLY You can't write\r\n", ERR_UNAVAILABLE, "", "", 0 },
		{ "-LOADING x\r\n", ERR_UNAVAILABLE, "", "", 0 },
		{ "-MISCONF x\r\n", ERR_UNAVAILABLE, "", "", 0 },
		{ "-OOM x\r\n", ERR_UNAVAILABLE, "", "", 0 },
		{ "-NOAUTH x\r\n", ERR_UNAVAILABLE, "", "", 0 },
		{ "-BUSY x\r\n", ERR_UNAVAILABLE, "", "", 0 },
		{ "-ERR user_script:1: oops\r\n", ERR_INTERNAL, "", "", 0 },
		{ "-OK\r\n", ERR_INTERNAL, "", "", 0 },
		{ "-\r\n", ERR_INTERNAL, "", "", 0 },
	};
	struct fake fake;
	(void)state;

	memset(&told, 0, sizeof(told));
	fake_start(&fake, like_redis);
	services.calls = calls_new(base, &fake.where, &telling, NULL);
	await(&told.ups, 1);
	assert_true(told.now == ((uint64_t)3 << 44 | 900) &&
	            told.start == ((uint64_t)3 << 44 | 800));
	for (unsigned i = 0; i < COUNT_OF(rows); i++) {
		function_answer = rows[i].answer;
		told.reply[0] = '\0';
		ask(NULL);
		await(&told.answered, i + 1);
		assert_int_equal(told.fault.code, rows[i].code);
		if (rows[i].code == ERR_OK) {
			assert_string_equal(told.reply, rows[i].detail);
			continue;
		}
		assert_string_equal(told.field, rows[i].field);
		if (rows[i].detail[0] != '\0')
			assert_string_equal(told.detail, rows[i].detail);
		assert_int_equal(told.fault.retry_after_s, rows[i].retry_after_s);
	}
	assert_int_equal(told.missing, 1);
	assert_int_equal(told.downs, 0);
	assert_int_equal(calls_pending(services.calls), 0);
	assert_int_equal(calls_count(services.calls), COUNT_OF(rows));
	calls_free(services.calls);
	fake_end(&fake);
}

/* After one of the wrong shape, the answers that follow may be those of others. */
static void a_misshapen_answer_ends_the_connection(void **state)
{
	static const struct {
		const char *answer;
		enum redis_error error;
	} rows[] = {
		{ "*1\r\n$1\r\na\r\n", REDIS_ERROR_SHAPE },
		{ "$1\r\na\r\n", REDIS_ERROR_SHAPE },
		{ "$-1\r\n", REDIS_ERROR_SHAPE },
		{ "*0\r\n", REDIS_ERROR_SHAPE },
		{ "*-1\r\n", REDIS_ERROR_SHAPE },
		{ "*2\r\n$1\r\na\r\n-NOROOM x\r\n", REDIS_ERROR_SHAPE },
		{ "*2\r\n$1\r\na\r\n*1\r\n:1\r\n", REDIS_ERROR_LOST },
		{ "*1073741824\r\n", REDIS_ERROR_LOST },
		{ "*262145\r\n", REDIS_ERROR_LOST },
		{ "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", REDIS_ERROR_LOST },
		{ "$-2\r\n", REDIS_ERROR_LOST },
		{ "HTTP/1.1 400 Bad Request\r\n", REDIS_ERROR_LOST },
	};
	struct fake fake;
	(void)state;

	memset(&told, 0, sizeof(told));
	fake_start(&fake, like_redis);
	services.calls = calls_new(base, &fake.where, &telling, NULL);
	for (unsigned i = 0; i < COUNT_OF(rows); i++) {
		await(&told.ups, i + 1);
		const uint64_t before = calls_errors(services.calls)[rows[i].error];
		function_answer = rows[i].answer;
		ask(NULL);
		ask(NULL);
		await(&told.answered, 2 * (i + 1));
		assert_int_equal(told.fault.code, ERR_UNAVAILABLE);
		await(&told.downs, i + 1);
		assert_true(calls_errors(services.calls)[rows[i].error] > before);
		assert_int_equal(calls_losses(services.calls), i + 1);
	}
	calls_free(services.calls);
	fake_end(&fake);
}

/* What has no end is not waited for, and takes no more memory than the bound. */
static void an_endless_answer_is_cut_off(void **state)
{
	enum { PIECE = 10000 };
	static const struct {
		const char *head, *element;
		size_t at_least;
	} rows[] = {
		{ "$536870913\r\n", "", RESP_MAX_BYTES },
		{ "*200000\r\n", "$10000\r\n", RESP_MAX_BYTES },
		{ "+", "", RESP_MAX_LINE },
		{ "$", "", RESP_MAX_LINE },
	};
	char *filler = xmalloc(PIECE + 2);
	(void)state;

	memset(filler, '1', PIECE);
	memcpy(filler + PIECE, "\r\n", 2);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const size_t head = strlen(rows[i].element), piece = head > 0 ? PIECE + 2 : PIECE;
		redisReader *reader = redisReaderCreate();
		redisReply *reply = NULL;
		size_t taken = 0, fed = 0;
		resp_bound(reader);
		redisReaderFeed(reader, rows[i].head, strlen(rows[i].head));
		bool ok = true;
		while (ok && fed < (size_t)RESP_MAX_BYTES + 100000) {
			redisReaderFeed(reader, rows[i].element, head);
			redisReaderFeed(reader, filler, piece);
			fed += head + piece;
			taken += head + piece;
			ok = resp_next(reader, &taken, &reply);
			assert_null(reply);
		}
		assert_false(ok);
		assert_in_range(fed, rows[i].at_least,
		                rows[i].at_least + (size_t)2 * PIECE + 20000);
		redisReaderFree(reader);
	}
	free(filler);
}

static void calls_are_bounded_by_bytes(void **state)
{
	enum { BIG = 1024 * 1024, FIT = 16 };
	struct fake fake;
	char *big = xmalloc(BIG);
	(void)state;

	memset(big, 'x', BIG);
	memset(&told, 0, sizeof(told));
	function_answer = NULL;
	fake_start(&fake, like_redis);
	services.calls = calls_new(base, &fake.where, &telling, NULL);
	await(&told.ups, 1);
	for (unsigned i = 0; i < FIT + 1; i++) {
		struct op *op = op_new(&services, &asker, &told, NULL);
		assert_int_equal(told.answered, 0);
		CALL(op, &probe, probe_done, ((struct str){ big, BIG }));
	}
	assert_int_equal(told.answered, 1);
	assert_int_equal(told.fault.code, ERR_UNAVAILABLE);
	assert_int_equal(calls_pending(services.calls), FIT);
	assert_int_equal(calls_errors(services.calls)[REDIS_ERROR_FULL], 1);
	fake_hang_up(&fake);
	await(&told.answered, FIT + 1);
	/* What is over no longer counts. */
	await(&told.ups, 2);
	ask(NULL);
	assert_int_equal(calls_pending(services.calls), 1);
	free(big);
	calls_free(services.calls);
	fake_end(&fake);
}

static void calls_are_bounded_and_fail_with_the_connection(void **state)
{
	struct fake fake;
	struct list ops;
	(void)state;

	memset(&told, 0, sizeof(told));
	list_init(&ops);
	function_answer = NULL;
	fake_start(&fake, like_redis);
	services.calls = calls_new(base, &fake.where, &telling, NULL);
	ask(&ops);
	assert_int_equal(told.answered, 1);
	assert_int_equal(told.fault.code, ERR_UNAVAILABLE);
	await(&told.ups, 1);
	for (unsigned i = 0; i < 16384; i++)
		ask(&ops);
	assert_int_equal(told.answered, 1);
	assert_int_equal(calls_pending(services.calls), 16384);
	ask(&ops);
	assert_int_equal(told.answered, 2);
	assert_int_equal(told.fault.code, ERR_UNAVAILABLE);
	/* An asker who is gone hears nothing. */
	LIST_OF(ops.next, struct op, link)->asker = NULL;
	fake_hang_up(&fake);
	await(&told.downs, 1);
	assert_int_equal(told.answered, 2 + 16383);
	assert_int_equal(told.fault.code, ERR_UNAVAILABLE);
	assert_int_equal(calls_pending(services.calls), 0);
	await(&told.ups, 2);
	ask(&ops);
	calls_free(services.calls);
	assert_int_equal(told.answered, 2 + 16383 + 1);
	fake_end(&fake);
}

static unsigned hellos;

static const char *late_hello(const char *command, const char *second)
{
	if (strcmp(second, "worker_hello") == 0 && hellos++ == 0)
		return "-ERR Function not found\r\n";
	return like_redis(command, second);
}

static void says_hello_until_the_functions_are_there(void **state)
{
	struct fake fake;
	(void)state;

	memset(&told, 0, sizeof(told));
	hellos = 0;
	fake_start(&fake, late_hello);
	services.calls = calls_new(base, &fake.where, &telling, NULL);
	await(&told.missing, 1);
	assert_false(calls_up(services.calls));
	await(&told.ups, 1);
	assert_true(calls_up(services.calls));
	assert_int_equal(fake.connects, 1);
	calls_free(services.calls);
	fake_end(&fake);
}

static char *run_id = NULL;

static const char *another_redis(const char *command, const char *second)
{
	if (strcmp(command, "INFO") == 0)
		return run_id;
	return like_redis(command, second);
}

/* Another process with the epoch we know: it has forgotten. */
static void a_redis_that_forgot_is_told(void **state)
{
	struct fake fake;
	char first[] = "$10\r\nrun_id:aaa\r\n", other[] = "$10\r\nrun_id:bbb\r\n";
	(void)state;

	memset(&told, 0, sizeof(told));
	run_id = first;
	fake_start(&fake, another_redis);
	services.calls = calls_new(base, &fake.where, &telling, NULL);
	await(&told.ups, 1);
	assert_true(told.start != 0);
	fake_hang_up(&fake);
	await(&told.ups, 2);
	assert_true(told.start != 0);
	run_id = other;
	fake_hang_up(&fake);
	await(&told.ups, 3);
	assert_true(told.start == 0);
	calls_free(services.calls);
	fake_end(&fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(answers_come_in_order, begin, end),
		cmocka_unit_test_setup_teardown(comes_back_after_a_kill, begin, end),
		cmocka_unit_test_setup_teardown(waits_for_a_server, begin, end),
		cmocka_unit_test_setup_teardown(a_silent_server_is_dropped, begin, end),
		cmocka_unit_test_setup_teardown(may_be_dropped_in_its_callback, begin, end),
		cmocka_unit_test_setup_teardown(a_bad_greeting_is_survived, begin, end),
		cmocka_unit_test_setup_teardown(pushes_go_to_their_owner, begin, end),
		cmocka_unit_test_setup_teardown(each_answer_has_its_meaning, begin, end),
		cmocka_unit_test_setup_teardown(a_misshapen_answer_ends_the_connection, begin, end),
		cmocka_unit_test_setup_teardown(an_endless_answer_is_cut_off, begin, end),
		cmocka_unit_test_setup_teardown(calls_are_bounded_by_bytes, begin, end),
		cmocka_unit_test_setup_teardown(calls_are_bounded_and_fail_with_the_connection,
		                                begin, end),
		cmocka_unit_test_setup_teardown(says_hello_until_the_functions_are_there,
		                                begin, end),
		cmocka_unit_test_setup_teardown(a_redis_that_forgot_is_told, begin, end),
	};
	log_init("test", LOG_ERROR);
	return cmocka_run_group_tests_name("redis", tests, NULL, NULL);
}

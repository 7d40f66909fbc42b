/* Hub, subscriptions and calls over a real Redis whose connections are killed all the time:
 * each peer gets each event of its rooms once, in order, and where that cannot be it is told so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>
#include <event2/event_struct.h>
#include <time.h>

#include "common/stamp.h"
#include "redis_child.h"
#include "worker/fanout/hub.h"

enum { FEEDS = 20, EVENTS = 20000, PER_FEED = EVENTS / FEEDS };

/* The shape of our functions: `post` numbers, logs and publishes; a number posted
 * twice is one event. */
static const char library[] =
	"#!lua name=test\n"
	"local function stamp()\n"
	"  local at = redis.call('MGET', 'epoch', 'clock')\n"
	"  return (at[1] or '1') .. '-' .. (at[2] or '0')\n"
	"end\n"
	"redis.register_function('post', function(_, a)\n"
	"  local feed, n, json = a[1], a[2], a[3]\n"
	"  if tonumber(n) <= tonumber(redis.call('GET', 'posted:' .. feed) or '0') then"
	" return '' end\n"
	"  redis.call('SET', 'posted:' .. feed, n)\n"
	"  redis.call('INCR', 'clock')\n"
	"  local last = redis.call('XREVRANGE', feed .. ':log', '+', '-', 'COUNT', 1)[1]\n"
	"  local prev, id = last and last[1] or '0-0', stamp()\n"
	"  redis.call('XADD', feed .. ':log', id, 'p', prev, 'e', json)\n"
	"  redis.call('PUBLISH', feed, prev .. ' ' .. id .. ' ' .. json)\n"
	"  return id\n"
	"end)\n"
	"redis.register_function('worker_hello', function(_, a)\n"
	"  local now = redis.call('GET', 'clock') or '0'\n"
	"  if redis.call('GET', 'runid') ~= a[1] then\n"
	"    redis.call('INCR', 'epoch')\n"
	"    redis.call('MSET', 'runid', a[1], 'epoch:start', now)\n"
	"  end\n"
	"  return { redis.call('GET', 'epoch'), now, redis.call('GET', 'epoch:start') }\n"
	"end)\n"
	"redis.register_function{ function_name = 'feeds_since', flags = { 'no-writes' },\n"
	"  callback = function(_, a)\n"
	"  local upto, limit, all, horizon = a[1], tonumber(a[2]), {}, math.huge\n"
	"  if upto == '0' then upto = stamp() end\n"
	"  for i = 3, #a, 2 do\n"
	"    local part = redis.call('XRANGE', a[i] .. ':log', '(' .. a[i + 1], upto,"
	" 'COUNT', limit)\n"
	"    for _, e in ipairs(part) do\n"
	"      local epoch, clock = e[1]:match('(%d+)-(%d+)')\n"
	"      local at = tonumber(epoch) * 1e9 + tonumber(clock)\n"
	"      all[#all + 1] = { at = at, feed = a[i], id = e[1], prev = e[2][2],"
	" json = e[2][4] }\n"
	"    end\n"
	"    if #part == limit then horizon = math.min(horizon, all[#all].at) end\n"
	"  end\n"
	"  table.sort(all, function(x, y) return x.at < y.at end)\n"
	"  local reply = { upto, horizon < math.huge and '1' or '0' }\n"
	"  for i, e in ipairs(all) do\n"
	"    if i > limit or e.at > horizon then reply[2] = '1' break end\n"
	"    for _, s in ipairs{ e.feed, e.id, e.prev, e.json } do reply[#reply + 1] = s end\n"
	"  end\n"
	"  return reply\n"
	"end }\n";

static struct {
	struct redis_child server;
	struct event_base *base;
	struct services services;
	struct sub *sub;
	struct hub *hub;
	unsigned ups, downs, missing;
	uint64_t now;
} w;

/* --- a client of the hub --------------------------------------------------------------------- */

struct listener {
	struct peer peer;
	uint64_t last;               /* the newest stamp it heard */
	unsigned heard[FEEDS];       /* the newest number of each feed */
	unsigned total, lost, errors;
	bool member[FEEDS];
	struct batch *batch;         /* the newest it was sent, by address only */
};

static uint64_t number_cut(struct str *text)
{
	uint64_t n = 0;

	if (!str_u64(str_cut(text, ' '), &n))
		n = UINT64_MAX;
	return n;
}

static void listener_hear(struct listener *l, struct str text)
{
	const uint64_t stamp = number_cut(&text), feed = number_cut(&text), n = number_cut(&text);

	l->total++;
	if (stamp == 0)
		return;              /* no log, no order */
	if (feed >= FEEDS || !l->member[feed] || stamp <= l->last || n != l->heard[feed] + 1) {
		if (l->errors++ < 3)
			print_error("feed %u: %u after %u, stamp %llx after %llx\n", (unsigned)feed,
			            (unsigned)n, feed < FEEDS ? l->heard[feed] : 0,
			            (unsigned long long)stamp, (unsigned long long)l->last);
		return;
	}
	l->last = stamp;
	l->heard[feed] = (unsigned)n;
}

static void listener_send(struct peer *p, struct batch *b, uint32_t from, uint32_t to)
{
	struct listener *l = CONTAINER_OF(p, struct listener, peer);
	struct str bytes = batch_range(b, from, to), payload;
	enum ws_opcode opcode;

	l->batch = b;
	while (frame_next(&bytes, &opcode, &payload))
		listener_hear(l, payload);
}

static void listener_lost(struct peer *p)
{
	struct listener *l = CONTAINER_OF(p, struct listener, peer);

	l->lost++;
	peer_fini(w.hub, p);
}

static const struct peer_vt listener_vt = { .send = listener_send, .lost = listener_lost };
static unsigned encoded;

/* "<stamp> <feed> <n>" */
static enum audience encode(const struct encoder *e, const struct feed_event *event, unsigned nth,
                            struct buf *out)
{
	(void)e;
	if (nth > 0)
		return HEAR_NONE;
	encoded++;
	buf_u64(out, event->stamp);
	buf_printf(out, " %.*s %.*s", STR_ARG(event->room), STR_ARG(event->name));
	return event->type == EVENT_ADDED ? HEAR_OTHERS : HEAR_ALL;
}

static const struct encoder plain = { .encode = encode };

static void listener_init(struct listener *l, const struct encoder *e, const char *user)
{
	*l = (struct listener){ 0 };
	peer_init(&l->peer, &listener_vt, e, str_z(user));
}

static struct str feed_name(unsigned feed)
{
	static char names[4][16];
	static unsigned next;
	char *name = names[next++ % 4];

	snprintf(name, sizeof(names[0]), "room:%u", feed);
	return str_z(name);
}

static void listener_join(struct listener *l, unsigned feed, uint64_t since)
{
	l->member[feed] = true;
	hub_join(w.hub, &l->peer, feed_name(feed), since);
}

/* --- the world ------------------------------------------------------------------------------- */

static void calls_are_up(void *ctx, uint64_t now, uint64_t epoch_start)
{
	(void)ctx;
	w.ups++;
	w.now = now;
	if (w.sub != NULL)
		sub_epoch(w.sub, now, epoch_start);
}

static void calls_are_down(void *ctx)
{
	(void)ctx;
	w.downs++;
}

static void load_library(void)
{
	redisContext *link = redis_child_connect(&w.server);
	redisReply *reply = redisCommand(link, "FUNCTION LOAD REPLACE %s", library);

	assert_non_null(reply);
	assert_int_equal(reply->type, REDIS_REPLY_STRING);
	freeReplyObject(reply);
	redisFree(link);
}

static void functions_are_missing(void *ctx)
{
	(void)ctx;
	w.missing++;
	load_library();
}

static const struct calls_owner calls_owner = {
	calls_are_up, calls_are_down, functions_are_missing
};

static void on_late(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	*(bool *)arg = true;
}

/* Turns the loop until `done` says so; half a minute is too long. */
static void await(bool (*done)(void *), void *arg)
{
	const struct timeval limit = { .tv_sec = 30 };
	struct event guard;
	bool late = false;

	evtimer_assign(&guard, w.base, on_late, &late);
	event_add(&guard, &limit);
	while (!done(arg) && !late) {
		event_base_loop(w.base, EVLOOP_ONCE);
		hub_tick(w.hub);
	}
	event_del(&guard);
	assert_false(late);
}

static bool is_up(void *arg)
{
	return w.ups >= *(unsigned *)arg;
}

static void await_ups(unsigned n)
{
	await(is_up, &n);
}

static unsigned lives;

static void feed_is_live(void *ctx)
{
	(void)ctx;
	lives++;
}

static bool has_lives(void *arg)
{
	return lives >= *(unsigned *)arg;
}

/* Follows the first `n` feeds and waits until all are live. */
static void hold_feeds(unsigned n)
{
	lives = 0;
	for (unsigned feed = 0; feed < n; feed++)
		assert_false(hub_hold(w.hub, feed_name(feed), feed_is_live, &w));
	await(has_lives, &n);
	for (unsigned feed = 0; feed < n; feed++)
		assert_true(hub_hold(w.hub, feed_name(feed), feed_is_live, &w));
}

static void release_feeds(unsigned n)
{
	for (unsigned feed = 0; feed < n; feed++)
		hub_release(w.hub, feed_name(feed), &w);
}

struct heard {
	struct listener *l;
	unsigned total;
};

static bool has_heard(void *arg)
{
	const struct heard *h = arg;
	return h->l->total >= h->total;
}

static void await_heard(struct listener *l, unsigned total)
{
	await(has_heard, &(struct heard){ l, total });
}

static bool has_lost(void *arg)
{
	return ((const struct listener *)arg)->lost > 0;
}

static int begin(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	redis_child_start(&w.server);
	load_library();
	w.base = event_base_new();
	w.hub = hub_new();
	w.services.hub = w.hub;
	w.services.calls = calls_new(w.base, &w.server.where, &calls_owner, NULL);
	w.sub = sub_new(w.base, &w.server.where, &w.services, &hub_sub_owner, w.hub);
	hub_attach(w.hub, w.sub);
	await_ups(1);
	return 0;
}

static int end(void **state)
{
	(void)state;
	hub_free(w.hub);
	sub_free(w.sub);
	calls_free(w.services.calls);
	event_base_free(w.base);
	redis_child_end(&w.server);
	return 0;
}

/* --- those who disturb ----------------------------------------------------------------------- */

static void post_append(redisContext *link, unsigned feed, unsigned n, const char *type)
{
	redisAppendCommand(link,
	                   "FCALL post 0 room:%u %u {\"type\":\"%s\",\"room\":\"%u\","
	                   "\"kind\":\"group\",\"actor\":\"ann\",\"name\":%u}",
	                   feed, n, type, feed, n);
}

static void append(redisContext *link, const char *command)
{
	redisAppendCommand(link, command);
}

/* Sends all that was appended in one write and waits for the answers. */
static bool finish(redisContext *link, unsigned n)
{
	while (n-- > 0) {
		redisReply *reply = NULL;
		if (redisGetReply(link, (void **)&reply) != REDIS_OK)
			return false;
		assert_int_not_equal(reply->type, REDIS_REPLY_ERROR);
		freeReplyObject(reply);
	}
	return true;
}

static void nap(long us)
{
	nanosleep(&(struct timespec){ .tv_nsec = us * 1000 }, NULL);
}

/* Another process posts all events, in pieces; a piece that was cut off is posted again. */
static void publish_all(void)
{
	enum { PIECE = 20 };
	redisContext *link = redis_child_connect(&w.server);

	for (unsigned at = 0; at < EVENTS;) {
		for (unsigned i = at; i < at + PIECE; i++)
			post_append(link, i * 7 % FEEDS, i / FEEDS + 1, "room-created");
		if (finish(link, PIECE)) {
			at += PIECE;
			nap(1000);
			continue;
		}
		redisFree(link);
		link = redis_child_connect(&w.server);
	}
	redisFree(link);
}

/* A third one kills connections every 20 ms. */
static void kill_clients(void)
{
	redisContext *link = redis_child_connect(&w.server);

	for (unsigned i = 0; i < 100; i++) {
		append(link, "CLIENT KILL TYPE pubsub");
		append(link, i % 10 == 9 ? "CLIENT KILL TYPE normal" : "PING");
		if (!finish(link, 2))
			_exit(1);
		nap(20000);
	}
	redisFree(link);
}

static pid_t start(void (*run)(void))
{
	const pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGPIPE, SIG_IGN);
		run();
		_exit(0);
	}
	return pid;
}

static void join_end(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* --- nothing is lost ------------------------------------------------------------------------- */

enum { STEADY = 30, RESTLESS = 10, LISTENERS = STEADY + RESTLESS, ROOMS_EACH = 5 };

static struct listener listeners[LISTENERS];

static void listener_enter(struct listener *l, uint64_t since)
{
	const unsigned first = (unsigned)(l - listeners) * 3;

	for (unsigned i = 0; i < ROOMS_EACH; i++)
		listener_join(l, (first + i * 3) % FEEDS, since);
}

/* Each in turn goes, and comes back the next time with the stamp it knows. */
static void on_restless(evutil_socket_t fd, short what, void *arg)
{
	static unsigned turn;
	struct listener *l = &listeners[STEADY + turn / 2 % RESTLESS];
	(void)fd;
	(void)what;
	(void)arg;

	if (turn++ % 2 == 0)
		peer_fini(w.hub, &l->peer);
	else
		listener_enter(l, l->last);
}

static bool all_heard(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < LISTENERS; i++)
		if (listeners[i].total < ROOMS_EACH * PER_FEED)
			return false;
	return true;
}

static void each_event_once_and_in_order(void **state)
{
	const struct timeval often = { .tv_usec = 3000 };
	const uint64_t beginning = stamp_make(1, 0);
	struct event restless;
	(void)state;

	hold_feeds(FEEDS);
	for (unsigned i = 0; i < LISTENERS; i++) {
		listener_init(&listeners[i], &plain, "bob");
		listener_enter(&listeners[i], beginning);
		listeners[i].last = beginning;
	}
	release_feeds(FEEDS);
	const pid_t publisher = start(publish_all), killer = start(kill_clients);
	event_assign(&restless, w.base, -1, EV_PERSIST, on_restless, NULL);
	event_add(&restless, &often);
	await(all_heard, NULL);
	event_del(&restless);
	for (unsigned i = 0; i < LISTENERS; i++) {
		assert_int_equal(listeners[i].errors, 0);
		assert_int_equal(listeners[i].lost, 0);
		assert_int_equal(listeners[i].total, ROOMS_EACH * PER_FEED);
		peer_fini(w.hub, &listeners[i].peer);
	}
	join_end(publisher);
	join_end(killer);
	assert_true(w.downs >= 3);
}

/* Who comes to a room that is full of life and knows only its beginning gets all from there; the
 * others get nothing twice. */
static void a_late_one_gets_all(void **state)
{
	redisContext *link = redis_child_connect(&w.server);
	struct listener early, late, later;
	(void)state;

	listener_init(&early, &plain, "bob");
	listener_join(&early, 0, stamp_make(1, 0));
	for (unsigned n = 1; n <= 1300; n++)
		post_append(link, 0, n, "room-created");
	assert_true(finish(link, 1300));
	await_heard(&early, 1300);

	listener_init(&late, &plain, "bob");
	listener_join(&late, 0, stamp_make(1, 0));
	await_heard(&late, 1300);

	listener_init(&later, &plain, "bob");
	later.heard[0] = 1299;
	listener_join(&later, 0, stamp_make(1, 1299));
	post_append(link, 0, 1301, "room-created");
	assert_true(finish(link, 1));
	await_heard(&later, 2);
	await_heard(&early, 1301);
	await_heard(&late, 1301);
	assert_int_equal(early.errors + late.errors + later.errors, 0);
	assert_true(hub_last(w.hub, feed_name(0)) == stamp_make(1, 1301));
	peer_fini(w.hub, &early.peer);
	peer_fini(w.hub, &late.peer);
	peer_fini(w.hub, &later.peer);
	redisFree(link);
}

/* What happened between the state that was read and the subscription comes
 * without another event. */
static void what_came_before_the_subscription(void **state)
{
	redisContext *link = redis_child_connect(&w.server);
	struct listener l;
	(void)state;

	for (unsigned n = 1; n <= 3; n++)
		post_append(link, 0, n, "room-created");
	assert_true(finish(link, 3));
	listener_init(&l, &plain, "bob");
	l.heard[0] = 1;
	listener_join(&l, 0, stamp_make(1, 1));
	await_heard(&l, 2);
	assert_int_equal(l.errors, 0);
	peer_fini(w.hub, &l.peer);
	redisFree(link);
}

/* --- what is lost is told -------------------------------------------------------------------- */

static void a_trimmed_log_is_told(void **state)
{
	redisContext *link = redis_child_connect(&w.server);
	struct listener hit, other;
	(void)state;

	hold_feeds(2);
	listener_init(&hit, &plain, "bob");
	listener_init(&other, &plain, "bob");
	listener_join(&hit, 0, stamp_make(1, 0));
	listener_join(&other, 1, stamp_make(1, 0));
	post_append(link, 0, 1, "room-created");
	post_append(link, 1, 1, "room-created");
	assert_true(finish(link, 2));
	await_heard(&hit, 1);
	await_heard(&other, 1);

	append(link, "CLIENT KILL TYPE pubsub");
	for (unsigned n = 2; n <= 4; n++)
		post_append(link, 0, n, "room-created");
	post_append(link, 1, 2, "room-created");
	append(link, "XTRIM room:0:log MAXLEN 1");
	assert_true(finish(link, 6));
	await(has_lost, &hit);
	await_heard(&other, 2);
	assert_int_equal(hit.total, 1);
	assert_int_equal(hit.errors + other.errors + other.lost, 0);
	assert_true(hub_last(w.hub, feed_name(0)) == stamp_make(1, 5));
	peer_fini(w.hub, &other.peer);
	release_feeds(2);
	redisFree(link);
}

/* Redis came back with less than it had told: as after a crash between two writes to the disk. */
static void a_shorter_past_is_told(void **state)
{
	redisContext *link = redis_child_connect(&w.server);
	struct listener hit, other;
	(void)state;

	listener_init(&hit, &plain, "bob");
	listener_init(&other, &plain, "bob");
	listener_join(&hit, 0, stamp_make(1, 0));
	listener_join(&other, 1, stamp_make(1, 0));
	post_append(link, 1, 1, "room-created");
	post_append(link, 0, 1, "room-created");
	assert_true(finish(link, 2));
	await_heard(&hit, 1);
	await_heard(&other, 1);

	append(link, "MULTI");
	append(link, "MSET runid another clock 1 posted:room:0 0");
	append(link, "DEL room:0:log");
	append(link, "CLIENT KILL TYPE pubsub");
	append(link, "CLIENT KILL TYPE normal");
	append(link, "EXEC");
	assert_true(finish(link, 6));
	await(has_lost, &hit);
	post_append(link, 1, 2, "room-created");
	assert_true(finish(link, 1));
	await_heard(&other, 2);
	assert_int_equal(other.lost + other.errors, 0);
	assert_true(other.last == stamp_make(2, 2));
	peer_fini(w.hub, &other.peer);
	redisFree(link);
}

/* A server without any memory: functions are loaded again, all is lost, and life goes on. */
static void an_empty_redis_is_told(void **state)
{
	redisContext *link = redis_child_connect(&w.server);
	struct listener l;
	(void)state;

	listener_init(&l, &plain, "bob");
	listener_join(&l, 0, stamp_make(1, 0));
	for (unsigned n = 1; n <= 3; n++)
		post_append(link, 0, n, "room-created");
	assert_true(finish(link, 3));
	await_heard(&l, 3);
	redisFree(link);
	redis_child_kill(&w.server);
	redis_child_start(&w.server);
	await(has_lost, &l);
	assert_true(w.missing > 0);

	link = redis_child_connect(&w.server);
	listener_init(&l, &plain, "bob");
	listener_join(&l, 0, w.now);
	post_append(link, 0, 1, "room-created");
	assert_true(finish(link, 1));
	await_heard(&l, 1);
	assert_int_equal(l.errors, 0);
	peer_fini(w.hub, &l.peer);
	redisFree(link);
}

/* --- without a log --------------------------------------------------------------------------- */

static void a_feed_without_a_log_goes_on(void **state)
{
	static const char say[] = "PUBLISH lobby:0 %s";
	static const char json[] =
		"{\"type\":\"room-created\",\"room\":\"0\",\"kind\":\"lobby\",\"name\":1}";
	redisContext *link = redis_child_connect(&w.server);
	struct listener l;
	(void)state;

	listener_init(&l, &plain, "bob");
	hub_join(w.hub, &l.peer, STR("lobby:0"), 0);
	assert_true(hub_is_member(&l.peer, STR("lobby:0")));
	assert_int_equal(hub_heard(&l.peer, STR("lobby:")), 1);
	assert_int_equal(hub_heard(&l.peer, STR("presence:")), 0);
	lives = 0;
	unsigned want = 1;
	assert_false(hub_hold(w.hub, STR("lobby:0"), feed_is_live, &l));
	await(has_lives, &want);
	redisAppendCommand(link, say, json);
	assert_true(finish(link, 1));
	await_heard(&l, 1);

	append(link, "CLIENT KILL TYPE pubsub");
	assert_true(finish(link, 1));
	while (hub_hold(w.hub, STR("lobby:0"), feed_is_live, &l))
		event_base_loop(w.base, EVLOOP_ONCE);
	want = 2;
	await(has_lives, &want);
	redisAppendCommand(link, say, json);
	assert_true(finish(link, 1));
	await_heard(&l, 2);
	assert_int_equal(l.lost, 0);
	hub_release(w.hub, STR("lobby:0"), &l);
	peer_fini(w.hub, &l.peer);
	redisFree(link);
}

/* --- the hub's own rules --------------------------------------------------------------------- */

static struct listener group[6];

/* The third to be asked destroys all but the last and joins somebody new. */
static void apply(struct peer *p, const struct feed_event *event)
{
	struct listener *l = CONTAINER_OF(p, struct listener, peer);
	(void)event;

	l->lost += 100;
	if (l != &group[2])
		return;
	for (unsigned i = 0; i < 4; i++)
		peer_fini(w.hub, &group[i].peer);
	listener_join(&group[5], 0, stamp_make(1, 2));
}

static bool applies(const struct feed_event *event)
{
	return event->type == EVENT_REMOVED;
}

static const struct encoder applying = { .encode = encode, .apply = apply, .applies = applies };

static void who_hears_what(void **state)
{
	redisContext *link = redis_child_connect(&w.server);
	size_t feeds, members;
	(void)state;

	hold_feeds(1);
	for (unsigned i = 0; i < 6; i++)
		listener_init(&group[i], i == 4 ? &plain : &applying, i == 1 ? "ann" : "bob");
	for (unsigned i = 0; i < 5; i++)
		listener_join(&group[i], 0, stamp_make(1, 0));
	listener_join(&group[0], 0, stamp_make(1, 0));
	hub_counts(w.hub, &feeds, &members);
	assert_int_equal(feeds, 1);
	assert_int_equal(members, 5);
	release_feeds(1);

	/* "added" is for others than its actor; each group is encoded for once and
	 * shares its batch. */
	encoded = 0;
	post_append(link, 0, 1, "added");
	assert_true(finish(link, 1));
	await_heard(&group[0], 1);
	assert_int_equal(encoded, 2);
	assert_int_equal(group[1].total, 0);
	assert_int_equal(group[4].total, 1);
	assert_ptr_equal(group[0].batch, group[3].batch);
	assert_ptr_not_equal(group[0].batch, group[4].batch);
	assert_int_equal(group[0].lost, 0);

	group[1].heard[0] = 1;
	post_append(link, 0, 2, "removed");
	assert_true(finish(link, 1));
	await_heard(&group[4], 2);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(group[i].lost, i < 3 ? 100 : 0);
		assert_false(hub_is_member(&group[i].peer, feed_name(0)));
	}
	assert_true(hub_is_member(&group[5].peer, feed_name(0)));
	assert_int_equal(group[5].lost, 0);
	group[5].heard[0] = 2;
	post_append(link, 0, 3, "room-created");
	assert_true(finish(link, 1));
	await_heard(&group[4], 3);
	assert_int_equal(group[5].total, 1);

	assert_true(hub_leave(w.hub, &group[4].peer, feed_name(0)));
	assert_false(hub_leave(w.hub, &group[4].peer, feed_name(0)));
	peer_fini(w.hub, &group[5].peer);
	hub_tick(w.hub);
	hub_counts(w.hub, &feeds, &members);
	assert_int_equal(feeds, 0);
	assert_int_equal(members, 0);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(group[i].errors, 0);
	redisFree(link);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_event_once_and_in_order, begin, end),
		cmocka_unit_test_setup_teardown(a_late_one_gets_all, begin, end),
		cmocka_unit_test_setup_teardown(what_came_before_the_subscription, begin, end),
		cmocka_unit_test_setup_teardown(a_trimmed_log_is_told, begin, end),
		cmocka_unit_test_setup_teardown(a_shorter_past_is_told, begin, end),
		cmocka_unit_test_setup_teardown(an_empty_redis_is_told, begin, end),
		cmocka_unit_test_setup_teardown(a_feed_without_a_log_goes_on, begin, end),
		cmocka_unit_test_setup_teardown(who_hears_what, begin, end),
	};
	log_init("test", LOG_ERROR);
	return cmocka_run_group_tests_name("feed", tests, NULL, NULL);
}

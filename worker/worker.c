/* A worker process: wires everything, holds no logic. */
#include "worker/worker.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/chan.h"
#include "common/clock.h"
#include "common/id.h"
#include "common/log_line.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "worker/api/door.h"
#include "worker/api/parting.h"
#include "worker/api/staying.h"
#include "worker/domain/hasher.h"
#include "worker/domain/lobby.h"
#include "worker/domain/presence.h"
#include "worker/domain/upload.h"
#include "worker/mounts.h"
#include "worker/net/gate.h"
#include "worker/socketio/socket.h"
#include "worker/store/call.h"

enum {
	BEAT_MS = 1000, DRAIN_MS = 10, DRAIN_AT_ONCE = 50, ACCEPT_AT_ONCE = 64, REST_MS = 100,
	PATIENCE_MS = 1000, TRIM_CONNS = 100, ANSWERS_MS = 5000,
};

struct worker {
	const struct inheritance *in;
	struct event_base *base;
	struct deadlines deadlines;
	struct net net;
	struct gate gate;
	struct http http;
	struct engine engine;
	struct sockets sockets;
	struct services services;
	struct sub *sub;
	struct event *listeners[CONF_MAX_LISTEN];
	struct event *inbox, *told_to_end;
	struct deadline_list beat_list, drain_list, rest_list, patience_list;
	struct deadline beat, drain, rest, patience;
	struct buf message;
	uint64_t accept_failures;
	size_t seen_conns, trimmed_conns;    /* at the last beat; when memory was last given back */
	struct metrics *page;
	uint64_t before[METRIC_COUNT];       /* what predecessors at this place have counted */
	uint64_t answers_ms;                 /* until when a drain waits for answers */
	bool serving, draining, quitting;
	bool full;                           /* out of descriptors, and that has been said */
};

static struct worker *the_worker;    /* for callbacks that have no context of their own */

/* --- Messages --- */

static void tell_master(struct worker *w, enum chan_type type, int32_t number)
{
	const struct chan_message m = {
		.type = type, .from = w->in->index, .number = number, .fd = -1,
	};
	if (!chan_send(w->in->master, &m) && errno != EAGAIN)
		w->quitting = true;      /* the master is gone */
}

/* What a rush of connections used for a moment lies between what they keep, where the allocator
 * would hold it for ever: once a rush is over, whole free pages go back to the system. */
static void give_back(struct worker *w)
{
	size_t now = w->net.n_conns, before = w->trimmed_conns;
	size_t change = now > before ? now - before : before - now;
	bool calm = now == w->seen_conns;
	w->seen_conns = now;
	if (!calm || change < TRIM_CONNS || change < before / 10)
		return;
	w->trimmed_conns = now;
	malloc_trim(0);
}

/* A Redis without room, or without our functions, refuses for a while, and its connection stays:
 * nothing else would say when it takes again what it has to know, and tells what we have to. */
static void say_refused(struct worker *w)
{
	if (!calls_up(w->services.calls))
		return;
	partings_again();
	stayings_retry();
	presence_retry(w->services.presence);
	lobby_retry(w->services.lobby);
	if (refresh_was_refused())
		hub_stale_all(w->services.hub);
}

static void on_beat(struct deadline *d)
{
	struct worker *w = CONTAINER_OF(d, struct worker, beat);
	/* That we serve is said again: the master's inbox may have been full. */
	tell_master(w, w->serving ? CHAN_READY : CHAN_BEAT, (int32_t)getpid());
	say_refused(w);
	give_back(w);
	log_left_out();
	deadline_set(&w->beat_list, d);
}

/* --- Connections --- */

static struct conn *take_connection(struct worker *w, int fd, unsigned listener, struct str bytes)
{
	struct conn *c = conn_new(&w->net, fd, listener, &http_vt, bytes);
	http_start(c);
	return c;
}

static void admit(struct worker *w, int fd, unsigned listener, const struct sockaddr_storage *from)
{
	uint32_t slot;
	const enum verdict verdict = gate_accept(&w->gate, from, &slot);
	if (verdict == GATE_SHUT) {
		close(fd);
		return;
	}
	struct conn *c = take_connection(w, fd, listener, STR_NONE);
	c->gate_slot = slot;
	c->throttled = verdict == GATE_REFUSED;
}

/* From another worker. */
static void take_over(struct worker *w, int fd, unsigned listener, struct str bytes)
{
	struct conn *c = take_connection(w, fd, listener, bytes);
	c->gate_slot = gate_take_over(&w->gate, fd);
	c->begun = true;
}

static void watch_listeners(struct worker *w, bool on)
{
	for (unsigned i = 0; i < conf.n_listens; i++) {
		if (on)
			event_add(w->listeners[i], NULL);
		else
			event_del(w->listeners[i]);
	}
}

static void on_rested(struct deadline *d)
{
	struct worker *w = CONTAINER_OF(d, struct worker, rest);
	if (!w->draining)
		watch_listeners(w, true);
}

/* Out of descriptors: the listeners rest a while, or the loop would spin on them. */
static void rest(struct worker *w)
{
	if (!w->full)
		log_warn("cannot accept: %s; trying again every %d ms", strerror(errno), REST_MS);
	w->full = true;
	w->accept_failures++;
	watch_listeners(w, false);
	deadline_set(&w->rest_list, &w->rest);
}

/* All who waited have been let in. */
static void say_accepting(struct worker *w)
{
	if (w->full)
		log_info("accepting again");
	w->full = false;
}

static void on_listener(evutil_socket_t fd, short what UNUSED, void *arg)
{
	struct worker *w = the_worker;
	unsigned listener = (unsigned)((struct event **)arg - w->listeners);
	for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
		struct sockaddr_storage from;
		socklen_t len = sizeof(from);
		from.ss_family = AF_UNSPEC;
		int peer =
			accept4(fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (peer >= 0) {
			admit(w, peer, listener, &from);
			continue;
		}
		const int why = errno;
		if (why == EMFILE || why == ENFILE || why == ENOBUFS || why == ENOMEM)
			rest(w);
		if (why == EAGAIN)
			say_accepting(w);
		if (why != EINTR && why != ECONNABORTED)
			return;
	}
}

static bool hand_over(void *ctx, struct conn *c, unsigned to, struct str bytes)
{
	struct worker *w = ctx;
	const struct chan_message m = {
		.type = CHAN_CONN,
		.from = w->in->index,
		.number = c->listener,
		.fd = conn_fd(c),
		.bytes = bytes,
	};
	return bytes.len <= CHAN_MAX_BYTES && chan_send(w->in->peers[to], &m);
}

/* --- Ending --- */

/* Whoever connects meanwhile waits for a successor: a Redis that hangs is not waited for. */
static bool owes_answers(const struct worker *w)
{
	return clock_now_ms() < w->answers_ms && http_owes(&w->net);
}

static void on_drain(struct deadline *d)
{
	struct worker *w = CONTAINER_OF(d, struct worker, drain);
	size_t n = engine_drain(&w->engine, DRAIN_AT_ONCE);
	n += plain_drain(DRAIN_AT_ONCE - n);
	if (n == 0 && !owes_answers(w))
		w->quitting = true;
	deadline_set(&w->drain_list, d);
}

/* Stops accepting (the sockets stay the master's: a successor finds what waits on them),
 * then closes transports at a pace, so that clients come back spread out, and answers
 * requests that are whole. */
static void start_draining(struct worker *w)
{
	if (w->draining)
		return;
	w->draining = w->http.draining = true;
	w->answers_ms = clock_now_ms() + ANSWERS_MS;
	log_info("draining %llu clients",
	         (unsigned long long)(w->engine.n_sessions + plain_counts()->n));
	watch_listeners(w, false);
	deadline_set(&w->drain_list, &w->drain);
}

static void on_signal(evutil_socket_t number UNUSED, short what UNUSED, void *arg)
{
	struct worker *w = arg;
	w->quitting = true;
}

/* Redis may know nothing of us any more. */
static void say_all_again(struct worker *w)
{
	stayings_again();
	presence_again(w->services.presence);
	hub_here_all(w->services.hub);
	lobby_again(w->services.lobby);
}

static void on_inbox(evutil_socket_t fd, short what UNUSED, void *arg)
{
	struct worker *w = arg;
	struct chan_message m;
	int n;
	while ((n = chan_recv(fd, &m, &w->message)) > 0) {
		if (m.type == CHAN_CONN && m.fd >= 0 && m.number >= 0 &&
		    m.number < (int)conf.n_listens)
			take_over(w, m.fd, (unsigned)m.number, m.bytes);
		else if (m.fd >= 0)
			close(m.fd);
		if (m.type == CHAN_DRAIN)
			start_draining(w);
		if (m.type == CHAN_LEASED)
			say_all_again(w);
	}
	if (n < 0)
		w->quitting = true;
}

/* --- Redis --- */

/* Serving begins when Redis is there, so that what waits in the backlog finds all in order; but it
 * does begin, for a client can at least be told. */
static void serve(struct worker *w)
{
	if (w->serving || w->draining)
		return;
	w->serving = true;
	deadline_clear(&w->patience);
	watch_listeners(w, true);
	tell_master(w, CHAN_READY, (int32_t)getpid());
}

static void on_impatient(struct deadline *d)
{
	serve(CONTAINER_OF(d, struct worker, patience));
}

static void on_redis_up(void *ctx, uint64_t now, uint64_t epoch_start)
{
	struct worker *w = ctx;
	serve(w);
	sub_epoch(w->sub, now, epoch_start);
	partings_again();
	say_all_again(w);
	if (epoch_start == 0)
		hub_forget(w->services.hub);
	hub_stale_all(w->services.hub);
}

static void on_redis_down(void *ctx UNUSED)
{
}

static void on_functions_missing(void *ctx)
{
	tell_master(ctx, CHAN_RELOAD_FUNCTIONS, 0);
}

static const struct calls_owner redis_owner = {
	.up = on_redis_up,
	.down = on_redis_down,
	.functions_missing = on_functions_missing,
};

/* Another has the name of a lobby's user here, given while Redis had forgotten them. */
static void on_ousted(void *ctx, struct str feed, struct str sid)
{
	const struct worker *w = ctx;
	struct peer *p = hub_named(w->services.hub, feed, sid);
	if (p != NULL)
		events_oust(p);
}

static void on_here(void *ctx, struct str user, bool here)
{
	const struct worker *w = ctx;
	presence_say(w->services.presence, user, here);
}

static void on_stale(void *ctx, struct str feed)
{
	const struct worker *w = ctx;
	refresh_feed(&w->services, feed);
}

/* --- Metrics --- */

_Static_assert((unsigned)REASON_COUNT < METRIC_REASONS, "a cell for each reason, and one more");

static void put(struct worker *w, unsigned cell, uint64_t n)
{
	metrics_put(w->page, cell, w->before[cell] + n);
}

static void put_histogram(struct worker *w, unsigned cell, const struct histogram *h)
{
	for (unsigned b = 0; b <= HISTOGRAM_BOUNDS; b++)
		put(w, cell + b, h->buckets[b]);
	put(w, cell + HISTOGRAM_BOUNDS + 1, h->sum_us);
}

static void publish_clients(struct worker *w)
{
	const struct plain_counts *plain = plain_counts();
	size_t feeds, members;
	hub_counts(w->services.hub, &feeds, &members);
	put(w, METRIC_CONNECTIONS, w->engine.n_sessions + plain->n);
	put(w, METRIC_TCP, w->net.n_conns);
	put(w, METRIC_TCP_OPENED, w->net.opened);
	put(w, METRIC_SOCKETS, w->sockets.n + plain->n);
	put(w, METRIC_SOCKETS_OPENED, w->sockets.opened + plain->opened);
	put(w, METRIC_FEEDS, feeds);
	put(w, METRIC_MEMBERS, members);
	put(w, METRIC_USERS, hub_users(w->services.hub));
	put(w, METRIC_QUEUE_BYTES, w->net.queued + w->engine.queued);
	put(w, METRIC_OPENED, w->engine.opened + plain->opened);
	put(w, METRIC_EVENTS, w->sockets.events + plain->messages);
	put(w, METRIC_DELIVERIES, hub_deliveries(w->services.hub));
	put_histogram(w, METRIC_DELIVERY_TIME, hub_times(w->services.hub));
	for (unsigned r = 0; r < REASON_COUNT; r++) {
		put(w, METRIC_CLOSED + r, w->engine.closed[r] + plain->closed[r]);
		put(w, METRIC_TCP_CLOSED + r, w->net.closed[r]);
		put(w, METRIC_SOCKETS_CLOSED + r, w->sockets.closed[r] + plain->closed[r]);
	}
	for (unsigned i = 0; apis[i] != NULL; i++) {
		const struct api_counts *api = api_counts(apis[i]);
		put(w, METRIC_API_SOCKETS + i, api->sockets);
		put(w, METRIC_API_EVENTS + i, api->events);
	}
}

/* All that is counted anyway, put where the other workers see it. */
static void publish(struct worker *w)
{
	const struct rest_counts *rest = rest_counts();
	publish_clients(w);
	put(w, METRIC_CALLS_PENDING, calls_pending(w->services.calls));
	put(w, METRIC_REDIS_UP, calls_up(w->services.calls));
	put(w, METRIC_CALLS, calls_count(w->services.calls));
	put_histogram(w, METRIC_CALL_TIME, calls_times(w->services.calls));
	for (unsigned e = 0; e < REDIS_ERROR_COUNT; e++)
		put(w, METRIC_CALL_ERRORS + e, calls_errors(w->services.calls)[e]);
	put(w, METRIC_REDIS_LOSSES, calls_losses(w->services.calls));
	put(w, METRIC_REDIS_LOSSES + 1, sub_losses(w->sub));
	put(w, METRIC_REQUESTS, w->http.requests);
	for (unsigned class = 0; class < METRIC_CLASSES; class++)
		put(w, METRIC_RESPONSES + class, rest->responses[class]);
	put_histogram(w, METRIC_REST_TIME, &rest->times);
	put(w, METRIC_ACCEPT_FAILURES, w->accept_failures);
	put(w, METRIC_LOG_DROPPED, log_dropped());
}

/* --- The loop --- */

/* The end of a turn: what happened in it is encoded by now; write it, then free what is over. */
static void tick(struct worker *w)
{
	deadlines_tick(&w->deadlines);
	presence_tick(w->services.presence);
	hub_tick(w->services.hub);
	engine_tick(&w->engine);
	plain_tick();
	net_tick(&w->net);
	hub_written(w->services.hub);
	/* Writing may have ended connections, and with them sessions. */
	engine_tick(&w->engine);
	sockets_tick(&w->sockets);
	publish(w);
	clock_stale();
}

static bool load_keys(struct worker *w)
{
	char why[512];
	w->services.keys = token_keys_new(conf.jwt_issuer, conf.jwt_audience);
	if (token_keys_load(w->services.keys, &conf, why, sizeof(why)))
		return true;
	log_error("%s", why);
	return false;
}

/* Our name in Redis, and the channel where we are spoken to by it. */
static void listen_by_name(struct worker *w)
{
	static char feed[64];
	int n = snprintf(feed, sizeof(feed), "worker:%s.%u.%u", w->in->host, w->in->index,
	                 w->in->generation);
	struct str name = { feed, (size_t)n };
	w->services.worker = str_from(name, sizeof("worker:") - 1);
	hub_listen(w->services.hub, name);
}

static void wire(struct worker *w)
{
	const struct inheritance *in = w->in;
	unsigned char host[SID_HOST];
	deadlines_init(&w->deadlines, w->base);
	net_init(&w->net, w->base, &w->deadlines);
	w->net.http = &w->http;
	w->gate = (struct gate){
		.connects = in->connects, .addresses = in->addresses, .worker = in->index,
	};
	w->net.gate = &w->gate;
	w->net.ws = ws_new();
	w->net.hand_over = hand_over;
	w->net.ctx = w;
	http_init(&w->http, &w->deadlines, mounts);
	sodium_hex2bin(host, sizeof(host), in->host, 2 * sizeof(host), NULL, NULL, NULL);
	engine_init(&w->engine, &w->deadlines, in->index, in->count, in->sid_key, host);
	mounts_engine = &w->engine;
	w->services.calls = calls_new(w->base, &conf.redis, &redis_owner, w);
	w->services.hasher = hasher_new(w->base);
	w->services.uploads = uploads_new(w->base);
	w->services.hub = hub_new();
	w->services.metrics = in->metrics;
	w->services.clients = in->clients;
	w->services.place = in->index;
	w->services.workers = in->count;
	w->sub = sub_new(w->base, &conf.redis, &w->services, &hub_sub_owner, w->services.hub);
	hub_attach(w->services.hub, w->sub);
	hub_on_stale(w->services.hub, on_stale, w);
	hub_on_here(w->services.hub, on_here, w);
	w->services.presence = presence_new(&w->services);
	w->services.lobby = lobby_new(&w->services, on_ousted, w);
	listen_by_name(w);
	sockets_init(&w->sockets, &w->deadlines, w->services.hub, &events_app);
	w->engine.upper = &w->sockets;
	partings_init(&w->services);
	stayings_init(&w->services, &w->engine);
	events_init(&w->services);
	plain_init(&w->services, &w->deadlines);
	rest_init(&w->services);
	upload_init(&w->services);
	files_init(in->assets);
}

static void watch(struct worker *w)
{
	for (unsigned i = 0; i < conf.n_listens; i++)
		w->listeners[i] = event_new(w->base, w->in->listeners[i], EV_READ | EV_PERSIST,
		                            on_listener, &w->listeners[i]);
	w->inbox = event_new(w->base, w->in->inbox, EV_READ | EV_PERSIST, on_inbox, w);
	event_add(w->inbox, NULL);
	/* All other signals stay as the master has set them: it acts on them for all. */
	w->told_to_end = evsignal_new(w->base, SIGTERM, on_signal, w);
	event_add(w->told_to_end, NULL);
	deadline_list_init(&w->deadlines, &w->beat_list, BEAT_MS, on_beat);
	deadline_list_init(&w->deadlines, &w->drain_list, DRAIN_MS, on_drain);
	deadline_list_init(&w->deadlines, &w->rest_list, REST_MS, on_rested);
	deadline_list_init(&w->deadlines, &w->patience_list, PATIENCE_MS, on_impatient);
	deadline_set(&w->beat_list, &w->beat);
	deadline_set(&w->patience_list, &w->patience);
}

static void unwire(struct worker *w)
{
	engine_fini(&w->engine);
	plain_fini();
	net_fini(&w->net);
	publish(w);      /* how the last ones ended */
	sockets_fini(&w->sockets);
	/* First what may still be answered: answers reach all the others, and these may call. */
	calls_close(w->services.calls);
	hub_free(w->services.hub);
	sub_free(w->sub);
	presence_free(w->services.presence);
	lobby_free(w->services.lobby);
	events_fini();
	partings_fini();
	calls_free(w->services.calls);
	hasher_free(w->services.hasher);
	uploads_free(w->services.uploads);
	token_keys_free(w->services.keys);
	ws_free(w->net.ws);
	for (unsigned i = 0; i < conf.n_listens; i++)
		event_free(w->listeners[i]);
	event_free(w->told_to_end);
	event_free(w->inbox);
	deadlines_fini(&w->deadlines);
	buf_fini(&w->message);
}

static struct event_base *base_new(void)
{
	struct event_config *config = event_config_new();
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	struct event_base *base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

int worker_main(const struct inheritance *in)
{
	struct worker *w = xcalloc(1, sizeof(*w));
	the_worker = w;
	w->in = in;
	w->page = &in->metrics[in->index];
	metrics_before(w->page, w->before);
	if (!load_keys(w)) {
		free(w);
		return EXIT_FAILURE;
	}
	w->base = base_new();
	wire(w);
	watch(w);
	tick(w);
	while (!w->quitting && event_base_loop(w->base, EVLOOP_ONCE) == 0)
		tick(w);
	unwire(w);
	event_base_free(w->base);
	free(w);
	return EXIT_SUCCESS;
}

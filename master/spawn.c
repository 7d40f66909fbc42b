/* The crew: the worker processes. A place outlives its workers: its listening sockets and its inbox
 * are made before the first fork and kept open, so that connections and hand-overs that wait for a
 * dead worker are its successor's. Every process may send to an inbox, only the place's worker
 * reads it. */
#include "master/spawn.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/id.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "common/tally.h"
#include "master/child.h"
#include "master/listen.h"
#include "master/times.h"
#include "master/usage.h"

enum { READ, WRITE };                /* the ends of an inbox */
enum { DRAIN_MARK = -1 };            /* the number of a CHAN_DRAIN that is for the master itself */

enum place_state {
	PLACE_EMPTY,                 /* no process; due_ms: the next start */
	PLACE_SERVING,               /* due_ms: must have beaten by then */
	PLACE_DRAINING,              /* told, or about to be; due_ms: SIGTERM */
	PLACE_ENDING,                /* got SIGTERM or SIGKILL; due_ms: SIGKILL */
};

struct place {
	unsigned index;
	enum place_state state;
	uint64_t due_ms;
	pid_t pid;
	unsigned generation;
	uint64_t started_ms;
	unsigned backoff_ms, crashes;        /* of the latest starts, one after another */
	bool ready, told_to_drain;
	int inbox[2];
	int listeners[CONF_MAX_LISTEN];
};

struct crew {
	struct crew_setup setup;
	unsigned count;
	bool keep;                   /* empty places are filled */
	uint64_t measure_ms;         /* when what the workers use is measured next */
	unsigned rolled;             /* places before it have been rolled; count: none is left */
	unsigned char sid_key[32];
	struct place places[];
};

/* The only function that changes a place's state. */
static void place_enter(struct place *p, enum place_state state, uint64_t in_ms)
{
	p->state = state;
	p->due_ms = clock_now_ms() + in_ms;
}

static void place_close(struct place *p)
{
	for (unsigned i = 0; i < conf.n_listens; i++)
		close(p->listeners[i]);
	close(p->inbox[READ]);
	close(p->inbox[WRITE]);
}

static bool place_open(struct place *p, char *why, size_t size)
{
	if (!listen_open(conf.listens, conf.n_listens, p->listeners, why, size))
		return false;
	if (chan_pair(p->inbox))
		return true;
	snprintf(why, size, "socketpair: %s", strerror(errno));
	for (unsigned i = 0; i < conf.n_listens; i++)
		close(p->listeners[i]);
	return false;
}

struct crew *crew_new(const struct crew_setup *setup, char *why, size_t size)
{
	struct crew *c = xcalloc(1, sizeof(*c) + conf.workers * sizeof(c->places[0]));
	c->setup = *setup;
	id_random(c->sid_key, sizeof(c->sid_key));
	for (; c->count < conf.workers; c->count++) {
		c->places[c->count].index = c->count;
		if (!place_open(&c->places[c->count], why, size)) {
			crew_free(c);
			return NULL;
		}
	}
	c->rolled = c->count;
	return c;
}

void crew_free(struct crew *c)
{
	for (unsigned i = 0; i < c->count; i++)
		place_close(&c->places[i]);
	free(c);
}

/* In the child: keeps its own sockets and the ways to all others. */
static void close_others(const struct crew *c, unsigned index)
{
	for (unsigned i = 0; i < c->count; i++) {
		if (i == index)
			continue;
		for (unsigned j = 0; j < conf.n_listens; j++)
			close(c->places[i].listeners[j]);
		close(c->places[i].inbox[READ]);
	}
}

static NORETURN void be_worker(const struct crew *c, const struct place *p, pid_t master)
{
	/* What a terminal or a careless kill sends to the whole group is the master's to act on. */
	static const int ignored[] = { SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE, 0 };
	char name[32];
	child_begin(master, ignored);
	snprintf(name, sizeof(name), "confab-worker%u", p->index);
	child_title(name);
	snprintf(name, sizeof(name), "worker %u", p->index);
	log_init(name, conf.log_level);
	c->setup.leave(c->setup.arg);
	close_others(c, p->index);

	struct inheritance in = {
		.index = p->index, .count = c->count, .generation = p->generation,
		.inbox = p->inbox[READ], .master = c->setup.master, .functions = c->setup.functions,
		.metrics = c->setup.metrics,
		.connects = c->setup.connects,
		.addresses = c->setup.addresses, .clients = c->setup.clients,
		.assets = c->setup.assets,
	};
	memcpy(in.listeners, p->listeners, sizeof(in.listeners));
	memcpy(in.sid_key, c->sid_key, sizeof(in.sid_key));
	memcpy(in.host, c->setup.host->id, sizeof(in.host));
	for (unsigned i = 0; i < c->count; i++)
		in.peers[i] = c->places[i].inbox[WRITE];
	_exit(c->setup.body(&in));
}

/* Sends on what the predecessor left unread, but for its order to drain: reads up to a mark of our
 * own. */
static void inbox_inherit(struct place *p)
{
	const struct chan_message mark = {
		.type = CHAN_DRAIN, .from = UINT_MAX, .number = DRAIN_MARK, .fd = -1 };
	bool marked = chan_send(p->inbox[WRITE], &mark);
	struct chan_message m;
	struct buf bytes = { 0 };
	while (chan_recv(p->inbox[READ], &m, &bytes) == 1) {
		if (m.type == CHAN_DRAIN && m.number == DRAIN_MARK)
			break;
		/* An inbox too full for the mark is emptied: its clients connect again. */
		bool sent = marked && m.type != CHAN_DRAIN && chan_send(p->inbox[WRITE], &m);
		if (!sent && m.type != CHAN_DRAIN)
			log_warn("worker %u: a hand-over to its predecessor is lost", p->index);
		if (m.fd >= 0)
			close(m.fd);
	}
	buf_fini(&bytes);
}

/* Before the fork, so that a worker at its first turn is not said to be away. */
static void count_start(struct metrics *page, const struct place *p)
{
	metrics_put(page, METRIC_UP, 1);
	metrics_put(page, METRIC_STARTS, metrics_get(page, METRIC_STARTS) + 1);
	metrics_put(page, METRIC_GENERATION, p->generation);
	metrics_put(page, METRIC_START_TIME, (uint64_t)(clock_wall_ms() / 1000));
}

static void measure(const struct crew *c, const struct place *p)
{
	struct usage usage = { 0 };
	struct metrics *page = &c->setup.metrics[p->index];
	if (p->pid == 0 || !usage_read(p->pid, &usage))
		return;
	metrics_put(page, METRIC_MEMORY, usage.memory);
	metrics_put(page, METRIC_FILES, usage.files);
}

void crew_measure(struct crew *c)
{
	if (clock_now_ms() < c->measure_ms)
		return;
	c->measure_ms = clock_now_ms() + MEASURE_MS;
	for (unsigned i = 0; i < c->count; i++)
		measure(c, &c->places[i]);
}

static void place_fill(struct crew *c, struct place *p)
{
	if (p->told_to_drain)
		inbox_inherit(p);
	p->told_to_drain = p->ready = false;
	p->generation = host_next_generation(c->setup.host);
	p->started_ms = clock_now_ms();
	pid_t master = getpid();
	count_start(&c->setup.metrics[p->index], p);
	p->pid = fork();
	if (p->pid == 0)
		be_worker(c, p, master);
	if (p->pid < 0) {
		log_error("worker %u: fork: %s", p->index, strerror(errno));
		p->pid = 0;
		metrics_end(&c->setup.metrics[p->index]);
		p->backoff_ms = child_backoff(p->backoff_ms, 0);
		place_enter(p, PLACE_EMPTY, p->backoff_ms);
		return;
	}
	log_info("worker %u pid=%d generation=%u started", p->index, (int)p->pid, p->generation);
	place_enter(p, PLACE_SERVING, BEAT_LIMIT_MS);
}

/* A full inbox is tried again by the next tick. */
static void place_tell_to_drain(struct place *p)
{
	const struct chan_message m = { .type = CHAN_DRAIN, .from = UINT_MAX, .fd = -1 };
	p->told_to_drain = chan_send(p->inbox[WRITE], &m);
}

static void place_drain(struct place *p)
{
	place_enter(p, PLACE_DRAINING, DRAIN_LIMIT_MS);
	place_tell_to_drain(p);
}

static void place_signal(struct place *p, int signo)
{
	kill(p->pid, signo);
	place_enter(p, PLACE_ENDING, TERM_LIMIT_MS);
}

static void place_overdue(struct crew *c, struct place *p)
{
	switch (p->state) {
	case PLACE_EMPTY:
		if (c->keep)
			place_fill(c, p);
		break;
	case PLACE_SERVING:
		log_error("worker %u pid=%d silent for %d s, killed", p->index, (int)p->pid,
		          BEAT_LIMIT_MS / 1000);
		place_signal(p, SIGKILL);
		break;
	case PLACE_DRAINING:
		log_warn("worker %u pid=%d still drains after %d s, told to end", p->index,
		         (int)p->pid, DRAIN_LIMIT_MS / 1000);
		place_signal(p, SIGTERM);
		break;
	case PLACE_ENDING:
		log_error("worker %u pid=%d did not end in time, killed", p->index, (int)p->pid);
		place_signal(p, SIGKILL);
		break;
	}
}

/* Rolling waits until all serve, so a configuration with which workers fail stops at the first. */
static void roll(struct crew *c)
{
	if (c->rolled == c->count || !c->keep || !crew_ready(c))
		return;
	place_drain(&c->places[c->rolled++]);
}

void crew_start(struct crew *c)
{
	c->keep = true;
	for (unsigned i = 0; i < c->count; i++)
		place_enter(&c->places[i], PLACE_EMPTY, 0);
}

void crew_tick(struct crew *c)
{
	for (unsigned i = 0; i < c->count; i++) {
		struct place *p = &c->places[i];
		if (p->state == PLACE_DRAINING && !p->told_to_drain)
			place_tell_to_drain(p);
		if (p->due_ms <= clock_now_ms())
			place_overdue(c, p);
	}
	roll(c);
}

uint64_t crew_due_ms(const struct crew *c)
{
	uint64_t due_ms = UINT64_MAX;
	for (unsigned i = 0; i < c->count; i++) {
		const struct place *p = &c->places[i];
		if ((p->state != PLACE_EMPTY || c->keep) && p->due_ms < due_ms)
			due_ms = p->due_ms;
	}
	return due_ms;
}

void crew_hear(struct crew *c, const struct chan_message *m)
{
	if (m->from >= c->count)
		return;
	struct place *p = &c->places[m->from];
	if (m->type == CHAN_READY && m->number == p->pid && !p->ready) {
		p->ready = true;
		measure(c, p);
		log_info("worker %u pid=%d serves", p->index, (int)p->pid);
	}
	if (p->state == PLACE_SERVING)
		place_enter(p, PLACE_SERVING, BEAT_LIMIT_MS);
}

void crew_forgive(struct crew *c)
{
	for (unsigned i = 0; i < c->count; i++) {
		if (c->places[i].state == PLACE_SERVING)
			place_enter(&c->places[i], PLACE_SERVING, BEAT_LIMIT_MS);
	}
}

/* One line for each end; loud if nobody asked for it. */
static void log_end(const struct crew *c, const struct place *p, int status)
{
	char how[64];
	child_end(status, how, sizeof(how));
	if (p->state == PLACE_DRAINING || !c->keep)
		log_info("worker %u pid=%d %s", p->index, (int)p->pid, how);
	else if (p->backoff_ms == 0)
		log_error("worker %u pid=%d generation=%u %s; starting another", p->index,
		          (int)p->pid, p->generation, how);
	else
		log_error("worker %u pid=%d generation=%u %s within a second of its start, %u "
		          "times in a row;"
		          " starting another in %u ms",
		          p->index, (int)p->pid, p->generation, how, p->crashes, p->backoff_ms);
}

bool crew_reaped(struct crew *c, pid_t pid, int status, struct crew_member *who)
{
	struct place *p = c->places;
	while (p < c->places + c->count && p->pid != pid)
		p++;
	if (p == c->places + c->count)
		return false;

	bool asked = p->state == PLACE_DRAINING;
	p->backoff_ms = asked ? 0 : child_backoff(p->backoff_ms, clock_now_ms() - p->started_ms);
	p->crashes = p->backoff_ms > 0 ? p->crashes + 1 : 0;
	log_end(c, p, status);
	*who = (struct crew_member){ p->index, p->generation };
	metrics_end(&c->setup.metrics[p->index]);
	tally_clear(c->setup.addresses, p->index);
	tally_clear(c->setup.clients, p->index);
	p->pid = 0;
	p->ready = false;
	place_enter(p, PLACE_EMPTY, p->backoff_ms);
	return true;
}

void crew_roll(struct crew *c)
{
	c->rolled = 0;
}

void crew_drain(struct crew *c)
{
	c->keep = false;
	for (unsigned i = 0; i < c->count; i++) {
		if (c->places[i].state == PLACE_SERVING)
			place_drain(&c->places[i]);
	}
}

void crew_stop(struct crew *c)
{
	c->keep = false;
	for (unsigned i = 0; i < c->count; i++) {
		if (c->places[i].state == PLACE_SERVING || c->places[i].state == PLACE_DRAINING)
			place_signal(&c->places[i], SIGTERM);
	}
}

void crew_kill(struct crew *c)
{
	c->keep = false;
	for (unsigned i = 0; i < c->count; i++) {
		if (c->places[i].state != PLACE_EMPTY)
			place_signal(&c->places[i], SIGKILL);
	}
}

void crew_leased(struct crew *c, const struct crew_member *who)
{
	const struct chan_message m = { .type = CHAN_LEASED, .from = UINT_MAX, .fd = -1 };
	const struct place *p = &c->places[who->index];
	if (p->pid != 0 && p->generation == who->generation && !chan_send(p->inbox[WRITE], &m))
		log_warn("worker %u: its inbox is full: not told of its lease", p->index);
}

unsigned crew_alive(const struct crew *c, struct crew_member *out)
{
	unsigned n = 0;
	for (unsigned i = 0; i < c->count; i++) {
		if (c->places[i].pid != 0)
			out[n++] =
				(struct crew_member){ c->places[i].index, c->places[i].generation };
	}
	return n;
}

bool crew_ready(const struct crew *c)
{
	unsigned n = 0;
	while (n < c->count && c->places[n].state == PLACE_SERVING && c->places[n].ready)
		n++;
	return n == c->count;
}

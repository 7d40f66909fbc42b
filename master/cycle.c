/* The master's life: what it owns, what it waits for, and what it does about it. Signals only set
 * flags, and are let in only while the loop waits; each turn then acts on what came, in a fixed
 * order. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/assets.h"
#include "common/chan.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/tally.h"
#include "common/throttle.h"
#include "common/token.h"
#include "master/announce.h"
#include "master/functions.h"
#include "master/host.h"
#include "master/install.h"
#include "master/lease.h"
#include "master/listen.h"
#include "master/master.h"
#include "master/redis_server.h"
#include "master/reload.h"
#include "master/removal.h"
#include "master/spawn.h"
#include "master/times.h"

enum { READ, WRITE };                /* the ends of the inbox */

enum phase {
	PHASE_STARTING,              /* waits for the embedded Redis; no workers yet */
	PHASE_RUNNING,
	PHASE_DRAINING,              /* waits for the workers, who let their clients go */
	PHASE_STOPPING,              /* waits for the workers, who were told to end */
	PHASE_LAST,                  /* waits for the embedded Redis */
	PHASE_OVER,
};

struct master {
	enum phase phase;
	int status;                  /* the program's */
	const char *file;
	const char *const *options;
	struct host host;
	struct redis_client *client;
	struct redis_server *server; /* NULL: Redis is not ours */
	struct functions *functions;
	struct lease lease;
	struct metrics *metrics;     /* of `workers` workers, and our own */
	struct throttle *connects;
	struct tally *addresses, *clients;
	struct assets *assets;       /* NULL: the page was not built */
	unsigned workers;
	struct crew *crew;
	int inbox[2];
	struct buf bytes;            /* of the message that is being read */
	uint64_t turn_ms;            /* when the last turn ended */
	uint64_t second_ms;          /* when the once-a-second work is due */
	/* So long the embedded Redis has to take the functions; 0: not tried. */
	uint64_t load_until_ms;
	bool announced;
	bool on_terminal;            /* the log is read on one */
	sigset_t awake;              /* the signal mask while the loop waits */
};

struct signal_row {
	int signo;
	void (*act)(struct master *m);
};

static const struct signal_row signal_rows[8];

/* Set by the handler: a signal has nowhere else to write to. */
static volatile sig_atomic_t came[NSIG];

static void on_signal(int signo)
{
	came[signo] = 1;
}

/* The phases of the end */

static void end_redis(struct master *m)
{
	m->phase = PHASE_LAST;
	if (m->server != NULL)
		redis_server_stop(m->server);
}

static void stop(struct master *m)
{
	m->phase = PHASE_STOPPING;
	crew_stop(m->crew);
}

static void give_up(struct master *m, const char *why)
{
	log_error("%s", why);
	m->status = EXIT_FAILURE;
	stop(m);
}

/* The signals */

static void interrupt(struct master *m)
{
	if (m->phase < PHASE_STOPPING) {
		log_info("interrupted: stopping (once more: kill)");
		stop(m);
	} else if (m->phase == PHASE_STOPPING) {
		log_warn("interrupted again: killing the workers");
		crew_kill(m->crew);
	} else if (m->server != NULL) {
		/* What the workers wrote is worth the wait for the disk; but not against the user's
		 * will. */
		log_warn("interrupted again: killing redis-server");
		redis_server_stop(m->server);
	}
}

static void terminate(struct master *m)
{
	if (m->phase >= PHASE_STOPPING)
		return;
	log_info("told to stop");
	stop(m);
}

static void drain(struct master *m)
{
	if (m->phase >= PHASE_DRAINING)
		return;
	log_info("told to drain: up to %d s", DRAIN_LIMIT_MS / 1000);
	m->phase = PHASE_DRAINING;
	crew_drain(m->crew);
}

/* SIGHUP has two senders: who wants the configuration read, and a terminal that closes. */
static void hang_up(struct master *m)
{
	if (m->on_terminal && !isatty(STDERR_FILENO))
		terminate(m);
	else if (m->phase <= PHASE_RUNNING && reload_conf(m->file, m->options) &&
	         m->phase == PHASE_RUNNING)
		crew_roll(m->crew);
}

static void reopen_logs(UNUSED struct master *m)
{
	log_info("told to reopen logs: they go to standard error");
}

static void reap(struct master *m)
{
	int status;
	pid_t pid;
	struct crew_member who;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (crew_reaped(m->crew, pid, status, &who))
			lease_end(&m->lease, &who);
		else if (m->server != NULL)
			redis_server_reaped(m->server, pid, status);
	}
}

static void act_on_signals(struct master *m)
{
	for (const struct signal_row *row = signal_rows; row->signo != 0; row++) {
		if (!came[row->signo])
			continue;
		came[row->signo] = 0;
		if (row->act != NULL)
			row->act(m);
	}
}

static void catch_signals(struct master *m)
{
	sigset_t caught;
	struct sigaction action = { .sa_handler = on_signal };
	sigemptyset(&caught);
	for (const struct signal_row *row = signal_rows; row->signo != 0; row++)
		sigaddset(&caught, row->signo);
	sigprocmask(SIG_BLOCK, &caught, &m->awake);
	for (const struct signal_row *row = signal_rows; row->signo != 0; row++) {
		sigaction(row->signo, &action, NULL);
		sigdelset(&m->awake, row->signo);
	}
	signal(SIGPIPE, SIG_IGN);
}

/* The turns of the loop */

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void wait_for_news(struct master *m)
{
	uint64_t due_ms = earlier(m->second_ms, crew_due_ms(m->crew));
	if (m->server != NULL)
		due_ms = earlier(due_ms, redis_server_due_ms(m->server));
	clock_update();
	uint64_t wait_ms = due_ms > clock_now_ms() ? due_ms - clock_now_ms() : 0;
	struct timespec limit = {
		.tv_sec = (time_t)(wait_ms / 1000), .tv_nsec = (long)(wait_ms % 1000) * 1000000 };
	struct pollfd inbox = { .fd = m->inbox[READ], .events = POLLIN };
	ppoll(&inbox, 1, &limit, &m->awake);
	clock_update();
}

static void hear(struct master *m)
{
	struct chan_message message;
	while (chan_recv(m->inbox[READ], &message, &m->bytes) == 1) {
		if (message.type == CHAN_RELOAD_FUNCTIONS)
			functions_missed(m->functions);
		else
			crew_hear(m->crew, &message);
		if (message.fd >= 0)
			close(message.fd);
	}
	/* Stopped with us, or unheard while we waited for Redis: silence proves nothing now. */
	if (clock_now_ms() - m->turn_ms > PAUSE_MS)
		crew_forgive(m->crew);
}

/* What Redis refuses it will refuse again. To one that said nothing, which has just begun,
 * there is a while. */
static void load_failed(struct master *m, enum functions_end end, const char *why)
{
	if (m->load_until_ms == 0) {
		m->load_until_ms = clock_now_ms() + LOAD_LIMIT_MS;
		if (end == FUNCTIONS_UNANSWERED)
			log_warn("%s; trying on", why);
	}
	if (end == FUNCTIONS_REFUSED || clock_now_ms() >= m->load_until_ms)
		give_up(m, why);
}

/* With the embedded Redis, failing is final: a person is there to read why. Another one may come
 * later, and the workers say meanwhile that they are unavailable. */
static void start_workers(struct master *m)
{
	char why[512];
	const enum functions_end end = functions_load(m->functions, why, sizeof(why));
	if (end != FUNCTIONS_OK && m->server != NULL) {
		load_failed(m, end, why);
		return;
	}
	if (end != FUNCTIONS_OK)
		log_error("%s; trying on", why);
	m->phase = PHASE_RUNNING;
	crew_start(m->crew);
}

static void tend_redis(struct master *m)
{
	char why[512];
	if (m->server != NULL && !redis_server_tick(m->server, why, sizeof(why)))
		give_up(m, why);
	if (m->phase == PHASE_STARTING && (m->server == NULL || redis_server_ready(m->server)))
		start_workers(m);
}

static void tend_workers(struct master *m)
{
	struct crew_member alive[CONF_MAX_WORKERS];
	crew_tick(m->crew);
	if (m->phase == PHASE_RUNNING && !m->announced && crew_ready(m->crew)) {
		m->announced = true;
		announce(&m->host, m->server != NULL ? redis_server_log(m->server) : NULL);
	}
	bool ending = m->phase == PHASE_DRAINING || m->phase == PHASE_STOPPING;
	if (ending && crew_alive(m->crew, alive) == 0)
		end_redis(m);
}

/* What the master itself counts. */
static void publish(struct master *m)
{
	struct metrics *page = &m->metrics[m->workers];
	const uint64_t *errors = redis_client_errors(m->client);
	for (unsigned e = 0; e < REDIS_ERROR_COUNT; e++)
		metrics_put(page, METRIC_CALL_ERRORS + e, errors[e]);
	metrics_put(page, METRIC_REDIS_LOSSES, redis_client_losses(m->client));
	metrics_put(page, METRIC_LOG_DROPPED, log_dropped());
}

static void tend_lease(struct master *m)
{
	struct crew_member alive[CONF_MAX_WORKERS];
	if (clock_now_ms() < m->second_ms)
		return;
	m->second_ms = clock_now_ms() + SECOND_MS;
	crew_measure(m->crew);
	publish(m);
	if (m->phase != PHASE_RUNNING && m->phase != PHASE_DRAINING)
		return;
	const unsigned n = crew_alive(m->crew, alive);
	bool anew[CONF_MAX_WORKERS] = { false };
	lease_renew(&m->lease, alive, n, anew);
	for (unsigned i = 0; i < n; i++)
		if (anew[i])
			crew_leased(m->crew, &alive[i]);
	lease_tell_gone(&m->lease);
	removal_tick(&m->lease);
	functions_tick(m->functions);
}

static int cycle(struct master *m)
{
	while (m->phase != PHASE_OVER) {
		wait_for_news(m);
		hear(m);
		act_on_signals(m);
		tend_redis(m);
		tend_workers(m);
		tend_lease(m);
		if (m->phase == PHASE_LAST && (m->server == NULL || redis_server_gone(m->server)))
			m->phase = PHASE_OVER;
		m->turn_ms = clock_now_ms();
	}
	return m->status;
}

/* The beginning and the end */

/* Before any fork: a connection is a descriptor. */
static void raise_files(void)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return;
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) != 0)
		log_warn("open files: limit not raised: %s", strerror(errno));
}

/* In a worker: what is the master's alone. */
static void leave(void *arg)
{
	struct master *m = arg;
	host_leave(&m->host);
	redis_client_free(m->client);
	close(m->inbox[READ]);
	buf_fini(&m->bytes);
}

/* The page and all that goes with it. A server without them serves all APIs. */
static bool load_assets(struct master *m, char *why, size_t size)
{
	static const char *const places[] = { "@/web", "@/../web", "/usr/share/confab/web", NULL };
	char dir[PATH_MAX];
	if (!install_find(places, dir, sizeof(dir))) {
		log_info("there is no page at /: web/ was not built");
		return true;
	}
	m->assets = assets_load(dir, why, size);
	return m->assets != NULL;
}

/* Everything that can fail does so here, before the first child. */
static bool master_open(struct master *m, worker_fn *worker, char *why, size_t size)
{
	/* The secret is made here, once, so that no worker finds it missing. */
	if (!host_open(&m->host, why, size) || !token_keys_check(&conf, why, size))
		return false;
	unsigned wait_ms = m->host.left_behind ? ADDRESS_WAIT_MS : 0;
	if (!listen_probe(conf.listens, conf.n_listens, wait_ms, why, size))
		return false;
	m->client = redis_client_new();
	m->functions = functions_new(m->client, why, size);
	if (m->functions == NULL)
		return false;
	if (conf.redis.kind == REDIS_EMBEDDED) {
		m->server = redis_server_new(&m->host, m->client, why, size);
		if (m->server == NULL)
			return false;
	}
	if (!chan_pair(m->inbox)) {
		snprintf(why, size, "socketpair: %s", strerror(errno));
		return false;
	}
	m->workers = conf.workers;
	m->metrics = metrics_map(m->workers);
	m->connects = throttle_new();
	m->addresses = tally_new(m->workers);
	m->clients = tally_new(m->workers);
	if (m->metrics == NULL || m->connects == NULL || m->addresses == NULL ||
	    m->clients == NULL) {
		snprintf(why, size, "shared memory: %s", strerror(errno));
		return false;
	}
	if (!load_assets(m, why, size))
		return false;
	m->lease = (struct lease){ .client = m->client,
		                   .functions = m->functions,
		                   .host = m->host.id };
	const struct crew_setup setup = {
		.body = worker, .host = &m->host, .functions = functions_path(m->functions),
		.master = m->inbox[WRITE], .metrics = m->metrics, .connects = m->connects,
		.addresses = m->addresses, .clients = m->clients, .assets = m->assets,
		.leave = leave, .arg = m,
	};
	m->crew = crew_new(&setup, why, size);
	return m->crew != NULL;
}

static void master_close(struct master *m)
{
	if (m->crew != NULL)
		crew_free(m->crew);
	if (m->metrics != NULL)
		metrics_unmap(m->metrics, m->workers);
	for (size_t i = 0; i < COUNT_OF(m->inbox); i++) {
		if (m->inbox[i] >= 0)
			close(m->inbox[i]);
	}
	if (m->server != NULL)
		redis_server_free(m->server);
	if (m->functions != NULL)
		functions_free(m->functions);
	if (m->client != NULL)
		redis_client_free(m->client);
	assets_free(m->assets);
	buf_fini(&m->bytes);
	host_close(&m->host);
}

int master_run(worker_fn *worker, const char *file, const char *const *options)
{
	char why[512];
	struct master m = {
		.phase = PHASE_STARTING, .status = EXIT_SUCCESS, .file = file, .options = options,
		.host = { .run_lock = -1, .data_lock = -1, .generations = -1 }, .inbox = { -1, -1 },
	};
	clock_update();
	m.turn_ms = m.second_ms = clock_now_ms();
	m.on_terminal = isatty(STDERR_FILENO);
	raise_files();
	catch_signals(&m);
	if (master_open(&m, worker, why, sizeof(why))) {
		log_info("master pid=%d host=%s", (int)getpid(), m.host.id);
		m.status = cycle(&m);
		log_info("stopped");
	} else {
		log_error("%s", why);
		m.status = EXIT_FAILURE;
	}
	master_close(&m);
	return m.status;
}

/* In the order in which they are acted on: who is told to stop replaces no worker that ends. */
static const struct signal_row signal_rows[8] = {
	{ SIGINT, interrupt },
	{ SIGTERM, terminate },
	{ SIGQUIT, drain },
	{ SIGHUP, hang_up },
	{ SIGUSR1, reopen_logs },
	{ SIGUSR2, NULL },
	{ SIGCHLD, reap },
	{ 0 }
};

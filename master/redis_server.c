/* The embedded redis-server. It has its own process group, so that a terminal's Ctrl-C reaches only
 * the master, which stops it last; and it ends by itself when the master is killed. A master that
 * is started right after that waits for the old one to end, since two on the same data would spoil
 * it. */
#include "master/redis_server.h"

#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/conf.h"
#include "common/mem.h"
#include "master/child.h"
#include "master/install.h"
#include "master/times.h"

enum server_state {
	SERVER_DOWN,                 /* no process; due_ms: the next start */
	SERVER_OCCUPIED,             /* somebody serves our socket; due_ms: the next look */
	SERVER_STARTING,             /* loads its data; due_ms: the next question */
	SERVER_SERVING,              /* nothing is due */
	SERVER_STOPPING,             /* got SIGTERM; due_ms: SIGKILL */
	SERVER_GONE,                 /* no process, and no more starts */
};

struct redis_server {
	struct redis_client *client;
	enum server_state state;
	uint64_t due_ms;
	pid_t pid;
	uint64_t started_ms;         /* of the process, or of waiting for another's end */
	uint64_t say_ms;             /* the next line about progress */
	unsigned backoff_ms;
	bool answered;               /* some process of ours once did */
	char config[PATH_MAX], data_dir[PATH_MAX], log[PATH_MAX];
	char socket[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/* The only function that changes the state. */
static void server_enter(struct redis_server *s, enum server_state state, uint64_t in_ms)
{
	s->state = state;
	s->due_ms = in_ms == UINT64_MAX ? UINT64_MAX : clock_now_ms() + in_ms;
}

static bool fill(char *out, size_t size, const char *dir, const char *name)
{
	int len = snprintf(out, size, "%s/%s", dir, name);
	return len > 0 && (size_t)len < size;
}

static bool find_files(struct redis_server *s, const struct host *host, char *why, size_t size)
{
	static const char *const places[] = {
		"redis.conf", "@/../../redis.conf", "/usr/share/confab/redis.conf", NULL };
	char found[PATH_MAX];
	if (!install_find(places, found, sizeof(found)) || realpath(found, s->config) == NULL) {
		snprintf(
			why, size,
			"redis embedded: redis.conf is neither in the working directory nor beside "
			"the program nor in /usr/share/confab");
		return false;
	}
	/* redis-server works in its data directory, so all its paths have to be absolute. */
	if (!fill(s->socket, sizeof(s->socket), host->run_dir, "redis.sock")) {
		snprintf(why, size, "run-dir %s is too long: a socket's path has at most %zu bytes",
		         host->run_dir, sizeof(s->socket) - 1);
		return false;
	}
	snprintf(s->data_dir, sizeof(s->data_dir), "%s", host->data_dir);
	return fill(s->log, sizeof(s->log), host->data_dir, "redis.log");
}

struct redis_server *redis_server_new(const struct host *host, struct redis_client *client,
                                      char *why, size_t size)
{
	struct redis_server *s = xcalloc(1, sizeof(*s));
	s->client = client;
	if (find_files(s, host, why, size))
		return s;
	free(s);
	return NULL;
}

void redis_server_free(struct redis_server *s)
{
	free(s);
}

/* Whether a process accepts on the socket; its pid goes to *by. */
static bool socket_served(const char *path, pid_t *by)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	/* EAGAIN: it listens, but is behind with accepting. */
	bool served = connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 || errno == EAGAIN;
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);
	if (served && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0)
		*by = peer.pid;
	close(fd);
	return served;
}

static NORETURN void be_redis(const struct redis_server *s, pid_t master)
{
	static const int ignored[] = { SIGPIPE, 0 };
	/* In its own group before it can be reached by a terminal's signals. */
	setpgid(0, 0);
	child_begin(master, ignored);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
	}
	execlp("redis-server", "redis-server", s->config, "--daemonize", "no", "--unixsocket",
	       s->socket, "--unixsocketperm", "700", "--dir", s->data_dir, "--logfile", s->log,
	       (char *)NULL);
	log_error("redis-server: %s (install it, or set `redis HOST:PORT`)", strerror(errno));
	_exit(127);
}

static void server_start(struct redis_server *s)
{
	pid_t master = getpid();
	s->started_ms = clock_now_ms();
	s->say_ms = s->started_ms + REDIS_SAY_MS;
	s->pid = fork();
	if (s->pid == 0)
		be_redis(s, master);
	if (s->pid < 0) {
		log_error("redis-server: fork: %s", strerror(errno));
		s->pid = 0;
		s->backoff_ms = child_backoff(s->backoff_ms, 0);
		server_enter(s, SERVER_DOWN, s->backoff_ms);
		return;
	}
	log_info("redis-server pid=%d started on %s, log in %s", (int)s->pid, s->socket, s->log);
	server_enter(s, SERVER_STARTING, REDIS_TRY_MS);
}

/* Starts it unless the socket is served; waits for one that is about to end. */
static bool server_try(struct redis_server *s, char *why, size_t size)
{
	pid_t by = 0;
	if (!socket_served(s->socket, &by)) {
		server_start(s);
		return true;
	}
	if (s->state != SERVER_OCCUPIED) {
		s->started_ms = clock_now_ms();
		log_warn("redis-server pid=%d still serves %s: waiting for its end", (int)by,
		         s->socket);
	}
	server_enter(s, SERVER_OCCUPIED, REDIS_TRY_MS);
	if (clock_now_ms() - s->started_ms < REDIS_LEFTOVER_MS)
		return true;
	snprintf(why, size,
	         "redis-server pid=%d serves %s and does not end: stop it, or choose another "
	         "run-dir",
	         (int)by, s->socket);
	return false;
}

/* The share of the data that is loaded, as INFO tells it; empty if it does not. */
static void loaded_share(struct redis_server *s, char *out, size_t size)
{
	static const char key[] = "loading_loaded_perc:";
	const struct str args[] = { STR("INFO"), STR("persistence") };
	redisReply *reply = redis_client_ask(s->client, COUNT_OF(args), args);
	const char *at = reply != NULL && reply->str != NULL ? strstr(reply->str, key) : NULL;
	out[0] = '\0';
	if (at != NULL)
		snprintf(out, size, " (%.*s %%)", (int)strcspn(at + strlen(key), "\r"),
		         at + strlen(key));
	freeReplyObject(reply);
}

static void say_progress(struct redis_server *s)
{
	char share[32];
	if (clock_now_ms() < s->say_ms)
		return;
	s->say_ms = clock_now_ms() + REDIS_SAY_MS;
	loaded_share(s, share, sizeof(share));
	log_info("redis-server pid=%d loads its data%s, %u s so far", (int)s->pid, share,
	         (unsigned)((clock_now_ms() - s->started_ms) / 1000));
}

/* Serving means that it answers PING, which it refuses while it loads. */
static void server_ask(struct redis_server *s)
{
	const struct str ping = STR("PING");
	pid_t by = 0;
	server_enter(s, SERVER_STARTING, REDIS_TRY_MS);
	if (socket_served(s->socket, &by)) {
		redis_client_hurry(s->client);
		redisReply *reply = redis_client_ask(s->client, 1, &ping);
		bool pong = reply != NULL && reply->type == REDIS_REPLY_STATUS;
		freeReplyObject(reply);
		if (pong) {
			log_info("redis-server pid=%d answers", (int)s->pid);
			s->answered = true;
			server_enter(s, SERVER_SERVING, UINT64_MAX);
			return;
		}
	}
	say_progress(s);
}

bool redis_server_tick(struct redis_server *s, char *why, size_t size)
{
	if (clock_now_ms() < s->due_ms)
		return true;
	switch (s->state) {
	case SERVER_DOWN:
		/* One that fails before it ever answered will not do better the next time. */
		if (s->started_ms != 0 && !s->answered) {
			snprintf(why, size, "redis-server does not start: see above, and %s",
			         s->log);
			return false;
		}
		return server_try(s, why, size);
	case SERVER_OCCUPIED:
		return server_try(s, why, size);
	case SERVER_STARTING:
		server_ask(s);
		return true;
	case SERVER_STOPPING:
		log_error("redis-server pid=%d did not end in time, killed", (int)s->pid);
		kill(s->pid, SIGKILL);
		server_enter(s, SERVER_STOPPING, REDIS_STOP_MS);
		return true;
	case SERVER_SERVING:
	case SERVER_GONE:
		break;
	}
	return true;
}

uint64_t redis_server_due_ms(const struct redis_server *s)
{
	return s->due_ms;
}

bool redis_server_ready(const struct redis_server *s)
{
	return s->state == SERVER_SERVING;
}

bool redis_server_reaped(struct redis_server *s, pid_t pid, int status)
{
	char how[64];
	if (pid != s->pid)
		return false;
	s->pid = 0;
	child_end(status, how, sizeof(how));
	/* It removes its socket itself, unless it was killed; and it may be the last one. */
	unlink(s->socket);
	if (s->state == SERVER_STOPPING) {
		log_info("redis-server pid=%d %s", (int)pid, how);
		server_enter(s, SERVER_GONE, UINT64_MAX);
		return true;
	}
	s->backoff_ms = child_backoff(s->backoff_ms, clock_now_ms() - s->started_ms);
	log_error("redis-server pid=%d %s, see %s", (int)pid, how, s->log);
	server_enter(s, SERVER_DOWN, s->backoff_ms);
	return true;
}

void redis_server_stop(struct redis_server *s)
{
	if (s->pid == 0) {
		server_enter(s, SERVER_GONE, UINT64_MAX);
		return;
	}
	kill(s->pid, s->state == SERVER_STOPPING ? SIGKILL : SIGTERM);
	server_enter(s, SERVER_STOPPING, REDIS_STOP_MS);
}

bool redis_server_gone(const struct redis_server *s)
{
	return s->state == SERVER_GONE;
}

const char *redis_server_log(const struct redis_server *s)
{
	return s->log;
}

/* A redis-server of a test's own: on a unix socket in a fresh directory, gone with the test. */
#ifndef CONFAB_TEST_REDIS_CHILD_H
#define CONFAB_TEST_REDIS_CHILD_H

#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/conf.h"

struct redis_child {
	pid_t pid;
	char dir[64];
	struct conf_redis where;
};

/* Starts it and waits until it says that it is ready. */
static inline void redis_child_start(struct redis_child *c)
{
	int out[2];
	char said[512] = "";
	size_t n = 0;

	if (c->dir[0] == '\0') {
		strcpy(c->dir, "/tmp/confab-test-XXXXXX");
		if (mkdtemp(c->dir) == NULL)
			abort();
		c->where.kind = REDIS_UNIX;
		snprintf(c->where.path, sizeof(c->where.path), "%s/redis", c->dir);
	}
	if (pipe(out) != 0 || (c->pid = fork()) < 0)
		abort();
	if (c->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(out[1], STDOUT_FILENO);
		close(out[0]);
		close(out[1]);
		execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", c->where.path,
		       "--save", "", "--appendonly", "no", "--dir", c->dir, (char *)NULL);
		_exit(127);
	}
	close(out[1]);
	while (strstr(said, "ccept connections") == NULL) {
		if (n > sizeof(said) / 2) {
			memmove(said, said + n / 2, n - n / 2);
			n -= n / 2;
		}
		const ssize_t got = read(out[0], said + n, sizeof(said) - n - 1);
		if (got <= 0)
			abort();
		n += (size_t)got;
		said[n] = '\0';
	}
	close(out[0]);
}

static inline void redis_child_kill(struct redis_child *c)
{
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	c->pid = 0;
}

static inline void redis_child_end(struct redis_child *c)
{
	if (c->pid != 0)
		redis_child_kill(c);
	unlink(c->where.path);
	rmdir(c->dir);
}

/* A plain connection beside those under test. */
static inline redisContext *redis_child_connect(const struct redis_child *c)
{
	redisContext *link = redisConnectUnix(c->where.path);

	if (link == NULL || link->err != 0)
		abort();
	return link;
}

#endif

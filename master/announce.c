/* What a person reads when the server is up: one block, every line of which can be used as it
 * stands. */
#include "master/announce.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/conf.h"

/* How a browser on this host reaches a line. */
static void put_url(const struct conf_listen *l)
{
	bool any = strcmp(l->address, "::") == 0 || strcmp(l->address, "0.0.0.0") == 0;
	bool colons = !any && strchr(l->address, ':') != NULL;
	printf("http://%s%s%s:%u", colons ? "[" : "", any ? "localhost" : l->address,
	       colons ? "]" : "", l->port);
}

static void put_listens(void)
{
	for (unsigned i = 0; i < conf.n_listens; i++) {
		const struct conf_listen *l = &conf.listens[i];
		printf("  ");
		put_url(l);
		if (strcmp(l->root, "none") == 0)
			printf("/   no API at namespace \"/\"\n");
		else
			printf("/   %s at namespace \"/\"\n", l->root);
	}
	printf("  on each: the page at /, REST (see /api), WebSocket /room/websocket, /metrics,\n"
	       "           namespaces /channels /gateway /lobby /messenger, "
	       "and /chat at path /ws/\n");
}

static void put_redis(const char *redis_log)
{
	if (conf.redis.kind == REDIS_TCP)
		printf("  Redis    %s:%u\n", conf.redis.host, conf.redis.port);
	else if (redis_log == NULL)
		printf("  Redis    %s\n", conf.redis.path);
	else
		printf("  Redis    embedded on %s, log in %s\n", conf.redis.path, redis_log);
}

static void put_what_to_try(void)
{
	printf("Try next (README.md has a first conversation):\n");
	if (conf.n_listens > 0) {
		printf("  curl  ");
		put_url(&conf.listens[0]);
		printf("/health\n");
	}
	printf("  %s token --sub ann\n", program_invocation_name);
	if (conf.redis.kind == REDIS_TCP)
		printf("  redis-cli -h %s -p %u monitor\n", conf.redis.host, conf.redis.port);
	else
		printf("  redis-cli -s %s monitor\n", conf.redis.path);
}

void announce(const struct host *host, const char *redis_log)
{
	printf("\nConfab serves: %u worker%s, master pid %d\n", conf.workers,
	       conf.workers == 1 ? "" : "s", (int)getpid());
	put_listens();
	put_redis(redis_log);
	printf("  data     %s\n", host->data_dir);
	put_what_to_try();
	printf("Ctrl-C ends it.\n\n");
	fflush(stdout);
}

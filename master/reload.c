/* A new configuration for a running master: sockets, directories and Redis stay as they are. */
#include "master/reload.h"

#include <string.h>

#include "common/log.h"
#include "common/token.h"

/* A member of struct conf that is settled at the start. */
struct settled {
	const char *directive;       /* NULL: the one of the row before */
	size_t offset, size;
};

#define SETTLED(name, member) { (name), offsetof(struct conf, member), sizeof(conf.member) }

static const struct settled settled[] = {
	SETTLED("listen", listens),
	SETTLED(NULL, n_listens),
	SETTLED("workers", workers),
	SETTLED("redis", redis.kind),
	SETTLED(NULL, redis.path),
	SETTLED(NULL, redis.host),
	SETTLED(NULL, redis.port),
	SETTLED("run-dir", run_dir),
	SETTLED("data-dir", data_dir),
};

static void keep_settled(struct conf *fresh)
{
	const char *name = NULL, *told = NULL;
	for (size_t i = 0; i < COUNT_OF(settled); i++) {
		const struct settled *s = &settled[i];
		const char *old = (const char *)&conf + s->offset;
		char *new = (char *)fresh + s->offset;
		if (s->directive != NULL)
			name = s->directive;
		if (memcmp(old, new, s->size) == 0)
			continue;
		memcpy(new, old, s->size);
		if (told != name)
			log_warn("configuration: %s changes only by a restart, kept", name);
		told = name;
	}
}

bool reload_conf(const char *file, const char *const *options)
{
	struct conf fresh;
	char why[512];
	bool good = conf_load(&fresh, file, options, why, sizeof(why));
	if (good) {
		keep_settled(&fresh);
		/* A worker would not start without its keys, nor its successors. */
		good = token_keys_check(&fresh, why, sizeof(why));
	}
	if (!good) {
		log_error("configuration kept as it was: %s", why);
		return false;
	}
	conf = fresh;
	log_init("master", conf.log_level);
	log_info("configuration read again");
	return true;
}

/* Removes uploaded files: Redis forgets one first and names it here, and hears when it is gone.
 * Beginnings of files that nobody has written to for a day are of a worker, here or on another
 * host, that died; a day, since the clock of the file system may be another's, and may be set. */
#include "master/removal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"

enum { AT_ONCE = 50, ID_DIGITS = 32, SCAN_EVERY_MS = 600000, ABANDONED_S = 86400, PATH_SIZE = 600 };

static bool is_id(const char *text)
{
	return strlen(text) == ID_DIGITS && strspn(text, "0123456789abcdef") == ID_DIGITS;
}

/* True when it is not there any more. */
static bool remove_file(const char *id)
{
	char path[PATH_SIZE];
	snprintf(path, sizeof(path), "%s/uploads/%.2s/%s", conf.data_dir, id, id);
	if (unlink(path) == 0 || errno == ENOENT)
		return true;
	log_error("uploads: %s: %s", path, strerror(errno));
	return false;
}

static void remove_due(struct lease *l)
{
	const struct str due[] = { STR("FCALL"), STR("uploads_due"), STR("0"), STR("50") };
	struct str gone[3 + AT_ONCE] = { STR("FCALL"), STR("uploads_gone"), STR("0") };
	size_t n = 0;
	redisReply *reply = lease_ask(l, due, COUNT_OF(due), 0);
	for (size_t i = 0; reply != NULL && i < reply->elements && n < AT_ONCE; i++) {
		const redisReply *id = reply->element[i];
		if (id->type == REDIS_REPLY_STRING && is_id(id->str) && remove_file(id->str))
			gone[3 + n++] = (struct str){ id->str, id->len };
	}
	if (n > 0) {
		log_info("uploads: removed %zu files that no message had for a day", n);
		freeReplyObject(lease_ask(l, gone, 3 + n, 1));
	}
	freeReplyObject(reply);
}

static void remove_abandoned(void)
{
	char path[PATH_SIZE];
	snprintf(path, sizeof(path), "%s/uploads/new", conf.data_dir);
	DIR *dir = opendir(path);
	if (dir == NULL)
		return;
	for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
		struct stat what;
		if (!is_id(e->d_name) ||
		    fstatat(dirfd(dir), e->d_name, &what, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (time(NULL) - what.st_mtime > ABANDONED_S &&
		    unlinkat(dirfd(dir), e->d_name, 0) == 0)
			log_info("uploads: removed the beginning of a file, %s", e->d_name);
	}
	closedir(dir);
}

void removal_tick(struct lease *l)
{
	static uint64_t scan_ms;
	remove_due(l);
	if (clock_now_ms() < scan_ms)
		return;
	scan_ms = clock_now_ms() + SCAN_EVERY_MS;
	remove_abandoned();
}

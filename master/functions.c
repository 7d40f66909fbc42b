/* The library of Redis functions. It carries a version, so that of several masters on one Redis the
 * newest wins whatever the order of their starts: an older one keeps its hands off. */
#include "master/functions.h"

#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/log.h"
#include "common/mem.h"
#include "master/install.h"

struct functions {
	struct redis_client *client;
	char path[PATH_MAX];
	unsigned seen_link;          /* the connection over which they were last seen in Redis */
	bool missed;                 /* a worker says that they are gone */
	bool complained;             /* of the failure that lasts */
};

unsigned functions_version(struct str code)
{
	const struct str before = STR("local VERSION =");
	while (code.len > 0) {
		struct str line = str_trim(str_cut(&code, '\n'));
		uint64_t version;
		if (!str_starts(line, before))
			continue;
		if (str_u64(str_trim(str_from(line, before.len)), &version) && version <= UINT_MAX)
			return (unsigned)version;
	}
	return 0;
}

static bool read_file(const char *path, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t got;
	do {
		got = read(fd, buf_reserve(out, 65536), 65536);
		if (got > 0)
			out->len += (size_t)got;
	} while (got > 0);
	close(fd);
	return got == 0;
}

/* The file and its version; false: `why`. */
static bool read_library(const struct functions *f, struct buf *code, unsigned *version,
                         char *why, size_t size)
{
	if (!read_file(f->path, code)) {
		snprintf(why, size, "functions: %s: %s", f->path, strerror(errno));
		return false;
	}
	*version = functions_version(buf_view(code));
	if (*version == 0)
		snprintf(why, size, "functions: %s has no line `local VERSION = N`", f->path);
	return *version != 0;
}

struct functions *functions_new(struct redis_client *client, char *why, size_t size)
{
	static const char *const places[] = { "@/functions.lua", "/usr/share/confab/functions.lua",
		                              NULL };
	struct functions *f = xcalloc(1, sizeof(*f));
	struct buf code = { 0 };
	unsigned version;
	f->client = client;
	bool ok = install_find(places, f->path, sizeof(f->path));
	if (!ok)
		snprintf(why, size,
		         "functions.lua is neither beside the program nor in /usr/share/confab: "
		         "is the build complete?");
	ok = ok && read_library(f, &code, &version, why, size);
	buf_fini(&code);
	if (ok)
		return f;
	free(f);
	return NULL;
}

void functions_free(struct functions *f)
{
	free(f);
}

const char *functions_path(const struct functions *f)
{
	return f->path;
}

/* A reply's error, or the reason why there is none. */
static const char *error_of(const struct functions *f, const redisReply *reply)
{
	return reply != NULL && reply->str != NULL ? reply->str : redis_client_why(f->client);
}

/* Which version Redis has; 0: none. */
static enum functions_end ask_version(struct functions *f, uint64_t *version, char *why,
                                      size_t size)
{
	const struct str args[] = { STR("FCALL"), STR("confab_version"), STR("0") };
	redisReply *reply = redis_client_ask(f->client, COUNT_OF(args), args);
	enum functions_end end = FUNCTIONS_OK;
	*version = 0;
	if (reply != NULL && reply->type == REDIS_REPLY_INTEGER && reply->integer >= 0) {
		*version = (uint64_t)reply->integer;
	} else if (reply == NULL || reply->type != REDIS_REPLY_ERROR ||
	           strstr(reply->str, "Function not found") == NULL) {
		snprintf(why, size, "functions: Redis: %s", error_of(f, reply));
		end = reply != NULL ? FUNCTIONS_REFUSED : FUNCTIONS_UNANSWERED;
		if (reply != NULL && reply->type != REDIS_REPLY_ERROR)
			redis_client_doubt(f->client);
	}
	freeReplyObject(reply);
	return end;
}

static enum functions_end replace(struct functions *f, struct str code, char *why, size_t size)
{
	const struct str args[] = { STR("FUNCTION"), STR("LOAD"), STR("REPLACE"), code };
	redisReply *reply = redis_client_ask(f->client, COUNT_OF(args), args);
	enum functions_end end = FUNCTIONS_OK;
	if (reply == NULL || reply->type == REDIS_REPLY_ERROR) {
		snprintf(why, size, "functions: Redis does not take %s: %s", f->path,
		         error_of(f, reply));
		end = reply != NULL ? FUNCTIONS_REFUSED : FUNCTIONS_UNANSWERED;
	}
	freeReplyObject(reply);
	return end;
}

static enum functions_end load_unless_newer(struct functions *f, struct str code, unsigned ours,
                                            char *why, size_t size)
{
	uint64_t theirs;
	enum functions_end end = ask_version(f, &theirs, why, size);
	if (end != FUNCTIONS_OK)
		return end;
	if (theirs > ours) {
		log_warn("functions: Redis has version %u, newer than ours (%u): kept",
		         (unsigned)theirs, ours);
		return FUNCTIONS_OK;
	}
	end = replace(f, code, why, size);
	if (end == FUNCTIONS_OK)
		log_info("functions: version %u loaded%s", ours,
		         theirs == 0 ? "" : " in place of an earlier one");
	return end;
}

enum functions_end functions_load(struct functions *f, char *why, size_t size)
{
	struct buf code = { 0 };
	unsigned ours = 0;
	enum functions_end end = FUNCTIONS_REFUSED;
	if (read_library(f, &code, &ours, why, size))
		end = load_unless_newer(f, buf_view(&code), ours, why, size);
	buf_fini(&code);
	if (end == FUNCTIONS_OK) {
		f->missed = false;
		f->seen_link = redis_client_link(f->client);
	}
	return end;
}

void functions_missed(struct functions *f)
{
	f->missed = true;
}

/* Whether Redis still has them, asked once for each connection. */
static bool still_there(struct functions *f, char *why, size_t size)
{
	uint64_t theirs;
	if (f->missed)
		return false;
	if (redis_client_link(f->client) == f->seen_link)
		return true;
	if (ask_version(f, &theirs, why, size) != FUNCTIONS_OK || theirs == 0)
		return false;
	f->seen_link = redis_client_link(f->client);
	return true;
}

void functions_tick(struct functions *f)
{
	char why[512];
	bool ok = still_there(f, why, sizeof(why)) ||
	          functions_load(f, why, sizeof(why)) == FUNCTIONS_OK;
	if (!ok && !f->complained)
		log_error("%s; trying on", why);
	f->complained = !ok;
}

/* The configuration file: refused with a reason, or taken; and what was taken, printed, gives
 * itself again. The first line is tried as an option too. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/conf.h"
#include "tests/fuzz/fuzz.h"

enum { WHY_SIZE = 512 };

/* A file in memory with this text; its path. */
static const char *file_with(struct str text)
{
	static char path[40];
	static int fd = -1;

	if (fd < 0) {
		clearenv();          /* CONFAB_… would override the file */
		fd = memfd_create("conf", MFD_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	CHECK(ftruncate(fd, 0) == 0);
	CHECK(pwrite(fd, text.p != NULL ? text.p : "", text.len, 0) == (ssize_t)text.len);
	return path;
}

static bool load(struct str text, const char *const *options, struct conf *out)
{
	char why[WHY_SIZE];

	memset(why, 'x', sizeof(why));
	const bool ok = conf_load(out, file_with(text), options, why, sizeof(why));
	CHECK(ok || (memchr(why, '\0', sizeof(why)) != NULL && why[0] != '\0'));
	return ok;
}

static void check_taken(const struct conf *c)
{
	CHECK(c->n_listens <= CONF_MAX_LISTEN && c->n_jwt_keys <= CONF_MAX_KEYS);
	CHECK(c->n_cors_origins <= CONF_MAX_ORIGINS && c->queue_soft <= c->queue_hard);
	CHECK(c->workers >= 1 && c->workers <= CONF_MAX_WORKERS);
	CHECK(c->max_payload >= 64 && c->ping_interval_ms >= 100);
}

static void check_printed(const struct conf *c)
{
	struct buf once = { 0 }, twice = { 0 }, help = { 0 };
	struct conf again;

	conf_print(c, &once, false);
	CHECK(load(buf_view(&once), NULL, &again));
	conf_print(&again, &twice, false);
	CHECK(str_eq(buf_view(&once), buf_view(&twice)));
	conf_print(c, &help, true);
	CHECK(load(buf_view(&help), NULL, &again));
	buf_clear(&twice);
	conf_print(&again, &twice, false);
	CHECK(str_eq(buf_view(&once), buf_view(&twice)));
	buf_fini(&once);
	buf_fini(&twice);
	buf_fini(&help);
}

/* `name value` as --name value; options are C strings. */
static void try_option(struct str text)
{
	char name[200], value[400];
	struct str line = str_cut(&text, '\n');
	const struct str word = str_cut(&line, ' ');
	const char *const options[] = { name, value, NULL };
	struct conf c;

	snprintf(name, sizeof(name), "%.*s", (int)word.len, word.len > 0 ? word.p : "");
	snprintf(value, sizeof(value), "%.*s", (int)line.len, line.len > 0 ? line.p : "");
	if (load(STR_NONE, options, &c))
		check_taken(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const struct str text = fuzz_str(bytes, len);
	struct conf c;

	if (load(text, NULL, &c)) {
		check_taken(&c);
		check_printed(&c);
	}
	try_option(text);
	return 0;
}

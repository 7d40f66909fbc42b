/* The configuration: levels of directives, each level overriding those before it.
 *
 * Defaults, file, environment and options all end in directive_put(), so that every value passes
 * the same parser and the same range. A list given at one level replaces the list of the levels
 * before. */
#include "common/conf.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/arena.h"
#include "common/conf_value.h"

enum { FILE_MAX = 1 << 20, WORDS_MAX = 8, ROW_NAME_MAX = 32 };

struct conf conf;

#define RELOAD true
#define RESTART false
#define MEMBER_SIZE(member) sizeof(((struct conf *)NULL)->member)
const struct directive conf_directives[] = {
#define DIRECTIVE(word, kind, member, text, least, greatest, change, words) \
	{ .name = (word), \
	  .type = &value_##kind, \
	  .offset = offsetof(struct conf, member), \
	  .size = MEMBER_SIZE(member), \
	  .fallback = (text), \
	  .min = (least), \
	  .max = (greatest), \
	  .reloadable = (change), \
	  .help = (words) },
#define DIRECTIVE_LIST(word, kind, members, count, text, change, words) \
	{ .name = (word), \
	  .type = &value_##kind, \
	  .offset = offsetof(struct conf, members), \
	  .size = MEMBER_SIZE(members[0]), \
	  .count_offset = offsetof(struct conf, count), \
	  .room = MEMBER_SIZE(members) / MEMBER_SIZE(members[0]), \
	  .fallback = (text), \
	  .reloadable = (change), \
	  .help = (words) },
#include "common/conf.def"
	{ 0 }
};

enum { N_DIRECTIVES = COUNT_OF(conf_directives) - 1 };

enum level { LEVEL_DEFAULT, LEVEL_FILE, LEVEL_ENVIRONMENT, LEVEL_OPTIONS };

/* Where a directive stood last. */
struct place {
	enum level level;
	unsigned line;
};

/* One run of conf_load. */
struct reading {
	struct conf *conf;
	const char *file;
	struct place at; /* what is being read */
	struct place given[N_DIRECTIVES];
	struct arena arena;
	char *why;
	size_t size;
};

/* Errors. Each returns false, to be returned. */

static const char *const level_names[] = {
	[LEVEL_DEFAULT] = "default",
	[LEVEL_ENVIRONMENT] = "environment",
	[LEVEL_OPTIONS] = "options",
};

static bool say(struct reading *r, struct place at, const struct buf *what)
{
	if (at.level == LEVEL_FILE)
		snprintf(r->why, r->size, "%s:%u: %.*s", r->file, at.line, STR_ARG(buf_view(what)));
	else
		snprintf(r->why, r->size, "%s: %.*s", level_names[at.level],
		         STR_ARG(buf_view(what)));
	return false;
}

static bool PRINTF_LIKE(3, 4) fail(struct reading *r, struct place at, const char *format, ...)
{
	char text[512];
	struct buf what = { 0 };
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	buf_z(&what, text);
	say(r, at, &what);
	buf_fini(&what);
	return false;
}

static bool fail_value(struct reading *r, const struct directive *d, struct str text)
{
	struct buf what = { 0 };

	buf_z(&what, d->name);
	if (!d->type->secret)
		buf_printf(&what, " \"%.*s\"", (int)(text.len < 200 ? text.len : 200),
		           text.len ? text.p : "");
	buf_z(&what, ": must be ");
	value_wanted(d, &what);
	say(r, r->at, &what);
	buf_fini(&what);
	return false;
}

static bool fail_errno(char *why, size_t size, const char *what)
{
	snprintf(why, size, "%s: %s", what, strerror(errno));
	return false;
}

/* Names. */

static const struct directive *directive_find(struct str name)
{
	for (size_t i = 0; i < N_DIRECTIVES; i++)
		if (str_eqz(name, conf_directives[i].name))
			return &conf_directives[i];
	return NULL;
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* How many letters must be changed, added or dropped to make one of the other (Levenshtein). */
static unsigned distance(struct str a, const char *b)
{
	unsigned row[ROW_NAME_MAX + 1];
	const size_t n = strlen(b);

	for (size_t j = 0; j <= n; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= a.len; i++) {
		unsigned diagonal = row[0];
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= n; j++) {
			const unsigned changed = diagonal + (a.p[i - 1] != b[j - 1]);
			diagonal = row[j];
			row[j] = least(changed, least(row[j], row[j - 1]) + 1);
		}
	}
	return row[n];
}

static const char *name_nearest(struct str name)
{
	const char *nearest = NULL;
	unsigned best = 4;

	if (name.len > ROW_NAME_MAX)
		return NULL;
	for (size_t i = 0; i < N_DIRECTIVES; i++) {
		const unsigned d = distance(name, conf_directives[i].name);
		if (d >= best)
			continue;
		best = d;
		nearest = conf_directives[i].name;
	}
	return nearest;
}

static bool fail_unknown(struct reading *r, struct str name)
{
	const char *nearest = name_nearest(name);

	return fail(r, r->at, "unknown directive \"%.*s\"%s%s%s",
	            (int)(name.len < 64 ? name.len : 64), name.p, nearest ? "; did you mean " : "",
	            nearest ? nearest : "", nearest ? "?" : "");
}

/* Values. */

static unsigned *list_count(const struct directive *d, struct conf *c)
{
	return (unsigned *)(void *)((char *)c + d->count_offset);
}

/* The field to fill next, zeroed: a list grows by one. NULL: the list is full. */
static void *value_open(const struct directive *d, struct conf *c)
{
	const unsigned i = d->room ? *list_count(d, c) : 0;

	if (d->room && i == d->room)
		return NULL;
	if (d->room)
		*list_count(d, c) = i + 1;
	return memset((char *)c + d->offset + i * d->size, 0, d->size);
}

/* Notes that `d` is given here; false when it already was, at this level. */
static bool place_take(struct reading *r, const struct directive *d)
{
	struct place *given = &r->given[d - conf_directives];
	const bool again = given->level == r->at.level && r->at.level != LEVEL_DEFAULT;

	if (again && !d->room)
		return r->at.level == LEVEL_FILE
		               ? fail(r, r->at, "%s is given twice, first in line %u", d->name,
		                      given->line)
		               : fail(r, r->at, "%s is given twice", d->name);
	if (d->room && given->level != r->at.level)
		*list_count(d, r->conf) = 0;
	*given = r->at;
	return true;
}

static bool has_control(struct strs words)
{
	for (size_t i = 0; i < words.n; i++)
		for (size_t j = 0; j < words.v[i].len; j++)
			if (iscntrl((unsigned char)words.v[i].p[j]))
				return true;
	return false;
}

static bool directive_put(struct reading *r, const struct directive *d, struct strs words,
                          struct str text)
{
	if (!place_take(r, d))
		return false;
	if (has_control(words))
		return fail(r, r->at, "%s has a control character (a line feed at its end?)",
		            d->name);
	void *field = value_open(d, r->conf);
	if (!field)
		return fail(r, r->at, "%s is given more than %u times", d->name, d->room);
	return d->type->parse(d, words, field) || fail_value(r, d, text);
}

/* Lines. */

/* Takes the text of a quoted word, whose opening quote is gone; false: no closing quote, or
 * something right behind it. */
static bool quoted_take(struct arena *a, struct str *rest, struct str *word)
{
	char *to = arena_alloc(a, rest->len + 1);
	size_t len = 0, i = 0;

	for (; i < rest->len && rest->p[i] != '"'; i++) {
		if (rest->p[i] == '\\' && i + 1 < rest->len)
			i++;
		to[len++] = rest->p[i];
	}
	if (i == rest->len)
		return false;
	*rest = str_from(*rest, i + 1);
	*word = (struct str){ to, len };
	return !rest->len || rest->p[0] == ' ' || rest->p[0] == '\t';
}

static struct str plain_take(struct str *rest)
{
	size_t len = 0;

	while (len < rest->len && rest->p[len] != ' ' && rest->p[len] != '\t')
		len++;
	const struct str word = { rest->p, len };
	*rest = str_from(*rest, len);
	return word;
}

/* Splits a line into words, up to a word that starts with #. False: quotes, or too many words. */
static bool line_split(struct arena *a, struct str line, struct str *words, size_t *n)
{
	*n = 0;
	for (line = str_trim(line); line.len && line.p[0] != '#'; line = str_trim(line)) {
		if (*n == WORDS_MAX)
			return false;
		if (line.p[0] != '"') {
			words[(*n)++] = plain_take(&line);
			continue;
		}
		line = str_from(line, 1);
		if (!quoted_take(a, &line, &words[*n]))
			return false;
		(*n)++;
	}
	return true;
}

static bool line_read(struct reading *r, struct str line)
{
	struct str words[WORDS_MAX], text = str_trim(line);
	size_t n;

	if (!line_split(&r->arena, line, words, &n))
		return fail(r, r->at, "a quote that is not closed, or too many words");
	if (!n)
		return true;
	const struct directive *d = directive_find(words[0]);
	if (!d)
		return fail_unknown(r, words[0]);
	plain_take(&text);
	return directive_put(r, d, (struct strs){ words + 1, n - 1 }, str_trim(text));
}

/* A value from outside a file: texts are taken as they are, so that a secret needs no quoting. */
static bool value_read(struct reading *r, const struct directive *d, struct str text)
{
	struct str words[WORDS_MAX] = { text };
	size_t n = 1;

	if (d->type->words && !line_split(&r->arena, text, words, &n))
		return fail_value(r, d, text);
	return directive_put(r, d, (struct strs){ words, n }, text);
}

/* The same for a list in one text, separated by commas. */
static bool values_read(struct reading *r, const struct directive *d, struct str text)
{
	if (!d->room)
		return value_read(r, d, text);
	do {
		const struct str item = str_cut(&text, ',');
		if (!value_read(r, d, str_trim(item)))
			return false;
	} while (text.p);
	return true;
}

/* Levels. */

static bool defaults_read(struct reading *r)
{
	r->at = (struct place){ .level = LEVEL_DEFAULT };
	for (size_t i = 0; i < N_DIRECTIVES; i++)
		if (conf_directives[i].fallback &&
		    !values_read(r, &conf_directives[i], str_z(conf_directives[i].fallback)))
			return false;
	return true;
}

/* All that is in a file, up to `most` bytes; false with errno. */
static bool file_slurp(const char *path, struct buf *out, size_t most)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 1;

	if (fd < 0)
		return false;
	while (n > 0 && out->len <= most) {
		n = read(fd, buf_reserve(out, 4096), 4096);
		if (n > 0)
			out->len += (size_t)n;
	}
	const int error = n < 0 ? errno : EFBIG;
	close(fd);
	errno = error;
	return n == 0 && out->len <= most;
}

static bool lines_read(struct reading *r, struct str text)
{
	while (text.p) {
		struct str line = str_cut(&text, '\n');
		r->at.line++;
		if (line.len && line.p[line.len - 1] == '\r')
			line.len--;
		if (!line_read(r, line))
			return false;
	}
	return true;
}

static bool file_read(struct reading *r)
{
	struct buf text = { 0 };

	if (!r->file)
		return true;
	r->at = (struct place){ .level = LEVEL_FILE };
	const bool ok = file_slurp(r->file, &text, FILE_MAX) ? lines_read(r, buf_view(&text))
	                                                     : fail_errno(r->why, r->size, r->file);
	buf_fini(&text);
	return ok;
}

static const char *environment_get(const struct directive *d)
{
	char name[ROW_NAME_MAX + sizeof("CONFAB_")];
	const int len = snprintf(name, sizeof(name), "CONFAB_%s", d->name);

	for (int i = 0; i < len; i++)
		name[i] = name[i] == '-' ? '_' : (char)toupper((unsigned char)name[i]);
	return getenv(name);
}

static bool environment_read(struct reading *r)
{
	r->at = (struct place){ .level = LEVEL_ENVIRONMENT };
	for (size_t i = 0; i < N_DIRECTIVES; i++) {
		const char *text = environment_get(&conf_directives[i]);
		if (text && !values_read(r, &conf_directives[i], str_z(text)))
			return false;
	}
	return true;
}

static bool options_read(struct reading *r, const char *const *options)
{
	r->at = (struct place){ .level = LEVEL_OPTIONS };
	for (; options && options[0]; options += 2) {
		const struct directive *d = directive_find(str_z(options[0]));
		if (!d)
			return fail_unknown(r, str_z(options[0]));
		if (!value_read(r, d, str_z(options[1])))
			return false;
	}
	return true;
}

/* What no single value shows. */

static struct place place_of(const struct reading *r, const char *name)
{
	return r->given[directive_find(str_z(name)) - conf_directives];
}

/* [::] is bound for IPv4 too, so it is the same place as 0.0.0.0. */
static bool listens_clash(const struct conf_listen *a, const struct conf_listen *b)
{
	const bool a_any = !strcmp(a->address, "::") || !strcmp(a->address, "0.0.0.0");
	const bool b_any = !strcmp(b->address, "::") || !strcmp(b->address, "0.0.0.0");

	return a->port == b->port && (!strcmp(a->address, b->address) || (a_any && b_any));
}

static bool listens_check(struct reading *r)
{
	const struct conf *c = r->conf;

	for (unsigned i = 0; i < c->n_listens; i++)
		for (unsigned j = 0; j < i; j++)
			if (listens_clash(&c->listens[i], &c->listens[j]))
				return fail(r, place_of(r, "listen"),
				            "listen: %s port %u is taken twice",
				            c->listens[i].address, c->listens[i].port);
	return true;
}

static bool all_check(struct reading *r)
{
	struct conf *c = r->conf;
	char path[sizeof(c->run_dir) + sizeof("/redis.sock")];

	if (c->queue_soft > c->queue_hard)
		return fail(r, place_of(r, "queue-soft"),
		            "queue-soft: must not be above queue-hard (%u bytes)", c->queue_hard);
	if (c->queue_hard <= c->max_payload)
		return fail(r, place_of(r, "queue-hard"),
		            "queue-hard: must be above max-payload (%u bytes), "
		            "or a single message ends its reader",
		            c->max_payload);
	snprintf(path, sizeof(path), "%s/redis.sock", c->run_dir);
	if (strlen(path) >= sizeof(c->redis.path))
		return fail(r, place_of(r, "run-dir"),
		            "run-dir: too long for a socket in it: at most %zu bytes",
		            sizeof(c->redis.path) - sizeof("/redis.sock"));
	if (c->redis.kind == REDIS_EMBEDDED)
		memcpy(c->redis.path, path, strlen(path) + 1);
	return listens_check(r);
}

bool conf_load(struct conf *out, const char *file, const char *const *options, char *why,
               size_t size)
{
	struct conf c;
	struct reading r = { .conf = &c, .file = file, .why = why, .size = size };

	memset(&c, 0, sizeof(c));
	const bool ok = defaults_read(&r) && file_read(&r) && environment_read(&r) &&
	                options_read(&r, options) && all_check(&r);
	arena_fini(&r.arena);
	if (ok)
		memcpy(out, &c, sizeof(c));
	return ok;
}

void conf_defaults(struct conf *out)
{
	char why[256];
	struct reading r = { .conf = out, .why = why, .size = sizeof(why) };

	memset(out, 0, sizeof(*out));
	(void)defaults_read(&r);
	arena_fini(&r.arena);
}

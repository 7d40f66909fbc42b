/* Files to serve, read into memory. An asset owns its name and the bytes of its forms. */
#include "common/assets.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/id.h"
#include "common/map.h"
#include "common/mem.h"

enum { MAX_DEPTH = 8, MAX_FILE = 32 * 1024 * 1024, HASH = 18 };

_Static_assert(HASH / 3 * 4 + 3 <= sizeof(((struct asset_form *)NULL)->etag), "an ETag has room");
_Static_assert(HASH >= crypto_generichash_BYTES_MIN, "the hash can be so short");

struct assets {
	struct map files;            /* name → struct asset */
};

/* A directory being read. */
struct walk {
	struct assets *into;
	size_t root;                 /* length of the path up to the names */
	char *why;
	size_t size;
};

static const char *const extensions[ASSET_CODINGS] = {
	[ASSET_BROTLI] = ".br", [ASSET_GZIP] = ".gz", [ASSET_PLAIN] = "",
};

static const char *const words[ASSET_CODINGS] = { [ASSET_BROTLI] = "br", [ASSET_GZIP] = "gzip" };

static const struct {
	const char *extension, *type;
} types[] = {
	{ ".html", "text/html; charset=utf-8" },
	{ ".css", "text/css; charset=utf-8" },
	{ ".js", "text/javascript; charset=utf-8" },
	{ ".json", "application/json" },
	{ ".map", "application/json" },
	{ ".svg", "image/svg+xml" },
	{ ".png", "image/png" },
	{ ".ico", "image/vnd.microsoft.icon" },
	{ ".txt", "text/plain; charset=utf-8" },
};

static bool ends_with(struct str s, const char *end)
{
	const size_t len = strlen(end);
	return s.len > len && memcmp(s.p + s.len - len, end, len) == 0;
}

static const char *type_of(struct str name)
{
	for (size_t i = 0; i < COUNT_OF(types); i++)
		if (ends_with(name, types[i].extension))
			return types[i].type;
	return "application/octet-stream";
}

static bool is_twin(struct str name)
{
	return ends_with(name, extensions[ASSET_BROTLI]) || ends_with(name, extensions[ASSET_GZIP]);
}

static bool complain(const struct walk *w, const char *path, const char *what)
{
	snprintf(w->why, w->size, "%s: %s", path, what);
	return false;
}

static bool read_all(int fd, struct buf *out)
{
	ssize_t got;
	do {
		got = read(fd, buf_reserve(out, 65536), 65536);
		if (got > 0)
			out->len += (size_t)got;
	} while (got > 0 && out->len <= MAX_FILE);
	return got == 0;
}

/* The bytes, as long as they are; false: errno. */
static bool read_file(const char *path, struct str *out)
{
	struct buf bytes = { 0 };
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return false;
	errno = EFBIG;
	const bool ok = read_all(fd, &bytes);
	close(fd);
	if (ok)
		*out = (struct str){ memcpy(xmalloc(bytes.len + 1), bytes.len > 0 ? bytes.p : "",
			                    bytes.len),
			             bytes.len };
	buf_fini(&bytes);
	return ok;
}

static void etag_make(struct asset_form *form)
{
	unsigned char hash[HASH];
	const size_t len = sizeof(hash) / 3 * 4;
	crypto_generichash(hash, sizeof(hash), (const unsigned char *)form->bytes.p,
	                   form->bytes.len, NULL, 0);
	form->etag[0] = '"';
	id_encode(form->etag + 1, hash, sizeof(hash));
	memcpy(form->etag + 1 + len, "\"", 2);
}

static void bytes_free(struct str s)
{
	union { const char *in; void *out; } bytes = { s.p };
	free(bytes.out);
}

static void asset_free(struct asset *a)
{
	for (size_t i = 0; i < ASSET_CODINGS; i++)
		bytes_free(a->forms[i].bytes);
	bytes_free(a->name);
	free(a);
}

static bool add_file(const struct walk *w, const char *path)
{
	const struct str name = str_from(str_z(path), w->root);
	if (is_twin(name))
		return true;
	struct asset *a = xcalloc(1, sizeof(*a));
	a->name = str_z(xstrdup(name.p));
	a->type = type_of(name);
	for (size_t i = 0; i < ASSET_CODINGS; i++) {
		char file[PATH_MAX];
		if (snprintf(file, sizeof(file), "%s%s", path, extensions[i]) < (int)sizeof(file) &&
		    read_file(file, &a->forms[i].bytes)) {
			etag_make(&a->forms[i]);
		} else if (i == ASSET_PLAIN) {
			asset_free(a);
			return complain(w, path, strerror(errno));
		}
	}
	map_put(&w->into->files, a->name, a);
	return true;
}

static bool add_all(const struct walk *w, const char *dir, unsigned depth);

static bool add(const struct walk *w, const char *path, unsigned depth)
{
	struct stat is;
	if (lstat(path, &is) < 0)
		return complain(w, path, strerror(errno));
	if (S_ISDIR(is.st_mode))
		return depth == MAX_DEPTH ? complain(w, path, "too deep")
		                          : add_all(w, path, depth + 1);
	return !S_ISREG(is.st_mode) || add_file(w, path);
}

static bool add_all(const struct walk *w, const char *dir, unsigned depth)
{
	DIR *d = opendir(dir);
	bool ok = true;
	if (d == NULL)
		return complain(w, dir, strerror(errno));
	for (const struct dirent *e = readdir(d); ok && e != NULL; e = readdir(d)) {
		char path[PATH_MAX];
		if (e->d_name[0] == '.')
			continue;
		ok = snprintf(path, sizeof(path), "%s/%s", dir, e->d_name) < (int)sizeof(path)
		             ? add(w, path, depth) : complain(w, dir, "a path is too long");
	}
	closedir(d);
	return ok;
}

struct assets *assets_load(const char *dir, char *why, size_t size)
{
	struct assets *a = xcalloc(1, sizeof(*a));
	const struct walk w = { .into = a, .root = strlen(dir) + 1, .why = why, .size = size };
	if (add_all(&w, dir, 0))
		return a;
	assets_free(a);
	return NULL;
}

void assets_free(struct assets *a)
{
	size_t cursor = 0;
	struct asset *one;
	if (a == NULL)
		return;
	while ((one = map_next(&a->files, &cursor)) != NULL)
		asset_free(one);
	map_fini(&a->files);
	free(a);
}

const struct asset *assets_get(const struct assets *a, struct str name)
{
	return a != NULL ? map_get(&a->files, name) : NULL;
}

const char *asset_coding_word(enum asset_coding coding)
{
	return words[coding];
}

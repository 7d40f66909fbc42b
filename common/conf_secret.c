/* The shared secret for tokens: configured, or made at the first start and kept in data-dir. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/id.h"

static bool fail_errno(char *why, size_t size, const char *path)
{
	snprintf(why, size, "%s: %s", path, strerror(errno));
	return false;
}

/* Writes a new secret beside the file and links it in place, so that of several processes that
 * find none one wins and all read the same. */
static bool secret_make(const char *path)
{
	char beside[sizeof(conf.data_dir) + 64], text[64], name[9] = "";
	unsigned char raw[48];

	/* A name that nobody had before: one killed here leaves its file, and in a container the
	 * next has its pid. */
	id_random(raw, 6);
	id_encode(name, raw, 6);
	snprintf(beside, sizeof(beside), "%s.%s", path, name);
	id_random(raw, sizeof(raw));
	id_encode(text, raw, sizeof(raw));
	const int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	bool ok = write(fd, text, sizeof(text)) == (ssize_t)sizeof(text) && fsync(fd) == 0;
	close(fd);
	ok = ok && (link(beside, path) == 0 || errno == EEXIST);
	const int error = errno;
	unlink(beside);
	errno = error;
	return ok;
}

/* Opens the file, making it if it is not there; -1 with errno. */
static int secret_open(const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0 || errno != ENOENT || !secret_make(path))
		return fd;
	return open(path, O_RDONLY | O_CLOEXEC);
}

static bool secret_read(const struct conf *c, struct buf *out, char *why, size_t size)
{
	char path[sizeof(c->data_dir) + sizeof("/jwt-secret")], text[sizeof(c->jwt_secret)];

	snprintf(path, sizeof(path), "%s/jwt-secret", c->data_dir);
	const int fd = secret_open(path);
	if (fd < 0)
		return fail_errno(why, size, path);
	const ssize_t n = read(fd, text, sizeof(text));
	if (n < 0)
		fail_errno(why, size, path);
	close(fd);
	if (n < 0)
		return false;
	struct str secret = { text, (size_t)n };
	if (secret.len && text[secret.len - 1] == '\n')
		secret.len--;
	buf_str(out, secret);
	if (!secret.len || (size_t)n == sizeof(text))
		snprintf(why, size, "%s: must have 1 to %zu bytes", path, sizeof(text) - 1);
	return secret.len && (size_t)n < sizeof(text);
}

bool conf_jwt_secret(const struct conf *c, struct buf *out, char *why, size_t size)
{
	if (!c->jwt_secret[0] && !c->n_jwt_keys)
		return secret_read(c, out, why, size);
	buf_z(out, c->jwt_secret);
	return true;
}

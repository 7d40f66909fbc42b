/* What a master owns on its host. Two locks, since either directory can be shared by mistake: the
 * run directory's holds the pid, the data directory's is the file with the host's name. Both are
 * flock(2): gone with the process however it ends. */
#include "master/host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/id.h"

enum { ID_BYTES = 6, ID_DIGITS = 12 };

static bool make_dir(const char *path)
{
	char parent[PATH_MAX];
	snprintf(parent, sizeof(parent), "%s", path);
	/* What stands before a slash at the end is no parent. */
	for (size_t len = strlen(parent); len > 1 && parent[len - 1] == '/'; len--)
		parent[len - 1] = '\0';
	for (char *slash = strchr(parent + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(parent, 0755) < 0 && errno != EEXIST)
			return false;
		*slash = '/';
	}
	/* Tokens' secret, messages, Redis' socket: nothing in it is for other users. */
	return mkdir(path, 0700) == 0 || errno == EEXIST;
}

static bool open_dir(const char *name, const char *path, char absolute[PATH_MAX], char *why,
                     size_t size)
{
	if (make_dir(path) && realpath(path, absolute) != NULL)
		return true;
	snprintf(why, size, "%s %s: %s", name, path, strerror(errno));
	return false;
}

/* The content of a small file, terminated, without the end of its line. */
static void read_line(int fd, char *out, size_t size)
{
	ssize_t len = pread(fd, out, size - 1, 0);
	out[len > 0 ? len : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

static bool write_line(int fd, const char *text)
{
	size_t len = strlen(text);
	return ftruncate(fd, 0) == 0 && pwrite(fd, text, len, 0) == (ssize_t)len;
}

/* Opens and locks a file; -1 with errno EWOULDBLOCK if another process has the lock, and then its
 * first line. */
static int lock_file(const char *path, mode_t mode, char *line, size_t size)
{
	for (;;) {
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, mode);
		if (fd < 0)
			return -1;
		bool locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
		int error = errno;
		read_line(fd, line, size);
		struct stat ours, named;
		/* A master that ends removes its file: a lock on the removed one protects nothing.
		 */
		bool current = fstat(fd, &ours) == 0 && stat(path, &named) == 0 &&
		               ours.st_ino == named.st_ino;
		if (locked && current)
			return fd;
		close(fd);
		if (!locked) {
			errno = error;
			return -1;
		}
	}
}

static void pid_path(const struct host *h, char out[PATH_MAX])
{
	if (snprintf(out, PATH_MAX, "%s/confab.pid", h->run_dir) >= PATH_MAX)
		out[0] = '\0';
}

static bool lock_run_dir(struct host *h, char *why, size_t size)
{
	char path[PATH_MAX], line[32];
	pid_path(h, path);
	h->run_lock = lock_file(path, 0644, line, sizeof(line));
	if (h->run_lock < 0 && errno == EWOULDBLOCK)
		snprintf(why, size, "run-dir %s is used by the Confab with pid %s", conf.run_dir,
		         line);
	else if (h->run_lock < 0)
		snprintf(why, size, "run-dir: %s: %s", path, strerror(errno));
	if (h->run_lock < 0)
		return false;

	h->left_behind = line[0] != '\0';
	char pid[32];
	snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (write_line(h->run_lock, pid))
		return true;
	snprintf(why, size, "run-dir: %s: %s", path, strerror(errno));
	return false;
}

/* Makes the host's name, at the first start. */
static bool name_host(struct host *h, int fd)
{
	unsigned char random[ID_BYTES];
	id_random(random, sizeof(random));
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(h->id + 2 * i, 3, "%02x", random[i]);
	char line[40];
	snprintf(line, sizeof(line), "%s\n", h->id);
	return write_line(fd, line) && fsync(fd) == 0;
}

static bool lock_data_dir(struct host *h, char *why, size_t size)
{
	char path[PATH_MAX], line[32];
	if (snprintf(path, sizeof(path), "%s/host-id", h->data_dir) >= (int)sizeof(path))
		path[0] = '\0';
	h->data_lock = lock_file(path, 0600, line, sizeof(line));
	if (h->data_lock < 0 && errno == EWOULDBLOCK)
		snprintf(why, size, "data-dir %s is used by another Confab", conf.data_dir);
	else if (h->data_lock < 0)
		snprintf(why, size, "data-dir: %s: %s", path, strerror(errno));
	if (h->data_lock < 0)
		return false;

	if (line[0] == '\0') {
		if (name_host(h, h->data_lock))
			return true;
		snprintf(why, size, "data-dir: %s: %s", path, strerror(errno));
		return false;
	}
	if (strlen(line) != ID_DIGITS || strspn(line, "0123456789abcdef") != ID_DIGITS) {
		snprintf(why, size, "data-dir: %s does not hold 12 hex digits", path);
		return false;
	}
	snprintf(h->id, sizeof(h->id), "%s", line);
	return true;
}

static bool open_generations(struct host *h, char *why, size_t size)
{
	char path[PATH_MAX], line[32];
	if (snprintf(path, sizeof(path), "%s/generation", h->data_dir) >= (int)sizeof(path))
		path[0] = '\0';
	h->generations = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (h->generations < 0) {
		snprintf(why, size, "data-dir: %s: %s", path, strerror(errno));
		return false;
	}
	read_line(h->generations, line, sizeof(line));
	uint64_t last = 0;
	if (str_u64(str_z(line), &last) && last < UINT_MAX)
		h->generation = (unsigned)last;
	return true;
}

bool host_open(struct host *h, char *why, size_t size)
{
	*h = (struct host){ .run_lock = -1, .data_lock = -1, .generations = -1 };
	if (open_dir("run-dir", conf.run_dir, h->run_dir, why, size) &&
	    lock_run_dir(h, why, size) &&
	    open_dir("data-dir", conf.data_dir, h->data_dir, why, size) &&
	    lock_data_dir(h, why, size) && open_generations(h, why, size))
		return true;
	host_close(h);
	return false;
}

unsigned host_next_generation(struct host *h)
{
	char line[32];
	snprintf(line, sizeof(line), "%010u\n", ++h->generation);
	/* One write over the last, never a truncation: a full disk leaves the file as it was. */
	if (pwrite(h->generations, line, strlen(line), 0) < 0)
		log_warn("data-dir %s: generation not written: %s", h->data_dir, strerror(errno));
	return h->generation;
}

void host_leave(struct host *h)
{
	int *held[] = { &h->run_lock, &h->data_lock, &h->generations };
	for (size_t i = 0; i < COUNT_OF(held); i++) {
		if (*held[i] >= 0)
			close(*held[i]);
		*held[i] = -1;
	}
}

void host_close(struct host *h)
{
	char path[PATH_MAX];
	pid_path(h, path);
	if (h->run_lock >= 0)
		unlink(path);
	host_leave(h);
}

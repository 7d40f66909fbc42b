/* Uploaded files. What comes is gathered in memory, a little of it for each request. A thread of
 * its own makes the files, writes to them, finds out what they are and waits for the disk to have
 * them, since any of this may take a disk seconds. Then Redis takes them, and they get their final
 * names: a file that nobody knows has no place where it could stay. */
#include "worker/domain/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/conf.h"
#include "common/id.h"
#include "common/mem.h"
#include "common/schema.h"
#include "worker/domain/jobs.h"
#include "worker/domain/upload_type.h"
#include "worker/store/call.h"

enum {
	QUEUE_MAX = 512,
	LOOKED_AT = 64 * 1024,       /* bytes of a file that tell what it is */
	PATH_SIZE = 300,
	MEGABYTE = 1000000,
	FULL = 128 * 1024,           /* of a request's bytes in memory */
};

static const struct function fn_allow = { .name = "upload_allow", .reads = true };
static const struct function fn_store = { .name = "upload_store" };
static const struct function fn_show = { .name = "upload_show", .reads = true, .at_least = 1 };

struct uploads {
	struct jobs *jobs;
	magic_t magic;               /* the thread's; NULL until the first file */
	char looked_at[LOOKED_AT];   /* the thread's */
};

struct file {
	char id[UPLOAD_ID + 1];
	int fd;                      /* -1: none yet, or closed */
	uint64_t size;
	struct buf waiting;          /* its latest bytes, not written yet */
	struct str original;
	const struct upload_type *type;      /* NULL: not known, or not accepted */
	bool kept;
};

struct upload {
	struct job job;
	struct uploads *uploads;
	struct arena arena;
	struct file files[UPLOAD_FILES_MAX];
	unsigned n;
	enum err outcome;            /* of the job */
	int error;                   /* errno of what failed in it; 0: nothing did */
	bool busy, dropped;          /* a flush is under way; nobody wants it any more */
};

/* --- Paths --- */

static void new_path(char out[PATH_SIZE], const char *id)
{
	snprintf(out, PATH_SIZE, "%s/uploads/new/%s", conf.data_dir, id);
}

static void kept_path(char out[PATH_SIZE], const char *id)
{
	snprintf(out, PATH_SIZE, "%s/uploads/%.2s/%s", conf.data_dir, id, id);
}

/* The directory of a path within uploads, and uploads itself. */
static bool make_dirs(const char *path)
{
	char dir[PATH_SIZE];
	snprintf(dir, sizeof(dir), "%s/uploads", conf.data_dir);
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return false;
	snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(path, '/') - path), path);
	return mkdir(dir, 0700) == 0 || errno == EEXIST;
}

static void make_id(char out[UPLOAD_ID + 1])
{
	unsigned char random[UPLOAD_ID / 2];
	id_random(random, sizeof(random));
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(out + 2 * i, 3, "%02x", random[i]);
}

bool upload_id_valid(struct str id)
{
	for (size_t i = 0; i < id.len; i++)
		if (!((id.p[i] >= '0' && id.p[i] <= '9') || (id.p[i] >= 'a' && id.p[i] <= 'f')))
			return false;
	return id.len == UPLOAD_ID;
}

/* --- Gathered --- */

static enum err blame(struct fault *why, enum err code, const char *detail)
{
	*why = (struct fault){ .code = code, .detail = str_z(detail) };
	if (code == ERR_INVALID)
		why->field = STR("file");
	return code;
}

struct upload *upload_new(void)
{
	return xcalloc(1, sizeof(struct upload));
}

unsigned upload_count(const struct upload *u)
{
	return u->n;
}

enum err upload_begin(struct upload *u, struct str name, struct fault *why)
{
	const char *wrong;
	struct str original;
	if (u->n == conf.upload_max_files || u->n == UPLOAD_FILES_MAX)
		return blame(why, ERR_INVALID, "are too many");
	if (!upload_name_read(name, &original, &wrong))
		return blame(why, ERR_INVALID, wrong);
	struct file *f = &u->files[u->n];
	make_id(f->id);
	f->fd = -1;
	f->original = arena_str(&u->arena, original);
	u->n++;
	return ERR_OK;
}

enum err upload_write(struct upload *u, struct str bytes, struct fault *why)
{
	struct file *f = &u->files[u->n - 1];
	if (bytes.len > conf.upload_max_file - f->size)
		return blame(why, ERR_TOO_LARGE, "The file is too large");
	buf_str(&f->waiting, bytes);
	f->size += bytes.len;
	return ERR_OK;
}

enum err upload_end(struct upload *u, struct fault *why)
{
	return u->files[u->n - 1].size == 0 ? blame(why, ERR_INVALID, "is empty") : ERR_OK;
}

bool upload_is_full(const struct upload *u)
{
	size_t waiting = 0;
	for (unsigned i = 0; i < u->n; i++)
		waiting += u->files[i].waiting.len;
	return waiting >= FULL;
}

static void close_file(struct file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

static void remove_file(struct file *f)
{
	char path[PATH_SIZE];
	new_path(path, f->id);
	unlink(path);
	close_file(f);
}

void upload_drop(struct upload *u)
{
	u->dropped = true;
	if (u->busy)
		return;      /* until the flush ends */
	for (unsigned i = 0; i < u->n; i++) {
		buf_fini(&u->files[i].waiting);
		if (!u->files[i].kept)
			remove_file(&u->files[i]);
	}
	arena_fini(&u->arena);
	free(u);
}

/* --- In the thread: to disk --- */

static int create(const char *path)
{
	enum { FLAGS = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC };
	int fd = open(path, FLAGS, 0600);
	if (fd < 0 && errno == ENOENT && make_dirs(path))
		fd = open(path, FLAGS, 0600);
	return fd;
}

static bool write_all(int fd, struct str bytes)
{
	while (bytes.len > 0) {
		ssize_t n = write(fd, bytes.p, bytes.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		bytes = str_from(bytes, (size_t)n);
	}
	return true;
}

/* Redis writes to the same disk, as a rule: the last of it is not for uploads. */
static bool disk_is_full(int fd)
{
	struct statvfs disk;
	if (conf.upload_free == 0 || fstatvfs(fd, &disk) < 0)
		return false;
	return (uint64_t)disk.f_bavail * disk.f_frsize < (uint64_t)conf.upload_free * MEGABYTE;
}

static enum err failed(struct upload *u)
{
	u->error = errno;
	return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? ERR_NO_SPACE : ERR_INTERNAL;
}

static enum err write_waiting(struct upload *u, struct file *f)
{
	char path[PATH_SIZE];
	new_path(path, f->id);
	if (f->fd < 0)
		f->fd = create(path);
	if (f->fd >= 0 && disk_is_full(f->fd))
		return ERR_NO_SPACE;
	if (f->fd >= 0 && write_all(f->fd, buf_view(&f->waiting))) {
		buf_fini(&f->waiting);
		return ERR_OK;
	}
	return failed(u);
}

static void write_out(struct job *job)
{
	struct upload *u = CONTAINER_OF(job, struct upload, job);
	u->outcome = ERR_OK;
	for (unsigned i = 0; i < u->n && u->outcome == ERR_OK; i++)
		if (u->files[i].waiting.len > 0)
			u->outcome = write_waiting(u, &u->files[i]);
}

/* --- In the thread: what it is --- */

/* What is inside of archives and of old office documents is nobody's business here, and the parsers
 * for it are those that had most holes. */
static magic_t open_magic(void)
{
	magic_t magic = magic_open(MAGIC_MIME_TYPE | MAGIC_NO_CHECK_COMPRESS | MAGIC_NO_CHECK_TAR |
	                           MAGIC_NO_CHECK_ELF | MAGIC_NO_CHECK_CDF | MAGIC_NO_CHECK_CSV |
	                           MAGIC_NO_CHECK_JSON | MAGIC_NO_CHECK_APPTYPE);
	if (magic != NULL && magic_load(magic, NULL) == 0)
		return magic;
	if (magic != NULL)
		magic_close(magic);
	return NULL;
}

static enum err look(struct uploads *uploads, struct file *f)
{
	ssize_t n = pread(f->fd, uploads->looked_at, LOOKED_AT, 0);
	if (n <= 0)
		return ERR_INTERNAL;
	const char *found = magic_buffer(uploads->magic, uploads->looked_at, (size_t)n);
	if (found != NULL)
		f->type = upload_type_of(found, (struct str){ uploads->looked_at, (size_t)n });
	return f->type != NULL ? ERR_OK : ERR_MEDIA_TYPE;
}

static void write_and_look(struct job *job)
{
	struct upload *u = CONTAINER_OF(job, struct upload, job);
	struct uploads *uploads = u->uploads;
	write_out(job);
	if (uploads->magic == NULL)
		uploads->magic = open_magic();
	if (uploads->magic == NULL)
		u->outcome = ERR_UNAVAILABLE;
	for (unsigned i = 0; i < u->n && u->outcome == ERR_OK; i++)
		u->outcome = look(uploads, &u->files[i]);
	for (unsigned i = 0; i < u->n && u->outcome == ERR_OK; i++)
		if (fsync(u->files[i].fd) < 0)
			u->outcome = failed(u);
	/* Giving back the space of a large file takes its time, too. */
	for (unsigned i = 0; i < u->n && u->outcome != ERR_OK; i++)
		remove_file(&u->files[i]);
}

/* --- On the loop: written --- */

static void log_failure(const struct upload *u)
{
	if (u->error == 0)
		return;
	if (u->outcome == ERR_NO_SPACE)
		log_warn("uploads: %s", strerror(u->error));
	else
		log_error("uploads: %s", strerror(u->error));
}

static void flushed(struct job *job)
{
	struct op *op = job->op;
	const struct upload *u = op->held;
	log_failure(u);
	if (op->asker == NULL)
		op_reply(op, STR_NONE);
	else if (u->outcome != ERR_OK)
		op_fail(op, u->outcome, NULL, NULL);
	else
		op->then(op, NULL);
}

/* Whichever way its op ended. */
static void flush_over(struct op *op)
{
	union { const void *held; struct upload *u; } it = { op->held };
	it.u->busy = false;
	if (it.u->dropped)
		upload_drop(it.u);
}

static void begin_job(struct op *op, struct upload *u, op_fn *then, void (*cleanup)(struct op *op))
{
	op->then = then;
	op->held = u;
	op->cleanup = cleanup;
	u->uploads = op->services->uploads;
	u->job.op = op;
	jobs_add(u->uploads->jobs, &u->job);
}

void upload_flush(struct op *op, struct upload *u, op_fn *then)
{
	u->busy = true;
	u->job.work = write_out;
	u->job.finish = flushed;
	begin_job(op, u, then, flush_over);
}

/* --- Kept --- */

static void drop_held(struct op *op)
{
	union { const void *held; struct upload *u; } it = { op->held };
	upload_drop(it.u);
}

static struct str attachment_json(struct op *op, const struct file *f)
{
	struct buf json = { 0 }, filename = { 0 };
	struct json_out j = json_out(&json);
	upload_filename(&filename, f->original, f->type);
	struct str name = arena_str(&op->arena, buf_view(&filename));
	json_open(&j, '{');
	json_put_str(&j, "id", str_z(f->id));
	json_put_str(&j, "filename", name);
	json_put_str(&j, "originalName", f->original);
	json_put_str(&j, "mimeType", str_z(f->type->type));
	json_put_int(&j, "size", (int64_t)f->size);
	json_put_str(&j, "url", op_text(op, "/uploads/%s/%s", f->id, name.p));
	json_put_time(&j, "createdAt", clock_wall_ms());
	json_close(&j, '}');
	struct str text = arena_str(&op->arena, buf_view(&json));
	buf_fini(&json);
	buf_fini(&filename);
	return text;
}

static bool place(const struct file *f)
{
	char from[PATH_SIZE], to[PATH_SIZE];
	new_path(from, f->id);
	kept_path(to, f->id);
	if (rename(from, to) == 0 || (errno == ENOENT && make_dirs(to) && rename(from, to) == 0))
		return true;
	log_error("uploads: %s: %s", to, strerror(errno));
	return false;
}

/* op->state is the list of attachments. A file that can't be placed now is one that nobody is told
 * of; Redis forgets it in a day. */
static void stored(struct op *op, const struct strs *reply UNUSED)
{
	union { const void *held; struct upload *u; } it = { op->held };
	bool good = true;
	for (unsigned i = 0; i < it.u->n && good; i++)
		good = it.u->files[i].kept = place(&it.u->files[i]);
	if (good)
		op->then(op, op->state);
	else
		op_fail(op, ERR_INTERNAL, NULL, NULL);
}

static struct str quota(struct op *op, unsigned megabytes)
{
	return op_text(op, "%llu", (unsigned long long)megabytes * MEGABYTE);
}

static void store(struct op *op, struct upload *u)
{
	struct str args[3 + 3 * UPLOAD_FILES_MAX] = { op->user, quota(op, conf.upload_user_quota),
		                                      quota(op, conf.upload_quota) };
	struct str *v = arena_alloc(&op->arena, u->n * sizeof(*v));
	struct strs *list = arena_alloc(&op->arena, sizeof(*list));
	for (unsigned i = 0; i < u->n; i++) {
		const struct file *f = &u->files[i];
		v[i] = attachment_json(op, f);
		args[3 + 3 * i] = str_z(f->id);
		args[4 + 3 * i] = op_text(op, "%llu", (unsigned long long)f->size);
		args[5 + 3 * i] = v[i];
	}
	*list = (struct strs){ v, u->n };
	op->state = list;
	call(op, &fn_store, stored, args, 3 + 3 * (size_t)u->n);
}

/* Who went away does not know the ids, so nothing is kept for them. */
static void finish(struct job *job)
{
	struct upload *u = CONTAINER_OF(job, struct upload, job);
	struct op *op = job->op;
	log_failure(u);
	for (unsigned i = 0; i < u->n; i++)
		close_file(&u->files[i]);
	if (op->asker == NULL)
		op_reply(op, STR_NONE);
	else if (u->outcome == ERR_MEDIA_TYPE)
		op_fail(op, ERR_MEDIA_TYPE, NULL, "Files of this kind are not accepted");
	else if (u->outcome != ERR_OK)
		op_fail(op, u->outcome, NULL, NULL);
	else
		store(op, u);
}

void upload_keep(struct op *op, struct upload *u, op_fn *then)
{
	u->job.work = write_and_look;
	u->job.finish = finish;
	begin_job(op, u, then, drop_held);
}

static void allowed(struct op *op, const struct strs *reply UNUSED)
{
	op->then(op, NULL);
}

void upload_allow(struct op *op, uint64_t bytes, op_fn *then)
{
	op->then = then;
	CALL(op, &fn_allow, allowed, op->user, quota(op, conf.upload_user_quota),
	     quota(op, conf.upload_quota), op_text(op, "%llu", (unsigned long long)bytes));
}

/* --- Found again --- */

struct attachment {
	struct str filename, original, type;
};

static const struct field attachment_fields[] = {
	FIELD(attachment, filename, F_STR, .required = true),
	FIELD_AS(attachment, original, "originalName", F_STR, .required = true),
	FIELD_AS(attachment, type, "mimeType", F_STR, .required = true),
	{ 0 }
};

static void found(struct op *op, const struct strs *reply)
{
	struct attachment a = { 0 };
	struct fault why;
	struct str json;
	if (!json_valid(reply->v[0], &json) || json_type(json) != JSON_OBJECT ||
	    schema_decode(attachment_fields, json, &op->arena, &a, &why) != ERR_OK) {
		op_fail(op, ERR_INTERNAL, NULL, NULL);
		return;
	}
	const struct upload_type *type = upload_type_named(a.type);
	const struct kept_file file = {
		a.filename, a.original, a.type, type != NULL && type->shown,
	};
	op->then(op, &file);
}

void upload_find(struct op *op, struct str id, op_fn *then)
{
	op->then = then;
	CALL(op, &fn_show, found, id);
}

int upload_open(struct str id, uint64_t *size)
{
	char path[PATH_SIZE], name[UPLOAD_ID + 1];
	struct stat what;
	snprintf(name, sizeof(name), "%.*s", STR_ARG(id));
	kept_path(path, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -1;
	if (fstat(fd, &what) < 0 || !S_ISREG(what.st_mode)) {
		close(fd);
		return -1;
	}
	*size = (uint64_t)what.st_size;
	return fd;
}

/* --- The worker's --- */

struct uploads *uploads_new(struct event_base *base)
{
	struct uploads *u = xcalloc(1, sizeof(*u));
	/* A limit of the system is an error like any other. */
	signal(SIGXFSZ, SIG_IGN);
	u->jobs = jobs_new(base, QUEUE_MAX);
	return u;
}

void uploads_free(struct uploads *u)
{
	jobs_free(u->jobs);
	if (u->magic != NULL)
		magic_close(u->magic);
	free(u);
}

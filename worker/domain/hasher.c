/* Password hashing off the event loop: a job waits in a bounded queue, one thread works on it, and
 * an eventfd brings it back. The thread never looks at an op: a job carries copies, wiped after
 * use. */
#include "worker/domain/hasher.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/mem.h"

_Static_assert(HASH_MAX >= crypto_pwhash_STRBYTES, "a hash with its NUL fits");

/* The smallest cost that OWASP's guide to password storage takes for argon2id: some 14 ms of a
 * core, so that the last of a full queue waits a second. */
enum { PASSES = 2, MEMORY = 19 * 1024 * 1024, QUEUE_MAX = 64 };

/* On `waiting`, then with the thread alone, then on `done`. */
struct job {
	struct list link;
	struct op *op;
	op_fn *then;
	void (*work)(struct hasher *h, struct job *job);
	void (*finish)(struct job *job);
	char password[PASSWORD_MAX];
	size_t password_len;
	char hash[HASH_MAX];         /* terminated; given to verify, or the outcome of hash */
	bool failed;                 /* no memory for it */
	bool matches;
};

struct hasher {
	pthread_t thread;
	pthread_mutex_t lock;        /* over what follows, up to `closing` */
	pthread_cond_t work;
	struct list waiting, done;
	unsigned n_waiting;
	bool closing;
	int wake;                    /* eventfd: something is done */
	struct event *on_done;
	char dummy[HASH_MAX];        /* the thread's: what nobody's password is compared with */
};

static void job_free(struct job *job)
{
	sodium_memzero(job->password, sizeof(job->password));
	sodium_memzero(job->hash, sizeof(job->hash));
	free(job);
}

/* --- In the thread --- */

static bool hash_make(char out[HASH_MAX], const char *password, size_t len)
{
	return crypto_pwhash_str_alg(out, password, len, PASSES, MEMORY,
	                             crypto_pwhash_ALG_ARGON2ID13) == 0;
}

static void work_hash(struct hasher *h UNUSED, struct job *job)
{
	job->failed = !hash_make(job->hash, job->password, job->password_len);
}

static void work_verify(struct hasher *h, struct job *job)
{
	const bool nobody = job->hash[0] == '\0';

	/* A mismatch and a lack of memory are told apart by errno only. */
	errno = 0;
	const int differs = crypto_pwhash_str_verify(nobody ? h->dummy : job->hash, job->password,
	                                             job->password_len);
	job->failed = differs && errno == ENOMEM;
	job->matches = !differs && !nobody;
}

/* Called and left with the lock held; NULL: it is time to go. */
static struct job *next_job(struct hasher *h)
{
	while (list_empty(&h->waiting) && !h->closing)
		pthread_cond_wait(&h->work, &h->lock);
	if (h->closing)
		return NULL;
	struct job *job = LIST_OF(h->waiting.next, struct job, link);
	list_remove(&job->link);
	h->n_waiting--;
	return job;
}

static void *run(void *arg)
{
	struct hasher *h = arg;
	const uint64_t one = 1;
	struct job *job;

	if (!hash_make(h->dummy, "", 0))
		abort();
	pthread_mutex_lock(&h->lock);
	while ((job = next_job(h)) != NULL) {
		pthread_mutex_unlock(&h->lock);
		job->work(h, job);
		pthread_mutex_lock(&h->lock);
		list_push(&h->done, &job->link);
		/* It can only fail when the counter is full, and then the loop is awake anyway. */
		if (write(h->wake, &one, sizeof(one)) < 0)
			continue;
	}
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

/* --- On the loop --- */

static void finish_hash(struct job *job)
{
	const struct str hash = arena_str(&job->op->arena, str_z(job->hash));

	job->then(job->op, &hash);
}

static void finish_verify(struct job *job)
{
	job->then(job->op, &job->matches);
}

static void on_done(evutil_socket_t fd, short what UNUSED, void *ctx)
{
	struct hasher *h = ctx;
	struct list done;
	uint64_t n;

	if (read(fd, &n, sizeof(n)) < 0)
		return;
	list_init(&done);
	pthread_mutex_lock(&h->lock);
	list_splice(&done, &h->done);
	pthread_mutex_unlock(&h->lock);
	LIST_EACH(&done, link) {
		struct job *job = LIST_OF(link, struct job, link);
		list_remove(link);
		if (job->failed)
			op_fail(job->op, ERR_UNAVAILABLE, NULL, NULL);
		else
			job->finish(job);
		job_free(job);
	}
}

/* Takes over the job, or refuses it. */
static void enqueue(struct hasher *h, struct job *job)
{
	pthread_mutex_lock(&h->lock);
	const bool full = h->n_waiting == QUEUE_MAX;
	if (!full) {
		list_push(&h->waiting, &job->link);
		h->n_waiting++;
		pthread_cond_signal(&h->work);
	}
	pthread_mutex_unlock(&h->lock);
	if (!full)
		return;
	op_fail(job->op, ERR_UNAVAILABLE, NULL, NULL);
	job_free(job);
}

static struct job *job_new(struct op *op, struct str password, op_fn *then)
{
	struct job *job = xcalloc(1, sizeof(*job));

	list_init(&job->link);
	job->op = op;
	job->then = then;
	job->password_len = password.len < PASSWORD_MAX ? password.len : PASSWORD_MAX;
	if (job->password_len)
		memcpy(job->password, password.p, job->password_len);
	return job;
}

void password_hash(struct op *op, struct str password, op_fn *then)
{
	if (password.len > PASSWORD_MAX) {
		op_fail(op, ERR_INVALID, "password", "must have at most 128 bytes");
		return;
	}
	struct job *job = job_new(op, password, then);
	job->work = work_hash;
	job->finish = finish_hash;
	enqueue(op->services->hasher, job);
}

void password_verify(struct op *op, struct str password, struct str hash, op_fn *then)
{
	struct job *job = job_new(op, password, then);

	/* What is too long was never hashed, and nothing else has such a long hash: nobody's. */
	if (hash.len && hash.len < HASH_MAX && password.len <= PASSWORD_MAX)
		memcpy(job->hash, hash.p, hash.len);
	job->work = work_verify;
	job->finish = finish_verify;
	enqueue(op->services->hasher, job);
}

/* Signals are the loop's: a thread that took one would delay it by a hash. */
static bool thread_start(struct hasher *h)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	const int failed = pthread_create(&h->thread, NULL, run, h);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return !failed;
}

struct hasher *hasher_new(struct event_base *base)
{
	struct hasher *h = xcalloc(1, sizeof(*h));

	list_init(&h->waiting);
	list_init(&h->done);
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->work, NULL);
	h->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (h->wake < 0 || sodium_init() < 0)
		abort();
	h->on_done = event_new(base, h->wake, EV_READ | EV_PERSIST, on_done, h);
	if (h->on_done == NULL || event_add(h->on_done, NULL) || !thread_start(h))
		abort();
	return h;
}

static void drop_jobs(struct list *jobs)
{
	LIST_EACH(jobs, link) {
		struct job *job = LIST_OF(link, struct job, link);
		list_remove(link);
		job->op->asker = NULL;
		job->op->caught = NULL;
		op_reply(job->op, STR_NONE);
		job_free(job);
	}
}

void hasher_free(struct hasher *h)
{
	pthread_mutex_lock(&h->lock);
	h->closing = true;
	pthread_cond_signal(&h->work);
	pthread_mutex_unlock(&h->lock);
	pthread_join(h->thread, NULL);
	drop_jobs(&h->waiting);
	drop_jobs(&h->done);
	event_free(h->on_done);
	close(h->wake);
	pthread_cond_destroy(&h->work);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

/* Work off the event loop: a job waits in a bounded queue, one thread works on it,
 * and an eventfd brings it back. */
#include "worker/domain/jobs.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/mem.h"

/* A job is on `waiting`, then with the thread alone, then on `done`. */
struct jobs {
	pthread_t thread;
	pthread_mutex_t lock;        /* over what follows, up to `closing` */
	pthread_cond_t work;
	struct list waiting, done;
	unsigned n_waiting;
	bool closing;
	unsigned most;
	int wake;                    /* eventfd: something is done */
	struct event *on_done;
};

/* --- In the thread --- */

/* Called and left with the lock held; NULL: it is time to go. */
static struct job *next_job(struct jobs *jobs)
{
	while (list_empty(&jobs->waiting) && !jobs->closing)
		pthread_cond_wait(&jobs->work, &jobs->lock);
	if (jobs->closing)
		return NULL;
	struct job *job = LIST_OF(jobs->waiting.next, struct job, link);
	list_remove(&job->link);
	jobs->n_waiting--;
	return job;
}

static void *run(void *arg)
{
	struct jobs *jobs = arg;
	const uint64_t one = 1;
	struct job *job;

	pthread_mutex_lock(&jobs->lock);
	while ((job = next_job(jobs)) != NULL) {
		pthread_mutex_unlock(&jobs->lock);
		job->work(job);
		pthread_mutex_lock(&jobs->lock);
		list_push(&jobs->done, &job->link);
		/* It can only fail when the counter is full, and then the loop is awake anyway. */
		if (write(jobs->wake, &one, sizeof(one)) < 0)
			continue;
	}
	pthread_mutex_unlock(&jobs->lock);
	return NULL;
}

/* --- On the loop --- */

static void fail(struct job *job)
{
	op_fail(job->op, ERR_UNAVAILABLE, NULL, NULL);
}

static void drop(struct job *job)
{
	job->op->asker = NULL;
	job->op->caught = NULL;
	op_reply(job->op, STR_NONE);
}

/* What ends the op may end the job with it. */
static void end(struct job *job, void (*by)(struct job *job))
{
	void (*release)(struct job *) = job->release;

	by(job);
	if (release != NULL)
		release(job);
}

static void on_done(evutil_socket_t fd, short what UNUSED, void *ctx)
{
	struct jobs *jobs = ctx;
	struct list done;
	uint64_t n;

	if (read(fd, &n, sizeof(n)) < 0)
		return;
	list_init(&done);
	pthread_mutex_lock(&jobs->lock);
	list_splice(&done, &jobs->done);
	pthread_mutex_unlock(&jobs->lock);
	LIST_EACH(&done, link) {
		struct job *job = LIST_OF(link, struct job, link);
		list_remove(link);
		end(job, job->finish);
	}
}

void jobs_add(struct jobs *jobs, struct job *job)
{
	list_init(&job->link);
	pthread_mutex_lock(&jobs->lock);
	const bool full = jobs->n_waiting == jobs->most;
	if (!full) {
		list_push(&jobs->waiting, &job->link);
		jobs->n_waiting++;
		pthread_cond_signal(&jobs->work);
	}
	pthread_mutex_unlock(&jobs->lock);
	if (full)
		end(job, fail);
}

/* Signals are the loop's: a thread that took one would delay it by a job. */
static bool thread_start(struct jobs *jobs)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	const int failed = pthread_create(&jobs->thread, NULL, run, jobs);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return !failed;
}

struct jobs *jobs_new(struct event_base *base, unsigned most)
{
	struct jobs *jobs = xcalloc(1, sizeof(*jobs));

	list_init(&jobs->waiting);
	list_init(&jobs->done);
	pthread_mutex_init(&jobs->lock, NULL);
	pthread_cond_init(&jobs->work, NULL);
	jobs->most = most;
	jobs->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (jobs->wake < 0)
		abort();
	jobs->on_done = event_new(base, jobs->wake, EV_READ | EV_PERSIST, on_done, jobs);
	if (jobs->on_done == NULL || event_add(jobs->on_done, NULL) || !thread_start(jobs))
		abort();
	return jobs;
}

static void drop_jobs(struct list *list)
{
	LIST_EACH(list, link) {
		struct job *job = LIST_OF(link, struct job, link);
		list_remove(link);
		end(job, drop);
	}
}

void jobs_free(struct jobs *jobs)
{
	pthread_mutex_lock(&jobs->lock);
	jobs->closing = true;
	pthread_cond_signal(&jobs->work);
	pthread_mutex_unlock(&jobs->lock);
	pthread_join(jobs->thread, NULL);
	drop_jobs(&jobs->waiting);
	drop_jobs(&jobs->done);
	event_free(jobs->on_done);
	close(jobs->wake);
	pthread_cond_destroy(&jobs->work);
	pthread_mutex_destroy(&jobs->lock);
	free(jobs);
}

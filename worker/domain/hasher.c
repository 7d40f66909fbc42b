/* Password hashing off the event loop. A job carries copies of what it works on,
 * wiped after use. */
#include "worker/domain/hasher.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "worker/domain/jobs.h"

_Static_assert(HASH_MAX >= crypto_pwhash_STRBYTES, "a hash with its NUL fits");

/* The smallest cost that OWASP's guide to password storage takes for argon2id: some 14 ms of a
 * core, so that the last of a full queue waits a second. */
enum { PASSES = 2, MEMORY = 19 * 1024 * 1024, QUEUE_MAX = 64 };

/* Of these, of one user: events come faster than passwords are hashed,
 * and others want to sign in. */
enum { USER_MAX = 16 };

struct hasher {
	struct jobs *jobs;
	struct list under_way;       /* of struct hashing */
	char dummy[HASH_MAX];        /* the thread's: what nobody's password is compared with */
};

struct hashing {
	struct job job;
	struct list link;            /* among those under way */
	struct hasher *hasher;
	op_fn *then;
	char password[PASSWORD_MAX];
	size_t password_len;
	char hash[HASH_MAX];         /* terminated; given to verify, or the outcome of hash */
	bool failed;                 /* no memory for it */
	bool matches;
};

static struct hashing *hashing_of(struct job *job)
{
	return CONTAINER_OF(job, struct hashing, job);
}

static void release(struct job *job)
{
	struct hashing *h = hashing_of(job);

	list_remove(&h->link);
	sodium_memzero(h->password, sizeof(h->password));
	sodium_memzero(h->hash, sizeof(h->hash));
	free(h);
}

/* --- In the thread --- */

static bool hash_make(char out[HASH_MAX], const char *password, size_t len)
{
	return crypto_pwhash_str_alg(out, password, len, PASSES, MEMORY,
	                             crypto_pwhash_ALG_ARGON2ID13) == 0;
}

/* By the first job of any kind: nobody's would else take longer than somebody's. */
static void make_dummy(struct hasher *hasher)
{
	if (hasher->dummy[0] == '\0' && !hash_make(hasher->dummy, "", 0))
		abort();
}

static void work_hash(struct job *job)
{
	struct hashing *h = hashing_of(job);

	make_dummy(h->hasher);
	h->failed = !hash_make(h->hash, h->password, h->password_len);
}

static void work_verify(struct job *job)
{
	struct hashing *h = hashing_of(job);
	const bool nobody = h->hash[0] == '\0';

	make_dummy(h->hasher);
	/* A mismatch and a lack of memory are told apart by errno only. */
	errno = 0;
	const int differs = crypto_pwhash_str_verify(nobody ? h->hasher->dummy : h->hash,
	                                             h->password, h->password_len);
	h->failed = differs && errno == ENOMEM;
	h->matches = !differs && !nobody;
}

/* --- On the loop --- */

static void finish_hash(struct job *job)
{
	struct hashing *h = hashing_of(job);

	list_remove(&h->link);       /* the op is about to end */
	if (h->failed) {
		op_fail(job->op, ERR_UNAVAILABLE, NULL, NULL);
		return;
	}
	const struct str hash = arena_str(&job->op->arena, str_z(h->hash));
	h->then(job->op, &hash);
}

static void finish_verify(struct job *job)
{
	struct hashing *h = hashing_of(job);

	list_remove(&h->link);
	if (h->failed)
		op_fail(job->op, ERR_UNAVAILABLE, NULL, NULL);
	else
		h->then(job->op, &h->matches);
}

static struct hashing *hashing_new(struct op *op, struct str password, op_fn *then)
{
	struct hashing *h = xcalloc(1, sizeof(*h));

	h->job.op = op;
	h->job.release = release;
	list_init(&h->link);
	h->hasher = op->services->hasher;
	h->then = then;
	h->password_len = password.len < PASSWORD_MAX ? password.len : PASSWORD_MAX;
	if (h->password_len)
		memcpy(h->password, password.p, h->password_len);
	return h;
}

static bool has_too_many(const struct hasher *hasher, struct str user)
{
	unsigned n = 0;

	LIST_EACH(&hasher->under_way, link) {
		const struct op *op = LIST_OF(link, struct hashing, link)->job.op;
		n += user.p != NULL && str_eq(op->user, user);
	}
	return n >= USER_MAX;
}

static void add(struct hashing *h)
{
	struct op *op = h->job.op;

	if (has_too_many(h->hasher, op->user)) {
		release(&h->job);
		op_fail(op, ERR_UNAVAILABLE, NULL, NULL);
		return;
	}
	list_push(&h->hasher->under_way, &h->link);
	jobs_add(h->hasher->jobs, &h->job);
}

void password_hash(struct op *op, struct str password, op_fn *then)
{
	if (password.len > PASSWORD_MAX) {
		op_fail(op, ERR_INVALID, "password", "must have at most 128 bytes");
		return;
	}
	struct hashing *h = hashing_new(op, password, then);
	h->job.work = work_hash;
	h->job.finish = finish_hash;
	add(h);
}

void password_verify(struct op *op, struct str password, struct str hash, op_fn *then)
{
	struct hashing *h = hashing_new(op, password, then);

	/* What is too long was never hashed, and nothing else has such a long hash: nobody's. */
	if (hash.len && hash.len < HASH_MAX && password.len <= PASSWORD_MAX)
		memcpy(h->hash, hash.p, hash.len);
	h->job.work = work_verify;
	h->job.finish = finish_verify;
	add(h);
}

struct hasher *hasher_new(struct event_base *base)
{
	struct hasher *hasher = xcalloc(1, sizeof(*hasher));

	if (sodium_init() < 0)
		abort();
	list_init(&hasher->under_way);
	hasher->jobs = jobs_new(base, QUEUE_MAX);
	return hasher;
}

void hasher_free(struct hasher *hasher)
{
	jobs_free(hasher->jobs);
	free(hasher);
}

/* The password hasher: right and wrong passwords, nobody's hash, its queue's bound, and its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "worker/domain/hasher.h"

enum { QUEUE_MAX = 64 };

/* A loop with a hasher, and what became of the ops. */
struct bench {
	struct event_base *base;
	struct services services;
	struct list ops;
	char hash[HASH_MAX];
	unsigned hashed, right, wrong, failed, replied;
	enum err code;
};

static struct bench bench;

static void on_reply(struct op *op UNUSED, struct str json UNUSED)
{
	bench.replied++;
}

static void on_fail(struct op *op UNUSED, const struct fault *fault)
{
	bench.failed++;
	bench.code = fault->code;
}

static const struct asker_vt asker = { .reply = on_reply, .fail = on_fail };

static struct op *ask(void)
{
	return op_new(&bench.services, &asker, &bench, &bench.ops);
}

static int bench_init(void **state UNUSED)
{
	memset(&bench, 0, sizeof(bench));
	list_init(&bench.ops);
	bench.base = event_base_new();
	bench.services.hasher = hasher_new(bench.base);
	return bench.base == NULL;
}

static int bench_fini(void **state UNUSED)
{
	if (bench.services.hasher != NULL)
		hasher_free(bench.services.hasher);
	event_base_free(bench.base);
	return 0;
}

/* Turns the loop until `counter` got there; the runner's time-out ends a test that hangs. */
static void await(const unsigned *counter, unsigned n)
{
	while (*counter < n)
		event_base_loop(bench.base, EVLOOP_ONCE);
}

static void hashed(struct op *op, const void *result)
{
	const struct str *hash = result;

	assert_true(hash->len > 0 && hash->len < sizeof(bench.hash));
	memcpy(bench.hash, hash->p, hash->len);
	bench.hash[hash->len] = '\0';
	bench.hashed++;
	op_reply(op, STR_NONE);
}

static void verified(struct op *op, const void *result)
{
	const bool *matches = result;

	if (*matches)
		bench.right++;
	else
		bench.wrong++;
	op_reply(op, STR_NONE);
}

static void hash(const char *password)
{
	const unsigned before = bench.hashed;

	password_hash(ask(), str_z(password), hashed);
	await(&bench.hashed, before + 1);
}

static void test_right_and_wrong(void **state UNUSED)
{
	hash("correct horse");
	password_verify(ask(), STR("correct horse"), str_z(bench.hash), verified);
	await(&bench.right, 1);
	password_verify(ask(), STR("correct horsE"), str_z(bench.hash), verified);
	await(&bench.wrong, 1);
	password_verify(ask(), STR("correct hors"), str_z(bench.hash), verified);
	await(&bench.wrong, 2);
	assert_int_equal(bench.right, 1);
	assert_int_equal(bench.failed, 0);
	assert_true(list_empty(&bench.ops));
}

static void test_hashes_are_salted_argon2id(void **state UNUSED)
{
	char first[HASH_MAX];

	hash("same password");
	memcpy(first, bench.hash, sizeof(first));
	hash("same password");
	assert_string_not_equal(first, bench.hash);
	assert_int_equal(strncmp(first, "$argon2id$v=19$m=19456,t=2,p=1$", 31), 0);
}

static void test_nobody_never_matches(void **state UNUSED)
{
	/* The empty password is what the dummy was made of. */
	password_verify(ask(), STR(""), STR_NONE, verified);
	password_verify(ask(), STR("guess"), STR_NONE, verified);
	await(&bench.wrong, 2);
	assert_int_equal(bench.right, 0);
}

static void test_ill_formed_hash_never_matches(void **state UNUSED)
{
	password_verify(ask(), STR("guess"), STR("$argon2id$nonsense"), verified);
	await(&bench.wrong, 1);
}

static void test_longest_password(void **state UNUSED)
{
	char longest[PASSWORD_MAX + 2];

	memset(longest, 'p', sizeof(longest));
	longest[PASSWORD_MAX] = '\0';
	hash(longest);
	password_verify(ask(), str_z(longest), str_z(bench.hash), verified);
	await(&bench.right, 1);
	/* What it begins with is right: it must not be cut. */
	const struct str longer = { longest, PASSWORD_MAX + 1 };
	password_verify(ask(), longer, str_z(bench.hash), verified);
	await(&bench.wrong, 1);
	password_hash(ask(), longer, hashed);
	assert_int_equal(bench.failed, 1);
	assert_int_equal(bench.code, ERR_INVALID);
}

/* Enough to fill the queue, whatever the thread has taken out meanwhile. */
static void overfill(void)
{
	while (bench.failed == 0)
		password_verify(ask(), STR("guess"), STR_NONE, verified);
}

static void test_full_queue_refuses(void **state UNUSED)
{
	overfill();
	assert_int_equal(bench.code, ERR_UNAVAILABLE);
	await(&bench.wrong, QUEUE_MAX);
	assert_int_equal(bench.failed, 1);
	/* There is room again. */
	password_verify(ask(), STR("guess"), STR_NONE, verified);
	await(&bench.wrong, QUEUE_MAX + 1);
	assert_int_equal(bench.failed, 1);
}

static void test_asker_dies(void **state UNUSED)
{
	password_hash(ask(), STR("a password"), hashed);
	op_orphan(&bench.ops);
	await(&bench.hashed, 1);
	assert_int_equal(bench.replied, 0);
}

static void test_end_drops_what_waits(void **state UNUSED)
{
	overfill();
	bench.failed = 0;
	hasher_free(bench.services.hasher);
	bench.services.hasher = NULL;
	assert_true(list_empty(&bench.ops));
	assert_int_equal(bench.replied + bench.failed, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_init, bench_fini)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_right_and_wrong),
		TEST(test_hashes_are_salted_argon2id),
		TEST(test_nobody_never_matches),
		TEST(test_ill_formed_hash_never_matches),
		TEST(test_longest_password),
		TEST(test_full_queue_refuses),
		TEST(test_asker_dies),
		TEST(test_end_drops_what_waits),
	};

	return cmocka_run_group_tests_name("hasher", tests, NULL, NULL);
}

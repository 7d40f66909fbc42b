/* The hash table against a plain array that shadows it, and lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "common/id.h"
#include "common/list.h"
#include "common/map.h"
#include "common/mem.h"

enum { KEYS = 100000, STEPS = 400000 };

struct shadow {
	char key[24];
	bool in;
};

static struct str key_of(const struct shadow *s)
{
	return str_z(s->key);
}

static struct shadow *make_keys(void)
{
	struct shadow *all = xcalloc(KEYS, sizeof(*all));

	for (size_t i = 0; i < KEYS; i++) {
		unsigned char bytes[6];
		char id[8];
		id_random(bytes, sizeof(bytes));
		id_encode(id, bytes, sizeof(bytes));
		snprintf(all[i].key, sizeof(all[i].key), "%.8s%zu", id, i);
	}
	return all;
}

static size_t pick(void)
{
	uint32_t n;

	id_random(&n, sizeof(n));
	return n % KEYS;
}

static void check_all(const struct map *m, const struct shadow *all, size_t expected)
{
	size_t cursor = 0, walked = 0;

	assert_int_equal(m->n, expected);
	for (size_t i = 0; i < KEYS; i++)
		assert_ptr_equal(map_get(m, key_of(&all[i])), all[i].in ? &all[i] : NULL);
	for (const struct shadow *s; (s = map_next(m, &cursor)); walked++)
		assert_true(s->in);
	assert_int_equal(walked, expected);
}

static void test_map_shadow(void **state UNUSED)
{
	struct shadow *all = make_keys();
	struct map m = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < STEPS; i++) {
		struct shadow *s = &all[pick()];
		/* Grows in the first half, shrinks in the second. */
		const bool put = i < STEPS / 2 ? pick() % 4 : !(pick() % 4);
		void *before = put ? map_put(&m, key_of(s), s) : map_take(&m, key_of(s));
		assert_ptr_equal(before, s->in ? s : NULL);
		n += (size_t)(put && !s->in);
		n -= (size_t)(!put && s->in);
		s->in = put;
		if (i % (STEPS / 4) == 0)
			check_all(&m, all, n);
	}
	check_all(&m, all, n);
	for (size_t i = 0; i < KEYS; i++)
		assert_ptr_equal(map_take(&m, key_of(&all[i])), all[i].in ? &all[i] : NULL);
	assert_int_equal(m.n, 0);
	/* No slot is left occupied. */
	assert_null(map_next(&m, &(size_t){ 0 }));
	map_fini(&m);
	free(all);
}

static void test_map_small(void **state UNUSED)
{
	struct map m = { 0 };
	int one, two;
	char key[] = "key", other[] = "key";

	assert_null(map_get(&m, STR("key")));
	assert_null(map_take(&m, STR("key")));
	assert_null(map_next(&m, &(size_t){ 0 }));
	assert_null(map_put(&m, STR(""), &one));
	assert_ptr_equal(map_get(&m, STR_NONE), &one);
	assert_null(map_get(&m, STR("\0")));
	assert_null(map_put(&m, str_z(key), &one));
	/* The entry's key must be the new one, for the old one may go with its value. */
	assert_ptr_equal(map_put(&m, str_z(other), &two), &one);
	key[0] = '?';
	assert_ptr_equal(map_get(&m, STR("key")), &two);
	assert_int_equal(m.n, 2);
	map_fini(&m);
	assert_null(map_get(&m, STR("key")));
	map_fini(&m);
}

struct item {
	int number;
	struct list link;
};

static int digits(struct list *head)
{
	int all = 0;

	LIST_EACH(head, l)
		all = all * 10 + LIST_OF(l, struct item, link)->number;
	return all;
}

static void test_list(void **state UNUSED)
{
	struct item items[4] = { { .number = 1 }, { .number = 2 }, { .number = 3 },
	                         { .number = 4 } };
	struct list a, b;

	list_init(&a);
	list_init(&b);
	assert_true(list_empty(&a));
	for (size_t i = 0; i < 4; i++)
		list_push(i < 2 ? &a : &b, &items[i].link);
	assert_int_equal(digits(&a), 12);
	list_splice(&a, &b);
	assert_true(list_empty(&b));
	assert_int_equal(digits(&a), 1234);
	list_splice(&a, &b);
	assert_int_equal(digits(&a), 1234);
	list_remove(&items[1].link);
	list_remove(&items[1].link);
	assert_int_equal(digits(&a), 134);
	LIST_EACH(&a, l)
		list_remove(l);
	assert_true(list_empty(&a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_map_shadow),
		cmocka_unit_test(test_map_small),
		cmocka_unit_test(test_list),
	};

	return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}

/* Memory of a request, and growing buffers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/mem.h"

/* All pieces, small and larger than a block, keep what was written into them. */
static void test_arena_pieces(void **state UNUSED)
{
	struct arena a = { 0 };
	unsigned char *pieces[300];

	for (size_t i = 0; i < COUNT_OF(pieces); i++) {
		const size_t size = i % 50 == 49 ? 5000 + i : i;
		pieces[i] = arena_alloc(&a, size);
		assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
		for (size_t j = 0; j < size; j++)
			assert_int_equal(pieces[i][j], 0);
		memset(pieces[i], (int)(i & 0xff), size);
	}
	for (size_t i = 0; i < COUNT_OF(pieces); i++) {
		const size_t size = i % 50 == 49 ? 5000 + i : i;
		for (size_t j = 0; j < size; j++)
			assert_int_equal(pieces[i][j], i & 0xff);
	}
	arena_fini(&a);
	assert_null(a.blocks);
	arena_fini(&a);
	/* It serves again. */
	assert_non_null(arena_alloc(&a, 1));
	arena_fini(&a);
}

/* A large piece leaves the newest block's rest in use. */
static void test_arena_large(void **state UNUSED)
{
	struct arena a = { 0 };
	const char *first = arena_alloc(&a, 100000);

	assert_int_equal(a.left, 0);
	arena_alloc(&a, 16);
	const size_t left = a.left;
	assert_non_null(arena_alloc(&a, 100000));
	assert_int_equal(a.left, left);
	assert_int_equal(first[99999], 0);
	arena_fini(&a);
}

static void test_arena_strings(void **state UNUSED)
{
	struct arena a = { 0 };
	char text[] = "text";
	const struct str copy = arena_str(&a, str_z(text));

	text[0] = '?';
	assert_string_equal(copy.p, "text");
	assert_int_equal(copy.len, 4);
	assert_string_equal(arena_str(&a, STR_NONE).p, "");
	assert_string_equal(arena_printf(&a, "%s-%d", "a", 7).p, "a-7");
	/* Around the size at which it is formatted a second time. */
	for (int len = 250; len < 260; len++) {
		const struct str s = arena_printf(&a, "%0*d", len, 1);
		assert_int_equal(s.len, len);
		assert_int_equal(strlen(s.p), len);
		assert_int_equal(s.p[len - 1], '1');
	}
	arena_fini(&a);
}

static void test_buf_adds(void **state UNUSED)
{
	struct buf b = { 0 };

	buf_add(&b, NULL, 0);
	buf_str(&b, STR_NONE);
	assert_int_equal(b.len, 0);
	buf_z(&b, "ab");
	buf_char(&b, '\0');
	buf_str(&b, STR("cd"));
	assert_true(str_eq(buf_view(&b), STR("ab\0cd")));
	buf_clear(&b);
	buf_u64(&b, 0);
	buf_char(&b, ' ');
	buf_u64(&b, UINT64_MAX);
	assert_true(str_eq(buf_view(&b), STR("0 18446744073709551615")));
	buf_fini(&b);
	assert_null(b.p);
	buf_char(&b, 'x');
	assert_int_equal(b.len, 1);
	buf_fini(&b);
}

static void test_buf_grows(void **state UNUSED)
{
	struct buf b = { 0 };

	for (unsigned i = 0; i < 100000; i++)
		buf_char(&b, (char)(i % 251));
	assert_int_equal(b.len, 100000);
	for (unsigned i = 0; i < 100000; i++)
		assert_int_equal((unsigned char)b.p[i], i % 251);
	const size_t cap = b.cap;
	buf_clear(&b);
	assert_int_equal(b.cap, cap);
	memset(buf_reserve(&b, 200000), 'x', 200000);
	b.len += 200000;
	assert_int_equal(b.p[199999], 'x');
	buf_fini(&b);
}

static void test_buf_printf(void **state UNUSED)
{
	struct buf b = { 0 };

	/* At each distance from the end of what is allocated. */
	for (size_t i = 0; i < 200; i++)
		buf_printf(&b, "%03zu,", i);
	assert_int_equal(b.len, 800);
	assert_memory_equal(b.p + 796, "199,", 4);
	buf_printf(&b, "%05000d", 1);
	assert_int_equal(b.len, 5800);
	assert_int_equal(b.p[5799], '1');
	buf_printf(&b, "%s", "");
	assert_int_equal(b.len, 5800);
	buf_fini(&b);
	for (int len = 1; len < 200; len++) {
		buf_printf(&b, "%0*d", len, 1);
		assert_int_equal(b.len, len);
		assert_int_equal(b.p[len - 1], '1');
		buf_fini(&b);
	}
}

static void test_buf_consume(void **state UNUSED)
{
	struct buf b = { 0 };

	buf_consume(&b, 0);
	buf_z(&b, "abcdef");
	buf_consume(&b, 0);
	buf_consume(&b, 2);
	assert_true(str_eq(buf_view(&b), STR("cdef")));
	buf_consume(&b, 4);
	assert_int_equal(b.len, 0);
	buf_fini(&b);
}

static void test_mem(void **state UNUSED)
{
	void *nothing = xmalloc(0), *zeroes = xcalloc(0, 8), *grown = xrealloc(NULL, 0);
	char *copy = xstrdup("copy");

	assert_string_equal(copy, "copy");
	free(nothing);
	free(zeroes);
	free(grown);
	free(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arena_pieces),
		cmocka_unit_test(test_arena_large),
		cmocka_unit_test(test_arena_strings),
		cmocka_unit_test(test_buf_adds),
		cmocka_unit_test(test_buf_grows),
		cmocka_unit_test(test_buf_printf),
		cmocka_unit_test(test_buf_consume),
		cmocka_unit_test(test_mem),
	};

	return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}

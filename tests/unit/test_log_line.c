/* Lines of the log about clients: fields that hold what they are given and nothing else, and their bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/log_line.h"

static void assert_field(struct str value, const char *wanted)
{
	struct buf line = { 0 };

	log_field(&line, "user", value);
	buf_char(&line, '\0');
	assert_string_equal(line.p, wanted);
	buf_fini(&line);
}

static void test_a_field_is_one_word(void **state UNUSED)
{
	assert_field(STR("ann"), " user=ann");
	assert_field(STR_NONE, " user=-");
	assert_field(STR(""), " user=-");
	assert_field(STR("a b"), " user=a%20b");
	assert_field(STR("x from=1.2.3.4 ended: y"), " user=x%20from=1.2.3.4%20ended:%20y");
	assert_field(STR("100%"), " user=100%25");
	assert_field(STR("a\r\n\033[2Jb\t\177\0c"), " user=a%0D%0A%1B[2Jb%09%7F%00c");
	assert_field(STR("J\u00f6rg"), " user=J\u00f6rg");
}

/* Whatever the position of a character at the cut, what remains is whole characters. */
static void test_a_long_value_is_cut_between_characters(void **state UNUSED)
{
	for (size_t before = 0; before < 4; before++) {
		char text[400];
		struct buf line = { 0 };

		memset(text, 'a', before);
		for (size_t at = before; at + 4 <= sizeof(text); at += 4)
			memcpy(text + at, "\xf0\x9f\x91\x8b", 4);
		log_field(&line, "k", (struct str){ text, before + 4 * 80 });
		assert_true(line.len > 100 && line.len < 160);
		assert_true(utf8_valid(buf_view(&line)));
		assert_memory_equal(line.p + line.len - 3, "...", 3);
		buf_fini(&line);
	}
}

static void test_a_second_has_room_for_so_many_lines(void **state UNUSED)
{
	struct log_bound b = { 0 };

	for (uint64_t second = 0; second < 3; second++) {
		const uint64_t now = 5000 + 1000 * second;
		assert_int_equal(log_bound_turn(&b, now), second == 0 ? 0 : 30);
		for (unsigned i = 0; i < LOG_AT_ONCE; i++)
			assert_true(log_bound_allow(&b));
		assert_int_equal(log_bound_turn(&b, now + 999), 0);
		for (unsigned i = 0; i < 30; i++)
			assert_false(log_bound_allow(&b));
	}
	assert_int_equal(log_bound_turn(&b, 1000000), 30);
	assert_int_equal(log_bound_turn(&b, 2000000), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_field_is_one_word),
		cmocka_unit_test(test_a_long_value_is_cut_between_characters),
		cmocka_unit_test(test_a_second_has_room_for_so_many_lines),
	};

	return cmocka_run_group_tests_name("log_line", tests, NULL, NULL);
}

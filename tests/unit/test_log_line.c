/* Lines of the log that others cause: fields that hold what they are given and nothing
 * else, and their bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
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
			assert_true(log_bound_allow(&b, LOG_AT_ONCE));
		assert_int_equal(log_bound_turn(&b, now + 999), 0);
		for (unsigned i = 0; i < 30; i++)
			assert_false(log_bound_allow(&b, LOG_AT_ONCE));
	}
	assert_int_equal(log_bound_turn(&b, 1000000), 30);
	assert_int_equal(log_bound_turn(&b, 2000000), 0);
}

/* What `say` writes to the log, without the time of its lines. */
static void assert_said(void (*say)(struct log_bound *b), struct log_bound *b, const char *wanted)
{
	char text[1000], *line = text;
	int ends[2];
	const int kept = dup(STDERR_FILENO);

	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	dup2(ends[1], STDERR_FILENO);
	log_init("test", LOG_INFO);
	say(b);
	const ssize_t n = read(ends[0], text, sizeof(text) - 1);
	dup2(kept, STDERR_FILENO);
	log_init("test", LOG_INFO);
	close(kept);
	close(ends[0]);
	close(ends[1]);
	text[n > 0 ? n : 0] = '\0';
	if (n > 0)
		line = strchr(text, ' ') + 1;
	assert_string_equal(line, wanted);
}

static void say_thrice(struct log_bound *b)
{
	for (int i = 1; i <= 3; i++)
		log_bounded(b, LOG_WARN, "%s %d", "try", i);
}

static void say_once(struct log_bound *b)
{
	log_bounded(b, LOG_ERROR, "%s", "another");
}

static void test_a_line_a_second_says_how_many_were_left_out(void **state UNUSED)
{
	struct log_bound b = { 0 };

	clock_update();
	assert_said(say_thrice, &b, "warn test try 1\n");
	assert_said(say_once, &b, "");
	b.began_ms -= 1000;
	assert_said(say_once, &b, "error test another (and 3 more before)\n");
	b.began_ms -= 1000;
	assert_said(say_once, &b, "error test another\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_field_is_one_word),
		cmocka_unit_test(test_a_long_value_is_cut_between_characters),
		cmocka_unit_test(test_a_second_has_room_for_so_many_lines),
		cmocka_unit_test(test_a_line_a_second_says_how_many_were_left_out),
	};

	return cmocka_run_group_tests_name("log_line", tests, NULL, NULL);
}

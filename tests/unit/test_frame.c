/* Batches and frames: lengths at the edges of each header's size, growth, ranges, hostile input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "worker/fanout/frame.h"

static void header_grows_with_length(void **state)
{
	static const struct { size_t len, head; } rows[] = {
		{ 0, 2 }, { 1, 2 }, { 125, 2 }, { 126, 4 }, { 127, 4 }, { 65535, 4 }, { 65536, 10 },
		{ 200000, 10 },
	};
	(void)state;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char *text = xmalloc(rows[i].len + 1);
		memset(text, 'x', rows[i].len);
		struct batch *b = batch_new();
		batch_frame(b, WS_TEXT, (struct str){ text, rows[i].len });
		assert_int_equal(batch_len(b), rows[i].len + rows[i].head);

		struct str bytes = batch_range(b, 0, batch_len(b)), payload;
		enum ws_opcode opcode;
		assert_int_equal((unsigned char)bytes.p[0], 0x81);
		assert_true(frame_next(&bytes, &opcode, &payload));
		assert_int_equal(opcode, WS_TEXT);
		assert_int_equal(payload.len, rows[i].len);
		assert_memory_equal(payload.p, text, rows[i].len);
		assert_int_equal(bytes.len, 0);
		assert_false(frame_next(&bytes, &opcode, &payload));
		batch_unref(b);
		free(text);
	}
}

/* RFC 6455 §5.7: an unmasked text message "Hello". */
static void bytes_are_those_of_the_rfc(void **state)
{
	struct batch *b = batch_new();
	(void)state;

	batch_frame(b, WS_TEXT, STR("Hello"));
	assert_true(str_eq(batch_range(b, 0, batch_len(b)), STR("\x81\x05Hello")));
	batch_unref(b);
}

static void ranges_survive_growth(void **state)
{
	struct batch *b = batch_new();
	uint32_t ends[1000];
	(void)state;

	for (unsigned i = 0; i < COUNT_OF(ends); i++) {
		const char text[2] = { (char)('a' + i % 26), 'z' };
		batch_frame(b, i % 2 ? WS_BINARY : WS_TEXT, (struct str){ text, 2 });
		ends[i] = batch_len(b);
	}
	for (unsigned i = 0; i < COUNT_OF(ends); i++) {
		struct str bytes = batch_range(b, ends[i] - 4, ends[i]), payload;
		enum ws_opcode opcode;
		assert_true(frame_next(&bytes, &opcode, &payload));
		assert_int_equal(opcode, i % 2 ? WS_BINARY : WS_TEXT);
		assert_int_equal(payload.p[0], 'a' + i % 26);
	}
	batch_unref(b);
}

static void lives_as_long_as_its_last_reference(void **state)
{
	struct batch *b = batch_new();
	(void)state;

	batch_bytes(b, STR("HTTP/1.1 200 OK\r\n"));
	assert_ptr_equal(batch_ref(b), b);
	batch_unref(b);
	batch_bytes(b, STR_NONE);
	assert_true(str_eq(batch_range(b, 9, 15), STR("200 OK")));
	batch_unref(b);
}

static void refuses_what_is_no_frame(void **state)
{
	static const struct str rows[] = {
		{ "", 0 }, { "\x81", 1 }, { "\x81\x05Hell", 6 }, { "\x81\x7e\x01", 3 },
		{ "\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff", 10 }, { "\x81\x85" "abcdHello", 11 },
	};
	(void)state;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct str bytes = rows[i], payload;
		enum ws_opcode opcode;
		assert_false(frame_next(&bytes, &opcode, &payload));
		assert_int_equal(bytes.len, rows[i].len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_grows_with_length),
		cmocka_unit_test(bytes_are_those_of_the_rfc),
		cmocka_unit_test(ranges_survive_growth),
		cmocka_unit_test(lives_as_long_as_its_last_reference),
		cmocka_unit_test(refuses_what_is_no_frame),
	};
	return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}

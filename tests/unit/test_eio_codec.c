/* Engine.IO packets and polling payloads, after the examples of the protocol's description. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "worker/engineio/codec.h"

#define BYTES(literal) { literal, sizeof(literal) - 1 }

/* Decodes a copy of the payload, and writes what was found as "type:data|…" into `out`; ends with
 * "!" at a parse error. */
static void describe(struct str payload, struct buf *out)
{
	char *copy = malloc(payload.len ? payload.len : 1);
	if (payload.len)
		memcpy(copy, payload.p, payload.len);
	struct str rest = { copy, payload.len };
	struct buf scratch = { 0 };
	struct eio_packet p;
	bool first = true;
	int r;
	buf_clear(out);
	while ((r = eio_payload_next(&rest, &first, &scratch, &p)) > 0) {
		buf_char(out, (char)p.type);
		buf_char(out, ':');
		buf_str(out, p.data);
		buf_char(out, '|');
	}
	if (r < 0)
		buf_char(out, '!');
	buf_fini(&scratch);
	free(copy);
}

static void assert_payload(struct str payload, struct str expected)
{
	struct buf out = { 0 };
	describe(payload, &out);
	if (!str_eq(buf_view(&out), expected))
		fail_msg("\"%.*s\": \"%.*s\" instead of \"%.*s\"", STR_ARG(payload),
		         STR_ARG(buf_view(&out)), STR_ARG(expected));
	buf_fini(&out);
}

static void test_decode(void **state UNUSED)
{
	static const struct {
		struct str text;
		enum eio_type type;
		const char *data;
	} good[] = {
		{ BYTES("0"), EIO_OPEN, "" },
		{ BYTES("1"), EIO_CLOSE, "" },
		{ BYTES("2"), EIO_PING, "" },
		{ BYTES("2probe"), EIO_PING, "probe" },
		{ BYTES("3"), EIO_PONG, "" },
		{ BYTES("3anything"), EIO_PONG, "anything" },
		{ BYTES("4"), EIO_MESSAGE, "" },
		{ BYTES("4hello"), EIO_MESSAGE, "hello" },
		{ BYTES("42[\"foo\"]"), EIO_MESSAGE, "2[\"foo\"]" },
		{ BYTES("5"), EIO_UPGRADE, "" },
		{ BYTES("6"), EIO_NOOP, "" },
	};
	static const struct str bad[] = {
		BYTES(""), BYTES("7"), BYTES("9"), BYTES("/"), BYTES("abc"), BYTES("bAQID"),
		BYTES(" 4a"), BYTES("\0"), BYTES("\xb4"),
	};
	struct eio_packet p;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		assert_true(eio_decode(good[i].text, &p));
		assert_int_equal(p.type, good[i].type);
		assert_true(str_eqz(p.data, good[i].data));
	}
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(eio_decode(bad[i], &p));
	assert_false(eio_decode(STR_NONE, &p));
}

static void test_payload(void **state UNUSED)
{
	static const struct {
		struct str payload, expected;
	} rows[] = {
		{ BYTES("4hello"), BYTES("4:hello|") },
		{ BYTES("4hello\x1e" "bAQIDBA=="), BYTES("4:hello|b:\x01\x02\x03\x04|") },
		{ BYTES("452-[\"bin\",{\"_placeholder\":true,\"num\":0},"
		        "{\"k\":{\"_placeholder\":true,\"num\":1}}]\x1e" "bAQID\x1e" "bBA==\x1e"
		        "42[\"t\"]"),
		  BYTES("4:52-[\"bin\",{\"_placeholder\":true,\"num\":0},"
		        "{\"k\":{\"_placeholder\":true,\"num\":1}}]"
		        "|b:\x01\x02\x03|b:\x04|4:2[\"t\"]|") },
		{ BYTES("6\x1e" "1"), BYTES("6:|1:|") },
		{ BYTES("3\x1e" "4\x1e" "4a"), BYTES("3:|4:|4:a|") },
		{ BYTES("4\xe2\x82\xac"), BYTES("4:\xe2\x82\xac|") },
		/* Empty packets, wherever they stand. */
		{ BYTES(""), BYTES("!") },
		{ BYTES("\x1e"), BYTES("!") },
		{ BYTES("\x1e" "4a"), BYTES("!") },
		{ BYTES("4a\x1e"), BYTES("4:a|!") },
		{ BYTES("4a\x1e\x1e" "4b"), BYTES("4:a|!") },
		/* Types, and text that is not UTF-8. */
		{ BYTES("4a\x1e" "7"), BYTES("4:a|!") },
		{ BYTES("x"), BYTES("!") },
		{ BYTES("4\xff"), BYTES("!") },
		{ BYTES("4\xc0\xaf"), BYTES("!") },
		{ BYTES("4\xed\xa0\x80"), BYTES("!") },
		{ BYTES("4\xe2\x82\x1e" "4\xac"), BYTES("!") },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_payload(rows[i].payload, rows[i].expected);
	assert_payload(STR_NONE, STR("!"));
}

static void test_base64(void **state UNUSED)
{
	static const struct {
		struct str payload, expected;
	} rows[] = {
		{ BYTES("b"), BYTES("b:|") },
		{ BYTES("bAA=="), BYTES("b:\0|") },
		{ BYTES("bAA"), BYTES("b:\0|") },
		{ BYTES("bAQI="), BYTES("b:\x01\x02|") },
		{ BYTES("bAQI"), BYTES("b:\x01\x02|") },
		{ BYTES("bAQID"), BYTES("b:\x01\x02\x03|") },
		{ BYTES("bAQIDBA"), BYTES("b:\x01\x02\x03\x04|") },
		{ BYTES("b+/+/"), BYTES("b:\xfb\xff\xbf|") },
		{ BYTES("b-_-_"), BYTES("b:\xfb\xff\xbf|") },
		/* A single digit left over. */
		{ BYTES("bA"), BYTES("!") },
		{ BYTES("bAQIDB"), BYTES("!") },
		/* Padding that does not fill up a group of four. */
		{ BYTES("bAA="), BYTES("!") },
		{ BYTES("bA==="), BYTES("!") },
		{ BYTES("b===="), BYTES("!") },
		{ BYTES("b="), BYTES("!") },
		{ BYTES("bAQID===="), BYTES("!") },
		{ BYTES("bAQID="), BYTES("!") },
		/* Bytes after padding, and such as are no digits. */
		{ BYTES("bAA==AA=="), BYTES("!") },
		{ BYTES("bAA==A"), BYTES("!") },
		{ BYTES("bAA=A"), BYTES("!") },
		{ BYTES("bAQI D"), BYTES("!") },
		{ BYTES("bAQ\r\nID"), BYTES("!") },
		{ BYTES("bAQ\0D"), BYTES("!") },
		{ BYTES("bAQ.D"), BYTES("!") },
		{ BYTES("bAQ\x80" "D"), BYTES("!") },
		{ BYTES("bAQ\xff" "D"), BYTES("!") },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_payload(rows[i].payload, rows[i].expected);
}

static void test_add(void **state UNUSED)
{
	struct buf b = { 0 };
	eio_payload_add(&b, EIO_MESSAGE, STR("hello"));
	eio_payload_add(&b, EIO_BINARY, STR("\x01\x02\x03\x04"));
	assert_true(str_eqz(buf_view(&b), "4hello\x1e" "bAQIDBA=="));
	eio_payload_add(&b, EIO_PING, STR_NONE);
	eio_payload_add(&b, EIO_BINARY, STR_NONE);
	eio_payload_add(&b, EIO_NOOP, STR_NONE);
	assert_true(str_eqz(buf_view(&b), "4hello\x1e" "bAQIDBA==\x1e" "2\x1e" "b\x1e" "6"));
	buf_fini(&b);
}

/* Whatever is added comes back, bytes of every value and length. */
static void test_round_trip(void **state UNUSED)
{
	char bytes[256];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7 + 3);
	struct buf payload = { 0 }, scratch = { 0 };
	for (size_t len = 0; len <= sizeof(bytes); len++)
		eio_payload_add(&payload, EIO_BINARY,
		                (struct str){ bytes + sizeof(bytes) - len, len });
	struct str rest = buf_view(&payload);
	struct eio_packet p;
	bool first = true;
	for (size_t len = 0; len <= sizeof(bytes); len++) {
		assert_int_equal(eio_payload_next(&rest, &first, &scratch, &p), 1);
		assert_int_equal(p.type, EIO_BINARY);
		assert_true(str_eq(p.data, (struct str){ bytes + sizeof(bytes) - len, len }));
	}
	assert_int_equal(eio_payload_next(&rest, &first, &scratch, &p), 0);
	buf_fini(&payload);
	buf_fini(&scratch);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_payload),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_round_trip),
	};
	return cmocka_run_group_tests_name("eio_codec", tests, NULL, NULL);
}

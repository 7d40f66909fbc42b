/* Socket.IO packets: the examples of the protocol's description, and every rule that refuses. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "worker/socketio/codec.h"

#define BYTES(literal) { literal, sizeof(literal) - 1 }
#define PLACEHOLDER(num) "{\"_placeholder\":true,\"num\":" num "}"
#define DIGITS_18 "123456789012345678"

static void assert_str(const char *what, const char *member, struct str s, const char *expected)
{
	if (!str_eqz(s, expected) || (s.p == NULL) != (expected == NULL))
		fail_msg("%s: %s is \"%.*s\"", what, member, STR_ARG(s));
}

static const struct good {
	const char *text;
	enum sio_type type;
	unsigned attachments;
	const char *nsp, *id, *data;     /* NULL: absent */
} good[] = {
	{ "0", SIO_CONNECT, 0, "/", NULL, NULL },
	{ "0{}", SIO_CONNECT, 0, "/", NULL, "{}" },
	{ "0{\"token\":\"123\"}", SIO_CONNECT, 0, "/", NULL, "{\"token\":\"123\"}" },
	{ "0/admin", SIO_CONNECT, 0, "/admin", NULL, NULL },
	{ "0/admin,", SIO_CONNECT, 0, "/admin", NULL, NULL },
	{ "0/admin,{\"token\":\"abc\"}", SIO_CONNECT, 0, "/admin", NULL, "{\"token\":\"abc\"}" },
	{ "0/admin?t=1,", SIO_CONNECT, 0, "/admin?t=1", NULL, NULL },
	{ "0/", SIO_CONNECT, 0, "/", NULL, NULL },
	{ "0/,{}", SIO_CONNECT, 0, "/", NULL, "{}" },
	{ "0{\"pid\":\"p\",\"offset\":\"o\"}", SIO_CONNECT, 0, "/", NULL,
	  "{\"pid\":\"p\",\"offset\":\"o\"}" },
	{ "1", SIO_DISCONNECT, 0, "/", NULL, NULL },
	{ "1/admin", SIO_DISCONNECT, 0, "/admin", NULL, NULL },
	{ "1/admin,", SIO_DISCONNECT, 0, "/admin", NULL, NULL },
	{ "2[\"foo\"]", SIO_EVENT, 0, "/", NULL, "[\"foo\"]" },
	{ "2/,[\"a\"]", SIO_EVENT, 0, "/", NULL, "[\"a\"]" },
	{ "2/admin,13[\"x\"]", SIO_EVENT, 0, "/admin", "13", "[\"x\"]" },
	{ "2456[\"message-with-ack\",1]", SIO_EVENT, 0, "/", "456", "[\"message-with-ack\",1]" },
	{ "20[\"q\",1]", SIO_EVENT, 0, "/", "0", "[\"q\",1]" },
	{ "2007[\"q\"]", SIO_EVENT, 0, "/", "007", "[\"q\"]" },
	{ "2" DIGITS_18 "[\"q\"]", SIO_EVENT, 0, "/", DIGITS_18, "[\"q\"]" },
	{ "2[1,2]", SIO_EVENT, 0, "/", NULL, "[1,2]" },
	{ "2[-1.5e3]", SIO_EVENT, 0, "/", NULL, "[-1.5e3]" },
	{ "2[\"\"]", SIO_EVENT, 0, "/", NULL, "[\"\"]" },
	{ "2[\"a\"] \n", SIO_EVENT, 0, "/", NULL, "[\"a\"]" },
	/* Only the six names are reserved, to the letter; "error" is not (CVE-2024-38355). */
	{ "2[\"error\"]", SIO_EVENT, 0, "/", NULL, "[\"error\"]" },
	{ "2[\"connected\"]", SIO_EVENT, 0, "/", NULL, "[\"connected\"]" },
	{ "2[\"Connect\"]", SIO_EVENT, 0, "/", NULL, "[\"Connect\"]" },
	{ "2[\"connect\\u0000\"]", SIO_EVENT, 0, "/", NULL, "[\"connect\\u0000\"]" },
	/* Without attachments a placeholder is an object like any other. */
	{ "2[\"a\"," PLACEHOLDER("99") "]", SIO_EVENT, 0, "/", NULL,
	  "[\"a\"," PLACEHOLDER("99") "]" },
	{ "3456[1,\"2\",{\"3\":[false]}]", SIO_ACK, 0, "/", "456", "[1,\"2\",{\"3\":[false]}]" },
	{ "30[]", SIO_ACK, 0, "/", "0", "[]" },
	{ "3/admin,1[]", SIO_ACK, 0, "/admin", "1", "[]" },
	{ "35", SIO_ACK, 0, "/", "5", NULL },
	{ "3[]", SIO_ACK, 0, "/", NULL, "[]" },
	{ "51-[\"echo\"," PLACEHOLDER("0") "]", SIO_BINARY_EVENT, 1, "/", NULL,
	  "[\"echo\"," PLACEHOLDER("0") "]" },
	{ "52-/admin,13[\"e\"," PLACEHOLDER("0") "," PLACEHOLDER("1") "]", SIO_BINARY_EVENT, 2,
	  "/admin", "13", "[\"e\"," PLACEHOLDER("0") "," PLACEHOLDER("1") "]" },
	{ "52-[\"bin\"," PLACEHOLDER("0") ",{\"k\":" PLACEHOLDER("1") "}]", SIO_BINARY_EVENT, 2,
	  "/", NULL, "[\"bin\"," PLACEHOLDER("0") ",{\"k\":" PLACEHOLDER("1") "}]" },
	{ "510-[\"e\"," PLACEHOLDER("9") "]", SIO_BINARY_EVENT, 10, "/", NULL,
	  "[\"e\"," PLACEHOLDER("9") "]" },
	{ "51-[\"e\"]", SIO_BINARY_EVENT, 1, "/", NULL, "[\"e\"]" },
	{ "51-[7]", SIO_BINARY_EVENT, 1, "/", NULL, "[7]" },
	{ "61-7[" PLACEHOLDER("0") "]", SIO_BINARY_ACK, 1, "/", "7", "[" PLACEHOLDER("0") "]" },
	{ "61-/a,7[[" PLACEHOLDER("0") "]]", SIO_BINARY_ACK, 1, "/a", "7",
	  "[[" PLACEHOLDER("0") "]]" },
	/* A `_placeholder` that is not `true` itself is data. */
	{ "51-[\"e\",{\"_placeholder\":false,\"num\":9}]", SIO_BINARY_EVENT, 1, "/", NULL,
	  "[\"e\",{\"_placeholder\":false,\"num\":9}]" },
	{ "51-[\"e\",{\"_placeholder\":1,\"num\":9}]", SIO_BINARY_EVENT, 1, "/", NULL,
	  "[\"e\",{\"_placeholder\":1,\"num\":9}]" },
	{ "51-[\"e\",{\"_placeholder\":\"true\"}]", SIO_BINARY_EVENT, 1, "/", NULL,
	  "[\"e\",{\"_placeholder\":\"true\"}]" },
	{ "51-[\"e\",{\"num\":9},\"_placeholder\",true]", SIO_BINARY_EVENT, 1, "/", NULL,
	  "[\"e\",{\"num\":9},\"_placeholder\",true]" },
};

static void test_good(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		const struct good *g = &good[i];
		struct sio_packet p;
		if (!sio_decode(str_z(g->text), &p))
			fail_msg("%s: refused", g->text);
		if (p.type != g->type || p.attachments != g->attachments)
			fail_msg("%s: type %d, attachments %u", g->text, (int)p.type,
			         p.attachments);
		assert_str(g->text, "nsp", p.nsp, g->nsp);
		assert_str(g->text, "id", p.id, g->id);
		assert_str(g->text, "data", p.data, g->data);
	}
}

static const struct bad {
	const char *what;
	struct str text;
} bad[] = {
	{ "empty", BYTES("") },
	{ "NUL", BYTES("\0") },
	{ "connect error", BYTES("4{\"message\":\"x\"}") },
	{ "bare connect error", BYTES("4") },
	{ "type 7", BYTES("7") },
	{ "type 8", BYTES("8[\"a\"]") },
	{ "type 9", BYTES("9") },
	{ "type of a letter", BYTES("abc") },
	{ "blank first", BYTES(" 2[\"a\"]") },
	{ "connect with a string", BYTES("0\"str\"") },
	{ "connect with an array", BYTES("0[]") },
	{ "connect with null", BYTES("0null") },
	{ "connect with broken JSON", BYTES("0{bad") },
	{ "connect with more behind", BYTES("0{}{}") },
	{ "connect to a namespace with a string", BYTES("0/admin,\"a\"") },
	{ "disconnect with an object", BYTES("1{}") },
	{ "disconnect with null", BYTES("1/admin,null") },
	{ "disconnect with an array", BYTES("1[]") },
	{ "bare event", BYTES("2") },
	{ "bare event with an id", BYTES("212") },
	{ "bare event of a namespace", BYTES("2/admin,") },
	{ "namespace without its comma", BYTES("2/admin[\"x\"]") },
	{ "namespace without its slash", BYTES("2admin,[\"x\"]") },
	{ "empty event", BYTES("2[]") },
	{ "event of an object", BYTES("2{}") },
	{ "event of a string", BYTES("2\"a\"") },
	{ "letters before the array", BYTES("2abc[\"a\"]") },
	{ "negative id", BYTES("2-1[\"a\"]") },
	{ "blank as an id", BYTES("2 [\"a\"]") },
	{ "line end as an id", BYTES("2\n[\"a\"]") },
	{ "blank before an id", BYTES("2 1[\"a\"]") },
	{ "blank after an id", BYTES("21 [\"a\"]") },
	{ "blank only", BYTES("2 ") },
	{ "disconnect with a blank", BYTES("1 ") },
	{ "id of 19 digits", BYTES("2" DIGITS_18 "9[\"a\"]") },
	{ "id of 19 digits, zeros first", BYTES("20" DIGITS_18 "[\"a\"]") },
	{ "ack id of 19 digits", BYTES("3" DIGITS_18 "9[]") },
	{ "more behind the array", BYTES("2[\"a\"]x") },
	{ "second array", BYTES("2[\"a\"][\"b\"]") },
	{ "NUL behind the array", BYTES("2[\"a\"]\0") },
	{ "unfinished array", BYTES("2[\"a\"") },
	{ "comma at the end", BYTES("2[\"a\",]") },
	{ "invalid UTF-8", BYTES("2[\"a\",\"\xff\"]") },
	{ "lone surrogate", BYTES("2[\"a\",\"\\ud800\"]") },
	{ "NUL in a string", BYTES("2[\"a\",\"\0\"]") },
	{ "name of null (CVE-2023-32695)", BYTES("2[null]") },
	{ "name of an object (CVE-2023-32695)", BYTES("2[{}]") },
	{ "name of an object with toString (CVE-2023-32695)", BYTES("2[{\"toString\":\"foo\"}]") },
	{ "name of an array", BYTES("2[[\"a\"]]") },
	{ "name of true", BYTES("2[true]") },
	{ "reserved: connect", BYTES("2[\"connect\"]") },
	{ "reserved: connect_error", BYTES("2[\"connect_error\"]") },
	{ "reserved: disconnect", BYTES("2[\"disconnect\"]") },
	{ "reserved: disconnecting", BYTES("2[\"disconnecting\"]") },
	{ "reserved: newListener", BYTES("2[\"newListener\"]") },
	{ "reserved: removeListener", BYTES("2[\"removeListener\",1]") },
	{ "reserved, escaped", BYTES("2[\"\\u0063onnect\"]") },
	{ "reserved, in a namespace", BYTES("2/admin,7[ \"connect\" ]") },
	{ "reserved, binary", BYTES("51-[\"connect\"," PLACEHOLDER("0") "]") },
	{ "ack of an object", BYTES("31{}") },
	{ "ack of a string", BYTES("31\"a\"") },
	{ "ack of null", BYTES("31null") },
	{ "no attachments", BYTES("50-[\"a\"]") },
	{ "11 attachments", BYTES("511-[\"a\"]") },
	{ "endless attachments (CVE-2026-33151)", BYTES("5999999999-[\"a\"]") },
	{ "endless attachments, bare (CVE-2026-33151)", BYTES("5999999999-") },
	{ "attachments past 2^64", BYTES("518446744073709551617-[\"a\"]") },
	{ "attachments without a count", BYTES("5-[\"a\"]") },
	{ "attachments without a dash", BYTES("51[\"a\"]") },
	{ "attachments missing", BYTES("5[\"a\"]") },
	{ "attachments by themselves", BYTES("51") },
	{ "attachments negative", BYTES("5-1-[\"a\"]") },
	{ "attachments with a fraction", BYTES("51.5-[\"a\"]") },
	{ "attachments in an exponent", BYTES("51e1-[\"a\"]") },
	{ "attachments after the namespace", BYTES("5/admin,1-[\"a\"]") },
	{ "attachments with a plain event", BYTES("21-[\"a\"]") },
	{ "attachments with a plain ack", BYTES("31-[]") },
	{ "bare binary event", BYTES("51-") },
	{ "bare binary ack", BYTES("61-7") },
	{ "binary ack of an object", BYTES("61-7{}") },
	{ "num negative (CVE-2022-2421)", BYTES("51-[\"a\"," PLACEHOLDER("-1") "]") },
	{ "num a string (CVE-2022-2421)", BYTES("51-[\"a\"," PLACEHOLDER("\"x\"") "]") },
	{ "num a string of a digit (CVE-2022-2421)", BYTES("51-[\"a\"," PLACEHOLDER("\"0\"") "]") },
	{ "num the name of a method (CVE-2022-2421)",
	  BYTES("51-[\"a\"," PLACEHOLDER("\"splice\"") "]") },
	{ "num 1e9 (CVE-2022-2421)", BYTES("51-[\"a\"," PLACEHOLDER("1e9") "]") },
	{ "num past 2^64", BYTES("51-[\"a\"," PLACEHOLDER("18446744073709551616") "]") },
	{ "num with a fraction", BYTES("51-[\"a\"," PLACEHOLDER("0.5") "]") },
	{ "num null", BYTES("51-[\"a\"," PLACEHOLDER("null") "]") },
	{ "num an array", BYTES("51-[\"a\"," PLACEHOLDER("[0]") "]") },
	{ "num one too large", BYTES("52-[\"a\"," PLACEHOLDER("2") "]") },
	{ "num missing", BYTES("51-[\"a\",{\"_placeholder\":true}]") },
	{ "num in another letter case", BYTES("51-[\"a\",{\"_placeholder\":true,\"Num\":0}]") },
	{ "num before the mark", BYTES("51-[\"a\",{\"num\":1,\"_placeholder\":true}]") },
	{ "num twice", BYTES("51-[\"a\",{\"_placeholder\":true,\"num\":0,\"num\":1}]") },
	{ "num twice, first wrong",
	  BYTES("51-[\"a\",{\"_placeholder\":true,\"num\":1,\"num\":0}]") },
	{ "mark twice",
	  BYTES("51-[\"a\",{\"_placeholder\":true,\"_placeholder\":false,\"num\":1}]") },
	{ "mark escaped", BYTES("51-[\"a\",{\"\\u005fplaceholder\":true,\"num\":1}]") },
	{ "num escaped", BYTES("51-[\"a\",{\"_placeholder\":true,\"n\\u0075m\":1}]") },
	{ "mark with blanks", BYTES("51-[\"a\",{ \"_placeholder\" : true , \"num\" : 1 }]") },
	{ "placeholder deep down",
	  BYTES("51-[\"a\",[[{\"k\":[1,{\"l\":" PLACEHOLDER("1") "}]}]]]") },
	{ "placeholder in a placeholder",
	  BYTES("51-[\"a\",{\"_placeholder\":true,\"num\":0,\"x\":" PLACEHOLDER("1") "}]") },
	{ "placeholder as the name", BYTES("51-[" PLACEHOLDER("0") "]") },
	{ "placeholder with num -1 as the name (CVE-2022-2421)",
	  BYTES("51-[" PLACEHOLDER("-1") "]") },
	{ "placeholder with num x as the name (CVE-2022-2421)",
	  BYTES("51-[" PLACEHOLDER("\"x\"") "]") },
	{ "placeholder with num 1e9 as the name (CVE-2022-2421)",
	  BYTES("51-[" PLACEHOLDER("1e9") "]") },
	{ "placeholder in an ack out of range", BYTES("61-7[" PLACEHOLDER("1") "]") },
	{ "placeholder for the array", BYTES("51-" PLACEHOLDER("0")) },
};

static void test_bad(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct sio_packet p;
		if (sio_decode(bad[i].text, &p))
			fail_msg("%s: accepted", bad[i].what);
	}
}

/* Cut anywhere, a packet is read within its bytes (a sanitizer watches), and never as the whole. */
static void test_prefixes(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		size_t whole = strlen(good[i].text);
		for (size_t len = 0; len < whole; len++) {
			char *copy = malloc(len ? len : 1);
			memcpy(copy, good[i].text, len);
			struct sio_packet p;
			bool ok = sio_decode((struct str){ copy, len }, &p);
			free(copy);
			/* Only blanks behind the array may be missing. */
			size_t blanks = strspn(good[i].text + len, " \n");
			if (ok && p.event.p && len + blanks != whole)
				fail_msg("%.*s: an event", (int)len, good[i].text);
		}
	}
}

/* The event and its arguments, as "name|arg|arg|". */
static void describe(const char *text, struct buf *out)
{
	struct sio_packet p;
	if (!sio_decode(str_z(text), &p))
		fail_msg("%s: refused", text);
	buf_clear(out);
	buf_str(out, p.event);
	buf_char(out, '|');
	struct str value;
	while (sio_next_arg(&p.args, &value)) {
		buf_str(out, value);
		buf_char(out, '|');
	}
	assert_int_equal(p.args.len, 0);
}

static void test_args(void **state UNUSED)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{ "2[\"foo\"]", "\"foo\"|" },
		{ "2[\"message\",1,\"2\",{\"3\":[true]}]", "\"message\"|1|\"2\"|{\"3\":[true]}|" },
		{ "2[7,null,[],[[1,2],{}],-0.5e+3,false]", "7|null|[]|[[1,2],{}]|-0.5e+3|false|" },
		{ "2[\"a,b]\",\"],\\\"\",{\"]\":\",\"}]", "\"a,b]\"|\"],\\\"\"|{\"]\":\",\"}|" },
		{ "2[ \"a\" , 1\t,\n[ 2 , 3 ]\r\n]", "\"a\"|1|[ 2 , 3 ]|" },
		{ "2[ \"a\" ]", "\"a\"|" },
		{ "52-/n,1[\"e\",{\"_placeholder\":true,\"num\":1},2]",
		  "\"e\"|{\"_placeholder\":true,\"num\":1}|2|" },
	};
	struct buf out = { 0 };
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		describe(rows[i].text, &out);
		assert_str(rows[i].text, "arguments", buf_view(&out), rows[i].expected);
	}
	buf_fini(&out);
}

static void test_args_raw(void **state UNUSED)
{
	struct sio_packet p;
	assert_true(sio_decode(STR("2[\"a\",1,{\"b\":2}]"), &p));
	assert_str("event", "args", p.args, "1,{\"b\":2}");
	assert_true(sio_decode(STR("2[ \"a\" , 1 ]"), &p));
	assert_str("event", "args", p.args, "1");
	assert_true(sio_decode(STR("2[\"a\"]"), &p));
	assert_int_equal(p.args.len, 0);
	assert_true(sio_decode(STR("30[1]"), &p));
	assert_null(p.event.p);
	struct str none = STR_NONE, value;
	assert_false(sio_next_arg(&none, &value));
}

static bool decode_nested(unsigned depth)
{
	struct buf b = { 0 };
	buf_z(&b, "51-[\"a\",");
	for (unsigned i = 1; i < depth; i++)
		buf_char(&b, '[');
	buf_z(&b, "1");
	for (unsigned i = 0; i < depth; i++)
		buf_char(&b, ']');
	struct sio_packet p;
	bool ok = sio_decode(buf_view(&b), &p);
	buf_fini(&b);
	return ok;
}

static void test_nesting(void **state UNUSED)
{
	assert_true(decode_nested(JSON_DEPTH));
	assert_false(decode_nested(JSON_DEPTH + 1));
	assert_false(decode_nested(100000));
}

static void test_encode(void **state UNUSED)
{
	static const struct {
		enum sio_type type;
		unsigned attachments;
		const char *nsp, *id, *data, *expected;
	} rows[] = {
		{ SIO_CONNECT, 0, "/", NULL, "{\"sid\":\"wZX3\"}", "0{\"sid\":\"wZX3\"}" },
		{ SIO_CONNECT, 0, "/admin", NULL, "{\"sid\":\"oSO0\"}",
		  "0/admin,{\"sid\":\"oSO0\"}" },
		{ SIO_CONNECT_ERROR, 0, "/random", NULL, "{\"message\":\"Invalid namespace\"}",
		  "4/random,{\"message\":\"Invalid namespace\"}" },
		{ SIO_DISCONNECT, 0, "/", NULL, NULL, "1" },
		{ SIO_DISCONNECT, 0, "/admin", NULL, NULL, "1/admin," },
		{ SIO_EVENT, 0, "/", NULL, "[\"auth\",{}]", "2[\"auth\",{}]" },
		{ SIO_EVENT, 0, "/admin", "13", "[\"x\"]", "2/admin,13[\"x\"]" },
		{ SIO_EVENT, 0, NULL, "0", "[\"q\",1]", "20[\"q\",1]" },
		{ SIO_ACK, 0, "/", "456", "[1,\"2\",{\"3\":[false]}]",
		  "3456[1,\"2\",{\"3\":[false]}]" },
		{ SIO_ACK, 0, "/", "0", "[]", "30[]" },
		{ SIO_BINARY_EVENT, 1, "/", NULL, "[\"echo\"," PLACEHOLDER("0") "]",
		  "51-[\"echo\"," PLACEHOLDER("0") "]" },
		{ SIO_BINARY_EVENT, 2, "/admin", "13", "[\"e\"]", "52-/admin,13[\"e\"]" },
		{ SIO_BINARY_ACK, 1, "/", "7", "[" PLACEHOLDER("0") "]",
		  "61-7[" PLACEHOLDER("0") "]" },
	};
	struct buf b = { 0 };
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		buf_clear(&b);
		sio_encode(&b, rows[i].type, rows[i].attachments, str_z(rows[i].nsp),
		           str_z(rows[i].id), str_z(rows[i].data));
		assert_str(rows[i].expected, "encoding", buf_view(&b), rows[i].expected);
	}
	buf_fini(&b);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_args),
		cmocka_unit_test(test_args_raw),
		cmocka_unit_test(test_nesting),
		cmocka_unit_test(test_encode),
	};
	return cmocka_run_group_tests_name("sio_codec", tests, NULL, NULL);
}

/* The head of a request: what is taken, what is refused and how early, however it is cut. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/buf.h"
#include "worker/net/head.h"

#define BYTES(literal) { literal, sizeof(literal) - 1 }

static void assert_str(struct str s, const char *expected)
{
	if (!str_eqz(s, expected))
		fail_msg("\"%.*s\" instead of \"%s\"", STR_ARG(s), expected);
}

/* Parses a copy that ends where the bytes do, so that reading past them is seen. */
static int parse_copy(struct str bytes, size_t len, struct head *h)
{
	char *copy = malloc(len ? len : 1);
	memcpy(copy, bytes.p, len);
	int r = head_parse((struct str){ copy, len }, h);
	free(copy);
	return r;
}

/* Every prefix says "more" until one settles it, and what it says stands from then on. */
static void assert_outcome(const char *what, struct str bytes, int expected)
{
	struct head h;
	int settled = 0;
	for (size_t len = 0; len <= bytes.len; len++) {
		int r = parse_copy(bytes, len, &h);
		if (settled && r != settled)
			fail_msg("%s: %d, but %d after %zu bytes", what, settled, r, len);
		if (r > 0 && (size_t)r != len && !settled)
			fail_msg("%s: length %d after %zu bytes", what, r, len);
		settled = r;
	}
	if (settled != expected)
		fail_msg("%s: %d instead of %d", what, settled, expected);
}

static struct head parse(const char *text)
{
	struct head h;
	int r = head_parse(str_z(text), &h);
	if (r <= 0)
		fail_msg("%d for \"%s\"", r, text);
	return h;
}

static void test_polling_request(void **state UNUSED)
{
	static const char text[] =
		"POST /socket.io/?EIO=4&transport=polling&sid=abc HTTP/1.1\r\n"
		"Host: localhost:3000\r\n"
		"Content-type: text/plain;charset=UTF-8\r\n"
		"Content-Length: 5\r\n"
		"Accept: */*\r\n"
		"X-Empty:\r\n"
		"X-Blanks: \t a b \t \r\n"
		"X-Opaque: gr\xc3\xbc\xdf" "e\r\n"
		"\r\n";
	assert_outcome("polling", STR(text), (int)sizeof(text) - 1);
	struct head h = parse(text);
	assert_str(h.method, "POST");
	assert_str(h.target, "/socket.io/?EIO=4&transport=polling&sid=abc");
	assert_str(h.path, "/socket.io/");
	assert_str(h.query, "EIO=4&transport=polling&sid=abc");
	assert_int_equal(h.n, 7);
	assert_int_equal(h.minor, 1);
	assert_int_equal(h.body, BODY_LENGTH);
	assert_int_equal(h.length, 5);
	assert_true(h.keep_alive);
	assert_false(h.upgrade);
	assert_false(h.expect_continue);
	assert_str(head_field(&h, "CONTENT-TYPE"), "text/plain;charset=UTF-8");
	assert_str(head_field(&h, "x-blanks"), "a b");
	assert_non_null(head_field(&h, "x-empty").p);
	assert_int_equal(head_field(&h, "x-empty").len, 0);
	assert_null(head_field(&h, "x-absent").p);
}

static void test_length_excludes_what_follows(void **state UNUSED)
{
	struct head h;
	assert_int_equal(head_parse(STR("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1"), &h),
	                 27);
	assert_null(h.query.p);
	assert_int_equal(head_parse(STR("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n\x01"), &h), 29);
}

static void test_connection(void **state UNUSED)
{
	static const struct {
		const char *rest;
		bool keep_alive, upgrade;
	} rows[] = {
		{ "1.1\r\nHost: a\r\n", true, false },
		{ "1.1\r\nHost: a\r\nConnection: close\r\n", false, false },
		{ "1.1\r\nHost: a\r\nConnection: Keep-Alive\r\n", true, false },
		{ "1.1\r\nHost: a\r\nConnection: foo , CLOSE,\r\n", false, false },
		{ "1.1\r\nHost: a\r\nConnection: closed\r\n", true, false },
		{ "1.1\r\nHost: a\r\nConnection: a\r\nConnection: close\r\n", false, false },
		{ "1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", true, true },
		{ "1.1\r\nHost: a\r\nConnection: x, Upgrade\r\nUpgrade: WebSocket\r\n",
		  true, true },
		{ "1.1\r\nHost: a\r\nUpgrade: websocket\r\n", true, false },
		{ "1.1\r\nHost: a\r\nConnection: Upgrade\r\n", true, false },
		{ "1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade:\r\n", true, false },
		{ "1.0\r\n", false, false },
		{ "1.0\r\nConnection: keep-alive\r\n", true, false },
		{ "1.0\r\nConnection: keep-alive, close\r\n", false, false },
		{ "1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n", false, false },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct buf text = { 0 };
		buf_printf(&text, "GET / HTTP/%s\r\n", rows[i].rest);
		struct head h;
		assert_int_equal(head_parse(buf_view(&text), &h), text.len);
		if (h.keep_alive != rows[i].keep_alive || h.upgrade != rows[i].upgrade)
			fail_msg("keep_alive %d, upgrade %d for %s", h.keep_alive, h.upgrade,
			         rows[i].rest);
		buf_fini(&text);
	}
}

static void test_body_kind(void **state UNUSED)
{
	struct head h = parse("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(h.body, BODY_NONE);
	h = parse("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked \r\n\r\n");
	assert_int_equal(h.body, BODY_CHUNKED);
	h = parse("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
	assert_int_equal(h.body, BODY_LENGTH);
	assert_int_equal(h.length, 0);
	h = parse("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775807\r\n\r\n");
	assert_true(h.length == INT64_MAX);
}

static void test_expect(void **state UNUSED)
{
	assert_true(parse("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\n"
	                  "Content-Length: 5\r\n\r\n").expect_continue);
	assert_false(parse("POST / HTTP/1.0\r\nExpect: 100-continue\r\n"
	                   "Content-Length: 5\r\n\r\n").expect_continue);
	assert_false(parse("GET / HTTP/1.1\r\nHost: a\r\n"
	                   "Expect: 100-continue\r\n\r\n").expect_continue);
	assert_false(parse("POST / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n"
	                   "Content-Length: 5\r\n\r\n").expect_continue);
}

static void test_target_forms(void **state UNUSED)
{
	static const struct {
		const char *line, *target, *path, *query;
	} rows[] = {
		{ "GET /", "/", "/", NULL },
		{ "GET /a?", "/a?", "/a", "" },
		{ "GET /a?b?c", "/a?b?c", "/a", "b?c" },
		{ "GET //a/../%00|\"", "//a/../%00|\"", "//a/../%00|\"", NULL },
		{ "OPTIONS *", "*", "*", NULL },
		{ "GET http://h/a?b", "/a?b", "/a", "b" },
		{ "GET HTTPS://h/", "/", "/", NULL },
		{ "GET http://h", "/", "/", NULL },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct buf text = { 0 };
		buf_printf(&text, "%s HTTP/1.1\r\nHost: H\r\n\r\n", rows[i].line);
		struct head h;
		assert_int_equal(head_parse(buf_view(&text), &h), text.len);
		assert_str(h.target, rows[i].target);
		assert_str(h.path, rows[i].path);
		assert_true((h.query.p != NULL) == (rows[i].query != NULL));
		assert_str(h.query, rows[i].query);
		buf_fini(&text);
	}
}

/* Vectors of the kinds that servers were caught with; each whole but for the fault. */
static const struct vector {
	const char *what;
	struct str bytes;
	int expected;
} vectors[] = {
#define REQUEST(fields) BYTES("POST / HTTP/1.1\r\nHost: a\r\n" fields "\r\n")
	/* Where the body ends. */
	{ "two different Content-Lengths",
	  REQUEST("Content-Length: 4\r\nContent-Length: 5\r\n"), -400 },
	{ "two equal Content-Lengths",
	  REQUEST("Content-Length: 4\r\nContent-Length: 4\r\n"), -400 },
	{ "Content-Length as a list", REQUEST("Content-Length: 4, 4\r\n"), -400 },
	{ "Content-Length with plus", REQUEST("Content-Length: +4\r\n"), -400 },
	{ "Content-Length with plus (CVE-2026-63382)", REQUEST("Content-Length: +5\r\n"), -400 },
	{ "Content-Length negative", REQUEST("Content-Length: -1\r\n"), -400 },
	{ "Content-Length hexadecimal", REQUEST("Content-Length: 0x10\r\n"), -400 },
	{ "Content-Length with a fraction", REQUEST("Content-Length: 1.0\r\n"), -400 },
	{ "Content-Length with a blank inside", REQUEST("Content-Length: 1 0\r\n"), -400 },
	{ "Content-Length empty", REQUEST("Content-Length:\r\n"), -400 },
	{ "Content-Length of 2^63", REQUEST("Content-Length: 9223372036854775808\r\n"), -413 },
	{ "Content-Length of 2^64", REQUEST("Content-Length: 18446744073709551616\r\n"), -413 },
	{ "Content-Length, then chunked (CVE-2026-63382)",
	  REQUEST("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"), -400 },
	{ "chunked, then Content-Length",
	  REQUEST("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n"), -400 },
	{ "chunked, then Content-Length of 0",
	  REQUEST("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"), -400 },
	{ "chunked twice in a list", REQUEST("Transfer-Encoding: chunked, chunked\r\n"), -400 },
	{ "chunked twice",
	  REQUEST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), -400 },
	{ "chunked and a comma", REQUEST("Transfer-Encoding: chunked,\r\n"), -400 },
	{ "Transfer-Encoding empty", REQUEST("Transfer-Encoding:\r\n"), -400 },
	{ "Transfer-Encoding of gzip", REQUEST("Transfer-Encoding: gzip\r\n"), -501 },
	{ "Transfer-Encoding of gzip, chunked",
	  REQUEST("Transfer-Encoding: gzip, chunked\r\n"), -501 },
	{ "Transfer-Encoding of chunked, identity",
	  REQUEST("Transfer-Encoding: chunked, identity\r\n"), -501 },
	{ "Transfer-Encoding of identity", REQUEST("Transfer-Encoding: identity\r\n"), -501 },
	{ "Transfer-Encoding of xchunked", REQUEST("Transfer-Encoding: xchunked\r\n"), -501 },
	{ "Transfer-Encoding quoted", REQUEST("Transfer-Encoding: \"chunked\"\r\n"), -501 },
	{ "Transfer-Encoding with a parameter",
	  REQUEST("Transfer-Encoding: chunked;q=1\r\n"), -501 },
	{ "Transfer-Encoding after a vertical tab",
	  REQUEST("Transfer-Encoding: \vchunked\r\n"), -400 },
	{ "Transfer-Encoding behind a blank", REQUEST(" Transfer-Encoding: chunked\r\n"), -400 },
	{ "Transfer-Encoding before a blank", REQUEST("Transfer-Encoding : chunked\r\n"), -400 },
	{ "Transfer-Encoding in HTTP/1.0",
	  BYTES("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), -400 },
	/* Fields. */
	{ "obs-fold by a blank (CVE-2026-63382)", REQUEST("X: a\r\n b\r\n"), -400 },
	{ "obs-fold by a tab", REQUEST("X: a\r\n\tb\r\n"), -400 },
	{ "obs-fold before the first field",
	  BYTES("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), -400 },
	{ "blank before the colon", BYTES("GET / HTTP/1.1\r\nHost : a\r\n\r\n"), -400 },
	{ "tab before the colon", BYTES("GET / HTTP/1.1\r\nHost\t: a\r\n\r\n"), -400 },
	{ "no colon", REQUEST("Nothing\r\n"), -400 },
	{ "empty name", REQUEST(": a\r\n"), -400 },
	{ "name with a bracket", REQUEST("X(a): b\r\n"), -400 },
	{ "name with NUL", REQUEST("X\0Y: b\r\n"), -400 },
	{ "name past ASCII", REQUEST("X\xc3\xa4: b\r\n"), -400 },
	{ "NUL in a value", REQUEST("X: a\0b\r\n"), -400 },
	{ "control byte in a value", REQUEST("X: a\x01\r\n"), -400 },
	{ "DEL in a value", REQUEST("X: a\x7f\r\n"), -400 },
	{ "bare CR in a value", REQUEST("X: a\rb\r\n"), -400 },
	{ "bare CR hides a field (CVE-2026-63385)", REQUEST("X: a\rContent-Length: 5\r\n"), -400 },
	{ "two CRs at a line's end", REQUEST("X: a\r\r\n"), -400 },
	/* Line ends. */
	{ "bare LF after the request line", BYTES("GET / HTTP/1.1\nHost: a\r\n\r\n"), -400 },
	{ "bare LF after a field", REQUEST("X: a\n"), -400 },
	{ "bare LF hides a field (CVE-2026-63382)", REQUEST("X: a\nContent-Length: 5\r\n"), -400 },
	{ "bare LF at the end", BYTES("GET / HTTP/1.1\r\nHost: a\r\n\n"), -400 },
	{ "bare LF first", BYTES("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), -400 },
	{ "bare CR first", BYTES("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n"), -400 },
	{ "two empty lines first", BYTES("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), -400 },
	/* Host. */
	{ "no Host", BYTES("GET / HTTP/1.1\r\nX: a\r\n\r\n"), -400 },
	{ "two Hosts", BYTES("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), -400 },
	{ "two equal Hosts", BYTES("GET / HTTP/1.0\r\nHost: a\r\nhost: a\r\n\r\n"), -400 },
	{ "Host with a list", BYTES("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"), -400 },
	{ "Host with a path", BYTES("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), -400 },
	{ "Host with a user", BYTES("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"), -400 },
	{ "Host with a blank", BYTES("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), -400 },
	{ "Host past ASCII", BYTES("GET / HTTP/1.1\r\nHost: \xc3\xa4\r\n\r\n"), -400 },
	{ "Host with a percent", BYTES("GET / HTTP/1.1\r\nHost: a%62\r\n\r\n"), -400 },
	{ "Host with a wordy port", BYTES("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n"), -400 },
	{ "Host with two ports", BYTES("GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n"), -400 },
	{ "Host of a port only", BYTES("GET / HTTP/1.1\r\nHost: :80\r\n\r\n"), -400 },
	{ "Host with an open bracket", BYTES("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"), -400 },
	{ "Host of empty brackets", BYTES("GET / HTTP/1.1\r\nHost: []\r\n\r\n"), -400 },
	{ "Host with text behind brackets", BYTES("GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n"), -400 },
	{ "Host unlike the target's", BYTES("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n"), -400 },
	/* The request line. */
	{ "HTTP/2.0", BYTES("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), -505 },
	{ "the preface of HTTP/2", BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), -505 },
	{ "HTTP/0.9", BYTES("GET / HTTP/0.9\r\nHost: a\r\n\r\n"), -505 },
	{ "HTTP/1.2", BYTES("GET / HTTP/1.2\r\nHost: a\r\n\r\n"), -505 },
	{ "a request of HTTP 0.9", BYTES("GET /\r\n"), -400 },
	{ "version in small letters", BYTES("GET / http/1.1\r\nHost: a\r\n\r\n"), -400 },
	{ "version of two digits", BYTES("GET / HTTP/1.10\r\nHost: a\r\n\r\n"), -400 },
	{ "version of one digit", BYTES("GET / HTTP/1\r\nHost: a\r\n\r\n"), -400 },
	{ "another protocol", BYTES("GET / HTTQ/1.1\r\nHost: a\r\n\r\n"), -400 },
	{ "blank after the version", BYTES("GET / HTTP/1.1 \r\nHost: a\r\n\r\n"), -400 },
	{ "two blanks before the target", BYTES("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"), -400 },
	{ "two blanks after the target", BYTES("GET /  HTTP/1.1\r\nHost: a\r\n\r\n"), -400 },
	{ "blank first", BYTES(" GET / HTTP/1.1\r\nHost: a\r\n\r\n"), -400 },
	{ "no method", BYTES(" / HTTP/1.1\r\nHost: a\r\n\r\n"), -400 },
	{ "tab after the method", BYTES("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"), -400 },
	{ "method with a bracket", BYTES("G(T / HTTP/1.1\r\nHost: a\r\n\r\n"), -400 },
	{ "TLS", BYTES("\x16\x03\x01\x02\0\x01"), -400 },
	{ "endless method", BYTES("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), -501 },
	{ "space in the target", BYTES("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"), -400 },
	{ "NUL in the target", BYTES("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"), -400 },
	{ "CR in the target", BYTES("GET /a\rb HTTP/1.1\r\nHost: a\r\n\r\n"), -400 },
	{ "tab in the target", BYTES("GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n"), -400 },
	{ "DEL in the target", BYTES("GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n"), -400 },
	{ "target past ASCII", BYTES("GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n"), -400 },
	{ "fragment", BYTES("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"), -400 },
	{ "target without a slash", BYTES("GET a HTTP/1.1\r\nHost: a\r\n\r\n"), -400 },
	{ "target of CONNECT", BYTES("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"), -400 },
	{ "star without OPTIONS", BYTES("GET * HTTP/1.1\r\nHost: a\r\n\r\n"), -400 },
	{ "star with more", BYTES("OPTIONS *a HTTP/1.1\r\nHost: a\r\n\r\n"), -400 },
	{ "another scheme", BYTES("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"), -400 },
	{ "absolute target without a host",
	  BYTES("GET http:///a HTTP/1.1\r\nHost:\r\n\r\n"), -400 },
	{ "absolute target with a user",
	  BYTES("GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n"), -400 },
	{ "absolute target without a path",
	  BYTES("GET http://a?b HTTP/1.1\r\nHost: a\r\n\r\n"), -400 },
	/* And what is right, though it looks odd. */
	{ "Host empty", BYTES("GET / HTTP/1.1\r\nHost:\r\n\r\n"), 25 },
	{ "Host of IPv6", BYTES("GET / HTTP/1.1\r\nHost: [::1]:3000\r\n\r\n"), 36 },
	{ "Host without a port's digits", BYTES("GET / HTTP/1.1\r\nHost: a_b.c:\r\n\r\n"), 32 },
	{ "tab in a value", BYTES("GET / HTTP/1.1\r\nHost: a\r\nX: a\tb\r\n\r\n"), 35 },
	{ "HTTP/1.0 without Host", BYTES("GET / HTTP/1.0\r\n\r\n"), 18 },
	{ "empty line first", BYTES("\r\nGET / HTTP/1.0\r\n\r\n"), 20 },
#undef REQUEST
};

static void test_vectors_in_every_split(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(vectors); i++)
		assert_outcome(vectors[i].what, vectors[i].bytes, vectors[i].expected);
}

/* Refused with the byte that is wrong, not at the end of the head. */
static void test_refuses_early(void **state UNUSED)
{
	static const struct {
		struct str bytes;
		int expected;
	} rows[] = {
		{ BYTES("\n"), -400 },
		{ BYTES("{"), -400 },
		{ BYTES("GET /\n"), -400 },
		{ BYTES("GET / X"), -400 },
		{ BYTES("GET / HTTP/2.0"), -505 },
		{ BYTES("GET / HTTP/1.1\n"), -400 },
		{ BYTES("GET / HTTP/1.1\r\n "), -400 },
		{ BYTES("GET / HTTP/1.1\r\nHost "), -400 },
		{ BYTES("GET / HTTP/1.1\r\nHost: a\n"), -400 },
		{ BYTES("GET / HTTP/1.1\r\nX: \0"), -400 },
		{ BYTES("GET / HTTP/1.1\r\nContent-Length: +4\r\n"), -400 },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct head h;
		assert_int_equal(parse_copy(rows[i].bytes, rows[i].bytes.len, &h),
		                 rows[i].expected);
		assert_int_equal(parse_copy(rows[i].bytes, rows[i].bytes.len - 1, &h), 0);
	}
}

static void add_repeated(struct buf *b, char c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_char(b, c);
}

/* A head of exactly `size` bytes, the last field filling it up. */
static struct buf head_of_size(size_t size)
{
	struct buf b = { 0 };
	buf_z(&b, "GET / HTTP/1.1\r\nHost: a\r\nCookie: ");
	add_repeated(&b, 'c', size - b.len - 4);
	buf_z(&b, "\r\n\r\n");
	return b;
}

static void test_size_limit(void **state UNUSED)
{
	struct head h;
	struct buf b = head_of_size(HEAD_MAX_BYTES);
	assert_int_equal(head_parse(buf_view(&b), &h), HEAD_MAX_BYTES);
	assert_int_equal(parse_copy(buf_view(&b), HEAD_MAX_BYTES - 1, &h), 0);
	buf_fini(&b);
	b = head_of_size(HEAD_MAX_BYTES + 1);
	assert_int_equal(head_parse(buf_view(&b), &h), -431);
	assert_int_equal(parse_copy(buf_view(&b), HEAD_MAX_BYTES, &h), -431);
	buf_fini(&b);
	b = head_of_size(100 * 1024);
	assert_int_equal(head_parse(buf_view(&b), &h), -431);
	buf_fini(&b);
}

static void test_target_limit(void **state UNUSED)
{
	struct head h;
	struct buf b = { 0 };
	buf_z(&b, "GET /");
	add_repeated(&b, 'a', 8 * 1024 - 1);
	assert_int_equal(head_parse(buf_view(&b), &h), 0);
	struct buf fits = { 0 };
	buf_str(&fits, buf_view(&b));
	buf_z(&fits, " HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(head_parse(buf_view(&fits), &h), fits.len);
	buf_char(&b, 'a');
	assert_int_equal(head_parse(buf_view(&b), &h), -414);
	add_repeated(&b, 'a', 1024 * 1024);
	assert_int_equal(head_parse(buf_view(&b), &h), -414);
	buf_fini(&b);
	buf_fini(&fits);
}

/* As many as crashed the reference's WebSocket library (CVE-2024-37890), and more. */
static void test_field_limit(void **state UNUSED)
{
	struct head h;
	struct buf b = { 0 };
	buf_z(&b, "GET / HTTP/1.1\r\nHost: a\r\n");
	for (int i = 1; i < HEAD_MAX_FIELDS; i++)
		buf_z(&b, "a:b\r\n");
	struct buf fits = { 0 };
	buf_str(&fits, buf_view(&b));
	buf_z(&fits, "\r\n");
	assert_int_equal(head_parse(buf_view(&fits), &h), fits.len);
	assert_int_equal(h.n, HEAD_MAX_FIELDS);
	assert_int_equal(head_parse(buf_view(&b), &h), 0);
	buf_char(&b, 'a');
	assert_int_equal(head_parse(buf_view(&b), &h), -431);
	for (int i = 0; i < 10000; i++)
		buf_z(&b, ":b\r\na");
	assert_int_equal(head_parse(buf_view(&b), &h), -431);
	buf_fini(&b);
	buf_fini(&fits);
}

static void test_has_token(void **state UNUSED)
{
	struct head h = parse("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br , GZIP\r\n"
	                      "accept-encoding: deflate;q=1,,x\r\n\r\n");
	assert_true(head_has_token(&h, "Accept-Encoding", "gzip"));
	assert_true(head_has_token(&h, "Accept-Encoding", "BR"));
	assert_true(head_has_token(&h, "Accept-Encoding", "x"));
	assert_false(head_has_token(&h, "Accept-Encoding", "deflate"));
	assert_false(head_has_token(&h, "Accept-Encoding", "b"));
	assert_false(head_has_token(&h, "Accept", "gzip"));
}

/* A head of one request leaves nothing behind in the next. */
static void test_reuse(void **state UNUSED)
{
	struct head h;
	head_parse(STR("POST /a?b HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n"
	               "Content-Length: 7\r\nExpect: 100-continue\r\n\r\n"), &h);
	assert_true(h.upgrade && h.expect_continue);
	assert_int_equal(head_parse(STR("GET / HTTP/1.0\r\n\r\n"), &h), 18);
	assert_int_equal(h.n, 0);
	assert_int_equal(h.body, BODY_NONE);
	assert_int_equal(h.length, 0);
	assert_false(h.upgrade || h.expect_continue || h.keep_alive);
	assert_null(h.query.p);
}

static void test_percent_decode(void **state UNUSED)
{
	static const struct {
		struct str raw;
		bool form, ok;
		const char *text;
	} rows[] = {
		{ BYTES(""), false, true, "" },
		{ BYTES("a%20b"), false, true, "a b" },
		{ BYTES("a+b"), false, true, "a+b" },
		{ BYTES("a+b%2B"), true, true, "a b+" },
		{ BYTES("%c3%A4"), false, true, "\xc3\xa4" },
		{ BYTES("%2e%2E/%25"), false, true, "../%" },
		{ BYTES("%"), false, false, NULL },
		{ BYTES("%4"), false, false, NULL },
		{ BYTES("a%4g"), false, false, NULL },
		{ BYTES("%g4"), false, false, NULL },
		{ BYTES("% 41"), false, false, NULL },
		{ BYTES("%00"), false, false, NULL },
		{ BYTES("a\0b"), false, false, NULL },
		{ BYTES("%ff"), false, false, NULL },
		{ BYTES("%c0%ae"), false, false, NULL },
		{ BYTES("%ed%a0%80"), false, false, NULL },
	};
	struct arena a = { 0 };
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		bool ok = !rows[i].ok;
		struct str text = percent_decode(&a, rows[i].raw, rows[i].form, &ok);
		assert_int_equal(ok, rows[i].ok);
		assert_str(text, rows[i].text);
		assert_true((text.p != NULL) == ok);
	}
	arena_fini(&a);
}

static void test_query(void **state UNUSED)
{
	struct arena a = { 0 };
	struct str query = STR("&EIO=4&t%72ansport=polling&bad=%zz&flag&x=a=b&name=J%C3%B6+B"
	                       "&%zz=1&x=2&&=3&zero=%00&%ff=%ff&");
	assert_str(query_get(&a, query, "EIO"), "4");
	assert_str(query_get(&a, query, "transport"), "polling");
	assert_str(query_get(&a, query, "x"), "a=b");
	assert_str(query_get(&a, query, "name"), "J\xc3\xb6 B");
	assert_non_null(query_get(&a, query, "flag").p);
	assert_int_equal(query_get(&a, query, "flag").len, 0);
	assert_null(query_get(&a, query, "bad").p);
	assert_null(query_get(&a, query, "eio").p);
	assert_null(query_get(&a, STR_NONE, "EIO").p);
	static const struct {
		enum query_pair pair;
		const char *name, *value;    /* NULL: it cannot be decoded */
	} rows[] = {
		{ QUERY_PAIR, "EIO", "4" },
		{ QUERY_PAIR, "transport", "polling" },
		{ QUERY_MALFORMED, "bad", NULL },
		{ QUERY_PAIR, "flag", "" },
		{ QUERY_PAIR, "x", "a=b" },
		{ QUERY_PAIR, "name", "J\xc3\xb6 B" },
		{ QUERY_MALFORMED, NULL, "1" },
		{ QUERY_PAIR, "x", "2" },
		{ QUERY_PAIR, "", "3" },
		{ QUERY_MALFORMED, "zero", NULL },
		{ QUERY_MALFORMED, NULL, NULL },
	};
	struct str name, value;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_int_equal(query_next(&a, &query, &name, &value), rows[i].pair);
		assert_str(name, rows[i].name);
		assert_str(value, rows[i].value);
		assert_int_equal(name.p == NULL, rows[i].name == NULL);
		assert_int_equal(value.p == NULL, rows[i].value == NULL);
	}
	assert_int_equal(query_next(&a, &query, &name, &value), QUERY_END);
	assert_int_equal(query_next(&a, &query, &name, &value), QUERY_END);
	arena_fini(&a);
}

/* The first one that can be read counts, whatever stands before it. */
static void test_query_get_passes_over_malformed_pairs(void **state UNUSED)
{
	struct arena a = { 0 };
	assert_str(query_get(&a, STR("x=%ff&x=%&%=1&x=2&x=3"), "x"), "2");
	assert_null(query_get(&a, STR("x=%ff&%78%=1"), "x").p);
	arena_fini(&a);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_polling_request),
		cmocka_unit_test(test_length_excludes_what_follows),
		cmocka_unit_test(test_connection),
		cmocka_unit_test(test_body_kind),
		cmocka_unit_test(test_expect),
		cmocka_unit_test(test_target_forms),
		cmocka_unit_test(test_vectors_in_every_split),
		cmocka_unit_test(test_refuses_early),
		cmocka_unit_test(test_size_limit),
		cmocka_unit_test(test_target_limit),
		cmocka_unit_test(test_field_limit),
		cmocka_unit_test(test_has_token),
		cmocka_unit_test(test_reuse),
		cmocka_unit_test(test_percent_decode),
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_query_get_passes_over_malformed_pairs),
	};
	return cmocka_run_group_tests_name("head", tests, NULL, NULL);
}

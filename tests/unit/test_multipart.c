/* multipart/form-data: parts, names and contents in every split, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "worker/net/multipart.h"

#define TYPE "multipart/form-data; boundary=B"

/* All that comes of a body, as text: (name|filename)content. */
static enum multipart_event tell(struct multipart *m, struct str in, struct buf *out)
{
	enum multipart_event event = MULTIPART_MORE;
	struct str data;
	while (in.len > 0 && event != MULTIPART_BAD && event != MULTIPART_OVER) {
		event = multipart_next(m, &in, &data);
		if (event == MULTIPART_PART)
			buf_printf(out, "(%.*s|%.*s)", STR_ARG(m->name), STR_ARG(m->filename));
		else if (event == MULTIPART_DATA)
			buf_str(out, data);
		else if (event == MULTIPART_END)
			buf_char(out, '.');
	}
	return event;
}

/* In two pieces, cut at `at`, each in memory of just its size. */
static enum multipart_event tell_cut(struct str body, size_t at, struct buf *out)
{
	struct multipart m;
	enum multipart_event event = MULTIPART_MORE;
	struct str pieces[] = { { body.p, at }, str_from(body, at) };
	assert_true(multipart_init(&m, STR(TYPE)));
	for (size_t i = 0; i < 2 && event != MULTIPART_BAD && event != MULTIPART_OVER; i++) {
		char *copy = malloc(pieces[i].len + !pieces[i].len);
		memcpy(copy, pieces[i].p, pieces[i].len);
		event = tell(&m, (struct str){ copy, pieces[i].len }, out);
		free(copy);
	}
	multipart_fini(&m);
	return event;
}

#define PART(name, content) \
	"--B\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" content "\r\n"

static const struct {
	const char *body, *told;
} good[] = {
	{ PART("a", "hello") "--B--\r\n", "(a|)hello." },
	{ PART("a", "") "--B--", "(a|)." },
	{ "--B--", "" },
	{ "\r\n--B--\r\nafter", "" },
	{ "before\r\n" PART("a", "1") PART("b", "2") "--B--\r\n", "(a|)1.(b|)2." },
	{ PART("a", "\r\n") "--B--", "(a|)\r\n." },
	{ PART("a", "\r\n--\r\n--C\r\r\n-") "--B--", "(a|)\r\n--\r\n--C\r\r\n-." },
	{ PART("a", "--B--") "--B--", "(a|)--B--." },
	{ PART("a\"; filename=\"b.png", "x") "--B--", "(a|b.png)x." },
	{ PART("a\"; filename=\"", "x") "--B--", "(a|)x." },
	{ PART("a\"; filename=\"a%22b%.png", "x") "--B--", "(a|a\"b%.png)x." },
	{ PART("a\"; filename=\"a\\\"b\\\\c\\d", "x") "--B--", "(a|a\"b\\c\\d)x." },
	{ "--B\r\ncontent-type: text/plain\r\n"
	  "CONTENT-DISPOSITION:form-data ; name=a;filename=b.c\r\n\r\nx\r\n--B--",
	  "(a|b.c)x." },
};

static void test_good(void **state UNUSED)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct str body = str_z(good[i].body);
		for (size_t at = 0; at <= body.len; at++) {
			struct buf out = { 0 };
			enum multipart_event event = tell_cut(body, at, &out);
			buf_char(&out, '\0');
			if (event != MULTIPART_OVER || strcmp(out.p, good[i].told) != 0)
				fail_msg("body %zu cut at %zu: event %d: %s", i, at, (int)event,
				         out.p);
			buf_fini(&out);
		}
	}
}

static const char *const bad[] = {
	"--Bx\r\n", "--B \r\n", "--B-x", "--B\rx", PART("a", "x") "--Bad\r\n",
	"--B\r\n\r\nx\r\n--B--",                                         /* says not what it is */
	"--B\r\nContent-Disposition: form-data\r\n\r\n",                 /* without a name */
	"--B\r\nContent-Disposition: attachment; name=a\r\n\r\n",
	"--B\r\nContent-Disposition: form-data; name=\"a\r\n\r\n",
	"--B\r\nContent-Disposition: form-data; name=\r\n\r\n",
	"--B\r\nContent-Disposition: form-data; name=a b\r\n\r\n",
	"--B\r\nContent-Disposition: form-data; name=\"a\tb\001\"\r\n\r\n",
	("--B\r\nContent-Disposition: form-data; name=a\r\n"
	 "Content-Disposition: form-data; name=b\r\n\r\n"),
};

static void test_bad(void **state UNUSED)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct str body = str_z(bad[i]);
		for (size_t at = 0; at <= body.len; at++) {
			struct buf out = { 0 };
			if (tell_cut(body, at, &out) != MULTIPART_BAD)
				fail_msg("body %zu cut at %zu is taken", i, at);
			buf_fini(&out);
		}
	}
}

static void test_bounds(void **state UNUSED)
{
	struct buf body = { 0 }, out = { 0 };
	buf_z(&body, "--B\r\nContent-Disposition: form-data; name=\"");
	for (int i = 0; i < PART_HEAD_MAX; i++)
		buf_char(&body, 'x');
	assert_int_equal(tell_cut(buf_view(&body), 0, &out), MULTIPART_BAD);
	buf_clear(&body);
	for (int i = 0; i <= PARTS_MAX; i++)
		buf_z(&body, PART("a", "x"));
	assert_int_equal(tell_cut(buf_view(&body), 0, &out), MULTIPART_BAD);
	buf_fini(&body);
	buf_fini(&out);
}

static const struct {
	const char *type;
	const char *delimiter;       /* NULL: refused */
} types[] = {
	{ "multipart/form-data; boundary=abc", "\r\n--abc" },
	{ "Multipart/Form-Data ;charset=utf-8 ; Boundary=\"a b:c\"", "\r\n--a b:c" },
	{ "multipart/form-data; boundary=a;", "\r\n--a" },
	{ "multipart/form-data; boundary="
	  "0123456789012345678901234567890123456789012345678901234567890123456789",
	  "\r\n--0123456789012345678901234567890123456789012345678901234567890123456789" },
	{ "multipart/form-data; boundary="
	  "01234567890123456789012345678901234567890123456789012345678901234567890", NULL },
	{ "multipart/form-data", NULL },
	{ "multipart/form-data; boundary=", NULL },
	{ "multipart/form-data; boundary=\"\"", NULL },
	{ "multipart/form-data; boundary=\"a", NULL },
	{ "multipart/form-data; boundary=\"a \"", NULL },
	{ "multipart/mixed; boundary=a", NULL },
	{ "application/json", NULL },
	{ "", NULL },
};

static void test_types(void **state UNUSED)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct multipart m;
		if (multipart_init(&m, str_z(types[i].type)) != (types[i].delimiter != NULL))
			fail_msg("%s", types[i].type);
		if (types[i].delimiter == NULL)
			continue;
		assert_int_equal(m.length, strlen(types[i].delimiter));
		assert_memory_equal(m.delimiter, types[i].delimiter, m.length);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_types),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Files to serve: read from a directory, with their compressed forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/assets.h"

struct place {
	char dir[64];
};

static char *path_in(const struct place *p, const char *name)
{
	static char path[512];
	snprintf(path, sizeof(path), "%s/%s", p->dir, name);
	return path;
}

static void write_file(const struct place *p, const char *name, const char *text)
{
	FILE *f = fopen(path_in(p, name), "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	fclose(f);
}

static int set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	strcpy(p->dir, "/tmp/confab-assets-XXXXXX");
	*state = p;
	return mkdtemp(p->dir) != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	struct place *p = *state;
	char command[128];
	snprintf(command, sizeof(command), "rm -rf '%s'", p->dir);
	const int status = system(command);
	free(p);
	return status;
}

static struct assets *load(const struct place *p)
{
	char why[256];
	struct assets *a = assets_load(p->dir, why, sizeof(why));
	assert_non_null(a);
	return a;
}

static void names_are_paths_and_types_by_extension(void **state)
{
	const struct place *p = *state;
	write_file(p, "index.html", "<!doctype html>");
	assert_int_equal(mkdir(path_in(p, "js"), 0700), 0);
	write_file(p, "js/page.js", "1");
	write_file(p, "what", "?");
	struct assets *a = load(p);
	assert_string_equal(assets_get(a, STR("index.html"))->type, "text/html; charset=utf-8");
	assert_string_equal(assets_get(a, STR("js/page.js"))->type,
	                    "text/javascript; charset=utf-8");
	assert_string_equal(assets_get(a, STR("what"))->type, "application/octet-stream");
	assert_true(str_eqz(assets_get(a, STR("js/page.js"))->forms[ASSET_PLAIN].bytes, "1"));
	assert_null(assets_get(a, STR("js")));
	assert_null(assets_get(a, STR("js/../index.html")));
	assert_null(assets_get(a, STR("")));
	assets_free(a);
}

static void twins_are_forms(void **state)
{
	const struct place *p = *state;
	write_file(p, "a.css", "plain");
	write_file(p, "a.css.gz", "zipped");
	write_file(p, "b.css", "plain");
	write_file(p, "orphan.css.br", "of nothing");
	struct assets *a = load(p);
	const struct asset *css = assets_get(a, STR("a.css"));
	assert_true(str_eqz(css->forms[ASSET_GZIP].bytes, "zipped"));
	assert_null(css->forms[ASSET_BROTLI].bytes.p);
	assert_null(assets_get(a, STR("a.css.gz")));
	assert_non_null(assets_get(a, STR("b.css")));
	assert_null(assets_get(a, STR("orphan.css.br")));
	assert_null(assets_get(a, STR("orphan.css")));
	assets_free(a);
}

static void an_etag_is_of_the_bytes(void **state)
{
	const struct place *p = *state;
	write_file(p, "a.css", "one");
	write_file(p, "a.css.gz", "two");
	write_file(p, "b.css", "one");
	write_file(p, "empty.css", "");
	struct assets *a = load(p);
	const struct asset_form *form = assets_get(a, STR("a.css"))->forms;
	const char *etag = form[ASSET_PLAIN].etag;
	assert_int_equal(strlen(etag), 26);
	assert_true(etag[0] == '"' && etag[25] == '"');
	assert_string_equal(etag, assets_get(a, STR("b.css"))->forms[ASSET_PLAIN].etag);
	assert_string_not_equal(etag, form[ASSET_GZIP].etag);
	assert_non_null(assets_get(a, STR("empty.css"))->forms[ASSET_PLAIN].bytes.p);
	assets_free(a);
}

static void hidden_files_and_links_are_left_out(void **state)
{
	const struct place *p = *state;
	char link[600];
	write_file(p, ".secret", "x");
	snprintf(link, sizeof(link), "%s/passwd", p->dir);
	assert_int_equal(symlink("/etc/passwd", link), 0);
	struct assets *a = load(p);
	assert_null(assets_get(a, STR(".secret")));
	assert_null(assets_get(a, STR("passwd")));
	assets_free(a);
}

static void what_cannot_be_read_is_named(void **state)
{
	const struct place *p = *state;
	char why[256] = "";
	assert_null(assets_load(path_in(p, "nowhere"), why, sizeof(why)));
	assert_non_null(strstr(why, "nowhere: No such file"));
	assert_null(assets_get(NULL, STR("index.html")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(names_are_paths_and_types_by_extension, set_up,
		                                tear_down),
		cmocka_unit_test_setup_teardown(twins_are_forms, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_etag_is_of_the_bytes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(hidden_files_and_links_are_left_out, set_up,
		                                tear_down),
		cmocka_unit_test_setup_teardown(what_cannot_be_read_is_named, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Files, as they are: the page at "/", the reference at "/api", the Socket.IO client.
 *
 * A file's name is its path, but for a few that go by other names. Every answer is to be
 * checked again before it is used again (no-cache), which its ETag makes cheap: no name changes
 * with its content. */
#include "worker/api/door.h"

#include <stdio.h>

#include "common/assets.h"

enum { MOST_WAITING = 256 * 1024 };

/* What the page needs and no more: its own files, and connections to where it came from. */
#define POLICY_COMMON \
	"default-src 'none'; script-src 'self'; connect-src 'self'; base-uri 'none'; " \
	"form-action 'none'; frame-ancestors 'none'; "
#define PAGE_POLICY POLICY_COMMON "style-src 'self'; img-src 'self'"
/* Swagger's user interface has pictures in its style sheet, and styles in its elements. */
#define REFERENCE_POLICY POLICY_COMMON "style-src 'self' 'unsafe-inline'; img-src 'self' data:"

/* Paths that are not the name of their file. */
static const struct {
	const char *path, *file;
} others[] = {
	{ "/", "index.html" },
	{ "/api", "api/index.html" },
	{ "/api/", "api/index.html" },
	{ "/api-json", "openapi.json" },
};

static const struct assets *files;

static const struct asset *find_file(struct str path)
{
	for (size_t i = 0; i < COUNT_OF(others); i++)
		if (str_eqz(path, others[i].path))
			return assets_get(files, str_z(others[i].file));
	return assets_get(files, str_from(path, 1));
}

/* --- Which form (RFC 9110 §12.5.3) --- */

/* "q=0", "q=0.0": not acceptable. */
static bool is_refused(struct str parameters)
{
	while (parameters.len > 0) {
		struct str value = str_trim(str_cut(&parameters, ';'));
		struct str name = str_trim(str_cut(&value, '='));
		if (!str_eq_nocase(name, STR("q")))
			continue;
		value = str_trim(value);
		while (value.len > 0 && (value.p[0] == '0' || value.p[0] == '.'))
			value = str_from(value, 1);
		return value.len == 0;
	}
	return false;
}

static bool accepts(struct str accepted, const char *word)
{
	while (accepted.len > 0) {
		struct str parameters = str_cut(&accepted, ',');
		if (str_eq_nocase(str_trim(str_cut(&parameters, ';')), str_z(word)))
			return !is_refused(parameters);
	}
	return false;
}

static bool has_choice(const struct asset *file)
{
	return file->forms[ASSET_BROTLI].bytes.p != NULL || file->forms[ASSET_GZIP].bytes.p != NULL;
}

static enum asset_coding choose(const struct asset *file, struct str accepted)
{
	for (enum asset_coding c = 0; c < ASSET_PLAIN; c++)
		if (file->forms[c].bytes.p != NULL && accepts(accepted, asset_coding_word(c)))
			return c;
	return ASSET_PLAIN;
}

/* --- Whether the client has it (RFC 9110 §13.1.2) --- */

static bool names(struct str etags, const char *etag)
{
	while (etags.len > 0) {
		struct str one = str_trim(str_cut(&etags, ','));
		if (str_starts(one, STR("W/")))
			one = str_from(one, 2);
		if (str_eqz(one, etag) || str_eqz(one, "*"))
			return true;
	}
	return false;
}

/* --- Answers --- */

static bool is_html(const struct asset *file)
{
	return str_starts(str_z(file->type), STR("text/html"));
}

static void add_policy(struct buf *extra, const struct asset *file)
{
	const bool reference = str_starts(file->name, STR("api/"));
	buf_printf(extra, "Content-Security-Policy: %s\r\nReferrer-Policy: no-referrer\r\n",
	           reference ? REFERENCE_POLICY : PAGE_POLICY);
}

static void add_headers(struct buf *extra, const struct asset *file, enum asset_coding coding)
{
	buf_printf(extra,
	           "ETag: %s\r\nCache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\n",
	           file->forms[coding].etag);
	if (has_choice(file))
		buf_z(extra, "Vary: Accept-Encoding\r\n");
	if (coding != ASSET_PLAIN)
		buf_printf(extra, "Content-Encoding: %s\r\n", asset_coding_word(coding));
	if (is_html(file))
		add_policy(extra, file);
}

static void send_file(struct request *r, const struct head *h, const struct asset *file)
{
	const enum asset_coding coding = choose(file, head_field(h, "accept-encoding"));
	const struct asset_form *form = &file->forms[coding];
	struct buf extra = { 0 };
	add_headers(&extra, file, coding);
	buf_char(&extra, '\0');
	if (names(head_field(h, "if-none-match"), form->etag))
		http_answer(r, 304, NULL, STR_NONE, extra.p);
	else
		http_answer(r, 200, file->type, form->bytes, extra.p);
	buf_fini(&extra);
}

bool files_answer(struct request *r, const struct head *h)
{
	const struct asset *file = find_file(h->path);
	if (file == NULL)
		return false;
	if (!str_eqz(h->method, "GET") && !str_eqz(h->method, "HEAD"))
		http_answer(r, 405, "application/json",
		            STR("{\"message\":\"Method not allowed\",\"errors\":{}}"),
		            "Allow: GET, HEAD\r\n");
	else if (r->conn->out.bytes > MOST_WAITING)
		http_later(r);       /* who asks and does not read gets no more */
	else
		send_file(r, h, file);
	return true;
}

void files_head(struct request *r, const struct head *h)
{
	if (!files_answer(r, h))
		http_refuse(r, err_status(ERR_NOT_FOUND), err_text(ERR_NOT_FOUND));
}

void files_init(const struct assets *assets)
{
	files = assets;
}

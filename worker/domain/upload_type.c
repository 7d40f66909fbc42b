/* What uploaded files may be. What browsers run (HTML, SVG, scripts) is in no row, nor is
 * what systems run. */
#include "worker/domain/upload_type.h"

#include <string.h>

enum { NAME_MAX_POINTS = 255, STEM_MAX = 100 };

#define OOXML "application/vnd.openxmlformats-officedocument."
#define ODF "application/vnd.oasis.opendocument."

static const struct upload_type types[] = {
	{ "image/png", "image/png", "png", true },
	{ "image/jpeg", "image/jpeg", "jpg jpeg jpe jfif", true },
	{ "image/gif", "image/gif", "gif", true },
	{ "image/webp", "image/webp", "webp", true },
	{ "text/plain", "text/plain", "txt text md csv tsv json log", true },
	/* Browsers' viewers of it do not work within the sandbox that all is served in. */
	{ "application/pdf", "application/pdf", "pdf", false },
	{ "application/zip", "application/zip", "zip docx xlsx pptx odt ods odp odg", false },
	{ OOXML "wordprocessingml.document", OOXML "wordprocessingml.document", "docx", false },
	{ OOXML "spreadsheetml.sheet", OOXML "spreadsheetml.sheet", "xlsx", false },
	{ OOXML "presentationml.presentation", OOXML "presentationml.presentation", "pptx", false },
	{ ODF "text", ODF "text", "odt", false },
	{ ODF "spreadsheet", ODF "spreadsheet", "ods", false },
	{ ODF "presentation", ODF "presentation", "odp", false },
	{ ODF "graphics", ODF "graphics", "odg", false },
	{ "application/x-ole-storage", "application/x-ole-storage", "doc xls ppt", false },
	{ "text/rtf", "application/rtf", "rtf", false },
	{ 0 }
};

/* What else has such a beginning is taken for what it is beneath. */
static const struct {
	struct str beginning, type;
} containers[] = {
	{ { "PK\003\004", 4 }, { "application/zip", 15 } },
	{ { "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 8 }, { "application/x-ole-storage", 25 } },
};

const struct upload_type *upload_type_of(const char *found, struct str beginning)
{
	for (const struct upload_type *t = types; t->found != NULL; t++)
		if (strcmp(found, t->found) == 0)
			return t;
	for (size_t i = 0; i < COUNT_OF(containers); i++)
		if (str_starts(beginning, containers[i].beginning))
			return upload_type_named(containers[i].type);
	return NULL;
}

const struct upload_type *upload_type_named(struct str type)
{
	for (const struct upload_type *t = types; t->found != NULL; t++)
		if (str_eqz(type, t->type))
			return t;
	return NULL;
}

/* --- Names --- */

/* Some clients send the whole path, of whichever system. */
static struct str last_part(struct str name)
{
	size_t at = name.len;
	while (at > 0 && name.p[at - 1] != '/' && name.p[at - 1] != '\\')
		at--;
	return str_trim(str_from(name, at));
}

bool upload_name_read(struct str name, struct str *out, const char **why)
{
	*why = NULL;
	if (!utf8_valid(name))
		*why = "must have a name in UTF-8";
	for (size_t i = 0; i < name.len; i++)
		if ((unsigned char)name.p[i] < ' ' || name.p[i] == 0x7f)
			*why = "must have a name without control characters";
	*out = last_part(name);
	if (out->len == 0 || str_eqz(*out, ".") || str_eqz(*out, ".."))
		*out = STR("file");
	if (*why == NULL && utf8_count(*out) > NAME_MAX_POINTS)
		*why = "must have a name of at most 255 characters";
	return *why == NULL;
}

static bool is_plain(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '.' ||
	       c == '-';
}

/* What else there is becomes `_`, once for a run of it. No dot or dash begins a name. */
static void put_plain(struct buf *out, struct str name)
{
	for (size_t i = 0; i < name.len && out->len < STEM_MAX; i++) {
		if (is_plain(name.p[i]) && (out->len > 0 || (name.p[i] != '.' && name.p[i] != '-')))
			buf_char(out, name.p[i]);
		else if (out->len > 0 && out->p[out->len - 1] != '_')
			buf_char(out, '_');
	}
}

static bool fits(struct str extension, const struct upload_type *type)
{
	struct str rest = str_z(type->extensions);
	while (rest.len > 0)
		if (str_eq_nocase(str_cut(&rest, ' '), extension))
			return true;
	return false;
}

void upload_filename(struct buf *out, struct str original, const struct upload_type *type)
{
	struct str all = str_z(type->extensions), usual = str_cut(&all, ' ');
	struct str extension = usual, stem = original;
	size_t dot = original.len;
	while (dot > 0 && original.p[dot - 1] != '.')
		dot--;
	if (dot > 0 && fits(str_from(original, dot), type)) {
		extension = str_from(original, dot);
		stem.len = dot - 1;
	}
	buf_clear(out);
	put_plain(out, stem);
	while (out->len > 0 && (out->p[out->len - 1] == '_' || out->p[out->len - 1] == '.'))
		out->len--;
	if (out->len == 0)
		buf_z(out, "file");
	buf_char(out, '.');
	buf_str(out, extension);
}

/* The configuration as text: the file that gives it again, and the options for --help. */
#include <string.h>

#include "common/conf.h"
#include "common/conf_value.h"

static unsigned value_count(const struct directive *d, const struct conf *c)
{
	return d->room ? *(const unsigned *)(const void *)((const char *)c + d->count_offset) : 1;
}

static const void *value_at(const struct directive *d, const struct conf *c, unsigned i)
{
	return (const char *)c + d->offset + i * d->size;
}

/* One line for each value. */
static void values_print(const struct directive *d, const struct conf *c, struct buf *out)
{
	for (unsigned i = 0; i < value_count(d, c); i++) {
		buf_printf(out, "%s ", d->name);
		d->type->print(value_at(d, c, i), out);
		buf_char(out, '\n');
	}
}

static void default_print(const struct directive *d, struct buf *out)
{
	struct str text = str_z(d->fallback);

	if (!d->fallback)
		buf_printf(out, "#%s %s\n", d->name, d->type->syntax);
	while (text.p) {
		const struct str item = d->room ? str_cut(&text, ',') : text;
		buf_printf(out, "#%s %.*s\n", d->name, STR_ARG(item.len ? item : STR("\"\"")));
		if (!d->room)
			break;
	}
}

/* Words in lines of at most 88 characters, each after `prefix`. */
static void wrapped_print(struct str text, const char *prefix, struct buf *out)
{
	size_t column = 0;

	while (text.len) {
		const struct str word = str_cut(&text, ' ');
		if (column && column + word.len > 88) {
			buf_char(out, '\n');
			column = 0;
		}
		buf_z(out, column ? " " : prefix);
		buf_str(out, word);
		column += word.len + 1;
	}
	buf_char(out, '\n');
}

static void comment_print(const struct directive *d, struct buf *out)
{
	struct buf text = { 0 };

	buf_printf(&text, "%s (", d->help);
	const size_t before = text.len;
	value_range(d, &text);
	if (text.len == before)
		buf_z(&text, d->type->wanted);
	buf_z(&text, d->reloadable ? ")" : "; to change it, restart)");
	wrapped_print(buf_view(&text), "# ", out);
	buf_fini(&text);
}

/* A directive that was never set and has no default would be refused when empty: it is left out. */
static bool is_unset(const struct directive *d, const struct conf *c)
{
	return !d->room && !d->fallback && !*(const char *)value_at(d, c, 0);
}

static void directive_print(const struct directive *d, const struct conf *c,
                            const struct conf *defaults, struct buf *out)
{
	struct buf is = { 0 }, was = { 0 };

	values_print(d, c, &is);
	values_print(d, defaults, &was);
	buf_char(out, '\n');
	comment_print(d, out);
	if (str_eq(buf_view(&is), buf_view(&was)))
		default_print(d, out);
	else
		buf_str(out, buf_view(&is));
	buf_fini(&is);
	buf_fini(&was);
}

static const char heading[] =
	"# The configuration of Confab: `directive value`, one a line. What is commented out is "
        "the\n"
	"# default. A duration has a unit (300ms, 25s, 2m, 1h), a size may have one (64kb, 1mb; a "
        "kb is\n"
	"# 1000 bytes). Quotes go around what has blanks in it: \"two words\". The environment\n"
	"# (CONFAB_PING_INTERVAL=25s; several values with commas between) overrides the file, "
        "options\n"
	"# (--ping-interval 25s) override both.\n";

void conf_print(const struct conf *c, struct buf *out, bool help)
{
	struct conf defaults;

	conf_defaults(&defaults);
	if (help)
		buf_z(out, heading);
	for (const struct directive *d = conf_directives; d->name; d++) {
		if (help)
			directive_print(d, c, &defaults, out);
		else if (!is_unset(d, c))
			values_print(d, c, out);
	}
}

void conf_help(struct buf *out)
{
	for (const struct directive *d = conf_directives; d->name; d++) {
		buf_printf(out, "  --%s %s", d->name, d->type->syntax);
		if (d->fallback && *d->fallback)
			buf_printf(out, "  (default: %s)", d->fallback);
		buf_char(out, '\n');
		wrapped_print(str_z(d->help), "        ", out);
	}
}

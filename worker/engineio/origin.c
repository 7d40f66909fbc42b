/* What came with the request that opened a session, as far as somebody may ask for it later. */
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/mem.h"
#include "worker/engineio/transport.h"

/* --- Headers as JSON --- */

static void add_lower(struct buf *out, struct str name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = name.p[i];
		buf_char(out, c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c);
	}
}

/* What is not UTF-8 is taken for Latin-1, as browsers and proxies mean it (RFC 9110 §5.5). */
static void add_value(struct buf *out, struct str value)
{
	if (utf8_valid(value)) {
		buf_str(out, value);
		return;
	}
	for (size_t i = 0; i < value.len; i++) {
		unsigned char byte = (unsigned char)value.p[i];
		if (byte >= 0x80)
			buf_char(out, (char)(0xc0 | byte >> 6));
		buf_char(out, (char)(byte < 0x80 ? byte : 0x80 | (byte & 0x3f)));
	}
}

static bool came_before(const struct head *h, unsigned at)
{
	for (unsigned i = 0; i < at; i++)
		if (str_eq_nocase(h->fields[i].name, h->fields[at].name))
			return true;
	return false;
}

/* The field at `first` with all later ones of its name (RFC 9110 §5.3;
 * cookies: RFC 9113 §8.2.3). */
static void put_field(struct json_out *j, const struct head *h, unsigned first)
{
	struct buf name = { 0 }, value = { 0 };
	add_lower(&name, h->fields[first].name);
	const char *between = str_eqz(buf_view(&name), "cookie") ? "; " : ", ";
	add_value(&value, h->fields[first].value);
	for (unsigned i = first + 1; i < h->n; i++) {
		if (!str_eq_nocase(h->fields[i].name, h->fields[first].name))
			continue;
		buf_z(&value, between);
		add_value(&value, h->fields[i].value);
	}
	buf_char(&name, '\0');
	json_put_str(j, name.p, buf_view(&value));
	buf_fini(&name);
	buf_fini(&value);
}

void origin_headers(const struct head *h, struct buf *out)
{
	struct json_out j = json_out(out);
	json_open(&j, '{');
	for (unsigned i = 0; i < h->n; i++)
		if (!came_before(h, i))
			put_field(&j, h, i);
	json_close(&j, '}');
}

/* --- What is kept --- */

static bool is_own_parameter(struct str pair)
{
	static const char *const own[] = { "EIO", "transport", "sid", "t", "b64", "j" };
	struct str name = str_cut(&pair, '=');
	for (size_t i = 0; i < COUNT_OF(own); i++)
		if (str_eqz(name, own[i]))
			return true;
	return false;
}

/* The query without what is Engine.IO's. */
static void add_query(struct buf *out, struct str query)
{
	while (query.len > 0) {
		struct str pair = str_cut(&query, '&');
		if (pair.len == 0 || is_own_parameter(pair))
			continue;
		if (out->len > 0)
			buf_char(out, '&');
		buf_str(out, pair);
	}
}

struct origin *origin_new(const struct head *h, bool headers)
{
	struct buf text = { 0 };
	struct origin *o = NULL;
	add_query(&text, h->query);
	size_t query = text.len;
	buf_str(&text, head_field(h, "authorization"));
	size_t authorization = text.len - query;
	if (headers)
		origin_headers(h, &text);
	if (text.len > 0) {
		o = xmalloc(sizeof(*o) + text.len);
		memcpy(o->text, text.p, text.len);
		o->query = (struct str){ o->text, query };
		o->authorization = (struct str){ o->text + query, authorization };
		o->headers = (struct str){
			o->text + query + authorization, text.len - query - authorization,
		};
	}
	buf_fini(&text);
	return o;
}

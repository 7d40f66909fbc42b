/* JSON, the writer: compact, and never without the commas it needs. */
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/json_plain.h"

struct json_out json_out(struct buf *to)
{
	return (struct json_out){ .to = to };
}

/* Before a value, or a key. */
static void put_comma(struct json_out *j)
{
	if (j->comma)
		buf_char(j->to, ',');
	j->comma = true;
}

void json_open(struct json_out *j, char bracket)
{
	put_comma(j);
	buf_char(j->to, bracket);
	j->comma = false;
}

void json_close(struct json_out *j, char bracket)
{
	buf_char(j->to, bracket);
	j->comma = true;
}

void json_key(struct json_out *j, const char *key)
{
	put_comma(j);
	buf_char(j->to, '"');
	buf_z(j->to, key);
	buf_add(j->to, "\":", 2);
	j->comma = false;
}

static void put_escape(struct buf *to, char c)
{
	static const char from[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
	const char *found = c ? strchr(from, c) : NULL;

	if (!found) {
		buf_printf(to, "\\u%04x", (unsigned)(unsigned char)c);
		return;
	}
	buf_char(to, '\\');
	buf_char(to, letters[found - from]);
}

void json_str(struct json_out *j, struct str text)
{
	uint64_t seen = 0;

	put_comma(j);
	buf_char(j->to, '"');
	while (text.len) {
		const char *end = json_plain_end(text.p, text.p + text.len, &seen);
		const size_t plain = (size_t)(end - text.p);
		buf_add(j->to, text.p, plain);
		if (plain == text.len)
			break;
		put_escape(j->to, text.p[plain]);
		text = str_from(text, plain + 1);
	}
	buf_char(j->to, '"');
}

void json_int(struct json_out *j, int64_t n)
{
	put_comma(j);
	if (n < 0)
		buf_char(j->to, '-');
	buf_u64(j->to, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
}

void json_bool(struct json_out *j, bool b)
{
	put_comma(j);
	buf_z(j->to, b ? "true" : "false");
}

void json_raw(struct json_out *j, struct str value)
{
	put_comma(j);
	buf_str(j->to, value.len ? value : STR("null"));
}

void json_put_str(struct json_out *j, const char *key, struct str text)
{
	json_key(j, key);
	json_str(j, text);
}

void json_put_int(struct json_out *j, const char *key, int64_t n)
{
	json_key(j, key);
	json_int(j, n);
}

void json_put_bool(struct json_out *j, const char *key, bool b)
{
	json_key(j, key);
	json_bool(j, b);
}

void json_put_raw(struct json_out *j, const char *key, struct str value)
{
	json_key(j, key);
	json_raw(j, value);
}

void json_put_time(struct json_out *j, const char *key, int64_t wall_ms)
{
	json_key(j, key);
	put_comma(j);
	buf_char(j->to, '"');
	clock_iso_millis(j->to, wall_ms);
	buf_char(j->to, '"');
}

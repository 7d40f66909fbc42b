/* The parts of a multipart/form-data body.
 *
 *   --boundary CR LF Content-Disposition: … CR LF CR LF hello CR LF --boundary -- …
 *   │          │  │  │                                  │     │              │  └ IS_OVER
 *   │          │  │  └─ IN_HEAD, kept up to the empty line └─ IN_CONTENT     └─ AT_DASH
 *   │          │  └─ AT_LF
 *   │          └─ AT_TAIL
 *   └─ IN_CONTENT of no part, as if a line had just ended
 *
 * What was taken for a delimiter and is none after all is content, and equal to the delimiter's
 * beginning: so nothing has to be kept for it. A CR stands only at that beginning,
 * so the search never goes back.
 */
#include "worker/net/multipart.h"

#include <string.h>

enum state { IN_CONTENT, AT_TAIL, AT_LF, AT_DASH, IN_HEAD, IS_OVER, IS_BAD };

/* --- Parameters of a field: ; name=token or "text" --- */

static bool is_token_char(char c)
{
	return c > ' ' && c < 0x7f && strchr("()<>@,;:\\\"/[]?=", c) == NULL;
}

static struct str take_token(struct str *rest)
{
	size_t n = 0;
	while (n < rest->len && is_token_char(rest->p[n]))
		n++;
	struct str token = { rest->p, n };
	*rest = str_from(*rest, n);
	return token;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What browsers write for a quote and for line ends (HTML, "multipart form data"):
 * %22, %0D, %0A. */
static bool is_escape(struct str s, char *out)
{
	if (s.len < 3 || s.p[0] != '%')
		return false;
	int high = hex_digit(s.p[1]), low = hex_digit(s.p[2]);
	*out = (char)(high * 16 + low);
	return high >= 0 && low >= 0 && (*out == '"' || *out == '\r' || *out == '\n');
}

/* One character of a quoted text, unescaped; how many bytes it takes. A backslash only escapes
 * a quote or another one, for there are clients that send whole paths of Windows. */
static size_t take_quoted_char(struct str s, char *out)
{
	if (s.len > 1 && s.p[0] == '\\' && (s.p[1] == '"' || s.p[1] == '\\')) {
		*out = s.p[1];
		return 2;
	}
	if (is_escape(s, out))
		return 3;
	*out = s.p[0];
	return 1;
}

/* A text in quotes, unescaped in place: it never grows. False: it does not end. */
static bool take_quoted(struct str *rest, char *place, struct str *out)
{
	struct str s = str_from(*rest, 1);
	size_t n = 0;
	while (s.len > 0 && s.p[0] != '"')
		s = str_from(s, take_quoted_char(s, &place[n++]));
	if (s.len == 0)
		return false;
	*rest = str_from(s, 1);
	*out = (struct str){ place, n };
	return true;
}

/* The next parameter; false at the end, or with *bad when it is malformed. Values in quotes are
 * unescaped into what `place` is to *rest: the same bytes, writable. */
static bool next_parameter(struct str *rest, char *base, const char *start, struct str *name,
                           struct str *value, bool *bad)
{
	*rest = str_trim(*rest);
	*bad = rest->len > 0;
	if (rest->len == 0 || rest->p[0] != ';')
		return false;
	*rest = str_trim(str_from(*rest, 1));
	if (rest->len == 0) {
		*bad = false;
		return false;
	}
	*name = take_token(rest);
	if (name->len == 0 || rest->len == 0 || rest->p[0] != '=')
		return false;
	*rest = str_from(*rest, 1);
	if (rest->len > 0 && rest->p[0] == '"')
		*bad = !take_quoted(rest, base + (rest->p - start), value);
	else
		*bad = (*value = take_token(rest)).len == 0;
	return !*bad;
}

/* --- The Content-Type of the whole --- */

static bool is_boundary(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return s.len > 0 && s.len <= BOUNDARY_MAX && s.p[s.len - 1] != ' ';
}

static void set_boundary(struct multipart *m, struct str boundary)
{
	memcpy(m->delimiter, "\r\n--", 4);
	memcpy(m->delimiter + 4, boundary.p, boundary.len);
	m->length = (uint8_t)(boundary.len + 4);
	m->matched = 2;
}

bool multipart_init(struct multipart *m, struct str content_type)
{
	char copy[512];
	struct str rest = content_type, name, value, type;
	bool bad;
	*m = (struct multipart){ .state = IN_CONTENT };
	if (content_type.len == 0 || content_type.len > sizeof(copy))
		return false;
	memcpy(copy, content_type.p, content_type.len);
	type = str_trim(str_cut(&rest, ';'));
	if (!str_eq_nocase(type, STR("multipart/form-data")) || rest.p == NULL)
		return false;
	rest = (struct str){ rest.p - 1, rest.len + 1 };
	while (next_parameter(&rest, copy, content_type.p, &name, &value, &bad))
		if (m->length == 0 && str_eq_nocase(name, STR("boundary")) && is_boundary(value))
			set_boundary(m, value);
	return !bad && m->length > 0;
}

void multipart_fini(struct multipart *m)
{
	buf_fini(&m->head);
}

/* --- The head of a part --- */

static bool read_disposition(struct multipart *m, struct str value)
{
	char *base = m->head.p;
	struct str rest = value, name, text;
	bool bad, named = false;
	if (!str_eq_nocase(take_token(&rest), STR("form-data")))
		return false;
	while (next_parameter(&rest, base, base, &name, &text, &bad)) {
		if (str_eq_nocase(name, STR("name"))) {
			m->name = text;
			named = true;
		} else if (str_eq_nocase(name, STR("filename"))) {
			m->filename = text;
			m->is_file = true;
		}
	}
	return !bad && named;
}

static bool has_control(struct str line)
{
	for (size_t i = 0; i < line.len; i++)
		if (((unsigned char)line.p[i] < ' ' && line.p[i] != '\t') || line.p[i] == 0x7f)
			return true;
	return false;
}

/* All lines have ended by now; one of them must say what this part is. */
static bool read_head(struct multipart *m)
{
	struct str rest = buf_view(&m->head);
	bool found = false;
	m->name = m->filename = STR_NONE;
	m->is_file = false;
	while (rest.len > 0) {
		struct str line = str_cut(&rest, '\n');
		if (line.len > 0 && line.p[line.len - 1] == '\r')
			line.len--;
		if (has_control(line))
			return false;
		struct str value = line, name = str_cut(&value, ':');
		if (!str_eq_nocase(name, STR("content-disposition")))
			continue;
		if (found || !read_disposition(m, str_trim(value)))
			return false;
		found = true;
	}
	return found;
}

static bool head_is_whole(const struct buf *head)
{
	return (head->len >= 4 && memcmp(head->p + head->len - 4, "\r\n\r\n", 4) == 0) ||
	       (head->len == 2 && memcmp(head->p, "\r\n", 2) == 0);
}

static enum multipart_event take_head(struct multipart *m, struct str *in)
{
	while (in->len > 0) {
		buf_char(&m->head, in->p[0]);
		*in = str_from(*in, 1);
		if (m->head.len > PART_HEAD_MAX)
			break;
		if (!head_is_whole(&m->head))
			continue;
		if (m->parts == PARTS_MAX || !read_head(m))
			break;
		m->parts++;
		m->in_part = true;
		m->state = IN_CONTENT;
		return MULTIPART_PART;
	}
	if (in->len == 0 && m->head.len <= PART_HEAD_MAX && !head_is_whole(&m->head))
		return MULTIPART_MORE;
	m->state = IS_BAD;
	return MULTIPART_BAD;
}

/* --- Content --- */

/* The run up to the next CR. */
static struct str take_run(struct str *in)
{
	const char *cr = memchr(in->p, '\r', in->len);
	struct str run = { in->p, cr != NULL ? (size_t)(cr - in->p) : in->len };
	*in = str_from(*in, run.len);
	return run;
}

/* Compares what comes with the delimiter. What it was before these bytes is content if
 * they are not its own. */
static struct str match(struct multipart *m, struct str *in)
{
	struct str run = STR_NONE;
	while (in->len > 0 && m->matched < m->length) {
		if (in->p[0] != m->delimiter[m->matched]) {
			run = (struct str){ m->delimiter, m->matched };
			m->matched = 0;
			break;
		}
		m->matched++;
		*in = str_from(*in, 1);
	}
	return run;
}

/* Bytes before the first delimiter are nobody's. */
static enum multipart_event take_content(struct multipart *m, struct str *in, struct str *data)
{
	while (in->len > 0) {
		if (m->matched == 0 && in->p[0] != '\r') {
			*data = take_run(in);
		} else {
			*data = match(m, in);
			if (m->matched == m->length) {
				m->state = AT_TAIL;
				return m->in_part ? MULTIPART_END : MULTIPART_MORE;
			}
		}
		if (data->len > 0 && m->in_part)
			return MULTIPART_DATA;
	}
	return MULTIPART_MORE;
}

/* --- Between two parts --- */

static enum state take_tail(struct multipart *m, char c)
{
	m->in_part = false;
	m->matched = 0;
	if (c == '-')
		return AT_DASH;
	return c == '\r' ? AT_LF : IS_BAD;
}

static enum state take_lf(struct multipart *m, char c)
{
	buf_clear(&m->head);
	return c == '\n' ? IN_HEAD : IS_BAD;
}

static enum state take_dash(struct multipart *m UNUSED, char c)
{
	return c == '-' ? IS_OVER : IS_BAD;
}

static enum state (*const take[])(struct multipart *m, char c) = {
	[AT_TAIL] = take_tail,
	[AT_LF] = take_lf,
	[AT_DASH] = take_dash,
};

enum multipart_event multipart_next(struct multipart *m, struct str *in, struct str *data)
{
	enum multipart_event event = MULTIPART_MORE;
	*data = STR_NONE;
	while (in->len > 0 && event == MULTIPART_MORE && m->state < IS_OVER) {
		if (m->state == IN_CONTENT) {
			event = take_content(m, in, data);
		} else if (m->state == IN_HEAD) {
			event = take_head(m, in);
		} else {
			m->state = (uint8_t)take[m->state](m, in->p[0]);
			*in = str_from(*in, 1);
		}
	}
	if (m->state == IS_OVER)
		return MULTIPART_OVER;
	return m->state == IS_BAD ? MULTIPART_BAD : event;
}

/* Parses the head of an HTTP/1.1 request (RFC 9112), strictly, in one pass over its bytes.
 * The bytes are judged in their order and nothing is remembered between calls, so a head that comes
 * in pieces is refused at the same byte, and with the same status, however it was cut. */
#include "worker/net/head.h"

#include <string.h>

enum {
	METHOD_MAX = 32,
	TARGET_MAX = 8 * 1024,
};

/* What a step says: go on, more bytes are needed, or minus a status. */
enum { MORE = 0, GO_ON = 1 };

struct parser {
	const char *p, *end;
	struct head *out;
	struct str authority;                    /* of a target in absolute-form */
	struct str host;
	bool has_host, has_length, has_encoding; /* fields that may come once only */
	bool has_upgrade, has_expect;
	bool close, keep_alive, upgrade;         /* options in Connection */
};

/* Where a byte may stand. */
enum { TOKEN = 1, VALUE = 2, TARGET = 4, HOST = 8 };

/* A Host takes no '%' and no ',', though RFC 3986 would let it: the first has two spellings for one
 * name, the second is how some proxies join two Hosts to one. */
static const uint8_t byte_places[128] = {
	 0,  0,  0,  0,  0,  0,  0,  0,  0,  2,  0,  0,  0,  0,  0,  0,
	 0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
	 2, 15,  6,  3, 15,  7, 15, 15, 14, 14, 15, 15,  6, 15, 15,  6,
	15, 15, 15, 15, 15, 15, 15, 15, 15, 15,  6, 14,  6, 14,  6,  6,
	 6, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,
	15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,  6,  6,  6,  7, 15,
	 7, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,
	15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,  6,  7,  6, 15,  0,
};

static bool may_stand(char c, unsigned place)
{
	unsigned char byte = (unsigned char)c;
	/* Bytes past ASCII are opaque, in values only (RFC 9110 §5.5). */
	return ((byte < 128 ? byte_places[byte] : VALUE) & place) != 0;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool all_digits(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is_digit(s.p[i]))
			return false;
	return true;
}

/* The bytes from here on that may stand in that place. */
static struct str take_run(struct parser *p, unsigned place)
{
	const char *start = p->p, *at = start, *end = p->end;
	while (at < end && may_stand(*at, place))
		at++;
	p->p = at;
	return (struct str){ start, (size_t)(at - start) };
}

static int take_byte(struct parser *p, char c)
{
	if (p->p == p->end)
		return MORE;
	if (*p->p != c)
		return -400;
	p->p++;
	return GO_ON;
}

static int take_line_end(struct parser *p)
{
	int r = take_byte(p, '\r');
	return r == GO_ON ? take_byte(p, '\n') : r;
}

static int skip_empty_line(struct parser *p)
{
	if (p->p == p->end)
		return MORE;
	return *p->p == '\r' ? take_line_end(p) : GO_ON;
}

static int take_method(struct parser *p)
{
	struct str method = take_run(p, TOKEN);
	if (method.len > METHOD_MAX)
		return -501;
	p->out->method = method;
	int r = take_byte(p, ' ');
	return r == GO_ON && !method.len ? -400 : r;
}

/* host [":" port], where host is a name, an IPv4 address, or an IPv6 address in brackets. Empty is
 * allowed (RFC 9110 §7.2). */
static bool host_valid(struct str host)
{
	size_t i = 0;
	if (host.len && host.p[0] == '[') {
		while (++i < host.len && host.p[i] != ']')
			if (!strchr("0123456789abcdefABCDEF:.", host.p[i]))
				return false;
		if (i == 1 || i++ >= host.len)
			return false;
	} else {
		while (i < host.len && may_stand(host.p[i], HOST))
			i++;
	}
	struct str port = str_from(host, i);
	if (!port.len)
		return true;
	return i > 0 && port.p[0] == ':' && all_digits(str_from(port, 1));
}

/* "http://host/path" is what a proxy would be asked; it means the same here (RFC 9112 §3.2.2). */
static bool cut_absolute_form(struct parser *p, struct str *target)
{
	static const struct str schemes[] = { { "http://", 7 }, { "https://", 8 } };
	struct str rest = STR_NONE;
	for (size_t i = 0; i < COUNT_OF(schemes); i++) {
		size_t len = schemes[i].len;
		if (target->len > len && str_eq_nocase((struct str){ target->p, len }, schemes[i]))
			rest = str_from(*target, len);
	}
	size_t n = 0;
	while (n < rest.len && rest.p[n] != '/' && rest.p[n] != '?')
		n++;
	p->authority = (struct str){ rest.p, n };
	*target = n < rest.len ? str_from(rest, n) : STR("/");
	return n > 0 && host_valid(p->authority) && target->p[0] == '/';
}

static int take_target(struct parser *p)
{
	struct str target = take_run(p, TARGET);
	if (target.len > TARGET_MAX)
		return -414;
	int r = take_byte(p, ' ');
	if (r != GO_ON)
		return r;
	if (!target.len)
		return -400;
	if (target.p[0] != '/' && !str_eqz(target, "*") && !cut_absolute_form(p, &target))
		return -400;
	p->out->target = target;
	p->out->query = target;
	p->out->path = str_cut(&p->out->query, '?');
	return GO_ON;
}

static int take_version(struct parser *p)
{
	static const char form[] = "HTTP/0.0";      /* a 0 stands for any digit */
	const char *version = p->p;
	for (const char *f = form; *f; f++, p->p++) {
		if (p->p == p->end)
			return MORE;
		if (*f == '0' ? !is_digit(*p->p) : *p->p != *f)
			return -400;
	}
	if (version[5] != '1' || version[7] > '1')
		return -505;
	p->out->minor = (unsigned)(version[7] - '0');
	if (p->out->target.p[0] == '*' && !str_eqz(p->out->method, "OPTIONS"))
		return -400;
	return GO_ON;
}

static int mean_host(struct parser *p, struct str value)
{
	if (p->has_host || !host_valid(value))
		return -400;
	p->has_host = true;
	p->host = value;
	return GO_ON;
}

static int mean_length(struct parser *p, struct str value)
{
	if (p->has_length || p->has_encoding || !value.len || !all_digits(value))
		return -400;
	p->has_length = true;
	if (!str_u64(value, &p->out->length) || p->out->length > INT64_MAX)
		return -413;
	return GO_ON;
}

static int mean_encoding(struct parser *p, struct str value)
{
	if (p->out->minor == 0 || p->has_length || p->has_encoding || !value.len)
		return -400;
	p->has_encoding = true;
	if (str_eq_nocase(value, STR("chunked")))
		return GO_ON;
	while (value.len) {
		struct str coding = str_trim(str_cut(&value, ','));
		if (coding.len && !str_eq_nocase(coding, STR("chunked")))
			return -501;
	}
	return -400;
}

static int mean_connection(struct parser *p, struct str value)
{
	while (value.len) {
		struct str option = str_trim(str_cut(&value, ','));
		p->close |= str_eq_nocase(option, STR("close"));
		p->keep_alive |= str_eq_nocase(option, STR("keep-alive"));
		p->upgrade |= str_eq_nocase(option, STR("upgrade"));
	}
	return GO_ON;
}

static int mean_upgrade(struct parser *p, struct str value)
{
	p->has_upgrade |= value.len > 0;
	return GO_ON;
}

static int mean_expect(struct parser *p, struct str value)
{
	p->has_expect |= str_eq_nocase(value, STR("100-continue"));
	return GO_ON;
}

/* The fields that decide where this request ends and how its connection goes on. */
static const struct meaning {
	struct str name;
	int (*mean)(struct parser *p, struct str value);
} meanings[] = {
	{ { "host", 4 }, mean_host },
	{ { "content-length", 14 }, mean_length },
	{ { "transfer-encoding", 17 }, mean_encoding },
	{ { "connection", 10 }, mean_connection },
	{ { "upgrade", 7 }, mean_upgrade },
	{ { "expect", 6 }, mean_expect },
};

static int mean_field(struct parser *p, const struct head_field *field)
{
	for (size_t i = 0; i < COUNT_OF(meanings); i++)
		if (field->name.len == meanings[i].name.len &&
		    str_eq_nocase(field->name, meanings[i].name))
			return meanings[i].mean(p, field->value);
	return GO_ON;
}

static int take_field(struct parser *p)
{
	if (p->out->n == HEAD_MAX_FIELDS)
		return -431;
	struct head_field *field = &p->out->fields[p->out->n];
	field->name = take_run(p, TOKEN);
	int r = take_byte(p, ':');
	if (r != GO_ON)
		return r;
	if (!field->name.len)
		return -400;
	field->value = str_trim(take_run(p, VALUE));
	r = take_line_end(p);
	if (r != GO_ON)
		return r;
	p->out->n++;
	return mean_field(p, field);
}

/* What could only be told at the end. */
static int conclude(struct parser *p)
{
	struct head *h = p->out;
	if (h->minor == 1 && !p->has_host)
		return -400;
	/* A client must send both alike (RFC 9112 §3.2); which one counts, servers disagree. */
	if (p->authority.len && p->has_host && !str_eq_nocase(p->authority, p->host))
		return -400;
	h->body = p->has_encoding ? BODY_CHUNKED : p->has_length ? BODY_LENGTH : BODY_NONE;
	h->keep_alive = !p->close && (h->minor == 1 || p->keep_alive);
	/* HTTP/1.0 knows neither (RFC 9110 §7.8, §10.1.1). */
	h->upgrade = h->minor == 1 && p->upgrade && p->has_upgrade;
	h->expect_continue = h->minor == 1 && p->has_expect && h->body != BODY_NONE;
	return GO_ON;
}

static int take_fields(struct parser *p)
{
	for (;;) {
		if (p->p == p->end)
			return MORE;
		bool at_end = *p->p == '\r';
		int r = at_end ? take_line_end(p) : take_field(p);
		if (r != GO_ON)
			return r;
		if (at_end)
			return conclude(p);
	}
}

int head_parse(struct str bytes, struct head *out)
{
	static int (*const steps[])(struct parser *) = {
		skip_empty_line, take_method, take_target, take_version, take_line_end, take_fields,
	};
	if (!bytes.len)
		return 0;
	size_t len = bytes.len < HEAD_MAX_BYTES ? bytes.len : HEAD_MAX_BYTES;
	struct parser p = { .p = bytes.p, .end = bytes.p + len, .out = out };
	*out = (struct head){ 0 };
	int r = GO_ON;
	for (size_t i = 0; r == GO_ON && i < COUNT_OF(steps); i++)
		r = steps[i](&p);
	if (r == GO_ON)
		return (int)(p.p - bytes.p);
	return r == MORE && len == HEAD_MAX_BYTES ? -431 : r;
}

struct str head_field(const struct head *h, const char *name)
{
	struct str wanted = str_z(name);
	for (unsigned i = 0; i < h->n; i++)
		if (str_eq_nocase(h->fields[i].name, wanted))
			return h->fields[i].value;
	return STR_NONE;
}

static bool list_has(struct str list, struct str token)
{
	while (list.len)
		if (str_eq_nocase(str_trim(str_cut(&list, ',')), token))
			return true;
	return false;
}

bool head_has_token(const struct head *h, const char *name, const char *token)
{
	struct str wanted = str_z(name);
	for (unsigned i = 0; i < h->n; i++)
		if (str_eq_nocase(h->fields[i].name, wanted) &&
		    list_has(h->fields[i].value, str_z(token)))
			return true;
	return false;
}

static int hex_digit(char c)
{
	if (is_digit(c))
		return c - '0';
	char lower = (char)(c | 0x20);
	return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The byte of "%41" at raw.p[at], or -1. */
static int percent_byte(struct str raw, size_t at)
{
	if (raw.len - at < 3)
		return -1;
	int high = hex_digit(raw.p[at + 1]), low = hex_digit(raw.p[at + 2]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

struct str percent_decode(struct arena *a, struct str raw, bool form, bool *ok)
{
	char *text = arena_alloc(a, raw.len + 1);
	size_t len = 0;
	*ok = false;
	for (size_t i = 0; i < raw.len; i++) {
		int byte = (unsigned char)raw.p[i];
		if (byte == '%') {
			byte = percent_byte(raw, i);
			i += 2;
		} else if (byte == '+' && form) {
			byte = ' ';
		}
		if (byte <= 0)
			return STR_NONE;
		text[len++] = (char)byte;
	}
	struct str decoded = { text, len };
	*ok = utf8_valid(decoded);
	return *ok ? decoded : STR_NONE;
}

enum query_pair query_next(struct arena *a, struct str *rest, struct str *name, struct str *value)
{
	while (rest->len) {
		struct str raw_value = str_cut(rest, '&');
		if (!raw_value.len)
			continue;
		struct str raw_name = str_cut(&raw_value, '=');
		bool name_ok, value_ok;
		*name = percent_decode(a, raw_name, true, &name_ok);
		*value = percent_decode(a, raw_value, true, &value_ok);
		return name_ok && value_ok ? QUERY_PAIR : QUERY_MALFORMED;
	}
	return QUERY_END;
}

struct str query_get(struct arena *a, struct str query, const char *name)
{
	struct str found, value;
	enum query_pair pair;
	while ((pair = query_next(a, &query, &found, &value)) != QUERY_END)
		if (pair == QUERY_PAIR && str_eqz(found, name))
			return value;
	return STR_NONE;
}

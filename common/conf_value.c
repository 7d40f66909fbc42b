/* The types of configuration values, one table row each. */
#include "common/conf_value.h"

#include <arpa/inet.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

/* Words. */

static bool text_copy(struct str text, char *to, size_t size)
{
	if (text.len >= size)
		return false;
	if (text.len)
		memcpy(to, text.p, text.len);
	to[text.len] = '\0';
	return true;
}

static bool text_parse(const struct directive *d, struct strs words, void *field)
{
	return words.n == 1 && words.v[0].len >= d->min && text_copy(words.v[0], field, d->size);
}

static bool must_quote(struct str word)
{
	return !word.len || word.p[0] == '#' || word.p[0] == '"' || str_has(word, ' ') ||
	       str_has(word, '\t');
}

void value_word(struct str word, struct buf *out)
{
	if (!must_quote(word)) {
		buf_str(out, word);
		return;
	}
	buf_char(out, '"');
	for (size_t i = 0; i < word.len; i++) {
		if (word.p[i] == '"' || word.p[i] == '\\')
			buf_char(out, '\\');
		buf_char(out, word.p[i]);
	}
	buf_char(out, '"');
}

static void text_print(const void *field, struct buf *out)
{
	value_word(str_z(field), out);
}

/* The position of `word` among `names`, or -1. */
static int choice_find(const char *const *names, size_t n, struct str word)
{
	for (size_t i = 0; i < n; i++)
		if (str_eqz(word, names[i]))
			return (int)i;
	return -1;
}

static bool choice_parse(const char *const *names, size_t n, const struct directive *d,
                         struct strs words, void *field)
{
	return words.n == 1 && choice_find(names, n, words.v[0]) >= 0 &&
	       text_copy(words.v[0], field, d->size);
}

static const char *const hmac_names[] = { "HS256", "HS384", "HS512" };
static const char *const pem_algs[] = { "RS256", "RS384", "RS512", "ES256", "ES384", "ES512" };
static const char *const level_names[] = {
	[LOG_ERROR] = "error",
	[LOG_WARN] = "warn",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

static bool hmac_parse(const struct directive *d, struct strs words, void *field)
{
	return choice_parse(hmac_names, COUNT_OF(hmac_names), d, words, field);
}

static bool level_parse(UNUSED const struct directive *d, struct strs words, void *field)
{
	if (words.n != 1)
		return false;
	const int level = choice_find(level_names, COUNT_OF(level_names), words.v[0]);
	if (level < 0)
		return false;
	*(enum log_level *)field = (enum log_level)level;
	return true;
}

static void level_print(const void *field, struct buf *out)
{
	buf_z(out, level_names[*(const enum log_level *)field]);
}

static bool yes_no_parse(UNUSED const struct directive *d, struct strs words, void *field)
{
	if (words.n != 1)
		return false;
	*(bool *)field = str_eqz(words.v[0], "yes");
	return *(bool *)field || str_eqz(words.v[0], "no");
}

static void yes_no_print(const void *field, struct buf *out)
{
	buf_z(out, *(const bool *)field ? "yes" : "no");
}

/* Numbers, with and without units. */

struct unit {
	const char *suffix;
	uint64_t scale;
};

static const struct unit time_units[] = {
	{ "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 }, { 0 }
};
static const struct unit byte_units[] = {
	{ "gb", 1000000000 }, { "mb", 1000000 }, { "kb", 1000 }, { "", 1 }, { 0 }
};
static const struct unit no_units[] = { { "", 1 }, { 0 } };

/* Digits and a unit; 0 needs none. */
static bool scaled_parse(const struct unit *units, const struct directive *d, struct strs words,
                         void *field)
{
	uint64_t n;

	if (words.n != 1)
		return false;
	size_t digits = 0;
	while (digits < words.v[0].len && words.v[0].p[digits] >= '0' &&
	       words.v[0].p[digits] <= '9')
		digits++;
	if (!str_u64((struct str){ words.v[0].p, digits }, &n))
		return false;
	const struct str suffix = str_from(words.v[0], digits);
	const struct unit *u = units;
	while (u->suffix && !str_eq_nocase(suffix, str_z(u->suffix)) && (n || suffix.len))
		u++;
	if (!u->suffix || n > d->max / u->scale || n * u->scale < d->min)
		return false;
	*(unsigned *)field = (unsigned)(n * u->scale);
	return true;
}

static void scaled_print(const struct unit *units, const void *field, struct buf *out)
{
	const unsigned n = *(const unsigned *)field;

	while (n % units->scale)
		units++;
	buf_u64(out, n / units->scale);
	if (n)
		buf_z(out, units->suffix);
}

static bool number_parse(const struct directive *d, struct strs words, void *field)
{
	return scaled_parse(no_units, d, words, field);
}

static void number_print(const void *field, struct buf *out)
{
	scaled_print(no_units, field, out);
}

static bool duration_parse(const struct directive *d, struct strs words, void *field)
{
	return scaled_parse(time_units, d, words, field);
}

static void duration_print(const void *field, struct buf *out)
{
	scaled_print(time_units, field, out);
}

static bool bytes_parse(const struct directive *d, struct strs words, void *field)
{
	return scaled_parse(byte_units, d, words, field);
}

static void bytes_print(const void *field, struct buf *out)
{
	scaled_print(byte_units, field, out);
}

/* The cores this process may run on, which taskset and containers make fewer. */
static unsigned cores(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	const unsigned n = (unsigned)CPU_COUNT(&set);
	return n < CONF_MAX_WORKERS ? n : CONF_MAX_WORKERS;
}

static bool workers_parse(const struct directive *d, struct strs words, void *field)
{
	if (words.n != 1 || !str_eqz(words.v[0], "auto"))
		return number_parse(d, words, field);
	*(unsigned *)field = cores();
	return true;
}

static bool rate_parse(UNUSED const struct directive *d, struct strs words, void *field)
{
	const struct directive bounds = { .max = 1000000 };
	struct conf_rate *rate = field;

	if (words.n == 1)
		return str_eqz(words.v[0], "off") || str_eqz(words.v[0], "0");
	return words.n == 2 &&
	       number_parse(&bounds, (struct strs){ &words.v[0], 1 }, &rate->per_second) &&
	       number_parse(&bounds, (struct strs){ &words.v[1], 1 }, &rate->burst) &&
	       !rate->per_second == !rate->burst;
}

static void rate_print(const void *field, struct buf *out)
{
	const struct conf_rate *rate = field;

	if (rate->per_second)
		buf_printf(out, "%u %u", rate->per_second, rate->burst);
	else
		buf_z(out, "off");
}

/* Addresses. */

/* HOST:PORT or [HOST]:PORT; a host with colons needs the brackets. */
static bool address_split(struct str text, struct str *host, uint16_t *port)
{
	uint64_t n;

	if (text.len && text.p[0] == '[') {
		text = str_from(text, 1);
		*host = str_cut(&text, ']');
		if (!text.len || text.p[0] != ':')
			return false;
		text = str_from(text, 1);
	} else {
		*host = str_cut(&text, ':');
	}
	if (!host->len || !str_u64(text, &n) || n < 1 || n > UINT16_MAX)
		return false;
	*port = (uint16_t)n;
	return true;
}

/* Puts an address into its one canonical spelling. */
static bool address_numeric(struct str text, char *to, size_t size)
{
	unsigned char raw[sizeof(struct in6_addr)];
	const int family = str_has(text, ':') ? AF_INET6 : AF_INET;

	return text_copy(text, to, size) && inet_pton(family, to, raw) == 1 &&
	       inet_ntop(family, raw, to, (socklen_t)size);
}

static bool is_word(struct str s)
{
	if (!s.len)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!str_has(STR("abcdefghijklmnopqrstuvwxyz0123456789-"), s.p[i]))
			return false;
	return true;
}

static bool listen_parse(UNUSED const struct directive *d, struct strs words, void *field)
{
	struct conf_listen *l = field;
	struct str host;

	return words.n == 2 && address_split(words.v[0], &host, &l->port) &&
	       address_numeric(host, l->address, sizeof(l->address)) && is_word(words.v[1]) &&
	       text_copy(words.v[1], l->root, sizeof(l->root));
}

static void address_print(const char *host, uint16_t port, struct buf *out)
{
	buf_printf(out, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
}

static void listen_print(const void *field, struct buf *out)
{
	const struct conf_listen *l = field;

	address_print(l->address, l->port, out);
	buf_printf(out, " %s", l->root);
}

static bool is_host(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!(s.p[i] >= 'a' && s.p[i] <= 'z') && !(s.p[i] >= 'A' && s.p[i] <= 'Z') &&
		    !(s.p[i] >= '0' && s.p[i] <= '9') && !str_has(STR(".-_:"), s.p[i]))
			return false;
	return s.len > 0;
}

static bool redis_parse(UNUSED const struct directive *d, struct strs words, void *field)
{
	struct conf_redis *r = field;
	struct str host;

	if (words.n != 1)
		return false;
	if (str_eqz(words.v[0], "embedded"))
		return true;
	if (str_starts(words.v[0], STR("unix:"))) {
		r->kind = REDIS_UNIX;
		return words.v[0].len > 5 &&
		       text_copy(str_from(words.v[0], 5), r->path, sizeof(r->path));
	}
	r->kind = REDIS_TCP;
	return address_split(words.v[0], &host, &r->port) && is_host(host) &&
	       text_copy(host, r->host, sizeof(r->host));
}

static void redis_print(const void *field, struct buf *out)
{
	const struct conf_redis *r = field;
	char path[sizeof("unix:") + sizeof(r->path)];

	switch (r->kind) {
	case REDIS_EMBEDDED:
		buf_z(out, "embedded");
		break;
	case REDIS_UNIX:
		snprintf(path, sizeof(path), "unix:%s", r->path);
		text_print(path, out);
		break;
	case REDIS_TCP:
		address_print(r->host, r->port, out);
		break;
	}
}

static bool key_parse(UNUSED const struct directive *d, struct strs words, void *field)
{
	struct conf_key *key = field;

	return words.n == 2 && words.v[0].len &&
	       text_copy(words.v[0], key->path, sizeof(key->path)) &&
	       choice_find(pem_algs, COUNT_OF(pem_algs), words.v[1]) >= 0 &&
	       text_copy(words.v[1], key->alg, sizeof(key->alg));
}

static void key_print(const void *field, struct buf *out)
{
	const struct conf_key *key = field;

	text_print(key->path, out);
	buf_printf(out, " %s", key->alg);
}

/* As browsers send it: scheme, host in lower case, no path; compared whole, so no patterns
 * either. */
static bool origin_parse(const struct directive *d, struct strs words, void *field)
{
	if (words.n != 1)
		return false;
	if (str_eqz(words.v[0], "*"))
		return text_parse(d, words, field);
	const char *slashes = memmem(words.v[0].p, words.v[0].len, "://", 3);
	if (!slashes)
		return false;
	const struct str scheme = { words.v[0].p, (size_t)(slashes - words.v[0].p) };
	const struct str rest = str_from(words.v[0], scheme.len + 3);
	if (!is_word(scheme) || !rest.len)
		return false;
	for (size_t i = 0; i < rest.len; i++)
		if (!str_has(STR("abcdefghijklmnopqrstuvwxyz0123456789.-_:[]"), rest.p[i]))
			return false;
	return text_parse(d, words, field);
}

void value_range(const struct directive *d, struct buf *out)
{
	const unsigned min = (unsigned)d->min, max = (unsigned)d->max;

	if (d->type->parse == text_parse)
		buf_printf(out, "%u to %zu bytes", min, d->size - 1);
	if (!max)
		return;
	d->type->print(&min, out);
	buf_z(out, " to ");
	d->type->print(&max, out);
}

void value_wanted(const struct directive *d, struct buf *out)
{
	const size_t before = out->len;

	buf_printf(out, "%s, ", d->type->wanted);
	const size_t wanted = out->len;
	value_range(d, out);
	if (out->len == wanted)
		out->len = before + strlen(d->type->wanted);
}

const struct value_type value_NUMBER = {
	.syntax = "NUMBER",
	.wanted = "a number",
	.parse = number_parse,
	.print = number_print,
};
const struct value_type value_WORKERS = {
	.syntax = "auto|NUMBER",
	.wanted = "auto or a number",
	.parse = workers_parse,
	.print = number_print,
};
const struct value_type value_DURATION = {
	.syntax = "DURATION",
	.wanted = "a duration with its unit (300ms, 25s, 2m, 1h)",
	.parse = duration_parse,
	.print = duration_print,
};
const struct value_type value_BYTES = {
	.syntax = "BYTES",
	.wanted = "a size (1000, 64kb, 1mb; a kb is 1000 bytes)",
	.parse = bytes_parse,
	.print = bytes_print,
};
const struct value_type value_RATE = {
	.syntax = "PER-SECOND BURST",
	.wanted = "off, or two numbers, 1 to 1000000: how many a second, and the burst",
	.words = true,
	.parse = rate_parse,
	.print = rate_print,
};
const struct value_type value_YES_NO = {
	.syntax = "yes|no",
	.wanted = "yes or no",
	.parse = yes_no_parse,
	.print = yes_no_print,
};
const struct value_type value_TEXT = {
	.syntax = "TEXT",
	.wanted = "a text",
	.parse = text_parse,
	.print = text_print,
};
const struct value_type value_PATH = {
	.syntax = "PATH",
	.wanted = "a path",
	.parse = text_parse,
	.print = text_print,
};
const struct value_type value_SECRET = {
	.syntax = "TEXT",
	.wanted = "a text",
	.secret = true,
	.parse = text_parse,
	.print = text_print,
};
const struct value_type value_LEVEL = {
	.syntax = "LEVEL",
	.wanted = "error, warn, info or debug",
	.parse = level_parse,
	.print = level_print,
};
const struct value_type value_HMAC = {
	.syntax = "ALGORITHM",
	.wanted = "HS256, HS384 or HS512",
	.parse = hmac_parse,
	.print = text_print,
};
const struct value_type value_REDIS = {
	.syntax = "embedded|unix:PATH|HOST:PORT",
	.wanted = "embedded, unix:PATH (at most 107 bytes of path) or HOST:PORT",
	.parse = redis_parse,
	.print = redis_print,
};
const struct value_type value_LISTEN = {
	.syntax = "ADDRESS:PORT API",
	.wanted = "a numeric ADDRESS:PORT, such as [::]:3000 (ports 1 to 65535), and an API's name "
	          "or none",
	.words = true,
	.parse = listen_parse,
	.print = listen_print,
};
const struct value_type value_JWT_KEY = {
	.syntax = "FILE ALGORITHM",
	.wanted = "a PEM file and RS256, RS384, RS512, ES256, ES384 or ES512",
	.words = true,
	.parse = key_parse,
	.print = key_print,
};
const struct value_type value_ORIGIN = {
	.syntax = "ORIGIN",
	.wanted = "*, or an origin as browsers send it: https://chat.example.org, in lower case, "
	          "without a path",
	.parse = origin_parse,
	.print = text_print,
};

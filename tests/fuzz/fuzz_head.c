/* Heads of HTTP requests, as they come in: piece by piece, and none of them read in two ways. */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "worker/net/head.h"

enum { STEPS = 40 };

static unsigned count(const struct head *h, const char *name)
{
	unsigned n = 0;

	for (unsigned i = 0; i < h->n; i++)
		n += str_eq_nocase(h->fields[i].name, str_z(name));
	return n;
}

/* What a proxy before us could understand otherwise. */
static void check_framing(const struct head *h)
{
	const unsigned lengths = count(h, "content-length");
	const unsigned codings = count(h, "transfer-encoding");

	CHECK(lengths + codings <= 1 && count(h, "host") <= 1);
	CHECK(h->minor == 0 || count(h, "host") == 1);
	CHECK((h->body == BODY_LENGTH) == (lengths == 1));
	CHECK((h->body == BODY_CHUNKED) == (codings == 1));
}

/* What an accepted head promises to whoever relies on its length. */
static void check_accepted(struct str bytes, const struct head *h)
{
	CHECK(bytes.len >= 4 && bytes.len <= HEAD_MAX_BYTES);
	CHECK(memcmp(bytes.p + bytes.len - 4, "\r\n\r\n", 4) == 0);
	for (size_t i = 0; i < bytes.len; i++) {
		const unsigned char byte = (unsigned char)bytes.p[i];
		CHECK(byte >= ' ' || byte == '\t' || byte == '\r' || byte == '\n');
		CHECK(byte != '\n' || (i > 0 && bytes.p[i - 1] == '\r'));
		CHECK(byte != '\r' || bytes.p[i + 1] == '\n');
	}
	CHECK(h->method.len > 0 && h->target.len > 0 && h->minor <= 1 && h->n <= HEAD_MAX_FIELDS);
	/* A target in absolute-form without a path has the only "/" that is not the input's. */
	CHECK(fuzz_within(h->target, bytes) || str_eqz(h->target, "/"));
	CHECK(fuzz_within(h->path, h->target) && fuzz_within(h->query, h->target));
	for (unsigned i = 0; i < h->n; i++) {
		CHECK(h->fields[i].name.len > 0 && fuzz_within(h->fields[i].name, bytes));
		CHECK(fuzz_within(h->fields[i].value, bytes));
	}
	check_framing(h);
	CHECK(h->body != BODY_LENGTH || h->length <= INT64_MAX);
	CHECK(h->minor == 1 || (h->body != BODY_CHUNKED && !h->upgrade && !h->expect_continue));
}

static void use(const struct head *h)
{
	struct arena a = { 0 };
	struct str rest = h->query, name, value;
	enum query_pair pair;
	bool ok;

	percent_decode(&a, h->path, false, &ok);
	while ((pair = query_next(&a, &rest, &name, &value)) != QUERY_END) {
		CHECK((pair == QUERY_PAIR) == (name.p != NULL && value.p != NULL));
		CHECK(utf8_valid(name) && utf8_valid(value) && !str_has(value, '\0'));
	}
	query_get(&a, h->query, "sid");
	head_has_token(h, "connection", "upgrade");
	arena_fini(&a);
}

/* The answer to the first `len` bytes; an answer once given must stay. */
static int step(struct str s, size_t len, int last)
{
	struct head h;
	const int r = head_parse((struct str){ s.p, len }, &h);

	CHECK(last == 0 || r == last);
	CHECK(r <= (int)len);
	CHECK(r >= 0 || r == -400 || r == -413 || r == -414 || r == -431 || r == -501 || r == -505);
	if (r > 0 && last == 0) {
		check_accepted((struct str){ s.p, (size_t)r }, &h);
		use(&h);
	}
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const struct str s = fuzz_str(bytes, len);
	int last = 0;

	for (size_t n = 0; n < len; n += 1 + len / STEPS)
		last = step(s, n, last);
	step(s, len, last);
	return 0;
}

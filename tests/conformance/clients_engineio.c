/* Engine.IO as engine.io-client's tests want it: a greeting, an echo, and a few words with
 * a meaning. */
#include "tests/conformance/clients.h"

#include <stdlib.h>

#include "common/mem.h"

/* What a session has of its last POST. */
struct posted {
	struct buf headers;
};

static void opened(struct session *s)
{
	s->state = xcalloc(1, sizeof(struct posted));
	session_send(s, false, STR("hi"));
}

static void posted(struct session *s, const struct head *h)
{
	struct posted *p = s->state;
	buf_clear(&p->headers);
	origin_headers(h, &p->headers);
}

static void send_headers(struct session *s)
{
	const struct posted *p = s->state;
	session_send(s, false, p->headers.len > 0 ? buf_view(&p->headers) : STR("{}"));
}

static void give_binary(struct session *s)
{
	session_send(s, true, STR("\0\1\2\3\4"));
}

static void give_utf8(struct session *s)
{
	session_send(s, false, STR("пойду спать всем спокойной ночи"));
}

static const struct {
	const char *word;
	void (*give)(struct session *s);
} words[] = {
	{ "give binary", give_binary },
	{ "give utf8", give_utf8 },
	{ "sendHeaders", send_headers },
};

static void message(struct session *s, bool binary, struct str bytes)
{
	for (size_t i = 0; i < COUNT_OF(words); i++) {
		if (!binary && str_eqz(bytes, words[i].word)) {
			words[i].give(s);
			return;
		}
	}
	session_send(s, binary, bytes);
}

static void closed(struct session *s, enum reason why UNUSED)
{
	struct posted *p = s->state;
	buf_fini(&p->headers);
	free(p);
	s->state = NULL;
}

const struct session_upper clients_engine = {
	.opened = opened,
	.message = message,
	.closed = closed,
	.posted = posted,
};

/* Of these a client sends back the first two: the others have expired when they come. */
static const char cookies[] =
	"Set-Cookie: 1=1; Max-Age=86400\r\n"
	"Set-Cookie: 2=2; Path=/; HttpOnly; Secure; SameSite=Strict\r\n"
	"Set-Cookie: 3=3; Max-Age=0\r\n"
	"Set-Cookie: 4=4; Expires=Thu, 01 Jan 1970 00:00:00 GMT\r\n";

void clients_greet_engineio(const struct request *r UNUSED, const struct head *h,
                            struct greeting *out)
{
	struct arena arena = { 0 };
	if (query_get(&arena, h->query, "deny").p != NULL)
		out->refusal = "Forbidden";
	buf_z(&out->headers, cookies);
	arena_fini(&arena);
}

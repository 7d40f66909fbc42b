/* A Socket.IO v5 socket. s->state of a session is a `line`: its sockets, and the binary packet
 * being put together. */
#include "worker/socketio/socket.h"

#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/id.h"
#include "common/log_line.h"
#include "common/mem.h"

enum { ATTACHMENT_MS = 30000, ACK_MS = 30000 };

/* A binary packet whose attachments are still coming. */
struct partial {
	struct deadline deadline;
	struct session *session;
	char *text;
	struct str blobs[SIO_MAX_ATTACHMENTS];
	unsigned n, wanted;
	size_t bytes;
	struct str header;
};

struct line {
	struct list sockets;
	struct partial *partial;
};

/* A question to the client that waits for its acknowledgement. */
struct asked {
	struct asked *next;
	struct deadline deadline;
	struct socket *socket;
	uint64_t id;
	socket_ack_fn *fn;
	void *arg;
};

static struct sockets *all_of(const struct session *s)
{
	return s->engine->upper;
}

/* --- What a socket hears --- */

static void peer_send(struct peer *p, struct batch *b, uint32_t from, uint32_t to)
{
	session_push(CONTAINER_OF(p, struct socket, peer)->session, b, from, to);
}

static void peer_lost(struct peer *p)
{
	session_close(CONTAINER_OF(p, struct socket, peer)->session, REASON_EVENTS_LOST);
}

static bool peer_is(const struct peer *p, struct str id)
{
	return str_eq(socket_sid(CONTAINER_OF_CONST(p, struct socket, peer)), id);
}

static bool peer_is_behind(const struct peer *p)
{
	return session_is_behind(CONTAINER_OF_CONST(p, struct socket, peer)->session);
}

static bool peer_is_late(const struct peer *p)
{
	return CONTAINER_OF_CONST(p, struct socket, peer)->late;
}

static void peer_set_late(struct peer *p, bool late)
{
	CONTAINER_OF(p, struct socket, peer)->late = late;
}

static const struct peer_vt socket_peer = {
	.send = peer_send, .lost = peer_lost, .is = peer_is, .is_behind = peer_is_behind,
	.is_late = peer_is_late, .set_late = peer_set_late,
};

struct str socket_sid(const struct socket *s)
{
	return (struct str){ s->sid, SOCKET_SID_LEN };
}

static void send_packet(struct session *session, enum sio_type type, struct str nsp, struct str id,
                        struct str data, struct strs blobs)
{
	struct buf *out = &all_of(session)->scratch;
	buf_clear(out);
	sio_encode(out, type, (unsigned)blobs.n, nsp, id, data);
	session_send(session, false, buf_view(out));
	for (size_t i = 0; i < blobs.n; i++)
		session_send(session, true, blobs.v[i]);
}

void socket_emit(struct socket *s, struct str data, struct strs blobs)
{
	if (!s->open || s->closed)
		return;
	send_packet(s->session, blobs.n > 0 ? SIO_BINARY_EVENT : SIO_EVENT, s->nsp->name, STR_NONE,
	            data, blobs);
}

void socket_ack(struct socket *s, struct str id, struct str args, struct strs blobs)
{
	struct buf data = { 0 };
	if (!s->open || s->closed)
		return;
	buf_char(&data, '[');
	buf_str(&data, args);
	buf_char(&data, ']');
	send_packet(s->session, blobs.n > 0 ? SIO_BINARY_ACK : SIO_ACK, s->nsp->name, id,
	            buf_view(&data), blobs);
	buf_fini(&data);
}

/* --- Questions to the client --- */

static void asked_end(struct asked *a, struct str args, struct strs blobs)
{
	struct socket *s = a->socket;
	socket_ack_fn *fn = a->fn;
	void *arg = a->arg;
	struct asked **at = &s->asked;
	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	deadline_clear(&a->deadline);
	free(a);
	fn(s, arg, args, blobs);
}

static void on_ack_late(struct deadline *d)
{
	asked_end(CONTAINER_OF(d, struct asked, deadline), STR_NONE, (struct strs){ 0 });
}

void socket_ask(struct socket *s, struct str data, socket_ack_fn *fn, void *arg)
{
	char text[24];
	if (!s->open || s->closed) {
		fn(s, arg, STR_NONE, (struct strs){ 0 });
		return;
	}
	struct asked *a = xcalloc(1, sizeof(*a));
	a->socket = s;
	a->fn = fn;
	a->arg = arg;
	a->id = s->next_ack++;
	a->next = s->asked;
	s->asked = a;
	deadline_set(&all_of(s->session)->ack, &a->deadline);
	int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)a->id);
	send_packet(s->session, SIO_EVENT, s->nsp->name, (struct str){ text, (size_t)n }, data,
	            (struct strs){ 0 });
}

/* An unknown id, or one answered before, means nothing (§12). */
static void take_ack(struct socket *s, const struct sio_packet *p, struct strs blobs)
{
	uint64_t id;
	if (!str_u64(p->id, &id))
		return;
	for (struct asked *a = s->asked; a != NULL; a = a->next) {
		if (a->id == id) {
			asked_end(a, p->data, blobs);
			return;
		}
	}
}

/* --- In the log --- */

void socket_describe(const struct socket *s, struct buf *line)
{
	log_field(line, "user", s->peer.user);
	log_field(line, "at", s->nsp->name);
	conn_describe(session_conn(s->session), line);
}

static void tell(const struct socket *s, const char *what)
{
	struct buf line = { 0 };
	if (!log_on(LOG_DEBUG))
		return;
	socket_describe(s, &line);
	log_debug("socket %.*s%.*s %s", STR_ARG(socket_sid(s)), STR_ARG(buf_view(&line)), what);
	buf_fini(&line);
}

/* Its user, and the namespaces with commas between. */
static void describe(const struct session *session, struct buf *line)
{
	const struct line *line_of = session->state;
	struct buf names = { 0 };
	struct str user = STR_NONE;
	LIST_EACH(&line_of->sockets, link) {
		const struct socket *s = LIST_OF(link, struct socket, link);
		if (user.len == 0)
			user = s->peer.user;
		if (names.len > 0)
			buf_char(&names, ',');
		buf_str(&names, s->nsp->name);
	}
	log_field(line, "user", user);
	log_field(line, "at", buf_view(&names));
	buf_fini(&names);
}

/* --- Life --- */

static struct socket *socket_new(struct session *session, const struct nsp *nsp)
{
	unsigned char raw[SOCKET_SID_LEN / 4 * 3];
	struct line *line = session->state;
	struct socket *s = xcalloc(1, sizeof(*s));
	s->session = session;
	s->nsp = nsp;
	id_random(raw, sizeof(raw));
	id_encode(s->sid, raw, sizeof(raw));
	list_init(&s->ops);
	expiry_init(&s->expiry);
	list_push(&line->sockets, &s->link);
	peer_init(&s->peer, &socket_peer, &nsp->encoder, STR_NONE);
	all_of(session)->n++;
	all_of(session)->opened++;
	return s;
}

static bool has_open(const struct line *line)
{
	LIST_EACH(&line->sockets, link)
		if (LIST_OF(link, struct socket, link)->open)
			return true;
	return false;
}

static void socket_close(struct socket *s, enum reason why)
{
	struct sockets *all = all_of(s->session);
	if (s->closed)
		return;
	s->closed = true;
	all->app->closed(s, why);
	while (s->asked != NULL)
		asked_end(s->asked, STR_NONE, (struct strs){ 0 });
	op_orphan(&s->ops);
	peer_fini(all->hub, &s->peer);
	expiry_clear(&s->expiry);
	list_remove(&s->link);
	list_push(&all->dying, &s->link);
	all->n--;
	all->closed[why]++;
	/* Those that still wait to be let in may not be. */
	if (s->open && !has_open(s->session->state))
		session_connected(s->session, false);
}

static char *copy(struct str s)
{
	char *p = xmalloc(s.len + 1);
	if (s.len > 0)
		memcpy(p, s.p, s.len);
	return p;
}

/* peer.user is the socket's own copy. */
static void forget_user(struct socket *s)
{
	union { const char *in; void *out; } p = { s->peer.user.p };
	free(p.out);
	s->peer.user = STR_NONE;
}

void socket_identify(struct socket *s, struct str user, int64_t expires_s)
{
	struct sockets *all = all_of(s->session);
	forget_user(s);
	s->peer.user = (struct str){ copy(user), user.len };
	expiry_set(&all->expiries, &s->expiry, expires_s);
}

static void fill_id(char to[SOCKET_SID_LEN], struct str id)
{
	if (id.len == SOCKET_SID_LEN)
		memcpy(to, id.p, SOCKET_SID_LEN);
}

void socket_recover(struct socket *s, struct str sid, struct str pid, struct str take)
{
	fill_id(s->sid, sid);
	fill_id(s->pid, pid);
	snprintf(s->take, sizeof(s->take), "%.*s", STR_ARG(take));
}

void socket_accept(struct socket *s)
{
	char data[32 + 2 * SOCKET_SID_LEN];
	if (s->open || s->closed)
		return;
	s->open = true;
	session_connected(s->session, true);
	tell(s, "came");
	int n = s->pid[0] != '\0'
	                ? snprintf(data, sizeof(data), "{\"sid\":\"%.*s\",\"pid\":\"%.*s\"}",
	                           SOCKET_SID_LEN, s->sid, SOCKET_SID_LEN, s->pid)
	                : snprintf(data, sizeof(data), "{\"sid\":\"%.*s\"}", SOCKET_SID_LEN,
	                           s->sid);
	send_packet(s->session, SIO_CONNECT, s->nsp->name, STR_NONE,
	            (struct str){ data, (size_t)n }, (struct strs){ 0 });
}

static void refuse(struct session *session, struct str nsp, const char *message)
{
	struct buf data = { 0 };
	struct json_out j = json_out(&data);
	json_open(&j, '{');
	json_put_str(&j, "message", str_z(message));
	json_close(&j, '}');
	send_packet(session, SIO_CONNECT_ERROR, nsp, STR_NONE, buf_view(&data), (struct strs){ 0 });
	buf_fini(&data);
}

/* It ends, and its session goes on. */
static void socket_end(struct socket *s, enum reason why)
{
	struct buf line = { 0 };
	if (reason_is_logged(why)) {
		buf_printf(&line, "socket %.*s", STR_ARG(socket_sid(s)));
		socket_describe(s, &line);
		reason_log(why, &line);
		buf_fini(&line);
	}
	socket_close(s, why);
}

void socket_refuse(struct socket *s, enum reason why, const char *message)
{
	if (s->open || s->closed)
		return;
	refuse(s->session, s->nsp->name, message);
	socket_end(s, why);
}

void socket_disconnect(struct socket *s, enum reason why)
{
	if (s->closed)
		return;
	send_packet(s->session, SIO_DISCONNECT, s->nsp->name, STR_NONE, STR_NONE,
	            (struct strs){ 0 });
	socket_end(s, why);
}

/* --- What a client says --- */

static struct socket *find_socket(const struct line *line, struct str nsp)
{
	LIST_EACH(&line->sockets, link) {
		struct socket *s = LIST_OF(link, struct socket, link);
		if (str_eq(s->nsp->name, nsp))
			return s;
	}
	return NULL;
}

static void take_connect(struct session *session, const struct sio_packet *p)
{
	struct sockets *all = all_of(session);
	if (find_socket(session->state, p->nsp) != NULL) {
		session_close(session, REASON_PARSE_ERROR);
		return;
	}
	const struct nsp *nsp = all->app->find(session, p->nsp);
	if (nsp == NULL) {
		/* Counts as a CONNECT that finds one. */
		refuse(session, p->nsp,
		       session_allow(session) ? "Invalid namespace" : err_text(ERR_RATE));
		return;
	}
	all->app->connect(socket_new(session, nsp), p->data.p != NULL ? p->data : STR("{}"));
}

/* A whole packet, with its attachments. */
static void take_packet(struct session *session, const struct sio_packet *p, struct strs blobs)
{
	struct sockets *all = all_of(session);
	if (p->type == SIO_CONNECT) {
		take_connect(session, p);
		return;
	}
	struct socket *s = find_socket(session->state, p->nsp);
	if (s == NULL || !s->open) {
		session_close(session, REASON_PARSE_ERROR);
		return;
	}
	switch (p->type) {
	case SIO_EVENT:
	case SIO_BINARY_EVENT:
		all->events++;
		all->app->event(s, p, blobs);
		return;
	case SIO_ACK:
	case SIO_BINARY_ACK:
		take_ack(s, p, blobs);
		return;
	case SIO_DISCONNECT:
		socket_end(s, REASON_LEFT);
		return;
	case SIO_CONNECT:
	case SIO_CONNECT_ERROR:
		return;
	}
}

/* --- Binary packets: a header, then its attachments, nothing between (§12) --- */

static void partial_free(struct line *line)
{
	struct partial *part = line->partial;
	if (part == NULL)
		return;
	line->partial = NULL;
	deadline_clear(&part->deadline);
	for (unsigned i = 0; i < part->n; i++) {
		union { const char *in; void *out; } p = { part->blobs[i].p };
		free(p.out);
	}
	free(part->text);
	free(part);
}

static void on_attachment_late(struct deadline *d)
{
	session_close(CONTAINER_OF(d, struct partial, deadline)->session, REASON_PARSE_ERROR);
}

static void begin_partial(struct session *session, struct str text, const struct sio_packet *p)
{
	struct line *line = session->state;
	struct partial *part = xcalloc(1, sizeof(*part));
	part->session = session;
	part->text = copy(text);
	part->header = (struct str){ part->text, text.len };
	part->wanted = p->attachments;
	part->bytes = text.len;
	line->partial = part;
	deadline_set(&all_of(session)->attachment, &part->deadline);
}

static void add_blob(struct session *session, struct str bytes)
{
	struct line *line = session->state;
	struct partial *part = line->partial;
	struct sio_packet p;
	part->bytes += bytes.len;
	if (part->bytes > conf.max_payload) {
		session_close(session, REASON_TOO_LARGE);
		return;
	}
	part->blobs[part->n++] = (struct str){ copy(bytes), bytes.len };
	if (part->n < part->wanted)
		return;
	/* Taken off the line first: handling it may end the session. */
	line->partial = NULL;
	struct line whole = { .partial = part };
	if (sio_decode(part->header, &p))
		take_packet(session, &p, (struct strs){ part->blobs, part->n });
	partial_free(&whole);
}

static void on_message(struct session *session, bool binary, struct str bytes)
{
	struct line *line = session->state;
	struct sio_packet p;
	bool expected = line->partial != NULL;
	if (binary != expected || (!binary && !sio_decode(bytes, &p))) {
		session_close(session, REASON_PARSE_ERROR);
		return;
	}
	if (binary)
		add_blob(session, bytes);
	else if (p.type == SIO_BINARY_EVENT || p.type == SIO_BINARY_ACK)
		begin_partial(session, bytes, &p);
	else
		take_packet(session, &p, (struct strs){ 0 });
}

/* --- The session's upper --- */

static void on_opened(struct session *session)
{
	struct line *line = xcalloc(1, sizeof(*line));
	list_init(&line->sockets);
	session->state = line;
	session_connected(session, false);
}

static void on_closed(struct session *session, enum reason why)
{
	struct line *line = session->state;
	while (!list_empty(&line->sockets))
		socket_close(LIST_OF(line->sockets.next, struct socket, link), why);
	partial_free(line);
	free(line);
	session->state = NULL;
}

const struct session_upper socketio_upper = {
	.opened = on_opened,
	.message = on_message,
	.describe = describe,
	.closed = on_closed,
};

/* --- The worker's sockets --- */

static void on_expired(struct expiry *e)
{
	struct socket *s = CONTAINER_OF(e, struct socket, expiry);
	all_of(s->session)->app->expired(s);
}

void sockets_init(struct sockets *all, struct deadlines *ds, struct hub *hub,
                  const struct socket_app *app)
{
	*all = (struct sockets){ .app = app, .hub = hub };
	list_init(&all->dying);
	expiries_init(&all->expiries, ds, on_expired);
	deadline_list_init(ds, &all->attachment, ATTACHMENT_MS, on_attachment_late);
	deadline_list_init(ds, &all->ack, ACK_MS, on_ack_late);
}

void sockets_tick(struct sockets *all)
{
	LIST_EACH(&all->dying, link) {
		struct socket *s = LIST_OF(link, struct socket, link);
		list_remove(link);
		forget_user(s);
		free(s);
	}
}

void sockets_each(const struct engine *e, void (*each)(struct socket *s, void *ctx), void *ctx)
{
	size_t cursor = 0;
	const struct session *session;
	while ((session = map_next(&e->sessions, &cursor)) != NULL) {
		const struct line *line = session->state;
		if (session->mount->upper != &socketio_upper || line == NULL)
			continue;    /* speaks something else, or is over */
		LIST_EACH(&line->sockets, link)
			each(LIST_OF(link, struct socket, link), ctx);
	}
}

void sockets_fini(struct sockets *all)
{
	sockets_tick(all);
	buf_fini(&all->scratch);
}

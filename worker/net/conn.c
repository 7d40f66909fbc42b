/* One TCP connection. */
#include "worker/net/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "worker/net/address.h"
#include "worker/net/gate.h"

enum { LINGER_MS = 2000, PIECES = 64, LARGE_ROUND = 250, REST_MS = 6 };

static void on_ready(evutil_socket_t fd, short what, void *arg);
static void on_rested(struct deadline *d);

static void on_linger_over(struct deadline *d)
{
	conn_close(CONTAINER_OF(d, struct conn, deadline), REASON_HTTP_DONE);
}

void net_init(struct net *n, struct event_base *base, struct deadlines *ds)
{
	*n = (struct net){ .base = base, .input = xmalloc(NET_INPUT) };
	list_init(&n->conns);
	list_init(&n->todo);
	list_init(&n->dying);
	deadline_list_init(ds, &n->linger, LINGER_MS, on_linger_over);
	deadline_list_init(ds, &n->rests, REST_MS, on_rested);
}

static void free_dying(struct net *n)
{
	LIST_EACH(&n->dying, link) {
		struct conn *c = LIST_OF(link, struct conn, link);
		list_remove(link);
		free(c);
	}
}

void net_fini(struct net *n)
{
	while (!list_empty(&n->conns))
		conn_close(LIST_OF(n->conns.next, struct conn, link), REASON_DRAINING);
	free_dying(n);
	free(n->input);
}

/* Tells libevent what the connection waits for now. */
static void watch(struct conn *c)
{
	evutil_socket_t fd = event_get_fd(&c->event);
	short what = EV_PERSIST;
	if (!c->paused)
		what |= EV_READ;
	if (c->wants_write)
		what |= EV_WRITE;
	event_del(&c->event);
	event_assign(&c->event, c->net->base, fd, what, on_ready, c);
	if (what != EV_PERSIST)
		event_add(&c->event, NULL);
}

struct conn *conn_new(struct net *n, int fd, unsigned listener, const struct conn_vt *vt,
                      struct str bytes)
{
	struct conn *c = xcalloc(1, sizeof(*c));
	c->net = n;
	c->vt = vt;
	c->listener = (uint8_t)listener;
	/* Every turn ends in one write: nothing is gained by the kernel's waiting for more. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	list_push(&n->conns, &c->link);
	list_init(&c->todo);
	event_assign(&c->event, n->base, fd, EV_READ | EV_PERSIST, on_ready, c);
	event_add(&c->event, NULL);
	n->n_conns++;
	n->opened++;
	if (bytes.len > 0) {
		buf_str(&c->in, bytes);
		conn_resume(c);
	}
	return c;
}

int conn_fd(const struct conn *c)
{
	return event_get_fd(&c->event);
}

void conn_describe(const struct conn *c, struct buf *line)
{
	struct sockaddr_storage from = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(from);
	if (c == NULL || getpeername(conn_fd(c), (struct sockaddr *)&from, &len) != 0)
		from.ss_family = AF_UNSPEC;
	buf_z(line, " from=");
	address_text(&from, line);
}

/* While the peer's address can still be had. Of clients, those tell who know them. */
static void tell(struct conn *c, enum reason why)
{
	struct buf line = { 0 };
	bool told = c->told;
	c->told = true;
	if (told || !reason_is_logged(why))
		return;
	buf_z(&line, "connection");
	conn_describe(c, &line);
	reason_log(why, &line);
	buf_fini(&line);
}

void conn_close(struct conn *c, enum reason why)
{
	if (c->closed)
		return;
	c->closed = true;
	if (c->finishing)
		why = (enum reason)c->why;
	int fd = conn_fd(c);
	event_del(&c->event);
	deadline_clear(&c->deadline);
	list_remove(&c->todo);
	c->vt->closed(c, why);
	tell(c, why);
	close(fd);
	gate_left(c->net->gate, c->gate_slot);
	c->net->queued -= c->out.bytes;
	outq_fini(&c->out);
	buf_fini(&c->in);
	list_remove(&c->link);
	list_push(&c->net->dying, &c->link);
	c->net->n_conns--;
	c->net->closed[why]++;
}

/* Offers all kept bytes, then keeps what was not used. */
static void offer_kept(struct conn *c)
{
	size_t used = c->vt->input(c, buf_view(&c->in));
	if (c->closed)
		return;
	buf_consume(&c->in, used);
	if (c->in.len == 0)
		buf_fini(&c->in);
	if (c->paused && c->in.len < NET_INPUT)
		conn_pause(c, false);
}

static void offer(struct conn *c, struct str bytes)
{
	if (c->in.len > 0) {
		buf_str(&c->in, bytes);
		offer_kept(c);
		return;
	}
	size_t used = c->vt->input(c, bytes);
	if (!c->closed && used < bytes.len)
		buf_str(&c->in, str_from(bytes, used));
}

static void on_readable(struct conn *c)
{
	ssize_t n = read(conn_fd(c), c->net->input, NET_INPUT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		conn_close(c, n == 0 ? REASON_CLIENT_GONE : REASON_CLIENT_ERROR);
		return;
	}
	if (c->finishing)
		return;      /* it is only waited for the peer to close */
	offer(c, (struct str){ c->net->input, (size_t)n });
	if (!c->closed && c->in.len >= NET_INPUT)
		conn_pause(c, true);
}

/* It is looked at, at the end of the turn. */
static void want(struct conn *c)
{
	if (!c->closed && list_empty(&c->todo))
		list_push(&c->net->todo, &c->todo);
}

/* Writes what the socket takes; true while the connection lives. */
static bool flush(struct conn *c)
{
	struct iovec pieces[PIECES];
	while (!outq_empty(&c->out)) {
		int n = outq_pieces(&c->out, pieces, PIECES);
		/* One piece is what most have; send is then some 8 % cheaper than writev. */
		ssize_t written = n == 1 ? send(conn_fd(c), pieces[0].iov_base, pieces[0].iov_len,
		                                MSG_NOSIGNAL)
		                         : writev(conn_fd(c), pieces, n);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0 && errno == EAGAIN)
			break;
		if (written < 0) {
			conn_close(c, REASON_CLIENT_ERROR);
			return false;
		}
		outq_advance(&c->out, (size_t)written);
		c->net->queued -= (uint64_t)written;
	}
	bool waits = !outq_empty(&c->out);
	if (waits != c->wants_write) {
		c->wants_write = waits;
		watch(c);
	}
	if (waits)
		want(c);     /* to be packed */
	return true;
}

/* The last words are written: half-close, so that the peer reads them before a reset can come. */
static void linger(struct conn *c)
{
	shutdown(conn_fd(c), SHUT_WR);
	deadline_set(&c->net->linger, &c->deadline);
}

static void write_out(struct conn *c)
{
	if (!flush(c))
		return;
	if (c->vt->written != NULL)
		c->vt->written(c);
	if (!outq_empty(&c->out))
		return;
	if (c->finishing)
		linger(c);
	else if (c->vt->drained != NULL)
		c->vt->drained(c);
}

static void on_ready(evutil_socket_t fd UNUSED, short what, void *arg)
{
	struct conn *c = arg;
	if (what & EV_READ)
		on_readable(c);
	if (!c->closed && (what & EV_WRITE))
		write_out(c);
}

void conn_touch(struct conn *c)
{
	want(c);
}

void conn_cork(struct conn *c, bool corked)
{
	c->corked = corked;
	list_remove(&c->todo);       /* it may stand among the stuck */
	want(c);
}

void conn_push(struct conn *c, struct batch *b, uint32_t from, uint32_t to)
{
	if (c->closed || c->finishing)
		return;
	outq_push(&c->out, b, from, to);
	c->net->queued += to - from;
	conn_touch(c);
}

void conn_take_over(struct conn *c, struct outq *q)
{
	c->net->queued += q->bytes;
	outq_move(&c->out, q);
	conn_touch(c);
}

void conn_bytes(struct conn *c, struct str bytes)
{
	struct batch *b = batch_new();
	batch_bytes(b, bytes);
	conn_push(c, b, 0, batch_len(b));
	batch_unref(b);
}

void conn_resume(struct conn *c)
{
	c->resumes = true;
	list_remove(&c->todo);       /* it may stand among those who wait for something else */
	want(c);
}

void conn_pause(struct conn *c, bool paused)
{
	if (c->closed || c->paused == paused)
		return;
	c->paused = paused;
	watch(c);
}

void conn_await(struct conn *c)
{
	if (c->closed || c->wants_write)
		return;
	c->wants_write = true;
	watch(c);
}

void conn_finish(struct conn *c, enum reason why)
{
	if (c->closed || c->finishing)
		return;
	c->finishing = true;
	c->why = (uint8_t)why;
	tell(c, why);
	conn_pause(c, false);
	deadline_set(&c->net->linger, &c->deadline);
	conn_touch(c);
}

/* Writes to all who wait. After a large round the next one has to wait a moment, so that
 * under load more frames leave in one write: a write costs ten times what one more frame in it
 * does (docs/design.md). */
static void write_all(struct net *n, struct list *waiting)
{
	size_t written = 0;
	while (!list_empty(waiting)) {
		struct conn *c = LIST_OF(waiting->next, struct conn, todo);
		list_remove(&c->todo);
		write_out(c);
		written++;
	}
	if (written >= LARGE_ROUND)
		deadline_set(&n->rests, &n->rest);
}

/* The rest after a large round is over: this turn's end writes again. */
static void on_rested(struct deadline *d UNUSED)
{
}

/* What could not be written stays within its memory: by now nobody adds to the turn's
 * batches any more. */
static void pack_all(struct list *stuck)
{
	while (!list_empty(stuck)) {
		struct conn *c = LIST_OF(stuck->next, struct conn, todo);
		list_remove(&c->todo);
		outq_pack(&c->out);
	}
}

/* Bytes that were kept go to the protocols, which may give this or other connections something to
 * do. Who has something to write comes to `waiting`, or, if it can't be written yet, to `stuck`. */
static void offer_all(struct net *n, struct list *waiting, struct list *stuck)
{
	while (!list_empty(&n->todo)) {
		struct conn *c = LIST_OF(n->todo.next, struct conn, todo);
		list_remove(&c->todo);
		if (c->resumes) {
			c->resumes = false;
			offer_kept(c);
		}
		if (c->closed || c->resumes)
			continue;    /* if it resumes it is on the list again */
		list_remove(&c->todo);
		if (c->wants_write || c->corked)
			list_push(stuck, &c->todo);
		else if (!outq_empty(&c->out) || c->finishing)
			list_push(waiting, &c->todo);
	}
}

void net_tick(struct net *n)
{
	struct list waiting, stuck;
	list_init(&waiting);
	list_init(&stuck);
	do {
		offer_all(n, &waiting, &stuck);
		if (deadline_is_set(&n->rest)) {
			list_splice(&n->todo, &waiting);
			break;
		}
		write_all(n, &waiting);
	} while (!list_empty(&n->todo));
	pack_all(&stuck);
	n->turn++;
	free_dying(n);
}

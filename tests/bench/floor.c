/* The floor: what delivering costs at the very least. A single-threaded server that writes a ready
 * frame to every member of a room for each text that one of them sends; it parses, stores and
 * checks nothing.
 *
 *	send       one send() per member and frame
 *	coalesce   all frames of one turn of the loop in one send() per member
 *
 * A client's room is the path it connects with, a number. Of a text only the mark is looked at,
 * which goes into the frame, so that the time to the delivery can be measured. Says its port
 * on standard output. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "tests/bench/wire.h"

enum {
	INPUT = 64 * 1024, EVENTS = 256, ROOMS = 65536, FRAME_MAX = 8192, BACKLOG = 4096,
	LIFE_S = 900,
};

struct member {
	struct bytes in, out;
	struct room *room;           /* NULL: the upgrade is under way */
	int fd;
	unsigned place;              /* among the room's */
};

struct room {
	struct member **members;
	unsigned n, cap;
	struct bytes turn;           /* frames of this turn, when they are coalesced */
	bool dirty;
};

static struct {
	struct room rooms[ROOMS];
	struct room *dirty[ROOMS];
	unsigned n_dirty;
	char frame[FRAME_MAX];
	size_t frame_len, mark_at;
	bool coalesces;
	int epoll, listener;
} server;

/* --- Members --- */

static void watch(struct member *m, int how)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = m };
	if (m->out.len > 0)
		e.events |= EPOLLOUT;
	epoll_ctl(server.epoll, how, m->fd, &e);
}

static void room_add(struct room *r, struct member *m)
{
	if (r->n == r->cap) {
		r->cap = r->cap ? r->cap * 2 : 2;
		r->members = realloc(r->members, r->cap * sizeof(*r->members));
		if (r->members == NULL)
			die("out of memory", 0);
	}
	m->room = r;
	m->place = r->n;
	r->members[r->n++] = m;
}

static void member_end(struct member *m)
{
	if (m->room != NULL) {
		struct member *last = m->room->members[--m->room->n];
		m->room->members[m->place] = last;
		last->place = m->place;
	}
	close(m->fd);
	bytes_free(&m->in);
	bytes_free(&m->out);
	free(m);
}

/* A peer that is gone is noticed when it is read from. */
static void member_put(struct member *m, const void *p, size_t len)
{
	const bool waited = m->out.len > 0;
	if (bytes_send(&m->out, m->fd, p, len) && !waited && m->out.len > 0)
		watch(m, EPOLL_CTL_MOD);
}

static void room_put(const struct room *r, const void *p, size_t len)
{
	for (unsigned i = 0; i < r->n; i++)
		member_put(r->members[i], p, len);
}

/* --- What comes --- */

static void on_text(struct room *r, const struct frame *f)
{
	if (f->len < MARK_LEN)
		return;
	memcpy(server.frame + server.mark_at, f->payload, MARK_LEN);
	if (!server.coalesces) {
		room_put(r, server.frame, server.frame_len);
		return;
	}
	bytes_add(&r->turn, server.frame, server.frame_len);
	if (!r->dirty)
		server.dirty[server.n_dirty++] = r;
	r->dirty = true;
}

/* The upgrade; how many bytes it has, 0 while it is incomplete. */
static size_t on_head(struct member *m, const char *p, size_t len)
{
	static const char answer[] =
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Accept: " HANDSHAKE_ACCEPT "\r\n\r\n";
	const char *end = memmem(p, len, "\r\n\r\n", 4);
	const char *slash = memchr(p, '/', len);

	if (end == NULL || slash == NULL)
		return 0;
	room_add(&server.rooms[strtoul(slash + 1, NULL, 10) % ROOMS], m);
	member_put(m, answer, sizeof(answer) - 1);
	return (size_t)(end - p) + 4;
}

static size_t take(struct member *m, const char *p, size_t len)
{
	size_t used = m->room == NULL ? on_head(m, p, len) : 0;
	struct frame f;

	while (m->room != NULL && frame_read(p + used, len - used, &f)) {
		if (f.opcode == OPCODE_TEXT)
			on_text(m->room, &f);
		used += f.size;
	}
	return used;
}

static void on_readable(struct member *m)
{
	static char input[INPUT + 1];
	const ssize_t n = recv(m->fd, input, INPUT, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		member_end(m);
		return;
	}
	if (m->in.len > 0) {
		bytes_add(&m->in, input, (size_t)n);
		bytes_drop(&m->in, take(m, m->in.p, m->in.len));
		return;
	}
	const size_t used = take(m, input, (size_t)n);
	bytes_add(&m->in, input + used, (size_t)n - used);
}

static void on_writable(struct member *m)
{
	struct bytes rest = m->out;

	m->out = (struct bytes){ 0 };
	(void)bytes_send(&m->out, m->fd, rest.p, rest.len);
	bytes_free(&rest);
	watch(m, EPOLL_CTL_MOD);
}

static void on_listener(void)
{
	int fd;

	while ((fd = accept4(server.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct member *m = calloc(1, sizeof(*m));
		if (m == NULL)
			die("out of memory", 0);
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
		m->fd = fd;
		watch(m, EPOLL_CTL_ADD);
	}
}

/* --- The loop --- */

static void end_turn(void)
{
	for (unsigned i = 0; i < server.n_dirty; i++) {
		struct room *r = server.dirty[i];
		room_put(r, r->turn.p, r->turn.len);
		r->turn.len = 0;
		r->dirty = false;
	}
	server.n_dirty = 0;
}

/* Standard input says nothing; that it ends, ends the server. */
static void dispatch(const struct epoll_event *e)
{
	if (e->data.ptr == &server.listener)
		on_listener();
	else if (e->data.ptr == &server.epoll)
		exit(EXIT_SUCCESS);
	else if (e->events & EPOLLOUT)
		on_writable(e->data.ptr);
	else
		on_readable(e->data.ptr);
}

static void watch_fd(int fd, void *as)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = as };
	if (epoll_ctl(server.epoll, EPOLL_CTL_ADD, fd, &e) != 0)
		die("epoll_ctl", errno);
}

/* A frame of `size` bytes in all, with the mark in front. */
static void make_frame(size_t size)
{
	unsigned char head[FRAME_HEAD_MAX];
	const size_t payload = size - (size < 128 ? 2 : 4);

	server.mark_at = frame_head(head, OPCODE_TEXT, payload, false);
	server.frame_len = server.mark_at + payload;
	memcpy(server.frame, head, server.mark_at);
	memset(server.frame + server.mark_at, 'x', payload);
}

static void listen_somewhere(void)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(at);

	server.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (server.listener < 0 || bind(server.listener, (const struct sockaddr *)&at, len) != 0 ||
	    listen(server.listener, BACKLOG) != 0 ||
	    getsockname(server.listener, (struct sockaddr *)&at, &len) != 0)
		die("listen", errno);
	printf("%u\n", ntohs(at.sin_port));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	const size_t size = argc == 3 ? (size_t)atoi(argv[2]) : 0;

	if (size < MARK_LEN + 2 || size > FRAME_MAX)
		die("usage: floor send|coalesce BYTES-OF-A-FRAME", 0);
	server.coalesces = strcmp(argv[1], "coalesce") == 0;
	make_frame(size);
	program_begin(LIFE_S);
	server.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (server.epoll < 0)
		die("epoll_create1", errno);
	listen_somewhere();
	watch_fd(server.listener, &server.listener);
	watch_fd(STDIN_FILENO, &server.epoll);
	for (;;) {
		struct epoll_event events[EVENTS];
		const int n = epoll_wait(server.epoll, events, EVENTS, -1);
		for (int i = 0; i < n; i++)
			dispatch(&events[i]);
		end_turn();
	}
}

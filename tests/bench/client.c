/* A WebSocket client with just enough Socket.IO. Whatever a server does that it must not, such as
 * closing, ends the program: figures of a broken run mean nothing. */
#include "tests/bench/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { INPUT = 256 * 1024, TEXT_MAX = 4096, PER_ADDRESS = 8192 };

#define ENGINE_PATH "/socket.io/?EIO=4&transport=websocket"

static const struct speech speeches[] = {
	{
		.name = "confab", .path = ENGINE_PATH, .open = "0{",
		.enter = "40{\"token\":\"{token}\"}", .entered = "42[\"authenticated\"",
		.join = "420[\"join_channel\",{\"channelId\":\"{room}\"}]",
		.joined = "430[{\"ok\":true",
		.send = "42[\"send_message\",{\"content\":\"{text}\",\"channelId\":\"{room}\"}]",
		.refused = "42[\"error\"",
	},
	{
		.name = "socketio", .path = ENGINE_PATH, .open = "0{",
		.enter = "40", .entered = "40{",
		.join = "420[\"join\",\"{room}\"]", .joined = "430[",
		.send = "42[\"send\",{\"room\":\"{room}\",\"text\":\"{text}\"}]",
	},
	{ .name = "floor", .path = "/{room}", .send = "{text}" },
};

struct clients clients;

const struct speech *speech_find(const char *name)
{
	for (size_t i = 0; i < sizeof(speeches) / sizeof(*speeches); i++)
		if (strcmp(speeches[i].name, name) == 0)
			return &speeches[i];
	return NULL;
}

/* --- What is said --- */

/* Fills `form` in; `to` has TEXT_MAX bytes. */
static size_t fill_in(char *to, const char *form, const struct seat *seat, const char *text)
{
	const struct { const char *word, *value; } words[] = {
		{ "{room}", seat->room }, { "{token}", seat->token }, { "{text}", text },
	};
	size_t n = 0;

	while (*form != '\0') {
		const char *value = NULL;
		for (size_t i = 0; i < 3 && value == NULL && *form == '{'; i++) {
			if (strncmp(form, words[i].word, strlen(words[i].word)) != 0)
				continue;
			value = words[i].value;
			form += strlen(words[i].word);
		}
		const size_t len = value != NULL ? strlen(value) : 1;
		if (n + len >= TEXT_MAX)
			die("a text that is too long", 0);
		memcpy(to + n, value != NULL ? value : form++, len);
		n += len;
	}
	to[n] = '\0';
	return n;
}

static void watch(struct client *c, int how)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
	if (c->out.len > 0)
		e.events |= EPOLLOUT;
	epoll_ctl(clients.epoll, how, c->fd, &e);
}

static void put(struct client *c, const void *p, size_t len)
{
	const bool waited = c->out.len > 0;
	if (!bytes_send(&c->out, c->fd, p, len))
		die("send", errno);
	if (!waited && c->out.len > 0)
		watch(c, EPOLL_CTL_MOD);
}

static void put_frame(struct client *c, unsigned opcode, const char *payload, size_t len)
{
	char frame[FRAME_HEAD_MAX + TEXT_MAX];
	unsigned char head[FRAME_HEAD_MAX];
	const size_t n = frame_head(head, opcode, len, true);

	memcpy(frame, head, n);
	memcpy(frame + n, payload, len);
	put(c, frame, n + len);
}

static void say(struct client *c, const char *form, const char *text)
{
	char filled[TEXT_MAX];
	const size_t len = fill_in(filled, form, &c->seat, text);
	put_frame(c, OPCODE_TEXT, filled, len);
}

void client_send(struct client *c, const char *text)
{
	say(c, clients.speech->send, text);
}

void client_connect(struct client *c, const struct sockaddr_in *to, unsigned number)
{
	struct sockaddr_in from = { .sin_family = AF_INET };
	char path[TEXT_MAX], head[TEXT_MAX + 512];

	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + number / PER_ADDRESS);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		die("socket", errno);
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){ 1 }, sizeof(int));
	if (bind(c->fd, (const struct sockaddr *)&from, sizeof(from)) != 0 ||
	    connect(c->fd, (const struct sockaddr *)to, sizeof(*to)) != 0)
		die("connect", errno);
	fill_in(path, clients.speech->path, &c->seat, "");
	const int n = snprintf(head, sizeof(head),
	                       "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
	                       "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
	                       "Sec-WebSocket-Key: " HANDSHAKE_KEY "\r\n\r\n", path);
	c->state = CLIENT_UPGRADING;
	watch(c, EPOLL_CTL_ADD);
	put(c, head, (size_t)n);
}

void client_join(struct client *c)
{
	c->state = CLIENT_JOINING;
	if (clients.speech->join != NULL) {
		say(c, clients.speech->join, "");
		return;
	}
	c->state = CLIENT_JOINED;
	clients.joined(c);
}

/* --- What is heard --- */

static void set_entered(struct client *c)
{
	c->state = CLIENT_ENTERED;
	clients.entered(c);
}

static bool begins(const char *text, size_t len, const char *with)
{
	return with != NULL && len >= strlen(with) && memcmp(text, with, strlen(with)) == 0;
}

/* A delivery, or something that does not count, such as an event that goes with
 * an acknowledgement. */
static void on_event(struct client *c, const struct frame *f)
{
	const char *p = f->payload;
	const char *mark = p + c->mark_at;

	if (c->mark_at >= f->len || !mark_is(mark, f->len - c->mark_at))
		mark = mark_find(p, f->len);
	if (mark == NULL)
		return;
	c->mark_at = (uint32_t)(mark - p);
	clients.heard(c, mark, f->size);
}

static void on_text(struct client *c, const struct frame *f)
{
	const struct speech *s = clients.speech;

	if (s->open != NULL && f->len == 1 && f->payload[0] == '2') {
		put_frame(c, OPCODE_TEXT, "3", 1);
	} else if (s->open != NULL && begins(f->payload, f->len, "44")) {
		die("the server refused a client", 0);
	} else if (begins(f->payload, f->len, s->refused)) {
		clients.refused(c, f->payload, f->len);
	} else if (c->state == CLIENT_JOINED) {
		on_event(c, f);
	} else if (c->state == CLIENT_OPENING && begins(f->payload, f->len, s->open)) {
		c->state = CLIENT_ENTERING;
		say(c, s->enter, "");
	} else if (c->state == CLIENT_ENTERING && begins(f->payload, f->len, s->entered)) {
		set_entered(c);
	} else if (c->state == CLIENT_JOINING && begins(f->payload, f->len, s->joined)) {
		c->state = CLIENT_JOINED;
		clients.joined(c);
	}
}

static void on_frame(struct client *c, const struct frame *f)
{
	if (f->opcode == OPCODE_TEXT)
		on_text(c, f);
	else if (f->opcode == OPCODE_PING)
		put_frame(c, OPCODE_PONG, f->payload, f->len);
	else if (f->opcode == OPCODE_CLOSE)
		die("the server closed a connection", 0);
}

/* The answer to the upgrade; how many bytes it has, 0 while it is incomplete. */
static size_t on_head(struct client *c, const char *p, size_t len)
{
	const char *end = memmem(p, len, "\r\n\r\n", 4);

	if (end == NULL)
		return 0;
	if (!begins(p, len, "HTTP/1.1 101 ") || memmem(p, len, HANDSHAKE_ACCEPT, 28) == NULL)
		die("the server refused the upgrade", 0);
	c->state = CLIENT_OPENING;
	if (clients.speech->open == NULL)
		set_entered(c);
	return (size_t)(end - p) + 4;
}

/* How many of the bytes were used. */
static size_t take(struct client *c, const char *p, size_t len)
{
	size_t used = c->state == CLIENT_UPGRADING ? on_head(c, p, len) : 0;
	struct frame f;

	if (c->state == CLIENT_UPGRADING)
		return 0;
	while (frame_read(p + used, len - used, &f)) {
		on_frame(c, &f);
		used += f.size;
	}
	return used;
}

static void on_readable(struct client *c)
{
	static char input[INPUT];
	const ssize_t n = recv(c->fd, input, sizeof(input), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		die("the server ended a connection", n < 0 ? errno : 0);
	if (c->in.len > 0) {
		bytes_add(&c->in, input, (size_t)n);
		bytes_drop(&c->in, take(c, c->in.p, c->in.len));
		return;
	}
	const size_t used = take(c, input, (size_t)n);
	bytes_add(&c->in, input + used, (size_t)n - used);
}

static void on_writable(struct client *c)
{
	struct bytes rest = c->out;

	c->out = (struct bytes){ 0 };
	if (!bytes_send(&c->out, c->fd, rest.p, rest.len))
		die("send", errno);
	bytes_free(&rest);
	watch(c, EPOLL_CTL_MOD);
}

void client_ready(struct client *c, uint32_t events)
{
	if (events & EPOLLOUT)
		on_writable(c);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		on_readable(c);
}

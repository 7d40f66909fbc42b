/* One connection of the load generator: its handshakes, and what it hears. */
#ifndef CONFAB_BENCH_CLIENT_H
#define CONFAB_BENCH_CLIENT_H

#include <netinet/in.h>

#include "tests/bench/wire.h"

/* How a server is spoken to. In the texts, {room}, {token} and {text} are filled in. */
struct speech {
	const char *name;
	const char *path;
	const char *open;            /* the server's first text; NULL: there is none */
	const char *enter;           /* said then */
	const char *entered;         /* how the answer to it begins */
	const char *join, *joined;   /* NULL: who has entered has joined */
	const char *send;
	const char *refused;         /* how a refused message is told; NULL: never */
};

/* NULL: there is none of that name. */
const struct speech *speech_find(const char *name);

/* Where a client sits: its room, and the token of its user. */
struct seat {
	const char *room, *token;
};

enum client_state {
	CLIENT_ABSENT,
	CLIENT_UPGRADING,            /* the request is under way */
	CLIENT_OPENING,              /* waits for the server's first text */
	CLIENT_ENTERING,
	CLIENT_ENTERED,
	CLIENT_JOINING,
	CLIENT_JOINED,
};

struct client {
	struct seat seat;
	struct bytes in, out;        /* an incomplete frame; what the socket did not take */
	int fd;
	uint32_t mark_at;            /* where the last mark was in its text */
	enum client_state state;
};

/* What the clients have in common, and who hears of them. */
struct clients {
	const struct speech *speech;
	int epoll;
	void (*entered)(struct client *c);
	void (*joined)(struct client *c);
	void (*heard)(struct client *c, const char *mark, size_t frame_size);
	void (*refused)(struct client *c, const char *text, size_t len);
};
extern struct clients clients;

/* Begins to connect from one of the loopback addresses, chosen by `number`. */
void client_connect(struct client *c, const struct sockaddr_in *to, unsigned number);
void client_join(struct client *c);
void client_send(struct client *c, const char *text);
/* Events of epoll; `data` of which is the client. */
void client_ready(struct client *c, uint32_t events);

#endif

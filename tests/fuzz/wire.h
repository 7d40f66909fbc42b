/* The transport half of a worker without Redis, and clients on the other ends of socket pairs.
 * Time stands still unless wire_wait lets it pass. */
#ifndef CONFAB_FUZZ_WIRE_H
#define CONFAB_FUZZ_WIRE_H

#include "worker/socketio/socket.h"

struct wire {
	struct event_base *base;
	struct deadlines deadlines;
	struct net net;
	struct http http;
	struct engine engine;
	struct sockets sockets;
	struct services services;
};

/* One client; zeroed it is not connected, fd is then 0. */
struct client {
	int fd;
	struct buf in;               /* what came and was not looked at yet */
	bool deaf;                   /* does not read */
	bool ended;                  /* the server closed */
};

extern struct wire wire;

/* Wires it; once in a process. */
void wire_start(const struct http_service *services, const struct socket_app *app);
/* One turn of the worker's loop. */
void wire_turn(void);
/* Time passes, with a turn at the end. */
void wire_wait(unsigned ms);
/* Fails unless connections, sessions, sockets and all that waits for them are gone. */
void wire_check_empty(void);

void client_connect(struct client *c);
/* Writes as much as the socket takes. */
void client_write(struct client *c, struct str bytes);
/* Reads all there is into c->in, unless deaf. */
void client_read(struct client *c);
void client_close(struct client *c);

/* The clock that the worker reads, by the linker's --wrap. */
int __wrap_clock_gettime(clockid_t which, struct timespec *now);

#endif

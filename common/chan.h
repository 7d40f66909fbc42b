/* Control messages between master and workers, and between workers: one SEQPACKET datagram each,
 * with at most one file descriptor (unix(7), SCM_RIGHTS). */
#ifndef CONFAB_CHAN_H
#define CONFAB_CHAN_H

#include "common/buf.h"

enum chan_type {
	CHAN_BEAT = 1,       /* worker to master: my loop turns */
	CHAN_READY,          /* worker to master: I serve; instead of a beat from then on */
	CHAN_RELOAD_FUNCTIONS, /* worker to master: Redis lacks our functions */
	CHAN_LEASED,         /* master to worker: your lease is new; Redis may have forgotten you */
	CHAN_DRAIN,          /* master to worker: stop accepting, close transports, exit */
	CHAN_CONN,           /* worker to worker: take over this connection (fd; bytes read) */
};

struct chan_message {
	enum chan_type type;
	unsigned from;       /* index of the sending worker; UINT_MAX: the master */
	int32_t number;      /* the listener's index for CHAN_CONN, a worker's pid for CHAN_READY */
	int fd;              /* -1: none; the receiver owns it */
	struct str bytes;    /* borrowed; for a receiver until its buffer changes */
};

enum { CHAN_MAX_BYTES = 96 * 1024 };

/* Both ends of a pair, close-on-exec and non-blocking; false: errno says why. */
MUST_USE bool chan_pair(int fds[2]);
/* Sends without waiting. False with errno EAGAIN when the receiver is behind. */
MUST_USE bool chan_send(int fd, const struct chan_message *m);
/* Receives one into *m, its bytes into `into`: 1 one came, 0 none is there,
 * -1 the other end is gone. */
MUST_USE int chan_recv(int fd, struct chan_message *m, struct buf *into);

#endif

/* Listening sockets: checked against other programs, then one per worker and `listen` line. */
#ifndef CONFAB_LISTEN_H
#define CONFAB_LISTEN_H

#include <sys/socket.h>

#include "common/conf.h"

/* Where a `listen` line binds. */
struct listen_place {
	union {
		struct sockaddr any;
		struct sockaddr_storage room;
	} address;
	socklen_t len;
	char text[96];               /* "[::]:3000" */
};

/* Reads a line's address; without `ipv6`, [::] becomes 0.0.0.0. False: not numeric. */
MUST_USE bool listen_place(struct listen_place *out, const struct conf_listen *line, bool ipv6);
/* Whether both cannot be bound, or would share their connections: equal, or one includes the other.
 */
bool listen_clash(const struct listen_place *a, const struct listen_place *b);
/* Whether this host has IPv6. */
bool listen_has_ipv6(void);

/* Binds each line's address alone and lets go of it, since with SO_REUSEPORT a second server would
 * get half of the connections instead of an error. For an address that is taken, tries for
 * `wait_ms`. False: `why` names the line. */
MUST_USE bool listen_probe(const struct conf_listen *lines, unsigned n, unsigned wait_ms,
                           char *why, size_t size);
/* One worker's listening sockets into fds[n]: shared by SO_REUSEPORT, non-blocking, close-on-exec.
 * They take connections from now on, which wait for whoever accepts. False: `why` names the line;
 * none is open. */
MUST_USE bool listen_open(const struct conf_listen *lines, unsigned n, int *fds, char *why,
                          size_t size);

#endif

/* Who may connect: how often an address does (connect-rate), and how many connections it has open
 * (address-connections), counted by all workers of the host together. */
#ifndef CONFAB_GATE_H
#define CONFAB_GATE_H

#include <sys/socket.h>

#include "common/tally.h"
#include "common/throttle.h"

struct gate {
	struct throttle *connects;   /* both shared by all workers */
	struct tally *addresses;
	unsigned worker;             /* its page of the tally */
};

enum verdict {
	GATE_OPEN,
	GATE_REFUSED,        /* it is to be told so, and closed */
	GATE_SHUT,           /* too many are being told already */
};

/* A connection was accepted from there. Unless it is GATE_SHUT it is counted: *slot says where, for
 * gate_left; 0: nowhere. */
enum verdict gate_accept(struct gate *g, const struct sockaddr_storage *from, uint32_t *slot);
/* One client more begins over a connection, which counts as the first; false: its address
 * connects too often. */
bool gate_again(struct gate *g, int fd);
/* A connection came from another worker, where it is counted no more: the slot. */
uint32_t gate_take_over(struct gate *g, int fd);
/* It is closed. */
void gate_left(struct gate *g, uint32_t slot);

#endif

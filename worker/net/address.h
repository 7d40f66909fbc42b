/* The address of a peer, as people read it. */
#ifndef CONFAB_ADDRESS_H
#define CONFAB_ADDRESS_H

#include <sys/socket.h>

#include "common/buf.h"

/* "192.0.2.1:5000", "[2001:db8::1]:5000"; of IPv4 in IPv6 the former; "-" for anything else. */
void address_text(const struct sockaddr_storage *from, struct buf *out);

#endif

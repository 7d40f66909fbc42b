/* Who is at the other end of a TCP connection, for the log: behind a proxy that is the proxy. */
#ifndef CONFAB_ADDRESS_H
#define CONFAB_ADDRESS_H

#include <sys/socket.h>

#include "common/buf.h"

struct conn;

/* "192.0.2.1:5000", "[2001:db8::1]:5000"; of IPv4 in IPv6 the former; "-" for anything else. */
void address_text(const struct sockaddr_storage *from, struct buf *out);
/* Adds " from=" and the peer's address; "-" when the connection is NULL, or the peer has reset it. */
void address_field(struct buf *line, const struct conn *c);

#endif

/* The address of a peer. */
#include "worker/net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static void put_ipv4(const void *ip, in_port_t port, struct buf *out)
{
	char text[INET_ADDRSTRLEN];
	inet_ntop(AF_INET, ip, text, sizeof(text));
	buf_printf(out, "%s:%u", text, (unsigned)ntohs(port));
}

static void put_ipv6(const struct sockaddr_in6 *from, struct buf *out)
{
	char text[INET6_ADDRSTRLEN];
	if (IN6_IS_ADDR_V4MAPPED(&from->sin6_addr)) {
		put_ipv4(from->sin6_addr.s6_addr + 12, from->sin6_port, out);
		return;
	}
	inet_ntop(AF_INET6, &from->sin6_addr, text, sizeof(text));
	buf_printf(out, "[%s]:%u", text, (unsigned)ntohs(from->sin6_port));
}

void address_text(const struct sockaddr_storage *from, struct buf *out)
{
	union {
		struct sockaddr_storage any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} at = { *from };
	if (from->ss_family == AF_INET)
		put_ipv4(&at.v4.sin_addr, at.v4.sin_port, out);
	else if (from->ss_family == AF_INET6)
		put_ipv6(&at.v6, out);
	else
		buf_char(out, '-');
}

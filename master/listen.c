/* Listening sockets. The kernel spreads new connections over all sockets of one address that were
 * bound with SO_REUSEPORT; the master makes one for each worker and keeps it open, so that what
 * waits for a killed worker is answered by its successor. */
#include "master/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The kernel caps it by net.core.somaxconn. */
enum { BACKLOG = 4096, TRY_AGAIN_MS = 50 };

static bool is_any6(const struct listen_place *p)
{
	struct sockaddr_in6 in6;
	memcpy(&in6, &p->address.room, sizeof(in6));
	return in6.sin6_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr);
}

static bool is_any4(const struct listen_place *p)
{
	struct sockaddr_in in;
	memcpy(&in, &p->address.room, sizeof(in));
	return in.sin_family == AF_INET && in.sin_addr.s_addr == htonl(INADDR_ANY);
}

static bool read_address(struct listen_place *out, const char *address, uint16_t port)
{
	char service[8];
	snprintf(service, sizeof(service), "%u", port);
	const struct addrinfo numeric = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM };
	struct addrinfo *found;
	if (getaddrinfo(address, service, &numeric, &found) != 0)
		return false;
	*out = (struct listen_place){ .len = found->ai_addrlen };
	memcpy(&out->address, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	bool colons = strchr(address, ':') != NULL;
	snprintf(out->text, sizeof(out->text), "%s%s%s:%u", colons ? "[" : "", address,
	         colons ? "]" : "", port);
	return true;
}

bool listen_place(struct listen_place *out, const struct conf_listen *line, bool ipv6)
{
	if (!read_address(out, line->address, line->port))
		return false;
	return ipv6 || !is_any6(out) || read_address(out, "0.0.0.0", line->port);
}

static uint16_t port_of(const struct listen_place *p)
{
	/* The port has the same place in both families. */
	struct sockaddr_in in;
	memcpy(&in, &p->address.room, sizeof(in));
	return in.sin_port;
}

/* [::] is dual stack: it includes the addresses of IPv4. */
static bool includes(const struct listen_place *a, const struct listen_place *b)
{
	return is_any6(a) || (is_any4(a) && b->address.any.sa_family == AF_INET);
}

bool listen_clash(const struct listen_place *a, const struct listen_place *b)
{
	if (port_of(a) != port_of(b))
		return false;
	return includes(a, b) || includes(b, a) ||
	       (a->len == b->len && memcmp(&a->address, &b->address, a->len) == 0);
}

static bool set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

/* A bound socket, or -1 and errno. */
static int bind_place(const struct listen_place *p, bool shared)
{
	int fd = socket(p->address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	/* SO_REUSEADDR lets connections of a server that has ended linger; one that listens it
	 * respects. */
	if (set(fd, SOL_SOCKET, SO_REUSEADDR, 1) &&
	    (!shared || set(fd, SOL_SOCKET, SO_REUSEPORT, 1)) &&
	    (!is_any6(p) || set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0)) &&
	    bind(fd, &p->address.any, p->len) == 0)
		return fd;
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}

bool listen_has_ipv6(void)
{
	const struct conf_listen any = { .address = "::" };
	struct listen_place p;
	if (!listen_place(&p, &any, true))
		return false;
	int fd = bind_place(&p, true);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void explain(char *why, size_t size, const struct listen_place *p)
{
	const char *hint = errno == EADDRINUSE
	                           ? " (another server, or another Confab, is listening there)"
	                   : errno == EACCES ? " (ports below 1024 need CAP_NET_BIND_SERVICE)"
	                                     : "";
	snprintf(why, size, "listen %s: %s%s", p->text, strerror(errno), hint);
}

/* Whether the address is free within wait_ms. */
static bool probe_place(const struct listen_place *p, unsigned wait_ms)
{
	const struct timespec pause = { .tv_nsec = TRY_AGAIN_MS * 1000000L };
	for (unsigned waited_ms = 0;; waited_ms += TRY_AGAIN_MS) {
		int fd = bind_place(p, false);
		if (fd >= 0) {
			close(fd);
			return true;
		}
		if (errno != EADDRINUSE || waited_ms >= wait_ms)
			return false;
		nanosleep(&pause, NULL);
	}
}

/* All lines' places; false if one cannot be read or two are at odds. */
static bool read_places(struct listen_place *places, const struct conf_listen *lines, unsigned n,
                        bool ipv6, char *why, size_t size)
{
	for (unsigned i = 0; i < n; i++) {
		if (!listen_place(&places[i], &lines[i], ipv6)) {
			snprintf(why, size, "listen: %s is not a numeric address",
			         lines[i].address);
			return false;
		}
		for (unsigned j = 0; j < i; j++) {
			if (listen_clash(&places[j], &places[i])) {
				snprintf(why, size,
				         "listen %s and listen %s have the same port: one includes "
				         "the other",
				         places[j].text, places[i].text);
				return false;
			}
		}
	}
	return true;
}

bool listen_probe(const struct conf_listen *lines, unsigned n, unsigned wait_ms, char *why,
                  size_t size)
{
	struct listen_place places[CONF_MAX_LISTEN];
	bool ipv6 = listen_has_ipv6();
	if (!read_places(places, lines, n, ipv6, why, size))
		return false;
	for (unsigned i = 0; i < n; i++) {
		if (!probe_place(&places[i], wait_ms)) {
			explain(why, size, &places[i]);
			return false;
		}
		if (!ipv6 && strcmp(lines[i].address, "::") == 0)
			log_warn("listen [::]:%u: this host has no IPv6, using %s", lines[i].port,
			         places[i].text);
	}
	return true;
}

static int open_place(const struct listen_place *p)
{
	int fd = bind_place(p, true);
	/* Connections inherit TCP_NODELAY. */
	if (fd < 0 || (set(fd, IPPROTO_TCP, TCP_NODELAY, 1) && listen(fd, BACKLOG) == 0))
		return fd;
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}

bool listen_open(const struct conf_listen *lines, unsigned n, int *fds, char *why, size_t size)
{
	struct listen_place places[CONF_MAX_LISTEN];
	if (!read_places(places, lines, n, listen_has_ipv6(), why, size))
		return false;
	for (unsigned i = 0; i < n; i++) {
		fds[i] = open_place(&places[i]);
		if (fds[i] >= 0)
			continue;
		explain(why, size, &places[i]);
		while (i > 0)
			close(fds[--i]);
		return false;
	}
	return true;
}

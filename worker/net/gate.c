/* Who may connect. A customer with IPv6 has a /64 at least, so that is what counts as
 * an address. */
#include "worker/net/gate.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "common/clock.h"
#include "common/log_line.h"

/* The address of a peer, without its port; STR_NONE for what is no IP. */
static struct str address_of(const struct sockaddr_storage *from)
{
	/* ::ffff:1.2.3.4 */
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	if (from->ss_family == AF_INET) {
		const struct in_addr *ip = &((const struct sockaddr_in *)from)->sin_addr;
		return (struct str){ (const char *)ip, 4 };
	}
	if (from->ss_family != AF_INET6)
		return STR_NONE;
	const struct in6_addr *ip = &((const struct sockaddr_in6 *)from)->sin6_addr;
	/* The same whether it comes to an IPv4 socket or to one for both. */
	if (memcmp(ip, mapped, sizeof(mapped)) == 0)
		return (struct str){ (const char *)ip + sizeof(mapped), 4 };
	return (struct str){ (const char *)ip, 8 };
}

static void log_refusal(struct str address, const char *why)
{
	char text[INET6_ADDRSTRLEN] = "";
	struct in6_addr ip = { 0 };
	if (!log_may(LOG_REFUSALS))
		return;
	memcpy(&ip, address.p, address.len);
	inet_ntop(address.len == 4 ? AF_INET : AF_INET6, &ip, text, sizeof(text));
	log_info("address %s%s refused: %s", text, address.len == 4 ? "" : "/64", why);
}

static uint32_t add(struct gate *g, struct str address)
{
	const uint32_t slot = tally_slot(g->addresses, address);
	tally_add(g->addresses, g->worker, slot);
	return slot;
}

/* Whoever is refused counts until it has been told: there are as many of those as of others. */
static enum verdict count(struct gate *g, struct str address, uint32_t *slot)
{
	const unsigned most = conf.address_connections;
	*slot = add(g, address);
	const unsigned n = tally_count(g->addresses, *slot);
	if (n <= most)
		return GATE_OPEN;
	log_refusal(address, "too many connections");
	if (n <= 2 * most)
		return GATE_REFUSED;
	gate_left(g, *slot);
	*slot = 0;
	return GATE_SHUT;
}

enum verdict gate_accept(struct gate *g, const struct sockaddr_storage *from, uint32_t *slot)
{
	const struct str address = address_of(from);
	*slot = 0;
	if (address.p == NULL)
		return GATE_OPEN;
	const enum verdict verdict =
		conf.address_connections > 0 ? count(g, address, slot) : GATE_OPEN;
	if (verdict != GATE_OPEN)
		return verdict;
	if (throttle_allow(g->connects, conf.connect_rate, address, clock_now_ms()))
		return GATE_OPEN;
	log_refusal(address, "connects too often");
	return GATE_REFUSED;
}

/* STR_NONE where it can't be had. The address is in *from. */
static struct str peer_of(int fd, struct sockaddr_storage *from)
{
	socklen_t len = sizeof(*from);
	*from = (struct sockaddr_storage){ .ss_family = AF_UNSPEC };
	return getpeername(fd, (struct sockaddr *)from, &len) == 0 ? address_of(from) : STR_NONE;
}

bool gate_again(struct gate *g, int fd)
{
	struct sockaddr_storage from;
	if (conf.connect_rate.per_second == 0)
		return true;
	const struct str address = peer_of(fd, &from);
	return address.p == NULL ||
	       throttle_allow(g->connects, conf.connect_rate, address, clock_now_ms());
}

uint32_t gate_take_over(struct gate *g, int fd)
{
	struct sockaddr_storage from;
	if (conf.address_connections == 0)
		return 0;
	const struct str address = peer_of(fd, &from);
	return address.p != NULL ? add(g, address) : 0;
}

void gate_left(struct gate *g, uint32_t slot)
{
	if (slot != 0)
		tally_take(g->addresses, g->worker, slot);
}

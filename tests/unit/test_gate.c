/* Who may connect: what counts as one address, and what happens at the bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "common/clock.h"
#include "common/conf.h"
#include "common/log.h"
#include "worker/net/gate.h"

static struct sockaddr_storage ipv4(const char *text)
{
	struct sockaddr_storage from = { 0 };
	struct sockaddr_in *in = (struct sockaddr_in *)&from;
	in->sin_family = AF_INET;
	assert_int_equal(inet_pton(AF_INET, text, &in->sin_addr), 1);
	return from;
}

static struct sockaddr_storage ipv6(const char *text)
{
	struct sockaddr_storage from = { 0 };
	struct sockaddr_in6 *in = (struct sockaddr_in6 *)&from;
	in->sin6_family = AF_INET6;
	assert_int_equal(inet_pton(AF_INET6, text, &in->sin6_addr), 1);
	return from;
}

static struct gate gate_new(unsigned most)
{
	clock_update();
	log_init("test", LOG_ERROR);
	conf = (struct conf){ .address_connections = most, .log_level = LOG_ERROR };
	return (struct gate){ .connects = throttle_new(), .addresses = tally_new(2), .worker = 1 };
}

static enum verdict come(struct gate *g, struct sockaddr_storage from)
{
	uint32_t slot;
	return gate_accept(g, &from, &slot);
}

static void refused_then_shut(void **state)
{
	struct gate g = gate_new(2);
	uint32_t slot;
	const struct sockaddr_storage from = ipv4("192.0.2.1");
	(void)state;
	assert_int_equal(gate_accept(&g, &from, &slot), GATE_OPEN);
	assert_int_equal(come(&g, from), GATE_OPEN);
	assert_int_equal(come(&g, from), GATE_REFUSED);
	assert_int_equal(come(&g, from), GATE_REFUSED);
	for (int i = 0; i < 10; i++)
		assert_int_equal(come(&g, from), GATE_SHUT);
	assert_int_equal(come(&g, ipv4("192.0.2.2")), GATE_OPEN);
	/* Those that were shut out do not count. */
	for (int i = 0; i < 3; i++)
		gate_left(&g, slot);
	assert_int_equal(come(&g, from), GATE_OPEN);
}

static void a_network_is_one_address(void **state)
{
	struct gate g = gate_new(2);
	(void)state;
	assert_int_equal(come(&g, ipv6("2001:db8:0:1::1")), GATE_OPEN);
	assert_int_equal(come(&g, ipv6("2001:db8:0:1:ffff:ffff:ffff:ffff")), GATE_OPEN);
	assert_int_equal(come(&g, ipv6("2001:db8:0:1::2")), GATE_REFUSED);
	assert_int_equal(come(&g, ipv6("2001:db8:0:2::1")), GATE_OPEN);
}

static void ipv4_is_the_same_on_any_socket(void **state)
{
	struct gate g = gate_new(2);
	(void)state;
	assert_int_equal(come(&g, ipv4("192.0.2.1")), GATE_OPEN);
	assert_int_equal(come(&g, ipv6("::ffff:192.0.2.1")), GATE_OPEN);
	assert_int_equal(come(&g, ipv6("::ffff:192.0.2.1")), GATE_REFUSED);
	assert_int_equal(come(&g, ipv6("::ffff:192.0.2.2")), GATE_OPEN);
}

static void without_a_bound_nothing_is_counted(void **state)
{
	struct gate g = gate_new(0);
	uint32_t slot = 1;
	const struct sockaddr_storage from = ipv4("192.0.2.1");
	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(gate_accept(&g, &from, &slot), GATE_OPEN);
	assert_int_equal(slot, 0);
}

static void too_often_is_refused_as_well(void **state)
{
	struct gate g = gate_new(0);
	(void)state;
	conf.connect_rate = (struct conf_rate){ .per_second = 1, .burst = 3 };
	for (int i = 0; i < 3; i++)
		assert_int_equal(come(&g, ipv4("192.0.2.1")), GATE_OPEN);
	assert_int_equal(come(&g, ipv4("192.0.2.1")), GATE_REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused_then_shut),
		cmocka_unit_test(a_network_is_one_address),
		cmocka_unit_test(ipv4_is_the_same_on_any_socket),
		cmocka_unit_test(without_a_bound_nothing_is_counted),
		cmocka_unit_test(too_often_is_refused_as_well),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Listening sockets: addresses, those that are at odds, and those that others have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "master/listen.h"

static struct conf_listen line(const char *address, uint16_t port)
{
	struct conf_listen l = { .port = port, .root = "none" };
	snprintf(l.address, sizeof(l.address), "%s", address);
	return l;
}

static struct listen_place place(const char *address, uint16_t port)
{
	const struct conf_listen l = line(address, port);
	struct listen_place p;
	assert_true(listen_place(&p, &l, true));
	return p;
}

/* A socket on a free port of 127.0.0.1, as a server that does not share it. */
static int other_server(uint16_t *port)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, len), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	*port = ntohs(in.sin_port);
	return fd;
}

static uint16_t free_port(void)
{
	uint16_t port;
	close(other_server(&port));
	return port;
}

static int call(uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		                  .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static void test_places_have_a_text(UNUSED void **state)
{
	assert_string_equal(place("::", 3000).text, "[::]:3000");
	assert_string_equal(place("127.0.0.1", 65535).text, "127.0.0.1:65535");
	assert_int_equal(place("::1", 1).address.any.sa_family, AF_INET6);
}

static void test_only_numbers_are_places(UNUSED void **state)
{
	static const char *const bad[] = { "localhost", "", "1.2.3.256", "[::]", ":::1" };
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		const struct conf_listen l = line(bad[i], 3000);
		struct listen_place p;
		assert_false(listen_place(&p, &l, true));
	}
}

static void test_without_ipv6_only_any_changes(UNUSED void **state)
{
	const struct conf_listen any = line("::", 3000), loopback = line("::1", 3000);
	struct listen_place p;
	assert_true(listen_place(&p, &any, false));
	assert_string_equal(p.text, "0.0.0.0:3000");
	assert_true(listen_place(&p, &loopback, false));
	assert_string_equal(p.text, "[::1]:3000");
}

static void test_clashes(UNUSED void **state)
{
	static const struct {
		const char *a, *b;
		bool clash;
	} rows[] = {
		{ "::", "::", true }, { "::", "0:0::0", true }, { "::", "127.0.0.1", true },
		{ "::", "0.0.0.0", true }, { "::", "::1", true }, { "0.0.0.0", "127.0.0.1", true },
		{ "127.0.0.1", "127.0.0.1", true }, { "0.0.0.0", "::1", false },
		{ "127.0.0.1", "127.0.0.2", false }, { "127.0.0.1", "::1", false },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct listen_place a = place(rows[i].a, 3000), b = place(rows[i].b, 3000);
		struct listen_place elsewhere = place(rows[i].b, 3001);
		assert_int_equal(listen_clash(&a, &b), rows[i].clash);
		assert_int_equal(listen_clash(&b, &a), rows[i].clash);
		assert_false(listen_clash(&a, &elsewhere));
	}
}

static void test_probe_sees_another_server(UNUSED void **state)
{
	char why[256] = "", expected[64];
	uint16_t port;
	int other = other_server(&port);
	const struct conf_listen lines[] = { line("127.0.0.1", port) };
	assert_false(listen_probe(lines, 1, 0, why, sizeof(why)));
	snprintf(expected, sizeof(expected), "listen 127.0.0.1:%u: ", port);
	assert_memory_equal(why, expected, strlen(expected));
	close(other);
	assert_true(listen_probe(lines, 1, 0, why, sizeof(why)));
}

static void test_probe_sees_another_confab(UNUSED void **state)
{
	char why[256];
	int theirs[1];
	const struct conf_listen lines[] = { line("127.0.0.1", free_port()) };
	assert_true(listen_open(lines, 1, theirs, why, sizeof(why)));
	/* Without the probe, SO_REUSEPORT would let it share. */
	assert_false(listen_probe(lines, 1, 0, why, sizeof(why)));
	close(theirs[0]);
	assert_true(listen_probe(lines, 1, 0, why, sizeof(why)));
}

static void test_probe_refuses_lines_at_odds(UNUSED void **state)
{
	char why[256];
	uint16_t port = free_port();
	const struct conf_listen lines[] = { line("127.0.0.1", port), line("0.0.0.0", port) };
	assert_false(listen_probe(lines, 2, 0, why, sizeof(why)));
	assert_non_null(strstr(why, "includes"));
}

static void test_workers_share_an_address(UNUSED void **state)
{
	char why[256];
	int first[1], second[1], callers[64], seen[2] = { 0 };
	const struct conf_listen lines[] = { line("127.0.0.1", free_port()) };
	assert_true(listen_open(lines, 1, first, why, sizeof(why)));
	assert_true(listen_open(lines, 1, second, why, sizeof(why)));
	for (size_t i = 0; i < COUNT_OF(callers); i++)
		callers[i] = call(lines[0].port);
	const int workers[] = { first[0], second[0] };
	for (size_t w = 0; w < COUNT_OF(workers); w++) {
		int fd;
		/* All have connected, so each waits in one of the two queues; an empty one does not
		 * block. */
		while ((fd = accept(workers[w], NULL, NULL)) >= 0) {
			seen[w]++;
			close(fd);
		}
		close(workers[w]);
	}
	assert_int_equal(seen[0] + seen[1], COUNT_OF(callers));
	assert_true(seen[0] > 0 && seen[1] > 0);
	for (size_t i = 0; i < COUNT_OF(callers); i++)
		close(callers[i]);
}

static void test_open_leaves_nothing_after_a_failure(UNUSED void **state)
{
	char why[256];
	uint16_t taken;
	int fds[2], other = other_server(&taken);
	const struct conf_listen lines[] = { line("127.0.0.1", free_port()),
		                             line("127.0.0.1", taken) };
	assert_false(listen_open(lines, 2, fds, why, sizeof(why)));
	assert_true(listen_probe(lines, 1, 0, why, sizeof(why)));
	close(other);
}

static void test_any_takes_both_families(UNUSED void **state)
{
	char why[256];
	int fds[1], fd;
	const struct conf_listen lines[] = { line("::", free_port()) };
	/* On a host without IPv6 this is the fallback to 0.0.0.0. */
	assert_true(listen_open(lines, 1, fds, why, sizeof(why)));
	int caller = call(lines[0].port);
	struct pollfd ready = { .fd = fds[0], .events = POLLIN };
	assert_int_equal(poll(&ready, 1, 5000), 1);
	assert_true((fd = accept(fds[0], NULL, NULL)) >= 0);
	close(fd);
	close(caller);
	close(fds[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places_have_a_text),
		cmocka_unit_test(test_only_numbers_are_places),
		cmocka_unit_test(test_without_ipv6_only_any_changes),
		cmocka_unit_test(test_clashes),
		cmocka_unit_test(test_probe_sees_another_server),
		cmocka_unit_test(test_probe_sees_another_confab),
		cmocka_unit_test(test_probe_refuses_lines_at_odds),
		cmocka_unit_test(test_workers_share_an_address),
		cmocka_unit_test(test_open_leaves_nothing_after_a_failure),
		cmocka_unit_test(test_any_takes_both_families),
	};
	return cmocka_run_group_tests_name("listen", tests, NULL, NULL);
}

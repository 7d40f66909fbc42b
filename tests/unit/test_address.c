/* Addresses of peers as the log has them. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#include "worker/net/address.h"
#include "worker/net/conn.h"

static void assert_text(const void *from, size_t len, const char *wanted)
{
	struct sockaddr_storage any = { 0 };
	struct buf text = { 0 };

	memcpy(&any, from, len);
	address_text(&any, &text);
	buf_char(&text, '\0');
	assert_string_equal(text.p, wanted);
	buf_fini(&text);
}

static void test_ipv4(void **state UNUSED)
{
	struct sockaddr_in from = { .sin_family = AF_INET, .sin_port = htons(5000) };

	assert_int_equal(inet_pton(AF_INET, "192.0.2.1", &from.sin_addr), 1);
	assert_text(&from, sizeof(from), "192.0.2.1:5000");
}

static void test_ipv6(void **state UNUSED)
{
	static const char *const rows[][2] = {
		{ "2001:db8::1", "[2001:db8::1]:65535" },
		{ "::1", "[::1]:65535" },
		{ "::ffff:192.0.2.7", "192.0.2.7:65535" },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct sockaddr_in6 from = { .sin6_family = AF_INET6, .sin6_port = htons(65535) };
		assert_int_equal(inet_pton(AF_INET6, rows[i][0], &from.sin6_addr), 1);
		assert_text(&from, sizeof(from), rows[i][1]);
	}
}

static void test_others_have_none(void **state UNUSED)
{
	const struct sockaddr_un local = { .sun_family = AF_UNIX, .sun_path = "/tmp/x" };
	struct buf line = { 0 };

	assert_text(&local, sizeof(local), "-");
	conn_describe(NULL, &line);
	buf_char(&line, '\0');
	assert_string_equal(line.p, " from=-");
	buf_fini(&line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ipv4),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_others_have_none),
	};

	return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}

/* Control messages: bytes and descriptors over a pair, and what goes wrong with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/chan.h"
#include "common/log.h"

struct pair {
	int fds[2];
	struct buf into;
};

static void pair_init(struct pair *p)
{
	*p = (struct pair){ .fds = { -1, -1 } };
	assert_true(chan_pair(p->fds));
}

static void pair_fini(struct pair *p)
{
	close(p->fds[0]);
	close(p->fds[1]);
	buf_fini(&p->into);
}

static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void test_chan_bytes(void **state UNUSED)
{
	static char large[CHAN_MAX_BYTES + 1];
	static const size_t sizes[] = { 0, 1, 500, CHAN_MAX_BYTES };
	struct pair p;
	struct chan_message m;

	pair_init(&p);
	memset(large, 'x', sizeof(large));
	assert_int_equal(chan_recv(p.fds[1], &m, &p.into), 0);
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		const struct chan_message sent = {
			CHAN_CONN, 3, -7, -1, { sizes[i] ? large : NULL, sizes[i] }
		};
		assert_true(chan_send(p.fds[0], &sent));
		assert_int_equal(chan_recv(p.fds[1], &m, &p.into), 1);
		assert_int_equal(m.type, CHAN_CONN);
		assert_int_equal(m.from, 3);
		assert_int_equal(m.number, -7);
		assert_int_equal(m.fd, -1);
		assert_true(str_eq(m.bytes, sent.bytes));
	}
	const struct chan_message over = { CHAN_CONN, 0, 0, -1, { large, sizeof(large) } };
	assert_false(chan_send(p.fds[0], &over));
	assert_int_equal(errno, EMSGSIZE);
	pair_fini(&p);
}

static void test_chan_order(void **state UNUSED)
{
	struct pair p;
	struct chan_message m;

	pair_init(&p);
	for (int type = CHAN_BEAT; type <= CHAN_CONN; type++)
		assert_true(chan_send(p.fds[0], &(struct chan_message){
			(enum chan_type)type, UINT_MAX, INT32_MIN, -1, STR("b") }));
	for (int type = CHAN_BEAT; type <= CHAN_CONN; type++) {
		assert_int_equal(chan_recv(p.fds[1], &m, &p.into), 1);
		assert_int_equal(m.type, type);
		assert_true(m.from == UINT_MAX);
		assert_true(m.number == INT32_MIN);
		assert_true(str_eqz(m.bytes, "b"));
	}
	assert_int_equal(chan_recv(p.fds[1], &m, &p.into), 0);
	pair_fini(&p);
}

static void test_chan_flags(void **state UNUSED)
{
	struct pair p;

	pair_init(&p);
	for (int i = 0; i < 2; i++) {
		assert_true(fcntl(p.fds[i], F_GETFD) & FD_CLOEXEC);
		assert_true(fcntl(p.fds[i], F_GETFL) & O_NONBLOCK);
	}
	pair_fini(&p);
}

/* The very same file arrives, close-on-exec, and belongs to the receiver. */
static void test_chan_fd(void **state UNUSED)
{
	struct pair p;
	struct chan_message m;
	struct stat sent, came;
	int ends[2];

	pair_init(&p);
	assert_int_equal(pipe(ends), 0);
	const struct chan_message get = { CHAN_CONN, 1, 2, ends[0], STR("GET") };
	assert_true(chan_send(p.fds[0], &get));
	assert_int_equal(fstat(ends[0], &sent), 0);
	close(ends[0]);
	assert_int_equal(chan_recv(p.fds[1], &m, &p.into), 1);
	assert_true(str_eqz(m.bytes, "GET"));
	assert_true(m.fd >= 0);
	assert_int_equal(fstat(m.fd, &came), 0);
	assert_true(sent.st_ino == came.st_ino && sent.st_dev == came.st_dev);
	assert_true(fcntl(m.fd, F_GETFD) & FD_CLOEXEC);
	close(m.fd);
	close(ends[1]);
	pair_fini(&p);
}

static void test_chan_full(void **state UNUSED)
{
	const struct chan_message beat = { CHAN_BEAT, 0, 0, -1, STR_NONE };
	struct pair p;
	struct chan_message m;
	int sent = 0, came = 0;

	pair_init(&p);
	while (sent < 100000 && chan_send(p.fds[0], &beat))
		sent++;
	assert_int_equal(errno, EAGAIN);
	assert_true(sent > 10);
	while (chan_recv(p.fds[1], &m, &p.into) == 1)
		came++;
	assert_int_equal(came, sent);
	assert_true(chan_send(p.fds[0], &beat));
	pair_fini(&p);
}

static void test_chan_gone(void **state UNUSED)
{
	const struct chan_message beat = { CHAN_BEAT, 0, 0, -1, STR_NONE };
	struct pair p;
	struct chan_message m;

	pair_init(&p);
	assert_true(chan_send(p.fds[0], &beat));
	close(p.fds[0]);
	/* What was sent before the end still comes. */
	assert_int_equal(chan_recv(p.fds[1], &m, &p.into), 1);
	assert_int_equal(chan_recv(p.fds[1], &m, &p.into), -1);
	assert_false(chan_send(p.fds[1], &beat));
	assert_int_equal(errno, EPIPE);
	p.fds[0] = -1;
	pair_fini(&p);
}

/* Sends what chan_send would not: any bytes, any number of descriptors. */
static void send_raw(int to, const void *bytes, size_t len, int fd, size_t n_fds)
{
	union { const void *in; void *out; } data = { .in = bytes };
	struct iovec part = { data.out, len };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(8 * sizeof(int))];
	} control;
	struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1 };

	memset(&control, 0, sizeof(control));
	if (n_fds) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		for (size_t i = 0; i < n_fds; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(fd));
	}
	assert_int_equal(sendmsg(to, &msg, 0), len);
}

/* What is ill-formed is passed over, leaks nothing, and what follows it arrives. */
static void test_chan_bad(void **state UNUSED)
{
	static char large[CHAN_MAX_BYTES + 100] = { CHAN_BEAT };
	const struct chan_message beat = { CHAN_BEAT, 0, 0, -1, STR_NONE };
	const uint32_t conn[3] = { CHAN_CONN };
	const uint32_t type_zero[3] = { 0 }, type_unknown[3] = { CHAN_CONN + 1 };
	struct pair p;
	struct chan_message m;

	pair_init(&p);
	const int before = count_fds();
	for (size_t n_fds = 0; n_fds <= 1; n_fds++) {
		send_raw(p.fds[0], "x", 1, p.fds[0], n_fds);
		send_raw(p.fds[0], type_zero, sizeof(type_zero), p.fds[0], n_fds);
		send_raw(p.fds[0], type_unknown, sizeof(type_unknown), p.fds[0], n_fds);
		send_raw(p.fds[0], large, sizeof(large), p.fds[0], n_fds);
		assert_true(chan_send(p.fds[0], &beat));
		assert_int_equal(chan_recv(p.fds[1], &m, &p.into), 1);
		assert_int_equal(m.type, CHAN_BEAT);
		assert_int_equal(m.fd, -1);
		assert_int_equal(chan_recv(p.fds[1], &m, &p.into), 0);
	}
	for (size_t n_fds = 2; n_fds <= 8; n_fds++) {
		send_raw(p.fds[0], conn, sizeof(conn), p.fds[0], n_fds);
		assert_int_equal(chan_recv(p.fds[1], &m, &p.into), 0);
	}
	assert_int_equal(count_fds(), before);
	pair_fini(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chan_bytes),
		cmocka_unit_test(test_chan_order),
		cmocka_unit_test(test_chan_flags),
		cmocka_unit_test(test_chan_fd),
		cmocka_unit_test(test_chan_full),
		cmocka_unit_test(test_chan_gone),
		cmocka_unit_test(test_chan_bad),
	};

	/* The ill-formed messages above are expected. */
	log_init("test_chan", LOG_ERROR);
	return cmocka_run_group_tests_name("chan", tests, NULL, NULL);
}

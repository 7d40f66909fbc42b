/* The crew, with workers of our own: who is replaced, and what a successor inherits. Also what the
 * master owns on its host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/metrics.h"
#include "common/tally.h"
#include "master/child.h"
#include "master/functions.h"
#include "master/spawn.h"
#include "master/times.h"

enum { READ, WRITE, WAIT_MS = 10000 };

struct fixture {
	char dir[32];
	struct host host;
	int inbox[2];
	struct metrics *metrics;
	struct crew *crew;
	pid_t pids[2];
	unsigned generations[2];     /* as the workers say in what they send */
	int to_worker0;              /* its inbox, which only workers know */
};

/* Counts a connection, says that it serves, sends its way to worker 0 along, echoes hand-overs,
 * ends when told to drain. */
static int echo_worker(const struct inheritance *in)
{
	struct buf bytes = { 0 };
	struct chan_message m = {
		.type = CHAN_READY, .from = in->index, .number = getpid(), .fd = in->peers[0] };
	char generation[16];
	snprintf(generation, sizeof(generation), "%u", in->generation);
	m.bytes = str_z(generation);
	metrics_put(&in->metrics[in->index], METRIC_CONNECTIONS, 1);
	if (!chan_send(in->master, &m))
		return 1;
	for (;;) {
		struct pollfd inbox = { .fd = in->inbox, .events = POLLIN };
		poll(&inbox, 1, -1);
		if (chan_recv(in->inbox, &m, &bytes) != 1)
			continue;
		if (m.type == CHAN_DRAIN)
			return 0;
		m.from = in->index;
		m.number = (int32_t)in->generation;
		if (!chan_send(in->master, &m))
			return 1;
	}
}

static void leave_nothing(UNUSED void *arg)
{
}

static uint16_t free_port(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	close(fd);
	return ntohs(in.sin_port);
}

/* The next message to the master, by way of the crew where it is the crew's. */
static struct chan_message hear(struct fixture *f, struct buf *bytes)
{
	struct chan_message m;
	struct pollfd inbox = { .fd = f->inbox[READ], .events = POLLIN };
	assert_int_equal(poll(&inbox, 1, WAIT_MS), 1);
	assert_int_equal(chan_recv(f->inbox[READ], &m, bytes), 1);
	if (m.type != CHAN_READY)
		return m;
	uint64_t generation = 0;
	assert_true(str_u64(m.bytes, &generation));
	assert_true(m.from < 2);
	f->pids[m.from] = (pid_t)m.number;
	f->generations[m.from] = (unsigned)generation;
	assert_true(m.fd >= 0);
	if (f->to_worker0 >= 0)
		close(f->to_worker0);
	f->to_worker0 = m.fd;
	crew_hear(f->crew, &m);
	return m;
}

static void tick_when_due(struct fixture *f)
{
	clock_update();
	uint64_t due_ms = crew_due_ms(f->crew);
	if (due_ms > clock_now_ms())
		poll(NULL, 0, (int)(due_ms - clock_now_ms()));
	clock_update();
	crew_tick(f->crew);
}

static void hear_ready(struct fixture *f, unsigned workers)
{
	struct buf bytes = { 0 };
	for (unsigned i = 0; i < workers; i++)
		assert_int_equal(hear(f, &bytes).type, CHAN_READY);
	buf_fini(&bytes);
}

static struct crew_member reap(struct fixture *f)
{
	int status;
	struct crew_member who;
	pid_t pid = waitpid(-1, &status, 0);
	assert_true(pid > 0);
	clock_update();
	assert_true(crew_reaped(f->crew, pid, status, &who));
	return who;
}

static int start_two(void **state)
{
	static struct fixture f;
	char why[256];
	clock_update();
	log_init("test", LOG_ERROR);
	f = (struct fixture){ .dir = "/tmp/confab-crew-XXXXXX", .to_worker0 = -1 };
	if (mkdtemp(f.dir) == NULL)
		return -1;
	conf = (struct conf){ .workers = 2, .n_listens = 1, .log_level = LOG_ERROR };
	conf.listens[0] = (struct conf_listen){ .address = "127.0.0.1", .port = free_port() };
	snprintf(conf.run_dir, sizeof(conf.run_dir), "%s/run", f.dir);
	snprintf(conf.data_dir, sizeof(conf.data_dir), "%s/data/nested", f.dir);
	if (!host_open(&f.host, why, sizeof(why)) || !chan_pair(f.inbox))
		return -1;
	f.metrics = metrics_map(2);
	assert_non_null(f.metrics);
	const struct crew_setup setup = {
		.addresses = tally_new(2), .clients = tally_new(2),
		.body = echo_worker, .host = &f.host, .functions = "", .master = f.inbox[WRITE],
		.metrics = f.metrics, .leave = leave_nothing,
	};
	f.crew = crew_new(&setup, why, sizeof(why));
	if (f.crew == NULL)
		return -1;
	crew_start(f.crew);
	crew_tick(f.crew);
	hear_ready(&f, 2);
	*state = &f;
	return 0;
}

static int end_two(void **state)
{
	struct fixture *f = *state;
	struct crew_member alive[CONF_MAX_WORKERS];
	char command[64];
	crew_kill(f->crew);
	while (crew_alive(f->crew, alive) > 0)
		reap(f);
	crew_free(f->crew);
	metrics_unmap(f->metrics, 2);
	host_close(&f->host);
	close(f->to_worker0);
	close(f->inbox[READ]);
	close(f->inbox[WRITE]);
	snprintf(command, sizeof(command), "rm -r %s", f->dir);
	return system(command);
}

static void test_a_killed_worker_is_replaced(void **state)
{
	struct fixture *f = *state;
	assert_true(crew_ready(f->crew));
	unsigned before = f->generations[1];
	kill(f->pids[1], SIGKILL);
	struct crew_member who = reap(f);
	assert_int_equal(who.index, 1);
	assert_int_equal(who.generation, before);
	assert_false(crew_ready(f->crew));
	/* What it counted is not what the place has now. */
	assert_int_equal(metrics_get(&f->metrics[0], METRIC_CONNECTIONS), 1);
	assert_int_equal(metrics_get(&f->metrics[1], METRIC_CONNECTIONS), 0);
	tick_when_due(f);
	hear_ready(f, 1);
	assert_int_equal(metrics_get(&f->metrics[1], METRIC_CONNECTIONS), 1);
	assert_true(crew_ready(f->crew));
	assert_true(f->generations[1] > before && f->generations[1] > f->generations[0]);
}

static void test_a_stopped_crew_stays_so(void **state)
{
	struct fixture *f = *state;
	struct crew_member alive[CONF_MAX_WORKERS];
	crew_stop(f->crew);
	reap(f);
	reap(f);
	crew_tick(f->crew);
	assert_int_equal(crew_alive(f->crew, alive), 0);
	assert_true(crew_due_ms(f->crew) == UINT64_MAX);
}

static void test_rolling_replaces_one_after_another(void **state)
{
	struct fixture *f = *state;
	crew_roll(f->crew);
	for (unsigned i = 0; i < 2; i++) {
		unsigned before = f->generations[i];
		crew_tick(f->crew);
		/* The second is not touched before the first is back. */
		crew_tick(f->crew);
		assert_int_equal(reap(f).index, i);
		tick_when_due(f);
		hear_ready(f, 1);
		assert_true(f->generations[i] > before);
	}
	crew_tick(f->crew);
	assert_true(crew_ready(f->crew));
}

static void expect_echo(struct fixture *f, const char *text)
{
	struct buf bytes = { 0 };
	struct chan_message m = hear(f, &bytes);
	assert_int_equal(m.type, CHAN_CONN);
	assert_int_equal(m.number, f->generations[0]);
	assert_true(str_eqz(m.bytes, text));
	buf_fini(&bytes);
}

static void test_hand_overs_are_inherited_an_order_to_drain_is_not(void **state)
{
	struct fixture *f = *state;
	struct chan_message m = { .type = CHAN_CONN, .from = 1, .fd = -1, .bytes = STR("one") };
	kill(f->pids[0], SIGSTOP);
	crew_roll(f->crew);
	assert_true(chan_send(f->to_worker0, &m));
	crew_tick(f->crew);
	m.bytes = STR("two");
	assert_true(chan_send(f->to_worker0, &m));
	kill(f->pids[0], SIGKILL);
	assert_int_equal(reap(f).index, 0);
	tick_when_due(f);
	hear_ready(f, 1);
	expect_echo(f, "one");
	expect_echo(f, "two");
}

static void test_a_host_is_locked_and_keeps_its_name(void **state)
{
	struct fixture *f = *state;
	struct host second;
	char why[256], data_dir[sizeof(conf.data_dir)], name[sizeof(f->host.id)];
	assert_false(host_open(&second, why, sizeof(why)));
	assert_non_null(strstr(why, "run-dir"));
	snprintf(conf.run_dir, sizeof(conf.run_dir), "%s/other", f->dir);
	assert_false(host_open(&second, why, sizeof(why)));
	assert_non_null(strstr(why, "data-dir"));
	memcpy(data_dir, conf.data_dir, sizeof(data_dir));
	snprintf(conf.data_dir, sizeof(conf.data_dir), "%s/elsewhere", f->dir);
	assert_true(host_open(&second, why, sizeof(why)));
	assert_int_equal(strlen(second.id), 12);
	memcpy(name, second.id, sizeof(name));
	unsigned last = host_next_generation(&second);
	assert_false(second.left_behind);

	/* As if it had been killed: the pid file stays, the lock does not. */
	host_leave(&second);
	assert_true(host_open(&second, why, sizeof(why)));
	assert_true(second.left_behind);
	assert_string_equal(second.id, name);
	assert_int_equal(host_next_generation(&second), last + 1);
	host_close(&second);
	assert_true(host_open(&second, why, sizeof(why)));
	assert_false(second.left_behind);
	host_close(&second);
	memcpy(conf.data_dir, data_dir, sizeof(data_dir));
}

static void assert_private(const char *path)
{
	struct stat is;
	assert_int_equal(stat(path, &is), 0);
	assert_int_equal(is.st_mode & 07777, 0700);
}

static void test_directories_are_for_nobody_else(void **state)
{
	struct fixture *f = *state;
	struct host other;
	char why[256], data_dir[sizeof(conf.data_dir)];
	assert_private(f->host.run_dir);
	assert_private(f->host.data_dir);
	memcpy(data_dir, conf.data_dir, sizeof(data_dir));
	snprintf(conf.run_dir, sizeof(conf.run_dir), "%s/a/run/", f->dir);
	snprintf(conf.data_dir, sizeof(conf.data_dir), "%s/a//data//", f->dir);
	assert_true(host_open(&other, why, sizeof(why)));
	assert_private(other.run_dir);
	assert_private(other.data_dir);
	host_close(&other);
	memcpy(conf.data_dir, data_dir, sizeof(data_dir));
}

static void test_backoff_grows_with_each_crash(UNUSED void **state)
{
	assert_int_equal(child_backoff(0, CRASH_MS), 0);
	assert_int_equal(child_backoff(RESPAWN_MAX_MS, CRASH_MS), 0);
	unsigned ms = child_backoff(0, 0), last = 0;
	assert_int_equal(ms, RESPAWN_MIN_MS);
	for (int i = 0; i < 20; i++) {
		assert_true(ms > last || ms == RESPAWN_MAX_MS);
		last = ms;
		ms = child_backoff(ms, CRASH_MS - 1);
	}
	assert_int_equal(ms, RESPAWN_MAX_MS);
}

static void test_an_end_has_words(UNUSED void **state)
{
	char how[64];
	assert_string_equal(child_end(W_EXITCODE(3, 0), how, sizeof(how)), "exited with status 3");
	assert_string_equal(child_end(SIGSEGV | WCOREFLAG, how, sizeof(how)),
	                    "was killed by SIGSEGV (core dumped)");
}

static void test_a_library_tells_its_version(UNUSED void **state)
{
	assert_int_equal(
		functions_version(STR("#!lua name=x\nlocal VERSION = 12\nlocal VERSION = 13\n")),
		12);
	assert_int_equal(functions_version(STR("local VERSION =7")), 7);
	assert_int_equal(functions_version(STR("-- local VERSION = 7\n")), 0);
	assert_int_equal(functions_version(STR("local VERSION = x\n")), 0);
	assert_int_equal(functions_version(STR("local VERSION = 99999999999\n")), 0);
	assert_int_equal(functions_version(STR("")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_killed_worker_is_replaced, start_two,
		                                end_two),
		cmocka_unit_test_setup_teardown(test_a_stopped_crew_stays_so, start_two, end_two),
		cmocka_unit_test_setup_teardown(test_rolling_replaces_one_after_another, start_two,
		                                end_two),
		cmocka_unit_test_setup_teardown(
			test_hand_overs_are_inherited_an_order_to_drain_is_not, start_two, end_two),
		cmocka_unit_test_setup_teardown(test_a_host_is_locked_and_keeps_its_name, start_two,
		                                end_two),
		cmocka_unit_test_setup_teardown(test_directories_are_for_nobody_else, start_two,
		                                end_two),
		cmocka_unit_test(test_backoff_grows_with_each_crash),
		cmocka_unit_test(test_an_end_has_words),
		cmocka_unit_test(test_a_library_tells_its_version),
	};
	return cmocka_run_group_tests_name("crew", tests, NULL, NULL);
}

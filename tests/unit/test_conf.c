/* The configuration: what each level and type takes, what is refused and how it is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/conf.h"

static char dir[] = "/tmp/test_conf.XXXXXX";
static char path[64];

static void file_write(const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static struct conf load_with(const char *text, const char *const *options)
{
	struct conf c;
	char why[512] = "";

	if (text)
		file_write(text);
	if (!conf_load(&c, text ? path : NULL, options, why, sizeof(why)))
		fail_msg("refused: %s", why);
	return c;
}

static struct conf load(const char *text)
{
	return load_with(text, NULL);
}

/* Refused, and the message has each of the words. */
static void assert_refused_with(const char *text, const char *const *options,
                                const char *const *words)
{
	struct conf c;
	char why[512] = "";

	if (text)
		file_write(text);
	if (conf_load(&c, text ? path : NULL, options, why, sizeof(why)))
		fail_msg("accepted: %s", text);
	for (; *words; words++)
		if (!strstr(why, *words))
			fail_msg("\"%s\" does not say \"%s\"", why, *words);
}

#define assert_refused(text, ...) \
	assert_refused_with(text, NULL, (const char *const[]){ __VA_ARGS__, NULL })

static void test_defaults(void **state)
{
	(void)state;
	const struct conf c = load(NULL);
	assert_int_equal(c.n_listens, 3);
	assert_string_equal(c.listens[0].address, "::");
	assert_int_equal(c.listens[0].port, 3000);
	assert_string_equal(c.listens[0].root, "gateway");
	assert_int_equal(c.listens[2].port, 8000);
	assert_string_equal(c.listens[2].root, "channels");
	assert_in_range(c.workers, 1, CONF_MAX_WORKERS);
	assert_int_equal(c.redis.kind, REDIS_EMBEDDED);
	assert_string_equal(c.redis.path, "run/redis.sock");
	assert_string_equal(c.jwt_secret, "");
	assert_string_equal(c.jwt_secret_alg, "HS256");
	assert_true(c.provision_users);
	assert_int_equal(c.n_cors_origins, 1);
	assert_string_equal(c.cors_origins[0], "*");
	assert_int_equal(c.ping_interval_ms, 25000);
	assert_int_equal(c.recovery_window_ms, 120000);
	assert_int_equal(c.max_payload, 1000000);
	assert_int_equal(c.queue_soft, 256000);
	assert_int_equal(c.message_rate.per_second, 20);
	assert_int_equal(c.message_rate.burst, 60);
	assert_int_equal(c.connect_rate.per_second, 0);
	assert_int_equal(c.history_max, 0);
	assert_int_equal(c.log_level, LOG_INFO);
}

static void test_syntax(void **state)
{
	(void)state;
	const struct conf c =
		load("# a comment\r\n\n  ping-interval\t 300ms  # another\r\n"
	             "jwt-secret \"a # \\\"b\\\\ \"\njwt-issuer a#b\nrun-dir \"/tmp/x y\"");
	assert_int_equal(c.ping_interval_ms, 300);
	assert_string_equal(c.jwt_secret, "a # \"b\\ ");
	assert_string_equal(c.jwt_issuer, "a#b");
	assert_string_equal(c.run_dir, "/tmp/x y");
	assert_string_equal(c.redis.path, "/tmp/x y/redis.sock");
	assert_refused("jwt-issuer \"open", ":1: ", "quote");
	assert_refused("jwt-issuer \"a\"b", "quote");
	assert_refused("jwt-issuer a b", "jwt-issuer", "a text");
	assert_refused("ping-interval", "ping-interval", "duration");
	assert_refused("log-level a b c d e f g h i", "too many words");
}

static void test_types(void **state)
{
	(void)state;
	const struct conf c =
		load("ping-timeout 2m\nrecovery-window 1h\nqueue-soft-time 0\nmax-payload 64KB\n"
	             "queue-soft 1234\nqueue-hard 1gb\nmessage-rate 0\nevent-rate 1 2\n"
	             "connect-rate 0 0\nprovision-users no\nlog-level debug\nworkers 3\n");
	assert_int_equal(c.ping_timeout_ms, 120000);
	assert_int_equal(c.recovery_window_ms, 3600000);
	assert_int_equal(c.queue_soft_ms, 0);
	assert_int_equal(c.max_payload, 64000);
	assert_int_equal(c.queue_soft, 1234);
	assert_int_equal(c.queue_hard, 1000000000);
	assert_int_equal(c.message_rate.per_second, 0);
	assert_int_equal(c.event_rate.burst, 2);
	assert_false(c.provision_users);
	assert_int_equal(c.log_level, LOG_DEBUG);
	assert_int_equal(c.workers, 3);
}

static void test_values_refused(void **state)
{
	static const char *const lines[] = {
		"ping-interval 25",
		"ping-interval 25x",
		"ping-interval s",
		"ping-interval -1s",
		"ping-interval 1.5s",
		"ping-interval 99ms",
		"ping-interval 2h",
		"ping-interval 0",
		"ping-interval 99999999999999999999s",
		"ping-interval 18446744073709551615h",
		"max-payload 63",
		"max-payload 1tb",
		"max-payload 5gb",
		"workers 0",
		"workers 65",
		"workers many",
		"provision-users true",
		"log-level INFO",
		"message-rate 20",
		"message-rate 20 0",
		"message-rate 0 60",
		"message-rate 1 2 3",
		"message-rate 1000001 1",
		"password-rate 10001",
		"room-log-max 9",
		"jwt-secret-alg RS256",
		"jwt-secret-alg none",
		"jwt-key k.pem HS256",
		"jwt-key k.pem",
		"jwt-key \"\" RS256",
		"cors-origin https://a/",
		"cors-origin a.example",
		"cors-origin https://A.example",
		"cors-origin null",
		"cors-origin https://*.example",
		"redis",
		"redis host",
		"redis host:0",
		"redis unix:",
		"redis [::1]",
		"redis h/x:1",
		"listen 3000 gateway",
		"listen localhost:3000 gateway",
		"listen [::]:0 gateway",
		"listen [::]:65536 gateway",
		"listen [::]:3000",
		"listen [::]:3000 Gate/way",
		"listen 1.2.3:1 lobby",
		"listen ::1:3000 lobby",
		"run-dir \"\"",
		"data-dir \"\"",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_refused(lines[i], path, ":1: ", "must be ");
}

static void test_error_says_place_value_and_range(void **state)
{
	(void)state;
	assert_refused("\n\nping-interval 25", path, ":3: ping-interval \"25\": must be",
	               "with its unit", "100ms to 1h");
	assert_refused("queue-soft 1kbb", "queue-soft \"1kbb\"", "1kb to 1gb");
	assert_refused("room-log-max 5", "10 to 1000000");
}

static void test_unknown_and_twice(void **state)
{
	(void)state;
	assert_refused("log-level info\nping_interval 25s",
	               ":2: ", "unknown directive \"ping_interval\"",
	               "did you mean ping-interval?");
	assert_refused("max-paylod 1mb", "did you mean max-payload?");
	assert_refused("zzzzzzzzzzzz 1", "unknown directive");
	assert_refused("a-name-that-is-longer-than-any-directive-could-ever-be 1",
	               "unknown directive");
	assert_refused("log-level info\n\nlog-level warn",
	               ":3: log-level is given twice, first in line 1");
	assert_refused_with(NULL,
	                    (const char *const[]){ "log-level", "info", "log-level", "warn", NULL },
	                    (const char *const[]){ "options", "given twice", NULL });
	assert_refused_with(NULL, (const char *const[]){ "logs", "info", NULL },
	                    (const char *const[]){ "unknown directive", NULL });
}

static void test_levels(void **state)
{
	static const char *const options[] = { "ping-timeout", "3s", "listen", "127.0.0.1:4 none",
		                               NULL };

	(void)state;
	setenv("CONFAB_PING_INTERVAL", "2s", 1);
	setenv("CONFAB_PING_TIMEOUT", "2s", 1);
	setenv("CONFAB_CORS_ORIGIN", "https://a.example, http://[::1]:8080", 1);
	setenv("CONFAB_JWT_SECRET", " \"as # it is\" ", 1);
	const struct conf c =
		load_with("listen [::]:1 lobby\nlisten [0::1]:2 channels\nping-interval 1s\n"
	                  "cors-origin https://x.example\nlog-level warn\n",
	                  options);
	unsetenv("CONFAB_PING_INTERVAL");
	unsetenv("CONFAB_PING_TIMEOUT");
	unsetenv("CONFAB_CORS_ORIGIN");
	unsetenv("CONFAB_JWT_SECRET");
	assert_int_equal(c.log_level, LOG_WARN);
	assert_int_equal(c.ping_interval_ms, 2000);
	assert_int_equal(c.ping_timeout_ms, 3000);
	assert_string_equal(c.jwt_secret, " \"as # it is\" ");
	assert_int_equal(c.n_cors_origins, 2);
	assert_string_equal(c.cors_origins[0], "https://a.example");
	assert_string_equal(c.cors_origins[1], "http://[::1]:8080");
	assert_int_equal(c.n_listens, 1);
	assert_string_equal(c.listens[0].root, "none");
}

static void test_list_bounds(void **state)
{
	char text[32 * (CONF_MAX_KEYS + 1)] = "";

	(void)state;
	for (int i = 0; i < CONF_MAX_KEYS; i++)
		strcat(text, "jwt-key k.pem RS256\n");
	assert_int_equal(load(text).n_jwt_keys, CONF_MAX_KEYS);
	strcat(text, "jwt-key k.pem RS256\n");
	assert_refused(text, ":9: ", "more than 8 times");
	setenv("CONFAB_JWT_KEY", "a.pem RS256,,b.pem ES256", 1);
	assert_refused_with(NULL, NULL, (const char *const[]){ "environment: jwt-key", NULL });
	unsetenv("CONFAB_JWT_KEY");
}

static void test_cross_checks(void **state)
{
	char text[256] = "run-dir /";

	(void)state;
	assert_refused("listen [::]:3000 lobby\nlisten [0:0::0]:3000 gateway", ":2: listen",
	               "taken twice");
	assert_refused("listen [::]:3000 lobby\nlisten 0.0.0.0:3000 gateway", "taken twice");
	assert_int_equal(load("listen [::1]:3000 lobby\nlisten 127.0.0.1:3000 lobby").n_listens, 2);
	assert_refused("queue-soft 5mb", ":1: queue-soft", "above queue-hard");
	assert_refused("queue-hard 1mb", ":1: queue-hard", "above max-payload");
	memset(text + 9, 'r', 95);
	assert_string_equal(load(text).run_dir, text + 8);
	text[9 + 95] = 'r';
	text[9 + 96] = '\0';
	assert_refused(text, ":1: run-dir", "too long");
}

static void test_secret_refusals(void **state)
{
	(void)state;
	assert_refused("jwt-secret \"\"", "jwt-secret", "1 to 511 bytes");
	setenv("CONFAB_JWT_SECRET", "", 1);
	assert_refused_with(NULL, NULL, (const char *const[]){ "environment: jwt-secret", NULL });
	setenv("CONFAB_JWT_SECRET", "hush-hush\n", 1);
	assert_refused_with(NULL, NULL,
	                    (const char *const[]){ "jwt-secret has a control character", NULL });
	unsetenv("CONFAB_JWT_SECRET");

	struct conf c;
	char why[512];
	file_write("jwt-secret hush hush");
	assert_false(conf_load(&c, path, NULL, why, sizeof(why)));
	assert_null(strstr(why, "hush"));
}

static void test_no_file(void **state)
{
	struct conf c;
	char why[512] = "";

	(void)state;
	assert_false(conf_load(&c, "/nonexistent/confab.conf", NULL, why, sizeof(why)));
	assert_string_equal(why, "/nonexistent/confab.conf: No such file or directory");
	assert_false(conf_load(&c, dir, NULL, why, sizeof(why)));
}

static void test_failure_leaves_the_old(void **state)
{
	struct conf c, before;
	char why[512];

	(void)state;
	c = load("log-level debug");
	memcpy(&before, &c, sizeof(c));
	file_write("log-level warn\nnonsense");
	assert_false(conf_load(&c, path, NULL, why, sizeof(why)));
	assert_memory_equal(&c, &before, sizeof(c));
}

static void assert_prints_back(const struct conf *c, bool help)
{
	struct buf out = { 0 };
	struct conf again;

	conf_print(c, &out, help);
	buf_char(&out, '\0');
	again = load(out.p);
	assert_memory_equal(c, &again, sizeof(again));
	buf_fini(&out);
}

static void test_print_reads_back(void **state)
{
	static const char text[] =
		"listen [::]:1 lobby\nlisten 10.0.0.1:2 none\nworkers 7\nredis [::1]:6379\nrun-dir "
	        "\"/r # d\"\n"
		"data-dir d\\\\x\njwt-secret \"\\\\\\\" \"\njwt-secret-alg HS512\njwt-key \"a "
	        "b.pem\" ES256\n"
		"jwt-key k RS512\njwt-issuer \"#x\"\njwt-audience y\nprovision-users no\n"
		"cors-origin https://a\ncors-origin *\nping-interval 100ms\nconnect-timeout "
	        "1500ms\n"
		"idle-timeout 1h\nmax-payload 1234\nqueue-soft-time 0\nrecovery-window "
	        "0\nmessage-rate off\n"
		"event-rate 7 8\npassword-rate 0\nhistory-max 5\nlog-level error\n";
	struct conf c = load(NULL);

	(void)state;
	assert_prints_back(&c, true);
	assert_prints_back(&c, false);
	c = load(text);
	assert_prints_back(&c, true);
	assert_prints_back(&c, false);
	c = load("redis unix:/var/run/redis.sock\n");
	assert_prints_back(&c, true);
}

/* The sample in the repository is what --print-conf prints. */
static void test_sample_is_current(void **state)
{
	struct buf out = { 0 }, sample = { 0 };
	FILE *f = fopen("confab.conf", "r");
	const struct conf c = load(NULL);

	(void)state;
	assert_non_null(f);
	sample.len = fread(buf_reserve(&sample, 65536), 1, 65536, f);
	fclose(f);
	conf_print(&c, &out, true);
	buf_char(&out, '\0');
	buf_char(&sample, '\0');
	if (strcmp(out.p, sample.p) != 0)
		fail_msg("confab.conf is stale: make it anew by: build/confab -c /dev/null "
		         "--print-conf > confab.conf");
	buf_fini(&out);
	buf_fini(&sample);
}

static void test_help_has_each_directive(void **state)
{
	struct buf out = { 0 };

	(void)state;
	conf_help(&out);
	buf_char(&out, '\0');
	assert_non_null(strstr(out.p, "  --listen ADDRESS:PORT API"));
	assert_non_null(strstr(out.p, "  --log-level LEVEL  (default: info)"));
	buf_fini(&out);
}

static void test_secret_is_made_once(void **state)
{
	struct conf c = load(NULL);
	struct buf first = { 0 }, again = { 0 };
	char why[256], secret[64];
	struct stat st;

	(void)state;
	snprintf(c.data_dir, sizeof(c.data_dir), "%s", dir);
	snprintf(secret, sizeof(secret), "%s/jwt-secret", dir);
	assert_true(conf_jwt_secret(&c, &first, why, sizeof(why)));
	assert_true(conf_jwt_secret(&c, &again, why, sizeof(why)));
	assert_int_equal(first.len, 64);
	assert_memory_equal(first.p, again.p, 64);
	assert_int_equal(stat(secret, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);

	assert_int_equal(truncate(secret, 0), 0);
	buf_clear(&again);
	assert_false(conf_jwt_secret(&c, &again, why, sizeof(why)));
	assert_non_null(strstr(why, secret));
	assert_int_equal(unlink(secret), 0);

	c.n_jwt_keys = 1;
	buf_clear(&again);
	assert_true(conf_jwt_secret(&c, &again, why, sizeof(why)));
	assert_int_equal(again.len, 0);
	strcpy(c.jwt_secret, "configured");
	assert_true(conf_jwt_secret(&c, &again, why, sizeof(why)));
	assert_true(str_eqz(buf_view(&again), "configured"));
	buf_fini(&first);
	buf_fini(&again);
}

/* One that was killed while it made the secret had our pid, as in containers. */
static void test_secret_half_made(void **state)
{
	struct conf c = load(NULL);
	struct buf out = { 0 };
	char why[256], secret[64], half[96];

	(void)state;
	snprintf(c.data_dir, sizeof(c.data_dir), "%s", dir);
	snprintf(secret, sizeof(secret), "%s/jwt-secret", dir);
	snprintf(half, sizeof(half), "%s.%ld", secret, (long)getpid());
	const int fd = open(half, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_true(conf_jwt_secret(&c, &out, why, sizeof(why)));
	assert_int_equal(out.len, 64);
	buf_fini(&out);
	assert_int_equal(unlink(half), 0);
	assert_int_equal(unlink(secret), 0);
}

/* Processes that start at the same moment must agree. */
static void test_secret_race(void **state)
{
	enum { RACERS = 8, LENGTH = 64 };
	struct conf c = load(NULL);
	char secrets[RACERS][LENGTH], why[256];
	int fds[2];

	(void)state;
	snprintf(c.data_dir, sizeof(c.data_dir), "%s", dir);
	assert_int_equal(pipe(fds), 0);
	for (int i = 0; i < RACERS; i++) {
		const pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid)
			continue;
		struct buf out = { 0 };
		const bool ok = conf_jwt_secret(&c, &out, why, sizeof(why)) && out.len == LENGTH &&
		                write(fds[1], out.p, LENGTH) == LENGTH;
		_exit(ok ? 0 : 1);
	}
	for (int i = 0; i < RACERS; i++) {
		int status = 0;
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	for (int i = 0; i < RACERS; i++) {
		assert_int_equal(read(fds[0], secrets[i], LENGTH), LENGTH);
		assert_memory_equal(secrets[0], secrets[i], LENGTH);
	}
	close(fds[0]);
	close(fds[1]);
}

/* What the caller's environment says about Confab must not reach the tests. */
static void environment_clear(void)
{
	for (char **entry = environ; *entry;) {
		char name[128];
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(*entry, "="), *entry);
		if (strncmp(name, "CONFAB_", 7) == 0 && unsetenv(name) == 0)
			entry = environ;
		else
			entry++;
	}
}

static int group_setup(void **state)
{
	(void)state;
	environment_clear();
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/confab.conf", dir);
	return 0;
}

static int group_teardown(void **state)
{
	char secret[64];

	(void)state;
	snprintf(secret, sizeof(secret), "%s/jwt-secret", dir);
	unlink(secret);
	unlink(path);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_syntax),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_values_refused),
		cmocka_unit_test(test_error_says_place_value_and_range),
		cmocka_unit_test(test_unknown_and_twice),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_list_bounds),
		cmocka_unit_test(test_cross_checks),
		cmocka_unit_test(test_secret_refusals),
		cmocka_unit_test(test_no_file),
		cmocka_unit_test(test_failure_leaves_the_old),
		cmocka_unit_test(test_print_reads_back),
		cmocka_unit_test(test_sample_is_current),
		cmocka_unit_test(test_help_has_each_directive),
		cmocka_unit_test(test_secret_is_made_once),
		cmocka_unit_test(test_secret_half_made),
		cmocka_unit_test(test_secret_race),
	};

	return cmocka_run_group_tests_name("conf", tests, group_setup, group_teardown);
}

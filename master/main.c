/* The command line: what to do, with which configuration.
 *
 * The options of the directives, like their help, come from conf.def. */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/conf_value.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/token.h"
#include "common/version.h"
#include "master/master.h"
#include "worker/worker.h"

enum { EXIT_USAGE = 2 };

static const char version[] = "confab " CONFAB_VERSION "\n";
static const char default_file[] = "confab.conf";

/* What the command line asks for. */
struct request {
	int (*action)(const struct request *r);
	bool token;           /* the subcommand's own options came */
	const char *file;     /* NULL: none */
	const char **options; /* directive and value pairs, ended by NULL */
	size_t n_options;
	const char *sub, *name, *username, *image, *ttl;
};

static bool buf_write(struct buf *b)
{
	const bool ok = fwrite(b->p, 1, b->len, stdout) == b->len && fflush(stdout) == 0;

	buf_fini(b);
	return ok;
}

static int complain(const char *why)
{
	fprintf(stderr, "confab: %s\n", why);
	return EXIT_FAILURE;
}

/* What is opened next takes the place of a standard descriptor that is not there, and so the lines
 * of the log: a lock's file, say, with the host's name in it. */
static void fill_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* Actions. Each returns the exit status. */

static int serve(const struct request *r)
{
	fill_standard();
	log_init("master", conf.log_level);
	return master_run(worker_main, r->file, r->options);
}

/* All that can be wrong before a start. A secret that is still to be made is not made here. */
static int check(const struct request *r)
{
	struct conf c;
	char why[512];

	(void)r;
	memcpy(&c, &conf, sizeof(c));
	if (!c.jwt_secret[0])
		strcpy(c.jwt_secret, "to be made");
	if (!token_keys_check(&c, why, sizeof(why)))
		return complain(why);
	puts("configuration OK");
	return EXIT_SUCCESS;
}

static int print_conf(const struct request *r)
{
	struct buf out = { 0 };

	(void)r;
	conf_print(&conf, &out, true);
	return buf_write(&out) ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* A duration as the configuration has them. */
static bool seconds_parse(const char *text, int64_t *out)
{
	static const struct directive bounds = { .min = 1000, .max = UINT32_MAX };
	const struct str word = str_z(text);
	unsigned ms = 0;

	if (!value_DURATION.parse(&bounds, (struct strs){ &word, 1 }, &ms))
		return false;
	*out = ms / 1000;
	return true;
}

static bool token_print(struct token_keys *keys, const struct claims *claims, int64_t now_s)
{
	struct arena a = { 0 };
	struct str token;
	const enum err e = token_issue(keys, claims, now_s, &a, &token);

	if (e == ERR_OK)
		printf("%.*s\n", STR_ARG(token));
	else
		complain(e == ERR_INVALID ? "--sub: must be 1 to 128 printable ASCII characters"
		                          : err_text(e));
	arena_fini(&a);
	return e == ERR_OK;
}

static int token(const struct request *r)
{
	const int64_t now_s = (int64_t)time(NULL);
	struct claims claims = {
		.sub = str_z(r->sub),
		.name = str_z(r->name),
		.username = str_z(r->username),
		.image = str_z(r->image),
	};
	char why[512];

	if (!r->sub)
		return complain("token needs --sub ID");
	if (!seconds_parse(r->ttl, &claims.exp))
		return complain("--ttl: must be a duration with its unit (90s, 1h), 1s to 49 days");
	claims.exp += now_s;
	/* The secret is made in it if this comes before the first start; master/host.c says why
	 * if it cannot. */
	(void)mkdir(conf.data_dir, 0700);
	struct token_keys *keys = token_keys_new(conf.jwt_issuer, conf.jwt_audience);
	int status = EXIT_FAILURE;
	if (!token_keys_load(keys, &conf, why, sizeof(why)))
		complain(why);
	else if (token_print(keys, &claims, now_s))
		status = EXIT_SUCCESS;
	token_keys_free(keys);
	return status;
}

static int show_version(const struct request *r)
{
	(void)r;
	return fputs(version, stdout) >= 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int show_help(const struct request *r)
{
	struct buf out = { 0 };

	(void)r;
	buf_z(&out,
	      "Usage: confab [-c FILE] [--DIRECTIVE VALUE]...        run the server\n"
	      "       confab [-c FILE] token --sub ID [OPTION]...    print a token for a user\n\n"
	      "  -c, --config FILE  the configuration (default: ./confab.conf, if there is one)\n"
	      "      --check        only say whether the configuration can be used\n"
	      "      --print-conf   print the configuration as a file, and exit; secrets too\n"
	      "  -h, --help         print this, and exit\n"
	      "  -V, --version      print the version, and exit\n\n"
	      "token: --sub ID, --name NAME, --username NAME, --image URL, --ttl DURATION "
	      "(default: 1h)\n\n"
	      "Directives, which the file has without the dashes, and the environment as "
	      "CONFAB_PING_INTERVAL:\n");
	conf_help(&out);
	return buf_write(&out) ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Options. */

enum option_value {
	OPTION_DIRECTIVE = 256,
	OPTION_CHECK,
	OPTION_PRINT_CONF,
	OPTION_SUB,
	OPTION_NAME,
	OPTION_USERNAME,
	OPTION_IMAGE,
	OPTION_TTL,
};

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ "check", no_argument, NULL, OPTION_CHECK },
	{ "print-conf", no_argument, NULL, OPTION_PRINT_CONF },
	{ "sub", required_argument, NULL, OPTION_SUB },
	{ "name", required_argument, NULL, OPTION_NAME },
	{ "username", required_argument, NULL, OPTION_USERNAME },
	{ "image", required_argument, NULL, OPTION_IMAGE },
	{ "ttl", required_argument, NULL, OPTION_TTL },
#define DIRECTIVE(word, kind, member, text, least, greatest, change, words) \
	{ (word), required_argument, NULL, OPTION_DIRECTIVE },
#define DIRECTIVE_LIST(word, kind, members, count, text, change, words) \
	{ (word), required_argument, NULL, OPTION_DIRECTIVE },
#include "common/conf.def"
	{ 0 }
};

static void option_keep(struct request *r, const char *name, const char *value)
{
	r->options = xrealloc(r->options, (r->n_options + 3) * sizeof(*r->options));
	r->options[r->n_options++] = name;
	r->options[r->n_options++] = value;
	r->options[r->n_options] = NULL;
}

static void token_option(struct request *r, int option, const char *value)
{
	r->token = true;
	switch (option) {
	case OPTION_SUB:
		r->sub = value;
		break;
	case OPTION_NAME:
		r->name = value;
		break;
	case OPTION_USERNAME:
		r->username = value;
		break;
	case OPTION_IMAGE:
		r->image = value;
		break;
	default:
		r->ttl = value;
		break;
	}
}

/* False: getopt has said what is wrong. */
static bool options_read(struct request *r, int argc, char **argv)
{
	int option, index = 0;

	while ((option = getopt_long(argc, argv, "c:hV", long_options, &index)) != -1) {
		switch (option) {
		case 'c':
			r->file = optarg;
			break;
		case 'h':
			r->action = show_help;
			break;
		case 'V':
			r->action = show_version;
			break;
		case OPTION_CHECK:
			r->action = check;
			break;
		case OPTION_PRINT_CONF:
			r->action = print_conf;
			break;
		case OPTION_DIRECTIVE:
			option_keep(r, long_options[index].name, optarg);
			break;
		case '?':
			return false;
		default:
			token_option(r, option, optarg);
			break;
		}
	}
	return true;
}

/* What is no option: at most the subcommand. */
static bool subcommand_read(struct request *r, int argc, char **argv)
{
	const bool is_token = optind < argc && !strcmp(argv[optind], "token");
	const int unknown = optind + is_token;

	if (unknown < argc) {
		fprintf(stderr, "confab: unknown command \"%s\"\n", argv[unknown]);
		return false;
	}
	if (r->token && !is_token) {
		fprintf(stderr, "confab: --sub, --name, --username, --image and --ttl belong to "
		                "confab token\n");
		return false;
	}
	if (is_token && r->action == serve)
		r->action = token;
	return true;
}

static int act(const struct request *r)
{
	char why[512];

	if (r->action == show_help || r->action == show_version)
		return r->action(r);
	if (!conf_load(&conf, r->file, r->options, why, sizeof(why)))
		return complain(why);
	return r->action(r);
}

int main(int argc, char **argv)
{
	struct request r = { .action = serve,
		             .ttl = "1h",
		             .file = access(default_file, F_OK) ? NULL : default_file };
	int status = EXIT_USAGE;

	if (options_read(&r, argc, argv) && subcommand_read(&r, argc, argv))
		status = act(&r);
	else
		fputs("Try confab --help.\n", stderr);
	free(r.options);
	return status;
}

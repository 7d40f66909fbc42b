/* The configuration: one table of directives (conf.def) gives the parser, the environment,
 * the options, the sample file, `--help` and the documentation. */
#ifndef CONFAB_CONF_H
#define CONFAB_CONF_H

#include "common/buf.h"
#include "common/log.h"

enum { CONF_MAX_LISTEN = 16, CONF_MAX_KEYS = 8, CONF_MAX_ORIGINS = 16, CONF_MAX_WORKERS = 64 };

struct conf_listen {
	char address[64];            /* numeric IPv4 or IPv6, without brackets */
	uint16_t port;
	char root[32];               /* the API that is namespace "/" on this port, or "none" */
};

enum redis_kind { REDIS_EMBEDDED, REDIS_UNIX, REDIS_TCP };

struct conf_redis {
	enum redis_kind kind;
	char path[108];              /* unix socket; for the embedded one made of run-dir */
	char host[256];
	uint16_t port;
};

struct conf_key {
	char path[256];
	char alg[8];
};

/* A rate: so many a second, with a burst; 0: off. */
struct conf_rate {
	unsigned per_second, burst;
};

struct conf {
	struct conf_listen listens[CONF_MAX_LISTEN];
	unsigned n_listens;
	unsigned workers;            /* 0 in the file: one per core; here resolved */
	struct conf_redis redis;
	char run_dir[200], data_dir[200];
	char jwt_secret[512];        /* empty: none was given */
	char jwt_secret_alg[8];
	struct conf_key jwt_keys[CONF_MAX_KEYS];
	unsigned n_jwt_keys;
	char jwt_issuer[256], jwt_audience[256];   /* empty: not checked */
	bool provision_users;
	char cors_origins[CONF_MAX_ORIGINS][128];  /* one "*": open */
	unsigned n_cors_origins;
	unsigned ping_interval_ms, ping_timeout_ms, connect_timeout_ms, upgrade_timeout_ms;
	unsigned header_timeout_ms, body_timeout_ms, idle_timeout_ms;
	unsigned max_payload;        /* bytes of one message, or of one polling POST */
	unsigned queue_soft, queue_hard;     /* bytes waiting for one connection */
	unsigned queue_soft_ms;              /* how long it may stay above the soft limit */
	unsigned recovery_window_ms;
	unsigned upload_max_file;    /* bytes */
	unsigned upload_max_files;   /* in one request */
	unsigned upload_user_quota, upload_quota, upload_free;       /* megabytes; 0: off */
	struct conf_rate message_rate, event_rate;
	unsigned password_rate;      /* wrong ones a minute and user */
	struct conf_rate connect_rate;
	unsigned address_connections, user_connections;      /* open at once; 0: any number */
	unsigned messenger_announce_limit;   /* users online; more are not announced */
	unsigned gateway_history;    /* messages of a room, told at connection */
	unsigned room_log_max, user_log_max, history_max;
	char metrics_token[256];     /* empty: anybody may read the metrics */
	enum log_level log_level;
};

/* The running configuration: one of the two globals (style 19). Set once by main, read by all. */
extern struct conf conf;

/* Builds *out from defaults, then the file (NULL: none), then the environment, then
 * `--directive value` options (an array of name, value pairs, ended by NULL). False: `why` says
 * file, line, directive and range. */
MUST_USE bool conf_load(struct conf *out, const char *file, const char *const *options,
                        char *why, size_t size);
/* The configuration as a file that gives it again, one line per directive with its help. */
void conf_print(const struct conf *c, struct buf *out, bool help);
/* The directives as options with their syntax, default and help, for --help. */
void conf_help(struct buf *out);
/* The secret for tokens: the configured one; none (empty) when there are only keys; else that of
 * DATA_DIR/jwt-secret, made with mode 0600 when it is not there. False: `why` says what could not
 * be read or written. */
MUST_USE bool conf_jwt_secret(const struct conf *c, struct buf *out, char *why, size_t size);

#endif

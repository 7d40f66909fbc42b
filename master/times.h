/* How long the master waits for what: every limit of this directory, in one place. */
#ifndef CONFAB_MASTER_TIMES_H
#define CONFAB_MASTER_TIMES_H

enum {
	BEAT_LIMIT_MS = 10000,  /* a worker silent for longer is killed and replaced */
	CRASH_MS = 1000,        /* a child that lived shorter has crashed at its start */
	RESPAWN_MIN_MS = 100,   /* the wait after the first such crash; it doubles … */
	RESPAWN_MAX_MS = 10000, /* … up to this */
	DRAIN_LIMIT_MS = 30000, /* from CHAN_DRAIN to SIGTERM */
	TERM_LIMIT_MS = 5000,   /* from SIGTERM to SIGKILL */

	ADDRESS_WAIT_MS = 3000, /* for the workers of a killed master to leave our ports */
	SECOND_MS = 1000,       /* lease, functions */
	MEASURE_MS = 5000,      /* between looks at what workers use: descriptors may be many */
	PAUSE_MS = 3000,        /* a turn that long: we were stopped, and perhaps the workers too */

	REDIS_LEFTOVER_MS = 10000, /* for the redis-server of a killed master to end */
	REDIS_TRY_MS = 50,         /* between looks at a starting redis-server */
	REDIS_SAY_MS = 2000,       /* between lines about its progress */
	REDIS_STOP_MS = 10000,     /* from SIGTERM to SIGKILL, so that the log is synced */
	LOAD_LIMIT_MS = 30000,     /* for one that serves to answer when given the functions */

	CLIENT_CONNECT_MS = 200,   /* a dead Redis must not hold up the watch over the workers */
	CLIENT_COMMAND_MS = 500,
	CLIENT_RETRY_MIN_MS = 500, /* between attempts to connect */
	CLIENT_RETRY_MAX_MS = 2000,

	/* What workers of a dead master keep, for other hosts to sweep. With the second in which
	 * that is noticed, the users of a dead host have left the lobby within ten. */
	LEASE_MS = 8000,
};

#endif

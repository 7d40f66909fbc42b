/* The transport half of a worker without Redis. */
#include "tests/fuzz/wire.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/conf.h"
#include "common/log.h"
#include "tests/fuzz/fuzz.h"
#include "worker/api/door.h"

struct wire wire;

static uint64_t now_ms = UINT64_C(1800000000000);

int __wrap_clock_gettime(clockid_t which, struct timespec *now)
{
	(void)which;
	*now = (struct timespec){ (time_t)(now_ms / 1000), (long)(now_ms % 1000) * 1000000 };
	return 0;
}

/* Every second connection asked for is had by the other worker, which is then heard of no more. */
static bool hand_over(void *ctx, struct conn *c, unsigned worker, struct str bytes)
{
	static unsigned n;

	(void)ctx;
	CHECK(worker == 1 && bytes.len > 0);
	if (n++ % 2 == 0)
		return false;
	event_del(&c->event);
	return true;
}

/* Small limits, so that small inputs reach them. */
static void configure(void)
{
	static const char *const options[] = {
		"max-payload", "2000", "queue-soft", "8000", "queue-hard", "16000",
		"event-rate", "off", "log-level", "error", "listen", "127.0.0.1:1 echo", NULL,
	};
	char why[256];

	clearenv();
	if (!conf_load(&conf, NULL, options, why, sizeof(why))) {
		fprintf(stderr, "%s\n", why);
		abort();
	}
	log_init("fuzz", conf.log_level);
}

void wire_start(const struct http_service *services, const struct socket_app *app)
{
	static const unsigned char key[32] = { 1 }, host[SID_HOST] = { 1, 2, 3 };

	configure();
	wire.base = event_base_new();
	deadlines_init(&wire.deadlines, wire.base);
	net_init(&wire.net, wire.base, &wire.deadlines);
	wire.net.http = &wire.http;
	wire.net.ws = ws_new();
	wire.net.hand_over = hand_over;
	http_init(&wire.http, &wire.deadlines, services);
	engine_init(&wire.engine, &wire.deadlines, 0, 2, key, host);
	wire.services.hub = hub_new();
	sockets_init(&wire.sockets, &wire.deadlines, wire.services.hub, app);
	wire.engine.upper = &wire.sockets;
	events_init(&wire.services);
	rest_init(&wire.services);
}

/* As worker.c does it. */
static void tick(void)
{
	deadlines_tick(&wire.deadlines);
	hub_tick(wire.services.hub);
	engine_tick(&wire.engine);
	net_tick(&wire.net);
	engine_tick(&wire.engine);
	sockets_tick(&wire.sockets);
	clock_stale();
}

void wire_turn(void)
{
	CHECK(event_base_loop(wire.base, EVLOOP_NONBLOCK) >= 0);
	tick();
}

void wire_wait(unsigned ms)
{
	now_ms += ms;
	clock_stale();
	wire_turn();
}

static void check_deadlines(void)
{
	LIST_EACH(&wire.deadlines.lists, link) {
		const struct deadline_list *l = LIST_OF(link, struct deadline_list, link);
		CHECK(l == &wire.sockets.expiries.second || list_empty(&l->members));
	}
}

/* All that came has gone, each for one reason. */
static void check_ends(uint64_t came, const uint64_t closed[REASON_COUNT])
{
	uint64_t went = 0;
	for (unsigned r = 0; r < REASON_COUNT; r++)
		went += closed[r];
	CHECK(came == went);
}

void wire_check_empty(void)
{
	check_ends(wire.net.opened, wire.net.closed);
	check_ends(wire.engine.opened, wire.engine.closed);
	check_ends(wire.sockets.opened, wire.sockets.closed);
	CHECK(wire.net.n_conns == 0 && list_empty(&wire.net.conns) && list_empty(&wire.net.dying));
	CHECK(list_empty(&wire.net.todo) && wire.net.queued == 0 && wire.engine.queued == 0);
	CHECK(wire.engine.n_sessions == 0 && wire.engine.sessions.n == 0);
	CHECK(list_empty(&wire.engine.dirty) && list_empty(&wire.engine.dying));
	CHECK(wire.engine.turn == NULL);
	CHECK(wire.sockets.n == 0 && list_empty(&wire.sockets.dying));
	for (size_t i = 0; i < EXPIRY_SLOTS; i++)
		CHECK(list_empty(&wire.sockets.expiries.slots[i]));
	check_deadlines();
}

void client_connect(struct client *c)
{
	int fds[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	*c = (struct client){ .fd = fds[0] };
	http_start(conn_new(&wire.net, fds[1], 0, &http_vt, STR_NONE));
}

void client_write(struct client *c, struct str bytes)
{
	if (bytes.len > 0)
		(void)!send(c->fd, bytes.p, bytes.len, MSG_NOSIGNAL);
}

void client_read(struct client *c)
{
	enum { PIECE = 16384 };
	ssize_t n = 1;

	while (n > 0 && !c->deaf) {
		n = read(c->fd, buf_reserve(&c->in, PIECE), PIECE);
		if (n > 0)
			c->in.len += (size_t)n;
		if (n == 0)
			c->ended = true;
	}
}

void client_close(struct client *c)
{
	if (c->fd > 0)
		close(c->fd);
	buf_fini(&c->in);
	*c = (struct client){ 0 };
}

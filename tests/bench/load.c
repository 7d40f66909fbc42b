/* The load generator: connects, joins, sends and hears, in steps that come as lines on its standard
 * input and are answered by a line of JSON each. One thread; its own CPU is nobody's figure.
 *
 *	connect   all clients connect and enter, at most 64 at a time
 *	join      all join their rooms, at most 64 at a time
 *	send      messages begin to be sent, at a rate or in a closed loop
 *	measure   what is heard counts from here
 *	stop      to here; what was sent is waited for
 *
 * A closed loop keeps a number of messages in flight: when a sender hears the message,
 * another member sends the next. With a rate, a message's time begins when it was due, not when
 * it could be sent. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "tests/bench/client.h"
#include "tests/bench/latency.h"

enum {
	AT_ONCE = 64, EVENTS = 256, PORTS = 8, SLOTS = 65536, CONTENT_MAX = 2000,
	DRAIN_MS = 3000, LIFE_S = 300,
	STRIDE = 7919,               /* from a sender to the next: a prime, to be everywhere */
};

struct room {
	unsigned first, members, next;       /* next: who sends the next message */
};

static struct {
	struct sockaddr_in ports[PORTS];
	unsigned n_ports;
	unsigned rate, in_flight;    /* one of them is 0 */
	char content[CONTENT_MAX + 1];
} option = { .content = "" };

static struct {
	struct client *all;
	struct room *rooms;
	unsigned n, n_rooms;
	unsigned begun, done;        /* of the step under way */
	const char *step;
	int timer, epoll;
	uint64_t due_ns, every_ns;   /* of a rate */
	uint64_t sequence;           /* of messages, which rooms take in turn */
	struct client *senders[SLOTS];       /* of the messages under way */
	uint64_t expected, heard;    /* deliveries, since `send` */
	bool sending, measuring;
	uint64_t since_ns, sent, deliveries, bytes, refused;
	struct latency latency;
} load;

/* --- Sending --- */

static void message_send(uint64_t at_ns)
{
	const unsigned slot = (unsigned)(load.sequence % SLOTS);
	struct room *r = &load.rooms[load.sequence++ % load.n_rooms];
	struct client *from = &load.all[r->first + r->next];

	r->next = (r->next + STRIDE) % r->members;
	load.senders[slot] = from;
	load.expected += r->members;
	load.sent += load.measuring;
	mark_write(option.content, at_ns, slot);
	client_send(from, option.content);
}

static void on_timer(void)
{
	uint64_t times;

	if (read(load.timer, &times, sizeof(times)) != sizeof(times) || !load.sending)
		return;
	for (; times > 0; times--) {
		message_send(load.due_ns);
		load.due_ns += load.every_ns;
	}
}

static void rate_start(void)
{
	load.every_ns = 1000000000u / option.rate;
	load.due_ns = now_ns() + load.every_ns;
	const struct itimerspec when = {
		.it_value = { (time_t)(load.due_ns / 1000000000u),
		              (long)(load.due_ns % 1000000000u) },
		.it_interval = { (time_t)(load.every_ns / 1000000000u),
		                 (long)(load.every_ns % 1000000000u) },
	};
	if (timerfd_settime(load.timer, TFD_TIMER_ABSTIME, &when, NULL) != 0)
		die("timerfd_settime", errno);
}

/* --- What the clients say --- */

static void on_heard(struct client *c, const char *mark, size_t size)
{
	uint64_t at;
	unsigned slot;
	const uint64_t now = now_ns();

	mark_read(mark, &at, &slot);
	load.heard++;
	if (load.sending && option.in_flight > 0 && load.senders[slot] == c)
		message_send(now);
	if (!load.measuring)
		return;
	load.deliveries++;
	load.bytes += size;
	latency_add(&load.latency, now > at ? now - at : 0);
}

static void on_refused(struct client *c, const char *text, size_t len)
{
	(void)c;
	if (load.refused++ == 0)
		fprintf(stderr, "refused: %.*s\n", (int)len, text);
}

/* Sees that more begin, up to AT_ONCE; answers once all are done. */
static void step_go_on(void)
{
	while (load.begun < load.n && load.begun - load.done < AT_ONCE) {
		struct client *c = &load.all[load.begun];
		const unsigned port = (load.begun * 2654435761u >> 16) % option.n_ports;
		load.begun++;
		if (strcmp(load.step, "connect") == 0)
			client_connect(c, &option.ports[port], load.begun - 1);
		else
			client_join(c);
	}
}

static void on_done(struct client *c)
{
	(void)c;
	if (++load.done < load.n)
		return;
	printf("{\"done\":\"%s\",\"clients\":%u}\n", load.step, load.n);
	load.step = NULL;
}

/* --- Steps --- */

static void start_step(const char *step)
{
	load.step = step;
	load.begun = load.done = 0;
}

static void start_connecting(void)
{
	start_step("connect");
}

static void start_joining(void)
{
	start_step("join");
}

static void start_sending(void)
{
	load.sending = true;
	for (unsigned i = 0; i < option.in_flight; i++)
		message_send(now_ns());
	if (option.rate > 0)
		rate_start();
	printf("{\"done\":\"send\"}\n");
}

static void start_measuring(void)
{
	load.measuring = true;
	load.since_ns = now_ns();
	printf("{\"done\":\"measure\"}\n");
}

static void wait_for_events(int timeout_ms);

static void stop(void)
{
	const double seconds = (double)(now_ns() - load.since_ns) / 1e9;
	const uint64_t end = now_ns() + DRAIN_MS * 1000000u;

	load.sending = load.measuring = false;
	while (load.heard < load.expected && now_ns() < end)
		wait_for_events(100);
	printf("{\"done\":\"stop\",\"seconds\":%.6f,\"sent\":%" PRIu64 ",\"deliveries\":%" PRIu64
	       ",\"bytes\":%" PRIu64 ",\"missing\":%" PRId64 ",\"refused\":%" PRIu64
	       ",\"p50\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f}\n",
	       seconds, load.sent, load.deliveries, load.bytes,
	       (int64_t)(load.expected - load.heard), load.refused,
	       (double)latency_at(&load.latency, 0.5) / 1e3,
	       (double)latency_at(&load.latency, 0.99) / 1e3,
	       (double)latency_at(&load.latency, 0.999) / 1e3, (double)load.latency.max / 1e3);
}

static const struct {
	const char *name;
	void (*start)(void);
} steps[] = {
	{ "connect", start_connecting }, { "join", start_joining }, { "send", start_sending },
	{ "measure", start_measuring }, { "stop", stop },
};

/* Lines come one at a time, each after the answer to the one before. The end of input
 * ends the program. */
static void on_command(void)
{
	char line[64];
	const ssize_t n = read(STDIN_FILENO, line, sizeof(line) - 1);

	if (n <= 0)
		exit(EXIT_SUCCESS);
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		if (strcmp(steps[i].name, line) == 0) {
			steps[i].start();
			return;
		}
	}
	die("an unknown step", 0);
}

/* --- The loop --- */

/* What is no client's is told by the address that comes with its event. */
static void dispatch(const struct epoll_event *e)
{
	if (e->data.ptr == &load.timer)
		on_timer();
	else if (e->data.ptr == &load.step)
		on_command();
	else
		client_ready(e->data.ptr, e->events);
}

static void wait_for_events(int timeout_ms)
{
	struct epoll_event events[EVENTS];
	const int n = epoll_wait(load.epoll, events, EVENTS, timeout_ms);

	for (int i = 0; i < n; i++)
		dispatch(&events[i]);
	if (load.step != NULL)
		step_go_on();
}

static void watch_fd(int fd, void *as)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = as };
	if (epoll_ctl(load.epoll, EPOLL_CTL_ADD, fd, &e) != 0)
		die("epoll_ctl", errno);
}

/* --- What it is given --- */

static char *copy(const char *s)
{
	char *p = strdup(s);
	if (p == NULL)
		die("out of memory", 0);
	return p;
}

static void take_seat(unsigned i, const char *room, const char *token)
{
	struct client *c = &load.all[i];
	const bool same = i > 0 && strcmp(load.all[i - 1].seat.room, room) == 0;

	c->seat = (struct seat){ same ? load.all[i - 1].seat.room : copy(room), copy(token) };
	if (!same)
		load.rooms[load.n_rooms++] = (struct room){ .first = i };
	load.rooms[load.n_rooms - 1].members++;
}

/* One line per client: ROOM TOKEN; those of a room stand together. */
static void read_seats(const char *path)
{
	FILE *f = fopen(path, "re");
	char room[256], token[2048];
	unsigned cap = 0;

	if (f == NULL)
		die(path, errno);
	while (fscanf(f, "%255s %2047s", room, token) == 2)
		cap++;
	load.all = calloc(cap + 1, sizeof(*load.all));
	load.rooms = calloc(cap + 1, sizeof(*load.rooms));
	if (load.all == NULL || load.rooms == NULL)
		die("out of memory", 0);
	rewind(f);
	while (load.n < cap && fscanf(f, "%255s %2047s", room, token) == 2)
		take_seat(load.n++, room, token);
	fclose(f);
	if (load.n == 0)
		die("no seats", 0);
}

static void read_ports(char *list)
{
	for (char *p = strtok(list, ","); p != NULL && option.n_ports < PORTS;
	     p = strtok(NULL, ",")) {
		struct sockaddr_in *to = &option.ports[option.n_ports++];
		to->sin_family = AF_INET;
		to->sin_port = htons((uint16_t)atoi(p));
		to->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	}
	if (option.n_ports == 0)
		die("no port", 0);
}

static void read_options(int argc, char **argv)
{
	static const char usage[] =
		"usage: load [--rate PER-SECOND | --loop IN-FLIGHT] [--content BYTES] "
		"SPEECH PORT[,PORT]... SEATS";
	static const struct option options[] = {
		{ "rate", required_argument, NULL, 'r' }, { "loop", required_argument, NULL, 'l' },
		{ "content", required_argument, NULL, 'c' }, { 0 },
	};
	size_t content = 64;
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 'r')
			option.rate = (unsigned)atoi(optarg);
		else if (o == 'l')
			option.in_flight = (unsigned)atoi(optarg);
		else if (o == 'c')
			content = (size_t)atoi(optarg);
		else
			die(usage, 0);
	}
	if (argc - optind != 3 || content < MARK_LEN || content > CONTENT_MAX ||
	    option.in_flight > SLOTS || (clients.speech = speech_find(argv[optind])) == NULL)
		die(usage, 0);
	memset(option.content, 'x', content);
	read_ports(argv[optind + 1]);
	read_seats(argv[optind + 2]);
}

int main(int argc, char **argv)
{
	program_begin(LIFE_S);
	setvbuf(stdout, NULL, _IOLBF, 0);
	read_options(argc, argv);
	load.epoll = epoll_create1(EPOLL_CLOEXEC);
	load.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (load.epoll < 0 || load.timer < 0)
		die("epoll or timerfd", errno);
	clients.epoll = load.epoll;
	clients.entered = clients.joined = on_done;
	clients.heard = on_heard;
	clients.refused = on_refused;
	watch_fd(load.timer, &load.timer);
	watch_fd(STDIN_FILENO, &load.step);
	for (;;)
		wait_for_events(-1);
}

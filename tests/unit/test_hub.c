/* The hub's rules for who hears what, and for channels without a log: state as of a moment,
 * what was told while somebody was about to join, and reading it anew. No Redis is needed:
 * events are handed in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/stamp.h"
#include "worker/fanout/hub.h"

static struct {
	struct event_base *base;
	struct services services;
	struct sub *sub;
	struct hub *hub;
	char stale[200];             /* the feeds that were to be read anew */
	char here[200];              /* who came and went */
} w;

/* --- a peer that writes down what it hears --- */

struct listener {
	struct peer peer;
	const char *id;
	bool behind, late;
	char heard[400];
};

static void listener_send(struct peer *p, struct batch *b, uint32_t from, uint32_t to)
{
	struct listener *l = CONTAINER_OF(p, struct listener, peer);
	struct str bytes = batch_range(b, from, to), payload;
	enum ws_opcode opcode;

	while (frame_next(&bytes, &opcode, &payload)) {
		const size_t len = strlen(l->heard);
		snprintf(l->heard + len, sizeof(l->heard) - len, "%.*s ", STR_ARG(payload));
	}
}

static void listener_lost(struct peer *p)
{
	(void)p;
	fail();
}

static bool listener_is(const struct peer *p, struct str id)
{
	return str_eqz(id, CONTAINER_OF_CONST(p, struct listener, peer)->id);
}

static bool listener_is_behind(const struct peer *p)
{
	return CONTAINER_OF_CONST(p, struct listener, peer)->behind;
}

static bool listener_is_late(const struct peer *p)
{
	return CONTAINER_OF_CONST(p, struct listener, peer)->late;
}

static void listener_set_late(struct peer *p, bool late)
{
	CONTAINER_OF(p, struct listener, peer)->late = late;
}

static const struct peer_vt listener_vt = {
	.send = listener_send, .lost = listener_lost, .is = listener_is,
	.is_behind = listener_is_behind, .is_late = listener_is_late,
	.set_late = listener_set_late,
};

static const char *heard(struct listener *l)
{
	static char text[sizeof(l->heard)];

	memcpy(text, l->heard, sizeof(text));
	l->heard[0] = '\0';
	return text;
}

/* Who came, if somebody did, and who is there. */
static enum audience encode_users(const struct feed_event *event, unsigned nth, struct buf *out)
{
	const unsigned before = event->came.n > 0;

	if (nth > before)
		return HEAR_NONE;
	if (nth < before)
		buf_printf(out, "+%zu", event->came.n);
	else
		buf_printf(out, "users%.*s", STR_ARG(event->users));
	return HEAR_ALL;
}

/* A read event is told in three packets, one for each audience; most others in one. */
static enum audience encode(const struct encoder *e, const struct feed_event *event, unsigned nth,
                            struct buf *out)
{
	static const struct { const char *text; enum audience to; } read[] = {
		{ "others", HEAR_OTHERS }, { "own", HEAR_OWN }, { "all", HEAR_ALL },
	};
	(void)e;

	if (event->type == EVENT_LOBBY_USERS)
		return encode_users(event, nth, out);
	if (event->type == EVENT_READ && nth < COUNT_OF(read)) {
		buf_z(out, read[nth].text);
		return read[nth].to;
	}
	if (event->type == EVENT_READ || nth > 0)
		return HEAR_NONE;
	buf_printf(out, "%s%u", event->type == EVENT_ONLINE ? "on" : "off",
	           (unsigned)stamp_clock(event->as_of));
	return HEAR_ALL;
}

static const struct encoder encoder = { .encode = encode };

static void listener_init(struct listener *l, const char *id, const char *user)
{
	*l = (struct listener){ .id = id };
	peer_init(&l->peer, &listener_vt, &encoder, str_z(user));
}

static void hear_state(const char *type, unsigned clock)
{
	char json[200];

	snprintf(json, sizeof(json),
	         "{\"type\":\"%s\",\"user\":\"ann\",\"username\":\"ann\",\"clock\":\"1-%u\"}",
	         type, clock);
	hub_hear(w.hub, STR("presence:ann"), str_z(json));
}

static void never(void *ctx)
{
	(void)ctx;
}

static void on_stale(void *ctx, struct str feed)
{
	const size_t len = strlen(w.stale);

	assert_ptr_equal(ctx, &w);
	snprintf(w.stale + len, sizeof(w.stale) - len, "%.*s ", STR_ARG(feed));
}

static void on_here(void *ctx, struct str user, bool here)
{
	const size_t len = strlen(w.here);

	assert_ptr_equal(ctx, &w);
	snprintf(w.here + len, sizeof(w.here) - len, "%c%.*s ", here ? '+' : '-', STR_ARG(user));
}

static int begin(void **state)
{
	static const struct conf_redis nowhere = { .path = "/nonexistent/redis.sock" };
	(void)state;

	memset(&w, 0, sizeof(w));
	w.base = event_base_new();
	w.hub = hub_new();
	w.sub = sub_new(w.base, &nowhere, &w.services, &hub_sub_owner, w.hub);
	hub_attach(w.hub, w.sub);
	hub_on_stale(w.hub, on_stale, &w);
	hub_on_here(w.hub, on_here, &w);
	return 0;
}

static int end(void **state)
{
	(void)state;
	hub_free(w.hub);
	sub_free(w.sub);
	event_base_free(w.base);
	return 0;
}

/* --- */

static void each_packet_has_its_audience(void **state)
{
	struct listener asked, own, other;
	(void)state;

	listener_init(&asked, "s1", "bob");
	listener_init(&own, "s2", "bob");
	listener_init(&other, "s3", "ann");
	hub_join(w.hub, &asked.peer, STR("lobby:x"), 0);
	hub_join(w.hub, &own.peer, STR("lobby:x"), 0);
	hub_join(w.hub, &other.peer, STR("lobby:x"), 0);
	hub_hear(w.hub, STR("lobby:x"),
	         STR("{\"type\":\"read\",\"room\":\"r\",\"kind\":\"direct\",\"actor\":\"bob\","
	             "\"messageId\":\"m\",\"username\":\"bob\",\"peer\":\"ann\",\"unread\":0,"
	             "\"origin\":\"s1\"}"));
	assert_string_equal(heard(&asked), "all ");
	assert_string_equal(heard(&own), "own all ");
	assert_string_equal(heard(&other), "others all ");
	peer_fini(w.hub, &asked.peer);
	peer_fini(w.hub, &own.peer);
	peer_fini(w.hub, &other.peer);
}

static void state_is_told_to_those_who_know_less(void **state)
{
	struct listener early, late;
	(void)state;

	listener_init(&early, "s1", "bob");
	listener_init(&late, "s2", "eve");
	hub_join(w.hub, &early.peer, STR("presence:ann"), stamp_make(1, 5));
	hub_join(w.hub, &late.peer, STR("presence:ann"), stamp_make(1, 8));
	hear_state("online", 5);
	hear_state("online", 7);
	assert_string_equal(heard(&early), "on7 ");
	assert_string_equal(heard(&late), "");
	hear_state("offline", 9);
	hear_state("offline", 9);    /* read anew, and nothing has changed */
	hear_state("online", 8);     /* an answer that was overtaken */
	assert_string_equal(heard(&early), "off9 ");
	assert_string_equal(heard(&late), "off9 ");
	peer_fini(w.hub, &early.peer);
	peer_fini(w.hub, &late.peer);
}

static void what_came_while_it_was_held(void **state)
{
	struct listener l, later;
	(void)state;

	listener_init(&l, "s1", "bob");
	assert_false(hub_hold(w.hub, STR("presence:ann"), never, &l));
	hear_state("online", 3);
	hear_state("offline", 4);
	hear_state("online", 6);
	/* The state was read as of 3. */
	hub_join(w.hub, &l.peer, STR("presence:ann"), stamp_make(1, 3));
	assert_string_equal(heard(&l), "off4 on6 ");
	hear_state("offline", 7);
	assert_string_equal(heard(&l), "off7 ");
	hub_release(w.hub, STR("presence:ann"), &l);

	/* Nobody held it when these came: they are not kept. */
	listener_init(&later, "s2", "eve");
	hub_join(w.hub, &later.peer, STR("presence:ann"), stamp_make(1, 3));
	assert_string_equal(heard(&later), "");
	peer_fini(w.hub, &l.peer);
	peer_fini(w.hub, &later.peer);
}

static void hear_users(const char *came, unsigned n, uint64_t clock)
{
	char json[200];

	snprintf(json, sizeof(json),
	         "{\"type\":\"lobby-users\",\"room\":\"hall\",\"kind\":\"lobby\",\"came\":[%s],"
	         "\"left\":[],\"users\":[%u],\"clock\":\"1-%llu\"}",
	         came, n, (unsigned long long)clock);
	hub_hear(w.hub, STR("lobby:hall"), str_z(json));
}

/* The end of a turn in which it is seen who has caught up. */
static void look(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 250 * 1000000L }, NULL);
	clock_update();
	hub_tick(w.hub);
}

static void passing_news_wait_for_nobody(void **state)
{
	struct listener quick, slow;
	(void)state;

	listener_init(&quick, "s1", "bob");
	listener_init(&slow, "s2", "eve");
	slow.behind = true;
	hub_join(w.hub, &quick.peer, STR("lobby:hall"), 0);
	hub_join(w.hub, &slow.peer, STR("lobby:hall"), 0);
	hear_users("\"ann\"", 1, 3);
	hear_users("\"cid\"", 2, 4);
	assert_string_equal(heard(&quick), "+1 users[1] +1 users[2] ");
	assert_string_equal(heard(&slow), "");
	look();
	assert_string_equal(heard(&slow), "");
	/* It has caught up: it is told who is there, once, and nobody else is. */
	slow.behind = false;
	look();
	look();
	assert_string_equal(heard(&slow), "users[2] ");
	assert_string_equal(heard(&quick), "");
	hear_users("\"dot\"", 3, 5);
	assert_string_equal(heard(&slow), "+1 users[3] ");

	/* The next news are told before that is seen: nothing is left to be told. */
	slow.behind = true;
	hear_users("", 4, 6);
	slow.behind = false;
	hear_users("", 5, 7);
	look();
	assert_string_equal(heard(&slow), "users[5] ");
	/* It goes while it lags behind. */
	slow.behind = true;
	hear_users("", 6, 8);
	peer_fini(w.hub, &slow.peer);
	look();
	peer_fini(w.hub, &quick.peer);
}

/* What has a log has a place in it, which a client that comes back would pass over;
 * and what somebody waits for is not left out either. */
static void all_else_is_told_to_those_behind(void **state)
{
	static const char came[] = "{\"type\":\"came\",\"user\":\"ann\",\"username\":\"ann\"}";
	struct listener slow;
	(void)state;

	listener_init(&slow, "s2", "eve");
	slow.behind = true;
	hub_join(w.hub, &slow.peer, STR("presence:ann"), 0);
	hub_hear(w.hub, STR("presence:ann"), str_z(came));
	hear_state("online", 3);
	assert_string_equal(heard(&slow), "off0 on3 ");
	peer_fini(w.hub, &slow.peer);
}

static void only_state_is_read_anew(void **state)
{
	struct listener l;
	(void)state;

	listener_init(&l, "s1", "bob");
	hub_join(w.hub, &l.peer, STR("presence:ann"), 0);
	hub_join(w.hub, &l.peer, STR("room:r1"), 0);
	hub_join(w.hub, &l.peer, STR("presence"), 0);
	hub_stale_all(w.hub);
	assert_string_equal(w.stale, "presence:ann ");
	hub_hear(w.hub, STR("presence:ann"), STR(""));       /* there is nothing to say */
	hub_hear(w.hub, STR("presence:eve"), STR("{}"));     /* nobody follows that */
	assert_string_equal(heard(&l), "");
	peer_fini(w.hub, &l.peer);
}

/* The first peer on a user's own feed, and the last. */
static void a_user_is_here_by_peers(void **state)
{
	struct listener one, two, other;
	(void)state;

	listener_init(&one, "s1", "bob");
	listener_init(&two, "s2", "bob");
	listener_init(&other, "s3", "e:ve");
	hub_join(w.hub, &one.peer, STR("user:bob"), 0);
	hub_join(w.hub, &one.peer, STR("room:r1"), 0);
	hub_join(w.hub, &two.peer, STR("user:bob"), 0);
	hub_join(w.hub, &two.peer, STR("user:bob"), 0);
	hub_join(w.hub, &other.peer, STR("user:e%3Ave"), 0);
	assert_string_equal(w.here, "+bob +e:ve ");
	peer_fini(w.hub, &one.peer);
	assert_string_equal(w.here, "+bob +e:ve ");
	w.here[0] = '\0';
	hub_here_all(w.hub);
	assert_true(strstr(w.here, "+bob ") != NULL && strstr(w.here, "+e:ve ") != NULL);
	w.here[0] = '\0';
	peer_fini(w.hub, &two.peer);
	peer_fini(w.hub, &other.peer);
	assert_string_equal(w.here, "-bob -e:ve ");
}

/* That feed is held for ever, and what was kept for a joiner would be, too. */
static void what_is_said_to_a_worker_alone_is_not_kept(void **state)
{
	struct listener l;
	(void)state;

	hub_listen(w.hub, STR("worker:w"));
	hub_hear(w.hub, STR("worker:w"),
	         STR("{\"type\":\"resumed\",\"feed\":\"user:bob\",\"session\":\"s\",\"take\":2}"));
	listener_init(&l, "s1", "bob");
	hub_join(w.hub, &l.peer, STR("worker:w"), 0);
	assert_string_equal(heard(&l), "");
	peer_fini(w.hub, &l.peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_packet_has_its_audience, begin, end),
		cmocka_unit_test_setup_teardown(state_is_told_to_those_who_know_less, begin, end),
		cmocka_unit_test_setup_teardown(what_came_while_it_was_held, begin, end),
		cmocka_unit_test_setup_teardown(passing_news_wait_for_nobody, begin, end),
		cmocka_unit_test_setup_teardown(all_else_is_told_to_those_behind, begin, end),
		cmocka_unit_test_setup_teardown(only_state_is_read_anew, begin, end),
		cmocka_unit_test_setup_teardown(a_user_is_here_by_peers, begin, end),
		cmocka_unit_test_setup_teardown(what_is_said_to_a_worker_alone_is_not_kept, begin,
		                                end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

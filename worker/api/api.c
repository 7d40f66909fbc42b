/* What the APIs share: the table of them, tokens, and entering feeds without a gap. */
#include "worker/api/api.h"

#include <assert.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/conf.h"
#include "common/log_line.h"
#include "common/stamp.h"
#include "common/tally.h"
#include "worker/api/door.h"
#include "worker/api/parting.h"
#include "worker/domain/health.h"
#include "worker/domain/room.h"

/* --- What goes through it --- */

struct api_counts *api_counts(const struct api *api)
{
	static struct api_counts counts[METRIC_APIS];
	size_t i = 0;
	while (apis[i] != api)
		i++;
	assert(i < METRIC_APIS);
	return &counts[i];
}

/* --- Where an API is served --- */

static bool is_slash_name(struct str nsp, const char *name)
{
	return nsp.len > 1 && str_eqz(str_from(nsp, 1), name);
}

const struct api *api_find(struct str path, struct str root, struct str nsp)
{
	for (size_t i = 0; apis[i] != NULL; i++) {
		const struct api *api = apis[i];
		if (api->events == NULL)
			continue;    /* no Socket.IO */
		if (api->beside != NULL && !str_eqz(root, api->beside))
			continue;
		bool elsewhere = api->path != NULL && str_eqz(path, api->path);
		if (elsewhere && str_eqz(nsp, api->nsp))
			return api;
		if (is_slash_name(nsp, api->name))
			return api;
		if (str_eqz(nsp, "/") && str_eqz(root, api->name) && !elsewhere)
			return api;
	}
	return NULL;
}

void api_reply(struct op *op, struct buf *json)
{
	buf_char(json, '}');
	op_reply(op, buf_view(json));
	buf_fini(json);
}

/* --- Tokens --- */

static struct str without_bearer(struct str header)
{
	struct str scheme = { header.p, header.len < 7 ? header.len : 7 };
	return str_eq_nocase(scheme, STR("Bearer ")) ? str_trim(str_from(header, 7))
	                                             : str_trim(header);
}

struct auth_args {
	struct str token;
};

static const struct field auth_fields[] = {
	FIELD(auth_args, token, F_STR),
	{ 0 }
};

struct str api_token(struct op *op, const struct handshake *h)
{
	struct auth_args auth = { 0 };
	struct fault why;
	if (schema_decode(auth_fields, h->auth, &op->arena, &auth, &why) == ERR_OK &&
	    auth.token.len > 0)
		return auth.token;
	struct str token = query_get(&op->arena, h->query, "token");
	if (token.len > 0)
		return token;
	return h->authorization.len > 0 ? without_bearer(h->authorization) : STR_NONE;
}

enum err api_verify(struct op *op, struct str token, struct claims *out)
{
	return token_verify(op->services->keys, token, clock_wall_ms() / 1000, &op->arena, out);
}

/* The one who asks, where it can hear; NULL: it is gone, or a REST request. */
static struct peer *asker_of(const struct op *op)
{
	struct socket *s = events_asker(op);
	return s != NULL ? &s->peer : plain_asker(op);
}

/* --- Entering a feed: follow it first, then check, so that nothing falls between --- */

/* What an op under way holds; op->cleanup gives it back. */
struct hold {
	struct str feed;
	void (*again)(struct op *op);
	struct claims claims;        /* api_authenticate's */
	op_fn *then;
	struct user_entry entry;
	bool held;
	bool unsure;                 /* Redis may have begun a session that nobody hears of,
	                              * or have had one taken up */
};

/* Forgets what was begun, if anything was; what was taken up may be taken up again. */
static void end_unsure(const struct arrival *a)
{
	parting_tell(a->new_pid, STR("1"), true);
	if (a->pid.len > 0)
		parting_tell(a->pid, a->new_pid, false);
}

static void release_hold(struct op *op)
{
	const struct hold *hold = op->held;
	if (hold->held)
		hub_release(op->services->hub, hold->feed, op);
	if (hold->unsure)
		end_unsure(events_arrival(op));
}

static void on_feed_live(void *ctx)
{
	struct op *op = ctx;
	const struct hold *hold = op->held;
	op->unheard = NULL;
	hold->again(op);
}

/* Keeps the feed followed until the op ends. True: it is live now; else `again` comes later. */
static bool hold_feed(struct op *op, struct hold *hold, struct str feed, void (*again)(struct op *))
{
	hold->feed = arena_str(&op->arena, feed);
	hold->again = again;
	hold->held = true;
	op->held = hold;
	op->cleanup = release_hold;
	return hub_hold(op->services->hub, hold->feed, on_feed_live, op);
}

static void end_unheard(struct op *op)
{
	op_reply(op, STR_NONE);
}

/* The same for an op that does nothing but wait. While Redis is away clients come, are sent off and
 * come again: each that is gone would else leave an op behind, and a feed. */
static bool await_feed(struct op *op, struct hold *hold, struct str feed,
                       void (*again)(struct op *))
{
	const bool live = hold_feed(op, hold, feed, again);
	if (!live)
		op->unheard = end_unheard;
	return live;
}

static struct hold *hold_new(struct op *op)
{
	return arena_alloc(&op->arena, sizeof(struct hold));
}

bool api_join(struct op *op, struct str feed, uint64_t stamp, void (*again)(struct op *op))
{
	struct hub *hub = op->services->hub;
	struct peer *p = asker_of(op);
	if (p == NULL)
		return true;
	if (op->held == NULL) {
		/* What was checked before the feed was live may be outdated. */
		if (!await_feed(op, hold_new(op), feed, again))
			return false;
	}
	if (hub_last(hub, user_feed(op, op->user)) > stamp) {
		again(op);
		return false;
	}
	/* What was handed out since the check came before the client hears that it joined. */
	uint64_t last = hub_last(hub, feed);
	hub_join(hub, p, feed, last > stamp ? last : stamp);
	return true;
}

bool api_hold(struct op *op, struct str feed, void (*live)(struct op *op))
{
	return hold_feed(op, hold_new(op), feed, live);
}

void api_hear(struct op *op, struct str feed, uint64_t since)
{
	struct peer *p = asker_of(op);
	if (p != NULL)
		hub_join(op->services->hub, p, feed, since);
}

bool api_may_hear(const struct op *op, struct str feed, struct str prefix, size_t most)
{
	const struct peer *p = asker_of(op);
	return p == NULL || hub_is_member(p, feed) || hub_heard(p, prefix) < most;
}

void api_leave(struct op *op, struct str feed)
{
	struct socket *s = events_asker(op);
	if (s != NULL)
		hub_leave(op->services->hub, &s->peer, feed);
}

/* --- Rooms that come and go while a client is there --- */

bool api_is_move(const struct feed_event *event)
{
	return event->type == EVENT_ROOM_CREATED || event->type == EVENT_ADDED ||
	       event->type == EVENT_REMOVED;
}

/* Whether members of such a room hear it without joining. */
static bool follows(const struct api *api, enum room_kind kind)
{
	return api->follows == FOLLOWS_ALL ||
	       (api->follows == FOLLOWS_DIRECT && kind == ROOM_DIRECT);
}

void api_move(const struct services *services, struct peer *p, const struct api *api,
              const struct feed_event *event)
{
	char name[3 * 128 + 8];
	int n = snprintf(name, sizeof(name), "room:%.*s", STR_ARG(event->room));
	struct str feed = { name, (size_t)n };
	if (event->type == EVENT_REMOVED)
		hub_leave(services->hub, p, feed);
	else if (follows(api, event->kind))
		hub_join(services->hub, p, feed, event->stamp);
}

/* --- How many clients a user has: those that are identified, in a worker with such a limit --- */

static void log_crowd(struct str user)
{
	struct buf line = { 0 };
	if (!log_may(LOG_REFUSALS))
		return;
	buf_z(&line, "client");
	log_field(&line, "user", user);
	log_info("%.*s refused: more than %u connections", STR_ARG(buf_view(&line)),
	         conf.user_connections);
	buf_fini(&line);
}

/* Whether the user may have one client more, which is counted then. One that goes on where another
 * ended takes its place: that one may not be known to be over yet. False: the op has failed. */
static bool admit(struct op *op, const struct user_entry *entry)
{
	struct tally *clients = op->services->clients;
	const struct str user = entry->user.id;
	if (conf.user_connections == 0)
		return true;
	const uint32_t slot = tally_slot(clients, user);
	tally_add(clients, op->services->place, slot);
	if (entry->recovered || tally_count(clients, slot) <= conf.user_connections)
		return true;
	tally_take(clients, op->services->place, slot);
	log_crowd(user);
	op_fail(op, ERR_CROWDED, NULL, NULL);
	return false;
}

void api_gone(const struct services *services, struct str user)
{
	if (conf.user_connections > 0 && user.p != NULL)
		tally_take(services->clients, services->place, tally_slot(services->clients, user));
}

/* --- Authentication --- */

/* The user is known: on with what the API wants. */
static void go_on(struct op *op, const struct user_entry *entry)
{
	const struct hold *hold = op->held;
	op_fn *then = hold->then;
	op->cleanup = NULL;
	release_hold(op);
	op->held = NULL;
	then(op, entry);
}

/* Whoever asks is this user. */
static void identify(struct op *op, const struct user_entry *entry)
{
	const struct hold *hold = op->held;
	struct socket *s = events_asker(op);
	op->user = arena_str(&op->arena, entry->user.id);
	if (s != NULL)
		socket_identify(s, op->user, hold->claims.exp);
	else
		plain_identify(op, hold->claims.exp);
}

/* … and hears what concerns them; a client that came back does so from where it stood. */
static void hear_own(struct op *op, const struct user_entry *entry)
{
	const struct hold *hold = op->held;
	api_hear(op, hold->feed, entry->stamp);
}

static void feeds_came(struct op *op, const void *result);

static void ask_feeds(struct op *op)
{
	const struct api *api = op->api;
	room_feeds(op, api->follows == FOLLOWS_DIRECT ? WANT_DIRECT : WANT_ANY, feeds_came);
}

static void feeds_came(struct op *op, const void *result)
{
	const struct room_feeds *rooms = result;
	const struct hold *hold = op->held;
	if (hub_last(op->services->hub, hold->feed) > rooms->stamp) {
		ask_feeds(op);       /* a room may have been left meanwhile */
		return;
	}
	for (size_t i = 0; i < rooms->feeds.n; i++)
		api_hear(op, rooms->feeds.v[i], rooms->stamp);
	go_on(op, &hold->entry);
}

/* What outlives the answer that it was read from. */
static struct user_entry kept(struct op *op, const struct user_entry *entry)
{
	struct user_entry copy = *entry;
	struct user *u = &copy.user;
	struct str *const texts[] = { &u->id, &u->username, &u->name, &u->image, &u->email };
	for (size_t i = 0; i < COUNT_OF(texts); i++)
		if (texts[i]->p != NULL)
			*texts[i] = arena_str(&op->arena, *texts[i]);
	return copy;
}

/* Without a session that Redis keeps: what else the socket hears is asked for. */
static void user_entered(struct op *op, const void *result)
{
	const struct user_entry *entry = result;
	const struct api *api = op->api;
	union { const void *in; struct hold *out; } hold = { op->held };
	const struct peer *p = asker_of(op);
	if (p != NULL && !admit(op, entry))
		return;
	identify(op, entry);
	hear_own(op, entry);
	if (p != NULL && api->also != NULL)
		api_hear(op, str_z(api->also), entry->stamp);
	if (p == NULL || api->follows == FOLLOWS_NONE) {
		go_on(op, entry);
		return;
	}
	hold.out->entry = kept(op, entry);
	ask_feeds(op);
}

/* What its session hears, each feed from where the client stands. */
static void join_feeds(struct op *op, struct socket *s, const struct arrived *a)
{
	uint64_t since;
	for (size_t i = 0; i + 1 < a->feeds.n; i += 2) {
		const struct str feed = a->feeds.v[i];
		if (!stamp_parse(a->feeds.v[i + 1], &since))
			continue;
		hub_join(op->services->hub, &s->peer, feed, since);
		/* What has no log may have changed meanwhile. */
		refresh_feed(op->services, feed);
	}
}

static void user_arrived(struct op *op, const void *result)
{
	const struct arrived *a = result;
	union { const void *in; struct hold *out; } hold = { op->held };
	struct socket *s = events_asker(op);
	hold.out->unsure = false;
	if (s == NULL) {
		/* Gone meanwhile: what it has may be taken up again. */
		parting_tell(a->pid, a->take, false);
		op_reply(op, STR_NONE);
		return;
	}
	socket_recover(s, a->sid, a->pid, a->take);
	if (!admit(op, &a->entry))
		return;
	identify(op, &a->entry);
	join_feeds(op, s, a);
	hear_own(op, &a->entry);
	go_on(op, &a->entry);
}

static void enter_user(struct op *op)
{
	union { const void *in; struct hold *out; } held = { op->held };
	struct hold *hold = held.out;
	const struct arrival *arrival = events_arrival(op);
	/* Redis that is away begins none. */
	hold->unsure = arrival != NULL && health_is_up(op->services);
	if (arrival != NULL)
		user_connect(op, &hold->claims, arrival, user_arrived);
	else
		user_enter(op, &hold->claims, user_entered);
}

void api_authenticate(struct op *op, struct str token, op_fn *then)
{
	struct hold *hold = hold_new(op);
	enum err e = api_verify(op, token, &hold->claims);
	if (e != ERR_OK) {
		op_fail(op, e, NULL, NULL);
		return;
	}
	hold->then = then;
	op->held = hold;
	/* A REST request is over before anything could happen to its user. */
	if (asker_of(op) == NULL ||
	    await_feed(op, hold, user_feed(op, hold->claims.sub), enter_user))
		enter_user(op);
}

/* The feeds a worker follows.
 *
 * A channel is what Redis knows of a name; it outlives its feed until its UNSUBSCRIBE is answered,
 * and has at most one command under way, so that an answer is never taken for another's.
 * What is to change is collected and sent at the end of the turn, many names in a command.
 *
 * A feed with `last` is filled from its log (refill.h) after each new connection, when a message
 * tells of a predecessor that never came, and when somebody joins who knows an earlier state.
 * The ping that a refill needs also shows every few seconds that the connection lives. */
#include "worker/store/sub.h"

#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log_line.h"
#include "common/map.h"
#include "common/mem.h"
#include "common/stamp.h"
#include "worker/store/redis.h"
#include "worker/store/refill.h"

enum {
	COMMAND_NAMES = 512,         /* channels in one SUBSCRIBE */
	BEAT_S = 5,
	BEATS_SILENT = 2,            /* so many without a word: the connection is dead */
};

enum channel_state { CHANNEL_OUT, CHANNEL_SUBSCRIBING, CHANNEL_IN, CHANNEL_UNSUBSCRIBING };

struct channel {
	struct feed *feed;           /* who follows it; NULL: nobody any more */
	uint64_t covered;            /* up to here its log was read */
	uint64_t until;              /* what is wanted ends here; 0: now */
	struct refill *refill;       /* that waits for this channel's subscription */
	struct list link;            /* among all */
	struct list change;          /* is not what it should be; looked at when the turn ends */
	struct list want;            /* is to be refilled, from the end of the turn on */
	bool resumed;                /* the connection was new since the feed was opened */
	uint8_t state;               /* enum channel_state */
	uint16_t len;
	char name[];
};

struct sub {
	struct redis *redis;
	const struct sub_owner *owner;
	void *ctx;
	struct map by_name;
	struct list channels, changes, wants;
	struct refills refills;
	struct event flush, beat;
	bool heard;                  /* since the last beat */
	unsigned silent;             /* beats without a word */
	struct log_bound said;       /* nonsense is logged once a second */
};

/* --- channels -------------------------------------------------------------------------------- */

static struct str name_of(const struct channel *ch)
{
	return (struct str){ ch->name, ch->len };
}

static struct channel *channel_new(struct sub *s, struct str name)
{
	struct channel *ch = xcalloc(1, sizeof(*ch) + name.len);

	memcpy(ch->name, name.p, name.len);
	ch->len = (uint16_t)name.len;
	list_init(&ch->change);
	list_init(&ch->want);
	list_push(&s->channels, &ch->link);
	map_put(&s->by_name, name_of(ch), ch);
	return ch;
}

static void channel_free(struct sub *s, struct channel *ch)
{
	map_take(&s->by_name, name_of(ch));
	list_remove(&ch->link);
	list_remove(&ch->change);
	list_remove(&ch->want);
	free(ch);
}

static void channel_change(struct sub *s, struct channel *ch)
{
	list_remove(&ch->change);
	list_push(&s->changes, &ch->change);
	event_active(&s->flush, EV_TIMEOUT, 0);
}

/* The feed's log is to be read from feed->last to `until` (0: now); nothing later is
 * handed out before. */
static void channel_want(struct sub *s, struct channel *ch, uint64_t until)
{
	const uint64_t last = ch->feed->last;
	const bool wanted = !list_empty(&ch->want);

	if (!redis_is_up(s->redis))
		return;              /* all are refilled once it is up */
	if (ch->refill != NULL) {
		refill_lower(ch->refill, name_of(ch), last);
		return;
	}
	if (last < s->refills.limit)
		s->refills.limit = last;
	if (!wanted || until == 0 || (ch->until != 0 && until > ch->until))
		ch->until = until;
	list_remove(&ch->want);
	list_push(&s->wants, &ch->want);
	event_active(&s->flush, EV_TIMEOUT, 0);
}

/* Events from here to `prev` are nowhere any more. */
static void channel_gap(struct sub *s, struct channel *ch, uint64_t goes_on)
{
	log_warn("feed %.*s: events between %llu-%llu and %llu-%llu are lost", STR_ARG(name_of(ch)),
	         (unsigned long long)stamp_epoch(ch->feed->last),
	         (unsigned long long)stamp_clock(ch->feed->last),
	         (unsigned long long)stamp_epoch(goes_on),
	         (unsigned long long)stamp_clock(goes_on));
	const uint64_t stood = ch->feed->last;
	ch->feed->last = goes_on;
	s->owner->gap(s->ctx, ch->feed, stood);
}

/* The next entry of the feed. False: its predecessor did not come, the log has to be read first. */
static bool channel_take(struct sub *s, struct channel *ch, uint64_t stamp, uint64_t prev,
                         struct str json)
{
	if (ch->feed == NULL || stamp <= ch->feed->last)
		return true;
	if (ch->feed->last != 0 && prev > ch->feed->last) {
		if (stamp > ch->covered) {
			channel_want(s, ch, 0);
			return false;
		}
		channel_gap(s, ch, prev);
		if (ch->feed == NULL)
			return true;
	}
	const uint64_t stood = ch->feed->last;
	ch->feed->last = stamp;
	/* Unread from the log it is passed over; what came live may have been spoilt on its way. */
	if (!s->owner->event(s->ctx, ch->feed, stamp, json) && stamp > ch->covered) {
		ch->feed->last = stood != 0 ? stood : prev;
		channel_want(s, ch, 0);
	}
	return true;
}

/* --- for the refills ------------------------------------------------------------------------- */

static bool entry_offered(void *ctx, const struct entry *e)
{
	struct sub *s = ctx;
	struct channel *ch = map_get(&s->by_name, e->feed);

	return ch == NULL || channel_take(s, ch, e->stamp, e->prev, e->json);
}

static void feed_covered(void *ctx, struct str feed, uint64_t upto)
{
	struct sub *s = ctx;
	struct channel *ch = map_get(&s->by_name, feed);

	if (ch != NULL && upto > ch->covered)
		ch->covered = upto;
}

static void send_ping(void *ctx, uint64_t number)
{
	struct sub *s = ctx;
	struct buf text = { 0 };

	buf_u64(&text, number);
	const struct str ping[] = { STR("PING"), buf_view(&text) };
	/* Not sent: the connection is going down, and the refills with it. */
	if (!redis_send(s->redis, NULL, NULL, ping, COUNT_OF(ping)))
		log_debug("subscriptions: no ping");
	buf_fini(&text);
}

static const struct refills_owner sub_refills_owner = {
	.entry = entry_offered, .covered = feed_covered, .ping = send_ping,
};

/* Every feed from where it stands: after a new connection, or when too much was held. */
static void refill_all(struct sub *s)
{
	refills_clear(&s->refills);
	LIST_EACH(&s->channels, link) {
		struct channel *ch = LIST_OF(link, struct channel, link);
		ch->refill = NULL;
		if (ch->feed == NULL || !ch->feed->logged)
			continue;
		if (ch->feed->last != 0)
			channel_want(s, ch, 0);
		else
			ch->resumed = true;
	}
}

/* --- the end of the turn --------------------------------------------------------------------- */

struct command {
	size_t n;
	struct str args[1 + COMMAND_NAMES];
};

static void command_send(struct sub *s, struct command *c)
{
	if (c->n > 1 && !redis_send(s->redis, NULL, NULL, c->args, c->n))
		log_debug("subscriptions: %zu names not sent", c->n - 1);
	c->n = 1;
}

static void command_add(struct sub *s, struct command *c, struct str name)
{
	if (c->n == COUNT_OF(c->args))
		command_send(s, c);
	c->args[c->n++] = name;
}

static void channel_live(struct sub *s, struct channel *ch)
{
	struct feed *f = ch->feed;

	if (f->state == FEED_LIVE)
		return;
	f->state = FEED_LIVE;
	/* What was read of its state before may be outdated: it is new, or the connection is. */
	if (!f->logged) {
		s->owner->gap(s->ctx, f, 0);
		if (ch->feed != f)
			return;
	}
	s->owner->live(s->ctx, f);
}

/* One step towards what it should be. While a command is under way its answer comes back here. */
static void channel_settle(struct sub *s, struct channel *ch, struct command *in,
                           struct command *out)
{
	const bool followed = ch->feed != NULL;

	if (ch->state == CHANNEL_OUT && followed) {
		ch->state = CHANNEL_SUBSCRIBING;
		command_add(s, in, name_of(ch));
	} else if (ch->state == CHANNEL_IN && !followed) {
		ch->state = CHANNEL_UNSUBSCRIBING;
		command_add(s, out, name_of(ch));
	} else if (ch->state == CHANNEL_IN) {
		channel_live(s, ch);
	} else if (ch->state == CHANNEL_OUT) {
		channel_free(s, ch);
	}
}

static void settle_changes(struct sub *s)
{
	struct command in = { 1, { STR("SUBSCRIBE") } }, out = { 1, { STR("UNSUBSCRIBE") } };
	struct list changes;

	list_init(&changes);
	list_splice(&changes, &s->changes);
	while (!list_empty(&changes)) {
		struct channel *ch = LIST_OF(changes.next, struct channel, change);
		list_remove(&ch->change);
		channel_settle(s, ch, &in, &out);
	}
	command_send(s, &in);
	command_send(s, &out);
}

/* Those that end now, and those that end where they have been before, apart. */
static void refill_wants(struct sub *s)
{
	struct refill *open[2] = { NULL, NULL };

	while (!list_empty(&s->wants)) {
		struct channel *ch = LIST_OF(s->wants.next, struct channel, want);
		struct refill **r = &open[ch->until != 0];
		const bool waits = ch->state != CHANNEL_IN;
		list_remove(&ch->want);
		if (*r == NULL)
			*r = refill_new(&s->refills);
		refill_until(*r, ch->until);
		if (waits)
			ch->refill = *r;
		if (refill_feed(*r, name_of(ch), ch->feed->last, waits) == REFILL_FEEDS)
			*r = NULL;
	}
	s->refills.limit = UINT64_MAX;
	refills_start(&s->refills);
}

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
	struct sub *s = arg;
	(void)fd;
	(void)what;

	if (!redis_is_up(s->redis))
		return;
	settle_changes(s);
	refill_wants(s);
}

/* --- what comes ------------------------------------------------------------------------------ */

static struct str element(const redisReply *reply, size_t i)
{
	const redisReply *e = reply->element[i];
	return e->type == REDIS_REPLY_STRING ? (struct str){ e->str, e->len } : STR_NONE;
}

bool feed_message(struct str *text, uint64_t *prev, uint64_t *stamp)
{
	return stamp_parse(str_cut(text, ' '), prev) && stamp_parse(str_cut(text, ' '), stamp) &&
	       text->len > 0;
}

/* What it was is in the log, if it was anything. */
static void message_spoilt(struct sub *s, struct channel *ch)
{
	log_bounded(&s->said, LOG_WARN, "feed %.*s: a message that is no event",
	            STR_ARG(name_of(ch)));
	if (ch->feed->last != 0)
		channel_want(s, ch, 0);
}

static void message_came(struct sub *s, const redisReply *reply)
{
	struct channel *ch = map_get(&s->by_name, element(reply, 1));
	struct str text = element(reply, 2);
	uint64_t prev, stamp;

	if (ch == NULL || ch->feed == NULL)
		return;
	if (!ch->feed->logged) {
		if (!s->owner->event(s->ctx, ch->feed, 0, text))
			s->owner->gap(s->ctx, ch->feed, 0);
		return;
	}
	if (!feed_message(&text, &prev, &stamp)) {
		message_spoilt(s, ch);
		return;
	}
	if (stamp > s->refills.read)
		s->refills.read = stamp;
	if (refills_idle(&s->refills) && channel_take(s, ch, stamp, prev, text))
		return;
	if (!refills_hold(&s->refills, name_of(ch), stamp, prev, text)) {
		log_warn("subscriptions: too much is waiting, the logs are read again");
		refill_all(s);
	}
	refills_hand_out(&s->refills);
}

static void subscribed(struct sub *s, const redisReply *reply)
{
	struct channel *ch = map_get(&s->by_name, element(reply, 1));

	if (ch == NULL || ch->state != CHANNEL_SUBSCRIBING)
		return;
	ch->state = CHANNEL_IN;
	if (ch->refill != NULL)
		refill_acked(ch->refill);
	ch->refill = NULL;
	if (ch->feed != NULL)
		channel_live(s, ch);
	else
		channel_change(s, ch);
}

static void unsubscribed(struct sub *s, const redisReply *reply)
{
	struct channel *ch = map_get(&s->by_name, element(reply, 1));

	if (ch == NULL || ch->state != CHANNEL_UNSUBSCRIBING)
		return;
	ch->state = CHANNEL_OUT;
	channel_change(s, ch);
}

static void pong_came(struct sub *s, const redisReply *reply)
{
	const struct str text = reply->type == REDIS_REPLY_ARRAY
	                                ? element(reply, 1)
	                                : (struct str){ reply->str, reply->len };
	uint64_t number;

	if (str_u64(text, &number))
		refills_pong(&s->refills, number);
}

static const struct {
	const char *word;
	size_t elements;
	void (*take)(struct sub *s, const redisReply *reply);
} pushes[] = {
	{ "message", 3, message_came },
	{ "subscribe", 3, subscribed },
	{ "unsubscribe", 3, unsubscribed },
	{ "pong", 2, pong_came },
};

static void on_push(void *ctx, const redisReply *reply)
{
	struct sub *s = ctx;

	s->heard = true;
	if (reply->type == REDIS_REPLY_STRING) {
		pong_came(s, reply);         /* how PING is answered without a subscription */
		return;
	}
	const bool array = reply->type == REDIS_REPLY_ARRAY && reply->elements > 0;
	for (size_t i = 0; array && i < COUNT_OF(pushes); i++) {
		if (reply->elements == pushes[i].elements &&
		    str_eqz(element(reply, 0), pushes[i].word)) {
			redis_proven(s->redis);
			pushes[i].take(s, reply);
			return;
		}
	}
	redis_drop(s->redis, reply->type == REDIS_REPLY_ERROR ? reply->str : "an unknown message");
}

/* --- the connection -------------------------------------------------------------------------- */

static void on_beat(evutil_socket_t fd, short what, void *arg)
{
	struct sub *s = arg;
	(void)fd;
	(void)what;

	s->silent = s->heard ? 0 : s->silent + 1;
	s->heard = false;
	if (s->silent >= BEATS_SILENT)
		redis_drop(s->redis, "silent");
	else
		send_ping(s, ++s->refills.pings);
}

static void on_up(void *ctx)
{
	struct sub *s = ctx;
	const struct timeval beat = { .tv_sec = BEAT_S };

	s->heard = true;
	s->silent = 0;
	s->refills.read = 0;
	event_add(&s->beat, &beat);
	LIST_EACH(&s->channels, link)
		channel_change(s, LIST_OF(link, struct channel, link));
	refill_all(s);
}

static void on_down(void *ctx)
{
	struct sub *s = ctx;

	event_del(&s->beat);
	refills_clear(&s->refills);
	LIST_EACH(&s->channels, link) {
		struct channel *ch = LIST_OF(link, struct channel, link);
		list_remove(&ch->want);
		ch->state = CHANNEL_OUT;
		ch->refill = NULL;
		if (ch->feed == NULL) {
			channel_free(s, ch);
		} else if (ch->feed->state == FEED_LIVE) {
			ch->resumed = true;
			ch->feed->state = FEED_OPENING;
		}
	}
}

static const struct redis_owner sub_redis_owner = { .up = on_up, .down = on_down, .push = on_push };

/* --- for those who follow -------------------------------------------------------------------- */

void feed_open(struct sub *s, struct feed *f)
{
	struct channel *ch = map_get(&s->by_name, f->name);

	if (ch == NULL)
		ch = channel_new(s, f->name);
	ch->feed = f;
	ch->resumed = false;
	ch->covered = 0;
	f->channel = ch;
	f->state = FEED_OPENING;
	channel_change(s, ch);
}

void feed_close(struct sub *s, struct feed *f)
{
	struct channel *ch = f->channel;

	if (ch == NULL)
		return;
	if (ch->refill != NULL)
		refill_acked(ch->refill);
	ch->refill = NULL;
	ch->feed = NULL;
	f->channel = NULL;
	f->state = FEED_CLOSED;
	list_remove(&ch->want);
	channel_change(s, ch);
}

void feed_since(struct sub *s, struct feed *f, uint64_t since)
{
	struct channel *ch = f->channel;

	if (!f->logged || since == 0 || (f->last != 0 && since >= f->last))
		return;
	const bool live = f->state == FEED_LIVE;
	/* What comes after f->last comes by itself; only what lies before is to be read again. */
	const uint64_t until = live ? f->last : 0;
	/* Live since before that state was read: nothing can be missing. */
	const bool fresh = f->last == 0 && live && !ch->resumed;
	f->last = since;
	if (!fresh)
		channel_want(s, ch, until);
}

/* Whether Redis forgot what was handed out: its new epoch began before that. */
static bool is_lost(uint64_t last, uint64_t now, uint64_t epoch_start)
{
	if (epoch_start == 0)
		return true;
	return stamp_epoch(last) < stamp_epoch(now) && stamp_clock(last) > stamp_clock(epoch_start);
}

void sub_epoch(struct sub *s, uint64_t now, uint64_t epoch_start)
{
	LIST_EACH(&s->channels, link) {
		struct channel *ch = LIST_OF(link, struct channel, link);
		const struct feed *f = ch->feed;
		if (f != NULL && f->logged && f->last != 0 && is_lost(f->last, now, epoch_start)) {
			ch->covered = 0;
			channel_gap(s, ch, now);
		}
	}
	refills_start(&s->refills);
}

struct sub *sub_new(struct event_base *base, const struct conf_redis *where,
                    const struct services *services, const struct sub_owner *owner, void *ctx)
{
	struct sub *s = xcalloc(1, sizeof(*s));

	s->owner = owner;
	s->ctx = ctx;
	list_init(&s->channels);
	list_init(&s->changes);
	list_init(&s->wants);
	refills_init(&s->refills, base, services, &sub_refills_owner, s);
	event_assign(&s->flush, base, -1, 0, on_flush, s);
	event_assign(&s->beat, base, -1, EV_PERSIST, on_beat, s);
	s->redis = redis_new(base, where, "subscriptions", &sub_redis_owner, s);
	return s;
}

void sub_free(struct sub *s)
{
	if (s == NULL)
		return;
	redis_free(s->redis);
	refills_fini(&s->refills);
	event_del(&s->flush);
	event_del(&s->beat);
	LIST_EACH(&s->channels, link) {
		struct channel *ch = LIST_OF(link, struct channel, link);
		if (ch->feed != NULL) {
			ch->feed->channel = NULL;
			ch->feed->state = FEED_CLOSED;
		}
		channel_free(s, ch);
	}
	map_fini(&s->by_name);
	free(s);
}

uint64_t sub_losses(const struct sub *s)
{
	return redis_losses(s->redis);
}

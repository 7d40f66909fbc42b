/* Logs read again, and merged.
 *
 * A refill is up to 200 feeds whose logs are read page by page from where each feed stands. While
 * there is one, live messages are held. The next entry of all is the earliest among the first
 * of each refill's page and the first one held. It may be handed out
 *  - unless a refill that has no page yet may bring an earlier one: such a refill knows all up
 *    to its `floor` and nothing beyond;
 *  - unless a live message before it may still be under way: a page can be ahead of the pub/sub
 *    connection. So after the answer that fixes a refill's end a ping is sent there; when its pong
 *    came, everything published up to that end has come before.
 * So many refills can be under way at once, begun at different times (a worker joins rooms all the
 * time), and what is handed out is in order without ever waiting for all of them to end. */
#include "worker/store/refill.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/stamp.h"

enum {
	PAGE_ENTRIES = 500,
	PAGE_HEAD = 2,               /* strings of a page before its entries: upto, more */
	PAGE_COLUMNS = 4,            /* feed, id, prev, event */
	HELD_MAX_BYTES = 8 * 1024 * 1024,
	RETRY_MS = 100,
};

enum refill_state {
	REFILL_WAITS,        /* for subscriptions, or for another try */
	REFILL_READS,        /* a page is under way */
	REFILL_READY,        /* the page has entries */
};

struct wanted {
	struct str feed;
	uint64_t since;
};

struct refill {
	struct list link;
	struct refills *all;
	enum refill_state state;
	unsigned acks;               /* subscriptions to come */
	size_t n;
	uint64_t floor;              /* nothing is missing up to here */
	uint64_t upto;               /* where it ends; 0: the first page will say */
	uint64_t barrier;            /* the ping that was sent after that page; 0: none is needed */
	bool begun;                  /* the first page came */
	bool more;                   /* another page is to be read */
	struct list page;
	struct fetch *fetch;
	struct arena names;
	struct wanted feeds[REFILL_FEEDS];
};

/* What a page under way remembers, in its op's arena; the refill may be gone when it comes. */
struct fetch {
	struct refill *refill;
};

static const struct function feeds_since = { "feeds_since", .reads = true, .at_least = PAGE_HEAD };

static bool page_failed(struct op *op, const struct fault *fault);
static void page_came(struct op *op, const struct strs *reply);

/* --- entries --------------------------------------------------------------------------------- */

static struct entry *entry_new(struct str feed, uint64_t stamp, uint64_t prev, struct str json)
{
	struct entry *e = xmalloc(sizeof(*e) + feed.len + json.len);

	memcpy(e->text, feed.p, feed.len);
	memcpy(e->text + feed.len, json.p, json.len);
	e->stamp = stamp;
	e->prev = prev;
	e->feed = (struct str){ e->text, feed.len };
	e->json = (struct str){ e->text + feed.len, json.len };
	return e;
}

static size_t entry_bytes(const struct entry *e)
{
	return sizeof(*e) + e->feed.len + e->json.len;
}

static struct entry *entry_first(const struct list *entries)
{
	return LIST_OF(entries->next, struct entry, link);
}

static void entries_free(struct list *entries)
{
	while (!list_empty(entries)) {
		struct entry *e = entry_first(entries);
		list_remove(&e->link);
		free(e);
	}
}

bool refills_hold(struct refills *rs, struct str feed, uint64_t stamp, uint64_t prev,
                  struct str json)
{
	if (rs->held_bytes > HELD_MAX_BYTES)
		return false;
	struct entry *e = entry_new(feed, stamp, prev, json);
	list_push(&rs->held, &e->link);
	rs->held_bytes += entry_bytes(e);
	return true;
}

/* --- one refill ------------------------------------------------------------------------------ */

struct refill *refill_new(struct refills *rs)
{
	struct refill *r = xcalloc(1, sizeof(*r));

	r->all = rs;
	r->floor = UINT64_MAX;
	list_init(&r->page);
	list_push(&rs->refills, &r->link);
	return r;
}

static void refill_free(struct refill *r)
{
	if (r->fetch != NULL)
		r->fetch->refill = NULL;
	entries_free(&r->page);
	list_remove(&r->link);
	arena_fini(&r->names);
	free(r);
}

size_t refill_feed(struct refill *r, struct str feed, uint64_t since, bool waits)
{
	assert(r->n < REFILL_FEEDS);
	r->feeds[r->n++] = (struct wanted){ arena_str(&r->names, feed), since };
	if (since < r->floor)
		r->floor = since;
	r->acks += waits;
	return r->n;
}

void refill_until(struct refill *r, uint64_t upto)
{
	if (upto > r->upto)
		r->upto = upto;
}

void refill_lower(struct refill *r, struct str feed, uint64_t since)
{
	assert(r->state == REFILL_WAITS);
	for (size_t i = 0; i < r->n; i++)
		if (str_eq(r->feeds[i].feed, feed) && since < r->feeds[i].since)
			r->feeds[i].since = since;
	if (since < r->floor)
		r->floor = since;
}

static struct str stamp_text(struct op *op, uint64_t stamp)
{
	return op_text(op, "%llu-%llu", (unsigned long long)stamp_epoch(stamp),
	               (unsigned long long)stamp_clock(stamp));
}

static void refill_read(struct refill *r)
{
	struct op *op = op_new(r->all->services, NULL, NULL, NULL);
	const size_t n = 2 + 2 * r->n;
	struct str *args = arena_alloc(&op->arena, n * sizeof(*args));

	args[0] = r->upto != 0 ? stamp_text(op, r->upto) : STR("0");
	args[1] = op_text(op, "%d", PAGE_ENTRIES);
	for (size_t i = 0; i < r->n; i++) {
		args[2 + 2 * i] = r->feeds[i].feed;
		args[3 + 2 * i] = stamp_text(op, r->feeds[i].since);
	}
	r->fetch = arena_alloc(&op->arena, sizeof(*r->fetch));
	r->fetch->refill = r;
	r->state = REFILL_READS;
	op->state = r->fetch;
	op->caught = page_failed;
	call(op, &feeds_since, page_came, args, n);
}

static void refill_start(struct refill *r)
{
	if (r->state == REFILL_WAITS && r->acks == 0)
		refill_read(r);
}

void refill_acked(struct refill *r)
{
	assert(r->acks > 0);
	r->acks--;
	refill_start(r);
}

void refills_start(struct refills *rs)
{
	LIST_EACH(&rs->refills, link)
		refill_start(LIST_OF(link, struct refill, link));
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	refills_start(arg);
}

static void refill_retry(struct refill *r)
{
	const struct timeval later = { .tv_usec = RETRY_MS * 1000L };

	r->state = REFILL_WAITS;
	event_add(&r->all->retry, &later);
}

/* The page is used up: on to the next, or it was the last. */
static void refill_turn_page(struct refill *r)
{
	if (!list_empty(&r->page))
		r->state = REFILL_READY;
	else if (r->more)
		refill_read(r);
	else
		refill_free(r);
}

/* --- pages ----------------------------------------------------------------------------------- */

static bool page_entry(struct refill *r, const struct str column[PAGE_COLUMNS])
{
	uint64_t stamp, prev;

	if (!stamp_parse(column[1], &stamp) || !stamp_parse(column[2], &prev))
		return false;
	struct entry *e = entry_new(column[0], stamp, prev, column[3]);
	list_push(&r->page, &e->link);
	return true;
}

/* A page holds all there is up to its last entry, so that is where every feed goes on. */
static void page_advance(struct refill *r)
{
	const uint64_t last = LIST_OF(r->page.prev, struct entry, link)->stamp;

	for (size_t i = 0; i < r->n; i++)
		if (r->feeds[i].since < last)
			r->feeds[i].since = last;
	r->floor = last;
}

static void page_first(struct refill *r, uint64_t upto)
{
	struct refills *rs = r->all;

	r->begun = true;
	for (size_t i = 0; i < r->n; i++)
		rs->owner->covered(rs->ctx, r->feeds[i].feed, upto);
	if (r->upto != 0)
		return;
	r->upto = upto;
	r->barrier = ++rs->pings;
	rs->owner->ping(rs->ctx, r->barrier);
}

static bool page_read(struct refill *r, const struct strs *reply)
{
	uint64_t upto;

	if ((reply->n - PAGE_HEAD) % PAGE_COLUMNS != 0 || !stamp_parse(reply->v[0], &upto))
		return false;
	for (size_t i = PAGE_HEAD; i < reply->n; i += PAGE_COLUMNS)
		if (!page_entry(r, &reply->v[i]))
			return false;
	r->more = str_eqz(reply->v[1], "1");
	if (list_empty(&r->page))
		return !r->more;
	page_advance(r);
	return true;
}

static void page_came(struct op *op, const struct strs *reply)
{
	const struct fetch *fetch = op->state;
	struct refill *r = fetch->refill;
	uint64_t upto;

	if (r != NULL) {
		struct refills *rs = r->all;
		r->fetch = NULL;
		if (!page_read(r, reply)) {
			log_error("refill: feeds_since answered nonsense");
			entries_free(&r->page);
			refill_retry(r);
		} else {
			if (!r->begun && stamp_parse(reply->v[0], &upto))
				page_first(r, upto);
			refill_turn_page(r);
			refills_hand_out(rs);
		}
	}
	op_reply(op, STR_NONE);
}

static bool page_failed(struct op *op, const struct fault *fault)
{
	const struct fetch *fetch = op->state;
	(void)fault;

	if (fetch->refill != NULL) {
		fetch->refill->fetch = NULL;
		refill_retry(fetch->refill);
	}
	op_reply(op, STR_NONE);
	return true;
}

/* --- handing out ----------------------------------------------------------------------------- */

/* The list whose first entry is the next of all, or NULL when it has to wait; *whose is the refill,
 * or NULL for what is held. On equal stamps the log goes first; the other is then a duplicate. */
static struct list *next_source(struct refills *rs, struct refill **whose)
{
	uint64_t limit = rs->limit, earliest = UINT64_MAX;
	struct list *source = NULL;

	*whose = NULL;
	LIST_EACH(&rs->refills, link) {
		struct refill *r = LIST_OF(link, struct refill, link);
		if (r->state != REFILL_READY) {
			if (r->floor < limit)
				limit = r->floor;
		} else if (entry_first(&r->page)->stamp < earliest) {
			earliest = entry_first(&r->page)->stamp;
			source = &r->page;
			*whose = r;
		}
	}
	if (!list_empty(&rs->held) && entry_first(&rs->held)->stamp < earliest) {
		earliest = entry_first(&rs->held)->stamp;
		source = &rs->held;
		*whose = NULL;
	}
	const bool ahead = *whose != NULL && earliest > rs->read && rs->pong < (*whose)->barrier;
	return earliest > limit || ahead ? NULL : source;
}

void refills_hand_out(struct refills *rs)
{
	struct refill *whose;
	struct list *source;

	while ((source = next_source(rs, &whose)) != NULL) {
		struct entry *e = entry_first(source);
		list_remove(&e->link);
		if (!rs->owner->entry(rs->ctx, e)) {
			list_push(source->next, &e->link);
			return;
		}
		if (whose == NULL)
			rs->held_bytes -= entry_bytes(e);
		free(e);
		if (whose != NULL)
			refill_turn_page(whose);
	}
}

void refills_pong(struct refills *rs, uint64_t number)
{
	if (number > rs->pong)
		rs->pong = number;
	refills_hand_out(rs);
}

bool refills_idle(const struct refills *rs)
{
	return list_empty(&rs->refills) && list_empty(&rs->held) && rs->limit == UINT64_MAX;
}

/* --------------------------------------------------------------------------------------------- */

void refills_init(struct refills *rs, struct event_base *base, const struct services *services,
                  const struct refills_owner *owner, void *ctx)
{
	*rs = (struct refills){
		.services = services, .owner = owner, .ctx = ctx, .limit = UINT64_MAX,
	};
	list_init(&rs->refills);
	list_init(&rs->held);
	event_assign(&rs->retry, base, -1, 0, on_retry, rs);
}

void refills_clear(struct refills *rs)
{
	while (!list_empty(&rs->refills))
		refill_free(LIST_OF(rs->refills.next, struct refill, link));
	entries_free(&rs->held);
	rs->held_bytes = 0;
	rs->limit = UINT64_MAX;
}

void refills_fini(struct refills *rs)
{
	refills_clear(rs);
	event_del(&rs->retry);
}

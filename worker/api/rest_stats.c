/* How the service does (docs/channels.md): what each worker of this host counts, and how much there
 * is in Redis; without Redis, what is known without it. */
#include "common/metrics.h"
#include "worker/api/api.h"
#include "worker/domain/totals.h"
#include "worker/reason.h"

static uint64_t sum(const struct services *s, enum metric m)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < s->workers; i++)
		n += metrics_get(&s->metrics[i], m);
	return n;
}

/* NULL: nobody can tell now. */
static void put_known(struct json_out *j, const char *key, const int64_t *n)
{
	json_key(j, key);
	if (n != NULL)
		json_int(j, *n);
	else
		json_null(j);
}

static void put_total(struct json_out *j, const struct services *s, const struct totals *t)
{
	json_key(j, "total");
	json_open(j, '{');
	json_put_int(j, "connections", (int64_t)sum(s, METRIC_CONNECTIONS));
	put_known(j, "users", t != NULL ? &t->users : NULL);
	put_known(j, "rooms", t != NULL ? &t->rooms : NULL);
	put_known(j, "messages", t != NULL ? &t->messages : NULL);
	json_close(j, '}');
}

static void put_reason(struct json_out *j, const char *reason, uint64_t n)
{
	if (n > 0)
		json_put_int(j, reason, (int64_t)n);
}

static void put_reasons(struct json_out *j, const char *key, const struct metrics *page,
                        unsigned first)
{
	json_key(j, key);
	json_open(j, '{');
	for (unsigned r = 0; r < REASON_COUNT; r++)
		put_reason(j, reason_text((enum reason)r), metrics_get(page, first + r));
	put_reason(j, METRIC_LOST_REASON, metrics_get(page, first + METRIC_LOST));
	json_close(j, '}');
}

static void put_worker(struct json_out *j, const struct metrics *page, unsigned index)
{
	json_open(j, '{');
	json_put_int(j, "worker", index);
	for (const struct metric_row *row = metric_rows; row->word != NULL; row++)
		if (row->word[0] != '\0')
			json_put_int(j, row->word, (int64_t)metrics_get(page, row->first));
	put_reasons(j, "closed", page, METRIC_CLOSED);
	put_reasons(j, "tcpClosed", page, METRIC_TCP_CLOSED);
	put_reasons(j, "socketsClosed", page, METRIC_SOCKETS_CLOSED);
	json_close(j, '}');
}

/* `totals`: NULL while Redis is away. */
static void answer(struct op *op, const struct totals *totals)
{
	const struct services *s = op->services;
	struct buf json = { 0 };
	struct json_out j = json_out(&json);

	json_open(&j, '{');
	put_total(&j, s, totals);
	json_key(&j, "workers");
	json_open(&j, '[');
	for (unsigned i = 0; i < s->workers; i++)
		put_worker(&j, &s->metrics[i], i);
	json_close(&j, ']');
	json_put_int(&j, "queueBytes", (int64_t)sum(s, METRIC_QUEUE_BYTES));
	json_put_str(&j, "redis", totals != NULL ? STR("up") : STR("down"));
	api_reply(op, &json);
}

static void totals_known(struct op *op, const void *totals)
{
	answer(op, totals);
}

static bool not_counted(struct op *op, const struct fault *fault)
{
	if (fault->code == ERR_UNAVAILABLE)
		answer(op, NULL);
	else if (fault->code == ERR_USER_DELETED)
		op_fail(op, ERR_UNAUTHENTICATED, NULL, NULL);
	else
		return false;
	return true;
}

static void show_stats(struct op *op, const void *args UNUSED)
{
	op->caught = not_counted;
	totals_count(op, totals_known);
}

extern const struct api_route routes_stats[];
const struct api_route routes_stats[] = {
	{ .name = "GET /api/stats", .needs = NEEDS_TOKEN, .handle = show_stats },
	{ .name = "GET /api/ws/stats", .needs = NEEDS_TOKEN, .handle = show_stats },
	{ 0 }
};

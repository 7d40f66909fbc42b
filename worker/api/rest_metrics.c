/* What Prometheus reads (text exposition format 0.0.4; docs/operations.md): what each worker
 * of this host counts, whichever of them answers. */
#include <stdio.h>

#include "common/metrics.h"
#include "common/version.h"
#include "worker/api/api.h"
#include "worker/reason.h"

static const char type[] = "text/plain; version=0.0.4; charset=utf-8";

/* --- Labels: the value of a row's ith cell; NULL: it has none --- */

static const char *reason_label(unsigned i)
{
	if (i == METRIC_LOST)
		return METRIC_LOST_REASON;
	return i < REASON_COUNT ? reason_text((enum reason)i) : NULL;
}

static const char *api_label(unsigned i)
{
	unsigned n = 0;
	while (n < i && apis[n] != NULL)
		n++;
	return apis[n] != NULL ? apis[n]->name : NULL;
}

static const char *class_label(unsigned i)
{
	static const char *const classes[METRIC_CLASSES] = {
		NULL, NULL, "2xx", "3xx", "4xx", "5xx",
	};
	return classes[i];
}

static const char *error_label(unsigned i)
{
	return redis_error_label((enum redis_error)i);
}

static const char *link_label(unsigned i)
{
	static const char *const links[METRIC_LINKS] = { "commands", "subscriptions" };
	return links[i];
}

static const struct label {
	enum metric row;
	const char *name;
	const char *(*value)(unsigned i);
} labels[] = {
	{ METRIC_CLOSED, "reason", reason_label },
	{ METRIC_TCP_CLOSED, "reason", reason_label },
	{ METRIC_SOCKETS_CLOSED, "reason", reason_label },
	{ METRIC_API_SOCKETS, "api", api_label },
	{ METRIC_API_EVENTS, "api", api_label },
	{ METRIC_RESPONSES, "code", class_label },
	{ METRIC_CALL_ERRORS, "kind", error_label },
	{ METRIC_REDIS_LOSSES, "connection", link_label },
};

static const struct label *label_of(const struct metric_row *row)
{
	for (size_t i = 0; i < COUNT_OF(labels); i++)
		if (labels[i].row == row->first)
			return &labels[i];
	return NULL;
}

/* --- Rows --- */

static void put_head(struct buf *out, const char *name, const char *kind, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

static void put_single(struct buf *out, const struct metric_row *row, const struct metrics *page,
                       const char *worker)
{
	buf_printf(out, "%s{worker=\"%s\"} %llu\n", row->exposed, worker,
	           (unsigned long long)metrics_get(page, row->first));
}

static void put_labelled(struct buf *out, const struct metric_row *row, const struct label *label,
                         const struct metrics *page, const char *worker)
{
	for (unsigned i = 0; i < row->cells; i++) {
		const char *value = label->value(i);
		if (value != NULL)
			buf_printf(out, "%s{worker=\"%s\",%s=\"%s\"} %llu\n", row->exposed, worker,
			           label->name, value,
			           (unsigned long long)metrics_get(page, row->first + i));
	}
}

/* Prometheus wants buckets that include those below. */
static void put_histogram(struct buf *out, const struct metric_row *row, const struct metrics *page,
                          const char *worker)
{
	unsigned long long n = 0;
	for (unsigned i = 0; i <= HISTOGRAM_BOUNDS; i++) {
		n += metrics_get(page, row->first + i);
		buf_printf(out, "%s_bucket{worker=\"%s\",le=\"%s\"} %llu\n", row->exposed, worker,
		           i < HISTOGRAM_BOUNDS ? histogram_bounds_text[i] : "+Inf", n);
	}
	const uint64_t sum_us = metrics_get(page, row->first + HISTOGRAM_BOUNDS + 1);
	buf_printf(out, "%s_sum{worker=\"%s\"} %llu.%06llu\n", row->exposed, worker,
	           (unsigned long long)sum_us / 1000000, (unsigned long long)sum_us % 1000000);
	buf_printf(out, "%s_count{worker=\"%s\"} %llu\n", row->exposed, worker, n);
}

static void put_samples(struct buf *out, const struct metric_row *row, const struct metrics *page,
                        const char *worker)
{
	const struct label *label = label_of(row);
	if (row->kind == HISTOGRAM)
		put_histogram(out, row, page, worker);
	else if (label != NULL)
		put_labelled(out, row, label, page, worker);
	else
		put_single(out, row, page, worker);
}

static void put_row(struct buf *out, const struct services *s, const struct metric_row *row)
{
	static const char *const kinds[] = {
		[GAUGE] = "gauge", [COUNTER] = "counter", [HISTOGRAM] = "histogram",
	};
	char worker[16];
	put_head(out, row->exposed, kinds[row->kind], row->help);
	for (unsigned i = 0; i < s->workers; i++) {
		snprintf(worker, sizeof(worker), "%u", i);
		put_samples(out, row, &s->metrics[i], worker);
	}
	if (metrics_is_masters(row->first))
		put_samples(out, row, &s->metrics[s->workers], "master");
}

static void show_metrics(struct op *op, const void *args UNUSED)
{
	struct buf out = { 0 };
	put_head(&out, "confab_build_info", "gauge", "Which Confab this is.");
	buf_z(&out, "confab_build_info{version=\"" CONFAB_VERSION "\"} 1\n");
	for (const struct metric_row *row = metric_rows; row->word != NULL; row++)
		if (row->exposed[0] != '\0')
			put_row(&out, op->services, row);
	op->type = type;
	op_reply(op, buf_view(&out));
	buf_fini(&out);
}

extern const struct api_route routes_metrics[];
const struct api_route routes_metrics[] = {
	{ .name = "GET /metrics", .needs = NEEDS_SCRAPER, .handle = show_metrics },
	{ 0 }
};

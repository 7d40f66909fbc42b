/* The lease of this host's workers in Redis, under names as `a1b2c3d4e5f6.2.17`: host, index,
 * generation. */
#include "master/lease.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "master/times.h"

struct name {
	char text[64];
};

static struct name name_of(const struct lease *l, const struct crew_member *who)
{
	struct name name;
	snprintf(name.text, sizeof(name.text), "%s.%u.%u", l->host, who->index, who->generation);
	return name;
}

/* The count a function answers with, alone or before more; false: it answered something else. */
static bool count_of(const redisReply *reply, uint64_t *count)
{
	if (reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements > 0)
		reply = reply->element[0];
	if (reply != NULL && reply->type == REDIS_REPLY_INTEGER && reply->integer >= 0) {
		*count = (uint64_t)reply->integer;
		return true;
	}
	return reply != NULL && reply->type == REDIS_REPLY_STRING &&
	       str_u64((struct str){ reply->str, reply->len }, count);
}

/* Logs the first of a row of failures, and their end. */
static bool call(struct lease *l, const struct str *args, size_t n, uint64_t *count)
{
	redisReply *reply = redis_client_ask(l->client, n, args);
	bool ok = count_of(reply, count);
	const char *why = reply == NULL                      ? redis_client_why(l->client)
	                  : reply->type == REDIS_REPLY_ERROR ? reply->str
	                                                     : "an answer of another form";
	if (!ok && !l->lost)
		log_error("lease: Redis: %s; trying on", why);
	if (ok && l->lost)
		log_info("lease: Redis answers again");
	if (!ok && strstr(why, "Function not found") != NULL)
		functions_missed(l->functions);
	l->lost = !ok;
	freeReplyObject(reply);
	return ok;
}

void lease_renew(struct lease *l, const struct crew_member *alive, unsigned n)
{
	struct name names[CONF_MAX_WORKERS];
	struct str args[CONF_MAX_WORKERS + 4] = { STR("FCALL"), STR("worker_lease"), STR("0") };
	char lease_ms[16];
	snprintf(lease_ms, sizeof(lease_ms), "%d", LEASE_MS);
	args[3] = str_z(lease_ms);
	for (unsigned i = 0; i < n; i++) {
		names[i] = name_of(l, &alive[i]);
		args[4 + i] = str_z(names[i].text);
	}
	uint64_t swept;
	if (call(l, args, 4 + n, &swept) && swept > 0)
		log_warn("lease: swept %u workers whose lease was over", (unsigned)swept);
}

void lease_end(struct lease *l, const struct crew_member *who)
{
	const struct name name = name_of(l, who);
	const struct str args[] = { STR("FCALL"), STR("worker_sweep"), STR("0"), str_z(name.text) };
	uint64_t swept;
	if (call(l, args, COUNT_OF(args), &swept))
		log_debug("lease: %s swept", name.text);
}

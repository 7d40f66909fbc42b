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

/* Redis has more to do than one call should; so many follow at once, and the rest in a second. */
enum { CALLS_AT_ONCE = 20 };

static struct str element(const redisReply *reply, size_t i)
{
	const redisReply *e = i < reply->elements ? reply->element[i] : NULL;
	if (e == NULL || e->type != REDIS_REPLY_STRING)
		return STR_NONE;
	return (struct str){ e->str, e->len };
}

redisReply *lease_ask(struct lease *l, const struct str *args, size_t n, size_t least)
{
	redisReply *reply = redis_client_ask(l->client, n, args);
	bool ok = reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements >= least;
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
	if (ok)
		return reply;
	if (reply != NULL && reply->type != REDIS_REPLY_ERROR)
		redis_client_doubt(l->client);
	freeReplyObject(reply);
	return NULL;
}

/* Which of the names the answer lists, from its third element on. */
static void mark_anew(const redisReply *reply, const struct name *names, unsigned n, bool *anew)
{
	for (unsigned i = 0; i < n; i++)
		for (size_t at = 2; at < reply->elements; at++)
			anew[i] = anew[i] || str_eqz(element(reply, at), names[i].text);
}

void lease_renew(struct lease *l, const struct crew_member *alive, unsigned n, bool *anew)
{
	struct name names[CONF_MAX_WORKERS];
	struct str args[CONF_MAX_WORKERS + 4] = { STR("FCALL"), STR("worker_lease"), STR("0") };
	char lease_ms[16];
	bool more = true;
	snprintf(lease_ms, sizeof(lease_ms), "%d", LEASE_MS);
	args[3] = str_z(lease_ms);
	for (unsigned i = 0; i < n; i++) {
		anew[i] = false;
		names[i] = name_of(l, &alive[i]);
		args[4 + i] = str_z(names[i].text);
	}
	for (unsigned calls = 0; more && calls < CALLS_AT_ONCE; calls++) {
		redisReply *reply = lease_ask(l, args, 4 + n, 1);
		if (reply == NULL)
			return;
		struct str swept = element(reply, 0);
		if (!str_eqz(swept, "0"))
			log_warn("lease: swept %.*s workers whose lease was over", STR_ARG(swept));
		more = str_eqz(element(reply, 1), "1");
		mark_anew(reply, names, n, anew);
		freeReplyObject(reply);
	}
}

void lease_end(struct lease *l, const struct crew_member *who)
{
	const struct name name = name_of(l, who);
	const struct str args[] = { STR("FCALL"), STR("worker_sweep"), STR("0"), str_z(name.text) };
	bool more = true;
	for (unsigned calls = 0; more && calls < CALLS_AT_ONCE; calls++) {
		redisReply *reply = lease_ask(l, args, COUNT_OF(args), 1);
		more = reply != NULL && str_eqz(element(reply, 0), "2");
		freeReplyObject(reply);
	}
}

void lease_tell_gone(struct lease *l)
{
	char limit[16];
	bool more = true;
	snprintf(limit, sizeof(limit), "%u", conf.messenger_announce_limit);
	const struct str args[] = { STR("FCALL"), STR("presence_tell"), STR("0"), str_z(limit) };
	for (unsigned calls = 0; more && calls < CALLS_AT_ONCE; calls++) {
		redisReply *reply = lease_ask(l, args, COUNT_OF(args), 1);
		more = reply != NULL && str_eqz(element(reply, 1), "1");
		freeReplyObject(reply);
	}
}

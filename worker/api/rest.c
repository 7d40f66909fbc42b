/* The REST door: a request becomes a row's handler, an op's answer its response. The order
 * of refusals: path (404, unless files.c has it), method (405), token (401), media type (415), body
 * (413, 400), fields (422). */
#include "worker/api/door.h"

#include <sodium.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/conf.h"

enum { REST_MAX_BODY = 1000000, MAX_SEGMENTS = 8 };

static const struct services *services;
static struct rest_counts counts;

/* A route taken: what its handler needs until the body is there. */
struct visit {
	const struct api_route *route;
	void *args;
	struct str path, query, token;       /* raw, in the op's arena */
	uint64_t begun_us;
};

/* --- Answers --- */

static void count(const struct op *op, unsigned status)
{
	const struct visit *v = op->row;
	counts.responses[status / 100]++;
	histogram_add(&counts.times, (int64_t)(clock_exact_us() - v->begun_us));
}

const struct rest_counts *rest_counts(void)
{
	return &counts;
}

/* Whether it is for the client to know which field is to blame: with other errors it is an argument
 * of a Redis function. */
static bool has_field(const struct fault *fault)
{
	return fault->field.len > 0 && (fault->code == ERR_INVALID || fault->code == ERR_TAKEN);
}

static void request_replied(struct op *op, struct str json)
{
	count(op, op->status);
	http_answer(op->asker, op->status, op->type != NULL ? op->type : "application/json", json,
	            NULL);
}

void rest_refuse(struct op *op, const struct fault *fault)
{
	struct buf body = { 0 };
	struct json_out j = json_out(&body);
	struct str detail = fault->detail.len > 0 ? fault->detail : str_z(err_text(fault->code));
	char retry[100] = "";
	json_open(&j, '{');
	json_key(&j, "message");
	if (has_field(fault))
		json_str(&j, op_text(op, "%.*s %.*s", STR_ARG(fault->field), STR_ARG(detail)));
	else
		json_str(&j, detail);
	json_key(&j, "errors");
	json_open(&j, '{');
	if (has_field(fault)) {
		json_key(&j, op_text(op, "%.*s", STR_ARG(fault->field)).p);
		json_open(&j, '[');
		json_str(&j, detail);
		json_close(&j, ']');
	}
	json_close(&j, '}');
	json_close(&j, '}');
	if (fault->code == ERR_RATE)
		snprintf(retry, sizeof(retry), HTTP_RETRY_AFTER("%u"),
		         fault->retry_after_s > 0 ? fault->retry_after_s : 1);
	if (fault->code == ERR_UNAVAILABLE)
		snprintf(retry, sizeof(retry), HTTP_RETRY_AFTER("1"));
	http_answer(op->asker, err_status(fault->code), "application/json", buf_view(&body), retry);
	buf_fini(&body);
}

static void request_failed(struct op *op, const struct fault *fault)
{
	const struct visit *v = op->row;
	const struct request *r = op->asker;
	count(op, err_status(fault->code));
	note_request(op, v->route->name, r->conn, fault);
	rest_refuse(op, fault);
}

static const struct asker_vt request_asker = { .reply = request_replied, .fail = request_failed };

/* --- Finding the row --- */

static struct str method_of(const struct api_route *route)
{
	struct str name = str_z(route->name);
	return str_cut(&name, ' ');
}

static struct str path_of(const struct api_route *route)
{
	struct str name = str_z(route->name);
	str_cut(&name, ' ');
	return name;
}

static struct str without_last_slash(struct str path)
{
	if (path.len > 1 && path.p[path.len - 1] == '/')
		path.len--;
	return path;
}

static bool path_fits(struct str pattern, struct str path)
{
	pattern = without_last_slash(pattern);
	path = without_last_slash(path);
	while (pattern.len > 0 && path.len > 0) {
		struct str want = str_cut(&pattern, '/'), got = str_cut(&path, '/');
		bool parameter = want.len > 0 && want.p[0] == ':';
		if (parameter ? got.len == 0 : !str_eq(want, got))
			return false;
	}
	return pattern.len == 0 && path.len == 0 && (pattern.p == NULL) == (path.p == NULL);
}

/* GET rows answer HEAD too. */
static bool method_fits(const struct api_route *route, struct str method)
{
	struct str want = method_of(route);
	return str_eq(want, method) || (str_eqz(method, "HEAD") && str_eqz(want, "GET"));
}

/* The row for this request; NULL with *allow empty: no such path, or naming the methods
 * there are. */
static const struct api_route *find_route(struct str method, struct str path, struct buf *allow)
{
	for (size_t i = 0; api_routes[i] != NULL; i++) {
		for (const struct api_route *r = api_routes[i]; r->name != NULL; r++) {
			if (!path_fits(path_of(r), path))
				continue;
			if (method_fits(r, method))
				return r;
			buf_z(allow, allow->len > 0 ? ", " : "");
			buf_str(allow, method_of(r));
		}
	}
	return NULL;
}

/* --- Decoding --- */

/* Not percent-encoded UTF-8, or with a NUL. */
static enum err is_malformed(struct str name, struct fault *why)
{
	*why = (struct fault){ ERR_INVALID, name, STR("is malformed"), 0 };
	return ERR_INVALID;
}

static enum err put_path(struct op *op, const struct visit *v, struct fault *why)
{
	struct str pattern = without_last_slash(path_of(v->route));
	struct str path = without_last_slash(v->path);
	while (pattern.len > 0) {
		struct str name = str_cut(&pattern, '/'), raw = str_cut(&path, '/');
		bool ok = true;
		if (name.len == 0 || name.p[0] != ':')
			continue;
		struct str text = percent_decode(&op->arena, raw, false, &ok);
		if (!ok)
			return is_malformed(str_from(name, 1), why);
		enum err e = schema_put_text(v->route->schema, str_from(name, 1), text, &op->arena,
		                             v->args, why);
		if (e != ERR_OK)
			return e;
	}
	return ERR_OK;
}

static bool is_field(const struct field *fields, struct str name)
{
	while (fields->name != NULL && !str_eqz(name, fields->name))
		fields++;
	return fields->name != NULL;
}

/* What is no field may be anything. */
static enum err put_query(struct op *op, const struct visit *v, struct fault *why)
{
	struct str rest = v->query, name, text;
	enum query_pair pair;
	while ((pair = query_next(&op->arena, &rest, &name, &text)) != QUERY_END) {
		if (!is_field(v->route->schema, name))
			continue;
		if (pair == QUERY_MALFORMED)
			return is_malformed(name, why);
		enum err e =
			schema_put_text(v->route->schema, name, text, &op->arena, v->args, why);
		if (e != ERR_OK)
			return e;
	}
	return ERR_OK;
}

static bool has_body(const struct api_route *route)
{
	struct str method = method_of(route);
	return !str_eqz(method, "GET") && !str_eqz(method, "DELETE");
}

/* Whatever the row takes of it, it is an object. No body at all will do where nothing
 * in it is required. */
static enum err put_body(struct op *op, const struct visit *v, struct str body, struct fault *why)
{
	struct str value = STR("{}");
	const bool good =
		body.len == 0 || (json_valid(body, &value) && json_type(value) == JSON_OBJECT);
	if (good && v->route->schema == NULL)
		return ERR_OK;
	value = arena_str(&op->arena, value);
	enum err e = good ? schema_decode(v->route->schema, value, &op->arena, v->args, why)
	                  : ERR_BAD_JSON;
	if (!good || (e != ERR_OK && body.len == 0))
		*why = (struct fault){ .code = ERR_BAD_JSON };
	return e != ERR_OK ? why->code : ERR_OK;
}

/* Body, or query (for rows without a body), then path, so that the path wins. */
static enum err decode(struct op *op, const struct visit *v, struct str body, struct fault *why)
{
	const bool in_body = has_body(v->route);
	enum err e = ERR_OK;
	if (in_body)
		e = put_body(op, v, body, why);
	else if (v->route->schema != NULL)
		e = put_query(op, v, why);
	if (e != ERR_OK || v->route->schema == NULL)
		return e;
	if ((e = put_path(op, v, why)) != ERR_OK)
		return e;
	return in_body ? ERR_OK : schema_require(v->route->schema, v->args, why);
}

/* --- The way of a request --- */

static void run(struct op *op)
{
	const struct visit *v = op->row;
	v->route->handle(op, v->args);
}

static void user_known(struct op *op, const void *entry UNUSED)
{
	run(op);
}

static void on_body(struct request *r, struct str body)
{
	struct op *op = r->owner;
	const struct visit *v = op->row;
	struct fault why = { 0 };
	if (decode(op, v, body, &why) != ERR_OK)
		op_fault(op, &why);
	else if (v->route->needs & NEEDS_USER)
		api_authenticate(op, v->token, user_known);
	else
		run(op);
}

static void on_unreadable(struct request *r, unsigned status)
{
	const enum err e = status == 413   ? ERR_TOO_LARGE
	                   : status == 408 ? ERR_TIMEOUT
	                                   : ERR_BAD_REQUEST;
	op_fail(r->owner, e, NULL, NULL);
}

/* The request's connection died: whatever the op comes to, nobody hears it. */
static void on_gone(struct request *r)
{
	struct op *op = r->owner;
	op->asker = NULL;
	if (r->receiving)
		op_reply(op, STR_NONE);      /* nothing is under way yet that would end it */
}

static bool announces_body(const struct head *h)
{
	return h->body == BODY_CHUNKED || (h->body == BODY_LENGTH && h->length > 0);
}

static bool is_json(const struct head *h)
{
	struct str type = head_field(h, "content-type");
	return str_eq_nocase(str_trim(str_cut(&type, ';')), STR("application/json"));
}

static struct str shown_token(struct op *op, const struct head *h)
{
	const struct handshake shown = {
		.auth = STR("{}"), .authorization = head_field(h, "authorization"),
	};
	return api_token(op, &shown);
}

/* Whether it shows the metrics-token, if there is one. */
static bool is_scraper(struct op *op, const struct head *h)
{
	const struct str wanted = str_z(conf.metrics_token), token = shown_token(op, h);
	return wanted.len == 0 ||
	       (token.len == wanted.len && sodium_memcmp(token.p, wanted.p, wanted.len) == 0);
}

/* What can be told from the head alone; the token is checked before a byte of the body is read. */
static enum err check_head(struct op *op, struct visit *v, const struct head *h)
{
	struct claims claims;
	if (v->route->needs & (NEEDS_USER | NEEDS_TOKEN)) {
		v->token = arena_str(&op->arena, shown_token(op, h));
		enum err e = api_verify(op, v->token, &claims);
		if (e != ERR_OK)
			return e;
		op->user = claims.sub;
	}
	if (v->route->needs & NEEDS_SCRAPER && !is_scraper(op, h))
		return ERR_UNAUTHENTICATED;
	return has_body(v->route) && announces_body(h) && !is_json(h) ? ERR_MEDIA_TYPE : ERR_OK;
}

static void begin(struct request *r, const struct head *h, const struct api_route *route)
{
	struct op *op = op_new(services, &request_asker, r, NULL);
	struct visit *v = arena_alloc(&op->arena, sizeof(*v));
	*v = (struct visit){
		.route = route,
		.args = arena_alloc(&op->arena, route->size),
		.path = arena_str(&op->arena, h->path),
		.query = arena_str(&op->arena, h->query),
		.begun_us = clock_exact_us(),
	};
	op->row = v;
	enum err e = check_head(op, v, h);
	if (e != ERR_OK) {
		op_fail(op, e, NULL, NULL);
		return;
	}
	r->owner = op;
	r->max_body = REST_MAX_BODY;
	r->complete = on_body;
	r->unreadable = on_unreadable;
	r->gone = on_gone;
}

static void refuse(struct request *r, const struct buf *allow)
{
	counts.responses[4]++;
	if (allow->len == 0) {
		http_refuse(r, err_status(ERR_NOT_FOUND), err_text(ERR_NOT_FOUND));
		return;
	}
	char extra[100];
	snprintf(extra, sizeof(extra), "Allow: %.*s\r\n", STR_ARG(buf_view(allow)));
	http_answer(r, 405, "application/json",
	            STR("{\"message\":\"Method not allowed\",\"errors\":{}}"), extra);
}

void rest_head(struct request *r, const struct head *h)
{
	struct buf allow = { 0 };
	const struct api_route *route = find_route(h->method, h->path, &allow);
	if (route != NULL)
		begin(r, h, route);
	else if (allow.len > 0 || !files_answer(r, h))
		refuse(r, &allow);
	buf_fini(&allow);
}

void rest_init(const struct services *s)
{
	services = s;
}

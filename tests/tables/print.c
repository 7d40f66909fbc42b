/* Prints the tables of routes and events as JSON: {routes: [{name, token, fields}], apis: [{name, path, nsp,
 * events: [{name, fields}], told}], reasons: [{name, code, fault, text}]}. `fields` is null where there is no schema; `told` is what the API says
 * of every kind of live event. */
#include <stdio.h>
#include <stdlib.h>

#include "worker/api/api.h"
#include "worker/reason.h"

static const char *const type_words[] = {
	[F_STR] = "string", [F_ID] = "id", [F_RAW] = "any", [F_OBJECT] = "object", [F_ARRAY] = "array",
	[F_STRS] = "strings", [F_IDS] = "ids", [F_INT] = "integer", [F_BOOL] = "boolean",
};

/* Every kind of live event, in every kind of room: each has what any of them may have. */
#define LIVE(word, kind) \
	"{\"type\":\"" word "\",\"room\":\"r1\",\"kind\":\"" kind "\",\"actor\":\"u1\",\"user\":\"u2\"," \
	"\"name\":\"pals\",\"username\":\"ann\",\"peer\":\"bob\",\"unread\":1,\"userDeleted\":false," \
	"\"feed\":\"user:u1\",\"session\":\"s1\",\"take\":1,\"clock\":\"1-1\"," \
	"\"messageId\":\"m1\",\"content\":\"Hello!\",\"updatedAt\":1,\"deletedAt\":1,\"emoji\":\"+\"," \
	"\"users\":[],\"came\":[\"ann\"],\"left\":[\"bob\"],\"original\":null," \
	"\"reaction\":{\"id\":\"x1\",\"emoji\":\"+\",\"messageId\":\"m1\",\"userId\":\"u2\"," \
	"\"createdAt\":1,\"userName\":\"Bob\"}," \
	"\"message\":{\"id\":\"m1\",\"room\":\"r1\",\"kind\":\"" kind "\",\"recipient\":\"bob\"," \
	"\"author\":{\"id\":\"u1\",\"username\":\"ann\",\"name\":\"Ann\",\"image\":null}," \
	"\"content\":\"Hello!\",\"createdAt\":1,\"updatedAt\":1}}"

static const char *const live[] = {
#define EVENT(name, word) LIVE(word, "group"), LIVE(word, "channel"), LIVE(word, "direct"),
#include "worker/domain/event.def"
#undef EVENT
};

static void put_fields(struct json_out *j, const struct field *fields)
{
	json_key(j, "fields");
	if (fields == NULL) {
		json_null(j);
		return;
	}
	json_open(j, '[');
	for (const struct field *f = fields; f->name != NULL; f++) {
		json_open(j, '{');
		json_put_str(j, "name", str_z(f->name));
		json_put_str(j, "type", str_z(type_words[f->type]));
		json_put_int(j, "min", f->min);
		json_put_int(j, "max", f->max);
		json_put_bool(j, "required", f->required);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void put_route(struct json_out *j, const struct api_route *r)
{
	json_open(j, '{');
	json_put_str(j, "name", str_z(r->name));
	json_put_bool(j, "token", (r->needs & (NEEDS_USER | NEEDS_TOKEN)) != 0);
	put_fields(j, r->schema);
	json_close(j, '}');
}

static void put_event(struct json_out *j, const struct api_event *e)
{
	json_open(j, '{');
	json_put_str(j, "name", str_z(e->name));
	json_put_bool(j, "raw", e->raw);
	put_fields(j, e->schema);
	json_close(j, '}');
}

/* What the API says of it, its nth: an array of a name and an argument, or one text where it has no names. */
static bool put_nth(struct json_out *j, const struct api *api, const struct feed_event *event, unsigned nth)
{
	struct buf said = { 0 };
	struct json_out out = json_out(&said);

	if (api->events != NULL)
		json_open(&out, '[');
	const bool told = api->encode(event, nth, &out) != HEAR_NONE;
	if (api->events != NULL)
		json_close(&out, ']');
	if (told)
		json_raw(j, buf_view(&said));
	buf_fini(&said);
	return told;
}

static void put_told(struct json_out *j, const struct api *api)
{
	json_key(j, "told");
	json_open(j, '[');
	for (size_t i = 0; i < COUNT_OF(live); i++) {
		struct arena arena = { 0 };
		struct feed_event event;
		unsigned nth = 0;

		if (!event_read(str_z(live[i]), &arena, &event)) {
			fprintf(stderr, "not a live event: %s\n", live[i]);
			exit(EXIT_FAILURE);
		}
		while (put_nth(j, api, &event, nth))
			nth++;
		arena_fini(&arena);
	}
	json_close(j, ']');
}

static void put_text(struct json_out *j, const char *key, const char *text)
{
	json_key(j, key);
	if (text != NULL)
		json_str(j, str_z(text));
	else
		json_null(j);
}

static void put_api(struct json_out *j, const struct api *api)
{
	json_open(j, '{');
	put_text(j, "name", api->name);
	put_text(j, "path", api->path);
	put_text(j, "nsp", api->nsp);
	json_key(j, "events");
	json_open(j, '[');
	for (const struct api_event *e = api->events; e != NULL && e->name != NULL; e++)
		put_event(j, e);
	json_close(j, ']');
	put_told(j, api);
	json_close(j, '}');
}

static void put_reasons(struct json_out *j)
{
	static const char *const names[] = {
#define REASON(name, code, gravity, text) #name,
#include "worker/reason.def"
#undef REASON
	};

	json_key(j, "reasons");
	json_open(j, '[');
	for (unsigned r = 0; r < REASON_COUNT; r++) {
		json_open(j, '{');
		json_put_str(j, "name", str_z(names[r]));
		json_put_int(j, "code", reason_code((enum reason)r));
		json_put_bool(j, "fault", reason_is_fault((enum reason)r));
		put_text(j, "text", reason_text((enum reason)r));
		json_close(j, '}');
	}
	json_close(j, ']');
}

int main(void)
{
	struct buf text = { 0 };
	struct json_out j = json_out(&text);

	json_open(&j, '{');
	json_key(&j, "routes");
	json_open(&j, '[');
	for (size_t i = 0; api_routes[i] != NULL; i++)
		for (const struct api_route *r = api_routes[i]; r->name != NULL; r++)
			put_route(&j, r);
	json_close(&j, ']');
	json_key(&j, "apis");
	json_open(&j, '[');
	for (size_t i = 0; apis[i] != NULL; i++)
		put_api(&j, apis[i]);
	json_close(&j, ']');
	put_reasons(&j);
	json_close(&j, '}');
	printf("%.*s\n", STR_ARG(buf_view(&text)));
	buf_fini(&text);
	return 0;
}

/* The lobby API on Socket.IO (docs/lobby.md): who logs in to a room by a name hears who comes and
 * goes there and what is said. There are no accounts, and nothing is kept. */
#include "worker/api/api.h"
#include "worker/domain/lobby.h"

enum { NAME_MAX = 32, TEXT_MAX = 16384 };

/* How far the login of a socket is. The state of the room counts as of a moment when its feed was
 * live already: what is told later will be heard. */
struct steps {
	bool live;                   /* the feed is */
	bool sure;                   /* it was, when Redis was asked */
	bool waits;                  /* for the feed, with an answer that came too early */
};

/* What an event under way is about; op->state. */
struct asking {
	struct lobby_user user;      /* first: this is what the domain's verbs look for there */
	struct str text;
	struct steps *steps;
};

/* --- Arguments --- */

struct login_args { struct str name, room; };
struct say_args { struct str message; };

static const struct field login_schema[] = {
	FIELD(login_args, name, F_STR, .required = true),
	FIELD(login_args, room, F_STR, .required = true),
	{ 0 }
};
static const struct field say_schema[] = {
	FIELD(say_args, message, F_STR, .min = 1, .max = TEXT_MAX, .required = true),
	{ 0 }
};

/* The nth argument, raw, in the arena; `null` if there is none. */
static struct str argument(struct op *op, const struct raw_event *raw, unsigned nth)
{
	struct json_iter all = json_iter(op_text(op, "[%.*s]", STR_ARG(raw->args)));
	struct str value = STR("null");

	for (unsigned i = 0; i <= nth; i++)
		if (!json_next(&all, NULL, &value))
			return STR("null");
	return value;
}

static bool is_name(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		const char c = s.p[i];
		const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!letter && !(c >= '0' && c <= '9'))
			return false;
	}
	return s.len >= 1 && s.len <= NAME_MAX;
}

/* An object, or a name and a room. False: the op has failed. */
static bool read_login(struct op *op, const struct raw_event *raw, struct login_args *out)
{
	struct fault why = { 0 };
	struct str object = argument(op, raw, 0);

	if (json_type(object) != JSON_OBJECT) {
		const struct str room = argument(op, raw, 1);
		object = op_text(op, "{\"name\":%.*s,\"room\":%.*s}", STR_ARG(object),
		                 STR_ARG(room));
	}
	if (schema_decode(login_schema, object, &op->arena, out, &why) != ERR_OK) {
		op_fault(op, &why);
		return false;
	}
	out->name = str_trim(out->name);
	out->room = str_trim(out->room);
	if (is_name(out->name) && is_name(out->room))
		return true;
	op_fail(op, ERR_INVALID, is_name(out->name) ? "room" : "name",
	        "must have 1 to 32 letters or digits");
	return false;
}

static bool read_text(struct op *op, const struct raw_event *raw, struct str *out)
{
	struct say_args args = { 0 };
	struct fault why = { 0 };
	const struct str text = argument(op, raw, 0);
	const struct str object = op_text(op, "{\"message\":%.*s}", STR_ARG(text));

	if (schema_decode(say_schema, object, &op->arena, &args, &why) != ERR_OK) {
		op_fault(op, &why);
		return false;
	}
	*out = args.message;
	return true;
}

/* --- Failures --- */

static struct str fault_text(struct op *op, const struct fault *fault)
{
	const struct api_event *row = api_row(op);

	switch (fault->code) {
	case ERR_INTERNAL:
	case ERR_UNAVAILABLE:
		return str_z(row != NULL ? row->failure : err_text(fault->code));
	case ERR_NOT_FOUND:
		return STR("Not logged in");
	case ERR_RATE:
		return str_z(err_text(fault->code));
	default:
		return op_text(op, "%.*s%s%.*s", STR_ARG(fault->field),
		               fault->field.len > 0 ? " " : "", STR_ARG(fault->detail));
	}
}

static struct str lobby_error(struct op *op, const struct fault *fault)
{
	struct buf json = { 0 };
	struct json_out j = json_out(&json);

	json_open(&j, '{');
	json_put_str(&j, "error", fault_text(op, fault));
	json_close(&j, '}');
	const struct str answer = arena_str(&op->arena, buf_view(&json));
	buf_fini(&json);
	return answer;
}

/* --- Handlers --- */

static const struct asking *asking_of(const struct op *op)
{
	return op->state;
}

static void ask(struct op *op, const struct asking *about)
{
	struct asking *a = arena_alloc(&op->arena, sizeof(*a));

	*a = *about;
	a->user.sid = arena_str(&op->arena, api_sid(op));
	op->state = a;
}

static void welcome(struct op *op, const struct lobby_room *room)
{
	const struct lobby_user *user = &asking_of(op)->user;
	struct buf json = { 0 };
	struct json_out j = json_out(&json);

	api_emit(op, "users", room->users);
	api_hear(op, lobby_feed(op, user->room), room->stamp);
	json_open(&j, '{');
	json_key(&j, "user");
	json_open(&j, '{');
	json_put_str(&j, "id", user->sid);
	json_put_str(&j, "name", user->name);
	json_put_str(&j, "room", user->room);
	json_close(&j, '}');
	json_close(&j, '}');
	lobby_reply(op, buf_view(&json));
	buf_fini(&json);
}

static void entered(struct op *op, const void *result);

static void enter_again(struct op *op)
{
	asking_of(op)->steps->sure = true;
	lobby_recall(op, entered);
}

/* The socket is over, and with it the login. */
static void end_unheard(struct op *op)
{
	lobby_reply(op, STR_NONE);
}

static void wait_for_feed(struct op *op)
{
	if (op->asker == NULL) {
		end_unheard(op);
		return;
	}
	asking_of(op)->steps->waits = true;
	op->unheard = end_unheard;
}

static void entered(struct op *op, const void *result)
{
	struct steps *steps = asking_of(op)->steps;

	if (steps->sure)
		welcome(op, result);
	else if (steps->live)
		enter_again(op);
	else
		wait_for_feed(op);
}

static void feed_live(struct op *op)
{
	struct steps *steps = asking_of(op)->steps;

	steps->live = true;
	if (steps->waits)
		enter_again(op);
}

static void enter(struct op *op)
{
	const struct asking *a = asking_of(op);

	if (lobby_wait(op, enter))
		return;
	if (lobby_find(op) != NULL) {
		op_fail(op, ERR_TAKEN, NULL, "Already logged in");
		return;
	}
	/* Redis is asked in any case: while it is away the feed will not be live, and nothing would
	 * ever be answered. */
	a->steps->live = api_hold(op, lobby_feed(op, a->user.room), feed_live);
	a->steps->sure = a->steps->live;
	lobby_login(op, entered);
}

static void login(struct op *op, const void *args)
{
	struct login_args a = { 0 };

	if (!read_login(op, args, &a))
		return;
	ask(op, &(struct asking){
		.user = { .name = a.name, .room = a.room },
		.steps = arena_alloc(&op->arena, sizeof(struct steps)) });
	enter(op);
}

static void left(struct op *op, const void *result)
{
	const struct lobby_user *user = &asking_of(op)->user;
	const struct fault *why = result;

	if (why == NULL) {
		lobby_reply(op, STR_NONE);
		return;
	}
	/* As if it had not left: the feed was held, so all that came meanwhile is heard. */
	api_hear(op, lobby_feed(op, user->room), user->since);
	lobby_fault(op, why);
}

static void held(struct op *op UNUSED)
{
}

/* The feed is left first: who leaves does not hear of it. */
static void leave(struct op *op)
{
	if (lobby_wait(op, leave))
		return;
	const struct lobby_user *user = lobby_find(op);
	if (user == NULL) {
		op_fail(op, ERR_NOT_FOUND, NULL, NULL);
		return;
	}
	const struct str room = arena_str(&op->arena, user->room);
	const struct str feed = lobby_feed(op, room);
	ask(op, &(struct asking){ .user = { .room = room, .since = user->since } });
	api_hold(op, feed, held);
	api_leave(op, feed);
	lobby_logout(op, left);
}

static void logout(struct op *op, const void *args UNUSED)
{
	ask(op, &(struct asking){ 0 });
	leave(op);
}

static void said(struct op *op, const void *result UNUSED)
{
	op_reply(op, STR_NONE);
}

static void say(struct op *op)
{
	if (lobby_wait(op, say))
		return;
	lobby_say(op, asking_of(op)->text, said);
}

static void send_message(struct op *op, const void *args)
{
	struct str text;

	if (!read_text(op, args, &text))
		return;
	ask(op, &(struct asking){ .text = text });
	say(op);
}

static void ping(struct op *op, const void *args UNUSED)
{
	op_reply(op, op_text(op, "\"%.*s\"", STR_ARG(api_sid(op))));
}

/* --- Live events --- */

static void put_notification(struct json_out *j, struct str name, const char *did, struct str room)
{
	struct buf text = { 0 };

	json_str(j, STR("notification"));
	json_open(j, '{');
	buf_printf(&text, "%.*s %s", STR_ARG(name), did);
	json_put_str(j, "title", buf_view(&text));
	buf_clear(&text);
	buf_printf(&text, "%.*s has %s the room %.*s", STR_ARG(name), did, STR_ARG(room));
	json_put_str(j, "description", buf_view(&text));
	json_close(j, '}');
	buf_fini(&text);
}

/* One notification for each who came or left, then who is there. */
static enum audience put_users(const struct feed_event *e, unsigned nth, struct json_out *j)
{
	const size_t changes = e->came.n + e->left.n;

	if (nth > changes)
		return HEAR_NONE;
	if (nth < e->came.n) {
		put_notification(j, e->came.v[nth], "joined", e->room);
	} else if (nth < changes) {
		put_notification(j, e->left.v[nth - e->came.n], "left", e->room);
	} else {
		json_str(j, STR("users"));
		json_raw(j, e->users);
		return HEAR_ALL;
	}
	return HEAR_ALL | HEAR_MORE;
}

static enum audience put_message(const struct feed_event *e, unsigned nth, struct json_out *j)
{
	if (nth > 0)
		return HEAR_NONE;
	json_str(j, STR("roomMessage"));
	json_open(j, '{');
	json_put_raw(j, "message", e->content);
	json_put_raw(j, "from", e->name);
	json_close(j, '}');
	return HEAR_ALL;
}

static enum audience encode(const struct feed_event *e, unsigned nth, struct json_out *out)
{
	switch (e->type) {
	case EVENT_LOBBY_USERS:
		return put_users(e, nth, out);
	case EVENT_LOBBY_MESSAGE:
		return put_message(e, nth, out);
	default:
		return HEAR_NONE;
	}
}

/* --- Connection --- */

static void hello(struct op *op, const struct handshake *h UNUSED)
{
	api_accept(op);
	op_reply(op, STR_NONE);
}

static void closed(const struct services *services, struct str sid, bool left_it UNUSED)
{
	lobby_part(services->lobby, sid);
}

static const struct api_event events[] = {
	{ .name = "login", .raw = true, .schema = login_schema, .handle = login,
	  .failure = "Failed to log in" },
	{ .name = "logout", .raw = true, .handle = logout, .failure = "Failed to log out" },
	{ .name = "roomMessage", .raw = true, .schema = say_schema, .handle = send_message,
	  .failure = "Failed to send message" },
	{ .name = "ping", .raw = true, .handle = ping, .failure = "Failed to ping" },
	{ 0 }
};

const struct api api_lobby = {
	.name = "lobby", .events = events, .hello = hello, .encode = encode, .error = lobby_error,
	.closed = closed,
};

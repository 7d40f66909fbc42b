/* The logins of one worker.
 *
 * A login is found by its socket. While the socket's own login or logout is under way nothing else
 * is done to it: what the socket asks then waits, and so does the socket's end. Whatever else Redis
 * does not know, or may not know, stands among the untold, and is said by calls of our own,
 * a few at a time. When one of these fails for want of Redis, the rest waits until Redis
 * answers anything, or for another try. */
#include "worker/domain/lobby.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/map.h"
#include "common/mem.h"
#include "common/stamp.h"
#include "worker/store/call.h"

enum { TELL_AT_ONCE = 100 };

enum login_state {
	LOGIN_ENTERING,      /* the socket's login is under way */
	LOGIN_IN,
	LOGIN_LEAVING,       /* the socket's logout is under way */
	LOGIN_OVER,          /* Redis must be told so; untold, or being told */
};

struct login {
	struct lobby_user user;      /* in text */
	struct list link;            /* among the untold */
	struct list waiting;         /* what the socket asked meanwhile */
	uint8_t state;               /* enum login_state */
	bool closed;                 /* the socket is over */
	bool telling;                /* a call of our own is under way … */
	bool again;                  /* … or the socket's, and Redis may have forgotten since */
	char text[];
};

struct lobby {
	const struct services *services;
	lobby_ousted_fn *ousted;
	void *ousted_ctx;
	struct map logins;           /* by the sockets' ids; none that is over and closed */
	struct list untold;
	unsigned telling;
	bool stalled;                /* Redis did not answer; to be tried again when it does */
};

/* A request that waits for another of its socket's. */
struct waiting {
	struct list link;
	struct op *op;
	void (*then)(struct op *op);
};

/* What a call of our own says; op->state. */
struct telling {
	struct login *login;
	bool out;
};

static const struct function fn_login = { .name = "lobby_login", .at_least = 2 };
static const struct function fn_logout = { .name = "lobby_logout", .at_least = 1 };
static const struct function fn_say = { .name = "lobby_say", .at_least = 1 };

static void tell(struct lobby *l);

struct str lobby_feed(struct op *op, struct str room)
{
	return op_text(op, "lobby:%.*s", STR_ARG(room));
}

/* --- Logins --- */

static struct login *login_of(const struct op *op)
{
	const struct lobby_user *user = op->state;
	return map_get(&op->services->lobby->logins, user->sid);
}

static bool is_under_way(const struct login *login)
{
	return login->state == LOGIN_ENTERING || login->state == LOGIN_LEAVING;
}

/* Whether it is not known that Redis did nothing. */
static bool is_unknown(const struct fault *fault)
{
	return fault->code == ERR_UNAVAILABLE || fault->code == ERR_INTERNAL;
}

static struct str put_text(char **at, struct str s)
{
	const struct str copy = { *at, s.len };
	memcpy(*at, s.p, s.len);
	*at += s.len;
	return copy;
}

static struct login *login_new(const struct lobby_user *user)
{
	struct login *login =
		xcalloc(1, sizeof(*login) + user->sid.len + user->name.len + user->room.len);
	char *at = login->text;

	login->user.sid = put_text(&at, user->sid);
	login->user.name = put_text(&at, user->name);
	login->user.room = put_text(&at, user->room);
	list_init(&login->link);
	list_init(&login->waiting);
	return login;
}

static bool is_found(const struct lobby *l, const struct login *login)
{
	return map_get(&l->logins, login->user.sid) == login;
}

static void login_hide(struct lobby *l, const struct login *login)
{
	if (is_found(l, login))
		map_take(&l->logins, login->user.sid);
}

static void login_free(struct lobby *l, struct login *login)
{
	login_hide(l, login);
	list_remove(&login->link);
	free(login);
}

/* Redis is to be told what it is now; once more, if it is being told something already. */
static void login_untold(struct lobby *l, struct login *login)
{
	login->again = login->telling;
	if (login->telling)
		return;
	list_remove(&login->link);
	list_push(&l->untold, &login->link);
}

/* The only way into any state but the first. */
static void login_set(struct lobby *l, struct login *login, enum login_state state)
{
	const bool forgotten = login->again;

	login->state = (uint8_t)state;
	if (state == LOGIN_OVER || (state == LOGIN_IN && forgotten))
		login_untold(l, login);
	if (login->closed)
		login_hide(l, login);
}

/* Redis knows that it is over, unless we were just saying something else. */
static void login_gone(struct lobby *l, struct login *login)
{
	if (login->telling)
		login_set(l, login, LOGIN_OVER);
	else
		login_free(l, login);
}

/* The login that a socket asks for. What it asked before and was to be undone may be the same. */
static struct login *login_open(struct lobby *l, const struct lobby_user *user)
{
	struct login *old = map_take(&l->logins, user->sid);
	struct login *login = old;

	if (old == NULL || !str_eq(old->user.name, user->name) ||
	    !str_eq(old->user.room, user->room))
		login = login_new(user);
	list_remove(&login->link);
	login->state = LOGIN_ENTERING;
	map_put(&l->logins, login->user.sid, login);
	return login;
}

/* --- What a socket asks while another request of it is under way --- */

bool lobby_wait(struct op *op, void (*then)(struct op *op))
{
	struct login *login = login_of(op);

	if (login == NULL || !is_under_way(login))
		return false;
	struct waiting *w = arena_alloc(&op->arena, sizeof(*w));
	*w = (struct waiting){ .op = op, .then = then };
	list_push(&login->waiting, &w->link);
	return true;
}

/* One after the other: the first may make the others wait again. */
static void go_on(struct list *waiting)
{
	while (!list_empty(waiting)) {
		struct waiting *w = LIST_OF(waiting->next, struct waiting, link);
		struct op *op = w->op;
		list_remove(&w->link);
		if (op->asker != NULL)
			w->then(op);
		else
			op_reply(op, STR_NONE);
	}
}

/* --- Telling Redis what it may not know --- */

static void answered(struct lobby *l)
{
	l->stalled = false;
	tell(l);
}

static void telling_ends(struct op *op)
{
	const struct telling *t = op->state;

	op->services->lobby->telling--;
	t->login->telling = false;
	op_reply(op, STR_NONE);
}

static void told(struct op *op, const struct strs *reply UNUSED)
{
	const struct telling t = *(const struct telling *)op->state;
	struct lobby *l = op->services->lobby;
	const bool over = t.login->state == LOGIN_OVER;

	telling_ends(op);
	if (over && t.out && !t.login->again)
		login_free(l, t.login);
	else if (over || (t.login->again && t.login->state == LOGIN_IN))
		login_untold(l, t.login);
	answered(l);
}

/* The socket ends, and with it the login. */
static void oust(struct lobby *l, const struct login *login)
{
	char feed[80];
	const int n = snprintf(feed, sizeof(feed), "lobby:%.*s", STR_ARG(login->user.room));

	l->ousted(l->ousted_ctx, (struct str){ feed, (size_t)n }, login->user.sid);
}

/* Redis is there and does not want it: that will not change. */
static void telling_refused(struct lobby *l, const struct telling *t, enum err code)
{
	struct login *login = t->login;

	log_info("lobby: %.*s in %.*s: %s", STR_ARG(login->user.name), STR_ARG(login->user.room),
	         err_text(code));
	if (login->state == LOGIN_IN)
		oust(l, login);
	else if (login->state == LOGIN_OVER && t->out)
		login_free(l, login);
	else if (login->state == LOGIN_OVER)
		login_untold(l, login);
}

static bool telling_failed(struct op *op, const struct fault *fault)
{
	const struct telling t = *(const struct telling *)op->state;
	struct lobby *l = op->services->lobby;
	const enum err code = fault->code;

	telling_ends(op);
	if (code != ERR_UNAVAILABLE) {
		telling_refused(l, &t, code);
		return true;
	}
	l->stalled = true;
	if (!is_under_way(t.login))
		login_untold(l, t.login);
	return true;
}

static void tell_one(struct lobby *l, struct login *login)
{
	struct op *op = op_new(l->services, NULL, NULL, NULL);
	struct telling *t = arena_alloc(&op->arena, sizeof(*t));

	*t = (struct telling){ .login = login, .out = login->state == LOGIN_OVER };
	op->state = t;
	op->caught = telling_failed;
	login->telling = true;
	login->again = false;
	l->telling++;
	CALL(op, t->out ? &fn_logout : &fn_login, told, l->services->worker, login->user.sid,
	     login->user.name, login->user.room);
}

static void tell(struct lobby *l)
{
	while (!l->stalled && l->telling < TELL_AT_ONCE && !list_empty(&l->untold)) {
		struct login *login = LIST_OF(l->untold.next, struct login, link);
		list_remove(&login->link);
		tell_one(l, login);
	}
}

void lobby_again(struct lobby *l)
{
	size_t cursor = 0;
	struct login *login;

	while ((login = map_next(&l->logins, &cursor)) != NULL) {
		if (login->state == LOGIN_IN)
			login_untold(l, login);
		else
			login->again = true;
	}
	answered(l);
}

void lobby_retry(struct lobby *l)
{
	answered(l);
}

/* --- Logging in --- */

/* It failed. Redis may have done it, and must undo it then; what the socket asked meanwhile goes on
 * after the answer. */
static bool login_failed(struct op *op, const struct fault *fault)
{
	struct lobby *l = op->services->lobby;
	struct login *login = login_of(op);
	struct list waiting;

	list_init(&waiting);
	list_splice(&waiting, &login->waiting);
	if (is_unknown(fault))
		login_set(l, login, LOGIN_OVER);
	else
		login_gone(l, login);
	op_fault(op, fault);
	go_on(&waiting);
	return true;
}

static void logged_in(struct op *op, const struct strs *reply)
{
	struct lobby_room room = { .users = reply->v[1] };
	struct login *login = login_of(op);

	if (!stamp_parse(reply->v[0], &room.stamp)) {
		op_fail(op, ERR_INTERNAL, NULL, NULL);
		return;
	}
	login->user.since = room.stamp;
	op->then(op, &room);
}

void lobby_recall(struct op *op, op_fn *then)
{
	const struct lobby_user *user = op->state;

	op->then = then;
	op->caught = login_failed;
	CALL(op, &fn_login, logged_in, op->services->worker, user->sid, user->name, user->room);
}

void lobby_login(struct op *op, op_fn *then)
{
	login_open(op->services->lobby, op->state);
	lobby_recall(op, then);
}

/* --- Logging out --- */

static void logged_out(struct op *op, const struct strs *reply UNUSED)
{
	op->caught = NULL;
	op->then(op, NULL);
}

/* Whether Redis did it or not, it is said again that nothing has changed. */
static bool logout_failed(struct op *op, const struct fault *fault)
{
	login_of(op)->again = true;
	op->then(op, fault);
	return true;
}

void lobby_logout(struct op *op, op_fn *then)
{
	struct lobby *l = op->services->lobby;
	struct login *login = login_of(op);

	list_remove(&login->link);
	login_set(l, login, LOGIN_LEAVING);
	op->then = then;
	op->caught = logout_failed;
	CALL(op, &fn_logout, logged_out, l->services->worker, login->user.sid, login->user.name,
	     login->user.room);
}

/* The socket may be over by now, with a login to undo. */
static void back_in(struct lobby *l, struct login *login)
{
	login_set(l, login, login->closed ? LOGIN_OVER : LOGIN_IN);
}

void lobby_reply(struct op *op, struct str json)
{
	struct lobby *l = op->services->lobby;
	struct login *login = login_of(op);
	struct list waiting;

	list_init(&waiting);
	list_splice(&waiting, &login->waiting);
	if (login->state == LOGIN_LEAVING)
		login_gone(l, login);
	else
		back_in(l, login);
	op->caught = NULL;
	op_reply(op, json);
	go_on(&waiting);
	answered(l);
}

void lobby_fault(struct op *op, const struct fault *fault)
{
	struct lobby *l = op->services->lobby;
	struct login *login = login_of(op);
	struct list waiting;

	list_init(&waiting);
	list_splice(&waiting, &login->waiting);
	back_in(l, login);
	op_fault(op, fault);
	go_on(&waiting);
}

/* --- The rest --- */

void lobby_part(struct lobby *l, struct str sid)
{
	struct login *login = map_get(&l->logins, sid);

	if (login == NULL)
		return;
	login->closed = true;
	switch ((enum login_state)login->state) {
	case LOGIN_ENTERING:
	case LOGIN_LEAVING:
		return;              /* its op sees to it */
	case LOGIN_IN:
	case LOGIN_OVER:
		login_set(l, login, LOGIN_OVER);
		tell(l);
		return;
	}
}

const struct lobby_user *lobby_find(const struct op *op)
{
	const struct login *login = login_of(op);

	return login != NULL && login->state == LOGIN_IN ? &login->user : NULL;
}

static void said(struct op *op, const struct strs *reply UNUSED)
{
	struct lobby *l = op->services->lobby;

	op->caught = NULL;
	op->then(op, NULL);
	answered(l);
}

/* Redis has forgotten who says it: that can be helped, for the next time. */
static bool say_failed(struct op *op, const struct fault *fault)
{
	struct lobby *l = op->services->lobby;
	struct login *login = login_of(op);

	if (fault->code != ERR_NOT_FOUND)
		return false;
	if (login != NULL && login->state == LOGIN_IN)
		login_untold(l, login);
	op_fail(op, ERR_UNAVAILABLE, NULL, NULL);
	answered(l);
	return true;
}

void lobby_say(struct op *op, struct str text, op_fn *then)
{
	const struct lobby_user *user = lobby_find(op);

	if (user == NULL) {
		op_fail(op, ERR_NOT_FOUND, NULL, NULL);
		return;
	}
	op->then = then;
	op->caught = say_failed;
	CALL(op, &fn_say, said, user->sid, user->name, user->room, text);
}

struct lobby *lobby_new(const struct services *services, lobby_ousted_fn *ousted, void *ctx)
{
	struct lobby *l = xcalloc(1, sizeof(*l));

	l->services = services;
	l->ousted = ousted;
	l->ousted_ctx = ctx;
	list_init(&l->untold);
	return l;
}

void lobby_free(struct lobby *l)
{
	size_t cursor = 0;
	struct login *login;

	if (l == NULL)
		return;
	while ((login = map_next(&l->logins, &cursor)) != NULL) {
		list_remove(&login->link);
		free(login);
	}
	map_fini(&l->logins);
	LIST_EACH(&l->untold, link)
		free(LIST_OF(link, struct login, link));
	free(l);
}

/* Accounts over REST (docs/accounts.md): signing up and in, and what one may do with one's own. */
#include "common/clock.h"
#include "worker/api/api.h"
#include "worker/domain/user.h"

/* How long a token that we issue is good: 30 days. */
enum { TOKEN_TTL_S = 30 * 24 * 60 * 60 };

struct signin_args { struct str username, password; };

static const struct field signup_schema[] = {
	FIELD(signup, username, F_STR, .required = true),
	FIELD(signup, password, F_STR, .required = true),
	FIELD(signup, name, F_STR),
	FIELD(signup, image, F_STR),
	{ 0 }
};
static const struct field signin_schema[] = {
	FIELD(signin_args, username, F_STR, .required = true),
	FIELD(signin_args, password, F_STR, .required = true),
	{ 0 }
};

static void put_text(struct json_out *j, const char *key, struct str text)
{
	json_key(j, key);
	if (text.p != NULL)
		json_str(j, text);
	else
		json_null(j);
}

static void put_user(struct json_out *j, const struct user *u)
{
	json_key(j, "user");
	json_open(j, '{');
	json_put_str(j, "id", u->id);
	json_put_str(j, "username", u->username);
	json_put_str(j, "name", u->name);
	put_text(j, "image", u->image);
	put_text(j, "email", u->email);
	json_close(j, '}');
}

/* With a very long image a token would be more than can be shown in a header:
 * then it goes without. */
static enum err issue(struct op *op, const struct user *u, struct str *token)
{
	const int64_t now_s = clock_wall_ms() / 1000;
	struct claims claims = {
		.sub = u->id, .name = u->name, .username = u->username, .image = u->image,
		.exp = now_s + TOKEN_TTL_S,
	};

	enum err e = token_issue(op->services->keys, &claims, now_s, &op->arena, token);
	if (e == ERR_OK || u->image.p == NULL)
		return e;
	claims.image = STR_NONE;
	return token_issue(op->services->keys, &claims, now_s, &op->arena, token);
}

/* Of one who just showed the password: the token that stands for it from now on. */
static void user_known(struct op *op, const void *result)
{
	const struct user *u = result;
	struct str token;
	struct buf json = { 0 };

	const enum err e = issue(op, u, &token);
	if (e != ERR_OK) {
		op_fail(op, e, NULL, NULL);
		return;
	}
	struct json_out j = json_out(&json);
	json_open(&j, '{');
	json_put_str(&j, "token", token);
	put_user(&j, u);
	api_reply(op, &json);
}

/* Whether to go on: what cannot end in a token is refused before a password is hashed for it. */
static bool can_issue(struct op *op)
{
	if (token_keys_can_sign(op->services->keys))
		return true;
	op_fail(op, ERR_NO_SIGNING_KEY, NULL, NULL);
	return false;
}

static void sign_up(struct op *op, const void *args)
{
	if (!can_issue(op))
		return;
	op->status = 201;
	user_create(op, args, user_known);
}

static void sign_in(struct op *op, const void *args)
{
	const struct signin_args *a = args;

	op->claimed = a->username;
	if (can_issue(op))
		user_signin(op, a->username, a->password, user_known);
}

static void user_found(struct op *op, const void *result)
{
	struct buf json = { 0 };
	struct json_out j = json_out(&json);

	json_open(&j, '{');
	put_user(&j, result);
	api_reply(op, &json);
}

static void show_me(struct op *op, const void *args UNUSED)
{
	user_get(op, op->user, user_found);
}

static void me_deleted(struct op *op, const void *result UNUSED)
{
	op_reply(op, STR("{}"));
}

static void delete_me(struct op *op, const void *args UNUSED)
{
	user_delete(op, op->user, me_deleted);
}

extern const struct api_route routes_accounts[];
const struct api_route routes_accounts[] = {
	{ .name = "POST /login/signup", .schema = signup_schema, .size = sizeof(struct signup),
	  .handle = sign_up },
	{ .name = "POST /login/signin", .schema = signin_schema, .size = sizeof(struct signin_args),
	  .handle = sign_in },
	{ .name = "GET /login/me", .needs = NEEDS_USER, .handle = show_me },
	{ .name = "DELETE /login/delete", .needs = NEEDS_USER, .handle = delete_me },
	{ .name = "POST /login/delete", .needs = NEEDS_USER, .handle = delete_me },
	{ 0 }
};

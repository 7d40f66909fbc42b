/* Users: entering by token, accounts with passwords. What Redis cannot check is checked here:
 * lengths in code points, passwords. */
#include "worker/domain/user.h"

#include <inttypes.h>
#include <sodium.h>

#include "common/conf.h"
#include "common/stamp.h"
#include "worker/domain/hasher.h"
#include "worker/store/call.h"

enum { ID_MAX = 128, USERNAME_MAX = 32 };
/* Code points. */
enum { NAME_MAX_CHARS = 64, IMAGE_MAX_CHARS = 2048, EMAIL_MAX_CHARS = 254 };

const struct field user_fields[] = {
	FIELD(user, id, F_STR, .required = true),
	FIELD(user, username, F_STR, .required = true),
	FIELD(user, name, F_STR, .required = true),
	FIELD(user, image, F_STR),
	FIELD(user, email, F_STR),
	FIELD(user, deleted, F_BOOL),
	FIELD(user, online, F_BOOL),
	{ 0 }
};

static const struct function fn_enter = { .name = "user_enter", .at_least = 2 };
static const struct function fn_connect = { .name = "user_connect", .at_least = 7 };
static const struct function fn_end = { .name = "session_end", .at_least = 1 };
static const struct function fn_stay = { .name = "sessions_stay", .at_least = 1 };
static const struct function fn_unfollow = { .name = "session_unfollow", .at_least = 1 };
static const struct function fn_get = { .name = "user_get", .reads = true, .at_least = 1 };
static const struct function fn_list = { .name = "user_list", .reads = true, .at_least = 1 };
static const struct function fn_create = { .name = "user_create", .at_least = 1 };
static const struct function fn_try = { .name = "password_try", .at_least = 4 };
static const struct function fn_right = { .name = "password_right", .at_least = 1 };
static const struct function fn_delete = { .name = "user_delete", .at_least = 1 };

bool user_read(struct str json, struct arena *a, struct user *out)
{
	struct fault why;

	*out = (struct user){ 0 };
	return json_valid(json, &json) &&
	       schema_decode(user_fields, json, a, out, &why) == ERR_OK;
}

struct str user_feed(struct op *op, struct str id)
{
	struct buf name = { 0 };

	buf_z(&name, "user:");
	for (size_t i = 0; i < id.len; i++) {
		if (id.p[i] == '%' || id.p[i] == ':')
			buf_printf(&name, "%%%02X", (unsigned)id.p[i]);
		else
			buf_char(&name, id.p[i]);
	}
	const struct str feed = arena_str(&op->arena, buf_view(&name));
	buf_fini(&name);
	return str_eqz(feed, "user:name") ? STR("user:%6Eame") : feed;
}

/* For verbs whose reply begins with a user. */
static void user_came(struct op *op, const struct strs *reply)
{
	struct user user;

	if (user_read(reply->v[0], &op->arena, &user))
		op->then(op, &user);
	else
		op_fail(op, ERR_INTERNAL, NULL, NULL);
}

/* --- By token --- */

static bool is_id(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < ' ' || s.p[i] > '~')
			return false;
	return s.len >= 1 && s.len <= ID_MAX;
}

/* What another service says about a user may be anything; what does not fit was not said. */
static struct str fitting(struct str said, size_t max_chars)
{
	return str_has(said, '\0') || utf8_count(said) > max_chars ? STR_NONE : said;
}

static struct str fallback_username(struct op *op, struct str id)
{
	unsigned char digest[crypto_hash_sha256_BYTES];
	char hex[13];

	crypto_hash_sha256(digest, (const unsigned char *)id.p, id.len);
	sodium_bin2hex(hex, sizeof(hex), digest, 6);
	return op_text(op, "user-%s", hex);
}

/* To those outside a token without a user is as bad as any other. */
static bool not_entered(struct op *op, const struct fault *fault)
{
	if (fault->code != ERR_NO_USER && fault->code != ERR_INVALID)
		return false;
	op_fail(op, ERR_UNAUTHENTICATED, NULL, NULL);
	return true;
}

static void user_entered(struct op *op, const struct strs *reply)
{
	struct user_entry entry = { 0 };

	op->caught = NULL;
	if (!user_read(reply->v[0], &op->arena, &entry.user) ||
	    !stamp_parse(reply->v[1], &entry.stamp))
		op_fail(op, ERR_INTERNAL, NULL, NULL);
	else
		op->then(op, &entry);
}

void user_enter(struct op *op, const struct claims *claims, op_fn *then)
{
	if (!is_id(claims->sub)) {
		op_fail(op, ERR_UNAUTHENTICATED, NULL, NULL);
		return;
	}
	op->then = then;
	op->caught = not_entered;
	CALL(op, &fn_enter, user_entered, claims->sub, fitting(claims->name, NAME_MAX_CHARS),
	     claims->username, fitting(claims->image, IMAGE_MAX_CHARS),
	     fitting(claims->email, EMAIL_MAX_CHARS), conf.provision_users ? STR("1") : STR("0"),
	     fallback_username(op, claims->sub));
}

/* --- By socket --- */

enum { ARRIVED_FEEDS = 7 /* strings before the pairs */ };

static void user_arrived(struct op *op, const struct strs *reply)
{
	struct arrived a = { 0 };

	op->caught = NULL;
	if (!user_read(reply->v[0], &op->arena, &a.entry.user) ||
	    !stamp_parse(reply->v[1], &a.entry.stamp) || (reply->n - ARRIVED_FEEDS) % 2 != 0) {
		op_fail(op, ERR_INTERNAL, NULL, NULL);
		return;
	}
	a.pid = reply->v[3];
	a.sid = reply->v[4];
	a.take = reply->v[5];
	a.entry.recovered = str_eqz(reply->v[6], "1");
	a.feeds = (struct strs){ reply->v + ARRIVED_FEEDS, reply->n - ARRIVED_FEEDS };
	op->then(op, &a);
}

void user_connect(struct op *op, const struct claims *claims, const struct arrival *arrival,
                  op_fn *then)
{
	if (!is_id(claims->sub)) {
		op_fail(op, ERR_UNAUTHENTICATED, NULL, NULL);
		return;
	}
	op->then = then;
	op->caught = not_entered;
	CALL(op, &fn_connect, user_arrived, claims->sub, fitting(claims->name, NAME_MAX_CHARS),
	     claims->username, fitting(claims->image, IMAGE_MAX_CHARS),
	     fitting(claims->email, EMAIL_MAX_CHARS), conf.provision_users ? STR("1") : STR("0"),
	     fallback_username(op, claims->sub), arrival->pid, arrival->offset, arrival->api,
	     op->services->worker, arrival->new_pid, arrival->new_sid,
	     op_text(op, "%u", conf.recovery_window_ms), arrival->follows, arrival->also);
}

static void session_told(struct op *op, const struct strs *reply)
{
	(void)reply;
	op->then(op, NULL);
}

void session_end(struct op *op, bool leaves, op_fn *then)
{
	op->then = then;
	CALL(op, &fn_end, session_told, op->session, op->take,
	     leaves ? STR("0") : op_text(op, "%u", conf.recovery_window_ms));
}

void sessions_stay(struct op *op, struct strs pairs, op_fn *then)
{
	struct str *args = arena_alloc(&op->arena, (1 + pairs.n) * sizeof(*args));

	args[0] = op->services->worker;
	for (size_t i = 0; i < pairs.n; i++)
		args[1 + i] = pairs.v[i];
	op->then = then;
	call(op, &fn_stay, session_told, args, 1 + pairs.n);
}

void session_unfollow(struct op *op, struct str room, op_fn *then)
{
	op->then = then;
	CALL(op, &fn_unfollow, session_told, op->session, op->take, room);
}

/* --- By password --- */

static bool is_username(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		const char c = s.p[i];
		const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!letter && !(c >= '0' && c <= '9') && c != '_' && c != '.' && c != '-')
			return false;
	}
	return s.len >= 1 && s.len <= USERNAME_MAX;
}

/* Whether all of it may be stored; says what is wrong with it. */
static const char *signup_wrong(const struct signup *s, const char **field)
{
	*field = "username";
	if (!is_username(s->username))
		return "must have 1 to 32 of letters, digits, _ . -";
	*field = "password";
	if (s->password.len < PASSWORD_MIN || s->password.len > PASSWORD_MAX)
		return "must have 8 to 128 bytes";
	*field = "name";
	if (s->name.p != NULL && (s->name.len == 0 || utf8_count(s->name) > NAME_MAX_CHARS))
		return "must have 1 to 64 characters";
	*field = "image";
	return utf8_count(s->image) > IMAGE_MAX_CHARS ? "must have at most 2048 characters" : NULL;
}

static void signup_hashed(struct op *op, const void *result)
{
	const struct signup *s = op->state;
	const struct str *hash = result;

	CALL(op, &fn_create, user_came, s->username, s->name, s->image, *hash);
}

void user_create(struct op *op, const struct signup *signup, op_fn *then)
{
	const char *field;
	const char *wrong = signup_wrong(signup, &field);

	if (wrong != NULL) {
		op_fail(op, ERR_INVALID, field, wrong);
		return;
	}
	struct signup *kept = arena_alloc(&op->arena, sizeof(*kept));
	*kept = *signup;
	op->then = then;
	op->state = kept;
	password_hash(op, kept->password, signup_hashed);
}

struct signin {
	struct str username, password;
	struct str tried;            /* what the try counts as, until it is known to be right */
	struct user user;            /* once it is found */
};

static void signed_in(struct op *op, const struct strs *reply UNUSED)
{
	const struct signin *s = op->state;

	op->then(op, &s->user);
}

static void signin_verified(struct op *op, const void *result)
{
	const struct signin *s = op->state;
	const bool *right = result;

	op->caught = NULL;
	if (!*right)
		op_fail(op, ERR_UNAUTHENTICATED, NULL, "Wrong username or password");
	else if (s->tried.len > 0)
		CALL(op, &fn_right, signed_in, s->username, s->tried);
	else
		signed_in(op, NULL);
}

static void try_returned(struct op *op, const struct strs *reply UNUSED)
{
	op_fail(op, ERR_UNAVAILABLE, NULL, NULL);
}

/* Too many others wait: it was not wrong. */
static bool not_compared(struct op *op, const struct fault *fault UNUSED)
{
	const struct signin *s = op->state;

	if (s->tried.len == 0)
		return false;
	CALL(op, &fn_right, try_returned, s->username, s->tried);
	return true;
}

/* tried, id, hash, user. Where there is nobody to compare with it must not be seen,
 * nor measured. */
static void password_tried(struct op *op, const struct strs *reply)
{
	const struct signin *asked = op->state;
	struct signin *s = arena_alloc(&op->arena, sizeof(*s));
	const bool nobody = reply->v[1].len == 0;

	*s = *asked;
	s->tried = arena_str(&op->arena, reply->v[0]);
	op->state = s;
	op->caught = not_compared;
	if (nobody || user_read(arena_str(&op->arena, reply->v[3]), &op->arena, &s->user))
		password_verify(op, s->password, reply->v[2], signin_verified);
	else
		op_fail(op, ERR_INTERNAL, NULL, NULL);
}

static struct str lower_case(struct op *op, struct str s)
{
	char *lower = arena_alloc(&op->arena, s.len + 1);

	for (size_t i = 0; i < s.len; i++)
		lower[i] = (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] - 'A' + 'a' : s.p[i]);
	return (struct str){ lower, s.len };
}

void user_signin(struct op *op, struct str username, struct str password, op_fn *then)
{
	struct signin *s = arena_alloc(&op->arena, sizeof(*s));

	s->username = lower_case(op, username);
	s->password = password;
	op->then = then;
	op->state = s;
	/* Such a text is nobody's name, nor may it be counted: it could spell a room's counter. */
	if (!is_username(username)) {
		password_verify(op, password, STR_NONE, signin_verified);
		return;
	}
	CALL(op, &fn_try, password_tried, s->username, op_text(op, "%u", conf.password_rate));
}

/* --- The rest --- */

void user_get(struct op *op, struct str id, op_fn *then)
{
	op->then = then;
	CALL(op, &fn_get, user_came, id);
}

/* next, user… */
static void users_listed(struct op *op, const struct strs *reply)
{
	const size_t n = reply->n - 1;
	struct user *users = arena_alloc(&op->arena, n * sizeof(*users));
	const struct user_page page = { .v = users, .n = n };
	bool good = true;

	for (size_t i = 0; good && i < n; i++)
		good = user_read(reply->v[i + 1], &op->arena, &users[i]);
	if (good)
		op->then(op, &page);
	else
		op_fail(op, ERR_INTERNAL, NULL, NULL);
}

void user_list(struct op *op, struct str after, int64_t limit, op_fn *then)
{
	op->then = then;
	CALL(op, &fn_list, users_listed, after, op_text(op, "%" PRId64, limit));
}

static void account_deleted(struct op *op, const struct strs *reply UNUSED)
{
	op->then(op, NULL);
}

void user_delete(struct op *op, struct str id, op_fn *then)
{
	op->then = then;
	CALL(op, &fn_delete, account_deleted, id);
}

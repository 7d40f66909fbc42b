/* Sessions whose sockets live are named to Redis again, some in each call. Nothing is kept of what
 * it was told: said again, it changes nothing. */
#include "worker/api/staying.h"

#include "worker/domain/user.h"
#include "worker/socketio/socket.h"

enum { SESSIONS_A_CALL = 200, STRINGS = 2 * SESSIONS_A_CALL };

static struct {
	const struct services *services;
	const struct engine *engine;
	bool refused;
} stayings;

/* The call that is being put together; NULL: none is. */
struct round {
	struct op *op;
	struct str *pairs;
	size_t n;
};

static void stayings_told(struct op *op, const void *result UNUSED)
{
	op_reply(op, STR_NONE);
}

static bool stayings_failed(struct op *op, const struct fault *fault UNUSED)
{
	stayings.refused = true;
	op_reply(op, STR_NONE);
	return true;
}

static void say(struct round *round)
{
	struct op *op = round->op;
	const struct strs pairs = { round->pairs, round->n };
	if (op == NULL)
		return;
	*round = (struct round){ 0 };
	op->caught = stayings_failed;
	sessions_stay(op, pairs, stayings_told);
}

static void add(struct socket *s, void *ctx)
{
	struct round *round = ctx;
	if (s->take[0] == '\0')
		return;
	if (round->op == NULL) {
		round->op = op_new(stayings.services, NULL, NULL, NULL);
		round->pairs = arena_alloc(&round->op->arena, STRINGS * sizeof(*round->pairs));
	}
	round->pairs[round->n++] = (struct str){ s->pid, SOCKET_SID_LEN };
	round->pairs[round->n++] = str_z(s->take);
	if (round->n == STRINGS)
		say(round);
}

void stayings_again(void)
{
	struct round round = { 0 };
	stayings.refused = false;
	sockets_each(stayings.engine, add, &round);
	say(&round);
}

void stayings_retry(void)
{
	if (stayings.refused)
		stayings_again();
}

void stayings_init(const struct services *services, const struct engine *engine)
{
	stayings.services = services;
	stayings.engine = engine;
	stayings.refused = false;
}

/* Socket.IO packets: decoded, written and decoded again they say the same; placeholders stay within
 * the attachments, whichever of doubled keys is believed. */
#include "tests/fuzz/fuzz.h"
#include "worker/socketio/codec.h"

static void check_same(const struct sio_packet *a, const struct sio_packet *b)
{
	CHECK(a->type == b->type && a->attachments == b->attachments);
	CHECK(str_eq(a->nsp, b->nsp) && str_eq(a->id, b->id) && str_eq(a->data, b->data));
	CHECK(str_eq(a->event, b->event) && str_eq(a->args, b->args));
}

/* The arguments one by one are the elements of the array after the first. */
static void check_args(const struct sio_packet *p)
{
	struct json_iter it = json_iter(p->data);
	struct str args = p->args, arg, element, trimmed;

	CHECK(json_next(&it, NULL, &element) && str_eq(element, p->event));
	while (sio_next_arg(&args, &arg)) {
		CHECK(json_valid(arg, &trimmed) && trimmed.len == arg.len);
		CHECK(json_next(&it, NULL, &element) && str_eq(element, arg));
	}
	CHECK(args.len == 0 && !json_next(&it, NULL, &element));
}

/* The application may answer with the arguments as they stand. */
static void check_answer(const struct sio_packet *p)
{
	struct buf array = { 0 };
	struct str value;

	buf_char(&array, '[');
	buf_str(&array, p->args);
	buf_char(&array, ']');
	CHECK(json_valid(buf_view(&array), &value));
	buf_fini(&array);
}

static void check_placeholder(struct str object, unsigned attachments)
{
	struct json_iter it = json_iter(object);
	struct str key, value;
	bool is_one = false, num_good = true;
	unsigned nums = 0;
	int64_t n;

	while (json_next(&it, &key, &value)) {
		is_one |= json_text_is(key, STR("_placeholder")) && str_eqz(value, "true");
		if (!json_text_is(key, STR("num")))
			continue;
		nums++;
		num_good &= json_i64(value, &n) && n >= 0 && n < attachments;
	}
	CHECK(!is_one || (nums > 0 && num_good));
}

static void check_placeholders(struct str value, unsigned attachments)
{
	if (json_type(value) != JSON_OBJECT && json_type(value) != JSON_ARRAY)
		return;
	if (json_type(value) == JSON_OBJECT)
		check_placeholder(value, attachments);
	struct json_iter it = json_iter(value);
	struct str inner;
	while (json_next(&it, NULL, &inner))
		check_placeholders(inner, attachments);
}

static void check_packet(struct str s, const struct sio_packet *p)
{
	struct str value;

	CHECK(p->type != SIO_CONNECT_ERROR && p->type <= SIO_BINARY_ACK);
	CHECK(p->id.len <= SIO_MAX_ID_DIGITS && p->nsp.len > 0 && p->nsp.p[0] == '/');
	CHECK(fuzz_within(p->id, s) && fuzz_within(p->data, s));
	CHECK(p->data.len == 0 || (json_valid(p->data, &value) && value.len == p->data.len));
	const bool binary = p->type == SIO_BINARY_EVENT || p->type == SIO_BINARY_ACK;
	CHECK(binary ? p->attachments >= 1 && p->attachments <= SIO_MAX_ATTACHMENTS
	             : p->attachments == 0);
	if (binary)
		check_placeholders(p->data, p->attachments);
	if (p->type != SIO_EVENT && p->type != SIO_BINARY_EVENT)
		return;
	check_args(p);
	check_answer(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const struct str s = fuzz_str(bytes, len);
	struct sio_packet p, again;
	struct buf out = { 0 };

	if (!sio_decode(s, &p))
		return 0;
	check_packet(s, &p);
	sio_encode(&out, p.type, p.attachments, p.nsp, p.id, p.data);
	CHECK(sio_decode(buf_view(&out), &again));
	check_same(&p, &again);
	buf_fini(&out);
	return 0;
}

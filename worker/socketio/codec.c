/* Socket.IO v5 packets (protocol.md §10 to §12), read from left to right:
 *
 *   5 2- /admin, 13 ["e",{"_placeholder":true,"num":0},…]
 *   │ │  │       │  └─ JSON, checked by the rules of the type
 *   │ │  │       └─ ack id
 *   │ │  └─ namespace, up to the comma or the end
 *   │ └─ attachments, with binary types only
 *   └─ type
 */
#include "worker/socketio/codec.h"

static bool is_binary(enum sio_type type)
{
	return type == SIO_BINARY_EVENT || type == SIO_BINARY_ACK;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct str skip_blanks(struct str s)
{
	size_t i = 0;
	while (i < s.len && is_blank(s.p[i]))
		i++;
	return str_from(s, i);
}

/* Cuts the digits off the start. */
static struct str take_digits(struct str *rest)
{
	size_t n = 0;
	while (n < rest->len && rest->p[n] >= '0' && rest->p[n] <= '9')
		n++;
	struct str digits = { rest->p, n };
	*rest = str_from(*rest, n);
	return digits;
}

static bool take_type(struct str *rest, struct sio_packet *out)
{
	if (!rest->len || rest->p[0] < '0' || rest->p[0] > '6')
		return false;
	out->type = (enum sio_type)(rest->p[0] - '0');
	*rest = str_from(*rest, 1);
	return out->type != SIO_CONNECT_ERROR;
}

static bool take_attachments(struct str *rest, struct sio_packet *out)
{
	if (!is_binary(out->type))
		return true;
	struct str digits = take_digits(rest);
	uint64_t n;
	if (!digits.len || !str_u64(digits, &n) || n < 1 || n > SIO_MAX_ATTACHMENTS)
		return false;
	if (!rest->len || rest->p[0] != '-')
		return false;
	*rest = str_from(*rest, 1);
	out->attachments = (unsigned)n;
	return true;
}

static void take_nsp(struct str *rest, struct sio_packet *out)
{
	out->nsp = rest->len && rest->p[0] == '/' ? str_cut(rest, ',') : STR("/");
}

static bool take_id(struct str *rest, struct sio_packet *out)
{
	struct str digits = take_digits(rest);
	out->id = digits.len ? digits : STR_NONE;
	return digits.len <= SIO_MAX_ID_DIGITS;
}

/* Blanks before the JSON are refused: the reference takes them for an ack id of 0. */
static bool take_data(struct str *rest, struct sio_packet *out)
{
	if (!rest->len)
		return true;
	return !is_blank(rest->p[0]) && json_valid(*rest, &out->data);
}

static bool placeholders_valid(struct str value, unsigned attachments);

static bool num_valid(struct str value, unsigned attachments)
{
	int64_t n;
	return json_type(value) == JSON_NUMBER && json_i64(value, &n) && n >= 0 && n < attachments;
}

/* With doubled keys, one `true` makes a placeholder and each `num` has to be right: whichever of
 * them a receiver takes, it stays within the attachments. */
static bool object_valid(struct str object, unsigned attachments)
{
	struct json_iter it = json_iter(object);
	struct str key, value;
	bool placeholder = false, num = false, num_bad = false;
	while (json_next(&it, &key, &value)) {
		if (json_text_is(key, STR("_placeholder"))) {
			placeholder |= str_eqz(value, "true");
		} else if (json_text_is(key, STR("num"))) {
			num = true;
			num_bad |= !num_valid(value, attachments);
		}
		if (!placeholders_valid(value, attachments))
			return false;
	}
	return !placeholder || (num && !num_bad);
}

static bool array_valid(struct str array, unsigned attachments)
{
	struct json_iter it = json_iter(array);
	struct str value;
	while (json_next(&it, NULL, &value))
		if (!placeholders_valid(value, attachments))
			return false;
	return true;
}

/* Goes as deep as the scanner let the text be: JSON_DEPTH. */
static bool placeholders_valid(struct str value, unsigned attachments)
{
	if (json_type(value) == JSON_OBJECT)
		return object_valid(value, attachments);
	return json_type(value) != JSON_ARRAY || array_valid(value, attachments);
}

static bool event_name_allowed(struct str name)
{
	static const char *const reserved[] = {
		"connect", "connect_error", "disconnect", "disconnecting",
		"newListener", "removeListener",
	};
	if (json_type(name) == JSON_NUMBER)
		return true;
	if (json_type(name) != JSON_STRING)
		return false;
	for (size_t i = 0; i < COUNT_OF(reserved); i++)
		if (json_text_is(name, str_z(reserved[i])))
			return false;
	return true;
}

/* What stands between the event's name and the closing bracket, without the comma. */
static struct str args_after(struct str array, struct str name)
{
	const char *p = name.p + name.len, *end = array.p + array.len - 1;
	while (end > p && is_blank(end[-1]))
		end--;
	struct str args = skip_blanks((struct str){ p, (size_t)(end - p) });
	return skip_blanks(str_from(args, 1));
}

static bool connect_valid(struct sio_packet *p)
{
	return !p->data.len || json_type(p->data) == JSON_OBJECT;
}

static bool disconnect_valid(struct sio_packet *p)
{
	return !p->data.len;
}

static bool event_valid(struct sio_packet *p)
{
	if (!p->data.len || json_type(p->data) != JSON_ARRAY)
		return false;
	struct json_iter it = json_iter(p->data);
	if (!json_next(&it, NULL, &p->event) || !event_name_allowed(p->event))
		return false;
	p->args = args_after(p->data, p->event);
	return true;
}

/* A bare ack is let through, to be ignored as one for an unknown id is (protocol.md §12). */
static bool ack_valid(struct sio_packet *p)
{
	return !p->data.len || json_type(p->data) == JSON_ARRAY;
}

static bool binary_event_valid(struct sio_packet *p)
{
	return event_valid(p) && placeholders_valid(p->data, p->attachments);
}

static bool binary_ack_valid(struct sio_packet *p)
{
	return p->data.len && ack_valid(p) && placeholders_valid(p->data, p->attachments);
}

bool sio_decode(struct str text, struct sio_packet *out)
{
	static bool (*const valid[])(struct sio_packet *p) = {
		[SIO_CONNECT] = connect_valid,
		[SIO_DISCONNECT] = disconnect_valid,
		[SIO_EVENT] = event_valid,
		[SIO_ACK] = ack_valid,
		[SIO_BINARY_EVENT] = binary_event_valid,
		[SIO_BINARY_ACK] = binary_ack_valid,
	};
	*out = (struct sio_packet){ 0 };
	if (!take_type(&text, out) || !take_attachments(&text, out))
		return false;
	take_nsp(&text, out);
	return take_id(&text, out) && take_data(&text, out) && valid[out->type](out);
}

bool sio_next_arg(struct str *args, struct str *value)
{
	size_t len = args->len ? json_scan(*args) : 0;
	if (!len)
		return false;
	*value = skip_blanks((struct str){ args->p, len });
	*args = str_from(skip_blanks(str_from(*args, len)), 1);
	return true;
}

void sio_encode(struct buf *out, enum sio_type type, unsigned attachments, struct str nsp,
                struct str id, struct str data)
{
	buf_char(out, (char)('0' + (int)type));
	if (is_binary(type)) {
		buf_u64(out, attachments);
		buf_char(out, '-');
	}
	if (nsp.len && !str_eqz(nsp, "/")) {
		buf_str(out, nsp);
		buf_char(out, ',');
	}
	buf_str(out, id);
	buf_str(out, data);
}

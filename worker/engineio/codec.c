/* Engine.IO v4 packets, alone and in polling payloads (protocol.md §3, §4). */
#include "worker/engineio/codec.h"

enum { SEPARATOR = 0x1e };

static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZ" "abcdefghijklmnopqrstuvwxyz" "0123456789+/";

enum { XX = 0xff };

/* Six bits per digit; '-' and '_' are the URL-safe spelling of '+' and '/'. */
static const uint8_t base64_bits[128] = {
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, 62, XX, 62, XX, 63,
	52, 53, 54, 55, 56, 57, 58, 59, 60, 61, XX, XX, XX, XX, XX, XX,
	XX,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14,
	15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, XX, XX, XX, XX, 63,
	XX, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
	41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, XX, XX, XX, XX, XX,
};

static uint8_t base64_digit(char c)
{
	unsigned char byte = (unsigned char)c;
	return byte < 128 ? base64_bits[byte] : XX;
}

/* Takes the padding off; false when it does not fill up a group of four. */
static bool base64_unpad(struct str *text)
{
	size_t len = text->len;
	while (len && text->p[len - 1] == '=')
		len--;
	size_t padding = text->len - len;
	if (padding && (padding > 2 || text->len % 4 != 0))
		return false;
	text->len = len;
	return len % 4 != 1;
}

static bool base64_decode(struct str text, struct buf *out)
{
	if (!base64_unpad(&text))
		return false;
	unsigned char *to = (unsigned char *)buf_reserve(out, text.len / 4 * 3 + 2);
	size_t n = 0;
	uint32_t bits = 0;
	unsigned pending = 0;
	for (size_t i = 0; i < text.len; i++) {
		uint8_t digit = base64_digit(text.p[i]);
		if (digit == XX)
			return false;
		bits = bits << 6 | digit;
		pending += 6;
		if (pending >= 8) {
			pending -= 8;
			to[n++] = (unsigned char)(bits >> pending);
		}
	}
	out->len += n;
	return true;
}

/* Up to three bytes as four digits. */
static void base64_encode_group(const unsigned char *bytes, size_t n, char *to)
{
	uint32_t bits = (uint32_t)bytes[0] << 16;
	if (n > 1)
		bits |= (uint32_t)bytes[1] << 8;
	if (n > 2)
		bits |= bytes[2];
	to[0] = base64_digits[bits >> 18];
	to[1] = base64_digits[bits >> 12 & 63];
	to[2] = n > 1 ? base64_digits[bits >> 6 & 63] : '=';
	to[3] = n > 2 ? base64_digits[bits & 63] : '=';
}

static void base64_encode(struct buf *out, struct str data)
{
	const unsigned char *bytes = (const unsigned char *)data.p;
	char *to = buf_reserve(out, (data.len + 2) / 3 * 4);
	for (size_t i = 0; i < data.len; i += 3, to += 4, out->len += 4)
		base64_encode_group(bytes + i, data.len - i, to);
}

bool eio_decode(struct str text, struct eio_packet *out)
{
	if (!text.len || text.p[0] < EIO_OPEN || text.p[0] > EIO_NOOP)
		return false;
	*out = (struct eio_packet){ .type = (enum eio_type)text.p[0], .data = str_from(text, 1) };
	return true;
}

static bool decode_binary(struct str text, struct buf *scratch, struct eio_packet *out)
{
	buf_clear(scratch);
	if (!base64_decode(text, scratch))
		return false;
	*out = (struct eio_packet){ .type = EIO_BINARY, .data = buf_view(scratch) };
	return true;
}

int eio_payload_next(struct str *rest, bool *first, struct buf *scratch, struct eio_packet *out)
{
	/* After the last packet nothing is left; after a trailing separator, an empty packet is. */
	if (!rest->p && !*first)
		return 0;
	*first = false;
	if (!rest->len)
		return -1;
	struct str packet = str_cut(rest, SEPARATOR);
	if (str_starts(packet, STR("b")))
		return decode_binary(str_from(packet, 1), scratch, out) ? 1 : -1;
	return utf8_valid(packet) && eio_decode(packet, out) ? 1 : -1;
}

void eio_payload_add(struct buf *payload, enum eio_type type, struct str data)
{
	if (payload->len)
		buf_char(payload, SEPARATOR);
	buf_char(payload, (char)type);
	if (type == EIO_BINARY)
		base64_encode(payload, data);
	else
		buf_str(payload, data);
}

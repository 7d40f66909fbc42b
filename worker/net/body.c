/* Takes the body of a request in whatever pieces it comes.
 *
 *   5 ; ext CR LF hello CR LF 0 CR LF CR LF
 *   │ │     │  │  │     │  │          └┴─ AT_TRAILER, AT_TRAILER_LF (then DONE)
 *   │ │     │  │  │     └──┴─ AT_DATA_CR, AT_DATA_LF
 *   │ │     │  │  └─ AT_DATA, taken in one go
 *   │ │     └──┴─ AT_EXTENSION ends, AT_SIZE_LF
 *   │ └─ AT_EXTENSION
 *   └─ AT_SIZE
 */
#include "worker/net/body.h"

enum {
	SIZE_MAX_DIGITS = 16,
	EXTENSION_MAX = 256,
};

enum state {
	AT_SIZE, AT_EXTENSION, AT_SIZE_LF, AT_DATA, AT_DATA_CR, AT_DATA_LF,
	AT_TRAILER, AT_TRAILER_LF,
	IS_DONE, IS_BAD, IS_TOO_LARGE,
};

static enum body_status status_of(enum state s)
{
	static const enum body_status statuses[] = {
		[IS_DONE] = BODY_DONE, [IS_BAD] = BODY_BAD, [IS_TOO_LARGE] = BODY_TOO_LARGE,
	};
	return s < IS_DONE ? BODY_MORE : statuses[s];
}

static int hex_digit(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Blanks are not taken here: "5 ;x" and "5 " are read in two ways out there. */
static enum state take_size(struct body *b, unsigned char c)
{
	int digit = hex_digit(c);
	if (digit >= 0) {
		b->left = b->left << 4 | (unsigned)digit;
		return ++b->line > SIZE_MAX_DIGITS ? IS_BAD : AT_SIZE;
	}
	if (!b->line || (c != ';' && c != '\r'))
		return IS_BAD;
	b->line = 0;
	return c == ';' ? AT_EXTENSION : AT_SIZE_LF;
}

static enum state take_extension(struct body *b, unsigned char c)
{
	if (c == '\r')
		return AT_SIZE_LF;
	bool text = c == '\t' || (c >= ' ' && c != 0x7f);
	return text && ++b->line <= EXTENSION_MAX ? AT_EXTENSION : IS_BAD;
}

static enum state take_size_lf(struct body *b, unsigned char c)
{
	if (c != '\n')
		return IS_BAD;
	b->line = 0;
	if (!b->left)
		return AT_TRAILER;
	return b->left > b->max - b->total ? IS_TOO_LARGE : AT_DATA;
}

static enum state take_data_cr(struct body *b UNUSED, unsigned char c)
{
	return c == '\r' ? AT_DATA_LF : IS_BAD;
}

static enum state take_data_lf(struct body *b UNUSED, unsigned char c)
{
	return c == '\n' ? AT_SIZE : IS_BAD;
}

static enum state take_trailer(struct body *b UNUSED, unsigned char c)
{
	return c == '\r' ? AT_TRAILER_LF : IS_BAD;
}

static enum state take_trailer_lf(struct body *b UNUSED, unsigned char c)
{
	return c == '\n' ? IS_DONE : IS_BAD;
}

/* AT_DATA has no row: content is taken many bytes at a time. */
static enum state (*const take[])(struct body *b, unsigned char c) = {
	[AT_SIZE] = take_size,
	[AT_EXTENSION] = take_extension,
	[AT_SIZE_LF] = take_size_lf,
	[AT_DATA_CR] = take_data_cr,
	[AT_DATA_LF] = take_data_lf,
	[AT_TRAILER] = take_trailer,
	[AT_TRAILER_LF] = take_trailer_lf,
};

static struct str take_content(struct body *b, struct str *in)
{
	size_t n = b->left < in->len ? (size_t)b->left : in->len;
	struct str piece = { in->p, n };
	*in = str_from(*in, n);
	b->left -= n;
	b->total += n;
	if (!b->left)
		b->state = b->kind == BODY_CHUNKED ? AT_DATA_CR : IS_DONE;
	return piece;
}

static enum state first_state(const struct body *b)
{
	if (b->kind == BODY_CHUNKED)
		return AT_SIZE;
	if (b->left > b->max)
		return IS_TOO_LARGE;
	return b->left ? AT_DATA : IS_DONE;
}

enum body_status body_start(struct body *b, const struct head *h, uint64_t max)
{
	*b = (struct body){
		.kind = h->body,
		.left = h->body == BODY_LENGTH ? h->length : 0,
		.max = max,
	};
	b->state = (uint8_t)first_state(b);
	return status_of(b->state);
}

enum body_status body_next(struct body *b, struct str *in, struct str *piece)
{
	*piece = STR_NONE;
	while (in->len && b->state < IS_DONE) {
		if (b->state == AT_DATA) {
			*piece = take_content(b, in);
			break;
		}
		b->state = (uint8_t)take[b->state](b, (unsigned char)in->p[0]);
		*in = str_from(*in, 1);
	}
	return status_of(b->state);
}

enum body_status body_feed(struct body *b, struct str *in, struct buf *out)
{
	enum body_status status;
	struct str piece;
	do {
		status = body_next(b, in, &piece);
		buf_str(out, piece);
	} while (status == BODY_MORE && in->len);
	return status;
}

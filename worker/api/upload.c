/* The door for files. What comes is checked and written as it comes, so that little of it is kept
 * in memory; the token and the space there is are looked at before a byte of it is read.
 * What is asked for is sent as fast as the client takes it, a piece at a time. */
#include "worker/domain/upload.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/mem.h"
#include "worker/api/door.h"
#include "worker/net/multipart.h"

enum { OVERHEAD_MAX = 64 * 1024 /* of a body, beside its files */, PIECE = 64 * 1024 };

static const struct services *services;

static void replied(struct op *op, struct str json)
{
	http_answer(op->asker, op->status, "application/json", json, NULL);
}

static void failed(struct op *op, const struct fault *fault)
{
	const struct request *r = op->asker;
	note_request(op, "POST /api/upload", r->conn, fault);
	rest_refuse(op, fault);
}

static const struct asker_vt asker = { .reply = replied, .fail = failed };

/* --- What comes: a body on its way to disk; r->owner once its user is known --- */

struct receipt {
	struct arena arena;
	struct multipart multipart;
	struct upload *upload;
	struct str user;
	struct list ops;             /* a flush under way */
	bool in_file;                /* the part under way is one */
	bool over;                   /* the last part is whole */
};

static void receipt_free(struct receipt *in)
{
	op_orphan(&in->ops);
	if (in->upload != NULL)
		upload_drop(in->upload);
	multipart_fini(&in->multipart);
	arena_fini(&in->arena);
	free(in);
}

static void fail(struct request *r, const struct fault *why)
{
	op_fault(op_new(services, &asker, r, NULL), why);
}

static void end_badly(struct request *r, const struct fault *why)
{
	receipt_free(r->owner);
	fail(r, why);
}

/* Only the field `file` counts; others are passed over. */
static enum err begin_part(struct receipt *in, struct fault *why)
{
	in->in_file = str_eqz(in->multipart.name, "file");
	if (!in->in_file)
		return ERR_OK;
	if (in->multipart.is_file)
		return upload_begin(in->upload, in->multipart.filename, why);
	*why = (struct fault){ ERR_INVALID, STR("file"), STR("must be a file"), 0 };
	return ERR_INVALID;
}

static enum err take_event(struct receipt *in, enum multipart_event event, struct str data,
                           struct fault *why)
{
	switch (event) {
	case MULTIPART_PART:
		return begin_part(in, why);
	case MULTIPART_DATA:
		return in->in_file ? upload_write(in->upload, data, why) : ERR_OK;
	case MULTIPART_END:
		return in->in_file ? upload_end(in->upload, why) : ERR_OK;
	case MULTIPART_BAD:
		*why = (struct fault){
			.code = ERR_BAD_REQUEST,
			.detail = STR("The body is not multipart/form-data"),
		};
		return ERR_BAD_REQUEST;
	default:
		in->over |= event == MULTIPART_OVER;
		return ERR_OK;
	}
}

static void flushed(struct op *op, const void *result UNUSED)
{
	struct request *r = op->asker;
	op_reply(op, STR_NONE);
	http_read(r);
}

static void flush_replied(struct op *op UNUSED, struct str json UNUSED)
{
}

static void flush_failed(struct op *op, const struct fault *why)
{
	end_badly(op->asker, why);
}

static const struct asker_vt flusher = { .reply = flush_replied, .fail = flush_failed };

/* The rest of the body waits until the disk has what there is. */
static void flush(struct request *r)
{
	struct receipt *in = r->owner;
	http_wait(r);
	upload_flush(op_new(services, &flusher, r, &in->ops), in->upload, flushed);
}

static void on_piece(struct request *r, struct str bytes)
{
	struct receipt *in = r->owner;
	struct fault why;
	struct str data;
	while (bytes.len > 0 && !in->over) {
		enum multipart_event event = multipart_next(&in->multipart, &bytes, &data);
		if (take_event(in, event, data, &why) != ERR_OK) {
			end_badly(r, &why);
			return;
		}
	}
	if (upload_is_full(in->upload))
		flush(r);
}

static void on_unreadable(struct request *r, unsigned status)
{
	const enum err e = status == 413   ? ERR_TOO_LARGE
	                   : status == 408 ? ERR_TIMEOUT
	                                   : ERR_BAD_REQUEST;
	const struct fault why = { .code = e };
	end_badly(r, &why);
}

static void on_cut(struct request *r)
{
	receipt_free(r->owner);
}

/* While an op is under way: it ends unheard. */
static void on_gone(struct request *r)
{
	struct op *op = r->owner;
	op->asker = NULL;
}

static void kept(struct op *op, const void *result)
{
	const struct strs *list = result;
	struct buf json = { 0 };
	struct json_out j = json_out(&json);
	json_open(&j, '{');
	json_key(&j, "data");
	if (list->n > 1)
		json_open(&j, '[');
	for (size_t i = 0; i < list->n; i++)
		json_raw(&j, list->v[i]);
	if (list->n > 1)
		json_close(&j, ']');
	op->status = 201;
	api_reply(op, &json);
}

static void on_whole(struct request *r, struct str content UNUSED)
{
	struct receipt *in = r->owner;
	struct fault why = {
		.code = ERR_BAD_REQUEST, .detail = STR("The body is not multipart/form-data"),
	};
	if (in->over && upload_count(in->upload) == 0)
		why = (struct fault){ ERR_INVALID, STR("file"), STR("is required"), 0 };
	if (!in->over || upload_count(in->upload) == 0) {
		end_badly(r, &why);
		return;
	}
	struct op *op = op_new(services, &asker, r, NULL);
	struct upload *upload = in->upload;
	op->user = arena_str(&op->arena, in->user);
	in->upload = NULL;
	receipt_free(in);
	r->owner = op;
	r->gone = on_gone;
	upload_keep(op, upload, kept);
}

/* --- Before it is read --- */

/* A body that waits for its user to be known; op->row. */
struct announced {
	struct multipart multipart;
	uint64_t bytes;              /* 0: not said */
};

static void allowed(struct op *op, const void *result UNUSED)
{
	struct request *r = op->asker;
	if (r == NULL) {
		op_reply(op, STR_NONE);
		return;
	}
	struct receipt *in = xcalloc(1, sizeof(*in));
	in->multipart = ((const struct announced *)op->row)->multipart;
	in->upload = upload_new();
	list_init(&in->ops);
	in->user = arena_str(&in->arena, op->user);
	r->owner = in;
	r->unreadable = on_unreadable;
	r->gone = on_cut;
	op->asker = NULL;
	op_reply(op, STR_NONE);
	http_read(r);
}

static void user_known(struct op *op, const void *entry UNUSED)
{
	const struct announced *body = op->row;
	upload_allow(op, body->bytes, allowed);
}

static uint64_t most(void)
{
	return (uint64_t)conf.upload_max_file * conf.upload_max_files + OVERHEAD_MAX;
}

static bool has_body(const struct head *h)
{
	return h->body != BODY_NONE && !(h->body == BODY_LENGTH && h->length == 0);
}

static void refuse_method(struct request *r, const char *allow)
{
	http_answer(r, 405, "application/json",
	            STR("{\"message\":\"Method not allowed\",\"errors\":{}}"), allow);
}

/* The request that waits for its user; its body is refused here where its head says enough. */
static void receive(struct request *r, const struct head *h)
{
	struct op *op = op_new(services, &asker, r, NULL);
	struct handshake shown = {
		.auth = STR("{}"), .authorization = head_field(h, "authorization"),
	};
	struct announced *body = arena_alloc(&op->arena, sizeof(*body));
	struct str token = arena_str(&op->arena, api_token(op, &shown));
	struct claims claims;
	enum err e = api_verify(op, token, &claims);
	if (e == ERR_OK &&
	    (!has_body(h) || !multipart_init(&body->multipart, head_field(h, "content-type"))))
		e = ERR_MEDIA_TYPE;
	if (e == ERR_OK && h->body == BODY_LENGTH && h->length > most())
		e = ERR_TOO_LARGE;
	if (e != ERR_OK) {
		op_fail(op, e, NULL, NULL);
		return;
	}
	op->user = claims.sub;
	body->bytes = h->body == BODY_LENGTH ? h->length : 0;
	op->row = body;
	r->owner = op;
	r->max_body = most();
	r->waits = true;
	r->complete = on_whole;
	r->piece = on_piece;
	r->gone = on_gone;
	api_authenticate(op, token, user_known);
}

void upload_head(struct request *r, const struct head *h)
{
	if (!str_eqz(h->path, "/api/upload") && !str_eqz(h->path, "/api/upload/"))
		http_refuse(r, err_status(ERR_NOT_FOUND), err_text(ERR_NOT_FOUND));
	else if (!str_eqz(h->method, "POST"))
		refuse_method(r, "Allow: POST\r\n");
	else
		receive(r, h);
}

/* --- What goes --- */

/* What a GET asks for, in its op's arena; op->row. */
struct visit {
	struct str id, filename;     /* of the path */
	struct str range, if_range, if_none_match;
};

/* A file being sent; r->owner. */
struct sending {
	int fd;
	uint64_t at, end;
};

static void sending_free(struct sending *s)
{
	close(s->fd);
	free(s);
}

static void on_left(struct request *r)
{
	sending_free(r->owner);
}

/* The next piece. A file that is shorter than it was ends the connection,
 * for its length was said. */
static void send_more(struct request *r)
{
	static char piece[PIECE];
	struct sending *s = r->owner;
	uint64_t want = s->end - s->at < PIECE ? s->end - s->at : PIECE;
	ssize_t n = pread(s->fd, piece, (size_t)want, (off_t)s->at);
	if (n <= 0) {
		conn_close(r->conn, REASON_HTTP_DONE);
		return;
	}
	s->at += (uint64_t)n;
	bool last = s->at == s->end;
	if (last) {
		r->gone = NULL;
		sending_free(s);
	}
	http_send(r, (struct str){ piece, (size_t)n }, last);
}

/* The two numbers of "5-9", either of which may be missing; `size` marks that. */
static bool read_range(struct str text, uint64_t size, uint64_t *first, uint64_t *last)
{
	struct str rest = text, from = str_trim(str_cut(&rest, '-'));
	if (rest.p == NULL)
		return false;
	rest = str_trim(rest);
	*first = *last = size;
	return (from.len > 0 || rest.len > 0) && (from.len == 0 || str_u64(from, first)) &&
	       (rest.len == 0 || str_u64(rest, last)) &&
	       (from.len == 0 || rest.len == 0 || *first <= *last);
}

enum ranged { WHOLE, PART, UNSATISFIABLE };

/* One range of bytes (RFC 9110 §14.2); what is no such range, or several, is the whole. */
static enum ranged cut_range(struct str range, uint64_t size, uint64_t *from, uint64_t *end)
{
	uint64_t first, last;
	*from = 0;
	*end = size;
	if (!str_starts(range, STR("bytes=")) || str_has(range, ','))
		return WHOLE;
	struct str text = str_from(range, 6);
	if (!read_range(text, size, &first, &last))
		return WHOLE;
	if (str_trim(text).p[0] == '-') {
		*from = last < size ? size - last : 0;
		return last > 0 && size > 0 ? PART : UNSATISFIABLE;
	}
	if (first >= size)
		return UNSATISFIABLE;
	*from = first;
	*end = last < size ? last + 1 : size;
	return PART;
}

static bool names_tag(struct str list, struct str tag)
{
	while (list.len > 0) {
		struct str one = str_trim(str_cut(&list, ','));
		if (str_starts(one, STR("W/")))
			one = str_from(one, 2);
		if (str_eq(one, tag) || str_eqz(one, "*"))
			return true;
	}
	return false;
}

/* RFC 8187: all but letters and digits by their bytes. */
static void put_extended(struct buf *out, struct str text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.p[i];
		bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
		if (letter || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_')
			buf_char(out, (char)c);
		else
			buf_printf(out, "%%%02X", c);
	}
}

/* Nothing that a browser finds in a file may run, whatever it takes the file for. */
static void put_headers(struct buf *out, const struct kept_file *file, struct str tag)
{
	buf_printf(out, "ETag: %.*s\r\nCache-Control: private, max-age=31536000, immutable\r\n",
	           STR_ARG(tag));
	buf_z(out, "Accept-Ranges: bytes\r\nX-Content-Type-Options: nosniff\r\n"
	           "Content-Security-Policy: default-src 'none'; sandbox\r\n");
	buf_printf(out, "Content-Disposition: %s; filename=\"%.*s\"; filename*=UTF-8''",
	           file->shown ? "inline" : "attachment", STR_ARG(file->filename));
	put_extended(out, file->original);
	buf_z(out, "\r\n");
}

static struct str content_type(struct op *op, const struct kept_file *file)
{
	bool text = str_starts(file->type, STR("text/"));
	return op_text(op, "%.*s%s", STR_ARG(file->type), text ? "; charset=utf-8" : "");
}

/* Sends what the visit wants of an open file, or says that there is no need to. */
static void answer(struct op *op, const struct kept_file *file, int fd, uint64_t size)
{
	const struct visit *v = op->row;
	struct request *r = op->asker;
	struct str tag = op_text(op, "\"%.*s\"", STR_ARG(v->id));
	struct buf extra = { 0 };
	uint64_t from, end;
	bool whole = r->is_head || (v->if_range.len > 0 && !str_eq(v->if_range, tag));
	enum ranged ranged = cut_range(whole ? STR_NONE : v->range, size, &from, &end);
	unsigned status = ranged == WHOLE ? 200 : ranged == PART ? 206 : 416;
	if (names_tag(v->if_none_match, tag))
		status = 304;
	put_headers(&extra, file, tag);
	if (status == 206)
		buf_printf(&extra, "Content-Range: bytes %llu-%llu/%llu\r\n",
		           (unsigned long long)from, (unsigned long long)end - 1,
		           (unsigned long long)size);
	if (status == 416)
		buf_printf(&extra, "Content-Range: bytes */%llu\r\n", (unsigned long long)size);
	buf_char(&extra, '\0');
	struct sending *s = xmalloc(sizeof(*s));
	*s = (struct sending){ fd, from, end };
	r->owner = s;
	r->gone = on_left;
	r->more = send_more;
	op->asker = NULL;
	bool sends = status == 200 || status == 206;
	if (!sends || !http_stream(r, status, content_type(op, file).p, end - from, extra.p))
		sending_free(s);
	if (!sends) {
		r->gone = NULL;
		r->more = NULL;
		http_answer(r, status, NULL, STR_NONE, extra.p);
	}
	buf_fini(&extra);
	op_reply(op, STR_NONE);
}

static void file_found(struct op *op, const void *result)
{
	const struct kept_file *file = result;
	const struct visit *v = op->row;
	uint64_t size;
	if (op->asker == NULL) {
		op_reply(op, STR_NONE);
		return;
	}
	int fd = str_eq(file->filename, v->filename) ? upload_open(v->id, &size) : -1;
	if (fd < 0)
		op_fail(op, ERR_NOT_FOUND, NULL, NULL);
	else
		answer(op, file, fd, size);
}

static void find(struct request *r, const struct head *h)
{
	struct str name = str_from(h->path, sizeof("/uploads/") - 1), id = str_cut(&name, '/');
	if (!upload_id_valid(id) || name.len == 0) {
		http_refuse(r, err_status(ERR_NOT_FOUND), err_text(ERR_NOT_FOUND));
		return;
	}
	struct op *op = op_new(services, &asker, r, NULL);
	struct visit *v = arena_alloc(&op->arena, sizeof(*v));
	*v = (struct visit){
		.id = arena_str(&op->arena, id),
		.filename = arena_str(&op->arena, name),
		.range = arena_str(&op->arena, head_field(h, "range")),
		.if_range = arena_str(&op->arena, head_field(h, "if-range")),
		.if_none_match = arena_str(&op->arena, head_field(h, "if-none-match")),
	};
	op->row = v;
	r->owner = op;
	r->gone = on_gone;
	upload_find(op, v->id, file_found);
}

void kept_head(struct request *r, const struct head *h)
{
	if (str_eqz(h->method, "GET") || str_eqz(h->method, "HEAD"))
		find(r, h);
	else
		refuse_method(r, "Allow: GET, HEAD\r\n");
}

void upload_init(const struct services *s)
{
	services = s;
}

/* HTTP/1.1 over a connection (RFC 9112): one request at a time, keep-alive and pipelining, CORS,
 * time-outs. What a path means is a service's business. */
#ifndef CONFAB_HTTP_H
#define CONFAB_HTTP_H

#include "worker/net/body.h"
#include "worker/net/conn.h"

/* Header lines: when to come again. Pages of other origins may see it too. */
#define HTTP_RETRY_AFTER(seconds) \
	"Retry-After: " seconds "\r\nAccess-Control-Expose-Headers: Retry-After\r\n"

struct request;

struct http_service {
	const char *prefix;          /* "/socket.io/": this, below it, and without its last slash */
	/* A request's head is here (borrowed for the call). Either answers, or accepts an upgrade,
	 * or hands over, or wants the body (sets max_body and complete; with `waits`, only from
	 * http_read on), or holds the request for later. */
	void (*head)(struct request *r, const struct head *h);
	const void *arg;
};

/* One request, from its head to its answer; owned by its connection. */
struct request {
	struct conn *conn;
	const struct http_service *service;
	void (*complete)(struct request *r, struct str content);     /* the body is whole */
	/* Not NULL: the body is not kept but comes here piece by piece, and `content` is
	 * none. May answer. */
	void (*piece)(struct request *r, struct str bytes);
	/* After http_stream: what was sent is written; sends more. May close the connection. */
	void (*more)(struct request *r);
	/* The body can't be had: must answer; or NULL. */
	void (*unreadable)(struct request *r, unsigned status);
	void (*gone)(struct request *r);     /* the connection died before an answer; r dies next */
	void *owner;                         /* the service's */
	const char *extra;                   /* further header lines, each with CRLF; or NULL */
	uint64_t max_body;
	struct str raw;                      /* while in head(): all bytes from the head on */
	/* http.c's */
	struct body body;
	struct buf content;
	char *origin;                        /* of the request, to be echoed; or NULL */
	uint64_t brought;                    /* when a body in pieces last got more time */
	uint64_t sent_turn;                  /* the net's turn of the last http_send */
	enum reason ends;                    /* of the connection, should it end with the answer */
	bool keep_alive, is_1_0, is_head, receiving, expects, waits;
};

struct http {
	const struct http_service *services; /* the longest prefixes first; ends with prefix NULL */
	struct deadline_list head, body, idle;
	uint64_t requests;
	bool deferred;       /* the head just read must be read again later */
	bool draining;       /* each answer is the last of its connection */
};

void http_init(struct http *http, struct deadlines *ds, const struct http_service *services);
/* The protocol of a fresh connection. */
extern const struct conn_vt http_vt;
/* Starts its clock; right after conn_new. */
void http_start(struct conn *c);

/* Answers and ends the request. `extra` holds further header lines, each with CRLF, or is NULL. */
void http_answer(struct request *r, unsigned status, const char *type, struct str body,
                 const char *extra);
/* Answers {"message":…,"errors":{}} with this status. */
void http_refuse(struct request *r, unsigned status, const char *message);
/* From `piece`: no more of the body, nor its end, comes until http_read. */
void http_wait(struct request *r);
/* Reads the body of a request that waits, or the rest of it. */
void http_read(struct request *r);
/* Answers with a body of `length` bytes, which r->more sends as fast as the client takes them.
 * False: there is nothing to send (HEAD, 304), and the request has ended. */
bool http_stream(struct request *r, unsigned status, const char *type, uint64_t length,
                 const char *extra);
/* Some of that body; `last` ends the request. */
void http_send(struct request *r, struct str bytes, bool last);
/* The request is read again once what waits in its connection is written;
 * it is gone now. Only in head(). */
void http_later(struct request *r);
/* The request's connection closes after its answer. */
void http_close_after(struct request *r);
/* Why it does when a request is answered with this status because it can't be read. */
enum reason http_unreadable(unsigned status);
/* Moves the connection to another worker; the request is gone. Refuses with 503 if that fails. */
void http_hand_over(struct request *r, unsigned worker);
/* The connection ceases to speak HTTP after `bytes` (a 101): the request is freed,
 * the caller sets vt. */
void http_leave(struct request *r, struct str bytes);
/* Whether a request that is whole still waits for its answer. */
bool http_owes(const struct net *n);
/* Adds the CORS headers for this request. */
void http_cors(const struct request *r, struct buf *out);

#endif

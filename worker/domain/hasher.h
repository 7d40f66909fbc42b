/* Password hashing (argon2id, RFC 9106) off the event loop: one thread with a bounded queue. */
#ifndef CONFAB_HASHER_H
#define CONFAB_HASHER_H

#include <event2/event.h>

#include "worker/op.h"

struct hasher;

enum { PASSWORD_MIN = 8, PASSWORD_MAX = 128 /* bytes */, HASH_MAX = 128 };

/* Starts the thread; answers come on the loop of `base`. Call after fork. */
struct hasher *hasher_new(struct event_base *base);
/* Drops what waits (those ops end unanswered), ends the thread. */
void hasher_free(struct hasher *h);
/* Hashes; `then` gets a struct str (the hash). ERR_UNAVAILABLE when 64 are waiting, or
 * 16 of the same user. */
void password_hash(struct op *op, struct str password, op_fn *then);
/* Compares; `then` gets a bool. An empty hash costs the same and never matches. */
void password_verify(struct op *op, struct str password, struct str hash, op_fn *then);

#endif

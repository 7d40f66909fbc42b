/* What the test suites of the stock JavaScript clients expect of a server:
 * on ports with root `clients`. */
#ifndef CONFAB_TESTS_CLIENTS_H
#define CONFAB_TESTS_CLIENTS_H

#include "worker/api/api.h"
#include "worker/engineio/session.h"

/* Socket.IO (clients_socketio.c): "/" and the namespaces that those suites join. */
extern const struct api api_clients, api_foo, api_timeout_socket, api_valid, api_asd, api_abc,
	api_no;
/* Headers are part of the handshake object. */
void clients_greet_socketio(const struct request *r, const struct head *h, struct greeting *out);

/* Engine.IO (clients_engineio.c). */
extern const struct session_upper clients_engine;
/* Refuses where the query has `deny`; sets cookies. */
void clients_greet_engineio(const struct request *r, const struct head *h, struct greeting *out);

#endif

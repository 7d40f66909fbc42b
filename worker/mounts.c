/* Which path is whose. */
#include "worker/mounts.h"

#include "worker/api/door.h"
#include "worker/engineio/poll.h"

struct engine *mounts_engine;

static const struct mount socketio = { "/socket.io/", &socketio_upper, &mounts_engine, NULL };
static const struct mount messenger = { "/ws/", &socketio_upper, &mounts_engine, NULL };

const struct http_service mounts[] = {
	/* The client, as Socket.IO servers have it. */
	{ "/socket.io/socket.io.", files_head, NULL },
	{ "/socket.io/", engine_head, &socketio },
	{ "/ws/", engine_head, &messenger },
	{ "/room/websocket/", plain_head, NULL },
	{ "/api/upload/", upload_head, NULL },
	{ "/uploads/", kept_head, NULL },
	{ "/", rest_head, NULL },
	{ 0 }
};

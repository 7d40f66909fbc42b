// A connection of the test's own to the server's Redis; the caller disconnects it.
import Redis from 'ioredis';

export function redis(server) {
	return new Redis({ path: server.redisSocket(), maxRetriesPerRequest: 2 });
}

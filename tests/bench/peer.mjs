// The server to compare with: Socket.IO, one process, or one of several that share a Redis.
// usage: peer.mjs [REDIS-SOCKET]      says its port; ends with its standard input.
import { Redis } from 'ioredis';
import { Server } from 'socket.io';
import { createAdapter } from '@socket.io/redis-adapter';
import http from 'node:http';

const [path] = process.argv.slice(2);
const server = http.createServer();
const io = new Server(server, {
	transports: ['websocket'],
	serveClient: false,
	...(path ? { adapter: createAdapter(new Redis({ path }), new Redis({ path })) } : {}),
});

io.on('connection', (socket) => {
	socket.on('join', async (room, ack) => {
		await socket.join(room);
		ack();
	});
	socket.on('send', ({ room, text }) => io.to(room).emit('message', { room, text }));
});

process.stdin.on('end', () => process.exit()).resume();
server.listen(0, '127.0.0.1', 4096, () => console.log(server.address().port));

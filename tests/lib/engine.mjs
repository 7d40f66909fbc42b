// Engine.IO sessions by hand, over polling and over WebSocket, with one interface: send, next, dead.
import assert from 'node:assert/strict';
import { Wire, request, requestBytes } from './wire.mjs';
import { WebSocket } from './websocket.mjs';

export const PATH = '/socket.io/';
const SEPARATOR = '\x1e';

export const UNKNOWN_SID = '{"code":1,"message":"Session ID unknown"}';

export function encodePayload(packets) {
	return packets.map((packet) => Buffer.isBuffer(packet) ? `b${packet.toString('base64')}` : packet)
		.join(SEPARATOR);
}

export function decodePayload(body) {
	return body.split(SEPARATOR).map((packet) =>
		packet[0] === 'b' ? Buffer.from(packet.slice(1), 'base64') : packet);
}

export function pollingPath({ path = PATH, sid, query = '' } = {}) {
	return `${path}?EIO=4&transport=polling${sid ? `&sid=${sid}` : ''}${query}`;
}

export function websocketPath({ path = PATH, sid, query = '' } = {}) {
	return `${path}?EIO=4&transport=websocket${sid ? `&sid=${sid}` : ''}${query}`;
}

// A session over polling, each request on a TCP connection of its own.
export class Polling {
	name = 'polling';
	#queue = [];

	constructor(port, path, handshake) {
		this.port = port;
		this.path = path;
		this.handshake = handshake;
		this.sid = handshake.sid;
	}

	static async open(port, { path = PATH, query, headers } = {}) {
		const answer = await request(port, { path: pollingPath({ path, query }), headers });
		assert.equal(answer.status, 200, answer.body);
		assert.equal(answer.body[0], '0');
		return new Polling(port, path, JSON.parse(answer.body.slice(1)));
	}

	get url() {
		return pollingPath({ path: this.path, sid: this.sid });
	}

	// A GET under way: { wire, answer } with the promise of its response.
	async hold() {
		const wire = await Wire.connect(this.port);
		wire.send(requestBytes({ path: this.url }));
		const answer = wire.response({ ms: 60_000 });
		// Whoever holds it looks at it later, or never.
		answer.catch(() => {});
		return { wire, answer };
	}

	poll() {
		return request(this.port, { path: this.url });
	}

	post(body, headers = {}) {
		const all = { 'Content-Type': 'text/plain;charset=UTF-8', ...headers };
		return request(this.port, { method: 'POST', path: this.url, headers: all, body });
	}

	// Sends packets (strings, or Buffers for binary messages) in one payload; gives the response.
	send(...packets) {
		return this.post(encodePayload(packets));
	}

	// The next packet of the server; pings are answered and passed over.
	async next() {
		for (;;) {
			while (this.#queue.length === 0) {
				const answer = await this.poll();
				assert.equal(answer.status, 200, answer.body);
				this.#queue.push(...decodePayload(answer.body));
			}
			const packet = this.#queue.shift();
			if (packet !== '2')
				return packet;
			await this.send('3');
		}
	}

	// The session is gone: its next poll says so, perhaps after a last payload that ends with `1`.
	async dead() {
		const answer = await this.poll();
		if (answer.status === 200) {
			assert.match(answer.body, /(^|\x1e)1$/, 'the session lives on');
			return;
		}
		assert.equal(answer.status, 400);
		assert.equal(answer.body, UNKNOWN_SID);
	}

	destroy() {}
}

// A session over WebSocket from the start, or the WebSocket side of an upgrade.
export class Streaming {
	name = 'websocket';

	constructor(port, websocket, handshake) {
		this.port = port;
		this.websocket = websocket;
		this.handshake = handshake;
		this.sid = handshake?.sid;
	}

	static async open(port, { path = PATH, query, headers } = {}) {
		const websocket = await WebSocket.open(port, websocketPath({ path, query }), { headers });
		const packet = await websocket.next();
		assert.equal(typeof packet, 'string', JSON.stringify(packet));
		assert.equal(packet[0], '0');
		return new Streaming(port, websocket, JSON.parse(packet.slice(1)));
	}

	async send(...packets) {
		for (const packet of packets) {
			if (Buffer.isBuffer(packet))
				this.websocket.binary(packet);
			else
				this.websocket.text(packet);
		}
	}

	async next() {
		for (;;) {
			const packet = await this.websocket.next();
			if (packet !== '2')
				return packet;
			this.websocket.text('3');
		}
	}

	// The server closes the WebSocket, and the session is gone with it.
	async dead() {
		const { code } = await this.websocket.closed();
		const after = await request(this.port, { path: pollingPath({ sid: this.sid }) });
		assert.equal(after.body, UNKNOWN_SID);
		return code;
	}

	destroy() {
		this.websocket.destroy();
	}
}

export const TRANSPORTS = [Polling, Streaming];

// The WebSocket half of an upgrade of `session`: asks for it, nothing is sent yet.
export function upgrading(session) {
	return WebSocket.open(session.port, websocketPath({ path: session.path, sid: session.sid }));
}

// The whole upgrade, by a client that keeps no GET open meanwhile.
export async function upgrade(session) {
	const websocket = await upgrading(session);
	websocket.text('2probe');
	assert.equal(await websocket.next(), '3probe');
	websocket.text('5');
	const upgraded = new Streaming(session.port, websocket, session.handshake);
	return upgraded;
}

// Connects to a Socket.IO namespace of the conformance server and takes its `auth` event.
export async function joinNamespace(session, nsp = '/', auth = undefined) {
	const prefix = nsp === '/' ? '' : `${nsp},`;
	await session.send(`40${prefix}${auth === undefined ? '' : JSON.stringify(auth)}`);
	const reply = await session.next();
	assert.ok(String(reply).startsWith(`40${prefix}{"sid":"`), `not a CONNECT: ${reply}`);
	const hello = await session.next();
	assert.equal(hello, `42${prefix}["auth",${JSON.stringify(auth ?? {})}]`);
	return JSON.parse(reply.slice(2 + prefix.length)).sid;
}

// A session joined to "/".
export async function joined(Transport, port, options) {
	const session = await Transport.open(port, options);
	await joinNamespace(session);
	return session;
}

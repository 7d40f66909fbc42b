// How each reason to end is provoked (worker/reason.def; tests/e2e/reasons.test.mjs looks at what comes of it).
import assert from 'node:assert/strict';
import { Chatter, enter, leaveAll } from './chatter.mjs';
import { Polling, Streaming, UNKNOWN_SID, encodePayload, pollingPath, upgrading, websocketPath } from './engine.mjs';
import { Listener, hangUpAll } from './listener.mjs';
import { channel, person, unique } from './people.mjs';
import { redis } from './redis.mjs';
import { rest } from './rest.mjs';
import { token } from './token.mjs';
import { until } from './wait.mjs';
import { WebSocket, frame, upgradeHeaders } from './websocket.mjs';
import { Wire, request, requestBytes } from './wire.mjs';

const ORIGIN = 'https://chat.example';
const PLAIN = '/room/websocket';

// --- Clients ---

export const join = (who) => `40${JSON.stringify({ token: who.token })}`;

// Of a stock client that is over: what it was told, with the WebSocket's code and text where it had one.
export function ending(chatter) {
	return new Promise((resolve) => chatter.socket.once('disconnect', (reason, details) => {
		const { code, reason: said } = details?.context ?? {};
		resolve(code === undefined || typeof code !== 'number' ? [reason] : [reason, code, said]);
	}));
}

// A session by hand that has joined "/".
export async function joined(server, Transport, who) {
	const session = await Transport.open(server.port);
	await session.send(join(who));
	assert.match(await session.next(), /^40\{"sid"/);
	assert.match(await session.next(), /^42\["authenticated"/);
	return session;
}

// The close of a WebSocket by hand.
export async function closed({ websocket }) {
	const { code, reason } = await websocket.closed();
	return [code, reason];
}

const wires = new Set();

// A poll that the server holds for sure, for what came before it on its connection has been answered. The connection
// ends with the test.
export async function hold(session) {
	const wire = await Wire.connect(session.port);
	wires.add(wire);
	wire.send(Buffer.concat([requestBytes({ method: 'POST', path: session.url, body: '3',
		headers: { 'Content-Type': 'text/plain' } }), requestBytes({ path: session.url })]));
	assert.equal((await wire.response()).body, 'ok');
	const answer = wire.response({ ms: 60_000 });
	// Whoever holds it looks at it later, or never.
	answer.catch(() => {});
	return { wire, answer };
}

export function allLeave() {
	leaveAll();
	hangUpAll();
	for (const wire of wires)
		wire.destroy();
	wires.clear();
}

export const plain = (server, who) => WebSocket.open(server.port, `${PLAIN}?token=${who.token}`);
const listen = (server, who) => new Listener(server, { token: who.token }).opened();

export async function statusOf(wire) {
	const { status } = await wire.response();
	await wire.end();
	wire.destroy();
	return status;
}

// One worker, for two would hand over now and then.
export const DEBUG = { workers: 1, 'log-level': 'debug' };

// --- What provokes each: `with` the server of that name. What it gives is what the client saw. `clients`,
// `sockets` and `tcp` are the ends that are counted; tcp only where it is said, for stock clients have
// connections at will. ---

// Times are short, but not so short that a machine which stands still for a moment makes what comes before too late.
export const SERVERS = {
	common: { 'max-payload': '100kb' },
	hasty: { 'ping-interval': '300ms', 'ping-timeout': '3s' },
	hurried: { 'connect-timeout': '3s', 'upgrade-timeout': '3s', 'header-timeout': '3s', 'body-timeout': '3s' },
	idle: { 'idle-timeout': '4s' },
	slow: { 'queue-soft': '2kb', 'queue-soft-time': '200ms' },
	strict: { 'cors-origin': ORIGIN, 'event-rate': '1 1' },
	several: { workers: 2 },
	rushed: { 'connect-rate': '1 60' },
	narrow: { 'user-connections': '1' },
	lobby: {},
};

export const PROVOKED = {
	CLIENT_GONE: [{
		how: 'a WebSocket whose TCP connection ends',
		sees: null, clients: { CLIENT_GONE: 1 }, tcp: { CLIENT_GONE: 1 },
		async by({ server }) {
			const { websocket } = await Streaming.open(server.port);
			websocket.wire.finish();
			await websocket.wire.end();
			return null;
		},
	}, {
		how: 'a plain WebSocket that its client closes', sees: [4000, 'bye'],
		clients: { CLIENT_GONE: 1 }, sockets: { CLIENT_GONE: 1 }, tcp: { CLIENT_GONE: 1 },
		async by({ server, ann }) {
			const websocket = await plain(server, ann);
			websocket.close(4000, 'bye');
			return closed({ websocket });
		},
	}],
	CLIENT_ERROR: [{
		how: 'a WebSocket that is reset', sees: null,
		clients: { CLIENT_ERROR: 1 }, sockets: { CLIENT_ERROR: 1 }, tcp: { CLIENT_ERROR: 1 },
		async by({ server, ann }) {
			const { websocket } = await joined(server, Streaming, ann);
			websocket.wire.reset();
			return null;
		},
	}, {
		how: 'a held poll that is aborted', sees: UNKNOWN_SID, clients: { CLIENT_ERROR: 1 },
		async by({ server, meter }) {
			const session = await Polling.open(server.port);
			const held = await hold(session);
			await until(async () => (await meter.read()).sum('confab_tcp_connections') === 2, 'the held one');
			held.wire.destroy();
			await until(async () => (await meter.read()).sum('confab_connections') === 0, 'its end');
			return (await session.poll()).body;
		},
	}],
	CLIENT_CLOSED: [{
		how: 'a polling client that says so', sees: ['6', 'ok'], clients: { CLIENT_CLOSED: 1 },
		async by({ server }) {
			const session = await Polling.open(server.port);
			const held = await hold(session);
			const { body } = await session.send('1');
			return [(await held.answer).body, body];
		},
	}],
	LEFT: [{
		how: 'socket.disconnect() of a stock client', sees: ['io client disconnect'],
		clients: { CLIENT_GONE: 1 }, sockets: { LEFT: 1 }, tcp: { CLIENT_GONE: 1 },
		async by({ server, ann }) {
			const one = await enter(server, { token: ann.token });
			const end = ending(one);
			one.leave();
			return end;
		},
	}],
	PING_TIMEOUT: [{
		how: 'a WebSocket that does not answer pings', with: 'hasty', sees: [1001, 'ping timeout'],
		clients: { PING_TIMEOUT: 1 }, sockets: { PING_TIMEOUT: 1 }, tcp: { PING_TIMEOUT: 1 },
		by: async ({ server, ann }) => closed(await joined(server, Streaming, ann)),
	}, {
		how: 'a polling client that does not', with: 'hasty', sees: ['2', '1'], clients: { PING_TIMEOUT: 1 },
		async by({ server }) {
			const session = await Polling.open(server.port);
			return [(await session.poll()).body, (await session.poll()).body];
		},
	}, {
		how: 'a plain WebSocket that is silent', with: 'hasty', sees: [1001, 'ping timeout'],
		clients: { PING_TIMEOUT: 1 }, sockets: { PING_TIMEOUT: 1 }, tcp: { PING_TIMEOUT: 1 },
		by: async ({ server, ann }) => closed({ websocket: await plain(server, ann) }),
	}],
	CONNECT_TIMEOUT: [{
		how: 'a WebSocket without a namespace', with: 'hurried', sees: [1008, 'no namespace joined in time'],
		clients: { CONNECT_TIMEOUT: 1 }, tcp: { CONNECT_TIMEOUT: 1 },
		by: async ({ server }) => closed(await Streaming.open(server.port)),
	}, {
		how: 'a polling client without one, with its next poll', with: 'hurried', sees: ['1', UNKNOWN_SID],
		clients: { CONNECT_TIMEOUT: 1 },
		async by({ server, meter }) {
			const session = await Polling.open(server.port);
			await until(async () => (await meter.read()).sum('confab_connections') === 0, 'its end');
			return [(await session.poll()).body, (await session.poll()).body];
		},
	}],
	PARSE_ERROR: [{
		how: 'nonsense on a WebSocket', sees: [1008, 'parse error'],
		clients: { PARSE_ERROR: 1 }, sockets: { PARSE_ERROR: 1 }, tcp: { PARSE_ERROR: 1 },
		async by({ server, ann }) {
			const session = await joined(server, Streaming, ann);
			await session.send('4nonsense');
			return closed(session);
		},
	}, {
		how: 'nonsense in a POST', sees: [400, '1'], clients: { PARSE_ERROR: 1 },
		async by({ server }) {
			const session = await Polling.open(server.port);
			const held = await hold(session);
			const { status } = await session.post('nonsense');
			return [status, (await held.answer).body];
		},
	}],
	PROTOCOL_ERROR: [{
		how: 'a frame with a reserved bit', sees: [1002, 'protocol error'],
		clients: { PROTOCOL_ERROR: 1 }, tcp: { PROTOCOL_ERROR: 1 },
		async by({ server }) {
			const session = await Streaming.open(server.port);
			session.websocket.frame(1, 'x', { rsv: 1 });
			return closed(session);
		},
	}, {
		how: 'one without a mask, on a plain WebSocket', sees: [1002, 'protocol error'],
		clients: { PROTOCOL_ERROR: 1 }, sockets: { PROTOCOL_ERROR: 1 }, tcp: { PROTOCOL_ERROR: 1 },
		async by({ server, ann }) {
			const websocket = await plain(server, ann);
			websocket.frame(1, 'x', { mask: false });
			return closed({ websocket });
		},
	}],
	BAD_UTF8: [{
		how: 'a text that is none', sees: [1007, 'invalid UTF-8'], clients: { BAD_UTF8: 1 }, tcp: { BAD_UTF8: 1 },
		async by({ server }) {
			const session = await Streaming.open(server.port);
			session.websocket.frame(1, Buffer.from('4\xff', 'latin1'));
			return closed(session);
		},
	}],
	TOO_LARGE: [{
		how: 'a frame that announces too much', sees: [1009, ''], clients: { TOO_LARGE: 1 }, tcp: { TOO_LARGE: 1 },
		async by({ server }) {
			const session = await Streaming.open(server.port);
			session.websocket.wire.send(frame(1, 'x', { length: 200_000 }));
			return closed(session);
		},
	}, {
		how: 'a POST that does', sees: [413, 400, UNKNOWN_SID], clients: { TOO_LARGE: 1 },
		async by({ server }) {
			const session = await Polling.open(server.port);
			const held = await hold(session);
			const { status } = await session.post('x'.repeat(200_000));
			const answer = await held.answer;
			return [status, answer.status, answer.body];
		},
	}, {
		how: 'a REST request that does', sees: 413, tcp: { TOO_LARGE: 1 },
		async by({ server }) {
			const wire = await Wire.connect(server.port);
			wire.send(requestBytes({ method: 'POST', path: '/login/signin',
				headers: { 'Content-Type': 'application/json', 'Content-Length': '2000000' } }));
			return statusOf(wire);
		},
	}, {
		how: 'a head', sees: 431, tcp: { TOO_LARGE: 1 },
		async by({ server }) {
			const wire = await Wire.connect(server.port);
			wire.send(requestBytes({ headers: { 'X-Large': 'x'.repeat(40_000) } }));
			return statusOf(wire);
		},
	}],
	OVERLAP: [{
		how: 'a second poll', sees: ['1', 400], clients: { OVERLAP: 1 },
		async by({ server }) {
			const session = await Polling.open(server.port);
			const held = await hold(session);
			const { status } = await session.poll();
			return [(await held.answer).body, status];
		},
	}, {
		how: 'a second WebSocket for a session', sees: [1008, 'overlapping requests'],
		clients: { CLIENT_GONE: 1 }, tcp: { OVERLAP: 1, CLIENT_GONE: 1 },
		async by({ server }) {
			const session = await Streaming.open(server.port);
			const second = await WebSocket.open(server.port, websocketPath({ sid: session.sid }));
			const end = await closed({ websocket: second });
			session.websocket.wire.finish();
			await session.websocket.wire.end();
			return end;
		},
	}],
	PROBE_FAILED: [{
		how: 'an upgrade with other words', sees: [[1000, 'not an upgrade'], 'ok'], clients: { CLIENT_CLOSED: 1 },
		ended: { PROBE_FAILED: 1 },
		async by({ server }) {
			const session = await Polling.open(server.port);
			const websocket = await upgrading(session);
			websocket.text('4hello');
			return [await closed({ websocket }), (await session.send('1')).body];
		},
	}, {
		how: 'one that comes to no end', with: 'hurried', sees: [[1000, 'not an upgrade'], 'ok'],
		clients: { CLIENT_CLOSED: 1 }, sockets: { CLIENT_CLOSED: 1 }, ended: { PROBE_FAILED: 1 },
		async by({ server }) {
			const session = await Polling.open(server.port);
			await session.send('40/lobby,');
			const end = await closed({ websocket: await upgrading(session) });
			return [end, (await session.send('1')).body];
		},
	}],
	SLOW_READER: [{
		how: 'a polling client that does not poll', with: 'slow', sees: UNKNOWN_SID,
		clients: { SLOW_READER: 1, CLIENT_GONE: 1 }, sockets: { SLOW_READER: 1, LEFT: 1 },
		async by({ server, ann, meter }) {
			const id = await channel(server, ann);
			const slow = await joined(server, Polling, ann);
			await slow.send(`42["join_channel",{"channelId":"${id}"}]`);
			assert.match(await slow.next(), /^42\["joined_channel"/);
			const speaker = await enter(server, { token: ann.token });
			await until(async () => {
				await speaker.ask('send_message', { channelId: id, content: 'x'.repeat(1000) });
				return (await meter.read()).sum('confab_connections') === 1;
			}, 'its end');
			return (await slow.poll()).body;
		},
	}],
	UNWELCOME: [{
		how: 'a stock client with a bad token', sees: 'Authentication failed',
		clients: { CLIENT_GONE: 1 }, sockets: { UNWELCOME: 1 },
		async by({ server }) {
			const one = new Chatter(server, { token: 'eyJhbGciOiJIUzI1NiJ9.e30.guess' });
			const { message } = await one.refused();
			one.engine.close();
			return message;
		},
	}, {
		how: 'one at an API that lets it in to say so', sees: ['io server disconnect'],
		clients: { CLIENT_GONE: 1 }, sockets: { UNWELCOME: 1 },
		async by({ server }) {
			const one = new Chatter(server, { token: 'eyJhbGciOiJIUzI1NiJ9.e30.guess', nsp: '/gateway' });
			return ending(one);
		},
	}, {
		how: 'a plain WebSocket with one', sees: [1008, 'BadToken'],
		clients: { UNWELCOME: 1 }, sockets: { UNWELCOME: 1 }, tcp: { UNWELCOME: 1 },
		by: async ({ server }) => closed({ websocket: await plain(server, { token: 'guess' }) }),
	}],
	CROWDED: [{
		how: 'a stock client beside another of its user', with: 'narrow', sees: 'Too many connections',
		clients: { CLIENT_GONE: 2 }, sockets: { CLIENT_GONE: 1, CROWDED: 1 },
		async by({ server, ann }) {
			const first = await enter(server, { token: ann.token });
			const second = new Chatter(server, { token: ann.token });
			const { message } = await second.refused();
			second.engine.close();
			first.engine.close();
			return message;
		},
	}, {
		how: 'a plain WebSocket beside one', with: 'narrow', sees: [1008, 'TooManyConnections'],
		clients: { CLIENT_GONE: 1, CROWDED: 1 }, sockets: { CLIENT_GONE: 1, CROWDED: 1 }, tcp: { CLIENT_GONE: 1, CROWDED: 1 },
		async by({ server, ann }) {
			const first = await plain(server, ann);
			const told = await closed({ websocket: await plain(server, ann) });
			first.wire.finish();
			await first.wire.end();
			return told;
		},
	}],
	REFUSED: [{
		how: 'a client that joins namespaces too fast', with: 'strict',
		sees: '44/messenger,{"message":"Rate limit exceeded. Please slow down."}',
		clients: { CLIENT_GONE: 1 }, sockets: { CLIENT_GONE: 1, REFUSED: 1 }, tcp: { CLIENT_GONE: 1 },
		async by({ server }) {
			const session = await Streaming.open(server.port, { headers: { Origin: ORIGIN } });
			// In one piece, for after a second one more is let in.
			session.websocket.wire.send(Buffer.concat(['40/lobby,', '40/messenger,'].map((text) => frame(1, text))));
			assert.match(await session.next(), /^40\/lobby,/);
			const said = await session.next();
			session.websocket.wire.finish();
			await session.websocket.wire.end();
			return said;
		},
	}],
	EXPIRED: [{
		how: 'the token of a stock client', sees: ['io server disconnect'],
		clients: { CLIENT_GONE: 1 }, sockets: { EXPIRED: 1 },
		async by({ server, ann }) {
			const brief = token({ sub: ann.id, name: 'Ann', exp: Math.floor(Date.now() / 1000) + 5 });
			return ending(await enter(server, { token: brief }));
		},
	}, {
		how: 'that of a plain WebSocket', sees: { code: 1008, reason: 'BadToken' },
		clients: { EXPIRED: 1 }, sockets: { EXPIRED: 1 }, tcp: { EXPIRED: 1 },
		async by({ server, ann }) {
			const brief = token({ sub: ann.id, name: 'Ann', exp: Math.floor(Date.now() / 1000) + 5 });
			return (await listen(server, { token: brief })).closed();
		},
	}],
	DELETED: [{
		how: 'the account of a stock client and of a plain WebSocket',
		sees: [['io server disconnect'], { code: 1008, reason: 'UserIsDeleted' }],
		clients: { CLIENT_GONE: 1, DELETED: 1 }, sockets: { DELETED: 2 },
		async by({ server }) {
			const bob = await person(server, 'Bob');
			const both = [ending(await enter(server, { token: bob.token })), (await listen(server, bob)).closed()];
			assert.equal((await rest(server, 'DELETE', '/login/delete', bob.token)).status, 200);
			return Promise.all(both);
		},
	}],
	OUSTED: [{
		how: 'a name in the lobby that another got meanwhile', with: 'lobby',
		sees: ['transport close', 1008, 'name taken by another'],
		clients: { OUSTED: 1 }, sockets: { OUSTED: 1 },
		async by({ server }) {
			const room = unique('room').replaceAll('-', '');
			const one = await enter(server, { nsp: '/lobby' });
			const end = ending(one);
			assert.equal((await one.ask('login', { name: 'ann', room })).user?.room, room);
			const store = redis(server);
			await until(async () => (await store.zcard('workers')) >= 1, 'lease of the worker');
			// As if the host had been cut off for longer than a lease.
			const multi = store.multi();
			for (const worker of await store.zrange('workers', 0, -1))
				multi.fcall('worker_sweep', 0, worker);
			await multi.fcall('lobby_login', 0, 'elsewhere', 'other-socket', 'ann', room).exec();
			store.disconnect();
			return end;
		},
	}],
	TAKEN_OVER: [{
		how: 'a client that has come back on another connection',
		sees: ['transport close', 1000, 'session taken up elsewhere'],
		clients: { TAKEN_OVER: 1, CLIENT_GONE: 1 }, sockets: { TAKEN_OVER: 1, CLIENT_GONE: 1 },
		async by({ server, ann }) {
			const id = await channel(server, ann);
			const old = await enter(server, { token: ann.token });
			assert.equal((await old.ask('join_channel', { channelId: id })).ok, true);
			assert.equal((await old.ask('send_message', { channelId: id, content: 'x' })).ok, true);
			await old.next('new_message');
			const { _pid: pid, _lastOffset: offset } = old.socket;
			const end = ending(old);
			const heir = await Streaming.open(server.port);
			await heir.send(`40${JSON.stringify({ token: ann.token, pid, offset })}`);
			assert.ok((await heir.next()).includes(pid), 'it was not taken up');
			const saw = await end;
			heir.websocket.wire.finish();
			await heir.websocket.wire.end();
			return saw;
		},
	}],
	EVENTS_LOST: [{
		how: 'more than a log holds, unheard', sees: { code: 1012, reason: 'events were lost, reload' },
		clients: { EVENTS_LOST: 1 }, sockets: { EVENTS_LOST: 1 },
		async by({ server, ann }) {
			const bob = await person(server, 'Bob');
			const made = await rest(server, 'POST', '/room/create/', ann.token, { users: [bob.id] });
			assert.equal(made.status, 201, made.body);
			const id = made.json.roomId;
			const one = await listen(server, bob);
			const store = redis(server);
			const all = store.multi().client('KILL', 'TYPE', 'pubsub');
			for (let n = 0; n < 500; n++)
				all.fcall('message_post', 0, ann.id, id, '', `n ${n}`, '', '', '', '0', '0', '0', '10');
			for (const [error] of await all.exec())
				assert.equal(error, null);
			store.disconnect();
			return one.closed();
		},
	}],
	HTTP_DONE: [{
		how: 'an answer after which the client wants no more', sees: 200, tcp: { HTTP_DONE: 1 },
		async by({ server }) {
			const wire = await Wire.connect(server.port);
			wire.send(requestBytes({ path: '/health', headers: { Connection: 'close' } }));
			return statusOf(wire);
		},
	}],
	HTTP_IDLE: [{
		how: 'nothing more for idle-timeout', with: 'idle', sees: '', tcp: { HTTP_IDLE: 1 },
		async by({ server, meter }) {
			const wire = await Wire.connect(server.port);
			wire.send(requestBytes({ path: '/health' }));
			assert.equal((await wire.response()).status, 200);
			await until(async () => {
				await meter.read();
				return wire.ended;
			}, 'its end');
			const said = (await wire.end()).toString();
			wire.destroy();
			return said;
		},
	}],
	HTTP_TIMEOUT: [{
		how: 'a head that does not come to its end', with: 'hurried',
		sees: /^(HTTP\/1\.1 408 |$)/, tcp: { HTTP_TIMEOUT: 1 },
		async by({ server }) {
			const wire = await Wire.connect(server.port);
			wire.send('GET / HTTP/1.1\r\nHost:');
			const said = (await wire.end()).toString();
			wire.destroy();
			return said;
		},
	}, {
		how: 'a body that does not', with: 'hurried', sees: 408, tcp: { HTTP_TIMEOUT: 1 },
		async by({ server }) {
			const wire = await Wire.connect(server.port);
			wire.send(`${requestBytes({ method: 'POST', path: '/login/signin',
				headers: { 'Content-Type': 'application/json', 'Content-Length': '10' } })}{`);
			return statusOf(wire);
		},
	}, {
		how: 'the body of a polling client', with: 'hurried', sees: 408,
		clients: { HTTP_TIMEOUT: 1 }, sockets: { HTTP_TIMEOUT: 1 }, ended: { HTTP_TIMEOUT: 1 },
		async by({ server }) {
			const session = await Polling.open(server.port);
			await session.send('40/lobby,');
			const wire = await Wire.connect(server.port);
			wire.send(`${requestBytes({ method: 'POST', path: session.url, headers: { 'Content-Length': '10' } })}4`);
			return statusOf(wire);
		},
	}],
	BAD_REQUEST: [{
		how: 'a head that is none', sees: 400, tcp: { BAD_REQUEST: 1 },
		async by({ server }) {
			const wire = await Wire.connect(server.port);
			wire.send('GET / HTTP/1.1\r\nno colon\r\n\r\n');
			return statusOf(wire);
		},
	}, {
		how: 'a WebSocket of another version, which is no client', sees: 426, tcp: { BAD_REQUEST: 1 },
		async by({ server }) {
			const wire = await Wire.connect(server.port);
			wire.send(requestBytes({ path: websocketPath(),
				headers: { ...upgradeHeaders(), 'Sec-WebSocket-Version': '12' } }));
			return statusOf(wire);
		},
	}],
	BAD_ORIGIN: [{
		how: 'a page of somebody else', with: 'strict', sees: 403, tcp: { BAD_ORIGIN: 1 },
		logs: / connection from=127\.0\.0\.1:\d+ origin=https:\/\/evil\.example ended: origin not allowed$/m,
		async by({ server }) {
			const wire = await Wire.connect(server.port);
			wire.send(requestBytes({ path: websocketPath(),
				headers: { ...upgradeHeaders(), Origin: 'https://evil.example' } }));
			return statusOf(wire);
		},
	}],
	CONNECT_RATE: [{
		how: 'an address that connects too often', with: 'rushed', sees: 429, ended: { CONNECT_RATE: 1 },
		async by({ server }) {
			return until(async () => {
				const { status } = await request(server.port, { path: '/health' });
				return status === 429 && status;
			}, 'refusal', { every: 0 });
		},
	}],
	HANDED_OVER: [{
		how: 'a POST at another worker than its session', with: 'several', sees: 'ok',
	 clients: { CLIENT_CLOSED: 1 }, ended: { HANDED_OVER: 1 },
		async by({ server }) {
			const first = await Wire.connect(server.port);
			first.send(requestBytes({ path: pollingPath() }));
			const { sid } = JSON.parse((await first.response()).body.slice(1));
			const home = server.workerOf(first.localPort);
			wires.add(first);
			const away = await until(async () => {
				const wire = await Wire.connect(server.port);
				wires.add(wire);
				const pid = await until(() => server.workerOf(wire.localPort), 'worker');
				return pid !== home && wire;
			}, 'connection elsewhere', { every: 0 });
			away.send(requestBytes({ method: 'POST', path: pollingPath({ sid }), body: encodePayload(['1']),
				headers: { 'Content-Type': 'text/plain;charset=UTF-8' } }));
			const { body } = await away.response();
			assert.equal(server.workerOf(away.localPort), home);
			return body;
		},
	}],
};

// How many connections an address may have open, and how many clients a user, over all workers.
import { after, afterEach, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net';
import { Chatter, leaveAll } from '../lib/chatter.mjs';
import { Polling, Streaming, pollingPath } from '../lib/engine.mjs';
import { knock, open } from '../lib/everyone.mjs';
import { Listener, hangUpAll } from '../lib/listener.mjs';
import { person } from '../lib/people.mjs';
import { redis } from '../lib/redis.mjs';
import { rest } from '../lib/rest.mjs';
import { start } from '../lib/server.mjs';
import { until, within } from '../lib/wait.mjs';
import { Wire, requestBytes } from '../lib/wire.mjs';

// More than start() opens at once.
const MOST = 20;
const wait = { timeout: 120_000 };

describe('of one address', { timeout: 300_000 }, () => {
	let server;
	const wires = new Set();

	async function connect(from) {
		const socket = net.connect({ port: server.port, host: '127.0.0.1', localAddress: from });
		const wire = new Wire(socket);
		wires.add(wire);
		await within(new Promise((resolve) => { socket.once('connect', resolve); }), 'connection');
		return wire;
	}

	function leave(...some) {
		for (const wire of some) {
			wires.delete(wire);
			wire.destroy();
		}
	}

	async function ask(wire, options = { path: '/health' }) {
		wire.send(requestBytes(options));
		return wire.response();
	}

	// As many as are let in, each served once so that it is certain that a worker has it.
	async function fill(from, most = MOST) {
		const some = [];
		for (let i = 0; i < most; i++) {
			some.push(await connect(from));
			assert.equal((await ask(some[i])).status, 200, `connection ${i}`);
		}
		return some;
	}

	async function refused(from) {
		const wire = await connect(from);
		const { status, headers, body } = await ask(wire);
		assert.equal(status, 429);
		assert.equal(headers['retry-after'], '1');
		assert.deepEqual(JSON.parse(body), { message: 'Too many connections from this address', errors: {} });
		await wire.end();
		leave(wire);
	}

	// What was closed has been noticed.
	const open = (from) => until(async () => {
		const wire = await connect(from);
		const { status } = await ask(wire);
		leave(wire);
		return status === 200;
	}, `room for ${from}`);

	before(async () => {
		server = await start({ options: { 'address-connections': MOST } });
	});
	afterEach(() => leave(...wires));
	after(() => server?.stop());

	test('one too many is told so and closed, others are let in', wait, async () => {
		const [one] = await fill('127.0.0.11');
		await refused('127.0.0.11');
		await fill('127.0.0.12', 1);
		assert.equal((await ask(one)).status, 200);
		leave(one);
		await open('127.0.0.11');
		assert.match(server.output, /address 127\.0\.0\.11 refused: too many connections\n/);
	});

	test('who waits to be told counts, and as many again are closed without a word', wait, async () => {
		await fill('127.0.0.13');
		for (let i = 0; i < MOST; i++)
			await connect('127.0.0.13');
		await until(async () => {
			const wire = await connect('127.0.0.13');
			return (await wire.end()).length === 0;
		}, 'silent close', { every: 0 });
	});

	test('one that is handed to another worker is counted once', wait, async () => {
		const [first, ...more] = await fill('127.0.0.14');
		const opened = await ask(first, { path: pollingPath() });
		const { sid } = JSON.parse(opened.body.slice(1));
		// All of them end up at the session's worker.
		for (const wire of more) {
			const answer = await ask(wire, { method: 'POST', path: pollingPath({ sid }), body: '3',
				headers: { 'Content-Type': 'text/plain' } });
			assert.equal(answer.body, 'ok');
		}
		await refused('127.0.0.14');
		leave(first, ...more);
		await open('127.0.0.14');
		await until(async () => {
			try {
				leave(...await fill('127.0.0.14'));
				return true;
			} catch {
				leave(...wires);
				return false;
			}
		}, 'room for all again');
	});

	test('those of workers that were killed are gone', wait, async () => {
		await fill('127.0.0.15');
		await refused('127.0.0.15');
		const before = server.workers().map(({ pid }) => pid);
		for (const pid of before)
			process.kill(pid, 'SIGKILL');
		await until(() => server.workers().filter(({ pid }) => !before.includes(pid)).length === before.length,
			'successors');
		leave(...wires);
		await server.serves();
		leave(...await fill('127.0.0.15'));
	});
});

describe('of one user', { timeout: 300_000 }, () => {
	let server;
	let ann;
	before(async () => {
		server = await start({ options: { 'user-connections': 3 } });
	});
	afterEach(() => {
		leaveAll();
		hangUpAll();
	});
	after(() => server?.stop());

	const SEATS = ['notifications', 'gateway', 'messenger'];

	async function full() {
		ann = await person(server, 'Ann');
		const seats = {};
		for (const seat of SEATS)
			seats[seat] = await open(server, ann.token, seat);
		return seats;
	}

	// Those that are let in to be told, hear this before they are disconnected.
	const TELLS = { gateway: 'accessDenied', messenger: 'auth-failed' };

	for (const [seat, event] of Object.entries(TELLS)) {
		test(`${seat} is told by ${event} and disconnected`, wait, async () => {
			await full();
			const one = knock(server, ann.token, seat);
			assert.deepEqual(await one.next(event), { message: 'Too many connections' });
			assert.equal(await one.disconnected(), 'io server disconnect');
			assert.deepEqual(one.heard.map(({ name }) => name), [event]);
		});
	}

	test('channels is refused', wait, async () => {
		await full();
		const error = await new Chatter(server, { token: ann.token }).refused();
		assert.equal(error.message, 'Too many connections');
	});

	test('notifications has a last message, and the reason of its close', wait, async () => {
		await full();
		const one = await new Listener(server, { token: ann.token }).opened();
		assert.deepEqual(await one.closed(), { code: 1008, reason: 'TooManyConnections' });
		assert.deepEqual(one.heard, ['TooManyConnections']);
		const { body } = await rest(server, 'GET', '/metrics');
		assert.match(body, /confab_disconnects_total\{[^}]*reason="too many connections of the user"[^}]*\} [1-9]/);
	});

	test('REST is not counted, others are let in', wait, async () => {
		await full();
		for (let i = 0; i < 5; i++)
			assert.equal((await rest(server, 'GET', '/login/me', ann.token)).status, 200);
		await open(server, (await person(server, 'Bob')).token, 'channels');
	});

	test('who leaves makes room, whichever API it was', wait, async () => {
		for (const seat of SEATS) {
			const seats = await full();
			(seats[seat].hangUp ?? seats[seat].leave).call(seats[seat]);
			await until(() => open(server, ann.token, 'channels'), `room after ${seat}`);
		}
	});

	test('who was refused leaves nothing behind', wait, async (t) => {
		const seats = await full();
		const r = redis(server);
		t.after(() => r.disconnect());
		const sessions = async () => (await r.keys('session:*')).sort();
		const kept = await sessions();
		for (let i = 0; i < 10; i++)
			await new Chatter(server, { token: ann.token }).refused();
		await until(async () => JSON.stringify(await sessions()) === JSON.stringify(kept), 'end of their sessions');
		seats.notifications.hangUp();
		await until(() => open(server, ann.token, 'channels'), 'room');
		const error = await new Chatter(server, { token: ann.token }).refused();
		assert.equal(error.message, 'Too many connections');
	});

	test('namespaces of one connection are clients of their own', wait, async () => {
		ann = await person(server, 'Ann');
		const one = await Streaming.open(server.port);
		for (const nsp of ['/channels', '/lobby', '/gateway', '/messenger']) {
			await one.send(`40${nsp},${JSON.stringify({ token: ann.token })}`);
			await until(async () => (await one.next()).startsWith(`40${nsp},{"sid"`), nsp, { every: 0 });
		}
		await new Chatter(server, { token: ann.token }).refused();
		// The lobby knows no users.
		await one.send('41/lobby,');
		await new Chatter(server, { token: ann.token }).refused();
		await one.send('41/gateway,');
		await until(() => open(server, ann.token, 'channels'), 'room');
		one.destroy();
	});

	// A messenger's client by hand: { session, sid, pid } and the offset of the last chat.
	async function takeSeat(auth) {
		const session = await Streaming.open(server.port);
		await session.send(`40/messenger,${JSON.stringify(auth)}`);
		const welcome = await session.next();
		assert.match(welcome, /^40\/messenger,/, welcome);
		return { session, ...JSON.parse(welcome.slice(welcome.indexOf('{'))) };
	}

	test('who was cut off comes back, though the old connection is not known to be over', wait, async () => {
		ann = await person(server, 'Ann');
		const bob = await person(server, 'Bob');
		const { token } = ann;
		const [old] = [await takeSeat({ token }), await takeSeat({ token }), await takeSeat({ token })];
		const bobs = await open(server, bob.token, 'messenger');
		await bobs.ask('send-message', { user: ann.username, message: 'hello' });
		let chat = '';
		while (!chat.startsWith('42/messenger,["chat"'))
			chat = await old.session.next();
		const [, , offset] = JSON.parse(chat.slice(chat.indexOf('[')));
		const back = await takeSeat({ token, pid: old.pid, offset });
		assert.equal(back.sid, old.sid);
		// The old one is closed, and takes no place any more.
		while (typeof await old.session.next() === 'string')
			;
		await new Chatter(server, { token }).refused();
		back.session.destroy();
		await until(() => open(server, token, 'channels'), 'room');
	});

	test('those of workers that were killed are gone', wait, async () => {
		await full();
		await new Chatter(server, { token: ann.token }).refused();
		const before = server.workers().map(({ pid }) => pid);
		for (const pid of before)
			process.kill(pid, 'SIGKILL');
		await until(() => server.workers().filter(({ pid }) => !before.includes(pid)).length === before.length,
			'successors');
		const { token } = ann;
		for (const seat of SEATS)
			await until(() => open(server, token, seat), `room for ${seat}`);
		await new Chatter(server, { token }).refused();
	});

	test('refusals are logged with the user, never with a token', wait, async () => {
		await full();
		await until(async () => {
			await new Chatter(server, { token: ann.token }).refused();
			return server.output.includes(`user=${ann.id} refused: more than 3 connections`);
		}, 'log line', { every: 100 });
		assert.ok(!server.output.includes(ann.token));
	});

	test('nobody writes the log’s lines by a user’s id', wait, async () => {
		const eve = await person(server, 'Eve refused: by user=bob');
		const all = [];
		for (let i = 0; i < 3; i++)
			all.push(await open(server, eve.token, 'channels'));
		await until(async () => {
			await new Chatter(server, { token: eve.token }).refused();
			return server.output.includes(`user=${eve.id.replaceAll(' ', '%20')} refused: more than 3 connections`);
		}, 'log line', { every: 100 });
		for (const one of all)
			one.leave();
	});
});

describe('without a namespace', { timeout: 120_000 }, () => {
	let server;
	before(async () => {
		server = await start({ root: 'gateway', options: { 'connect-timeout': '4s' } });
	});
	after(() => server?.stop());

	test('a session that was let in only to be refused ends', wait, async () => {
		const one = await Streaming.open(server.port);
		await one.send('40{"token":"bad"}');
		assert.match(await one.next(), /^40\{"sid"/);
		assert.match(await one.next(), /^42\["accessDenied"/);
		assert.equal(await one.next(), '41');
		assert.deepEqual(await one.next(), { code: 1008, reason: 'no namespace joined in time' });
	});

	test('a session that leaves its only one while another is being asked for, and refused, ends', wait, async () => {
		const bob = await person(server, 'bob');
		assert.equal((await rest(server, 'DELETE', '/login/delete', bob.token)).status, 200);
		const one = await Polling.open(server.port);
		await one.send('40/lobby,');
		assert.match(await one.next(), /^40\/lobby,\{"sid"/);
		// One payload: Redis has not answered yet when the lobby is left.
		await one.send(`40/channels,${JSON.stringify({ token: bob.token })}`, '41/lobby,');
		assert.match(await one.next(), /^44\/channels,/);
		assert.equal(await one.next(), '1');
	});
});

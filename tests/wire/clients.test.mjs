// The surface that the test suites of the stock JavaScript clients expect (protocol §15b), with those
// clients: engine.io-client and socket.io-client by polling, by WebSocket, and from one to the other.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Socket } from 'engine.io-client';
import { WebSocket } from 'ws';
import { Chatter, TRAVEL, enter, leaveAll } from '../lib/chatter.mjs';
import { Polling, pollingPath, websocketPath } from '../lib/engine.mjs';
import { startConformance } from '../lib/server.mjs';
import { sleep, until, within } from '../lib/wait.mjs';
import { Wire, request, requestBytes } from '../lib/wire.mjs';

const ENGINE = { path: '/engine.io/' };
const UTF8 = 'пойду спать всем спокойной ночи';

// A client of engine.io-client that remembers what it heard.
class Engine {
	heard = [];
	#taken = 0;

	constructor(server, { travel = 'websocket', ...options } = {}) {
		this.travel = travel;
		this.socket = new Socket(server.url, { transports: TRAVEL[travel], ...options });
		this.socket.binaryType = 'nodebuffer';
		this.socket.on('message', (data) => this.heard.push(data));
		this.closed = new Promise((resolve) => this.socket.on('close',
			(reason, details) => resolve({ reason, details })));
		this.failed = new Promise((resolve) => this.socket.on('error', resolve));
	}

	async opened() {
		await within(new Promise((resolve, reject) => {
			this.socket.on('open', resolve);
			this.socket.on('error', reject);
		}), 'open');
		if (this.travel === 'upgrade')
			await until(() => this.socket.transport.name === 'websocket', 'upgrade');
		return this;
	}

	async next() {
		await until(() => this.heard.length > this.#taken, 'message', { every: 2 });
		return this.heard[this.#taken++];
	}

	close() {
		this.socket.close();
	}
}

// Opened and greeted.
async function engine(server, options) {
	const one = await new Engine(server, options).opened();
	assert.equal(await one.next(), 'hi');
	return one;
}

// The answer to a WebSocket handshake with its headers, or the refusal's status.
function handshake(server, query = '') {
	const socket = new WebSocket(`ws://127.0.0.1:${server.port}${websocketPath({ ...ENGINE, query })}`);
	return within(new Promise((resolve, reject) => {
		socket.on('upgrade', (response) => {
			resolve({ status: 101, headers: response.headers });
			socket.terminate();
		});
		socket.on('unexpected-response', (_, response) => {
			let body = '';
			response.setEncoding('utf8').on('data', (text) => { body += text; });
			response.on('end', () => resolve({ status: response.statusCode, body }));
		});
		socket.on('error', reject);
	}), 'answer to a WebSocket handshake');
}

describe('engine.io-client', { timeout: 300_000 }, () => {
	let server;
	before(async () => {
		server = await startConformance({
			root: 'clients', file: 'tests/conformance/clients-engine.conf', timings: 'file',
		});
	});
	after(() => server?.stop());

	for (const travel of Object.keys(TRAVEL)) {
		const it = (title, run) => test(`${travel}: ${title}`, run);

		it('a greeting, and every message comes back', async () => {
			const one = await engine(server, { travel });
			const texts = ['a', 'cash money €€€', '\u{10000}-\u{DBFFF}-\u{10FFFF}', ' "\n', 'hi'];
			texts.forEach((text) => one.socket.send(text));
			for (const text of texts)
				assert.equal(await one.next(), text);
			one.close();
		});

		it('binary both ways', async () => {
			const one = await engine(server, { travel });
			const bytes = Buffer.from([0, 255, 128, 10, 13]);
			one.socket.send(bytes);
			assert.deepEqual(await one.next(), bytes);
			one.socket.send('give binary');
			assert.deepEqual(await one.next(), Buffer.from([0, 1, 2, 3, 4]));
			one.close();
		});

		it('give utf8', async () => {
			const one = await engine(server, { travel });
			one.socket.send('give utf8');
			assert.equal(await one.next(), UTF8);
			one.close();
		});

		it('lives on from ping to ping', async () => {
			const one = await engine(server, { travel });
			let pings = 0;
			one.socket.on('ping', () => { pings++; });
			await until(() => pings >= 3, 'three pings');
			one.socket.send('still here');
			assert.equal(await one.next(), 'still here');
			one.close();
		});

		it('a message above maxPayload ends the session', async () => {
			const one = await engine(server, { travel });
			one.socket.send('a'.repeat(101));
			const { reason, details } = await within(one.closed, 'close');
			if (travel === 'polling') {
				assert.equal(reason, 'transport error');
				// A poll that comes after the end, on its own connection, may be answered before the client sees the 413.
				const said = [details.description, details.context.responseText];
				if (said[0] === 400)
					assert.deepEqual(said, [400, '{"code":1,"message":"Session ID unknown"}']);
				else
					assert.deepEqual(said, [413, '']);
			} else {
				assert.equal(reason, 'transport close');
				assert.equal(details.context.code, 1009);
				assert.equal(details.context.reason, '');
			}
		});
	}

	test('the handshake says interval and size', async () => {
		const session = await Polling.open(server.port, ENGINE);
		assert.equal(session.handshake.pingInterval, 500);
		assert.equal(session.handshake.maxPayload, 100);
	});

	test('many messages are merged up to maxPayload', async () => {
		const one = await engine(server, { travel: 'polling' });
		const sent = ['a'.repeat(99), 'b'.repeat(30), 'c'.repeat(30), 'd'.repeat(35), '€'.repeat(33), 'f'.repeat(99)];
		sent.forEach((text) => one.socket.send(text));
		for (const text of sent)
			assert.equal(await one.next(), text);
		const blobs = [72, 20, 20, 20, 72].map((size) => Buffer.alloc(size, size));
		blobs.forEach((blob) => one.socket.send(blob));
		for (const blob of blobs)
			assert.deepEqual(await one.next(), blob);
		one.close();
	});

	test('polling: `deny` in the query is Forbidden', async () => {
		for (const query of ['&deny', '&deny=1', '&x=y&deny=']) {
			const answer = await request(server.port, { path: pollingPath({ ...ENGINE, query }) });
			assert.equal(answer.status, 403);
			assert.equal(answer.body, '{"code":4,"message":"Forbidden"}');
			assert.equal(answer.headers['content-type'], 'application/json');
		}
		const one = new Engine(server, { travel: 'polling', query: { deny: 1 } });
		assert.equal((await within(one.failed, 'error')).description, 403);
	});

	test('WebSocket: `deny` in the query is Forbidden', async () => {
		assert.deepEqual(await handshake(server, '&deny=1'), { status: 400, body: 'Forbidden' });
	});

	test('`deny` comes after the method and before the version', async () => {
		const old = '/engine.io/?EIO=3&transport=polling&deny=1';
		assert.equal((await request(server.port, { path: old })).status, 403);
		const posted = await request(server.port, { path: old, method: 'POST', body: '' });
		assert.equal(posted.body, '{"code":2,"message":"Bad handshake method"}');
	});

	test('`deny` matters to handshakes only', async () => {
		const session = await Polling.open(server.port, ENGINE);
		const answer = await request(server.port,
			{ path: pollingPath({ ...ENGINE, sid: session.sid, query: '&deny=1' }) });
		assert.equal(answer.body, '4hi');
		assert.equal(answer.headers['set-cookie'], undefined);
	});

	for (const [denied, taken] of [['websocket', 'polling'], ['polling', 'websocket']]) {
		test(`a client that may not use ${denied} takes ${taken}`, async () => {
			const one = await new Engine(server, {
				transports: [denied, taken], tryAllTransports: true,
				transportOptions: { [denied]: { query: { deny: 1 } } },
			}).opened();
			assert.equal(one.socket.transport.name, taken);
			one.close();
		});
	}

	test('four cookies at the handshake, over polling and over WebSocket', async () => {
		const wire = await Wire.connect(server.port);
		wire.send(requestBytes({ path: pollingPath(ENGINE) }));
		const { headers } = await wire.response();
		wire.destroy();
		const names = (text) => [...text.matchAll(/(?:^|, )(\d)=\1;/g)].map((match) => match[1]);
		assert.deepEqual(names(headers['set-cookie']), ['1', '2', '3', '4']);
		assert.equal(headers['cache-control'], 'no-store');
		const upgraded = await handshake(server);
		assert.deepEqual(upgraded.headers['set-cookie'].map((line) => line.slice(0, 4)),
			['1=1;', '2=2;', '3=3;', '4=4;']);
	});

	for (const [withCredentials, cookie] of [[true, '1=1; 2=2'], [false, undefined]]) {
		test(`sendHeaders, withCredentials ${withCredentials}: the cookie is ${cookie}`, async () => {
			const one = await engine(server, { travel: 'polling', withCredentials });
			// The cookie with Max-Age=0 is there until the clock has moved on.
			await sleep(10);
			one.socket.send('sendHeaders');
			const headers = JSON.parse(await one.next());
			assert.equal(headers.cookie, cookie);
			assert.equal(headers['content-type'], 'text/plain;charset=UTF-8');
			assert.equal(headers['content-length'], '12');
			one.close();
		});
	}

	test('sendHeaders: names in lower case, values of one name joined, whatever the bytes', async () => {
		const session = await Polling.open(server.port, ENGINE);
		await session.next();
		const wire = await Wire.connect(server.port);
		wire.send(`POST ${session.url} HTTP/1.1\r\nHOST: x\r\nX-Two: a\r\nx-tWO: b "\\\r\nCookie: a=1\r\n` +
			'cookie: b=2\r\nX-Old: caf\xe9\r\nX-Utf8: caf\xc3\xa9\r\nX-None:\r\nContent-Length: 12\r\n\r\n4sendHeaders');
		assert.equal((await wire.response()).body, 'ok');
		wire.destroy();
		assert.deepEqual(JSON.parse((await session.next()).slice(1)), {
			host: 'x', 'x-two': 'a, b "\\', cookie: 'a=1; b=2', 'x-old': 'café', 'x-utf8': 'café', 'x-none': '',
			'content-length': '12',
		});
	});

	test('sendHeaders over a WebSocket: there was no POST', async () => {
		const one = await engine(server);
		one.socket.send('sendHeaders');
		assert.equal(await one.next(), '{}');
		one.close();
	});
});

describe('socket.io-client', { timeout: 300_000 }, () => {
	let server;
	before(async () => {
		server = await startConformance({
			root: 'clients', file: 'tests/conformance/clients-socket.conf', timings: 'file',
			options: { workers: 1 },
		});
	});
	after(async () => {
		leaveAll();
		await server?.stop();
	});

	// All arguments of the one event of that name, without the offset at their end.
	const args = (one, name) => one.heard.find((event) => event.name === name).args.slice(0, -1);

	for (const travel of Object.keys(TRAVEL)) {
		const it = (title, run) => test(`${travel}: ${title}`, async () => {
			const one = await enter(server, { travel });
			await run(one);
			one.leave();
		});

		it('hi', async (one) => {
			one.emit('hi');
			await one.next('hi');
			assert.deepEqual(args(one, 'hi'), []);
		});

		it('echo acknowledges its first argument', async (one) => {
			for (const value of [123, 'é', null, { a: [1, {}] }, [[]], Buffer.from([1, 0, 255]),
				{ deep: [Buffer.from('a'), Buffer.from('b')] }])
				assert.deepEqual(await one.ask('echo', value), value);
			assert.equal(await one.ask('echo', 'first', 'second'), 'first');
		});

		it('ack: the server asks, and hears the answer', async (one) => {
			one.socket.on('ack', (answer) => answer(5, { test: true }));
			one.emit('ack');
			await one.next('got it');
			assert.deepEqual(args(one, 'got it'), []);
		});

		it('ack: with a binary answer', async (one) => {
			const bytes = [Buffer.from([0, 1]), Buffer.from('two')];
			one.socket.on('ack', (answer) => answer(5, { test: true }, bytes[0], { more: bytes[1] }));
			one.emit('ack');
			await one.next('got it');
			assert.deepEqual(args(one, 'got it'), [bytes[0], { more: bytes[1] }]);
		});

		it('ack: another answer is not got, an answer counts once', async (one) => {
			const answers = [[], [5], [5, { test: false }], [6, { test: true }], [5, 'x'], [5, { test: true }]];
			one.socket.on('ack', (answer) => answer(...answers.shift()));
			for (let i = 0; i < 6; i++)
				one.emit('ack');
			await one.next('got it');
			await one.ask('getId');
			assert.equal(one.count('got it'), 1);
		});

		it('ack: the event itself is not acknowledged', async (one) => {
			one.socket.on('ack', (answer) => answer(5, { test: true }));
			let acknowledged = false;
			one.emit('ack', () => { acknowledged = true; });
			await one.next('got it');
			await one.ask('getId');
			assert.equal(acknowledged, false);
		});

		it('dates', async (one) => {
			one.emit('getDate');
			one.emit('getDateObj');
			const near = (text) => assert.ok(Math.abs(Date.parse(text) - Date.now()) < 60_000, text);
			near(await one.ask('getAckDate', { test: true }));
			near(await one.next('takeDate'));
			near((await one.next('takeDateObj')).date);
		});

		it('getUtf8', async (one) => {
			one.emit('getUtf8');
			for (const text of ['てすと', 'Я Б Г Д Ж Й', 'Ä ä Ü ü ß', 'utf8 — string', 'utf8 — string'])
				assert.equal(await one.next('takeUtf8'), text);
		});

		it('false', async (one) => {
			one.emit('false');
			assert.equal(await one.next('false'), false);
		});

		it('binary from the server', async (one) => {
			one.emit('doge');
			one.emit('getbin');
			assert.deepEqual(await one.next('doge'), Buffer.from('asdfasdf'));
			assert.deepEqual(await one.next('takebin'), Buffer.from('asdfasdf'));
		});

		for (const [event, reply] of [['buffa', 'buffack'], ['blob', 'back']]) {
			it(`${event}: binary to the server`, async (one) => {
				one.emit(event, 'no binary');
				await one.ask('getId');
				assert.equal(one.count(reply), 0);
				one.emit(event, Uint8Array.of(106, 199, 95).buffer);
				await one.next(reply);
			});
		}

		for (const [event, reply] of [['jsonbuff', 'jsonbuff-ack'], ['jsonblob', 'jsonblob-ack']]) {
			it(`${event}: binary within JSON`, async (one) => {
				one.emit(event, { hello: 'lol', message: 'text', goodbye: 'gotcha' });
				one.emit(event, { hello: 'LOL', message: Buffer.from('a'), goodbye: 'gotcha' });
				await one.ask('getId');
				assert.equal(one.count(reply), 0);
				one.emit(event, { hello: 'lol', message: Buffer.from('howdy'), goodbye: 'gotcha' });
				await one.next(reply);
			});
		}

		it('binary events keep their place among others', async (one) => {
			one.emit('abuff2', 'too early');
			await one.ask('getId');
			assert.equal(one.count('abuff2-ack'), 0);
			one.emit('abuff1', Buffer.from('abuff1'));
			one.emit('abuff2', 'please arrive second');
			await one.next('abuff2-ack');
			one.emit('blob1', Buffer.from('1'));
			one.emit('blob2', 'second');
			one.emit('blob3', Buffer.from('3'));
			await one.next('blob3-ack');
		});

		it('getId is the id that the client has', async (one) => {
			assert.equal(await one.ask('getId'), one.socket.id);
			assert.notEqual(one.socket.id, one.engine.id);
			const foo = await enter(server, { travel, nsp: '/foo' });
			assert.equal(await foo.ask('getId'), foo.socket.id);
			foo.leave();
		});

		it('an unknown event is not acknowledged', async (one) => {
			await assert.rejects(one.socket.timeout(50).emitWithAck('unknown'), /timed out/);
			assert.equal(await one.ask('echo', 42), 42);
		});

		test(`${travel}: getHandshake, and handshake on /abc`, async () => {
			const query = { e: 'f', '&a': '&=?a', 'quo"te': 'ä' };
			const one = await enter(server, { travel, query, auth: { token: 'x', deep: [1] },
				extraHeaders: { 'X-Custom': 'yes' } });
			const handshake = await one.ask('getHandshake');
			assert.deepEqual(handshake.query, query);
			assert.deepEqual(handshake.auth, { token: 'x', deep: [1] });
			assert.equal(handshake.headers['x-custom'], 'yes');
			assert.equal(handshake.headers.host, `127.0.0.1:${server.port}`);
			assert.ok(Math.abs(handshake.issued - Date.now()) < 60_000);
			one.leave();
			const abc = await enter(server, { travel, nsp: '/abc?b=c&d=e', auth: (give) => give({ e: 'f' }) });
			const { query: asked, auth } = await abc.next('handshake');
			assert.deepEqual(asked, { b: 'c', d: 'e' });
			assert.deepEqual(auth, { e: 'f' });
			abc.leave();
		});

		for (const nsp of ['/foo', '/timeout_socket', '/valid', '/asd', '/abc']) {
			test(`${travel}: ${nsp} is there`, async () => {
				(await enter(server, { travel, nsp })).leave();
			});
		}

		test(`${travel}: who may not come in hears why`, async () => {
			const no = new Chatter(server, { travel, nsp: '/no' });
			assert.equal((await no.refused()).message, 'Auth failed (custom namespace)');
			const failing = new Chatter(server, { travel, query: { fail: 1 } });
			assert.equal((await failing.refused()).message, 'Auth failed (main namespace)');
			const nowhere = new Chatter(server, { travel, nsp: '/nowhere' });
			assert.equal((await nowhere.refused()).message, 'Invalid namespace');
			// The session is good for what it may do.
			await enter(server, { travel, nsp: '/foo', query: { fail: 1 } });
			leaveAll();
		});

		test(`${travel}: who heard all is recovered`, async () => {
			const one = await enter(server, { travel, reconnection: true, reconnectionDelay: 10 });
			assert.equal(one.socket.recovered, false);
			const id = one.socket.id;
			one.emit('hi');
			await one.next('hi');
			one.engine.close();
			await until(() => one.disconnects.length > 0 && one.socket.connected, 'return');
			assert.equal(one.socket.recovered, true);
			assert.equal(one.socket.id, id);
			assert.equal(await one.ask('getId'), id);
			one.leave();
		});

		test(`${travel}: who heard nothing yet is somebody else afterwards`, async () => {
			const one = await enter(server, { travel, reconnection: true, reconnectionDelay: 10 });
			const id = one.socket.id;
			one.engine.close();
			await until(() => one.disconnects.length > 0 && one.socket.connected, 'return');
			assert.equal(one.socket.recovered, false);
			assert.notEqual(one.socket.id, id);
			one.leave();
		});
	}

	test('who missed an event is not recovered', async () => {
		const one = await enter(server, { reconnection: true, reconnectionDelay: 10 });
		one.emit('hi');
		await one.next('hi');
		// It says that it stands where it does not.
		one.socket._lastOffset = '0';
		one.engine.close();
		await until(() => one.disconnects.length > 0 && one.socket.connected, 'return');
		assert.equal(one.socket.recovered, false);
		one.leave();
	});

	test('who disconnected is not recovered', async () => {
		const one = await enter(server);
		const id = one.socket.id;
		one.emit('hi');
		await one.next('hi');
		one.socket.disconnect();
		one.socket.connect();
		await one.connected();
		assert.equal(one.socket.recovered, false);
		assert.notEqual(one.socket.id, id);
		one.leave();
	});

	test('a private id that is not one is no error', async () => {
		const one = await enter(server, { auth: { pid: 'x', offset: '1' } });
		assert.equal(one.socket.recovered, false);
		one.leave();
		const other = await enter(server, { auth: { pid: 1, offset: {} } });
		assert.equal(other.socket.recovered, false);
		other.leave();
	});

	test('two namespaces of one connection, and one of them left', async () => {
		const foo = await enter(server, { nsp: '/foo' });
		const asd = foo.socket.io.socket('/asd');
		await within(new Promise((resolve) => asd.once('connect', resolve)), 'connection to /asd');
		foo.socket.disconnect();
		assert.equal(asd.connected, true);
		asd.disconnect();
	});
});

describe('the configuration decides', { timeout: 300_000 }, () => {
	let server;
	before(async () => { server = await startConformance(); });
	after(async () => {
		leaveAll();
		await server?.stop();
	});

	test('a port with root `echo` has none of this', async () => {
		for (const nsp of ['/foo', '/no', '/abc', '/clients']) {
			const one = new Chatter(server, { nsp });
			assert.equal((await one.refused()).message, 'Invalid namespace');
		}
		const session = await Polling.open(server.port, { ...ENGINE, query: '&deny=1' });
		await session.send('4give utf8');
		assert.equal(await session.next(), '4give utf8');
	});
});

// Engine.IO: the HTTP surface, the checks and their errors, the handshake (protocol §1, §2).
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Polling, Streaming, TRANSPORTS, UNKNOWN_SID, upgrade, upgrading } from '../lib/engine.mjs';
import { startConformance } from '../lib/server.mjs';
import { Wire, request, requestBytes } from '../lib/wire.mjs';
import { OP, WebSocket, acceptOf, frame, upgradeHeaders } from '../lib/websocket.mjs';

const ERRORS = {
	0: 'Transport unknown',
	1: 'Session ID unknown',
	2: 'Bad handshake method',
	3: 'Bad request',
	5: 'Unsupported protocol version',
};

// Query, what else the request has, and the code it gets: the order of the checks decides.
const REFUSED = [
	['EIO=4', {}, 0],
	['EIO=4&transport=', {}, 0],
	['EIO=4&transport=carrier-pigeon', {}, 0],
	['EIO=4&transport=Polling', {}, 0],
	['EIO=4&transport=abc&sid=nobody', {}, 0],
	['EIO=4&transport=abc', { method: 'POST', body: '' }, 0],
	['EIO=3', {}, 0],
	['EIO=4&transport=polling&sid=nobody', {}, 1],
	['EIO=4&transport=polling&sid=nobody', { method: 'POST', body: '4a' }, 1],
	['EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAA', {}, 1],
	['EIO=4&transport=polling&sid=%00%ff', {}, 1],
	['EIO=3&transport=polling&sid=nobody', {}, 1],
	['EIO=4&transport=websocket&sid=nobody', {}, 1],
	['EIO=4&transport=polling', { method: 'POST', body: '40' }, 2],
	['EIO=4&transport=polling', { method: 'PUT', body: '' }, 2],
	['EIO=4&transport=polling', { method: 'DELETE' }, 2],
	['EIO=3&transport=polling', { method: 'POST', body: '40' }, 2],
	['EIO=4&transport=websocket', {}, 3],
	['EIO=3&transport=websocket', {}, 3],
	['EIO=3&transport=polling', {}, 5],
	['EIO=5&transport=polling', {}, 5],
	['EIO=04&transport=polling', {}, 5],
	['EIO=4x&transport=polling', {}, 5],
	['EIO=abc&transport=polling', {}, 5],
	['EIO=&transport=polling', {}, 5],
	['transport=polling', {}, 5],
];

const REFUSED_UPGRADES = [
	['EIO=4', 'Transport unknown'],
	['EIO=4&transport=abc', 'Transport unknown'],
	['EIO=4&transport=websocket&sid=nobody', 'Session ID unknown'],
	['EIO=3&transport=websocket', 'Unsupported protocol version'],
	['transport=websocket', 'Unsupported protocol version'],
];

describe('handshake', { timeout: 300_000 }, () => {
	let server;
	before(async () => { server = await startConformance(); });
	after(() => server?.stop());

	for (const [query, more, code] of REFUSED) {
		test(`${more.method ?? 'GET'} ?${query} gets code ${code}`, async () => {
			const answer = await request(server.port, { path: `/socket.io/?${query}`, ...more });
			assert.equal(answer.status, 400);
			assert.match(answer.headers['content-type'], /^application\/json/);
			assert.equal(answer.body, `{"code":${code},"message":"${ERRORS[code]}"}`);
		});
	}

	for (const [query, text] of REFUSED_UPGRADES) {
		test(`upgrade to ?${query} is refused in plain text`, async () => {
			const wire = await Wire.connect(server.port);
			wire.send(requestBytes({ path: `/socket.io/?${query}`, headers: upgradeHeaders() }));
			const answer = await wire.response();
			assert.equal(answer.status, 400);
			assert.equal(answer.body, text);
			assert.match(answer.headers.connection ?? '', /close/i);
			assert.equal((await wire.end()).length, 0);
		});
	}

	test('upgrade with transport=polling is refused', async () => {
		const wire = await Wire.connect(server.port);
		wire.send(requestBytes({
			path: '/socket.io/?EIO=4&transport=polling', headers: upgradeHeaders(),
		}));
		assert.equal((await wire.response()).status, 400);
		wire.destroy();
	});

	test('a session knows its transport and its protocol version', async () => {
		const session = await Polling.open(server.port);
		const sid = `sid=${session.sid}`;
		for (const query of [`EIO=4&transport=websocket&${sid}`, `EIO=3&transport=polling&${sid}`,
			`transport=polling&${sid}`]) {
			const answer = await request(server.port, { path: `/socket.io/?${query}` });
			assert.equal(answer.status, 400, query);
			assert.equal(answer.body, '{"code":3,"message":"Bad request"}', query);
		}
		// None of that hurt it.
		assert.equal((await session.send('40')).status, 200);
		assert.match(await session.next(), /^40\{"sid":/);
	});

	test('an unknown method on a session is refused', async () => {
		const session = await Polling.open(server.port);
		const answer = await request(server.port, { method: 'PUT', path: session.url, body: '4a' });
		assert.ok([400, 405].includes(answer.status), String(answer.status));
	});

	test('polling: the whole response', async () => {
		const answer = await request(server.port, {
			path: '/socket.io/?EIO=4&transport=polling&t=abc123&anything=else', headers: { Accept: '*/*' },
		});
		assert.equal(answer.status, 200);
		assert.match(answer.headers['content-type'], /^text\/plain; ?charset=UTF-8$/i);
		assert.equal(answer.headers['cache-control'], 'no-store');
		assert.equal(answer.headers['content-length'], String(answer.bytes.length));
		assert.equal(answer.headers['set-cookie'], undefined);
		assert.match(answer.body, /^0\{"sid":"[A-Za-z0-9_-]{20,}","upgrades":\["websocket"\],/);
		assert.doesNotMatch(answer.body, /\s|\x1e/);
	});

	for (const Transport of TRANSPORTS) {
		test(`${Transport.name}: exactly the five keys`, async () => {
			const session = await Transport.open(server.port);
			const { handshake } = session;
			assert.deepEqual(Object.keys(handshake).sort(),
				['maxPayload', 'pingInterval', 'pingTimeout', 'sid', 'upgrades']);
			assert.deepEqual(handshake.upgrades, Transport === Polling ? ['websocket'] : []);
			assert.equal(handshake.maxPayload, 1_000_000);
			assert.equal(handshake.pingInterval, 60_000);
			assert.equal(handshake.pingTimeout, 60_000);
			session.destroy();
		});
	}

	test('sids are unlike each other', async () => {
		const sids = new Set();
		for (let i = 0; i < 50; i++)
			sids.add((await Polling.open(server.port)).sid);
		assert.equal(sids.size, 50);
	});

	test('a sid that was tampered with is unknown', async () => {
		const { sid, port } = await Polling.open(server.port);
		for (const at of [0, sid.length >> 1, sid.length - 1]) {
			const other = sid[at] === 'A' ? 'B' : 'A';
			const forged = sid.slice(0, at) + other + sid.slice(at + 1);
			const answer = await request(port, { path: `/socket.io/?EIO=4&transport=polling&sid=${forged}` });
			assert.equal(answer.body, UNKNOWN_SID, `${sid} as ${forged}`);
		}
	});

	test('the path is taken without its last slash too', async () => {
		const session = await Polling.open(server.port, { path: '/socket.io' });
		assert.equal((await session.send('40')).status, 200);
		assert.match(await session.next(), /^40/);
		const streaming = await Streaming.open(server.port, { path: '/socket.io' });
		streaming.destroy();
	});

	for (const path of ['/socket.iox/', '/Socket.IO/', '//socket.io/', '/']) {
		test(`${path} is not the path`, async () => {
			const answer = await request(server.port, { path: `${path}?EIO=4&transport=polling` });
			assert.ok(answer.status === 404 || !answer.body.startsWith('0{'), answer.body);
		});
	}

	test('j is not JSONP but plain polling', async () => {
		const answer = await request(server.port, { path: '/socket.io/?EIO=4&transport=polling&j=0' });
		assert.match(answer.headers['content-type'], /^text\/plain/);
		assert.match(answer.body, /^0\{/);
	});

	test('WebSocket: 101 by the book, then the open packet', async () => {
		const key = 'dGhlIHNhbXBsZSBub25jZQ==';
		const wire = await Wire.connect(server.port);
		wire.send(requestBytes({
			path: '/socket.io/?EIO=4&transport=websocket',
			headers: {
				...upgradeHeaders(key), Upgrade: 'WebSocket', Connection: 'keep-alive, UPGRADE',
				'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits',
			},
		}));
		const answer = await wire.response();
		assert.equal(answer.status, 101);
		assert.match(answer.headers.upgrade, /^websocket$/i);
		assert.match(answer.headers.connection, /upgrade/i);
		assert.equal(answer.headers['sec-websocket-accept'], acceptOf(key));
		assert.equal(answer.headers['sec-websocket-extensions'], undefined);
		assert.equal(answer.headers['sec-websocket-protocol'], undefined);
		const websocket = new WebSocket(wire, answer);
		assert.match(await websocket.next(), /^0\{"sid":"[^"]+","upgrades":\[\],/);
		websocket.destroy();
	});

	test('the WebSocket may send before it has read the 101', async () => {
		const wire = await Wire.connect(server.port);
		wire.send(Buffer.concat([
			requestBytes({ path: '/engine.io/?EIO=4&transport=websocket', headers: upgradeHeaders() }),
			frame(OP.TEXT, '4early'),
		]));
		const websocket = new WebSocket(wire, await wire.response());
		assert.match(await websocket.next(), /^0\{/);
		assert.equal(await websocket.next(), '4early');
		websocket.destroy();
	});

	const BAD_UPGRADES = [
		['no key', { 'Sec-WebSocket-Key': undefined }, 400],
		['an empty key', { 'Sec-WebSocket-Key': '' }, 400],
		['a short key', { 'Sec-WebSocket-Key': 'YWJj' }, 400],
		['a key that is not base64', { 'Sec-WebSocket-Key': '!!!!!!!!!!!!!!!!!!!!!!==' }, 400],
		['no version', { 'Sec-WebSocket-Version': undefined }, [400, 426]],
		['version 8', { 'Sec-WebSocket-Version': '8' }, 426],
		['version 14', { 'Sec-WebSocket-Version': '14' }, 426],
		['another protocol', { Upgrade: 'h2c' }, 400],
		['a body', { 'Content-Length': '7' }, 400],
		['a body in chunks', { 'Transfer-Encoding': 'chunked' }, 400],
	];
	for (const [what, headers, status] of BAD_UPGRADES) {
		test(`upgrade with ${what} is refused`, async () => {
			const wire = await Wire.connect(server.port);
			wire.send(requestBytes({
				path: '/socket.io/?EIO=4&transport=websocket', headers: { ...upgradeHeaders(), ...headers },
			}));
			const answer = await wire.response();
			assert.ok([status].flat().includes(answer.status), `${answer.status} ${answer.body}`);
			if (answer.status === 426)
				assert.equal(answer.headers['sec-websocket-version'], '13');
			wire.destroy();
		});
	}

	test('upgrade by POST is refused', async () => {
		const answer = await request(server.port, {
			method: 'POST', path: '/socket.io/?EIO=4&transport=websocket', headers: upgradeHeaders(),
			body: '',
		});
		assert.ok(answer.status >= 400 && answer.status < 500, String(answer.status));
	});

	test('after the upgrade polling with that sid gets code 3', async () => {
		const session = await Polling.open(server.port, { path: '/engine.io/' });
		const upgraded = await upgrade(session);
		await upgraded.send('4here');
		assert.equal(await upgraded.next(), '4here');
		for (const answer of [await session.poll(), await session.send('4there')]) {
			assert.equal(answer.status, 400);
			assert.equal(answer.body, '{"code":3,"message":"Bad request"}');
		}
		await upgraded.send('4still here');
		assert.equal(await upgraded.next(), '4still here');
		upgraded.destroy();
	});

	test('a second WebSocket for one session is closed at once', async () => {
		const session = await Polling.open(server.port, { path: '/engine.io/' });
		const upgraded = await upgrade(session);
		await upgraded.send('4first');
		assert.equal(await upgraded.next(), '4first');
		const second = await upgrading(session);
		await second.closed();
		await upgraded.send('4untouched');
		assert.equal(await upgraded.next(), '4untouched');
		upgraded.destroy();
	});
});

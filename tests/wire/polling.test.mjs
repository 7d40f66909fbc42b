// Engine.IO over polling: payloads, one request at a time, ends (protocol §3, §4).
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Polling, decodePayload, upgrading } from '../lib/engine.mjs';
import { startConformance } from '../lib/server.mjs';
import { sleep, until } from '../lib/wait.mjs';
import { Wire, request, requestBytes } from '../lib/wire.mjs';

const ECHO = { path: '/engine.io/' };
const MAX_PAYLOAD = 1_000_000;

// Bodies that the echo sends back, and what comes back.
const ECHOED = [
	['one message', '4hello', ['4hello']],
	['two messages', '4a\x1e4b', ['4a', '4b']],
	['text in many scripts', '4пойду спать 好 🙂 é', ['4пойду спать 好 🙂 é']],
	['an empty message', '4', ['4']],
	['binary', 'bAQIDBA==', [Buffer.from([1, 2, 3, 4])]],
	['text, then binary', '4hello\x1ebAQIDBA==', ['4hello', Buffer.from([1, 2, 3, 4])]],
	['binary without padding', 'bAQIDBA', [Buffer.from([1, 2, 3, 4])]],
	['URL-safe binary', 'b-_-_', [Buffer.from('+/+/', 'base64')]],
	['standard binary', 'b+/+/', [Buffer.from('+/+/', 'base64')]],
	['empty binary', 'b', [Buffer.alloc(0)]],
	['pong, noop and upgrade in between', '3\x1e4a\x1e6\x1e3anything\x1e5\x1e4b', ['4a', '4b']],
];

// Bodies that end the session.
const FATAL = [
	['nothing', ''],
	['a leading separator', '\x1e4a'],
	['a trailing separator', '4a\x1e'],
	['an empty packet', '4a\x1e\x1e4b'],
	['only separators', '\x1e\x1e'],
	['an unknown type', '7'],
	['an unknown type after a good one', '4a\x1ex'],
	['a letter', 'abc'],
	['an open packet', '0'],
	['a ping', '2'],
	['a probe without an upgrade', '2probe'],
	['base64 with a foreign letter', 'bAQ*D'],
	['text that is not UTF-8', Buffer.from([0x34, 0xff, 0xfe])],
];

describe('polling', { timeout: 300_000 }, () => {
	let server;
	before(async () => {
		// An echo of the largest body must fit into the queue for a client.
		server = await startConformance({ options: { 'queue-hard': '4mb' } });
	});
	after(() => server?.stop());

	for (const [what, body, packets] of ECHOED) {
		test(`${what} is echoed`, async () => {
			const session = await Polling.open(server.port, ECHO);
			const answer = await session.post(body);
			assert.equal(answer.status, 200);
			assert.equal(answer.body, 'ok');
			assert.match(answer.headers['content-type'], /^text\/(plain|html)/);
			const got = [];
			while (got.length < packets.length)
				got.push(await session.next());
			assert.deepEqual(got, packets);
		});
	}

	for (const [what, body] of FATAL) {
		test(`${what} ends the session`, async () => {
			const session = await Polling.open(server.port, ECHO);
			assert.equal((await session.post(body)).status, 400);
			await session.dead();
		});
	}

	test('one response takes the whole queue', async () => {
		const session = await Polling.open(server.port, ECHO);
		await session.post('4a\x1e4b');
		await session.post('bAQI=\x1e4c');
		const answer = await session.poll();
		assert.equal(answer.status, 200);
		assert.match(answer.headers['content-type'], /^text\/plain; ?charset=UTF-8$/i);
		assert.equal(answer.headers['cache-control'], 'no-store');
		assert.equal(answer.headers['content-length'], String(answer.bytes.length));
		assert.equal(answer.body, '4a\x1e4b\x1ebAQI=\x1e4c');
	});

	test('a poll is held until there is something to say', async () => {
		const session = await Polling.open(server.port, ECHO);
		const held = await session.hold();
		assert.equal((await session.post('4now')).body, 'ok');
		assert.equal((await held.answer).body, '4now');
		// The same connection serves the next one.
		held.wire.send(requestBytes({ path: session.url }));
		await session.post('4again');
		assert.equal((await held.wire.response()).body, '4again');
		held.wire.destroy();
	});

	test('a second poll ends the session', async () => {
		const session = await Polling.open(server.port, ECHO);
		const first = await session.hold();
		// The first must be held before the second comes, which only the server knows: it shows in
		// that the other, whichever it is, gets 200 and `1`.
		const second = await session.hold();
		const answers = await Promise.all([first.answer, second.answer]);
		assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 400]);
		assert.equal(answers.find(({ status }) => status === 200).body, '1');
		assert.equal(answers.find(({ status }) => status === 400).body, '');
		await session.dead();
	});

	test('a second POST ends the session', async () => {
		const session = await Polling.open(server.port, ECHO);
		const first = await Wire.connect(server.port);
		const whole = requestBytes({ method: 'POST', path: session.url, body: '4abcdef' });
		first.send(whole.subarray(0, whole.length - 3));
		// The first is under way once its head was read; until then the second is alone and harmless.
		await until(async () => {
			const answer = await session.post('4x');
			if (answer.status === 200)
				return false;
			assert.equal(answer.status, 400);
			return true;
		}, 'refusal of a second POST');
		first.send(whole.subarray(whole.length - 3));
		const rest = (await first.end()).toString();
		assert.doesNotMatch(rest, /^HTTP\/1\.1 200/);
		await session.dead();
	});

	test('an aborted poll ends the session', async () => {
		for (const leave of ['destroy', 'reset']) {
			const session = await Polling.open(server.port, ECHO);
			const held = await session.hold();
			// A message answered through the held poll proves that it is there.
			await session.post('4a');
			await held.answer;
			held.wire.send(requestBytes({ path: session.url }));
			await session.post('3');
			held.wire[leave]();
			await until(async () => {
				const answer = await request(server.port,
					{ method: 'POST', path: session.url, body: '3' });
				return answer.status === 400;
			}, `end after ${leave}`);
			await session.dead();
		}
	});

	test('1 in a POST closes: the poll is released, the session gone', async () => {
		const session = await Polling.open(server.port, ECHO);
		const held = await session.hold();
		await session.post('4a');
		assert.equal((await held.answer).body, '4a');
		held.wire.send(requestBytes({ path: session.url }));
		await session.post('3');
		const answer = await session.post('1');
		assert.equal(answer.status, 200);
		assert.equal(answer.body, 'ok');
		const released = await held.wire.response();
		assert.equal(released.status === 200 ? released.body : '6', '6');
		await session.dead();
	});

	test('packets before a 1 are handled, those after it are not', async () => {
		const session = await Polling.open(server.port, ECHO);
		await session.post('4a\x1e1\x1e4b');
		const answer = await session.poll();
		assert.doesNotMatch(answer.body, /4b/);
	});

	test('a body of maxPayload is taken', async () => {
		const session = await Polling.open(server.port, ECHO);
		const body = `4${'x'.repeat(MAX_PAYLOAD - 1)}`;
		assert.equal((await session.post(body)).status, 200);
		assert.equal(await session.next(), body);
	});

	test('one response stays near maxPayload, the rest comes with the next', async () => {
		const session = await Polling.open(server.port, ECHO);
		const messages = ['a', 'b', 'c', 'd'].map((letter) => `4${letter.repeat(400_000)}`);
		for (const message of messages)
			await session.post(message);
		const heard = [];
		while (heard.length < messages.length) {
			const answer = await session.poll();
			assert.ok(answer.bytes.length <= MAX_PAYLOAD + 400_002, `${answer.bytes.length} bytes`);
			heard.push(...decodePayload(answer.body));
		}
		assert.ok(heard.every((message, i) => message === messages[i]));
	});

	test('a body over maxPayload gets 413 and ends the session', async () => {
		const session = await Polling.open(server.port, ECHO);
		const wire = await Wire.connect(server.port);
		// Announced only: the answer must not wait for a body that is too long.
		wire.send(`POST ${session.url} HTTP/1.1\r\nHost: a\r\nContent-Length: ${MAX_PAYLOAD + 1}\r\n\r\n`);
		assert.equal((await wire.response()).status, 413);
		wire.destroy();
		await session.dead();
	});

	test('chunks over maxPayload get 413 too', async () => {
		const session = await Polling.open(server.port, ECHO);
		const wire = await Wire.connect(server.port);
		wire.send(`POST ${session.url} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n`);
		const chunk = `8000\r\n${'4'.padEnd(0x8000, 'x')}\r\n`;
		for (let sent = 0; sent <= MAX_PAYLOAD; sent += 0x8000)
			wire.send(chunk);
		assert.equal((await wire.response()).status, 413);
		wire.destroy();
		await session.dead();
	});

	test('a chunked body is one payload', async () => {
		const session = await Polling.open(server.port, ECHO);
		const wire = await Wire.connect(server.port);
		wire.send(`POST ${session.url} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n`);
		wire.send('3\r\n4ab\r\n').send('4;ext=1\r\ncd\x1e4\r\n').send('1\r\nx\r\n0\r\n\r\n');
		assert.equal((await wire.response()).body, 'ok');
		wire.destroy();
		assert.deepEqual(decodePayload((await session.poll()).body), ['4abcd', '4x']);
	});

	test('octet-stream is refused and ends the session', async () => {
		const session = await Polling.open(server.port, ECHO);
		const answer = await session.post(Buffer.from([4, 1, 2]),
			{ 'Content-Type': 'application/octet-stream' });
		assert.equal(answer.status, 400);
		await session.dead();
	});

	test('requests in a pipeline are answered in order', async () => {
		const session = await Polling.open(server.port, ECHO);
		const wire = await Wire.connect(server.port);
		const post = (body) => requestBytes({ method: 'POST', path: session.url, body });
		const get = requestBytes({ path: session.url });
		wire.send(Buffer.concat([post('4a'), get, post('4b'), post('4c'), get]));
		const bodies = [];
		for (let i = 0; i < 5; i++)
			bodies.push((await wire.response()).body);
		assert.deepEqual(bodies, ['ok', '4a', 'ok', 'ok', '4b\x1e4c']);
		wire.destroy();
	});

	test('HTTP/1.0: a connection stays for who asks for it, and is told so', async () => {
		const session = await Polling.open(server.port, ECHO);
		const wire = await Wire.connect(server.port);
		const post = (line = '') =>
			`POST ${session.url} HTTP/1.0\r\n${line}Content-Length: 2\r\n\r\n4a`;
		for (let i = 0; i < 2; i++) {
			wire.send(post('Connection: Keep-Alive\r\n'));
			const answer = await wire.response();
			assert.deepEqual([answer.body, answer.headers.connection], ['ok', 'keep-alive']);
		}
		wire.send(post());
		const last = await wire.response();
		assert.deepEqual([last.body, last.headers.connection], ['ok', 'close']);
		assert.equal((await wire.end()).length, 0);
		wire.destroy();
		const answer = await session.post('4a');
		assert.equal(answer.headers.connection, undefined, 'HTTP/1.1 needs not be told');
	});

	test('a request in many small pieces is one request', async () => {
		const session = await Polling.open(server.port, ECHO);
		const wire = await Wire.connect(server.port);
		const whole = requestBytes({ method: 'POST', path: session.url, body: '4piecemeal' });
		for (const byte of whole) {
			wire.send(Buffer.from([byte]));
			await new Promise(setImmediate);
		}
		assert.equal((await wire.response()).body, 'ok');
		wire.destroy();
		assert.equal(await session.next(), '4piecemeal');
	});

	test('Expect: 100-continue is answered', async () => {
		const session = await Polling.open(server.port, ECHO);
		const wire = await Wire.connect(server.port);
		wire.send(`POST ${session.url} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n` +
			'Content-Length: 3\r\n\r\n');
		assert.equal((await wire.response()).status, 100);
		wire.send('4ab');
		assert.equal((await wire.response()).body, 'ok');
		wire.destroy();
	});

	test('Connection: close is obeyed', async () => {
		const session = await Polling.open(server.port, ECHO);
		const wire = await Wire.connect(server.port);
		wire.send(requestBytes({
			method: 'POST', path: session.url, headers: { Connection: 'close' }, body: '4a',
		}));
		assert.equal((await wire.response()).body, 'ok');
		assert.equal((await wire.end()).length, 0);
	});

	test('sessions do not hear each other', async () => {
		const sessions = await Promise.all(
			Array.from({ length: 12 }, () => Polling.open(server.port, ECHO)));
		await Promise.all(sessions.map((session, i) => session.post(`4to ${i}`)));
		const heard = await Promise.all(sessions.map((session) => session.next()));
		assert.deepEqual(heard, sessions.map((_, i) => `4to ${i}`));
	});

	test('thirty messages come in order', async () => {
		const session = await Polling.open(server.port, ECHO);
		for (let i = 0; i < 30; i++)
			await session.post(`4${i}`);
		for (let i = 0; i < 30; i++)
			assert.equal(await session.next(), `4${i}`);
	});

	test('an upgrade request leaves no trace when its client goes away', async () => {
		const session = await Polling.open(server.port, ECHO);
		(await upgrading(session)).destroy();
		await session.post('4a');
		assert.equal(await session.next(), '4a');
	});
});

test('an answer behind which the connection closes has time to be read', { timeout: 120_000 }, async () => {
	const options = { workers: 1, 'max-payload': '16mb', 'queue-soft': '64mb', 'queue-hard': '64mb' };
	const server = await startConformance({ options });
	try {
		const session = await Polling.open(server.port, ECHO);
		// More than what the kernel takes for both ends.
		const body = `4${'x'.repeat(12_000_000)}`;
		assert.equal((await session.post(body)).status, 200);
		const wire = await Wire.connect(server.port);
		wire.pause();
		wire.send(requestBytes({ path: session.url, headers: { Connection: 'close' } }));
		// A reader that is slow, but for less than idle-timeout.
		await sleep(4000);
		wire.resume();
		assert.equal((await wire.response()).bytes.length, body.length);
		assert.equal((await wire.end()).length, 0);
	} finally {
		await server.stop();
	}
});

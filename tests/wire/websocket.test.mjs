// RFC 6455 at the raw echo, and Engine.IO over WebSocket (protocol §3, §5).
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Streaming } from '../lib/engine.mjs';
import { startConformance } from '../lib/server.mjs';
import { OP, WebSocket, closePayload, frame } from '../lib/websocket.mjs';

const MAX_PAYLOAD = 1_000_000;
const GOOD_TEXT = 'κόσμε 🙂';
const { TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG } = OP;

// Frames as [opcode, payload, options], the code of the close that they bring, and what is echoed
// before it.
const VIOLATIONS = [
	['an unmasked text', [[TEXT, 'a', { mask: false }]], 1002],
	['an unmasked close', [[CLOSE, '', { mask: false }]], 1002],
	['RSV1', [[TEXT, 'a', { rsv: 4 }]], 1002],
	['RSV2', [[TEXT, 'a', { rsv: 2 }]], 1002],
	['RSV3', [[BINARY, 'a', { rsv: 1 }]], 1002],
	['RSV on a ping', [[PING, 'a', { rsv: 4 }]], 1002],
	...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode) => [`opcode ${opcode}`, [[opcode, 'a']], 1002]),
	['a ping of 126 bytes', [[PING, 'x'.repeat(126)]], 1002],
	['a fragmented ping', [[PING, 'a', { fin: false }]], 1002],
	['a fragmented close', [[CLOSE, '', { fin: false }]], 1002],
	['a close of 126 bytes', [[CLOSE, closePayload(1000, 'x'.repeat(124))]], 1002],
	['a continuation of nothing', [[CONTINUATION, 'a']], 1002],
	['a text inside a message', [[TEXT, 'a', { fin: false }], [TEXT, 'b']], 1002],
	['a continuation after the end',
		[[TEXT, 'a', { fin: false }], [CONTINUATION, 'b'], [CONTINUATION, 'c']], 1002, ['ab']],
	['a small length in 16 bits', [[TEXT, 'a', { wide: 16 }]], 1002],
	['a small length in 64 bits', [[TEXT, 'a', { wide: 64 }]], 1002],
	['a length with its highest bit set', [[TEXT, '', { length: 1n << 63n, wide: 64 }]], [1002, 1009]],
	['invalid UTF-8', [[TEXT, Buffer.from([0xce, 0xba, 0xff])]], 1007],
	['UTF-8 cut at the end', [[TEXT, Buffer.from([0xce])]], 1007],
	['an overlong form', [[TEXT, Buffer.from([0xc0, 0x80])]], 1007],
	['a surrogate', [[TEXT, Buffer.from([0xed, 0xa0, 0x80])]], 1007],
	['a code point past the last', [[TEXT, Buffer.from([0xf4, 0x90, 0x80, 0x80])]], 1007],
	['invalid UTF-8 in the second fragment',
		[[TEXT, Buffer.from([0xce]), { fin: false }], [CONTINUATION, Buffer.from([0xff])]], 1007],
	['a close of one byte', [[CLOSE, 'a']], 1002],
	...[0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535].map((code) =>
		[`a close with ${code}`, [[CLOSE, closePayload(code)]], 1002]),
	['a close with a reason that is not UTF-8',
		[[CLOSE, Buffer.concat([closePayload(1000), Buffer.from([0xff])])]], [1002, 1007]],
	['one byte over the limit', [[BINARY, Buffer.alloc(MAX_PAYLOAD + 1)]], 1009],
	['fragments over the limit', [[TEXT, 'x'.repeat(MAX_PAYLOAD), { fin: false }],
		[CONTINUATION, 'x']], 1009],
	['a declared length of 2^62', [[TEXT, 'abc', { length: 1n << 62n }]], 1009],
];

const GOOD_CLOSES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999];

describe('RFC 6455', { timeout: 300_000 }, () => {
	let server;
	before(async () => { server = await startConformance(); });
	after(() => server?.stop());

	const open = () => WebSocket.open(server.port, '/echo');

	for (const length of [0, 1, 125, 126, 127, 65535, 65536, 70_001, MAX_PAYLOAD]) {
		test(`${length} bytes of text and of binary are echoed`, async () => {
			const websocket = await open();
			websocket.text('x'.repeat(length));
			assert.equal(await websocket.next(), 'x'.repeat(length));
			const bytes = Buffer.alloc(length, 0xfe);
			websocket.binary(bytes);
			assert.ok(bytes.equals(await websocket.next()));
			websocket.destroy();
		});
	}

	test('text in fragments, cut inside a character', async () => {
		const websocket = await open();
		const bytes = Buffer.from(GOOD_TEXT);
		bytes.forEach((byte, i) => websocket.frame(i === 0 ? TEXT : CONTINUATION,
			Buffer.from([byte]), { fin: i === bytes.length - 1 }));
		assert.equal(await websocket.next(), GOOD_TEXT);
		websocket.destroy();
	});

	test('empty fragments', async () => {
		const websocket = await open();
		websocket.frame(BINARY, '', { fin: false });
		for (let i = 0; i < 1000; i++)
			websocket.frame(CONTINUATION, '', { fin: false });
		websocket.frame(CONTINUATION, '');
		assert.equal((await websocket.next()).length, 0);
		websocket.destroy();
	});

	test('ten thousand fragments of a byte', async () => {
		const websocket = await open();
		websocket.frame(TEXT, 'x', { fin: false });
		for (let i = 0; i < 9998; i++)
			websocket.frame(CONTINUATION, 'x', { fin: false });
		websocket.frame(CONTINUATION, 'x');
		assert.equal(await websocket.next(), 'x'.repeat(10_000));
		websocket.destroy();
	});

	test('control frames between fragments are answered at once', async () => {
		const websocket = await open();
		websocket.frame(TEXT, 'a', { fin: false });
		websocket.frame(PING, 'between');
		const pong = await websocket.nextFrame();
		assert.deepEqual([pong.opcode, pong.payload.toString()], [PONG, 'between']);
		websocket.frame(PONG, 'unasked');
		websocket.frame(CONTINUATION, 'b');
		assert.equal(await websocket.next(), 'ab');
		websocket.destroy();
	});

	for (const length of [0, 1, 125]) {
		test(`a ping of ${length} bytes gets its pong`, async () => {
			const websocket = await open();
			websocket.frame(PING, 'p'.repeat(length));
			const pong = await websocket.nextFrame();
			assert.equal(pong.opcode, PONG);
			assert.equal(pong.payload.toString(), 'p'.repeat(length));
			websocket.destroy();
		});
	}

	test('an unasked pong is passed over', async () => {
		const websocket = await open();
		websocket.frame(PONG, 'a').frame(PONG, '').text('b');
		assert.equal(await websocket.next(), 'b');
		websocket.destroy();
	});

	test('a frame in single bytes', async () => {
		const websocket = await open();
		for (const byte of frame(TEXT, GOOD_TEXT)) {
			websocket.wire.send(Buffer.from([byte]));
			await new Promise(setImmediate);
		}
		assert.equal(await websocket.next(), GOOD_TEXT);
		websocket.destroy();
	});

	test('many messages in one write', async () => {
		const websocket = await open();
		const many = Array.from({ length: 500 }, (_, i) => frame(TEXT, `message ${i}`));
		websocket.wire.send(Buffer.concat(many));
		for (let i = 0; i < 500; i++)
			assert.equal(await websocket.next(), `message ${i}`);
		websocket.destroy();
	});

	for (const [what, frames, codes, echoed = []] of VIOLATIONS) {
		test(`${what} closes with ${[codes].flat().join(' or ')}`, async () => {
			const websocket = await open();
			for (const one of frames)
				websocket.frame(...one);
			const { code, before: earlier } = await websocket.closed();
			assert.ok([codes].flat().includes(code), `closed with ${code}`);
			assert.deepEqual(earlier, echoed);
		});
	}

	for (const code of GOOD_CLOSES) {
		test(`a close with ${code} is answered in kind`, async () => {
			const websocket = await open();
			websocket.close(code, 'bye');
			assert.equal((await websocket.closed()).code, code);
		});
	}

	test('an empty close is answered', async () => {
		const websocket = await open();
		websocket.close();
		assert.ok([1000, 1005].includes((await websocket.closed()).code));
	});

	test('nothing is echoed after a close', async () => {
		const websocket = await open();
		websocket.text('before').close(1000).text('after');
		const { code, before: earlier } = await websocket.closed();
		assert.equal(code, 1000);
		assert.deepEqual(earlier, ['before']);
	});

	// The worker reads all its clients with the same few parsers.
	test('what one client leaves unfinished is no other one\'s', async () => {
		const unfinished = [
			(one) => one.wire.send(frame(TEXT, 'half a frame').subarray(0, 9)),
			(one) => one.frame(TEXT, 'half a message', { fin: false }),
			(one) => one.frame(TEXT, 'open', { fin: false }).frame(PING, 'asked'),
			(one) => one.frame(CONTINUATION, 'of nothing'),
			(one) => one.frame(PING, 'asked').text('and gone'),
		];
		const other = await open();
		for (const [i, leave] of unfinished.entries()) {
			const one = await open();
			one.text('first');
			assert.equal(await one.next(), 'first');
			leave(one);
			other.text(`beside ${i}`);
			assert.equal(await other.next(), `beside ${i}`);
			one.destroy();
			other.frame(PING, '').text(`after ${i}`);
			assert.equal((await other.nextFrame()).opcode, PONG);
			assert.equal(await other.next(), `after ${i}`);
		}
		other.destroy();
	});

	test('a client that vanishes leaves nothing behind', async () => {
		for (let i = 0; i < 20; i++) {
			const websocket = await open();
			websocket.frame(TEXT, 'half', { fin: i % 2 === 0 });
			websocket.wire.reset();
		}
		const websocket = await open();
		websocket.text('a');
		assert.equal(await websocket.next(), 'a');
		websocket.destroy();
	});
});

// Messages that end an Engine.IO session over WebSocket.
const FATAL = [
	['an empty text', ''],
	['an unknown type', '7'],
	['a letter', 'abc'],
	['an open packet', '0'],
	['a close packet', '1'],
	['a ping', '2'],
	['a probe', '2probe'],
	['base64', 'bAQID'],
];

describe('Engine.IO over WebSocket', { timeout: 300_000 }, () => {
	let server;
	before(async () => { server = await startConformance(); });
	after(() => server?.stop());

	const open = () => Streaming.open(server.port, { path: '/engine.io/' });

	test('texts and bytes are echoed, one packet a message', async () => {
		const session = await open();
		await session.send('4hello', Buffer.from([1, 2, 3]), '4', `4${GOOD_TEXT}`, Buffer.alloc(0));
		assert.equal(await session.next(), '4hello');
		assert.deepEqual(await session.next(), Buffer.from([1, 2, 3]));
		assert.equal(await session.next(), '4');
		assert.equal(await session.next(), `4${GOOD_TEXT}`);
		assert.equal((await session.next()).length, 0);
		session.destroy();
	});

	test('a separator is no separator here', async () => {
		const session = await open();
		await session.send('4a\x1e4b');
		assert.equal(await session.next(), '4a\x1e4b');
		session.destroy();
	});

	test('pong, upgrade and noop are passed over', async () => {
		const session = await open();
		await session.send('3', '3what', '5', '6', '4a');
		assert.equal(await session.next(), '4a');
		session.destroy();
	});

	test('a fragmented packet', async () => {
		const session = await open();
		session.websocket.frame(TEXT, '4he', { fin: false }).frame(PING, '').frame(CONTINUATION, 'llo');
		assert.equal(await session.next(), '4hello');
		session.destroy();
	});

	for (const [what, packet] of FATAL) {
		test(`${what} ends the session`, async () => {
			const session = await open();
			await session.send(packet);
			await session.dead();
		});
	}

	test('the codes of RFC 6455 hold here too', async () => {
		for (const [args, code] of [
			[[TEXT, '4a', { mask: false }], 1002],
			[[TEXT, Buffer.from([0x34, 0xff])], 1007],
			[[TEXT, `4${'x'.repeat(MAX_PAYLOAD + 1)}`], 1009],
		]) {
			const session = await open();
			session.websocket.frame(...args);
			assert.equal(await session.dead(), code);
		}
	});

	test('a client that closes ends the session', async () => {
		const session = await open();
		session.websocket.close(1000);
		assert.equal(await session.dead(), 1000);
	});
});

// What is larger than max-payload, or says that it will be: refused by its name, and never in memory.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Polling, UNKNOWN_SID, websocketPath } from '../lib/engine.mjs';
import { start } from '../lib/server.mjs';
import { sized } from '../lib/size.mjs';
import { MEMORY_COUNTS, growthDuring, memoryOf, mib } from '../lib/usage.mjs';
import { OP, WebSocket, frame } from '../lib/websocket.mjs';
import { Wire, requestBytes } from '../lib/wire.mjs';

const MAX = 1_000_000;
const CHUNK = 16 * 1024;
const HUGE = [2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 62n, 2n ** 63n - 1n];
const PAST = [2n ** 63n, 2n ** 63n + 1n, 2n ** 64n - 1n];
const PAST_64 = ['18446744073709551616', '18446744073709551617', `1${'0'.repeat(40)}`];

describe('oversize', { timeout: 300_000 }, () => {
	let server;
	let pid;
	before(async () => {
		server = await start({ options: { workers: 1, 'max-payload': MAX } });
		[{ pid }] = server.workers();
		// What the first large message brings along stays.
		await fits();
	});
	after(() => server?.stop());

	const path = (sid) => `/socket.io/?EIO=4&transport=polling&sid=${sid}`;
	const post = (sid, lines) =>
		`POST ${path(sid)} HTTP/1.1\r\nHost: localhost\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`;

	async function websocket() {
		const one = await WebSocket.open(server.port, websocketPath());
		await one.next();
		return one;
	}

	// A message of just that size is read.
	async function fits() {
		const one = await websocket();
		one.text(`40/${'x'.repeat(MAX - 3)}`);
		await one.next();
		one.destroy();
	}

	// A session's POST: the head and the pieces of its body, sent as long as nobody says no.
	async function posted(lines, pieces, { ends = true } = {}) {
		const session = await Polling.open(server.port);
		const wire = await Wire.connect(server.port);
		wire.send(post(session.sid, lines));
		for (const piece of pieces)
			wire.send(piece);
		const { status, headers } = await wire.response();
		assert.match(headers.connection, /close/i);
		await wire.end();
		wire.destroy();
		assert.equal((await session.post('3')).body === UNKNOWN_SID, ends);
		return status;
	}

	async function closedBy(send) {
		const one = await websocket();
		await send(one);
		return (await one.closed()).code;
	}

	const body = Buffer.alloc(MAX + 1, 'x');
	const cut = (bytes) => Array.from({ length: Math.ceil(bytes.length / CHUNK) },
		(_, i) => bytes.subarray(i * CHUNK, (i + 1) * CHUNK));
	const chunked = (bytes) => cut(bytes).map((piece) =>
		Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]));
	const CHUNKED = ['Transfer-Encoding: chunked'];

	const TOO_LARGE = [
		['one frame', 1009, () => closedBy((one) => one.frame(OP.TEXT, body))],
		['one frame, of which a byte comes', 1009, () => closedBy((one) =>
			one.wire.send(frame(OP.TEXT, '4', { length: MAX + 1 })))],
		['two fragments', 1009, () => closedBy((one) =>
			one.frame(OP.TEXT, body.subarray(1), { fin: false }).frame(OP.CONTINUATION, 'x'))],
		['many fragments', 1009, () => closedBy((one) => {
			cut(body).forEach((piece, i) => one.frame(i === 0 ? OP.BINARY : OP.CONTINUATION, piece, { fin: false }));
		})],
		['a POST with its length', 413, () => posted([`Content-Length: ${MAX + 1}`], [body])],
		['a POST with its length, of which nothing comes', 413, () => posted([`Content-Length: ${MAX + 1}`], [])],
		['a POST in chunks', 413, () => posted(CHUNKED, chunked(body))],
		['a POST in one chunk', 413, () => posted(CHUNKED, [`${(MAX + 1).toString(16)}\r\n`, body])],
		['a POST in a chunk that is only announced', 413, () => posted(CHUNKED, [`${(MAX + 1).toString(16)}\r\n`])],
		...HUGE.map((n) => [`a frame of ${n}`, 1009,
			() => closedBy((one) => one.wire.send(frame(OP.TEXT, '4', { length: n })))]),
		// Its highest bit must not be set (RFC 6455, 5.2).
		...PAST.map((n) => [`a frame of ${n}`, 1002,
			() => closedBy((one) => one.wire.send(frame(OP.TEXT, '4', { length: n })))]),
		...HUGE.map((n) => [`a Content-Length of ${n}`, 413, () => posted([`Content-Length: ${n}`], ['4'])]),
		// That is no head at all, and so nobody's.
		...[...PAST, ...PAST_64].map((n) => [`a Content-Length of ${n}`, 413,
			() => posted([`Content-Length: ${n}`], ['4'], { ends: false })]),
		...[...HUGE, ...PAST].map((n) => [`a chunk of ${n}`, 413, () => posted(CHUNKED, [`${n.toString(16)}\r\n4`])]),
		['a second chunk of 2^64 - 1', 413, () => posted(CHUNKED, ['1\r\n4\r\n', 'ffffffffffffffff\r\n4'])],
		['a chunk of 2^64', 400, () => posted(CHUNKED, ['10000000000000000\r\n4'])],
	];
	for (const [what, status, send] of TOO_LARGE) {
		test(`${what} is refused with ${status}`, async (t) => {
			const { grown, result } = await growthDuring(pid, send);
			assert.equal(result, status);
			t.diagnostic(`memory: ${mib(grown)} at its peak`);
			if (MEMORY_COUNTS)
				assert.ok(grown <= 2 * MAX, `${grown} bytes for one of ${MAX}`);
		});
	}

	test('frames of max-payload, announced by many: memory is what has come of them', async (t) => {
		const many = sized(200, 2000);
		const before = memoryOf(pid);
		const wires = [];
		for (let i = 0; i < many; i++) {
			const { wire } = await websocket();
			wires.push(wire.send(frame(OP.BINARY, 'x', { length: MAX })));
		}
		const one = await websocket();
		one.destroy();
		const each = (memoryOf(pid) - before) / many;
		t.diagnostic(`${each.toFixed(0)} bytes each`);
		if (MEMORY_COUNTS)
			assert.ok(each <= 32 * 1024, `${each} bytes each`);
		for (const wire of wires)
			wire.destroy();
	});

	test('what just fits goes on being taken', fits);
});

// Clients who send a byte now and then, and never what they began: each is closed by the time-out that is there
// for it, costs little until then, and keeps nobody out.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { standBack } from '../lib/bystander.mjs';
import { Polling, websocketPath } from '../lib/engine.mjs';
import { allGone, departures } from '../lib/hostile.mjs';
import { scrape } from '../lib/metrics.mjs';
import { FULL, sized } from '../lib/size.mjs';
import { target } from '../lib/target.mjs';
import { MEMORY_COUNTS, memoryOf } from '../lib/usage.mjs';
import { pool, sleep, until } from '../lib/wait.mjs';
import { OP, frame, upgradeHeaders } from '../lib/websocket.mjs';
import { Wire, request, requestBytes } from '../lib/wire.mjs';

const CLIENTS = sized(280, 5000);
const AT_ONCE = 64;
const ADDRESSES = 50;
const MOST_BYTES = 24 * 1024;    // of memory for one of them
const DEFAULT_MS = { header: 10_000, body: 30_000, connect: 45_000, ping: 45_000 };
// A session whose POST comes slowly must not be late for its namespace before.
const SHORT_MS = { header: 3000, body: 3500, connect: 8000, ping: 7000 };
const DUE_MS = FULL ? DEFAULT_MS : SHORT_MS;
// A session that polls is kept for so long after its end, to be told of it.
const GRACE_MS = 30_000;
const TIMES = FULL ? {} : {
	'header-timeout': '3s', 'body-timeout': '3500ms', 'connect-timeout': '8s', 'ping-interval': '2s', 'ping-timeout': '5s',
};
const BOUNDARY = 'x-boundary';

let made = 0;
// Of one address there are not ports enough.
const dial = (server) => Wire.connect(server.port, { localAddress: `127.0.0.${2 + made++ % ADDRESSES}` });

describe('slowloris', { timeout: sized(120_000, 600_000) }, () => {
	let server;
	let token;
	let others;
	let pid;
	before(async () => {
		({ server, token, pid, others } = await target({ 'idle-timeout': '10s', ...TIMES }, { every: 10 }));
		standBack();
	});
	after(async () => {
		others?.stop();
		await server?.stop();
	});

	const begin = async (bytes) => (await dial(server)).send(bytes);

	async function websocket() {
		const wire = await begin(requestBytes({ path: websocketPath(), headers: upgradeHeaders() }));
		assert.equal((await wire.response()).status, 101);
		await skipFrame(wire);
		return wire;
	}

	async function skipFrame(wire) {
		const [, length] = await wire.take(2);
		return wire.take(length < 126 ? length : (await wire.take(2)).readUInt16BE());
	}

	async function joined() {
		const wire = await websocket();
		wire.send(frame(OP.TEXT, `40/channels,${JSON.stringify({ token })}`));
		await skipFrame(wire);
		return wire;
	}

	const post = (path, type, more = {}) => requestBytes({
		method: 'POST', path, headers: { 'Content-Type': type, 'Content-Length': 1_000_000, ...more },
	});

	// What is due, the byte that comes now and then, and how each is told: a status, a close code, or nothing.
	const KINDS = [
		['that never say a word', 'header', () => dial(server), '', /^$/],
		['that send a head, byte by byte', 'header', () => begin('GET /health HTTP/1.1\r\nHost: '), 'x', /^$/],
		['that send headers, line by line', 'header', () => begin('GET /health HTTP/1.1\r\nHost: a\r\n'), 'X-A: b\r\n', /^$/],
		['that send the handshake of a WebSocket', 'header',
			() => begin(requestBytes({ path: websocketPath(), headers: upgradeHeaders() }).subarray(0, -2)), 'X-A: b\r\n', /^$/],
		['that send a body', 'body', () => begin(post('/login/signin', 'application/json')), ' ', /^HTTP\/1.1 408 /],
		['that send a body in chunks', 'body', () => begin(
			'POST /login/signin HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n'),
		'1\r\n \r\n', /^HTTP\/1.1 408 /],
		['that send a POST of their session', 'body', async () => {
			const { sid } = await Polling.open(server.port);
			return begin(post(`/socket.io/?EIO=4&transport=polling&sid=${sid}`, 'text/plain'));
		}, '4', /^HTTP\/1.1 408 /],
		['that send a file', 'body', async () => begin(Buffer.concat([
			post('/api/upload', `multipart/form-data; boundary=${BOUNDARY}`, { Authorization: `Bearer ${token}` }),
			Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n`)])),
		'x', /^HTTP\/1.1 408 /],
		['that come in, and nowhere', 'connect', websocket, frame(OP.TEXT, '3'), /\x88.\x03\xf0/s],
		// By default its pong is missing at the same moment.
		['that begin a frame before they are anywhere', 'connect',
			async () => (await websocket()).send(frame(OP.BINARY, '4', { length: 10_000 })), 'x', /\x88.\x03[\xf0\xe9]/s],
		['that begin a frame', 'ping',
			async () => (await joined()).send(frame(OP.BINARY, '4', { length: 10_000 })), 'x', /\x88.\x03\xe9/s],
		['that begin a message', 'ping',
			async () => (await joined()).send(frame(OP.TEXT, '4', { fin: false })), frame(OP.CONTINUATION, 'x', { fin: false }),
			/\x88.\x03\xe9/s],
	];

	// To its end: { what came, after how long }.
	async function lastWords(wire, begun, byte, every, stop) {
		const drip = byte && setInterval(() => wire.send(byte), every);
		try {
			const bytes = await wire.end(stop);
			return { text: bytes.toString('latin1'), ms: performance.now() - begun };
		} finally {
			clearInterval(drip);
			wire.destroy();
		}
	}

	test(`${CLIENTS} of all kinds at once`, async (t) => {
		const first = await scrape(server);
		const each = Math.floor(CLIENTS / KINDS.length);
		const ends = [];
		let looking = true;
		let knocks = 0;
		const seen = await others.during(async () => {
			for (const [what, due, open, byte] of KINDS) {
				const before = memoryOf(pid);
				const wires = [];
				await pool(Array.from({ length: each }), AT_ONCE, async () => {
					// Before the server's own clock begins to run.
					const begun = performance.now();
					const wire = await open();
					wires.push(wire);
					ends.push({ what, due, end: lastWords(wire, begun, byte, DUE_MS[due] / 5, 3 * DUE_MS[due] + 30_000) });
				});
				await request(server.port, { path: '/health' });
				const bytes = (memoryOf(pid) - before) / each;
				t.diagnostic(`${each} clients ${what}: ${bytes.toFixed(0)} bytes of memory each`);
				if (MEMORY_COUNTS)
					assert.ok(bytes <= MOST_BYTES, `${bytes} bytes for each ${what}`);
			}
			// New ones come meanwhile.
			const knocking = (async () => {
				while (looking) {
					assert.equal((await request(server.port, { path: '/health' })).status, 200);
					knocks += 1;
					await sleep(50);
				}
			})();
			await Promise.all(ends.map(({ end }) => end)).finally(() => { looking = false; });
			await knocking;
		});
		t.diagnostic(`others: ${seen.n} answers, p99 ${seen.p99.toFixed(1)} ms, at most ${seen.max.toFixed(1)} ms; ` +
			`${knocks} new ones`);
		assert.equal(seen.gone + seen.unanswered, 0);
		for (const [what, due, , , told] of KINDS) {
			const mine = await Promise.all(ends.filter((one) => one.what === what).map(({ end }) => end));
			const times = mine.map(({ ms }) => ms).sort((a, b) => a - b);
			t.diagnostic(`clients ${what}: ended after ${(times[0] / 1000).toFixed(1)} to ${(times.at(-1) / 1000).toFixed(1)} s`);
			for (const { text } of mine)
				assert.match(text, told, what);
			// Not before it is due; the end of all is awaited, with a bound.
			assert.ok(times[0] >= DUE_MS[due] * 0.8, `${what}: after ${times[0]} ms`);
		}
		await allGone(server, first, { ms: 60_000 });
		const left = await departures(server, first);
		t.diagnostic(JSON.stringify(left));
		await until(async () => (await scrape(server)).sum('confab_connections') <= first.sum('confab_connections'),
			'end of all', { ms: GRACE_MS + 30_000 });
		// On a slow machine a session may be late for its namespace before its POST is.
		const { 'no namespace joined in time': late, 'ping timeout': silent, 'http timeout': cut = 0 } = left;
		assert.ok(late >= each && silent >= 2 * each);
		assert.equal(late + silent + cut, 5 * each);
	});
});

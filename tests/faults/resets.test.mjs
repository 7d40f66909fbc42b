// RST at every stage of a connection's life: nothing is left of it, and all that were opened are accounted for.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { bystanders } from '../lib/bystander.mjs';
import { Polling, upgrading, websocketPath } from '../lib/engine.mjs';
import { allGone, departures } from '../lib/hostile.mjs';
import { scrape } from '../lib/metrics.mjs';
import { channel, person } from '../lib/people.mjs';
import { redis } from '../lib/redis.mjs';
import { start } from '../lib/server.mjs';
import { sized } from '../lib/size.mjs';
import { descriptorsOf } from '../lib/usage.mjs';
import { pool, until } from '../lib/wait.mjs';
import { OP, WebSocket, frame, upgradeHeaders } from '../lib/websocket.mjs';
import { Wire, request, requestBytes } from '../lib/wire.mjs';

const AGAIN = sized(4, 100);
const AT_ONCE = 8;
const SHORT = { 'ping-interval': '2s', 'ping-timeout': '6s', 'idle-timeout': '3s', 'upgrade-timeout': '2s' };
const BOUNDARY = 'x-boundary';

describe('resets', { timeout: sized(120_000, 900_000) }, () => {
	let server;
	let ann;
	let room;
	let others;
	let first;
	let workers;
	let open;
	before(async () => {
		server = await start({ options: { workers: 2, ...SHORT } });
		ann = await person(server, 'Ann');
		room = await channel(server, ann);
		others = await bystanders(server, { token: ann.token });
		first = await scrape(server);
		workers = server.workers().map(({ pid }) => pid);
		open = workers.map(descriptorsOf);
	});
	after(async () => {
		others?.stop();
		await server?.stop();
	});

	const HANDSHAKE = () => requestBytes({ path: websocketPath(), headers: upgradeHeaders() });
	const bearer = (more) => ({ Authorization: `Bearer ${ann.token}`, ...more });
	const json = (body) => requestBytes({
		method: 'POST', path: `/api/channels/${room}/messages`, body: JSON.stringify(body),
		headers: bearer({ 'Content-Type': 'application/json' }),
	});
	const connect = () => `40/channels,${JSON.stringify({ token: ann.token })}`;

	async function raw(bytes) {
		const wire = await Wire.connect(server.port);
		if (bytes)
			wire.send(bytes);
		return wire;
	}

	// Sent in two halves, the second never.
	const half = (bytes) => raw(bytes.subarray(0, Math.floor(bytes.length / 2)));

	async function websocket() {
		const one = await WebSocket.open(server.port, websocketPath());
		await one.next();
		return one;
	}

	async function joined() {
		const one = await websocket();
		one.text(connect());
		assert.match(await one.next(), /^40\/channels,/);
		return one;
	}

	async function polling() {
		const session = await Polling.open(server.port);
		const wire = await raw(requestBytes({ method: 'POST', path: session.url, body: '3' }));
		await wire.response();
		return { session, wire };
	}

	function upload(cut) {
		const content = Buffer.concat([
			Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n`),
			Buffer.alloc(200_000, 'a'), Buffer.from(`\r\n--${BOUNDARY}--\r\n`)]);
		const bytes = requestBytes({
			method: 'POST', path: '/api/upload', body: content,
			headers: bearer({ 'Content-Type': `multipart/form-data; boundary=${BOUNDARY}` }),
		});
		return raw(bytes.subarray(0, Math.floor(bytes.length * cut)));
	}

	// Each gives the connection, at that stage, that is then reset.
	const STAGES = [
		['before a byte', () => raw()],
		['within a request line', () => raw('GET /hea')],
		['within a head', () => raw('GET /health HTTP/1.1\r\nHost: loc')],
		['within a body', () => half(json({ content: 'x'.repeat(1000) }))],
		['within a chunk', () => raw(`POST /login/signin HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n` +
			'Transfer-Encoding: chunked\r\n\r\n64\r\n{"a"')],
		['behind a bad head', () => raw('GET /health\r\n\r\n')],
		['with a whole request, the answer not read', () => raw(requestBytes({ path: '/' }))],
		['with a hundred requests', () => raw(Buffer.concat(Array.from({ length: 100 }, () => requestBytes({ path: '/' }))))],
		['with a request that asks Redis', () => raw(json({ content: 'a' }))],
		['within the handshake of a poll', () => raw(requestBytes({ path: '/socket.io/?EIO=4&transport=polling' }).subarray(0, 60))],
		['with a held poll', async () => {
			const { session, wire } = await polling();
			return wire.send(requestBytes({ path: session.url }));
		}],
		['with a held poll and much behind it', async () => {
			const { session, wire } = await polling();
			wire.send(requestBytes({ path: session.url })).send(Buffer.alloc(60_000, 'GET / HTTP/1.1\r\n'));
			await session.send('1');
			return wire;
		}],
		['within the body of a POST', async () => {
			const session = await Polling.open(server.port);
			return half(requestBytes({ method: 'POST', path: session.url, body: `4${'0'.repeat(1000)}` }));
		}],
		['with a POST that connects', async () => {
			const session = await Polling.open(server.port);
			return raw(requestBytes({ method: 'POST', path: session.url, body: connect() }));
		}],
		['within the handshake of a WebSocket', () => half(HANDSHAKE())],
		['with the handshake of a WebSocket', () => raw(HANDSHAKE())],
		['with the handshake and a frame', () => raw(Buffer.concat([HANDSHAKE(), frame(OP.TEXT, connect())]))],
		['with the handshake of a plain WebSocket', () => raw(requestBytes({
			path: `/room/websocket?token=${ann.token}`, headers: upgradeHeaders() }))],
		['with the handshake of an upgrade', async () => (await upgrading(await Polling.open(server.port))).wire],
		['with a probe', async () => (await upgrading(await Polling.open(server.port))).text('2probe').wire],
		['with an upgrade', async () => (await upgrading(await Polling.open(server.port))).text('2probe').text('5').wire],
		['within the header of a frame', async () => (await websocket()).wire.send(frame(OP.TEXT, '4'.repeat(200)).subarray(0, 3))],
		['within a frame', async () => (await websocket()).wire.send(frame(OP.TEXT, '4'.repeat(200)).subarray(0, 50))],
		['within a message', async () => (await joined()).frame(OP.TEXT, '42/ch', { fin: false }).wire],
		['within a binary packet', async () =>
			(await joined()).text('452-/channels,["a",{"_placeholder":true,"num":0}]').binary(Buffer.from([1])).wire],
		['with a CONNECT under way', async () => (await websocket()).text(connect()).wire],
		['with an acknowledgement under way', async () =>
			(await joined()).text(`42/channels,1${JSON.stringify(['send_message', { channelId: room, content: 'a' }])}`).wire],
		['with a hundred events under way', async () => {
			const one = await joined();
			for (let i = 0; i < 100; i++)
				one.text(`42/channels,${i}${JSON.stringify(['join_channel', { channelId: room }])}`);
			return one.wire;
		}],
		['with a close', async () => (await joined()).close(1000).wire],
		['within an upload', () => upload(0.5)],
		['with an upload', () => upload(1)],
	];

	// Half of them at once, half when the server has had its turn.
	async function resetAt(stage) {
		const seen = await others.during(() => pool(Array.from({ length: AGAIN }), AT_ONCE, async (_, i) => {
			const wire = await stage();
			if (i % 2 === 0)
				await request(server.port, { path: '/health' });
			wire.reset();
		}));
		assert.equal(seen.gone + seen.unanswered, 0, 'others noticed');
	}

	for (const [what, stage] of STAGES)
		test(what, () => resetAt(stage));

	test('with something under way while Redis does not answer', async (t) => {
		const link = redis(server);
		const store = Number((await link.info('server')).match(/process_id:(\d+)/)[1]);
		const ready = await Promise.all(Array.from({ length: AGAIN }, joined));
		const waiting = STAGES.filter(([what]) => /asks Redis|CONNECT|plain|upload$|connects/.test(what));
		process.kill(store, 'SIGSTOP');
		try {
			const wires = await Promise.all(waiting.flatMap(([, stage]) => Array.from({ length: AGAIN }, stage)));
			for (const one of ready)
				wires.push(one.text(`42/channels,1${JSON.stringify(['send_message', { channelId: room, content: 'a' }])}`).wire);
			const pending = await until(async () => (await scrape(server)).sum('confab_redis_calls_pending'), 'calls');
			t.diagnostic(`${wires.length} connections reset, ${pending} calls pending`);
			for (const wire of wires)
				wire.reset();
			await allGone(server, first);
		} finally {
			process.kill(store, 'SIGCONT');
		}
		await until(async () => (await scrape(server)).sum('confab_redis_calls_pending') === 0, 'answers of Redis');
		link.disconnect();
	});

	test('nothing is left, and all that came are accounted for, each once', async (t) => {
		const last = await allGone(server, first, { ms: 60_000 });
		await until(async () => (await scrape(server)).sum('confab_connections') <= first.sum('confab_connections'),
			'end of all sessions', { ms: 60_000 });
		const left = await departures(server, first);
		t.diagnostic(JSON.stringify(left));
		const came = last.sum('confab_connects_total') - first.sum('confab_connects_total');
		assert.equal(Object.values(left).reduce((sum, n) => sum + n, 0), came);
		assert.deepEqual(server.workers().map(({ pid }) => pid), workers, 'a worker was replaced');
		await until(() => workers.every((pid, i) => descriptorsOf(pid) <= open[i] + 2), 'descriptors as before');
		await until(() => fs.readdirSync(path.join(server.dataDir, 'uploads', 'new')).length === 0, 'end of all uploads');
	});
});

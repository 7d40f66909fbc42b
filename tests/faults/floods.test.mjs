// Much of everything: heads, namespaces, and requests whose answers nobody reads. Each is answered, refused or
// made to wait, in bounded memory, and the others do not notice.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { standBack } from '../lib/bystander.mjs';
import { dismissAll } from '../lib/crowd.mjs';
import { Polling, upgrading, websocketPath } from '../lib/engine.mjs';
import { allGone, departures, highest, pour } from '../lib/hostile.mjs';
import { scrape } from '../lib/metrics.mjs';
import { FULL, sized } from '../lib/size.mjs';
import { target } from '../lib/target.mjs';
import { MEMORY_COUNTS, memoryOf, mib } from '../lib/usage.mjs';
import { until } from '../lib/wait.mjs';
import { OP, WebSocket, frame } from '../lib/websocket.mjs';
import { Wire, requestBytes } from '../lib/wire.mjs';

const KIB = 1024;
const MIB = 1024 * KIB;
const HEAD_MAX = 16 * KIB;
const QUEUE_SOFT = 256 * KIB;
// More than what the kernel holds between the two, by far.
const MUCH = sized(12, 20) * MIB;

// Longer than the flood takes.
const SOON = sized('2s', '15s');
const SHORT = {
	'ping-interval': SOON, 'ping-timeout': sized('6s', '15s'), 'idle-timeout': SOON, 'upgrade-timeout': SOON,
	'connect-timeout': '60s',
};

describe('floods', { timeout: sized(300_000, 1_200_000) }, () => {
	let server;
	let token;
	let others;
	let pid;
	before(async () => {
		({ server, token, pid, others } = await target(SHORT, { every: 10 }));
		standBack();
	});
	after(async () => {
		others?.stop();
		dismissAll();
		await server?.stop();
	});

	// Does it while others go on, whom it must not cut off.
	async function unnoticed(t, work) {
		const seen = await others.during(work);
		t.diagnostic(`others: ${seen.n} answers, p99 ${seen.p99?.toFixed(1)} ms`);
		assert.equal(seen.gone, 0, 'others were cut off');
		assert.equal(seen.unanswered, 0, 'others got no answer');
		return seen.result;
	}

	// What is refused before it has ended: as many bytes as must do, and no end of the head.
	const LINE = 'GET /health HTTP/1.1\r\nHost: localhost\r\n';
	const cut = (bytes) => bytes.slice(0, HEAD_MAX + 1);
	const HEADS = [
		['10,000 headers', `${LINE}${Array.from({ length: 10_000 }, (_, i) => `X-${i}: a\r\n`).join('')}`, 431],
		['a line of 1 MiB', `GET /${'x'.repeat(MIB)}`, 414],
		['a cookie of 100 KiB', `${LINE}Cookie: ${'x'.repeat(100 * KIB)}`, 431],
		['a name of 1 MiB', `${LINE}${'x'.repeat(MIB)}`, 431],
		['a method of 1 MiB', 'X'.repeat(MIB), 501],
		['empty lines without end', '\r\n'.repeat(MIB), 400],
		['10,000 headers of a WebSocket', requestBytes({
			path: websocketPath(), headers: Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`X-${i}`, 'a'])),
		}).toString('latin1'), 431],
	];
	for (const [what, head, status] of HEADS) {
		test(`${what}: refused after 16 KiB, and readably when all of it comes`, async (t) => {
			await unnoticed(t, async () => {
				for (const bytes of [cut(head), head]) {
					const wire = await Wire.connect(server.port);
					wire.send(bytes);
					assert.equal((await wire.response()).status, status);
					await wire.end();
					wire.destroy();
				}
			});
		});
	}

	// Connections of one kind each, whose clients never read, and what they send.
	const joined = async () => {
		const websocket = await WebSocket.open(server.port, websocketPath());
		await websocket.next();
		websocket.text(`40/channels,${JSON.stringify({ token })}`);
		assert.match(await websocket.next(), /^40\/channels,/);
		return websocket.wire;
	};
	const probing = async () => (await upgrading(await Polling.open(server.port))).wire;
	const listening = async () => (await WebSocket.open(server.port, `/room/websocket?token=${token}`)).wire;
	const bare = () => Wire.connect(server.port);
	const UNREAD = [
		['pings of 125 bytes', joined, frame(OP.PING, 'x'.repeat(125))],
		['empty pings', joined, frame(OP.PING, '')],
		['pings at a plain WebSocket', listening, frame(OP.PING, 'x'.repeat(125))],
		['probes of an upgrade', probing, frame(OP.TEXT, '2probe')],
		['events with an answer', joined, frame(OP.TEXT, '42/channels,1["ping"]')],
		['unknown events', joined, frame(OP.TEXT, `42/channels,1["${'x'.repeat(100)}"]`)],
		['CONNECTs to nowhere', joined, frame(OP.TEXT, `40/${'x'.repeat(100)},`)],
		['requests', bare, requestBytes({ path: '/health' })],
		['requests that are refused', bare, requestBytes({ path: '/nowhere' })],
		['requests for a page', bare, requestBytes({ path: '/' })],
	];
	describe('answers that nobody reads', () => {
		let first;
		const wires = [];
		before(async () => { first = await scrape(server); });
		after(() => wires.forEach((wire) => wire.destroy()));

		// The small size takes every other kind.
		for (const [what, open, bytes] of UNREAD.filter((_, i) => FULL || i % 2 === 0)) {
			test(`${what}: made to wait`, async (t) => {
				const clients = sized(1, 20);
				const already = (await scrape(server)).sum('confab_queue_bytes');
				const memory = memoryOf(pid);
				const { most, result } = await unnoticed(t, () => highest(server, 'confab_queue_bytes', async () => {
					const mine = await Promise.all(Array.from({ length: clients }, open));
					wires.push(...mine);
					for (const wire of mine)
						wire.pause();
					const poured = await Promise.all(mine.map((wire) => pour(wire, bytes, MUCH, pid)));
					return { taken: poured.reduce((sum, n) => sum + n, 0), grown: memoryOf(pid) - memory };
				}));
				const waiting = most - already;
				t.diagnostic(`${mib(result.taken)} of ${mib(clients * MUCH)} taken; waiting for them: ${mib(waiting)}; ` +
					`memory: ${mib(result.grown)}`);
				assert.ok(waiting <= clients * 2 * QUEUE_SOFT, `${waiting} bytes wait for ${clients} clients`);
				if (MEMORY_COUNTS)
					assert.ok(result.grown <= clients * MIB, `${result.grown} bytes for ${clients} clients`);
			});
		}

		test('all of them are ended by their time-outs', async (t) => {
			await allGone(server, first, { ms: 60_000 });
			t.diagnostic(JSON.stringify(await departures(server, first)));
		});
	});
});

const LOUD = 'Rate limit exceeded. Please slow down.';

describe('floods of namespaces', { timeout: 300_000 }, () => {
	let server;
	let token;
	before(async () => {
		({ server, token } = await target({ 'event-rate': '1 50' }));
	});
	after(() => server?.stop());

	const KINDS = [
		['that do not exist', (i) => `40/nowhere-${i},`],
		['of one that wants a token', () => '40/channels,'],
	];
	for (const [what, packet] of KINDS) {
		test(`10,000 CONNECTs ${what}: each is answered, few are looked at`, async (t) => {
			const [{ pid }] = server.workers();
			const calls = (await scrape(server)).sum('confab_redis_calls_total');
			const memory = memoryOf(pid);
			const websocket = await WebSocket.open(server.port, websocketPath());
			await websocket.next();
			for (let i = 0; i < 10_000; i++)
				websocket.text(packet(i));
			let looked = 0;
			for (let i = 0; i < 10_000; i++) {
				const answer = await websocket.next();
				assert.match(answer, /^44\//);
				looked += answer.includes(LOUD) ? 0 : 1;
			}
			t.diagnostic(`${looked} looked at; memory ${mib(memoryOf(pid) - memory)}`);
			assert.ok(looked >= 50 && looked < 1000, `${looked} were not too many`);
			assert.ok((await scrape(server)).sum('confab_redis_calls_total') - calls < 1000);
			if (MEMORY_COUNTS)
				assert.ok(memoryOf(pid) - memory < 2 * MIB);
			// The session goes on, and may come in once it has been quiet for a moment.
			await until(async () => {
				websocket.text(`40/channels,${JSON.stringify({ token })}`);
				return (await websocket.next()).startsWith('40/channels,');
			}, 'end of the punishment', { every: 200 });
			websocket.destroy();
		});
	}

	test('all that exist, in one session, and none of them twice', async () => {
		const websocket = await WebSocket.open(server.port, websocketPath());
		await websocket.next();
		const names = ['channels', 'gateway', 'lobby'];
		for (const name of names)
			websocket.text(`40/${name},${JSON.stringify({ token })}`);
		const heard = new Set();
		await until(async () => {
			const [, name] = /^40\/(\w+),/.exec(await websocket.next()) ?? [];
			if (name)
				heard.add(name);
			return heard.size === names.length;
		}, 'all namespaces', { every: 0 });
		websocket.text('40/lobby,');
		assert.equal((await websocket.closed()).code, 1008);
	});
});

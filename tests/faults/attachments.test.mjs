// Binary packets that are never whole, or too large in sum.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { TRANSPORTS, websocketPath } from '../lib/engine.mjs';
import { departures } from '../lib/hostile.mjs';
import { scrape } from '../lib/metrics.mjs';
import { FULL, sized } from '../lib/size.mjs';
import { target } from '../lib/target.mjs';
import { MEMORY_COUNTS, growthDuring, memoryOf, mib } from '../lib/usage.mjs';
import { until } from '../lib/wait.mjs';
import { WebSocket } from '../lib/websocket.mjs';

const MAX = 1_000_000;
const DUE_MS = 30_000;

describe('attachments', { timeout: 300_000 }, () => {
	let server;
	let token;
	let pid;
	before(async () => {
		({ server, token, pid } = await target({ 'max-payload': MAX }));
	});
	after(() => server?.stop());

	const place = (num) => `{"_placeholder":true,"num":${num}}`;
	const header = (n) => `45${n}-/channels,["send_message",${Array.from({ length: n }, (_, i) => place(i))}]`;

	async function joined(Transport) {
		const session = await Transport.open(server.port);
		await session.send(`40/channels,${JSON.stringify({ token })}`);
		assert.match(await session.next(), /^40\/channels,/);
		return session;
	}

	for (const Transport of TRANSPORTS) {
		test(`${Transport.name}: too large in sum`, async (t) => {
			const session = await joined(Transport);
			const first = await scrape(server);
			const { grown } = await growthDuring(pid, async () => {
				// base64 makes each a third larger, and a POST may have MAX bytes.
				for (const packet of [header(3), ...Array.from({ length: 3 }, () => Buffer.alloc(MAX * 0.4))])
					await session.send(packet);
				await session.dead();
			});
			t.diagnostic(`memory: ${mib(grown)} at its peak`);
			assert.deepEqual(await departures(server, first), { 'message too large': 1 });
			if (MEMORY_COUNTS)
				assert.ok(grown <= 2 * MAX + MAX * 0.4 * 4 / 3, `${grown} bytes`);
		});
	}

	test('begun and given up by their clients: nothing is left', async (t) => {
		const many = sized(20, 200);
		const before = memoryOf(pid);
		for (let round = 0; round < 3; round++) {
			const sessions = [];
			for (let i = 0; i < many; i++) {
				const websocket = await WebSocket.open(server.port, websocketPath());
				await websocket.next();
				websocket.text(`40/channels,${JSON.stringify({ token })}`);
				await websocket.next();
				websocket.text(header(10)).binary(Buffer.alloc(MAX / 20));
				sessions.push(websocket);
			}
			await until(async () => (await scrape(server)).sum('confab_connections') === many, 'all sessions');
			for (const websocket of sessions)
				websocket.wire.reset();
			await until(async () => (await scrape(server)).sum('confab_connections') === 0, 'end of all');
		}
		const grown = memoryOf(pid) - before;
		t.diagnostic(`memory: ${mib(grown)} after ${3 * many} of ${MAX / 20} bytes`);
		if (MEMORY_COUNTS)
			assert.ok(grown <= many * MAX / 20, `${grown} bytes left`);
	});

	const tooLong = FULL ? false : `takes ${DUE_MS / 1000} s: make faults`;
	test('announced and never sent, or one of two: a parse error after 30 s', { skip: tooLong }, async () => {
		const first = await scrape(server);
		const sessions = [];
		for (const Transport of TRANSPORTS) {
			for (const blobs of [0, 1]) {
				const session = await joined(Transport);
				await session.send(header(2), ...Array.from({ length: blobs }, () => Buffer.from([1])));
				sessions.push(session);
			}
		}
		await until(async () => (await departures(server, first))['parse error'] === sessions.length, 'end of all',
			{ ms: DUE_MS + 20_000, every: 500 });
		assert.deepEqual(await departures(server, first), { 'parse error': sessions.length });
		for (const session of sessions)
			session.destroy();
	});
});

// No sticky sessions: poll, post and upgrade with a TCP connection for every request, so that most of
// them land on another worker than their session's. CYCLES says how often.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Polling, joinNamespace, upgrade } from '../lib/engine.mjs';
import { startConformance } from '../lib/server.mjs';
import { pool } from '../lib/wait.mjs';

const CYCLES = Number(process.env.CYCLES ?? 500);
const AT_ONCE = 4;
const PLACE = '{"_placeholder":true,"num":0}';

describe('hand-over', { timeout: 120_000 + CYCLES * 1000 }, () => {
	let server;
	before(async () => { server = await startConformance(); });
	after(() => server?.stop());

	async function cycle(n) {
		const session = await Polling.open(server.port);
		await joinNamespace(session, '/', { n });
		const held = await session.hold();
		assert.equal((await session.send(`42["message",${n}]`)).body, 'ok');
		assert.equal((await held.answer).body, `42["message-back",${n}]`);
		held.wire.destroy();
		assert.equal((await session.send(`42${n}["message-with-ack","${n}"]`, `451-["message",${PLACE}]`,
			Buffer.from([n & 255]))).body, 'ok');
		assert.equal(await session.next(), `43${n}["${n}"]`);
		assert.equal(await session.next(), `451-["message-back",${PLACE}]`);
		assert.deepEqual(await session.next(), Buffer.from([n & 255]));
		const upgraded = await upgrade(session);
		await upgraded.send(`42${n}["message-with-ack",${n}]`);
		assert.equal(await upgraded.next(), `43${n}[${n}]`);
		upgraded.websocket.close(1000);
		await upgraded.websocket.closed();
	}

	test(`${CYCLES} sessions, each request on a connection of its own`, async () => {
		await pool(Array.from({ length: CYCLES }), AT_ONCE, (_, n) => cycle(n));
	});

	test('a session that moves between workers at each request', async () => {
		const session = await Polling.open(server.port);
		await joinNamespace(session);
		for (let i = 0; i < 200; i++) {
			await session.send(`42["message",${i}]`);
			assert.equal(await session.next(), `42["message-back",${i}]`);
		}
	});
});

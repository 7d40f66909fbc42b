// The server's heartbeat and the time to connect (protocol §6, §11): with the timings of the official suites, 300/200 ms
// and 1 s, where a session ends by them; with longer ones where it must not, for the machine may be busy. Lower
// bounds are exact, upper ones generous.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Polling, Streaming, TRANSPORTS, joinNamespace, upgrade } from '../lib/engine.mjs';
import { startConformance } from '../lib/server.mjs';
import { sleep, until } from '../lib/wait.mjs';
import { request } from '../lib/wire.mjs';

const INTERVAL_MS = 300;
const TIMEOUT_MS = 200;
// Clocks of two processes, rounded to milliseconds.
const EARLY_MS = 20;
const LATE_MS = 15_000;
// Longer than a machine may stand still.
const PATIENT = { 'ping-timeout': '5s', 'connect-timeout': '4s' };
const PATIENT_CONNECT_MS = 4000;
const ECHO = { path: '/engine.io/' };

function since(start) {
	return Math.round(performance.now() - start);
}

function inTime(ms, least) {
	assert.ok(ms >= least - EARLY_MS, `after ${ms} ms, too early for ${least}`);
	assert.ok(ms <= least + LATE_MS, `after ${ms} ms, too late for ${least}`);
}

// The next packet, a ping included, which is not answered.
async function raw(session) {
	return session instanceof Polling ? (await session.poll()).body : session.websocket.next();
}

// Side by side, since all of them wait.
describe('heartbeat', { timeout: 300_000, concurrency: true }, () => {
	let server;
	before(async () => { server = await startConformance({ timings: 'file' }); });
	after(() => server?.stop());

	for (const Transport of TRANSPORTS) {
		test(`${Transport.name}: the handshake says the timings`, async () => {
			const session = await Transport.open(server.port, ECHO);
			assert.equal(session.handshake.pingInterval, INTERVAL_MS);
			assert.equal(session.handshake.pingTimeout, TIMEOUT_MS);
			session.destroy();
		});
	}

	test('websocket: without a pong it is closed', async () => {
		const start = performance.now();
		const session = await Streaming.open(server.port, ECHO);
		assert.equal(await session.websocket.next(), '2');
		const { before: more } = await session.websocket.closed();
		assert.deepEqual(more, []);
		inTime(since(start), INTERVAL_MS + TIMEOUT_MS);
	});

	test('websocket: a protocol-level pong is no answer', async () => {
		const session = await Streaming.open(server.port, ECHO);
		assert.equal(await session.websocket.next(), '2');
		session.websocket.frame(10, '');
		await session.websocket.closed();
	});

	test('polling: without a poll and a pong it is gone', async () => {
		const session = await Polling.open(server.port, ECHO);
		await until(async () => {
			const { status } = await request(server.port,
				{ method: 'POST', path: session.url, body: '6' });
			return status === 400;
		}, 'end of the session');
		await session.dead();
	});
});

describe('heartbeat, with time for answers', { timeout: 300_000, concurrency: true }, () => {
	let server;
	before(async () => { server = await startConformance({ timings: 'file', options: PATIENT }); });
	after(() => server?.stop());

	for (const Transport of TRANSPORTS) {
		test(`${Transport.name}: a ping every interval while pongs come`, async () => {
			let start = performance.now();
			const session = await Transport.open(server.port, ECHO);
			for (let i = 0; i < 3; i++) {
				assert.equal(await raw(session), '2');
				inTime(since(start), INTERVAL_MS);
				start = performance.now();
				await session.send('3');
			}
			session.destroy();
		});

		test(`${Transport.name}: data does not replace the ping`, async () => {
			const session = await Transport.open(server.port, ECHO);
			let pings = 0;
			for (let i = 0; pings < 2 && i < 2000; i++) {
				await session.send(`4${i}`);
				for (const packet of (await raw(session)).split('\x1e')) {
					if (packet !== '2')
						continue;
					pings++;
					await session.send('3');
				}
				await sleep(10);
			}
			assert.equal(pings, 2);
			session.destroy();
		});

		test(`${Transport.name}: an unasked pong is harmless`, async () => {
			const session = await Transport.open(server.port, ECHO);
			await session.send('3', '3', '4a');
			assert.equal(await session.next(), '4a');
			session.destroy();
		});

		test(`${Transport.name}: no CONNECT in time ends the session`, async () => {
			const start = performance.now();
			const session = await Transport.open(server.port);
			if (session instanceof Polling)
				await answerPingsUntilGone(session);
			else
				assert.ok((await session.next()).code, 'a close');
			inTime(since(start), PATIENT_CONNECT_MS);
		});

		test(`${Transport.name}: a refused CONNECT does not stop that clock`, async () => {
			const start = performance.now();
			const session = await Transport.open(server.port);
			await session.send('40/nope,');
			assert.equal(await session.next(), '44/nope,{"message":"Invalid namespace"}');
			if (session instanceof Polling)
				await answerPingsUntilGone(session);
			else
				assert.ok((await session.next()).code, 'a close');
			inTime(since(start), PATIENT_CONNECT_MS);
		});

		test(`${Transport.name}: a CONNECT stops it`, async () => {
			const session = await Transport.open(server.port);
			const start = performance.now();
			await joinNamespace(session);
			// Three pings past the time at which it would have ended.
			for (let pings = 0; since(start) < PATIENT_CONNECT_MS + 3 * INTERVAL_MS; pings++) {
				assert.equal(await raw(session), '2');
				await session.send('3');
			}
			await session.send('42["message",1]');
			assert.equal(await session.next(), '42["message-back",1]');
			session.destroy();
		});
	}

	async function answerPingsUntilGone(session) {
		await until(async () => {
			const answer = await session.poll();
			if (answer.status === 200)
				await session.send('3');
			return answer.status === 400;
		}, 'end of the session', { every: 0 });
	}

	test('polling: a held poll of a session that times out is released', async () => {
		const session = await Polling.open(server.port, ECHO);
		assert.equal((await session.poll()).body, '2');
		const { answer } = await session.hold();
		const last = await answer.catch(() => null);
		if (last)
			assert.ok(last.status === 400 || last.body === '1', `${last.status} ${last.body}`);
		await session.dead();
	});

	test('the deadline of a pong outlives the upgrade', async () => {
		const session = await Polling.open(server.port, ECHO);
		assert.equal((await session.poll()).body, '2');
		const upgraded = await upgrade(session);
		await upgraded.websocket.closed();
	});

	test('pings go on after the upgrade', async () => {
		const session = await Polling.open(server.port, ECHO);
		const upgraded = await upgrade(session);
		for (let i = 0; i < 3; i++) {
			assert.equal(await upgraded.websocket.next(), '2');
			await upgraded.send('3');
		}
		upgraded.destroy();
	});

	test('pings go on with no namespace left', async () => {
		const session = await Streaming.open(server.port);
		await joinNamespace(session);
		await session.send('41');
		for (let i = 0; i < 3; i++) {
			assert.equal(await session.websocket.next(), '2');
			await session.send('3');
		}
		session.destroy();
	});
});

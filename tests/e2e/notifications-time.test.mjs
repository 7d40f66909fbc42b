// How a WebSocket of the notifications API ends, or does not: pings, tokens, limits, slow readers, Redis and the
// server itself.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { assertTold } from '../lib/last-words.mjs';
import { Listener, hangUpAll, listen } from '../lib/listener.mjs';
import { person, unique } from '../lib/people.mjs';
import { redis } from '../lib/redis.mjs';
import { WAY, get, make, post, say } from '../lib/rooms.mjs';
import { start } from '../lib/server.mjs';
import { token } from '../lib/token.mjs';
import { sleep, until } from '../lib/wait.mjs';
import { WebSocket } from '../lib/websocket.mjs';

// All at the same time, so that they wait together.
describe('limits of notifications', { timeout: 300_000, concurrency: true }, () => {
	const INTERVAL_MS = 400;
	// Longer than a machine may stand still, for some answer.
	const TIMEOUT_MS = 4000;
	const ORIGIN = 'https://app.example';
	let server;
	let ann;
	let bob;
	let control;
	before(async () => {
		server = await start({ root: 'none', options: {
			'ping-interval': `${INTERVAL_MS}ms`, 'ping-timeout': `${TIMEOUT_MS}ms`, 'cors-origin': ORIGIN,
			'message-rate': '1 3',
		} });
		control = redis(server);
		ann = await person(server, 'Ann');
		bob = await person(server, 'Bob');
	});
	after(async () => {
		control?.disconnect();
		hangUpAll();
		await server?.stop();
	});
	const origin = { headers: { Origin: ORIGIN } };

	test('origins are checked', async () => {
		const way = `${WAY}?token=${bob.token}`;
		for (const headers of [{ Origin: 'https://evil.example' }, {}])
			await assert.rejects(WebSocket.open(server.port, way, { headers }), /no 101 .* but 403/);
		const raw = await WebSocket.open(server.port, way, origin);
		assert.equal(raw.answer.headers['access-control-allow-origin'], ORIGIN);
		raw.destroy();
	});

	test('pings come, and who answers them stays', async () => {
		const start = performance.now();
		const one = await listen(server, bob, origin);
		await until(() => one.pings >= 4, 'four pings');
		assert.ok(performance.now() - start >= 4 * INTERVAL_MS - 50, 'too early');
		assert.equal(one.ended, null);
		one.hangUp();
	});

	test('who is silent is closed', async () => {
		const start = performance.now();
		const raw = await WebSocket.open(server.port, `${WAY}?token=${bob.token}`, origin);
		assert.deepEqual(await raw.closed(), { before: [], code: 1001, reason: 'ping timeout' });
		assert.ok(performance.now() - start >= INTERVAL_MS + TIMEOUT_MS - 50, 'too early');
	});

	// It is offered to the parser again and again, and is as old as before.
	test('the first half of a ping, that waits for its second, is none', async () => {
		const raw = await WebSocket.open(server.port, `${WAY}?token=${bob.token}`, origin);
		raw.wire.send(Buffer.from([0x89, 0x80 | 100, 0, 0, 0, 0, 0]));
		assert.deepEqual(await raw.closed(), { before: [], code: 1001, reason: 'ping timeout' });
	});

	test('any byte is a sign of life', async () => {
		const start = performance.now();
		const raw = await WebSocket.open(server.port, `${WAY}?token=${bob.token}`, origin);
		// One long text, in small pieces.
		raw.wire.send(Buffer.from([0x81, 0x80 | 126, 1, 0, 0, 0, 0, 0]));
		for (let sent = 0; performance.now() - start < 1.5 * (INTERVAL_MS + TIMEOUT_MS); sent++) {
			assert.ok(sent < 256);
			raw.wire.send(Buffer.from('x'));
			await sleep(50);
		}
		assert.deepEqual(await raw.closed(), { before: [], code: 1001, reason: 'ping timeout' });
		assert.ok(performance.now() - start >= 2.5 * (INTERVAL_MS + TIMEOUT_MS) - 100, 'too early');
	});

	test('a token that expires ends its socket', async () => {
		const exp = Math.floor(Date.now() / 1000) + 8;
		const short = await listen(server, { token: token({ sub: bob.id, exp }) }, origin);
		const long = await listen(server, bob, origin);
		assert.deepEqual(await short.closed(), { code: 1008, reason: 'BadToken' });
		assert.deepEqual(short.heard, ['BadToken']);
		const late = Date.now() - exp * 1000;
		assert.ok(late >= -50 && late < 15_000, `${late} ms after its end`);
		assert.equal(long.ended, null);
		long.hangUp();
	});

	test('posts are limited per user', async () => {
		const id = await make(server, ann);
		const answers = await Promise.all(Array.from({ length: 20 }, () =>
			post(server, ann, `/room/post/${id}`, { content: 'a' })));
		const refused = answers.filter(({ status }) => status === 429);
		assert.ok(refused.length >= 1 && refused.length <= 17, `${refused.length} refused`);
		for (const { headers, json } of refused) {
			assert.ok(Number(headers['retry-after']) >= 1);
			assert.deepEqual(json, { message: 'Rate limit exceeded. Please slow down.', errors: {} });
		}
	});

	test('whose news were lost is told to come again', async () => {
		const [carl, dan] = [await person(server, 'Carl'), await person(server, 'Dan')];
		const id = await make(server, carl, [dan]);
		const one = await listen(server, dan, origin);
		// Far more than a log of ten keeps, while nobody can hear it.
		const all = control.multi().client('KILL', 'TYPE', 'pubsub');
		for (let n = 0; n < 500; n++)
			all.fcall('message_post', 0, carl.id, id, '', `n ${n}`, '', '', '', '0', '0', '0', '10');
		for (const [error] of await all.exec())
			assert.equal(error, null);
		assert.deepEqual(await one.closed(), { code: 1012, reason: 'events were lost, reload' });
	});
});

describe('slow readers of notifications', { timeout: 300_000 }, () => {
	let server;
	before(async () => {
		server = await start({ root: 'none', options: { 'queue-soft': '2kb', 'queue-soft-time': '200ms' } });
	});
	after(async () => {
		hangUpAll();
		await server?.stop();
	});

	test('who hears long texts, but rarely, is not slow', async () => {
		const [ann, bob] = [await person(server, 'Ann'), await person(server, 'Bob')];
		const id = await make(server, ann, [bob]);
		const one = await listen(server, bob);
		for (let n = 1; n <= 3; n++) {
			await say(server, ann, id, '\u{1f44b}'.repeat(2000));
			await until(() => one.heard.length === n, 'it');
			await sleep(250);       // more than queue-soft-time
		}
		assert.equal(await one.answers(), true);
	});

});

describe('who reads nothing', { timeout: 300_000 }, () => {
	const BATCH = 40;
	let server;
	before(async () => {
		// More than a batch has: who reads at all is never above it, however late.
		server = await start({ root: 'none', options: { 'queue-soft': '400kb', 'queue-soft-time': '200ms' } });
	});
	after(async () => {
		hangUpAll();
		await server?.stop();
	});

	test('who reads nothing is closed, others hear on', async () => {
		const [ann, bob] = [await person(server, 'Ann'), await person(server, 'Bob')];
		const id = await make(server, ann, [bob]);
		const slow = await listen(server, bob);
		const quick = await listen(server, bob);
		slow.socket.pause();
		const closed = async () => (await get(server, ann, '/api/stats')).json.workers
			.reduce((sum, worker) => sum + (worker.closed['too slow a reader'] ?? 0), 0);
		let said = 0;
		let since;
		await until(async () => {
			since = performance.now();
			const batch = Array.from({ length: BATCH }, () => say(server, ann, id, '\u{1f44b}'.repeat(2000)));
			said += (await Promise.all(batch)).length;
			await until(() => quick.heard.length === said, 'all at the quick one');
			return await closed() > 0;
		}, 'end of the slow one', { every: 0, ms: 120_000 });
		assert.equal(quick.ended, null);
		slow.socket.resume();
		assertTold(await slow.closed(), 'too slow a reader', since);
	});
});

describe('notifications while Redis stands still', { timeout: 120_000 }, () => {
	let server;
	let control;
	before(async () => {
		server = await start({ root: 'none' });
		control = redis(server);
	});
	after(async () => {
		control?.disconnect();
		hangUpAll();
		await server?.stop();
	});

	test('who connects is told to come again, a bad token all the same', async () => {
		const [ann, bob] = [await person(server, 'Ann'), await person(server, 'Bob')];
		const room = await make(server, ann, [bob]);
		const before = await listen(server, bob);
		const pid = Number((await control.info('server')).match(/process_id:(\d+)/)[1]);
		process.kill(pid, 'SIGSTOP');
		try {
			const known = new Listener(server, { token: bob.token });
			const unknown = new Listener(server, { token: token({ sub: unique('new') }) });
			const bad = new Listener(server, { token: 'garbage' });
			assert.deepEqual(await bad.closed(), { code: 1008, reason: 'BadToken' });
			for (const each of [known, unknown]) {
				assert.deepEqual(await each.closed(), { code: 1013, reason: 'temporarily unavailable' });
				assert.deepEqual(each.heard, []);
			}
			const answer = await post(server, ann, `/room/post/${room}`, { content: 'lost' });
			assert.equal(answer.status, 503);
			assert.ok(Number(answer.headers['retry-after']) >= 1);
		} finally {
			process.kill(pid, 'SIGCONT');
		}
		const after = await until(async () => {
			const one = await listen(server, bob);
			return await one.answers() && one;
		}, 'socket');
		await until(async () => (await post(server, ann, `/room/post/${room}`, { content: 'after' })).status === 201,
			'post');
		for (const each of [before, after])
			await until(() => each.heard.some(({ content }) => content === 'after'), 'notification');
	});
});

describe('notifications when the server goes', { timeout: 120_000 }, () => {
	test('draining closes the sockets, and they hear why', async () => {
		const server = await start({ root: 'none' });
		try {
			const ann = await person(server, 'Ann');
			const all = await Promise.all(Array.from({ length: 40 }, () => listen(server, ann)));
			const stopped = server.stop({ signal: 'SIGQUIT' });
			for (const each of all)
				assert.deepEqual(await each.closed(), { code: 1001, reason: 'going away' });
			await stopped;
		} finally {
			server.abandon();
		}
	});
});

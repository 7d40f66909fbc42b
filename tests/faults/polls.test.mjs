// Polls that overlap, are cut, or race with what else may end or move a session: 400, and the session is closed
// exactly once, for the reason that is counted.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { UNKNOWN_SID, Polling, upgrade, upgrading } from '../lib/engine.mjs';
import { departures } from '../lib/hostile.mjs';
import { scrape } from '../lib/metrics.mjs';
import { start } from '../lib/server.mjs';
import { sized } from '../lib/size.mjs';
import { until } from '../lib/wait.mjs';
import { Wire, request, requestBytes } from '../lib/wire.mjs';

const WORKERS = 2;
const AGAIN = sized(3, 30);

// A POST of which all but the last two bytes are with the server for sure.
async function begin(session, body) {
	const wire = await Wire.connect(session.port);
	const bytes = requestBytes({ method: 'POST', path: session.url, body, headers: { Expect: '100-continue' } });
	wire.send(bytes.subarray(0, bytes.length - 2));
	assert.equal((await wire.response()).status, 100);
	return { wire, rest: bytes.subarray(bytes.length - 2) };
}

const noneLeft = (server) =>
	until(async () => (await scrape(server)).sum('confab_connections') === 0, 'end of all sessions');

describe('polls', { timeout: sized(120_000, 600_000) }, () => {
	let server;
	before(async () => { server = await start({ options: { workers: WORKERS } }); });
	after(() => server?.stop());

	const open = () => Polling.open(server.port);
	const send = (wire, session, method, body) =>
		wire.send(requestBytes({ method, path: session.url, body }));

	// A poll that the server holds for sure: what came before it on its connection has been answered.
	async function held(session) {
		const wire = await Wire.connect(server.port);
		send(wire, session, 'POST', '3');
		wire.send(requestBytes({ path: session.url }));
		assert.equal((await wire.response()).body, 'ok');
		return wire;
	}

	const half = (session, body = '3pong') => begin(session, body);

	const statuses = (wires) => Promise.all(wires.map(async (wire) => {
		const bytes = (await wire.end()).toString('latin1');
		return Number(/^HTTP\/1\.1 (\d+)/.exec(bytes)?.[1] ?? 0);
	}));

	const total = (left) => Object.values(left).reduce((sum, n) => sum + n, 0);

	// Each brings one session to its end; gives the reason, or none if it goes on.
	const CASES = [
		['two GETs at once', 'overlapping requests', async (session) => {
			const wires = [await held(session), await Wire.connect(server.port)];
			send(wires[1], session, 'GET');
			const answers = await Promise.all(wires.map((wire) => wire.response()));
			assert.deepEqual(answers.map(({ status, body }) => [status, body]), [[200, '1'], [400, '']]);
		}],
		['ten GETs at once', 'overlapping requests', async (session) => {
			const wires = await Promise.all(Array.from({ length: 10 }, () => Wire.connect(server.port)));
			for (const wire of wires)
				send(wire, session, 'GET');
			const answers = await Promise.all(wires.map((wire) => wire.response()));
			assert.equal(answers.filter(({ status }) => status === 200).length, 1);
			assert.equal(answers.filter(({ status }) => status === 400).length, 9);
		}],
		['two GETs in a pipeline: the second waits', 'transport error', async (session) => {
			const wire = await held(session);
			send(wire, session, 'GET');
			// A CONNECT that is refused answers the first, and another the second.
			for (let i = 0; i < 2; i++) {
				assert.equal((await session.send('40/nowhere,')).status, 200);
				assert.match((await wire.response()).body, /^44\/nowhere,/);
			}
			send(wire, session, 'GET');
			await session.send('3');
			wire.reset();
		}],
		['a GET that is reset', 'transport error', async (session) => (await held(session)).reset()],
		['a GET that is half closed', 'transport error', async (session) => (await held(session)).finish()],
		['a GET with much behind it, then reset', null, async (session) => {
			const wire = await held(session);
			for (let i = 0; i < 40; i++)
				wire.send(requestBytes({ method: 'POST', path: '/nowhere', body: 'x'.repeat(10_000) }));
			await until(() => wire.unsent === 0, 'room');
			wire.reset();
			await session.send('1');
		}],
		['two POSTs at once', 'overlapping requests', async (session) => {
			const first = await half(session);
			const second = await session.post('3');
			assert.equal(second.status, 400);
			assert.deepEqual(await statuses([first.wire]), [0]);
		}],
		['a POST that is reset', 'transport error', async (session) => (await half(session)).wire.reset()],
		['a POST cut while a GET is held', 'transport error', async (session) => {
			const poll = await held(session);
			(await half(session)).wire.reset();
			assert.equal((await poll.response()).body, '1');
		}],
		['a GET cut while a POST is under way', 'transport error', async (session) => {
			const poll = await held(session);
			const post = await half(session);
			poll.reset();
			await noneLeft(server);
			post.wire.send(post.rest);
			assert.equal((await post.wire.response()).body, UNKNOWN_SID);
		}],
		['a POST that says close, and more behind it', 'client closed', async (session) => {
			assert.equal((await session.post('1\x1e40/channels,\x1e1')).status, 200);
		}],
		['DELETE, PUT and PATCH', null, async (session) => {
			for (const method of ['DELETE', 'PUT', 'PATCH', 'OPTIONS'])
				assert.equal((await request(server.port, { method, path: session.url })).status, 405, method);
			const poll = await held(session);
			assert.equal((await request(server.port, { method: 'DELETE', path: session.url })).status, 405);
			assert.equal((await session.send('40/nowhere,')).status, 200);
			assert.match((await poll.response()).body, /^44/);
			await session.send('1');
		}],
		['an upgrade while a POST is under way', 'transport close', async (session) => {
			const post = await half(session, '40/nowhere,');
			const streaming = await upgrade(session);
			post.wire.send(post.rest);
			assert.equal((await post.wire.response()).status, 200);
			assert.match(await streaming.next(), /^44\/nowhere,/);
			streaming.destroy();
		}],
		['a POST cut during and after the upgrade', 'transport error', async (session) => {
			const post = await half(session);
			const streaming = await upgrade(session);
			post.wire.reset();
			assert.equal((await streaming.websocket.closed()).code, 1005);
		}],
		['a second GET while an upgrade is under way', 'overlapping requests', async (session) => {
			const websocket = await upgrading(session);
			const wires = [await held(session), await Wire.connect(server.port)];
			send(wires[1], session, 'GET');
			const answers = await Promise.all(wires.map((wire) => wire.response()));
			assert.equal(answers.filter(({ status }) => status === 400).length, 1);
			assert.ok([1000, 1008].includes((await websocket.closed()).code));
		}],
		['GET and POST in one race with the upgrade', null, async (session) => {
			const websocket = await upgrading(session);
			websocket.text('2probe').text('5');
			const racing = await Promise.all([session.poll(), session.post('3')]);
			for (const { status } of racing)
				assert.ok([200, 400].includes(status), String(status));
			websocket.text('1');
			websocket.destroy();
		}],
	];
	for (const [what, reason, work] of CASES) {
		test(what, async () => {
			const first = await scrape(server);
			for (let i = 0; i < AGAIN; i++) {
				const session = await open();
				await work(session);
				// Nothing is sent before, or it might overlap with what ended unnoticed yet.
				await until(async () => total(await departures(server, first)) > i, 'end of the session');
				await until(async () => (await session.post('3')).body === UNKNOWN_SID, 'its being forgotten');
			}
			await noneLeft(server);
			const left = await departures(server, first);
			assert.equal(total(left), AGAIN, JSON.stringify(left));
			if (reason)
				assert.deepEqual(left, { [reason]: AGAIN });
		});
	}

	test('a worker that takes nobody over: 503, and the connection serves on', async () => {
		const session = await open();
		// Its worker: the one that a connection with its sid ends at.
		const poll = await held(session);
		const home = await until(() => server.workerOf(poll.localPort), 'home of the session');
		const wires = [];
		while (wires.length < 12) {
			const wire = await Wire.connect(server.port);
			wire.send(requestBytes({ path: '/health' }));
			await wire.response();
			if (server.workerOf(wire.localPort) !== home)
				wires.push(wire);
		}
		process.kill(home, 'SIGSTOP');
		try {
			const last = wires.pop();
			for (const wire of wires)
				send(wire, session, 'POST', '4'.repeat(60_000));
			const refused = await until(async () => {
				send(last, session, 'GET');
				return last.response({ ms: 5000 });
			}, 'refusal');
			assert.equal(refused.status, 503);
			last.send(requestBytes({ path: '/health' }));
			assert.equal((await last.response()).status, 200);
			last.destroy();
		} finally {
			process.kill(home, 'SIGCONT');
			for (const wire of wires)
				wire.destroy();
			poll.destroy();
		}
	});
});

// Such a session waits for a last poll that tells its client, and has nobody any more who takes packets.
test('sessions that joined nothing in time, and POSTs that were under way then', { timeout: 120_000 }, async () => {
	const server = await start({ options: { workers: 1, 'connect-timeout': '3s' } });
	try {
		const posts = await Promise.all(['40/channels,', '42["a"]', 'bAQID', '1', '3'].map(async (first) => {
			const session = await Polling.open(server.port);
			return { session, ...await begin(session, `${first}\x1e3pong`) };
		}));
		await noneLeft(server);
		for (const { session, wire, rest } of posts) {
			const { status, body } = await wire.send(rest).response();
			assert.deepEqual([status, body], [400, UNKNOWN_SID]);
			wire.destroy();
			assert.equal((await session.poll()).body, '1');
		}
	} finally {
		await server.stop();
	}
});

// No more file descriptors: a worker lets nobody in for a while, and is otherwise as before.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { dismissAll } from '../lib/crowd.mjs';
import { redis } from '../lib/redis.mjs';
import { rest } from '../lib/rest.mjs';
import { sized } from '../lib/size.mjs';
import { target } from '../lib/target.mjs';
import { cpuOf, descriptorsOf } from '../lib/usage.mjs';
import { sleep, until } from '../lib/wait.mjs';
import { Wire, request, requestBytes } from '../lib/wire.mjs';

const LIMIT = 256;
const CROWD = 400;
const FULL_MS = sized(1500, 10_000);

describe('descriptors', { timeout: 300_000 }, () => {
	let server;
	let ann;
	let others;
	let pid;
	before(async () => {
		({ server, ann, pid, others } = await target({ 'idle-timeout': '120s', 'header-timeout': '120s' }, { every: 20 }));
		execFileSync('prlimit', ['--pid', String(pid), `--nofile=${LIMIT}:`]);
	});
	after(async () => {
		others?.stop();
		dismissAll();
		await server?.stop();
	});

	const said = (text) => server.output.split(text).length - 1;

	async function fill() {
		const wires = await Promise.all(Array.from({ length: CROWD }, () => Wire.connect(server.port)));
		await until(() => descriptorsOf(pid) === LIMIT, 'worker without descriptors');
		return wires;
	}

	test('those there go on, nothing spins, the log says it once, and all are served once there is room', async (t) => {
		const wires = await fill();
		const { result: [cpu, lasted], ...seen } = await others.during(async () => {
			const [before, begun] = [cpuOf(pid), performance.now()];
			await sleep(FULL_MS);
			return [cpuOf(pid) - before, performance.now() - begun];
		});
		t.diagnostic(`full for ${FULL_MS} ms: ${cpu} ms of processor time; others: ${seen.n} answers, ` +
			`p99 ${seen.p99.toFixed(1)} ms`);
		assert.equal(descriptorsOf(pid), LIMIT);
		assert.equal(seen.gone + seen.unanswered, 0);
		assert.ok(cpu < lasted / 2, `${cpu} ms of processor time`);
		assert.equal(said('cannot accept'), 1, server.tail());
		assert.equal(said('accepting again'), 0);

		// The last ones wait in the backlog: they are let in when the first have gone.
		for (const wire of wires.slice(0, CROWD - 50))
			wire.destroy();
		const freed = performance.now();
		const waited = wires.slice(CROWD - 50);
		for (const wire of waited)
			wire.send(requestBytes({ path: '/health' }));
		for (const wire of waited)
			assert.equal((await wire.response()).status, 200);
		t.diagnostic(`served ${(performance.now() - freed).toFixed(0)} ms after there was room`);
		for (const wire of waited)
			wire.destroy();
		await until(() => said('accepting again') === 1, 'word of the end');
		assert.equal(said('cannot accept'), 1);
	});

	test('what else needs a descriptor fails in its own way, and comes back', async () => {
		const form = '--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nhello\r\n--x--\r\n';
		const upload = (wire) => wire.send(requestBytes({
			method: 'POST', path: '/api/upload', body: form,
			headers: { Authorization: `Bearer ${ann.token}`, 'Content-Type': 'multipart/form-data; boundary=x' },
		})).response();
		const inside = await Wire.connect(server.port);
		inside.send(requestBytes({ path: '/health' }));
		await inside.response();
		const wires = await fill();
		// A file on its way to disk.
		const refused = await upload(inside);
		assert.ok(refused.status >= 500, `${refused.status} ${refused.body}`);
		// The connections to Redis.
		const link = redis(server);
		await link.client('KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
		await link.client('KILL', 'TYPE', 'pubsub');
		link.disconnect();
		for (const wire of wires)
			wire.destroy();
		await until(async () => (await request(server.port, { path: '/health' })).status === 200, 'service');
		await until(async () => (await rest(server, 'GET', '/login/me', ann.token)).status === 200, 'Redis');
		const again = await Wire.connect(server.port);
		assert.equal((await upload(again)).status, 201);
		again.destroy();
		inside.destroy();
		assert.equal(server.workers()[0].pid, pid, 'another worker');
	});
});

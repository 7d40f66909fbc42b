// Disks that are full, and logs that nobody reads: what is written for people is dropped and counted; what is
// written for good is refused to who sent it, until there is room.
import { execFileSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { enter, leaveAll } from '../lib/chatter.mjs';
import { Guest, dismissAll } from '../lib/crowd.mjs';
import { scrape } from '../lib/metrics.mjs';
import { channel, person, unique } from '../lib/people.mjs';
import { redis } from '../lib/redis.mjs';
import { rest } from '../lib/rest.mjs';
import { start } from '../lib/server.mjs';
import { sized } from '../lib/size.mjs';
import { Talk } from '../lib/talk.mjs';
import { token } from '../lib/token.mjs';
import { sleep, until } from '../lib/wait.mjs';
import { request } from '../lib/wire.mjs';

const LASTS_MS = sized(400, 10_000);

const dropped = async (server) => (await scrape(server)).sum('confab_log_lines_dropped_total');
const alive = (server) => server.workers().map(({ pid }) => pid);

// A file system of so many bytes that ends with the test; null where mounting is not allowed.
function disk(t, size) {
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'disk-'));
	try {
		execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', dir], { stdio: 'ignore' });
	} catch {
		fs.rmdirSync(dir);
		t.skip('mounting is not allowed here');
		return null;
	}
	t.after(() => {
		execFileSync('umount', ['-l', dir]);
		fs.rmdirSync(dir);
	});
	return dir;
}

// Takes all the room there is; gives how to give it back.
function fill(dir) {
	const file = path.join(dir, 'filler');
	const fd = fs.openSync(file, 'w');
	try {
		for (;;)
			fs.writeSync(fd, Buffer.alloc(64 * 1024));
	} catch (error) {
		assert.equal(error.code, 'ENOSPC');
	}
	fs.closeSync(fd);
	return () => fs.rmSync(file);
}

// Sessions that begin and end; at log-level debug a worker has a line for each.
const chat = (server) => Promise.all(Array.from({ length: 20 }, async () => {
	const path = '/socket.io/?EIO=4&transport=polling';
	const { body } = await request(server.port, { path });
	await request(server.port, { method: 'POST', path: `${path}&sid=${JSON.parse(body.slice(1)).sid}`, body: '1' });
}));

describe('a log that cannot be written', { timeout: sized(120_000, 300_000) }, () => {
	after(leaveAll);

	// Serves on: messages are said and heard, and nothing else.
	async function servesOn(server, talk) {
		const pids = alive(server);
		await talk.during(async () => {
			const end = Date.now() + LASTS_MS;
			while (Date.now() < end)
				await chat(server);
		});
		await talk.settle();
		await talk.check();
		assert.equal(talk.refusals.size, 0);
		assert.deepEqual(alive(server), pids);
	}

	const TOLD = /worker \d log: \d+ lines could not be written/;

	test('its disk is full', async (t) => {
		const dir = disk(t, '256k');
		if (!dir)
			return;
		const file = path.join(dir, 'log');
		const log = fs.openSync(file, 'a');
		const server = await start({ options: { workers: 2, 'log-level': 'debug' }, log });
		try {
			const talk = await Talk.begin(server);
			const empty = fill(dir);
			const before = await dropped(server);
			await servesOn(server, talk);
			await until(async () => await dropped(server) > before, 'lines that were dropped');
			empty();
			await until(async () => {
				await chat(server);
				return TOLD.test(fs.readFileSync(file, 'utf8'));
			}, 'word of the lines that were dropped');
			// Each worker says so first, and so ends the line that broke off.
			await chat(server);
			const [last] = fs.readFileSync(file, 'utf8').split('\n').slice(-2);
			assert.match(last, /^\d{4}-\d\d-\d\dT[\d:.]+Z (error|warn|info|debug) (master|worker \d) /);
		} finally {
			leaveAll();
			await server.stop();
			fs.closeSync(log);
		}
	});

	// 64 KiB or some more, and a worker that waited for the reader would be stuck within a moment.
	async function unread(server, { stop, go, text }) {
		const talk = await Talk.begin(server);
		await stop();
		const before = await dropped(server);
		await until(async () => {
			await chat(server);
			return await dropped(server) > before;
		}, 'lines that were dropped', { every: 0 });
		await servesOn(server, talk);
		// The master, too: it starts a successor.
		const [victim] = alive(server);
		process.kill(victim, 'SIGKILL');
		await until(() => alive(server).length === 2 && !alive(server).includes(victim), 'successor');
		await go();
		await until(async () => {
			await chat(server);
			return TOLD.test(text());
		}, 'word of the lines that were dropped');
		leaveAll();
		await server.stop();
	}

	test('nobody reads its socket', async () => {
		const server = await start({ options: { workers: 2, 'log-level': 'debug' } });
		await unread(server, {
			stop: () => server.child.stderr.pause(), go: () => server.child.stderr.resume(), text: () => server.output,
		});
	});

	test('nobody reads its pipe', async (t) => {
		const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'pipe-'));
		const name = path.join(dir, 'log');
		execFileSync('mkfifo', [name]);
		const from = fs.openSync(name, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
		const log = fs.openSync(name, fs.constants.O_WRONLY);
		t.after(() => {
			[from, log].forEach((fd) => fs.closeSync(fd));
			fs.rmSync(dir, { recursive: true });
		});
		let output = '';
		const read = () => {
			const bytes = Buffer.alloc(1024 * 1024);
			try {
				for (let n; (n = fs.readSync(from, bytes)) > 0;)
					output += bytes.toString('utf8', 0, n);
			} catch (error) {
				assert.equal(error.code, 'EAGAIN');
			}
			return output;
		};
		const server = await start({ options: { workers: 2, 'log-level': 'debug' }, log });
		await unread(server, { stop: read, go: read, text: read });
		assert.doesNotMatch(output, /Sanitizer|runtime error/);
	});
});

describe('a Redis that has no room', { timeout: sized(120_000, 300_000) }, () => {
	after(leaveAll);

	// The sender is told to try again, and nobody is cut off.
	async function refuses(server, talk, kind, lasts = LASTS_MS) {
		const pids = alive(server);
		await talk.during(async () => {
			await until(() => talk.refusals.get('Failed to send message') > 0, 'refusal', { ms: 30_000 });
			await sleep(lasts);
			const answer = await rest(server, 'POST', '/api/channels', talk.ann.token, { name: 'none' });
			assert.equal(answer.status, 503, answer.body);
			assert.ok(Number(answer.headers['retry-after']) > 0);
			assert.ok((await scrape(server)).sum('confab_redis_errors_total', { kind }) > 0, kind);
		});
		assert.deepEqual([...talk.refusals.keys()], ['Failed to send message']);
		assert.deepEqual(alive(server), pids);
	}

	test('the disk of its append-only file is full', async (t) => {
		const dir = disk(t, '8m');
		if (!dir)
			return;
		const server = await start({ options: { workers: 2, 'data-dir': path.join(dir, 'data') } });
		try {
			const talk = await Talk.begin(server);
			await talk.during(() => sleep(200));
			await talk.settle();
			const empty = fill(dir);
			await refuses(server, talk, 'MISCONF');
			// Whoever dies meanwhile has a successor.
			const [victim] = alive(server);
			process.kill(victim, 'SIGKILL');
			await until(() => alive(server).length === 2 && !alive(server).includes(victim), 'successor');
			empty();
			await server.serves();
			const again = await until(() => Talk.begin(server), 'room again');
			await again.during(() => sleep(200));
			await again.settle();
			await again.check();
			const { json } = await rest(server, 'GET', `/api/messages?channelId=${again.room}&limit=100`, again.ann.token);
			assert.equal(json.data.length, Math.min(100, again.said.length));
		} finally {
			leaveAll();
			await server.stop();
		}
	});

	test('maxmemory is reached', async () => {
		const server = await start({ options: { workers: 2 } });
		const control = redis(server);
		try {
			const talk = await Talk.begin(server);
			await control.config('SET', 'maxmemory', 1);
			await refuses(server, talk, 'OOM');
			await control.config('SET', 'maxmemory', 0);
			await talk.settle();
			await talk.check();
		} finally {
			control.disconnect();
			leaveAll();
			await server.stop();
		}
	});

	test('a channel that could not be left is heard on, and one that was left does not come back', async () => {
		const server = await start({ options: { workers: 1 } });
		const control = redis(server);
		const ann = await person(server, 'Ann');
		const room = await channel(server, ann);
		const here = { channelId: room };
		try {
			const one = await enter(server, { token: ann.token, reconnection: true, reconnectionDelay: 20 });
			const other = await enter(server, { token: ann.token });
			// The other one hears it in the same turn of the worker.
			const hears = async (content) => {
				await other.ask('send_message', { ...here, content });
				await other.next('new_message', (said) => said.content === content);
				await one.fence();
				return one.count('new_message', (said) => said.content === content);
			};
			// The socket that was cut off comes back to what it follows.
			const returns = async () => {
				const { id } = one.socket;
				const back = new Promise((resolve) => { one.socket.once('connect', resolve); });
				one.engine.transport.ws.terminate();
				await back;
				assert.deepEqual([one.socket.recovered, one.socket.id], [true, id]);
			};
			for (const each of [one, other])
				assert.equal((await each.ask('join_channel', here)).ok, true);
			await control.config('SET', 'maxmemory', 1);
			assert.deepEqual(await one.ask('leave_channel', here), { ok: false, error: 'Failed to leave channel' });
			await control.config('SET', 'maxmemory', 0);
			assert.equal(await hears('not left'), 1);
			await returns();
			assert.equal(await hears('not left, and back'), 1);
			assert.equal((await one.ask('leave_channel', here)).ok, true);
			assert.equal(await hears('left'), 0);
			await returns();
			assert.equal(await hears('left, and back'), 0);
		} finally {
			control.disconnect();
			leaveAll();
			await server.stop();
		}
	});

	test('who goes while maxmemory is reached is gone once there is room', async () => {
		const server = await start({ options: { workers: 1 } });
		const control = redis(server);
		try {
			const [bob, lou, moe] = await Promise.all([0, 1, 2].map(() => Guest.open(server)));
			const id = unique('bob');
			await bob.join('/channels', { token: token({ sub: id, username: id }) });
			for (const [guest, name] of [[lou, 'lou'], [moe, 'moe']]) {
				await guest.join('/lobby');
				await guest.ask('login', { name, room: 'room' });
			}
			// A worker that gets its first lease says all again.
			await until(async () => await control.zcard('workers') === 1 && await control.scard('unleased') === 0,
				'lease');
			assert.equal(await control.sismember('online', id), 1);
			const refused = async () => (await scrape(server)).sum('confab_redis_errors_total', { kind: 'OOM' });
			const before = await refused();
			await control.config('SET', 'maxmemory', 1);
			bob.leave();
			lou.leave();
			// The end of a session, a user who went, a login that is over.
			await until(async () => await refused() >= before + 3, 'refusals');
			await control.config('SET', 'maxmemory', 0);
			await until(async () => await control.sismember('online', id) === 0, 'word that the user went');
			await until(async () => (await control.keys('session:*')).length === 0, 'end of the session');
			await until(async () => (await control.hkeys('lobby:room')).join() === 'moe', 'word of the logout');
		} finally {
			control.disconnect();
			dismissAll();
			await server.stop();
		}
	});
});

// Presence at size: users who lose their worker, their host or only its lease; and what a random hour leaves
// behind in Redis.
//
// CROWD: how many users lose their worker at once (400; the full run is 5,000).
// SOAK, SEED: for how many seconds there is random work (12; the full run is 300), and which.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Guest, dismissAll, gather, hears, joinAll } from '../lib/crowd.mjs';
import { unique } from '../lib/people.mjs';
import { RedisChild, redis } from '../lib/redis.mjs';
import { start } from '../lib/server.mjs';
import { Soak } from '../lib/soak.mjs';
import { token } from '../lib/token.mjs';
import { pool, sleep, until } from '../lib/wait.mjs';

const CROWD = Number(process.env.CROWD ?? 400);
const SOAK = Number(process.env.SOAK ?? 12);
const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000);

const LEAVING_MS = 5000;     // how long a user without a socket is online
const BACK_MS = 1000;        // in which those come back who do
const NOISE_MS = 10_000;     // what a busy machine may add
const AT_ONCE = 64;

// A user whom nobody knows yet; the id is the username.
function somebody(stem) {
	const id = unique(stem);
	return { id, auth: { token: token({ sub: id, username: id }) } };
}

async function enter(server, api, user) {
	const guest = await Guest.open(server);
	return guest.join(`/${api}`, user?.auth);
}

// A socket of the messenger's that counts what it is told: how often of whom, and when last.
class Watcher {
	told = {
		'user-join': new Map(), 'user-leave': new Map(),
		'user-online': new Map(), 'user-offline': new Map(),
	};
	first = {};          // name → when
	last = {};

	constructor(guest) {
		this.guest = guest;
		guest.hear = (name, [{ user }]) => {
			this.told[name].set(user, this.times(name, user) + 1);
			this.first[name] ??= Date.now();
			this.last[name] = Date.now();
		};
	}

	times(name, user) {
		return this.told[name].get(user) ?? 0;
	}

	// Joins, leaves, and if it waited for the user online and offline.
	of(user) {
		return Object.keys(this.told).map((name) => this.times(name, user.id));
	}

	waitFor(user) {
		return this.guest.ask('wait-for-user', { user: user.id });
	}

	hears(name, user, { times = 1, ...bound } = {}) {
		return until(() => this.times(name, user.id) >= times, `${name} of ${user.id}`, { every: 10, ...bound });
	}

	// All that was told before this is heard when it returns: all of it goes one way.
	async fence(server) {
		const mark = somebody('mark');
		const guest = await enter(server, 'channels', mark);
		await this.hears('user-join', mark);
		guest.leave();
	}
}

async function watch(server, guest) {
	const one = guest ?? await Guest.open(server);
	return new Watcher(await one.join('/messenger', somebody('watcher').auth));
}

describe('presence', { concurrency: true, timeout: 3_600_000 }, () => {
	after(dismissAll);

	describe('a worker dies', { timeout: 600_000 }, () => {
		let server;
		before(async () => {
			server = await start({ options: { 'messenger-announce-limit': 100_000, 'connect-timeout': '10m' } });
		});
		after(() => server?.stop());

		test(`${CROWD} users of a killed worker: each leave is told once, no return is`, async (t) => {
			const [victim, ...others] = server.workers().map(({ pid }) => pid);
			const placed = await gather(server, new Map([[victim, CROWD], [others[0], 1], [others[1], 1]]));
			const watchers = [];
			for (const pid of others.slice(0, 2))
				watchers.push(await watch(server, placed.get(pid)[0]));
			const users = Array.from({ length: CROWD }, () => somebody('user'));
			const guests = placed.get(victim);
			// Those in the messenger hear of all: few of them will do.
			await pool(guests, AT_ONCE, (guest, i) =>
				guest.join(i % 50 === 0 ? '/messenger' : '/channels', users[i].auth));
			await pool(users, AT_ONCE, (user) => watchers[0].waitFor(user));
			for (const watcher of watchers)
				await watcher.hears('user-join', users.at(-1));

			// So that there is little to do for those who come back.
			const returning = users.filter((_, i) => i % 5 === 0);
			const each = Math.ceil(returning.length / others.length);
			const seats = [...(await gather(server, new Map(others.map((pid) => [pid, each])))).values()].flat();

			process.kill(victim, 'SIGKILL');
			const killed = Date.now();
			await Promise.all(returning.map(async (user, i) => {
				await sleep(BACK_MS * i / returning.length);
				await seats[i].join(i % 10 === 0 ? '/messenger' : '/channels', user.auth);
			}));
			const slowest = Date.now() - killed;
			assert.ok(slowest < LEAVING_MS - 300, `came back within ${slowest} ms: that is no test`);

			const gone = users.filter((user) => !returning.includes(user));
			for (const watcher of watchers)
				await until(() => gone.every(({ id }) => watcher.times('user-leave', id) > 0), 'leave of each');
			const told = Math.max(...watchers.map(({ last }) => last['user-leave'])) - killed;
			const r = redis(server);
			assert.equal(await r.zcard('leaving'), 0);
			assert.equal(await r.scard('online'), returning.length + watchers.length);
			r.disconnect();
			for (const watcher of watchers)
				await watcher.fence(server);
			for (const [i, watcher] of watchers.entries()) {
				const waited = i === 0 ? 1 : 0;
				for (const user of gone)
					assert.deepEqual(watcher.of(user), [1, 1, waited, waited], user.id);
				for (const user of returning)
					assert.deepEqual(watcher.of(user), [1, 0, waited, 0], `${user.id}, who came back`);
			}
			t.diagnostic(`${gone.length} leaves told ${told} ms after the kill; ` +
				`${returning.length} came back by ${slowest} ms`);
			assert.ok(told < 15_000 + NOISE_MS, `told after ${told} ms`);
			for (const { first } of watchers)
				assert.ok(first['user-leave'] - killed >= LEAVING_MS - 100, 'nobody is told too early');
		});
	});

	describe('hosts that share a Redis', { concurrency: true, timeout: 600_000 }, () => {
		let shared, r, here, mortal, drowsy, asleep;
		before(async () => {
			shared = await RedisChild.start();
			r = await shared.connect();
			const host = (workers) => start({ options: { workers, redis: shared.address } });
			[here, mortal, drowsy, asleep] = await Promise.all([host(4), host(2), host(2), host(2)]);
		});
		after(async () => {
			r?.disconnect();
			mortal?.abandon();
			// Should a test have failed before it woke them.
			for (const host of [drowsy, asleep])
				host?.child.kill('SIGCONT');
			await Promise.all([here, drowsy, asleep].map((host) => host?.stop()));
			await shared?.end();
		});

		// Users of a host, each with a socket, and one who watches and waits for them from here; lobby users
		// of the same room on both sides.
		async function settle(host, n) {
			const side = { users: Array.from({ length: n }, () => somebody('user')), watcher: await watch(here) };
			side.guests = await Promise.all(side.users.map((user, i) =>
				enter(host, i % 4 === 0 ? 'messenger' : 'channels', user)));
			for (const user of side.users) {
				await side.watcher.hears('user-join', user);
				await side.watcher.waitFor(user);
				await side.watcher.hears('user-online', user);
			}
			const room = unique('room').replace(/\W/g, '');
			side.witness = await enter(here, 'lobby');
			side.lodgers = [await enter(host, 'lobby'), await enter(host, 'lobby')];
			const [ann, bob] = side.lodgers;
			for (const [guest, name] of [[side.witness, 'witness'], [ann, 'ann'], [bob, 'bob']])
				assert.equal((await guest.ask('login', { name, room })).user.room, room);
			await sees(side.witness, 'witness', 'ann', 'bob');
			return side;
		}

		// Who is in the room, as the guest was told last, in any order.
		const seen = (guest) => {
			const [users] = guest.heard.filter(({ name }) => name === 'users').at(-1).args;
			return users.map(({ name }) => name).sort();
		};
		const sees = (guest, ...names) => until(() => {
			assert.deepEqual(seen(guest), names.sort());
			return true;
		}, `${names} in the room`, { every: 10 });

		const told = (side, expected) => {
			for (const user of side.users)
				assert.deepEqual(side.watcher.of(user), expected, user.id);
		};
		const leaving = (users) => r.zmscore('leaving', users.map(({ id }) => id));
		const areLeaving = async (users) => (await leaving(users)).every(Boolean);
		const areRegistered = async (users) => {
			const counts = await Promise.all(users.map(({ id }) => r.scard(`user:${id}:workers`)));
			return counts.every((count) => count === 1) && !(await leaving(users)).some(Boolean);
		};

		test('eight sockets over four workers: one join, one leave', async () => {
			const watcher = await watch(here);
			const pids = here.workers().map(({ pid }) => pid);
			const user = somebody('many');
			const placed = await gather(here, new Map(pids.map((pid) => [pid, 2])));
			const guests = [...placed.values()].flat();
			await joinAll(guests.filter((_, i) => i % 2 === 0), '/messenger', () => user.auth);
			await joinAll(guests.filter((_, i) => i % 2 === 1), '/channels', () => user.auth);
			await watcher.hears('user-join', user);
			await watcher.waitFor(user);
			await watcher.hears('user-online', user);
			await until(async () => await r.scard(`user:${user.id}:workers`) === 4, 'user on four workers');
			const [last, ...others] = guests;
			for (const [i, guest] of others.entries())
				[() => guest.leave(), () => guest.cut(), () => guest.reset()][i % 3]();
			await until(async () => await r.scard(`user:${user.id}:workers`) === 1, 'user on one worker');
			await sleep(LEAVING_MS + 1500);
			await watcher.fence(here);
			assert.deepEqual(watcher.of(user), [1, 0, 1, 0], 'one socket is enough');
			last.leave();
			await watcher.hears('user-leave', user);
			await watcher.fence(here);
			assert.deepEqual(watcher.of(user), [1, 1, 1, 1]);
		});

		test('a host that dies: the others tell of its users, and take them out of the lobby', async (t) => {
			const side = await settle(mortal, 20);
			const twofold = side.users.pop();
			await enter(here, 'channels', twofold);
			for (const pid of [mortal.pid, ...mortal.workers().map((worker) => worker.pid)])
				process.kill(pid, 'SIGKILL');
			const killed = Date.now();
			await sees(side.witness, 'witness');
			const left = Date.now() - killed;
			for (const user of side.users)
				await side.watcher.hears('user-leave', user);
			const gone = Date.now() - killed;
			await side.watcher.fence(here);
			told(side, [1, 1, 1, 1]);
			assert.deepEqual(side.watcher.of(twofold), [1, 0, 1, 0], 'who is elsewhere, too');
			t.diagnostic(`out of the lobby after ${left} ms, leaves told after ${gone} ms`);
			assert.ok(left < 10_000 + NOISE_MS, `out of the lobby after ${left} ms`);
			assert.ok(gone < 15_000 + NOISE_MS, `told after ${gone} ms`);
			const host = /host=([0-9a-f]+)/.exec(mortal.output)[1];
			assert.deepEqual(await r.keys(`worker:${host}.*`), []);
		});

		test('a lease that is lost and taken again in time: nobody is told', async () => {
			const side = await settle(drowsy, 10);
			drowsy.child.kill('SIGSTOP');
			await until(() => areLeaving(side.users), 'sweep');
			// In time is what comes before their time is up, which is later where a machine may be late.
			const due = Date.now() + 2 * LEAVING_MS;
			await r.zadd('leaving', 'XX', ...side.users.flatMap(({ id }) => [due, id]));
			drowsy.child.kill('SIGCONT');
			await until(() => areRegistered(side.users), 'users to be registered again', { ms: 2000 + NOISE_MS });
			// In the lobby there is no such time; but whoever was taken out is put back in.
			await sees(side.witness, 'witness', 'ann', 'bob');
			await side.lodgers[0].ask('ping');
			side.lodgers[0].emit('roomMessage', 'still here');
			await hears(side.witness, 'roomMessage', ({ from }) => from === 'ann');
			await sleep(due + 1500 - Date.now());
			await side.watcher.fence(here);
			told(side, [1, 0, 1, 0]);
			assert.ok(side.guests.every(({ over }) => !over), 'clients notice nothing');
		});

		test('a lease that is lost for longer: told gone once, and back once', async () => {
			const side = await settle(asleep, 10);
			asleep.child.kill('SIGSTOP');
			await sees(side.witness, 'witness');
			for (const user of side.users)
				await side.watcher.hears('user-leave', user, { ms: 25_000 });
			// Whoever comes meanwhile is online, lease or no lease.
			const late = somebody('late');
			await enter(asleep, 'channels', late);
			await side.watcher.hears('user-join', late);
			asleep.child.kill('SIGCONT');
			const woken = Date.now();
			for (const user of side.users)
				await side.watcher.hears('user-join', user, { times: 2 });
			const back = Date.now() - woken;
			assert.ok(back < 2000 + NOISE_MS, `back after ${back} ms`);
			await sees(side.witness, 'witness', 'ann', 'bob');
			await sees(side.lodgers[0], 'witness', 'ann', 'bob');
			await side.watcher.fence(here);
			told(side, [2, 1, 2, 1]);
			assert.deepEqual(side.watcher.of(late), [1, 0, 0, 0]);
			assert.deepEqual(await r.smembers('unleased'), []);
			assert.ok(side.guests.every(({ over }) => !over), 'clients notice nothing');
		});
	});

	describe('an hour in fast motion', { timeout: SOAK * 1000 + 300_000 }, () => {
		let server, soak;
		before(async () => {
			server = await start({ options: { 'ping-interval': '1s', 'ping-timeout': '5s' } });
			soak = new Soak(server, SEED);
		});
		after(async () => {
			soak.end();
			await server.stop();
		});

		test(`${SOAK} s of random work, SEED=${SEED}: Redis holds what is alive, and nothing else`, async (t) => {
			await soak.run(SOAK * 1000);
			const began = Date.now();
			const wrong = await soak.settle();
			const done = [...soak.done].map(([name, times]) => `${name} ${times}`).join(', ');
			t.diagnostic(`${done}; ${soak.announced} comings and goings; ` +
				`at rest after ${Date.now() - began} ms with ${soak.guests.size} sockets`);
			assert.deepEqual(wrong, []);
			assert.ok(soak.guests.size > 0, 'somebody is still there');
		});
	});
});

// The lobby API with stock Socket.IO clients on four workers, over every transport.
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { Chatter, TRAVEL, enter, leaveAll, workerOfChatter } from '../lib/chatter.mjs';
import { ears, examples, run } from '../lib/examples.mjs';
import { redis } from '../lib/redis.mjs';
import { start } from '../lib/server.mjs';
import { until, within } from '../lib/wait.mjs';

const PAGE = 'docs/lobby.md';
const NAMES = 'must have 1 to 32 letters or digits';
const wait = { timeout: 120_000 };

let rooms = 0;

// A room that no other test uses.
function unique() {
	rooms += 1;
	return `room${process.pid}x${rooms}`;
}

const joined = (name, room) => ({ title: `${name} joined`, description: `${name} has joined the room ${room}` });
const left = (name, room) => ({ title: `${name} left`, description: `${name} has left the room ${room}` });

// Emits with a callback, and gives all its arguments; the callback is noted among what was heard.
function call(one, name, ...args) {
	return within(new Promise((resolve) => {
		one.emit(name, ...args, (...answer) => {
			one.heard.push({ name: `${name} callback`, args: answer });
			resolve(answer);
		});
	}), `callback of ${name}`);
}

const names = (one) => one.heard.map(({ name }) => name);
const listed = (users) => users.map(({ name }) => name);

// A client that is logged in, and has taken what it heard by that.
async function inside(server, name, room, options) {
	const one = await enter(server, options);
	const answer = await one.ask('login', { name, room });
	assert.deepEqual(answer, { user: { id: one.socket.id, name, room } });
	one.forget('users');
	return one;
}

// The next `users` in which those are there.
function sees(one, ...there) {
	return one.next('users', (users) => listed(users).join() === there.join());
}

// Clients on so many different workers.
async function spread(server, n, make) {
	const crowd = [];
	const homes = new Set();
	await until(async () => {
		const one = await make(crowd.length);
		crowd.push(one);
		homes.add(workerOfChatter(server, one));
		return homes.size >= n;
	}, `client on ${n} workers`, { every: 0 });
	return crowd;
}

describe('lobby', { timeout: 600_000 }, () => {
	let server;
	let store;
	before(async () => {
		server = await start({ root: 'lobby' });
		store = redis(server);
	});
	after(async () => {
		leaveAll();
		store?.disconnect();
		await server?.stop();
	});
	afterEach(leaveAll);

	for (const travel of Object.keys(TRAVEL)) {
		for (const nsp of ['/', '/lobby']) {
			const way = { travel, nsp };

			test(`${travel} at ${nsp}: the document's client, as it stands`, wait, async () => {
				const room = unique();
				const one = await enter(server, way);
				const ann = { id: one.socket.id, name: 'ann', room };
				assert.deepEqual(await call(one, 'login', { name: 'ann', room }), [{ user: ann }]);
				assert.deepEqual(one.heard, [
					{ name: 'users', args: [[ann]] }, { name: 'login callback', args: [{ user: ann }] }]);

				const other = await enter(server, way);
				const bob = { id: other.socket.id, name: 'bob', room };
				assert.deepEqual(await call(other, 'login', { name: 'bob', room }), [{ user: bob }]);
				assert.deepEqual(await sees(one, 'ann', 'bob'), [ann, bob]);
				assert.deepEqual(one.heard.slice(2), [
					{ name: 'notification', args: [joined('bob', room)] },
					{ name: 'users', args: [[ann, bob]] }]);
				assert.deepEqual(other.heard, [
					{ name: 'users', args: [[ann, bob]] }, { name: 'login callback', args: [{ user: bob }] }]);

				one.emit('roomMessage', 'U2FsdGVkX1');
				for (const each of [one, other])
					assert.deepEqual(await each.next('roomMessage'), { message: 'U2FsdGVkX1', from: 'ann' });

				assert.deepEqual(await call(other, 'ping'), [other.socket.id]);
				assert.deepEqual(await call(other, 'logout'), []);
				assert.deepEqual(await sees(one, 'ann'), [ann]);
				assert.deepEqual(one.heard.slice(5), [
					{ name: 'notification', args: [left('bob', room)] }, { name: 'users', args: [[ann]] }]);
				assert.deepEqual(names(other).slice(2), ['roomMessage', 'ping callback', 'logout callback']);
			});

			test(`${travel} at ${nsp}: login with a name and a room, trimmed`, wait, async () => {
				const room = unique();
				const one = await enter(server, way);
				assert.deepEqual(await call(one, 'login', ' ann', `\t${room}  `),
					[{ user: { id: one.socket.id, name: 'ann', room } }]);
				const other = await enter(server, way);
				assert.deepEqual(await call(other, 'login', { name: 'bob ', room: ` ${room}` }),
					[{ user: { id: other.socket.id, name: 'bob', room } }]);
				await sees(one, 'ann', 'bob');
			});

			test(`${travel} at ${nsp}: what login refuses`, wait, async () => {
				const room = unique();
				const one = await enter(server, way);
				const long = 'x'.repeat(33);
				for (const [args, error] of [
					[[], 'name is required'],
					[[null], 'name is required'],
					[[{}], 'name is required'],
					[[{ room }], 'name is required'],
					[[{ name: 'ann' }], 'room is required'],
					[['ann'], 'room is required'],
					[['ann', null], 'room is required'],
					[[{ name: 5, room }], 'name must be a string'],
					[[5, room], 'name must be a string'],
					[[['ann'], room], 'name must be a string'],
					[[{ name: 'ann', room: {} }], 'room must be a string'],
					[['ann', { room }], 'room must be a string'],
					[[{ name: '', room }], `name ${NAMES}`],
					[[{ name: '  ', room }], `name ${NAMES}`],
					[[{ name: 'a b', room }], `name ${NAMES}`],
					[[{ name: 'ann:', room }], `name ${NAMES}`],
					[[{ name: 'änn', room }], `name ${NAMES}`],
					[[{ name: long, room }], `name ${NAMES}`],
					[['', ''], `name ${NAMES}`],
					[[{ name: 'ann', room: '' }], `room ${NAMES}`],
					[[{ name: 'ann', room: 'a-b' }], `room ${NAMES}`],
					[['ann', long], `room ${NAMES}`],
					[[{ name: 'a\0b', room }], 'name must not contain NUL'],
				])
					assert.deepEqual(await call(one, 'login', ...args), [{ error }], JSON.stringify(args));
				// Without a callback it is silent; and nothing of all this was a login.
				one.emit('login', {});
				await one.ask('ping');
				assert.deepEqual(new Set(names(one)), new Set(['login callback']));
				assert.equal((await one.ask('login', { name: 'x'.repeat(32), room })).user.name, 'x'.repeat(32));
			});

			test(`${travel} at ${nsp}: a connection that ends is a logout`, wait, async () => {
				const room = unique();
				const one = await inside(server, 'ann', room, way);
				for (const end of [(gone) => gone.leave(), (gone) => gone.engine.close()]) {
					const other = await inside(server, 'bob', room, way);
					await sees(one, 'ann', 'bob');
					one.forget('notification');
					end(other);
					assert.deepEqual(await one.next('notification'), left('bob', room));
					await sees(one, 'ann');
				}
			});
		}
	}

	test('a name is given once in a room', wait, async () => {
		const room = unique();
		const one = await inside(server, 'ann', room);
		const other = await enter(server);
		assert.deepEqual(await other.ask('login', { name: 'ann', room }), { error: 'name is taken in this room' });
		await other.ask('ping');
		assert.deepEqual(other.heard, []);
		assert.equal((await other.ask('login', { name: 'ann', room: unique() })).user.name, 'ann');
		await inside(server, 'Ann', room);
		await sees(one, 'ann', 'Ann');
		one.leave();
		const heir = await enter(server);
		await until(async () => (await heir.ask('login', { name: 'ann', room })).user, 'free name');
	});

	test('of many at once one gets the name', wait, async () => {
		const room = unique();
		const crowd = await Promise.all(Array.from({ length: 12 }, () => enter(server)));
		const answers = await Promise.all(crowd.map((one) => one.ask('login', 'ann', room)));
		assert.equal(answers.filter(({ user }) => user).length, 1);
		assert.equal(answers.filter(({ error }) => error === 'name is taken in this room').length, 11);
	});

	test('a socket is logged in once', wait, async () => {
		const room = unique();
		const one = await inside(server, 'ann', room);
		for (const again of [{ name: 'ann', room }, { name: 'eve', room }, { name: 'ann', room: unique() }])
			assert.deepEqual(await one.ask('login', again), { error: 'Already logged in' });
		await one.ask('ping');
		assert.deepEqual(names(one), ['users']);
	});

	test('who is not logged in', wait, async () => {
		const one = await enter(server);
		assert.deepEqual(await call(one, 'roomMessage', 'hello'), [{ error: 'Not logged in' }]);
		assert.deepEqual(await call(one, 'logout'), [{ error: 'Not logged in' }]);
		one.emit('roomMessage', 'hello');
		one.emit('logout');
		assert.deepEqual(await call(one, 'ping'), [one.socket.id]);
		assert.deepEqual(names(one), ['roomMessage callback', 'logout callback', 'ping callback']);
	});

	test('an unknown event', wait, async () => {
		const one = await enter(server);
		one.emit('sing', 'la');
		assert.deepEqual(await call(one, 'sing', 'la'), [{ error: 'Unknown event: sing' }]);
		assert.deepEqual(await call(one, 'users', []), [{ error: 'Unknown event: users' }]);
		assert.deepEqual(names(one), ['sing callback', 'users callback']);
	});

	test('what a message may be', wait, async () => {
		const room = unique();
		const one = await inside(server, 'ann', room);
		const other = await inside(server, 'bob', room, { travel: 'polling' });
		for (const text of ['x', ' ', '{"iv":"9f","ct":"/+="}', '"\\ \n\u{1f642}</script>\u2028\x7f',
			'\u{1f642}'.repeat(16384), 'a'.repeat(16384)]) {
			assert.deepEqual(await call(one, 'roomMessage', text), []);
			for (const each of [one, other])
				assert.deepEqual(await each.next('roomMessage'), { message: text, from: 'ann' });
		}
	});

	test('what a message may not be', wait, async () => {
		const one = await inside(server, 'ann', unique());
		const length = 'message must have 1 to 16384 characters';
		for (const [args, error] of [
			[[], 'message is required'],
			[[null], 'message is required'],
			[[{ message: 'x' }], 'message must be a string'],
			[[5], 'message must be a string'],
			[[['x']], 'message must be a string'],
			[[Buffer.from('x')], 'message must be a string'],
			[[''], length],
			[['x'.repeat(16385)], length],
			[['a\0b'], 'message must not contain NUL'],
		])
			assert.deepEqual(await call(one, 'roomMessage', ...args), [{ error }], error);
		assert.equal(one.count('roomMessage'), 0);
	});

	test('what is said stays in the room', wait, async () => {
		const [here, there] = [unique(), unique()];
		const one = await inside(server, 'ann', here);
		const other = await inside(server, 'ann', there);
		const outside = await enter(server);
		await one.ask('roomMessage', 'in here');
		await other.ask('roomMessage', 'out there');
		assert.equal((await one.next('roomMessage')).message, 'in here');
		assert.equal((await other.next('roomMessage')).message, 'out there');
		await Promise.all([one, other, outside].map((each) => each.ask('ping')));
		assert.deepEqual([one.count('roomMessage'), other.count('roomMessage'), outside.heard], [1, 1, []]);
	});

	test('who logs out hears nothing more, and may come again', wait, async () => {
		const [room, another] = [unique(), unique()];
		const one = await inside(server, 'ann', room);
		const other = await inside(server, 'bob', room);
		assert.deepEqual(await call(other, 'logout'), []);
		const before = other.heard.length;
		await one.ask('roomMessage', 'unheard');
		await one.next('roomMessage');
		await other.ask('ping');
		assert.equal(other.heard.length, before);
		assert.equal((await other.ask('login', 'bob', another)).user.room, another);
		assert.deepEqual(await call(other, 'logout'), []);
		assert.equal((await other.ask('login', 'bob', room)).user.room, room);
		await one.ask('roomMessage', 'heard');
		assert.equal((await other.next('roomMessage')).message, 'heard');
	});

	test('events take effect in the order in which they were sent', wait, async () => {
		const [room, another] = [unique(), unique()];
		const watcher = await inside(server, 'eve', room);
		for (let round = 0; round < 10; round++) {
			const one = await enter(server);
			const answers = await Promise.all([
				call(one, 'login', 'ann', room), call(one, 'roomMessage', 'first'),
				call(one, 'login', 'ann', another), call(one, 'roomMessage', 'second'),
				call(one, 'logout'), call(one, 'roomMessage', 'nowhere'),
				call(one, 'login', 'bob', another), call(one, 'roomMessage', 'third'), call(one, 'logout'),
			]);
			assert.deepEqual(answers.map(([answer]) => answer?.error ?? answer?.user.name), ['ann', undefined,
				'Already logged in', undefined, undefined, 'Not logged in', 'bob', undefined, undefined]);
			assert.deepEqual(await watcher.next('notification'), joined('ann', room));
			assert.equal((await watcher.next('roomMessage')).message, 'first');
			assert.equal((await watcher.next('roomMessage')).message, 'second');
			assert.deepEqual(await watcher.next('notification'), left('ann', room));
			one.leave();
		}
	});

	test('who is gone before they are in is not left behind', wait, async () => {
		const room = unique();
		const watcher = await inside(server, 'eve', room);
		for (let i = 0; i < 40; i++) {
			const one = await enter(server, { travel: i % 4 ? 'websocket' : 'polling' });
			one.emit('login', `user${i}`, room);
			if (i % 2)
				one.leave();
			else
				one.engine.close();
		}
		await inside(server, 'last', room);
		await until(async () => {
			const there = await store.hkeys(`lobby:${room}`);
			return there.sort().join() === 'eve,last';
		}, 'room without those who are gone');
		await until(() => listed(watcher.all('users').at(-1)).join() === 'eve,last', 'list without them');
	});

	test('40 logins in a row, in order of arrival, on all workers', wait, async () => {
		const room = unique();
		const first = await spread(server, 4, (i) => inside(server, `user${i}`, room));
		const crowd = [...first];
		while (crowd.length < 40)
			crowd.push(await inside(server, `user${crowd.length}`, room,
				{ travel: Object.keys(TRAVEL)[crowd.length % 3] }));
		const order = crowd.map((_, i) => `user${i}`);
		for (const [i, one] of crowd.entries()) {
			await until(() => one.all('users').at(-1).length === crowd.length, 'all users');
			const lists = one.all('users').map(listed);
			assert.deepEqual(lists, order.slice(i).map((_, n) => order.slice(0, i + n + 1)));
			assert.deepEqual(one.all('notification'), order.slice(i + 1).map((name) => joined(name, room)));
		}
		crowd[7].emit('roomMessage', 'to all');
		for (const one of crowd)
			assert.deepEqual(await one.next('roomMessage'), { message: 'to all', from: 'user7' });
	});

	test('all hear the same, in the same order', wait, async () => {
		const room = unique();
		const crowd = await spread(server, 4, (i) => inside(server, `user${i}`, room));
		for (let i = 0; i < 100; i++)
			crowd[i % crowd.length].emit('roomMessage', `number ${i}`);
		for (const one of crowd) {
			await until(() => one.count('roomMessage') >= 100, 'all messages');
			assert.deepEqual(one.all('roomMessage'), crowd[0].all('roomMessage'));
		}
	});

	test('messages are not stored', wait, async () => {
		const room = unique();
		const one = await inside(server, 'ann', room);
		const secret = `secret-${process.pid}-${Date.now()}`;
		assert.deepEqual((await store.keys(`*${room}*`)).sort(), [`lobby:${room}`]);
		await one.ask('roomMessage', secret);
		await one.next('roomMessage');
		assert.deepEqual((await store.keys(`*${room}*`)).sort(), [`lobby:${room}`]);
		for (const key of await store.keys('*'))
			assert.ok(!(await store.dumpBuffer(key))?.includes(secret), key);
		await store.save();
		// Neither in what Redis writes to disk, where the room itself is.
		const grep = (text) => execFileSync('sh', ['-c', `grep -rlaF -- ${text} "$0" || true`, server.dataDir],
			{ encoding: 'utf8' });
		assert.notEqual(grep(room), '');
		assert.equal(grep(secret), '');
		one.leave();
		await until(async () => (await store.exists(`lobby:${room}`)) === 0, 'end of the room');
	});

	test('the users of a killed worker leave', wait, async () => {
		const room = unique();
		const crowd = await spread(server, 2, (i) => inside(server, `user${i}`, room));
		const victim = workerOfChatter(server, crowd[0]);
		const homes = crowd.map((one) => workerOfChatter(server, one));
		const order = crowd.map((_, i) => `user${i}`);
		const gone = order.filter((_, i) => homes[i] === victim);
		const remain = order.filter((_, i) => homes[i] !== victim);
		for (const one of crowd)
			await until(() => one.all('users').at(-1).length === crowd.length, 'all users');
		process.kill(victim, 'SIGKILL');
		for (const one of crowd.filter((_, i) => homes[i] !== victim)) {
			await until(() => listed(one.all('users').at(-1)).join() === remain.join(), 'list without them');
			assert.deepEqual(one.all('notification').slice(-gone.length).map(({ title }) => title),
				gone.map((name) => `${name} left`));
		}
		// Their names are free.
		const heir = await enter(server);
		assert.equal((await heir.ask('login', gone[0], room)).user.name, gone[0]);
	});

	test('the examples of the page', wait, async () => {
		const { listen, next } = ears();
		const scope = { next };
		for (const name of ['ann', 'bob', 'eve'])
			scope[name] = listen((await enter(server)).socket);
		scope.io = (url, options) => {
			assert.equal(url, 'http://localhost:3001');
			return new Chatter(server, options).socket;
		};
		for (const example of examples(PAGE))
			await run(example, scope);
	});
});

describe('lobby beside another API, and without Redis', { timeout: 300_000 }, () => {
	let server;
	let store;
	const way = { nsp: '/lobby' };
	before(async () => {
		server = await start();
		store = redis(server);
		store.on('error', () => {});        // it is killed below
	});
	after(async () => {
		leaveAll();
		store?.disconnect();
		await server?.stop();
	});
	beforeEach(() => server.serves());
	afterEach(leaveAll);

	async function redisPid() {
		return Number((await store.info('server')).match(/process_id:(\d+)/)[1]);
	}

	// Says something until all hear it: each worker finds back to Redis by itself.
	async function reaches(from, ...all) {
		await until(async () => {
			const text = `round ${Math.random()}`;
			if ((await from.ask('roomMessage', text))?.error)
				return false;
			return until(() => all.every((one) => one.count('roomMessage', ({ message }) => message === text)),
				'message', { ms: 2000 });
		}, 'message that all hear');
	}

	test('each event says that it failed, and nothing has changed', wait, async () => {
		const room = unique();
		const one = await inside(server, 'ann', room, way);
		const other = await inside(server, 'bob', room, way);
		const third = await enter(server, way);
		await sees(one, 'ann', 'bob');
		const pid = await redisPid();
		process.kill(pid, 'SIGSTOP');
		try {
			const answers = await Promise.all([third.ask('login', 'eve', room), other.ask('roomMessage', 'x'),
				one.ask('logout'), third.ask('ping')]);
			assert.deepEqual(answers, [{ error: 'Failed to log in' }, { error: 'Failed to send message' },
				{ error: 'Failed to log out' }, third.socket.id]);
		} finally {
			process.kill(pid, 'SIGCONT');
		}
		// Whatever Redis did of it in the end: who was in is in, who was not is not.
		await until(() => listed(one.all('users').at(-1)).sort().join() === 'ann,bob' &&
			listed(other.all('users').at(-1)).sort().join() === 'ann,bob', 'both in the list');
		await reaches(one, one, other);
		await until(async () => (await third.ask('login', 'eve', room)).user, 'login');
		await until(() => listed(one.all('users').at(-1)).sort().join() === 'ann,bob,eve', 'all in the list');
		assert.deepEqual(await call(one, 'logout'), []);
		await until(() => listed(other.all('users').at(-1)).sort().join() === 'bob,eve', 'list without ann');
	});

	test('who leaves while Redis is away has left when it is back', wait, async () => {
		const room = unique();
		const one = await inside(server, 'ann', room, way);
		const other = await inside(server, 'bob', room, way);
		await sees(one, 'ann', 'bob');
		process.kill(await redisPid(), 'SIGKILL');
		other.leave();
		await until(() => listed(one.all('users').at(-1)).join() === 'ann', 'list without bob');
		await reaches(one, one);
	});

	// As if their host had been cut off for longer than a lease; `then` is part of it.
	async function sweepAll(then = (multi) => multi) {
		await until(async () => (await store.zcard('workers')) >= 4, 'lease of each worker');
		const multi = store.multi();
		for (const worker of await store.zrange('workers', 0, -1))
			multi.fcall('worker_sweep', 0, worker);
		for (const [error] of await then(multi).exec())
			assert.equal(error, null);
	}

	test('who was swept, but lives, is put back', wait, async () => {
		const room = unique();
		const crowd = await spread(server, 3, (i) => inside(server, `user${i}`, room, way));
		const all = crowd.map((_, i) => `user${i}`).sort().join();
		for (const one of crowd)
			await until(() => one.all('users').at(-1).length === crowd.length, 'all users');
		const before = crowd.map((one) => one.heard.length);
		await sweepAll();
		for (const [i, one] of crowd.entries()) {
			await until(() => listed(one.heard.slice(before[i]).findLast(({ name }) => name === 'users')
				?.args[0] ?? []).sort().join() === all, 'all in the list again');
		}
		await reaches(crowd[0], ...crowd);
	});

	test('when Redis lost all its data, all are put back', wait, async () => {
		const room = unique();
		const crowd = await spread(server, 2, (i) => inside(server, `user${i}`, room, way));
		const all = crowd.map((_, i) => `user${i}`).sort().join();
		const pid = await redisPid();
		await store.flushall();
		process.kill(pid, 'SIGKILL');
		await until(async () => (await store.hkeys(`lobby:${room}`)).sort().join() === all, 'all in the room');
		await reaches(crowd[0], ...crowd);
	});

	test('a name that another took meanwhile', wait, async () => {
		const room = unique();
		const one = await inside(server, 'ann', room, way);
		await sweepAll((multi) => multi.fcall('lobby_login', 0, 'elsewhere', 'other-socket', 'ann', room));
		assert.equal(await one.disconnected(), 'transport close');
		const again = await inside(server, 'bob', room, way);
		assert.deepEqual(listed(again.all('users').at(-1)), ['ann', 'bob']);
	});
});

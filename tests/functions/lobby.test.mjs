// The lobby: who is in a room, in which order, and what its users are told.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useRedis } from './harness.mjs';

const { server, fcall, fcallRo, refused, published } = useRedis();

// Logs in by a socket that is called like the user, unless said otherwise; gives [clock, users].
async function login(name, room = 'kitchen', { sid = `s-${name}`, worker = 'h.0.1' } = {}) {
	const [clock, users] = await fcall('lobby_login', worker, sid, name, room);
	return [clock, JSON.parse(users)];
}

function logout(name, room = 'kitchen', { sid = `s-${name}`, worker = 'h.0.1' } = {}) {
	return fcall('lobby_logout', worker, sid, name, room);
}

const people = (names, room = 'kitchen') => names.map((name) => ({ id: `s-${name}`, name, room }));

// The event that says who is there.
function told(clock, { came = [], left = [], now, room = 'kitchen' }) {
	return { type: 'lobby-users', room, kind: 'lobby', clock, came, left, users: people(now, room) };
}

const clockNow = async () => `1-${await server.redis.get('clock')}`;

test('who logs in is told to all, and gets the same', async () => {
	const [clock, users] = await login('ann');
	assert.deepEqual(users, people(['ann']));
	assert.equal(clock, await clockNow());
	assert.deepEqual(await published(), [{ feed: 'lobby:kitchen', prev: null, id: null,
		event: told(clock, { came: ['ann'], now: ['ann'] }) }]);
	const [later, both] = await login('bob');
	assert.deepEqual(both, people(['ann', 'bob']));
	assert.deepEqual((await published()).map(({ event }) => event),
		[told(later, { came: ['bob'], now: ['ann', 'bob'] })]);
});

test('what is stored can be read, and goes with the last', async () => {
	await login('ann');
	assert.match(await server.redis.hget('lobby:kitchen', 'ann'), /^\d+ s-ann h\.0\.1$/);
	assert.deepEqual(await server.redis.smembers('worker:h.0.1:lobby'), ['kitchen ann s-ann']);
	await logout('ann');
	assert.equal(await server.redis.exists('lobby:kitchen', 'worker:h.0.1:lobby'), 0);
});

test('once more by the same socket is no news', async () => {
	await login('ann');
	await login('bob');
	await published();
	const [clock, users] = await login('ann');
	assert.deepEqual(users, people(['ann', 'bob']), 'nor does it change the order');
	assert.equal(clock, await clockNow());
	assert.deepEqual(await published(), []);
	assert.equal((await server.redis.smembers('worker:h.0.1:lobby')).length, 2);
});

test('a name is one socket\'s in a room; upper and lower case differ', async () => {
	await login('ann');
	await refused('TAKEN name: is taken in this room', 'lobby_login', 'h.0.1', 's-other', 'ann', 'kitchen');
	await published();
	const [, users] = await login('Ann', 'kitchen', { sid: 's-Ann' });
	assert.deepEqual(users, people(['ann', 'Ann']));
	assert.deepEqual((await login('ann', 'garden'))[1], people(['ann'], 'garden'));
	assert.deepEqual((await published()).map(({ feed }) => feed), ['lobby:kitchen', 'lobby:garden']);
});

test('names are 1 to 32 letters and digits', async () => {
	for (const bad of ['', 'a b', 'a:b', 'a%', 'ä', 'a\0', 'x'.repeat(33), 'a-b', 'a\n']) {
		await refused('INVALID name: must have 1 to 32 letters or digits',
			'lobby_login', 'h.0.1', 's', bad, 'kitchen');
		await refused('INVALID room: must have 1 to 32 letters or digits',
			'lobby_login', 'h.0.1', 's', 'ann', bad);
	}
	await login('x'.repeat(32), 'Z9'.repeat(16));
});

test('who logs out is told to those who remain', async () => {
	for (const name of ['ann', 'bob', 'eve'])
		await login(name);
	await published();
	assert.deepEqual(await logout('bob'), ['1']);
	assert.deepEqual((await published()).map(({ event }) => event),
		[told(await clockNow(), { left: ['bob'], now: ['ann', 'eve'] })]);
	assert.deepEqual(await logout('bob'), ['0'], 'once');
	assert.deepEqual(await logout('ann', 'kitchen', { sid: 's-other' }), ['0'], 'by that socket only');
	assert.deepEqual(await published(), []);
	await logout('ann');
	await published();
	await logout('eve');
	assert.deepEqual(await published(), [], 'nobody remains');
});

test('order is that of arrival, however many there are', async () => {
	const names = Array.from({ length: 120 }, (_, i) => `user${i}`);
	for (const name of names)
		await login(name);
	await logout('user7');
	const [, users] = await login('user7');
	const expected = [...names.filter((name) => name !== 'user7'), 'user7'];
	assert.deepEqual(users, people(expected));
	const { clock, ...rest } = JSON.parse(await fcallRo('lobby_read', 'lobby:kitchen'));
	assert.equal(clock, await clockNow());
	assert.deepEqual(rest.users, people(expected));
});

test('what is said is told, and kept nowhere', async () => {
	await login('ann');
	await published();
	const keys = (await server.redis.keys('*')).sort();
	const text = 'Hello "wörld" \\ / \n \u{1f642} </script>';
	assert.deepEqual(await fcall('lobby_say', 's-ann', 'ann', 'kitchen', text), ['1']);
	const clock = await clockNow();
	assert.deepEqual(await published(), [{ feed: 'lobby:kitchen', prev: null, id: null, event: {
		type: 'lobby-message', room: 'kitchen', kind: 'lobby', clock, name: 'ann', content: text } }]);
	await fcall('lobby_say', 's-ann', 'ann', 'kitchen', 'again');
	assert.notEqual((await published())[0].event.clock, clock);
	assert.deepEqual((await server.redis.keys('*')).sort(), keys);
});

test('only who is logged in may say something', async () => {
	await login('ann');
	await refused('NOTFOUND room', 'lobby_say', 's-bob', 'bob', 'kitchen', 'x');
	await refused('NOTFOUND room', 'lobby_say', 's-bob', 'ann', 'kitchen', 'x');
	await refused('NOTFOUND room', 'lobby_say', 's-ann', 'ann', 'garden', 'x');
	await logout('ann');
	await refused('NOTFOUND room', 'lobby_say', 's-ann', 'ann', 'kitchen', 'x');
});

test('the state can be read', async () => {
	assert.deepEqual(await fcallRo('lobby_read', 'lobby:kitchen'), ['']);
	assert.deepEqual(await fcallRo('lobby_read', 'room:kitchen'), ['']);
	await login('ann');
	await login('bob');
	const [event] = await fcallRo('lobby_read', 'lobby:kitchen');
	assert.deepEqual(JSON.parse(event), told(await clockNow(), { now: ['ann', 'bob'] }));
});

test('the users of a dead worker leave, each room is told once', async () => {
	await fcall('worker_lease', 10000, 'h.0.1', 'h.1.1');
	for (const name of ['ann', 'bob', 'eve'])
		await login(name, 'kitchen', { worker: name === 'bob' ? 'h.1.1' : 'h.0.1' });
	await login('ann', 'garden');
	await login('dan', 'cellar', { worker: 'h.1.1' });
	await published();
	await fcall('worker_sweep', 'h.0.1');
	assert.deepEqual((await published()).map(({ event }) => event),
		[told(await clockNow(), { left: ['ann', 'eve'], now: ['bob'] })]);
	assert.equal(await server.redis.exists('lobby:garden', 'worker:h.0.1:lobby'), 0);
	assert.deepEqual(await server.redis.smembers('worker:h.1.1:lobby').then((all) => all.sort()),
		['cellar dan s-dan', 'kitchen bob s-bob']);
	// It was alive, and says so.
	await login('ann');
	assert.deepEqual((await published()).map(({ event }) => event),
		[told(await clockNow(), { came: ['ann'], now: ['bob', 'ann'] })]);
});

test('a sweep leaves alone who has the name by now', async () => {
	await fcall('worker_lease', 10000, 'h.0.1');
	await login('ann');
	await server.redis.hdel('lobby:kitchen', 'ann');
	await login('ann', 'kitchen', { sid: 's-other', worker: 'h.1.1' });
	await published();
	await fcall('worker_sweep', 'h.0.1');
	assert.deepEqual(await published(), []);
	assert.match(await server.redis.hget('lobby:kitchen', 'ann'), / s-other h\.1\.1$/);
});

test('a login that comes after the sweep of its worker is swept, too', async () => {
	await fcall('worker_lease', 10000, 'h.0.1');
	await fcall('worker_sweep', 'h.0.1');
	await login('ann');
	await login('bob', 'kitchen', { worker: 'h.1.1' });
	await published();
	await server.redis.zadd('workers', 1, 'h.0.1');
	await fcall('worker_lease', 10000, 'h.1.1');
	assert.deepEqual((await published()).map(({ event }) => [event.left, event.users]),
		[[['ann'], people(['bob'])]]);
});

test('many leave in chunks', async () => {
	await fcall('worker_lease', 10000, 'h.0.1');
	await login('ann', 'kitchen', { worker: 'h.1.1' });
	for (let i = 0; i < 501; i++)
		await login(`u${i}`);
	await published();
	assert.deepEqual(await fcall('worker_sweep', 'h.0.1'), ['2'], 'there is more');
	const [first, ...more] = await published();
	assert.deepEqual(more, []);
	assert.equal(first.event.left.length, 500);
	assert.deepEqual([...first.event.left].sort((a, b) => a.slice(1) - b.slice(1)), first.event.left);
	assert.equal(first.event.users.length, 2);
	assert.deepEqual(await fcall('worker_sweep', 'h.0.1'), ['1']);
	const [second] = await published();
	assert.deepEqual([second.event.left.length, second.event.users], [1, people(['ann'])]);
});

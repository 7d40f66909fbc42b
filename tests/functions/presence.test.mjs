// Presence: who is online, told once whatever sockets and workers do, and never of who comes right back.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useRedis } from './harness.mjs';

const { server, fcall, fcallRo, refused, published, user } = useRedis();
const W = 'h.0.1';

const come = (worker, ids, limit = 100) => fcall('presence_update', worker, limit, ids.length, ...ids);
const go = (worker, ids, limit = 100) => fcall('presence_update', worker, limit, 0, ...ids);
const tell = (limit = 100, ...most) => fcall('presence_tell', limit, ...most);
// As if the time of those who are leaving had passed.
async function timePasses() {
	for (const id of await server.redis.zrange('leaving', 0, -1))
		await server.redis.zadd('leaving', 1, id);
}
const news = async () => (await published()).map(({ feed, event }) => [feed, event.type, event.user]);
const onlineOf = (id) => [[`presence:${id}`, 'online', id], ['presence', 'came', id]];
const offlineOf = (id) => [[`presence:${id}`, 'offline', id], ['presence', 'went', id]];

async function users(...ids) {
	for (const id of ids)
		await user(id, `${id}1`);
	await published();
}

test('a user comes and goes, and each is told once', async () => {
	await users('ann');
	assert.deepEqual(await come(W, ['ann']), ['1']);
	const [waits, all, ...none] = await published();
	assert.deepEqual(none, []);
	const clock = await server.redis.hget('user:ann', 'presence');
	assert.match(clock, /^1-\d+$/);
	assert.deepEqual([waits.feed, waits.id, waits.event],
		['presence:ann', null, { type: 'online', user: 'ann', username: 'ann1', clock }]);
	assert.deepEqual([all.feed, all.prev, all.event],
		['presence', '0-0', { type: 'came', user: 'ann', username: 'ann1' }]);
	const [told, toldAll] = [clock, all.id].map((stamp) => Number(stamp.split('-')[1]));
	assert.ok(toldAll > told, 'clocks are in the order of telling');
	assert.deepEqual(await server.redis.xrange('presence:log', '-', '+'),
		[[all.id, ['p', '0-0', 'e', JSON.stringify(all.event)]]]);
	assert.deepEqual(await server.redis.smembers(`worker:${W}:users`), ['ann']);
	assert.deepEqual(await server.redis.smembers('user:ann:workers'), [W]);

	const begun = Date.now();
	assert.deepEqual(await go(W, ['ann']), ['1']);
	const due = await server.redis.zscore('leaving', 'ann');
	assert.ok(due >= begun + 5000 && due <= Date.now() + 5000, `${due - begun} ms`);
	assert.deepEqual(await tell(), ['0', '0'], 'not yet');
	assert.deepEqual(await published(), []);
	assert.equal(await server.redis.sismember('online', 'ann'), 1);
	await timePasses();
	assert.deepEqual(await tell(), ['1', '0']);
	const [left, went, ...nothing] = await published();
	assert.deepEqual(nothing, []);
	assert.deepEqual([left.feed, left.event], ['presence:ann', { type: 'offline', user: 'ann', username: 'ann1',
		clock: await server.redis.hget('user:ann', 'presence') }]);
	assert.deepEqual([went.feed, went.prev, went.event],
		['presence', all.id, { type: 'went', user: 'ann', username: 'ann1' }]);
	assert.deepEqual(await tell(), ['0', '0']);
	assert.deepEqual(await published(), []);
	assert.equal(await server.redis.exists('online', 'leaving', 'user:ann:workers', `worker:${W}:users`), 0);
});

test('who comes right back has not been away', async () => {
	await users('ann');
	await come(W, ['ann']);
	await published();
	await go(W, ['ann']);
	await timePasses();
	await come('h.1.2', ['ann']);
	assert.deepEqual(await tell(), ['0', '0']);
	assert.deepEqual(await news(), []);
	assert.equal(await server.redis.exists('leaving'), 0);
	assert.equal(await server.redis.sismember('online', 'ann'), 1);
});

test('on eight workers, one coming and one going', async () => {
	await users('ann');
	const workers = Array.from({ length: 8 }, (_, i) => `h.${i}.${i + 1}`);
	await Promise.all(workers.map((worker) => come(worker, ['ann'])));
	assert.deepEqual(await news(), onlineOf('ann'));
	for (const worker of workers.slice(1))
		await go(worker, ['ann']);
	assert.equal(await server.redis.exists('leaving'), 0);
	await go(workers[0], ['ann']);
	await timePasses();
	const told = await Promise.all(workers.map(() => tell()));
	assert.equal(told.filter(([n]) => n === '1').length, 1, 'one of eight masters tells');
	assert.deepEqual(await news(), offlineOf('ann'));
});

test('said again it changes nothing', async () => {
	await users('ann', 'bob');
	const both = ['ann', 'bob'];
	for (let i = 0; i < 3; i++)
		await come(W, [...both, 'ann']);
	assert.deepEqual(await news(), [...onlineOf('ann'), ...onlineOf('bob')]);
	await go(W, ['ann']);
	const due = await server.redis.zscore('leaving', 'ann');
	await server.redis.zadd('leaving', due - 2000, 'ann');
	await go(W, ['ann']);
	assert.equal(await server.redis.zscore('leaving', 'ann'), String(due - 2000), 'no more time is given');
	await timePasses();
	await tell();
	assert.deepEqual(await news(), offlineOf('ann'));
	await go(W, ['ann']);
	assert.equal(await server.redis.exists('leaving'), 0, 'who is offline does not leave');
	assert.deepEqual(await fcall('presence_update', W, 100, 1, 'ann', 'bob'), ['2'], 'one comes, one goes');
	assert.deepEqual(await news(), onlineOf('ann'));
	assert.deepEqual(await server.redis.zrange('leaving', 0, -1), ['bob']);
});

test('all hear while no more than so many are online, the one in question counted', async () => {
	await users('ann', 'bob', 'eve');
	await come(W, ['ann', 'bob', 'eve'], 2);
	assert.deepEqual(await news(), [...onlineOf('ann'), ...onlineOf('bob'), onlineOf('eve')[0]]);
	await go(W, ['ann', 'bob', 'eve']);
	// Those who go at one time are told in the order of their times.
	await Promise.all(['ann', 'bob', 'eve'].map((id, i) => server.redis.zadd('leaving', i + 1, id)));
	assert.deepEqual(await tell(2, 1), ['1', '1']);
	assert.deepEqual(await news(), [offlineOf('ann')[0]]);
	assert.deepEqual(await tell(2, 2), ['2', '0']);
	assert.deepEqual(await news(), [...offlineOf('bob'), ...offlineOf('eve')]);
	await come(W, ['ann'], 0);
	assert.deepEqual(await news(), [onlineOf('ann')[0]], 'a limit of 0: never');
});

test('unknown users count, and nothing is told of them', async () => {
	await come(W, ['nobody']);
	assert.equal(await server.redis.sismember('online', 'nobody'), 1);
	assert.deepEqual(await server.redis.smembers(`worker:${W}:users`), ['nobody']);
	assert.deepEqual(await fcallRo('presence_read', 'presence:nobody'), ['']);
	await go(W, ['nobody']);
	await timePasses();
	assert.deepEqual(await tell(), ['1', '0']);
	assert.equal(await server.redis.exists('user:nobody', 'online', 'leaving'), 0);
	assert.deepEqual(await news(), []);
	await refused('INVALID n: is not a number of ids', 'presence_update', W, 100, 2, 'ann');
	await refused('INVALID n: is not a number of ids', 'presence_update', W, 100, 'x', 'ann');
});

test('a great many in one call', async () => {
	const ids = Array.from({ length: 5000 }, (_, i) => `u${i}`);
	assert.deepEqual(await come(W, ids), ['5000']);
	assert.equal(await server.redis.scard('online'), 5000);
	await go(W, ids);
	await timePasses();
	assert.deepEqual(await tell(), ['500', '1']);
	assert.deepEqual(await tell(100, 4500), ['4500', '0']);
});

test('the state of a user can be read, whatever their id', async () => {
	const ids = ['ann', 'name', 'a:b', '100%', '%6Eame'];
	for (const [i, id] of ids.entries())
		await user(id, `user${i}`);
	const feeds = new Map();
	for (const [i, id] of ids.entries()) {
		const [gotId, feed, online, now] = await fcall('user_wait', `USER${i}`, '', '');
		assert.deepEqual([gotId, online], [id, '0']);
		assert.equal(now, `1-${await server.redis.get('clock') ?? 0}`);
		assert.deepEqual(await fcallRo('presence_read', feed), [''], 'never was');
		feeds.set(id, feed);
	}
	assert.equal(new Set(feeds.values()).size, ids.length);
	await come(W, ids, 0);
	for (const { feed, event } of await published()) {
		assert.equal(feed, feeds.get(event.user));
		assert.deepEqual(JSON.parse((await fcallRo('presence_read', feed))[0]), event);
	}
	assert.equal((await fcall('user_wait', 'user0', '', ''))[2], '1');
	await go(W, ids);
	assert.equal((await fcall('user_wait', 'user0', '', ''))[2], '1', 'who is leaving is online');
	await timePasses();
	await tell(0);
	const heard = await published();
	assert.equal(heard.length, ids.length);
	for (const { feed, event } of heard)
		assert.deepEqual(JSON.parse((await fcallRo('presence_read', feed))[0]), event);
	assert.deepEqual(await fcallRo('presence_read', 'presence:nobody'), ['']);
});

test('who is waited for is kept in the session, if it is still that socket\'s', async () => {
	await users('ann', 'bob');
	await fcall('user_connect', 'ann', '', 'ann1', '', '', 1, 'x', '', '', 'api', W, 'p', 's', 1000, '', '');
	const kept = () => server.redis.hget('session:p', 'f:presence:bob');
	await fcall('user_wait', 'bob1', 'p', '2');
	await fcall('user_wait', 'bob1', 'none', '1');
	assert.equal(await kept(), null);
	assert.equal(await server.redis.exists('session:none'), 0);
	const [, feed, , at] = await fcall('user_wait', 'Bob1', 'p', '1');
	assert.deepEqual([feed, await kept()], ['presence:bob', at]);
	await come(W, ['bob']);
	const [, , online, later] = await fcall('user_wait', 'bob1', 'p', '1');
	assert.equal(online, '1');
	assert.notEqual(later, at);
	assert.equal(await kept(), later, 'the later state was told');
	assert.deepEqual(await fcall('user_unwait', 'bob1', 'p', '2'), ['presence:bob']);
	assert.equal(await kept(), later);
	await fcall('user_delete', 'bob');
	await refused('NOUSER user', 'user_wait', 'bob1', 'p', '1');
	assert.deepEqual(await fcall('user_unwait', 'bob1', 'p', '1'), ['presence:bob']);
	assert.equal(await kept(), null);
	await refused('NOUSER user', 'user_wait', 'nobody', 'p', '1');
	await refused('NOUSER user', 'user_unwait', 'nobody', '', '');
});

test('the users of a dead worker leave, in chunks; those on another too stay', async () => {
	const ids = Array.from({ length: 2500 }, (_, i) => `u${i}`);
	await users('ann', 'bob');
	await come(W, [...ids, 'ann', 'bob']);
	await come('h.1.2', ['bob']);
	await published();
	await fcall('worker_lease', 10000, W, 'h.1.2');
	assert.deepEqual(await fcall('worker_sweep', W), ['2']);
	assert.equal(await server.redis.scard(`worker:${W}:users`), 1502);
	assert.equal(await server.redis.zscore('workers', W), '0', 'it keeps its place until all is done');
	assert.deepEqual(await fcall('worker_sweep', W), ['2']);
	assert.deepEqual(await fcall('worker_sweep', W), ['1']);
	assert.deepEqual(await fcall('worker_sweep', W), ['0']);
	assert.equal(await server.redis.zcard('leaving'), 2501);
	assert.deepEqual(await server.redis.smembers('user:bob:workers'), ['h.1.2']);
	assert.deepEqual(await server.redis.keys(`worker:${W}:*`), []);
	assert.deepEqual(await server.redis.zrange('workers', 0, -1), ['h.1.2']);
	await timePasses();
	assert.deepEqual(await tell(100, 3000), ['2501', '0']);
	// 2,502 were online; too many for all to hear.
	assert.deepEqual(await news(), [offlineOf('ann')[0]]);
	assert.deepEqual(await server.redis.smembers('online'), ['bob']);
});

test('any master goes on with a sweep, and a swept worker that lives is to say all again', async () => {
	const ids = Array.from({ length: 2500 }, (_, i) => `u${i}`);
	await come(W, ids);
	await fcall('worker_lease', 10000, W);
	await server.redis.zadd('workers', 1, W);
	assert.deepEqual(await fcall('worker_lease', 10000, 'other'), ['0', '1', 'other']);
	assert.deepEqual(await fcall('worker_lease', 10000, W), ['0', '0', W]);
	assert.deepEqual(await fcall('worker_lease', 10000, W), ['0', '0']);
	assert.deepEqual(await come(W, ids), ['2500']);
	assert.equal(await server.redis.exists('leaving'), 0);
	await server.redis.zadd('workers', 1, W);
	const calls = [];
	for (let more = '1'; more === '1'; calls.push(more))
		more = (await fcall('worker_lease', 10000, 'other'))[1];
	assert.deepEqual(calls, ['1', '1', '0']);
	assert.equal(await server.redis.zcard('leaving'), 2500);
});

test('what a worker says after it was swept does not stay for ever', async () => {
	await fcall('worker_lease', 10000, W, 'other');
	await fcall('worker_sweep', W);
	await come(W, ['u1']);
	const left = await server.redis.zscore('workers', W) - Date.now();
	assert.ok(left > 5000 && left <= 10000, `${left} ms`);
	await server.redis.zadd('workers', 1, W);
	assert.deepEqual(await fcall('worker_lease', 10000, 'other'), ['1', '0']);
	assert.deepEqual(await server.redis.zrange('leaving', 0, -1), ['u1']);
	assert.equal(await server.redis.exists('unleased'), 0);
	// One that lives, too, hears that its lease was over.
	await come(W, ['u2']);
	assert.deepEqual(await fcall('worker_lease', 10000, W), ['0', '0', W]);
	await come(W, ['u1']);
	assert.deepEqual(await fcall('worker_lease', 10000, W), ['0', '0']);
});

test('who left before the clock was put back is told to be offline in seconds, all the same', async () => {
	const ids = ['ann', 'bob', 'carl'];
	await users(...ids);
	await come(W, ids);
	await go(W, ids);
	await published();
	const { redis } = server, hour = 3600000;
	const [[, soon]] = [await redis.zrange('leaving', 0, 0, 'WITHSCORES')];
	for (const id of ids)
		await redis.zadd('leaving', Number(soon) + hour, id);
	await come(W, ['bob']);
	assert.deepEqual(await tell(100, 1), ['0', '0']);
	assert.deepEqual(await tell(100, 1), ['0', '0']);
	const scores = await redis.zrange('leaving', 0, -1, 'WITHSCORES');
	assert.deepEqual([scores[0], scores[2]].sort(), ['ann', 'carl']);
	for (const score of [scores[1], scores[3]])
		assert.ok(Math.abs(score - Date.now() - 5000) < 5000, 'they have their time');
	await published();
	await timePasses();
	assert.deepEqual(await tell(), ['2', '0']);
	assert.deepEqual((await news()).length, 4);
});

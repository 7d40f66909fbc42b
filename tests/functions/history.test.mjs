// What is kept of a room's history: less after a reload, in rooms in which nobody posts, too.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { postArguments, useRedis } from './harness.mjs';

const { server, fcall, fcallRo, published, user, group, channel, direct, post } = useRedis();

beforeEach(async () => {
	for (const id of ['ann', 'bob'])
		await user(id);
});

const hello = (keep) => fcall('worker_hello', 'run1', '', '', keep);
const kept = (room) => server.redis.zcard(`room:${room}:messages`);

async function posts(room, n, options = {}) {
	const all = server.redis.pipeline();
	for (let i = 0; i < n; i++)
		all.fcall('message_post', 0, ...postArguments('ann', room, String(i), options));
	for (const [error] of await all.exec())
		assert.ifError(error);
}

// Steps until there is no more to do; gives how many.
async function steps() {
	for (let n = 1; n < 1000; n++) {
		if ((await fcall('worker_lease', 10000, 'w'))[1] === '0')
			return n;
	}
	throw new Error('no end');
}

test('less is kept: idle rooms of all kinds are trimmed, step by step', async () => {
	const g = await group('ann', 'bob'), c = await channel('ann', 'c', 'bob'), d = await direct('ann', 'bob');
	await hello(0);
	for (const room of [g, c, d])
		await posts(room, 1200);
	assert.equal(await steps(), 1, 'all is kept');
	await fcall('message_react', 'ann', (await server.redis.zrange(`room:${g}:messages`, 0, 0))[0], g, '', '+');
	await hello(1000);
	const all = await server.redis.dbsize();
	await server.redis.config('RESETSTAT');
	assert.equal((await fcall('worker_lease', 10000, 'w'))[1], '1');
	assert.ok(all - await server.redis.dbsize() <= 501, 'a step is bounded');
	await steps();
	assert.deepEqual([await kept(g), await kept(c), await kept(d)], [1000, 1000, 1000]);
	assert.equal((await server.redis.keys('message:*')).length, 3000, 'reactions go, too');
	assert.equal(await server.redis.hget('counts', 'messages'), '3000');
	assert.equal((await fcallRo('direct_unread', 'bob', 'ann'))[0], '1000', 'what is gone is no news');
	assert.equal(await server.redis.exists('trimming'), 0);
	await published();
	await fcall('worker_lease', 10000, 'w');
	assert.deepEqual(await published(), []);
});

test('a room that is longer than a step, and rooms among many keys', async () => {
	await hello(0);
	const rooms = [];
	for (let i = 0; i < 20; i++)
		rooms.push(await group('ann'));
	await posts(rooms[3], 2600);
	await posts(rooms[17], 20);
	await hello(10);
	const n = await steps();
	assert.ok(n >= 6 && n < 20, `${n} steps`);
	assert.deepEqual([await kept(rooms[3]), await kept(rooms[17])], [10, 10]);
});

test('a step that is just full when it comes to the next room takes nothing of that one', async () => {
	await hello(0);
	const rooms = [];
	// Five of them, whichever come first among the keys, are a step of 500 messages.
	for (let i = 0; i < 8; i++) {
		rooms.push(await group('ann'));
		await posts(rooms[i], 110);
	}
	await hello(10);
	await steps();
	assert.deepEqual(await Promise.all(rooms.map(kept)), rooms.map(() => 10));
	assert.equal(await server.redis.hget('counts', 'messages'), '80');
});

test('only when less is kept than before', async () => {
	const g = await group('ann');
	await posts(g, 20);
	const searches = async (keep) => {
		await hello(keep);
		const begun = await server.redis.exists('trimming') === 1;
		await steps();
		return [begun, await kept(g)];
	};
	assert.deepEqual(await searches(15), [true, 15]);
	assert.deepEqual(await searches(15), [false, 15]);
	assert.deepEqual(await searches(0), [false, 15]);
	assert.deepEqual(await searches(30), [true, 15]);
	assert.deepEqual(await searches(40), [false, 15]);
	assert.deepEqual(await searches(''), [false, 15]);
	assert.deepEqual(await searches(1), [true, 1]);
});

test('nothing more is trimmed once all is kept again', async () => {
	const g = await group('ann');
	await posts(g, 1500);
	await hello(1);
	// The room need not be among the keys that are looked at first.
	while (await kept(g) === 1500)
		await fcall('worker_lease', 10000, 'w');
	assert.equal(await kept(g), 1000);
	await hello(0);
	await steps();
	assert.equal(await kept(g), 1000);
});

test('what a post costs does not depend on how much is kept', async () => {
	const calls = async (room, keep) => {
		await server.redis.config('RESETSTAT');
		await post('ann', room, 'x', { history: keep });
		const stats = await server.redis.info('commandstats');
		return [...stats.matchAll(/calls=(\d+)/g)].reduce((sum, [, n]) => sum + Number(n), 0);
	};
	const small = await group('ann'), large = await group('ann');
	await posts(small, 10);
	await posts(large, 3000);
	assert.equal(await calls(large, 3000), await calls(small, 10));
});

test('pages go on from where a message was that is gone', async () => {
	const g = await group('ann');
	const made = [];
	for (let i = 0; i < 10; i++)
		made.push(await post('ann', g, String(i), { reply: made.at(-1)?.id }));
	await hello(3);
	await steps();
	const page = async (before) => {
		const [next, ...list] = await fcall('room_posts', 'ann', g, before, 2);
		return [next, list.map((json) => JSON.parse(json).content)];
	};
	assert.deepEqual(await page(made[4].id), ['', []]);
	assert.deepEqual(await page(''), [made[8].id, ['9', '8']]);
	assert.deepEqual(await page(made[8].id), ['', ['7']]);
	const [total, oldest] = await fcallRo('message_page', 'ann', g, '', 2, 2);
	assert.equal(total, '3');
	assert.deepEqual([JSON.parse(oldest).replyToId, JSON.parse(oldest).replyTo], [made[6].id, undefined]);
	assert.deepEqual((await fcallRo('message_page', 'ann', g, '', 3, 2)), ['3']);
});

// Posts: a room's messages fetched to be read, which makes them no news.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { useRedis } from './harness.mjs';

const { server, fcall, fcallRo, refused, published, user, group, channel, direct, post } = useRedis();
const page = ([next, ...list]) => ({ next, contents: list.map((json) => JSON.parse(json).content) });

beforeEach(async () => {
	for (const id of ['ann', 'bob', 'eve'])
		await user(id);
});

async function unread(who, room) {
	const [, ...list] = await fcallRo('room_list', who, '', '', 10);
	return list.slice(1).map((json) => JSON.parse(json)).find(({ id }) => id === room).unread;
}

test('come newest first, page by page', async () => {
	const g = await group('ann', 'bob');
	for (const n of [1, 2, 3, 4, 5])
		await post('ann', g, `n ${n}`);
	const one = page(await fcall('room_posts', 'bob', g, '', 2));
	assert.deepEqual(one.contents, ['n 5', 'n 4']);
	const two = page(await fcall('room_posts', 'bob', g, one.next, 2));
	assert.deepEqual(two.contents, ['n 3', 'n 2']);
	assert.deepEqual(page(await fcall('room_posts', 'bob', g, two.next, 2)), { next: '', contents: ['n 1'] });
	assert.deepEqual(page(await fcall('room_posts', 'ann', await group('ann'), '', 2)), { next: '', contents: [] });
});

test('a page may begin at a message that is gone', async () => {
	const g = await group('ann', 'bob');
	const made = [];
	for (const n of [1, 2, 3, 4, 5])
		made.push(await post('ann', g, `n ${n}`));
	await server.redis.zrem(`room:${g}:messages`, made[3].id);
	assert.deepEqual(page(await fcall('room_posts', 'bob', g, made[3].id, 2)).contents, ['n 3', 'n 2']);
});

for (const [kind, make] of [
	['group', () => group('ann', 'bob', 'eve')],
	['channel', () => channel('ann', 'general', 'bob', 'eve')],
]) {
	test(`of a ${kind}: all are read by whoever fetched some, and nobody else`, async () => {
		const r = await make();
		const first = await post('ann', r, 'one');
		await post('bob', r, 'two');
		assert.deepEqual([await unread('ann', r), await unread('bob', r), await unread('eve', r)], [1, 1, 2]);
		await published();
		await fcall('room_posts', 'eve', r, first.id, 1);
		assert.deepEqual([await unread('ann', r), await unread('bob', r), await unread('eve', r)], [1, 1, 0]);
		assert.deepEqual(await published(), []);
		await post('ann', r, 'three');
		assert.deepEqual([await unread('ann', r), await unread('bob', r), await unread('eve', r)], [1, 2, 1]);
	});
}

test('of a direct room: chats are read one by one', async () => {
	const d = await direct('ann', 'bob');
	const one = await post('ann', d, 'one');
	await post('ann', d, 'two');
	assert.deepEqual(page(await fcall('room_posts', 'bob', d, '', 10)).contents, ['two', 'one']);
	assert.equal(await unread('bob', d), 2);
	await fcall('message_read', 'bob', one.id, '');
	assert.equal(await unread('bob', d), 1);
});

test('who may not', async () => {
	const g = await group('ann');
	await refused('NOROOM room', 'room_posts', 'ann', 'r1', '', 2);
	await refused('NOTMEMBER room', 'room_posts', 'eve', g, '', 2);
	await refused('INVALID before: is not a message', 'room_posts', 'ann', g, 'x', 2);
	assert.equal(await server.redis.hget(`room:${g}:read`, 'ann'), '0');
});

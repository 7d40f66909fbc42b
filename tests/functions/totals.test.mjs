// How much there is of all.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { useRedis } from './harness.mjs';

const { fcall, fcallRo, refused, user, group, channel, direct, post } = useRedis();

const totals = async () => (await fcallRo('totals', 'ann')).map(Number);

test('users, rooms and messages, as they come and go', async () => {
	assert.deepEqual(await totals(), [0, 0, 0]);
	for (const id of ['ann', 'bob', 'eve'])
		await user(id);
	await user('ann');
	assert.deepEqual(await totals(), [3, 0, 0]);
	const g = await group('ann', 'bob'), d = await direct('ann', 'eve');
	await channel('eve', 'general');
	await direct('eve', 'ann');
	assert.deepEqual(await totals(), [3, 3, 0]);
	const m = await post('ann', g, 'one');
	await post('ann', g, 'two', { cid: 'c' });
	await post('ann', g, 'two', { cid: 'c' });
	await fcall('message_forward', 'ann', m.id, g, '', d, '', '', 0, 0, 0, 0);
	assert.deepEqual(await totals(), [3, 3, 3]);
	// A deleted message stays in its place; what is beyond the limit goes.
	await fcall('message_delete', 'ann', m.id, g, '');
	assert.deepEqual(await totals(), [3, 3, 3]);
	await post('ann', g, 'three', { history: 2 });
	assert.deepEqual(await totals(), [3, 3, 3]);
	await fcall('user_delete', 'bob');
	await refused('USERDELETED user', 'totals', 'bob');
	assert.deepEqual(await totals(), [2, 3, 3]);
	await fcall('room_remove', 'ann', g, 'ann');
	assert.deepEqual(await totals(), [2, 2, 3]);
	await fcall('worker_lease', 1000);
	assert.deepEqual(await totals(), [2, 2, 1]);
});

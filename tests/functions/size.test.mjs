// What a function costs does not grow with what is there: commands, counted by Redis.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { useRedis } from './harness.mjs';

const { server, fcallRo, user, group, direct, post } = useRedis();
const ROOMS = [60, 600];

beforeEach(async () => {
	for (const id of ['ann', 'bob'])
		await user(id);
});

// The commands inside a function, and the longest reply of all that it reads.
async function commands(...call) {
	await server.redis.config('RESETSTAT');
	await fcallRo(...call);
	const stats = await server.redis.info('commandstats');
	return [...stats.matchAll(/^cmdstat_(\w+):calls=(\d+)/gm)]
		.filter(([, name]) => !/^(fcall|config|info)/.test(name)).reduce((sum, [, , n]) => sum + Number(n), 0);
}

async function groups(n) {
	const make = server.redis.pipeline();
	for (let i = 0; i < n; i++)
		make.fcall('room_create', 0, 'ann', 'group', `g${i}`, 'PRIVATE', '', 'bob');
	return (await make.exec()).map(([error, reply]) => {
		assert.ifError(error);
		return JSON.parse(reply[0]).id;
	});
}

test('a history of the rooms that were active last looks at all of them at once', async () => {
	const counts = [];
	for (const n of ROOMS) {
		await groups(n - (await server.redis.zcard('user:ann:rooms')));
		counts.push(await commands('gateway_history', 'ann', 10, 100000));
	}
	assert.equal(counts[1], counts[0]);
});

test('the logs of feeds in which nothing happened are not read', async () => {
	const rooms = await groups(ROOMS[1]);
	for (const room of rooms)
		await post('ann', room, 'x');
	const now = `1-${await server.redis.get('clock')}`;
	const news = await direct('ann', 'bob');
	await post('ann', news, 'y');
	const since = (n) => [...rooms.slice(0, n - 1).flatMap((room) => [`room:${room}`, now]), `room:${news}`, now];
	const counts = [];
	for (const n of ROOMS)
		counts.push(await commands('feeds_since', 0, 100, ...since(n)));
	assert.equal(counts[1], counts[0]);
	const reply = await fcallRo('feeds_since', 0, 100, ...since(ROOMS[1]));
	assert.deepEqual([reply[1], reply.length], ['0', 2 + 4]);
});

test('nothing of a feed is lost that has only now its first entry', async () => {
	const g = await group('ann', 'bob');
	const before = await fcallRo('feeds_since', 0, 100, `room:${g}`, '0-0');
	assert.equal(before.length, 2);
	await post('ann', g, 'x');
	assert.equal((await fcallRo('feeds_since', 0, 100, `room:${g}`, before[0])).length, 2 + 4);
});

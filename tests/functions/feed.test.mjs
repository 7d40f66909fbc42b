// Feeds: their logs, and reading them again.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { useRedis } from './harness.mjs';

const { server, fcall, fcallRo, refused, published, user, group, post } = useRedis();

beforeEach(async () => {
	for (const id of ['ann', 'bob'])
		await user(id);
});

const entries = (reply) => {
	const list = [];
	for (let i = 2; i < reply.length; i += 4)
		list.push({ feed: reply[i], id: reply[i + 1], prev: reply[i + 2], event: JSON.parse(reply[i + 3]) });
	return list;
};

// As a worker would: until there is no more. `sizes`: of the answers.
async function refill(limit, since, sizes = []) {
	const all = [];
	let upto = '0', more = '1', calls = 0;
	while (more === '1') {
		const reply = await fcallRo('feeds_since', upto, limit, ...Object.entries(since).flat());
		[upto, more] = reply;
		sizes.push(reply.join('').length);
		const got = entries(reply);
		assert.ok(got.length <= limit);
		assert.ok(++calls < 1000);
		for (const entry of got)
			since[entry.feed] = entry.id;
		all.push(...got);
	}
	return all;
}

test('every entry names the one before it', async () => {
	const one = await group('ann', 'bob'), two = await group('bob', 'ann');
	for (let i = 0; i < 10; i++) {
		const m = await post('ann', i % 3 ? one : two, String(i));
		await fcall('message_edit', 'ann', m.id, m.room, '', 'x');
	}
	const last = {};
	let clock = 0;
	for (const { feed, prev, id, event } of await published()) {
		assert.equal(prev, last[feed] ?? '0-0');
		last[feed] = id;
		const at = Number(id.split('-')[1]);
		assert.ok(at > clock);
		clock = at;
		const [[, fields]] = await server.redis.xrange(`${feed}:log`, id, id);
		assert.deepEqual([fields[0], fields[1], fields[2], JSON.parse(fields[3])], ['p', prev, 'e', event]);
	}
	assert.equal(Object.keys(last).length, 2);
});

test('what was missed is told in the order of the clock, in parts of any size', async () => {
	const rooms = [];
	for (let i = 0; i < 4; i++)
		rooms.push(await group('ann', 'bob'));
	for (let i = 0; i < 120; i++)
		await post('ann', i % 2 ? rooms[0] : rooms[i % 4], String(i));
	const heard = (await published()).map(({ feed, id, prev, event }) => ({ feed, id, prev, event }));
	for (const limit of [1, 7, 16, 50, 1000]) {
		const since = Object.fromEntries(rooms.map((room) => [`room:${room}`, '0-0']));
		assert.deepEqual(await refill(limit, since), heard);
	}
	const from = heard[50].id;
	const since = Object.fromEntries(rooms.map((room) => [`room:${room}`, from]));
	assert.deepEqual(await refill(10, since), heard.slice(51));
	const part = await fcallRo('feeds_since', heard[20].id, 100, `room:${rooms[0]}`, '0-0', `room:${rooms[2]}`, '0-0');
	assert.deepEqual(part.slice(0, 2), [heard[20].id, '0']);
	assert.deepEqual(entries(part), heard.slice(0, 21).filter((h) => [`room:${rooms[0]}`, `room:${rooms[2]}`].includes(h.feed)));
});

test('answers are bounded, however large the events are, and nothing is missing', async () => {
	const rooms = [];
	for (let i = 0; i < 3; i++)
		rooms.push(await group('ann', 'bob'));
	for (let i = 0; i < 90; i++)
		await post('ann', rooms[i % 7 % 3], 'x'.repeat(i % 3 ? 100_000 : 10));
	const heard = (await published()).map(({ feed, id, prev, event }) => ({ feed, id, prev, event }));
	const since = Object.fromEntries(rooms.map((room) => [`room:${room}`, '0-0']));
	const sizes = [];
	assert.deepEqual(await refill(500, since, sizes), heard);
	assert.ok(Math.max(...sizes) < 1_200_000, `${sizes}`);
	assert.ok(sizes.length < 10, `${sizes}`);
});

test('a log that does not reach back shows', async () => {
	const g = await group('ann');
	const heard = [];
	for (let i = 0; i < 300; i++)
		await post('ann', g, String(i), { log: 100 });
	heard.push(...await published());
	const got = entries(await fcallRo('feeds_since', '0', 1000, `room:${g}`, heard[0].id));
	assert.ok(got.length < 250 && got.length >= 100);
	assert.notEqual(got[0].prev, heard[0].id);
	assert.equal(got[0].prev, heard[300 - got.length - 1].id);
});

test('logs are trimmed as worker_hello said, unless a post says otherwise', async () => {
	const g = await group('ann');
	await fcall('worker_hello', 'run1', 100, 200);
	assert.deepEqual(await server.redis.mget('log-max:room', 'log-max:user'), ['100', '200']);
	const [id] = [(await post('ann', g, 'x')).id];
	for (let i = 0; i < 350; i++)
		await fcall('message_edit', 'ann', id, g, '', 'x');
	assert.ok(await server.redis.xlen(`room:${g}:log`) <= 200);
	await fcall('worker_hello', 'run1', '', 0);
	assert.deepEqual(await server.redis.mget('log-max:room', 'log-max:user'), ['100', '200']);
});

test('nothing missed, and what is refused', async () => {
	const g = await group('ann');
	const clock = await server.redis.get('clock');
	assert.deepEqual(await fcallRo('feeds_since', '0', 10), [`1-${clock}`, '0']);
	assert.deepEqual(await fcallRo('feeds_since', '0', 10, `room:${g}`, `1-${clock}`), [`1-${clock}`, '0']);
	await refused('INVALID upto: is not <epoch>-<clock>', 'feeds_since', 'x', 10);
	await refused('INVALID since: is not <epoch>-<clock>', 'feeds_since', '0', 10, 'room:x', '5');
	await refused('INVALID since: is not <epoch>-<clock>', 'feeds_since', '0', 10, 'room:x');
	await refused('INVALID limit: is not positive', 'feeds_since', '0', 0);
});

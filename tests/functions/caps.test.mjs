// What nothing else would bound: one more than the most is refused, and what is there already is no news.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { useRedis } from './harness.mjs';

const { server, fcall, fcallRo, first, refused, user, group, channel, direct, post } = useRedis();

// Makes a zset or hash as large as that, of entries that mean nothing.
async function fill(key, n) {
	for (let from = 0; from < n; from += 10_000) {
		const pairs = Array.from({ length: Math.min(10_000, n - from) }, (_, i) => [from + i, `x${from + i}`]);
		await server.redis.zadd(key, ...pairs.flat());
	}
}

test('rooms that a user is in', async () => {
	for (const id of ['ann', 'bob'])
		await user(id);
	const open = await channel('bob', 'open');
	const secret = (await first('room_create', 'bob', 'channel', 'secret', 'PRIVATE', 'h')).id;
	const own = await group('bob');
	await fill('user:ann:rooms', 9999);
	await fcall('room_add', 'ann', open, 'ann');
	const most = '10000 rooms, which is the most';
	await refused(`FULL You are in ${most}`, 'room_create', 'ann', 'group', '', 'PRIVATE', '');
	await refused(`FULL You are in ${most}`, 'room_create', 'ann', 'channel', 'c', 'PUBLIC', '');
	await refused(`FULL The user ann is in ${most}`, 'room_create', 'bob', 'group', '', 'PRIVATE', '', 'ann');
	await refused(`FULL The user ann is in ${most}`, 'room_add', 'bob', own, 'ann');
	await refused(`FULL The user ann is in ${most}`, 'room_invite', 'bob', own, 'ann');
	await refused(`FULL You are in ${most}`, 'room_join', 'ann', secret, 'h');
	assert.deepEqual(await fcall('room_add', 'bob', open, 'ann'), ['0'], 'is there already');
	// Conversations are counted for themselves.
	await direct('ann', 'bob');
	await fcall('room_remove', 'ann', open, 'ann');
	await fcall('room_add', 'bob', own, 'ann');
});

test('conversations of a user, on either side', async () => {
	for (const id of ['ann', 'bob', 'eve'])
		await user(id);
	const id = await direct('ann', 'bob');
	await fill('user:ann:directs', 50_000);
	await refused('FULL You have 20000 conversations, which is the most', 'room_direct', 'ann', 'eve');
	await refused('FULL The other user has 20000 conversations, which is the most', 'room_direct', 'eve', 'ann');
	await refused('FULL The other user has 20000 conversations, which is the most', 'direct_post', 'eve', 'ANN', 'hi', '',
		'', 1, 1, 0, 0);
	await refused('FULL You have 20000 conversations, which is the most', 'gateway_direct', 'ann', 'EVE');
	assert.equal((await first('room_direct', 'bob', 'ann')).id, id, 'is there already');
	await fcall('direct_post', 'bob', 'ANN', 'hi', '', '', 1, 1, 0, 0);
});

test('channels that a user has made, which stay when all have left', async () => {
	await user('ann');
	await server.redis.hset('user:ann', 'made', 9999);
	const id = await channel('ann', 'last');
	await fcall('room_remove', 'ann', id, 'ann');
	await refused('FULL You have made 10000 channels, which is the most', 'room_create', 'ann', 'channel', 'c', 'PUBLIC', '');
	await group('ann');
});

test('members of a room', async () => {
	for (const id of ['ann', 'bob', 'eve'])
		await user(id);
	const id = await channel('ann', 'crowd');
	await fill(`room:${id}:members`, 99_998);
	await refused('FULL The room has 100000 members, which is the most', 'room_add', 'ann', id, 'bob', 'eve');
	assert.deepEqual(await fcall('room_add', 'ann', id, 'bob'), ['1', 'bob']);
	await refused('FULL The room has 100000 members, which is the most', 'room_join', 'eve', id, '');
	assert.deepEqual(await fcall('room_add', 'ann', id, 'bob'), ['0'], 'is there already');
});

test('reactions to a message, and those of one user', async () => {
	for (const id of ['ann', 'bob'])
		await user(id);
	const id = await group('ann', 'bob');
	const message = (await post('ann', id, 'hi')).id;
	const react = ['message_react', 'ann', message, id, ''];
	for (let i = 0; i < 20; i++)
		await fcall(...react, `e${i}`);
	await refused('FULL The message has your 20 reactions, which is the most', ...react, 'one more');
	assert.equal((await fcall(...react, 'e7'))[1], '0', 'is there already');
	await fcall('message_unreact', 'ann', message, id, '', 'e7');
	await fcall(...react, 'another');
	await server.redis.hset(`message:${message}:reactions`,
		...Array.from({ length: 179 }, (_, i) => [`u${i}\tx`, `x00000000000000000000000${i % 10} 1`]).flat());
	await fcall('message_react', 'bob', message, id, '', 'a');
	await refused('FULL The message has 200 reactions, which is the most', 'message_react', 'bob', message, id, '', 'b');
});

test('a page is smaller than what a worker takes for an answer, whatever is in its messages', async () => {
	const worst = '\u0001'.repeat(64);
	for (let i = 0; i < 10; i++)
		await fcall('user_enter', `u${i}`, worst, `u${i}`, '', '', 1, `u${i}`);
	const room = await direct('u0', 'u1');
	const url = `https://${'/'.repeat(2040)}`;
	const link = JSON.stringify({ id: url, filename: url, originalName: url, url, size: 0 });
	const content = '\u0001'.repeat(2000), attachments = `${link}\n`.repeat(10);
	let reply = '';
	for (let i = 0; i < 2; i++) {
		reply = (await post('u0', room, content, { reply, attachments })).id;
		const reactions = Array.from({ length: 200 }, (_, n) =>
			[`u${n % 10}\t${worst.slice(0, 8)}${n}`, `x1a1ff3e82a00${n + 1e10} 1792000000000`]);
		await server.redis.hset(`message:${reply}:reactions`, ...reactions.flat());
	}
	const [, message] = await fcallRo('message_page', 'u0', room, '', 1, 1);
	assert.equal(JSON.parse(message).replyTo.reactions.length, 200);
	assert.ok(message.length > 300_000 && 100 * message.length < 64 * 1024 * 1024, `${message.length}`);
	const [, brief] = await fcallRo('direct_page', 'u0', 'u1', '', 1);
	assert.ok(brief.length < 130_000, `${brief.length}`);
});

test('users of a lobby’s room', async () => {
	const users = Array.from({ length: 999 }, (_, i) => [`n${i}`, `${i} s${i} w`]).flat();
	await server.redis.hset('lobby:full', ...users);
	await fcall('lobby_login', 'w', 'sid', 'ann', 'full');
	await refused('FULL This room has 1000 users, which is the most', 'lobby_login', 'w', 'other', 'bob', 'full');
	// Said again by the same socket it is no news.
	await fcall('lobby_login', 'w', 'sid', 'ann', 'full');
	await fcall('lobby_login', 'w', 'other', 'bob', 'another');
});

test('files of a user', async () => {
	await user('ann');
	const store = (...ids) => ['upload_store', 'ann', 0, 0, ...ids.flatMap((id) => [id.padEnd(32, '0'), 1, '{}'])];
	await fcall(...store('a'));
	await server.redis.hset('user:ann', 'files', 9998);
	const most = 'NOSPACE You have 10000 files, which is the most; old ones go when no message has them';
	await refused(most, ...store('b', 'c', 'd'));
	await fcall(...store('b', 'c'));
	await refused(most, 'upload_allow', 'ann', 0, 0, 1);
	await server.redis.zadd('uploads:idle', 1, 'a'.padEnd(32, '0'));
	await fcall('uploads_due', 10);
	await fcall(...store('e'));
});

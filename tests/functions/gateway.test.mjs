// Rooms by the names that the gateway API gives them.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { useRedis } from './harness.mjs';

const { server, fcall, fcallRo, first, refused, refusedEmpty, published, user, group, channel, direct, post } = useRedis();
const MIB = 1 << 20;

beforeEach(async () => {
	for (const id of ['ann', 'bob', 'eve'])
		await user(id);
});

const named = async (creator, name, ...others) =>
	(await first('room_create', creator, 'group', name, 'PRIVATE', '', ...others)).id;

async function say(who, room, content, { cid = '', rate = 0, burst = 0, history = 0 } = {}) {
	const [name, json] = await fcall('gateway_post', who, room, content, cid, rate, burst, history, 0);
	return { name, ...JSON.parse(json) };
}

// { clock, rooms: [{ name, id, messages: [{ id, sender, createdAt, text }] }] }
async function past(who, each = 100, bytes = MIB) {
	const [clock, ...rest] = await fcallRo('gateway_history', who, each, bytes);
	const rooms = [];
	while (rest.length > 0) {
		const [name, id, n] = rest.splice(0, 3);
		const messages = Array.from({ length: Number(n) }, () => {
			const [message, sender, createdAt, text] = rest.splice(0, 4);
			return { id: message, sender, createdAt: Number(createdAt), text: JSON.parse(text) };
		});
		rooms.push({ name, id, messages });
	}
	return { clock, rooms };
}

const texts = (messages) => messages.map(({ text }) => text);

test('a message goes to a channel, a group and a direct room by name', async () => {
	const c = await channel('ann', 'general'), g = await named('ann', 'a/b #c', 'bob'), d = await direct('ann', 'bob');
	await user('Zed', 'Zed');
	const z = await direct('Zed', 'bob');
	await published();
	for (const [who, name, id, called] of [
		['ann', 'general', c, 'general'],
		['bob', `a/b #c#${g}`, g, `a/b #c#${g}`],
		['bob', 'ANN/BOB', d, 'ann/bob'],
		['ann', 'bob/Ann', d, 'ann/bob'],
		['Zed', 'zed/bob', z, 'bob/Zed'],
	]) {
		const { name: is, ...message } = await say(who, name, 'hi');
		assert.deepEqual([is, message.room, message.author.id, message.content], [called, id, who, 'hi']);
		const [event] = await published();
		assert.deepEqual([event.feed, event.event.type, event.event.message], [`room:${id}`, 'message', message]);
	}
});

test('the names of a direct room are in the order of their lower-case bytes', async () => {
	// By bytes alone B comes before a, and _ before a but behind B.
	for (const [id, username] of [['1', 'a'], ['2', 'B'], ['3', '_c']])
		await fcall('user_enter', id, username, username, '', '', 1, `user-${id}`);
	const opened = async (one, other) => (await fcall('gateway_direct', one, other))[0];
	assert.equal(await opened('1', 'b'), 'a/B');
	assert.equal(await opened('2', 'A'), 'a/B');
	assert.equal(await opened('1', '_C'), '_c/a');
	assert.equal(await opened('2', '_c'), '_c/B');
});

test('where one cannot post', async () => {
	await channel('ann', 'general');
	const g = await named('ann', 'Pals'), nameless = await group('ann');
	await direct('ann', 'bob');
	const at = (who, name) => ['gateway_post', who, name, 'x', '', 0, 0, 0, 0];
	await refused('NOTMEMBER room', ...at('eve', 'general'));
	for (const [who, name] of [
		['ann', 'General'], ['ann', 'nowhere'], ['ann', ''], ['ann', '/'], ['ann', 'ann/eve'], ['ann', 'ann/nobody'],
		['ann', 'ann/ann'], ['eve', 'ann/bob'], ['eve', `Pals#${g}`], ['ann', `pals#${g}`], ['ann', `#${nameless}`],
		['ann', g], ['ann', 'Pals'], ['ann', 'ann/bob/'],
	])
		await refused('NOROOM room', ...at(who, name));
	await refused('NOUSER user', ...at('nobody', 'general'));
	await fcall('user_delete', 'bob');
	await refused('FORBIDDEN room', ...at('ann', 'ann/bob'));
	await refused('USERDELETED user', ...at('bob', 'ann/bob'));
	await refusedEmpty('ann', 'RATE 1', 'gateway_post', 'ann', 'general', 'x', '', 1, 1, 0, 0);
});

test('a channel that is called like a group is no trap for its members', async () => {
	const g = await named('ann', 'Pals', 'bob');
	const c = await channel('eve', `Pals#${g}`, 'ann');
	assert.equal((await say('ann', `Pals#${g}`, 'to the group')).room, g);
	assert.equal((await say('eve', `Pals#${g}`, 'to the channel')).room, c);
});

test('a clientMessageId answers the first message again, whatever the room', async () => {
	await channel('ann', 'general');
	const nameless = await group('ann');
	const sent = await say('ann', 'general', 'once', { cid: 'c1' });
	await published();
	for (const [room, options] of [['general', {}], ['nowhere', {}], ['general', { rate: 1, burst: 0 }]])
		assert.deepEqual(await say('ann', room, 'again', { cid: 'c1', ...options }), sent);
	assert.deepEqual(await published(), []);
	await post('ann', nameless, 'hidden', { cid: 'c2' });
	await refused('INVALID clientMessageId: was used in a room without a name',
		'gateway_post', 'ann', 'general', 'x', 'c2', 0, 0, 0, 0);
	await direct('ann', 'bob');
	const chat = await say('ann', 'ann/bob', 'chat', { cid: 'c3' });
	assert.equal((await say('ann', 'general', 'x', { cid: 'c3' })).id, chat.id);
});

test('a direct room is opened by username, once', async () => {
	assert.deepEqual(await fcall('gateway_direct', 'bob', 'ann'), ['ann/bob', '1']);
	assert.deepEqual((await published()).map(({ feed, event }) => [feed, event.type, event.kind, event.actor]),
		[['user:bob', 'room-created', 'direct', 'bob'], ['user:ann', 'room-created', 'direct', 'bob']]);
	assert.deepEqual(await fcall('gateway_direct', 'ann', 'Bob'), ['ann/bob', '0']);
	assert.deepEqual(await published(), []);
	await refused('NOUSER users', 'gateway_direct', 'ann', 'nobody');
	await refused('INVALID users: is oneself', 'gateway_direct', 'ann', 'ANN');
	await refused('NOUSER user', 'gateway_direct', 'nobody', 'ann');
	await fcall('user_delete', 'bob');
	assert.deepEqual(await fcall('gateway_direct', 'ann', 'bob'), ['ann/bob', '0']);
	await refused('NOUSER users', 'gateway_direct', 'eve', 'bob');
});

test('channels and groups are left, direct rooms are not', async () => {
	const c = await channel('ann', 'general', 'bob'), g = await named('ann', 'Pals', 'bob');
	await direct('ann', 'bob');
	await published();
	assert.deepEqual(await fcall('gateway_leave', 'bob', 'general'), ['0']);
	assert.deepEqual((await published()).map(({ feed, event }) => [feed, event.type]),
		[[`room:${c}`, 'left'], ['user:bob', 'removed']]);
	assert.deepEqual(await fcall('gateway_leave', 'bob', `Pals#${g}`), ['0']);
	assert.deepEqual(await fcall('gateway_leave', 'ann', `Pals#${g}`), ['1']);
	await refused('NOTMEMBER room', 'gateway_leave', 'bob', 'general');
	await refused('NOROOM room', 'gateway_leave', 'bob', 'nowhere');
	await refused('INVALID room: is direct', 'gateway_leave', 'bob', 'ann/bob');
});

test('rooms with a name are listed in pages', async () => {
	await channel('ann', 'general');
	await group('ann');
	const g = await named('bob', 'Pals', 'ann');
	await fcall('room_create', 'ann', 'channel', 'secret', 'PRIVATE', 'h');
	await direct('eve', 'ann');
	const all = ['general', 'PUBLIC', 'owner', `Pals#${g}`, 'PRIVATE', 'member', 'secret', 'PRIVATE', 'owner',
		'ann/eve', 'DIRECT', 'member'];
	assert.deepEqual(await fcallRo('gateway_rooms', 'ann', '', 100), ['', ...all]);
	for (const limit of [1, 2, 3]) {
		const seen = [];
		let next = '';
		do {
			const page = await fcallRo('gateway_rooms', 'ann', next, limit);
			assert.ok(page.length <= 1 + 3 * limit);
			next = page.shift();
			seen.push(...page);
		} while (next !== '');
		assert.deepEqual(seen, all);
	}
	assert.deepEqual(await fcallRo('gateway_rooms', 'nobody', '', 10), ['']);
	await refused('INVALID after: is not a value of next', 'gateway_rooms', 'ann', 'x', 10);
});

test('members are listed with who is online', async () => {
	await channel('ann', 'general', 'bob', 'eve');
	await server.redis.sadd('online', 'bob', 'somebody');
	const list = ([next, ...rest]) => ({ next, members: rest.flatMap((json, i) =>
		i % 2 ? [[rest[i - 1], JSON.parse(json).id, JSON.parse(json).online]] : []) });
	const one = list(await fcallRo('gateway_members', 'eve', 'general', '', 2));
	assert.deepEqual(one.members, [['owner', 'ann', false], ['member', 'bob', true]]);
	assert.deepEqual(list(await fcallRo('gateway_members', 'eve', 'general', one.next, 2)),
		{ next: '', members: [['member', 'eve', false]] });
	assert.deepEqual(await fcallRo('gateway_members', 'eve', 'general', '999999', 2), ['']);
	await user('zoe');
	await refused('NOTMEMBER room', 'gateway_members', 'zoe', 'general', '', 2);
	await refused('NOROOM room', 'gateway_members', 'zoe', 'nowhere', '', 2);
	await refused('INVALID after: is not a value of next', 'gateway_members', 'ann', 'general', 'x', 2);
});

test('messages are read backwards', async () => {
	await channel('ann', 'general');
	for (const content of ['1', '2', '3'])
		await say('ann', 'general', content);
	const page = ([name, next, ...list]) => [name, list.map((json) => JSON.parse(json).content), next];
	const [name, said, next] = page(await fcallRo('gateway_messages', 'ann', 'general', '', 2));
	assert.deepEqual([name, said], ['general', ['3', '2']]);
	assert.deepEqual(page(await fcallRo('gateway_messages', 'ann', 'general', next, 2)), ['general', ['1'], '']);
	await refused('NOTMEMBER room', 'gateway_messages', 'bob', 'general', '', 2);
	await refused('NOROOM room', 'gateway_messages', 'bob', 'nowhere', '', 2);
	await refused('INVALID before: is not a message', 'gateway_messages', 'ann', 'general', 'x', 2);
});

test('history has the last messages of each room, those active last first', async () => {
	assert.deepEqual(await past('ann'), { clock: '1-0', rooms: [] });
	const c = await channel('ann', 'general'), d = await direct('ann', 'bob'), g = await named('bob', 'Pals', 'ann');
	await group('ann');
	await post('ann', c, '"ä"');
	await fcall('message_delete', 'ann', (await post('ann', c, 'oops')).id, c, '');
	const last = await post('bob', d, 'chat');
	const { clock, rooms } = await past('ann');
	assert.equal(clock, `1-${await server.redis.get('clock')}`);
	assert.deepEqual(rooms.map(({ name, id, messages }) => [name, id, texts(messages)]), [
		['ann/bob', d, ['chat']], ['general', c, ['"ä"', '[This message was deleted]']], [`Pals#${g}`, g, []],
	]);
	assert.deepEqual(rooms[0].messages, [{ id: last.id, sender: 'bob', createdAt: last.createdAt, text: 'chat' }]);
});

test('history is bounded by messages, rooms and bytes', async () => {
	const c = await channel('ann', 'general'), d = await channel('ann', 'other');
	for (let i = 0; i < 5; i++) {
		await post('ann', c, String(i));
		await post('ann', d, 'x'.repeat(200));
	}
	const counts = async (...args) => (await past('ann', ...args)).rooms.map(({ messages }) => messages.length);
	assert.deepEqual(texts((await past('ann', 3)).rooms[1].messages), ['2', '3', '4']);
	assert.deepEqual(await counts(0), [0, 0]);
	// A share of 600 bytes takes one of 350; what is left goes to the next room: five of 153.
	assert.deepEqual(await counts(100, 1200), [1, 5]);
	assert.deepEqual(await counts(100, 0), [0, 0]);
	for (let i = 0; i < 60; i++)
		await channel('ann', `c${i}`);
	const { rooms } = await past('ann');
	assert.deepEqual(rooms.map(({ name }) => name), Array.from({ length: 50 }, (_, i) => `c${59 - i}`));
	await post('ann', c, 'once more');
	assert.equal((await past('ann')).rooms[0].name, 'general');
});

test('of many rooms those joined last are looked at', async () => {
	const old = await channel('ann', 'old');
	const add = server.redis.pipeline();
	for (let i = 0; i < 1000; i++)
		add.fcall('room_create', 0, 'ann', 'group', '', 'PRIVATE', '');
	await add.exec();
	await post('ann', old, 'news');
	assert.deepEqual((await past('ann')).rooms, []);
	await fcall('gateway_leave', 'ann', 'old');
	await fcall('room_add', 'ann', old, 'ann');
	assert.deepEqual((await past('ann')).rooms.map(({ name }) => name), ['old']);
});

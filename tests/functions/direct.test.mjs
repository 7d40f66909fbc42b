// Direct conversations: posting by username, what is unread, reading one message at a time.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { postArguments, useRedis } from './harness.mjs';

const { server, fcall, fcallRo, first, refused, refusedEmpty, published, user, group, direct, post } = useRedis();

beforeEach(async () => {
	for (const [id, username] of [['a', 'Ann'], ['b', 'Bob'], ['e', 'Eve']])
		await user(id, username);
	await published();
});

function directArguments(by, username, content, options = {}) {
	const { attachments = '', cid = '', rate = 0, burst = 0, history = 0, log = 0 } = options;
	return ['direct_post', by, username, content, attachments, cid, rate, burst, history, log];
}

const say = (...args) => first(...directArguments(...args));
const read = async (by, message, origin = '') => (await fcall('message_read', by, message.id, origin))[0];
const unread = async (by, username) => (await fcallRo('direct_unread', by, username))[0];
const page = async (by, username, before, limit) => {
	const [next, ...list] = await fcallRo('direct_page', by, username, before, limit);
	return { next, list: list.map((json) => JSON.parse(json)) };
};
const contents = ({ list }) => list.map((m) => m.content);
const rooms = async () => (await server.redis.keys('room:*')).length;

test('the first post makes the room, and both hear of that before', async () => {
	const m = await say('a', 'bOB', 'hi', { attachments: '{"id":"https://x/1"}' });
	assert.deepEqual(m, { id: m.id, room: m.room, kind: 'direct',
		author: { id: 'a', username: 'Ann', name: 'ANN' }, recipient: 'Bob', content: 'hi',
		createdAt: m.createdAt, updatedAt: m.createdAt, attachments: [{ id: 'https://x/1' }] });
	assert.equal(await server.redis.get('room:direct:a:b'), m.room);
	const made = { type: 'room-created', room: m.room, kind: 'direct', actor: 'a', name: null };
	assert.deepEqual((await published()).map((h) => [h.feed, h.event]), [['user:a', made], ['user:b', made],
		[`room:${m.room}`, { type: 'message', room: m.room, kind: 'direct', actor: 'a', message: m, unread: 1 }]]);
	const back = await say('b', 'ann', 'ho');
	assert.deepEqual([back.room, back.recipient], [m.room, 'Ann']);
	assert.deepEqual((await published()).map((h) => [h.feed, h.event.unread]), [[`room:${m.room}`, 1]]);
	assert.equal((await first('room_direct', 'a', 'b')).id, m.room);
});

test('a room that another API made is the same', async () => {
	const d = await direct('b', 'a');
	assert.equal((await say('a', 'bob', 'x')).room, d);
	assert.deepEqual((await published()).map((h) => h.event.type), ['message']);
});

test('who may not post, and to whom', async () => {
	await user('gone');
	await fcall('user_delete', 'gone');
	const refuse = (refusal, ...args) => refused(refusal, ...directArguments(...args));
	await refuse('NOUSER user', 'nobody', 'bob', 'x');
	await refuse('USERDELETED user', 'gone', 'bob', 'x');
	await refuse('NOUSER other', 'a', 'nobody', 'x');
	await refuse('NOUSER other', 'a', '', 'x');
	await refuse('NOUSER other', 'a', 'gone', 'x');
	await refuse('INVALID user: is oneself', 'a', 'ANN', 'x');
	assert.equal(await rooms(), 0);
});

test('a post that is too fast makes no room', async () => {
	const limit = { rate: 1, burst: 1 };
	await published();
	await refusedEmpty('a', 'RATE 1', ...directArguments('a', 'bob', 'x', limit));
	assert.equal(await rooms(), 0);
	assert.deepEqual(await published(), []);
	await refused('NOUSER other', ...directArguments('a', 'nobody', 'x', limit));
	await server.redis.hset('user:a', 'tokens', '1');
	await say('a', 'bob', 'x', limit);
	await refused('RATE 1', ...directArguments('a', 'bob', 'y', limit));
});

test('a repeated clientMessageId answers the first message', async () => {
	const m = await say('a', 'bob', 'once', { cid: 'c' });
	await published();
	assert.deepEqual(await say('a', 'bob', 'twice', { cid: 'c' }), m);
	assert.deepEqual(await say('a', 'nobody', 'x', { cid: 'c', rate: 1, burst: 0 }), m, 'before rights and rates');
	assert.deepEqual(await post('a', m.room, 'x', { cid: 'c' }), m, 'in any API');
	assert.deepEqual(await published(), []);
	assert.equal(await unread('b', 'ann'), '1');
	const g = await group('a', 'b');
	await post('a', g, 'x', { cid: 'g' });
	await refused('INVALID clientMessageId: was used in a room of another kind',
		...directArguments('a', 'eve', 'x', { cid: 'g' }));
	await server.redis.del(`message:${m.id}`);
	await refused('NOMESSAGE message', ...directArguments('a', 'bob', 'x', { cid: 'c' }));
});

test('unread grows for the recipient, however it was posted', async () => {
	const d = await direct('a', 'b'), g = await group('a', 'b');
	const news = await post('a', g, 'news');
	await published();
	await say('a', 'bob', '1');
	await post('a', d, '2');
	await fcall('message_forward', 'a', news.id, g, '', d, '', '', 0, 0, 0, 0);
	await say('b', 'ann', 'answer');
	assert.deepEqual((await published()).map((h) => [h.event.type, h.event.unread]),
		[['message', 1], ['message', 2], ['forwarded', 3], ['message', 1]]);
	assert.deepEqual([await unread('b', 'ANN'), await unread('a', 'bob')], ['3', '1']);
	await post('a', g, 'x');
	assert.ok(!('unread' in (await published())[0].event), 'groups have none');
});

test('reading is by message, in any order, and told once', async () => {
	const sent = [];
	for (let i = 0; i < 3; i++)
		sent.push(await say('a', 'bob', String(i)));
	await say('b', 'ann', 'mine');
	await published();
	assert.equal(await read('b', sent[2], 'S1'), '1');
	const [heard, ...none] = await published();
	assert.deepEqual(none, []);
	assert.deepEqual([heard.feed, heard.event], [`room:${sent[2].room}`, { type: 'read', room: sent[2].room,
		kind: 'direct', actor: 'b', username: 'Bob', messageId: sent[2].id, peer: 'Ann', unread: 2, origin: 'S1' }]);
	assert.equal(await read('b', sent[2], 'S2'), '0');
	assert.deepEqual(await published(), []);
	assert.equal(await unread('b', 'ann'), '2');
	assert.equal(await read('b', sent[0]), '1');
	assert.deepEqual((await page('b', 'ann', '', 10)).list.map((m) => [m.content, m.read ?? false]),
		[['mine', false], ['2', true], ['1', false], ['0', true]]);
	await say('a', 'bob', 'more');
	assert.deepEqual((await published()).map((h) => [h.event.type, h.event.unread, h.event.origin]),
		[['read', 1, ''], ['message', 2, undefined]]);
	assert.equal(await read('b', sent[1]), '1');
	assert.deepEqual([await unread('b', 'ann'), await unread('a', 'bob')], ['1', '1']);
});

test('who may not read a message', async () => {
	const m = await say('a', 'bob', 'x'), g = await group('a', 'b'), shared = await post('a', g, 'x');
	await refused('FORBIDDEN message', 'message_read', 'a', m.id, '');
	await refused('NOMESSAGE message', 'message_read', 'e', m.id, '');
	await refused('NOMESSAGE message', 'message_read', 'b', shared.id, '');
	await refused('NOMESSAGE message', 'message_read', 'b', 'm1', '');
	await refused('NOMESSAGE message', 'message_read', 'b', '', '');
	await refused('NOUSER user', 'message_read', 'nobody', m.id, '');
	await fcall('user_delete', 'b');
	await refused('USERDELETED user', 'message_read', 'b', m.id, '');
});

test('a message its author took back stays unread until it is read', async () => {
	const m = await say('a', 'bob', 'x');
	await fcall('message_delete', 'a', m.id, m.room, '');
	assert.equal(await unread('b', 'ann'), '1');
	assert.equal(await read('b', m), '1');
	assert.equal(await unread('b', 'ann'), '0');
});

test('a deleted user can be read, not written to', async () => {
	const m = await say('a', 'bob', 'x');
	await say('b', 'ann', 'y');
	await fcall('user_delete', 'a');
	await published();
	await refused('NOUSER other', ...directArguments('b', 'ann', 'z'));
	await refused('FORBIDDEN room', 'message_post', ...postArguments('b', m.room, 'z'));
	assert.deepEqual(contents(await page('b', 'ann', '', 10)), ['y', 'x']);
	assert.equal(await unread('b', 'ann'), '1');
	assert.equal(await read('b', m), '1');
	assert.deepEqual((await published()).map((h) => [h.event.peer, h.event.unread]), [['Ann', 0]]);
	for (const [name, ...rest] of [['direct_page', '', 10], ['direct_unread']])
		await refused('NOTMEMBER room', name, 'a', 'bob', ...rest);
	await fcall('user_delete', 'b');
	await fcall('worker_lease', 1000, 'w');
	assert.deepEqual((await server.redis.keys(`room:${m.room}*`)).sort(),
		[`room:${m.room}:last`, `room:${m.room}:log`], 'nothing is counted in a room that is gone');
});

test('what is trimmed away unread is no news any more', async () => {
	const sent = [];
	for (let i = 0; i < 4; i++)
		sent.push(await say('a', 'bob', String(i)));
	await read('b', sent[0]);
	await say('b', 'ann', '4');
	assert.deepEqual([await unread('b', 'ann'), await unread('a', 'bob')], ['3', '1']);
	await published();
	// 0 was read, 1 and 2 were not.
	await say('a', 'bob', '5', { history: 3 });
	assert.deepEqual((await published()).map((h) => h.event.unread), [2]);
	assert.deepEqual(contents(await page('b', 'ann', '', 10)), ['5', '4', '3']);
	assert.deepEqual([await unread('b', 'ann'), await unread('a', 'bob')], ['2', '1']);
	await refused('NOMESSAGE message', 'message_read', 'b', sent[1].id, '');
	// 3 is from the one, 4 from the other.
	await post('b', sent[0].room, '6', { history: 2 });
	assert.deepEqual([await unread('b', 'ann'), await unread('a', 'bob')], ['1', '1']);
	for (const m of (await page('b', 'ann', '', 10)).list)
		assert.equal(await read(m.author.id === 'a' ? 'b' : 'a', m), '1');
	assert.deepEqual([await unread('b', 'ann'), await unread('a', 'bob')], ['0', '0']);
});

test('pages, newest first', async () => {
	const sent = [];
	for (let i = 0; i < 5; i++)
		sent.push(await say(...(i % 2 ? ['b', 'ann'] : ['a', 'bob']), String(i)));
	const first2 = await page('b', 'aNN', '', 2);
	assert.deepEqual([first2.next, first2.list], [sent[3].id, [sent[4], sent[3]]]);
	const seen = [];
	let next = '';
	do {
		const got = await page('a', 'bob', next, 2);
		assert.ok(got.list.length <= 2);
		seen.push(...contents(got));
		next = got.next;
	} while (next !== '');
	assert.deepEqual(seen, ['4', '3', '2', '1', '0']);
	assert.deepEqual(await fcallRo('direct_page', 'a', 'bob', sent[0].id, 2), ['']);
	await refused('INVALID before: is not a message', 'direct_page', 'a', 'bob', 'x', 2);
});

test('without a room there is nothing to read', async () => {
	for (const other of ['bob', 'ann'])
		assert.deepEqual([await fcallRo('direct_page', 'a', other, '', 10), await unread('a', other)], [[''], '0']);
	await refused('INVALID before: is not a message', 'direct_page', 'a', 'bob', 'x', 10);
	await refused('NOUSER other', 'direct_page', 'a', 'nobody', '', 10);
	await refused('NOUSER other', 'direct_unread', 'a', 'nobody');
	assert.equal(await rooms(), 0);
});

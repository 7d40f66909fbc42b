// Messages: posting, changing, forwarding, reading; who may, how often, how long they are kept.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { postArguments, useRedis } from './harness.mjs';

const { server, fcall, fcallRo, first, refused, refusedEmpty, published, user, group, channel, direct, post } =
	useRedis();
const parsed = ([head, ...list]) => [head, ...list.map((json) => JSON.parse(json))];
const contents = (reply) => parsed(reply).slice(1).map((m) => m.content);
const DELETED = '[This message was deleted]';

beforeEach(async () => {
	for (const id of ['ann', 'bob', 'eve'])
		await user(id);
});

test('a post is stored, numbered, published and answered', async () => {
	const g = await group('ann', 'bob');
	const attachments = '{"id":"f1","size":123456789012345}';
	const [json] = await fcall('message_post', ...postArguments('ann', g, 'Hi "é\n', { attachments, want: 'channel' }));
	const m = JSON.parse(json);
	assert.match(m.id, /^m[0-9a-f]{23}$/);
	assert.deepEqual(m, { id: m.id, room: g, kind: 'group',
		author: { id: 'ann', username: 'ann', name: 'ANN' }, content: 'Hi "é\n',
		createdAt: m.createdAt, updatedAt: m.createdAt,
		attachments: [{ id: 'f1', size: 123456789012345 }] }, 'and nothing that it does not have');
	const [heard, ...none] = await published();
	assert.deepEqual(none, []);
	assert.deepEqual([heard.feed, heard.prev, heard.event],
		[`room:${g}`, '0-0', { type: 'message', room: g, kind: 'group', actor: 'ann', message: m }]);
	assert.equal(heard.id, `1-${await server.redis.get('clock')}`);
	assert.deepEqual(await fcallRo('message_page', 'bob', g, '', 1, 10), ['1', json]);
	const { redis } = server;
	assert.equal(await redis.hget(`room:${g}`, 'posts'), '1');
	assert.deepEqual(await redis.zrange(`room:${g}:messages`, 0, -1, 'WITHSCORES'), [m.id, heard.id.slice(2)]);
	assert.equal(await redis.hget(`message:${m.id}`, 'content'), 'Hi "é\n');
	assert.deepEqual(await redis.hgetall(`room:${g}:read`), { ann: '1', bob: '0' }, 'unread: posts - read');
	const room = JSON.parse((await fcallRo('room_enter', 'ann', g, ''))[1]);
	assert.equal(room.lastMessageAt, m.createdAt);
});

test('ids are in order of time as text, and no number has an exponent', async () => {
	const g = await group('ann');
	await server.redis.set('clock', '170000000000000');
	const made = [];
	for (let i = 0; i < 20; i++)
		made.push(await post('ann', g, String(i)));
	const ids = made.map((m) => m.id);
	assert.deepEqual([...ids].sort(), ids);
	assert.equal(new Set(ids).size, 20);
	const heard = await published();
	assert.equal(heard.at(-1).id, '1-170000000000020');
	const everything = JSON.stringify([heard, await fcall('feeds_since', 0, 100, `room:${g}`, '0-0'),
		await fcall('message_page', 'ann', g, '', 1, 20), await fcall('room_members', 'ann', g, '', 5),
		await server.redis.zrange(`room:${g}:messages`, 0, -1, 'WITHSCORES')]);
	assert.doesNotMatch(everything, /\de\+\d/);
	assert.equal(contents(await fcall('room_posts', 'ann', g, ids[5], 100)).length, 5);
});

test('who may not post', async () => {
	const g = await group('ann'), d = await direct('ann', 'bob');
	const refuse = (refusal, ...args) => refused(refusal, 'message_post', ...postArguments(...args));
	await refuse('NOROOM room', 'ann', 'r1', 'x');
	await refuse('NOROOM room', 'ann', g, 'x', { want: 'direct' });
	await refuse('NOROOM room', 'ann', d, 'x', { want: 'channel' });
	await refuse('NOTMEMBER room', 'eve', g, 'x');
	await refuse('NOUSER user', 'nobody', g, 'x');
	await fcall('user_delete', 'bob');
	await refuse('FORBIDDEN room', 'ann', d, 'x');
	await refuse('USERDELETED user', 'bob', d, 'x');
	assert.equal(JSON.parse((await fcall('room_enter', 'ann', d, 'direct'))[1]).other.deleted, true);
});

test('replies show what they reply to, one level deep', async () => {
	const g = await group('ann', 'bob'), other = await group('ann');
	const one = await post('ann', g, 'one'), far = await post('ann', other, 'far');
	const two = await post('bob', g, 'two', { reply: one.id });
	const three = await post('ann', g, 'three', { reply: two.id });
	assert.deepEqual(two.replyTo, one);
	const { replyTo, ...told } = two;
	assert.deepEqual(three.replyTo, told);
	assert.equal(told.replyToId, one.id);
	await refused('INVALID replyTo: is not a message of this room', 'message_post',
		...postArguments('ann', g, 'x', { reply: far.id }));
	await refused('INVALID replyTo: is not a message of this room', 'message_post',
		...postArguments('ann', g, 'x', { reply: 'm0:reactions' }));
	await fcall('message_delete', 'ann', one.id, g, '');
	await refused('MSGDELETED replyTo: is deleted', 'message_post', ...postArguments('ann', g, 'x', { reply: one.id }));
	const [, newest, middle] = parsed(await fcall('message_page', 'ann', g, '', 1, 2));
	assert.equal(newest.replyTo.content, 'two');
	assert.equal(middle.replyTo.content, DELETED);
});

test('a repeated clientMessageId answers the first message', async () => {
	const g = await group('ann', 'bob'), d = await direct('ann', 'bob');
	const m = await post('ann', g, 'once', { cid: 'c:1' });
	await published();
	assert.deepEqual(await post('ann', g, 'twice', { cid: 'c:1' }), m);
	assert.deepEqual(await post('ann', d, 'elsewhere', { cid: 'c:1' }), m);
	assert.deepEqual(await post('ann', 'r1', 'nowhere', { cid: 'c:1', rate: 1, burst: 0 }), m);
	await refused('INVALID clientMessageId: was used in a room of another kind', 'message_post',
		...postArguments('ann', d, 'x', { cid: 'c:1', want: 'direct' }));
	assert.deepEqual(await published(), []);
	assert.notEqual((await post('bob', g, 'mine', { cid: 'c:1' })).id, m.id);
	const ttl = await server.redis.ttl('user:ann:sent:c:1');
	assert.ok(ttl > 550 && ttl <= 600);
	await fcall('room_remove', 'ann', g, 'ann');
	assert.deepEqual(await post('ann', g, 'before rights', { cid: 'c:1' }), m);
	await server.redis.del(`message:${m.id}`);
	await refused('NOMESSAGE message', 'message_post', ...postArguments('ann', g, 'x', { cid: 'c:1' }));
});

test('posts are limited by a bucket for each user', async () => {
	const g = await group('ann', 'bob'), limit = { rate: 2, burst: 3 };
	for (let i = 0; i < 3; i++)
		await post('ann', g, 'x', limit);
	const bucket = (tokens, refilled) => server.redis.hset('user:ann', 'tokens', tokens, 'refilled', refilled);
	const refuse = (refusal, rest = limit) =>
		refusedEmpty('ann', refusal, 'message_post', ...postArguments('ann', g, 'x', rest));
	await refuse('RATE 1');
	await refuse('RATE 10', { rate: 0.1, burst: 1 });
	await post('bob', g, 'x', limit);
	await post('ann', g, 'off');
	await bucket('0', String(Date.now() - 1000));
	await post('ann', g, 'x', limit);
	await post('ann', g, 'x', limit);
	await bucket('0', String(Date.now() - 3600000));
	for (let i = 0; i < 3; i++)
		await post('ann', g, 'x', { rate: 0.01, burst: 3 });
	assert.ok(Number(await server.redis.hget('user:ann', 'tokens')) < 1, 'never more than the burst');
});

test('a clock that was put back lets one more through, and goes on from there', async () => {
	const g = await group('ann'), { redis } = server;
	await redis.hset('user:ann', 'tokens', '0.000000', 'refilled', Date.now() + 3600000);
	await post('ann', g, 'x', { rate: 0.001, burst: 3 });
	const [tokens, refilled] = await redis.hmget('user:ann', 'tokens', 'refilled');
	assert.equal(tokens, '0.000000');
	assert.ok(Math.abs(refilled - Date.now()) < 60000);
	await redis.hset('user:ann', 'tokens', '3.000000', 'refilled', Date.now() + 3600000);
	await post('ann', g, 'x', { rate: 0.001, burst: 3 });
	assert.equal(await redis.hget('user:ann', 'tokens'), '2.000000', 'never more than the burst');
});

test('history is kept up to a number of messages', async () => {
	const g = await group('ann');
	const made = [];
	for (let i = 0; i < 5; i++)
		made.push(await post('ann', g, String(i), { reply: made.at(-1)?.id }));
	await fcall('message_react', 'ann', made[0].id, g, '', '+');
	await post('ann', g, '5', { history: 3 });
	assert.deepEqual(contents(await fcall('message_page', 'ann', g, '', 1, 10)), ['5', '4', '3']);
	assert.equal((await server.redis.keys('message:*')).length, 3);
	const [, , , three] = parsed(await fcall('message_page', 'ann', g, '', 1, 10));
	assert.deepEqual([three.replyToId, three.replyTo], [made[2].id, undefined]);
	assert.equal(await server.redis.hget(`room:${g}`, 'posts'), '6');
	await refused('NOMESSAGE message', 'message_edit', 'ann', made[0].id, g, '', 'x');
	const oldest = await first('message_forward', 'ann', made[3].id, g, '', g, '', '', 0, 0, 3, 0);
	assert.deepEqual([oldest.content, await server.redis.exists(`message:${made[3].id}`)], ['3', 0]);
});

test('editing', async () => {
	const g = await group('ann', 'bob'), m = await post('ann', g, 'one'), other = await group('ann');
	await published();
	const edited = await first('message_edit', 'ann', m.id, g, 'channel', 'two');
	assert.deepEqual(edited, { ...m, content: 'two', updatedAt: edited.updatedAt });
	assert.ok(edited.updatedAt >= m.updatedAt);
	assert.deepEqual((await published()).map((h) => [h.feed, h.event]), [[`room:${g}`, { type: 'edited', room: g,
		kind: 'group', actor: 'ann', messageId: m.id, content: 'two', updatedAt: edited.updatedAt }]]);
	await refused('NOTAUTHOR message', 'message_edit', 'bob', m.id, g, '', 'x');
	await refused('NOMESSAGE message', 'message_edit', 'ann', m.id, other, '', 'x');
	await refused('NOMESSAGE message', 'message_edit', 'ann', 'm1', g, '', 'x');
	await refused('NOTMEMBER room', 'message_edit', 'eve', m.id, g, '', 'x');
	await refused('NOROOM room', 'message_edit', 'ann', m.id, g, 'direct', 'x');
	await fcall('message_delete', 'ann', m.id, g, '');
	await refused('MSGDELETED message', 'message_edit', 'ann', m.id, g, '', 'x');
});

test('deleting', async () => {
	const g = await group('ann', 'bob'), m = await post('ann', g, 'secret', { attachments: '{}' });
	await fcall('message_react', 'bob', m.id, g, '', '+');
	await published();
	await refused('NOTAUTHOR message', 'message_delete', 'bob', m.id, g, '');
	await refused('NOMESSAGE message', 'message_delete', 'ann', 'm1', g, '');
	const [already, at] = await fcall('message_delete', 'ann', m.id, g, '');
	assert.equal(already, '0');
	assert.deepEqual((await published()).map((h) => h.event),
		[{ type: 'deleted', room: g, kind: 'group', actor: 'ann', messageId: m.id, deletedAt: Number(at) }]);
	assert.deepEqual(await fcall('message_delete', 'ann', m.id, g, ''), ['1', at]);
	assert.deepEqual(await published(), []);
	const [total, shown] = parsed(await fcall('message_page', 'bob', g, '', 1, 10));
	assert.equal(total, '1');
	const { attachments, ...rest } = m;
	assert.deepEqual(shown, { ...rest, content: DELETED, deletedAt: Number(at) });
	assert.equal(await server.redis.hget(`message:${m.id}`, 'content'), '');
	await refused('MSGDELETED message', 'message_react', 'bob', m.id, g, '', '+');
	assert.deepEqual(await fcall('message_unreact', 'bob', m.id, g, '', '+'), ['', '0']);
});

test('reactions: one per user, message and emoji', async () => {
	const d = await direct('ann', 'bob'), m = await post('ann', d, 'x');
	await published();
	const [json, isNew] = await fcall('message_react', 'bob', m.id, d, 'direct', '👍');
	const reaction = JSON.parse(json);
	assert.match(reaction.id, /^x[0-9a-f]{23}$/);
	assert.deepEqual([reaction, isNew], [{ id: reaction.id, emoji: '👍', messageId: m.id, userId: 'bob',
		userName: 'BOB', createdAt: reaction.createdAt }, '1']);
	assert.deepEqual(await fcall('message_react', 'bob', m.id, d, 'direct', '👍'), [json, '0']);
	assert.deepEqual((await published()).map((h) => h.event),
		[{ type: 'reacted', room: d, kind: 'direct', actor: 'bob', reaction }]);
	await fcall('message_react', 'ann', m.id, d, '', '👍');
	await fcall('message_react', 'bob', m.id, d, '', 'a\tb');
	const [, shown] = parsed(await fcall('message_page', 'bob', d, '', 1, 10));
	assert.deepEqual(shown.reactions.map((r) => [r.userId, r.emoji]), [['bob', '👍'], ['ann', '👍'], ['bob', 'a\tb']]);
	await published();
	assert.deepEqual(await fcall('message_unreact', 'bob', m.id, d, '', '👍'), [json, '1']);
	assert.deepEqual(await fcall('message_unreact', 'bob', m.id, d, '', '👍'), ['', '0']);
	assert.deepEqual((await published()).map((h) => h.event), [{ type: 'unreacted', room: d, kind: 'direct',
		actor: 'bob', messageId: m.id, emoji: '👍', userId: 'bob' }]);
	await refused('INVALID emoji: is empty', 'message_react', 'bob', m.id, d, '', '');
	await refused('NOMESSAGE message', 'message_react', 'bob', 'm1', d, '', '+');
	await refused('NOMESSAGE message', 'message_unreact', 'bob', 'm1', d, '', '+');
	await refused('NOTMEMBER room', 'message_unreact', 'eve', m.id, d, '', '+');
});

test('forwarding', async () => {
	const g = await group('ann', 'bob'), d = await direct('bob', 'eve');
	const m = await post('ann', g, 'news', { attachments: '{"id":"f"}' });
	await published();
	const forward = (by, to, want, cid = '', rate = 0) =>
		['message_forward', by, m.id, g, 'channel', to, want, cid, rate, 1, 0, 0];
	const [json, original] = await fcall(...forward('bob', d, 'direct', 'c'));
	const made = JSON.parse(json);
	assert.deepEqual(JSON.parse(original), m);
	assert.deepEqual([made.room, made.kind, made.author.id, made.content, made.attachments],
		[d, 'direct', 'bob', 'news', [{ id: 'f' }]]);
	assert.deepEqual((await published()).map((h) => [h.feed, h.event]), [[`room:${d}`,
		{ type: 'forwarded', room: d, kind: 'direct', actor: 'bob', message: made, original: m, unread: 1 }]]);
	assert.deepEqual([made.recipient, m.recipient], ['eve', undefined]);
	assert.deepEqual(await fcall(...forward('bob', d, 'direct', 'c')), [json, original]);
	assert.deepEqual(await fcall('message_post', ...postArguments('bob', g, 'x', { cid: 'c' })), [json]);
	const plain = await post('bob', g, 'plain', { cid: 'p' });
	await published();
	assert.deepEqual(await fcall(...forward('bob', g, '', 'p')), [JSON.stringify(plain), 'null']);
	assert.deepEqual(await published(), []);
	await refused('INVALID clientMessageId: was used in a room of another kind', ...forward('bob', g, 'channel', 'c'));
	await refused('NOTMEMBER targetRoom', ...forward('ann', d, 'direct'));
	await refused('NOROOM targetRoom', ...forward('ann', d, 'channel'));
	await refused('NOROOM targetRoom', ...forward('ann', 'r1', ''));
	await refused('NOTMEMBER room', ...forward('eve', d, 'direct'));
	await refused('NOUSER user', ...forward('nobody', d, 'direct'));
	// From wherever it is; whoever is not there learns nothing about it.
	const anywhere = (by, id) => ['message_forward', by, id, '', '', g, '', '', 0, 0, 0, 0];
	assert.equal(JSON.parse((await fcall(...anywhere('bob', made.id)))[1]).id, made.id);
	await refused('NOMESSAGE message', ...anywhere('ann', made.id));
	await refused('NOMESSAGE message', ...anywhere('ann', 'm1'));
	// What the original replied to stays where it was said.
	const reply = await post('bob', d, 'secretly', { reply: made.id });
	const [copy, source] = (await fcall(...anywhere('bob', reply.id))).map((text) => JSON.parse(text));
	assert.deepEqual([copy.replyToId, copy.replyTo], [undefined, undefined]);
	assert.deepEqual([source.replyToId, source.replyTo, source.content], [made.id, undefined, 'secretly']);
	assert.deepEqual([copy.kind, copy.recipient, source.kind, source.recipient],
		['group', undefined, 'direct', 'eve'], 'each of its own room');
	const sentCopy = ['message_forward', 'bob', reply.id, '', '', g, '', 'again', 0, 0, 0, 0];
	assert.deepEqual(await fcall(...sentCopy), await fcall(...sentCopy), 'also when it is asked for again');
	await fcall('user_delete', 'eve');
	await refused('FORBIDDEN targetRoom', ...forward('bob', d, 'direct'));
	await refusedEmpty('bob', 'RATE 1', ...forward('bob', g, '', '', 1));
	await fcall('message_delete', 'ann', m.id, g, '');
	await refused('MSGDELETED message', ...forward('bob', g, ''));
	await refused('NOMESSAGE message', 'message_forward', 'bob', 'm1', g, '', g, '', '', 0, 0, 0, 0);
});

test('pages, newest first', async () => {
	const c = await channel('ann', 'c', 'bob');
	for (let i = 0; i < 7; i++)
		await post('ann', c, String(i));
	assert.deepEqual((await fcallRo('message_page', 'bob', c, 'channel', 1, 3))[0], '7');
	assert.deepEqual(contents(await fcallRo('message_page', 'bob', c, 'channel', 1, 3)), ['6', '5', '4']);
	assert.deepEqual(contents(await fcallRo('message_page', 'bob', c, 'channel', 3, 3)), ['0']);
	assert.deepEqual(await fcallRo('message_page', 'bob', c, 'channel', 4, 3), ['7']);
	assert.deepEqual(contents(await fcallRo('message_page', 'bob', c, '', 100000000000000, 100)), []);
	await refused('NOTMEMBER room', 'message_page', 'eve', c, '', 1, 3);
	await refused('NOROOM room', 'message_page', 'ann', c, 'direct', 1, 3);
});

test('live events carry the name as of then, history the current one', async () => {
	const g = await group('ann', 'bob');
	await post('ann', g, 'x');
	await fcall('user_enter', 'ann', 'Anna', '', 'pic', '', 0, '');
	const [, shown] = parsed(await fcall('message_page', 'bob', g, '', 1, 1));
	assert.deepEqual([shown.author.name, shown.author.image], ['Anna', 'pic']);
	assert.equal((await published()).find((h) => h.event.type === 'message').event.message.author.name, 'ANN');
});

test('messages of a direct room name the recipient, the one not the author', async () => {
	await user('name', 'Zed');
	const d = await direct('ann', 'name');
	const one = await post('ann', d, 'one'), two = await post('name', d, 'two', { reply: one.id });
	assert.deepEqual([one.recipient, two.recipient, two.replyTo.recipient], ['Zed', 'ann', 'Zed']);
	const [, ...page] = parsed(await fcallRo('message_page', 'ann', d, '', 1, 10));
	assert.deepEqual(page, [two, one]);
	assert.deepEqual(parsed(await fcall('room_posts', 'ann', d, two.id, 10)), ['', one]);
	assert.equal((await first('message_edit', 'ann', one.id, d, '', 'won')).recipient, 'Zed');
	await fcall('user_delete', 'ann');
	assert.equal(parsed(await fcallRo('message_page', 'name', d, '', 1, 10))[1].recipient, 'ann', 'gone, but named');
});

test('the work of a post does not grow with the room', async () => {
	const calls = async (room) => {
		await server.redis.config('RESETSTAT');
		await post('ann', room, 'x', { cid: `c${room}`, rate: 100, burst: 100, history: 10 });
		const stats = await server.redis.info('commandstats');
		return [...stats.matchAll(/cmdstat_(\w+).*?calls=(\d+)/g)].filter(([, name]) => !/config|info|fcall/.test(name))
			.reduce((sum, [, , n]) => sum + Number(n), 0);
	};
	const others = [];
	for (let i = 0; i < 100; i++)
		others.push(await user(`u${i}`));
	const small = await group('ann'), large = await group('ann', ...others);
	for (let i = 0; i < 9; i++)
		await post('bob', await channel('bob', `c${i}`), 'x');
	const few = await calls(small);
	assert.ok(few <= 18, `${few} commands`);
	assert.equal(await calls(large), few);
	assert.equal(await calls(await direct('ann', 'bob')), few + 2, 'the other user, and their unread');
});

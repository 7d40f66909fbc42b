// Rooms: making, entering, listing, coming and going.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { useRedis } from './harness.mjs';

const { server, fcall, fcallRo, first, limited, refused, published, user, group, channel, direct, post } = useRedis();
const rooms = ([next, clock, ...list]) => ({ next, clock, list: list.map((json) => JSON.parse(json)) });
const ids = (reply) => rooms(reply).list.map((r) => r.id);

beforeEach(async () => {
	for (const id of ['ann', 'bob', 'eve'])
		await user(id);
});

test('a group is made, and its members hear of it', async () => {
	const [json, clock] = await fcall('room_create', 'ann', 'group', 'Pals', 'PRIVATE', '', 'bob', 'ann', 'bob');
	const r = JSON.parse(json);
	assert.match(r.id, /^r[0-9a-f]{23}$/);
	assert.ok(Math.abs(r.createdAt - Date.now()) < 10000);
	assert.deepEqual(r, { id: r.id, kind: 'group', name: 'Pals', status: 'PRIVATE', owner: 'ann',
		createdAt: r.createdAt, memberCount: 2, isMember: true, unread: 0, lastMessageAt: null, other: null });
	const event = { type: 'room-created', room: r.id, kind: 'group', actor: 'ann', name: 'Pals' };
	const heard = await published();
	assert.deepEqual(heard.map((h) => [h.feed, h.prev, h.event]),
		[['user:ann', '0-0', event], ['user:bob', '0-0', event]]);
	assert.equal(heard[1].id, clock);
	assert.deepEqual(await server.redis.zrange(`room:${r.id}:members`, 0, -1), ['ann', 'bob']);
	assert.deepEqual(await server.redis.zrange('user:bob:rooms', 0, -1), [r.id]);
	assert.deepEqual(await server.redis.hkeys(`room:${r.id}`), ['kind', 'name', 'status', 'owner', 'created']);
});

test('what cannot be made', async () => {
	const make = (...args) => ['room_create', ...args];
	await refused('NOUSER user', ...make('nobody', 'group', '', 'PRIVATE', ''));
	await refused('INVALID kind: is not group or channel', ...make('ann', 'direct', '', 'PRIVATE', ''));
	await refused('INVALID status: is not PUBLIC or PRIVATE', ...make('ann', 'group', '', 'DIRECT', ''));
	await refused('INVALID name: is required', ...make('ann', 'channel', '', 'PUBLIC', ''));
	await refused('INVALID users: unknown user x y', ...make('ann', 'group', '', 'PRIVATE', '', 'bob', 'x y'));
	await fcall('user_delete', 'eve');
	await refused('INVALID users: unknown user eve', ...make('ann', 'group', '', 'PRIVATE', '', 'eve'));
	await refused('USERDELETED user', ...make('eve', 'group', '', 'PRIVATE', ''));
	await channel('ann', 'general');
	await refused('TAKEN name: is taken', ...make('bob', 'channel', 'general', 'PRIVATE', ''));
	assert.equal((await first(...make('bob', 'channel', 'General', 'PUBLIC', ''))).name, 'General');
	assert.equal((await first(...make('bob', 'group', 'general', 'PRIVATE', ''))).name, 'general');
});

test('there is one direct room for a pair', async () => {
	const [json, made] = await fcall('room_direct', 'bob', 'ann');
	const r = JSON.parse(json);
	assert.equal(made, '1');
	assert.deepEqual([r.kind, r.status, r.owner, r.memberCount, r.isMember, r.other.id],
		['direct', 'DIRECT', null, 2, true, 'ann']);
	assert.equal(await server.redis.get('room:direct:ann:bob'), r.id);
	const event = { type: 'room-created', room: r.id, kind: 'direct', actor: 'bob', name: null };
	assert.deepEqual((await published()).map((h) => [h.feed, h.event]), [['user:bob', event], ['user:ann', event]]);
	const [again, madeAgain] = await fcall('room_direct', 'ann', 'bob');
	assert.deepEqual([JSON.parse(again).id, JSON.parse(again).other.id, madeAgain], [r.id, 'bob', '0']);
	assert.deepEqual(await published(), []);
	await refused('INVALID users: is oneself', 'room_direct', 'ann', 'ann');
	await refused('NOUSER users', 'room_direct', 'ann', 'nobody');
	await fcall('user_delete', 'bob');
	await refused('NOUSER users', 'room_direct', 'eve', 'bob');
	await refused('USERDELETED user', 'room_direct', 'bob', 'eve');
	assert.equal((await fcall('room_direct', 'ann', 'bob'))[1], '0');
});

test('a pair is ordered by bytes, whatever the locale', async () => {
	for (const id of ['a', 'B', 'ab', 'a-'])
		await user(id, `x${id}`);
	await fcall('room_direct', 'a', 'B');
	await fcall('room_direct', 'ab', 'a');
	await fcall('room_direct', 'ab', 'a-');
	assert.deepEqual((await server.redis.keys('room:direct:*')).sort(),
		['room:direct:B:a', 'room:direct:a-:ab', 'room:direct:a:ab']);
});

test('who may enter', async () => {
	const g = await group('ann'), c = await channel('ann', 'c'), d = await direct('ann', 'bob');
	const [clock, json] = await fcallRo('room_enter', 'ann', g, 'channel');
	assert.match(clock, /^1-\d+$/);
	assert.equal(JSON.parse(json).id, g);
	for (const [id, want] of [[g, ''], [c, 'channel'], [d, 'direct'], [d, '']])
		assert.equal(JSON.parse((await fcallRo('room_enter', 'ann', id, want))[1]).id, id);
	await refused('NOROOM room', 'room_enter', 'ann', g, 'direct');
	await refused('NOROOM room', 'room_enter', 'ann', d, 'channel');
	await refused('NOROOM room', 'room_enter', 'ann', 'r1', '');
	await refused('NOTMEMBER room', 'room_enter', 'eve', d, 'direct');
	await refused('NOTMEMBER room', 'room_enter', 'eve', c, 'channel');
});

test('rooms are listed in pages, those joined first', async () => {
	const g = await group('ann'), d = await direct('ann', 'bob'), c = await channel('ann', 'c');
	const d2 = await direct('eve', 'ann');
	const open = [], more = await channel('bob', 'mixed', 'ann');
	for (const name of ['p1', 'p2', 'p3'])
		open.push(await channel('bob', name));
	await fcall('room_create', 'bob', 'channel', 'secret', 'PRIVATE', 'h');
	assert.deepEqual(ids(await fcallRo('room_list', 'ann', '', '', 10)), [g, d, c, d2, more]);
	assert.deepEqual(ids(await fcallRo('room_list', 'ann', 'direct', '', 10)), [d, d2]);
	assert.deepEqual(ids(await fcallRo('room_list', 'ann', 'channel', '', 10)), [g, c, more, ...open]);
	for (const [want, all] of [['', [g, d, c, d2, more]], ['channel', [g, c, more, ...open]], ['direct', [d, d2]]])
		for (const limit of [1, 2, 3]) {
			const seen = [];
			let next = '';
			do {
				const page = rooms(await fcallRo('room_list', 'ann', want, next, limit));
				assert.ok(page.list.length <= limit);
				seen.push(...page.list.map((r) => r.id));
				next = page.next;
			} while (next !== '');
			assert.deepEqual(seen, all);
		}
	const page = rooms(await fcallRo('room_list', 'ann', 'channel', '', 10));
	assert.deepEqual(page.list.map((r) => r.isMember), [true, true, true, false, false, false]);
	assert.equal(page.clock, `1-${await server.redis.get('clock')}`);
	await refused('INVALID after: is not a value of next', 'room_list', 'ann', '', 'x', 10);
});

test('members are listed with their roles', async () => {
	const g = await group('ann', 'bob', 'eve');
	const [next, ...one] = await fcallRo('room_members', 'eve', g, '', 2);
	assert.deepEqual([one[0], JSON.parse(one[1]).id, one[2], JSON.parse(one[3]).id], ['owner', 'ann', 'member', 'bob']);
	const [end, ...two] = await fcallRo('room_members', 'eve', g, next, 2);
	assert.deepEqual([end, two[0], JSON.parse(two[1]).id, two.length], ['', 'member', 'eve', 2]);
	await user('zoe');
	await refused('NOTMEMBER room', 'room_members', 'zoe', g, '', 2);
	await refused('NOROOM room', 'room_members', 'zoe', 'r', '', 2);
	await refused('INVALID after: is not a value of next', 'room_members', 'ann', g, 'x', 2);
});

test('a room is shown with its members and who is online', async () => {
	const g = await group('ann', 'bob', 'eve');
	await server.redis.sadd('online', 'eve', 'ann', 'stranger');
	await post('bob', g, 'news');
	const [next, room, ...one] = await fcallRo('room_show', 'ann', g, '', 2);
	assert.deepEqual([JSON.parse(room).id, JSON.parse(room).unread, JSON.parse(room).memberCount], [g, 1, 3]);
	assert.deepEqual([one[0], JSON.parse(one[1]).id, one[2], JSON.parse(one[3]).id], ['1', 'ann', '0', 'bob']);
	const [end, , ...two] = await fcallRo('room_show', 'ann', g, next, 2);
	assert.deepEqual([end, two[0], JSON.parse(two[1]).id, two.length], ['', '1', 'eve', 2]);
	assert.deepEqual((await fcallRo('room_show', 'ann', g, '9'.repeat(9), 2)).slice(0, 1), ['']);
	await user('zoe');
	await refused('NOTMEMBER room', 'room_show', 'zoe', g, '', 2);
	await refused('NOROOM room', 'room_show', 'zoe', 'r', '', 2);
	await refused('INVALID after: is not a value of next', 'room_show', 'ann', g, 'x', 2);
});

test('inviting is adding, for members', async () => {
	const g = await group('ann', 'bob'), c = await channel('ann', 'c'), d = await direct('ann', 'bob');
	await refused('NOROOM room', 'room_invite', 'ann', 'r1', 'eve');
	await refused('NOTMEMBER room', 'room_invite', 'eve', g, 'eve');
	await refused('NOTMEMBER room', 'room_invite', 'eve', c, 'eve');
	await refused('NOTMEMBER room', 'room_invite', 'eve', d, 'eve');
	await refused('INVALID room: is direct', 'room_invite', 'ann', d, 'eve');
	await refused('INVALID users: is empty', 'room_invite', 'ann', g);
	await refused('INVALID users: unknown user x', 'room_invite', 'ann', g, 'eve', 'x');
	assert.deepEqual(await fcall('room_invite', 'bob', g, 'eve', 'ann'), ['1', 'eve']);
	assert.deepEqual((await published()).map((h) => [h.feed, h.event.type, h.event.actor]),
		[[`room:${g}`, 'joined', 'bob'], ['user:eve', 'added', 'bob']]);
});

test('what is unread in a room is known to its members', async () => {
	const g = await group('ann', 'bob');
	await post('ann', g, 'one');
	await post('ann', g, 'two');
	const unread = async (who) => rooms(await fcallRo('room_list', who, '', '', 10)).list.map((r) => r.unread);
	assert.deepEqual([await unread('ann'), await unread('bob')], [[0], [2]]);
	await fcall('room_add', 'ann', g, 'eve');
	await post('bob', g, 'three');
	assert.deepEqual([await unread('ann'), await unread('bob'), await unread('eve')], [[1], [2], [1]]);
	const c = await channel('ann', 'c');
	await post('ann', c, 'one');
	const open = rooms(await fcallRo('room_list', 'bob', 'channel', '', 10)).list.find((r) => r.id === c);
	assert.deepEqual([open.isMember, open.unread], [false, 0]);
});

test('adding tells the room once, and each who was added', async () => {
	const g = await group('ann', 'bob');
	await user('zoe');
	await user('max');
	await post('ann', g, 'old');
	const [last] = (await published()).slice(-1);
	assert.deepEqual(await fcall('room_add', 'bob', g, 'zoe', 'ann', 'max', 'zoe'), ['2', 'zoe', 'max']);
	const heard = await published();
	assert.deepEqual(heard.map((h) => [h.feed, h.event]), [
		[`room:${g}`, { type: 'joined', room: g, kind: 'group', actor: 'bob', users: ['zoe', 'max'] }],
		['user:zoe', { type: 'added', room: g, kind: 'group', actor: 'bob', name: null }],
		['user:max', { type: 'added', room: g, kind: 'group', actor: 'bob', name: null }],
	]);
	assert.equal(heard[0].prev, last.id);
	assert.deepEqual(await fcall('room_add', 'bob', g, 'zoe', 'ann'), ['0']);
	assert.deepEqual(await published(), []);
	assert.equal(await server.redis.hget(`room:${g}:read`, 'zoe'), '1', 'what was before is not unread');
});

test('who may not add', async () => {
	const g = await group('ann'), c = await channel('ann', 'c'), d = await direct('ann', 'bob');
	const secret = (await first('room_create', 'ann', 'channel', 's', 'PRIVATE', 'h')).id;
	await refused('NOROOM room', 'room_add', 'ann', 'r1', 'bob');
	await refused('INVALID room: is direct', 'room_add', 'ann', d, 'eve');
	await refused('NOTMEMBER room', 'room_add', 'eve', c, 'bob');
	await refused('NOTMEMBER room', 'room_add', 'eve', c, 'eve', 'bob');
	await refused('FORBIDDEN room', 'room_add', 'eve', g, 'eve');
	await refused('FORBIDDEN room', 'room_add', 'eve', secret, 'eve');
	await refused('INVALID users: is empty', 'room_add', 'ann', g);
	await refused('INVALID users: unknown user x', 'room_add', 'ann', g, 'bob', 'x');
	await fcall('user_delete', 'bob');
	await refused('INVALID users: unknown user bob', 'room_add', 'ann', g, 'bob');
	await refused('USERDELETED user', 'room_add', 'bob', c, 'bob');
	assert.deepEqual(await fcall('room_add', 'eve', c, 'eve'), ['1', 'eve']);
});

test('joining by name', async () => {
	const c = await channel('ann', 'c');
	const s = (await first('room_create', 'ann', 'channel', 's', 'PRIVATE', 'h')).id;
	const closed = (await first('room_create', 'ann', 'channel', 'closed', 'PRIVATE', '')).id;
	assert.deepEqual((await fcall('room_try', 'eve', 'c', 10, '1')).slice(1), ['', '']);
	const [json, hash, tried] = await fcall('room_try', 'eve', 's', 1, '1');
	assert.deepEqual([JSON.parse(json).id, JSON.parse(json).isMember, hash], [s, false, 'h']);
	await limited(Number(tried) + 60_000, 'room_try', 'eve', 's', 1, '1');
	await refused('NOROOM room', 'room_try', 'eve', 'S', 10, '1');
	await published();
	assert.equal((await first('room_join', 'eve', c, '')).isMember, true);
	assert.deepEqual((await published()).map((h) => [h.feed, h.event.type, h.event.users]),
		[[`room:${c}`, 'joined', ['eve']], ['user:eve', 'added', undefined]]);
	await refused('TAKEN room: is joined already', 'room_join', 'eve', c, '');
	await refused('FORBIDDEN room', 'room_join', 'eve', s, '');
	await refused('FORBIDDEN room', 'room_join', 'eve', s, 'other');
	await refused('FORBIDDEN room', 'room_join', 'eve', closed, '');
	await refused('NOROOM room', 'room_join', 'eve', await group('ann'), '');
	await refused('NOROOM room', 'room_join', 'eve', await direct('ann', 'bob'), '');
	await refused('FORBIDDEN room', 'room_join', 'eve', s, 'other', tried);
	await limited(Number(tried) + 60_000, 'room_try', 'eve', 's', 1, '0');
	assert.deepEqual((await fcall('room_try', 'ann', 's', 1, '1')).slice(1), ['h', ''], 'a member need not ask');
	assert.equal((await first('room_join', 'eve', s, 'h', tried)).memberCount, 2);
	assert.equal(await server.redis.exists(`wrong:room:${s}:user:eve`), 0);
	assert.deepEqual((await fcall('room_try', 'bob', 's', 1, '0')).slice(1), ['h', ''], 'only what is tried counts');
	await refused('NOUSER user', 'room_join', 'nobody', s, 'h');
});

test('leaving and being removed', async () => {
	const g = await group('ann', 'bob', 'eve');
	await refused('FORBIDDEN room', 'room_remove', 'bob', g, 'eve');
	await refused('NOUSER users', 'room_remove', 'ann', g, 'nobody');
	await refused('NOROOM room', 'room_remove', 'ann', 'r1', 'bob');
	const d = await direct('ann', 'bob');
	await refused('INVALID room: is direct', 'room_remove', 'ann', d, 'bob');
	await refused('NOTMEMBER room', 'room_remove', 'eve', d, 'bob');
	assert.deepEqual(await fcall('room_remove', 'ann', g, 'eve'), ['0']);
	assert.deepEqual((await published()).map((h) => [h.feed, h.event]), [
		[`room:${g}`, { type: 'left', room: g, kind: 'group', actor: 'ann', user: 'eve', userDeleted: false }],
		['user:eve', { type: 'removed', room: g, kind: 'group', actor: 'ann' }],
	]);
	await refused('NOTMEMBER room', 'room_remove', 'eve', g, 'eve');
	assert.deepEqual(await server.redis.zrange('user:eve:rooms', 0, -1), []);
	assert.deepEqual(await fcall('room_remove', 'ann', g, 'ann'), ['0']);
	assert.deepEqual((await published()).map((h) => [h.feed, h.event.type]),
		[[`room:${g}`, 'left'], ['user:ann', 'removed']]);
	assert.equal(JSON.parse((await fcall('room_enter', 'bob', g, ''))[1]).owner, 'bob', 'the longest-standing');
});

test('an empty group goes, an empty channel stays', async () => {
	const g = await group('ann'), c = await channel('ann', 'c');
	const m = await post('ann', g, 'x');
	assert.deepEqual(await fcall('room_remove', 'ann', g, 'ann'), ['1']);
	await refused('NOROOM room', 'room_enter', 'ann', g, '');
	assert.ok(await server.redis.ttl(`room:${g}:log`) > 0);
	assert.equal(await server.redis.exists(`message:${m.id}`), 1);
	await fcall('worker_lease', 10000, 'w');
	assert.deepEqual((await server.redis.keys(`*${g}*`)).sort(), [`room:${g}:last`, `room:${g}:log`]);
	assert.equal(await server.redis.exists(`message:${m.id}`, 'purging'), 0);
	assert.deepEqual(await fcall('room_remove', 'ann', c, 'ann'), ['0']);
	await refused('TAKEN name: is taken', 'room_create', 'bob', 'channel', 'c', 'PUBLIC', '');
	const [json] = await fcall('room_try', 'bob', 'c', 0, '0');
	assert.deepEqual([JSON.parse(json).owner, JSON.parse(json).memberCount], [null, 0]);
	assert.deepEqual(await fcall('room_add', 'bob', c, 'bob'), ['1', 'bob']);
	assert.equal(JSON.parse((await fcall('room_enter', 'bob', c, ''))[1]).owner, 'bob');
});

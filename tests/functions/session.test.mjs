// Sessions: taken up again by their own user only, from where the client stands, while that is known.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useRedis } from './harness.mjs';

const { server, fcall, refused, published, user, group, channel, direct, post } = useRedis();

// Connects at worker `at`; gives the reply as an object. `more`: follow and also, if the caller says any.
async function connect(id, options = {}) {
	const { pid = '', offset = '', api = 'channels', at = 'h.0.1', fresh = 'new', more = [] } = options;
	const [json, clock, feed, ...session] = await fcall('user_connect', id, '', id, '', '', 1, `user-${id}`,
		pid, offset, api, at, `pid-${fresh}`, `sid-${fresh}`, 120000, ...more);
	const [gotPid, sid, take, recovered, ...feeds] = session;
	return { user: JSON.parse(json), clock, feed, pid: gotPid, sid, take, recovered, feeds };
}

// From where each feed is heard.
function since(s) {
	const pairs = {};
	for (let i = 0; i < s.feeds.length; i += 2) {
		assert.ok(!(s.feeds[i] in pairs), `${s.feeds[i]} is named twice`);
		pairs[s.feeds[i]] = s.feeds[i + 1];
	}
	return pairs;
}

const joined = async (room, id, epoch = 1) =>
	`${epoch}-${await server.redis.zscore(`room:${room}:members`, id)}`;

test('a new session is remembered, with its user feed', async () => {
	const s = await connect('ann');
	assert.deepEqual([s.pid, s.sid, s.take, s.recovered, s.feeds], ['pid-new', 'sid-new', '1', '0', []]);
	const h = await server.redis.hgetall('session:pid-new');
	assert.deepEqual(h, { user: 'ann', api: 'channels', sid: 'sid-new', worker: 'h.0.1', take: '1',
		window: '120000', 'f:user:ann': s.clock });
	assert.equal(await server.redis.ttl('session:pid-new'), -1);
	assert.deepEqual(await server.redis.smembers('worker:h.0.1:sessions'), ['pid-new']);
});

test('it is taken up from each feed\'s start, or the offset if that is later', async () => {
	await connect('ann');
	const g = await group('ann');
	const [start] = await fcall('room_follow', 'ann', g, '', 'pid-new', '1');
	await post('ann', g, 'x');
	await published();
	const silent = await connect('ann', { pid: 'pid-new', at: 'h.1.2' });
	assert.deepEqual([silent.pid, silent.sid, silent.take, silent.recovered], ['pid-new', 'sid-new', '2', '1']);
	assert.equal(since(silent)[`room:${g}`], start);
	const [told] = (await published()).filter(({ feed }) => feed === 'worker:h.0.1');
	assert.deepEqual(told.event, { type: 'resumed', feed: 'user:ann', session: 'pid-new', take: 2 });
	const offset = silent.clock;
	const again = await connect('ann', { pid: 'pid-new', offset, at: 'h.1.2' });
	assert.deepEqual(since(again), { 'user:ann': offset, [`room:${g}`]: offset });
	assert.deepEqual(await server.redis.smembers('worker:h.0.1:sessions'), []);
});

test('a room joined again is followed from where it was; one that was left is not', async () => {
	await connect('ann');
	const g = await group('ann');
	await fcall('room_follow', 'ann', g, '', 'pid-new', '1');
	const first = await server.redis.hget('session:pid-new', `f:room:${g}`);
	await post('ann', g, 'x');
	await fcall('room_follow', 'ann', g, '', 'pid-new', '1');
	assert.equal(await server.redis.hget('session:pid-new', `f:room:${g}`), first);
	assert.deepEqual(await fcall('session_unfollow', 'pid-new', '1', g), ['1']);
	assert.deepEqual(await fcall('session_unfollow', 'pid-new', '1', g), ['0']);
	assert.equal(await server.redis.hexists('session:pid-new', `f:room:${g}`), 0);
	await refused('NOTMEMBER room', 'room_follow', 'eve', g, '', 'pid-new', '1');
});

test('who joins and leaves rooms all the time has no ever larger session', async () => {
	await connect('ann');
	const own = [await group('ann'), await group('ann'), await direct('ann', await user('bob'))];
	for (const room of own)
		await fcall('room_follow', 'ann', room, '', 'pid-new', '1');
	for (let i = 0; i < 150; i++) {
		const room = await group('ann');
		await fcall('room_follow', 'ann', room, '', 'pid-new', '1');
		await fcall('room_remove', 'ann', room, 'ann');
	}
	assert.ok(await server.redis.hlen('session:pid-new') < 90);
	const { clock } = await connect('ann', { fresh: 'other' });
	const feeds = Object.keys(since(await connect('ann', { pid: 'pid-new', offset: clock })));
	assert.deepEqual(feeds.sort(), ['user:ann', ...own.map((room) => `room:${room}`)].sort());
});

test('what is not one\'s own, unknown, or no longer known is a fresh start', async () => {
	await user('bob');
	const { clock } = await connect('ann');
	const g = await group('ann');
	await fcall('room_follow', 'ann', g, '', 'pid-new', '1');
	const fresh = async (id, what) =>
		assert.equal((await connect(id, { fresh: 'other', ...what })).recovered, '0', JSON.stringify(what));
	await fresh('bob', { pid: 'pid-new' });
	await fresh('ann', { pid: 'pid-none' });
	await fresh('ann', { pid: 'pid-new', api: 'gateway' });
	for (const offset of ['x', '1-', '-1', '9-1', '1-999999999', `${clock} `, '1-1e3'])
		await fresh('ann', { pid: 'pid-new', offset });
	await post('ann', g, 'x');
	await post('ann', g, 'y');
	assert.equal((await connect('ann', { pid: 'pid-new' })).recovered, '1');
	await server.redis.xtrim(`room:${g}:log`, 'MAXLEN', 1);
	await fresh('ann', { pid: 'pid-new' });
});

test('a room one is no member of any more is not followed', async () => {
	await user('ann');
	await connect('bob');
	const c = await channel('ann', 'general', 'bob');
	await fcall('room_follow', 'bob', c, '', 'pid-new', '1');
	await fcall('room_remove', 'bob', c, 'bob');
	const s = await connect('bob', { pid: 'pid-new' });
	assert.equal(s.recovered, '1');
	assert.ok(!s.feeds.includes(`room:${c}`));
});

test('after a loss of data what came later than the new epoch\'s start is not pretended', async () => {
	await fcall('worker_hello', 'run1');
	await user('ann');
	const g = await group('ann');
	await post('ann', g, 'x');
	const { clock } = await connect('ann');
	await post('ann', g, 'y');
	const [epoch, tick] = clock.split('-').map(Number);
	await server.redis.set('clock', tick);
	await fcall('worker_hello', 'run2');
	assert.equal((await connect('ann', { pid: 'pid-new', offset: `${epoch}-${tick + 1}`, fresh: 'b' })).recovered, '0');
	assert.equal((await connect('ann', { pid: 'pid-new', offset: clock, fresh: 'c' })).recovered, '1');
});

test('a session ends at once, or may be taken up for a while; a swept worker\'s too', async () => {
	await connect('ann');
	assert.deepEqual(await fcall('session_end', 'pid-new', '7', '0'), ['0'], 'another socket has it');
	assert.deepEqual(await fcall('session_end', 'pid-new', '1', '5000'), ['1']);
	assert.ok(await server.redis.pttl('session:pid-new') > 0);
	assert.deepEqual(await server.redis.smembers('worker:h.0.1:sessions'), []);
	await connect('ann', { pid: 'pid-new' });
	assert.equal(await server.redis.ttl('session:pid-new'), -1);
	await fcall('worker_lease', 10000, 'h.0.1');
	await fcall('worker_sweep', 'h.0.1');
	assert.ok(await server.redis.pttl('session:pid-new') > 0);
	assert.deepEqual(await fcall('session_end', 'pid-new', '2', '0'), ['1']);
	assert.equal(await server.redis.exists('session:pid-new'), 0);
});

test('a swept worker that lives keeps its sessions, but for those that are taken up elsewhere', async () => {
	await fcall('worker_lease', 10000, 'h.0.1', 'h.1.1');
	await connect('ann', { fresh: 'stays' });
	await connect('ann', { fresh: 'moves' });
	await connect('ann', { fresh: 'ends' });
	await fcall('worker_sweep', 'h.0.1');
	await connect('ann', { pid: 'pid-moves', at: 'h.1.1' });
	await fcall('session_end', 'pid-ends', '1', '0');
	await fcall('worker_sweep', 'h.1.1');
	const said = ['sessions_stay', 'h.0.1', 'pid-stays', '1', 'pid-moves', '1', 'pid-ends', '1', 'pid-never', '1'];
	for (const time of ['once', 'twice']) {
		assert.deepEqual(await fcall(...said), ['1'], time);
		assert.equal(await server.redis.ttl('session:pid-stays'), -1);
		assert.ok(await server.redis.ttl('session:pid-moves') > 0);
		assert.equal(await server.redis.exists('session:pid-ends', 'session:pid-never'), 0);
		assert.deepEqual(await server.redis.smembers('worker:h.0.1:sessions'), ['pid-stays']);
	}
	// What it said without a lease does not outlive it.
	assert.deepEqual(await fcall('worker_sweep', 'h.0.1'), ['1']);
	assert.ok(await server.redis.ttl('session:pid-stays') > 0);
	assert.deepEqual(await fcall('sessions_stay', 'h.0.1'), ['0']);
});

test('a new session hears the rooms of the kinds its API follows, and a feed besides', async () => {
	for (const id of ['bob', 'eve'])
		await user(id);
	await connect('ann');
	const g = await group('ann', 'bob'), c = await channel('bob', 'general', 'ann');
	const d = await direct('eve', 'ann');
	await group('bob');
	for (const [follow, rooms] of [['', []], ['direct', [d]], ['channel', [g, c]], ['any', [g, c, d]]]) {
		const s = await connect('ann', { more: [follow, ''], fresh: `f${follow}` });
		assert.deepEqual(since(s), Object.fromEntries(rooms.map((room) => [`room:${room}`, s.clock])), follow);
		const stored = (await server.redis.hkeys(`session:pid-f${follow}`)).filter((field) => field.startsWith('f:'));
		assert.deepEqual(stored, ['f:user:ann'], 'the list of rooms is not stored twice');
	}
	const s = await connect('ann', { more: ['direct', 'presence'], fresh: 'also' });
	assert.deepEqual(since(s), { [`room:${d}`]: s.clock, presence: s.clock });
	assert.equal(await server.redis.hget('session:pid-also', 'f:presence'), s.clock);
	assert.equal(await server.redis.hget('session:pid-also', `f:user:ann`), s.clock);
	await refused('INVALID follow: is not direct, channel or any', 'user_connect',
		'ann', '', 'ann', '', '', 1, 'x', '', '', 'api', 'h.0.1', 'p', 's', 1000, 'group', '');
});

test('rooms that are followed come back: from the offset, or from where one joined later', async () => {
	const more = ['any', 'presence'];
	await user('bob');
	await connect('ann', { fresh: 'first' });
	const early = await group('ann', 'bob'), d = await direct('bob', 'ann'), left = await group('bob', 'ann');
	await post('ann', early, 'x');
	const start = (await connect('ann', { more })).clock;
	await post('bob', d, 'y');
	await post('bob', left, 'y');
	const offset = `1-${await server.redis.get('clock')}`;
	await fcall('room_remove', 'bob', left, 'ann');
	const late = await group('bob', 'ann');
	await post('bob', late, 'z');
	const whence = (at) => ({ 'user:ann': at, presence: at, [`room:${early}`]: at, [`room:${d}`]: at });
	const silent = await connect('ann', { pid: 'pid-new', more });
	assert.equal(silent.recovered, '1');
	assert.deepEqual(since(silent), { ...whence(start), [`room:${late}`]: await joined(late, 'ann') });
	const s = await connect('ann', { pid: 'pid-new', offset, more });
	assert.deepEqual(since(s), { ...whence(offset), [`room:${late}`]: await joined(late, 'ann') });
	const older = await connect('ann', { pid: 'pid-new', offset: '1-1', more });
	assert.deepEqual(since(older), since(silent), 'no more than the session ever heard');
	const now = `1-${await server.redis.get('clock')}`;
	assert.deepEqual(since(await connect('ann', { pid: 'pid-new', offset: now, more })),
		{ ...whence(now), [`room:${late}`]: now });
	// A room that the socket joined besides is named once, from where it joined.
	await fcall('room_follow', 'ann', early, '', 'pid-new', '5');
	assert.equal(since(await connect('ann', { pid: 'pid-new', more }))[`room:${early}`], now);
});

test('a followed room whose log no longer reaches back is a fresh start; a silent one is not', async () => {
	const more = ['channel', ''];
	await connect('ann', { fresh: 'first' });
	const loud = await group('ann'), quiet = await group('ann');
	for (const room of [loud, quiet, quiet])
		await post('ann', room, 'x');
	await connect('ann', { more });
	const resumed = async (what) =>
		(await connect('ann', { pid: 'pid-new', fresh: 'other', more, ...what })).recovered;
	await server.redis.xtrim(`room:${quiet}:log`, 'MAXLEN', 1);
	await post('ann', loud, 'y');
	const offset = `1-${await server.redis.get('clock')}`;
	await post('ann', loud, 'z');
	assert.equal(await resumed(), '1');
	await server.redis.xtrim(`room:${loud}:log`, 'MAXLEN', 1);
	assert.equal(await resumed(), '0');
	assert.equal(await resumed({ offset }), '1', 'all after the offset is there');
	assert.equal(await resumed({ more: ['direct', ''] }), '1', 'who does not follow it misses nothing');
	await server.redis.xtrim(`room:${loud}:log`, 'MAXLEN', 0);
	assert.equal(await resumed({ offset }), '0', 'a log that is gone');
});

test('a feed besides is looked after as any; a session that lacks it is not taken up', async () => {
	const more = ['', 'presence'];
	await connect('ann', { more });
	const come = (id) => fcall('presence_update', 'h.0.1', 100, 1, id);
	for (const id of ['bob', 'eve']) {
		await user(id);
		await come(id);
	}
	assert.equal((await connect('ann', { pid: 'pid-new', fresh: 'b', more })).recovered, '1');
	assert.equal((await connect('ann', { pid: 'pid-new', fresh: 'c', more: ['', 'control'] })).recovered, '0');
	await server.redis.xtrim('presence:log', 'MAXLEN', 1);
	assert.equal((await connect('ann', { pid: 'pid-new', fresh: 'd', more })).recovered, '0');
	assert.deepEqual(since(await connect('ann', { pid: 'pid-d', more })).presence,
		await server.redis.hget('session:pid-d', 'f:presence'));
});

test('who is waited for is waited for again, as of what was told: there is no log', async () => {
	await fcall('worker_hello', 'run1');
	await user('bob');
	const { clock } = await connect('ann');
	await fcall('presence_update', 'h.0.1', 100, 1, 'bob');
	const [, , online, at] = await fcall('user_wait', 'bob', 'pid-new', '1');
	assert.equal(online, '1');
	const resumed = async (offset) => since(await connect('ann', { pid: 'pid-new', offset, fresh: 'other' }));
	assert.deepEqual(await resumed(''), { 'user:ann': clock, 'presence:bob': at });
	await user('eve');
	await group('eve');
	const offset = `1-${await server.redis.get('clock')}`;
	assert.deepEqual(await resumed(offset), { 'user:ann': offset, 'presence:bob': offset });
	// The state that was told was lost with the end of the first epoch.
	const kept = clock.split('-')[1];
	await server.redis.set('clock', kept);
	await fcall('worker_hello', 'run2');
	assert.deepEqual(await resumed(''), { 'user:ann': clock, 'presence:bob': at });
});

test('a room joined in an earlier epoch is followed from the offset that lies in it', async () => {
	const more = ['channel', ''];
	await fcall('worker_hello', 'run1');
	await connect('ann', { fresh: 'first' });
	const g = await group('ann');
	await post('ann', g, 'x');
	const { clock } = await connect('ann', { more });
	await post('ann', g, 'missed');
	await fcall('worker_hello', 'run2');
	const newer = await group('ann');
	assert.deepEqual(since(await connect('ann', { pid: 'pid-new', offset: clock, more })), { 'user:ann': clock,
		[`room:${g}`]: clock, [`room:${newer}`]: await joined(newer, 'ann', 2) });
	await fcall('worker_hello', 'run3');
	assert.equal((await connect('ann', { pid: 'pid-new', more, fresh: 'other' })).recovered, '0', 'two epochs ago');
});

test('thousands of rooms, few of which have news, are as few commands', async () => {
	const more = ['any', ''], rooms = Array.from({ length: 9000 }, (_, i) => `r${i}`);
	await connect('ann', { fresh: 'first' });
	const g = await group('ann');
	const pipe = server.redis.pipeline();
	for (const [i, room] of rooms.entries())
		pipe.zadd(`user:ann:${i % 2 ? 'rooms' : 'directs'}`, 1, room).set(`room:${room}:last`, '1-2');
	await pipe.exec();
	const s = await connect('ann', { more });
	assert.equal(s.feeds.length, 2 * 9001);
	await post('ann', g, 'x');
	await server.redis.config('RESETSTAT');
	const again = await connect('ann', { pid: 'pid-new', more });
	assert.equal(again.recovered, '1');
	assert.equal(Object.keys(since(again)).length, 9002);
	const stats = await server.redis.info('commandstats');
	const counted = [...stats.matchAll(/cmdstat_(\w+).*?calls=(\d+)/g)];
	const calls = Object.fromEntries(counted.map(([, name, n]) => [name, Number(n)]));
	assert.equal(calls.xrange, 1, 'of the one room with news');
	assert.ok(Object.values(calls).reduce((sum, n) => sum + n) < 60, JSON.stringify(calls));
});

test('a session that a dead worker still began is swept, too', async () => {
	await fcall('worker_lease', 10000, 'h.0.1');
	await connect('ann', { fresh: 'early' });
	assert.deepEqual(await fcall('worker_sweep', 'h.0.1'), ['1']);
	await connect('bob', { fresh: 'late' });
	assert.equal(await server.redis.ttl('session:pid-late'), -1);
	assert.deepEqual(await fcall('worker_sweep', 'h.0.1'), ['1']);
	assert.ok(await server.redis.ttl('session:pid-late') > 0);
	assert.equal(await server.redis.exists('worker:h.0.1:sessions', 'unleased', 'workers'), 0);
});

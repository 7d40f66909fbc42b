// Sessions: taken up again by their own user only, from where the client stands, while that is known.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useRedis } from './harness.mjs';

const { server, fcall, refused, published, user, group, channel, post } = useRedis();

// Connects at worker `at`; gives the reply as an object.
async function connect(id, { pid = '', offset = '', api = 'channels', at = 'h.0.1', fresh = 'new' } = {}) {
	const [json, clock, feed, ...session] = await fcall('user_connect', id, '', id, '', '', 1, `user-${id}`,
		pid, offset, api, at, `pid-${fresh}`, `sid-${fresh}`, 120000);
	const [gotPid, sid, take, recovered, ...feeds] = session;
	return { user: JSON.parse(json), clock, feed, pid: gotPid, sid, take, recovered, feeds };
}

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
	const [joined] = await fcall('room_follow', 'ann', g, '', 'pid-new', '1');
	await post('ann', g, 'x');
	const since = (s) => Object.fromEntries(s.feeds.map((feed, i) => i % 2 ? [] : [feed, s.feeds[i + 1]])
		.filter((pair) => pair.length));
	await published();
	const silent = await connect('ann', { pid: 'pid-new', at: 'h.1.2' });
	assert.deepEqual([silent.pid, silent.sid, silent.take, silent.recovered], ['pid-new', 'sid-new', '2', '1']);
	assert.equal(since(silent)[`room:${g}`], joined);
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

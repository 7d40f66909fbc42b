// Workers: epochs, leases; and accounts that are deleted in chunks.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../lib/wait.mjs';
import { assembled, postArguments, useRedis } from './harness.mjs';

const { server, fcall, fcallRo, refused, published, user, group, channel, direct, post } =
	useRedis(['--appendonly', 'yes', '--appendfsync', 'always']);

test('another run of Redis begins another epoch', async () => {
	assert.deepEqual(await fcall('worker_hello', 'run1'), ['1', '0', '0']);
	await user('ann');
	const g = await group('ann');
	assert.deepEqual(await fcall('worker_hello', 'run1'), ['1', await server.redis.get('clock'), '0']);
	await post('ann', g, 'x');
	const clock = await server.redis.get('clock');
	assert.deepEqual(await fcall('worker_hello', 'run2'), ['2', clock, clock]);
	await published();
	await post('ann', g, 'y');
	const [heard] = await published();
	assert.deepEqual([heard.prev, heard.id], [`1-${clock}`, `2-${Number(clock) + 1}`]);
	assert.deepEqual(await fcall('worker_hello', 'run2'), ['2', String(Number(clock) + 1), clock]);
	const [upto, more, ...rest] = await fcallRo('feeds_since', 0, 10, `room:${g}`, '0-0');
	assert.deepEqual([upto, more, rest[1], rest[5]], [heard.id, '0', `1-${clock}`, heard.id]);
	assert.equal((await fcallRo('room_enter', 'ann', g, ''))[0], heard.id);
});

test('an epoch that nobody has begun counts as the first', async () => {
	await user('ann');
	await post('ann', await group('ann'), 'x');
	assert.equal((await fcall('worker_hello', 'run1'))[0], '1');
});

// Masters say no worker_hello, and may be there first.
test('what masters tell after a restart is in the new epoch', async () => {
	await user('ann');
	await user('bob');
	await group('ann', 'bob');
	const told = {
		presence_tell: () => fcall('presence_tell', 100),
		worker_lease: () => fcall('worker_lease', 10000, 'w'),
		worker_sweep: () => fcall('worker_sweep', 'dead'),
	};
	for (const [name, tell] of Object.entries(told)) {
		const [epoch] = await fcall('worker_hello', 'the run before'), inn = name.replace('_', '');
		await server.redis.zadd('leaving', 1, 'ann');
		await server.redis.sadd('deleting', 'bob');
		await server.redis.zadd('workers', Date.now() + 10000, 'dead');
		await fcall('lobby_login', 'dead', 'sid1', 'dan', inn);
		await fcall('lobby_login', 'w', 'sid2', 'eve', inn);
		const clock = await server.redis.get('clock');
		await published();
		await tell();
		const heard = await published();
		assert.ok(heard.length > 0, name);
		for (const { id, event } of heard)
			assert.ok((id ?? event.clock).startsWith(`${Number(epoch) + 1}-`), `${name}: ${id ?? event.clock}`);
		const run = /run_id:(\w+)/.exec(await server.redis.info('server'))[1];
		assert.deepEqual(await fcall('worker_hello', run),
			[String(Number(epoch) + 1), await server.redis.get('clock'), clock], name);
	}
});

// The lease of that worker was given since `begun`, for ten seconds.
async function assertLeased(name, begun) {
	const ends = await server.redis.zscore('workers', name);
	assert.ok(ends >= begun + 10_000 && ends <= Date.now() + 10_000, `${name}: ${ends - begun} ms`);
}

test('leases are renewed and swept', async () => {
	assert.deepEqual(await fcall('worker_lease', 10000, 'a', 'b'), ['0', '0', 'a', 'b']);
	const begun = Date.now();
	assert.deepEqual(await fcall('worker_lease', 10000, 'a'), ['0', '0']);
	await assertLeased('a', begun);
	await server.redis.zadd('workers', 1, 'b', 1, 'a');
	assert.deepEqual(await fcall('worker_lease', 10000, 'a'), ['1', '0'], 'late, but not too late');
	assert.deepEqual(await server.redis.zrange('workers', 0, -1), ['a']);
	assert.deepEqual(await fcall('worker_lease', 10000, 'b'), ['0', '0', 'b'], 'a swept worker is told');
	assert.deepEqual(await fcall('worker_sweep', 'a'), ['1']);
	assert.deepEqual(await fcall('worker_sweep', 'a'), ['0']);
});

test('many expired leases are swept in several calls', async () => {
	for (let i = 0; i < 25; i++)
		await server.redis.zadd('workers', 1, `w${i}`);
	assert.deepEqual(await fcall('worker_lease', 10000, 'a'), ['10', '1', 'a']);
	assert.deepEqual(await fcall('worker_lease', 10000, 'a'), ['10', '1']);
	assert.deepEqual(await fcall('worker_lease', 10000, 'a'), ['5', '0']);
	assert.deepEqual(await server.redis.zrange('workers', 0, -1), ['a']);
});

test('a swept worker\'s sessions may be taken up for their time, in chunks', async () => {
	const pids = Array.from({ length: 1200 }, (_, i) => `p${i}`);
	const pipe = server.redis.pipeline();
	for (const pid of pids)
		pipe.hset(`session:${pid}`, 'window', '5000').sadd('worker:a:sessions', pid);
	await pipe.exec();
	await fcall('worker_lease', 10000, 'a');
	const replies = [];
	for (let i = 0; i < 4; i++)
		replies.push((await fcall('worker_sweep', 'a'))[0]);
	assert.deepEqual(replies, ['2', '2', '1', '0']);
	assert.ok(await server.redis.pttl('session:p0') > 0);
	assert.equal(await server.redis.exists('worker:a:sessions'), 0);
});

test('nobody is dead because Redis or all masters were away', async () => {
	const { redis } = server;
	const last = (ago) => redis.set('leased', Date.now() - ago);
	await fcall('worker_lease', 10000, 'mine', 'theirs', 'swept');
	await redis.zadd('workers', 1, 'mine', 1, 'theirs', 0, 'swept', Date.now() + 60000, 'later');
	await last(3500);
	const begun = Date.now();
	assert.deepEqual(await fcall('worker_lease', 10000, 'mine'), ['1', '0'], 'what was begun is ended');
	assert.deepEqual((await redis.zrange('workers', 0, -1)).sort(), ['later', 'mine', 'theirs']);
	for (const name of ['mine', 'theirs'])
		await assertLeased(name, begun);
	assert.ok(await redis.zscore('workers', 'later') > Date.now() + 50000, 'no lease gets shorter');
	// Who does not come back in this time is dead.
	await redis.zadd('workers', 1, 'theirs');
	await last(500);
	assert.deepEqual(await fcall('worker_lease', 10000, 'mine'), ['1', '0']);
	assert.ok(await redis.get('leased') >= begun);
	await redis.zadd('workers', 1, 'later');
	await last(3500);
	assert.deepEqual(await fcall('worker_lease', 50), ['0', '0']);
	assert.deepEqual(await fcall('worker_sweep', 'mine'), ['1'], 'a master knows of its own');
	await until(async () => (await fcall('worker_lease', 50))[0] === '1', 'sweep of a dead worker');
	assert.equal(await redis.exists('workers'), 0);
});

test('no lease lasts until a clock that was put back is there again', async () => {
	const { redis } = server, hour = 3600000;
	await fcall('worker_lease', 10000, 'mine', 'dead', 'swept');
	await redis.zadd('workers', Date.now() + hour, 'mine', Date.now() + hour, 'dead', 0, 'swept');
	await redis.set('leased', Date.now() + hour);
	assert.deepEqual(await fcall('worker_lease', 10000, 'mine'), ['1', '0'], 'what was begun is ended');
	for (const name of ['mine', 'dead'])
		assert.ok(Math.abs(await redis.zscore('workers', name) - Date.now() - 10000) < 2000, name);
	assert.ok(Math.abs(await redis.get('leased') - Date.now()) < 2000);
});

test('a clock that was put forward declares nobody dead', async () => {
	const { redis } = server, hour = 3600000;
	await fcall('worker_lease', 10000, 'mine', 'theirs');
	await redis.zadd('workers', Date.now() - hour + 8000, 'mine', Date.now() - hour + 8000, 'theirs');
	await redis.set('leased', Date.now() - hour);
	assert.deepEqual(await fcall('worker_lease', 10000, 'mine'), ['0', '0']);
	assert.deepEqual((await redis.zrange('workers', 0, -1)).sort(), ['mine', 'theirs']);
});

test('a deleted account leaves its rooms, and each hears it once', async () => {
	for (const id of ['ann', 'bob'])
		await user(id, `${id}1`);
	const alone = await group('ann'), shared = await group('ann', 'bob'), c = await channel('ann', 'c');
	const d = await direct('ann', 'bob');
	await post('ann', shared, 'kept');
	await published();
	assert.deepEqual(await fcall('user_delete', 'ann'), ['0']);
	const heard = await published();
	assert.deepEqual([heard[0].feed, heard[0].event],
		['user:ann', { type: 'user-deleted', actor: 'ann', user: 'ann' }]);
	const left = (room, kind) => ({ type: 'left', room, kind, actor: 'ann', user: 'ann', userDeleted: true });
	assert.deepEqual(heard.slice(1).map((h) => h.event),
		[left(alone, 'group'), left(shared, 'group'), left(c, 'channel'), left(d, 'direct')]);
	await refused('USERDELETED user', 'user_delete', 'ann');
	await refused('NOUSER user', 'user_delete', 'nobody');
	await refused('NOROOM room', 'room_enter', 'ann', alone, '');
	assert.equal(JSON.parse((await fcall('room_enter', 'bob', shared, ''))[1]).owner, 'bob');
	assert.equal(JSON.parse((await fcall('room_try', 'bob', 'c', 0, '0'))[0]).owner, null);
	const room = JSON.parse((await fcall('room_enter', 'bob', d, 'direct'))[1]);
	assert.deepEqual([room.other.id, room.other.deleted, room.memberCount], ['ann', true, 1]);
	const [, kept] = await fcall('message_page', 'bob', shared, '', 1, 1);
	assert.equal(JSON.parse(kept).author.username, 'ann1');
	assert.deepEqual(await server.redis.smembers('deleting'), []);
	assert.equal(await server.redis.get('user:name:ann1'), 'ann', 'the name stays taken');
	await fcall('user_delete', 'bob');
	assert.equal(await server.redis.exists(`room:${d}`, 'room:direct:ann:bob'), 0, 'both gone');
});

test('deletion goes on in chunks, also after a crash', async () => {
	await user('ann');
	await user('bob');
	const rooms = [];
	for (let i = 0; i < 230; i++) {
		const made = await fcall('room_create', 'bob', 'group', '', 'PRIVATE', '', 'ann');
		rooms.push(JSON.parse(made[0]).id);
	}
	for (let i = 0; i < 20; i++) {
		await user(`u${i}`);
		rooms.push(await direct('ann', `u${i}`));
	}
	assert.deepEqual(await fcall('user_delete', 'ann'), ['150']);
	await refused('USERDELETED user', 'message_post', 'ann', rooms[200], '', 'x', '', '', '', 0, 0, 0, 0);
	await server.kill();
	await server.start();
	await fcall('worker_lease', 10000, 'w');
	assert.deepEqual(await server.redis.smembers('deleting'), ['ann']);
	assert.equal(await server.redis.zcard('user:ann:rooms'), 30);
	await fcall('worker_lease', 10000, 'w');
	assert.deepEqual(await server.redis.smembers('deleting'), []);
	await published();
	await fcall('worker_lease', 10000, 'w');
	assert.deepEqual(await published(), []);
	for (const room of rooms) {
		const log = await server.redis.xrange(`room:${room}:log`, '-', '+');
		assert.deepEqual(log.map(([, fields]) => JSON.parse(fields[3]).type), ['left']);
	}
});

test('the messages of a room that is gone go in chunks', async () => {
	await user('ann');
	const g = await group('ann');
	for (let i = 0; i < 501; i++)
		await post('ann', g, 'x');
	await fcall('room_remove', 'ann', g, 'ann');
	await fcall('worker_lease', 10000, 'w');
	assert.equal((await server.redis.keys('message:*')).length, 1);
	await fcall('worker_lease', 10000, 'w');
	assert.equal((await server.redis.keys('message:*')).length, 0);
	assert.equal(await server.redis.exists('purging'), 0);
});

for (const messages of [0, 500, 1000]) {
	test(`a last chunk may be empty: a room of ${messages} messages is gone`, async () => {
		await user('ann');
		const g = await group('ann');
		const posts = server.redis.pipeline();
		for (let i = 0; i < messages; i++)
			posts.fcall('message_post', 0, ...postArguments('ann', g, 'x'));
		await posts.exec();
		await fcall('room_remove', 'ann', g, 'ann');
		for (let i = 0; i <= messages / 500; i++)
			assert.equal((await fcall('worker_lease', 10000, 'w'))[1], i < messages / 500 ? '1' : '0');
		assert.deepEqual([await server.redis.exists('purging'), await server.redis.hget('counts', 'messages')],
			[0, messages ? '0' : null]);
	});
}

test('reads are registered so that they cannot write, and every function says what it does', async () => {
	const [[...library]] = await server.redis.function('LIST');
	const functions = library[library.indexOf('functions') + 1];
	const flags = new Map(functions.map((f) => [f[1], f[5]]));
	const source = assembled();
	// The verb is written right there, or it is a local that other verbs call too.
	const registered = [...source.matchAll(/^(reads|writes)\('(\w+)', (\w+)[()]/gm)];
	assert.deepEqual([...flags.keys()].sort(), registered.map(([, , name]) => name).sort());
	for (const [, how, name, verb] of registered) {
		assert.deepEqual(flags.get(name), how === 'reads' ? ['no-writes'] : [], name);
		const head = verb === 'function' ? `${how}\\('${name}', function\\(` : `local function ${verb}\\(`;
		const [, contract] = source.match(new RegExp(`((?:^--.*\\n)+)${head}`, 'm')) ?? [, ''];
		const parts = [...contract.matchAll(/^-- (keys|args|reply|publishes|errors): /gm)];
		assert.deepEqual(parts.map(([, part]) => part), ['keys', 'args', 'reply', 'publishes', 'errors'], name);
	}
	assert.ok(flags.size > 40 && [...flags.values()].flat().length > 10);
});

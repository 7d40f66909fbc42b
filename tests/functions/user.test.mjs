// Users: entering with a token, signing up and in, wrong passwords.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { useRedis } from './harness.mjs';

const { server, fcall, fcallRo, first, limited, refused, published, user } = useRedis();

test('a user is created at first sight', async () => {
	const [json, clock, feed] = await fcall('user_enter', 'id 1', 'Ann A.', 'Ann', 'http://i', 'a@b', 1, 'user-0');
	assert.equal(json, '{"id":"id 1","username":"Ann","name":"Ann A.","image":"http:\\/\\/i",' +
		'"email":"a@b","deleted":false}');
	assert.equal(clock, '1-0');
	assert.equal(feed, 'user:id 1');
	assert.equal(await server.redis.get('user:name:ann'), 'id 1');
	assert.equal(await server.redis.hget('user:id 1', 'username'), 'Ann');
	assert.deepEqual(await server.redis.zrange('users', 0, -1), ['ann']);
	assert.deepEqual(await published(), []);
});

test('nothing is written when the token says what is known', async () => {
	await fcall('user_enter', 'u', 'Ann', 'ann', '', '', 1, 'user-0');
	const before = await server.redis.info('commandstats');
	await fcall('user_enter', 'u', 'Ann', 'ann', '', '', 1, 'user-0');
	const writes = (text) => text.match(/cmdstat_(hset|set|zadd|incr):calls=\d+/g);
	assert.deepEqual(writes(await server.redis.info('commandstats')), writes(before));
});

test('later claims update name, image and email, never the username', async () => {
	await fcall('user_enter', 'u', 'Ann', 'ann', 'i', '', 1, 'user-0');
	const u = await first('user_enter', 'u', 'Anna', 'anna', '', 'e', 0, 'user-0');
	assert.deepEqual(u, { id: 'u', username: 'ann', name: 'Anna', image: 'i', email: 'e', deleted: false });
	assert.deepEqual(await first('user_get', 'u'), u);
});

test('a username that is invalid, missing or taken gives way', async () => {
	await user('a', 'ann');
	for (const [id, username] of [['b', 'ANN'], ['c', ''], ['d', 'a b'], ['e', 'x'.repeat(33)], ['f', 'é']])
		assert.equal((await first('user_enter', id, '', username, '', '', 1, `user-${id}`)).username, `user-${id}`);
	assert.equal((await first('user_get', 'b')).name, 'user-b');
	await user('thief', 'user-victim');
	assert.match((await first('user_enter', 'v', '', '', '', '', 1, 'user-victim')).username,
		/^user-[0-9a-f]{27}$/);
});

test('no username is given twice, whichever others took on purpose', async () => {
	const hashed = (text) => `user-${createHash('sha1').update(text).digest('hex').slice(0, 27)}`;
	const names = ['user-victim', hashed('v'), hashed(hashed('v'))];
	for (const name of names)
		await user(`holder of ${name}`, name);
	const { username } = await first('user_enter', 'v', '', '', '', '', 1, 'user-victim');
	assert.match(username, /^user-[0-9a-f]{27}$/);
	assert.equal(await server.redis.get(`user:name:${username}`), 'v');
	for (const name of names)
		assert.equal(await server.redis.get(`user:name:${name}`), `holder of ${name}`);
});

test('who may not enter', async () => {
	await refused('NOUSER user', 'user_enter', 'u', '', '', '', '', 0, 'user-0');
	await refused('INVALID id: is not 1 to 128 characters of printable ASCII',
		'user_enter', 'é', '', '', '', '', 1, 'user-0');
	await refused('INVALID id: is not 1 to 128 characters of printable ASCII',
		'user_enter', 'x'.repeat(129), '', '', '', '', 1, 'user-0');
	await user('u');
	await fcall('user_delete', 'u');
	await refused('USERDELETED user', 'user_enter', 'u', '', '', '', '', 1, 'user-0');
	await refused('NOUSER user', 'user_get', 'nobody');
});

test('ids cannot spell the keys of something else', async () => {
	await user('a', 'ann');
	for (const id of ['name', 'a:rooms', 'name:ann', 'a%3Arooms', 'a:log', '%6Eame'])
		assert.equal((await first('user_enter', id, '', '', '', '', 1, `user-${id.length}`)).id, id);
	assert.equal((await fcall('user_enter', 'a:log', '', '', '', '', 1, 'user-5'))[2], 'user:a%3Alog');
	assert.equal((await fcall('user_enter', 'name', '', '', '', '', 1, 'user-4'))[2], 'user:%6Eame');
	await fcall('room_create', 'a', 'group', '', 'PRIVATE', '', 'name', 'a:rooms', 'name:ann', 'a%3Arooms', 'a:log');
	for (const id of ['name', 'a:rooms', 'a%3Arooms'])
		assert.equal((await fcall('room_list', id, '', '', 10)).length, 3);
	await fcall('room_create', 'a', 'channel', 'x', 'PUBLIC', '');
	for (const id of ['name:x', 'direct', 'name', ''])
		await refused('NOROOM room', 'room_enter', 'a', id, '');
});

test('signing up', async () => {
	const u = await first('user_create', 'Bob', '', '', '$argon2id$x');
	assert.match(u.id, /^u[0-9a-f]{23}$/);
	assert.deepEqual(u, { id: u.id, username: 'Bob', name: 'Bob', image: null, email: null, deleted: false });
	await refused('TAKEN username: is taken', 'user_create', 'bOB', 'B', '', 'h');
	await refused('INVALID username: is not 1 to 32 of letters, digits, _ . -', 'user_create', 'b b', '', '', 'h');
	await refused('INVALID username: is not 1 to 32 of letters, digits, _ . -', 'user_create', '', '', '', 'h');
	const [, id, hash, json] = await fcall('password_try', 'BOB', 10);
	assert.deepEqual([id, hash, JSON.parse(json)], [u.id, '$argon2id$x', u]);
});

test('who has no password', async () => {
	await user('u');
	assert.deepEqual((await fcall('password_try', 'u', 10)).slice(1), ['', '', '']);
	assert.deepEqual((await fcall('password_try', 'nobody', 10)).slice(1), ['', '', '']);
	const { id } = await first('user_create', 'gone', '', '', 'h');
	await fcall('user_delete', id);
	assert.deepEqual((await fcall('password_try', 'gone', 10)).slice(1), ['', '', '']);
	await refused('TAKEN username: is taken', 'user_create', 'gone', '', '', 'h');
});

test('tries shut out the right password for a minute, unless they were right', async () => {
	const shut = async (name, limit, as = name) =>
		limited(Number(await server.redis.lindex(`wrong:${name}`, limit - 1)) + 60_000, 'password_try', as, limit);
	await fcall('user_create', 'bob', '', '', 'h');
	const tried = [];
	for (let i = 0; i < 3; i++) {
		const [at, , hash] = await fcall('password_try', 'bob', 3);
		assert.equal(hash, 'h');
		tried.push(at);
	}
	await shut('bob', 3, 'Bob');
	assert.equal(await server.redis.llen('wrong:bob'), 3, 'what is refused does not count');
	await fcall('password_right', 'bob', tried[1]);
	assert.equal((await fcall('password_try', 'bob', 3))[2], 'h');
	await shut('bob', 3);
	assert.deepEqual((await fcall('password_try', 'bob', 0)).slice(0, 1), [''], 'off');
	assert.equal((await fcall('password_try', 'bob', 4))[2], 'h', 'another limit');
	assert.ok(await server.redis.pttl('wrong:bob') > 50_000);
	await server.redis.lset('wrong:bob', 2, Date.now() - 50_000);
	await shut('bob', 3);
	await server.redis.lset('wrong:bob', 2, Date.now() - 60001);
	assert.equal((await fcall('password_try', 'bob', 3))[2], 'h');
	await fcall('password_try', 'nobody', 1);
	await shut('nobody', 1);
});

test('tries before the clock was put back shut nobody out until it is there again', async () => {
	await fcall('user_create', 'bob', '', '', 'h');
	for (let i = 0; i < 3; i++)
		await server.redis.lpush('wrong:bob', Date.now() + 3600000);
	for (let i = 0; i < 3; i++)
		assert.equal((await fcall('password_try', 'bob', 3))[2], 'h');
	await refused('RATE 60', 'password_try', 'bob', 3);
});

test('users are listed by name in pages', async () => {
	for (const name of ['Zoe', 'ann', 'Bob', 'carl'])
		await user(`id-${name}`, name);
	await fcall('user_delete', 'id-carl');
	const [next, ...users] = await fcallRo('user_list', '', 2);
	assert.equal(next, 'bob');
	assert.deepEqual(users.map((u) => JSON.parse(u).username), ['ann', 'Bob']);
	const [end, ...rest] = await fcallRo('user_list', next, 2);
	assert.equal(end, '');
	assert.deepEqual(rest.map((u) => JSON.parse(u).username), ['Zoe']);
	assert.deepEqual(await fcallRo('user_list', 'zoe', 2), ['']);
});

test('the list says who is online, and asks for that once', async () => {
	for (const name of ['ann', 'bob', 'name'])
		await user(name);
	await server.redis.sadd('online', 'bob', 'name', 'ghost');
	await server.redis.config('RESETSTAT');
	const [, ...users] = await fcallRo('user_list', '', 10);
	assert.deepEqual(users.map((u) => JSON.parse(u)).map((u) => [u.username, u.online]),
		[['ann', false], ['bob', true], ['name', true]]);
	assert.match(await server.redis.info('commandstats'), /cmdstat_smismember:calls=1,/);
	assert.ok(!('online' in await first('user_get', 'bob')), 'only where it is looked up');
});

test('the library tells its version', async () => {
	assert.equal(await fcallRo('confab_version'), 1);
});

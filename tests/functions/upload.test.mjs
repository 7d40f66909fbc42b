// Uploads: quotas, who may attach them, and that they go when no message has them.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { postArguments, useRedis } from './harness.mjs';

const { server, fcall, fcallRo, refused, user, group, direct, post } = useRedis();
const DAY = 86_400_000;
const idOf = (n) => String(n).padStart(32, '0');

beforeEach(async () => {
	for (const id of ['ann', 'bob'])
		await user(id);
});

// Stores a file of so many bytes; gives its id.
async function store(by, n, size = 10, quotas = [0, 0]) {
	const attachment = JSON.stringify({ id: idOf(n), filename: 'a/b.png', size });
	await fcall('upload_store', by, ...quotas, idOf(n), size, attachment);
	return idOf(n);
}

async function refs(id) {
	const { redis } = server;
	return [Number(await redis.hget(`upload:${id}`, 'refs')), await redis.zscore('uploads:idle', id) !== null];
}

// As if what is idle had been so for a day; gives what is to be removed.
async function dayLater(limit = 50) {
	const { redis } = server;
	for (const id of await redis.zrange('uploads:idle', 0, -1))
		await redis.zincrby('uploads:idle', -DAY, id);
	return fcall('uploads_due', limit);
}

test('a stored file is shown, counted, and idle', async () => {
	const id = await store('ann', 1, 123);
	assert.deepEqual(await fcallRo('upload_show', id), [`{"id":"${id}","filename":"a/b.png","size":123}`]);
	assert.deepEqual(await refs(id), [0, true]);
	const { redis } = server;
	assert.deepEqual([await redis.get('uploads'), await redis.hget('user:ann', 'uploaded')], ['123', '123']);
	await refused('NOTFOUND upload', 'upload_show', idOf(2));
});

test('quotas, of a user and of all', async () => {
	await store('ann', 1, 60, [100, 150]);
	const mine = 'NOSPACE Your files have no more space; old ones go when no message has them';
	const all = 'NOSPACE There is no space left for uploads';
	await refused(mine, 'upload_allow', 'ann', 100, 150, 41);
	assert.deepEqual(await fcallRo('upload_allow', 'ann', 100, 150, 40), ['1']);
	await refused(mine, 'upload_store', 'ann', 100, 150, idOf(2), 20, '{}', idOf(3), 21, '{}');
	await store('bob', 4, 60, [100, 150]);
	await refused(all, 'upload_store', 'bob', 100, 150, idOf(5), 31, '{}');
	await store('bob', 6, 1e9, [0, 0]);
});

test('who is not there stores nothing', async () => {
	await refused('NOUSER user', 'upload_store', 'nobody', 0, 0, idOf(1), 1, '{}');
	await fcall('user_delete', 'bob');
	await refused('USERDELETED user', 'upload_store', 'bob', 0, 0, idOf(1), 1, '{}');
	await refused('USERDELETED user', 'upload_allow', 'bob', 0, 0, 1);
});

test('only the uploader attaches; what is stored is what was uploaded', async () => {
	const g = await group('ann', 'bob'), id = await store('ann', 1);
	const m = await post('ann', g, 'see', { attachments: `${id}\n{"id":"https://x"}\n` });
	assert.deepEqual(m.attachments, [{ id, filename: 'a/b.png', size: 10 }, { id: 'https://x' }]);
	const refusal = 'INVALID attachments: name an unknown upload';
	for (const attachments of [id, idOf(9), 'x', `${idOf(9)}\n${id}`])
		await refused(refusal, 'message_post', ...postArguments('bob', g, 'mine', { attachments, rate: 1, burst: 5 }));
	await refused(refusal, 'direct_post', 'bob', 'ann', 'mine', id, '', 0, 0, 0, 0);
});

test('a file stays while a message has it: deleted, forwarded, trimmed, purged', async () => {
	const g = await group('ann', 'bob'), id = await store('ann', 1);
	const one = await post('ann', g, 'one', { attachments: id });
	assert.deepEqual(await refs(id), [1, false]);
	const d = await direct('ann', 'bob');
	const [forwarded] = await fcall('message_forward', 'bob', one.id, g, '', d, '', '', 0, 0, 0, 0);
	assert.deepEqual(JSON.parse(forwarded).attachments, one.attachments);
	assert.deepEqual(await refs(id), [2, false]);
	await fcall('message_delete', 'ann', one.id, g, '');
	await fcall('message_delete', 'ann', one.id, g, '');
	assert.deepEqual(await refs(id), [1, false]);
	await post('ann', g, 'two', { attachments: id });
	await post('ann', g, 'three', { history: 1 });
	assert.deepEqual(await refs(id), [1, false], 'trimmed in a group');
	assert.deepEqual(await dayLater(), []);
	await post('bob', d, 'four', { history: 1 });
	assert.deepEqual(await refs(id), [0, true], 'trimmed in a direct room');
	await post('ann', g, 'five', { attachments: id });
	for (const who of ['ann', 'bob'])
		await fcall('room_remove', who, g, who);
	assert.deepEqual(await refs(id), [1, false]);
	await fcall('worker_lease', 10000);
	assert.deepEqual(await refs(id), [0, true], 'purged with its room');
	assert.deepEqual(await dayLater(), [id]);
});

test('the same send again is no further reference', async () => {
	const g = await group('ann', 'bob'), id = await store('ann', 1);
	await post('ann', g, 'x', { attachments: id, cid: 'c' });
	await post('ann', g, 'x', { attachments: id, cid: 'c' });
	assert.deepEqual(await refs(id), [1, false]);
});

test('what is idle for a day goes, once, and its space comes back', async () => {
	const { redis } = server;
	const young = await store('ann', 0, 7);
	for (let n = 1; n <= 5; n++)
		await store('ann', n);
	assert.deepEqual(await fcall('uploads_due', 50), [], 'not yet');
	await redis.zadd('uploads:idle', Date.now() + DAY, young);
	assert.equal((await dayLater(3)).length, 3);
	assert.equal((await fcall('uploads_due', 3)).length, 2);
	assert.deepEqual(await fcall('uploads_due', 3), []);
	assert.deepEqual([await redis.get('uploads'), await redis.hget('user:ann', 'uploaded')], ['7', '7']);
	await refused('NOTFOUND upload', 'upload_show', idOf(1));
	await refused('INVALID attachments: name an unknown upload', 'message_post',
		...postArguments('ann', await group('ann'), 'late', { attachments: idOf(1) }));
	// Those of which nobody says that they are gone are asked for again.
	assert.deepEqual(await fcall('uploads_gone', idOf(1), idOf(2)), ['2']);
	for (const id of await redis.zrange('uploads:going', 0, -1))
		await redis.zincrby('uploads:going', -60_000, id);
	assert.deepEqual((await fcall('uploads_due', 50)).sort(), [3, 4, 5].map(idOf));
});

test('messages without attachments cost nothing more', async () => {
	const g = await group('ann');
	const calls = async (options) => {
		await server.redis.config('RESETSTAT');
		await post('ann', g, 'x', { history: 3, ...options });
		const stats = await server.redis.info('commandstats');
		return [...stats.matchAll(/cmdstat_(\w+).*?calls=(\d+)/g)]
			.filter(([, name]) => !/config|info|fcall/.test(name)).reduce((sum, [, , n]) => sum + Number(n), 0);
	};
	for (let i = 0; i < 4; i++)
		await post('ann', g, 'x', { history: 3 });
	const plain = await calls({});
	const id = await store('ann', 1);
	assert.ok(await calls({ attachments: id }) > plain);
	assert.equal(await calls({}), plain + 1, 'in a room that had some, trimming looks for them');
});

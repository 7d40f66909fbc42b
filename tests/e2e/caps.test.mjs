// What nothing else would bound, said in each API's words; how the bounds are kept: tests/functions/caps.
import { after, afterEach, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { enter, leaveAll } from '../lib/chatter.mjs';
import { open } from '../lib/everyone.mjs';
import { channel, conversation, person, unique } from '../lib/people.mjs';
import { redis } from '../lib/redis.mjs';
import { rest } from '../lib/rest.mjs';
import { start } from '../lib/server.mjs';
import { pool, until } from '../lib/wait.mjs';

const wait = { timeout: 120_000 };
const SLOW_DOWN = 'Rate limit exceeded. Please slow down.';

describe('caps', { timeout: 300_000 }, () => {
	let server;
	let control;
	before(async () => {
		server = await start({ options: { 'messenger-announce-limit': 0 } });
		control = redis(server);
	});
	afterEach(leaveAll);
	after(async () => {
		control?.disconnect();
		await server?.stop();
	});

	test('a socket waits for 1,000 users', wait, async () => {
		const ann = await person(server, 'Ann');
		const names = Array.from({ length: 1100 }, (_, i) => `awaited-${i}`);
		const crowd = control.pipeline();
		for (const name of names)
			crowd.fcall('user_enter', 0, name, name, name, '', '', '1', name);
		await crowd.exec();
		const one = await open(server, ann.token, 'messenger');
		const answers = new Map();
		await pool(names, 200, async (user) => answers.set(user, await one.ask('wait-for-user', { user })));
		const refused = names.filter((name) => answers.get(name).error);
		assert.equal(refused.length, 100);
		for (const name of refused)
			assert.deepEqual(answers.get(name),
				{ error: { code: 'bad-request', message: 'You wait for 1000 users, which is the most' } });
		// What it waits for already is no more than that; one less is room for another.
		const waited = names.find((name) => !answers.get(name).error);
		assert.deepEqual(await one.ask('wait-for-user', { user: waited }), {});
		await one.ask('stop-waiting-for-user', { user: waited });
		assert.deepEqual(await one.ask('wait-for-user', { user: refused[0] }), {});
		assert.ok((await one.ask('wait-for-user', { user: refused[1] })).error);
		// Redis follows no more for it either: the user's own feed and that of presence are the others.
		const [session] = await control.keys('session:*');
		const followed = (await control.hkeys(session)).filter((field) => field.startsWith('f:presence:'));
		assert.equal(followed.length, 1000);
	});

	test('who is in too many rooms is told so, over REST and by events', wait, async () => {
		const ann = await person(server, 'Ann');
		const bob = await person(server, 'Bob');
		const theirs = await channel(server, bob);
		const { name } = (await rest(server, 'GET', '/api/channels', bob.token)).json.data.find(({ id }) => id === theirs);
		const fake = Array.from({ length: 10_000 }, (_, i) => [i, `x${i}`]);
		await control.zadd(`user:${ann.id}:rooms`, ...fake.flat());
		const message = 'You are in 10000 rooms, which is the most';
		for (const [path, body] of [
			['/room/create/', { name: 'n', users: [] }],
			['/api/channels', { name: unique('c') }],
		]) {
			const { status, json } = await rest(server, 'POST', path, ann.token, body);
			assert.deepEqual([status, json], [422, { message, errors: {} }], path);
		}
		const of = `The user ${ann.id} is in 10000 rooms, which is the most`;
		const added = await rest(server, 'POST', `/api/channels/${theirs}/members`, bob.token, { users: [ann.id] });
		assert.deepEqual([added.status, added.json], [422, { message: of, errors: {} }]);
		// Their history would be looked up: the fakes are for Redis' functions alone.
		await control.zremrangebyrank(`user:${ann.id}:rooms`, 0, -1);
		const one = await open(server, ann.token, 'gateway');
		await control.zadd(`user:${ann.id}:rooms`, ...fake.flat());
		assert.deepEqual(await one.ask('joinChannel', { name }), { message });
		assert.deepEqual(await one.next('joinChannelError'), { message });
		assert.deepEqual(await one.ask('createChannel', { name: unique('d'), status: 'PUBLIC' }), { message });
	});

	test('conversations: REST, and by a first chat', wait, async () => {
		const [ann, bob] = [await person(server, 'Ann'), await person(server, 'Bob')];
		for (let from = 0; from < 50_000; from += 10_000)
			await control.zadd(`user:${ann.id}:directs`,
				...Array.from({ length: 10_000 }, (_, i) => [from + i, `x${from + i}`]).flat());
		const { status, json } = await rest(server, 'POST', '/api/conversations', ann.token, { userId: bob.id });
		assert.deepEqual([status, json],
			[422, { message: 'You have 20000 conversations, which is the most', errors: {} }]);
		const one = await open(server, bob.token, 'messenger');
		assert.deepEqual(await one.ask('send-message', { user: ann.username, message: 'hi' }), { error: {
			code: 'bad-request', message: 'The other user has 20000 conversations, which is the most' } });
	});

	test('reactions', wait, async () => {
		const ann = await person(server, 'Ann');
		const channelId = await channel(server, ann);
		const one = await enter(server, { token: ann.token });
		const { message } = await one.ask('send_message', { channelId, content: 'hi' });
		const react = (emoji) => one.ask('add_reaction', { channelId, messageId: message.id, emoji });
		for (let i = 0; i < 20; i++)
			assert.ok((await react(`e${i}`)).ok);
		const error = 'The message has your 20 reactions, which is the most';
		assert.deepEqual(await react('more'), { ok: false, error });
		assert.deepEqual(await one.next('error'), { message: error });
	});

	test('users in a lobby’s room', wait, async () => {
		const room = unique('full').replaceAll(/\W/g, '');
		await control.hset(`lobby:${room}`, ...Array.from({ length: 1000 }, (_, i) => [`n${i}`, `${i} s w`]).flat());
		const one = await enter(server, { nsp: '/lobby' });
		assert.deepEqual(await one.ask('login', { name: 'ann', room }),
			{ error: 'This room has 1000 users, which is the most' });
		await control.hdel(`lobby:${room}`, 'n1');
		assert.ok((await one.ask('login', { name: 'ann', room })).user);
	});
});

describe('large events while Redis stands still', { timeout: 300_000 }, () => {
	let server;
	let control;
	before(async () => {
		server = await start({ options: { 'max-payload': '100kb', 'queue-hard': '210kb', 'queue-soft': '100kb' } });
		control = redis(server);
	});
	after(async () => {
		leaveAll();
		control?.disconnect();
		await server?.stop();
	});

	test('a socket may keep queue-hard of them; others, and small ones, are not concerned', wait, async () => {
		const [ann, bob] = [await person(server, 'Ann'), await person(server, 'Bob')];
		const conversationId = await conversation(server, ann, bob);
		const one = await enter(server, { token: ann.token });
		const other = await enter(server, { token: bob.token });
		const pid = Number((await control.info('server')).match(/process_id:(\d+)/)[1]);
		const send = (socket, n, size) => Array.from({ length: n }, (_, i) => socket.ask('send_direct_message',
			{ conversationId, content: `n ${i}`, ignored: 'x'.repeat(size) }));
		process.kill(pid, 'SIGSTOP');
		let answers;
		try {
			const refused = [];
			const large = send(one, 20, 50_000);
			for (const answer of large)
				answer.then(({ error }) => error === SLOW_DOWN && refused.push(error), () => {});
			answers = [large, send(one, 100, 10), send(other, 3, 50_000)];
			await until(() => refused.length >= 16, 'refusals');
		} finally {
			process.kill(pid, 'SIGCONT');
		}
		const [large, small, others] = await Promise.all(answers.map((some) => Promise.all(some)));
		assert.equal(large.filter(({ error }) => error === SLOW_DOWN).length, 16);
		for (const { ok, error } of [...large.slice(0, 4), ...small, ...others])
			assert.ok(ok, error);
		for (const { ok, error } of await Promise.all(send(one, 3, 50_000)))
			assert.ok(ok, error);
	});
});

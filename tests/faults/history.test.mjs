// history-max, room-log-max and user-log-max, lowered while the server runs: what is beyond them goes, with all that
// belongs to it, in rooms where nobody posts, too.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { enter, leaveAll } from '../lib/chatter.mjs';
import { channel, conversation, person } from '../lib/people.mjs';
import { callAll } from '../lib/populate.mjs';
import { redis } from '../lib/redis.mjs';
import { rest } from '../lib/rest.mjs';
import { start } from '../lib/server.mjs';
import { sized } from '../lib/size.mjs';
import { until } from '../lib/wait.mjs';

const SAID = sized(1500, 20_000);     // in each room
const KEPT = 50;
const FEWER = 10;
const LOGGED = 20;
const NODE = 100;                     // a log is trimmed by whole pieces, of at most so many events
const TEXT = 'something said of which nothing is to remain after a while, '.repeat(3);

const post = (by, room, content, attachments = '') =>
	['message_post', by.id, room, '', content, '', attachments, '', 0, 0, 0, 0];

describe('history', { timeout: 600_000 }, () => {
	let server, r, ann, bob, busy, busyName, idle, chat, file, made;

	// The file has these directives from now on, and no others; workers that have read it.
	async function reload(...lines) {
		const pids = server.workers().map(({ pid }) => pid);
		fs.writeFileSync(server.file, lines.map((line) => `${line}\n`).join(''));
		process.kill(server.pid, 'SIGHUP');
		await until(() => {
			const now = server.workers().map(({ pid }) => pid);
			return now.length === pids.length && !now.some((pid) => pids.includes(pid));
		}, 'new workers');
	}

	const kept = (room) => r.zcard(`room:${room}:messages`);
	const trimmed = (n, ms) => until(async () => (await Promise.all([busy, idle, chat].map(kept))).every((each) => each === n) &&
		await r.exists('trimming') === 0, `rooms of ${n} messages`, { ms });
	const get = async (path, who = ann) => {
		const answer = await rest(server, 'GET', path, who.token);
		assert.equal(answer.status, 200, answer.body);
		return answer.json;
	};
	const allocated = async () => {
		const stats = await r.memory('STATS');
		return Number(stats[stats.indexOf('dataset.bytes') + 1]);
	};

	before(async () => {
		server = await start({ options: { workers: 2 } });
		r = redis(server);
		[ann, bob] = [await person(server, 'Ann'), await person(server, 'Bob')];
		busy = await channel(server, ann, [bob]);
		busyName = await r.hget(`room:${busy}`, 'name');
		idle = await channel(server, ann, [bob]);
		chat = await conversation(server, ann, bob);
	});
	after(async () => {
		leaveAll();
		r?.disconnect();
		await server?.stop();
	});

	test('all is kept as long as nothing is said', async () => {
		const form = new FormData();
		form.append('file', new Blob(['Hello!\n']), 'hello.txt');
		const answer = await fetch(`${server.url}/api/upload`,
			{ method: 'POST', body: form, headers: { Authorization: `Bearer ${ann.token}` } });
		file = (await answer.json()).data.id;
		const loaded = [[busy, ann], [idle, ann], [chat, ann]].flatMap(([room, by]) =>
			Array.from({ length: SAID }, (_, i) => post(by, room, `${i} ${TEXT}`, i === 3 ? file : '')));
		made = (await callAll(r, loaded)).map(([json]) => JSON.parse(json).id);
		await callAll(r, made.slice(0, 5).map((id) => ['message_react', ann.id, id, busy, '', '+']));
		assert.equal(await r.hget(`upload:${file}`, 'refs'), '3');
		assert.equal((await get(`/api/messages?channelId=${busy}`)).total, SAID);
		assert.equal((await r.hget('counts', 'messages')), String(3 * SAID));
	});

	test('lowered by a reload: messages go with their reactions, attachments and marks, and the memory returns', async () => {
		const full = await allocated();
		await reload(`history-max ${KEPT}`);
		await trimmed(KEPT, 300_000);
		const gone = made.filter((_, i) => i % SAID < SAID - KEPT);
		assert.equal(gone.length, 3 * (SAID - KEPT));
		const left = await r.exists(...gone.slice(0, 5000).flatMap((id) => [`message:${id}`, `message:${id}:reactions`]));
		assert.equal(left, 0);
		assert.equal(await r.hget('counts', 'messages'), String(3 * KEPT));
		assert.equal(await r.hget(`upload:${file}`, 'refs'), '0');
		assert.notEqual(await r.zscore('uploads:idle', file), null, 'the file goes, unless it is used within a day');
		const [, ...rooms] = await r.fcall_ro('room_list', 0, bob.id, 'direct', '', 10);
		assert.equal(JSON.parse(rooms[1]).unread, KEPT, 'what is gone is no news');
		await until(async () => full - await allocated() > 3 * (SAID - KEPT) * TEXT.length, 'memory that is free again');
	});

	test('pages end where the history does, and go on from what is gone', async () => {
		const [first, last] = [made[0], made[SAID - 1]];
		assert.equal((await get(`/api/messages?channelId=${busy}&page=1&limit=100`)).data.length, KEPT);
		assert.deepEqual((await get(`/api/messages?channelId=${busy}&page=2&limit=100`)).data, []);
		assert.equal((await get(`/api/conversations/${chat}/messages?limit=100`)).total, KEPT);
		const { posts, next } = await get(`/room/posts/${busy}?limit=100`);
		assert.deepEqual([posts.length, next, posts[0].postId], [KEPT, null, last]);
		assert.deepEqual(await get(`/room/posts/${busy}?before=${first}`), { posts: [], next: null });
		assert.deepEqual(await get(`/api/rooms/${busyName}/messages?before=${first}`), { messages: [], next: null });
		assert.equal((await get(`/room/posts/${busy}?before=${last}&limit=100`)).posts.length, KEPT - 1);
		const chatter = await enter(server, { token: ann.token, path: '/ws/', nsp: '/chat' });
		const said = await chatter.ask('fetch-conversation-with-user', { user: bob.username, before: made[2 * SAID] });
		assert.deepEqual(said.chats ?? said.conversation, []);
	});

	test('a message that is gone is not found, and a reply to it stays', async () => {
		const socket = await enter(server, { token: ann.token, nsp: '/channels' });
		const answer = await socket.ask('send_message', { channelId: busy, content: 'a reply', replyToId: made[SAID - KEPT] });
		assert.equal(answer.ok, true, JSON.stringify(answer));
		assert.equal(await kept(busy), KEPT, 'each that is sent takes the place of one');
		const [newest] = (await get(`/api/messages?channelId=${busy}&limit=1`)).data;
		assert.deepEqual([newest.content, newest.replyToId, newest.replyTo ?? null], ['a reply', made[SAID - KEPT], null]);
		for (const [event, more] of [['edit_message', { content: 'x' }], ['delete_message', {}], ['add_reaction', { emoji: '+' }]]) {
			assert.deepEqual(await socket.ask(event, { messageId: made[0], channelId: busy, ...more }),
				{ ok: false, error: 'Message not found' });
		}
		const reply = await socket.ask('send_message', { channelId: busy, content: 'late', replyToId: made[0] });
		assert.equal(reply.ok, false);
	});

	test('lowered again, while nobody posts; and all is kept again', async () => {
		await reload(`history-max ${FEWER}`);
		await trimmed(FEWER, 60_000);
		await reload('history-max 0');
		const socket = await enter(server, { token: ann.token, nsp: '/channels' });
		for (let i = 0; i < 3; i++)
			assert.equal((await socket.ask('send_message', { channelId: busy, content: 'more' })).ok, true);
		assert.deepEqual([await kept(busy), await kept(idle)], [FEWER + 3, FEWER]);
	});

	test('logs of rooms and of users are bounded, each by its own directive', async () => {
		await reload(`room-log-max ${LOGGED}`, `user-log-max ${LOGGED}`);
		await until(async () => (await r.mget('log-max:room', 'log-max:user')).every((max) => max === String(LOGGED)), 'log-max');
		await callAll(r, Array.from({ length: 5 * NODE }, () => post(ann, idle, 'x')));
		await callAll(r, Array.from({ length: 5 * NODE }, () => ['room_create', bob.id, 'group', '', 'PRIVATE', '']));
		for (const log of [`room:${idle}:log`, `user:${bob.id}:log`]) {
			const n = await r.xlen(log);
			assert.ok(n >= LOGGED && n <= LOGGED + NODE, `${log}: ${n}`);
		}
	});
});

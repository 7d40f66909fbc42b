// Rooms over REST, /room/…: of a server whose users hear of them by notifications.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { hangUpAll, listen } from '../lib/listener.mjs';
import { channel, conversation, person, unique } from '../lib/people.mjs';
import { get, heardBy, make, post, say } from '../lib/rooms.mjs';
import { rest } from '../lib/rest.mjs';
import { start } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';

describe('rooms', { timeout: 600_000 }, () => {
	let server;
	let ann;
	let bob;
	let eve;
	before(async () => {
		server = await start({ root: 'gateway' });
		ann = await person(server, 'Ann');
		bob = await person(server, 'Bob');
		eve = await person(server, 'Eve');
	});
	after(async () => {
		hangUpAll();
		await server?.stop();
	});

	test('rooms are listed with what is unread', async () => {
		const dan = await person(server, 'Dan');
		assert.deepEqual((await get(server, dan, '/room/')).json, { rooms: [], next: null });
		const group = await make(server, ann, [dan, bob], { name: 'Pals' });
		const direct = await conversation(server, ann, dan);
		const unnamed = await make(server, dan);
		await say(server, ann, group, 'one');
		await say(server, dan, group, 'mine');
		const { createdAt } = await say(server, bob, group, 'two');
		const { createdAt: lastPostAt } = await say(server, ann, direct, 'psst');
		const rows = [
			{ roomId: group, name: 'Pals', kind: 'group', members: 3, lastPostAt: createdAt, unread: 2 },
			{ roomId: direct, name: null, kind: 'direct', members: 2, lastPostAt, unread: 1 },
			{ roomId: unnamed, name: null, kind: 'group', members: 1, lastPostAt: null, unread: 0 },
		];
		const answer = await get(server, dan, '/room/');
		assert.equal(answer.status, 200);
		assert.deepEqual(answer.json, { rooms: rows, next: null });
		// Fetching posts reads them; direct chats are read one by one.
		for (const id of [group, direct])
			assert.equal((await get(server, dan, `/room/posts/${id}?limit=1`)).json.posts.length, 1);
		rows[0].unread = 0;
		assert.deepEqual((await get(server, dan, '/room')).json.rooms, rows);
		assert.equal((await get(server, bob, '/room?limit=1000')).json.rooms
			.find(({ roomId }) => roomId === group).unread, 2);
		// In pages.
		const seen = [];
		let next = '';
		do {
			const { json } = await get(server, dan, `/room/?limit=2&after=${next}`);
			seen.push(...json.rooms);
			next = json.next;
		} while (next !== null);
		assert.deepEqual(seen, rows);
	});

	test('a room is shown with its users, and who is online', async () => {
		const [dan, fay] = [await person(server, 'Dan'), await person(server, 'Fay')];
		const id = await make(server, dan, [fay], { name: 'Pals' });
		const user = ({ id: userId, username, name }, isOnline) => ({ userId, username, name, isOnline });
		const answer = await get(server, dan, `/room/${id}/`);
		assert.equal(answer.status, 200);
		assert.deepEqual(answer.json, { roomId: id, name: 'Pals', kind: 'group',
			users: [user(dan, false), user(fay, false)], next: null });
		const fays = await listen(server, fay);
		await until(async () => (await get(server, dan, `/room/${id}`)).json.users[1].isOnline, 'Fay online');
		const { json } = await get(server, dan, `/room/${id}?limit=1`);
		assert.deepEqual(json.users, [user(dan, false)]);
		assert.deepEqual((await get(server, dan, `/room/${id}?limit=1&after=${json.next}`)).json.users,
			[user(fay, true)]);
		fays.hangUp();
		await until(async () => !(await get(server, dan, `/room/${id}`)).json.users[1].isOnline, 'Fay gone');
	});

	test('posts come newest first, page by page', async () => {
		const id = await make(server, ann, [bob]);
		const said = [];
		for (let n = 0; n < 7; n++)
			said.unshift({ userId: ann.id, content: `n ${n}`, ...await say(server, ann, id, `n ${n}`) });
		const seen = [];
		let next = '';
		do {
			const { status, json } = await get(server, bob, `/room/posts/${id}?limit=3&before=${next}`);
			assert.equal(status, 200);
			seen.push(...json.posts);
			next = json.next;
		} while (next !== null);
		assert.deepEqual(seen, said.map(({ postId, userId, content, createdAt }) =>
			({ postId, userId, content, createdAt })));
		assert.deepEqual((await get(server, bob, `/room/posts/${id}`)).json, { posts: seen, next: null });
	});

	test('the same clientMessageId is one post', async () => {
		const id = await make(server, ann, [bob]);
		const one = await listen(server, bob);
		const body = { content: 'once', clientMessageId: unique('cmid') };
		const answers = await Promise.all([body, body, { ...body, content: 'other' }].map((each) =>
			post(server, ann, `/room/post/${id}`, each)));
		for (const { status, json } of answers)
			assert.deepEqual([status, json], [201, answers[0].json]);
		assert.equal((await heardBy(server, one, bob)).length, 1);
		one.hangUp();
	});

	test('content may have 2,000 characters', async () => {
		const id = await make(server, ann);
		const content = '\u{1f44b}'.repeat(2000);
		await say(server, ann, id, content);
		assert.equal((await get(server, ann, `/room/posts/${id}`)).json.posts[0].content, content);
	});

	// Each request about a room, with a body that is good.
	const REQUESTS = [
		['POST', 'post', () => ({ content: 'a' })],
		['POST', 'invite', () => ({ users: [eve.id] })],
		['POST', 'leave', () => undefined],
		['GET', '', () => undefined],
		['GET', 'posts', () => undefined],
	];
	const where = (verb, id) => (verb ? `/room/${verb}/${id}` : `/room/${id}`);

	for (const [method, verb, body] of REQUESTS) {
		test(`${method} ${where(verb, '{roomId}')}: for members of a room that is there`, async () => {
			for (const id of [await make(server, ann), await channel(server, ann), await conversation(server, ann, bob)]) {
				const answer = await rest(server, method, where(verb, id), eve.token, body());
				assert.equal(answer.status, 403, answer.body);
				assert.deepEqual(answer.json, { message: 'Not a member of this room', errors: {} });
			}
			const none = await rest(server, method, where(verb, 'r0'), ann.token, body());
			assert.equal(none.status, 404, none.body);
			assert.deepEqual(none.json, { message: 'Room not found', errors: {} });
		});
	}

	test('every request wants a token', async () => {
		for (const [method, path, body] of [
			...REQUESTS.map(([m, verb, b]) => [m, where(verb, 'r0'), b()]),
			['POST', '/room/create', { users: [] }], ['GET', '/room'],
		]) {
			const answer = await rest(server, method, path, null, body);
			assert.deepEqual([answer.status, answer.json.errors], [401, {}], `${method} ${path}`);
		}
	});

	for (const [what, path, body, field, text] of [
		['no users', '/room/create', {}, 'users', /is required/],
		['users that are no array', '/room/create', { users: 'bob' }, 'users', /array/],
		['an unknown user', '/room/create', { users: ['nobody'] }, 'users', /unknown user nobody/],
		['an empty name', '/room/create', { users: [], name: '' }, 'name', /./],
		['a name of 65', '/room/create', { users: [], name: 'x'.repeat(65) }, 'name', /./],
		['no content', 'post', {}, 'content', /is required/],
		['empty content', 'post', { content: '' }, 'content', /./],
		['content of 2,001', 'post', { content: 'x'.repeat(2001) }, 'content', /2000/],
		['content that is no text', 'post', { content: 7 }, 'content', /string/],
		['a NUL in the content', 'post', { content: 'a\u0000b' }, 'content', /./],
		['a clientMessageId of 65', 'post', { content: 'a', clientMessageId: 'x'.repeat(65) },
			'clientMessageId', /./],
		['nobody invited', 'invite', { users: [] }, 'users', /./],
		['an unknown user invited', 'invite', { users: ['nobody'] }, 'users', /unknown user nobody/],
		['limit 0', '?limit=0', undefined, 'limit', /./],
		['limit 1001', '?limit=1001', undefined, 'limit', /./],
		['an after of nowhere', '?after=x', undefined, 'after', /./],
		['101 posts', 'posts?limit=101', undefined, 'limit', /./],
		['posts before nothing', 'posts?before=x', undefined, 'before', /./],
	]) {
		test(`${what} gets 422`, async () => {
			const id = await make(server, ann);
			const [verb, query = ''] = path.split('?');
			const url = path.startsWith('/') ? path : where(verb, id) + (query && `?${query}`);
			const answer = await rest(server, body ? 'POST' : 'GET', url, ann.token, body);
			assert.equal(answer.status, 422, answer.body);
			assert.equal(Object.keys(answer.json.errors)[0].replace(/[[.].*/, ''), field);
			assert.match(Object.values(answer.json.errors)[0][0], text);
		});
	}

	test('of users some are unknown: nothing is done', async () => {
		const one = await listen(server, bob);
		const id = await make(server, ann);
		assert.equal((await post(server, ann, '/room/create', { users: [bob.id, 'nobody'] })).status, 422);
		assert.equal((await post(server, ann, `/room/invite/${id}`, { users: [bob.id, 'nobody'] })).status, 422);
		assert.equal((await get(server, ann, `/room/${id}`)).json.users.length, 1);
		assert.deepEqual(await heardBy(server, one, bob), []);
		one.hangUp();
	});

	test('a direct room is not left, and nobody is invited to it', async () => {
		const id = await conversation(server, ann, bob);
		for (const [verb, body] of [['leave', undefined], ['invite', { users: [eve.id] }]]) {
			const answer = await post(server, ann, `/room/${verb}/${id}`, body);
			assert.equal(answer.status, 422, answer.body);
			assert.deepEqual(answer.json, { message: 'roomId is direct', errors: { roomId: ['is direct'] } });
		}
	});

	test('nobody writes to a deleted user; what was said stays readable', async () => {
		const dan = await person(server, 'Dan');
		const id = await conversation(server, ann, dan);
		await say(server, dan, id, 'bye');
		await rest(server, 'DELETE', '/login/delete', dan.token);
		const answer = await post(server, ann, `/room/post/${id}`, { content: 'a' });
		assert.equal(answer.status, 403);
		assert.deepEqual(answer.json, { message: 'The other user has been deleted', errors: {} });
		assert.equal((await get(server, ann, `/room/posts/${id}`)).json.posts[0].content, 'bye');
	});

	test('methods and bodies', async () => {
		const id = await make(server, ann);
		const answer = await rest(server, 'GET', `/room/post/${id}`, ann.token);
		assert.deepEqual([answer.status, answer.headers.allow], [405, 'POST']);
		assert.equal((await rest(server, 'DELETE', '/room/', ann.token)).headers.allow, 'GET');
		assert.equal((await rest(server, 'POST', '/room/create', ann.token, '[')).status, 400);
		assert.equal((await rest(server, 'POST', '/room/create', ann.token, '[]')).status, 400);
		assert.equal((await rest(server, 'POST', '/room/create', ann.token, 'users=a',
			{ 'Content-Type': 'application/x-www-form-urlencoded' })).status, 415);
	});

	test('a room that everybody left is gone', async () => {
		const id = await make(server, ann, [bob]);
		for (const who of [ann, bob])
			assert.equal((await post(server, who, `/room/leave/${id}`, {})).status, 200);
		assert.equal((await get(server, ann, `/room/${id}`)).status, 404);
	});
});

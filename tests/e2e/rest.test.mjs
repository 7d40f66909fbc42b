// REST of the channels API: channels, members, conversations, history, health and stats.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { enter, leaveAll } from '../lib/chatter.mjs';
import { channel, conversation, person, unique } from '../lib/people.mjs';
import { rest } from '../lib/rest.mjs';
import { freePort, start } from '../lib/server.mjs';
import { token } from '../lib/token.mjs';
import { until } from '../lib/wait.mjs';
import { request } from '../lib/wire.mjs';

const ISO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

describe('REST', { timeout: 600_000 }, () => {
	let server;
	let ann;
	let bob;
	let eve;
	before(async () => {
		server = await start();
		ann = await person(server, 'Ann');
		bob = await person(server, 'Bob');
		eve = await person(server, 'Eve');
	});
	after(async () => {
		leaveAll();
		await server?.stop();
	});

	const get = (who, path) => rest(server, 'GET', path, who.token);
	const post = (who, path, body) => rest(server, 'POST', path, who.token, body);
	const remove = (who, path) => rest(server, 'DELETE', path, who.token);
	const members = async (who, id) =>
		(await get(who, `/api/channels/${id}/members`)).json.data.map((member) => member.id).sort();

	describe('channels', () => {
		test('made, and listed for those who may see it', async () => {
			const name = unique('general');
			const made = await post(ann, '/api/channels', { name, members: [bob.id] });
			assert.equal(made.status, 201, made.body);
			const { data } = made.json;
			assert.match(data.createdAt, ISO_TIME);
			assert.deepEqual(data, { id: data.id, name, private: false, ownerId: ann.id, memberCount: 2,
				isMember: true, createdAt: data.createdAt });
			const seen = async (who) => (await get(who, '/api/channels')).json.data
				.find(({ id }) => id === data.id);
			assert.deepEqual(await seen(bob), data);
			assert.deepEqual(await seen(eve), { ...data, isMember: false });
		});

		test('a private one is seen by its members only', async () => {
			const id = await channel(server, ann, [bob], { private: true });
			const seen = async (who) => (await get(who, '/api/channels')).json.data
				.find((one) => one.id === id);
			assert.equal((await seen(bob)).private, true);
			assert.equal(await seen(eve), undefined);
			assert.equal((await post(eve, `/api/channels/${id}/members`, { users: [eve.id] })).status, 403);
		});

		test('a name is taken once', async () => {
			const name = unique('once');
			assert.equal((await post(ann, '/api/channels', { name })).status, 201);
			assert.equal((await post(bob, '/api/channels', { name })).status, 409);
			// Names are case-sensitive.
			assert.equal((await post(bob, '/api/channels', { name: name.toUpperCase() })).status, 201);
		});

		for (const [what, body, field] of [
			['no name', {}, 'name'],
			['an empty name', { name: '' }, 'name'],
			['a name of 65', { name: 'x'.repeat(65) }, 'name'],
			['a slash in the name', { name: 'a/b' }, 'name'],
			['an @ in the name', { name: 'a@b' }, 'name'],
			['a control character in the name', { name: 'a\u0007b' }, 'name'],
			['a name that is no text', { name: 7 }, 'name'],
			['private that is no truth', { name: 'a', private: 'yes' }, 'private'],
			['members that are no array', { name: 'a', members: 'bob' }, 'members'],
			['a member that is no text', { name: 'a', members: [1] }, 'members'],
		]) {
			test(`${what} gets 422`, async () => {
				const answer = await post(ann, '/api/channels', body);
				assert.equal(answer.status, 422, answer.body);
				assert.ok(Object.keys(answer.json.errors)[0].startsWith(field), answer.body);
			});
		}

		test('members come and go', async () => {
			const id = await channel(server, ann);
			assert.deepEqual(await members(ann, id), [ann.id]);
			assert.equal((await post(ann, `/api/channels/${id}/members`, { users: [bob.id] })).status, 200);
			// Once more changes nothing.
			assert.equal((await post(ann, `/api/channels/${id}/members`, { users: [bob.id] })).status, 200);
			assert.deepEqual(await members(bob, id), [ann.id, bob.id].sort());
			// A stranger adds only themselves, and only to a public channel.
			const carl = await person(server, 'Carl');
			assert.equal((await post(eve, `/api/channels/${id}/members`, { users: [carl.id] })).status, 403);
			assert.equal((await post(eve, `/api/channels/${id}/members`, { users: [eve.id] })).status, 200);
			// Only the owner removes others.
			assert.equal((await remove(eve, `/api/channels/${id}/members/${bob.id}`)).status, 403);
			assert.equal((await remove(ann, `/api/channels/${id}/members/${bob.id}`)).status, 200);
			assert.equal((await remove(eve, `/api/channels/${id}/members/${eve.id}`)).status, 200);
			assert.deepEqual(await members(ann, id), [ann.id]);
			assert.equal((await get(bob, `/api/channels/${id}/members`)).status, 403);
		});

		test('the owner gone, the longest-standing member owns', async () => {
			const id = await channel(server, ann, [bob]);
			await post(ann, `/api/channels/${id}/members`, { users: [eve.id] });
			assert.equal((await remove(ann, `/api/channels/${id}/members/${ann.id}`)).status, 200);
			const { json } = await get(bob, '/api/channels');
			assert.equal(json.data.find((one) => one.id === id).ownerId, bob.id);
		});

		test('who is removed hears nothing more', async () => {
			const id = await channel(server, ann, [bob]);
			const one = await enter(server, { token: bob.token });
			const other = await enter(server, { token: ann.token });
			await one.ask('join_channel', { channelId: id });
			assert.equal((await remove(ann, `/api/channels/${id}/members/${bob.id}`)).status, 200);
			await other.ask('join_channel', { channelId: id });
			await other.ask('send_message', { channelId: id, content: 'without Bob' });
			await other.next('new_message');
			await one.fence();
			assert.equal(one.count('new_message'), 0);
			assert.equal((await one.ask('send_message', { channelId: id, content: 'a' })).error,
				'Access denied to channel');
		});

		test('what is not there', async () => {
			const id = await channel(server, ann);
			assert.equal((await get(ann, '/api/channels/nowhere/members')).status, 404);
			assert.equal((await post(ann, '/api/channels/nowhere/members', { users: [bob.id] })).status, 404);
			assert.equal((await post(ann, `/api/channels/${id}/members`, { users: ['nobody'] })).status, 404);
		});
	});

	describe('conversations', () => {
		test('one per pair, whoever asks', async () => {
			const one = await person(server, 'One');
			const two = await person(server, 'Two');
			const made = await post(one, '/api/conversations', { userId: two.id });
			assert.equal(made.status, 201, made.body);
			const { data } = made.json;
			assert.match(data.createdAt, ISO_TIME);
			assert.deepEqual(data.user, { id: two.id, username: two.username, name: 'Two', image: null });
			assert.deepEqual(Object.keys(data).sort(), ['createdAt', 'id', 'lastMessageAt', 'user']);
			for (const [who, whom] of [[one, two], [two, one]]) {
				const again = await post(who, '/api/conversations', { userId: whom.id });
				assert.equal(again.status, 200);
				assert.equal(again.json.data.id, data.id);
				assert.equal(again.json.data.user.id, whom.id);
			}
			assert.deepEqual((await get(two, '/api/conversations')).json.data.map(({ id }) => id), [data.id]);
			assert.deepEqual((await get(one, '/api/conversations')).json.data[0], data);
		});

		test('of many at once one is made', async () => {
			const one = await person(server, 'One');
			const two = await person(server, 'Two');
			const all = await Promise.all([one, two, one, two, one].map((who) =>
				post(who, '/api/conversations', { userId: who === one ? two.id : one.id })));
			assert.equal(new Set(all.map(({ json }) => json.data.id)).size, 1);
			assert.equal(all.filter(({ status }) => status === 201).length, 1);
		});

		test('none with oneself, none with nobody', async () => {
			assert.equal((await post(ann, '/api/conversations', { userId: ann.id })).status, 422);
			assert.equal((await post(ann, '/api/conversations', { userId: 'nobody' })).status, 404);
			assert.equal((await post(ann, '/api/conversations', {})).status, 422);
		});

		test('closed to others', async () => {
			const id = await conversation(server, ann, bob);
			assert.equal((await get(eve, `/api/conversations/${id}/messages`)).status, 403);
			assert.equal((await get(ann, '/api/conversations/nowhere/messages')).status, 404);
		});
	});

	describe('history', () => {
		const KINDS = {
			channel: {
				room: () => channel(server, ann, [bob]),
				event: 'send_message', field: 'channelId',
				path: (id, query) => `/api/messages?channelId=${id}${query}`,
			},
			conversation: {
				room: () => conversation(server, ann, bob),
				event: 'send_direct_message', field: 'conversationId',
				path: (id, query) => `/api/conversations/${id}/messages?${query.slice(1)}`,
			},
		};
		for (const [kind, { room, event, field, path }] of Object.entries(KINDS)) {
			test(`of a ${kind}, page by page, newest first`, async () => {
				const id = await room();
				const one = await enter(server, { token: ann.token });
				const total = 125;
				for (let i = 0; i < total; i++)
					assert.equal((await one.ask(event, { [field]: id, content: `n ${i}` })).ok, true);
				const heard = [];
				for (let page = 1; page <= 3; page++) {
					const { status, json, body } = await get(bob, path(id, `&page=${page}`));
					assert.equal(status, 200, body);
					assert.deepEqual({ ...json, data: null },
						{ data: null, page, limit: 50, total, hasMore: page < 3 });
					heard.push(...json.data);
				}
				assert.deepEqual(heard.map(({ content }) => content),
					Array.from({ length: total }, (_, i) => `n ${total - 1 - i}`));
				const [last] = heard;
				assert.match(last.createdAt, ISO_TIME);
				assert.deepEqual(last, {
					id: last.id, content: 'n 124', [field]: id, userId: ann.id, createdAt: last.createdAt,
					updatedAt: last.updatedAt, replyToId: null,
					user: { id: ann.id, name: 'Ann', image: null }, replyTo: null, attachments: [],
					reactions: [],
				});
				const few = await get(bob, path(id, '&page=2&limit=3'));
				assert.deepEqual(few.json.data.map(({ content }) => content), ['n 121', 'n 120', 'n 119']);
				const beyond = await get(bob, path(id, '&page=99'));
				assert.deepEqual([beyond.json.data, beyond.json.hasMore], [[], false]);
			});

			test(`of a ${kind}: odd pages and limits`, async () => {
				const id = await room();
				for (const query of ['&page=0', '&page=-1', '&page=x', '&limit=0', '&limit=x', '&page=1.5']) {
					const { status, body } = await get(ann, path(id, query));
					assert.equal(status, 422, `${query}: ${body}`);
				}
				const much = await get(ann, path(id, '&limit=100000'));
				assert.ok(much.status === 422 || much.json.limit === 100, much.body);
			});
		}

		test('is for members', async () => {
			const id = await channel(server, ann, [bob]);
			assert.equal((await get(eve, `/api/messages?channelId=${id}`)).status, 403);
			assert.equal((await get(ann, '/api/messages?channelId=nowhere')).status, 404);
			assert.equal((await get(ann, '/api/messages')).status, 422);
		});

		test('shows edits, replies and reactions', async () => {
			const id = await channel(server, ann, [bob]);
			const one = await enter(server, { token: ann.token });
			await one.ask('join_channel', { channelId: id });
			await one.ask('send_message', { channelId: id, content: 'first' });
			const first = await one.next('new_message');
			await one.ask('send_message', { channelId: id, content: 'second', replyToId: first.id });
			await one.ask('edit_message', { channelId: id, messageId: first.id, content: 'edited' });
			const { reaction } = await one.ask('add_reaction',
				{ channelId: id, messageId: first.id, emoji: '🎉' });
			const { data: [second, old] } = (await get(bob, `/api/messages?channelId=${id}`)).json;
			assert.equal(old.content, 'edited');
			assert.ok(old.updatedAt >= old.createdAt);
			assert.equal(reaction.user.name, 'Ann');
			assert.deepEqual(old.reactions, [reaction]);
			assert.deepEqual(second.replyTo.reactions, [reaction]);
			assert.equal(second.replyToId, first.id);
			assert.equal(second.replyTo.id, first.id);
			assert.equal(second.replyTo.replyTo, null);
		});
	});

	test('health needs no token', async () => {
		assert.equal((await request(server.port, { path: '/health' })).status, 200);
	});

	test('stats count over all workers', async () => {
		const stats = async (path = '/api/stats') => {
			const { status, json, body } = await get(ann, path);
			assert.equal(status, 200, body);
			return json;
		};
		const connected = (n) => until(async () => {
			const json = await stats();
			return json.total.connections === n && json;
		}, `stats of ${n} connections`);
		leaveAll();
		const before = await connected(0);
		const crowd = [];
		for (const travel of ['websocket', 'polling', 'upgrade', 'websocket', 'websocket', 'polling'])
			crowd.push(await enter(server, { token: ann.token, travel }));
		const id = await channel(server, ann, [bob]);
		for (const one of crowd)
			await one.ask('join_channel', { channelId: id });
		await crowd[0].ask('send_message', { channelId: id, content: 'to six' });
		for (const one of crowd)
			await one.next('new_message');
		const now = await connected(crowd.length);
		assert.deepEqual(Object.keys(now).sort(), ['queueBytes', 'redis', 'total', 'workers']);
		assert.deepEqual(Object.keys(now.total).sort(), ['connections', 'messages', 'rooms', 'users']);
		assert.equal(now.redis, 'up');
		assert.equal(typeof now.queueBytes, 'number');
		assert.equal(now.total.rooms, before.total.rooms + 1);
		assert.equal(now.total.messages, before.total.messages + 1);
		assert.ok(now.total.users >= 3, JSON.stringify(now.total));
		assert.deepEqual(now.workers.map(({ worker }) => worker), [0, 1, 2, 3]);
		const sum = (json, word) => json.workers.reduce((n, each) => n + each[word], 0);
		assert.equal(sum(now, 'connections'), now.total.connections);
		assert.ok(sum(now, 'deliveries') >= sum(before, 'deliveries') + crowd.length);
		assert.ok(sum(now, 'events') >= sum(before, 'events') + crowd.length + 1);
		leaveAll();
		const ended = ({ workers }) => workers.flatMap(({ closed }) => Object.values(closed))
			.reduce((all, n) => all + n, 0);
		assert.equal(ended(await connected(0)), ended(now) + crowd.length);
		assert.deepEqual(Object.keys(await stats('/api/ws/stats')).sort(), Object.keys(now).sort());
	});

	test('CORS is open, preflight included', async () => {
		const Origin = 'https://app.example';
		const answer = await request(server.port, { path: '/api/channels', headers: { Origin } });
		assert.equal(answer.status, 401);
		assert.equal(answer.headers['access-control-allow-origin'], '*');
		const preflight = await request(server.port, {
			method: 'OPTIONS', path: '/api/channels',
			headers: { Origin, 'Access-Control-Request-Method': 'POST',
				'Access-Control-Request-Headers': 'authorization' },
		});
		assert.equal(preflight.status, 204);
		assert.match(preflight.headers['access-control-allow-headers'], /authorization/i);
	});
});

describe('REST without Redis', { timeout: 120_000 }, () => {
	let server;
	before(async () => {
		server = await start({ options: { redis: `127.0.0.1:${await freePort()}` }, healthy: [503] });
	});
	after(() => server?.stop());

	test('stats say so, and what is known', async () => {
		const { status, json, body } = await rest(server, 'GET', '/api/stats', token({ sub: 'ann' }));
		assert.equal(status, 200, body);
		assert.equal(json.redis, 'down');
		assert.deepEqual(json.total, { connections: 0, users: null, rooms: null, messages: null });
		assert.deepEqual(json.workers.map(({ worker, redisUp }) => [worker, redisUp]),
			[[0, 0], [1, 0], [2, 0], [3, 0]]);
		assert.equal(json.queueBytes, 0);
		assert.equal((await rest(server, 'GET', '/api/stats', token({ sub: 'ann', exp: 1 }))).status, 401);
		assert.equal((await rest(server, 'GET', '/api/stats')).status, 401);
	});

	test('all else is unavailable for now', async () => {
		for (const path of ['/api/channels', '/login/me', '/health']) {
			const answer = await rest(server, 'GET', path, token({ sub: 'ann' }));
			assert.equal(answer.status, 503, answer.body);
			assert.deepEqual(answer.json.errors, {});
			assert.ok(Number(answer.headers['retry-after']) > 0);
			assert.equal(answer.headers['access-control-expose-headers'], 'Retry-After');
		}
	});
});

// Every list of every API: no page has more than its bound, and there is a way on to all the rest.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { leaveAll } from '../lib/chatter.mjs';
import { open } from '../lib/everyone.mjs';
import { person } from '../lib/people.mjs';
import { redis } from '../lib/redis.mjs';
import { rest } from '../lib/rest.mjs';
import { start } from '../lib/server.mjs';

const LIST = 1000;
const PAGE = 100;
const MORE = 3;          // than a page has
const wait = { timeout: 240_000 };

const range = (n) => Array.from({ length: n }, (_, i) => i);
const ids = (key) => (list) => list.map((entry) => entry[key]);

// Of each list: how it is asked for, where the entries are, what all of them are, and what leads on. `most`: of a
// page; `usual`: without a limit. What is not paged: updateChatHistory (below), the users of a lobby's room and
// the reactions of a message (caps.test.mjs), and what a client lists itself.
const LISTS = {
	'GET /api/channels': { path: () => '/api/channels', key: 'data', of: ids('id'), all: (w) => [...w.mine, ...w.theirs] },
	'GET /api/channels/:id/members': { path: (w) => `/api/channels/${w.big}/members`, key: 'data', of: ids('username'),
		all: (w) => w.names },
	'GET /api/conversations': { path: () => '/api/conversations', key: 'data', of: ids('id'), all: (w) => w.directs },
	'GET /room/': { path: () => '/room/', key: 'rooms', of: ids('roomId'), all: (w) => [...w.mine, ...w.directs] },
	'GET /room/:roomId': { path: (w) => `/room/${w.big}`, key: 'users', of: ids('username'), all: (w) => w.names },
	'GET /api/rooms': { path: () => '/api/rooms', key: 'rooms', of: ids('name'), all: (w) => [...w.channelNames, ...w.pairs] },
	'GET /api/rooms/:name/members': { path: () => '/api/rooms/c0/members', key: 'members', of: ids('username'),
		all: (w) => w.names },
	'GET /room/posts/:roomId': { path: (w) => `/room/posts/${w.big}`, key: 'posts', of: ids('postId'), after: 'before',
		all: (w) => w.said, most: PAGE, usual: 50 },
	'GET /api/rooms/:name/messages': { path: () => '/api/rooms/c0/messages', key: 'messages', of: ids('id'),
		after: 'before', all: (w) => w.said, most: PAGE, usual: 50 },
	'GET /api/messages': { path: (w) => '/api/messages', query: (w) => `channelId=${w.big}`, key: 'data', of: ids('id'),
		after: 'page', all: (w) => w.said, most: PAGE, usual: 50 },
	'GET /api/conversations/:id/messages': { path: (w) => `/api/conversations/${w.directs[0]}/messages`, key: 'data',
		of: ids('id'), after: 'page', all: (w) => w.chats, most: PAGE, usual: 50 },
	'fetch-users': { event: 'fetch-users', key: 'users', of: ids('username'), all: (w) => w.everybody,
		next: (list) => list.at(-1)?.username },
	'fetch-conversation-with-user': { event: 'fetch-conversation-with-user', body: () => ({ user: 'crowd-0' }),
		key: 'chats', of: ids('id'), after: 'before', all: (w) => w.chats, most: PAGE, usual: 50,
		next: (list) => list[0]?.id },
};

describe('pages', { timeout: 600_000 }, () => {
	let server;
	let control;
	let ann;
	let messenger;
	const world = {};

	const inOne = async (calls) => {
		const pipeline = control.pipeline();
		for (const [name, ...args] of calls)
			pipeline.fcall(name, 0, ...args.map(String));
		const answers = await pipeline.exec();
		return answers.map(([error, reply]) => {
			assert.ifError(error);
			return reply;
		});
	};
	const make = async (calls) => (await inOne(calls)).map(([json]) => JSON.parse(json).id);

	before(async () => {
		server = await start({ options: { 'queue-hard': '8mb' } });
		control = redis(server);
		ann = await person(server, 'Ann');
		const crowd = range(LIST + MORE).map((i) => `crowd-${i}`);
		await inOne(crowd.map((id) => ['user_enter', id, id, id, '', '', '1', id]));
		await inOne([['user_enter', 'eve', 'eve', 'eve', '', '', '1', 'eve']]);
		const name = (i) => `c${i}`;
		world.channelNames = crowd.map((_, i) => name(i));
		world.mine = await make(crowd.map((_, i) => ['room_create', ann.id, 'channel', name(i), 'PUBLIC', '']));
		world.theirs = await make(crowd.map((_, i) => ['room_create', 'eve', 'channel', `e${i}`, 'PUBLIC', '']));
		[world.big] = world.mine;
		await inOne([crowd.slice(0, 500), crowd.slice(500)].map((some) => ['room_add', ann.id, world.big, ...some]));
		world.names = [ann.username, ...crowd];
		world.everybody = [ann.username, 'eve', ...crowd];
		world.directs = await make(crowd.map((id) => ['room_direct', ann.id, id]));
		world.pairs = crowd.map((other) => (ann.username.toLowerCase() < other ? `${ann.username}/${other}` :
			`${other}/${ann.username}`));
		const post = (room) => range(PAGE + MORE).map((i) =>
			['message_post', ann.id, room, '', `n ${i}`, '', '', '', 0, 0, 0, 0]);
		world.said = await make(post(world.big));
		world.chats = await make(post(world.directs[0]));
		world.last = await make(post(world.directs.at(-1)));
		messenger = await open(server, ann.token, 'messenger');
	});
	after(async () => {
		leaveAll();
		control?.disconnect();
		await server?.stop();
	});

	// One page: its entries, and the value that leads on, null at the end.
	async function page(list, limit, from) {
		const name = list.after ?? 'after';
		if (list.event) {
			const asked = { ...list.body?.(), ...(limit === undefined ? {} : { limit }), ...(from ? { [name]: from } : {}) };
			const { [list.key]: entries, error } = await messenger.ask(list.event, asked);
			return { error, entries, next: entries?.length > 0 ? list.next(entries) : null };
		}
		const query = new URLSearchParams(list.query?.(world) ?? '');
		if (limit !== undefined)
			query.set('limit', limit);
		if (from)
			query.set(name, from);
		const { status, json } = await rest(server, 'GET', `${list.path(world)}?${query}`, ann.token);
		if (status !== 200)
			return { error: json, status };
		const next = name === 'page' ? json.hasMore && json.page + 1 : json.next;
		return { entries: json[list.key], next: next || null };
	}

	for (const [name, list] of Object.entries(LISTS)) {
		test(name, wait, async () => {
			const most = list.most ?? LIST;
			for (const limit of [undefined, most]) {
				const bound = limit ?? list.usual ?? most;
				const found = [];
				let from;
				do {
					const { entries, next, error } = await page(list, limit, from);
					assert.equal(error, undefined, JSON.stringify(error));
					assert.ok(entries.length <= bound, `${entries.length} at once`);
					if (found.length === 0)
						assert.equal(entries.length, bound, 'the first page');
					found.push(...list.of(entries));
					from = next;
				} while (from);
				assert.deepEqual(found.sort(), list.all(world).toSorted());
			}
			for (const limit of [0, -1, most + 1, 2 ** 31, 2 ** 53]) {
				const { error, status } = await page(list, limit);
				assert.match(JSON.stringify(error), /limit/, `limit ${limit}`);
				assert.equal(status, list.event ? undefined : 422);
			}
		});
	}

	test('updateChatHistory: 100 messages of each of 50 rooms', wait, async () => {
		const one = await open(server, ann.token, 'gateway');
		const [history] = one.all('updateChatHistory');
		assert.equal(Object.keys(history).length, 50);
		for (const messages of Object.values(history))
			assert.ok(messages.length <= PAGE);
		assert.deepEqual(history[world.pairs.at(-1)].map(({ id }) => id), world.last.slice(-PAGE));
		one.leave();
	});

	// What clients list themselves, and others are told.
	for (const [request, body] of [
		['POST /room/create/', (users) => ({ users })],
		['POST /room/invite/ROOM', (users) => ({ users })],
		['POST /api/channels', (members) => ({ name: 'many', members })],
		['POST /api/channels/ROOM/members', (users) => ({ users })],
	]) {
		test(`${request}: at most 1,000 at once`, wait, async () => {
			const [method, path] = request.replace('ROOM', world.mine[1]).split(' ');
			const { status, json } = await rest(server, method, path, ann.token, body(range(LIST + 1).map((i) => `crowd-${i}`)));
			assert.equal(status, 422);
			assert.match(JSON.stringify(json.errors), /1000 elements/);
		});
	}

	test('GET /api/stats: as many workers as there are', wait, async () => {
		const { json } = await rest(server, 'GET', '/api/stats', ann.token);
		assert.equal(json.workers.length, 4);
	});
});

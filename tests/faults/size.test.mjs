// What an operation costs Redis does not grow with the users, rooms and messages that are there: every route and
// every event of the tables, connecting, coming back and going, at a size and at ten times that size.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { enter, leaveAll } from '../lib/chatter.mjs';
import { Meter } from '../lib/commands.mjs';
import { Guest, dismissAll } from '../lib/crowd.mjs';
import { tables } from '../lib/documents.mjs';
import { hangUpAll, listen } from '../lib/listener.mjs';
import { channel, conversation, person, unique } from '../lib/people.mjs';
import { callAll, populate } from '../lib/populate.mjs';
import { redis } from '../lib/redis.mjs';
import { rest } from '../lib/rest.mjs';
import { start } from '../lib/server.mjs';
import { sized } from '../lib/size.mjs';
import { token } from '../lib/token.mjs';
import { until } from '../lib/wait.mjs';

const WHOLE = sized({ users: 1000, rooms: 100, messages: 5000 }, { users: 10_000, rooms: 1000, messages: 200_000 });
const TENTH = Object.fromEntries(Object.entries(WHOLE).map(([what, n]) => [what, n / 10]));
const PAGE = 10;
const ROOMS = 3;           // of Ann and Bob, beside the one of all
const SAID = 30;           // messages in each of those
const BUSY = 60;           // rooms of u0, of which the gateway tells 50
const TRIES = 3;
const MEGABYTE = 1e6;
const USEC_RATIO = 2;
const USEC_LEAST = 50;     // shorter ones say nothing
const ROOMS_PER_COMMAND = 50;
const ELEMENTS_PER_ROOM = 8;
const FOLLOWED_MS = 400;   // of quiet: all rooms are followed
const STEP_COMMANDS = 3000;

const U0 = { id: 'u0', username: 'u0', token: token({ sub: 'u0', username: 'u0', name: 'U0' }) };

const PLACES = {
	gateway: { nsp: '/gateway' }, messenger: { nsp: '/messenger' }, channels: { nsp: '/channels' },
	lobby: { nsp: '/lobby' },
};

// A server with so much in it, and people who are in equally many rooms whatever its size.
class World {
	#sockets = new Map();

	static async make(size) {
		const w = new World();
		w.size = size;
		// One worker: which of several is asked would change what is followed there already.
		w.server = await start({ options: { workers: 1, 'gateway-history': PAGE } });
		w.redis = redis(w.server);
		const { everyone, directs } = await populate(w.redis, size);
		w.bytes = Number(/^used_memory:(\d+)/m.exec(await w.redis.info('memory'))[1]);
		Object.assign(w, { everyone, directs });
		w.ann = await w.come('Ann');
		w.bob = await w.come('Bob');
		w.rooms = [];
		for (let i = 0; i < ROOMS; i++)
			w.rooms.push(await channel(w.server, w.ann, [w.bob]));
		w.direct = await conversation(w.server, w.ann, w.bob);
		w.directName = [w.ann.username, w.bob.username].map((name) => name.toLowerCase()).sort().join('/');
		await callAll(w.redis, [...w.rooms, w.direct].flatMap((room) => Array.from({ length: SAID },
			(_, i) => ['message_post', i % 2 ? w.ann.id : w.bob.id, room, '', `said ${i}`, '', '', '', 0, 0, 0, 0])));
		// The rooms of u0 in which something happened last have a page of it, each.
		await callAll(w.redis, w.directs.slice(-BUSY).flatMap((room) => Array.from({ length: PAGE },
			(_, i) => ['message_post', 'u0', room, '', `busy ${i}`, '', '', '', 0, 0, 0, 0])));
		w.long = (await w.rest('POST', '/room/create/', { users: [] })).roomId;
		await callAll(w.redis, Array.from({ length: size.messages / 2 }, () =>
			['message_post', w.ann.id, w.long, '', 'x', '', '', '', 0, 0, 0, 0]));
		w.meter = await Meter.on(w.server);
		return w;
	}

	// Somebody new, in the room of all.
	async come(stem) {
		const one = await person(this.server, stem);
		await callAll(this.redis, [['room_add', 'u0', this.everyone, one.id]]);
		return one;
	}

	// Somebody new in a few rooms, with a conversation.
	async settle(stem) {
		const one = await this.come(stem);
		await callAll(this.redis, this.rooms.map((room) => ['room_add', this.ann.id, room, one.id]));
		await conversation(this.server, one, this.ann);
		return one;
	}

	async rest(method, path, body, who = this.ann) {
		const answer = await rest(this.server, method, path, who.token, body);
		assert.ok(answer.status >= 200 && answer.status < 300, `${method} ${path}: ${answer.status} ${answer.body}`);
		return answer.json;
	}

	// Somebody's socket of an API, greeted.
	async open(api, { token: of, ...auth } = this.ann) {
		if (api === 'notifications')
			return listen(this.server, { token: of });
		const one = await enter(this.server, { token: of, ...PLACES[api], ...auth.options });
		if (api === 'gateway')
			await one.next('updateChatHistory');
		return one;
	}

	// The same one for all who ask.
	async socket(api, who = this.ann) {
		const key = `${api} ${who.id}`;
		if (!this.#sockets.has(key))
			this.#sockets.set(key, await this.open(api, who));
		return this.#sockets.get(key);
	}

	// Posts one; gives its id.
	async post(room, who = this.ann) {
		const [[json]] = await callAll(this.redis,
			[['message_post', who.id, room, '', 'something new', '', '', '', 0, 0, 0, 0]]);
		return JSON.parse(json).id;
	}

	async roomName(room) {
		return this.redis.hget(`room:${room}`, 'name');
	}

	async end() {
		this.meter?.end();
		this.redis?.disconnect();
		await this.server.stop();
	}
}

const asks = async (socket, name, ...args) => {
	const said = await socket.ask(name, ...args);
	assert.ok(said.ok !== false && !said.error && !/^(No|Cannot|You)/.test(said.message ?? ''),
		`${name}: ${JSON.stringify(said)}`);
	return said;
};

const limit = `limit=${PAGE}`;
const page = (path) => (w) => () => w.rest('GET', path(w));

// An event of channels on the room of all, or on the conversation.
const emits = (name, args, prepare = () => ({})) => async (w) => {
	const socket = await w.socket('channels');
	const ready = await prepare(w, socket);
	const given = args(w, ready);
	return () => asks(socket, name, given);
};

const posted = (of) => async (w) => ({ messageId: await w.post(of(w)) });
const reacted = (of, name, where) => async (w, socket) => {
	const said = { messageId: await w.post(of(w)), emoji: '+' };
	await asks(socket, name, { ...said, ...where(w) });
	return said;
};
const inAll = (w) => ({ channelId: w.everyone });
const inDirect = (w) => ({ conversationId: w.direct });
const all = (w) => w.everyone;
const direct = (w) => w.direct;
const own = (extra, where) => (w, ready) => ({ ...ready, ...extra, ...where(w) });

// The name of a row → what prepares it, and gives what does it.
const ROUTES = {
	'POST /login/signup': (w) => () => w.rest('POST', '/login/signup', { username: unique('new'), password: 'long enough' }),
	'POST /login/signin': async (w) => {
		const username = unique('old');
		await w.rest('POST', '/login/signup', { username, password: 'long enough' });
		return () => w.rest('POST', '/login/signin', { username, password: 'long enough' });
	},
	'GET /login/me': page(() => '/login/me'),
	'DELETE /login/delete': async (w) => {
		const gone = await w.settle('Gone');
		return () => w.rest('DELETE', '/login/delete', undefined, gone);
	},
	'POST /login/delete': async (w) => {
		const gone = await w.settle('Gone');
		return () => w.rest('POST', '/login/delete', undefined, gone);
	},
	'GET /api/channels': page(() => `/api/channels?${limit}`),
	'POST /api/channels': (w) => () => w.rest('POST', '/api/channels', { name: unique('made'), members: ['u1', 'u2', w.bob.id] }),
	'GET /api/channels/:id/members': page((w) => `/api/channels/${w.everyone}/members?${limit}`),
	'POST /api/channels/:id/members': async (w) => {
		const one = await person(w.server, 'Added');
		return () => w.rest('POST', `/api/channels/${w.everyone}/members`, { users: [one.id] });
	},
	'DELETE /api/channels/:id/members/:userId': async (w) => {
		const one = await w.come('Leaver');
		return () => w.rest('DELETE', `/api/channels/${w.everyone}/members/${one.id}`, undefined, one);
	},
	'GET /api/conversations': page(() => '/api/conversations?limit=1'),
	'POST /api/conversations': async (w) => {
		const one = await person(w.server, 'Stranger');
		return () => w.rest('POST', '/api/conversations', { userId: one.id });
	},
	'GET /api/messages': page((w) => `/api/messages?channelId=${w.everyone}&${limit}`),
	'GET /api/conversations/:id/messages': page((w) => `/api/conversations/${w.direct}/messages?${limit}`),
	'GET /api/rooms': page(() => `/api/rooms?limit=${ROOMS}`),
	'GET /api/rooms/:name/members': page(() => `/api/rooms/c0/members?${limit}`),
	'GET /api/rooms/:name/messages': page(() => `/api/rooms/c0/messages?${limit}`),
	'GET /health': page(() => '/health'),
	'GET /metrics': page(() => '/metrics'),
	'POST /room/create/': (w) => () => w.rest('POST', '/room/create/', { name: 'pals', users: ['u1', 'u2', w.bob.id] }),
	'POST /room/post/:roomId': (w) => () => w.rest('POST', `/room/post/${w.everyone}`, { content: 'Hello!' }),
	'POST /room/invite/:roomId': async (w) => {
		const one = await person(w.server, 'Invited');
		return () => w.rest('POST', `/room/invite/${w.everyone}`, { users: [one.id] });
	},
	'POST /room/leave/:roomId': async (w) => {
		const one = await w.come('Leaver');
		return () => w.rest('POST', `/room/leave/${w.everyone}`, undefined, one);
	},
	'GET /room/': page(() => `/room/?limit=${ROOMS}`),
	'GET /room/:roomId': page((w) => `/room/${w.everyone}?${limit}`),
	'GET /room/posts/:roomId': async (w) => {
		await w.post(w.everyone, w.bob);
		return () => w.rest('GET', `/room/posts/${w.everyone}?${limit}`);
	},
	'GET /api/stats': page(() => '/api/stats'),
	'GET /api/ws/stats': page(() => '/api/ws/stats'),
};

const CHANNELS = {
	join_channel: emits('join_channel', inAll),
	leave_channel: emits('leave_channel', inAll, (w, socket) => asks(socket, 'join_channel', inAll(w))),
	send_message: emits('send_message', own({ content: 'Hello!', clientMessageId: 'once' }, inAll),
		(w) => w.redis.del(`user:${w.ann.id}:sent:once`)),
	edit_message: emits('edit_message', own({ content: 'Hello?' }, inAll), posted(all)),
	delete_message: emits('delete_message', own({}, inAll), posted(all)),
	forward_message: emits('forward_message', (w, { messageId }) =>
		({ messageId, channelId: w.everyone, targetChannelId: w.rooms[0] }), posted(all)),
	add_reaction: emits('add_reaction', own({ emoji: '+' }, inAll), posted(all)),
	remove_reaction: emits('remove_reaction', own({}, inAll), reacted(all, 'add_reaction', inAll)),
	join_conversation: emits('join_conversation', inDirect),
	leave_conversation: emits('leave_conversation', inDirect, (w, socket) => asks(socket, 'join_conversation', inDirect(w))),
	send_direct_message: emits('send_direct_message', own({ content: 'Hello!' }, inDirect)),
	edit_direct_message: emits('edit_direct_message', own({ content: 'Hello?' }, inDirect), posted(direct)),
	delete_direct_message: emits('delete_direct_message', own({}, inDirect), posted(direct)),
	forward_to_direct: emits('forward_to_direct', (w, { messageId }) =>
		({ messageId, channelId: w.everyone, targetConversationId: w.direct }), posted(all)),
	add_direct_reaction: emits('add_direct_reaction', own({ emoji: '+' }, inDirect), posted(direct)),
	remove_direct_reaction: emits('remove_direct_reaction', own({}, inDirect), reacted(direct, 'add_direct_reaction', inDirect)),
	ping: emits('ping', () => ({})),
};

const GATEWAY = {
	sendMessage: async (w) => {
		const socket = await w.socket('gateway');
		return () => asks(socket, 'sendMessage', { room: 'c0', text: 'Hello!' });
	},
	createChannel: async (w) => {
		const socket = await w.socket('gateway');
		return () => asks(socket, 'createChannel', { name: unique('opened'), status: 'PUBLIC' });
	},
	joinChannel: async (w) => {
		const one = await person(w.server, 'Joiner');
		const socket = await w.open('gateway', one);
		return () => asks(socket, 'joinChannel', { name: 'c0' });
	},
	leaveChannel: async (w) => {
		const socket = await w.open('gateway', await w.come('Leaver'));
		return () => asks(socket, 'leaveChannel', { name: 'c0' });
	},
};

// In a lobby room of their own, of three.
const LOBBY = {
	login: async (w) => {
		const room = await w.lobby();
		const socket = await w.open('lobby', {});
		return () => asks(socket, 'login', { name: 'dee', room });
	},
	logout: async (w) => {
		const socket = await w.open('lobby', {});
		await asks(socket, 'login', { name: 'dee', room: await w.lobby() });
		return () => socket.ask('logout');
	},
	roomMessage: async (w) => {
		const socket = await w.open('lobby', {});
		await asks(socket, 'login', { name: 'dee', room: await w.lobby() });
		return async () => {
			socket.emit('roomMessage', 'Hello!');
			await socket.next('roomMessage');
		};
	},
	ping: async (w) => {
		const socket = await w.open('lobby', {});
		return () => socket.ask('ping');
	},
};

World.prototype.lobby = async function lobby() {
	const room = unique('lobby').replace(/\W/g, '');
	for (const name of ['ann', 'bob'])
		await asks(await this.open('lobby', {}), 'login', { name, room });
	return room;
};

const chats = (name, args, prepare = () => undefined) => async (w) => {
	const socket = await w.socket('messenger');
	const given = args(w, await prepare(w, socket));
	return () => asks(socket, name, given);
};

const MESSENGER = {
	'fetch-users': chats('fetch-users', () => ({ limit: PAGE })),
	'fetch-conversation-with-user': chats('fetch-conversation-with-user', (w) => ({ user: w.bob.username, limit: PAGE })),
	'fetch-unread-chats-count': chats('fetch-unread-chats-count', (w) => ({ user: w.bob.username })),
	'read-chat': chats('read-chat', (w, id) => ({ id }), (w) => w.post(w.direct, w.bob)),
	'send-message': chats('send-message', (w) => ({ user: w.bob.username, message: 'Hello!' })),
	'wait-for-user': chats('wait-for-user', () => ({ user: 'u1' })),
	'stop-waiting-for-user': chats('stop-waiting-for-user', () => ({ user: 'u1' }),
		(w, socket) => asks(socket, 'wait-for-user', { user: 'u1' })),
};

const SENDS = new Set(['POST /room/post/:roomId', 'channels: send_message', 'channels: send_direct_message',
	'gateway: sendMessage', 'messenger: send-message']);

const EVENTS = { channels: CHANNELS, gateway: GATEWAY, lobby: LOBBY, messenger: MESSENGER, notifications: {} };

const connects = (api) => async (w) => {
	const one = api === 'lobby' ? {} : await w.settle('Comer');
	return () => w.open(api, one);
};

const leaves = (api, how) => async (w) => {
	const socket = await w.open(api, api === 'lobby' ? {} : await w.settle('Goer'));
	return () => how(socket);
};

const goes = (socket) => (socket.leave ?? socket.hangUp).call(socket);
const cut = (socket) => (socket.engine ? socket.engine.transport.ws.terminate() : socket.hangUp());

// Gone without a word, and back after something was said.
const returns = (api, who) => async (w) => {
	const { nsp } = PLACES[api];
	const one = who ?? await w.settle('Returner');
	const comes = async (more) => (await Guest.open(w.server)).join(nsp, { token: one.token, ...more });
	const guest = await comes();
	if (api === 'channels') {
		guest.emit('join_channel', { channelId: w.everyone });
		await until(() => guest.count('joined_channel') === 1, 'join');
	}
	await w.post(w.direct);
	await callAll(w.redis, [['direct_post', w.ann.id, one.username, 'before', '', '', 0, 0, 0, 0],
		['message_post', w.ann.id, w.everyone, '', 'before', '', '', '', 0, 0, 0, 0]]);
	await until(() => guest.offset, 'offset');
	await w.meter.quiet();
	guest.cut();
	await w.meter.quiet();
	await w.post(w.everyone);
	return async () => {
		w.first = await comes({ pid: guest.pid, offset: guest.offset });
		assert.equal(w.first.sid, guest.sid, 'it is recovered');
	};
};

const BESIDE = {
	...Object.fromEntries(Object.keys(EVENTS).flatMap((api) => [
		[`${api}: connect`, connects(api)], [`${api}: disconnect`, leaves(api, goes)],
		[`${api}: cut off`, leaves(api, cut)],
	])),
	...Object.fromEntries(['channels', 'gateway', 'messenger'].map((api) => [`${api}: come back`, returns(api)])),
	'the last page of a history': page((w) =>
		`/api/messages?channelId=${w.everyone}&${limit}&page=${Math.floor(w.size.messages / 2 / PAGE)}`),
	'a reply': emits('send_message', own({ content: 'Hello!' }, inAll),
		async (w) => ({ replyToId: await w.post(w.everyone, w.bob) })),
	'POST /api/upload, attach, GET /uploads': (w) => async () => {
		const form = new FormData();
		form.append('file', new Blob(['Hello!\n']), 'hello.txt');
		const answer = await fetch(`${w.server.url}/api/upload`,
			{ method: 'POST', body: form, headers: { Authorization: `Bearer ${w.ann.token}` } });
		assert.equal(answer.status, 201);
		const { data } = await answer.json();
		await asks(await w.socket('channels'), 'send_message',
			{ content: 'Hello!', channelId: w.everyone, attachments: [data] });
		assert.equal(await (await fetch(w.server.url + data.url)).text(), 'Hello!\n');
	},
};

// u0 is in all rooms, ten times as many there as here. Their lists come page by page, like everybody's.
const LISTED = Object.fromEntries(['/api/channels', '/api/conversations', '/api/rooms', '/room/'].map((path) =>
	[`GET ${path}, in all rooms`, (w) => () => w.rest('GET', `${path}?limit=5`, undefined, U0)]));

// But who hears by being a member follows all of them: they are listed and followed, many in a command.
const FOLLOWED = {
	...Object.fromEntries(['gateway', 'messenger', 'notifications'].map((api) =>
		[`${api}: connect, in all rooms`, (w) => async () => w.first = await w.open(api, U0)])),
	...Object.fromEntries(['gateway', 'messenger'].map((api) => [`${api}: come back, in all rooms`, returns(api, U0)])),
};

describe('size', { timeout: 3_000_000 }, () => {
	const worlds = [];
	const rows = [];
	before(async () => {
		for (const size of [TENTH, WHOLE])
			worlds.push(await World.make(size));
	});

	test('what was loaded is there', async (t) => {
		for (const w of worlds) {
			const { users, rooms, messages } = w.size;
			const [n, counts] = [await w.redis.zcard('users'), await w.redis.hgetall('counts')];
			assert.ok(n >= users && counts.rooms >= rooms + users - 1 && counts.messages >= messages);
			assert.equal(await w.redis.zcard(`room:${w.everyone}:members`), users + 2, 'all, Ann and Bob');
			t.diagnostic(`measured: ${n} users, ${rooms} rooms, ${users - 1} direct rooms, ${messages} messages: ` +
				`${(w.bytes / MEGABYTE).toFixed(1)} MB`);
		}
	});
	after(async () => {
		leaveAll();
		hangUpAll();
		dismissAll();
		for (const world of worlds)
			await world.end();
	});

	const once = (operation, ms) => Promise.all(worlds.map(async (w) => w.meter.measure(await operation(w), ms)));

	// Equal, or equal the next time: something can be late, and count with what comes after it.
	async function same(name, operation) {
		for (let tries = 1; ; tries++) {
			const [small, large] = await once(operation);
			const equal = small.elements === large.elements &&
				JSON.stringify(small.commands) === JSON.stringify(large.commands);
			if (!equal && tries < TRIES)
				continue;
			rows.push({ name, total: small.total, elements: small.elements, small: small.usec, large: large.usec });
			assert.deepEqual(large.commands, small.commands, `${name}: commands`);
			assert.equal(large.elements, small.elements, `${name}: elements read`);
			if (SENDS.has(name))
				assert.equal(large.commands.publish, 1, `${name}: published once, however many hear it`);
			return;
		}
	}

	// Little more for so many more rooms, or so the next time.
	async function follows(t, name, operation, rooms) {
		for (let tries = 1; ; tries++) {
			const [small, large] = await once(operation, FOLLOWED_MS);
			for (const { first } of worlds)
				goes(first);
			const [commands, elements] = [large.total - small.total, large.elements - small.elements];
			const fits = commands * ROOMS_PER_COMMAND <= rooms && elements <= ELEMENTS_PER_ROOM * rooms;
			if (!fits && tries < TRIES)
				continue;
			t.diagnostic(`measured: ${name}: ${small.total} commands ${small.elements} elements ${small.usec} us, and ` +
				`${large.total} ${large.elements} ${large.usec}`);
			assert.ok(fits, `${small.total} commands became ${large.total}, ${small.elements} elements ${large.elements}`);
			return;
		}
	}

	test('every route', async (t) => {
		for (const { name } of tables().routes) {
			await t.test(name, async () => {
				assert.ok(Object.hasOwn(ROUTES, name), `no driver for ${name}: add it to ROUTES`);
				await same(name, ROUTES[name]);
			});
		}
	});

	test('every event of every API', async (t) => {
		for (const { name: api, events } of tables().apis) {
			assert.ok(Object.hasOwn(EVENTS, api), `no drivers for the API ${api}: add them to EVENTS`);
			for (const { name } of events) {
				await t.test(`${api}: ${name}`, async () => {
					assert.ok(Object.hasOwn(EVENTS[api], name), `no driver for ${api}'s ${name}: add it`);
					await same(`${api}: ${name}`, EVENTS[api][name]);
				});
			}
		}
	});

	test('connecting, leaving, coming back, and what has no row', async (t) => {
		for (const [name, operation] of Object.entries(BESIDE))
			await t.test(name, () => same(name, operation));
	});

	test('the lists of somebody who is in all rooms', async (t) => {
		for (const [name, operation] of Object.entries(LISTED))
			await t.test(name, () => same(name, operation));
	});

	test('following all rooms takes a command for many of them', async (t) => {
		const more = worlds[1].directs.length - worlds[0].directs.length;
		for (const [name, operation] of Object.entries(FOLLOWED)) {
			await t.test(name, (part) => follows(part, name, operation, more));
		}
	});

	test('an account in all rooms, and a room with a long history, go in steps that are bounded', async (t) => {
		for (const w of worlds) {
			const steps = await w.meter.background('worker_lease', async () => {
				await w.rest('POST', `/room/leave/${w.long}`);
				await w.rest('DELETE', '/login/delete', undefined, U0);
				await until(async () => await w.redis.exists('deleting', 'purging') === 0, 'end of the deletions', { ms: 600_000 });
			});
			t.diagnostic(`measured: ${w.directs.length + w.size.rooms} rooms left, ${w.size.messages / 2} messages gone: ` +
				`${steps.most} commands at most in one of ${steps.runs} calls`);
			assert.ok(steps.most <= STEP_COMMANDS, `${steps.most} commands in one call`);
		}
	});

	// Watched by MONITOR, functions take twice their time; so does each of them, here and there.
	test('the time in Redis does not grow either', (t) => {
		for (const { name, total, elements, small, large } of rows)
			t.diagnostic(`measured: ${name.padEnd(44)} ${String(total).padStart(5)} commands ${String(elements).padStart(6)} elements ` +
				`${String(small).padStart(6)} and ${String(large).padStart(6)} us`);
		const ratios = rows.filter(({ small }) => small >= USEC_LEAST).map(({ small, large }) => large / small);
		const median = ratios.sort((x, y) => x - y)[Math.floor(ratios.length / 2)];
		t.diagnostic(`measured: the time of functions at ${JSON.stringify(WHOLE)} is ${median.toFixed(2)} × that at a tenth (median)`);
		assert.ok(median < USEC_RATIO, `the time of functions grew ${median} times`);
	});
});

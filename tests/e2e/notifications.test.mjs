// The notifications API: the document's own client, each notification to whom it is for, REST, and every
// way a socket ends.
import { spawn } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import StockWebSocket from 'ws';
import { enter, leaveAll } from '../lib/chatter.mjs';
import { examples, run } from '../lib/examples.mjs';
import { Listener, hangUpAll, listen } from '../lib/listener.mjs';
import { channel, conversation, person, unique } from '../lib/people.mjs';
import { redis } from '../lib/redis.mjs';
import { rest } from '../lib/rest.mjs';
import { ROOT, start } from '../lib/server.mjs';
import { token } from '../lib/token.mjs';
import { sleep, until } from '../lib/wait.mjs';
import { OP, WebSocket } from '../lib/websocket.mjs';
import { request } from '../lib/wire.mjs';

const ISO_SECONDS = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
const WAY = '/room/websocket';

// The document's client, as it stands there.
const CLIENT = `
import WebSocket from 'ws';

const token = // get token

const ws = new WebSocket(\`ws://localhost:3000/room/websocket?token=\${token}\`);

ws.on('open', () => {
  console.log('Websocket connected');
});

ws.on('close', (event) => {
  if (event.wasClean) {
    console.log(\`[close] Connection closed cleanly, code=\${event.code} reason=\${event.reason}\`);
  } else {
    console.log('[close] Connection died');
  }
});

ws.on('error', (error) => {
  console.log(\`[error] \${error.message}\`);
});

ws.on('message', (data) => {
  const notif = JSON.parse(data);

  console.log(notif);
});
`;

// Runs it with a token, against our port instead of 3000; gives the process, with what it printed so far.
function runClient(server, jwt) {
	const code = CLIENT.replace('// get token', JSON.stringify(jwt))
		.replace('localhost:3000', `127.0.0.1:${server.port}`);
	const child = spawn(process.execPath, ['--input-type=module', '-e', code],
		{ cwd: path.join(ROOT, 'tests'), stdio: ['ignore', 'pipe', 'inherit'] });
	child.printed = '';
	child.stdout.setEncoding('utf8').on('data', (text) => { child.printed += text; });
	child.ended = new Promise((resolve) => child.once('close', resolve));
	return child;
}

const get = (server, who, where) => rest(server, 'GET', where, who.token);
const post = (server, who, where, body) => rest(server, 'POST', where, who.token, body);

async function make(server, who, users = [], more = {}) {
	const answer = await post(server, who, '/room/create/', { users: users.map(({ id }) => id), ...more });
	assert.equal(answer.status, 201, answer.body);
	return answer.json.roomId;
}

async function say(server, who, room, content) {
	const answer = await post(server, who, `/room/post/${room}`, { content });
	assert.equal(answer.status, 201, answer.body);
	return answer.json;
}

describe('notifications', { timeout: 600_000 }, () => {
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
		leaveAll();
		hangUpAll();
		await server?.stop();
	});

	// All that a listener heard and nobody took, up to a post of now in a room of its own.
	async function heardBy(listener, user) {
		const other = await person(server, 'Marker');
		const room = await make(server, other, [user]);
		await until(() => listener.heard.some((n) => n.roomId === room), 'marker', { every: 5 });
		return listener.rest().filter((n) => n.roomId !== room);
	}

	const silent = async (listener, user) => assert.deepEqual(await heardBy(listener, user), []);

	describe('connecting', () => {
		test('the client of the document hears and prints', async () => {
			const room = await make(server, ann, [bob]);
			const client = runClient(server, bob.token);
			await until(() => client.printed.includes('Websocket connected\n'), 'connection');
			const { postId, createdAt } = await say(server, ann, room, 'hello');
			await until(() => client.printed.includes('}\n'), 'notification');
			for (const line of ["type: 'NewPost'", `userId: '${ann.id}'`, `roomId: '${room}'`,
				`postId: '${postId}'`, "content: 'hello'", `createdAt: '${createdAt}'`])
				assert.ok(client.printed.includes(line), client.printed);
			client.kill();
			await client.ended;
		});

		test('the client of the document prints why it may not', async () => {
			const client = runClient(server, 'garbage');
			await client.ended;
			// `ws` says the code itself where the document's client expects an event of browsers.
			assert.equal(client.printed, 'Websocket connected\nBadToken\n[close] Connection died\n');
		});

		const gone = async () => {
			const one = await person(server, 'Gone');
			assert.equal((await rest(server, 'DELETE', '/login/delete', one.token)).status, 200);
			return one.token;
		};
		const now = Math.floor(Date.now() / 1000);
		for (const [what, make, code] of [
			['no token', () => undefined, 'MissingToken'],
			['an empty token', () => '', 'MissingToken'],
			['garbage', () => 'garbage', 'BadToken'],
			['an expired token', () => token({ sub: 'late', exp: now - 60 }), 'BadToken'],
			['a token of another secret', () => token({ sub: 'x' }, { secret: 'y'.repeat(32) }), 'BadToken'],
			['an unsigned token', () => token({ sub: 'x' }, { alg: 'none' }), 'BadToken'],
			['a token without sub', () => token({ name: 'x' }), 'BadToken'],
			['the token of a deleted user', gone, 'UserIsDeleted'],
		]) {
			test(`${what}: ${code}, then closed`, async () => {
				const jwt = await make();
				const raw = await WebSocket.open(server.port, jwt === undefined ? WAY : `${WAY}?token=${jwt}`);
				assert.deepEqual(await raw.closed(), { before: [JSON.stringify(code)], code: 1008, reason: code });
				const stock = new Listener(server, { token: jwt });
				assert.deepEqual(await stock.closed(), { code: 1008, reason: code });
				assert.deepEqual(stock.heard, [code]);
			});
		}

		for (const [what, path, headers] of [
			['in the query', () => `${WAY}?token=${bob.token}`, () => ({})],
			['in the query, with a slash', () => `${WAY}/?a=b&token=${bob.token}`, () => ({})],
			['in the header', () => WAY, () => ({ Authorization: `Bearer ${bob.token}` })],
			['bare in the header', () => WAY, () => ({ Authorization: bob.token })],
			['in the header, with an empty one in the query', () => `${WAY}?token=`,
				() => ({ Authorization: `Bearer ${bob.token}` })],
		]) {
			test(`a token ${what}`, async () => {
				const room = await make(server, ann, [bob]);
				const raw = await WebSocket.open(server.port, path(), { headers: headers() });
				await say(server, ann, room, 'hello');
				assert.equal(JSON.parse(await raw.next()).content, 'hello');
				raw.destroy();
			});
		}

		test('what is no WebSocket', async () => {
			const headers = { Authorization: `Bearer ${bob.token}` };
			const plain = await request(server.port, { path: WAY, headers });
			assert.equal(plain.status, 426);
			assert.equal(plain.headers.upgrade, 'websocket');
			assert.deepEqual(JSON.parse(plain.body), { message: 'This is a WebSocket', errors: {} });
			const posted = await request(server.port, { method: 'POST', path: WAY, headers, body: '{}' });
			assert.equal(posted.status, 405);
			assert.equal(posted.headers.allow, 'GET');
			assert.equal((await request(server.port, { path: `${WAY}/more`, headers })).status, 404);
			await assert.rejects(WebSocket.open(server.port, WAY, { headers: { 'Sec-WebSocket-Version': '12' } }),
				/no 101 .* but 426/);
			await assert.rejects(WebSocket.open(server.port, WAY, { headers: { 'Sec-WebSocket-Key': 'a' } }),
				/no 101 .* but 400/);
		});

		test('what it sends is ignored, and counted', async () => {
			const events = async () => (await get(server, ann, '/api/stats')).json.workers
				.reduce((sum, worker) => sum + worker.events, 0);
			const before = await events();
			const raw = await WebSocket.open(server.port, `${WAY}?token=${bob.token}`);
			raw.text('{"type":"NewPost"}').text('no JSON').binary(Buffer.from([0, 255]));
			raw.frame(OP.PING, 'are you there?');
			const pong = await raw.nextFrame();
			assert.deepEqual([pong.opcode, pong.payload.toString()], [OP.PONG, 'are you there?']);
			await until(async () => await events() === before + 3, 'count of three');
			raw.close(1000);
			assert.equal((await raw.closed()).code, 1000);
		});

		test('counts as a connection, and by the reason of its end', async () => {
			const stats = async () => (await get(server, ann, '/api/stats')).json;
			const refused = ({ workers }) => workers.reduce((sum, { closed }) =>
				sum + (closed['token refused'] ?? 0), 0);
			hangUpAll();
			await until(async () => (await stats()).total.connections === 0, 'end of all others');
			const before = await stats();
			const listeners = await Promise.all([1, 2, 3].map(() => listen(server, bob)));
			await until(async () => (await stats()).total.connections === 3, 'three connections');
			await new Listener(server).closed();
			await until(async () => refused(await stats()) === refused(before) + 1, 'one refused');
			for (const each of listeners)
				each.hangUp();
			await until(async () => (await stats()).total.connections === 0, 'none');
		});
	});

	describe('what a client hears', () => {
		let one;        // of Bob
		let own;        // of Ann, who does it all
		let stranger;   // of Eve
		before(async () => {
			one = await listen(server, bob);
			own = await listen(server, ann);
			stranger = await listen(server, eve);
		});

		for (const [kind, room] of [
			['group', () => make(server, ann, [bob])],
			['channel', () => channel(server, ann, [bob])],
			['direct room', () => conversation(server, ann, bob)],
		]) {
			test(`NewPost: a post in a ${kind}`, async () => {
				const id = await room();
				await heardBy(one, bob);
				const content = 'say "hi"\n\u{1f44b} \u0001';
				const { postId, createdAt } = await say(server, ann, id, content);
				assert.match(createdAt, ISO_SECONDS);
				assert.deepEqual(await heardBy(one, bob),
					[{ type: 'NewPost', userId: ann.id, roomId: id, postId, content, createdAt }]);
				await silent(own, ann);
				await silent(stranger, eve);
			});
		}

		test('NewPost: a message of another API, and a forward', async () => {
			const id = await channel(server, ann, [bob]);
			const from = await channel(server, ann);
			await heardBy(one, bob);
			const chatter = await enter(server, { token: ann.token, nsp: '/channels' });
			const { message } = await chatter.ask('send_message', { channelId: id, content: 'one' });
			const { message: original } = await chatter.ask('send_message', { channelId: from, content: 'two' });
			const { message: copy } = await chatter.ask('forward_message',
				{ messageId: original.id, channelId: from, targetChannelId: id });
			assert.deepEqual((await heardBy(one, bob)).map(({ type, userId, roomId, postId, content }) =>
				[type, userId, roomId, postId, content]),
			[['NewPost', ann.id, id, message.id, 'one'], ['NewPost', ann.id, id, copy.id, 'two']]);
			// Edits, reactions and deletions are not told.
			await chatter.ask('edit_message', { messageId: message.id, channelId: id, content: 'other' });
			await chatter.ask('add_reaction', { messageId: message.id, channelId: id, emoji: '👍' });
			await chatter.ask('delete_message', { messageId: message.id, channelId: id });
			await silent(one, bob);
			await silent(own, ann);
		});

		test('RoomCreated, and the first post', async () => {
			const id = await make(server, ann, [bob, ann], { name: 'Pals' });
			await say(server, ann, id, 'first');
			const [created, first, ...more] = await heardBy(one, bob);
			assert.deepEqual(created, { type: 'RoomCreated', creatorId: ann.id, roomId: id });
			assert.deepEqual([first.type, first.roomId, first.content, more], ['NewPost', id, 'first', []]);
			await silent(own, ann);
			await silent(stranger, eve);
		});

		test('RoomCreated: a direct room, once', async () => {
			const dan = await person(server, 'Dan');
			const his = await listen(server, dan);
			const id = await conversation(server, ann, dan);
			await conversation(server, dan, ann);
			assert.deepEqual(await heardBy(his, dan), [{ type: 'RoomCreated', creatorId: ann.id, roomId: id }]);
			await silent(own, ann);
		});

		test('RoomInvitation to whom is added, NewUsersInRoom to who was there', async () => {
			const [dan, fay] = [await person(server, 'Dan'), await person(server, 'Fay')];
			const id = await make(server, ann, [bob]);
			const [dans, fays] = [await listen(server, dan), await listen(server, fay)];
			await heardBy(one, bob);
			const answer = await post(server, ann, `/room/invite/${id}`, { users: [dan.id, bob.id, fay.id, dan.id] });
			assert.deepEqual([answer.status, answer.json], [200, { added: [dan.id, fay.id] }]);
			assert.deepEqual(await heardBy(one, bob),
				[{ type: 'NewUsersInRoom', userWhoInvited: ann.id, newUsers: [dan.id, fay.id], roomId: id }]);
			const invitation = { type: 'RoomInvitation', userWhoInvited: ann.id, roomId: id };
			assert.deepEqual(await heardBy(dans, dan), [invitation]);
			assert.deepEqual(await heardBy(fays, fay), [invitation]);
			await silent(own, ann);
			// Once more is no error, and nobody's news.
			const again = await post(server, ann, `/room/invite/${id}/`, { users: [dan.id, bob.id] });
			assert.deepEqual([again.status, again.json], [200, { added: [] }]);
			await silent(one, bob);
			await silent(dans, dan);
			// Who was added hears the room.
			await say(server, bob, id, 'welcome');
			assert.equal((await heardBy(dans, dan))[0].content, 'welcome');
			assert.equal((await heardBy(own, ann))[0].content, 'welcome');
		});

		test('NewUsersInRoom: somebody joined by oneself', async () => {
			const dan = await person(server, 'Dan');
			const dans = await listen(server, dan);
			const id = await channel(server, ann, [bob]);
			await heardBy(one, bob);
			await post(server, dan, `/api/channels/${id}/members`, { users: [dan.id] });
			const news = { type: 'NewUsersInRoom', userWhoInvited: dan.id, newUsers: [dan.id], roomId: id };
			assert.deepEqual(await heardBy(one, bob), [news]);
			assert.deepEqual(await heardBy(own, ann), [news]);
			await silent(dans, dan);
			await say(server, ann, id, 'welcome');
			assert.equal((await heardBy(dans, dan))[0].content, 'welcome');
			await heardBy(one, bob);
		});

		test('UserLeftRoom: somebody left, and hears no more', async () => {
			const id = await make(server, ann, [bob, eve]);
			await heardBy(one, bob);
			await heardBy(stranger, eve);
			const answer = await post(server, eve, `/room/leave/${id}`);
			assert.deepEqual([answer.status, answer.json], [200, {}]);
			const left = { type: 'UserLeftRoom', userId: eve.id, roomId: id, userDeleted: false };
			assert.deepEqual(await heardBy(one, bob), [left]);
			assert.deepEqual(await heardBy(own, ann), [left]);
			await say(server, ann, id, 'without Eve');
			await silent(stranger, eve);
			await heardBy(one, bob);
		});

		test('UserLeftRoom: who is removed hears it too, the remover does not', async () => {
			const id = await channel(server, ann, [bob, eve]);
			await heardBy(one, bob);
			await heardBy(stranger, eve);
			assert.equal((await rest(server, 'DELETE', `/api/channels/${id}/members/${eve.id}`, ann.token)).status, 200);
			const left = { type: 'UserLeftRoom', userId: eve.id, roomId: id, userDeleted: false };
			assert.deepEqual(await heardBy(one, bob), [left]);
			assert.deepEqual(await heardBy(stranger, eve), [left]);
			await silent(own, ann);
		});

		test('UserLeftRoom: a deleted account, one for each room', async () => {
			const dan = await person(server, 'Dan');
			const rooms = [await make(server, dan, [bob]), await channel(server, ann, [bob, dan]),
				await conversation(server, bob, dan)];
			const dans = await Promise.all([1, 2, 3, 4].map(() => listen(server, dan)));
			await heardBy(one, bob);
			await heardBy(own, ann);
			assert.equal((await rest(server, 'DELETE', '/login/delete', dan.token)).status, 200);
			const left = (roomId) => ({ type: 'UserLeftRoom', userId: dan.id, roomId, userDeleted: true });
			const order = (list) => list.sort((a, b) => (a.roomId < b.roomId ? -1 : 1));
			assert.deepEqual(order(await heardBy(one, bob)), order(rooms.map(left)));
			assert.deepEqual(await heardBy(own, ann), [left(rooms[1])]);
			for (const each of dans) {
				assert.deepEqual(await each.closed(), { code: 1008, reason: 'UserIsDeleted' });
				assert.deepEqual(each.rest(), ['UserIsDeleted']);
			}
		});

		test('on every worker each device hears it once, in one order', async () => {
			const id = await make(server, ann, [bob]);
			const crowd = [];
			await until(async () => {
				crowd.push(await listen(server, bob));
				const homes = new Set(crowd.map(({ localPort }) => server.workerOf(localPort)));
				return crowd.length >= 8 && homes.size === 4;
			}, 'client on every worker', { every: 0, ms: 60_000 });
			const contents = Array.from({ length: 50 }, (_, n) => `n ${n}`);
			for (const content of contents)
				await say(server, ann, id, content);
			for (const each of crowd) {
				const posts = (await heardBy(each, bob)).filter(({ type }) => type === 'NewPost');
				assert.deepEqual(posts.map(({ content }) => content), contents);
				each.hangUp();
			}
			await silent(own, ann);
		});

		test('who opens while rooms come and go, hears those that are there', async () => {
			const dan = await person(server, 'Dan');
			const rooms = [];
			for (let round = 0; round < 10; round++) {
				const [opened, made] = await Promise.all([listen(server, dan), make(server, ann, [dan]),
					...rooms.slice(-1).map((id) => post(server, dan, `/room/leave/${id}`))]);
				rooms.push(made);
				for (const id of rooms)
					await say(server, ann, id, `${round}`);
				const posts = (await heardBy(opened, dan)).filter(({ type }) => type === 'NewPost');
				assert.deepEqual(posts.map(({ roomId }) => roomId), [made]);
				opened.hangUp();
			}
		});

		test('a socket that comes again hears on from there', async () => {
			const id = await make(server, ann, [bob]);
			const first = await listen(server, bob);
			await say(server, ann, id, 'one');
			assert.equal((await heardBy(first, bob)).length, 1);
			first.hangUp();
			await say(server, ann, id, 'two');
			const second = await listen(server, bob);
			await say(server, ann, id, 'three');
			// What was missed is asked for.
			assert.deepEqual((await heardBy(second, bob)).map(({ content }) => content), ['three']);
			const { json } = await get(server, bob, `/room/posts/${id}`);
			assert.deepEqual(json.posts.map(({ content }) => content), ['three', 'two', 'one']);
		});
	});

	test('the examples of the page', async () => {
		// A user as the page has them: a request by its first line and body.
		const asker = async (stem) => {
			const user = await person(server, stem);
			const ask = async (line, body) => {
				const [method, where] = line.split(' ');
				return (await rest(server, method, where, user.token, body)).json;
			};
			return Object.assign(ask, { id: user.id, token: user.token });
		};
		const [anna, bert, elsa] = [await asker('Ann'), await asker('Bob'), await asker('Eve')];
		const room = await make(server, anna, [bert]);
		const [bobs, eves] = [await listen(server, bert), await listen(server, elsa)];
		class OurWebSocket extends StockWebSocket {
			constructor(url) {
				super(url.replace('localhost:3000', `127.0.0.1:${server.port}`));
				this.on('open', () => this.terminate());
			}
		}
		const scope = { ann: anna, bob: bert, eve: elsa, room, bobs, eves, token: bert.token,
			WebSocket: OurWebSocket, next: (listener) => listener.next() };
		for (const example of examples('docs/notifications.md'))
			await run(example, scope);
		bobs.hangUp();
		eves.hangUp();
	});

	describe('REST', () => {
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
			assert.equal((await heardBy(one, bob)).length, 1);
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
			await silent(one, bob);
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
});

describe('limits of notifications', { timeout: 300_000 }, () => {
	const INTERVAL_MS = 400;
	const TIMEOUT_MS = 300;
	const ORIGIN = 'https://app.example';
	let server;
	let ann;
	let bob;
	let control;
	before(async () => {
		server = await start({ root: 'none', options: {
			'ping-interval': `${INTERVAL_MS}ms`, 'ping-timeout': `${TIMEOUT_MS}ms`, 'cors-origin': ORIGIN,
			'message-rate': '1 3',
		} });
		control = redis(server);
		ann = await person(server, 'Ann');
		bob = await person(server, 'Bob');
	});
	after(async () => {
		control?.disconnect();
		hangUpAll();
		await server?.stop();
	});
	const origin = { headers: { Origin: ORIGIN } };

	test('origins are checked', async () => {
		const way = `${WAY}?token=${bob.token}`;
		for (const headers of [{ Origin: 'https://evil.example' }, {}])
			await assert.rejects(WebSocket.open(server.port, way, { headers }), /no 101 .* but 403/);
		const raw = await WebSocket.open(server.port, way, origin);
		assert.equal(raw.answer.headers['access-control-allow-origin'], ORIGIN);
		raw.destroy();
	});

	test('pings come, and who answers them stays', async () => {
		const one = await listen(server, bob, origin);
		const start = performance.now();
		await until(() => one.pings >= 4, 'four pings');
		assert.ok(performance.now() - start >= 4 * INTERVAL_MS - 50, 'too early');
		assert.equal(one.ended, null);
		one.hangUp();
	});

	test('who is silent is closed', async () => {
		const raw = await WebSocket.open(server.port, `${WAY}?token=${bob.token}`, origin);
		const start = performance.now();
		assert.deepEqual(await raw.closed(), { before: [], code: 1001, reason: 'ping timeout' });
		assert.ok(performance.now() - start >= INTERVAL_MS + TIMEOUT_MS - 50, 'too early');
	});

	// It is offered to the parser again and again, and is as old as before.
	test('the first half of a ping, that waits for its second, is none', async () => {
		const raw = await WebSocket.open(server.port, `${WAY}?token=${bob.token}`, origin);
		raw.wire.send(Buffer.from([0x89, 0x80 | 100, 0, 0, 0, 0, 0]));
		assert.deepEqual(await raw.closed(), { before: [], code: 1001, reason: 'ping timeout' });
	});

	test('any byte is a sign of life', async () => {
		const raw = await WebSocket.open(server.port, `${WAY}?token=${bob.token}`, origin);
		const start = performance.now();
		// One long text, in small pieces.
		raw.wire.send(Buffer.from([0x81, 0x80 | 126, 1, 0, 0, 0, 0, 0]));
		for (let sent = 0; performance.now() - start < 4 * (INTERVAL_MS + TIMEOUT_MS); sent++) {
			assert.ok(sent < 256);
			raw.wire.send(Buffer.from('x'));
			await sleep(50);
		}
		assert.deepEqual(await raw.closed(), { before: [], code: 1001, reason: 'ping timeout' });
		assert.ok(performance.now() - start >= 5 * (INTERVAL_MS + TIMEOUT_MS) - 100, 'too early');
	});

	test('a token that expires ends its socket', async () => {
		const exp = Math.floor(Date.now() / 1000) + 5;
		const short = await listen(server, { token: token({ sub: bob.id, exp }) }, origin);
		const long = await listen(server, bob, origin);
		assert.deepEqual(await short.closed(), { code: 1008, reason: 'BadToken' });
		assert.deepEqual(short.heard, ['BadToken']);
		const late = Date.now() - exp * 1000;
		assert.ok(late >= -50 && late < 5000, `${late} ms after its end`);
		assert.equal(long.ended, null);
		long.hangUp();
	});

	test('posts are limited per user', async () => {
		const id = await make(server, ann);
		const answers = await Promise.all(Array.from({ length: 8 }, () =>
			post(server, ann, `/room/post/${id}`, { content: 'a' })));
		const refused = answers.filter(({ status }) => status === 429);
		assert.ok(refused.length >= 1 && refused.length <= 5, `${refused.length} refused`);
		for (const { headers, json } of refused) {
			assert.ok(Number(headers['retry-after']) >= 1);
			assert.deepEqual(json, { message: 'Rate limit exceeded. Please slow down.', errors: {} });
		}
	});

	test('whose news were lost is told to come again', async () => {
		const id = await make(server, ann, [bob]);
		const one = await listen(server, bob, origin);
		// Far more than a log of ten keeps, while nobody can hear it.
		const pipeline = control.pipeline().client('KILL', 'TYPE', 'pubsub');
		for (let n = 0; n < 500; n++)
			pipeline.fcall('message_post', 0, ann.id, id, '', `n ${n}`, '', '', '', '0', '0', '0', '10');
		for (const [error] of await pipeline.exec())
			assert.equal(error, null);
		assert.deepEqual(await one.closed(), { code: 1012, reason: 'events were lost, reload' });
	});
});

describe('slow readers of notifications', { timeout: 300_000 }, () => {
	let server;
	before(async () => {
		server = await start({ root: 'none', options: { 'queue-soft': '2kb', 'queue-soft-time': '200ms' } });
	});
	after(async () => {
		hangUpAll();
		await server?.stop();
	});

	test('who hears long texts, but rarely, is not slow', async () => {
		const [ann, bob] = [await person(server, 'Ann'), await person(server, 'Bob')];
		const id = await make(server, ann, [bob]);
		const one = await listen(server, bob);
		for (let n = 1; n <= 3; n++) {
			await say(server, ann, id, '\u{1f44b}'.repeat(2000));
			await until(() => one.heard.length === n, 'it');
			await sleep(250);       // more than queue-soft-time
		}
		assert.equal(await one.answers(), true);
	});

	test('who reads nothing is closed, others hear on', async () => {
		const [ann, bob] = [await person(server, 'Ann'), await person(server, 'Bob')];
		const id = await make(server, ann, [bob]);
		const slow = await listen(server, bob);
		const quick = await listen(server, bob);
		slow.socket.pause();
		const closed = async () => (await get(server, ann, '/api/stats')).json.workers
			.reduce((sum, worker) => sum + (worker.closed['too slow a reader'] ?? 0), 0);
		let said = 0;
		await until(async () => {
			const batch = Array.from({ length: 40 }, () => say(server, ann, id, '\u{1f44b}'.repeat(2000)));
			said += (await Promise.all(batch)).length;
			return await closed() > 0;
		}, 'end of the slow one', { every: 0, ms: 120_000 });
		await until(() => quick.heard.length === said, 'all at the quick one');
		assert.equal(quick.ended, null);
		slow.socket.resume();
		assert.equal((await slow.closed()).code, 1008);
		assert.equal(slow.ended.reason, 'too slow a reader');
	});
});

describe('notifications while Redis stands still', { timeout: 120_000 }, () => {
	let server;
	let control;
	before(async () => {
		server = await start({ root: 'none' });
		control = redis(server);
	});
	after(async () => {
		control?.disconnect();
		hangUpAll();
		await server?.stop();
	});

	test('who connects is told to come again, a bad token all the same', async () => {
		const [ann, bob] = [await person(server, 'Ann'), await person(server, 'Bob')];
		const room = await make(server, ann, [bob]);
		const before = await listen(server, bob);
		const pid = Number((await control.info('server')).match(/process_id:(\d+)/)[1]);
		process.kill(pid, 'SIGSTOP');
		try {
			const known = new Listener(server, { token: bob.token });
			const unknown = new Listener(server, { token: token({ sub: unique('new') }) });
			const bad = new Listener(server, { token: 'garbage' });
			assert.deepEqual(await bad.closed(), { code: 1008, reason: 'BadToken' });
			for (const each of [known, unknown]) {
				assert.deepEqual(await each.closed(), { code: 1013, reason: 'temporarily unavailable' });
				assert.deepEqual(each.heard, []);
			}
			const answer = await post(server, ann, `/room/post/${room}`, { content: 'lost' });
			assert.equal(answer.status, 503);
			assert.ok(Number(answer.headers['retry-after']) >= 1);
		} finally {
			process.kill(pid, 'SIGCONT');
		}
		const after = await until(async () => {
			const one = await listen(server, bob);
			return await one.answers() && one;
		}, 'socket');
		await until(async () => (await post(server, ann, `/room/post/${room}`, { content: 'after' })).status === 201,
			'post');
		for (const each of [before, after])
			await until(() => each.heard.some(({ content }) => content === 'after'), 'notification');
	});
});

describe('notifications when the server goes', { timeout: 120_000 }, () => {
	test('draining closes the sockets, and they hear why', async () => {
		const server = await start({ root: 'none' });
		try {
			const ann = await person(server, 'Ann');
			const all = await Promise.all(Array.from({ length: 40 }, () => listen(server, ann)));
			const stopped = server.stop({ signal: 'SIGQUIT' });
			for (const each of all)
				assert.deepEqual(await each.closed(), { code: 1001, reason: 'going away' });
			await stopped;
		} finally {
			server.abandon();
		}
	});
});

// The notifications API: the document's own client, who is let in, and each notification to whom it is for.
import { spawn } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import StockWebSocket from 'ws';
import { enter, leaveAll } from '../lib/chatter.mjs';
import { examples, run } from '../lib/examples.mjs';
import { Listener, hangUpAll, listen } from '../lib/listener.mjs';
import { channel, conversation, person } from '../lib/people.mjs';
import { WAY, get, heardBy as heardUpToNow, make, post, say } from '../lib/rooms.mjs';
import { rest } from '../lib/rest.mjs';
import { ROOT, start } from '../lib/server.mjs';
import { token } from '../lib/token.mjs';
import { until } from '../lib/wait.mjs';
import { OP, WebSocket } from '../lib/websocket.mjs';
import { request } from '../lib/wire.mjs';

const ISO_SECONDS = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;

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

	const heardBy = (listener, user) => heardUpToNow(server, listener, user);
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
});

// The messenger API with stock Socket.IO clients on four workers.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Chatter, TRAVEL, enter, leaveAll } from '../lib/chatter.mjs';
import { ears, examples, run } from '../lib/examples.mjs';
import { PLACE, about, apart, heard, say, settled, sit } from '../lib/messenger.mjs';
import { conversation, person, unique } from '../lib/people.mjs';
import { rest } from '../lib/rest.mjs';
import { start } from '../lib/server.mjs';
import { token } from '../lib/token.mjs';
import { until } from '../lib/wait.mjs';

const PAGE = 'docs/messenger.md';
const wait = { timeout: 120_000 };

describe('messenger', wait, () => {
	let server;
	before(async () => { server = await start(); });
	after(async () => {
		leaveAll();
		await server?.stop();
	});

	const people = (...names) => Promise.all(names.map((name) => person(server, name)));

	// First, while nobody else is there.
	describe('the page', () => {
		const { listen, next } = ears();
		const jwt = (name) => token({ sub: name, username: name, name });
		const scope = { next, token: jwt('ann') };
		// Listens before anything can be heard.
		const connect = (options) => {
			const one = new Chatter(server, { ...PLACE, ...options });
			listen(one.socket);
			return one;
		};
		before(async () => {
			for (const name of ['ann', 'bob', 'eve']) {
				const one = await connect({ token: jwt(name) }).connected();
				scope[name] = one.socket;
				await one.next('user-join', ({ user }) => user === name);
			}
			scope.io = (url, options) => {
				assert.equal(url, 'ws://localhost:3000/chat');
				return connect(options).socket;
			};
		});
		after(leaveAll);
		for (const example of examples(PAGE))
			test(`the page: ${example.heading}`, wait, () => run(example, scope));
	});

	for (const travel of Object.keys(TRAVEL)) {
		test(`${travel}: a chat reaches all sockets of its recipient, the first one too`, wait, async () => {
			const [ann, bob] = await people('Ann', 'Bob');
			const one = await sit(server, ann, { travel });
			const own = await sit(server, ann);
			const other = await sit(server, bob, { travel });
			const far = await apart(server, bob, own);
			const first = await say(one, bob, 'Hello, wörld 🙂');
			assert.equal(typeof first.id, 'string');
			assert.deepEqual(first, { id: first.id, sender: ann.username, recipient: bob.username,
				message: 'Hello, wörld 🙂', has_read: false });
			const second = await say(one, bob, 'And?');
			for (const each of [other, far]) {
				await until(() => heard(each, 'chat').length === 2, 'both');
				assert.deepEqual(heard(each, 'chat'), [{ chat: first }, { chat: second }]);
				assert.deepEqual(heard(each, 'unread-chats-count'), [
					{ unreadChatsCount: 1, user: ann.username }, { unreadChatsCount: 2, user: ann.username }]);
				const names = each.heard.map(({ name }) => name).filter((name) => !/^user-/.test(name));
				assert.deepEqual(names, ['unread-chats-count', 'chat', 'unread-chats-count', 'chat']);
			}
			await settled(server, one, own);
			for (const each of [one, own]) {
				assert.deepEqual(heard(each, 'chat'), []);
				assert.deepEqual(heard(each, 'unread-chats-count'), []);
			}
			assert.deepEqual(await other.ask('fetch-unread-chats-count', { user: ann.username }),
				{ unreadChatsCount: 2 });
			assert.deepEqual(await one.ask('fetch-unread-chats-count', { user: bob.username }),
				{ unreadChatsCount: 0 });
			for (const [each, correspondent] of [[one, bob], [other, ann]]) {
				assert.deepEqual(await each.ask('fetch-conversation-with-user', { user: correspondent.username }),
					{ chats: [first, second] });
			}
		});

		test(`${travel}: reading is told to the sender, what is left to the reader’s others`, wait, async () => {
			const [ann, bob] = await people('Ann', 'Bob');
			const one = await sit(server, ann, { travel });
			const own = await apart(server, ann);
			const reader = await sit(server, bob, { travel });
			const far = await apart(server, bob);
			const first = await say(one, bob, 'first');
			const second = await say(one, bob, 'second');
			// The later one: what is read is one chat, not all up to it.
			assert.deepEqual(await reader.ask('read-chat', { id: second.id }), {});
			for (const each of [one, own])
				assert.deepEqual(await each.next('read-chat'), { id: second.id, user: bob.username });
			await until(() => heard(far, 'unread-chats-count').length === 3, 'count');
			assert.deepEqual(heard(far, 'unread-chats-count').at(-1), { unreadChatsCount: 1, user: ann.username });
			assert.deepEqual(await reader.ask('fetch-conversation-with-user', { user: ann.username }),
				{ chats: [first, { ...second, has_read: true }] });
			// Once more changes nothing, on whichever socket.
			assert.deepEqual(await reader.ask('read-chat', { id: second.id }), {});
			assert.deepEqual(await far.ask('read-chat', { id: second.id }), {});
			assert.deepEqual(await reader.ask('fetch-unread-chats-count', { user: ann.username }),
				{ unreadChatsCount: 1 });
			await settled(server, one, own, reader, far);
			assert.deepEqual([one, own, reader, far].map((each) => heard(each, 'read-chat').length), [1, 1, 0, 0]);
			assert.deepEqual([one, own, reader, far].map((each) => heard(each, 'unread-chats-count').length),
				[0, 0, 2, 3]);
		});
	}

	test('the document’s client connects: ws://…/chat, path /ws', wait, async () => {
		const [ann] = await people('Ann');
		const one = await enter({ url: `ws://127.0.0.1:${server.port}` },
			{ token: ann.token, path: '/ws', nsp: '/chat', travel: 'upgrade' });
		const { users } = await one.ask('fetch-users', {});
		assert.deepEqual(users.find(({ username }) => username === ann.username),
			{ username: ann.username, isOnline: true });
	});

	test('at path /socket.io/ it is the namespace /messenger, on every port', wait, async () => {
		const [ann, bob] = await people('Ann', 'Bob');
		for (const travel of Object.keys(TRAVEL)) {
			const one = await sit(server, ann, { travel, path: '/socket.io/', nsp: '/messenger' });
			const other = await sit(server, bob, { travel });
			const chat = await say(one, bob, `by ${travel}`);
			assert.deepEqual(await other.next('chat'), { chat });
		}
	});

	describe('the connection', () => {
		const REQUIRED = 'Authentication token required';
		const FAILED = 'Authentication failed';
		const refusals = [
			['no token', () => undefined, REQUIRED],
			['garbage', () => 'garbage', FAILED],
			['another secret', () => token({ sub: 'x' }, { secret: 'other' }), FAILED],
			['alg none', () => token({ sub: 'x' }, { alg: 'none' }), FAILED],
			['an expired token', () => token({ sub: 'x', exp: 1 }), FAILED],
			['no sub', () => token({ name: 'x' }), FAILED],
			['a deleted user', async () => {
				const [eve] = await people('Eve');
				assert.equal((await rest(server, 'DELETE', '/login/delete', eve.token)).status, 200);
				return eve.token;
			}, FAILED],
		];
		for (const [what, make, message] of refusals) {
			for (const travel of Object.keys(TRAVEL)) {
				test(`${travel}: ${what} is told by auth-failed, then a disconnect`, wait, async () => {
					const one = new Chatter(server, { token: await make(), travel, ...PLACE, reconnection: true });
					assert.deepEqual(await one.next('auth-failed'), { message });
					assert.equal(await one.disconnected(), 'io server disconnect');
					// A stock client does not come back after that.
					assert.equal(one.socket.active, false);
					assert.deepEqual(one.heard.map(({ name }) => name), ['auth-failed']);
				});
			}
		}

		test('a token in the query, or in the header', wait, async () => {
			const [ann] = await people('Ann');
			for (const options of [{ query: { token: ann.token } },
				{ extraHeaders: { Authorization: `Bearer ${ann.token}` } },
				{ extraHeaders: { Authorization: ann.token } }]) {
				const one = await enter(server, { ...PLACE, ...options });
				assert.ok((await one.ask('fetch-users', { limit: 1 })).users);
				assert.equal(one.count('auth-failed'), 0);
			}
		});
	});

	describe('chats', () => {
		test('page by page: the last 50, oldest first', wait, async () => {
			const [ann, bob] = await people('Ann', 'Bob');
			const one = await sit(server, ann);
			const user = bob.username;
			assert.deepEqual(await one.ask('fetch-conversation-with-user', { user }), { chats: [] });
			const chats = [];
			for (let i = 0; i < 53; i++)
				chats.push(await say(one, bob, `number ${i}`));
			const page = (more) => one.ask('fetch-conversation-with-user', { user, ...more });
			assert.deepEqual(await page(), { chats: chats.slice(3) });
			assert.deepEqual(await page({ before: chats[3].id }), { chats: chats.slice(0, 3) });
			assert.deepEqual(await page({ before: chats[0].id }), { chats: [] });
			assert.deepEqual(await page({ limit: 2 }), { chats: chats.slice(51) });
			assert.deepEqual(await page({ limit: 2, before: chats[51].id }), { chats: chats.slice(49, 51) });
			assert.deepEqual(await page({ limit: 100 }), { chats });
		});

		test('media are links, and attachments in the channels API', wait, async () => {
			const [ann, bob] = await people('Ann', 'Bob');
			const one = await sit(server, ann);
			const other = await sit(server, bob);
			const media = ['https://img.example/cat.png?size=1', 'https://img.example/é/dog.jpg'];
			const chat = await say(one, bob, 'look', { media });
			assert.deepEqual(chat.media, media);
			assert.deepEqual(await other.next('chat'), { chat });
			assert.deepEqual((await other.ask('fetch-conversation-with-user', { user: ann.username })).chats, [chat]);
			const id = await conversation(server, ann, bob);
			const { json } = await rest(server, 'GET', `/api/conversations/${id}/messages`, bob.token);
			const [first] = json.data[0].attachments;
			assert.deepEqual(json.data[0].attachments.map(({ url }) => url), media);
			assert.match(first.createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
			assert.deepEqual(first, { id: media[0], filename: 'cat.png', originalName: 'cat.png', size: 0,
				mimeType: 'application/octet-stream', url: media[0], createdAt: first.createdAt });
			assert.equal('media' in await say(one, bob, 'none', { media: [] }), false);
			const most = Array.from({ length: 10 }, (_, i) => `https://img.example/${i}`);
			assert.deepEqual((await say(one, bob, 'ten', { media: most })).media, most);
		});

		test('the same clientMessageId is one chat', wait, async () => {
			const [ann, bob] = await people('Ann', 'Bob');
			const one = await sit(server, ann);
			const own = await apart(server, ann, one);
			const other = await sit(server, bob);
			const clientMessageId = unique('cmid');
			const [chat, again] = await Promise.all([say(one, bob, 'once', { clientMessageId }),
				say(own, bob, 'once', { clientMessageId })]);
			assert.deepEqual(again, chat);
			assert.deepEqual(await say(one, bob, 'another text', { clientMessageId }), chat);
			await settled(server, other);
			assert.deepEqual(heard(other, 'chat'), [{ chat }]);
			assert.deepEqual(heard(other, 'unread-chats-count'), [{ unreadChatsCount: 1, user: ann.username }]);
		});

		test('a username in other case is the same user’s', wait, async () => {
			const [ann, bob] = await people('Ann', 'Bob');
			const one = await sit(server, ann);
			const other = await sit(server, bob);
			const loud = { username: bob.username.toUpperCase() };
			const chat = await say(one, loud, 'HEY');
			assert.equal(chat.recipient, bob.username);
			assert.deepEqual(await other.next('chat'), { chat });
			const user = loud.username;
			assert.deepEqual(await one.ask('fetch-conversation-with-user', { user }), { chats: [chat] });
			assert.deepEqual(await one.ask('wait-for-user', { user }), {});
			assert.deepEqual(await one.next('user-online'), { user: bob.username });
		});

		test('what is asked for without an acknowledgement is done, and nothing answered', wait, async () => {
			const [ann, bob] = await people('Ann', 'Bob');
			const one = await sit(server, ann);
			const other = await sit(server, bob);
			one.emit('send-message', { user: bob.username, message: 'quietly' });
			const { chat } = await other.next('chat');
			other.emit('read-chat', { id: chat.id });
			assert.deepEqual(await one.next('read-chat'), { id: chat.id, user: bob.username });
			one.emit('wait-for-user', { user: bob.username });
			await one.next('user-online');
			one.emit('stop-waiting-for-user', { user: bob.username });
			one.emit('fetch-users', {});
			one.emit('fetch-conversation-with-user', { user: bob.username });
			one.emit('fetch-unread-chats-count', { user: bob.username });
			one.emit('send-message', { user: 'nobody' });
			one.emit('nobody-knows', {});
			await settled(server, one);
			const names = one.heard.filter(({ args: [said] }) => !/^Herald/.test(said.chat?.sender ?? said.user))
				.map(({ name }) => name).filter((name) => name !== 'user-join' && name !== 'user-leave');
			assert.deepEqual(names, ['read-chat', 'user-online']);
		});

		test('a deleted user: nothing more is sent, what was stays to be read', wait, async () => {
			const [ann, bob] = await people('Ann', 'Bob');
			const one = await sit(server, ann);
			const other = await sit(server, bob);
			const chat = await say(other, ann, 'farewell');
			const user = bob.username;
			assert.equal((await rest(server, 'DELETE', '/login/delete', bob.token)).status, 200);
			assert.deepEqual(await other.next('auth-failed'), { message: 'Authentication failed' });
			assert.equal(await other.disconnected(), 'io server disconnect');
			const answers = await Promise.all([one.ask('send-message', { user, message: 'still there?' }),
				one.ask('wait-for-user', { user })]);
			assert.deepEqual(answers.map(({ error }) => error.code), ['not-found', 'not-found']);
			assert.deepEqual(await one.ask('fetch-conversation-with-user', { user }), { chats: [chat] });
			assert.deepEqual(await one.ask('fetch-unread-chats-count', { user }), { unreadChatsCount: 1 });
			assert.deepEqual(await one.ask('read-chat', { id: chat.id }), {});
			assert.deepEqual(await one.ask('stop-waiting-for-user', { user }), {});
			const { users } = await one.ask('fetch-users', {});
			assert.equal(users.some(({ username }) => username === user), false);
		});
	});

	describe('refusals', () => {
		// Event, payload made from the other’s username and a chat to the asker, code and text.
		const link = 'https://img.example/a';
		const refused = [
			['send-message', ({ user }) => ({ user }), 'bad-request', /^message is required$/],
			['send-message', ({ user }) => ({ user, message: '' }), 'bad-request', /^message must have/],
			['send-message', ({ user }) => ({ user, message: 'x'.repeat(2001) }), 'bad-request', /^message must have/],
			['send-message', ({ user }) => ({ user, message: 5 }), 'bad-request', /^message must be a string$/],
			['send-message', ({ user }) => ({ user, message: 'a\0b' }), 'bad-request', /^message /],
			['send-message', () => ({ message: 'a' }), 'bad-request', /^user is required$/],
			['send-message', () => ({ message: 'a', user: 7 }), 'bad-request', /^user must be a string$/],
			['send-message', () => ({ message: 'a', user: '' }), 'bad-request', /^user /],
			['send-message', ({ me }) => ({ message: 'a', user: me }), 'bad-request', /^user is oneself$/],
			['send-message', () => ({ message: 'a', user: 'no-such-user' }), 'not-found', /^There is no such user$/],
			['send-message', ({ user }) => ({ user, message: 'a', media: link }), 'bad-request',
				/^media must be an array$/],
			['send-message', ({ user }) => ({ user, message: 'a', media: [5] }), 'bad-request',
				/^media must be an array of URLs of uploads, or https URLs$/],
			['send-message', ({ user }) => ({ user, message: 'a', media: [link, 'http://img.example/a'] }),
				'bad-request', /^media must be an array of URLs of uploads, or https URLs$/],
			['send-message', ({ user }) => ({ user, message: 'a', media: Array(11).fill(link) }), 'bad-request',
				/^media must have at most 10 elements$/],
			['send-message', ({ user }) => ({ user, message: 'a', clientMessageId: 'x'.repeat(65) }), 'bad-request',
				/^clientMessageId must have/],
			['send-message', () => 'no object', 'bad-request', /^data must be an object$/],
			['fetch-users', () => ({ limit: 0 }), 'bad-request', /^limit must be from 1 to 1000$/],
			['fetch-users', () => ({ limit: 1001 }), 'bad-request', /^limit must be from 1 to 1000$/],
			['fetch-users', () => ({ limit: 'all' }), 'bad-request', /^limit must be a number$/],
			['fetch-users', () => ({ after: 5 }), 'bad-request', /^after must be a string$/],
			['fetch-users', () => [], 'bad-request', /^data must be an object$/],
			['fetch-conversation-with-user', () => ({}), 'bad-request', /^user is required$/],
			['fetch-conversation-with-user', () => ({ user: 'no-such-user' }), 'not-found', /^There is no such user$/],
			['fetch-conversation-with-user', ({ user }) => ({ user, limit: 101 }), 'bad-request',
				/^limit must be from 1 to 100$/],
			['fetch-conversation-with-user', ({ user }) => ({ user, before: 'nonsense' }), 'bad-request', /^before /],
			['fetch-conversation-with-user', ({ user }) => ({ user, before: {} }), 'bad-request', /^before /],
			['fetch-unread-chats-count', () => ({}), 'bad-request', /^user is required$/],
			['fetch-unread-chats-count', () => ({ user: 'no-such-user' }), 'not-found', /^There is no such user$/],
			['read-chat', () => ({}), 'bad-request', /^id is required$/],
			['read-chat', () => ({ id: [] }), 'bad-request', /^id must be a string$/],
			['read-chat', () => ({ id: 'no-such-chat' }), 'not-found', /^There is no such chat$/],
			['read-chat', () => ({ id: 5 }), 'not-found', /^There is no such chat$/],
			['read-chat', ({ others }) => ({ id: others }), 'not-found', /^There is no such chat$/],
			['read-chat', ({ mine }) => ({ id: mine }), 'forbidden', /^Only its recipient can read a chat$/],
			['wait-for-user', () => ({}), 'bad-request', /^user is required$/],
			['wait-for-user', () => ({ user: 'no-such-user' }), 'not-found', /^There is no such user$/],
			['stop-waiting-for-user', () => ({}), 'bad-request', /^user is required$/],
			['stop-waiting-for-user', () => ({ user: 'no-such-user' }), 'not-found', /^There is no such user$/],
			['nobody-knows', () => ({}), 'bad-request', /^Unknown event: nobody-knows$/],
		];

		test('each is acknowledged with its code and the field, and nothing is emitted', wait, async () => {
			const [ann, bob, eve] = await people('Ann', 'Bob', 'Eve');
			const [one, other, third] = await Promise.all([ann, bob, eve].map((user) => sit(server, user)));
			const given = { user: bob.username, me: ann.username, mine: (await say(one, bob, 'mine')).id,
				others: (await say(third, bob, 'to Bob')).id };
			await other.next('chat', ({ chat }) => chat.id === given.others);
			for (const [event, body, code, text] of refused) {
				const payload = body(given);
				const answer = await one.ask(event, payload);
				const what = `${event} ${JSON.stringify(payload).slice(0, 100)}: ${JSON.stringify(answer)}`;
				assert.deepEqual(Object.keys(answer), ['error'], what);
				assert.equal(answer.error.code, code, what);
				assert.match(answer.error.message, text, what);
				assert.equal(Object.keys(answer.error).length, 2, what);
			}
			await settled(server, one, other, third);
			assert.equal(heard(other, 'chat').length, 2);
			for (const each of [one, third])
				assert.deepEqual([...heard(each, 'chat'), ...heard(each, 'read-chat')], []);
		});
	});

	describe('beside the channels API', () => {
		test('a message in a conversation is a chat, and a chat a message', wait, async () => {
			const [ann, bob] = await people('Ann', 'Bob');
			const conversationId = await conversation(server, ann, bob);
			const one = await sit(server, ann);
			const other = await sit(server, bob);
			const [annThere, bobThere] = await Promise.all([ann, bob].map((user) =>
				enter(server, { token: user.token })));
			for (const each of [annThere, bobThere])
				assert.equal((await each.ask('join_conversation', { conversationId })).ok, true);

			const { message } = await annThere.ask('send_direct_message', { conversationId, content: 'by channels' });
			const { chat } = await other.next('chat');
			assert.deepEqual(chat, { id: message.id, sender: ann.username, recipient: bob.username,
				message: 'by channels', has_read: false });
			assert.deepEqual(await other.next('unread-chats-count'), { unreadChatsCount: 1, user: ann.username });
			const forwarded = await annThere.ask('forward_to_direct',
				{ messageId: message.id, targetConversationId: conversationId });
			assert.deepEqual(await other.next('chat'), { chat: { ...chat, id: forwarded.message.id } });
			assert.deepEqual(await other.next('unread-chats-count'), { unreadChatsCount: 2, user: ann.username });

			const back = await say(other, ann, 'by messenger');
			for (const each of [annThere, bobThere]) {
				const said = await each.next('new_direct_message', ({ content }) => content === 'by messenger');
				assert.equal(said.id, back.id);
				assert.equal(said.conversationId, conversationId);
				assert.equal(said.userId, bob.id);
			}
			assert.deepEqual(await one.next('chat'), { chat: back });

			// What has no word here is not told.
			const at = { conversationId, messageId: message.id };
			await annThere.ask('edit_direct_message', { ...at, content: 'edited' });
			await annThere.ask('add_direct_reaction', { ...at, emoji: '👍' });
			await annThere.ask('remove_direct_reaction', { ...at, emoji: '👍' });
			await annThere.ask('delete_direct_message', { ...at, messageId: forwarded.message.id });
			await settled(server, one, other);
			assert.deepEqual(heard(other, 'chat').length, 2);
			assert.deepEqual(heard(one, 'chat').length, 1);
			const { chats } = await one.ask('fetch-conversation-with-user', { user: bob.username });
			assert.deepEqual(chats.map((each) => each.message),
				['edited', '[This message was deleted]', 'by messenger']);
		});

		test('a channel’s message is none', wait, async () => {
			const [ann, bob] = await people('Ann', 'Bob');
			const made = await rest(server, 'POST', '/api/channels', ann.token,
				{ name: unique('channel'), members: [bob.id] });
			const there = await enter(server, { token: ann.token });
			const other = await sit(server, bob);
			const { message } = await there.ask('send_message', { channelId: made.json.data.id, content: 'to all' });
			await settled(server, other);
			assert.deepEqual(heard(other, 'chat'), []);
			assert.equal((await other.ask('read-chat', { id: message.id })).error.code, 'not-found');
		});
	});

	describe('recovery', () => {
		// A socket that counts how it comes back.
		async function comer(user) {
			const one = await sit(server, user, { reconnection: true, reconnectionDelay: 20 });
			one.back = [];
			one.socket.on('connect', () => one.back.push(one.socket.recovered));
			return one;
		}

		// Cut off, and back only after `meanwhile`.
		async function away(one, meanwhile) {
			const times = one.back.length + 1;
			one.socket.io.reconnection(false);
			one.engine.transport.ws.terminate();
			await until(() => !one.socket.connected, 'loss');
			await meanwhile();
			one.socket.io.reconnection(true);
			one.socket.connect();
			await until(() => one.back.length >= times && one.socket.connected, 'return');
		}

		test('what was missed is heard once, and what was waited for', wait, async () => {
			const [ann, bob, carl, dora] = await people('Ann', 'Bob', 'Carl', 'Dora');
			const one = await comer(ann);
			const other = await sit(server, bob);
			const before_ = await say(other, ann, 'before');
			const mine = await say(one, bob, 'mine');
			await one.next('chat');
			for (const user of [bob, carl, dora])
				assert.deepEqual(await one.ask('wait-for-user', { user: user.username }), {});
			assert.deepEqual(await one.ask('stop-waiting-for-user', { user: dora.username }), {});
			let meanwhile;
			await away(one, async () => {
				meanwhile = await say(other, ann, 'meanwhile');
				await other.ask('read-chat', { id: mine.id });
				const carls = await sit(server, carl);
				await sit(server, dora);
				// Its first chat to Ann makes a room that she is in since.
				await say(carls, ann, 'nice to meet you');
			});
			const last = await say(other, ann, 'after');
			await one.next('user-online', about(carl));
			await settled(server, one);
			assert.deepEqual(one.back, [true]);
			assert.deepEqual(heard(one, 'chat').filter(({ chat }) => chat.sender === bob.username),
				[{ chat: before_ }, { chat: meanwhile }, { chat: last }]);
			assert.deepEqual(heard(one, 'chat').filter(({ chat }) => chat.sender === carl.username)
				.map(({ chat }) => chat.message), ['nice to meet you']);
			assert.deepEqual(heard(one, 'unread-chats-count').filter(about(bob)).map((said) => said.unreadChatsCount),
				[1, 2, 3]);
			assert.deepEqual(one.all('read-chat'), [{ id: mine.id, user: bob.username }]);
			assert.deepEqual([bob, carl, dora].map((user) => one.count('user-online', about(user))), [1, 1, 0]);
			assert.deepEqual([bob, carl, dora].map((user) => one.count('user-join', about(user))), [1, 1, 1]);
		});

		test('a room that came while connected is recovered, too', wait, async () => {
			const [ann, bob] = await people('Ann', 'Bob');
			const one = await comer(ann);
			const other = await sit(server, bob);
			await say(other, ann, 'first');
			await one.next('chat');
			await away(one, () => say(other, ann, 'second'));
			await say(other, ann, 'third');
			await settled(server, one);
			assert.deepEqual(one.back, [true]);
			assert.deepEqual(heard(one, 'chat').map(({ chat }) => chat.message), ['first', 'second', 'third']);
		});
	});
});

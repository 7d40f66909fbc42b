// The messenger API with stock Socket.IO clients on four workers.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Chatter, TRAVEL, enter, leaveAll, workerOfChatter } from '../lib/chatter.mjs';
import { ears, examples, run } from '../lib/examples.mjs';
import { conversation, person, unique } from '../lib/people.mjs';
import { redis } from '../lib/redis.mjs';
import { rest } from '../lib/rest.mjs';
import { start } from '../lib/server.mjs';
import { token } from '../lib/token.mjs';
import { until } from '../lib/wait.mjs';

const PAGE = 'docs/messenger.md';
const PLACE = { path: '/ws', nsp: '/chat' };
const wait = { timeout: 120_000 };
const inSeconds = (s) => Math.floor(Date.now() / 1000) + s;

// A messenger's socket of that user.
async function sit(server, user, options = {}) {
	const one = await enter(server, { token: user.token, ...PLACE, ...options });
	one.user = user;
	return one;
}

// One on a worker where none of `others` is.
async function apart(server, user, ...others) {
	const homes = others.map((other) => workerOfChatter(server, other));
	const tried = [];
	const found = await until(async () => {
		const one = await sit(server, user);
		if (!homes.includes(workerOfChatter(server, one)))
			return one;
		tried.push(one);
		return null;
	}, 'socket on another worker', { every: 0 });
	for (const one of tried)
		one.leave();
	return found;
}

const say = async (from, to, message, more = {}) => {
	const answer = await from.ask('send-message', { user: to.username, message, ...more });
	assert.ok(answer.chat, JSON.stringify(answer));
	return answer.chat;
};

// A herald's chat comes the way of all news: when it is here, what was told before it is, too.
async function settled(server, ...chatters) {
	server.herald ??= person(server, 'Herald').then((user) => sit(server, user));
	const herald = await server.herald;
	for (const one of chatters) {
		const { id } = await say(herald, one.user, 'Is all well?');
		await until(() => one.count('chat', ({ chat }) => chat.id === id) > 0, 'herald');
	}
}

// What it heard of that name, the herald's left out.
function heard(one, name) {
	return one.all(name).filter((said) => !/^Herald/.test(said.chat?.sender ?? said.user));
}

const about = (user) => (said) => said.user === user.username;

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

// These take the seconds that they are about, so they run side by side.
describe('messenger in time', { timeout: 300_000, concurrency: true }, () => {
	after(leaveAll);

	describe('coming and going', { timeout: 120_000, concurrency: true }, () => {
		let server;
		let watcher;
		before(async () => {
			server = await start({ root: 'messenger' });
			watcher = await sit(server, await person(server, 'Watcher'));
		});
		after(() => server?.stop());

		const people = (...names) => Promise.all(names.map((name) => person(server, name)));

		// Goes, and gives how long after that `one` hears of it by `name`.
		async function farewell(one, leaver, name) {
			const then = Date.now();
			const times = one.count(name, about(leaver.user));
			leaver.leave();
			await until(() => one.count(name, about(leaver.user)) > times, name, { every: 5 });
			return Date.now() - then;
		}

		// It is told 5 to 6 seconds after; the rest is for a busy machine.
		function assertInTime(ms) {
			assert.ok(ms >= 4900 && ms < 9000, `after ${ms} ms`);
		}

		// Until another has come and gone after all that was started before.
		async function seeAnother() {
			const other = await sit(server, (await people('Other'))[0]);
			await farewell(watcher, other, 'user-leave');
			await settled(server, watcher);
		}

		const told = (one, user) => ['user-join', 'user-leave', 'user-online', 'user-offline']
			.map((name) => one.count(name, about(user)));

		for (const travel of Object.keys(TRAVEL)) {
			test(`${travel}: all hear of joining and leaving, those who wait of more`, wait, async () => {
				const [ann, bob, carl] = await people('Ann', 'Bob', 'Carl');
				const one = await sit(server, ann, { travel });
				const bystander = await sit(server, carl, { travel });
				const user = bob.username;
				assert.deepEqual(await one.ask('wait-for-user', { user }), {});
				assert.deepEqual(told(one, bob), [0, 0, 0, 0]);
				const other = await sit(server, bob, { travel });
				assert.deepEqual(await one.next('user-online', about(bob)), { user });
				assert.deepEqual(await one.next('user-join', about(bob)), { user });
				// One’s own, too.
				assert.deepEqual(await other.next('user-join', about(bob)), { user });
				// One who is online already is announced at once, to oneself, too.
				for (const each of [bystander, other]) {
					assert.deepEqual(await each.ask('wait-for-user', { user }), {});
					assert.deepEqual(each.all('user-online').filter(about(bob)), [{ user }]);
				}
				assert.deepEqual(await bystander.ask('stop-waiting-for-user', { user }), {});
				const leaving = farewell(one, other, 'user-offline');
				await bystander.next('user-leave', about(bob));
				await one.next('user-leave', about(bob));
				assertInTime(await leaving);
				await settled(server, one, bystander);
				assert.deepEqual(told(one, bob), [1, 1, 1, 1]);
				assert.deepEqual(told(bystander, bob), [1, 1, 1, 0]);
			});
		}

		test('it is the namespace / where it is the root', wait, async () => {
			const [ann] = await people('Ann');
			const one = await enter(server, { token: ann.token });
			assert.deepEqual(await one.next('user-join', about(ann)), { user: ann.username });
		});

		test('several sockets on several workers are one user; sockets of other APIs count', wait, async () => {
			const [ann, bob] = await people('Ann', 'Bob');
			const one = await sit(server, ann);
			await one.ask('wait-for-user', { user: bob.username });
			const first = await sit(server, bob);
			const second = await apart(server, bob, first);
			const third = await sit(server, bob, { travel: 'polling' });
			const channels = await enter(server, { token: bob.token, nsp: '/channels' });
			channels.user = bob;
			for (const each of [first, second, third])
				each.leave();
			await seeAnother();
			await settled(server, one);
			assert.deepEqual(told(one, bob), [1, 0, 1, 0]);
			assertInTime(await farewell(one, channels, 'user-offline'));
			await settled(server, one);
			assert.deepEqual(told(one, bob), [1, 1, 1, 1]);
		});

		test('a return within five seconds is neither', wait, async () => {
			const [ann, bob] = await people('Ann', 'Bob');
			const one = await sit(server, ann);
			const isOnline = async () => (await one.ask('fetch-users', {})).users
				.find(({ username }) => username === bob.username).isOnline;
			assert.equal(await isOnline(), false);
			await one.ask('wait-for-user', { user: bob.username });
			const first = await sit(server, bob);
			await one.next('user-online', about(bob));
			const r = redis(server);
			first.leave();
			await until(async () => await r.zscore('leaving', bob.id) !== null, 'leaving');
			assert.equal(await isOnline(), true);
			const second = await sit(server, bob);
			await until(async () => await r.zscore('leaving', bob.id) === null, 'return');
			await seeAnother();
			await settled(server, one);
			assert.deepEqual(told(one, bob), [1, 0, 1, 0]);
			assertInTime(await farewell(one, second, 'user-offline'));
			assert.equal(await isOnline(), false);
			r.disconnect();
		});

		test('who stopped waiting hears no more, who waits twice hears once', wait, async () => {
			const [ann, bob] = await people('Ann', 'Bob');
			const one = await sit(server, ann);
			const other = await sit(server, ann);
			const user = bob.username;
			for (const each of [one, other]) {
				await each.ask('wait-for-user', { user });
				await each.ask('wait-for-user', { user });
			}
			assert.deepEqual(await one.ask('stop-waiting-for-user', { user }), {});
			// Of nobody that is waited for, the same.
			assert.deepEqual(await one.ask('stop-waiting-for-user', { user }), {});
			// Who leaves and comes anew waits for nobody.
			const anew = await sit(server, ann);
			await anew.ask('wait-for-user', { user });
			anew.socket.disconnect();
			anew.socket.connect();
			await anew.connected();
			const bobs = await sit(server, bob);
			await other.next('user-online', about(bob));
			await farewell(other, bobs, 'user-offline');
			await settled(server, one, other, anew);
			assert.deepEqual(told(one, bob), [1, 1, 0, 0]);
			assert.deepEqual(told(anew, bob), [1, 1, 0, 0]);
			assert.deepEqual(told(other, bob), [1, 1, 1, 1]);
		});

		test('a user who is deleted goes like any other', wait, async () => {
			const [ann, bob] = await people('Ann', 'Bob');
			const one = await sit(server, ann);
			const bobs = await sit(server, bob);
			await one.ask('wait-for-user', { user: bob.username });
			assert.equal((await rest(server, 'DELETE', '/login/delete', bob.token)).status, 200);
			await one.next('user-offline', about(bob));
			assert.deepEqual(bobs.all('auth-failed'), [{ message: 'Authentication failed' }]);
			await settled(server, one);
			assert.deepEqual(told(one, bob), [1, 1, 1, 1]);
		});

		for (const travel of Object.keys(TRAVEL)) {
			test(`${travel}: a token that expires ends its socket`, wait, async () => {
				const exp = inSeconds(5);
				const ann = await person(server, 'Ann', { exp });
				const one = await sit(server, ann, { travel, reconnection: true });
				assert.deepEqual(await one.next('auth-failed'), { message: 'Authentication failed' });
				assert.equal(await one.disconnected(), 'io server disconnect');
				assert.equal(one.socket.active, false);
				assert.ok(Date.now() >= exp * 1000 - 50, 'too early');
			});
		}
	});

	describe('limits', { timeout: 120_000, concurrency: false }, () => {
		let server;
		let control;
		before(async () => {
			const options = { 'messenger-announce-limit': 2, 'message-rate': '1 5', 'event-rate': '1 100' };
			server = await start({ options });
			control = redis(server);
		});
		after(async () => {
			control?.disconnect();
			await server?.stop();
		});

		const people = (...names) => Promise.all(names.map((name) => person(server, name)));

		test('above messenger-announce-limit only those who wait are told', wait, async () => {
			const [ann, bob, carl] = await people('Ann', 'Bob', 'Carl');
			const one = await sit(server, ann);
			const second = await sit(server, bob);
			await one.next('user-join', about(bob));
			await one.ask('wait-for-user', { user: carl.username });
			const third = await sit(server, carl);
			await one.next('user-online', about(carl));
			third.leave();
			await until(async () => await control.zscore('leaving', carl.id) !== null, 'leaving');
			// When he goes two are left, as many as may be.
			second.leave();
			await one.next('user-offline', about(carl));
			await one.next('user-leave', about(bob));
			assert.equal(one.count('user-join', about(carl)) + one.count('user-leave', about(carl)), 0);
		});

		test('chats are limited per user, over all sockets', wait, async () => {
			const [ann, bob] = await people('Ann', 'Bob');
			const sockets = [await sit(server, ann), await sit(server, ann)];
			const other = await sit(server, bob);
			const answers = await Promise.all(Array.from({ length: 20 }, (_, i) =>
				sockets[i % 2].ask('send-message', { user: bob.username, message: `n ${i}` })));
			const sent = answers.filter(({ chat }) => chat).length;
			// The burst, and what the time that this takes adds.
			assert.ok(sent >= 5 && sent < 20, `${sent} sent`);
			for (const { error } of answers.filter(({ chat }) => !chat))
				assert.deepEqual(error, { code: 'rate-limited', message: 'Rate limit exceeded. Please slow down.' });
			await until(() => other.count('chat') === sent, 'what was sent');
			assert.deepEqual(await other.ask('fetch-unread-chats-count', { user: ann.username }),
				{ unreadChatsCount: sent });
		});

		test('events are limited per connection, too', wait, async () => {
			const [ann, bob] = await people('Ann', 'Bob');
			const one = await sit(server, ann);
			const answers = await Promise.all(Array.from({ length: 150 }, () =>
				one.ask('fetch-unread-chats-count', { user: bob.username })));
			const refused = answers.filter(({ error }) => error);
			assert.ok(refused.length > 0 && refused.length < 150, `${refused.length} refused`);
			for (const { error } of refused)
				assert.deepEqual(error, { code: 'rate-limited', message: 'Rate limit exceeded. Please slow down.' });
		});

		test('users come in pages of at most 1,000, by username', wait, async () => {
			const [ann, eve] = await people('Ann', 'Eve');
			const names = Array.from({ length: 1003 }, (_, i) => `crowd-${String(i).padStart(4, '0')}`);
			const crowd = control.pipeline();
			for (const name of names)
				crowd.fcall('user_enter', 0, name, name, name, '', '', '1', name);
			await crowd.exec();
			assert.equal((await rest(server, 'DELETE', '/login/delete', eve.token)).status, 200);
			const one = await sit(server, ann);
			await until(async () => await control.sismember('online', ann.id), 'Ann online');
			// Whoever was here before may still be leaving.
			const online = new Set(await control.smembers('online'));
			const all = [];
			for (const length of [1000, undefined]) {
				const { users } = await one.ask('fetch-users', { after: all.at(-1)?.username });
				assert.equal(users.length, length ?? users.length);
				all.push(...users);
			}
			assert.deepEqual(all.map(({ username }) => username).filter((name) => /^crowd-/.test(name)), names);
			const lower = all.map(({ username }) => username.toLowerCase());
			assert.deepEqual(lower, [...lower].sort());
			assert.ok(lower.includes(ann.username.toLowerCase()));
			assert.ok(!lower.includes(eve.username.toLowerCase()));
			assert.ok(online.has(ann.id));
			for (const each of all) {
				assert.deepEqual(Object.keys(each), ['username', 'isOnline']);
				assert.equal(each.isOnline, each.username === ann.username || online.has(each.username), each.username);
			}
			const { users } = await one.ask('fetch-users', { after: 'CROWD-0000', limit: 2 });
			assert.deepEqual(users.map(({ username }) => username), ['crowd-0001', 'crowd-0002']);
		});

		test('who was at a worker that died goes, unless they come back', wait, async () => {
			const [ann, bob, carl] = await people('Ann', 'Bob', 'Carl');
			const bobs = await sit(server, bob);
			const one = await apart(server, ann, bobs);
			const victim = workerOfChatter(server, bobs);
			const carls = await until(async () => {
				const each = await sit(server, carl, { reconnection: true });
				return workerOfChatter(server, each) === victim ? each : each.leave();
			}, 'socket on that worker', { every: 0 });
			for (const user of [bob, carl])
				await one.ask('wait-for-user', { user: user.username });
			process.kill(victim, 'SIGKILL');
			await one.next('user-offline', about(bob), 30_000);
			assert.equal(carls.socket.connected, true);
			assert.equal(one.count('user-offline', about(carl)), 0);
		});

		test('without Redis each event is unavailable; later it works, and who went is told of', wait, async () => {
			const [ann, bob, carl] = await people('Ann', 'Bob', 'Carl');
			const one = await sit(server, ann);
			const other = await sit(server, bob);
			const third = await sit(server, carl);
			const user = bob.username;
			const { id } = await say(other, ann, 'before');
			await one.ask('wait-for-user', { user: carl.username });
			const failing = [
				['fetch-users', {}, 'Failed to fetch the users'],
				['fetch-conversation-with-user', { user }, 'Failed to fetch the conversation'],
				['fetch-unread-chats-count', { user }, 'Failed to count the chats'],
				['read-chat', { id }, 'Failed to read the chat'],
				['send-message', { user, message: 'lost?', clientMessageId: 'kept' }, 'Failed to send the message'],
				['wait-for-user', { user }, 'Failed to wait for the user'],
				['stop-waiting-for-user', { user }, 'Failed to stop waiting for the user'],
			];
			const pid = Number((await control.info('server')).match(/process_id:(\d+)/)[1]);
			process.kill(pid, 'SIGSTOP');
			third.leave();
			try {
				const answers = await Promise.all(failing.map(([event, body]) => one.ask(event, body)));
				assert.deepEqual(answers,
					failing.map(([, , message]) => ({ error: { code: 'unavailable', message } })));
			} finally {
				process.kill(pid, 'SIGCONT');
			}
			for (const [event, body] of failing) {
				const answer = await until(async () => {
					const said = await one.ask(event, body);
					return !said.error && said;
				}, `${event} that works`);
				assert.equal(typeof answer, 'object');
			}
			// The same clientMessageId: once, however often it was tried.
			const { chats } = await one.ask('fetch-conversation-with-user', { user });
			assert.equal(chats.filter(({ message }) => message === 'lost?').length, 1);
			// He went while nobody could be told.
			await one.next('user-offline', about(carl));
		});
	});
});

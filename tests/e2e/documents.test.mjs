// The clients that the APIs' documents describe, unchanged, against the default configuration as it is: their
// code where they have some (tests/documents), else the stock clients as a reader would use them. Since the
// default ports may be taken, all of it happens in a network of its own.
import { spawn } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { io } from 'socket.io-client';
import { ears, examples } from '../lib/examples.mjs';
import { enterNetwork } from '../lib/network.mjs';
import { ROOT, freePort, program } from '../lib/server.mjs';
import { token } from '../lib/token.mjs';
import { until, within } from '../lib/wait.mjs';
import { request } from '../lib/wire.mjs';

const wait = { timeout: 60_000 };
const ISO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const ISO_SECONDS = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
const REPORT = /AddressSanitizer|runtime error:|LeakSanitizer|ThreadSanitizer|Assertion .* failed/;

// Where it can't be had, why not.
const elsewhere = enterNetwork(import.meta.url);

// --- The server, as somebody starts it who has changed nothing ---

class DefaultServer {
	output = '';
	ports = { 3000: 3000, 3001: 3001, 8000: 8000 };

	async start() {
		this.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'confab-'));
		fs.copyFileSync(path.join(ROOT, 'confab.conf'), path.join(this.dir, 'confab.conf'));
		this.child = spawn(program('confab'), elsewhere ? await this.otherPorts() : [],
			{ cwd: this.dir, stdio: ['ignore', 'pipe', 'pipe'] });
		process.once('exit', () => this.child.kill('SIGKILL'));
		for (const stream of [this.child.stdout, this.child.stderr])
			stream.setEncoding('utf8').on('data', (text) => { this.output += text; });
		this.ended = new Promise((resolve) => this.child.once('close', resolve));
		await until(() => this.serves(), 'server that serves', { ms: 60_000 }).catch((error) => {
			throw new Error(`${error.message}\n${this.output}`);
		});
	}

	async otherPorts() {
		const roots = { 3000: 'gateway', 3001: 'lobby', 8000: 'channels' };
		const args = [];
		for (const [port, root] of Object.entries(roots)) {
			this.ports[port] = await freePort();
			args.push('--listen', `[::]:${this.ports[port]} ${root}`);
		}
		return args;
	}

	async serves() {
		const answers = await Promise.all(Object.values(this.ports).flatMap((port) =>
			Array.from({ length: 8 }, () => request(port, { path: '/health', ms: 5000 }))));
		return answers.every(({ status }) => status === 200);
	}

	// Code or an address of a document, where we are.
	here(text) {
		return text.replace(/\blocalhost:(\d+)/g, (_, port) => `localhost:${this.ports[port]}`);
	}

	// That with which it signs tokens: made at the first start.
	get secret() {
		return fs.readFileSync(path.join(this.dir, 'data/jwt-secret'), 'utf8').trim();
	}

	async stop() {
		this.child.kill('SIGTERM');
		const status = await within(this.ended, 'end after SIGTERM', 30_000);
		fs.rmSync(this.dir, { recursive: true, force: true });
		assert.equal(status, 0, this.output);
		assert.doesNotMatch(this.output, REPORT);
	}
}

const server = new DefaultServer();
const sockets = new Set();
const timers = [];       // of the documents' code

// `io` as a document uses it, with the ports where we are.
const connect = (url, options) => {
	const socket = io(server.here(url), { ...options, forceNew: true });
	sockets.add(socket);
	return socket;
};

// A document's `fetch`: relative addresses are those of the page's own server.
const browse = (headers) => (address, options = {}) =>
	fetch(new URL(address, server.here('http://localhost:8000')), { ...options, headers: { ...options.headers, ...headers } });

const bearer = (jwt) => ({ Authorization: `Bearer ${jwt}` });

async function call(jwt, method, where, body) {
	const answer = await fetch(server.here(`http://localhost:8000${where}`), {
		method, headers: { ...(jwt && bearer(jwt)), ...(body && { 'Content-Type': 'application/json' }) },
		body: body && JSON.stringify(body),
	});
	assert.ok(answer.ok, `${method} ${where}: ${answer.status}`);
	return answer.json();
}

// Somebody who signs up here, as a reader of the documents does.
async function signUp(username) {
	const { token: jwt, user } = await call(null, 'POST', '/login/signup',
		{ username, password: 'correct horse', name: username });
	return { ...user, token: jwt };
}

const { listen, next } = ears();

before(() => server.start());
after(async () => {
	timers.forEach(clearTimeout);
	for (const socket of sockets)
		socket.off().disconnect();
	await server.stop();
});

const skip = elsewhere ? `on other ports, since ${elsewhere}` : false;
test('in a network of its own, on the default ports', { skip }, () =>
	assert.deepEqual(Object.keys(server.ports), Object.values(server.ports).map(String)));

// --- 000: notifications ---

describe('the document of notifications', wait, () => {
	const [client] = examples('tests/documents/notifications.md');

	// The document's client with a token for its comment; gives the process, with what it printed.
	function run(jwt) {
		const code = server.here(client.lines.join('\n')).replace('// get token', JSON.stringify(jwt));
		const child = spawn(process.execPath, ['--input-type=module', '-e', code],
			{ cwd: path.join(ROOT, 'tests'), stdio: ['ignore', 'pipe', 'inherit'] });
		child.printed = '';
		child.stdout.setEncoding('utf8').on('data', (text) => { child.printed += text; });
		child.ended = new Promise((resolve) => child.once('close', resolve));
		return child;
	}

	// What was printed next: console.log writes objects as JavaScript.
	async function printed(child) {
		const all = () => child.printed.split(/(?<=^\})\n/m).filter((text) => text.endsWith('}'));
		await until(() => all().length > (child.read ?? 0), 'printed notification');
		child.read = (child.read ?? 0) + 1;
		return Function(`return (${all()[child.read - 1].replace(/^[^{]*/, '')})`)();
	}

	test('its client prints each of the five', async () => {
		const [ann, bob, eve] = await Promise.all(['ann0', 'bob0', 'eve0'].map(signUp));
		const [bobs, eves] = [run(bob.token), run(eve.token)];
		await Promise.all([bobs, eves].map((child) =>
			until(() => child.printed.includes('Websocket connected\n'), 'connection')));

		const { roomId } = await call(ann.token, 'POST', '/room/create/', { users: [bob.id] });
		assert.deepEqual(await printed(bobs), { type: 'RoomCreated', creatorId: ann.id, roomId });

		const { postId } = await call(ann.token, 'POST', `/room/post/${roomId}`, { content: 'hello' });
		const post = await printed(bobs);
		assert.match(post.createdAt, ISO_SECONDS);
		assert.deepEqual(post, { type: 'NewPost', userId: ann.id, roomId, postId, content: 'hello',
			createdAt: post.createdAt });

		await call(ann.token, 'POST', `/room/invite/${roomId}`, { users: [eve.id] });
		assert.deepEqual(await printed(eves), { type: 'RoomInvitation', userWhoInvited: ann.id, roomId });
		assert.deepEqual(await printed(bobs),
			{ type: 'NewUsersInRoom', userWhoInvited: ann.id, newUsers: [eve.id], roomId });

		await call(eve.token, 'DELETE', '/login/delete');
		assert.deepEqual(await printed(bobs), { type: 'UserLeftRoom', userId: eve.id, roomId, userDeleted: true });
		await eves.ended;
		assert.match(eves.printed, /\nUserIsDeleted\n\[close\] Connection died\n$/);
		await call(ann.token, 'POST', `/room/leave/${roomId}`);
		assert.deepEqual(await printed(bobs), { type: 'UserLeftRoom', userId: ann.id, roomId, userDeleted: false });
		bobs.kill();
		await bobs.ended;
		assert.doesNotMatch(bobs.printed, /error|close/);
	});

	for (const [what, jwt, code] of [['an empty token', '', 'MissingToken'], ['garbage', 'garbage', 'BadToken']]) {
		test(`its client prints why it may not: ${what}`, async () => {
			const child = run(jwt);
			await child.ended;
			// The document's handler expects an event of browsers, where `ws` gives the code itself.
			assert.equal(child.printed, `Websocket connected\n${code}\n[close] Connection died\n`);
		});
	}
});

// --- 001: gateway ---

describe('the document of the gateway', wait, () => {
	const enter = async (user) => {
		const socket = listen(connect('http://localhost:3000', { auth: { token: user.token } }));
		socket.history = await next(socket, 'updateChatHistory');
		return socket;
	};
	// Emits, and gives the body of the answer, which is a messageBody.
	const ask = async (socket, event, body, answer) => {
		socket.emit(event, body);
		const said = await next(socket, answer);
		assert.equal(typeof said.message, 'string');
		return said;
	};

	test('its events, each with each answer', async () => {
		const [ann, bob] = await Promise.all(['ann1', 'bob1'].map(signUp));
		const [one, other] = [await enter(ann), await enter(bob)];
		assert.deepEqual(one.history, {});
		const open = { name: 'general', status: 'PUBLIC' };
		const closed = { name: 'council', status: 'PRIVATE', password: 'secret' };
		await ask(one, 'createChannel', open, 'createChannelSuccess');
		await ask(one, 'createChannel', closed, 'createChannelSuccess');
		await ask(one, 'createChannel', open, 'createChannelError');
		await ask(one, 'createChannel', { name: 'no-password', status: 'PRIVATE' }, 'createChannelError');
		await ask(other, 'joinChannel', { name: 'general' }, 'joinChannelSuccess');
		await ask(other, 'joinChannel', { name: 'council' }, 'joinChannelError');
		await ask(other, 'joinChannel', { name: 'council', password: 'wrong' }, 'joinChannelError');
		await ask(other, 'joinChannel', { name: 'council', password: 'secret' }, 'joinChannelSuccess');

		await ask(one, 'createChannel', { name: 'bob1', status: 'DIRECT' }, 'createChannelSuccess');
		assert.equal(typeof (await next(other, 'reconnectNeeded')).message, 'string');

		for (const room of ['general', 'council', 'ann1/bob1']) {
			await ask(one, 'sendMessage', { room, text: `to ${room}` }, 'sendMessageSuccess');
			for (const socket of [one, other]) {
				const { id, createdAt, ...message } = await next(socket, 'newMessage');
				assert.equal(typeof id, 'string');
				assert.match(createdAt, ISO_TIME);
				assert.deepEqual(message, { room, sender: 'ann1', text: `to ${room}` });
			}
		}
		await ask(one, 'sendMessage', { room: 'general', text: 'x'.repeat(128) }, 'sendMessageSuccess');
		await ask(one, 'sendMessage', { room: 'general', text: 'x'.repeat(129) }, 'sendMessageError');

		await ask(other, 'leaveChannel', { name: 'council' }, 'leaveChannelSuccess');
		await ask(other, 'leaveChannel', { name: 'council' }, 'leaveChannelError');
		other.disconnect();
		const { history } = await enter(bob);
		assert.deepEqual(Object.entries(history).map(([room, [first]]) => [room, first.text]).sort(),
			[['ann1/bob1', 'to ann1/bob1'], ['general', 'to general']]);
	});

	test('access is denied without a token', async () => {
		const socket = listen(connect('http://localhost:3000'));
		const over = new Promise((resolve) => socket.once('disconnect', resolve));
		assert.equal(typeof (await next(socket, 'accessDenied')).message, 'string');
		assert.equal(await within(over, 'disconnection'), 'io server disconnect');
		assert.equal(socket.active, false);
	});
});

// --- 002: messenger ---

describe('the document of the messenger', wait, () => {
	const enter = (options) => listen(connect('ws://localhost:3000/chat', { path: '/ws', ...options }));
	// The next such event that is about that user.
	const about = async (socket, event, user) => {
		let said;
		do
			said = await within(next(socket, event), `${event} of ${user}`);
		while (said.user !== user);
		assert.deepEqual(said, { user });
	};

	test('its events, each with its payload', async () => {
		const [ann, bob] = await Promise.all(['ann2', 'bob2'].map(signUp));
		const one = enter({ auth: { token: ann.token } });
		await about(one, 'user-join', 'ann2');
		one.emit('wait-for-user', { user: 'bob2' });
		const other = enter({ auth: { token: bob.token } });
		await about(one, 'user-join', 'bob2');
		await about(one, 'user-online', 'bob2');

		const { users } = await one.emitWithAck('fetch-users', {});
		assert.deepEqual(users.filter(({ username }) => /2$/.test(username)),
			[{ username: 'ann2', isOnline: true }, { username: 'bob2', isOnline: true }]);

		const sent = await one.emitWithAck('send-message',
			{ message: 'hello', user: 'bob2', media: ['https://media.example/cat.png'] });
		const { id } = sent.chat;
		assert.ok(['string', 'number'].includes(typeof id));
		const chat = { id, sender: 'ann2', recipient: 'bob2', message: 'hello', has_read: false,
			media: ['https://media.example/cat.png'] };
		assert.deepEqual(sent, { chat });
		assert.deepEqual(await next(other, 'chat'), { chat });
		assert.deepEqual(await next(other, 'unread-chats-count'), { unreadChatsCount: 1, user: 'ann2' });
		assert.deepEqual(await other.emitWithAck('fetch-unread-chats-count', { user: 'ann2' }), { unreadChatsCount: 1 });
		assert.deepEqual(await other.emitWithAck('read-chat', { id }), {});
		assert.deepEqual(await next(one, 'read-chat'), { id, user: 'bob2' });
		assert.deepEqual(await one.emitWithAck('fetch-conversation-with-user', { user: 'bob2' }),
			{ chats: [{ ...chat, has_read: true }] });

		other.disconnect();
		await about(one, 'user-offline', 'bob2');
		await about(one, 'user-leave', 'bob2');
		one.emit('stop-waiting-for-user', { user: 'bob2' });
		const heard = [];
		one.onAny((event) => heard.push(event));
		enter({ auth: { token: bob.token } });
		await about(one, 'user-join', 'bob2');
		await one.emitWithAck('fetch-users', {});
		assert.deepEqual(heard, ['user-join']);
	});

	test('auth-failed without a token', async () => {
		const socket = enter();
		const over = new Promise((resolve) => socket.once('disconnect', resolve));
		assert.ok(await next(socket, 'auth-failed'));
		assert.equal(await within(over, 'disconnection'), 'io server disconnect');
	});
});

// --- 003: lobby ---

test('the document of the lobby: its events, each with its callback', wait, async () => {
	const [one, other] = [0, 1].map(() => listen(connect('http://localhost:3001')));
	// Emits with a callback, and gives its arguments.
	const emit = (socket, ...args) => within(new Promise((resolve) =>
		socket.emit(...args, (...answer) => resolve(answer))), `callback of ${args[0]}`);
	const told = ({ title, description, ...more }) =>
		assert.deepEqual([typeof title, typeof description, more], ['string', 'string', {}]);

	const [{ user: ann, error }] = await emit(one, 'login', { name: 'ann', room: 'kitchen' });
	assert.equal(error, undefined);
	assert.deepEqual(ann, { id: one.id, name: 'ann', room: 'kitchen' });
	assert.deepEqual(await next(one, 'users'), [ann]);
	const [{ user: bob }] = await emit(other, 'login', { name: 'bob', room: 'kitchen' });
	told(await next(one, 'notification'));
	assert.deepEqual(await next(one, 'users'), [ann, bob]);
	assert.deepEqual(await next(other, 'users'), [ann, bob]);
	const [refusal] = await emit(one, 'login', { name: '', room: 'kitchen' });
	assert.equal(typeof refusal.error, 'string');
	assert.equal(refusal.user, undefined);

	other.emit('roomMessage', 'U2FsdGVkX1+2Q==');
	for (const socket of [one, other])
		assert.deepEqual(await next(socket, 'roomMessage'), { message: 'U2FsdGVkX1+2Q==', from: 'bob' });
	assert.deepEqual(await emit(one, 'ping'), [one.id]);

	assert.deepEqual(await emit(other, 'logout'), []);
	told(await next(one, 'notification'));
	assert.deepEqual(await next(one, 'users'), [ann]);
});

// --- 004: channels ---

describe('the document of channels', wait, () => {
	const all = examples('tests/documents/channels.md').map(({ heading, lines }) => ({ heading, code: lines.join('\n') }));
	const [connection, ...rest] = all;
	const emits = rest.filter(({ code }) => code.startsWith('socket.emit('));
	const handlers = rest.filter(({ code }) => !code.startsWith('socket.emit('));
	// The document shows two ways to connect.
	const ways = connection.code.split(/\n\n/);
	const FUNCTIONS = ['retryFailedMessage', 'loadChannelMessages', 'loadConversationMessages', 'sendMessageWithFile'];

	const SHAPES = {
		message: ['attachments', 'channelId', 'content', 'createdAt', 'id', 'reactions', 'replyTo', 'replyToId',
			'updatedAt', 'user', 'userId'],
		direct: ['attachments', 'content', 'conversationId', 'createdAt', 'id', 'reactions', 'replyTo', 'replyToId',
			'updatedAt', 'user', 'userId'],
		reaction: ['createdAt', 'emoji', 'id', 'messageId', 'user', 'userId'],
	};
	const assertShape = (value, kind) => assert.deepEqual(Object.keys(value).sort(), SHAPES[kind]);

	// A program of one way to connect and all handlers of the document, as a reader would put them together.
	function run(way, { token: jwt, fetch = browse({}), channels = [], conversations = [] }) {
		const log = [];       // [first argument, second] of what goes to the console
		const ui = [];        // [function, …arguments] of what goes to the page
		const taken = new Map();
		const draws = (name) => (...args) => { ui.push([name, ...args]); };
		const scope = {
			io: connect, jwtToken: jwt, fetch, activeChannels: channels, activeConversations: conversations,
			setTimeout: (...args) => timers.push(setTimeout(...args)),
			console: { log: (...args) => log.push(args), error: (...args) => log.push(args) },
		};
		for (const name of ['addMessageToUI', 'addDirectMessageToUI', 'updateMessageInUI', 'updateDirectMessageInUI',
			'storeMessageForRetry'])
			scope[name] = draws(name);
		const code = [way, ...handlers.map((handler) => handler.code),
			`return { socket, ${FUNCTIONS.join(', ')} };`].join('\n');
		const client = Function(...Object.keys(scope), code)(...Object.values(scope));
		// The next thing that went to the console under that label.
		const logged = async (label) => {
			const under = () => log.filter(([first]) => first === label);
			const n = taken.get(label) ?? 0;
			await until(() => under().length > n, `${label} (${log.map(([first]) => first).join(' ')})`, { every: 5 });
			taken.set(label, n + 1);
			return under()[n][1];
		};
		return { ...client, log, ui, logged };
	}

	// A snippet that emits, with ids that are there for the document's.
	function emit({ socket }, heading, ids = {}) {
		const { code } = emits.find((one) => one.heading === heading);
		Function('socket', code.replace(/\b(?:\w+_)?(?:channel|message|conversation)_\d+\b/g, (id) => ids[id] ?? id))(socket);
	}

	let ann;
	let bob;
	let rooms;     // the ids of the document → ours
	let one;
	let other;
	before(async () => {
		[ann, bob] = await Promise.all(['ann4', 'bob4'].map(signUp));
		const make = async (name) => (await call(ann.token, 'POST', '/api/channels', { name, members: [bob.id] })).data.id;
		rooms = { channel_123: await make('general4'), target_channel_456: await make('target4') };
		rooms.source_channel_123 = rooms.channel_123;
		rooms.conversation_123 = (await call(ann.token, 'POST', '/api/conversations', { userId: bob.id })).data.id;
		const joins = { channels: [rooms.channel_123, rooms.target_channel_456], conversations: [rooms.conversation_123] };
		one = run(ways[0], { token: ann.token, fetch: browse(bearer(ann.token)), ...joins });
		other = run(ways[1], { token: bob.token, ...joins });
	});

	// A new message of Ann's, which both heard.
	async function said(content = 'to be worked on') {
		const { ok, message } = await one.socket.emitWithAck('send_message', { content, channelId: rooms.channel_123 });
		assert.ok(ok);
		for (const client of [one, other])
			await client.logged('New message received:');
		return message.id;
	}
	async function saidDirectly(content = 'to be worked on') {
		const { ok, message } = await one.socket.emitWithAck('send_direct_message',
			{ content, conversationId: rooms.conversation_123 });
		assert.ok(ok);
		for (const client of [one, other])
			await client.logged('New direct message received:');
		return message.id;
	}
	// What both clients printed.
	async function both(label) {
		const heard = await one.logged(label);
		assert.deepEqual(await other.logged(label), heard);
		return heard;
	}

	test('both ways to connect, and joining what is active', async () => {
		for (const [client, user] of [[one, ann], [other, bob]]) {
			const { userId, user: self } = await client.logged('Authentication successful:');
			assert.equal(userId, user.id);
			assert.deepEqual(self, { id: user.id, name: user.name });
			for (const channelId of [rooms.channel_123, rooms.target_channel_456])
				assert.deepEqual(await client.logged('Joined channel:'), { channelId });
			assert.deepEqual(await client.logged('Joined conversation:'), { conversationId: rooms.conversation_123 });
		}
	});

	test('leaving and joining', async () => {
		emit(one, '2. Leave Channel', rooms);
		assert.deepEqual(await one.logged('Left channel:'), { channelId: rooms.channel_123 });
		emit(one, '1. Join Channel', rooms);
		assert.deepEqual(await one.logged('Joined channel:'), { channelId: rooms.channel_123 });
		emit(one, '2. Leave Conversation', rooms);
		assert.deepEqual(await one.logged('Left conversation:'), { conversationId: rooms.conversation_123 });
		emit(one, '1. Join Conversation', rooms);
		assert.deepEqual(await one.logged('Joined conversation:'), { conversationId: rooms.conversation_123 });
	});

	test('channel events', async () => {
		const first = await said('first');
		emit(one, '3. Send Message', { ...rooms, message_456: first });
		const message = await both('New message received:');
		assertShape(message, 'message');
		assertShape(message.replyTo, 'message');
		assert.deepEqual(message.user, { id: ann.id, name: 'ann4', image: null });
		assert.equal(message.content, 'Hello, world!');
		assert.equal(message.replyToId, first);
		assert.deepEqual(other.ui.at(-1), ['addMessageToUI', message]);

		const ids = { ...rooms, message_123: message.id };
		emit(one, '4. Edit Message', ids);
		const { updatedAt, ...edited } = await both('Message edited:');
		assert.match(updatedAt, ISO_TIME);
		assert.deepEqual(edited, { messageId: message.id, content: 'Updated content', channelId: rooms.channel_123 });
		assert.deepEqual(other.ui.at(-1), ['updateMessageInUI', message.id, 'Updated content']);

		emit(one, '7. Add Reaction', ids);
		const reaction = await both('Reaction added:');
		assertShape(reaction, 'reaction');
		assert.deepEqual(reaction.user, { id: ann.id, name: 'ann4' });
		emit(one, '8. Remove Reaction', ids);
		assert.deepEqual(await both('Reaction removed:'),
			{ messageId: message.id, emoji: '👍', userId: ann.id, channelId: rooms.channel_123 });

		emit(one, '6. Forward Message', ids);
		const forwarded = await both('Message forwarded:');
		assert.deepEqual(Object.keys(forwarded).sort(), ['message', 'originalMessage', 'targetChannelId']);
		assertShape(forwarded.message, 'message');
		assertShape(forwarded.originalMessage, 'message');
		assert.equal(forwarded.message.channelId, rooms.target_channel_456);

		emit(one, '5. Delete Message', ids);
		assert.deepEqual(await both('Message deleted:'), { messageId: message.id, channelId: rooms.channel_123 });
	});

	test('direct message events', async () => {
		const first = await saidDirectly('first');
		emit(one, '3. Send Direct Message', { ...rooms, message_456: first });
		const message = await both('New direct message received:');
		assertShape(message, 'direct');
		assertShape(message.replyTo, 'direct');
		assert.deepEqual(other.ui.at(-1), ['addDirectMessageToUI', message]);

		const ids = { ...rooms, message_123: message.id };
		emit(one, '4. Edit Direct Message', ids);
		const { updatedAt, ...edited } = await both('Direct message edited:');
		assert.match(updatedAt, ISO_TIME);
		assert.deepEqual(edited,
			{ messageId: message.id, content: 'Updated content', conversationId: rooms.conversation_123 });
		assert.deepEqual(other.ui.at(-1), ['updateDirectMessageInUI', message.id, 'Updated content']);

		emit(one, '6. Add Direct Reaction', ids);
		assertShape(await both('Direct reaction added:'), 'reaction');
		emit(one, '7. Remove Direct Reaction', ids);
		assert.deepEqual(await both('Direct reaction removed:'),
			{ messageId: message.id, emoji: '👍', userId: ann.id, conversationId: rooms.conversation_123 });
		emit(one, '5. Delete Direct Message', ids);
		assert.deepEqual(await both('Direct message deleted:'),
			{ messageId: message.id, conversationId: rooms.conversation_123 });
	});

	test('ping, and an error', async () => {
		emit(one, '9. Ping (Health Check)');
		assert.equal(typeof (await one.logged('Pong received:')).timestamp, 'number');
		// The document's ids as they are: there is no such channel.
		emit(one, '1. Join Channel');
		assert.deepEqual(await one.logged('Socket error:'), { message: 'Access denied to channel' });
	});

	test('history over REST', async () => {
		const id = await said('for history');
		const directId = await saidDirectly('for history');
		const [message] = await one.loadChannelMessages(rooms.channel_123);
		assertShape(message, 'message');
		assert.equal(message.id, id);
		const [direct] = await one.loadConversationMessages(rooms.conversation_123);
		assertShape(direct, 'direct');
		assert.equal(direct.id, directId);
		// As it stands there is no token in the request, and so nothing to see.
		assert.equal(await other.loadChannelMessages(rooms.channel_123), undefined);
	});

	test('a file, then a message with it', async () => {
		await one.sendMessageWithFile(rooms.channel_123, 'see here', new File(['hello'], 'hello.txt'));
		const { attachments } = await both('New message received:');
		assert.deepEqual(attachments.map(Object.keys).map((keys) => keys.sort()),
			[['createdAt', 'filename', 'id', 'mimeType', 'originalName', 'size', 'url']]);
	});

	test('a failed message is sent again', async () => {
		one.retryFailedMessage({ content: 'again', channelId: rooms.channel_123 });
		assert.equal((await both('New message received:')).content, 'again');
	});

	test('a lost connection comes back', async () => {
		await one.logged('Reconnected successfully');
		one.socket.io.engine.close();
		assert.equal(await one.logged('Disconnected:'), 'forced close');
		await one.logged('Disconnected, attempting to reconnect...');
		await one.logged('Reconnected successfully');
		emit(one, '9. Ping (Health Check)');
		await one.logged('Pong received:');
	});

	test('a token that expires, and one that has expired', async () => {
		const exp = Math.floor(Date.now() / 1000) + 5;
		const brief = run(ways[0], { token: token({ sub: ann.id, exp }, { secret: server.secret }) });
		await brief.logged('Authentication successful:');
		assert.deepEqual(await brief.logged('Authentication failed:'), { message: 'Authentication failed' });
		assert.equal(await brief.logged('Disconnected:'), 'io server disconnect');
		const late = run(ways[1], { token: token({ sub: ann.id, exp: exp - 60 }, { secret: server.secret }) });
		assert.equal((await late.logged('Connection error:')).message, 'Authentication failed');
	});
});

// The channels API with stock Socket.IO clients on four workers, over every transport.
import { after, afterEach, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Chatter, TRAVEL, enter, leaveAll, workerOfChatter } from '../lib/chatter.mjs';
import { ears, examples, run } from '../lib/examples.mjs';
import { channel, conversation, person, unique } from '../lib/people.mjs';
import { redis } from '../lib/redis.mjs';
import { rest } from '../lib/rest.mjs';
import { start } from '../lib/server.mjs';
import { token } from '../lib/token.mjs';
import { until } from '../lib/wait.mjs';

const ISO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const WORDS = {
	channel: {
		join: 'join_channel', joined: 'joined_channel', leave: 'leave_channel', left: 'left_channel',
		send: 'send_message', sent: 'new_message', edit: 'edit_message', edited: 'message_edited',
		delete: 'delete_message', deleted: 'message_deleted', id: 'channelId',
		react: 'add_reaction', reacted: 'reaction_added',
		unreact: 'remove_reaction', unreacted: 'reaction_removed',
		forward: 'forward_message', forwarded: 'message_forwarded', target: 'targetChannelId',
		denied: 'Access denied to channel',
	},
	conversation: {
		join: 'join_conversation', joined: 'conversation_joined',
		leave: 'leave_conversation', left: 'conversation_left',
		send: 'send_direct_message', sent: 'new_direct_message',
		edit: 'edit_direct_message', edited: 'direct_message_edited',
		delete: 'delete_direct_message', deleted: 'direct_message_deleted', id: 'conversationId',
		react: 'add_direct_reaction', reacted: 'direct_reaction_added',
		unreact: 'remove_direct_reaction', unreacted: 'direct_reaction_removed',
		forward: 'forward_to_direct', forwarded: 'message_forwarded_to_direct',
		target: 'targetConversationId',
		denied: 'Access denied to conversation',
	},
};

const wait = { timeout: 300_000 };

describe('channels', { timeout: 900_000 }, () => {
	let server;
	let ann;
	let bob;
	let eve;
	before(async () => {
		server = await start();
		ann = await person(server, 'Ann', { picture: 'https://img.example/ann.png', email: 'ann@x.example' });
		bob = await person(server, 'Bob');
		eve = await person(server, 'Eve');
	});
	after(async () => {
		leaveAll();
		await server?.stop();
	});
	afterEach(leaveAll);

	// A room of Ann and Bob of that kind.
	const room = (kind) =>
		kind === 'channel' ? channel(server, ann, [bob]) : conversation(server, ann, bob);

	// Ann's and Bob's sockets, both joined to a room.
	async function together(kind, travel) {
		const id = await room(kind);
		const words = WORDS[kind];
		const pair = await Promise.all([ann, bob].map((user) =>
			enter(server, { token: user.token, travel })));
		for (const one of pair) {
			one.emit(words.join, { [words.id]: id });
			assert.deepEqual(await one.next(words.joined, (said) => said[words.id] === id),
				{ [words.id]: id });
		}
		return [id, ...pair];
	}

	for (const travel of Object.keys(TRAVEL)) {
		test(`${travel}: authenticated comes right after the connection`, wait, async () => {
			const one = await enter(server, { token: ann.token, travel });
			const said = await one.next('authenticated');
			assert.equal(said.userId, ann.id);
			assert.deepEqual(said.user, { id: ann.id, name: 'Ann', email: 'ann@x.example' });
			assert.equal(one.heard[0].name, 'authenticated');
			const other = await enter(server, { token: bob.token, travel });
			assert.deepEqual((await other.next('authenticated')).user, { id: bob.id, name: 'Bob' });
		});

		test(`${travel}: ping and pong`, wait, async () => {
			const one = await enter(server, { token: ann.token, travel });
			one.emit('ping');
			const { timestamp } = await one.next('pong');
			assert.ok(Math.abs(timestamp - Date.now()) < 60_000, String(timestamp));
		});

		for (const kind of Object.keys(WORDS)) {
			const words = WORDS[kind];

			test(`${travel}: a message in a ${kind} reaches both, once`, wait, async () => {
				const [id, one, other] = await together(kind, travel);
				one.emit(words.send, { content: 'Hello, wörld 🙂', [words.id]: id });
				const message = await other.next(words.sent);
				assert.deepEqual(await one.next(words.sent), message);
				assert.equal(typeof message.id, 'string');
				assert.match(message.createdAt, ISO_TIME);
				assert.match(message.updatedAt, ISO_TIME);
				assert.deepEqual(message, {
					id: message.id, content: 'Hello, wörld 🙂', [words.id]: id, userId: ann.id,
					createdAt: message.createdAt, updatedAt: message.updatedAt, replyToId: null,
					user: { id: ann.id, name: 'Ann', image: 'https://img.example/ann.png' },
					replyTo: null, attachments: [], reactions: [],
				});
				await Promise.all([one.fence(), other.fence()]);
				assert.equal(one.count(words.sent), 1);
				assert.equal(other.count(words.sent), 1);
			});

			test(`${travel}: reply, edit and delete in a ${kind}`, wait, async () => {
				const [id, one, other] = await together(kind, travel);
				one.emit(words.send, { content: 'first', [words.id]: id, attachments: [] });
				const first = await other.next(words.sent);
				other.emit(words.send, { content: 'second', [words.id]: id, replyToId: first.id });
				const second = await one.next(words.sent, ({ content }) => content === 'second');
				assert.equal(second.replyToId, first.id);
				assert.equal(second.replyTo.id, first.id);
				assert.equal(second.replyTo.content, 'first');
				assert.equal(second.replyTo.replyTo, null);

				one.emit(words.edit, { messageId: first.id, content: 'changed', [words.id]: id });
				const edited = await other.next(words.edited);
				assert.match(edited.updatedAt, ISO_TIME);
				assert.deepEqual(edited, { messageId: first.id, content: 'changed', [words.id]: id,
					updatedAt: edited.updatedAt });
				assert.deepEqual(await one.next(words.edited), edited);

				one.emit(words.delete, { messageId: first.id, [words.id]: id });
				assert.deepEqual(await other.next(words.deleted), { messageId: first.id, [words.id]: id });
				assert.deepEqual(await one.next(words.deleted), { messageId: first.id, [words.id]: id });
			});

			test(`${travel}: reactions in a ${kind}`, wait, async () => {
				const [id, one, other] = await together(kind, travel);
				one.emit(words.send, { content: 'to be liked', [words.id]: id });
				const { id: messageId } = await other.next(words.sent);
				const body = { messageId, emoji: '👍', [words.id]: id };
				other.emit(words.react, body);
				const reaction = await one.next(words.reacted);
				assert.match(reaction.createdAt, ISO_TIME);
				assert.equal(typeof reaction.id, 'string');
				assert.deepEqual(reaction, {
					id: reaction.id, emoji: '👍', messageId, userId: bob.id,
					createdAt: reaction.createdAt, user: { id: bob.id, name: 'Bob' },
				});
				assert.deepEqual(await other.next(words.reacted), reaction);
				// Once more is good, and no news; another user's, and another emoji, are others.
				assert.deepEqual(await other.ask(words.react, body), { ok: true });
				assert.equal((await one.ask(words.react, body)).reaction.userId, ann.id);
				assert.equal((await other.ask(words.react, { ...body, emoji: '🎉' })).ok, true);
				assert.deepEqual(await other.ask(words.unreact, body), { ok: true });
				assert.deepEqual(await one.next(words.unreacted),
					{ messageId, emoji: '👍', userId: bob.id, [words.id]: id });
				assert.deepEqual(await other.ask(words.unreact, body), { ok: true });
				await Promise.all([one.fence(), other.fence()]);
				for (const each of [one, other]) {
					assert.equal(each.count(words.reacted), 3);
					assert.equal(each.count(words.unreacted), 1);
				}
			});

			test(`${travel}: who left a ${kind} hears no more of it`, wait, async () => {
				const [id, one, other] = await together(kind, travel);
				other.emit(words.leave, { [words.id]: id });
				assert.deepEqual(await other.next(words.left), { [words.id]: id });
				// Of a room not joined, the same.
				other.emit(words.leave, { [words.id]: id });
				assert.deepEqual(await other.next(words.left), { [words.id]: id });
				assert.equal((await one.ask(words.send, { content: 'unheard', [words.id]: id })).ok, true);
				other.emit(words.join, { [words.id]: id });
				await other.next(words.joined, (said) => said[words.id] === id);
				one.emit(words.send, { content: 'heard', [words.id]: id });
				assert.equal((await other.next(words.sent)).content, 'heard');
			});

			test(`${travel}: a ${kind} is closed to others`, wait, async () => {
				const id = await room(kind);
				const one = await enter(server, { token: eve.token, travel });
				one.emit(words.join, { [words.id]: id });
				assert.deepEqual(await one.next('error'), { message: words.denied });
				one.emit(words.send, { content: 'let me in', [words.id]: id });
				assert.deepEqual(await one.next('error'), { message: words.denied });
				assert.deepEqual(await one.ask(words.join, { [words.id]: id }),
					{ ok: false, error: words.denied });
				assert.deepEqual(await one.ask(words.join, { [words.id]: 'no-such-room' }),
					{ ok: false, error: words.denied });
			});
		}
	}

	test('clients on all workers hear each other', wait, async () => {
		const id = await channel(server, ann, [bob]);
		const crowd = [];
		const homes = new Set();
		await until(async () => {
			const one = await enter(server, { token: (crowd.length % 2 ? ann : bob).token });
			crowd.push(one);
			homes.add(workerOfChatter(server, one));
			return homes.size === 4;
		}, 'client on every worker', { every: 0, ms: 60_000 });
		for (const one of crowd)
			assert.equal((await one.ask('join_channel', { channelId: id })).ok, true);
		for (const [n, one] of crowd.entries())
			assert.equal((await one.ask('send_message', { content: `from ${n}`, channelId: id })).ok, true);
		for (const one of crowd) {
			await until(() => one.count('new_message') >= crowd.length, 'all messages');
			await one.fence();
			const ids = one.all('new_message').map((message) => message.id);
			assert.equal(new Set(ids).size, crowd.length);
			assert.deepEqual(ids, crowd[0].all('new_message').map((message) => message.id));
		}
	});

	test('transports mix in one room', wait, async () => {
		const id = await channel(server, ann, [bob]);
		const crowd = [];
		for (const travel of [...Object.keys(TRAVEL), ...Object.keys(TRAVEL)]) {
			const one = await enter(server, { token: bob.token, travel });
			assert.equal((await one.ask('join_channel', { channelId: id })).ok, true);
			crowd.push(one);
		}
		for (let i = 0; i < 30; i++)
			crowd[i % crowd.length].emit('send_message', { content: `number ${i}`, channelId: id });
		for (const one of crowd) {
			await until(() => one.count('new_message') >= 30, 'all messages');
			assert.deepEqual(one.all('new_message'), crowd[0].all('new_message'));
		}
	});

	describe('the connection', () => {
		const refusals = [
			['no token', () => ({}), 'Authentication token required'],
			['an empty token', () => ({ auth: { token: '' } }), /^Authentication (token required|failed)$/],
			['garbage', () => ({ auth: { token: 'garbage' } }), 'Authentication failed'],
			['another secret', () => ({ auth: { token: token({ sub: 'x' }, { secret: 'other' }) } }),
				'Authentication failed'],
			['HS512', () => ({ auth: { token: token({ sub: 'x' }, { alg: 'HS512' }) } }),
				'Authentication failed'],
			['alg none', () => ({ auth: { token: token({ sub: 'x' }, { alg: 'none' }) } }),
				'Authentication failed'],
			['an expired token', () => ({ auth: { token: token({ sub: 'x', exp: 1 }) } }),
				'Authentication failed'],
			['a token of tomorrow', () => ({ auth: {
				token: token({ sub: 'x', nbf: Math.floor(Date.now() / 1000) + 86400 }) } }),
			'Authentication failed'],
			['no sub', () => ({ auth: { token: token({ name: 'x' }) } }), 'Authentication failed'],
			['a sub that is no text', () => ({ auth: { token: token({ sub: 5 }) } }),
				'Authentication failed'],
			['a token that is no text', () => ({ auth: { token: { a: 1 } } }),
				/^Authentication (token required|failed)$/],
		];
		for (const [what, options, text] of refusals) {
			for (const travel of ['polling', 'websocket']) {
				test(`${travel}: ${what} is refused`, wait, async () => {
					const one = new Chatter(server, { travel, ...options() });
					const { message } = await one.refused();
					if (text instanceof RegExp)
						assert.match(message, text);
					else
						assert.equal(message, text);
				});
			}
		}

		test('a token in the query', wait, async () => {
			for (const travel of Object.keys(TRAVEL)) {
				const one = await enter(server, { travel, query: { token: ann.token } });
				assert.equal((await one.next('authenticated')).userId, ann.id);
			}
		});

		test('a token in the header', wait, async () => {
			for (const value of [`Bearer ${ann.token}`, ann.token]) {
				for (const travel of ['polling', 'websocket']) {
					const one = await enter(server, { travel, extraHeaders: { Authorization: value } });
					assert.equal((await one.next('authenticated')).userId, ann.id);
				}
			}
		});

		test('the same API in its own namespace', wait, async () => {
			const one = await enter(server, { token: ann.token, nsp: '/channels' });
			assert.equal((await one.next('authenticated')).userId, ann.id);
		});

		test('an unknown user is known from the first token on', wait, async () => {
			const id = unique('new');
			const one = await enter(server, { token: token({ sub: id, name: 'New One' }) });
			assert.deepEqual((await one.next('authenticated')).user, { id, name: 'New One' });
		});

		test('a client that leaves may come back', wait, async () => {
			const one = await enter(server, { token: ann.token });
			const first = one.socket.id;
			one.socket.disconnect();
			one.socket.connect();
			await one.connected();
			assert.notEqual(one.socket.id, first);
			await one.fence();
		});
	});

	describe('refusals', () => {
		const NOBODY = 'no-such-message';
		// Event, payload made from a room and a message of Ann's, and the text of the error.
		const refused = [
			['send_message', () => ({}), /^Invalid message data: (channelId|content) /],
			['send_message', (id) => ({ channelId: id }), /^Invalid message data: content /],
			['send_message', (id) => ({ channelId: id, content: '' }), /^Invalid message data: content /],
			['send_message', (id) => ({ channelId: id, content: 5 }), /^Invalid message data: content /],
			['send_message', (id) => ({ channelId: id, content: null }), /^Invalid message data: content /],
			['send_message', (id) => ({ channelId: id, content: 'x'.repeat(2001) }),
				/^Invalid message data: content /],
			['send_message', (id) => ({ channelId: id, content: 'a\0b' }), /^Invalid message data: content /],
			['send_message', () => ({ content: 'a' }), /^Invalid message data: channelId /],
			['send_message', () => ({ channelId: {}, content: 'a' }), /^Invalid message data: channelId /],
			['send_message', (id) => ({ channelId: id, content: 'a', replyToId: NOBODY }),
				/^Invalid message data: replyToId /],
			['send_message', (id) => ({ channelId: id, content: 'a', replyToId: 5 }),
				/^Invalid message data: replyToId /],
			['send_message', (id) => ({ channelId: id, content: 'a', clientMessageId: 'x'.repeat(65) }),
				/^Invalid message data: clientMessageId /],
			['send_message', () => 'no object', /./],
			['join_channel', () => ({}), /channelId/],
			['edit_message', (id) => ({ channelId: id, messageId: NOBODY, content: 'a' }),
				/^Message not found$/],
			['delete_message', (id) => ({ channelId: id, messageId: NOBODY }), /^Message not found$/],
			['add_reaction', (id) => ({ channelId: id, messageId: NOBODY, emoji: '👍' }),
				/^Message not found$/],
			['remove_reaction', (id) => ({ channelId: id, messageId: NOBODY, emoji: '👍' }),
				/^Message not found$/],
			['forward_message', (id) => ({ channelId: id, messageId: NOBODY, targetChannelId: id }),
				/^Message not found$/],
			['forward_to_direct', (id) => ({ messageId: NOBODY, targetConversationId: id }),
				/^Message not found$/],
			['edit_message', (id, message) => ({ channelId: id, messageId: message, content: 'a' }),
				/^You can only edit your own messages$/],
			['delete_message', (id, message) => ({ channelId: id, messageId: message }),
				/^You can only delete your own messages$/],
			['add_reaction', (id, message) => ({ channelId: id, messageId: message }),
				/^Invalid message data: emoji is required$/],
			['add_reaction', (id, message) => ({ channelId: id, messageId: message, emoji: '' }),
				/^Invalid message data: emoji /],
			['add_reaction', (id, message) => ({ channelId: id, messageId: message, emoji: '👍'.repeat(11) }),
				/^Invalid message data: emoji /],
			['remove_reaction', (id, message) => ({ channelId: id, messageId: message, emoji: 1 }),
				/^Invalid message data: emoji /],
			['add_direct_reaction', (id, message) => ({ messageId: message, emoji: '👍' }),
				/^Invalid message data: conversationId is required$/],
			['add_direct_reaction', (id, message) =>
				({ conversationId: id, messageId: message, emoji: '👍' }), /^Access denied to conversation$/],
			['forward_message', (id, message) => ({ messageId: message, targetChannelId: id }),
				/^Invalid message data: channelId is required$/],
			['forward_message', (id, message) => ({ channelId: id, messageId: message }),
				/^Invalid message data: targetChannelId is required$/],
			['forward_message', (id, message) =>
				({ channelId: id, messageId: message, targetChannelId: 'nowhere' }), /^Access denied to channel$/],
			['forward_message', (id, message) =>
				({ channelId: 'nowhere', messageId: message, targetChannelId: id }), /^Access denied to channel$/],
			['forward_message', (id, message) =>
				({ conversationId: id, messageId: message, targetChannelId: id }), /^Access denied to conversation$/],
			['forward_to_direct', (id, message) => ({ messageId: message }),
				/^Invalid message data: targetConversationId is required$/],
			['forward_to_direct', (id, message) => ({ messageId: message, targetConversationId: id }),
				/^Access denied to conversation$/],
			['nobody_knows', () => ({}), /^Unknown event: nobody_knows$/],
		];

		test('each is told by error, and through the acknowledgement', wait, async () => {
			const id = await channel(server, ann, [bob]);
			const author = await enter(server, { token: ann.token });
			const sent = await author.ask('send_message', { channelId: id, content: 'of Ann' });
			assert.equal(sent.ok, true);
			await author.ask('join_channel', { channelId: id });
			const history = await rest(server, 'GET', `/api/messages?channelId=${id}`, ann.token);
			const message = history.json.data[0].id;
			const one = await enter(server, { token: bob.token });
			for (const [event, body, text] of refused) {
				const payload = body(id, message);
				const about = `${event} ${JSON.stringify(payload).slice(0, 100)}`;
				one.emit(event, payload);
				assert.match((await one.next('error')).message, text, about);
				const answer = await one.ask(event, payload);
				assert.equal(answer.ok, false, about);
				assert.match(answer.error, text, about);
				// The acknowledgement may come with an `error` beside it.
				await one.fence();
				one.forget('error');
			}
			await author.fence();
			assert.equal(author.count('new_message'), 0);
		});

		test('a deleted message is history only', wait, async () => {
			const id = await channel(server, ann, [bob]);
			const one = await enter(server, { token: ann.token });
			await one.ask('join_channel', { channelId: id });
			await one.ask('send_message', { channelId: id, content: 'to go' });
			const { id: messageId } = await one.next('new_message');
			const at = { channelId: id, messageId };
			assert.equal((await one.ask('add_reaction', { ...at, emoji: '👍' })).ok, true);
			assert.equal((await one.ask('delete_message', at)).ok, true);
			assert.equal((await one.ask('delete_message', at)).ok, true);
			for (const [event, body] of [
				['edit_message', { ...at, content: 'b' }],
				['add_reaction', { ...at, emoji: '👍' }],
				['forward_message', { ...at, targetChannelId: id }],
				['send_message', { channelId: id, content: 'b', replyToId: messageId }],
			])
				assert.deepEqual(await one.ask(event, body), { ok: false, error: 'Message has been deleted' });
			const { json } = await rest(server, 'GET', `/api/messages?channelId=${id}`, ann.token);
			assert.equal(json.data[0].content, '[This message was deleted]');
			assert.match(json.data[0].deletedAt, ISO_TIME);
			assert.deepEqual(json.data[0].reactions, []);
			await one.fence();
			assert.equal(one.count('message_deleted'), 1);
		});

		test('one API’s room is not the other’s', wait, async () => {
			const channelId = await channel(server, ann, [bob]);
			const conversationId = await conversation(server, ann, bob);
			const one = await enter(server, { token: ann.token });
			assert.equal((await one.ask('join_channel', { channelId: conversationId })).error,
				'Access denied to channel');
			assert.equal((await one.ask('join_conversation', { conversationId: channelId })).error,
				'Access denied to conversation');
		});
	});

	test('the same clientMessageId is one message', wait, async () => {
		const id = await channel(server, ann, [bob]);
		const one = await enter(server, { token: ann.token });
		const two = await enter(server, { token: ann.token, travel: 'polling' });
		await one.ask('join_channel', { channelId: id });
		const body = { channelId: id, content: 'once', clientMessageId: unique('cmid') };
		const answers = await Promise.all([one.ask('send_message', body), two.ask('send_message', body),
			one.ask('send_message', { ...body, content: 'another text' })]);
		assert.ok(answers.every(({ ok }) => ok), JSON.stringify(answers));
		assert.deepEqual(answers[1], answers[0]);
		assert.deepEqual(answers[2], answers[0]);
		await one.ask('send_message', { channelId: id, content: 'last' });
		await one.next('new_message', ({ content }) => content === 'last');
		assert.equal(one.count('new_message'), 2);
		// Another user's is another.
		const other = await enter(server, { token: bob.token });
		assert.notDeepEqual(await other.ask('send_message', body), answers[0]);
	});

	// From a channel or a conversation to a channel or a conversation.
	for (const source of Object.keys(WORDS)) {
		for (const target of Object.keys(WORDS)) {
			test(`forwarded from a ${source} to a ${target}`, wait, async () => {
				const [from, to] = [WORDS[source], WORDS[target]];
				const fromId = await room(source);
				const toId = await (target === 'channel' ? channel(server, ann, [eve])
					: conversation(server, ann, eve));
				const [one, other, third] = await Promise.all([ann, bob, eve].map(({ token: jwt }) =>
					enter(server, { token: jwt })));
				const { message: first } = await one.ask(from.send, { content: 'why?', [from.id]: fromId });
				const { message: original } = await one.ask(from.send,
					{ content: 'news', [from.id]: fromId, replyToId: first.id });
				await other.ask(from.join, { [from.id]: fromId });
				await one.ask(to.join, { [to.id]: toId });
				await third.ask(to.join, { [to.id]: toId });
				const body = { messageId: original.id, [from.id]: fromId, [to.target]: toId };
				const answer = await one.ask(to.forward, body);
				const said = await third.next(to.forwarded);
				assert.match(said.message.createdAt, ISO_TIME);
				assert.deepEqual(said, {
					// What it replied to is not for those of another room.
					originalMessage: { ...original, replyTo: null },
					[to.target]: toId,
					message: {
						id: said.message.id, content: 'news', [to.id]: toId, userId: ann.id,
						createdAt: said.message.createdAt, updatedAt: said.message.createdAt,
						replyToId: null, user: original.user, replyTo: null, attachments: [], reactions: [],
					},
				});
				assert.notEqual(said.message.id, original.id);
				assert.deepEqual(answer, { ok: true, message: said.message });
				assert.deepEqual(await one.next(to.forwarded), said);
				// Not a message beside it, and nothing to those where it came from.
				await Promise.all([one, other, third].map((each) => each.fence()));
				for (const each of [one, other, third])
					assert.equal(each.count('new_message') + each.count('new_direct_message'), 0);
				assert.equal(other.count(to.forwarded), 0);
				const path = target === 'channel' ? `/api/messages?channelId=${toId}`
					: `/api/conversations/${toId}/messages`;
				assert.deepEqual((await rest(server, 'GET', path, eve.token)).json.data[0], said.message);
				// The same clientMessageId forwards once.
				const again = { ...body, clientMessageId: unique('cmid') };
				assert.deepEqual(await one.ask(to.forward, again), await one.ask(to.forward, again));
				await Promise.all([one.fence(), third.fence()]);
				assert.equal(third.count(to.forwarded), 2);
				// Who is not in both rooms does not forward.
				assert.equal((await other.ask(to.forward, body)).error, to.denied);
				assert.equal((await third.ask(to.forward, body)).error, from.denied);
			});
		}
	}

	test('a conversation takes a message from wherever it is', wait, async () => {
		const from = await channel(server, ann, [bob]);
		const to = await conversation(server, ann, bob);
		const one = await enter(server, { token: ann.token });
		const other = await enter(server, { token: eve.token });
		await one.ask('join_conversation', { conversationId: to });
		const { message: { id: messageId } } =
			await one.ask('send_message', { content: 'news', channelId: from });
		one.emit('forward_to_direct', { messageId, targetConversationId: to });
		assert.equal((await one.next('message_forwarded_to_direct')).originalMessage.id, messageId);
		const own = await conversation(server, eve, bob);
		assert.equal((await other.ask('forward_to_direct', { messageId, targetConversationId: own })).error,
			'Message not found');
	});
});

describe('channels while Redis stands still', { timeout: 120_000 }, () => {
	let server;
	let control;
	before(async () => {
		server = await start();
		control = redis(server);
	});
	after(async () => {
		leaveAll();
		control?.disconnect();
		await server?.stop();
	});

	test('each event says that it failed, and succeeds later', wait, async () => {
		const ann = await person(server, 'Ann');
		const bob = await person(server, 'Bob');
		const channelId = await channel(server, ann, [bob]);
		const conversationId = await conversation(server, ann, bob);
		const one = await enter(server, { token: ann.token });
		const { message: { id: messageId } } =
			await one.ask('send_message', { channelId, content: 'before', clientMessageId: 'before' });
		const direct = await one.ask('send_direct_message', { conversationId, content: 'before' });
		const at = { channelId, messageId };
		const there = { conversationId, messageId: direct.message.id };
		const draft = { channelId, content: 'after all', clientMessageId: unique('cmid') };
		const failing = [
			['join_channel', { channelId }, 'Failed to join channel'],
			['join_conversation', { conversationId }, 'Failed to join conversation'],
			['leave_channel', { channelId }, 'Failed to leave channel'],
			['leave_conversation', { conversationId }, 'Failed to leave conversation'],
			['send_message', draft, 'Failed to send message'],
			['edit_message', { ...at, content: 'a' }, 'Failed to edit message'],
			['delete_message', at, 'Failed to delete message'],
			['forward_message', { ...at, targetChannelId: channelId }, 'Failed to forward message'],
			['add_reaction', { ...at, emoji: '👍' }, 'Failed to add reaction'],
			['remove_reaction', { ...at, emoji: '👍' }, 'Failed to remove reaction'],
			['send_direct_message', { conversationId, content: 'a' }, 'Failed to send message'],
			['edit_direct_message', { ...there, content: 'a' }, 'Failed to edit message'],
			['delete_direct_message', there, 'Failed to delete message'],
			['forward_to_direct', { ...at, targetConversationId: conversationId },
				'Failed to forward message'],
			['add_direct_reaction', { ...there, emoji: '👍' }, 'Failed to add reaction'],
			['remove_direct_reaction', { ...there, emoji: '👍' }, 'Failed to remove reaction'],
		];
		const pid = Number((await control.info('server')).match(/process_id:(\d+)/)[1]);
		process.kill(pid, 'SIGSTOP');
		try {
			const stats = rest(server, 'GET', '/api/stats', ann.token);
			const answers = await Promise.all(failing.map(([event, body]) => one.ask(event, body)));
			assert.deepEqual(answers, failing.map(([, , error]) => ({ ok: false, error })));
			for (const [, , message] of failing)
				assert.ok(one.count('error', (said) => said.message === message) > 0, message);
			await one.fence();
			const { json } = await stats;
			assert.deepEqual([json.redis, json.total.users], ['down', null]);
			assert.equal(json.total.connections, 1);
		} finally {
			process.kill(pid, 'SIGCONT');
		}
		// As a client would: again, with the same clientMessageId.
		const { message } = await until(async () => {
			const answer = await one.ask('send_message', draft);
			return answer.ok && answer;
		}, 'success');
		assert.equal((await one.ask('send_message', draft)).message.id, message.id);
		// Each worker finds back to Redis by itself.
		const history = await until(async () => {
			const answer = await rest(server, 'GET', `/api/messages?channelId=${channelId}`, ann.token);
			return answer.status === 200 && answer.json.data;
		}, 'history');
		assert.equal(history.filter(({ content }) => content === 'after all').length, 1);
	});
});

describe('the page of the channels API', { timeout: 120_000 }, () => {
	let server;
	const scope = {};
	before(async () => {
		server = await start();
		const { listen, next } = ears();
		const hearing = (options) => {
			const { socket } = new Chatter(server, options);
			// What the manager says is heard like what the server does.
			socket.on('connect_error', (error) => socket.listenersAny().forEach((hear) => hear('connect_error', error)));
			return listen(socket);
		};
		const users = {};
		for (const name of ['Ann', 'Bob']) {
			const { json } = await rest(server, 'POST', '/login/signup', null,
				{ username: name.toLowerCase(), password: 'correct horse', name });
			users[name] = json.user;
			scope[name.toLowerCase()] = hearing({ token: json.token });
			await next(scope[name.toLowerCase()], 'authenticated');
			scope.token ??= json.token;
		}
		const at = (url) => url.replace('http://localhost:8000', server.url);
		const request = async (line, body) => {
			const [method, path] = line.split(' ');
			return (await rest(server, method, path, scope.token, body)).json;
		};
		const make = async (name) =>
			(await request('POST /api/channels', { name, members: [users.Bob.id] })).data.id;
		Object.assign(scope, {
			next, request, bobId: users.Bob.id, general: await make('general'), random: await make('random'),
			direct: (await request('POST /api/conversations', { userId: users.Bob.id })).data.id,
			fetch: (url, options) => fetch(at(url), options),
			io: (url, options) => {
				assert.equal(url, 'http://localhost:8000');
				return hearing({ auth: {}, ...options });
			},
		});
	});
	after(async () => {
		leaveAll();
		await server?.stop();
	});

	for (const example of examples('docs/channels.md'))
		test(`the page: ${example.heading}`, wait, () => run(example, scope));
});

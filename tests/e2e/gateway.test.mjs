// The gateway API with stock Socket.IO clients on four workers, over every transport.
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
const PAGE = 'docs/gateway.md';
const wait = { timeout: 300_000 };

// A connected client that has its history.
async function come(server, user, options = {}) {
	const one = await enter(server, { token: user.token, ...options });
	one.history = await one.next('updateChatHistory');
	return one;
}

// Asks with an acknowledgement: the same comes as the event `answer`.
async function ask(one, event, body, answer) {
	one.forget(answer);
	const said = await one.ask(event, body);
	assert.deepEqual(await one.next(answer), said);
	return said;
}

const succeed = (one, event, body) => ask(one, event, body, `${event}Success`);
const fail = (one, event, body) => ask(one, event, body, `${event}Error`);

// Everything the server wrote to this socket before is here when it returns.
async function fence(one) {
	assert.deepEqual(await one.ask('fence'), { message: 'Unknown event: fence' });
}

const directName = (a, b) => [a.username, b.username]
	.sort((x, y) => Buffer.compare(Buffer.from(x.toLowerCase()), Buffer.from(y.toLowerCase()))).join('/');

async function group(server, name, owner, ...others) {
	const r = redis(server);
	const ids = others.map(({ id }) => id);
	const [json] = await r.fcall('room_create', 0, owner.id, 'group', name, 'PRIVATE', '', ...ids);
	r.disconnect();
	return JSON.parse(json).id;
}

describe('gateway', { timeout: 900_000 }, () => {
	let server;
	let ann;
	let bob;
	let eve;
	before(async () => { server = await start({ root: 'gateway' }); });
	after(async () => {
		leaveAll();
		await server?.stop();
	});
	afterEach(leaveAll);
	// New users for each test: what one is in is theirs alone.
	const people = async () => {
		[ann, bob, eve] = await Promise.all(['Ann', 'bob', 'Eve'].map((name) => person(server, name)));
	};

	for (const travel of Object.keys(TRAVEL)) {
		for (const nsp of ['', '/gateway']) {
			const where = `${travel} at ${nsp || '/'}`;
			const way = { travel, nsp };

			test(`${where}: a public channel`, wait, async () => {
				await people();
				const [one, two, three] =
					await Promise.all([ann, bob, eve].map((user) => come(server, user, way)));
				assert.deepEqual([one.history, one.heard[0].name], [{}, 'updateChatHistory']);
				const name = unique('Café #1');
				assert.deepEqual(await succeed(one, 'createChannel', { name, status: 'PUBLIC' }),
					{ message: 'Channel created', name, status: 'PUBLIC' });
				assert.deepEqual(await succeed(two, 'joinChannel', { name }),
					{ message: 'Channel joined', name });

				const body = { room: name, text: 'Hello, wörld 🙂 "quoted"' };
				const sent = await succeed(one, 'sendMessage', body);
				assert.match(sent.createdAt, ISO_TIME);
				assert.deepEqual(sent,
					{ message: 'Message sent', id: sent.id, room: name, createdAt: sent.createdAt });
				const message = await two.next('newMessage');
				assert.deepEqual(message, { id: sent.id, room: name, sender: ann.username, text: body.text,
					createdAt: sent.createdAt });
				assert.deepEqual(await one.next('newMessage'), message);

				assert.deepEqual(await succeed(two, 'leaveChannel', { name }),
					{ message: 'Channel left', name });
				await succeed(one, 'sendMessage', { room: name, text: 'alone' });
				await one.next('newMessage', ({ text }) => text === 'alone');
				await Promise.all([fence(one), fence(two), fence(three)]);
				assert.deepEqual([one, two, three].map((each) => each.count('newMessage')), [2, 1, 0]);
			});

			test(`${where}: without acknowledgements`, wait, async () => {
				await people();
				const one = await come(server, ann, way);
				const name = unique('plain');
				one.emit('createChannel', { name, status: 'PUBLIC' });
				assert.deepEqual(await one.next('createChannelSuccess'),
					{ message: 'Channel created', name, status: 'PUBLIC' });
				one.emit('sendMessage', { room: name, text: 'hi' });
				assert.equal((await one.next('sendMessageSuccess')).id, (await one.next('newMessage')).id);
				one.emit('joinChannel', { name });
				assert.deepEqual(await one.next('joinChannelError'),
					{ message: 'You are in this channel already' });
				one.emit('leaveChannel', { name });
				assert.deepEqual(await one.next('leaveChannelSuccess'), { message: 'Channel left', name });
				one.emit('leaveChannel', { name });
				assert.deepEqual(await one.next('leaveChannelError'),
					{ message: 'You are not in this room' });
				one.emit('sendMessage', { room: name, text: 'hi' });
				assert.deepEqual(await one.next('sendMessageError'),
					{ message: 'You are not in this room' });
				one.emit('createChannel', { name, status: 'PUBLIC' });
				assert.deepEqual(await one.next('createChannelError'),
					{ message: 'There is a channel of that name already' });
				one.emit('dance', 1);
				assert.deepEqual(await one.next('error'), { message: 'Unknown event: dance' });
			});

			test(`${where}: a private channel`, wait, async () => {
				await people();
				const [one, two] =
					await Promise.all([ann, bob].map((user) => come(server, user, way)));
				const name = unique('private');
				const plan = { name, status: 'PRIVATE', password: 'pä55' };
				assert.deepEqual(await succeed(one, 'createChannel', plan),
					{ message: 'Channel created', name, status: 'PRIVATE' });
				assert.deepEqual(await fail(two, 'joinChannel', { name, password: 'pä54' }),
					{ message: 'Wrong password' });
				assert.deepEqual(await fail(two, 'joinChannel', { name }),
					{ message: 'password is required for this channel' });
				await fail(two, 'sendMessage', { room: name, text: 'let me in' });
				await succeed(two, 'joinChannel', { name, password: 'pä55' });
				await succeed(two, 'sendMessage', { room: name, text: 'here' });
				assert.equal((await one.next('newMessage')).text, 'here');
				assert.equal((await two.next('newMessage')).text, 'here');
			});

			test(`${where}: a direct conversation`, wait, async () => {
				await people();
				const [one, two, again, third] =
					await Promise.all([ann, bob, ann, eve].map((user) => come(server, user, way)));
				const name = directName(ann, bob);
				const plan = { name: bob.username.toUpperCase(), status: 'DIRECT' };
				assert.deepEqual(await succeed(one, 'createChannel', plan),
					{ message: 'Conversation opened', name, status: 'DIRECT' });
				assert.deepEqual(await two.next('reconnectNeeded'),
					{ message: 'Somebody opened a direct conversation with you' });
				// Without reconnecting, both hear it, and may send.
				await succeed(one, 'sendMessage', { room: name, text: 'psst' });
				for (const each of [one, two, again]) {
					const { room, sender, text } = await each.next('newMessage');
					assert.deepEqual([room, sender, text], [name, ann.username, 'psst']);
				}
				await succeed(two, 'sendMessage', { room: name, text: 'yes?' });
				assert.equal((await again.next('newMessage')).sender, bob.username);
				const back = { name: ann.username, status: 'DIRECT' };
				assert.equal((await succeed(two, 'createChannel', back)).name, name);
				assert.deepEqual(await fail(two, 'leaveChannel', { name }),
					{ message: 'A direct conversation can\'t be left' });
				await Promise.all([one, two, again, third].map(fence));
				assert.deepEqual([one, two, again, third].map((each) => each.count('reconnectNeeded')),
					[0, 1, 0, 0]);
				assert.equal(third.count('newMessage'), 0);
			});

			test(`${where}: the history at connection`, wait, async () => {
				await people();
				const one = await come(server, ann, way);
				const [name, quiet] = [unique('"told"'), unique('quiet')];
				for (const each of [name, quiet])
					await succeed(one, 'createChannel', { name: each, status: 'PUBLIC' });
				await succeed(one, 'createChannel', { name: bob.username, status: 'DIRECT' });
				for (const text of ['first', 'second', 'third'])
					await succeed(one, 'sendMessage', { room: name, text });
				await succeed(one, 'sendMessage', { room: directName(ann, bob), text: 'direct' });
				await until(() => one.count('newMessage') === 4, 'all messages');
				const [first, second, third, direct] = one.all('newMessage');
				const again = await come(server, ann, way);
				assert.deepEqual(again.history,
					{ [name]: [first, second, third], [quiet]: [], [directName(ann, bob)]: [direct] });
				assert.deepEqual((await come(server, bob, way)).history,
					{ [directName(ann, bob)]: [direct] });
			});

			for (const [what, auth] of [
				['no token', () => ({})],
				['garbage', () => ({ token: 'garbage' })],
				['another secret', () => ({ token: token({ sub: 'x' }, { secret: 'other' }) })],
				['an expired token', () => ({ token: token({ sub: 'x', exp: 1 }) })],
			]) {
				test(`${where}: ${what} is denied access`, wait, async () => {
					const one = new Chatter(server, { ...way, ...auth() });
					const { message } = await one.next('accessDenied');
					assert.equal(message, what === 'no token' ? 'Authentication token required'
						: 'Authentication failed');
					assert.equal(await one.disconnected(), 'io server disconnect');
					assert.deepEqual(one.heard.map(({ name }) => name), ['accessDenied']);
				});
			}
		}
	}

	test('a token in the query, in the header', wait, async () => {
		await people();
		for (const options of [{ query: { token: ann.token } },
			{ extraHeaders: { Authorization: `Bearer ${ann.token}` } },
			{ extraHeaders: { Authorization: ann.token } }])
			assert.deepEqual((await come(server, { token: undefined }, options)).history, {});
	});

	test('who deleted the account is denied access, at once and later', wait, async () => {
		await people();
		const one = await come(server, ann);
		assert.equal((await rest(server, 'DELETE', '/login/delete', ann.token)).status, 200);
		assert.deepEqual(await one.next('accessDenied'), { message: 'Authentication failed' });
		assert.equal(await one.disconnected(), 'io server disconnect');
		const late = new Chatter(server, { token: ann.token });
		assert.deepEqual(await late.next('accessDenied'), { message: 'Authentication failed' });
		assert.equal(await late.disconnected(), 'io server disconnect');
	});

	test('a token that expires ends its socket', wait, async () => {
		const id = unique('brief');
		const one = await come(server, { token: token({ sub: id, exp: Math.floor(Date.now() / 1000) + 5 }) });
		assert.deepEqual(await one.next('accessDenied'), { message: 'Authentication failed' });
		assert.equal(await one.disconnected(), 'io server disconnect');
	});

	describe('refusals', () => {
		const REQUIRED = (field) => `${field} is required`;
		const refused = [
			['sendMessage', () => ({}), /^(room|text) is required$/],
			['sendMessage', ({ name }) => ({ room: name }), REQUIRED('text')],
			['sendMessage', () => ({ text: 'a' }), REQUIRED('room')],
			['sendMessage', ({ name }) => ({ room: name, text: null }), REQUIRED('text')],
			['sendMessage', ({ name }) => ({ room: name, text: 5 }), 'text must be a string'],
			['sendMessage', ({ name }) => ({ room: name, text: '' }), 'text must have 1 to 128 characters'],
			['sendMessage', ({ name }) => ({ room: name, text: '🙂'.repeat(129) }),
				'text must have 1 to 128 characters'],
			['sendMessage', ({ name }) => ({ room: name, text: 'a\0b' }), 'text must not contain NUL'],
			['sendMessage', () => ({ room: ['a'], text: 'a' }), 'room must be a string'],
			['sendMessage', ({ name }) => ({ room: name, text: 'a', clientMessageId: 'x'.repeat(65) }),
				'clientMessageId must have 1 to 64 characters'],
			['sendMessage', () => 'no object', 'data must be an object'],
			['sendMessage', () => ({ room: 'nowhere', text: 'a' }), 'There is no room of that name'],
			['sendMessage', ({ others }) => ({ room: others, text: 'a' }), 'There is no room of that name'],
			['sendMessage', ({ foreign }) => ({ room: foreign, text: 'a' }), 'You are not in this room'],
			['createChannel', () => ({ status: 'PUBLIC' }), REQUIRED('name')],
			['createChannel', () => ({ name: 'x' }), REQUIRED('status')],
			['createChannel', () => ({ name: 'x', status: 'public' }),
				'status must be PUBLIC, PRIVATE or DIRECT'],
			['createChannel', () => ({ name: 'x', status: 'PRIVATE' }),
				'password is required for a private channel'],
			['createChannel', () => ({ name: 'x', status: 'PRIVATE', password: '' }),
				'password is required for a private channel'],
			['createChannel', () => ({ name: 'x', status: 'PRIVATE', password: 7 }),
				'password must be a string'],
			['createChannel', () => ({ name: 'x', status: 'PRIVATE', password: 'ä'.repeat(65) }),
				'password must have at most 128 bytes'],
			['createChannel', () => ({ name: '', status: 'PUBLIC' }), 'name must have 1 to 64 characters'],
			['createChannel', () => ({ name: 'x'.repeat(65), status: 'PUBLIC' }),
				'name must have 1 to 64 characters'],
			...['a/b', 'a@b', 'a\u0007b', 'a\u007fb'].map((name) => ['createChannel',
				() => ({ name, status: 'PUBLIC' }), 'name must not have @, / or control characters']),
			['createChannel', ({ name }) => ({ name, status: 'PUBLIC' }),
				'There is a channel of that name already'],
			['createChannel', ({ name }) => ({ name, status: 'PRIVATE', password: 'x' }),
				'There is a channel of that name already'],
			['createChannel', () => ({ name: 'nobody-of-that-name', status: 'DIRECT' }),
				'There is no user of that name'],
			['createChannel', ({ self }) => ({ name: self, status: 'DIRECT' }),
				'You can\'t open a conversation with yourself'],
			['joinChannel', () => ({}), REQUIRED('name')],
			['joinChannel', () => ({ name: 'nowhere' }), 'There is no room of that name'],
			['joinChannel', ({ others }) => ({ name: others }), 'There is no room of that name'],
			['joinChannel', ({ name }) => ({ name }), 'You are in this channel already'],
			['joinChannel', ({ closed }) => ({ name: closed, password: 'x' }),
				'This channel is by invitation only'],
			['leaveChannel', () => ({}), REQUIRED('name')],
			['leaveChannel', ({ foreign }) => ({ name: foreign }), 'You are not in this room'],
			['leaveChannel', () => ({ name: 'nowhere' }), 'There is no room of that name'],
			['leaveChannel', ({ direct }) => ({ name: direct }), 'A direct conversation can\'t be left'],
		];

		test('each by an event and through the acknowledgement', wait, async () => {
			await people();
			const one = await come(server, ann);
			const two = await come(server, bob);
			const at = { name: unique('mine'), foreign: unique('theirs'), closed: unique('closed'),
				self: ann.username, direct: directName(ann, eve), others: directName(bob, eve) };
			await succeed(one, 'createChannel', { name: at.name, status: 'PUBLIC' });
			await succeed(one, 'createChannel', { name: eve.username, status: 'DIRECT' });
			await succeed(two, 'createChannel', { name: at.foreign, status: 'PUBLIC' });
			await succeed(two, 'createChannel', { name: eve.username, status: 'DIRECT' });
			await channel(server, bob, [], { name: at.closed, private: true });
			for (const [event, body, text] of refused) {
				const about = `${event} ${JSON.stringify(body(at)).slice(0, 100)}`;
				const { message } = await fail(one, event, body(at));
				if (text instanceof RegExp)
					assert.match(message, text, about);
				else
					assert.equal(message, text, about);
			}
			await Promise.all([fence(one), fence(two)]);
			assert.equal(one.count('newMessage') + two.count('newMessage'), 0);
		});

		test('the other user of a direct conversation is gone', wait, async () => {
			await people();
			const one = await come(server, ann);
			await succeed(one, 'createChannel', { name: bob.username, status: 'DIRECT' });
			await rest(server, 'DELETE', '/login/delete', bob.token);
			const draft = { room: directName(ann, bob), text: 'still there?' };
			assert.deepEqual(await fail(one, 'sendMessage', draft),
				{ message: 'The other user has deleted the account' });
		});
	});

	test('128 characters are code points', wait, async () => {
		await people();
		const one = await come(server, ann);
		const name = '🙂'.repeat(64);
		await succeed(one, 'createChannel', { name, status: 'PUBLIC', password: null });
		await succeed(one, 'sendMessage', { room: name, text: '🙂'.repeat(128) });
		assert.equal((await one.next('newMessage')).text, '🙂'.repeat(128));
	});

	test('a public channel needs no password, whatever is sent', wait, async () => {
		await people();
		const [one, two] = [await come(server, ann), await come(server, bob)];
		const name = unique('open');
		await succeed(one, 'createChannel', { name, status: 'PUBLIC', password: 'not wanted' });
		await succeed(two, 'joinChannel', { name, password: 'neither' });
	});

	test('the same clientMessageId is one message', wait, async () => {
		await people();
		const one = await come(server, ann);
		const name = unique('once');
		await succeed(one, 'createChannel', { name, status: 'PUBLIC' });
		const body = { room: name, text: 'once', clientMessageId: 'c1' };
		const drafts = [body, body, { ...body, text: 'other' }];
		const answers = await Promise.all(drafts.map((draft) => one.ask('sendMessage', draft)));
		assert.deepEqual(answers, [answers[0], answers[0], answers[0]]);
		await succeed(one, 'sendMessage', { room: name, text: 'last' });
		await one.next('newMessage', ({ text }) => text === 'last');
		assert.equal(one.count('newMessage'), 2);
	});

	test('groups with a name are rooms, others are not shown', wait, async () => {
		await people();
		const one = await come(server, ann);
		const id = await group(server, 'Pals "x"', ann, bob);
		const nameless = await group(server, '', ann, bob);
		const name = `Pals "x"#${id}`;
		await succeed(one, 'sendMessage', { room: name, text: 'hi' });
		assert.equal((await one.next('newMessage')).room, name);
		const r = redis(server);
		await r.fcall('message_post', 0, bob.id, nameless, '', 'hidden', '', '', '', 0, 0, 0, 0);
		r.disconnect();
		assert.deepEqual(Object.keys((await come(server, bob)).history), [name]);
		await fence(one);
		assert.equal(one.count('newMessage'), 1);
		assert.deepEqual(await succeed(one, 'leaveChannel', { name }), { message: 'Channel left', name });
	});

	test('messages of other APIs, and forwards, are messages', wait, async () => {
		await people();
		const name = unique('shared');
		const id = await channel(server, bob, [ann], { name });
		const direct = await conversation(server, ann, bob);
		const one = await come(server, ann);
		const other = await enter(server, { token: bob.token, nsp: '/channels' });
		const long = 'x'.repeat(2000);
		const { message } = await other.ask('send_message', { channelId: id, content: long });
		assert.deepEqual(await one.next('newMessage'),
			{ id: message.id, room: name, sender: bob.username, text: long, createdAt: message.createdAt });
		await other.ask('forward_to_direct', { messageId: message.id, targetConversationId: direct });
		assert.equal((await one.next('newMessage')).room, directName(ann, bob));
		await other.ask('edit_message', { channelId: id, messageId: message.id, content: 'edited' });
		await fence(one);
		assert.equal(one.count('newMessage'), 2);
		assert.equal((await come(server, ann)).history[name][0].text, 'edited');
	});

	test('clients on all workers hear each other', wait, async () => {
		await people();
		const name = unique('wide');
		await channel(server, ann, [bob], { name });
		const crowd = [];
		const homes = new Set();
		await until(async () => {
			const one = await come(server, crowd.length % 2 ? ann : bob);
			crowd.push(one);
			homes.add(workerOfChatter(server, one));
			return homes.size === 4;
		}, 'client on every worker', { every: 0, ms: 60_000 });
		for (const [n, one] of crowd.entries())
			await succeed(one, 'sendMessage', { room: name, text: `from ${n}` });
		for (const one of crowd) {
			await until(() => one.count('newMessage') >= crowd.length, 'all messages');
			await fence(one);
			assert.deepEqual(one.all('newMessage'), crowd[0].all('newMessage'));
			assert.equal(one.count('newMessage'), crowd.length);
		}
	});

	test('what comes after the history goes on where it ends', wait, async () => {
		await people();
		const name = unique('busy');
		await channel(server, ann, [bob], { name });
		const speaker = await come(server, ann);
		let n = 0;
		let talking = true;
		const talk = (async () => {
			while (talking)
				await speaker.ask('sendMessage', { room: name, text: String(n++) });
		})();
		const comers = [];
		for (let i = 0; i < 24; i++)
			comers.push(...await Promise.all(Object.keys(TRAVEL).map((travel) =>
				come(server, bob, { travel }))));
		talking = false;
		await talk;
		for (const one of comers) {
			const at = one.heard.findIndex((event) => event.name === 'updateChatHistory');
			const told = one.history[name].map(({ text }) => Number(text));
			const after = () => one.heard.slice(at).filter((event) => event.name === 'newMessage')
				.map(({ args }) => Number(args[0].text));
			await until(() => (after().at(-1) ?? told.at(-1)) === n - 1, 'last message');
			const all = [...told, ...after()];
			assert.deepEqual(all, Array.from({ length: all.length }, (_, i) => n - all.length + i));
			assert.equal(told.length, Math.min(100, n - after().length));
		}
	});

	test('of each room the last 100, of 50 rooms', wait, async () => {
		await people();
		const one = await come(server, ann);
		const long = unique('long');
		await succeed(one, 'createChannel', { name: long, status: 'PUBLIC' });
		for (let i = 0; i < 103; i++)
			one.emit('sendMessage', { room: long, text: String(i) });
		await until(() => one.count('sendMessageSuccess') === 103, 'all messages');
		const { history } = await come(server, ann);
		assert.deepEqual(history[long].map(({ text }) => text),
			Array.from({ length: 100 }, (_, i) => String(i + 3)));
		const names = Array.from({ length: 50 }, () => unique('more'));
		for (const name of names)
			await succeed(one, 'createChannel', { name, status: 'PUBLIC' });
		assert.deepEqual(Object.keys((await come(server, ann)).history).sort(), names.sort());
	});

	test('who was cut off comes back to what was missed, and needs no history', wait, async () => {
		await people();
		const name = unique('cut');
		await channel(server, ann, [bob], { name });
		const one = await come(server, bob, { reconnection: true });
		const two = await come(server, ann);
		await succeed(two, 'sendMessage', { room: name, text: 'before' });
		await one.next('newMessage');
		const { id } = one.socket;
		one.engine.transport.ws.terminate();
		await one.disconnected();
		await succeed(two, 'sendMessage', { room: name, text: 'meanwhile' });
		await succeed(two, 'sendMessage', { room: name, text: 'after' });
		await one.next('newMessage', ({ text }) => text === 'after');
		assert.deepEqual([one.socket.recovered, one.socket.id], [true, id]);
		assert.deepEqual(one.all('newMessage').map(({ text }) => text), ['before', 'meanwhile', 'after']);
		assert.equal(one.count('updateChatHistory'), 1);
	});

	describe('REST', () => {
		const get = async (who, path) => {
			const { status, json } = await rest(server, 'GET', path, who?.token);
			return status === 200 ? json : { status, ...json };
		};

		test('rooms, members and messages', wait, async () => {
			await people();
			const one = await come(server, ann);
			const [open, closed] = [unique('open #1'), unique('closed')];
			await succeed(one, 'createChannel', { name: open, status: 'PUBLIC' });
			await succeed(one, 'createChannel', { name: closed, status: 'PRIVATE', password: 'x' });
			await succeed(one, 'createChannel', { name: bob.username, status: 'DIRECT' });
			const id = await group(server, 'Pals', bob, ann);
			const rooms = [
				{ name: open, status: 'PUBLIC', role: 'owner' }, { name: closed, status: 'PRIVATE', role: 'owner' },
				{ name: directName(ann, bob), status: 'DIRECT', role: 'member' },
				{ name: `Pals#${id}`, status: 'PRIVATE', role: 'member' },
			];
			assert.deepEqual(await get(ann, '/api/rooms'), { rooms, next: null });
			const page = await get(ann, '/api/rooms?limit=3');
			assert.deepEqual(page.rooms, rooms.slice(0, 3));
			assert.deepEqual(await get(ann, `/api/rooms?limit=3&after=${page.next}`),
				{ rooms: rooms.slice(3), next: null });
			assert.deepEqual(await get(eve, '/api/rooms'), { rooms: [], next: null });

			const direct = encodeURIComponent(directName(ann, bob));
			assert.match(direct, /%2F/);
			const members = (await get(bob, `/api/rooms/${direct}/members`)).members;
			assert.deepEqual(members, [
				{ username: ann.username, name: 'Ann', role: 'member', isOnline: true },
				{ username: bob.username, name: 'bob', role: 'member', isOnline: false },
			]);
			await come(server, bob);
			await until(async () =>
				(await get(ann, `/api/rooms/${direct}/members`)).members[1].isOnline, 'bob online');
			const pals = `/api/rooms/${encodeURIComponent(`Pals#${id}`)}/members`;
			const some = await get(ann, `${pals}?limit=1`);
			assert.deepEqual(some.members.map(({ username, role }) => [username, role]),
				[[bob.username, 'owner']]);
			const others = await get(ann, `${pals}?limit=1&after=${some.next}`);
			assert.deepEqual(others.members.map(({ role }) => role), ['member']);

			for (const text of ['1', '2', '3'])
				await succeed(one, 'sendMessage', { room: open, text });
			await until(() => one.count('newMessage') === 3, 'all messages');
			const path = `/api/rooms/${encodeURIComponent(open)}/messages`;
			const said = one.all('newMessage').reverse();
			assert.deepEqual(await get(ann, path), { messages: said, next: null });
			const newest = await get(ann, `${path}?limit=2`);
			assert.deepEqual(newest, { messages: said.slice(0, 2), next: said[1].id });
			assert.deepEqual(await get(ann, `${path}?limit=2&before=${newest.next}`),
				{ messages: said.slice(2), next: null });
		});

		test('refusals', wait, async () => {
			await people();
			const name = unique('closed');
			await channel(server, bob, [], { name });
			for (const [path, status, message] of [
				['/api/rooms/nowhere/members', 404, 'Room not found'],
				['/api/rooms/nowhere/messages', 404, 'Room not found'],
				[`/api/rooms/${name}/members`, 403, 'Not a member of this room'],
				[`/api/rooms/${name}/messages`, 403, 'Not a member of this room'],
				['/api/rooms?limit=0', 422, /^limit /],
				['/api/rooms?limit=1001', 422, /^limit /],
				['/api/rooms?after=x', 422, /^after /],
				[`/api/rooms/${name}/messages?limit=101`, 422, /^limit /],
				['/api/rooms/%zz/messages', 422, /^name /],
			]) {
				const answer = await get(ann, path);
				assert.equal(answer.status, status, path);
				if (message instanceof RegExp)
					assert.match(answer.message, message, path);
				else
					assert.equal(answer.message, message, path);
				assert.equal((await get(null, path)).status, 401, path);
			}
			for (const [path, errors] of [
				['messages?before=x', { before: ['is not a message'] }],
				['members?after=x', { after: ['is not a value of next'] }],
			]) {
				const answer = await get(bob, `/api/rooms/${name}/${path}`);
				assert.deepEqual([answer.status, answer.errors], [422, errors]);
			}
			assert.equal((await rest(server, 'POST', '/api/rooms', ann.token, {})).status, 405);
		});
	});
});

describe('gateway with limits', { timeout: 300_000 }, () => {
	let server;
	before(async () => {
		server = await start({ root: 'gateway', options: { 'password-rate': 3, 'message-rate': '1 2',
			'gateway-history': 2, 'event-rate': '100 200' } });
	});
	after(async () => {
		leaveAll();
		await server?.stop();
	});
	afterEach(leaveAll);

	test('wrong passwords are counted per user and channel', wait, async () => {
		const [ann, bob, eve] = await Promise.all(['ann', 'bob', 'eve'].map((name) => person(server, name)));
		const [one, two, three] = [await come(server, ann), await come(server, bob), await come(server, eve)];
		const [name, other] = [unique('vault'), unique('safe')];
		for (const each of [name, other])
			await succeed(one, 'createChannel', { name: each, status: 'PRIVATE', password: 'right' });
		for (let i = 0; i < 3; i++)
			assert.deepEqual(await fail(two, 'joinChannel', { name, password: `wrong ${i}` }),
				{ message: 'Wrong password' });
		// From now on the right one is refused, too.
		assert.match((await fail(two, 'joinChannel', { name, password: 'right' })).message,
			/^Too many wrong passwords: try again in ([1-9]|[1-5]\d|60) s$/);
		await succeed(two, 'joinChannel', { name: other, password: 'right' });
		await succeed(three, 'joinChannel', { name, password: 'right' });
	});

	test('a right password is none of the wrong ones, though the user is in already', wait, async () => {
		const [ann, bob] = await Promise.all(['ann', 'bob'].map((name) => person(server, name)));
		const [one, two] = [await come(server, ann), await come(server, bob)];
		const name = unique('vault');
		await succeed(one, 'createChannel', { name, status: 'PRIVATE', password: 'right' });
		// Asked at once, all are compared before the first has joined.
		for (let round = 0; round < 3; round++) {
			const answers = await Promise.all([1, 2, 3].map(() => two.ask('joinChannel', { name, password: 'right' })));
			const said = answers.map(({ message }) => message).sort();
			assert.deepEqual(said, ['Channel joined', ...Array(2).fill('You are in this channel already')]);
			await succeed(two, 'leaveChannel', { name });
		}
	});

	test('message-rate and event-rate are told by the error of the event', wait, async () => {
		const one = await come(server, await person(server, 'ann'));
		const name = unique('rapid');
		await succeed(one, 'createChannel', { name, status: 'PUBLIC' });
		const texts = ['1', '2', '3', '4', '5'];
		const answers = await Promise.all(texts.map((text) => one.ask('sendMessage', { room: name, text })));
		assert.deepEqual(answers.at(-1), { message: 'Rate limit exceeded. Please slow down.' });
		assert.ok(one.count('sendMessageError') >= 1);
		// More than are let through while a machine stands still.
		for (let i = 0; i < 2000; i++)
			one.emit('leaveChannel', {});
		await one.next('leaveChannelError', ({ message }) => message === 'Rate limit exceeded. Please slow down.');
	});

	test('gateway-history says how many messages of a room', wait, async () => {
		const ann = await person(server, 'ann');
		const one = await come(server, ann);
		const name = unique('short');
		await succeed(one, 'createChannel', { name, status: 'PUBLIC' });
		for (const text of ['1', '2', '3'])
			await until(async () => (await one.ask('sendMessage', { room: name, text })).id,
				`message ${text}`, { every: 100 });
		assert.deepEqual((await come(server, ann)).history[name].map(({ text }) => text), ['2', '3']);
	});
});

describe('gateway while Redis stands still', { timeout: 120_000 }, () => {
	let server;
	let control;
	before(async () => {
		server = await start({ root: 'gateway' });
		control = redis(server);
	});
	after(async () => {
		leaveAll();
		control?.disconnect();
		await server?.stop();
	});

	test('each event says that it failed, and clients that come are let in later', wait, async () => {
		const [ann, bob] = [await person(server, 'ann'), await person(server, 'bob')];
		const one = await come(server, ann);
		const name = unique('stuck');
		await succeed(one, 'createChannel', { name, status: 'PUBLIC' });
		const draft = { room: name, text: 'after all', clientMessageId: 'c1' };
		const failing = [
			['sendMessage', draft, 'Failed to send message'],
			['createChannel', { name: unique('new'), status: 'PUBLIC' }, 'Failed to create channel'],
			['createChannel', { name: unique('new'), status: 'PRIVATE', password: 'x' }, 'Failed to create channel'],
			['createChannel', { name: bob.username, status: 'DIRECT' }, 'Failed to create channel'],
			['joinChannel', { name }, 'Failed to join channel'],
			['leaveChannel', { name: 'nowhere' }, 'Failed to leave channel'],
		];
		const pid = Number((await control.info('server')).match(/process_id:(\d+)/)[1]);
		let late;
		process.kill(pid, 'SIGSTOP');
		try {
			late = new Chatter(server, { token: bob.token, reconnection: true });
			const answers = await Promise.all(failing.map(([event, body]) => one.ask(event, body)));
			assert.deepEqual(answers, failing.map(([, , message]) => ({ message })));
			for (const [event, , message] of failing)
				assert.deepEqual(await one.next(`${event}Error`), { message });
			const { status } = await rest(server, 'GET', '/api/rooms', ann.token);
			assert.equal(status, 503);
		} finally {
			process.kill(pid, 'SIGCONT');
		}
		await until(async () => (await one.ask('sendMessage', draft)).id, 'success');
		assert.ok(await late.next('updateChatHistory'));
		assert.equal(late.count('accessDenied'), 0);
	});
});

describe('the page of the gateway API', { timeout: 120_000 }, () => {
	let server;
	const scope = {};
	before(async () => {
		server = await start({ root: 'gateway' });
		const { listen, next } = ears();
		for (const name of ['ann', 'bob']) {
			const jwt = token({ sub: name, username: name, name: name[0].toUpperCase() + name.slice(1) });
			scope[name] = listen(new Chatter(server, { token: jwt }).socket);
			// Known before the other one looks for it.
			await next(scope[name], 'updateChatHistory');
			scope[`${name}Token`] = jwt;
		}
		Object.assign(scope, {
			next,
			token: scope.annToken,
			io: (url, options) => {
				assert.equal(url, 'http://localhost:3000');
				return listen(new Chatter(server, { auth: {}, ...options }).socket);
			},
			get: async (path) => (await rest(server, 'GET', path, scope.annToken)).json,
		});
	});
	after(async () => {
		leaveAll();
		await server?.stop();
	});

	for (const example of examples(PAGE))
		test(`the page: ${example.heading}`, wait, () => run(example, scope));
});

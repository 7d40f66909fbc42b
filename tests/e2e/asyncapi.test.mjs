// The document of the WebSockets (/asyncapi.json): it is valid, says what the tables say, and each event that a
// server tells, and each acknowledgement, is as it says.
import { after, afterEach, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { Parser } from '@asyncapi/parser';
import Ajv from 'ajv';
import { Chatter, enter, leaveAll } from '../lib/chatter.mjs';
import { judge, load, properties, resolve, tabled, tables } from '../lib/documents.mjs';
import { Listener, hangUpAll, listen } from '../lib/listener.mjs';
import { channel, conversation, person, unique } from '../lib/people.mjs';
import { rest } from '../lib/rest.mjs';
import { ROOT, start } from '../lib/server.mjs';

const api = load('asyncapi.json');
const judged = judge(api, new Ajv({ strict: false, validateFormats: false, allErrors: true }));
const known = tables().apis;
const sockets = known.filter(({ events }) => events.length > 0);

const messages = (name, kind) => new Map(Object.entries(api.channels[name].messages)
	.filter(([key]) => key.startsWith(`${kind}.`)).map(([key, one]) => [key.slice(kind.length + 1), one]));
const names = (map) => [...map.keys()].sort();

// Fails unless this is what a message carries; one without a payload carries nothing.
function carries(message, value, what) {
	assert.ok(message, `${what} is documented`);
	if (message.payload === undefined)
		assert.equal(value, undefined, what);
	else
		judged(value, message.payload, what);
}

describe('the document', () => {
	test('is valid AsyncAPI 3', async () => {
		const { document, diagnostics } = await new Parser().parse(JSON.stringify(api));
		const errors = diagnostics.filter(({ severity }) => severity === 0);
		assert.deepEqual(errors.map(({ path: at, message }) => `${at.join('.')}: ${message}`), []);
		assert.equal(document.version(), '3.0.0');
	});

	test('has one operation for each message of clients and of the server', () => {
		for (const name of Object.keys(api.channels)) {
			const all = (action, kind) => {
				const wanted = names(messages(name, kind)).map((event) => `${name}.${action}.${event}`);
				const found = Object.entries(api.operations).filter(([, operation]) =>
					operation.channel.$ref === `#/channels/${name}` && operation.action === action);
				assert.deepEqual(found.map(([key]) => key).sort(), wanted);
				for (const [key, operation] of found) {
					const event = key.slice(name.length + action.length + 2);
					assert.deepEqual(operation.messages,
						[{ $ref: `#/channels/${name}/messages/${kind}.${event}` }]);
					assert.equal(resolve(api, operation.messages[0]).name, event);
				}
			};
			all('receive', 'client');
			all('send', 'server');
		}
	});

	test('uses all of its components, and its examples fit', () => {
		const text = JSON.stringify(api);
		for (const [kind, all] of Object.entries(api.components)) {
			for (const name of Object.keys(all))
				assert.ok(text.includes(`"#/components/${kind}/${name}"`), `${kind}/${name} is used`);
		}
		for (const { messages: all } of Object.values(api.channels)) {
			for (const message of Object.values(all))
				for (const { payload } of message.examples ?? [])
					carries(message, payload, `an example of ${message.name}`);
		}
	});
});

describe('the tables', () => {
	// "listen [::]:8000 channels", as the sample configuration says the defaults.
	const roots = new Map([...fs.readFileSync(path.join(ROOT, 'confab.conf'), 'utf8')
		.matchAll(/^#listen \S+:(\d+) (\w+)$/gm)].map(([, port, root]) => [root, port]));

	test('have the APIs of the document, and no others', () => {
		assert.deepEqual(known.map(({ name }) => name).sort(), Object.keys(api.channels).sort());
		assert.equal(roots.size, 3);
	});

	for (const { name, path: place, nsp } of known) {
		const { address, parameters, servers } = api.channels[name];
		const on = servers.map(({ $ref }) => $ref.split('/').at(-1));

		test(`${name}: where it is`, () => {
			if (nsp === null && place !== null)
				return assert.deepEqual([address, on], [place, ['notifications']]);
			assert.equal(address, '{namespace}');
			assert.deepEqual([...parameters.namespace.enum].sort(),
				['/', nsp, `/${name}`].filter(Boolean).sort());
			assert.equal(parameters.namespace.default, nsp ?? '/');
			assert.equal(api.servers[name].pathname, place ?? '/socket.io/');
			// Its own namespace is on all ports.
			assert.deepEqual(on.slice().sort(), [...new Set([name, ...roots.keys()])].sort());
		});

		if (roots.has(name)) {
			test(`${name}: its port`, () => {
				assert.equal(api.servers[name].host, `localhost:${roots.get(name)}`);
			});
		}
	}

	for (const { name, events } of sockets) {
		test(`${name}: events of clients`, () => {
			const said = messages(name, 'client');
			assert.deepEqual(names(said), events.map((event) => event.name).sort());
			for (const { name: event, fields, raw } of events) {
				// Those that are raw have arguments of their own kind; a server is asked below.
				if (raw)
					continue;
				const wanted = Object.fromEntries((fields ?? []).map((field) =>
					[field.name, tabled(field)]));
				assert.deepEqual(properties(api, said.get(event).payload), wanted, event);
			}
		});
	}

	for (const { name, told } of known) {
		test(`${name}: what is told live`, () => {
			const said = messages(name, 'server');
			assert.ok(told.length > 0);
			for (const one of told) {
				const [event, argument] = Array.isArray(one) ? one : [one.type, one];
				carries(said.get(event), argument, event);
			}
		});
	}
});

describe('a server', { timeout: 300_000 }, () => {
	const heard = new Set();         // "API EVENT"
	const acknowledged = new Set();  // "API MESSAGE"
	let server;
	let ann;
	let bob;
	let eve;
	before(async () => {
		server = await start();
		ann = await person(server, 'ann', { email: 'ann@example.org' });
		bob = await person(server, 'bob');
		eve = await person(server, 'eve');
	});
	// Who is left from one test is no user who comes in the next.
	afterEach(() => {
		leaveAll();
		hangUpAll();
	});
	after(() => server?.stop());

	// What all these clients heard is in the document.
	function check(name, ...clients) {
		const said = messages(name, 'server');
		for (const event of clients.flatMap((one) => one.heard)) {
			const [argument, offset, ...more] = event.args;
			carries(said.get(event.name), argument, `${name} ${event.name}`);
			assert.ok(offset === undefined || typeof offset === 'string');
			assert.deepEqual(more, []);
			heard.add(`${name} ${event.name}`);
		}
	}

	// An event as its example has it, but for `more`; the acknowledgement is one of those that are documented.
	async function ask(name, one, event, more) {
		const { payload, examples } = messages(name, 'client').get(event);
		const [example] = examples ?? [{}];
		const argument = typeof more === 'object' ? { ...example.payload, ...more } : example.payload;
		const answer = await (payload === undefined ? one.ask(event) : one.ask(event, argument));
		return acknowledge(name, event, answer);
	}

	function acknowledge(name, event, answer) {
		const faults = [];
		for (const { $ref } of api.operations[`${name}.receive.${event}`].reply.messages) {
			try {
				carries(resolve(api, { $ref }), answer, `${name} ${event} acknowledged`);
				acknowledged.add(`${name} ${$ref.split('/').at(-1)}`);
				return answer;
			} catch (error) {
				faults.push(error.message);
			}
		}
		assert.fail(faults.join('\n'));
	}

	for (const { name, path: place, nsp: elsewhere } of sockets) {
		// `/` is what the port is for; this one is for channels.
		const all = api.channels[name].parameters.namespace.enum.filter((nsp) => nsp !== '/' || name === 'channels');
		for (const nsp of all) {
			test(`${name} is there as ${nsp}`, async () => {
				const at = nsp === elsewhere ? place : '/socket.io/';
				await enter(server, { token: ann.token, nsp, path: at });
			});
		}
	}

	test('channels', async () => {
		const [here, there] = [await channel(server, ann, [bob]), await channel(server, ann, [bob])];
		const talk = await conversation(server, ann, bob);
		const come = ({ token }) => enter(server, { token, nsp: '/channels' });
		const clients = [await come(ann), await come(bob)];
		const [one] = clients;
		const rooms = { channelId: here, conversationId: talk };
		for (const client of clients) {
			await ask('channels', client, 'join_channel', { channelId: here });
			await ask('channels', client, 'join_channel', { channelId: there });
			await ask('channels', client, 'join_conversation', { conversationId: talk });
		}
		for (const [key, direct] of [['channelId', ''], ['conversationId', 'direct_']]) {
			const room = { [key]: rooms[key] };
			const { message } = await ask('channels', one, `send_${direct}message`, room);
			const about = { ...room, messageId: message.id };
			await ask('channels', one, `send_${direct}message`,
				{ ...room, replyToId: message.id, clientMessageId: undefined });
			await ask('channels', one, `edit_${direct}message`, about);
			await ask('channels', one, `add_${direct}reaction`, about);
			// Once more there is no reaction to tell of.
			await ask('channels', one, `add_${direct}reaction`, about);
			await ask('channels', one, `remove_${direct}reaction`, about);
			if (key === 'channelId')
				await ask('channels', one, 'forward_message', { ...about, targetChannelId: there });
			await ask('channels', one, 'forward_to_direct',
				{ messageId: message.id, targetConversationId: talk });
			await ask('channels', one, `delete_${direct}message`, about);
		}
		await ask('channels', one, 'ping');
		await ask('channels', one, 'join_channel', { channelId: 'nowhere' });
		await ask('channels', one, 'leave_channel', { channelId: here });
		await ask('channels', one, 'leave_conversation', { conversationId: talk });
		await clients[1].fence();
		check('channels', ...clients);
	});

	test('gateway', async () => {
		const names = { name: unique('general').replace(/[^\w-]/g, '') };
		const come = (who) => enter(server, { token: who.token, nsp: '/gateway' });
		const [one, two] = [await come(ann), await come(bob)];
		const stranger = await new Chatter(server, { nsp: '/gateway' }).connected();
		await stranger.next('accessDenied');
		await ask('gateway', one, 'createChannel', names);
		await ask('gateway', one, 'createChannel', names);
		await ask('gateway', one, 'createChannel', { name: eve.username, status: 'DIRECT' });
		await ask('gateway', two, 'joinChannel', names);
		await ask('gateway', two, 'joinChannel', names);
		const said = await ask('gateway', two, 'sendMessage', { room: names.name });
		await one.next('newMessage', ({ id }) => id === said.id);
		await ask('gateway', two, 'leaveChannel', names);
		await ask('gateway', two, 'leaveChannel', names);
		await ask('gateway', two, 'sendMessage', { room: names.name, clientMessageId: undefined });
		carries(messages('gateway', 'ack').get('refusal'), await two.ask('sing'), 'gateway: an unknown event');
		acknowledged.add('gateway ack.refusal');
		const three = await come(eve);
		await three.next('updateChatHistory');
		await ask('gateway', two, 'createChannel', { name: eve.username, status: 'DIRECT' });
		await three.next('reconnectNeeded');
		const late = await come(ann);
		const history = await late.next('updateChatHistory');
		assert.equal(history[names.name].length, 1);
		check('gateway', one, two, three, late, stranger);
	});

	test('messenger', async () => {
		const come = (options) => new Chatter(server, { nsp: '/chat', path: '/ws/', ...options }).connected();
		// Whom nobody has seen before.
		const [carl, dora] = [await person(server, 'carl'), await person(server, 'dora')];
		const [one, two, other] = [await come(carl), await come(dora), await come(dora)];
		const stranger = await come({});
		await stranger.next('auth-failed');
		const to = { user: dora.username };
		const from = { user: carl.username };
		const { chat } = await ask('messenger', one, 'send-message', to);
		await ask('messenger', one, 'send-message', { ...to, media: ['https://example.org/cat.png'] });
		for (const hearer of [two, two, other, other])
			await hearer.next('chat');
		other.forget('unread-chats-count');
		await ask('messenger', one, 'fetch-users');
		await ask('messenger', two, 'fetch-conversation-with-user', from);
		await ask('messenger', two, 'fetch-unread-chats-count', from);
		await ask('messenger', two, 'read-chat', { id: chat.id });
		await one.next('read-chat');
		await other.next('unread-chats-count');
		await ask('messenger', one, 'wait-for-user', to);
		await one.next('user-online');
		two.leave();
		other.leave();
		await one.next('user-offline');
		await one.next('user-leave', ({ user }) => user === dora.username);
		await ask('messenger', one, 'stop-waiting-for-user', to);
		await ask('messenger', one, 'wait-for-user', { user: 'nobody' });
		check('messenger', one, two, other, stranger);
	});

	test('lobby', async () => {
		const [one, two] = [await enter(server, { nsp: '/lobby' }), await enter(server, { nsp: '/lobby' })];
		await ask('lobby', one, 'login');
		await ask('lobby', two, 'login', { name: 'bob' });
		acknowledge('lobby', 'login', await two.ask('login', 'bob', 'kitchen'));
		await ask('lobby', one, 'roomMessage');
		await ask('lobby', one, 'ping');
		await two.next('roomMessage');
		await ask('lobby', two, 'logout');
		await one.next('notification', ({ title }) => title === 'bob left');
		check('lobby', one, two);
	});

	// What each kind of message of a plain WebSocket is called.
	const kind = (message) => ({ name: message.type ?? 'refusal', args: [message] });

	test('notifications', async () => {
		const ears = await Promise.all([bob, eve].map((who) => listen(server, who)));
		const [bobs, eves] = ears;
		const post = async (who, to, body) => (await rest(server, 'POST', to, who.token, body)).json;
		const { roomId } = await post(ann, '/room/create/', { users: [bob.id] });
		await post(ann, `/room/post/${roomId}`, { content: 'Hello!' });
		await post(ann, `/room/invite/${roomId}`, { users: [eve.id] });
		await post(eve, `/room/leave/${roomId}`);
		for (let n = 0; n < 4; n++)
			await bobs.next();
		await eves.next();
		const stranger = new Listener(server);
		await stranger.closed();
		check('notifications', ...[...ears, stranger].map((one) => ({ heard: one.heard.map(kind) })));
	});

	test('has told every event of the document', () => {
		const all = Object.keys(api.channels).flatMap((name) =>
			names(messages(name, 'server')).map((event) => `${name} ${event}`));
		assert.deepEqual(all.filter((one) => !heard.has(one)), []);
	});

	test('has given every acknowledgement of the document', () => {
		const all = Object.entries(api.operations).flatMap(([key, { reply }]) =>
			(reply?.messages ?? []).map(({ $ref }) => `${key.split('.')[0]} ${$ref.split('/').at(-1)}`));
		assert.deepEqual([...new Set(all)].filter((one) => !acknowledged.has(one)), []);
	});
});

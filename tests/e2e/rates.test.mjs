// Every rate at every door: what is refused, in which words, what was done, and from when on it goes again.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Chatter, enter, leaveAll } from '../lib/chatter.mjs';
import { Cast, DOORS } from '../lib/doors.mjs';
import { Streaming, pollingPath } from '../lib/engine.mjs';
import { hangUpAll } from '../lib/listener.mjs';
import { person } from '../lib/people.mjs';
import { rest } from '../lib/rest.mjs';
import { start } from '../lib/server.mjs';
import { sleep, until } from '../lib/wait.mjs';
import { Wire, requestBytes } from '../lib/wire.mjs';

const wait = { timeout: 120_000 };
const SLOW_DOWN = 'Rate limit exceeded. Please slow down.';
const BURST = 2;

function leave() {
	leaveAll();
	hangUpAll();
}

describe('message-rate', { timeout: 600_000 }, () => {
	let server;
	before(async () => {
		server = await start({ options: { 'message-rate': `1 ${BURST}` } });
	});
	after(async () => {
		leave();
		await server?.stop();
	});

	const told = (refused, api) => {
		assert.equal(refused.refusal, SLOW_DOWN);
		if (api === 'messenger')
			assert.equal(refused.code, 'rate-limited');
		if (api === 'rest') {
			assert.equal(refused.status, 429);
			assert.equal(refused.retryAfter, 1);
			assert.deepEqual(refused.errors, {});
		}
	};

	describe('door by door', { concurrency: 3 }, () => {
		for (const [name, { api }] of Object.entries(DOORS)) {
			test(`${name} (${api})`, wait, async () => {
				const c = await Cast.gather(server);
				await c.heard();
				const answers = await Promise.all(Array.from({ length: 12 }, (_, i) =>
					c.send(name, `n ${i}`, { clientMessageId: `id ${i}` })));
				const sent = answers.filter(({ id }) => id);
				// The burst, and what the time that this takes adds.
				assert.ok(sent.length >= BURST && sent.length < 12, `${sent.length} sent`);
				for (const refused of answers.filter(({ id }) => !id))
					told(refused, api);
				// The bucket is the user's, whichever door it is; what was sent before is answered in any case.
				let other;
				await until(async () => !(other = await c.send('POST /room/post', 'elsewhere')).id, 'refusal', { every: 0 });
				told(other, 'rest');
				assert.deepEqual(await c.send(name, 'n', { clientMessageId: `id ${answers.indexOf(sent[0])}` }), sent[0]);
				const heard = new Set(await c.heard());
				for (const { id } of sent)
					assert.ok(heard.has(id), `${id} was not told`);
				// Who waits as long as was said is let in.
				await until(async () => !(other = await c.send('POST /room/post', 'elsewhere')).id, 'refusal', { every: 0 });
				await sleep(1000 * other.retryAfter);
				assert.ok((await c.send(name, 'later')).id, 'still refused');
			});
		}

		for (const [name, { api, error }] of Object.entries(DOORS).filter(([, door]) => door.api !== 'rest')) {
			test(`${name} (${api}) without an acknowledgement`, wait, async () => {
				const c = await Cast.gather(server);
				const one = c.sockets[api];
				for (let i = 0; i < 12; i++)
					c.emit(name, `n ${i}`);
				if (error) {
					assert.deepEqual(await one.next(error), { message: SLOW_DOWN });
				} else {
					assert.ok((await until(async () => (await c.ask(name, 'last')).chat, 'a chat', { every: 200 })).id);
					// Who comes meanwhile, to the tests beside this one, is told to all.
					assert.deepEqual(one.heard.filter((event) => !/^user-/.test(event.name)), []);
				}
				assert.ok((await c.heard()).length < 13);
			});
		}
	});

	test('what is no message is not counted', wait, async () => {
		const c = await Cast.gather(server);
		const { channels } = c.sockets;
		const { id } = await c.send('send_message', 'mine');
		const ref = { channelId: c.channel, messageId: id };
		await until(async () => (await c.send('send_message', 'more')).refusal, 'refusal', { every: 0 });
		for (let i = 0; i < 10; i++) {
			for (const [event, more] of [['edit_message', { content: `edit ${i}` }], ['add_reaction', { emoji: `${i}` }],
				['remove_reaction', { emoji: `${i}` }]])
				assert.equal((await channels.ask(event, { ...ref, ...more })).ok, true, event);
		}
		assert.ok((await channels.ask('delete_message', ref)).ok);
	});
});

// An event of each API that is answered, and how its refusal is said.
const EVENTS = {
	channels: { event: 'edit_message', args: [{}], answer: { ok: false, error: SLOW_DOWN }, emits: 'error' },
	'channels, no such event': { event: 'nothing', args: [], answer: { ok: false, error: SLOW_DOWN }, emits: 'error' },
	gateway: { event: 'leaveChannel', args: [{}], answer: { message: SLOW_DOWN }, emits: 'leaveChannelError' },
	'gateway, no such event': { event: 'nothing', args: [], answer: { message: SLOW_DOWN }, emits: 'error' },
	messenger: { event: 'fetch-users', args: [{ limit: 1 }],
		answer: { error: { code: 'rate-limited', message: SLOW_DOWN } } },
	'messenger, no such event': { event: 'nothing', args: [],
		answer: { error: { code: 'rate-limited', message: SLOW_DOWN } } },
	lobby: { event: 'ping', args: [], answer: { error: SLOW_DOWN } },
	'lobby, a message': { event: 'roomMessage', args: ['hello'], answer: { error: SLOW_DOWN } },
};

describe('event-rate', { timeout: 600_000 }, () => {
	let server;
	let ann;
	before(async () => {
		server = await start({ options: { 'event-rate': '2 10' } });
		ann = await person(server, 'Ann');
	});
	after(async () => {
		leave();
		await server?.stop();
	});

	const sit = (name) => enter(server, { token: ann.token, nsp: `/${name.replace(/,.*/, '')}` });

	describe('door by door', { concurrency: 3 }, () => {
		for (const [name, { event, args, answer, emits }] of Object.entries(EVENTS)) {
			test(`${name}, with an acknowledgement`, wait, async () => {
				const one = await sit(name);
				const answers = await Promise.all(Array.from({ length: 40 }, () => one.ask(event, ...args)));
				const refused = answers.filter((each) => JSON.stringify(each).includes(SLOW_DOWN));
				assert.ok(refused.length > 0 && refused.length <= 31, `${refused.length} refused`);
				for (const each of refused)
					assert.deepEqual(each, answer);
				if (!emits)
					assert.deepEqual(one.heard, []);
				else
					assert.equal(one.count(emits, ({ message }) => message === SLOW_DOWN), refused.length);
				// One comes back in half a second; another connection never was concerned.
				const other = await sit(name);
				const again = [await other.ask(event, ...args)];
				await sleep(1000);
				again.push(await one.ask(event, ...args));
				for (const each of again)
					assert.notDeepEqual(each, answer);
			});

			test(`${name}, without one`, wait, async () => {
				const one = await sit(name);
				for (let i = 0; i < 40; i++)
					one.emit(event, ...args);
				if (emits)
					assert.deepEqual(await one.next(emits, ({ message }) => message === SLOW_DOWN), { message: SLOW_DOWN });
				await one.ask(event, ...args);
				if (!emits)
					assert.deepEqual(one.heard, []);
			});
		}
	});

	test('a lobby’s room hears what was let through, and nothing else', wait, async () => {
		const [one, other] = [await sit('lobby'), await sit('lobby')];
		const room = 'rates';
		assert.ok((await one.ask('login', { name: 'one', room })).user);
		assert.ok((await other.ask('login', { name: 'other', room })).user);
		const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => one.ask('roomMessage', `n ${i}`)));
		const passed = answers.map((answer, i) => (answer?.error ? null : `n ${i}`)).filter(Boolean);
		await other.ask('roomMessage', 'fence');
		await other.next('roomMessage', ({ message }) => message === 'fence');
		assert.deepEqual(other.all('roomMessage').map(({ message }) => message), [...passed, 'fence']);
	});

	test('it is one rate for all namespaces of a connection, and for joining them', wait, async () => {
		const one = await Streaming.open(server.port);
		const spaces = ['/channels', '/lobby'];
		const refusal = (nsp) => `44${nsp},${JSON.stringify({ message: SLOW_DOWN })}`;
		await until(async () => {
			const answers = [];
			await one.send(...spaces.map((nsp) => `40${nsp},${JSON.stringify({ token: ann.token })}`));
			while (answers.length < spaces.length) {
				const packet = await one.next();
				if (/^4[04]/.test(packet))
					answers.push(packet);
			}
			await one.send(...spaces.filter((nsp) => !answers.includes(refusal(nsp))).map((nsp) => `41${nsp},`));
			return spaces.every((nsp) => answers.includes(refusal(nsp)));
		}, 'refusal of both', { every: 0 });
		one.destroy();
	});

	test('ten times as many polling clients begin over one TCP connection', wait, async () => {
		const ask = async (wire, path) => {
			wire.send(requestBytes({ path }));
			return wire.response();
		};
		const wire = await Wire.connect(server.port);
		const answers = [];
		for (let i = 0; i < 300; i++)
			wire.send(requestBytes({ path: pollingPath() }));
		for (let i = 0; i < 300; i++)
			answers.push(await wire.response());
		const refused = answers.filter(({ status }) => status !== 200);
		assert.ok(refused.length > 0 && refused.length <= 200, `${refused.length} refused`);
		for (const { status, headers, body } of refused)
			assert.deepEqual([status, headers['retry-after'], JSON.parse(body)],
				[429, '1', { code: 3, message: 'Too many handshakes' }]);
		// Whoever else asks over it is served, and one more comes in a moment.
		assert.equal((await ask(wire, '/health')).status, 200);
		await until(async () => (await ask(wire, pollingPath())).status === 200, 'another', { every: 100 });
		const other = await Wire.connect(server.port);
		assert.equal((await ask(other, pollingPath())).status, 200);
		// A second's log has room for twenty refusals, which others may have taken.
		await until(async () => {
			for (let i = 0; i < 10; i++)
				await ask(wire, pollingPath());
			return /request handshake from=127\.0\.0\.1:\d+ refused: Rate limit exceeded/.test(server.output);
		}, 'log line', { every: 100 });
		wire.destroy();
		other.destroy();
	});

	test('REST has none', wait, async () => {
		const answers = await Promise.all(Array.from({ length: 40 }, () => rest(server, 'GET', '/login/me', ann.token)));
		assert.ok(answers.every(({ status }) => status === 200));
		await new Chatter(server, { token: ann.token }).connected();
	});
});

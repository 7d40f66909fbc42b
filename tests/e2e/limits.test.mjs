// Limits and ends that come by themselves: rates, and tokens that expire on an open socket.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { TRAVEL, enter, leaveAll } from '../lib/chatter.mjs';
import { channel, person } from '../lib/people.mjs';
import { Polling, UNKNOWN_SID, pollingPath } from '../lib/engine.mjs';
import { rest } from '../lib/rest.mjs';
import { start } from '../lib/server.mjs';
import { token } from '../lib/token.mjs';
import { until } from '../lib/wait.mjs';
import { Wire, request, requestBytes } from '../lib/wire.mjs';

const SLOW_DOWN = 'Rate limit exceeded. Please slow down.';

describe('rates', { timeout: 300_000 }, () => {
	let server;
	let ann;
	before(async () => {
		server = await start({ options: { 'message-rate': '1 5', 'event-rate': '1 50' } });
		ann = await person(server, 'Ann');
	});
	after(async () => {
		leaveAll();
		await server?.stop();
	});

	test('messages are limited per user, over all sockets', async () => {
		const id = await channel(server, ann);
		const sockets = [];
		for (let i = 0; i < 4; i++)
			sockets.push(await enter(server, { token: ann.token }));
		const answers = [];
		for (let i = 0; i < 20; i++) {
			answers.push(sockets[i % 4].ask('send_message', { channelId: id, content: `n ${i}` }));
		}
		const all = await Promise.all(answers);
		const passed = all.filter(({ ok }) => ok).length;
		const refused = all.filter(({ ok }) => !ok);
		// The burst, and what the time that this takes adds.
		assert.ok(passed >= 5 && passed < 20, `${passed} passed`);
		assert.ok(refused.every(({ error }) => error === SLOW_DOWN), JSON.stringify(refused));
	});

	test('without an acknowledgement it is told by error', async () => {
		const bob = await person(server, 'Bob');
		const id = await channel(server, bob);
		const one = await enter(server, { token: bob.token });
		for (let i = 0; i < 20; i++)
			one.emit('send_message', { channelId: id, content: `n ${i}` });
		assert.deepEqual(await one.next('error'), { message: SLOW_DOWN });
	});

	test('events are limited per connection', async () => {
		const one = await enter(server, { token: ann.token });
		for (let i = 0; i < 120; i++)
			one.emit('ping');
		assert.equal((await one.next('error')).message, SLOW_DOWN);
		assert.ok(one.count('pong') < 120);
		const other = await enter(server, { token: ann.token });
		await other.fence();
	});
});

// At the same time, so that they wait together.
describe('expiry', { timeout: 300_000, concurrency: true }, () => {
	let server;
	before(async () => { server = await start(); });
	after(async () => {
		leaveAll();
		await server?.stop();
	});

	for (const travel of Object.keys(TRAVEL)) {
		test(`${travel}: a token that expires ends its socket`, async () => {
			const exp = Math.floor(Date.now() / 1000) + 8;
			const ann = await person(server, 'Ann', { exp });
			const one = await enter(server, { token: ann.token, travel });
			assert.deepEqual(await one.next('error'), { message: 'Authentication failed' });
			// A Socket.IO disconnect: a stock client does not come back in a loop.
			assert.equal(await one.disconnected(), 'io server disconnect');
			assert.ok(Date.now() >= exp * 1000 - 50, 'too early');
		});
	}

	test('another socket of the same user with a longer token lives on', async () => {
		const ann = await person(server, 'Ann');
		const short = token({ sub: ann.id, name: 'Ann', exp: Math.floor(Date.now() / 1000) + 8 });
		const one = await enter(server, { token: short });
		const other = await enter(server, { token: ann.token });
		assert.equal(await one.disconnected(), 'io server disconnect');
		await other.fence();
	});
});

describe('connections', { timeout: 300_000 }, () => {
	let server;
	before(async () => {
		server = await start({ options: { 'connect-rate': '1 40' } });
	});
	after(async () => {
		leaveAll();
		await server?.stop();
	});

	test('an address that connects too often is told when to come again', async () => {
		const ask = () => request(server.port, { path: '/nowhere' });
		const refused = [];
		await until(async () => {
			const answers = await Promise.all(Array.from({ length: 20 }, ask));
			refused.push(...answers.filter(({ status }) => status === 429));
			return refused.length > 0;
		}, 'refusal', { every: 0 });
		for (const { headers, body } of refused) {
			assert.equal(headers['retry-after'], '1');
			assert.deepEqual(JSON.parse(body), { message: 'Too many connections from this address', errors: {} });
		}
		await until(async () => (await ask()).status === 404, 'being let in again', { every: 200 });
	});

	test('so is one whose clients that poll begin over one connection', async () => {
		let wire;
		const begin = async () => {
			wire.send(requestBytes({ path: pollingPath() }));
			return wire.response();
		};
		// The first is paid for by the connection itself.
		await until(async () => {
			wire = await Wire.connect(server.port);
			return (await begin()).status === 200;
		}, 'connection', { every: 200 });
		const answers = [];
		for (let i = 0; i < 60; i++)
			answers.push(await begin());
		const refused = answers.filter(({ status }) => status !== 200);
		assert.ok(refused.length > 0, 'none is refused');
		for (const { status, headers, body } of refused) {
			assert.deepEqual([status, headers['retry-after'], JSON.parse(body)],
				[429, '1', { code: 3, message: 'Too many handshakes' }]);
			assert.equal(headers['access-control-expose-headers'], 'Retry-After');
		}
		// Others over it are no business of this.
		wire.send(requestBytes({ path: '/health' }));
		assert.equal((await wire.response()).status, 200);
		wire.destroy();
	});
});

describe('slow readers', { timeout: 300_000 }, () => {
	let server;
	before(async () => {
		server = await start({ options: { 'queue-soft': '2kb', 'queue-soft-time': '200ms' } });
	});
	after(async () => {
		leaveAll();
		await server?.stop();
	});

	test('who reads nothing is closed, others hear on, and recovery has what was missed', async () => {
		const ann = await person(server, 'Ann');
		const id = await channel(server, ann);
		const slow = await Polling.open(server.port);
		await slow.send(`40${JSON.stringify({ token: ann.token })}`);
		assert.match(await slow.next(), /^40\{"sid"/);
		assert.match(await slow.next(), /^42\["authenticated"/);
		await slow.send(`42["join_channel",{"channelId":"${id}"}]`);
		assert.match(await slow.next(), /^42\["joined_channel"/);
		const speaker = await enter(server, { token: ann.token });
		await speaker.ask('join_channel', { channelId: id });
		const connections = async () =>
			(await rest(server, 'GET', '/api/stats', ann.token)).json.total.connections;
		await until(async () => await connections() === 2, 'both');
		// Its packets wait for a GET that does not come.
		await until(async () => {
			await speaker.ask('send_message', { channelId: id, content: 'x'.repeat(500) });
			return await connections() === 1;
		}, 'end of the slow one', { every: 50 });
		assert.equal((await slow.poll()).body, UNKNOWN_SID);
		await speaker.fence();
		assert.deepEqual(speaker.disconnects, []);
	});
});

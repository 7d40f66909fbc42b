// Limits and ends that come by themselves: rates, and tokens that expire on an open socket.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { TRAVEL, enter, leaveAll } from '../lib/chatter.mjs';
import { channel, person } from '../lib/people.mjs';
import { start } from '../lib/server.mjs';
import { token } from '../lib/token.mjs';

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

describe('expiry', { timeout: 300_000 }, () => {
	let server;
	before(async () => { server = await start(); });
	after(async () => {
		leaveAll();
		await server?.stop();
	});

	for (const travel of Object.keys(TRAVEL)) {
		test(`${travel}: a token that expires ends its socket`, async () => {
			const exp = Math.floor(Date.now() / 1000) + 4;
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
		const short = token({ sub: ann.id, name: 'Ann', exp: Math.floor(Date.now() / 1000) + 3 });
		const one = await enter(server, { token: short });
		const other = await enter(server, { token: ann.token });
		assert.equal(await one.disconnected(), 'io server disconnect');
		await other.fence();
	});
});

// A worker is killed: its successor takes over its socket, the others' clients notice nothing.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { enter, leaveAll, workerOfChatter } from '../lib/chatter.mjs';
import { channel, person } from '../lib/people.mjs';
import { start } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';
import { request } from '../lib/wire.mjs';

const CLIENTS = 16;

describe('a killed worker', { timeout: 300_000 }, () => {
	let server;
	before(async () => { server = await start(); });
	after(async () => {
		leaveAll();
		// The killed worker is no fault of the master's: its own end must be clean.
		await server?.stop();
	});

	test('four workers are there', () => {
		assert.equal(server.workers().length, 4);
	});

	for (let round = 1; round <= 3; round++) {
		test(`round ${round}: a successor comes, nobody else notices, nobody is refused`, async () => {
			const ann = await person(server, 'Ann');
			const id = await channel(server, ann);
			const crowd = [];
			const homes = [];    // the worker of each
			await until(async () => {
				const one = await enter(server, { token: ann.token });
				crowd.push(one);
				homes.push(workerOfChatter(server, one));
				return crowd.length >= CLIENTS && new Set(homes).size === 4;
			}, 'client on every worker', { every: 0, ms: 60_000 });
			for (const one of crowd)
				assert.equal((await one.ask('join_channel', { channelId: id })).ok, true);
			const victim = homes[0];

			process.kill(victim, 'SIGKILL');
			// Whoever connects now waits at most for the successor; none is refused.
			const asked = Array.from({ length: 100 }, () => request(server.port, { path: '/health' }));
			await until(() => {
				const now = server.workers().map(({ pid }) => pid);
				return now.length === 4 && !now.includes(victim);
			}, 'successor');
			for (const { status } of await Promise.all(asked))
				assert.ok([200, 503].includes(status), String(status));

			const others = crowd.filter((_, i) => homes[i] !== victim);
			for (const one of crowd.filter((_, i) => homes[i] === victim))
				await one.disconnected();
			await others[0].ask('send_message', { channelId: id, content: 'still here' });
			for (const one of others) {
				assert.equal((await one.next('new_message')).content, 'still here');
				assert.deepEqual(one.disconnects, []);
			}
			leaveAll();
		});
	}

	test('clients of the killed one come back by themselves and go on', async () => {
		const ann = await person(server, 'Ann');
		const channelId = await channel(server, ann);
		const one = await enter(server, { token: ann.token, reconnection: true });
		one.socket.on('connect', () => one.emit('join_channel', { channelId }));
		await one.ask('join_channel', { channelId });
		one.forget('joined_channel');
		process.kill(workerOfChatter(server, one), 'SIGKILL');
		await one.disconnected();
		await until(() => one.socket.connected, 'reconnection');
		await one.next('joined_channel');
		assert.equal((await one.ask('send_message', { channelId, content: 'back' })).ok, true);
		assert.equal((await one.next('new_message')).content, 'back');
	});
});

// Nothing lost, nothing twice, nothing out of order, while another process cuts all subscriptions of
// Redis ten times a second. MESSAGES says how many are sent.
import { spawn } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { enter, leaveAll } from '../lib/chatter.mjs';
import { channel, person } from '../lib/people.mjs';
import { start } from '../lib/server.mjs';
import { pool, until } from '../lib/wait.mjs';

const MESSAGES = Number(process.env.MESSAGES ?? 2000);
const ROOMS = 20;
const LISTENERS = 8;
const SENDERS = 4;
const IN_FLIGHT = 8;
const KILL_EVERY_S = 0.1;

describe('delivery', { timeout: 300_000 + MESSAGES * 60 }, () => {
	let server;
	let vandal;
	before(async () => { server = await start(); });
	after(async () => {
		vandal?.kill();
		leaveAll();
		await server?.stop();
	});

	// Another process than publisher and listeners, or it would hide what it does.
	function cutSubscriptions() {
		vandal = spawn('redis-cli', ['-s', server.redisSocket(), '-r', '-1', '-i', String(KILL_EVERY_S),
			'client', 'kill', 'type', 'pubsub'], { stdio: ['ignore', 'pipe', 'inherit'] });
		let killed = 0;
		vandal.stdout.setEncoding('utf8').on('data', (text) => {
			for (const number of text.matchAll(/\d+/g))
				killed += Number(number[0]);
		});
		return { killed: () => killed };
	}

	test(`${MESSAGES} numbered messages in ${ROOMS} rooms`, async (t) => {
		const people = [];
		for (let i = 0; i < SENDERS; i++)
			people.push(await person(server, `Sender ${i}`));
		const rooms = [];
		for (let i = 0; i < ROOMS; i++)
			rooms.push(await channel(server, people[0], people.slice(1)));
		const listeners = [];
		for (let i = 0; i < LISTENERS; i++) {
			const travel = ['websocket', 'websocket', 'polling', 'upgrade'][i % 4];
			const one = await enter(server, { token: people[i % SENDERS].token, travel });
			for (const channelId of rooms)
				assert.equal((await one.ask('join_channel', { channelId })).ok, true);
			listeners.push(one);
		}
		const senders = await Promise.all(people.map(({ token }) => enter(server, { token })));

		const vandalism = cutSubscriptions();
		await until(() => vandalism.killed() > 0, 'first cut');
		await pool(Array.from({ length: MESSAGES }), IN_FLIGHT, async (_, n) => {
			const answer = await senders[n % SENDERS].ask('send_message',
				{ channelId: rooms[n % ROOMS], content: String(n), clientMessageId: `n-${n}` });
			assert.deepEqual(answer.error, undefined, `message ${n}`);
		});
		// The cuts go on until all is there: what was lost must come while they do.
		for (const [i, one] of listeners.entries()) {
			await until(() => one.count('new_message') >= MESSAGES, `all messages at listener ${i}`,
				{ ms: 60_000 }).catch(() => {});
			const heard = one.all('new_message');
			const numbers = new Set(heard.map(({ content }) => Number(content)));
			const lost = Array.from({ length: MESSAGES }, (_, n) => n).filter((n) => !numbers.has(n));
			assert.deepEqual(lost.slice(0, 20), [], `listener ${i} (${one.travel}) lost ${lost.length}`);
			assert.equal(heard.length, numbers.size, `listener ${i} (${one.travel}) heard some twice`);
			const ids = heard.map(({ id }) => id);
			const back = ids.findIndex((id, at) => at > 0 && id <= ids[at - 1]);
			assert.equal(back, -1, `listener ${i} (${one.travel}) heard ${ids[back]} after ${ids[back - 1]}`);
			assert.deepEqual(one.disconnects, []);
		}
		t.diagnostic(`${vandalism.killed()} subscriptions were cut`);
		assert.ok(vandalism.killed() >= 4, `only ${vandalism.killed()} subscriptions were cut`);
	});
});

// The wall clock jumps by an hour, and by two, of one host, of all, of Redis, forward and back, under clients who
// go on talking: nobody is cut off, nothing is lost, and tokens are judged by the clock as it is then.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Chatter, TRAVEL, enter, leaveAll } from '../lib/chatter.mjs';
import { Clock } from '../lib/clock.mjs';
import { Listener, hangUpAll, listen } from '../lib/listener.mjs';
import { channel, person, unique } from '../lib/people.mjs';
import { descendants } from '../lib/procs.mjs';
import { RedisChild } from '../lib/redis.mjs';
import { rest } from '../lib/rest.mjs';
import { start } from '../lib/server.mjs';
import { FULL, sized } from '../lib/size.mjs';
import { token } from '../lib/token.mjs';
import { cpuOf } from '../lib/usage.mjs';
import { until } from '../lib/wait.mjs';

const HOUR = 3600;
const BURST = 100;
const INTERVAL_MS = 1000;
const KICKED = 'io server disconnect';

// Where the clocks of two hosts and of Redis are put, in hours. At the beginning: 0, 1, 0.
const JUMPS = [
	['both hosts forward', [1, 2, 0]],
	['all back', [-1, -1, -1]],
	...FULL ? [
		['one host back', [-2, -1, -1]],
		['one host forward, the other and Redis back', [1, -2, -2]],
		['both hosts back', [-1, -3, -2]],
		['both hosts forward again', [0, 0, -2]],
	] : [],
	['Redis forward', [-1, -1, 0]],
	...FULL ? [['Redis back', [-1, -1, -1]]] : [],
];

// How each API ends who is not welcome any more.
async function endOf(one) {
	if (one instanceof Listener) {
		const { code, reason } = await one.closed();
		return [code, reason, one.heard.at(-1)];
	}
	const why = await one.disconnected();
	const { name, args } = one.heard.at(-1);
	return [why, name, args[0].message];
}

const NAMESPACES = {
	'/channels': [KICKED, 'error', 'Authentication failed'],
	'/gateway': [KICKED, 'accessDenied', 'Authentication failed'],
	'/messenger': [KICKED, 'auth-failed', 'Authentication failed'],
};
const BAD_TOKEN = [1008, 'BadToken', 'BadToken'];

describe('the wall clock jumps', { timeout: sized(200_000, 400_000) }, () => {
	const clocks = [];       // of the first host, the second, Redis
	const hosts = [];
	const said = [];         // texts, in order
	const texts = new Map(); // who hears → gives what they heard
	const travellers = [];   // of all kinds, on both hosts
	const roamers = [];      // who will be away while it jumps
	const pings = new Map(); // traveller → how many
	const dataDir = fs.mkdtempSync(path.join(os.tmpdir(), 'confab-'));
	let redis;
	let control;
	let ann;
	let bob;
	let room;
	let speakers;
	let watcher;

	// A member of the room who hears it through channels.
	async function come(host, travel) {
		const one = await enter(host, { token: bob.token, travel, nsp: '/channels' });
		assert.equal((await one.ask('join_channel', { channelId: room })).ok, true);
		texts.set(one, () => one.all('new_message').map(({ content }) => content));
		pings.set(one, 0);
		one.socket.io.on('ping', () => pings.set(one, pings.get(one) + 1));
		return one;
	}

	// One that somebody may still be writing, and one that is abandoned, for the first look of a master whose
	// clock is an hour ahead.
	const begun = [[30, 'a'], [25 * HOUR, 'b']].map(([age, letter]) =>
		({ age, file: path.join(dataDir, 'uploads/new', letter.repeat(32)) }));
	function beginUploads() {
		fs.mkdirSync(path.dirname(begun[0].file), { recursive: true });
		for (const { age, file } of begun) {
			fs.writeFileSync(file, 'x');
			fs.utimesSync(file, Date.now() / 1000 - age, Date.now() / 1000 - age);
		}
	}

	before(async () => {
		for (let i = 0; i < 3; i++)
			clocks.push(new Clock());
		clocks[1].put(HOUR);
		beginUploads();
		redis = await RedisChild.start({ env: clocks[2].env });
		control = await redis.connect();
		hosts.push(...await Promise.all([0, 1].map((i) => start({ env: clocks[i].env, options: {
			redis: redis.address, workers: 2, 'message-rate': `1 ${BURST}`,
			'ping-interval': `${INTERVAL_MS}ms`, 'ping-timeout': '30s',
			...i === 1 && { 'data-dir': dataDir },
		} }))));
		const exp = Math.floor(Date.now() / 1000) + 12 * HOUR;
		[ann, bob] = [await person(hosts[0], 'Ann', { exp }), await person(hosts[1], 'Bob', { exp })];
		room = await channel(hosts[0], ann, [bob]);
		speakers = await Promise.all(hosts.map((host) => enter(host, { token: ann.token, nsp: '/channels' })));
		watcher = await enter(hosts[0], { token: bob.token, nsp: '/messenger' });
		for (const host of hosts) {
			travellers.push(...await Promise.all(Object.keys(TRAVEL).map((travel) => come(host, travel))));
			const plain = await listen(host, bob);
			texts.set(plain, () => plain.heard.map(({ content }) => content));
			travellers.push(plain);
			const roamer = await come(host, 'websocket');
			roamer.missed = [];
			roamers.push(roamer);
		}
	});
	after(async () => {
		leaveAll();
		hangUpAll();
		control?.disconnect();
		for (const host of hosts)
			await host.stop();
		await redis?.end();
		for (const clock of clocks)
			clock.remove();
		fs.rmSync(dataDir, { recursive: true, force: true });
	});

	// In turns on one host and the other.
	async function say(n) {
		for (let i = 0; i < n; i++) {
			const content = `${said.length}`;
			said.push(content);
			const answer = await speakers[said.length % 2].ask('send_message', { channelId: room, content });
			assert.equal(answer.ok, true, answer.error);
		}
	}

	async function allHeard() {
		for (const [one, heard] of texts) {
			const expected = said.filter((text) => !one.missed?.includes(text));
			await until(() => heard().length >= expected.length, 'all that was said').catch(() => {});
			assert.deepEqual(heard(), expected);
		}
	}

	// Each master has renewed its leases since, and swept what it took for dead.
	async function ticked() {
		const leases = () => control.zrange('workers', 0, -1, 'WITHSCORES');
		const before = new Set(await leases());
		await until(async () => (await leases()).filter((_, i) => i % 2 === 1).every((end) => !before.has(end)),
			'ticks of the masters');
	}

	const pingsOf = (one) => one instanceof Listener ? one.pings : pings.get(one);

	// Each hears pings, and no more than there is time for: twice as many at most, on a busy machine.
	async function pinged(begin) {
		const before = travellers.map(pingsOf);
		await until(() => travellers.every((one, i) => pingsOf(one) > before[i]), 'pings');
		const most = 2 * (performance.now() - begin.ms) / INTERVAL_MS + 10;
		for (const [i, one] of travellers.entries())
			assert.ok(pingsOf(one) - begin.pings[i] <= most, `${pingsOf(one) - begin.pings[i]} pings, of ${most} at most`);
	}

	const pids = () => [...hosts.flatMap((host) => [host.pid, ...descendants(host.pid).map(({ pid }) => pid)]),
		redis.process.pid];

	// The clocks are where they were put, and nobody is busier than they have reason to be.
	async function calm() {
		for (const [i, host] of hosts.entries()) {
			const { headers } = await rest(host, 'GET', '/health');
			assert.ok(Math.abs(Date.parse(headers.date) / 1000 - clocks[i].now()) < HOUR / 2, headers.date);
		}
		assert.ok(Math.abs((await control.time())[0] - clocks[2].now()) < HOUR / 2);
		const all = pids();
		const [begin, used] = [performance.now(), all.map(cpuOf)];
		await ticked();
		const passed = performance.now() - begin;
		for (const [i, pid] of all.entries())
			assert.ok(cpuOf(pid) - used[i] < 0.6 * passed, `${cpuOf(pid) - used[i]} ms of ${passed} ms`);
	}

	async function leave(roamer) {
		roamer.socket.io.reconnection(false);
		roamer.engine.transport.ws.terminate();
		await roamer.disconnected();
		await until(async () => await control.pttl(`session:${roamer.socket._pid}`) > 0, 'session without a socket');
	}

	async function comeBack(roamer, recovered) {
		roamer.disconnects = [];
		roamer.socket.connect();
		await roamer.connected();
		assert.equal(roamer.socket.recovered, recovered);
		if (!recovered)
			assert.equal((await roamer.ask('join_channel', { channelId: room })).ok, true);
	}

	// Tokens of a user by each host's clock: over, good, not yet.
	async function judged() {
		for (const [i, host] of hosts.entries()) {
			const at = clocks[i].now();
			for (const [claims, status] of [
				[{ exp: at + HOUR / 2 }, 200], [{ exp: at - HOUR / 2 }, 401],
				[{ exp: at + HOUR, nbf: at - HOUR / 2 }, 200], [{ exp: at + HOUR, nbf: at + HOUR / 2 }, 401],
			]) {
				const answer = await rest(host, 'GET', '/login/me', token({ sub: bob.id, ...claims }));
				assert.equal(answer.status, status, JSON.stringify(claims));
			}
			const over = token({ sub: bob.id, exp: at - HOUR / 2 });
			const { message } = await new Chatter(host, { nsp: '/channels', token: over }).refused();
			assert.equal(message, 'Authentication failed');
		}
	}

	// Sockets whose tokens are over in half an hour, where the clock will be put forward: gives how they end.
	async function ending(hours) {
		const ends = [];
		for (const [i, host] of hosts.entries()) {
			if (hours[i] * HOUR <= clocks[i].by)
				continue;
			const jwt = token({ sub: bob.id, exp: clocks[i].now() + HOUR / 2 });
			ends.push([await listen(host, { token: jwt }), BAD_TOKEN]);
			for (const [nsp, words] of Object.entries(NAMESPACES))
				ends.push([await enter(host, { nsp, token: jwt }), words]);
		}
		for (const [one] of ends.filter(([one]) => one instanceof Listener))
			await one.answers();
		return () => Promise.all(ends.map(async ([one, words]) => assert.deepEqual(await endOf(one), words)));
	}

	async function jump(hours) {
		// What has a time to live in Redis ends with it.
		const recovered = hours[2] * HOUR <= clocks[2].by;
		const begin = { ms: performance.now(), pings: travellers.map(pingsOf) };
		const ended = await ending(hours);
		await say(2);
		await allHeard();
		await Promise.all(roamers.map(leave));
		const from = said.length;
		await say(2);
		const meanwhile = say(2);
		hours.forEach((h, i) => clocks[i].put(h * HOUR));
		await meanwhile;
		await ended();
		await say(1);
		for (const roamer of roamers) {
			if (!recovered)
				roamer.missed.push(...said.slice(from));
			await comeBack(roamer, recovered);
		}
		await say(2);
		await Promise.all([judged(), calm(), pinged(begin)]);
		await allHeard();
	}

	test('what another host is still uploading stays, though the clocks differ', async () => {
		await until(() => !fs.existsSync(begun[1].file), 'removal of what was abandoned');
		assert.ok(fs.existsSync(begun[0].file));
	});

	for (const [name, hours] of JUMPS) {
		test(`${name}: nobody is cut off, all is heard once and in order, tokens are judged anew`, async () => {
			await jump(hours);
			for (const one of [...travellers, ...speakers, watcher])
				assert.deepEqual(one instanceof Listener ? one.ended : one.disconnects, one instanceof Listener ? null : []);
			assert.equal(await control.zcard('leaving'), 0);
			assert.equal(await control.zcard('workers'), 4);
			for (const event of ['user-leave', 'user-offline'])
				assert.deepEqual(watcher.all(event), []);
			const sweeps = hosts.map(({ output }) => /swept/.test(output));
			assert.deepEqual(sweeps, [false, false]);
		});
	}

	test('the history has it in that order', async () => {
		const { json } = await rest(hosts[0], 'GET', `/api/messages?channelId=${room}&limit=100`, bob.token);
		assert.deepEqual(json.data.map(({ content }) => content), [...said].reverse());
	});

	test('message-rate neither shuts out for an hour nor opens up', async () => {
		const talker = await person(hosts[0], 'Talker', { exp: clocks[0].now() + 12 * HOUR });
		const own = await channel(hosts[0], talker);
		const one = await enter(hosts[0], { token: talker.token, nsp: '/channels' });
		const send = async () => (await one.ask('send_message', { channelId: own, content: 'x' })).ok === true;
		const burst = async () => {
			const begin = performance.now();
			const answers = await Promise.all(Array.from({ length: 2 * BURST }, send));
			const most = BURST + (performance.now() - begin) / 1000 + 2;
			const sent = answers.filter(Boolean).length;
			assert.ok(sent >= BURST && sent <= most, `${sent} of ${most}`);
		};
		await burst();
		clocks[2].put(clocks[2].by - HOUR);
		await until(send, 'message');
		clocks[2].put(clocks[2].by + HOUR);
		await burst();
	});

	if (FULL) {
		test('who leaves just before Redis is put back is told to be offline in seconds', async () => {
			const leaver = await person(hosts[0], 'Leaver');
			const one = await enter(hosts[0], { token: leaver.token, nsp: '/messenger' });
			await watcher.next('user-join', ({ user }) => user === leaver.username);
			one.leave();
			await until(async () => await control.zcard('leaving') === 1, 'leave-taking', { every: 5 });
			clocks[2].put(clocks[2].by - HOUR);
			await watcher.next('user-leave', ({ user }) => user === leaver.username, 60_000);
		});
	}
});

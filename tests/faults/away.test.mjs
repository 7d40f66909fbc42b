// A Redis that is away for a while, or a part of it. Of clients that come meanwhile and go before it is back nothing
// is left, neither here nor, once it is back, there; those who stay hear what they missed.
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Guest, dismissAll } from '../lib/crowd.mjs';
import { DEAF, FalseRedis, KINDS } from '../lib/false-redis.mjs';
import { scrape } from '../lib/metrics.mjs';
import { person, unique } from '../lib/people.mjs';
import { RedisChild } from '../lib/redis.mjs';
import { start } from '../lib/server.mjs';
import { sized } from '../lib/size.mjs';
import { token } from '../lib/token.mjs';
import { until } from '../lib/wait.mjs';

const CLIENTS = sized(20, 200);

describe('while Redis is away', { timeout: sized(120_000, 300_000) }, () => {
	let child, control, redis, server;
	before(async () => {
		child = await RedisChild.start();
		control = await child.connect();
	});
	after(async () => {
		control?.disconnect();
		await child?.end();
	});
	beforeEach(async () => {
		redis = await FalseRedis.open(child.port);
		server = await start({ options: { workers: 1, redis: redis.address } });
	});
	afterEach(async () => {
		dismissAll();
		await server?.stop();
		redis.close();
	});

	const value = async (name) => (await scrape(server)).sum(name);

	// Each with a good token, in an API whose sessions Redis keeps.
	const come = () => Promise.all(Array.from({ length: CLIENTS }, async () => {
		const guest = await Guest.open(server);
		const sub = unique('user');
		const joined = guest.join('/channels', { token: token({ sub, username: sub }) }).then(() => true, () => false);
		return { guest, joined };
	}));

	async function areGone(feeds) {
		await until(async () => await value('confab_connections') === 0, 'end of all clients');
		await until(async () => await value('confab_feeds') === feeds, 'end of their feeds');
	}

	test('it does not answer at all: clients are sent off', async () => {
		const sessions = async () => (await control.keys('session:*')).length;
		const before = await sessions();
		const feeds = await value('confab_feeds');
		await redis.misbehave({ on: KINDS, refuse: true });
		await until(async () => await value('confab_redis_up') === 0, 'loss of Redis');
		for (const { joined } of await come())
			assert.equal(await joined, false);
		await areGone(feeds);
		await redis.behave();
		await server.serves();
		const sub = unique('user');
		await (await Guest.open(server)).join('/channels', { token: token({ sub, username: sub }) });
		assert.equal(await sessions(), before + 1);
	});

	test('its subscriptions do not come: clients give up', async () => {
		const feeds = await value('confab_feeds');
		await redis.misbehave(DEAF);
		const all = await come();
		await until(async () => await value('confab_feeds') === feeds + CLIENTS, 'feeds that are followed');
		for (const { guest } of all)
			guest.cut();
		await areGone(feeds);
	});

	test('its subscriptions do not come: who logs in to a lobby and gives up is out of it', async () => {
		const feeds = await value('confab_feeds');
		await redis.misbehave(DEAF);
		const guest = await (await Guest.open(server)).join('/lobby');
		guest.emit('login', { name: 'lou', room: 'room' });
		await until(() => control.hexists('lobby:room', 'lou'), 'login');
		// Waits behind it.
		guest.emit('logout');
		guest.cut();
		await until(async () => await control.exists('lobby:room') === 0, 'logout');
		await areGone(feeds);
	});

	// It comes back on a worker that follows its user's feed already, and is there before the feed of the one it waits
	// for is followed again.
	test('its subscriptions are late: who comes back hears of a user who came meanwhile', async () => {
		const auth = { token: token({ sub: unique('meg') }) };
		const bob = await person(server, 'bob');
		await (await Guest.open(server)).join('/channels', auth);
		const meg = await (await Guest.open(server)).join('/messenger', auth);
		await meg.ask('wait-for-user', { user: bob.username });
		const feed = `presence:${bob.id}`;
		const followed = async () => (await control.pubsub('NUMSUB', feed))[1] === 1;
		assert.ok(await followed());
		meg.cut();
		await until(async () => !await followed(), 'end of the feed');
		await redis.misbehave({ on: ['subscriptions'], silent: true });
		const again = await (await Guest.open(server)).join('/messenger', { ...auth, pid: meg.pid, offset: meg.offset });
		assert.equal(again.pid, meg.pid, 'recovered');
		await until(async () => await value('confab_redis_calls_pending') === 0, 'answer of how it was');
		await control.fcall('presence_update', 0, 'elsewhere.0.1', 10, 1, bob.id);
		assert.ok(!await followed());
		await redis.behave();
		await until(() => again.count('user-online', ({ user }) => user === bob.username) === 1, 'word of the user');
	});

	test('it cuts off subscriptions and is busy: who came meanwhile is heard of once it is not', async () => {
		const bob = await person(server, 'bob');
		const meg = await (await Guest.open(server)).join('/messenger', { token: token({ sub: unique('meg') }) });
		await meg.ask('wait-for-user', { user: bob.username });
		const busy = async () => (await scrape(server)).sum('confab_redis_errors_total', { kind: 'BUSY' });
		const before = await busy();
		const link = [...redis.links].find(({ kind }) => kind === 'subscriptions');
		link.hold(true);
		await control.fcall('presence_update', 0, 'elsewhere.0.1', 10, 1, bob.id);
		await redis.misbehave({ on: ['commands'], functions: true, answer: () => '-BUSY Redis is busy\r\n' });
		link.cut();
		await until(async () => await busy() > before, 'refusal to say how it is');
		await redis.behave();
		await until(() => meg.count('user-online', ({ user }) => user === bob.username) === 1, 'word of the user');
	});

	test('it is busy where a swept worker names its sessions: they are named again', async () => {
		const ann = await person(server, 'ann');
		const guest = await (await Guest.open(server)).join('/channels', { token: ann.token });
		let refused = 0;
		await redis.misbehave({ on: ['commands'], functions: true, answer: (bytes, [, name]) =>
			(name === 'sessions_stay' && ++refused <= 2 ? '-BUSY Redis is busy\r\n' : bytes) });
		await until(async () => await control.zcard('workers') > 0, 'lease of the worker');
		for (const worker of await control.zrange('workers', 0, -1))
			await control.fcall('worker_sweep', 0, worker);
		await until(() => refused === 3, 'session named until that is taken');
		assert.equal(await control.ttl(`session:${guest.pid}`), -1);
	});

	test('it breaks off where a session was taken up: that has its time again', async () => {
		const ann = await person(server, 'ann');
		const guest = await (await Guest.open(server)).join('/channels', { token: ann.token });
		const { pid } = guest;
		const ttl = () => control.ttl(`session:${pid}`);
		guest.cut();
		await until(async () => await ttl() > 0, 'end of the connection');
		const spoilt = [];
		await redis.misbehave({ on: ['commands'], functions: true, first: 1, answer: (bytes, command) => {
			spoilt.push(command[1]);
			return 'none\r\n';
		} });
		const again = await Guest.open(server);
		await assert.rejects(again.join('/channels', { token: ann.token, pid }), /ended/);
		assert.deepEqual(spoilt, ['user_connect']);
		assert.equal(await control.hget(`session:${pid}`, 'take'), '2');
		await until(async () => await ttl() > 0, 'time of the session');
		const heir = await (await Guest.open(server)).join('/channels', { token: ann.token, pid });
		assert.equal(heir.pid, pid, 'recovered');
		assert.equal(await ttl(), -1);
	});

	// The client was never told of it, and begins another when it comes again.
	test('it breaks off where a session began: that is forgotten', async () => {
		const ann = await person(server, 'ann');
		const sessions = async () => (await control.keys('session:*')).length;
		const before = await sessions();
		const spoilt = [];
		await redis.misbehave({ on: ['commands'], functions: true, first: 1, answer: (bytes, command) => {
			spoilt.push(command[1]);
			return 'none\r\n';
		} });
		const guest = await Guest.open(server);
		await assert.rejects(guest.join('/channels', { token: ann.token }), /ended/);
		assert.deepEqual(spoilt, ['user_connect']);
		await until(async () => await sessions() === before, 'end of the session');
	});
});

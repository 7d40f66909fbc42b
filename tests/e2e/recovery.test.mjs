// Connection state recovery (protocol.md §13): clients are dropped again and again, half of them by the
// death of their worker, and come back as if they had never been away.
//
// DROPS: how many drops (60; the full run is 2,000).
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { enter, leaveAll, workerOfChatter } from '../lib/chatter.mjs';
import { channel, person } from '../lib/people.mjs';
import { redis } from '../lib/redis.mjs';
import { start } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';

const DROPS = Number(process.env.DROPS ?? 60);
const ROOMS = 6;
const CLIENTS = 24;
const QUIET = 8;      // clients of a room in which nothing is said until the end

// A client that counts how it comes back.
async function comer(server, token) {
	const one = await enter(server, { token, reconnection: true, reconnectionDelay: 20 });
	one.back = [];        // `recovered` at each return
	one.ids = [one.socket.id];
	one.socket.on('connect', () => {
		one.back.push(one.socket.recovered);
		one.ids.push(one.socket.id);
	});
	return one;
}

const cut = (one) => one.engine?.transport?.ws?.terminate();
const returned = (one, times) => until(() => one.back.length >= times && one.socket.connected,
	`return ${times}`, { ms: 30_000, every: 5 });

describe('recovery', { timeout: 1_800_000 }, () => {
	let server;
	before(async () => { server = await start(); });
	after(async () => {
		leaveAll();
		await server?.stop();
	});

	test('a client that was cut off is recovered, with its sid and what it missed', async () => {
		const ann = await person(server, 'Ann');
		const room = await channel(server, ann);
		const one = await comer(server, ann.token);
		const other = await enter(server, { token: ann.token });
		await one.ask('join_channel', { channelId: room });
		await other.ask('join_channel', { channelId: room });
		await other.ask('send_message', { channelId: room, content: 'before' });
		await one.next('new_message');
		cut(one);
		await one.disconnected();
		await other.ask('send_message', { channelId: room, content: 'meanwhile' });
		await returned(one, 1);
		await other.ask('send_message', { channelId: room, content: 'after' });
		await until(() => one.count('new_message') === 3, 'all three');
		assert.deepEqual(one.all('new_message').map(({ content }) => content), ['before', 'meanwhile', 'after']);
		assert.deepEqual(one.back, [true]);
		assert.equal(one.ids[0], one.ids[1]);
	});

	test('a room that was left is not followed again', async () => {
		const ann = await person(server, 'Ann');
		const room = await channel(server, ann);
		const one = await comer(server, ann.token);
		const other = await enter(server, { token: ann.token });
		await one.ask('join_channel', { channelId: room });
		await one.ask('leave_channel', { channelId: room });
		cut(one);
		await returned(one, 1);
		await other.ask('send_message', { channelId: room, content: 'unheard' });
		await one.fence();
		assert.deepEqual(one.back, [true]);
		assert.equal(one.count('new_message'), 0);
	});

	test('who says goodbye is forgotten', async () => {
		const ann = await person(server, 'Ann');
		const one = await comer(server, ann.token);
		const [id] = one.ids;
		one.socket.disconnect();
		one.socket.connect();
		await returned(one, 1);
		assert.deepEqual(one.back, [false]);
		assert.notEqual(one.ids[1], id);
	});

	test('another user cannot take up a session', async () => {
		const ann = await person(server, 'Ann');
		const eve = await person(server, 'Eve');
		const one = await comer(server, ann.token);
		one.socket.auth = { token: eve.token };
		cut(one);
		await returned(one, 1);
		assert.deepEqual(one.back, [false]);
	});

	test('beyond the log there is an honest fresh start', async () => {
		const ann = await person(server, 'Ann');
		const room = await channel(server, ann);
		const one = await comer(server, ann.token);
		const other = await enter(server, { token: ann.token });
		await one.ask('join_channel', { channelId: room });
		await other.ask('join_channel', { channelId: room });
		await other.ask('send_message', { channelId: room, content: 'a' });
		await one.next('new_message');
		one.socket.io.reconnection(false);
		cut(one);
		await one.disconnected();
		await other.ask('send_message', { channelId: room, content: 'b' });
		await other.ask('send_message', { channelId: room, content: 'c' });
		const r = redis(server);
		assert.equal(await r.xtrim(`room:${room}:log`, 'MAXLEN', 1), 2);
		r.disconnect();
		one.socket.connect();
		await returned(one, 1);
		assert.deepEqual(one.back, [false]);
	});

	test('an offset that makes no sense is no error', async () => {
		const ann = await person(server, 'Ann');
		const one = await comer(server, ann.token);
		one.socket._lastOffset = 'nonsense';
		cut(one);
		await returned(one, 1);
		assert.deepEqual(one.back, [false]);
	});

	test('sessions leave nothing behind in Redis but their time to be taken up', async () => {
		const ann = await person(server, 'Ann');
		const one = await enter(server, { token: ann.token });
		const r = redis(server);
		const key = `session:${one.socket._pid}`;
		assert.equal(await r.ttl(key), -1);
		one.socket.io.reconnection(false);
		cut(one);
		await until(async () => await r.ttl(key) > 0, 'TTL');
		const two = await enter(server, { token: ann.token });
		const gone = `session:${two.socket._pid}`;
		assert.equal(await r.exists(gone), 1);
		two.leave();
		await until(async () => await r.exists(gone) === 0, 'end of the session');
		r.disconnect();
	});

	test('a worker that was swept, but lives, keeps its sessions', async (t) => {
		const ann = await person(server, 'Ann');
		const room = await channel(server, ann);
		const crowd = [];
		for (let i = 0; i < 8; i++)
			crowd.push(await comer(server, ann.token));
		const r = redis(server);
		t.after(() => r.disconnect());
		await until(async () => await r.zcard('workers') >= 4, 'lease of each worker');
		// As if their host had been cut off for longer than a lease.
		const multi = r.multi();
		for (const worker of await r.zrange('workers', 0, -1))
			multi.fcall('worker_sweep', 0, worker);
		for (const [error, reply] of await multi.exec())
			assert.deepEqual([error, reply], [null, ['1']]);
		for (const one of crowd)
			await until(async () => await r.ttl(`session:${one.socket._pid}`) === -1, 'session without a TTL');
		for (const one of crowd) {
			assert.deepEqual(one.disconnects, []);
			assert.equal((await one.ask('join_channel', { channelId: room })).ok, true);
			cut(one);
			await returned(one, 1);
			assert.deepEqual(one.back, [true]);
		}
	});

	test('a connection that was taken over by one of its sessions gives the others their time, too', async () => {
		const ann = await person(server, 'Ann');
		const one = await enter(server, { token: ann.token });
		const beside = one.socket.io.socket('/messenger', { auth: { token: ann.token } });
		await until(() => beside.connected, 'a second namespace');
		const key = `session:${beside._pid}`;
		const { _pid: pid, id } = one.socket;
		const r = redis(server);
		assert.equal(await r.ttl(key), -1);
		const other = await enter(server, { auth: { token: ann.token, pid } });
		assert.equal(other.socket.id, id);
		await one.disconnected();
		await until(async () => await r.ttl(key) > 0, 'TTL');
		assert.equal(await r.ttl(`session:${pid}`), -1);
		r.disconnect();
	});

	test(`${DROPS} drops: nothing missed, nothing twice, all recovered`, async () => {
		const ann = await person(server, 'Ann');
		const rooms = [];
		for (let i = 0; i < ROOMS; i++)
			rooms.push({ id: await channel(server, ann), said: [] });
		const quiet = { id: await channel(server, ann), said: [] };
		const crowd = [];
		for (let i = 0; i < CLIENTS + QUIET; i++) {
			const one = await comer(server, ann.token);
			one.rooms = i < CLIENTS ? [rooms[i % ROOMS], rooms[(i + 1 + i % 3) % ROOMS]] : [quiet];
			for (const room of one.rooms)
				assert.equal((await one.ask('join_channel', { channelId: room.id })).ok, true);
			crowd.push(one);
		}

		// Whoever says it says it until it is acknowledged; the clientMessageId makes that once.
		const speaker = await enter(server, { token: ann.token, reconnection: true, reconnectionDelay: 20 });
		let n = 0;
		const say = async (room) => {
			const content = String(++n);
			const message = { channelId: room.id, content, clientMessageId: `say-${process.pid}-${n}` };
			for (;;) {
				const answer = await speaker.socket.timeout(2000).emitWithAck('send_message', message).catch(() => null);
				if (answer?.ok)
					break;
			}
			room.said.push(content);
		};
		let talking = true;
		const talk = (async () => {
			for (let i = 0; talking; i++)
				await say(rooms[i % ROOMS]);
		})();

		let drops = 0;
		const expect = new Map(crowd.map((one) => [one, one.back.length]));
		const drop = (one) => {
			drops += 1;
			expect.set(one, expect.get(one) + 1);
		};
		for (let round = 0; drops < DROPS; round++) {
			if (round % 2 === 0) {
				const victims = crowd.filter(() => Math.random() < 0.25);
				for (const one of victims) {
					drop(one);
					cut(one);
				}
				// Some twice in a row.
				for (const one of victims.slice(0, 2)) {
					await returned(one, expect.get(one));
					drop(one);
					cut(one);
				}
			} else {
				const homes = new Map(crowd.map((one) => [one, workerOfChatter(server, one)]));
				const victim = [...homes.values()][round % crowd.length];
				for (const one of crowd.filter((each) => homes.get(each) === victim))
					drop(one);
				process.kill(victim, 'SIGKILL');
			}
			for (const one of crowd)
				await returned(one, expect.get(one));
		}
		talking = false;
		await talk;
		await say(quiet);

		for (const one of crowd) {
			const all = one.rooms.map(({ said }) => said).flat().length;
			await until(() => one.count('new_message') >= all, 'all messages', { ms: 30_000 });
		}
		await speaker.fence();
		for (const one of crowd) {
			await one.fence();
			const heard = one.all('new_message').map(({ content }) => Number(content));
			const said = one.rooms.map((room) => room.said).flat().map(Number).sort((a, b) => a - b);
			assert.deepEqual(heard, said);
		}
		const back = crowd.map((one) => one.back).flat();
		const recovered = back.filter(Boolean).length;
		console.log(`# ${drops} drops, ${back.length} returns, ${recovered} recovered, ${n} messages`);
		assert.equal(recovered, back.length);
	});
});

// Clients who vanish without a word, while everything that is sent to them goes nowhere: in a network of its own,
// which takes their address away.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import { Chatter, enter, leaveAll } from '../lib/chatter.mjs';
import { Guest, dismissAll } from '../lib/crowd.mjs';
import { Polling } from '../lib/engine.mjs';
import { Listener, hangUpAll } from '../lib/listener.mjs';
import { scrape } from '../lib/metrics.mjs';
import { enterNetwork } from '../lib/network.mjs';
import { channel, person } from '../lib/people.mjs';
import { VARIANT, start } from '../lib/server.mjs';
import { FULL, sized } from '../lib/size.mjs';
import { sleep, until } from '../lib/wait.mjs';
import { Wire, requestBytes } from '../lib/wire.mjs';

const ADDRESS = '10.9.0.1';
const elsewhere = enterNetwork(import.meta.url, `ip addr add ${ADDRESS}/32 dev lo`);
const skip = elsewhere ? `there is no network of its own: ${elsewhere}` : false;

const ip = (...args) => execFileSync('ip', args, { env: { PATH: `${process.env.PATH}:/usr/sbin:/sbin` } });
const takeAddress = () => ip('addr', 'del', `${ADDRESS}/32`, 'dev', 'lo');
const giveAddress = () => ip('addr', 'add', `${ADDRESS}/32`, 'dev', 'lo');

const INTERVAL_S = sized(2, 5);
// Longer than a machine may stand still, for those who are there.
const TIMEOUT_S = sized(5, 4);
const CROWD = sized(20, 500);
// What the row of the table allows, at the whole size; a busy machine may take longer.
const BOUND_S = INTERVAL_S + TIMEOUT_S + (FULL && VARIANT === 'release' ? 1 : 15);

function descriptors(server) {
	return server.workers().reduce((sum, { pid }) => sum + fs.readdirSync(`/proc/${pid}/fd`).length, 0);
}

describe('clients whose network is gone', { timeout: 300_000, skip }, () => {
	let server;
	before(async () => {
		server = await start({ options: { 'ping-interval': `${INTERVAL_S}s`, 'ping-timeout': `${TIMEOUT_S}s` } });
	});
	after(async () => {
		leaveAll();
		hangUpAll();
		dismissAll();
		await server?.stop();
	});

	// A polling session whose GET is held, over that address.
	async function polling(token) {
		const session = await Polling.open(server.port);
		await session.send(`40/channels,${JSON.stringify({ token })}`);
		await until(async () => (await session.next()).startsWith('40'), 'namespace', { every: 0 });
		const wire = new Wire(net.connect({ port: server.port, host: '127.0.0.1', localAddress: ADDRESS }));
		wire.send(requestBytes({ path: session.url }));
		return wire;
	}

	test('they are closed in time, told to be offline once, and leave nothing behind', async () => {
		const [ann, bob] = [await person(server, 'Ann'), await person(server, 'Bob')];
		const room = await channel(server, ann, [bob]);
		const place = { path: '/ws/', nsp: '/chat' };
		const watcher = await enter(server, { token: bob.token, ...place });
		const speaker = await enter(server, { token: bob.token, nsp: '/channels' });
		await watcher.ask('wait-for-user', { user: ann.username });
		const count = async (reason) => (await scrape(server)).sum('confab_disconnects_total', reason && { reason });
		const there = async () => (await scrape(server)).sum('confab_connections');
		const [others, open, gone] = [await there(), descriptors(server), await count('ping timeout')];

		const away = { token: ann.token, localAddress: ADDRESS };
		const chatter = await new Chatter(server, { ...away, ...place }).connected();
		const listener = await new Listener(server, away).opened();
		const guests = await Promise.all(Array.from({ length: CROWD }, async () => {
			const guest = await (await Guest.open(server, away)).join('/channels', { token: ann.token });
			await guest.ask('join_channel', { channelId: room });
			return guest;
		}));
		const held = await polling(ann.token);
		await watcher.next('user-online');
		const lost = CROWD + 3;
		await until(async () => await there() === others + lost, 'all of them');

		takeAddress();
		const cut = performance.now();
		// There is something that can't be delivered, too.
		const speaking = (async () => {
			for (let n = 0; n < 20; n++) {
				await speaker.ask('send_message', { channelId: room, content: `${n}` });
				await sleep(100);
			}
		})();
		await until(async () => await there() === others, 'end of those who are gone', { ms: 60_000 });
		const took = (performance.now() - cut) / 1000;
		await speaking;
		assert.equal(await count('ping timeout') - gone, lost);
		await until(() => descriptors(server) <= open + 5, 'descriptors as before');
		await watcher.next('user-offline');
		console.log(`# ${lost} clients vanished: gone after ${took.toFixed(1)} s, ` +
			`${INTERVAL_S} s and ${TIMEOUT_S} s being the interval and the time-out of pings`);
		assert.ok(took <= BOUND_S, `it took ${took} s`);
		// Nothing of it is told again.
		await sleep(1000 * INTERVAL_S);
		const { user } = watcher.all('user-offline')[0];
		assert.equal(user, ann.username);
		for (const name of ['user-online', 'user-offline'])
			assert.equal(watcher.count(name), 1, name);
		assert.equal(watcher.count('user-leave', (told) => told.user === ann.username), 1);
		assert.deepEqual([watcher.disconnects, speaker.disconnects], [[], []]);

		giveAddress();
		for (const guest of guests)
			guest.cut();
		held.destroy();
		listener.hangUp();
		chatter.leave();
	});
});

// Slow readers: what waits for them stays within its caps, they are told why when they are closed, recovery gives
// them the rest, and nobody else notices. In a network of its own, whose kernel keeps little for a reader that
// stands still.
import { after, afterEach, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { Cable } from '../lib/cable.mjs';
import { Chatter, enter, leaveAll } from '../lib/chatter.mjs';
import { Guest, dismissAll } from '../lib/crowd.mjs';
import { Polling, Streaming, UNKNOWN_SID, decodePayload } from '../lib/engine.mjs';
import { assertTold } from '../lib/last-words.mjs';
import { hangUpAll, listen } from '../lib/listener.mjs';
import { scrape } from '../lib/metrics.mjs';
import { SMALL_BUFFERS, enterNetwork } from '../lib/network.mjs';
import { channel, conversation, person, unique } from '../lib/people.mjs';
import { Readers, Speaker } from '../lib/readers.mjs';
import { redis } from '../lib/redis.mjs';
import { VARIANT, start } from '../lib/server.mjs';
import { FULL, sized } from '../lib/size.mjs';
import { sleep, until } from '../lib/wait.mjs';
import { Wire, requestBytes } from '../lib/wire.mjs';

const elsewhere = enterNetwork(import.meta.url, SMALL_BUFFERS);
if (elsewhere)
	console.log(`# in the host's network, whose buffers are large, for there is no other: ${elsewhere}`);

const REASON = 'too slow a reader';
const MB = 1024 * 1024;
const mb = (bytes) => (bytes / MB).toFixed(1);
const ms = (us) => (us / 1000).toFixed(1);
const released = VARIANT === 'release';
const wait = { timeout: 600_000 };

const closed = async (server) => (await scrape(server)).sum('confab_disconnects_total', { reason: REASON });
const queued = async (server) => (await scrape(server)).sum('confab_queue_bytes');

// What the workers keep in memory, in bytes.
function resident(server) {
	return server.workers().reduce((sum, { pid }) => {
		const [, kb] = /^VmRSS:\s+(\d+) kB/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
		return sum + Number(kb) * 1024;
	}, 0);
}

// A WebSocket by hand, in that namespace.
async function wire(server, { nsp, path, token }) {
	const one = await Streaming.open(server.port, { path });
	await one.send(`40${nsp},${token ? JSON.stringify({ token }) : ''}`);
	await until(async () => (await one.next()).startsWith(`40${nsp}`), 'namespace', { every: 0 });
	return one;
}

async function wireAsk(one, nsp, name, body) {
	await one.send(`42${nsp},7${JSON.stringify([name, body])}`);
	await until(async () => (await one.next()).startsWith(`43${nsp},7`), `acknowledgement of ${name}`, { every: 0 });
}

const numbered = (n) => `${n} ${'x'.repeat(1500)}`;
// The gateway's texts have 128 characters at most.
const shortly = (n) => `${n} ${'\u{1f44b}'.repeat(120)}`;

// How each API with Socket.IO is used here: Bob is the one who is slow, Ann speaks.
const APIS = {
	channels: {
		place: { nsp: '/channels' },
		async meet(server, ann, bob) {
			const id = await channel(server, ann, [bob]);
			return { id, join: ['join_channel', { channelId: id }] };
		},
		say: (one, { id }, bob, content) => one.ask('send_message', { channelId: id, content }),
		heard: (one) => one.all('new_message').map(({ content }) => content),
	},
	gateway: {
		place: { nsp: '/gateway' },
		text: shortly,
		// What is said before the history comes again after it.
		greeting: 'updateChatHistory',
		async meet(server, ann, bob) {
			const name = unique('room');
			const one = await enter(server, { token: ann.token, nsp: '/gateway' });
			await one.ask('createChannel', { name, status: 'PUBLIC' });
			const other = await enter(server, { token: bob.token, nsp: '/gateway' });
			await other.ask('joinChannel', { name });
			one.leave();
			other.leave();
			return { id: name };
		},
		say: (one, { id }, bob, text) => one.ask('sendMessage', { room: id, text }),
		heard: (one) => one.all('newMessage').map(({ text }) => text),
	},
	messenger: {
		place: { nsp: '/chat', path: '/ws/' },
		meet: async () => ({}),
		say: (one, room, bob, message) => one.ask('send-message', { user: bob.username, message }),
		heard: (one) => one.all('chat').map(({ chat }) => chat.message),
	},
};

const people = async (server) => [await person(server, 'Ann'), await person(server, 'Bob')];
describe('one who stops reading', wait, () => {
	let server;
	before(async () => {
		server = await start({ options: {
			workers: 2, 'queue-soft': '20kb', 'queue-soft-time': '500ms', 'room-log-max': 20_000,
			'user-log-max': 20_000, 'log-level': 'debug',
		} });
	});
	after(async () => {
		leaveAll();
		await server?.stop();
	});

	// Speaks until a slow reader was closed; gives what was said, and when it was open still.
	async function flood(say, text = numbered) {
		const before = await closed(server);
		const said = [];
		let since;
		await until(async () => {
			since = performance.now();
			const some = Array.from({ length: 20 }, (_, i) => text(said.length + i));
			said.push(...some);
			for (const answer of await Promise.all(some.map(say)))
				assert.ok(!answer?.error && !/fail/i.test(answer?.message), JSON.stringify(answer));
			return await closed(server) > before;
		}, 'end of the slow one', { every: 0, ms: 120_000 });
		assert.equal(await closed(server), before + 1);
		return { said, since };
	}

	for (const [name, api] of Object.entries(APIS)) {
		test(`${name}: is told why, and so is the log`, wait, async () => {
			const [ann, bob] = await people(server);
			const room = await api.meet(server, ann, bob);
			const speaker = await enter(server, { token: ann.token, ...api.place });
			const slow = await wire(server, { ...api.place, token: bob.token });
			if (room.join)
				await wireAsk(slow, api.place.nsp, ...room.join);
			slow.websocket.wire.pause();
			const { since } = await flood((text) => api.say(speaker, room, bob, text), api.text);
			slow.websocket.wire.resume();
			assertTold(await slow.websocket.closed(), REASON, since);
			assert.match(server.output, new RegExp(REASON));
			assert.deepEqual(speaker.disconnects, []);
			speaker.leave();
		});

		for (const travel of ['websocket', 'polling']) {
			test(`${name}, ${travel}: a stock client comes back, and has each message once and in order`, wait,
				async () => {
					const [ann, bob] = await people(server);
					const room = await api.meet(server, ann, bob);
					const speaker = await enter(server, { token: ann.token, ...api.place });
					const say = (text) => api.say(speaker, room, bob, text);
					const cable = await Cable.lay(server.port);
					const slow = await enter(cable, { token: bob.token, travel, reconnection: true, ...api.place });
					const back = [];
					slow.socket.on('connect', () => back.push(slow.socket.recovered));
					if (room.join)
						await slow.ask(...room.join);
					if (api.greeting)
						await slow.next(api.greeting);
					await say('first');
					await until(() => api.heard(slow).length === 1, 'the first');
					cable.freeze();
					const { said } = await flood(say, api.text);
					cable.thaw();
					await until(() => back.length > 0, 'return');
					await say('last');
					await until(() => api.heard(slow).at(-1) === 'last', 'the last');
					assert.deepEqual(api.heard(slow), ['first', ...said, 'last']);
					// What it missed is more than the soft limit, so it may have been too slow for that, too.
					assert.ok(back.every(Boolean), `recovered: ${back}`);
					slow.leave();
					speaker.leave();
					cable.remove();
				});
		}
	}

	test('lobby: is told why', wait, async () => {
		const room = `room${process.pid}`;
		const speaker = await enter(server, { nsp: '/lobby' });
		await speaker.ask('login', { name: 'ann', room });
		const slow = await wire(server, { nsp: '/lobby' });
		await wireAsk(slow, '/lobby', 'login', { name: 'bob', room });
		slow.websocket.wire.pause();
		const quiet = async (text) => ({ error: await speaker.ask('roomMessage', text) });
		const { since } = await flood(quiet);
		slow.websocket.wire.resume();
		assertTold(await slow.websocket.closed(), REASON, since);
		speaker.leave();
	});
});

// A polling client by hand: what is said to it waits for its GET, and nothing of it in the kernel.
async function poller(server, { nsp, path, token }) {
	const one = await Polling.open(server.port, { path });
	await one.send(`40${nsp},${token ? JSON.stringify({ token }) : ''}`);
	await until(async () => (await one.next()).startsWith(`40${nsp}`), 'namespace', { every: 0 });
	return one;
}

// All packets that wait for it.
async function packets(one) {
	const answer = await one.poll();
	assert.equal(answer.status, 200, answer.body);
	return decodePayload(answer.body);
}

const events = (some, nsp) => some.filter((packet) => packet.startsWith(`42${nsp},`))
	.map((packet) => JSON.parse(packet.slice(nsp.length + 3)));

// A polling client in a channel where Ann speaks.
async function listening(server) {
	const [ann, bob] = await people(server);
	const room = await APIS.channels.meet(server, ann, bob);
	const speaker = await enter(server, { token: ann.token, nsp: '/channels' });
	const slow = await poller(server, { nsp: '/channels', token: bob.token });
	await slow.send(`42/channels,1${JSON.stringify(room.join)}`);
	await until(async () => (await slow.next()).startsWith('43'), 'joining', { every: 0 });
	return { slow, speaker, say: (n) => APIS.channels.say(speaker, room, bob, numbered(n)) };
}

describe('what waits for a poll', wait, () => {
	let server;
	before(async () => {
		// One worker, so that what a speaker has heard waits for the slow one, too.
		server = await start({ options: {
			workers: 1, 'queue-soft': '4kb', 'queue-soft-time': '60s', 'queue-hard': '100kb', 'max-payload': '90kb', 'ping-interval': '1s',
			'ping-timeout': '60s',
		} });
	});
	after(async () => {
		leaveAll();
		dismissAll();
		await server?.stop();
	});

	test('above the soft limit the users of a lobby are left out, messages and pings are not', wait, async () => {
		const room = `hall${process.pid}`;
		const nsp = '/lobby';
		const speaker = await enter(server, { nsp });
		await speaker.ask('login', { name: 'ann', room });
		const slow = await poller(server, { nsp });
		await slow.send(`42${nsp},["login",{"name":"bob","room":"${room}"}]`);
		await until(async () => (await slow.next()).includes('"users"'), 'users', { every: 0 });
		for (let n = 0; n < 10; n++)
			await speaker.ask('roomMessage', numbered(n));
		for (const name of ['cid', 'dot']) {
			const other = await enter(server, { nsp });
			await other.ask('login', { name, room });
			if (name === 'cid')
				other.leave();
		}
		await speaker.next('users', (users) => users.map(({ name }) => name).join() === 'ann,bob,dot');
		await speaker.ask('roomMessage', 'the end');
		// The ping of this interval waits, too.
		await sleep(2500);
		const waiting = await packets(slow);
		assert.deepEqual(events(waiting, nsp).map(([name, body]) => [name, body.message]),
			[...Array.from({ length: 10 }, (_, n) => ['roomMessage', numbered(n)]), ['roomMessage', 'the end']]);
		assert.ok(waiting.includes('2'), 'there is no ping');
		await slow.send('3');
		// It has caught up: who is there, once.
		const [first, ...more] = events(await packets(slow), nsp);
		assert.deepEqual([first[0], first[1].map(({ name }) => name)], ['users', ['ann', 'bob', 'dot']]);
		assert.deepEqual(more, []);
		await speaker.ask('roomMessage', 'and on');
		const [[, next]] = await until(async () => {
			const some = await packets(slow);
			if (some.includes('2'))
				await slow.send('3');
			const told = events(some, nsp);
			return told.length > 0 && told;
		}, 'what comes next', { every: 0 });
		assert.equal(next.message, 'and on');
		speaker.leave();
	});

	test('messenger: who comes online and goes is told to those behind, for it has a place in what is recovered',
		wait, async () => {
			const [ann, bob] = await people(server);
			const speaker = await enter(server, { token: ann.token, ...APIS.messenger.place });
			const slow = await poller(server, { ...APIS.messenger.place, token: bob.token });
			for (let n = 0; n < 5; n++)
				await APIS.messenger.say(speaker, {}, bob, numbered(n));
			const cid = await person(server, 'Cid');
			await enter(server, { token: cid.token, ...APIS.messenger.place });
			await speaker.next('user-join', ({ user }) => user === cid.username);
			const heard = events(await packets(slow), '/chat').map(([name, body]) => `${name} ${body.user ?? ''}`);
			assert.equal(heard.filter((text) => text.startsWith('chat')).length, 5);
			assert.equal(heard.at(-1), `user-join ${cid.username}`);
			speaker.leave();
		});

	test('above the hard limit the session ends at once', wait, async () => {
		const { slow, speaker, say } = await listening(server);
		const before = await closed(server);
		let said = 0;
		while (await closed(server) === before && said < 200) {
			await say(said);
			said += 1;
		}
		// Each message has some 300 bytes beside its text.
		assert.ok(said > 40 && said < 70, `after ${said} messages`);
		assert.equal((await slow.poll()).body, UNKNOWN_SID);
		speaker.leave();
	});
});

describe('who reads rarely', wait, () => {
	let server;
	before(async () => {
		server = await start({ options: { 'queue-soft': '2kb', 'queue-soft-time': '4s', 'ping-interval': '2s', 'ping-timeout': '60s' } });
	});
	after(async () => {
		leaveAll();
		await server?.stop();
	});

	test('a client that polls now and then, and has then caught up, lives', wait, async () => {
		const { slow, speaker, say } = await listening(server);
		const before = await closed(server);
		const heard = [];
		for (let round = 0; round < 5; round++) {
			for (let n = 0; n < 4; n++)
				await say(4 * round + n);
			// Shorter than one may be slow; five times are longer.
			await sleep(1200);
			const some = await packets(slow);
			if (some.includes('2'))
				await slow.send('3');
			heard.push(...events(some, '/channels').filter(([name]) => name === 'new_message'));
		}
		assert.deepEqual(heard.map(([, { content }]) => content), Array.from({ length: 20 }, (_, n) => numbered(n)));
		assert.equal(await closed(server), before);
		speaker.leave();
	});
});

describe('who reads too rarely', wait, () => {
	let server;
	before(async () => {
		// The first ping has to come long after it became slow: there is no other, unless it answers.
		server = await start({ options: {
			'queue-soft': '2kb', 'queue-soft-time': '1s', 'ping-interval': '6s', 'ping-timeout': '60s',
		} });
	});
	after(async () => {
		leaveAll();
		hangUpAll();
		await server?.stop();
	});

	test('without another message it is noticed by the next ping', wait, async () => {
		const { slow, speaker, say } = await listening(server);
		const before = await closed(server);
		await Promise.all([say(0), say(1), say(2)]);
		await until(async () => await closed(server) > before, 'end of the slow one');
		assert.equal((await slow.poll()).body, UNKNOWN_SID);
		speaker.leave();
	});

	// More than the kernel takes, then nothing but pings.
	test('notifications: so it is there', wait, async () => {
		const [ann, bob] = await people(server);
		const id = await conversation(server, ann, bob);
		const speaker = await enter(server, { token: ann.token, nsp: '/channels' });
		const before = await closed(server);
		const slow = await listen(server, bob);
		slow.socket.pause();
		await until(async () => {
			await Promise.all(Array.from({ length: 20 }, (_, n) =>
				speaker.ask('send_direct_message', { conversationId: id, content: numbered(n) })));
			// More than one such burst, which the kernel might yet take.
			return await queued(server) > 100_000;
		}, 'queue above the soft limit', { every: 0 });
		await until(async () => await closed(server) > before, 'end of the slow one');
		slow.hangUp();
		speaker.leave();
	});
});

describe('who does not read an answer', wait, () => {
	let server;
	before(async () => {
		server = await start({ options: { 'queue-soft-time': '60s', 'ping-timeout': '60s', 'idle-timeout': '2s' } });
	});
	after(async () => {
		leaveAll();
		await server?.stop();
	});

	test('is cut off, and what it kept is given back', wait, async () => {
		const [ann, bob] = await people(server);
		const speaker = await enter(server, { token: ann.token, ...APIS.messenger.place });
		const slow = await poller(server, { ...APIS.messenger.place, token: bob.token });
		const said = Array.from({ length: 300 }, (_, n) => numbered(n));
		await Promise.all(said.map((text) => APIS.messenger.say(speaker, {}, bob, text)));
		await until(async () => await queued(server) > said.join().length, 'all of it');
		const connection = await Wire.connect(server.port);
		connection.pause();
		connection.send(requestBytes({ path: slow.url }));
		// The answer has it all; what the kernel does not take of that goes with the connection.
		await until(async () => await queued(server) === 0, 'end of the answer');
		// The session is there all the same.
		await APIS.messenger.say(speaker, {}, bob, 'and on');
		assert.equal(events(await packets(slow), '/chat').at(-1)[1].chat.message, 'and on');
		connection.destroy();
		speaker.leave();
	});
});

describe('small pieces of large batches', wait, () => {
	const TURNS = sized(150, 2000);
	const LONG = 20;
	let server;
	before(async () => {
		server = await start({ options: { workers: 1, 'queue-soft-time': '600s', 'ping-timeout': '600s' } });
	});
	after(async () => {
		leaveAll();
		await server?.stop();
	});

	// What Ann says herself is no news to her, but stands in the same batch as Bob's answers, which wait for her.
	test('do not keep the rest of these', wait, async () => {
		const [ann, bob] = await people(server);
		const id = await conversation(server, ann, bob);
		const slow = await poller(server, { ...APIS.messenger.place, token: ann.token });
		const r = redis(server);
		const turn = async (n) => {
			const all = r.multi();
			for (let i = 0; i < LONG; i++)
				all.fcall('message_post', 0, ann.id, id, '', 'x'.repeat(2000), '', '', '', '0', '0', '0', '10');
			all.fcall('message_post', 0, bob.id, id, '', `${n}`, '', '', '', '0', '0', '0', '10');
			await all.exec();
		};
		await turn(0);
		await until(async () => await queued(server) > 0, 'first answer');
		const before = resident(server);
		for (let n = 1; n < TURNS; n++)
			await turn(n);
		const waiting = await queued(server);
		const grown = resident(server) - before;
		r.disconnect();
		const chats = [];
		while (chats.length < TURNS)
			chats.push(...events(await packets(slow), '/chat').filter(([name]) => name === 'chat'));
		assert.deepEqual(chats.map(([, { chat }]) => chat.message), Array.from({ length: TURNS }, (_, n) => `${n}`));
		console.log(`# ${TURNS} turns: ${waiting} bytes wait, memory has grown by ${mb(grown)} MB`);
		// Under the sanitizer what is freed is kept aside, so that memory tells nothing.
		if (released)
			assert.ok(grown < 5 * waiting + 4 * MB, `${waiting} bytes wait, memory has grown by ${grown}`);
	});
});

describe('a crowd, some of whom stop reading', wait, () => {
	const RATE = sized(20, 10);
	const LENGTH = 1900;
	let server;
	let ann;
	const crowds = [];
	afterEach(async () => {
		for (const one of crowds.splice(0))
			one.dismiss();
		dismissAll();
		await server?.stop();
		server = null;
	});

	async function open(options) {
		server = await start({ options: { workers: 2, 'ping-timeout': '90s', 'room-log-max': 10_000, ...options } });
		ann = await person(server, 'Ann');
		return channel(server, ann);
	}

	async function crowd(n) {
		const one = await Readers.open(server, { token: ann.token, n });
		crowds.push(one);
		return one;
	}

	// Speaks for a while, and looks what there is meanwhile.
	async function phase(speaker, probes, length) {
		const most = { memory: 0, queued: 0 };
		let over = false;
		await probes.latency();
		const looks = (async () => {
			while (!over) {
				most.memory = Math.max(most.memory, resident(server));
				most.queued = Math.max(most.queued, await queued(server));
				await sleep(500);
			}
		})();
		await speaker.speak({ rate: RATE, ms: length, length: LENGTH });
		over = true;
		await looks;
		return { ...await probes.latency(), ...most };
	}

	const caughtUp = (some, said, what) => until(async () =>
		(await Promise.all(some.map((one) => one.report()))).every(({ last }) => last === said), what, { ms: 60_000 });

	async function assertWhole(...some) {
		for (const one of some) {
			const { wrong, over } = await one.report();
			assert.deepEqual({ wrong, over }, { wrong: 0, over: 0 });
		}
	}

	// Within 10 %, or what a scheduler's tick may add.
	function assertAsBefore(now, before, what) {
		assert.ok(now <= 1.1 * before + 5000, `${what} is ${ms(now)} ms and was ${ms(before)} ms`);
	}

	test('memory stays within the caps, the others hear as before, and pings come', wait, async () => {
		const READ = sized(200, 1700);
		const PROBED = sized(40, 100);     // of those who read, too: their delays are looked at
		const STOPPED = sized(30, 200);
		const STOP_MS = sized(4000, 60_000);
		const QUIET_MS = sized(1000, 30_000);
		const HARD = 4_000_000;
		const room = await open({
			'ping-interval': sized('2s', '10s'), 'queue-soft-time': '120s', 'queue-hard': HARD,
		});
		const [readers, probes, stopped] = [await crowd(READ), await crowd(PROBED), await crowd(STOPPED)];
		await Promise.all([readers, probes].map((one) => one.follow(room)));
		const speaker = await Speaker.enter(server, ann.token, room);
		await speaker.speak({ rate: RATE, ms: 1000, length: LENGTH });
		const base = resident(server);
		const before = await phase(speaker, probes, QUIET_MS);
		await stopped.follow(room);
		await stopped.stop();
		const { pings } = await stopped.report();
		const during = await phase(speaker, probes, STOP_MS);
		await caughtUp([readers, probes], speaker.said, 'all messages at those who read');
		assert.equal((await stopped.report()).pings, pings, 'they do read');
		if (!elsewhere) {
			const waiting = await until(async () => {
				const bytes = await queued(server);
				return bytes > STOPPED * 16 * 1024 && bytes;
			}, 'messages that wait');
			during.queued = Math.max(during.queued, waiting);
		}
		await stopped.go();
		await caughtUp([stopped], speaker.said, 'all messages at those who read again');
		const afterwards = await phase(speaker, probes, QUIET_MS);
		await caughtUp([readers, probes, stopped], speaker.said, 'the last message at all');
		await assertWhole(readers, probes, stopped);
		// Each got the ping that came while it did not read, once it did, and goes on.
		assert.ok((await stopped.report()).pings > pings, 'those who stopped got no ping');
		const { gap } = await probes.report();
		console.log(`# ${READ + PROBED} read, ${STOPPED} do not for ${STOP_MS / 1000} s: ${mb(during.queued)} MB wait, ` +
			`memory ${mb(base)} → ${mb(during.memory)} MB; before, during and after, in ms: ` +
			`p50 ${ms(before.p50)}, ${ms(during.p50)}, ${ms(afterwards.p50)}, ` +
			`p99 ${ms(before.p99)}, ${ms(during.p99)}, ${ms(afterwards.p99)}; longest between pings ${gap}`);
		assert.ok(during.queued <= STOPPED * HARD + MB, `${during.queued} bytes waited`);
		// The sanitizer's memory and pace tell nothing.
		if (released)
			assert.ok(during.memory - base <= 2 * during.queued + 16 * MB, 'memory grew beyond what waits');
		if (released && FULL)
			assertAsBefore(during.p99, Math.max(before.p99, afterwards.p99), 'p99');
	});

	test('those who are closed come back, and nothing is missing', wait, async () => {
		const READ = sized(60, 400);
		const STOPPED = sized(20, 200);
		const room = await open(sized({ 'queue-soft': '64kb', 'queue-soft-time': '500ms' }, {}));
		const [readers, stopped] = [await crowd(READ), await crowd(STOPPED)];
		await Promise.all([readers, stopped].map((one) => one.follow(room)));
		const speaker = await Speaker.enter(server, ann.token, room);
		await speaker.speak({ rate: RATE, ms: 500, length: LENGTH });
		await caughtUp([readers, stopped], speaker.said, 'all messages');
		await stopped.stop();
		let over = false;
		const speaking = (async () => {
			while (!over)
				await speaker.speak({ rate: RATE, ms: 500, length: LENGTH });
		})();
		await until(async () => await closed(server) === STOPPED, 'end of those who do not read', { ms: 120_000 });
		await stopped.go();
		await until(async () => (await stopped.report()).over === STOPPED, 'their seeing it');
		assert.deepEqual(await stopped.comeBack(), { back: STOPPED, recovered: STOPPED });
		over = true;
		await speaking;
		await caughtUp([readers, stopped], speaker.said, 'all messages at all');
		await assertWhole(readers, stopped);
		assert.equal(await closed(server), STOPPED);
	});
});

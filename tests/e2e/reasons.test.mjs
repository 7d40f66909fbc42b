// Every reason why a connection, a client or a socket ends (worker/reason.def): what the client sees of it, what
// the log says, and that it is counted once, and nothing else is; so that what came is what is there and what went.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { Chatter, enter } from '../lib/chatter.mjs';
import { tables } from '../lib/documents.mjs';
import { DEBUG, PROVOKED, SERVERS, allLeave, closed, ending, hold, join, joined, plain } from '../lib/ends.mjs';
import { Polling, Streaming } from '../lib/engine.mjs';
import { Metrics, PASSAGES } from '../lib/metrics.mjs';
import { person } from '../lib/people.mjs';
import { RedisChild } from '../lib/redis.mjs';
import { ROOT, start } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';
import { Wire, requestBytes } from '../lib/wire.mjs';

const REASONS = new Map(tables().reasons.map((reason) => [reason.name, reason]));
const text = (name) => REASONS.get(name).text;

// How the log calls them.
const WORDS = { clients: ['session', 'websocket'], sockets: ['socket'], tcp: ['connection'] };

// Reads the metrics over one connection, which is the only one there while nobody else is.
class Meter {
	constructor(server) {
		this.server = server;
	}

	async read() {
		if (!this.wire || this.wire.ended)
			this.wire = await Wire.connect(this.server.port);
		this.wire.send(requestBytes({ path: '/metrics' }));
		return new Metrics((await this.wire.response()).body);
	}

	// When there is nobody but it, and all is accounted for.
	settled() {
		return until(async () => {
			const now = await this.read();
			for (const [kind, [, , there]] of Object.entries(PASSAGES))
				assert.equal(now.sum(there), kind === 'tcp' ? 1 : 0, `${kind} are gone`);
			return now.accounted();
		}, 'rest');
	}
}

// By reason, how many ended from one reading to the other.
function ends(kind, one, other) {
	const [, went] = PASSAGES[kind];
	const reasons = new Set(one.samples(went).map(({ labels: { reason } }) => reason));
	return Object.fromEntries([...reasons].map((reason) =>
		[reason, other.sum(went, { reason }) - one.sum(went, { reason })]).filter(([, n]) => n > 0));
}

// { text: n } of { NAME: n }
const named = (counts = {}) => Object.fromEntries(Object.entries(counts).map(([name, n]) => [text(name), n]));

// Those for which something happens to the server itself are tests of their own, below.
const APART = ['UNAVAILABLE', 'DRAINING'];

test('each reason is provoked', () => {
	assert.deepEqual([...Object.keys(PROVOKED), ...APART].sort(), [...REASONS.keys()].sort());
	for (const [name, provocations] of Object.entries(PROVOKED))
		assert.ok(provocations.length > 0, name);
});

// How many lines of the log say that one of this kind ended for that reason, all at the level that fits.
function lines(said, kind, name) {
	const { fault, text: why } = REASONS.get(name);
	const found = [...said.matchAll(/^\S+ (\w+) worker \d (\w+) .*?ended: (.*)$/gm)]
		.filter(([, , word, reason]) => WORDS[kind].includes(word) && reason === why);
	for (const [line, level] of found) {
		assert.equal(level, fault ? 'info' : 'debug', line);
		assert.match(line, / from=(127\.0\.0\.1:\d+|-) /);
	}
	return found.length;
}

// One line for each end: that of a client is also that of its sockets, and of its WebSocket's connection.
function checkLog(said, { clients = {}, sockets = {}, tcp = {} }) {
	for (const [name, n] of Object.entries(clients))
		assert.equal(lines(said, 'clients', name), n, `${text(name)}: clients`);
	for (const [kind, counts] of Object.entries({ sockets, tcp })) {
		for (const [name, n] of Object.entries(counts))
			assert.equal(lines(said, kind, name), Math.max(0, n - (clients[name] ?? 0)), `${text(name)}: ${kind}`);
	}
}

test('the page on operations explains each, with its code', () => {
	const page = fs.readFileSync(path.join(ROOT, 'docs/operations.md'), 'utf8');
	const [, section] = page.split(/^## Ends$/m);
	const rows = [...section.split(/^## /m)[0].matchAll(/^\| `([^`|]+)` \| (\d{4})?[^|]*\|/gm)]
		.map(([, reason, code = 0]) => [reason, Number(code)]);
	const reasons = [...REASONS.values()].map(({ text: why, code }) => [why, code]);
	assert.deepEqual(rows.sort(), [...reasons, ['worker ended', 0]].sort());
});

for (const [name, options] of Object.entries(SERVERS)) {
	describe(`ends: ${name}`, { timeout: 300_000 }, () => {
		let server;
		let meter;
		let ann;
		before(async () => {
			server = await start({ options: { ...DEBUG, ...options } });
			ann = await person(server, 'Ann');
			meter = new Meter(server);
		});
		after(async () => {
			allLeave();
			assert.ok(!server.output.includes(ann.token), 'a token in the log');
			await server?.stop();
		});

		for (const [reason, provocations] of Object.entries(PROVOKED)) {
			for (const { with: which = 'common', how, by, sees, ended = {}, logs, ...counts } of provocations) {
				if (which !== name || !by)
					continue;
				test(`${text(reason)}: ${how}`, async () => {
					const before = await meter.settled();
					const from = server.output.length;
					const saw = await by({ server, meter, ann });
					allLeave();
					const now = await meter.settled();
					if (sees instanceof RegExp)
						assert.match(saw, sees);
					else
						assert.deepEqual(saw, sees);
					for (const kind of ['clients', 'sockets'])
						assert.deepEqual(ends(kind, before, now), named(counts[kind]), kind);
					const tcp = ends('tcp', before, now);
					if (counts.tcp)
						assert.deepEqual(tcp, named(counts.tcp), 'tcp');
					for (const [why, n] of Object.entries(ended))
						assert.equal(tcp[text(why)], n, `tcp: ${text(why)}`);
					// That a connection was closed by its client is said of those of the test, too.
					const { CLIENT_GONE: gone, ...others } = { ...counts.tcp, ...ended };
					assert.ok(gone === undefined || gone > 0);
					const said = () => server.output.slice(from);
					await until(() => checkLog(said(), { ...counts, tcp: others }) ?? true, 'lines of the log')
						.catch((error) => assert.fail(`${error.message}\n${said()}`));
					if (logs)
						assert.match(said(), logs);
				});
			}
		}
	});
}

test('temporarily unavailable: who comes while Redis is away', { timeout: 120_000 }, async () => {
	const child = await RedisChild.start();
	const server = await start({ options: { ...DEBUG, redis: child.address } });
	try {
		const ann = await person(server, 'Ann');
		const meter = new Meter(server);
		child.process.kill('SIGKILL');
		await child.ended;
		await until(async () => (await meter.read()).sum('confab_redis_up') === 0, 'Redis away');
		const before = await meter.settled();
		const session = await Streaming.open(server.port);
		await session.send(join(ann));
		assert.deepEqual(await closed(session), [1013, 'temporarily unavailable']);
		assert.deepEqual(await closed({ websocket: await plain(server, ann) }), [1013, 'temporarily unavailable']);
		// A stock client hears nothing of it but the end, and so comes again.
		const one = new Chatter(server, { token: ann.token });
		await assert.rejects(one.connected(), /closed: transport close/);
		const counts = { clients: { UNAVAILABLE: 3 }, sockets: { UNAVAILABLE: 3 }, tcp: { UNAVAILABLE: 3 } };
		const now = await meter.settled();
		for (const [kind, wanted] of Object.entries(counts))
			assert.deepEqual(ends(kind, before, now), named(wanted));
		await until(() => checkLog(server.output, counts) ?? true, 'lines of the log');
	} finally {
		allLeave();
		await server.stop();
		fs.rmSync(child.dir, { recursive: true, force: true });
	}
});

test('going away: clients of a worker that is replaced', { timeout: 120_000 }, async () => {
	const server = await start({ options: DEBUG });
	try {
		const ann = await person(server, 'Ann');
		const meter = new Meter(server);
		const before = await meter.settled();
		const session = await joined(server, Streaming, ann);
		const poller = await Polling.open(server.port);
		const held = await hold(poller);
		const listener = await plain(server, ann);
		const stock = await enter(server, { token: ann.token, reconnection: true });
		const end = ending(stock);
		process.kill(server.pid, 'SIGHUP');
		assert.deepEqual(await closed(session), [1001, 'going away']);
		assert.deepEqual(await closed({ websocket: listener }), [1001, 'going away']);
		assert.equal((await held.answer).body, '1');
		assert.deepEqual(await end, ['transport close', 1001, 'going away']);
		await stock.connected();
		const now = await until(async () => {
			const all = await meter.read();
			return all.sum('confab_worker_starts_total') === 2 && all.sum('confab_connections') === 1 &&
				ends('clients', before, all)[text('DRAINING')] === 4 && all;
		}, 'successor');
		assert.deepEqual(ends('clients', before, now), named({ DRAINING: 4 }));
		assert.deepEqual(ends('sockets', before, now), named({ DRAINING: 3 }));
		await until(() => lines(server.output, 'clients', 'DRAINING') === 4, 'lines of the log');
		stock.leave();
		// Those of the one before who were closing still, too.
		await meter.settled();
	} finally {
		allLeave();
		await server.stop();
	}
});

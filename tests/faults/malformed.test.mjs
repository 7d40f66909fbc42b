// A hundred thousand malformed inputs of each kind: HTTP, WebSocket frames, packets, JSON, forms, tokens. Each is
// answered or ends its connection in a defined way; nothing stays of them; and others do not notice more of them
// than of as many well-formed ones.
//
// SEED   where the inputs come from; printed. A failure names seed and input:
// ONLY   KIND:INDEX, that input alone; KIND, all of that kind
// INPUTS so many of each kind
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { bystanders, standBack } from '../lib/bystander.mjs';
import { KINDS } from '../lib/malform.mjs';
import { scrape } from '../lib/metrics.mjs';
import { Onslaught } from '../lib/onslaught.mjs';
import { channel, person } from '../lib/people.mjs';
import { rest } from '../lib/rest.mjs';
import { VARIANT, start } from '../lib/server.mjs';
import { FULL, sized } from '../lib/size.mjs';
import { sleep, until } from '../lib/wait.mjs';
import { OP, WebSocket, frame, upgradeHeaders } from '../lib/websocket.mjs';
import { Wire, requestBytes } from '../lib/wire.mjs';

const SEED = process.env.SEED ?? String(Date.now());
const INPUTS = Number(process.env.INPUTS ?? sized(2000, 100_000));
// Memory that is only now taken for the first time is no leak; a sanitizer looks for these by itself.
const WARM_UP = VARIANT === 'release' ? Math.max(300, INPUTS / 10) : 0;
// The heap of the thread that writes files is as large as it gets after some 8,000 forms.
const SLACK_MB = sized(8, 1);
const WORKERS = 2;
// Of ends, and of refusals, with one line each that says how many more there were.
const LINES_A_SECOND = 2 * (20 + 1);
const LANES = sized(32, 96);
// A user may have 10,000 files.
const UPLOADERS = 16;
const PAIRS = sized(2, 24);
const SLICE_MS = sized(500, 1000);
const A_SECOND = 500;
const PADDING_MAX = 6000;

// What has to be as before when all of an onslaught's connections are gone.
const GAUGES = ['confab_connections', 'confab_tcp_connections', 'confab_sockets', 'confab_users',
	'confab_queue_bytes', 'confab_feeds',
	'confab_members', 'confab_redis_calls_pending', 'confab_worker_starts_total'];

async function gauges(server) {
	const metrics = await scrape(server);
	return Object.fromEntries(GAUGES.map((name) => [name, metrics.sum(name)]));
}

function descriptors(server) {
	return Object.fromEntries(server.workers().map(({ pid }) => [pid,
		fs.readdirSync(`/proc/${pid}/fd`).length]));
}

// The memory that is the workers' own, in MB.
function memory(server) {
	return server.workers().reduce((sum, { pid }) =>
		sum + Number(/RssAnon:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024, 0);
}

const lines = (server) => server.output.split('\n').length;

function percentile(times, q) {
	const sorted = times.toSorted((a, b) => a - b);
	return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
}

describe(`malformed input, SEED=${SEED}`, { timeout: 3_000_000 }, () => {
	let server;
	let place;
	let others;
	let onslaught;
	let base;
	before(async () => {
		server = await start({ options: {
			workers: WORKERS,
			// At the whole size some inputs are left to these. Shorter ones a busy machine would not keep.
			'ping-interval': '2s', 'ping-timeout': '8s', 'body-timeout': '8s', 'idle-timeout': '8s',
			'connect-timeout': '20s',
			'max-payload': '64kb', 'upload-max-file': 2000,
		} });
		// The same each time, as the inputs made of her token have to be.
		const ann = await person(server, 'Ann', { sub: 'ann', username: 'ann', exp: 4102444800 });
		const bob = await person(server, 'Bob');
		const room = await rest(server, 'POST', '/room/create/', ann.token, { users: [bob.id] });
		assert.equal(room.status, 201, room.body);
		place = { token: ann.token, user: 'ann', channel: await channel(server, ann), room: room.json.roomId };
		place.uploaders = [];
		for (let i = 0; i < UPLOADERS; i++)
			place.uploaders.push((await person(server, `Uploader ${i}`)).token);
		others = await bystanders(server, { token: bob.token, every: 5 });
		onslaught = new Onslaught(server, place, SEED);
		onslaught.patient = FULL;
		base = { descriptors: descriptors(server), gauges: await gauges(server) };
	});
	after(async () => {
		others?.stop();
		await server?.stop();
	});

	const [only, index] = process.env.ONLY?.split(':') ?? [];
	if (index !== undefined) {
		test(`only ${process.env.ONLY}`, async (t) => {
			await onslaught.one(only, Number(index));
			t.diagnostic([...onslaught.outcomes.keys()].join());
		});
		return;
	}

	for (const kind of KINDS.filter((one) => one === (only ?? one))) {
		test(`${INPUTS} of ${kind}`, async (t) => {
			await onslaught.run(kind, INPUTS, WARM_UP, { lanes: LANES });
			await gone();
			const then = { memory: memory(server), lines: lines(server), ms: performance.now() };
			onslaught.outcomes.clear();
			await others.mark();
			const begun = performance.now();
			await onslaught.run(kind, 0, INPUTS, { lanes: LANES });
			const seconds = (performance.now() - begun) / 1000;
			const noticed = await others.mark();
			const outcomes = [...onslaught.outcomes].sort((a, b) => b[1] - a[1]).slice(0, 24)
				.map(([what, n]) => `${what}: ${n}`);
			t.diagnostic(`${Math.round(INPUTS / seconds)} a second; ${outcomes.join(', ')}`);
			unharmed(noticed);
			assert.equal([...onslaught.outcomes.values()].reduce((a, b) => a + b), INPUTS);
			await gone();
			kept(t, then);
		});
	}

	function unharmed({ gone: cut, unanswered }) {
		assert.deepEqual({ cut, unanswered }, { cut: 0, unanswered: 0 });
	}

	// All is as it was before anything came.
	function gone() {
		return until(async () => {
			assert.deepEqual(descriptors(server), base.descriptors);
			assert.deepEqual(await gauges(server), base.gauges);
			return true;
		}, 'state as before', { ms: 60_000, every: 200 });
	}

	function kept(t, then) {
		const now = { memory: memory(server), lines: lines(server) };
		const said = now.lines - then.lines;
		const seconds = Math.ceil((performance.now() - then.ms) / 1000) + 1;
		t.diagnostic(`memory ${then.memory.toFixed(1)} → ${now.memory.toFixed(1)} MB, ${said} lines in the log`);
		assert.ok(said <= seconds * WORKERS * LINES_A_SECOND, `${said} lines in the log in ${seconds} s`);
		// What the sanitizer keeps of freed memory says nothing; it looks for leaks at the end.
		if (VARIANT === 'release')
			assert.ok(now.memory <= then.memory * 1.1 + SLACK_MB, `${then.memory} MB became ${now.memory}`);
	}

	// Starts inputs at a pace, whatever becomes of those before. Gives what will be wrong with each, or null.
	async function paced(begin) {
		const most = A_SECOND * SLICE_MS / 1000;
		const under = [];
		const started = performance.now();
		while (under.length < most) {
			const due = Math.floor((performance.now() - started) * A_SECOND / 1000) + 1;
			while (under.length < Math.min(due, most))
				under.push(begin(under.length).then(() => null, (error) => error));
			await sleep(4);
		}
		return under;
	}

	test('a WebSocket that breaks the rules before it is greeted hears so', async () => {
		const wire = await Wire.connect(server.port);
		const path = `/room/websocket?token=${place.token}`;
		wire.send(Buffer.concat([requestBytes({ path, headers: upgradeHeaders() }), frame(OP.TEXT, 'a',
			{ mask: false })]));
		const answer = await wire.response();
		assert.equal(answer.status, 101);
		assert.equal((await new WebSocket(wire, answer).closed()).code, 1002);
	});

	if (only)
		return;

	// The last one: who stands back does not come forward again.
	test(`others wait no longer than with as many well-formed inputs: ${PAIRS} pairs`, async (t) => {
		standBack();
		const quiet = await others.during(() => sleep(PAIRS * SLICE_MS / 4));
		const seen = { malformed: [], 'well-formed': [] };
		const sent = { malformed: 0, 'well-formed': 0 };
		const under = [];
		// What comes short of the malformed ones' bytes is made up for.
		const padding = () => Math.max(0, Math.min(PADDING_MAX,
			sent.malformed - sent['well-formed'] - onslaught.bytes));
		onslaught.nudges = false;
		for (let pair = 0; pair < PAIRS; pair++) {
			// Each goes first as often.
			for (const which of pair % 2 ? ['well-formed', 'malformed'] : ['malformed', 'well-formed']) {
				onslaught.bytes = 0;
				const told = await others.during(() => paced((n) => {
					const at = 10 * INPUTS + pair * A_SECOND + n;
					const kind = KINDS[n % KINDS.length];
					if (which === 'malformed')
						return onslaught.one(kind, at);
					return onslaught.good(kind, at, padding());
				}));
				under.push(...told.result);
				sent[which] += onslaught.bytes;
				seen[which].push(...told.times);
				unharmed(told);
			}
		}
		// That is judged above: of a client that stands back connections may time out on a busy machine.
		const wrong = (await Promise.all(under)).filter(Boolean);
		t.diagnostic(`${wrong.length} of ${under.length} not answered as they have to be`);
		for (const { message } of wrong.slice(0, 5))
			t.diagnostic(message.slice(0, 500));
		const all = { quiet: quiet.times, ...seen };
		const p99 = {};
		for (const [name, times] of Object.entries(all)) {
			p99[name] = percentile(times, 0.99);
			t.diagnostic(`${name}: ${times.length} answers, p50 ${percentile(times, 0.5).toFixed(2)} ms, ` +
				`p99 ${p99[name].toFixed(2)} ms; ${Math.round((sent[name] ?? 0) / 1024)} KB sent`);
		}
		t.diagnostic(`p99 ratio malformed to well-formed: ${(p99.malformed / p99['well-formed']).toFixed(2)}`);
		// Less than 0.3 ms apart is the same: the clock, the timers of the processes and two cores tell no finer.
		if (FULL)
			assert.ok(p99.malformed <= p99['well-formed'] * 1.1 + 0.3, JSON.stringify(p99));
		else
			assert.ok(p99.malformed <= 10_000, JSON.stringify(p99));
	});
});

// What each thing takes of memory: in Redis, held to the table in docs/operations.md, and in a worker.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Guest, dismissAll } from '../lib/crowd.mjs';
import { callAll } from '../lib/populate.mjs';
import { redis } from '../lib/redis.mjs';
import { ROOT, VARIANT, start } from '../lib/server.mjs';
import { sized } from '../lib/size.mjs';
import { token } from '../lib/token.mjs';
import { pool } from '../lib/wait.mjs';

const N = sized(1000, 2000);
const SLOT = 12;             // the share of a key in the table of all keys, on average
const GUESTS = sized(500, 5000);
const ROOMS = 1000;          // that one guest joins
const TOLERATED = 0.3;       // of what the table says …
const ROUNDING = 40;         // … and bytes, since memory comes in sizes
const WORKER_BYTES = 6000;   // of each, in a worker; 8 times of what was seen

const times = (n, make) => Array.from({ length: n }, (_, i) => make(i));
const words = (length) => 'Lorem ipsum dolor sit amet, '.repeat(80).slice(0, length);
const user = (i) => `someone-${String(i).padStart(6, '0')}`;
const post = (room, content, cid = '') => ['message_post', 'ann', room, '', content, '', '', cid, 0, 0, 0, 0];

// Of so many things, the calls that make them; `w` is what was made before.
const THINGS = {
	'message of 20 characters': (w) => times(N, () => post(w.room, words(20))),
	'message of 200': (w) => times(N, () => post(w.room, words(200))),
	'message of 2,000': (w) => times(N, () => post(w.room, words(2000))),
	'`clientMessageId`, for ten minutes': (w) => times(N, (i) => post(w.room, words(20), `0123456789-${i}`)),
	'reaction, the first of a message': (w) => w.messages.map((id) => ['message_react', 'ann', id, w.room, '', '👍']),
	user: () => times(N, (i) => ['user_enter', user(i), `Name ${i}`, user(i), '', '', 1, `x${i}`]),
	'room with its owner': () => times(N, (i) => ['room_create', user(i), 'channel', `channel-${i}`, 'PUBLIC', '']),
	membership: (w) => times(N, (i) => ['room_add', 'ann', w.room, user(i)]),
	'direct room': () => times(N / 2, (i) => ['room_direct', user(2 * i), user(2 * i + 1)]),
	'session that can be recovered': (w) => times(N, (i) => ['user_connect', user(i), '', '', '', '', 0, '', '', '',
		'channels', w.worker, `pid-of-16-chars-${i}`, `sid-of-16-chars-${i}`, 120000, '', '']),
	'room that a session joined': (w) => times(2 * N, (i) => ['room_follow', user(i % N),
		i < N ? w.own[i] : w.shared, '', `pid-of-16-chars-${i % N}`, 1]),
	'user online (with Redis 8: 230)': (w) => times(N, (i) => ['presence_update', w.worker, 0, 1, user(i)]),
	'user of a lobby room': (w) => times(N, (i) => ['lobby_login', w.worker, `sid-of-16-chars-${i}`, `user${i}`, `room${i % 100}`]),
};

// What a message takes besides, while it is among the last of its room.
const LOGGED = {
	'message of 20 characters': 'its event in the log, 20',
	'message of 200': 'its event in the log, 200',
	'message of 2,000': 'its event in the log, 2,000',
};

// What comes with each, and is none of it.
const BESIDE = { '`clientMessageId`, for ten minutes': 'message of 20 characters' };

// The ids of what was made.
const ids = (answers) => answers.map(([json]) => JSON.parse(json).id);

// What the table says: name → bytes.
function documented() {
	const page = fs.readFileSync(path.join(ROOT, 'docs/operations.md'), 'utf8');
	const section = page.slice(page.indexOf('\n## Size\n'), page.indexOf('\n## ', page.indexOf('\n## Size\n') + 1));
	const rows = [...section.matchAll(/^\| ([^|]+) \| ([\d,]+) \|/gm)];
	return new Map(rows.map(([, name, bytes]) => [name.trim(), Number(bytes.replaceAll(',', ''))]));
}

class Scales {
	constructor(r) {
		this.redis = r;
	}

	async #keys(pattern) {
		const found = [];
		let cursor = '0';
		do {
			const [next, keys] = await this.redis.scan(cursor, 'MATCH', pattern, 'COUNT', 20_000);
			found.push(...keys);
			cursor = next;
		} while (cursor !== '0');
		return found;
	}

	// All that is stored, apart from logs, which are cleared away. By key: what Redis has beside these, its buffers
	// and tables on their way to another size, comes and goes.
	async bytes() {
		const logs = this.redis.pipeline();
		for (const key of await this.#keys('*:log'))
			logs.call('DEL', key);
		await logs.exec();
		const keys = await this.#keys('*');
		const usage = this.redis.pipeline();
		for (const key of keys)
			usage.call('MEMORY', 'USAGE', key, 'SAMPLES', '0');
		const all = await usage.exec();
		return all.reduce((sum, [, bytes]) => sum + Number(bytes ?? 0), 0) + SLOT * keys.length;
	}
}

function held(name, bytes, stated) {
	assert.ok(stated !== undefined, `docs/operations.md says nothing of: ${name}`);
	assert.ok(Math.abs(bytes - stated) <= stated * TOLERATED + ROUNDING,
		`${name}: docs/operations.md says ${stated} bytes, it is ${bytes.toFixed(0)}`);
}

describe('bytes', { timeout: 600_000 }, () => {
	const stated = documented();
	let server, r;
	before(async () => {
		server = await start({ options: { workers: 1 } });
		r = redis(server);
		await callAll(r, [['user_enter', 'ann', 'Ann', 'ann', '', '', 1, 'annx']]);
	});
	after(async () => {
		dismissAll();
		r?.disconnect();
		await server?.stop();
	});

	// By a connection that is gone then, with its buffers.
	async function make(calls) {
		const one = r.duplicate();
		try {
			return await callAll(one, calls);
		} finally {
			await one.quit();
		}
	}

	async function room() {
		return ids(await callAll(r, [['room_create', 'ann', 'group', '', 'PRIVATE', '']]))[0];
	}

	test('in Redis, as documented', async (t) => {
		const scales = new Scales(r), found = {}, w = {};
		for (const [name, callsOf] of Object.entries(THINGS)) {
			// A worker that has a lease, or all that it said would be swept.
			w.worker = (await r.zrange('workers', 0, 0))[0];
			w.room = await room();
			if (name.startsWith('reaction'))
				w.messages = ids(await make(times(N, () => post(w.room, words(20)))));
			const calls = callsOf(w);
			const empty = await scales.bytes();
			const answers = await make(calls);
			if (name.startsWith('room with'))
				w.own = ids(answers);
			if (name === 'membership')
				w.shared = w.room;
			const logged = await r.xlen(`room:${w.room}:log`);
			const log = logged > 0 ? await r.memory('USAGE', `room:${w.room}:log`, 'SAMPLES', 0) / logged : 0;
			const each = (await scales.bytes() - empty) / calls.length - (found[BESIDE[name]] ?? 0);
			found[name] = each;
			t.diagnostic(`measured: ${name}: ${each.toFixed(0)} bytes in Redis${name in LOGGED ? `, ${log.toFixed(0)} in the log` : ''}`);
			held(name, each, stated.get(name));
			if (name in LOGGED)
				held(LOGGED[name], log, stated.get(LOGGED[name]));
		}
	});

	test('the log of a room or a user with one event', async (t) => {
		const id = await room();
		await callAll(r, [post(id, 'x')]);
		const bytes = await r.memory('USAGE', `room:${id}:log`, 'SAMPLES', 0);
		t.diagnostic(`measured: log with one event: ${bytes} bytes`);
		held('log with one event', bytes, stated.get('log of a room or user with any event, at least'));
	});

	// A checked build has other figures: it keeps what is freed, and shadows what is not.
	test('in a worker', { skip: VARIANT !== 'release' && 'figures of a checked build say nothing' }, async (t) => {
		const pss = () => {
			const rollup = fs.readFileSync(`/proc/${server.workers()[0].pid}/smaps_rollup`, 'utf8');
			return Number(/^Pss:\s+(\d+)/m.exec(rollup)[1]) * 1024;
		};
		const id = await room();
		const people = times(GUESTS, (i) => token({ sub: user(i), username: user(i), name: `Name ${i}` }));
		await callAll(r, times(GUESTS, (i) => ['user_enter', user(i), `Name ${i}`, user(i), '', '', 1, `x${i}`]));
		await callAll(r, times(GUESTS, (i) => ['room_add', 'ann', id, user(i)]));
		const rooms = ids(await callAll(r, times(ROOMS, (i) => ['room_create', user(0), 'group', `g${i}`, 'PRIVATE', ''])));
		const guests = times(GUESTS, () => null);
		const steps = {
			'connection of a user, in no room': () => pool(people, 32, async (one, i) => {
				guests[i] = await (await Guest.open(server)).join('/channels', { token: one });
			}),
			'room that a connection joined, followed already': () => pool(guests, 32,
				(guest) => guest.ask('join_channel', { channelId: id })),
			'room followed by its first': () => pool(rooms, 32,
				(one) => guests[0].ask('join_channel', { channelId: one })),
		};
		const counts = [GUESTS, GUESTS, ROOMS];
		for (const [n, [name, step]] of Object.entries(steps).entries()) {
			const empty = pss();
			await step();
			const each = (pss() - empty) / counts[n];
			t.diagnostic(`measured: ${name}: ${each.toFixed(0)} bytes in a worker`);
			assert.ok(each < WORKER_BYTES, `${name}: ${each.toFixed(0)} bytes`);
		}
	});
});

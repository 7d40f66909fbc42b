// What an operation costs Redis: the commands that it takes, those inside functions too, as `INFO commandstats`
// counts them, and how much those read that read as much as there is.
//
// MONITOR shows the same commands one by one, each after the function that gave it. So what the server does all
// the time beside (leases, who is offline by now, files to be removed, signs of life) is known and subtracted,
// and the two must agree.
import assert from 'node:assert/strict';
import { redis } from './redis.mjs';
import { sleep, within } from './wait.mjs';

const BACKGROUND = new Set(['worker_lease', 'presence_tell', 'uploads_due', 'uploads_gone']);

// The test's own, of which the server has none.
const OURS = /^(config|info|echo|multi|exec|monitor|client)\b/;

// What these give or touch does not depend on how much a key holds, but on their arguments.
const FIXED = new Set(('get set mget incr incrby decrby exists del expire pexpire persist time ping publish ' +
	'hget hset hsetnx hmget hdel hincrby sadd srem sismember smismember scard zadd zrem zscore zcard ' +
	'xadd lpush ltrim lindex lrem hlen subscribe unsubscribe info fcall fcall_ro').split(' '));

// What these give does: they are asked again, to count it.
const LONG = new Set(['zrange', 'xrange', 'hgetall', 'smembers', 'lrange']);

// These take away what they give, so they can't be asked again; their arguments bound it.
const TAKES = new Set(['zremrangebyrank', 'spop', 'srandmember', 'scan']);

const QUIET_MS = 40;
const MARK_MS = 120_000;     // after a flood of commands, MONITOR is read for a while

const unescaped = (text) => text.replace(/\\x([0-9a-f]{2})|\\(.)/g, (_, hex, one) =>
	hex ? String.fromCharCode(parseInt(hex, 16)) : { t: '\t', n: '\n', r: '\r' }[one] ?? one);

export class Meter {
	#seen = [];          // { name, args, of, nested } of MONITOR, since the last cut
	#cut = [];           // and those before it
	#of = null;          // what was given last from outside a function
	#last = 0;           // when that was, if it was no background
	#marks = 0;
	#marked = new Map();

	static async on(server) {
		const meter = new Meter();
		meter.redis = redis(server);
		meter.monitor = await meter.redis.monitor();
		meter.monitor.on('monitor', (_, args, source) => meter.#see(args.map(unescaped), source));
		return meter;
	}

	#see(args, source) {
		const name = args[0].toLowerCase();
		if (name === 'echo')
			return this.#marked.get(args[1])?.();
		if (source !== 'lua')
			this.#of = /^fcall/.test(name) ? args[1] : name;
		const command = { name, args: args.slice(1), of: this.#of, nested: source === 'lua' };
		// Functions look at INFO, too, which `INFO commandstats` can't tell from ours.
		if (OURS.test(name) && (!command.nested || name === 'info'))
			return;
		this.#seen.push(command);
		if (!this.#isBackground(command))
			this.#last = performance.now();
	}

	#isBackground({ name, of }) {
		return BACKGROUND.has(of) || name === 'ping';
	}

	// All that was given so far has been seen; with a command, what it says is of that same moment.
	async #mark(...command) {
		const mark = `mark-${++this.#marks}`;
		const seen = new Promise((resolve) => {
			this.#marked.set(mark, () => {
				if (command.length > 0)
					[this.#cut, this.#seen] = [this.#seen, []];
				resolve();
			});
		});
		const all = this.redis.multi();
		if (command.length > 0)
			all.call(...command);
		const [[error, reply]] = await all.echo(mark).exec();
		assert.ifError(error);
		await within(seen, mark, MARK_MS);
		this.#marked.delete(mark);
		return reply;
	}

	async quiet(ms = QUIET_MS) {
		do {
			await this.#mark();
			await sleep(ms / 2);
		} while (performance.now() - this.#last < ms);
	}

	// { commands: name → count, total, elements: read by them, usec: of the functions, result: what `act` gave }
	// It is over when Redis was quiet for `ms`.
	async measure(act, ms = QUIET_MS) {
		await this.quiet(ms);
		await this.#mark('CONFIG', 'RESETSTAT');
		const result = await act();
		await this.quiet(ms);
		const counted = this.#counted(await this.#mark('INFO', 'commandstats'));
		const seen = this.#cut;
		const all = {};
		for (const { name } of seen)
			all[name] = (all[name] ?? 0) + 1;
		assert.deepEqual(sorted(counted.calls), sorted(all), 'commandstats and MONITOR count the same');
		const own = seen.filter((command) => !this.#isBackground(command));
		const commands = {};
		for (const { name } of own)
			commands[name] = (commands[name] ?? 0) + 1;
		return { commands: sorted(commands), total: own.length, elements: await this.#elements(own),
			usec: counted.usec, result };
	}

	// How often each function of the background ran meanwhile, and the most commands that one run took.
	async background(name, act) {
		await this.#mark('INFO', 'commandstats');
		await act();
		await this.#mark('INFO', 'commandstats');
		const runs = [];
		for (const command of this.#cut) {
			if (!command.nested && command.args[0] === name)
				runs.push(0);
			else if (command.nested && command.of === name && runs.length > 0)
				runs[runs.length - 1] += 1;
		}
		return { runs: runs.length, most: Math.max(0, ...runs) };
	}

	#counted(info) {
		const calls = {};
		let usec = 0;
		for (const [, name, n, us] of info.matchAll(/^cmdstat_([^:]+):calls=(\d+),usec=(\d+)/gm)) {
			if (OURS.test(name))
				continue;
			calls[name] = Number(n);
			if (/^fcall/.test(name))
				usec += Number(us);
		}
		return { calls, usec };
	}

	async #elements(commands) {
		let elements = 0;
		for (const { name, args } of commands) {
			assert.ok(FIXED.has(name) || LONG.has(name) || TAKES.has(name),
				`${name}: say in commands.mjs what it costs`);
			if (/^(mget|hmget|smismember)$/.test(name))
				elements += args.length;
			else if (LONG.has(name))
				elements += Object.keys(await this.redis.call(name, ...args)).length;
		}
		return elements;
	}

	end() {
		this.monitor.disconnect();
		this.redis.disconnect();
	}
}

function sorted(counts) {
	return Object.fromEntries(Object.entries(counts).sort());
}

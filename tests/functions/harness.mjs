// A Redis server of the test's own with our functions in it, and an ear on all that is published.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import Redis from 'ioredis';

const FUNCTIONS = fileURLToPath(new URL('../../scripts/functions/', import.meta.url));
const MARK = 'test:mark';
const EMPTY_BUCKET = `
	local t = redis.call('TIME')
	local ms = string.format('%d', t[1] * 1000 + math.floor(t[2] / 1000))
	redis.call('HSET', KEYS[1], 'tokens', '0', 'refilled', ms)
	return ms`;

export function assembled() {
	const files = readdirSync(FUNCTIONS).filter((name) => name.endsWith('.lua')).sort();
	const paths = files.map((name) => join(FUNCTIONS, name));
	return execFileSync(join(FUNCTIONS, 'assemble'), paths, { encoding: 'utf8' });
}

// Until somebody accepts connections there; fails after ten seconds.
async function listening(path) {
	const until = Date.now() + 10000;
	const once = () => new Promise((resolve, reject) => {
		const socket = connect(path, () => resolve(socket.destroy()));
		socket.once('error', reject);
	});
	for (;;)
		try {
			return await once();
		} catch (error) {
			if (Date.now() > until)
				throw error;
			await setTimeout(10);
		}
}

class Server {
	constructor(options = []) {
		this.dir = mkdtempSync(join(tmpdir(), 'functions-'));
		this.socket = join(this.dir, 'redis.sock');
		this.options = options;
		this.heard = [];
	}

	async start() {
		this.child = spawn(process.env.REDIS_SERVER ?? 'redis-server',
			['--port', '0', '--unixsocket', this.socket, '--dir', this.dir, '--save', '', ...this.options],
			{ stdio: 'ignore' });
		this.ended = new Promise((resolve) => this.child.once('exit', resolve));
		process.once('exit', () => this.child.kill('SIGKILL'));
		await listening(this.socket);
		this.redis = new Redis({ path: this.socket });
		// Its INFO would race with the subscription.
		this.ear = new Redis({ path: this.socket, enableReadyCheck: false });
		this.ear.on('pmessage', (_, feed, text) => this.hear(feed, text));
		await this.redis.function('LOAD', 'REPLACE', assembled());
		await this.ear.psubscribe('*');
	}

	hear(feed, text) {
		if (feed === MARK)
			return this.marked();
		// What is said to one worker has no log, and so no place in one.
		const [, prev, id, event] = text.match(/^(\d+-\d+) (\d+-\d+) (.*)$/s) ?? [null, null, null, text];
		this.heard.push({ feed, prev, id, event: JSON.parse(event) });
	}

	// What was published since the last time this was asked.
	async published() {
		const marked = new Promise((resolve) => { this.marked = resolve; });
		await this.redis.publish(MARK, '');
		await marked;
		return this.heard.splice(0);
	}

	async kill() {
		this.redis.disconnect();
		this.ear.disconnect();
		this.child.kill('SIGKILL');
		await this.ended;
	}

	async end() {
		await this.kill();
		rmSync(this.dir, { recursive: true, force: true });
	}
}

// A server for one file of tests, emptied before each.
export function useRedis(options) {
	const server = new Server(options);
	before(() => server.start(), { timeout: 20000 });
	beforeEach(async () => {
		await server.redis.flushall();
		await server.published();
	}, { timeout: 20000 });
	after(() => server.end());

	const fcall = (name, ...args) => server.redis.fcall(name, 0, ...args.map(String));
	const fcallRo = (name, ...args) => server.redis.fcall_ro(name, 0, ...args.map(String));
	const tools = {
		server,
		fcall,
		fcallRo,
		// JSON of the first string of a reply.
		async first(name, ...args) { return JSON.parse((await fcall(name, ...args))[0]); },
		async refused(refusal, name, ...args) {
			const before = await state(server.redis);
			await assert.rejects(fcall(name, ...args), (error) => {
				assert.equal(error.message, refusal);
				return true;
			});
			assert.deepEqual(await state(server.redis), before, 'a refusal writes nothing');
		},
		// Refused with an empty bucket, which is emptied along with it, or time would go by in between.
		async refusedEmpty(user, refusal, name, ...args) {
			const [[, ms], [error]] = await server.redis.multi()
				.eval(EMPTY_BUCKET, 1, `user:${user}`).fcall(name, 0, ...args.map(String)).exec();
			assert.equal(error?.message, refusal);
			assert.deepEqual(await server.redis.hmget(`user:${user}`, 'tokens', 'refilled'), ['0', ms]);
		},
		// Refused until `due`, a time in ms: the refusal has the seconds that are left, rounded up.
		async limited(due, name, ...args) {
			const begun = Date.now();
			const error = await fcall(name, ...args).then(() => null, (failure) => failure);
			const seconds = Number(/^RATE (\d+)$/.exec(error?.message)?.[1]);
			const left = [Date.now(), begun].map((now) => Math.ceil((due - now) / 1000));
			assert.ok(seconds >= left[0] && seconds <= left[1], `${error?.message ?? 'let in'}, ${left} s before it is due`);
		},
		published: () => server.published(),
		async user(id, username = id) {
			await fcall('user_enter', id, username.toUpperCase(), username, '', '', 1, `user-${id}`);
			return id;
		},
		async group(creator, ...others) {
			const r = await tools.first('room_create', creator, 'group', '', 'PRIVATE', '', ...others);
			await server.published();
			return r.id;
		},
		async channel(creator, name, ...others) {
			const r = await tools.first('room_create', creator, 'channel', name, 'PUBLIC', '', ...others);
			await server.published();
			return r.id;
		},
		async direct(one, other) {
			const r = await tools.first('room_direct', one, other);
			await server.published();
			return r.id;
		},
		// Posts with everything off that is not said.
		post(user, room, content, options = {}) {
			return tools.first('message_post', ...postArguments(user, room, content, options));
		},
	};
	return tools;
}

export function postArguments(user, room, content, options = {}) {
	const { want = '', reply = '', attachments = '', cid = '', rate = 0, burst = 0, history = 0,
		log = 0 } = options;
	return [user, room, want, content, reply, attachments, cid, rate, burst, history, log];
}

// What a key holds. A large hash is dumped in whatever order it has just then, which reading it may change.
async function held(redis, key) {
	if (await redis.type(key) === 'hash')
		return Object.entries(await redis.hgetall(key)).sort();
	return (await redis.dumpBuffer(key)).toString('base64');
}

// All there is, to see that nothing changed.
async function state(redis) {
	const keys = (await redis.keys('*')).sort();
	return Promise.all(keys.map(async (key) => [key, await held(redis, key)]));
}

// A Redis that answers nonsense, refuses, drips, hangs, or is full: on the connection for commands, on that for
// subscriptions, on the master's, or on all of them; from the start on, and in the middle of a conversation.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { leaveAll } from '../lib/chatter.mjs';
import { DEAF, FalseRedis, KINDS } from '../lib/false-redis.mjs';
import { scrape } from '../lib/metrics.mjs';
import { RedisChild } from '../lib/redis.mjs';
import { rest } from '../lib/rest.mjs';
import { start, VARIANT } from '../lib/server.mjs';
import { FULL, sized } from '../lib/size.mjs';
import { Talk } from '../lib/talk.mjs';
import { sleep, until } from '../lib/wait.mjs';

const LASTS_MS = sized(100, 1500);
const MIB = 1024 * 1024;
// What an answer may take (64 MiB, common/resp.h), on each of two connections, and what reading it takes.
const MEMORY = 160 * MIB;

const nested = (depth) => `${'*1\r\n'.repeat(depth)}:1\r\n`;
const numbers = (n) => `*${n}\r\n${':7\r\n'.repeat(n)}`;
const refusal = (text) => ({ name: `-${text.split(' ')[0]}`, kind: text.split(' ')[0], answer: () => `-${text}\r\n` });

// As many elements, or the one, but with another content.
function strange(answer) {
	if (answer[0] !== 0x2a)
		return '$7\r\n{"a":[}\r\n';
	return `*${parseInt(answer.toString('latin1', 1), 10)}\r\n`.concat(
		...Array.from({ length: parseInt(answer.toString('latin1', 1), 10) }, (_, i) =>
			['$1\r\nx\r\n', ':-1\r\n', '$0\r\n\r\n', '$20\r\n99999999999999999999\r\n'][i % 4]));
}

// A message whose text is replaced; what else comes on a subscription is as it was.
const spoilt = (text) => (bytes) => {
	if (!bytes.includes('$7\r\nmessage\r\n'))
		return bytes;
	const begin = bytes.lastIndexOf('\r\n', bytes.length - 3) + 2;
	const told = text(bytes.toString('latin1', begin, bytes.length - 2));
	return Buffer.concat([bytes.subarray(0, begin), Buffer.from(`${told}\r\n`, 'latin1')]);
};

// `lies`: in its form the answer is one, so that not everybody can tell that it is none.
const FAULTS = [
	{ name: 'junk', answer: () => 'HTTP/1.1 400 Bad Request\r\n\r\n' },
	{ name: 'zeros and high bytes', answer: () => '\0\xff\0\xff\r\n' },
	{ name: 'an array of 2^30', answer: () => '*1073741824\r\n' },
	{ name: 'an array of 2^62', answer: () => '*4611686018427387904\r\n' },
	{ name: 'nested over 7 levels', answer: () => nested(8) },
	{ name: 'nested over 9 levels', answer: () => nested(10) },
	{ name: 'a string of -2', answer: () => '$-2\r\n' },
	{ name: 'a string of 2^63', answer: () => '$9223372036854775808\r\n' },
	{ name: 'an answer cut in the middle', cut: true },
	{ name: 'an answer and one more', answer: (bytes) => Buffer.concat([bytes, Buffer.from('+OK\r\n')]), lies: true },
	{ name: 'a push before an answer', lies: true,
		answer: (bytes) => Buffer.concat([Buffer.from('*3\r\n$7\r\nmessage\r\n$6\r\nroom:1\r\n$2\r\n{}\r\n'), bytes]) },
	{ name: 'an empty array', answer: () => '*0\r\n' },
	{ name: 'no array', answer: () => '*-1\r\n' },
	{ name: 'nothing', answer: () => '$-1\r\n' },
	{ name: 'a number', answer: () => ':1\r\n', lies: true },
	{ name: 'a status', answer: () => '+OK\r\n', lies: true },
	{ name: 'numbers', answer: () => numbers(12), lies: true },
	{ name: 'strange words', answer: strange, lies: true },
	{ name: 'an error inside', answer: () => '*2\r\n$1\r\nx\r\n-ERR no\r\n' },
	refusal('NOAUTH Authentication required.'),
	refusal('LOADING Redis is loading the dataset in memory'),
	refusal('READONLY You can\'t write against a read only replica.'),
	refusal('MISCONF Errors writing to the AOF file: No space left on device'),
	refusal('OOM command not allowed when used memory > \'maxmemory\'.'),
	refusal('BUSY Redis is busy running a script.'),
	{ ...refusal('NOSCRIPT No matching script.'), kind: 'another error' },
	{ ...refusal('ERR Function not found'), name: '-ERR Function not found', kind: 'function not found' },
	{ name: 'an error in the middle of a pipeline', answer: () => '-MISCONF x\r\n', kind: 'MISCONF', first: 3 },
	{ name: 'a byte at a time', drip: true, harmless: true },
	{ name: 'silence', silent: true, harmless: true },
	{ name: 'messages that are no events', answer: spoilt((text) => 'x'.repeat(text.length)), lies: true,
		on: ['subscriptions'] },
	{ name: 'events with a broken end', answer: spoilt((text) => text.replace(/..$/, '"x')), lies: true,
		on: ['subscriptions'] },
	{ name: 'accepted and closed', hangUp: true, on: KINDS },
	{ name: 'refused', refuse: true, on: KINDS },
	{ name: 'a string without end', endless: '$536870913\r\n', giant: true },
	{ name: 'a line without end', endless: '+', giant: true },
];

function cpuMs(pid) {
	const text = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
	const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
	return (Number(fields[11]) + Number(fields[12])) * 10;
}

// In bytes: as it is now, and as it was at most since the last `forgetPeak`.
function memory(pid, name) {
	return Number(new RegExp(`${name}:\\s+(\\d+)`).exec(fs.readFileSync(`/proc/${pid}/status`, 'latin1'))[1]) * 1024;
}

const forgetPeak = (pid) => fs.writeFileSync(`/proc/${pid}/clear_refs`, '5');
const errors = async (server, labels) => (await scrape(server)).sum('confab_redis_errors_total', labels);
const losses = async (server) => (await scrape(server)).sum('confab_redis_disconnects_total');
const linesOf = (server) => server.output.split('\n').length;

async function end(server, redis) {
	try {
		await server?.stop();
	} finally {
		redis?.close();
	}
}

describe('a Redis that misbehaves', { timeout: sized(240_000, 1_800_000), concurrency: 2 }, () => {
	let child;
	before(async () => { child = await RedisChild.start(); });
	after(async () => {
		leaveAll();
		await child?.end();
	});

	// In the middle of a conversation: on some of the connections, and if `functions`, only in answers to calls.
	function misbehaving(title, faults, more) {
		describe(title, { concurrency: 1 }, () => {
			let server;
			let redis;
			let talk;
			before(async () => {
				redis = await FalseRedis.open(child.port);
				server = await start({ options: { workers: 2, redis: redis.address } });
				talk = await Talk.begin(server);
			});
			after(async () => {
				await redis?.behave();
				await end(server, redis);
			});

			for (const row of faults) {
				test(row.name, async (t) => {
					const fault = { ...more, ...row };
					const pids = [server.pid, ...server.workers().map(({ pid }) => pid)];
					const before = {
						errors: await errors(server), kind: fault.kind && await errors(server, { kind: fault.kind }),
						losses: await losses(server), lines: linesOf(server), cpu: pids.map(cpuMs),
						accepted: redis.accepted, faults: redis.faults, filled: redis.filled,
					};
					pids.forEach(forgetPeak);
					const base = pids.map((pid) => memory(pid, 'VmRSS'));
					talk.refusals.clear();
					const begun = Date.now();
					await talk.during(async () => {
						await redis.misbehave(fault);
						await sleep(LASTS_MS);
						if (!fault.harmless && !fault.refuse && !fault.hangUp)
							await until(() => redis.faults > before.faults, 'answer that was spoilt');
						if (fault.giant) {
							const enough = 1.1 * MIB * (fault.endless === '+' ? 1 : 64);
							await until(() => redis.filled - before.filled > enough, 'bytes of what has no end', { ms: 60_000 });
						}
						const odd = fault.harmless || fault.first || fault.lies || fault.kind === 'another error';
						if (FULL && fault.on.includes('commands') && !odd) {
							const answer = await rest(server, 'GET', '/api/channels', talk.ann.token);
							assert.equal(answer.status, 503, answer.body);
							assert.ok(Number(answer.headers['retry-after']) > 0);
						}
						await redis.behave();
					});
					const lasted = Date.now() - begun;
					const cpu = pids.map((pid, i) => cpuMs(pid) - before.cpu[i]);
					const peak = pids.map((pid, i) => memory(pid, 'VmHWM') - base[i]);
					await server.serves();
					const recovered = Date.now() - begun - lasted;
					await talk.settle();
					await talk.check();

					for (const [text] of talk.refusals)
						assert.equal(text, 'Failed to send message');
					assert.deepEqual(server.workers().map(({ pid }) => pid), pids.slice(1), 'nobody crashed');
					const lines = linesOf(server) - before.lines;
					const attempts = redis.accepted - before.accepted;
					// Whoever was slow to recover tried meanwhile.
					const seconds = (Date.now() - begun) / 1000;
					assert.ok(attempts <= 12 + 90 * seconds, `${attempts} connections in ${seconds} s`);
					assert.ok(lines <= 40 + 20 * seconds, `${lines} lines in ${seconds} s`);
					if (fault.kind && fault.on.includes('commands'))
						assert.ok(await errors(server, { kind: fault.kind }) > before.kind, `counted as ${fault.kind}`);
					if (!fault.harmless && !fault.lies)
						assert.ok(await errors(server) + await losses(server) > before.errors + before.losses, 'counted');
					// A loop that spins takes all the time there is.
					if (!fault.giant)
						assert.ok(Math.max(...cpu) <= 30 + lasted / 2, `${cpu} ms of CPU in ${lasted} ms`);
					if (VARIANT === 'release')
						assert.ok(Math.max(...peak) < MEMORY, `${Math.max(...peak) / MIB} MiB`);
					const refused = [...talk.refusals.values()].reduce((a, b) => a + b, 0);
					t.diagnostic(`${lasted} ms: refused ${refused}, ${attempts} connections, ${lines} lines, ` +
						`CPU ${cpu.join(' ')} ms, peak +${peak.map((n) => (n / MIB).toFixed(0)).join(' +')} MiB, well after ${recovered} ms`);
				});
			}
		});
	}

	misbehaving('to the calls', FAULTS.filter(({ on }) => !on), { on: ['commands'], functions: true });
	misbehaving('to subscriptions, or to all',
		FAULTS.filter(({ giant }) => FULL || !giant).map((fault) => ({ on: FULL || fault.harmless ? KINDS : ['subscriptions'], ...fault })), {});

	// The master waits for its answers, but not for ever: it has workers to tend.
	test('to the master, an answer that drips for ever', async () => {
		const redis = await FalseRedis.open(child.port);
		const server = await start({ options: { workers: 2, redis: redis.address } });
		try {
			await redis.misbehave({ on: ['master'], endless: '$536870913\r\n', slowly: true });
			await until(() => redis.faults > 0, 'answer that drips');
			const [victim, other] = server.workers().map(({ pid }) => pid);
			process.kill(victim, 'SIGKILL');
			await until(() => {
				const now = server.workers().map(({ pid }) => pid);
				return now.length === 2 && now.includes(other) && !now.includes(victim);
			}, 'successor');
			await until(async () => await losses(server) > 0 &&
				await errors(server, { worker: 'master', kind: 'connection lost' }) > 0, 'count of it');
			await redis.behave();
			await until(() => /lease: Redis answers again/.test(server.output), 'lease');
		} finally {
			await end(server, redis);
		}
	});

	// A log is to be read once the feed is subscribed to again, which the end overtakes.
	test('to subscriptions that are not answered, when told to stop', async () => {
		const redis = await FalseRedis.open(child.port);
		const server = await start({ options: { workers: 2, redis: redis.address } });
		try {
			const talk = await Talk.begin(server);
			await talk.during(() => sleep(LASTS_MS));
			await talk.settle();
			await talk.check();
			const { faults } = redis;
			await redis.misbehave(DEAF);
			const cut = [...redis.links].filter(({ kind }) => kind === 'subscriptions');
			assert.equal(cut.length, 2);
			cut.forEach((link) => link.cut());
			await until(() => redis.faults >= faults + 2, 'subscriptions that are not answered');
		} finally {
			await end(server, redis);
		}
	});

	// Before anybody has ever reached it.
	describe('from the start on', { concurrency: 1 }, () => {
		const SMALL = ['junk', 'strange words', '-LOADING', '-ERR Function not found', 'silence', 'accepted and closed',
			'refused'];
		for (const row of FAULTS.filter(({ name }) => FULL || SMALL.includes(name))) {
			test(row.name, async (t) => {
				const fault = { ...row, on: KINDS };
				const redis = await FalseRedis.open(child.port);
				await redis.misbehave(fault);
				const server = await start({ options: { workers: 2, redis: redis.address }, healthy: [200, 503] });
				try {
					const begun = Date.now();
					await sleep(LASTS_MS);
					if (!fault.lies && !fault.drip && !fault.first) {
						const answer = await rest(server, 'GET', '/health');
						assert.equal(answer.status, 503, answer.body);
					}
					const pids = [server.pid, ...server.workers().map(({ pid }) => pid)];
					if (!fault.giant) {
						const before = pids.map(cpuMs);
						const since = Date.now();
						await sleep(4 * LASTS_MS);
						const cpu = pids.map((pid, i) => cpuMs(pid) - before[i]);
						const watched = Date.now() - since;
						assert.ok(Math.max(...cpu) <= 30 + watched / 2, `${cpu} ms of CPU in ${watched} ms`);
					}
					const { accepted } = redis;
					const lasted = Date.now() - begun;
					await redis.behave();
					server.healthy = [200];
					await server.serves();
					t.diagnostic(`${accepted} connections, well after ${Date.now() - begun - lasted} ms`);
					if (!fault.harmless && !fault.lies)
						assert.ok(await errors(server) + await losses(server) > 0, 'counted');
					const talk = await Talk.begin(server);
					await talk.during(() => sleep(50));
					await talk.settle();
					await talk.check();
					assert.deepEqual(server.workers().map(({ pid }) => pid), pids.slice(1), 'nobody crashed');
				} finally {
					await end(server, redis);
				}
			});
		}
	});
});

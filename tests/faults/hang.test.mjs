// A Redis that hangs: the loop goes on, what waits for it is bounded, and nothing that was acknowledged is lost.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { bystanders } from '../lib/bystander.mjs';
import { leaveAll } from '../lib/chatter.mjs';
import { Guest, dismissAll } from '../lib/crowd.mjs';
import { scrape } from '../lib/metrics.mjs';
import { channel, person } from '../lib/people.mjs';
import { redis } from '../lib/redis.mjs';
import { start, VARIANT } from '../lib/server.mjs';
import { FULL, sized } from '../lib/size.mjs';
import { Talk } from '../lib/talk.mjs';
import { pool, sleep, until } from '../lib/wait.mjs';

const MIB = 1024 * 1024;
const HANGS_MS = sized(2500, 5000);
const CLIENTS = sized(20, 1000);
const EACH = sized(110, 10);         // messages of a client: some 18 MB, or 80 MB, in all
const LONG = '😀'.repeat(2000);      // 8 kB
// 16 MiB of arguments (worker/store/call.c) are there twice, and some more in the memory of the requests.
const MEMORY = 100 * MIB;

const memory = (pid, name) =>
	Number(new RegExp(`${name}:\\s+(\\d+)`).exec(fs.readFileSync(`/proc/${pid}/status`, 'latin1'))[1]) * 1024;

describe('a Redis that hangs', { timeout: sized(200_000, 600_000) }, () => {
	let server;
	let control;
	let pid;              // of Redis
	let talk;
	let others;
	const alive = () => server.workers().map((worker) => worker.pid);
	before(async () => {
		// One, so that all meet at it.
		server = await start({ options: { workers: 1 } });
		control = redis(server);
		pid = Number((await control.info('server')).match(/process_id:(\d+)/)[1]);
		talk = await Talk.begin(server);
		others = await bystanders(server, { token: talk.ann.token });
	});
	after(async () => {
		process.kill(pid, 'SIGCONT');
		others?.stop();
		control?.disconnect();
		leaveAll();
		dismissAll();
		await server?.stop();
	});

	// While it hangs and `work` is done, who does not need it notices nothing.
	async function hang(t, work) {
		const seen = await others.during(async () => {
			process.kill(pid, 'SIGSTOP');
			try {
				await work();
			} finally {
				process.kill(pid, 'SIGCONT');
			}
		});
		const [p50, p99, max] = [seen.p50, seen.p99, seen.max].map((ms) => ms?.toFixed(1));
		t.diagnostic(`others: ${seen.n} answers, p50 ${p50}, p99 ${p99}, max ${max} ms`);
		assert.equal(seen.unanswered, 0);
		assert.equal(seen.gone, 0);
		// A loop that waited for Redis would answer nothing until it is there again, and half of them later than this.
		assert.ok(seen.n > 10, `${seen.n} answers`);
		assert.ok(seen.p50 < HANGS_MS / 3, `${seen.p50} ms`);
	}

	async function whole() {
		await talk.settle(60_000);
		await talk.check();
	}

	test('for a few seconds: all that was sent is done then', async (t) => {
		const pids = alive();
		talk.refusals.clear();
		await talk.during(() => hang(t, () => sleep(HANGS_MS)));
		await whole();
		assert.deepEqual([...talk.refusals], [], 'nothing was refused');
		assert.deepEqual(alive(), pids);
	});

	test(`while ${CLIENTS} clients send ${EACH} long messages each: beyond a bound they are refused at once`, async (t) => {
		const room = await channel(server, talk.ann);
		const crowd = [];
		await pool(Array.from({ length: CLIENTS }), 32, async () => {
			const guest = await Guest.open(server);
			guest.hear = () => {};
			crowd.push(await guest.join('/channels', { token: talk.ann.token }));
		});
		const pids = alive();
		const base = pids.map((one) => memory(one, 'VmRSS'));
		pids.forEach((one) => fs.writeFileSync(`/proc/${one}/clear_refs`, '5'));
		const answers = { refused: 0, done: 0 };
		const errors = new Set();
		const sends = [];
		let pending = 0;
		await hang(t, async () => {
			for (let round = 0; round < EACH; round++) {
				for (const guest of crowd) {
					sends.push(guest.ask('send_message', { channelId: room, content: LONG }).then((answer) => {
						answers[answer.ok ? 'done' : 'refused'] += 1;
						if (!answer.ok)
							errors.add(answer.error);
					}));
				}
				// At most the event-rate of 100 a second.
				await sleep(10);
			}
			await until(async () => {
				pending = Math.max(pending, (await scrape(server)).sum('confab_redis_calls_pending'));
				return answers.refused > 0;
			}, 'refusal, though Redis does not answer');
		});
		await Promise.all(sends);
		const grown = pids.map((one, i) => memory(one, 'VmHWM') - base[i]);
		const full = (await scrape(server)).sum('confab_redis_errors_total', { kind: 'too many under way' });
		t.diagnostic(`${answers.done} done, ${answers.refused} refused, ${full} of them at once; ${pending} under way; ` +
			`peak +${grown.map((n) => (n / MIB).toFixed(0)).join(' +')} MiB`);
		assert.deepEqual([...errors], ['Failed to send message']);
		assert.ok(full > 0);
		// Of calls that failed after 10 s nobody knows; all that was acknowledged is there.
		const lost = (await scrape(server)).sum('confab_redis_errors_total', { kind: 'connection lost' });
		const there = await control.zcard(`room:${room}:messages`);
		assert.ok(there >= answers.done && there <= answers.done + lost, `${there} there, ${lost} lost`);
		if (VARIANT === 'release')
			assert.ok(Math.max(...grown) < MEMORY, `${Math.max(...grown) / MIB} MiB`);
		assert.deepEqual(alive(), pids);
		dismissAll();
	});

	// Longer than an answer may take.
	const long = { skip: !FULL && 'its 10 s are for make faults; tests/e2e/channels.test.mjs has it, too' };
	test('for so long that calls fail: who sends again has lost nothing', long, async (t) => {
		const pids = alive();
		talk.refusals.clear();
		talk.every = 200;
		const lines = server.output.split('\n').length;
		await talk.during(() => hang(t, async () => {
			await until(() => talk.refusals.size > 0, 'failed call');
			await sleep(45_000);
		}));
		await whole();
		assert.deepEqual([...talk.refusals.keys()], ['Failed to send message']);
		assert.deepEqual(alive(), pids);
		const logged = server.output.split('\n').length - lines;
		assert.ok(logged < 100, `${logged} lines`);
	});
});

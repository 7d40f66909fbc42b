// Told to stop in the middle of anything, while Redis is well or is not: it ends in time and clean, which
// server.stop() sees.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Dice } from '../lib/chance.mjs';
import { enter, leaveAll } from '../lib/chatter.mjs';
import { DEAF, FalseRedis, KINDS } from '../lib/false-redis.mjs';
import { scrape } from '../lib/metrics.mjs';
import { person } from '../lib/people.mjs';
import { RedisChild } from '../lib/redis.mjs';
import { start } from '../lib/server.mjs';
import { sized } from '../lib/size.mjs';
import { Talk } from '../lib/talk.mjs';
import { sleep, until } from '../lib/wait.mjs';
import { Wire, requestBytes } from '../lib/wire.mjs';

const SEED = process.env.SEED ?? Date.now() % 1_000_000;
const ROUNDS = sized(8, 100);

const FAULTS = [
	{ name: 'well' },
	{ name: 'cut off', hangUp: true },
	{ name: 'refusing', refuse: true },
	{ name: 'silent', silent: true },
	{ name: 'dripping', drip: true },
	{ name: 'loading', answer: () => '-LOADING Redis is loading the dataset in memory\r\n' },
	{ name: 'answering nothing', answer: () => '*0\r\n' },
	{ name: 'not answering SUBSCRIBE', ...DEAF },
];

describe(`told to stop, SEED=${SEED}`, { timeout: sized(240_000, 1_200_000) }, () => {
	let child;
	before(async () => { child = await RedisChild.start(); });
	after(() => child?.end());

	// People in a lobby who talk and come and go, until it is over.
	async function bustle(guests, over) {
		for (let n = 0; !over.now; n++) {
			const { socket } = guests[n % guests.length];
			socket.emit('roomMessage', `n ${n}`);
			socket.emit('logout');
			socket.emit('login', { name: `name${n % 5}`, room: 'room' });
			await sleep(5);
		}
	}

	async function misbehave(redis, dice, { name, ...fault }) {
		await sleep(dice.below(200));
		const some = KINDS.filter(() => dice.chance(1, 2));
		if (name !== 'well')
			await redis.misbehave({ on: some.length > 0 ? some : KINDS, ...fault });
		for (const link of [...redis.links])
			if (dice.chance(1, 2))
				link.cut();
		await sleep(dice.below(1000));
	}

	for (let round = 0; round < ROUNDS; round++) {
		const dice = new Dice(SEED, round);
		const fault = FAULTS[round % FAULTS.length];
		const signal = dice.pick(['SIGTERM', 'SIGINT', 'SIGQUIT']);
		test(`round ${round}: ${signal}, Redis is ${fault.name}`, async () => {
			const redis = await FalseRedis.open(child.port);
			const server = await start({ options: { workers: 2, redis: redis.address } });
			const over = { now: false };
			const work = [];
			try {
				const talk = await Talk.begin(server);
				const guests = await Promise.all([0, 1, 2].map(() => enter(server, { nsp: '/lobby' })));
				work.push(bustle(guests, over), talk.during(() => misbehave(redis, dice, fault)));
				await sleep(dice.below(1200));
			} finally {
				try {
					await server.stop({ signal });
				} finally {
					over.now = true;
					leaveAll();
					redis.close();
					await Promise.all(work);
				}
			}
		});
	}

	for (const signal of ['SIGHUP', 'SIGQUIT']) {
		test(`${signal}: who has asked is answered, and asks no more on that connection`, async () => {
			const redis = await FalseRedis.open(child.port);
			const server = await start({ options: { workers: 1, redis: redis.address } });
			try {
				const ann = await person(server, 'Ann');
				await redis.misbehave({ on: ['commands'], silent: true });
				const wire = await Wire.connect(server.port);
				wire.send(requestBytes({ path: '/login/me', headers: { Authorization: `Bearer ${ann.token}` } }));
				await until(async () => (await scrape(server)).sum('confab_redis_calls_pending') > 0, 'request at Redis');
				process.kill(server.pid, signal);
				await until(() => server.output.includes('draining'), 'drain');
				await redis.behave();
				const { status, headers } = await wire.response();
				assert.deepEqual([status, headers.connection], [200, 'close']);
				await wire.end();
				if (signal === 'SIGHUP')
					await server.serves();
			} finally {
				await server.stop();
				redis.close();
			}
		});
	}
});

// Guesses at once: no more of them are compared than password-rate says, whichever workers they come to.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { enter, leaveAll } from '../lib/chatter.mjs';
import { person, unique } from '../lib/people.mjs';
import { redis } from '../lib/redis.mjs';
import { rest } from '../lib/rest.mjs';
import { start } from '../lib/server.mjs';
import { sleep, until } from '../lib/wait.mjs';

const MOST = 10;
const GUESSES = 60;
const RIGHT = 'correct horse';
const wait = { timeout: 120_000 };

const signIn = (server, username, password) => rest(server, 'POST', '/login/signin', null, { username, password });

async function account(server) {
	const username = unique('kim').replaceAll('-', '_');
	const { status } = await rest(server, 'POST', '/login/signup', null, { username, password: RIGHT });
	assert.equal(status, 201);
	return username;
}

describe('passwords', { timeout: 300_000 }, () => {
	let server;
	let control;
	before(async () => {
		server = await start({ options: { 'password-rate': MOST, workers: 2 } });
		control = redis(server);
	});
	after(async () => {
		leaveAll();
		control?.disconnect();
		await server?.stop();
	});

	const guesses = (guess) => Promise.all(Array.from({ length: GUESSES }, (_, i) => guess(`wrong password ${i}`)));

	test(`signing in: of ${GUESSES} guesses at once ${MOST} are compared, and the right one is refused then`, wait, async () => {
		for (const username of [await account(server), 'nobody_at_all']) {
			const answers = await guesses((password) => signIn(server, username, password));
			assert.deepEqual(answers.filter(({ status }) => status === 401).length, MOST, username);
			for (const { headers, json } of answers.filter(({ status }) => status !== 401)) {
				assert.ok(headers['retry-after'] >= 1 && headers['retry-after'] <= 60, headers['retry-after']);
				assert.deepEqual(json, { message: 'Rate limit exceeded. Please slow down.', errors: {} });
			}
			assert.equal((await signIn(server, username, RIGHT)).status, 429);
		}
	});

	test('signing in: who waits as long as was said, is let in', wait, async () => {
		const username = await account(server);
		await guesses((password) => signIn(server, username, password));
		// All of them as if they had been made so many seconds ago.
		await control.del(`wrong:${username}`);
		await control.lpush(`wrong:${username}`, ...Array(MOST).fill(Date.now() - 54_000));
		const refused = await signIn(server, username, RIGHT);
		assert.match(refused.headers['retry-after'], /^[1-6]$/);
		assert.equal(refused.headers['access-control-expose-headers'], 'Retry-After');
		await sleep(1000 * refused.headers['retry-after']);
		assert.equal((await signIn(server, username, RIGHT)).status, 200);
	});

	test('signing in: a right one gives its try back', wait, async () => {
		const username = await account(server);
		for (let i = 0; i < 2 * MOST; i++)
			assert.equal((await signIn(server, username, RIGHT)).status, 200);
		for (let i = 1; i < MOST; i++)
			assert.equal((await signIn(server, username, 'wrong')).status, 401);
		assert.equal((await signIn(server, username, RIGHT)).status, 200);
		assert.equal((await signIn(server, username, 'wrong')).status, 401);
		assert.equal((await signIn(server, username, RIGHT)).status, 429);
	});

	test('signing in: as many Redis commands, however many tries there were', wait, async () => {
		const used = async (n) => {
			const username = await account(server);
			for (let i = 0; i < n; i++)
				await signIn(server, username, 'wrong');
			await control.config('RESETSTAT');
			await signIn(server, username, 'wrong');
			const stats = await control.info('commandstats');
			const calls = (name) => Number(stats.match(new RegExp(`cmdstat_${name}:calls=(\\d+)`))?.[1] ?? 0);
			return ['lindex', 'lpush', 'ltrim', 'pexpire', 'lrem', 'lrange'].map((name) => [name, calls(name)]);
		};
		const first = await used(0);
		assert.deepEqual(first.map(([, calls]) => calls), [1, 1, 1, 1, 0, 0]);
		assert.deepEqual(await used(MOST - 1), first);
	});

	// Two sockets, which are at two workers as often as not; the rate is counted by Redis in any case.
	async function guests(user) {
		return Promise.all([enter(server, { token: user.token, nsp: '/gateway' }),
			enter(server, { token: user.token, nsp: '/gateway' })]);
	}

	async function vault() {
		const [one] = await guests(await person(server, 'Owner'));
		const name = unique('vault');
		assert.equal((await one.ask('createChannel', { name, status: 'PRIVATE', password: RIGHT })).name, name);
		return name;
	}

	test(`joinChannel: of ${GUESSES} guesses at once ${MOST} are compared, and the right one is refused then`, wait, async () => {
		const name = await vault();
		const eves = await guests(await person(server, 'Eve'));
		let n = 0;
		const answers = await guesses((password) => eves[n++ % 2].ask('joinChannel', { name, password }));
		const compared = answers.filter(({ message }) => message === 'Wrong password');
		assert.equal(compared.length, MOST);
		for (const { message } of answers.filter((answer) => !compared.includes(answer)))
			assert.match(message, /^Too many wrong passwords: try again in ([1-9]|[1-5]\d|60) s$/);
		assert.match((await eves[0].ask('joinChannel', { name, password: RIGHT })).message, /^Too many wrong passwords/);
	});

	test('joinChannel: a right one gives its try back, and one without a password is none', wait, async () => {
		const name = await vault();
		const [one] = await guests(await person(server, 'Eve'));
		for (let i = 1; i < MOST; i++)
			assert.equal((await one.ask('joinChannel', { name, password: 'wrong' })).message, 'Wrong password');
		for (let i = 0; i < MOST; i++)
			assert.match((await one.ask('joinChannel', { name })).message, /^password is required/);
		for (let i = 0; i < MOST; i++) {
			assert.equal((await one.ask('joinChannel', { name, password: RIGHT })).name, name);
			assert.equal((await one.ask('leaveChannel', { name })).name, name);
		}
		assert.equal((await one.ask('joinChannel', { name, password: 'wrong' })).message, 'Wrong password');
		assert.match((await one.ask('joinChannel', { name, password: RIGHT })).message, /^Too many/);
	});
});

// One worker, which hashes one password after the other.
describe('the queue of passwords', { timeout: 300_000 }, () => {
	let server;
	let control;
	before(async () => {
		server = await start({ options: { workers: 1 } });
		control = redis(server);
	});
	after(async () => {
		leaveAll();
		control?.disconnect();
		await server?.stop();
	});

	test('one user who makes channels with passwords does not keep others from signing in', wait, async () => {
		const username = await account(server);
		const one = await enter(server, { token: (await person(server, 'Eve')).token, nsp: '/gateway' });
		const made = Array.from({ length: 100 }, () =>
			one.ask('createChannel', { name: unique('many'), status: 'PRIVATE', password: 'x' }));
		assert.deepEqual(await one.next('createChannelError'), { message: 'Failed to create channel' });
		const answers = await Promise.all(Array.from({ length: 8 }, () => signIn(server, username, RIGHT)));
		assert.deepEqual(answers.map(({ status }) => status), Array(8).fill(200));
		const created = (await Promise.all(made)).filter(({ name }) => name);
		assert.ok(created.length >= 16, `${created.length} created`);
	});

	test('what is not compared, because too many others wait, was no try', wait, async () => {
		const names = Array.from({ length: 100 }, () => unique('many').replaceAll('-', '_'));
		const answers = await Promise.all(names.map((name) => signIn(server, name, 'wrong')));
		const turned = names.filter((_, i) => answers[i].status === 503);
		assert.ok(turned.length > 0, 'all were compared');
		assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([401, 503]));
		await until(async () => await control.exists(...turned.map((name) => `wrong:${name}`)) === 0, 'tries given back');
	});
});

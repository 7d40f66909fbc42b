// Guesses at once: no more of them are compared than password-rate says, whichever workers they come to.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { enter, leaveAll } from '../lib/chatter.mjs';
import { person, unique } from '../lib/people.mjs';
import { redis } from '../lib/redis.mjs';
import { rest } from '../lib/rest.mjs';
import { start } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';

const MOST = 10;
const GUESSES = 60;
const RIGHT = 'correct horse';
const wait = { timeout: 120_000 };

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

	const signIn = (username, password) => rest(server, 'POST', '/login/signin', null, { username, password });

	async function account() {
		const username = unique('kim').replaceAll('-', '_');
		const { status } = await rest(server, 'POST', '/login/signup', null, { username, password: RIGHT });
		assert.equal(status, 201);
		return username;
	}

	const guesses = (guess) => Promise.all(Array.from({ length: GUESSES }, (_, i) => guess(`wrong password ${i}`)));

	test(`signing in: of ${GUESSES} guesses at once ${MOST} are compared, and the right one is refused then`, wait, async () => {
		for (const username of [await account(), 'nobody_at_all']) {
			const answers = await guesses((password) => signIn(username, password));
			assert.deepEqual(answers.filter(({ status }) => status === 401).length, MOST, username);
			for (const { headers, json } of answers.filter(({ status }) => status !== 401)) {
				assert.ok(headers['retry-after'] >= 1 && headers['retry-after'] <= 60, headers['retry-after']);
				assert.deepEqual(json, { message: 'Rate limit exceeded. Please slow down.', errors: {} });
			}
			assert.equal((await signIn(username, RIGHT)).status, 429);
		}
	});

	test('signing in: who waits as long as was said, is let in', wait, async () => {
		const username = await account();
		await guesses((password) => signIn(username, password));
		// All of them as if they had been made so many seconds ago.
		await control.del(`wrong:${username}`);
		await control.lpush(`wrong:${username}`, ...Array(MOST).fill(Date.now() - 58_500));
		const refused = await signIn(username, RIGHT);
		assert.equal(refused.headers['retry-after'], '2');
		await new Promise((resolve) => { setTimeout(resolve, 2000); });
		assert.equal((await signIn(username, RIGHT)).status, 200);
	});

	test('signing in: a right one gives its try back', wait, async () => {
		const username = await account();
		for (let i = 0; i < 2 * MOST; i++)
			assert.equal((await signIn(username, RIGHT)).status, 200);
		for (let i = 1; i < MOST; i++)
			assert.equal((await signIn(username, 'wrong')).status, 401);
		assert.equal((await signIn(username, RIGHT)).status, 200);
		assert.equal((await signIn(username, 'wrong')).status, 401);
		assert.equal((await signIn(username, RIGHT)).status, 429);
	});

	test('signing in: as many Redis commands, however many tries there were', wait, async () => {
		const used = async (n) => {
			const username = await account();
			for (let i = 0; i < n; i++)
				await signIn(username, 'wrong');
			await control.config('RESETSTAT');
			await signIn(username, 'wrong');
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

	test('one user who makes channels with passwords does not keep others from signing in', wait, async () => {
		const username = await account();
		const [one] = await guests(await person(server, 'Eve'));
		const made = [];
		for (let i = 0; i < 200; i++)
			made.push(one.ask('createChannel', { name: unique('many'), status: 'PRIVATE', password: 'x' }));
		let going = true;
		const all = Promise.all(made).finally(() => { going = false; });
		let signed = 0;
		while (going) {
			assert.equal((await signIn(username, RIGHT)).status, 200);
			signed += going;
		}
		const failed = (await all).filter(({ message }) => message === 'Failed to create channel');
		assert.ok(failed.length > 0 && failed.length < 200, `${failed.length} failed`);
		assert.ok(signed > 0, 'nobody signed in meanwhile');
	});

	test('what is not compared, because too many others wait, was no try', wait, async () => {
		const names = Array.from({ length: 200 }, () => unique('many').replaceAll('-', '_'));
		const answers = await Promise.all(names.map((name) => signIn(name, 'wrong')));
		const turned = names.filter((_, i) => answers[i].status === 503);
		assert.ok(turned.length > 0, 'all were compared');
		assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([401, 503]));
		await until(async () => await control.exists(...turned.map((name) => `wrong:${name}`)) === 0, 'tries given back');
	});
});

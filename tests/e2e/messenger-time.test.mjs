// Who is there in the messenger API, and what takes its time there: coming and going, tokens that expire, limits,
// workers that die and a Redis that stands still.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { TRAVEL, enter, leaveAll, workerOfChatter } from '../lib/chatter.mjs';
import { about, apart, say, settled, sit } from '../lib/messenger.mjs';
import { person } from '../lib/people.mjs';
import { redis } from '../lib/redis.mjs';
import { rest } from '../lib/rest.mjs';
import { start } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';

const wait = { timeout: 120_000 };
const inSeconds = (s) => Math.floor(Date.now() / 1000) + s;

// These take the seconds that they are about, so they run side by side.
describe('messenger in time', { timeout: 300_000, concurrency: true }, () => {
	after(leaveAll);

	describe('coming and going', { timeout: 120_000, concurrency: true }, () => {
		let server;
		let watcher;
		before(async () => {
			server = await start({ root: 'messenger' });
			watcher = await sit(server, await person(server, 'Watcher'));
		});
		after(() => server?.stop());

		const people = (...names) => Promise.all(names.map((name) => person(server, name)));

		// Goes, and gives how long after that `one` hears of it by `name`.
		async function farewell(one, leaver, name) {
			const then = Date.now();
			const times = one.count(name, about(leaver.user));
			leaver.leave();
			await until(() => one.count(name, about(leaver.user)) > times, name, { every: 5 });
			return Date.now() - then;
		}

		// It is told 5 to 6 seconds after; the rest is for a busy machine.
		function assertInTime(ms) {
			assert.ok(ms >= 4900 && ms < 20_000, `after ${ms} ms`);
		}

		// Until another has come and gone after all that was started before.
		async function seeAnother() {
			const other = await sit(server, (await people('Other'))[0]);
			await farewell(watcher, other, 'user-leave');
			await settled(server, watcher);
		}

		const told = (one, user) => ['user-join', 'user-leave', 'user-online', 'user-offline']
			.map((name) => one.count(name, about(user)));

		for (const travel of Object.keys(TRAVEL)) {
			test(`${travel}: all hear of joining and leaving, those who wait of more`, wait, async () => {
				const [ann, bob, carl] = await people('Ann', 'Bob', 'Carl');
				const one = await sit(server, ann, { travel });
				const bystander = await sit(server, carl, { travel });
				const user = bob.username;
				assert.deepEqual(await one.ask('wait-for-user', { user }), {});
				assert.deepEqual(told(one, bob), [0, 0, 0, 0]);
				const other = await sit(server, bob, { travel });
				assert.deepEqual(await one.next('user-online', about(bob)), { user });
				assert.deepEqual(await one.next('user-join', about(bob)), { user });
				// One’s own, too.
				assert.deepEqual(await other.next('user-join', about(bob)), { user });
				// One who is online already is announced at once, to oneself, too.
				for (const each of [bystander, other]) {
					assert.deepEqual(await each.ask('wait-for-user', { user }), {});
					assert.deepEqual(each.all('user-online').filter(about(bob)), [{ user }]);
				}
				assert.deepEqual(await bystander.ask('stop-waiting-for-user', { user }), {});
				const leaving = farewell(one, other, 'user-offline');
				await bystander.next('user-leave', about(bob));
				await one.next('user-leave', about(bob));
				assertInTime(await leaving);
				await settled(server, one, bystander);
				assert.deepEqual(told(one, bob), [1, 1, 1, 1]);
				assert.deepEqual(told(bystander, bob), [1, 1, 1, 0]);
			});
		}

		test('it is the namespace / where it is the root', wait, async () => {
			const [ann] = await people('Ann');
			const one = await enter(server, { token: ann.token });
			assert.deepEqual(await one.next('user-join', about(ann)), { user: ann.username });
		});

		test('several sockets on several workers are one user; sockets of other APIs count', wait, async () => {
			const [ann, bob] = await people('Ann', 'Bob');
			const one = await sit(server, ann);
			await one.ask('wait-for-user', { user: bob.username });
			const first = await sit(server, bob);
			const second = await apart(server, bob, first);
			const third = await sit(server, bob, { travel: 'polling' });
			const channels = await enter(server, { token: bob.token, nsp: '/channels' });
			channels.user = bob;
			for (const each of [first, second, third])
				each.leave();
			await seeAnother();
			await settled(server, one);
			assert.deepEqual(told(one, bob), [1, 0, 1, 0]);
			assertInTime(await farewell(one, channels, 'user-offline'));
			await settled(server, one);
			assert.deepEqual(told(one, bob), [1, 1, 1, 1]);
		});

		test('a return within five seconds is neither', wait, async () => {
			const [ann, bob] = await people('Ann', 'Bob');
			const one = await sit(server, ann);
			const isOnline = async () => (await one.ask('fetch-users', {})).users
				.find(({ username }) => username === bob.username).isOnline;
			assert.equal(await isOnline(), false);
			await one.ask('wait-for-user', { user: bob.username });
			const first = await sit(server, bob);
			await one.next('user-online', about(bob));
			const r = redis(server);
			first.leave();
			await until(async () => await r.zscore('leaving', bob.id) !== null, 'leaving');
			// However long it takes here.
			await r.zadd('leaving', 'XX', Date.now() + 60_000, bob.id);
			assert.equal(await isOnline(), true);
			const second = await sit(server, bob);
			await until(async () => await r.zscore('leaving', bob.id) === null, 'return');
			await seeAnother();
			await settled(server, one);
			assert.deepEqual(told(one, bob), [1, 0, 1, 0]);
			assertInTime(await farewell(one, second, 'user-offline'));
			assert.equal(await isOnline(), false);
			r.disconnect();
		});

		test('who stopped waiting hears no more, who waits twice hears once', wait, async () => {
			const [ann, bob] = await people('Ann', 'Bob');
			const one = await sit(server, ann);
			const other = await sit(server, ann);
			const user = bob.username;
			for (const each of [one, other]) {
				await each.ask('wait-for-user', { user });
				await each.ask('wait-for-user', { user });
			}
			assert.deepEqual(await one.ask('stop-waiting-for-user', { user }), {});
			// Of nobody that is waited for, the same.
			assert.deepEqual(await one.ask('stop-waiting-for-user', { user }), {});
			// Who leaves and comes anew waits for nobody.
			const anew = await sit(server, ann);
			await anew.ask('wait-for-user', { user });
			anew.socket.disconnect();
			anew.socket.connect();
			await anew.connected();
			const bobs = await sit(server, bob);
			await other.next('user-online', about(bob));
			await farewell(other, bobs, 'user-offline');
			await settled(server, one, other, anew);
			assert.deepEqual(told(one, bob), [1, 1, 0, 0]);
			assert.deepEqual(told(anew, bob), [1, 1, 0, 0]);
			assert.deepEqual(told(other, bob), [1, 1, 1, 1]);
		});

		test('a user who is deleted goes like any other', wait, async () => {
			const [ann, bob] = await people('Ann', 'Bob');
			const one = await sit(server, ann);
			const bobs = await sit(server, bob);
			await one.ask('wait-for-user', { user: bob.username });
			assert.equal((await rest(server, 'DELETE', '/login/delete', bob.token)).status, 200);
			await one.next('user-offline', about(bob));
			assert.deepEqual(bobs.all('auth-failed'), [{ message: 'Authentication failed' }]);
			await settled(server, one);
			assert.deepEqual(told(one, bob), [1, 1, 1, 1]);
		});

		for (const travel of Object.keys(TRAVEL)) {
			test(`${travel}: a token that expires ends its socket`, wait, async () => {
				const exp = inSeconds(12);
				const ann = await person(server, 'Ann', { exp });
				const one = await sit(server, ann, { travel, reconnection: true });
				assert.deepEqual(await one.next('auth-failed'), { message: 'Authentication failed' });
				assert.equal(await one.disconnected(), 'io server disconnect');
				assert.equal(one.socket.active, false);
				assert.ok(Date.now() >= exp * 1000 - 50, 'too early');
			});
		}
	});

	describe('limits', { timeout: 120_000, concurrency: false }, () => {
		let server;
		let control;
		before(async () => {
			const options = { 'messenger-announce-limit': 2, 'message-rate': '1 5', 'event-rate': '1 100' };
			server = await start({ options });
			control = redis(server);
		});
		after(async () => {
			control?.disconnect();
			await server?.stop();
		});

		const people = (...names) => Promise.all(names.map((name) => person(server, name)));

		test('above messenger-announce-limit only those who wait are told', wait, async () => {
			const [ann, bob, carl] = await people('Ann', 'Bob', 'Carl');
			const one = await sit(server, ann);
			const second = await sit(server, bob);
			await one.next('user-join', about(bob));
			await one.ask('wait-for-user', { user: carl.username });
			const third = await sit(server, carl);
			await one.next('user-online', about(carl));
			third.leave();
			await until(async () => await control.zscore('leaving', carl.id) !== null, 'leaving');
			// When he goes two are left, as many as may be.
			second.leave();
			await one.next('user-offline', about(carl));
			await one.next('user-leave', about(bob));
			assert.equal(one.count('user-join', about(carl)) + one.count('user-leave', about(carl)), 0);
		});

		test('chats are limited per user, over all sockets', wait, async () => {
			const [ann, bob] = await people('Ann', 'Bob');
			const sockets = [await sit(server, ann), await sit(server, ann)];
			const other = await sit(server, bob);
			const answers = await Promise.all(Array.from({ length: 20 }, (_, i) =>
				sockets[i % 2].ask('send-message', { user: bob.username, message: `n ${i}` })));
			const sent = answers.filter(({ chat }) => chat).length;
			// The burst, and what the time that this takes adds.
			assert.ok(sent >= 5 && sent < 20, `${sent} sent`);
			for (const { error } of answers.filter(({ chat }) => !chat))
				assert.deepEqual(error, { code: 'rate-limited', message: 'Rate limit exceeded. Please slow down.' });
			await until(() => other.count('chat') === sent, 'what was sent');
			assert.deepEqual(await other.ask('fetch-unread-chats-count', { user: ann.username }),
				{ unreadChatsCount: sent });
		});

		test('events are limited per connection, too', wait, async () => {
			const [ann, bob] = await people('Ann', 'Bob');
			const one = await sit(server, ann);
			const answers = await Promise.all(Array.from({ length: 150 }, () =>
				one.ask('fetch-unread-chats-count', { user: bob.username })));
			const refused = answers.filter(({ error }) => error);
			assert.ok(refused.length > 0 && refused.length < 150, `${refused.length} refused`);
			for (const { error } of refused)
				assert.deepEqual(error, { code: 'rate-limited', message: 'Rate limit exceeded. Please slow down.' });
		});

		test('users come in pages of at most 1,000, by username', wait, async () => {
			const [ann, eve] = await people('Ann', 'Eve');
			const names = Array.from({ length: 1003 }, (_, i) => `crowd-${String(i).padStart(4, '0')}`);
			const crowd = control.pipeline();
			for (const name of names)
				crowd.fcall('user_enter', 0, name, name, name, '', '', '1', name);
			await crowd.exec();
			assert.equal((await rest(server, 'DELETE', '/login/delete', eve.token)).status, 200);
			const one = await sit(server, ann);
			await until(async () => await control.sismember('online', ann.id), 'Ann online');
			// Whoever was here before may still be leaving.
			const online = new Set(await control.smembers('online'));
			const all = [];
			for (const length of [1000, undefined]) {
				const { users } = await one.ask('fetch-users', { after: all.at(-1)?.username });
				assert.equal(users.length, length ?? users.length);
				all.push(...users);
			}
			assert.deepEqual(all.map(({ username }) => username).filter((name) => /^crowd-/.test(name)), names);
			const lower = all.map(({ username }) => username.toLowerCase());
			assert.deepEqual(lower, [...lower].sort());
			assert.ok(lower.includes(ann.username.toLowerCase()));
			assert.ok(!lower.includes(eve.username.toLowerCase()));
			assert.ok(online.has(ann.id));
			for (const each of all) {
				assert.deepEqual(Object.keys(each), ['username', 'isOnline']);
				assert.equal(each.isOnline, each.username === ann.username || online.has(each.username), each.username);
			}
			const { users } = await one.ask('fetch-users', { after: 'CROWD-0000', limit: 2 });
			assert.deepEqual(users.map(({ username }) => username), ['crowd-0001', 'crowd-0002']);
		});

		test('who was at a worker that died goes, unless they come back', wait, async () => {
			const [ann, bob, carl] = await people('Ann', 'Bob', 'Carl');
			const bobs = await sit(server, bob);
			const one = await apart(server, ann, bobs);
			const victim = workerOfChatter(server, bobs);
			const carls = await until(async () => {
				const each = await sit(server, carl, { reconnection: true });
				return workerOfChatter(server, each) === victim ? each : each.leave();
			}, 'socket on that worker', { every: 0 });
			for (const user of [bob, carl])
				await one.ask('wait-for-user', { user: user.username });
			process.kill(victim, 'SIGKILL');
			await one.next('user-offline', about(bob), 30_000);
			assert.equal(carls.socket.connected, true);
			assert.equal(one.count('user-offline', about(carl)), 0);
		});

		test('without Redis each event is unavailable; later it works, and who went is told of', wait, async () => {
			const [ann, bob, carl] = await people('Ann', 'Bob', 'Carl');
			const one = await sit(server, ann);
			const other = await sit(server, bob);
			const third = await sit(server, carl);
			const user = bob.username;
			const { id } = await say(other, ann, 'before');
			await one.ask('wait-for-user', { user: carl.username });
			const failing = [
				['fetch-users', {}, 'Failed to fetch the users'],
				['fetch-conversation-with-user', { user }, 'Failed to fetch the conversation'],
				['fetch-unread-chats-count', { user }, 'Failed to count the chats'],
				['read-chat', { id }, 'Failed to read the chat'],
				['send-message', { user, message: 'lost?', clientMessageId: 'kept' }, 'Failed to send the message'],
				['wait-for-user', { user }, 'Failed to wait for the user'],
				['stop-waiting-for-user', { user }, 'Failed to stop waiting for the user'],
			];
			const pid = Number((await control.info('server')).match(/process_id:(\d+)/)[1]);
			process.kill(pid, 'SIGSTOP');
			third.leave();
			try {
				const answers = await Promise.all(failing.map(([event, body]) => one.ask(event, body)));
				assert.deepEqual(answers,
					failing.map(([, , message]) => ({ error: { code: 'unavailable', message } })));
			} finally {
				process.kill(pid, 'SIGCONT');
			}
			for (const [event, body] of failing) {
				const answer = await until(async () => {
					const said = await one.ask(event, body);
					return !said.error && said;
				}, `${event} that works`);
				assert.equal(typeof answer, 'object');
			}
			// The same clientMessageId: once, however often it was tried.
			const { chats } = await one.ask('fetch-conversation-with-user', { user });
			assert.equal(chats.filter(({ message }) => message === 'lost?').length, 1);
			// He went while nobody could be told.
			await one.next('user-offline', about(carl));
		});
	});
});

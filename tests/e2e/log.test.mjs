// What the log tells of clients: who was refused and from where, nothing that they could have written, never a
// secret, and only so much at a time.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { enter } from '../lib/chatter.mjs';
import { allLeave, statusOf } from '../lib/ends.mjs';
import { Streaming } from '../lib/engine.mjs';
import { channel, person, unique } from '../lib/people.mjs';
import { redis } from '../lib/redis.mjs';
import { rest } from '../lib/rest.mjs';
import { start } from '../lib/server.mjs';
import { token } from '../lib/token.mjs';
import { until } from '../lib/wait.mjs';
import { Wire } from '../lib/wire.mjs';

const FROM = 'from=127\\.0\\.0\\.1:\\d+';

describe('the log', { timeout: 120_000 }, () => {
	let server;
	let ann;
	before(async () => {
		server = await start({ options: { workers: 1, 'password-rate': 2, 'message-rate': '1 1' } });
		ann = await person(server, 'Ann');
	});
	after(async () => {
		allLeave();
		await server?.stop();
	});

	// What it says of what happens in `act`, once a line matches.
	const told = async (line, act) => {
		const from = server.output.length;
		await act();
		await until(() => line.test(server.output.slice(from)), `${line}`)
			.catch((error) => assert.fail(`${error.message}\n${server.output.slice(from)}`));
		return server.output.slice(from);
	};
	const signin = (username, password) => rest(server, 'POST', '/login/signin', undefined, { username, password });

	test('knows who tries passwords', async () => {
		const username = unique('bob').replaceAll('-', '_');
		const made = await rest(server, 'POST', '/login/signup', undefined, { username, password: 'correct horse' });
		assert.equal(made.status, 201, made.body);
		const wrong = new RegExp(`info worker 0 request POST /login/signin user=${username} ${FROM} ` +
			'refused: Authentication failed$', 'm');
		const said = await told(wrong, async () => assert.equal((await signin(username, 'wrong horse')).status, 401));
		assert.doesNotMatch(said, /horse/);
		await signin(username, 'wrong horse');
		await told(new RegExp(`user=${username} from=\\S+ refused: Rate limit exceeded`),
			async () => assert.equal((await signin(username, 'correct horse')).status, 429));
	});

	test('knows who tries the password of a channel', async () => {
		const [one, two] = await Promise.all([ann, await person(server, 'Bob')]
			.map((who) => enter(server, { token: who.token, nsp: '/gateway' })));
		const name = unique('den');
		one.emit('createChannel', { name, status: 'PRIVATE', password: 'right horse' });
		await one.next('createChannelSuccess');
		const said = await told(
			new RegExp(` event joinChannel user=Bob-\\S+ at=/gateway ${FROM} refused: Forbidden$`, 'm'),
			async () => {
				two.emit('joinChannel', { name, password: 'wrong horse' });
				assert.deepEqual(await two.next('joinChannelError'), { message: 'Wrong password' });
			});
		assert.doesNotMatch(said, /horse/);
	});

	test('knows where tokens are refused, not which', async () => {
		const bad = token({ sub: ann.id }, { secret: 'another secret of at least 32 characters' });
		const said = await told(
			new RegExp(`info worker 0 request GET /api/channels user=- ${FROM} refused: Authentication failed$`, 'm'),
			() => rest(server, 'GET', '/api/channels', bad));
		assert.doesNotMatch(said, new RegExp(bad.slice(-20)));
		await told(/request GET \/api\/channels user=- from=\S+ refused: Authentication token required$/m,
			() => rest(server, 'GET', '/api/channels'));
		await told(/request POST \/api\/upload user=- from=\S+ refused: Authentication failed$/m,
			() => rest(server, 'POST', '/api/upload', bad, 'x', { 'Content-Type': 'multipart/form-data; boundary=x' }));
	});

	test('knows who is too fast', async () => {
		const id = await channel(server, ann);
		const one = await enter(server, { token: ann.token });
		await told(new RegExp(`info worker 0 event send_message user=${ann.id} at=/ ${FROM} refused: Rate limit`),
			async () => {
				for (let n = 0; n < 5; n++)
					await one.ask('send_message', { channelId: id, content: 'secret words' });
			});
		assert.doesNotMatch(server.output, /secret words/);
	});

	test('has no line that a client wrote', async () => {
		const forged = '2026-11-21T00:00:00.000Z error master all is lost';
		const said = await told(/user=eve%0A/, () => signin(`eve\n${forged}\x1b[2J\r\u009b`, 'guess'));
		for (const line of said.trimEnd().split('\n'))
			assert.match(line, /^\d{4}-\S+Z (info|warn) worker 0 /);
		assert.doesNotMatch(said, /[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
		const session = await Streaming.open(server.port);
		await session.send(`40/x\n${forged}\x1b[2J,`);
		assert.match(await session.next(), /^44/);
		await told(/ended: parse error/, () => session.send(`42/x\n${forged},["a"]`));
		assert.ok(server.output.split('\n').every((line) => !line.startsWith(forged)));
	});

	test('says each second that Redis tells what is no event, however much of it comes', async () => {
		await enter(server, { token: ann.token });
		const teller = redis(server);
		const from = server.output.length;
		const line = new RegExp(`warn worker 0 feed user:${ann.id}: a message that is no event \\(and \\d+ more before\\)$`,
			'm');
		try {
			await until(async () => {
				assert.ok(await teller.publish(`user:${ann.id}`, 'nonsense') > 0);
				return line.test(server.output.slice(from));
			}, `${line}`);
		} finally {
			teller.disconnect();
		}
	});

	test('has a bound: what is beyond is counted', async () => {
		const MANY = 300;
		const from = server.output.length;
		const begun = performance.now();
		const offend = async () => {
			const wire = await Wire.connect(server.port);
			wire.send('nonsense\r\n\r\n');
			assert.equal(await statusOf(wire), 400);
		};
		for (let n = 0; n < MANY; n += 20)
			await Promise.all(Array.from({ length: 20 }, offend));
		const count = () => {
			const said = server.output.slice(from);
			const left = [...said.matchAll(/ info worker 0 \.\.\. and (\d+) more ends$/gm)].map(([, n]) => Number(n));
			return [said.match(/ended: bad request$/gm).length, left];
		};
		await until(() => {
			const [there, left] = count();
			return there + left.reduce((sum, n) => sum + n, 0) === MANY;
		}, 'all of them');
		const [there, left] = count();
		assert.ok(left.length > 0);
		// At most so many in each second, of which the first and the last are parts.
		const seconds = Math.ceil((performance.now() - begun) / 1000) + 1;
		assert.ok(there <= 20 * seconds, `${there} lines in ${seconds} seconds`);
	});
});

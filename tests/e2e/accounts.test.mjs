// Accounts over REST: signup, signin, me, delete, and the errors that all REST endpoints share.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { enter, leaveAll, Chatter } from '../lib/chatter.mjs';
import { examples, run } from '../lib/examples.mjs';
import { channel, conversation, person, unique } from '../lib/people.mjs';
import { rest } from '../lib/rest.mjs';
import { start } from '../lib/server.mjs';
import { token } from '../lib/token.mjs';
import { until } from '../lib/wait.mjs';

const PASSWORD = 'correct horse battery';

function assertError(answer, status, field) {
	assert.equal(answer.status, status, answer.body);
	assert.match(answer.headers['content-type'], /^application\/json/);
	assert.deepEqual(Object.keys(answer.json).sort(), ['errors', 'message']);
	assert.equal(typeof answer.json.message, 'string');
	if (field) {
		assert.deepEqual(Object.keys(answer.json.errors), [field]);
		assert.ok(answer.json.errors[field].every((text) => typeof text === 'string'));
	} else {
		assert.deepEqual(answer.json.errors, {});
	}
}

describe('accounts', { timeout: 600_000 }, () => {
	let server;
	before(async () => { server = await start(); });
	after(async () => {
		leaveAll();
		await server?.stop();
	});

	const name = (stem) => unique(stem).replaceAll('-', '_');
	const signup = (body) => rest(server, 'POST', '/login/signup', null, body);
	const signin = (body) => rest(server, 'POST', '/login/signin', null, body);
	const me = (jwt, headers) => rest(server, 'GET', '/login/me', jwt, undefined, headers);

	test('signup, signin, me', async () => {
		const username = name('Carol');
		const made = await signup({ username, password: PASSWORD, name: 'Carol C.', image: 'https://i.example/c' });
		assert.equal(made.status, 201, made.body);
		assert.deepEqual(Object.keys(made.json).sort(), ['token', 'user']);
		const { user } = made.json;
		assert.equal(user.username, username);
		assert.equal(user.name, 'Carol C.');
		assert.equal(user.image, 'https://i.example/c');
		assert.doesNotMatch(made.body, /correct horse|argon2|hash/);
		const again = await signin({ username: username.toUpperCase(), password: PASSWORD });
		assert.equal(again.status, 200, again.body);
		assert.equal(again.json.user.id, user.id);
		for (const { json } of [made, again]) {
			const who = await me(json.token);
			assert.equal(who.status, 200);
			assert.deepEqual(who.json, { user });
		}
		const one = await enter(server, { token: again.json.token });
		assert.equal((await one.next('authenticated')).userId, user.id);
	});

	test('a name is taken once, in any case', async () => {
		const username = name('dave');
		assert.equal((await signup({ username, password: PASSWORD })).status, 201);
		assertError(await signup({ username, password: PASSWORD }), 409,
			(await signup({ username, password: PASSWORD })).json.errors.username ? 'username' : undefined);
		assert.equal((await signup({ username: username.toUpperCase(), password: PASSWORD })).status, 409);
	});

	test('of many at once one gets the name', async () => {
		const username = name('race');
		const all = await Promise.all(Array.from({ length: 5 }, () =>
			signup({ username, password: PASSWORD })));
		assert.deepEqual(all.map(({ status }) => status).sort(), [201, 409, 409, 409, 409]);
	});

	test('unknown user and wrong password are told alike', async () => {
		const username = name('frank');
		await signup({ username, password: PASSWORD });
		const wrong = await signin({ username, password: 'not the password' });
		const unknown = await signin({ username: name('nobody'), password: PASSWORD });
		assertError(wrong, 401);
		assert.equal(unknown.status, 401);
		assert.equal(unknown.body, wrong.body);
	});

	for (const [what, body, field] of [
		['no username', { password: PASSWORD }, 'username'],
		['an empty username', { username: '', password: PASSWORD }, 'username'],
		['a username of 33', { username: 'a'.repeat(33), password: PASSWORD }, 'username'],
		['a blank in the username', { username: 'a b', password: PASSWORD }, 'username'],
		['an é in the username', { username: 'rené', password: PASSWORD }, 'username'],
		['a number as username', { username: 5, password: PASSWORD }, 'username'],
		['no password', { username: 'george' }, 'password'],
		['a password of 7', { username: 'george', password: '1234567' }, 'password'],
		['a password of 129', { username: 'george', password: 'x'.repeat(129) }, 'password'],
		['a name of 65', { username: 'george', password: PASSWORD, name: 'é'.repeat(65) }, 'name'],
		['NUL in the name', { username: 'george', password: PASSWORD, name: 'a\0b' }, 'name'],
		['an image that is no text', { username: 'george', password: PASSWORD, image: {} }, 'image'],
	]) {
		test(`signup with ${what} gets 422`, async () => assertError(await signup(body), 422, field));
	}

	test('lengths count code points', async () => {
		const made = await signup({ username: name('hal'), password: PASSWORD, name: '🙂'.repeat(64) });
		assert.equal(made.status, 201, made.body);
		assert.equal(made.json.user.name, '🙂'.repeat(64));
	});

	// A token has it, and has to fit into a header.
	test('an image of whatever length is kept', async () => {
		for (const letter of ['x', 'é', '\u{1f600}', '\u0001']) {
			const image = letter.repeat(2048);
			const made = await signup({ username: name('long'), password: PASSWORD, image });
			assert.equal(made.status, 201, made.body);
			assert.equal(made.json.user.image, image);
			const who = await me(made.json.token);
			assert.deepEqual([who.status, who.json], [200, { user: made.json.user }]);
		}
	});

	for (const [what, body] of [
		['nothing', ''],
		['no JSON', 'hello'],
		['half of it', '{"username":"a"'],
		['an array', '[]'],
		['a text', '"a"'],
		['null', 'null'],
		['what is not UTF-8', Buffer.from('{"username":"\xff"}', 'latin1')],
		['a lone surrogate', '{"username":"\\ud800"}'],
		['two values', '{}{}'],
	]) {
		test(`a body of ${what} gets 400`, async () => assertError(await signup(body), 400));
	}

	test('the other errors have that form too', async () => {
		assertError(await rest(server, 'GET', '/login/nowhere'), 404);
		const wrong = await rest(server, 'GET', '/login/signup');
		assertError(wrong, 405);
		assert.match(wrong.headers.allow, /POST/);
		assertError(await rest(server, 'POST', '/login/signup', null, 'a=b',
			{ 'Content-Type': 'application/x-www-form-urlencoded' }), 415);
		assertError(await rest(server, 'POST', '/login/signup', null,
			`{"username":"${'x'.repeat(1_100_000)}"}`), 413);
	});

	test('every endpoint behind a token wants one', async () => {
		for (const [method, path] of [
			['GET', '/login/me'], ['DELETE', '/login/delete'], ['POST', '/login/delete'],
			['GET', '/api/channels'], ['POST', '/api/channels'], ['GET', '/api/conversations'],
			['POST', '/api/conversations'], ['GET', '/api/messages?channelId=a'],
			['GET', '/api/conversations/a/messages'], ['GET', '/api/channels/a/members'],
			['POST', '/api/channels/a/members'], ['DELETE', '/api/channels/a/members/b'],
			['GET', '/api/stats'], ['GET', '/api/ws/stats'],
		]) {
			const body = method === 'POST' ? {} : undefined;
			assertError(await rest(server, method, path, null, body), 401);
			assertError(await rest(server, method, path, 'garbage', body), 401);
		}
	});

	test('what makes a token bad', async () => {
		const now = Math.floor(Date.now() / 1000);
		const sub = unique('token');
		const good = token({ sub });
		const [head, , signature] = good.split('.');
		const other = token({ sub: 'somebody-else' }).split('.')[1];
		assert.equal((await me(good)).status, 200);
		assert.equal((await me(null, { Authorization: good })).status, 200);
		assert.equal((await me(token({ sub, exp: null }))).status, 200);
		for (const bad of [
			token({ sub, exp: now - 60 }), token({ sub, nbf: now + 60 }), token({ sub, exp: 'tomorrow' }),
			token({ sub, exp: -1 }), token({ sub }, { secret: 'other' }), token({ sub }, { alg: 'none' }),
			token({ sub }, { alg: 'HS384' }), token({ sub }, { alg: 'HS512' }),
			token({}), token({ sub: '' }), token({ sub: null }), token({ sub: ['a'] }),
			token({ sub: 'x'.repeat(129) }), token({ sub: 'a\nb' }), token({ sub: 'é' }),
			`${head}.${other}.${signature}`, `${head}.${good.split('.')[1]}.`, `${good}x`, `${good}.x`,
			good.slice(0, -2), '..', 'a.b.c', 'x'.repeat(9000),
		])
			assert.equal((await me(bad)).status, 401, bad.slice(0, 200));
	});

	test('a taken or odd username becomes one of its own', async () => {
		const taken = name('taken');
		await signup({ username: taken, password: PASSWORD });
		for (const claims of [{ username: taken }, { username: 'not valid!' }, {}]) {
			const { json } = await me(token({ sub: unique('sub'), ...claims }));
			assert.match(json.user.username, /^user-[0-9a-f]{12}$/);
		}
	});

	test('later claims update name and image', async () => {
		const sub = unique('changing');
		assert.equal((await me(token({ sub, name: 'Old' }))).json.user.name, 'Old');
		const { user } = (await me(token({ sub, name: 'New', picture: 'https://i.example/n' }))).json;
		assert.equal(user.name, 'New');
		assert.equal(user.image, 'https://i.example/n');
	});

	test('a deleted account: sockets closed, token refused, rooms left, name kept', async () => {
		const username = name('ivy');
		const made = (await signup({ username, password: PASSWORD })).json;
		const jwt = made.token;
		const other = await person(server, 'Other');
		const channelId = await channel(server, other, [made.user]);
		const directId = await conversation(server, other, made.user);
		const sockets = [];
		for (const travel of ['websocket', 'polling', 'upgrade', 'websocket', 'websocket', 'websocket'])
			sockets.push(await enter(server, { token: jwt, travel }));
		await sockets[0].ask('join_channel', { channelId });
		await sockets[0].ask('send_message', { channelId, content: 'my last' });
		assert.deepEqual((await rest(server, 'DELETE', '/login/delete', jwt)).json, {});
		for (const one of sockets)
			await one.disconnected();
		await until(async () => (await me(jwt)).status === 401, 'refusal of the token');
		for (let i = 0; i < 8; i++)
			assert.equal((await me(jwt)).status, 401);
		assertError(await rest(server, 'GET', '/api/stats', jwt), 401);
		assert.equal((await new Chatter(server, { token: jwt }).refused()).message, 'Authentication failed');
		assert.equal((await signin({ username, password: PASSWORD })).status, 401);
		assert.equal((await signup({ username, password: PASSWORD })).status, 409);
		await until(async () => {
			const members = await rest(server, 'GET', `/api/channels/${channelId}/members`, other.token);
			return !members.body.includes(made.user.id);
		}, 'end of the membership');
		// What was said stays, also in the direct room.
		const history = await rest(server, 'GET', `/api/messages?channelId=${channelId}`, other.token);
		assert.equal(history.json.data[0].content, 'my last');
		const direct = await rest(server, 'GET', `/api/conversations/${directId}/messages`, other.token);
		assert.equal(direct.status, 200);
		const one = await enter(server, { token: other.token });
		const answer = await one.ask('send_direct_message', { conversationId: directId, content: 'you there?' });
		assert.equal(answer.ok, false);
	});

	test('POST deletes too', async () => {
		const made = (await signup({ username: name('jim'), password: PASSWORD })).json;
		assert.equal((await rest(server, 'POST', '/login/delete', made.token, {})).status, 200);
		await until(async () => (await me(made.token)).status === 401, 'refusal of the token');
	});
});

describe('limits of accounts', { timeout: 120_000 }, () => {
	let server;
	before(async () => { server = await start({ options: { 'password-rate': 3 } }); });
	after(() => server?.stop());

	test('after too many wrong passwords the right one is refused too', async () => {
		const username = unique('kim').replaceAll('-', '_');
		const body = { username, password: PASSWORD };
		assert.equal((await rest(server, 'POST', '/login/signup', null, body)).status, 201);
		let limited;
		for (let i = 0; i < 6 && !limited; i++) {
			const answer = await rest(server, 'POST', '/login/signin', null,
				{ username, password: 'wrong password' });
			if (answer.status === 429)
				limited = answer;
			else
				assert.equal(answer.status, 401);
		}
		assert.ok(limited, 'never limited');
		assert.ok(Number(limited.headers['retry-after']) > 0);
		const right = await rest(server, 'POST', '/login/signin', null, body);
		assert.equal(right.status, 429);
	});
});

describe('the page of accounts', { timeout: 120_000 }, () => {
	let server;
	const scope = {};
	before(async () => {
		server = await start();
		scope.fetch = async (url, options) => {
			const answer = await fetch(url.replace('http://localhost:8000', server.url), options);
			// The token that the page goes on with is the last one that it got.
			scope.token = (await answer.clone().json()).token ?? scope.token;
			return answer;
		};
	});
	after(() => server?.stop());

	for (const example of examples('docs/accounts.md'))
		test(`the page: ${example.heading}`, () => run(example, scope));
});

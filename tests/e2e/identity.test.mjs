// Who one is, everywhere: each API that has accounts, at each place where it is served, on three hosts that
// share a Redis, of four workers each.
import { after, afterEach, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash, createHmac, generateKeyPairSync, sign } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Chatter, TRAVEL, leaveAll } from '../lib/chatter.mjs';
import { Listener, hangUpAll } from '../lib/listener.mjs';
import { person, unique } from '../lib/people.mjs';
import { RedisChild } from '../lib/redis.mjs';
import { rest } from '../lib/rest.mjs';
import { start } from '../lib/server.mjs';
import { token } from '../lib/token.mjs';
import { until } from '../lib/wait.mjs';

const wait = { timeout: 60_000 };
const KICKED = 'io server disconnect';
const NO_TOKEN = 'Authentication token required';
const FAILED = 'Authentication failed';
// How late an end may come: within a second, and what a busy machine adds.
const END_MS = 1000 + 15_000;
// With four workers at a host, each of them is asked with near certainty.
const KNOCKS = 24;

const nowS = () => Math.floor(Date.now() / 1000);
const fallbackName = (sub) => `user-${createHash('sha256').update(sub).digest('hex').slice(0, 12)}`;

// The words of each API: for no token, a bad one, a deleted user's; how it greets, and refuses; the event
// that comes before the end of who was welcome; and in what it tells of a message between two.
const SOCKETS = {
	channels: {
		missing: NO_TOKEN, bad: FAILED, deleted: FAILED, farewell: 'error',
		greets: (one) => one.next('authenticated'),
		refuses: async (one) => {
			await until(() => one.errors.length > 0, 'refusal', { every: 5 });
			assert.deepEqual(one.heard, []);
			return one.errors[0].message;
		},
		hears: async (one, room, text) => {
			assert.equal((await one.ask('join_conversation', { conversationId: room })).ok, true);
			return () => one.next('new_direct_message', ({ content }) => content === text);
		},
	},
	gateway: {
		missing: NO_TOKEN, bad: FAILED, deleted: FAILED, farewell: 'accessDenied',
		greets: (one) => one.next('updateChatHistory'),
		refuses: (one) => toldAndKicked(one, 'accessDenied'),
		hears: async (one, room, content) => () => one.next('newMessage', ({ text }) => text === content),
	},
	messenger: {
		missing: NO_TOKEN, bad: FAILED, deleted: FAILED, farewell: 'auth-failed',
		greets: async (one) => assert.ok((await one.ask('fetch-users', { limit: 1 })).users),
		refuses: (one) => toldAndKicked(one, 'auth-failed'),
		hears: async (one, room, text) => () => one.next('chat', ({ chat }) => chat.message === text),
	},
};

// Connected, told why not, and disconnected; nothing else was heard.
async function toldAndKicked(one, event) {
	const said = await one.next(event);
	assert.deepEqual(Object.keys(said), ['message']);
	assert.equal(await one.disconnected(), KICKED);
	assert.deepEqual(one.heard.map(({ name }) => name), [event]);
	return said.message;
}

// A stock Socket.IO client at a place, with a token somewhere; it would come back if it were let.
class SocketVisitor {
	constructor(server, place, { auth, query, header }, travel = 'websocket') {
		this.words = SOCKETS[place.api];
		this.connections = 0;
		this.one = new Chatter(server, {
			nsp: place.nsp, travel, token: auth, reconnection: true,
			...(place.path && { path: place.path }),
			...(query !== undefined && { query: { token: query } }),
			...(header !== undefined && { extraHeaders: { Authorization: header } }),
		});
		this.one.errors = [];
		this.one.socket.on('connect', () => { this.connections += 1; });
		this.one.socket.on('connect_error', (error) => this.one.errors.push(error));
	}

	async greeted() {
		await this.words.greets(this.one);
		return this;
	}

	// Not let in, and not coming back: gives the word.
	async refusal() {
		const word = await this.words.refuses(this.one);
		assert.equal(this.one.socket.active, false, 'it comes back');
		this.one.leave();
		return word;
	}

	// Was let in, and is not welcome any more: gives the word.
	async end() {
		const said = await this.one.next(this.words.farewell);
		assert.deepEqual(Object.keys(said), ['message']);
		assert.equal(await this.one.disconnected(), KICKED);
		assert.equal(this.one.socket.active, false, 'it comes back');
		assert.equal(this.one.heard.at(-1).name, this.words.farewell);
		assert.equal(this.connections, 1);
		return said.message;
	}

	lives() {
		return this.one.socket.connected && this.connections === 1;
	}

	hears(room, text) {
		return this.words.hears(this.one, room, text);
	}
}

// The same by a plain WebSocket; `ws` has no place for a token but the query and headers.
class PlainVisitor {
	words = { missing: 'MissingToken', bad: 'BadToken', deleted: 'UserIsDeleted' };

	constructor(server, place, { auth, query = auth, header }) {
		this.one = new Listener(server, { token: query && encodeURIComponent(query),
			...(header !== undefined && { headers: { Authorization: header } }) });
	}

	async greeted() {
		assert.equal(await this.one.answers(), true, JSON.stringify(this.one.ended));
		return this;
	}

	// Connected, told why not, and closed: the same word thrice.
	async refusal() {
		const { code, reason } = await this.one.closed();
		assert.equal(code, 1008);
		assert.deepEqual(this.one.heard, [reason]);
		return reason;
	}

	async end() {
		const { code, reason } = await this.one.closed();
		assert.equal(code, 1008);
		assert.equal(this.one.heard.at(-1), reason);
		return reason;
	}

	lives() {
		return this.one.ended === null;
	}

	async hears(room, text) {
		return () => until(() => this.one.heard.some(({ roomId, content }) =>
			roomId === room && content === text), 'notification', { every: 5 });
	}
}

// Where each API is: on a host whose root it is, and elsewhere.
const PLACES = {
	'channels at /': { host: 'channels', api: 'channels', nsp: '/' },
	'channels at /channels': { host: 'gateway', api: 'channels', nsp: '/channels' },
	'gateway at /': { host: 'gateway', api: 'gateway', nsp: '/' },
	'gateway at /gateway': { host: 'messenger', api: 'gateway', nsp: '/gateway' },
	'messenger at /': { host: 'messenger', api: 'messenger', nsp: '/' },
	'messenger at /messenger': { host: 'channels', api: 'messenger', nsp: '/messenger' },
	'messenger at /ws/ /chat': { host: 'gateway', api: 'messenger', nsp: '/chat', path: '/ws/' },
	'notifications': { host: 'channels', api: 'notifications' },
};
const travels = ({ api }) => api === 'notifications' ? ['websocket'] : Object.keys(TRAVEL);

function visit(hosts, place, carried, travel) {
	const Visitor = place.api === 'notifications' ? PlainVisitor : SocketVisitor;
	return new Visitor(hosts[place.host], place, carried, travel);
}

const everywhere = (hosts, jwt) =>
	Promise.all(Object.values(PLACES).map((place) => visit(hosts, place, { auth: jwt }).greeted()));

const me = async (server, jwt) => (await rest(server, 'GET', '/login/me', jwt)).json.user;

// A token that was deleted with its user.
async function formerToken(server) {
	const former = await person(server, 'Former');
	assert.equal((await rest(server, 'DELETE', '/login/delete', former.token)).status, 200);
	return former.token;
}

function tampered() {
	const [head, , signature] = token({ sub: 'somebody' }).split('.');
	return `${head}.${token({ sub: 'somebody-else' }).split('.')[1]}.${signature}`;
}

// What, how to make it, and which word of the API it gets.
const BAD_TOKENS = [
	['an empty token', () => '', 'missing'],
	['garbage', () => 'garbage'],
	['a token that has expired', () => token({ sub: 'x', exp: nowS() - 6 })],
	['a token of later', () => token({ sub: 'x', nbf: nowS() + 60 })],
	['another secret', () => token({ sub: 'x' }, { secret: 'another-secret-of-at-least-32-chars' })],
	['HS512', () => token({ sub: 'x' }, { alg: 'HS512' })],
	['no algorithm', () => token({ sub: 'x' }, { alg: 'none' })],
	['a signature of something else', tampered],
	['no sub', () => token({ name: 'x' })],
	['a sub of 129', () => token({ sub: 'x'.repeat(129) })],
	['a sub that is not ASCII', () => token({ sub: 'zoë' })],
	['the token of a deleted user', formerToken, 'deleted'],
];

describe('identity', { timeout: 300_000 }, () => {
	const hosts = {};
	let shared;
	before(async () => {
		shared = await RedisChild.start();
		await Promise.all(['channels', 'gateway', 'messenger'].map(async (root) => {
			hosts[root] = await start({ root, options: { redis: shared.address } });
		}));
	});
	after(async () => {
		leaveAll();
		hangUpAll();
		await Promise.all(Object.values(hosts).map((host) => host.stop()));
		await shared?.end();
	});
	const leave = () => {
		leaveAll();
		hangUpAll();
	};

	for (const [where, place] of Object.entries(PLACES)) {
		describe(where, () => {
			afterEach(leave);

			for (const [how, carry] of [
				['in auth', (jwt) => ({ auth: jwt })],
				['in the query', (jwt) => ({ query: jwt })],
				['in the header', (jwt) => ({ header: `Bearer ${jwt}` })],
				['bare in the header', (jwt) => ({ header: jwt })],
			]) {
				test(`a token ${how}`, wait, async () => {
					const good = token({ sub: unique('good') });
					const late = token({ sub: unique('late'), exp: nowS() - 60 });
					await Promise.all(travels(place).flatMap((travel) => [
						visit(hosts, place, carry(good), travel).greeted(),
						visit(hosts, place, carry(late), travel).refusal().then((word) =>
							assert.equal(word, visit(hosts, place, {}).words.bad)),
					]));
				});
			}

			test('no token is refused', wait, () => Promise.all(travels(place).map(async (travel) => {
				const one = visit(hosts, place, {}, travel);
				assert.equal(await one.refusal(), one.words.missing);
			})));

			for (const [what, make, which = 'bad'] of BAD_TOKENS) {
				test(`${what} is refused`, wait, async () => {
					const jwt = await make(hosts[place.host]);
					const [auth, query] = [visit(hosts, place, { auth: jwt }), visit(hosts, place, { query: jwt })];
					assert.equal(await auth.refusal(), auth.words[which]);
					assert.equal(await query.refusal(), query.words[which]);
				});
			}

			test('the first visit makes a user, later ones change name and image', wait, async () => {
				const server = hosts[place.host];
				const host = await person(server, 'Host');
				const sub = unique('first');
				const known = async () => (await rest(server, 'POST', '/api/conversations', host.token,
					{ userId: sub })).status;
				assert.equal(await known(), 404);
				const claims = { sub, username: sub, name: 'Old', image: 'https://i.example/old' };
				await visit(hosts, place, { auth: token(claims) }).greeted();
				assert.equal(await known(), 201);
				const later = { sub, preferred_username: 'other', name: 'New', picture: 'https://i.example/new',
					email: 'new@x.example' };
				await visit(hosts, place, { auth: token(later) }).greeted();
				assert.deepEqual(await me(server, token({ sub })), { id: sub, username: sub, name: 'New',
					image: 'https://i.example/new', email: 'new@x.example' });
			});

			test('a username that is taken, or none, becomes one of its own', wait, async () => {
				const server = hosts[place.host];
				const { username } = await person(server, 'Taken');
				for (const claims of [{ username }, { preferred_username: username.toUpperCase() },
					{ username: 'not valid!' }, { username: 'x'.repeat(33) }, {}]) {
					const sub = unique('sub');
					await visit(hosts, place, { auth: token({ sub, ...claims }) }).greeted();
					assert.equal((await me(server, token({ sub }))).username, fallbackName(sub));
				}
			});
		});
	}

	describe('all places at once', () => {
		afterEach(leave);

		// All at the same time, so that they wait together.
		test('a token that expires ends its sockets, in the words of each API', wait, async () => {
			const exp = nowS() + 15;
			const jwt = token({ sub: unique('brief'), exp });
			await Promise.all(Object.entries(PLACES).flatMap(([where, place]) =>
				travels(place).map(async (travel) => {
					const one = await visit(hosts, place, { auth: jwt }, travel).greeted();
					const long = await visit(hosts, place, { auth: token({ sub: unique('long') }) }).greeted();
					assert.equal(await one.end(), one.words.bad);
					const late = Date.now() - exp * 1000;
					assert.ok(late >= -50 && late < END_MS, `${where}, ${travel}: ${late} ms after its end`);
					assert.ok(long.lives());
				})));
		});

		test('one that is over already, but within the leeway, does not keep its sockets', wait, () =>
			Promise.all(Object.values(PLACES).map(async (place) => {
				const jwt = token({ sub: unique('over'), exp: nowS() });
				assert.equal((await rest(hosts[place.host], 'GET', '/login/me', jwt)).status, 200);
				const since = Date.now();
				const one = visit(hosts, place, { auth: jwt });
				// Not asked for more: its end may come before any answer.
				assert.equal(await one.end(), one.words.bad);
				assert.ok(Date.now() - since < END_MS, `${Date.now() - since} ms`);
			})));

		test('who is deleted is out, at once and on all workers', wait, async () => {
			const user = await person(hosts.channels, 'Leaver');
			const inside = [...await everywhere(hosts, user.token), ...await everywhere(hosts, user.token)];
			assert.equal((await rest(hosts.gateway, 'DELETE', '/login/delete', user.token)).status, 200);
			const knocks = Object.values(PLACES).flatMap((place) => Array.from({ length: KNOCKS },
				() => visit(hosts, place, { auth: user.token })));
			await Promise.all(knocks.map(async (one) => assert.equal(await one.refusal(), one.words.deleted)));
			await Promise.all(inside.map(async (one) => assert.equal(await one.end(), one.words.deleted)));
			for (const host of Object.values(hosts)) {
				const answers = await Promise.all(Array.from({ length: KNOCKS },
					() => rest(host, 'GET', '/login/me', user.token)));
				assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([401]));
			}
		});

		for (const sub of [':', '%', 'name', 'log', 'a:b:log', '%3A', 'user:name', ' ', '{"sub":"\\"}', '*?[a]',
			`${'~'.repeat(127)}x`]) {
			test(`a sub may be ${sub.length > 100 ? '128 characters' : JSON.stringify(sub)}`, wait, async () => {
				const jwt = token({ sub });
				const friend = await person(hosts.gateway, 'Friend');
				assert.deepEqual(await me(hosts.channels, jwt), { id: sub, username: fallbackName(sub),
					name: fallbackName(sub), image: null, email: null });
				const made = await rest(hosts.channels, 'POST', '/api/conversations', friend.token, { userId: sub });
				assert.equal(made.status, 201, made.body);
				const room = made.json.data.id;
				assert.equal(made.json.data.user.id, sub);
				const inside = await everywhere(hosts, jwt);
				const heard = await Promise.all(inside.map((one) => one.hears(room, `to ${sub}`)));
				assert.equal((await rest(hosts.messenger, 'POST', `/room/post/${room}`, friend.token,
					{ content: `to ${sub}` })).status, 201);
				await Promise.all(heard.map((hear) => hear()));
				assert.equal((await rest(hosts.messenger, 'DELETE', '/login/delete', jwt)).status, 200);
				await Promise.all(inside.map(async (one) => assert.equal(await one.end(), one.words.deleted)));
			});
		}
	});
});

// One host for all APIs, told what tokens must be like.
function strict(what, options, tests) {
	describe(what, { timeout: 120_000 }, () => {
		const hosts = {};
		before(async () => {
			const server = await start({ root: 'gateway', options: options() });
			Object.assign(hosts, { channels: server, gateway: server, messenger: server });
		});
		after(() => hosts.gateway?.stop());
		afterEach(() => {
			leaveAll();
			hangUpAll();
		});
		tests(hosts);
	});
}

// The places that a server has whose root is the gateway.
const ON_ONE = Object.values(PLACES).filter(({ nsp, host }) => nsp !== '/' || host === 'gateway');
const welcome = (hosts, jwt) => Promise.all(ON_ONE.map((place) => visit(hosts, place, { auth: jwt }).greeted()));
const unwelcome = (hosts, jwt) => Promise.all(ON_ONE.map(async (place) => {
	const one = visit(hosts, place, { auth: jwt });
	assert.equal(await one.refusal(), one.words.bad);
}));

const ISSUER = 'https://id.example';
strict('provision-users no, an issuer and an audience', () =>
	({ 'provision-users': 'no', 'jwt-issuer': ISSUER, 'jwt-audience': 'chat' }), (hosts) => {
	const PASSWORD = 'correct horse battery';
	const fitting = { iss: ISSUER, aud: 'chat' };

	test('who is not known stays out', wait, async () => {
		const jwt = token({ sub: unique('stranger'), ...fitting });
		await unwelcome(hosts, jwt);
		assert.equal((await rest(hosts.gateway, 'GET', '/login/me', jwt)).status, 401);
	});

	test('who signed up is in, by our token and by another service’s', wait, async () => {
		const { json } = await rest(hosts.gateway, 'POST', '/login/signup', null,
			{ username: 'ann', password: PASSWORD });
		const sub = json.user.id;
		await welcome(hosts, json.token);
		await welcome(hosts, token({ sub, ...fitting }));
		await welcome(hosts, token({ sub, ...fitting, aud: ['mail', 'chat'] }));
		for (const claims of [{}, { aud: 'chat' }, { iss: ISSUER }, { ...fitting, iss: 'https://evil.example' },
			{ ...fitting, aud: 'mail' }, { ...fitting, aud: [] }])
			await unwelcome(hosts, token({ sub, ...claims }));
	});
});

// Two services' keys, of which we have the public halves.
const keysDir = fs.mkdtempSync(path.join(os.tmpdir(), 'keys-'));
after(() => fs.rmSync(keysDir, { recursive: true }));
const KEYS = {
	RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
	ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
};
const pem = (alg) => KEYS[alg].publicKey.export({ type: 'spki', format: 'pem' });
const keyFile = (alg) => {
	const file = path.join(keysDir, `${alg.toLowerCase()}.pem`);
	fs.writeFileSync(file, pem(alg));
	return `${file} ${alg}`;
};

// A token by a private key, or by `secret` as HS256 knows one.
function signed(alg, claims, { as = alg, secret } = {}) {
	const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
	const body = `${encode({ alg: as, typ: 'JWT' })}.${encode({ exp: nowS() + 3600, ...claims })}`;
	const mac = secret ? createHmac('sha256', secret).update(body).digest()
		: sign('sha256', Buffer.from(body), { key: KEYS[alg].privateKey, dsaEncoding: 'ieee-p1363' });
	return `${body}.${mac.toString('base64url')}`;
}

strict('public keys', () => ({ 'jwt-secret': null, 'jwt-key': Object.keys(KEYS).map(keyFile) }), (hosts) => {
	for (const alg of Object.keys(KEYS)) {
		test(`${alg}: a token of that service`, wait, async () => {
			await welcome(hosts, signed(alg, { sub: unique('served') }));
			await unwelcome(hosts, signed(alg, { sub: 'x', exp: nowS() - 60 }));
		});

		test(`${alg}: the public key is no secret`, wait, async () => {
			for (const secret of [pem(alg), pem(alg).trim()])
				await unwelcome(hosts, signed(alg, { sub: 'x' }, { as: 'HS256', secret }));
			await unwelcome(hosts, signed(alg, { sub: 'x' }, { as: alg === 'RS256' ? 'ES256' : 'RS256' }));
			await unwelcome(hosts, token({ sub: 'x' }));
		});
	}

	test('nobody signs up or in here', wait, async () => {
		for (const what of ['signup', 'signin']) {
			const answer = await rest(hosts.gateway, 'POST', `/login/${what}`, null,
				{ username: 'ann', password: 'correct horse battery' });
			assert.equal(answer.status, 503);
			assert.match(answer.json.message, /only public keys/);
			assert.deepEqual(answer.json.errors, {});
		}
	});
});

// A client that means harm: everything that can be wrong with each field of each event and each request, made from the
// server's tables. Each is answered in the API's own form, the field is named, the connection lives on unless it
// sent what cannot be read, and nothing is changed. What a row takes if nothing is wrong is in valid.mjs.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { called, casesOf, json, nonsenseCases, rowsOf, unknownCases } from '../lib/calls.mjs';
import { tables } from '../lib/documents.mjs';
import { BROKEN, FINE, JUDGED, NONSENSE, REFUSED, enormous, garbled, join, nested, object } from '../lib/garble.mjs';
import { Lane, TRAVEL } from '../lib/lane.mjs';
import { hangUpAll, listen } from '../lib/listener.mjs';
import { scrape } from '../lib/metrics.mjs';
import { redis } from '../lib/redis.mjs';
import { operations, request, requestsOf } from '../lib/requests.mjs';
import { rest } from '../lib/rest.mjs';
import { ROOT, start } from '../lib/server.mjs';
import { EVENTS, ROUTES, peopled } from '../lib/valid.mjs';
import { pool, until } from '../lib/wait.mjs';
import { OP, WebSocket } from '../lib/websocket.mjs';
import { Wire, requestBytes } from '../lib/wire.mjs';

const { apis, routes } = tables();
const doors = apis.filter(({ events }) => events.length > 0);
const named = (verdict) => verdict === REFUSED;
const timeout = { timeout: 300_000 };

let server;
let world;
let cases = 0;

before(async () => {
	// No limit is in the way; what is tried is much more than anybody may.
	server = await start({ options: { workers: 2, 'password-rate': 0, 'ping-interval': '5s' } });
	world = await peopled(server);
}, timeout);
after(async () => {
	hangUpAll();
	for (const { lane } of lanes)
		lane.close();
	console.log(`${cases} cases`);
	await server?.stop();
});

// --- How each API says no

for (const { name } of doors)
	assert.ok(name in EVENTS, `say in valid.mjs what good clients of ${name} send`);
const page = (api) => fs.readFileSync(path.join(ROOT, 'docs', `${api}.md`), 'utf8');
const only = (body, ...keys) => assert.deepEqual(Object.keys(body).sort(), keys.sort(), JSON.stringify(body));
const isText = (text) => assert.equal(typeof text, 'string', JSON.stringify(text));

// `refusal`: the text of an acknowledgement that is one, undefined of one that is none. `told`: the event that says
// it, too, with or without an acknowledgement. `blame`: how a text begins that is about a field.
const DIALECTS = {
	channels: {
		blame: 'Invalid message data: ', told: () => 'error',
		refusal(body) {
			if (body.ok === true)
				return undefined;
			only(body, 'ok', 'error');
			assert.equal(body.ok, false);
			return body.error;
		},
	},
	gateway: {
		blame: '', told: (event) => (EVENTS.gateway[event] ? `${event}Error` : 'error'),
		refusal: (body) => (Object.keys(body).length > 1 ? undefined : body.message),
	},
	messenger: {
		blame: '',
		refusal(body, { verdict }) {
			if (body.error === undefined)
				return undefined;
			only(body, 'error');
			only(body.error, 'code', 'message');
			assert.match(body.error.code, named(verdict) ? /^bad-request$/ : /^(bad-request|not-found|forbidden)$/);
			return body.error.message;
		},
	},
	lobby: {
		blame: '',
		refusal(body) {
			if (body?.error === undefined)
				return undefined;
			only(body, 'error');
			return body.error;
		},
	},
};

// --- What comes back

const shown = ({ array, asked }) => (array ?? `${asked.path.slice(0, 200)} ${asked.body?.subarray(0, 200) ?? ''}`);
const tell = (one) => `${one.key} ${one.field ?? ''}: ${one.what}: ${shown(one).slice(0, 300)}`;

// Fails unless the text is one that such a case is refused with.
function checkText(api, one, text) {
	isText(text);
	const blamed = [one.field, one.also].flat().some((field) =>
		new RegExp(`^${DIALECTS[api].blame}${field}(\\.\\d+)? `).test(text));
	if (one.text !== undefined)
		assert.equal(text, one.text);
	else if (named(one.verdict))
		assert.ok(blamed, text);
	else if (!blamed)
		assert.ok(page(api).includes(text.replace(DIALECTS[api].blame, '')), `${text} is documented`);
}

const faults = [];
// Goes on after a fault, since one says little.
function noting(one, work) {
	try {
		work();
	} catch (error) {
		faults.push(`${tell(one)}\n\t${error.message.split('\n').slice(0, 3).join(' ')}`);
	}
}

function raise() {
	const some = faults.splice(0);
	assert.equal(some.length, 0, `${some.length} faults\n${some.slice(0, 40).join('\n')}`);
}

// What each case was refused with, by its name: without acknowledgement it has to be told the same.
const texts = new Map();
const nameOf = ({ key, field, what }) => [key, field, what].join();

// One socket's way through cases that are refused.
async function refuseSome({ api, lane, acked }, some) {
	const { told, refusal } = DIALECTS[api];
	const { answers, events } = await lane.run(some, { acked, due: told ? some.length : 0 });
	cases += some.length;
	for (const [i, one] of acked ? some.entries() : []) {
		noting(one, () => {
			assert.equal(answers[i].length, 1, json(answers[i]));
			const text = refusal(answers[i][0], one);
			assert.notEqual(text, undefined, `it was taken: ${json(answers[i])}`);
			checkText(api, one, text);
			texts.set(nameOf(one), text);
		});
	}
	checkTold(api, some, events);
}

// Each is told by one event, where the API tells. They come in any order: what Redis has to be asked for comes late.
function checkTold(api, some, events) {
	const { told } = DIALECTS[api];
	const left = events.map(json);
	for (const one of told ? some : []) {
		const at = left.indexOf(json([told(one.event), { message: texts.get(nameOf(one)) }]));
		if (at < 0)
			faults.push(`${tell(one)}\n\tno event says so`);
		else
			left.splice(at, 1);
	}
	if (left.length > 0)
		faults.push(`${api}: nobody asked for ${left.length} events: ${left.slice(0, 3)}`);
}

// --- The sockets

const lanes = [];        // { api, travel, acked, lane }
const ways = Object.keys(TRAVEL).flatMap((travel) => [true, false].map((acked) => ({ travel, acked })));

function openLane(api, travel) {
	return Lane.open(server, { travel, nsp: `/${api}`, token: api === 'lobby' ? undefined : world.ann.token });
}

const goodCall = ({ row }, base) => called(row.name, base === undefined ? [] : [json(base)]);

// What has to be taken, each with a base of its own; first the base itself. Strange members are for one lane.
async function takeAll({ api, lane, acked, travel }, row) {
	const first = acked && travel === 'websocket';
	const some = casesOf(row, await row.base(world, lane));
	const fine = [{ key: row.key, event: row.row.name, what: 'as it should be', array: (base) => goodCall(row, base) },
		...some.filter(({ verdict, isExtra }) => verdict === FINE && (first || !isExtra))];
	// In the lobby what is good depends on what was before; passwords are hashed, 16 of a user at a time at most, and
	// four lanes do this at once.
	const width = api === 'lobby' ? 1 : row.key.endsWith(' PRIVATE') ? 2 : fine.length;
	for (let at = 0; at < fine.length; at += width) {
		const next = [];
		for (const one of fine.slice(at, at + width))
			next.push({ ...one, array: one.array(await row.base(world, lane)) });
		const last = acked ? undefined : goodCall(row, await row.base(world, lane));
		await takeSome({ api, lane, acked }, next, last);
	}
}

// `last`: one more, which is acknowledged: where nothing else is, a refusal would come before the answer to that.
async function takeSome({ api, lane, acked }, some, last) {
	const { refusal, told } = DIALECTS[api];
	const { answers, events } = await lane.run(some, { acked });
	cases += some.length;
	if (last)
		events.push(...(await lane.run([{ array: last }], { acked: true })).events);
	for (const [i, one] of some.entries()) {
		noting(one, () => {
			if (acked)
				assert.equal(refusal(answers[i][0], one), undefined, `it is refused: ${json(answers[i][0])}`);
		});
	}
	noting(some[0], () => assert.deepEqual(events.filter(([name]) => name === told?.(some[0].event)), []));
}

// All that is refused, at once; `bases`: what is good, of each row. What is very large is sent by one way only.
async function refuseAll({ api, lane, travel, acked }, rows, bases) {
	for (const [at, row] of rows.entries()) {
		const takesLarge = acked && Object.keys(TRAVEL)[at % 2] === travel;
		const some = casesOf(row, bases.get(row.key))
			.filter(({ verdict, isLarge }) => (verdict === REFUSED || verdict === JUDGED) && (takesLarge || !isLarge))
			.map((one) => ({ ...one, array: one.array(bases.get(row.key)) }));
		await refuseSome({ api, lane, acked }, some);
	}
}

// --- What ends a session: as those of `breaks`

const ENDS = { polling: /Session ID unknown|^1$/, websocket: /"code":(1007|1008)/ };

// Each in a session of its own, by turns over the two ways.
async function breakAll(door) {
	const { name: api } = door;
	const bad = nonsenseCases(door);
	for (const row of rowsOf(door)) {
		const base = await row.base(world, lanes.find((one) => one.api === api && one.acked).lane);
		bad.push(...casesOf(row, base).filter(({ verdict }) => verdict === BROKEN)
			.map((one) => ({ ...one, array: one.array(base) })));
	}
	await pool(bad, 6, async (one, at) => {
		const travel = Object.keys(TRAVEL)[at % 2];
		const lane = await openLane(api, travel);
		const over = await lane.breaks(one, one.what);
		cases += 1;
		noting(one, () => assert.match(over, ENDS[travel]));
	});
}

function checkAnswer(one, { status, headers, body }) {
	const { responses } = operations.get(one.key);
	assert.ok(status in responses, `${status} is documented: ${body}`);
	if (one.verdict === FINE)
		return assert.ok(status < 300, `${status} ${body}`);
	const expected = { [REFUSED]: [422], [BROKEN]: [400], [JUDGED]: [401, 403, 404, 422] }[one.verdict];
	assert.ok(expected.includes(status), `${status} ${body}`);
	assert.match(headers['content-type'], /^application\/json/);
	const answer = JSON.parse(body);
	only(answer, 'message', 'errors');
	isText(answer.message);
	const [blamed] = Object.keys(answer.errors);
	assert.deepEqual(answer.errors, blamed === undefined ? {} :
		{ [blamed]: [answer.message.slice(blamed.length + 1)] });
	if (one.verdict === REFUSED || blamed !== undefined)
		assert.ok(blamed === one.field || blamed?.startsWith(`${one.field}.`), body);
}

// One connection's way through them: it is the same to the end.
async function askAll(some) {
	const wire = await Wire.connect(server.port);
	try {
		for (const { token = world.ann.token, ...one } of some) {
			const { body, ...asked } = one.asked;
			const headers = { Authorization: `Bearer ${token}`, ...(body && { 'Content-Type': 'application/json' }) };
			wire.send(requestBytes({ ...asked, headers, body }));
			const answer = await wire.response().catch((error) => {
				throw new Error(`${one.key} ${one.field}: ${one.what}: ${error.message}`);
			});
			cases += 1;
			noting(one, () => checkAnswer(one, answer));
		}
	} finally {
		wire.destroy();
	}
}

async function goodBase(route) {
	const base = ROUTES[route.name];
	assert.ok(base, `say in valid.mjs what a good ${route.name} is`);
	return base(world);
}

async function askFine(route) {
	const fine = [{ key: route.name, what: 'as it should be', verdict: FINE, asked: (base) => request(route, base) },
		...requestsOf(route, await goodBase(route)).filter(({ verdict }) => verdict === FINE)];
	const some = [];
	for (const one of fine) {
		const base = await goodBase(route);
		some.push({ ...one, token: base.token, asked: one.asked(base) });
	}
	await askAll(some);
}

async function askBad(route, base) {
	await askAll(requestsOf(route, base).filter(({ verdict }) => verdict !== FINE)
		.map((one) => ({ ...one, token: base.token, asked: one.asked(base) })));
}

// --- At the door: what comes with a CONNECT

// What each API says to one without a good token, packet by packet.
const TURNED_AWAY = {
	channels: [/^44\/channels,{"message":"Authentication (failed|token required)"}$/],
	gateway: [/^40/, /^42\/gateway,\["accessDenied",{"message":"Authentication (failed|token required)"}\]$/, /^41/],
	messenger: [/^40/, /^42\/messenger,\["auth-failed",{"message":"Authentication (failed|token required)"}\]$/, /^41/],
};
// The members of what is shown there. A place to go on from that makes no sense is a fresh start, never an error.
const SHOWN = [{ name: 'token', type: 'string', min: 0, max: 0, required: true },
	{ name: 'pid', type: 'string', min: 0, max: 0 }, { name: 'offset', type: 'string', min: 0, max: 0 }];

function* shownBy({ token }) {
	for (const field of SHOWN) {
		for (const { what, json: value, verdict } of [...garbled(field, 1), enormous(field, 900_000)]) {
			const good = { token: json(token), pid: '"aaaaaaaaaaaaaaaaaaaa"', offset: '"1-1"' };
			yield { key: 'CONNECT', field: field.name, what, array: object({ ...good, [field.name]: value }),
				verdict: field.name === 'token' || verdict === BROKEN ? verdict : FINE };
		}
	}
	for (const value of ['[]', '-5', '"x"', 'null', 'true', '{', '{}{}'])
		yield { key: 'CONNECT', what: value, array: Buffer.from(value), verdict: BROKEN };
}

// What a session gets for a CONNECT, until it is let in or turned away, or ends.
async function connect(api, travel, auth) {
	const session = await TRAVEL[travel].open(server.port);
	const packets = [];
	const bytes = join(`40/${api},`, auth);
	await (travel === 'polling' ? session.post(bytes) : session.websocket.frame(OP.TEXT, bytes));
	let packet = '';
	while (typeof packet === 'string' && !/^4[14]|"pid":|^1$/.test(packet)) {
		packet = await session.next().catch(({ message }) => ({ message }));
		packets.push(packet);
	}
	session.destroy();
	return packets.map((one) => (typeof one === 'string' ? one : json(one)));
}

function checkConnect(api, travel, one, packets) {
	if (one.verdict === BROKEN)
		return assert.match(packets.join(), ENDS[travel]);
	if (one.verdict === FINE)
		return assert.match(packets[0], /^40\/\w+,{"sid":"[\w-]{20}","pid":"[\w-]{20}"}$/);
	assert.equal(packets.length, TURNED_AWAY[api].length, json(packets));
	for (const [i, pattern] of TURNED_AWAY[api].entries())
		assert.match(packets[i], pattern);
}

// --- Plain WebSockets, where nothing is listened to

// What a client may say there, as texts and as bytes.
function* chatter() {
	const texts = ['', '40', '42["ping"]', '{"type":"NewPost"}', nested(1000), 'x'.repeat(999_000)];
	for (const value of [...Object.values(NONSENSE), ...texts]) {
		if (typeof value === 'string')
			yield value;
		yield Buffer.from(value);
	}
	for (let n = 0; n < 256; n++)
		yield Buffer.alloc(n, n);
}

async function ignored() {
	return (await scrape(server)).sum('confab_events_total', { api: 'notifications' });
}

// --- What there is

// Keys that live by themselves: workers, connections and what is told of them.
const ALIVE = /^(worker|session:|leased$|epoch|clock)/;

async function everything() {
	const r = redis(server);
	try {
		const keys = (await r.keys('*')).filter((key) => !ALIVE.test(key)).sort();
		const dumps = await Promise.all(keys.map((key) => r.dumpBuffer(key)));
		return new Map(keys.map((key, i) => [key, dumps[i].toString('latin1')]));
	} finally {
		r.disconnect();
	}
}

async function totals() {
	const { users, rooms, messages } = (await rest(server, 'GET', '/api/stats', world.ann.token)).json.total;
	return { users, rooms, messages };
}

function changed(was, is) {
	return [...new Set([...was.keys(), ...is.keys()])].filter((key) => was.get(key) !== is.get(key));
}

describe('a hostile client', timeout, () => {
	for (const door of doors) {
		const { name: api } = door;
		test(`${api}: what is good is taken`, timeout, async () => {
			await Promise.all(ways.map(async (way) => {
				const one = { api, ...way, lane: await openLane(api, way.travel) };
				lanes.push(one);
				for (const row of rowsOf(door))
					await takeAll(one, row);
			}));
			raise();
		});

		test(`${api}: what cannot be read ends the session`, timeout, async () => {
			await breakAll(door);
			raise();
		});
	}

	test('requests: what is good is taken', timeout, async () => {
		await pool(routes, 4, askFine);
		raise();
	});

	for (const api of Object.keys(TURNED_AWAY)) {
		test(`${api}: what is shown at the door`, timeout, async () => {
			await pool(shownBy(world.ann), 6, async (one, at) => {
				const travel = Object.keys(TRAVEL)[at % 2];
				const packets = await connect(api, travel, one.array);
				cases += 1;
				noting(one, () => checkConnect(api, travel, one, packets));
			});
			raise();
		});
	}

	test('a plain WebSocket ends by a text that is not UTF-8', timeout, async () => {
		for (const bytes of Object.values(NONSENSE).filter((value) => Buffer.isBuffer(value))) {
			const plain = await WebSocket.open(server.port, `/room/websocket?token=${world.ann.token}`);
			assert.equal((await plain.frame(OP.TEXT, bytes).closed()).code, 1007);
			cases += 1;
		}
	});

	describe('what is refused', timeout, () => {
		const kept = new Map();          // lane → key → base
		const asked = new Map();         // route → base
		let plain;
		let was;
		let counted;
		before(async () => {
			for (const one of lanes) {
				kept.set(one, new Map());
				for (const row of rowsOf(doors.find(({ name }) => name === one.api)))
					kept.get(one).set(row.key, await row.base(world, one.lane));
			}
			for (const route of routes)
				asked.set(route, await goodBase(route));
			plain = await listen(server, world.ann);
			counted = await totals();
			was = await everything();
		});

		for (const door of doors) {
			const { name: api } = door;
			for (const { travel, acked } of ways) {
				test(`${api}: by ${travel}, ${acked ? 'with' : 'without'} acknowledgement`, timeout, async () => {
					const one = lanes.find((some) =>
						some.api === api && some.travel === travel && some.acked === acked);
					await one.lane.forget();
					await refuseAll(one, rowsOf(door), kept.get(one));
					await refuseSome(one, unknownCases(api));
					raise();
				});
			}
		}

		for (const route of routes) {
			test(route.name, timeout, async () => {
				await askBad(route, asked.get(route));
				raise();
			});
		}

		test('a plain WebSocket counts what it is told, and lives', timeout, async () => {
			const before = await ignored();
			const some = [...chatter()];
			cases += some.length;
			for (const one of some)
				plain.socket.send(one);
			assert.ok(await plain.answers());
			await until(async () => await ignored() === before + some.length, `count of ${some.length}`);
		});

		test('has changed nothing', timeout, async () => {
			assert.deepEqual(changed(was, await everything()), []);
			assert.deepEqual(await totals(), counted);
		});

		// So it was the one field that was wrong.
		test('is taken once it is as it was', timeout, async () => {
			for (const one of lanes) {
				for (const row of rowsOf(doors.find(({ name }) => name === one.api))) {
					const base = one.api === 'lobby' ? await row.base(world, one.lane) : kept.get(one).get(row.key);
					await takeSome({ ...one, acked: true },
						[{ key: row.key, event: row.row.name, what: 'as it was', array: goodCall(row, base) }]);
				}
			}
			for (const [route, base] of asked)
				await askAll([{ key: route.name, what: 'as it was', verdict: FINE, token: base.token,
					asked: request(route, base) }]);
			raise();
		});

		test('is not in the way of what a plain WebSocket hears', timeout, async () => {
			const body = { content: 'Hello, Ann!' };
			const posted = await rest(server, 'POST', `/room/post/${world.groupId}`, world.bob.token, body);
			assert.equal(posted.status, 201, posted.body);
			assert.equal((await plain.next()).content, body.content);
			plain.hangUp();
		});
	});
});

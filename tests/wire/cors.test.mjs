// Cross-origin requests: headers, preflight, and who is refused (protocol §9).
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Polling } from '../lib/engine.mjs';
import { startConformance } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';
import { upgradeHeaders } from '../lib/websocket.mjs';
import { Wire, request, requestBytes } from '../lib/wire.mjs';

const POLL = '/socket.io/?EIO=4&transport=polling';
const WEBSOCKET = '/socket.io/?EIO=4&transport=websocket';
const HERE = 'https://app.example';

const list = (text) => (text ?? '').split(',').map((item) => item.trim().toLowerCase());

// The status of a WebSocket handshake, and its headers.
async function knock(port, headers) {
	const wire = await Wire.connect(port);
	wire.send(requestBytes({ path: WEBSOCKET, headers: { ...upgradeHeaders(), ...headers } }));
	const answer = await wire.response();
	wire.destroy();
	return answer;
}

describe('CORS, open', { timeout: 120_000 }, () => {
	let server;
	before(async () => { server = await startConformance(); });
	after(() => server?.stop());

	const requests = [
		['a handshake', { path: POLL }, 200],
		['a refused handshake', { path: `${POLL}&sid=nobody` }, 400],
		['a refused POST', { method: 'POST', path: POLL, body: '4' }, 400],
	];
	for (const [what, options, status] of requests) {
		test(`${what} may be read by any origin`, async () => {
			const answer = await request(server.port, { ...options, headers: { Origin: HERE } });
			assert.equal(answer.status, status);
			assert.equal(answer.headers['access-control-allow-origin'], '*');
			assert.equal(answer.headers['access-control-allow-credentials'], undefined);
		});
	}

	test('so may the answer to a POST', async () => {
		const session = await Polling.open(server.port, { path: '/engine.io/' });
		const answer = await session.post('4a', { Origin: HERE });
		assert.equal(answer.body, 'ok');
		assert.equal(answer.headers['access-control-allow-origin'], '*');
	});

	for (const path of [POLL, `${POLL}&sid=nobody`, '/socket.io/', '/engine.io/?EIO=4']) {
		test(`preflight of ${path}`, async () => {
			const answer = await request(server.port, {
				method: 'OPTIONS', path,
				headers: {
					Origin: HERE, 'Access-Control-Request-Method': 'POST',
					'Access-Control-Request-Headers': 'content-type, authorization',
				},
			});
			assert.equal(answer.status, 204);
			assert.equal(answer.headers['access-control-allow-origin'], '*');
			const methods = list(answer.headers['access-control-allow-methods']);
			assert.ok(methods.includes('get') && methods.includes('post'), String(methods));
			const allowed = list(answer.headers['access-control-allow-headers']);
			assert.ok(allowed.includes('content-type') && allowed.includes('authorization'),
				String(allowed));
			assert.equal(answer.headers['access-control-allow-credentials'], undefined);
		});
	}

	test('a WebSocket of any origin is let in', async () => {
		for (const Origin of [HERE, 'http://evil.example', 'null', undefined]) {
			const answer = await knock(server.port, { Origin });
			assert.equal(answer.status, 101);
			assert.equal(answer.headers['access-control-allow-origin'], '*');
		}
	});
});

describe('CORS, for one origin', { timeout: 120_000 }, () => {
	let server;
	before(async () => { server = await startConformance({ options: { 'cors-origin': HERE } }); });
	after(() => server?.stop());

	test('that origin is let in everywhere', async () => {
		const answer = await request(server.port, { path: POLL, headers: { Origin: HERE } });
		assert.equal(answer.status, 200);
		assert.equal(answer.headers['access-control-allow-origin'], HERE);
		assert.ok(list(answer.headers.vary).includes('origin'));
		assert.equal((await knock(server.port, { Origin: HERE })).status, 101);
	});

	test('without an origin polling is let in, as pages of our own send none with a GET', async () => {
		assert.equal((await request(server.port, { path: POLL })).status, 200);
	});

	test('without an origin a WebSocket is refused, as browsers always send one', async () => {
		assert.equal((await knock(server.port, {})).status, 403);
	});

	const FOREIGN = [
		'http://app.example', 'https://app.example.evil.com', 'https://evil-app.example',
		'https://app.example:8443', 'https://app.example/', 'https://APP.example.evil',
		'https://sub.app.example', 'null', 'https://app.exampl', '*', 'https://user@app.example',
	];
	for (const Origin of FOREIGN) {
		test(`${Origin} is refused by polling and WebSocket alike`, async () => {
			const answer = await request(server.port, { path: POLL, headers: { Origin } });
			assert.equal(answer.status, 403);
			assert.notEqual(answer.headers['access-control-allow-origin'], '*');
			assert.notEqual(answer.headers['access-control-allow-origin'], Origin);
			assert.equal((await knock(server.port, { Origin })).status, 403);
		});
	}

	test('a foreign POST is refused and does nothing', async () => {
		const session = await Polling.open(server.port, { path: '/engine.io/' });
		const answer = await session.post('4bad', { Origin: 'http://evil.example' });
		assert.equal(answer.status, 403);
		await session.post('4good', { Origin: HERE });
		assert.equal(await session.next(), '4good');
	});
});

describe('CORS, for one origin that connects too often', { timeout: 120_000 }, () => {
	let server;
	before(async () => {
		server = await startConformance({ options: { 'cors-origin': HERE, 'connect-rate': '1 40' } });
	});
	after(() => server?.stop());

	// The answers of those who are told to come again later.
	async function refusals(headers) {
		const refused = [];
		await until(async () => {
			const answers = await Promise.all(Array.from({ length: 20 }, () =>
				request(server.port, { path: POLL, headers })));
			refused.push(...answers.filter(({ status }) => status === 429));
			return refused.length > 0;
		}, 'refusal', { every: 0 });
		return refused;
	}

	test('it may read that it does, and when to come again', async () => {
		for (const answer of await refusals({ Origin: HERE })) {
			assert.equal(answer.headers['access-control-allow-origin'], HERE);
			assert.ok(list(answer.headers.vary).includes('origin'));
			// Of its own accord a browser shows this header to nobody from elsewhere.
			assert.equal(answer.headers['retry-after'], '1');
			assert.deepEqual(list(answer.headers['access-control-expose-headers']), ['retry-after']);
		}
	});

	test('another may not', async () => {
		for (const answer of await refusals({ Origin: 'https://evil.example' }))
			assert.equal(answer.headers['access-control-allow-origin'], undefined);
	});
});

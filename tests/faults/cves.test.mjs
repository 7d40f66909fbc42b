// What went wrong in servers like this one and in what they are made of, by its number: the input, and what must
// come of it here. The server is as it was after each.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { Polling, Streaming, TRANSPORTS, UNKNOWN_SID, upgrading, websocketPath } from '../lib/engine.mjs';
import { program } from '../lib/server.mjs';
import { sized } from '../lib/size.mjs';
import { target } from '../lib/target.mjs';
import { MEMORY_COUNTS, cpuOf, growthDuring, mib } from '../lib/usage.mjs';
import { pool } from '../lib/wait.mjs';
import { OP, WebSocket, frame, upgradeHeaders } from '../lib/websocket.mjs';
import { Wire, request, requestBytes } from '../lib/wire.mjs';

const MAX = 1_000_000;
const POLL = '/socket.io/?EIO=4&transport=polling';
const MANY = sized(20, 200);

describe('CVEs', { timeout: 300_000 }, () => {
	let server;
	let token;
	let pid;
	before(async () => {
		({ server, token, pid } = await target({ 'max-payload': MAX }));
	});
	after(() => server?.stop());

	async function joined(Transport) {
		const session = await Transport.open(server.port);
		await session.send(`40/channels,${JSON.stringify({ token })}`);
		assert.match(await session.next(), /^40\/channels,/);
		return session;
	}

	async function lives(session) {
		await session.send('42/channels,77["ping"]');
		let heard;
		do
			heard = await session.next();
		while (!heard.startsWith('43/channels,77'));
	}

	const ends = (packets) => async () => {
		for (const Transport of TRANSPORTS) {
			for (const packet of packets) {
				const session = await joined(Transport);
				await session.send(...[packet].flat());
				await session.dead();
			}
		}
	};

	async function answer(bytes) {
		const wire = await Wire.connect(server.port);
		wire.send(bytes);
		const response = await wire.response();
		wire.destroy();
		return response;
	}

	const asked = (headers, path = websocketPath()) => requestBytes({ path, headers: { ...upgradeHeaders(), ...headers } });
	const statuses = (requests, wanted) => async () => {
		for (const bytes of requests)
			assert.ok(wanted.includes((await answer(bytes)).status), bytes.toString('latin1').slice(0, 300));
	};
	const post = (lines, body = 'hello') =>
		Buffer.from(`POST ${POLL} HTTP/1.1\r\nHost: a\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n${body}`, 'latin1');

	const place = (num) => `{"_placeholder":true,"num":${num}}`;
	const blob = Buffer.from([1]);

	const TABLE = [
		['CVE-2020-28481 (socket.io: every origin by default, with credentials): open, but never with credentials', async () => {
			for (const bytes of [requestBytes({ path: POLL, headers: { Origin: 'https://evil.example' } }),
				asked({ Origin: 'https://evil.example' })]) {
				const { headers } = await answer(bytes);
				assert.equal(headers['access-control-allow-origin'], '*');
				assert.equal(headers['access-control-allow-credentials'], undefined);
			}
		}],
		['CVE-2024-38355 (socket.io: an event named error ends the process): an unknown event like any other', async () => {
			for (const Transport of TRANSPORTS) {
				const session = await joined(Transport);
				await session.send('42/channels,["error",{"message":"a"}]', '42/channels,["error"]', '42/channels,5["error",null]');
				await lives(session);
				session.destroy();
			}
		}],
		['CVE-2024-38355: reserved names end the session', ends(['connect', 'connect_error', 'disconnect', 'disconnecting',
			'newListener', 'removeListener'].map((name) => `42/channels,["${name}"]`))],
		['CVE-2020-36049 (socket.io-parser: a long packet in quadratic time): twice as long takes twice as long', async (t) => {
			const cost = async (length) => {
				const before = cpuOf(pid);
				for (let i = 0; i < MANY; i++) {
					const session = await Polling.open(server.port);
					await session.post(`40/nowhere-${'x'.repeat(length)}`);
				}
				return cpuOf(pid) - before;
			};
			const [half, whole] = [await cost(MAX * 0.45), await cost(MAX * 0.9)];
			t.diagnostic(`${half} ms, ${whole} ms`);
			assert.ok(whole < 6 * half + 200, `${half} ms, then ${whole} ms`);
		}],
		['CVE-2020-36049: nor do many packets in one payload', async () => {
			const session = await Polling.open(server.port);
			assert.equal((await session.post(Array.from({ length: MAX / 2 }, () => '3').join('\x1e'))).status, 200);
			assert.equal((await session.post(Array.from({ length: MAX / 2 }, () => '').join('\x1e'))).status, 400);
		}],
		['CVE-2026-33151 (socket.io-parser: any number of attachments): more than ten end the session',
			ends(['45999999999-', '45999999999-["a"]', '4511-["a"]', '4599999999999999999999-["a"]', '46999999999-1[]'])],
		['CVE-2022-2421 (socket.io-parser: placeholders of any type)', ends([-1, '"x"', 1e9, 1.5, 'null', '{}', '[]', '"__proto__"']
			.map((num) => [`451-/channels,["send_message",${place(num)}]`, blob]))],
		['CVE-2022-2421: a placeholder as the name', ends([[`451-/channels,[${place(0)}]`, blob],
			[`451-/channels,[${place(0)},1]`, blob]])],
		['CVE-2023-32695 (socket.io-parser: a name that is no text)', ends(['42/channels,[{}]', '42/channels,[null]',
			'42/channels,[[]]', '42/channels,[{"toString":1}]', '42/channels,[true]', '42[{"toString":"foo"}]'])],
		['CVE-2020-36048 (engine.io: a flood of long POSTs): memory as of one each', async (t) => {
			const { grown } = await growthDuring(pid, () => pool(Array.from({ length: MANY }), 10, async () => {
				const session = await Polling.open(server.port);
				const wire = await Wire.connect(server.port);
				const bytes = requestBytes({ method: 'POST', path: session.url, body: 'b'.repeat(MAX) });
				wire.send(bytes);
				assert.equal((await wire.response()).status, 400);
				wire.destroy();
			}));
			t.diagnostic(`memory: ${mib(grown)} at its peak`);
			if (MEMORY_COUNTS)
				assert.ok(grown <= 10 * 3 * MAX, `${grown} bytes`);
		}],
		['CVE-2022-21676 (engine.io: a crafted request ends the process): upgrades of all forms', statuses([
			asked({ 'Sec-WebSocket-Key': '' }), asked({ 'Sec-WebSocket-Key': 'x' }), asked({ 'Sec-WebSocket-Key': undefined }),
			asked({ 'Sec-WebSocket-Key': 'x'.repeat(10_000) }), asked({ 'Sec-WebSocket-Key': '='.repeat(24) }),
			asked({ Upgrade: 'nothing' }), asked({ Upgrade: undefined }), asked({ Connection: 'close' }),
			asked({}, '/socket.io/?EIO=4&transport=polling'), asked({}, '/socket.io/?EIO=99&transport=websocket'),
			asked({}, '/socket.io/?EIO=4&transport=websocket&sid='), asked({}, '/socket.io/?EIO=4&transport=websocket&sid'),
			asked({}, '/socket.io/?EIO=4&EIO=3&transport=__proto__'), asked({}, `/socket.io/?EIO=4&transport=websocket&sid=${'x'.repeat(4000)}`),
			requestBytes({ method: 'POST', path: websocketPath(), headers: upgradeHeaders(), body: 'a' }),
			requestBytes({ method: 'OPTIONS', path: websocketPath(), headers: upgradeHeaders() }),
		], [400])],
		['CVE-2022-21676: parameters that only look like ours are nobody\'s', statuses([
			asked({}, `${websocketPath()}&sid[]=a`), asked({}, `${websocketPath()}&sid[a]=b&__proto__[x]=1`),
		], [101])],
		['CVE-2022-21676: other versions are told the right one', statuses(['12', '14', 'x', '', '13, 8', '9'.repeat(100)]
			.map((version) => asked({ 'Sec-WebSocket-Version': version })), [426])],
		['CVE-2022-41940 (engine.io: an error before the handshake ends the process): resets there', async () => {
			for (let i = 0; i < 3 * MANY; i++) {
				const bytes = asked({});
				const wire = await Wire.connect(server.port);
				wire.send(bytes.subarray(0, i % 3 === 0 ? 0 : i % 3 === 1 ? bytes.length / 2 : bytes.length));
				wire.reset();
			}
		}],
		['CVE-2023-31125 (engine.io: a transport that closes in its upgrade ends the process)', async () => {
			for (const leave of ['close', 'destroy', 'reset', 'garbage']) {
				const session = await Polling.open(server.port);
				const websocket = await upgrading(session);
				if (leave === 'garbage')
					websocket.wire.send(Buffer.alloc(100, 0xff));
				else if (leave === 'reset')
					websocket.wire.reset();
				else
					websocket[leave]();
				assert.equal((await session.post('3')).body, 'ok', 'the session goes on');
				await session.send('1');
			}
		}],
		['CVE-2023-31125: a WebSocket for a session that there is not', statuses([asked({}, websocketPath({ sid: 'nobody' })),
			asked({}, websocketPath({ sid: 'A'.repeat(32) }))], [400])],
		['CVE-2016-10542 (ws: no limit of size): 1009', async () => {
			const session = await Streaming.open(server.port);
			await session.send(`4${'x'.repeat(MAX)}`);
			assert.equal(await session.dead(), 1009);
		}],
		['CVE-2021-32640 (ws: Sec-WebSocket-Protocol in quadratic time): passed over', async () => {
			for (const value of [`a${' '.repeat(15_000)}b`, 'a,'.repeat(7000), ` ${'\t '.repeat(7000)}x`]) {
				const { status, headers } = await answer(asked({ 'Sec-WebSocket-Protocol': value }));
				assert.equal(status, 101);
				assert.equal(headers['sec-websocket-protocol'], undefined);
			}
		}],
		['CVE-2024-37890 (ws: many headers end the process): 431', statuses([
			asked(Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`X-${i}`, 'a']))),
			asked(Object.fromEntries(Array.from({ length: 61 }, (_, i) => [`X-${i}`, 'a']))),
		], [431])],
		['ws 2017 (the parser of Sec-WebSocket-Extensions): none is agreed on', async () => {
			for (const value of ['constructor', '__proto__', 'permessage-deflate', 'permessage-deflate; client_max_window_bits="1',
				';;;,,,', 'a;'.repeat(7000), 'x'.repeat(15_000)]) {
				const { status, headers } = await answer(asked({ 'Sec-WebSocket-Extensions': value }));
				assert.equal(status, 101);
				assert.equal(headers['sec-websocket-extensions'], undefined);
			}
		}],
		['CVE-2026-45736 (ws: memory that nobody wrote is sent): pongs and closes are the bytes that came', async () => {
			const websocket = await WebSocket.open(server.port, websocketPath());
			await websocket.next();
			for (let length = 0; length <= 125; length++) {
				websocket.frame(OP.PING, Buffer.alloc(length, length));
				const pong = await websocket.nextFrame();
				assert.equal(pong.opcode, OP.PONG);
				assert.deepEqual(pong.payload, Buffer.alloc(length, length));
			}
			websocket.close(4001, 'x'.repeat(123));
			const { payload } = await websocket.nextFrame();
			assert.ok([0, 2, 125].includes(payload.length), String(payload.length));
			if (payload.length > 0)
				assert.equal(payload.readUInt16BE(), 4001);
			if (payload.length > 2)
				assert.equal(payload.subarray(2).toString(), 'x'.repeat(123));
			websocket.destroy();
		}],
		...[['CVE-2026-48779 (ws: tiny fragments exhaust memory)', 'x'], ['CVE-2026-48779: empty ones', ''],
			['CVE-2026-42786 (Bandit: fragments are put together without bound)', 'x'.repeat(1000)]]
			.map(([what, piece]) => [`${what}: 1009`, async () => {
				const websocket = await WebSocket.open(server.port, websocketPath());
				await websocket.next();
				const part = frame(OP.CONTINUATION, piece, { fin: false });
				websocket.frame(OP.TEXT, '4', { fin: false });
				websocket.wire.send(Buffer.concat(Array.from({ length: 20_000 }, () => part)));
				assert.equal((await websocket.closed()).code, 1009);
			}]),
		['CVE-2026-63382 (libevent: smuggling by lax headers): 400', statuses([
			post(['Content-Length: 5', 'Transfer-Encoding: chunked'], '0\r\n\r\n'), post(['Content-Length: +5']),
			post(['Content-Length: 5', 'Content-Length: 6']), post(['Content-Length : 5']), post(['Content-Length: 5,5']),
			post(['Content-Length: 0x5']), post(['X: a', ' b', 'Content-Length: 5']), post(['X: a\nContent-Length: 5']),
		], [400])],
		['CVE-2026-63379 (libevent: trailers): 400', async () => {
			for (const trailer of ['Content-Length: 5', 'X: a', 'Transfer-Encoding: chunked', 'x'.repeat(20_000)]) {
				const session = await Polling.open(server.port);
				const { status } = await answer(Buffer.from(`POST ${session.url} HTTP/1.1\r\nHost: a\r\n` +
					`Transfer-Encoding: chunked\r\n\r\n1\r\n3\r\n0\r\n${trailer}\r\n\r\n`));
				assert.equal(status, 400);
				assert.equal((await session.post('3')).body, UNKNOWN_SID);
			}
		}],
		['CVE-2026-63385 (libevent: CR and LF in headers): 400, and none that we write have them', async () => {
			await statuses([post(['X: a\rb', 'Content-Length: 5']), post(['X: a\r\rb', 'Content-Length: 5']),
				requestBytes({ path: '/health', headers: { Origin: 'https://a\rSet-Cookie: b' } })], [400])();
			const split = '%0d%0aSet-Cookie:%20a=b';
			for (const bytes of [
				requestBytes({ path: `/uploads/${'0'.repeat(32)}/${split}` }), requestBytes({ path: `/${split}` }),
				requestBytes({ path: `/socket.io/?EIO=4&transport=polling&sid=${split}` }),
				requestBytes({ method: 'OPTIONS', path: '/health', headers: { Origin: `https://a${split}`,
					'Access-Control-Request-Method': 'GET', 'Access-Control-Request-Headers': `a${split}` } }),
			])
				assert.equal((await answer(bytes)).headers['set-cookie'], undefined);
		}],
		['CVE-2026-63381, 63383, 63384, 63387, 63388, CVE-2014-6272, CVE-2016-10195 to 10197 (libevent: evbuffer, evtag, ' +
			'evdns, evhttp): none of it is used', () => {
			const symbols = execFileSync('readelf', ['--dyn-syms', '--wide', program('confab')], { encoding: 'utf8' });
			assert.match(symbols, /UND event_base_loop|UND event_base_dispatch/);
			assert.doesNotMatch(symbols, /UND (evbuffer|evtag|evdns|evhttp|bufferevent)_/);
		}],
	];
	for (const [what, work] of TABLE) {
		test(what, async (t) => {
			await work(t);
			assert.equal((await request(server.port, { path: '/health' })).status, 200);
			assert.equal(server.workers()[0].pid, pid, 'the worker was replaced');
		});
	}
});

describe('CVE-2020-28481, and WebSockets across sites, with cors-origin set', { timeout: 120_000 }, () => {
	const HERE = 'https://app.example';
	let server;
	let token;
	before(async () => {
		({ server, token } = await target({ 'cors-origin': HERE }));
	});
	after(() => server?.stop());

	const DOORS = [
		['polling', () => POLL, {}],
		['a poll of the messenger', () => '/ws/?EIO=4&transport=polling', {}],
		['a WebSocket', () => websocketPath(), upgradeHeaders],
		['a WebSocket of the messenger', () => websocketPath({ path: '/ws/' }), upgradeHeaders],
		['a plain WebSocket', () => `/room/websocket?token=${token}`, upgradeHeaders],
		['REST', () => '/health', {}],
	];
	const FOREIGN = [
		'http://app.example', 'https://app.example.evil.com', 'https://evil-app.example', 'https://app.example:8443',
		'https://app.example/', 'https://sub.app.example', 'https://app.exampl', 'https://user@app.example', 'null', '*', '',
		'https://app.example,https://evil.example', 'https://evil.example#https://app.example', 'HTTPS://APP.EXAMPLE.',
	];
	for (const [what, path, more] of DOORS) {
		test(`${what}: ${HERE} is let in, ${FOREIGN.length} others get 403 before anything else`, async () => {
			const status = async (Origin) => {
				const wire = await Wire.connect(server.port);
				const headers = { ...(typeof more === 'function' ? more() : more), Origin };
				wire.send(requestBytes({ path: path(), headers }));
				const answer = await wire.response();
				wire.destroy();
				return answer.status;
			};
			assert.ok([101, 200].includes(await status(HERE)));
			for (const origin of FOREIGN)
				assert.equal(await status(origin), 403, JSON.stringify(origin));
			// Browsers name their origin on every WebSocket.
			if (typeof more === 'function')
				assert.equal(await status(undefined), 403);
		});
	}
});

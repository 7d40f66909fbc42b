// From polling to WebSocket (protocol §7).
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Polling, Streaming, joinNamespace, upgrade, upgrading, websocketPath } from '../lib/engine.mjs';
import { startConformance } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';
import { OP, frame, upgradeHeaders } from '../lib/websocket.mjs';
import { Wire, requestBytes } from '../lib/wire.mjs';

const ECHO = { path: '/engine.io/' };

describe('upgrade', { timeout: 300_000 }, () => {
	let server;
	before(async () => { server = await startConformance(); });
	after(() => server?.stop());

	const open = () => Polling.open(server.port, ECHO);

	// A WebSocket on which the probe was answered.
	async function probed(session) {
		const websocket = await upgrading(session);
		websocket.text('2probe');
		assert.equal(await websocket.next(), '3probe');
		return websocket;
	}

	test('the WebSocket of an upgrade gets no open packet', async () => {
		const session = await open();
		const websocket = await probed(session);
		// The probe's answer was the first that came.
		websocket.destroy();
	});

	test('a held poll is released by a noop', async () => {
		const session = await open();
		const { answer } = await session.hold();
		await probed(session);
		assert.equal((await answer).body, '6');
	});

	test('so is every further poll, while the upgrade lasts', async () => {
		const session = await open();
		await probed(session);
		for (let i = 0; i < 4; i++)
			assert.equal((await session.poll()).body, '6');
	});

	test('until the upgrade the session is polling', async () => {
		const session = await open();
		const websocket = await probed(session);
		assert.equal((await session.send('4over polling')).body, 'ok');
		const packets = [];
		while (!packets.includes('4over polling'))
			packets.push(...(await session.poll()).body.split('\x1e'));
		assert.ok(packets.every((packet) => packet === '6' || packet === '4over polling'), String(packets));
		websocket.text('5').text('4over websocket');
		assert.equal(await websocket.next(), '4over websocket');
		websocket.destroy();
	});

	test('what is queued goes over the WebSocket after the upgrade', async () => {
		const session = await open();
		const websocket = await probed(session);
		await session.send('4a', Buffer.from([1, 2]), '4b');
		websocket.text('5');
		assert.equal(await websocket.next(), '4a');
		assert.deepEqual(await websocket.next(), Buffer.from([1, 2]));
		assert.equal(await websocket.next(), '4b');
		websocket.destroy();
	});

	test('packets right behind the upgrade packet are taken', async () => {
		const session = await open();
		const websocket = await probed(session);
		websocket.text('5').text('41').text('42');
		assert.equal(await websocket.next(), '41');
		assert.equal(await websocket.next(), '42');
		websocket.destroy();
	});

	test('an upgrade packet without a probe is taken', async () => {
		const session = await open();
		const websocket = await upgrading(session);
		websocket.text('5').text('4a');
		assert.equal(await websocket.next(), '4a');
		websocket.destroy();
	});

	test('a poll still held at the upgrade is released', async () => {
		const session = await open();
		const websocket = await probed(session);
		let last = await session.hold();
		websocket.text('5').text('4a');
		assert.equal(await websocket.next(), '4a');
		const answer = await last.answer;
		// By a noop when it came before, by 1 at the swap, by code 3 when it came after.
		if (answer.status === 200)
			assert.match(answer.body, /^[16]$/);
		else
			assert.equal(answer.body, '{"code":3,"message":"Bad request"}');
		websocket.destroy();
	});

	for (const first of ['2probex', '2', '42["a"]', 'abc', '', '3probe', Buffer.from([1])]) {
		const shown = Buffer.isBuffer(first) ? 'a binary message' : `"${first}"`;
		test(`${shown} first closes the WebSocket only`, async () => {
			const session = await open();
			const websocket = await upgrading(session);
			if (Buffer.isBuffer(first))
				websocket.binary(first);
			else
				websocket.text(first);
			await websocket.closed();
			assert.equal((await session.send('4alive')).body, 'ok');
			assert.equal(await nextMessage(session), '4alive');
		});
	}

	// The next packet of a polling session that is no noop.
	async function nextMessage(session) {
		for (;;) {
			const packet = await session.next();
			if (packet !== '6')
				return packet;
		}
	}

	for (const leave of ['a close', 'an end', 'a reset']) {
		test(`${leave} of the WebSocket before the upgrade leaves the session alone`, async () => {
			const session = await open();
			const websocket = await probed(session);
			if (leave === 'a close') {
				websocket.close(1000);
				await websocket.closed();
			} else if (leave === 'an end') {
				websocket.destroy();
			} else {
				websocket.wire.reset();
			}
			await session.send('4alive');
			assert.equal(await nextMessage(session), '4alive');
			// And it may try again; the server may have to notice the first one's end before.
			const again = await until(async () => {
				const second = await upgrading(session);
				second.text('2probe');
				return await second.next() === '3probe' && second;
			}, 'second upgrade');
			again.text('5').text('4moved');
			assert.equal(await again.next(), '4moved');
			again.destroy();
		});
	}

	test('a second WebSocket during an upgrade is closed, the first goes on', async () => {
		const session = await open();
		const first = await probed(session);
		const second = await upgrading(session);
		await second.closed();
		first.text('5').text('4a');
		assert.equal(await first.next(), '4a');
		first.destroy();
	});

	test('upgrading a session that is a WebSocket already is closed', async () => {
		const session = await Streaming.open(server.port, ECHO);
		session.path = ECHO.path;
		const second = await upgrading(session);
		await second.closed();
		await session.send('4a');
		assert.equal(await session.next(), '4a');
		session.destroy();
	});

	test('a reset at any stage does no harm', async () => {
		const ask = (session) => requestBytes({
			path: websocketPath({ path: session.path, sid: session.sid }), headers: upgradeHeaders(),
		});
		const stages = [
			(wire) => wire,
			(wire, session) => wire.send(ask(session).subarray(0, 40)),
			(wire, session) => wire.send(ask(session)),
			(wire, session) => wire.send(Buffer.concat([ask(session), frame(OP.TEXT, '2probe')])),
			(wire, session) => wire.send(Buffer.concat([ask(session), frame(OP.TEXT, '2probe'),
				frame(OP.TEXT, '5'), frame(OP.TEXT, '4a')])),
			async (wire, session) => {
				wire.send(ask(session));
				await wire.response();
				wire.send(frame(OP.TEXT, '2probe').subarray(0, 3));
			},
		];
		for (const stage of stages) {
			const session = await open();
			const wire = await Wire.connect(server.port);
			await stage(wire, session);
			wire.reset();
		}
		const session = await open();
		await session.send('4alive');
		assert.equal(await session.next(), '4alive');
	});

	test('the order holds across the swap', async () => {
		const session = await open();
		const heard = [];
		let swapped = false;
		const polling = (async () => {
			while (!swapped || heard.length === 0) {
				const answer = await session.poll();
				if (answer.status !== 200)
					return;
				heard.push(...answer.body.split('\x1e').filter((packet) => packet !== '6' && packet !== '1'));
				if (swapped)
					return;
			}
		})();
		for (let i = 0; i < 20; i++)
			await session.send(`4${i}`);
		const websocket = await probed(session);
		for (let i = 20; i < 40; i++)
			await session.send(`4${i}`);
		// A client pauses its polling before it sends the upgrade packet.
		swapped = true;
		await polling;
		websocket.text('5');
		for (let i = 40; i < 60; i++)
			websocket.text(`4${i}`);
		while (heard.length < 60)
			heard.push(await websocket.next());
		assert.deepEqual(heard, Array.from({ length: 60 }, (_, i) => `4${i}`));
		websocket.destroy();
	});

	test('Socket.IO goes on after the upgrade', async () => {
		const session = await Polling.open(server.port);
		await joinNamespace(session);
		const upgraded = await upgrade(session);
		await upgraded.send('42["message","after"]');
		assert.equal(await upgraded.next(), '42["message-back","after"]');
		await upgraded.send('451-["message",{"_placeholder":true,"num":0}]', Buffer.from([7]));
		assert.equal(await upgraded.next(), '451-["message-back",{"_placeholder":true,"num":0}]');
		assert.deepEqual(await upgraded.next(), Buffer.from([7]));
		upgraded.destroy();
	});
});

describe('upgrade that takes too long', { timeout: 120_000, concurrency: true }, () => {
	let server;
	before(async () => { server = await startConformance({ options: { 'upgrade-timeout': '4s' } }); });
	after(() => server?.stop());

	for (const probe of [true, false]) {
		test(`closes the WebSocket only, ${probe ? 'after' : 'without'} a probe`, async () => {
			const session = await Polling.open(server.port, ECHO);
			const websocket = await upgrading(session);
			if (probe)
				websocket.text('2probe');
			const { before: earlier } = await websocket.closed();
			assert.deepEqual(earlier, probe ? ['3probe'] : []);
			await session.send('4alive');
			assert.match((await session.poll()).body, /4alive$/);
		});
	}
});

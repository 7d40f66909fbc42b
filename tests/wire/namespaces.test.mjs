// Socket.IO namespaces: CONNECT, its answers, DISCONNECT (protocol §11, §12).
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { TRANSPORTS, joinNamespace, joined } from '../lib/engine.mjs';
import { startConformance } from '../lib/server.mjs';

const CONNECTED = /^40\{"sid":"[A-Za-z0-9_-]+"\}$/;

describe('namespaces', { timeout: 300_000 }, () => {
	let server;
	before(async () => { server = await startConformance(); });
	after(() => server?.stop());

	for (const Transport of TRANSPORTS) {
		const open = () => Transport.open(server.port);
		const title = (text) => `${Transport === TRANSPORTS[0] ? 'polling' : 'websocket'}: ${text}`;

		for (const [packet, prefix, auth] of [
			['40', '', '{}'],
			['40/', '', '{}'],
			['40/,', '', '{}'],
			['40{}', '', '{}'],
			['40{"token":"123"}', '', '{"token":"123"}'],
			['40/custom', '/custom,', '{}'],
			['40/custom,', '/custom,', '{}'],
			['40/custom,{"token":"abc"}', '/custom,', '{"token":"abc"}'],
			['40{"a":[1,{"b":null}],"c":"é"}', '', '{"a":[1,{"b":null}],"c":"é"}'],
		]) {
			test(title(`${packet} connects`), async () => {
				const session = await open();
				await session.send(packet);
				const reply = await session.next();
				assert.ok(reply.startsWith(`40${prefix}{"sid":"`), reply);
				assert.match(`40${reply.slice(2 + prefix.length)}`, CONNECTED);
				assert.equal(await session.next(), `42${prefix}["auth",${auth}]`);
				session.destroy();
			});
		}

		for (const [packet, nsp] of [
			['40/nope,', '/nope'],
			['40/random', '/random'],
			['40/nope,{"token":"a"}', '/nope'],
			['40/custom?t=1,', '/custom?t=1'],
			['40/Custom,', '/Custom'],
			['40/custom/,', '/custom/'],
			['40//,', '//'],
		]) {
			test(title(`${packet} is an invalid namespace, the session lives`), async () => {
				const session = await open();
				await session.send(packet);
				assert.equal(await session.next(), `44${nsp},{"message":"Invalid namespace"}`);
				await joinNamespace(session);
				session.destroy();
			});
		}

		test(title('one Socket.IO sid per namespace, none of them the Engine.IO one'), async () => {
			const session = await open();
			const main = await joinNamespace(session);
			const custom = await joinNamespace(session, '/custom', { a: 1 });
			assert.equal(new Set([main, custom, session.sid]).size, 3);
			session.destroy();
		});

		test(title('only a namespace beside the main one'), async () => {
			const session = await open();
			await joinNamespace(session, '/custom');
			await session.send('42/custom,["message",1]', '42/custom,13["message-with-ack","x"]');
			assert.equal(await session.next(), '42/custom,["message-back",1]');
			assert.equal(await session.next(), '43/custom,13["x"]');
			session.destroy();
		});

		test(title('binary with a namespace and an id'), async () => {
			const session = await open();
			await joinNamespace(session, '/custom');
			const place = '{"_placeholder":true,"num":0}';
			await session.send(`451-/custom,["message",${place}]`, Buffer.from([1]));
			assert.equal(await session.next(), `451-/custom,["message-back",${place}]`);
			assert.deepEqual(await session.next(), Buffer.from([1]));
			await session.send(`451-/custom,13["message-with-ack",${place}]`, Buffer.from([2]));
			assert.equal(await session.next(), `461-/custom,13[${place}]`);
			assert.deepEqual(await session.next(), Buffer.from([2]));
			session.destroy();
		});

		test(title('namespaces do not mix'), async () => {
			const session = await joined(Transport, server.port);
			await joinNamespace(session, '/custom');
			await session.send('42["message",1]', '42/custom,["message",2]', '42["message",3]');
			assert.equal(await session.next(), '42["message-back",1]');
			assert.equal(await session.next(), '42/custom,["message-back",2]');
			assert.equal(await session.next(), '42["message-back",3]');
			session.destroy();
		});

		for (const packet of ['41', '41/', '41/,']) {
			test(title(`${packet} leaves the main namespace, the others stay`), async () => {
				const session = await joined(Transport, server.port);
				await joinNamespace(session, '/custom');
				await session.send(packet);
				await session.send('42/custom,["message",1]');
				assert.equal(await session.next(), '42/custom,["message-back",1]');
				session.destroy();
			});
		}

		for (const packet of ['41/custom', '41/custom,']) {
			test(title(`${packet} leaves that namespace`), async () => {
				const session = await joined(Transport, server.port);
				await joinNamespace(session, '/custom');
				await session.send(packet);
				await session.send('42["message",1]');
				assert.equal(await session.next(), '42["message-back",1]');
				await session.send('42/custom,["message",1]');
				await session.dead();
			});
		}

		test(title('after 41 an event ends the session'), async () => {
			const session = await joined(Transport, server.port);
			await session.send('41');
			await session.send('42["message",1]');
			await session.dead();
		});

		test(title('after 41 a new CONNECT gets a new sid'), async () => {
			const session = await open();
			const first = await joinNamespace(session);
			await session.send('41');
			const second = await joinNamespace(session);
			assert.notEqual(first, second);
			session.destroy();
		});

		test(title('an event right behind a CONNECT never comes before its answer'), async () => {
			const session = await open();
			await session.send('40', '42["message",1]');
			// To close or to keep it until the answer: both are right.
			let first = null;
			try {
				first = await session.next();
			} catch {
				return;
			}
			if (first?.code || /^[16]$/.test(first))
				return;
			assert.match(first, CONNECTED);
			assert.equal(await session.next(), '42["auth",{}]');
			assert.equal(await session.next(), '42["message-back",1]');
			session.destroy();
		});

		test(title('two CONNECTs at once for two namespaces are both answered'), async () => {
			const session = await open();
			await session.send('40', '40/custom,{"n":2}');
			const heard = new Set();
			for (let i = 0; i < 4; i++)
				heard.add((await session.next()).replace(/"sid":"[^"]+"/, '"sid":""'));
			assert.deepEqual([...heard].sort(), ['40/custom,{"sid":""}', '40{"sid":""}',
				'42/custom,["auth",{"n":2}]', '42["auth",{}]']);
			session.destroy();
		});
	}
});

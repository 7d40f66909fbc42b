// Socket.IO packets: what is taken, what ends the session, as tables over both transports
// (protocol §10 to §12).
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Polling, TRANSPORTS, joined } from '../lib/engine.mjs';
import { startConformance } from '../lib/server.mjs';

const blob = (...bytes) => Buffer.from(bytes);
const PLACE = '{"_placeholder":true,"num":0}';
const deep = (depth) => `42["message",${'['.repeat(depth)}${']'.repeat(depth)}]`;

// To a session joined to "/": what it sends, and what it hears.
const TAKEN = [
	['an event', ['42["message",1,"2",{"3":[true]}]'], ['42["message-back",1,"2",{"3":[true]}]']],
	['an event without arguments', ['42["message"]'], ['42["message-back"]']],
	['an event with null', ['42["message",null]'], ['42["message-back",null]']],
	['the main namespace by name', ['42/,["message",1]'], ['42["message-back",1]']],
	['nested and empty values', ['42["message",[],{},[[]],{"a":{}}]'],
		['42["message-back",[],{},[[]],{"a":{}}]']],
	['numbers as they were written', ['42["message",1e3,-0,1.10,12345678901234567890]'],
		['42["message-back",1e3,-0,1.10,12345678901234567890]']],
	['texts as they were written', ['42["message","é\\u00e9\\n\\u001e🙂 好"]'],
		['42["message-back","é\\u00e9\\n\\u001e🙂 好"]']],
	['a key twice', ['42["message",{"a":1,"a":2}]'], ['42["message-back",{"a":1,"a":2}]']],
	['blanks between the values', ['42["message", 1 , [ 2 ] ]'], /^42\["message-back", ?1 ?, ?\[ ?2 ?\] ?\]$/],
	['an acknowledgement', ['42456["message-with-ack",1,"2",{"3":[false]}]'],
		['43456[1,"2",{"3":[false]}]']],
	['an empty acknowledgement', ['420["message-with-ack"]'], ['430[]']],
	['leading zeros of an id', ['42007["message-with-ack",1]'], /^430*7\[1\]$/],
	['an id of 18 digits', ['42123456789012345678["message-with-ack"]'], ['43123456789012345678[]']],
	['an id past 2^53, as text', ['429007199254740993["message-with-ack"]'], ['439007199254740993[]']],
	['one blob', [`451-["message",${PLACE}]`, blob(1, 2)], [`451-["message-back",${PLACE}]`, blob(1, 2)]],
	['two blobs in an object',
		['452-["message",{"_placeholder":true,"num":0},{"k":{"_placeholder":true,"num":1}}]',
			blob(1, 2, 3), blob(4)],
		['452-["message-back",{"_placeholder":true,"num":0},{"k":{"_placeholder":true,"num":1}}]',
			blob(1, 2, 3), blob(4)]],
	['an empty blob', [`451-["message",${PLACE}]`, blob()], [`451-["message-back",${PLACE}]`, blob()]],
	['ten blobs', [`4510-["message",${Array.from({ length: 10 }, (_, num) =>
		`{"_placeholder":true,"num":${num}}`)}]`, ...Array.from({ length: 10 }, (_, i) => blob(i))],
	[`4510-["message-back",${Array.from({ length: 10 }, (_, num) =>
		`{"_placeholder":true,"num":${num}}`)}]`, ...Array.from({ length: 10 }, (_, i) => blob(i))]],
	['a blob in an acknowledgement', [`451-7["message-with-ack",${PLACE}]`, blob(9)],
		[`461-7[${PLACE}]`, blob(9)]],
	['heartbeats between a header and its blobs', [`451-["message",${PLACE}]`, '3', blob(1)],
		[`451-["message-back",${PLACE}]`, blob(1)]],
];

// Sent by a session joined to "/": ends it.
const FATAL = [
	['no packet type', ['4']],
	['type 7', ['47']],
	['type 9', ['49["a"]']],
	['a letter', ['4x']],
	['an event that is no array', ['42{}']],
	['an event that is a text', ['42"message"']],
	['an empty array', ['42[]']],
	['null as the name', ['42[null]']],
	['true as the name', ['42[true]']],
	['an object as the name', ['42[{}]']],
	['an array as the name', ['42[["message"]]']],
	['an event without a payload', ['42']],
	['an event with an id only', ['4212']],
	['a letter before the payload', ['42abc["message"]']],
	['a negative id', ['42-1["message"]']],
	['a blank in the id', ['421 2["message-with-ack"]']],
	['a blank before the payload', ['42 ["message"]']],
	['an id of 19 digits', ['421234567890123456789["message-with-ack"]']],
	['bytes after the payload', ['42["message"]x']],
	['two payloads', ['42["message"]["message"]']],
	['an array that does not end', ['42["message"']],
	['a string that does not end', ['42["message]']],
	['a trailing comma', ['42["message",]']],
	['single quotes', ["42['message']"]],
	['a bad escape', ['42["message","\\x41"]']],
	['a raw control character', ['42["message","a\nb"]']],
	['a leading zero', ['42["message",01]']],
	['NaN', ['42["message",NaN]']],
	['a lone surrogate', ['42["message","\\ud800"]']],
	['nesting past all bounds', [deep(20_000)]],
	...['connect', 'connect_error', 'disconnect', 'disconnecting', 'newListener', 'removeListener']
		.flatMap((name) => [
			[`the reserved name ${name}`, [`42["${name}"]`]],
			[`the reserved name ${name} with an id`, [`421["${name}",1]`]],
		]),
	['a reserved name in escapes', ['42["\\u0063onnect"]']],
	['a reserved name in a binary event', [`451-["disconnect",${PLACE}]`]],
	['a CONNECT_ERROR', ['44{"message":"a"}']],
	['a CONNECT_ERROR without a payload', ['44']],
	['a second CONNECT', ['40']],
	['a second CONNECT with auth', ['40{"token":"a"}']],
	['a DISCONNECT with a payload', ['41{}']],
	['an acknowledgement that is an object', ['431{}']],
	['an acknowledgement that is a text', ['431"a"']],
	['no attachments announced', ['450-["message"]']],
	['11 attachments announced', [`4511-["message",${PLACE}]`]],
	['a great many announced', ['45999999999-["message"]']],
	['more than a number holds announced', ['4599999999999999999999-["message"]']],
	['no count', [`45["message",${PLACE}]`]],
	['no dash after the count', [`451["message",${PLACE}]`]],
	['a negative count', [`45-1-["message",${PLACE}]`]],
	['a fraction as the count', [`451.5-["message",${PLACE}]`]],
	['a binary event without a payload', ['451-']],
	['a count on a plain event', ['421-["message"]']],
	['a text where a blob must come', [`451-["message",${PLACE}]`, '42["message"]']],
	['a DISCONNECT where a blob must come', [`451-["message",${PLACE}]`, '41']],
	['a second header where a blob must come', [`451-["message",${PLACE}]`, `451-["message",${PLACE}]`]],
	['a blob that nobody announced', [blob(1)]],
	['a blob too many', [`451-["message",${PLACE}]`, blob(1), blob(2)]],
	...['1', '-1', '"x"', '1e9', '0.5', 'null', '[]'].map((num) =>
		[`placeholder number ${num}`, [`451-["message",{"_placeholder":true,"num":${num}}]`, blob(1)]]),
	['a placeholder without a number', ['451-["message",{"_placeholder":true}]', blob(1)]],
	['a placeholder as the name', [`451-[${PLACE}]`, blob(1)]],
	['an event for a namespace not joined', ['42/custom,["message"]']],
	['an event for an unknown namespace', ['42/nope,["message"]']],
	['an acknowledgement for a namespace not joined', ['43/custom,1[]']],
	['a DISCONNECT for a namespace not joined', ['41/custom,']],
];

// First packets that end a session which has joined nothing.
const FATAL_FIRST = [
	['40"str"'], ['40[]'], ['40null'], ['40{bad'], ['40{}x'], ['40 '], ['40/custom,[]'],
	['40{"a":"\\ud800"}'], ['42["message"]'], ['41'], ['431[]'], ['44'], ['450-["a"]'], [blob(1)],
];

// Passed over without an answer.
const IGNORED = [
	['an answer to a question never asked', ['43999[1]']],
	['an answer without an id', ['43[1]']],
	['a bare answer', ['435']],
	['the same answer twice', ['431[1]', '431[1]']],
	['a binary answer to nothing', [`461-5[${PLACE}]`, blob(1)]],
	['an event that nobody knows', ['42["nobody-knows-this",1]']],
	['an event named error', ['42["error",{"message":"a"}]']],
	['an event with a number for a name', ['42[5,"a"]']],
	['an event with an empty name', ['42["",1]']],
	['a __proto__', ['42["__proto__",1]']],
];

describe('packets', { timeout: 600_000 }, () => {
	let server;
	before(async () => { server = await startConformance(); });
	after(() => server?.stop());

	for (const Transport of TRANSPORTS) {
		const how = Transport === Polling ? 'polling' : 'websocket';

		for (const [what, packets, answers] of TAKEN) {
			test(`${how}: ${what}`, async () => {
				const session = await joined(Transport, server.port);
				await session.send(...packets);
				if (answers instanceof RegExp) {
					assert.match(await session.next(), answers);
				} else {
					for (const answer of answers)
						assert.deepEqual(await session.next(), answer);
				}
				session.destroy();
			});
		}

		for (const [what, packets] of FATAL) {
			test(`${how}: ${what} ends the session`, async () => {
				const session = await joined(Transport, server.port);
				const answer = await session.send(...packets);
				if (answer)
					assert.equal(answer.status, 400);
				await session.dead();
				session.destroy();
			});
		}

		for (const packets of FATAL_FIRST) {
			test(`${how}: ${packets} ends a session that has joined nothing`, async () => {
				const session = await Transport.open(server.port);
				const answer = await session.send(...packets);
				if (answer)
					assert.equal(answer.status, 400);
				await session.dead();
				session.destroy();
			});
		}

		for (const [what, packets] of IGNORED) {
			test(`${how}: ${what} is passed over`, async () => {
				const session = await joined(Transport, server.port);
				await session.send(...packets);
				await session.send('42["message","next"]');
				let heard = await session.next();
				// An unknown event may be answered by an error of its own.
				if (String(heard).startsWith('42["error"'))
					heard = await session.next();
				assert.equal(heard, '42["message-back","next"]');
				session.destroy();
			});
		}

		test(`${how}: a blob that no placeholder names is dropped`, async () => {
			const session = await joined(Transport, server.port);
			await session.send('451-["message",1]', blob(1));
			const heard = await session.next();
			assert.match(heard, /^4(2|51-)\["message-back",1\]$/);
			if (heard.startsWith('451-'))
				assert.deepEqual(await session.next(), blob(1));
			await session.send('42["message",2]');
			assert.equal(await session.next(), '42["message-back",2]');
			session.destroy();
		});

		test(`${how}: many events in one go are answered in order`, async () => {
			const session = await joined(Transport, server.port);
			const events = Array.from({ length: 100 }, (_, i) => `42${i}["message-with-ack",${i}]`);
			await session.send(...events);
			for (let i = 0; i < 100; i++)
				assert.equal(await session.next(), `43${i}[${i}]`);
			session.destroy();
		});

		test(`${how}: blobs of one event are never torn apart by others`, async () => {
			const session = await joined(Transport, server.port);
			for (let i = 0; i < 10; i++)
				await session.send(`451-["message",${PLACE}]`, blob(i), `42["message",${i}]`);
			for (let i = 0; i < 10; i++) {
				assert.equal(await session.next(), `451-["message-back",${PLACE}]`);
				assert.deepEqual(await session.next(), blob(i));
				assert.equal(await session.next(), `42["message-back",${i}]`);
			}
			session.destroy();
		});
	}
});

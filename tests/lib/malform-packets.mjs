// Malformed WebSocket frames, and malformed packets in well-formed ones; see malform.mjs.
import { damage, found, latin } from './chance.mjs';
import { OP, closePayload, frame } from './websocket.mjs';

// --- WebSocket frames ---

const BAD_UTF8 = ['\xff', '\xc0\x80', '\xed\xa0\x80', '\xf4\x90\x80\x80', '\xe2\x82', 'a\x80',
	'\xf8\x88\x80\x80\x80'].map(latin);

// Frames whose masks are the dice's, too.
const maker = (dice) => (opcode, payload, options) => frame(opcode, payload, { ...options,
	key: dice.bytes(4) });

// Each gives frames; `f` makes one with a mask of the dice's. Then the codes that may close the connection; none:
// it lives on.
const FRAME_TRICKS = [
	['unmasked', (f) => [f(OP.TEXT, '6', { mask: false })], [1002]],
	['reserved bits', (f, dice) => [f(OP.TEXT, '6', { rsv: dice.between(1, 7) })], [1002]],
	['reserved opcode', (f, dice) => [f(dice.pick([3, 4, 5, 6, 7, 11, 12, 13, 14, 15]), '6')], [1002]],
	['a control frame in pieces', (f, dice) => [f(dice.pick([OP.PING, OP.PONG, OP.CLOSE]), 'ab',
		{ fin: false })], [1002]],
	['a long control frame', (f, dice) => [f(dice.pick([OP.PING, OP.PONG, OP.CLOSE]),
		Buffer.alloc(dice.between(126, 3000), 97))], [1002]],
	['continuation of nothing', (f, dice) => [f(OP.CONTINUATION, '6', { fin: dice.chance(1, 2) })], [1002]],
	['a message within a message', (f, dice) => [f(OP.TEXT, '6', { fin: false }), f(dice.pick([OP.TEXT,
		OP.BINARY]), '6')], [1002]],
	['bad UTF-8', (f, dice) => [f(OP.TEXT, Buffer.concat([latin('6'), dice.pick(BAD_UTF8)]))], [1007]],
	['bad UTF-8 in pieces', (f, dice) => {
		const text = Buffer.concat([latin('6abc'), dice.pick(BAD_UTF8)]);
		const at = dice.between(1, text.length - 1);
		return [f(OP.TEXT, text.subarray(0, at), { fin: false }), f(OP.CONTINUATION, text.subarray(at))];
	}, [1007]],
	['a close of one byte', (f) => [f(OP.CLOSE, 'a')], [1002]],
	['a close with a code that is none', (f, dice) =>
		[f(OP.CLOSE, closePayload(dice.pick([0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535])))],
			[1002]],
	['a close with bad UTF-8', (f, dice) => [f(OP.CLOSE, Buffer.concat([closePayload(1000),
		dice.pick(BAD_UTF8)]))], [1002, 1007]],
	['a close', (f) => [f(OP.CLOSE, closePayload(1000, 'bye'))], [1000]],
	['a close, and on', (f) => [f(OP.CLOSE, closePayload(4999)), f(OP.TEXT, '6'), f(OP.CLOSE)], [4999]],
	['a length past 2^63', (f, dice) => [f(OP.BINARY, 'a', { length: dice.pick([2n ** 63n, 2n ** 64n - 1n]) })],
		[1002, 1009]],
	['a length that is too much', (f, dice) =>
		[f(dice.pick([OP.TEXT, OP.BINARY]), 'a', { length: dice.pick([2n ** 63n - 1n, 2n ** 40n, 2n ** 32n,
			65_537n, 1_000_001n]) })],
	[1002, 1009]],
	['too much in pieces', (f) => [f(OP.BINARY, Buffer.alloc(40_000), { fin: false }), f(OP.CONTINUATION,
		Buffer.alloc(40_000))], [1009]],
	['a wide length', (f, dice) => [f(OP.PING, 'a', { wide: dice.pick([16, 64]) })], [1002]],
	['a hundred empty pieces', (f) => [f(OP.TEXT, '6', { fin: false }), ...Array.from({ length: 100 }, () =>
		f(OP.CONTINUATION, '', { fin: false })), f(OP.CONTINUATION)], []],
	['control frames within a message', (f) => [f(OP.TEXT, '', { fin: false }), f(OP.PING, 'x'),
		f(OP.CONTINUATION, '6'), f(OP.PONG)], []],
];

const goodSequence = (f) => Buffer.concat([f(OP.TEXT, '6'), f(OP.PING, 'hello'), f(OP.TEXT, '6',
	{ fin: false }), f(OP.PONG, 'a'),
	f(OP.CONTINUATION, ''), f(OP.TEXT, '3')]);

export function frames(dice) {
	const f = maker(dice);
	const path_ = dice.chance(1, 3) ? 'plain' : 'engine';
	const how = dice.below(20);
	if (how < 10) {
		const [what, make, codes] = dice.pick(FRAME_TRICKS);
		return { what, path: path_, codes, bytes: Buffer.concat(make(f, dice)) };
	}
	if (how < 16)
		return { path: path_, ...damage(dice, goodSequence(f)) };
	if (how < 19)
		return { path: path_, ...damage(dice, found(dice, 'ws', (bytes) => bytes.subarray(1))) };
	return { what: 'chance', path: path_, bytes: dice.bytes(dice.between(1, 400)) };
}

// --- Packets of Engine.IO and Socket.IO ---

const PLACE = '{"_placeholder":true,"num":0}';
const BLOB = Buffer.from([1, 2, 3]);
const JUNK = ['', 'x', '{', '[', '{}', '[]', 'null', '5', '"a"', '-1', ' ', ',', '/', '/,', '/a', '/a,', '\0',
	'\ud83d\ude00'];

const PACKET_REFUSED = [
	...['44', '44{"message":"a"}', '41{}', '40', '40{"token":"a"}', '42', '4212', '42{}', '42[]', '42[{}]',
		'42[[]]', '42[null]', '42 ["a"]',
		'42abc["a"]', '42-1["a"]', '42["a"]x', '42["a"', '42["a",]', '42["a",01]', '42["a",NaN]',
			'42["a","\\ud800"]', '42["a","\\x"]',
		'42["a","\n"]', '42["connect"]', '421["disconnect",1]', '42["newListener"]', '431{}', '431"a"',
			'42/nope,["a"]',
		'43/nope,1[]', '41/nope,', '42/lobby,["login"]', '4', '47', '4-', '4\0', '', '0', '2', '2probe', '7',
			'a', '-', '40[]', '40null',
		'46', '45', '451', '451-', '450-["a"]', '4511-["a"]', '45-1-["a"]', '451.5-["a"]', '45["a"]',
			`451["a",${PLACE}]`, '421-["a"]',
		'455999999999-', '4599999999999999999999-["a"]', '451e1-["a"]'].map((text) => [text]),
	[BLOB],
	[`451-["a",${PLACE}]`, '42["a"]'],
	[`451-["a",${PLACE}]`, '41'],
	[`451-["a",${PLACE}]`, `451-["a",${PLACE}]`],
	[`451-["a",${PLACE}]`, BLOB, BLOB],
	[`452-["a",${PLACE}]`, BLOB, '42["a"]'],
	...['-1', '1', '"x"', '1e9', '0.5', '-0.5', 'null', '[]', '9223372036854775808',
		'{"_placeholder":true,"num":0}']
		.map((num) => [`451-["a",{"_placeholder":true,"num":${num}}]`, BLOB]),
	['451-["a",{"_placeholder":true}]', BLOB],
	[`451-[${PLACE}]`, BLOB],
	['451-["a",{"_placeholder":true,"num":0,"num":7}]', BLOB],
	[`42["a",${'['.repeat(40)}${']'.repeat(40)}]`],
	[`42["a",${'['.repeat(20_000)}`],
	['42["a","\ufeff'],
];

// Passed over, or answered; the session lives on.
const PACKET_TAKEN = [
	['43999[1]'], ['43[1]'], ['43999999999999999999[]'], ['3'], ['6'], ['5'], ['3probe'],
	['42["nobody",1]'], ['42["__proto__",1]'], ['42["",1]'], ['42[5,"a"]'], ['421["nobody"]'],
		['42999999999999999999["nobody"]'],
	[`451-["nobody",${PLACE}]`, BLOB], [`461-5[${PLACE}]`, BLOB], ['451-["nobody",1]', BLOB],
		['42["send_message"]'], ['421["send_message",5]'],
	['421["send_message",{"channelId":5,"content":[]}]'], ['40/nope,'], ['40/nope,{"token":5}'], ['40/a?b=c,'],
		['42["error",{}]'],
	['42["constructor"]'], ['42["a\\u0000b"]'], [`42[${'"x",'.repeat(500)}1]`],
];

// Acknowledgement ids of 19 digits and more are refused; so are namespaces that nobody joined.
function madeUp(dice) {
	const id = dice.pick(['', '', '1', '0', '00', '9223372036854775807', '9223372036854775808',
		'18446744073709551616', '9'.repeat(200)]);
	const count = dice.pick(['', '', '1-', '2-', '0-', '10-', '11-', '-', '1', '1e9-', '5999999999-', '0x1-',
		'-1-']);
	const nsp = dice.pick(['', '', '', '/,', '/channels,', '/lobby,', '/a b,', '//,', '/\0,',
		`/${'n'.repeat(500)},`, '/\u00fc,', '/a']);
	const data = dice.pick([...JUNK, '["a"]', '["ping"]', `["ping",${PLACE}]`,
		'[{"_placeholder":true,"num":-1}]', '["ping",{"_placeholder":true,"num":1e9}]',
		`[${PLACE},${PLACE}]`, '{"token":5}']);
	return [`4${dice.below(8)}${count}${nsp}${id}${data}`, ...Array.from({ length: dice.pick([0, 0, 1, 2]) },
		() => BLOB)];
}

function goodMessages(dice, place) {
	const content = JSON.stringify({ channelId: place.channel, content: 'a message' });
	return dice.pick([['42["ping"]'], [`421["send_message",${content}]`],
		[`42["typing_start",{"channelId":"${place.channel}"}]`],
		[`451-["nobody",${PLACE}]`, BLOB], ['3'], ['6']]);
}

const asBytes = (message) => Buffer.isBuffer(message) ? message : Buffer.from(message);

export function packets(dice, place) {
	const over = dice.chance(1, 5) ? 'polling' : 'websocket';
	const how = dice.below(20);
	if (how < 6)
		return { what: 'bad', over, expect: 'refused', messages: dice.pick(PACKET_REFUSED) };
	if (how < 7)
		return { what: 'odd', over, expect: 'taken', messages: dice.pick(PACKET_TAKEN) };
	if (how < 11)
		return { what: 'made up', over, messages: madeUp(dice) };
	if (how < 17) {
		const messages = [...goodMessages(dice, place)];
		const at = dice.below(messages.length);
		const { what, bytes } = damage(dice, asBytes(messages[at]));
		const binary = Buffer.isBuffer(messages[at]);
		messages[at] = binary ? bytes : { text: bytes };
		return { what, over, messages };
	}
	if (how < 19) {
		const target = dice.pick(['socketio', 'engineio']);
		const { what, bytes } = damage(dice, found(dice, target));
		return { what: `${target} ${what}`, over,
			messages: [{ text: target === 'socketio' ? Buffer.concat([latin('4'), bytes]) : bytes }] };
	}
	return { what: 'chance', over, messages: [{ text: dice.bytes(dice.between(0, 60)) }] };
}

export function goodFrames(dice) {
	return { path: dice.chance(1, 3) ? 'plain' : 'engine', codes: [], bytes: goodSequence(maker(dice)) };
}

export function goodPackets(dice, place) {
	return { over: dice.chance(1, 5) ? 'polling' : 'websocket', expect: 'taken', messages: goodMessages(dice,
		place) };
}

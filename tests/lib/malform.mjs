// Malformed input of six kinds, made from well-formed ones by rules of their grammar and by chance. An input is
// known by its seed, kind and index: these always give the same bytes. Some are known to be bad or good: `expect`
// says then what has to come of them; of the others only that something does.
import { createHmac } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { SECRET, token } from './token.mjs';
import { OP, closePayload, frame } from './websocket.mjs';

const CORPUS = fileURLToPath(new URL('../fuzz/corpus', import.meta.url));
const LARGEST_SEED = 4096;

// --- Chance ---

// The same numbers for the same words: FNV-1a, then mulberry32.
export class Dice {
	constructor(...words) {
		let hash = 0x811c9dc5;
		for (const char of words.join(':'))
			hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193);
		this.state = hash;
	}

	// A whole number below n.
	below(n) {
		this.state = (this.state + 0x6d2b79f5) | 0;
		let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
		t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
		return Math.floor(((t ^ (t >>> 14)) >>> 0) / 0x100000000 * n);
	}

	between(least, most) {
		return least + this.below(most - least + 1);
	}

	chance(one, in_) {
		return this.below(in_) < one;
	}

	pick(list) {
		return list[this.below(list.length)];
	}

	bytes(n) {
		return Buffer.from(Array.from({ length: n }, () => this.below(256)));
	}
}

// --- Any bytes ---

const latin = (text) => Buffer.from(text, 'latin1');

const NASTY = ['\0', '\r', '\n', '\r\n', '\r\n\r\n', '\t', '\v', '\x1e', '\x7f', '\xff', '\xfe\xff', '\xc0\x80', '\xed\xa0\x80',
	'\xf4\x90\x80\x80', '\xe2\x82', '\xef\xbb\xbf', '"', '\\', '\'', '{', '}', '[', ']', ',', ':', ';', '=', '-', '--', '/', '.',
	'%', '%00', '%zz', '%c0%af', '\\ud800', '\\u0000', '\\x41', '0', '-1', '1e999', '2147483648', '9223372036854775808',
	'18446744073709551616', 'null', 'true', '{"_placeholder":true,"num":0}'].map(latin);

function span(dice, bytes) {
	const from = dice.below(bytes.length + 1);
	return [from, Math.min(bytes.length, from + dice.between(1, dice.pick([1, 4, 16, 200])))];
}

function replace(bytes, from, to, ...by) {
	return Buffer.concat([bytes.subarray(0, from), ...by, bytes.subarray(to)]);
}

const DAMAGES = {
	cut: (dice, bytes) => bytes.subarray(0, dice.below(bytes.length + 1)),
	beheaded: (dice, bytes) => bytes.subarray(dice.below(bytes.length + 1)),
	doubled: (dice, bytes) => {
		const [from, to] = span(dice, bytes);
		return replace(bytes, to, to, bytes.subarray(from, to));
	},
	dropped: (dice, bytes) => replace(bytes, ...span(dice, bytes)),
	flipped: (dice, bytes) => {
		const copy = Buffer.from(bytes);
		for (let n = dice.between(1, 4); n > 0 && copy.length > 0; n--)
			copy[dice.below(copy.length)] ^= 1 << dice.below(8);
		return copy;
	},
	overwritten: (dice, bytes) => {
		const [from, to] = span(dice, bytes);
		return replace(bytes, from, to, dice.bytes(to - from));
	},
	injected: (dice, bytes) => {
		const at = dice.below(bytes.length + 1);
		return replace(bytes, at, at, dice.pick(NASTY));
	},
	substituted: (dice, bytes) => replace(bytes, ...span(dice, bytes), dice.pick(NASTY)),
	inflated: (dice, bytes) => {
		const [from, to] = span(dice, bytes);
		const times = Math.floor(dice.between(1, 4000) / Math.max(1, to - from));
		return replace(bytes, to, to, ...Array.from({ length: times }, () => bytes.subarray(from, to)));
	},
	swapped: (dice, bytes) => {
		const [from, to] = span(dice, bytes);
		return Buffer.concat([bytes.subarray(to), bytes.subarray(from, to), bytes.subarray(0, from)]);
	},
};

// One to three damages; { what, bytes }.
function damage(dice, bytes) {
	const names = Array.from({ length: dice.pick([1, 1, 1, 2, 3]) }, () => dice.pick(Object.keys(DAMAGES)));
	for (const name of names)
		bytes = DAMAGES[name](dice, bytes);
	return { what: names.join(', '), bytes };
}

// What fuzzers found, by target; `cut` takes off what is only for the target.
const known = new Map();
function found(dice, target, cut = (bytes) => bytes) {
	if (!known.has(target)) {
		const dir = path.join(CORPUS, target);
		known.set(target, fs.readdirSync(dir).sort().map((name) => fs.readFileSync(path.join(dir, name)))
			.filter(({ length }) => length <= LARGEST_SEED));
	}
	return cut(dice.pick(known.get(target)));
}

// --- HTTP ---

const CRLF = '\r\n';

function requestText({ method = 'GET', target = '/', version = 'HTTP/1.1', lines = [], body = '', end = CRLF }) {
	return [`${method} ${target} ${version}`, ...lines, '', body].join(end);
}

const HOST = 'Host: localhost';
const CHUNKED = 'Transfer-Encoding: chunked';

function requests(place) {
	const post = JSON.stringify({ content: 'a post' });
	const json = [HOST, 'Content-Type: application/json', `Authorization: Bearer ${place.token}`];
	return [
		{ target: '/health', lines: [HOST] },
		{ target: '/', lines: [HOST, 'Accept-Encoding: br, gzip', 'If-None-Match: "a", W/"b"'] },
		{ method: 'HEAD', target: '/', lines: [HOST, 'Connection: keep-alive'] },
		{ target: 'http://localhost/api/channels?limit=5&after=%41', lines: json },
		{ target: '/api/channels', version: 'HTTP/1.0', lines: [...json, 'Connection: keep-alive'] },
		{ target: `/room/posts/${place.room}?limit=3`, lines: [...json, 'Range: bytes=0-5'] },
		{ target: '/socket.io/?EIO=4&transport=polling', lines: [HOST, 'Cookie: a=b', 'Origin: http://a'] },
		{ target: '/socket.io/?EIO=4&transport=websocket', lines: [HOST, 'Connection: Upgrade', 'Upgrade: websocket',
			'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='] },
		{ method: 'OPTIONS', target: '*', lines: [HOST, 'Access-Control-Request-Method: PUT'] },
		{ method: 'POST', target: `/room/post/${place.room}`, body: post, lines: [...json, `Content-Length: ${post.length}`] },
		{ method: 'POST', target: `/room/post/${place.room}`, lines: [...json, CHUNKED, 'Expect: 100-continue'],
			body: `5\r\n${post.slice(0, 5)}\r\n${(post.length - 5).toString(16)};x=y\r\n${post.slice(5)}\r\n0\r\n\r\n` },
	];
}

const lengthOf = (value) => (r) => r.lines.push(`Content-Length: ${value}`);
const line = (text) => (r) => r.lines.push(text);
const chunks = (body) => (r) => {
	r.method = 'POST';
	r.target = '/room/create/';
	r.lines = [...r.lines.filter((text) => !/^(content-|transfer-|connection|upgrade|expect|auth)/i.test(text)),
		'Content-Type: application/json', CHUNKED];
	r.version = 'HTTP/1.1';
	r.body = body;
};

// [what, how, the statuses it may have]. Of a request that announces nothing of a body, unless chunked.
const HTTP_TRICKS = [
	['length and chunked', (r) => r.lines.push('Content-Length: 5', CHUNKED), [400]],
	['chunked and length', (r) => r.lines.push(CHUNKED, 'Content-Length: 5'), [400]],
	['two lengths', (r) => r.lines.push('Content-Length: 5', 'Content-Length: 6'), [400]],
	['the same length twice', (r) => r.lines.push('Content-Length: 5', 'content-length: 5'), [400]],
	...['+5', '-5', '5,5', '0x5', '5.0', '5 5', '1e1', '', '\xb2', '5;'].map((n) => [`length ${n}`, lengthOf(n), [400]]),
	...['9223372036854775808', '18446744073709551615', '18446744073709551616', '9'.repeat(60)]
		.map((n) => [`length ${n}`, lengthOf(n), [413]]),
	...['chunked, chunked', '\x0bchunked', 'chunked\0', ',chunked', '', 'chunked;q=1', 'gzip', 'xchunked', 'identity, chunked',
		'"chunked"'].map((c) => [`coding ${c}`, line(`Transfer-Encoding: ${c}`), [400, 501]]),
	['a blank before the colon', line('Transfer-Encoding : chunked'), [400]],
	['a folded line', (r) => r.lines.push('X-A: b', ' c: d'), [400]],
	['a line without a colon', line('nonsense'), [400]],
	['an empty name', line(': a'), [400]],
	['NUL in a name', line('X-\0: a'), [400]],
	['NUL in a value', line('X-A: b\0c'), [400]],
	['a bare CR', line('X-A: b\rTransfer-Encoding: chunked'), [400]],
	['a bare LF', line('X-A: b\nContent-Length: 3'), [400]],
	['bare LFs', (r) => { r.end = '\n'; }, [400]],
	['bare CRs', (r) => { r.end = '\r'; }, [400]],
	['no Host', (r) => { r.lines.shift(); r.version = 'HTTP/1.1'; }, [400]],
	['two Hosts', line('host: evil'), [400]],
	...['a b', 'a,b', 'a/b', '[::1', 'a:b', 'a@b'].map((h) => [`Host ${h}`, (r) => { r.lines[0] = `Host: ${h}`; }, [400]]),
	['too many lines', (r, dice) => r.lines.push(...Array.from({ length: dice.between(65, 300) }, (_, i) => `X-${i}: a`)), [431]],
	['a long line', (r, dice) => r.lines.push(`X-A: ${'b'.repeat(dice.between(17_000, 40_000))}`), [431]],
	['a long name', (r, dice) => r.lines.push(`${'b'.repeat(dice.between(17_000, 40_000))}: a`), [431]],
	['a long target', (r, dice) => { r.target = `/${'x'.repeat(dice.between(8193, 15_000))}`; }, [414]],
	['a long method', (r, dice) => { r.method = 'A'.repeat(dice.between(33, 9000)); }, [501]],
	['a method that is none', (r, dice) => { r.method = dice.pick(['', 'G T', '(', 'G\0T', '\xc3', '"GET"']); }, [400]],
	['a target that is none', (r, dice) => { r.target = dice.pick(['', 'health', 'a b', '/\0', '/#', '/\xff', '\\', 'ftp://a/',
		'http://', 'http://@/']); }, [400]],
	['a version that is none', (r, dice) => { r.version = dice.pick(['HTTP/1', 'http/1.1', 'HTTP/1.1 ', 'HTTP/+1.1', 'HTTP/1.x', '',
		'HTTPS/1.1', 'HTTP/11.1']); }, [400]],
	['another version', (r, dice) => { r.version = dice.pick(['HTTP/2.0', 'HTTP/0.9', 'HTTP/1.2', 'HTTP/9.9']); }, [505]],
	...['\r\n', '+5\r\n', '0x5\r\nabcde\r\n', '5 \r\nabcde\r\n', ' 5\r\nabcde\r\n', 'g\r\n', '5\nabcde\r\n', '5\rabcde\r\n',
		'5\r\nabcdef\r\n', '5\r\nabcde0\r\n\r\n', '5;a\x01\r\nabcde\r\n', `5;${'x'.repeat(300)}\r\nabcde\r\n`, '11111111111111111\r\n',
		'2\r\n{}\r\n0\r\nX: y\r\n\r\n', '2\r\n{}\r\n0\r\nContent-Length: 9\r\n\r\n', '2\r\n{}\r\n0\n\n']
		.map((body) => [`chunks ${JSON.stringify(body.slice(0, 30))}`, chunks(body), [400, 401]]),
	...['8000000000000000\r\n', 'ffffffffffffffff\r\n', '7fffffffffffffff\r\n', 'f4241\r\n']
		.map((body) => [`chunks ${JSON.stringify(body)}`, chunks(body), [413, 401]]),
	['a bad escape in the path', (r, dice) => { r.target = `/room/${dice.pick(['%00', '%', '%zz', '%c0%af', '%ed%a0%80', '%ff'])}`; }],
	['a bad escape in the query', (r, dice) => { r.target += `${r.target.includes('?') ? '&' : '?'}limit=${dice.pick(['%00', '%', '%zz',
		'%ff', '-1', '1e9', '9223372036854775808', '5&limit=6', ''])}`; }],
	['a bad key of a WebSocket', (r, dice) => { r.target = '/socket.io/?EIO=4&transport=websocket'; r.method = 'GET'; r.version = 'HTTP/1.1';
		r.lines = [HOST, 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', `Sec-WebSocket-Key: ${dice.pick(['', 'a',
			'dGhlIHNhbXBsZSBub25jZQ', `${'A'.repeat(24)}`, '\xff'.repeat(24)])}`]; }, [400]],
	['a sid that is none', (r, dice) => { r.target = `/socket.io/?EIO=4&transport=polling&sid=${dice.pick(['a', '', '%00', 'A'.repeat(36),
		'A'.repeat(4000), '..%2f..', '-_'.repeat(18)])}`; }],
	['another Engine.IO', (r, dice) => { r.target = `/socket.io/?EIO=${dice.pick(['3', '4.0', '', '-4', '44', '%34'])}&transport=${
		dice.pick(['polling', 'websocket', '', 'x', 'polling&transport=websocket', 'constructor'])}`; }],
];

function tricked(dice, place) {
	const [what, trick, expect] = dice.pick(HTTP_TRICKS);
	const plain = requests(place).filter(({ body, version, method }) => !body && !version && method !== 'OPTIONS');
	const request = { ...dice.pick(plain) };
	request.lines = [...request.lines];
	// HEAD may have no body, but says its status as others do.
	trick(request, dice);
	return { what, expect, bytes: latin(requestText(request)) };
}

function http(dice, place) {
	const base = latin(requestText(dice.pick(requests(place))));
	const how = dice.below(20);
	if (how < 9)
		return tricked(dice, place);
	if (how < 16)
		return damage(dice, base);
	if (how < 17)
		return { what: 'a second one, damaged', bytes: Buffer.concat([base, damage(dice, base).bytes]) };
	if (how < 19)
		return damage(dice, found(dice, 'head'));
	return { what: 'chance', bytes: dice.bytes(dice.between(1, 400)) };
}

// --- WebSocket frames ---

const BAD_UTF8 = ['\xff', '\xc0\x80', '\xed\xa0\x80', '\xf4\x90\x80\x80', '\xe2\x82', 'a\x80', '\xf8\x88\x80\x80\x80'].map(latin);

// Each gives frames; `f` makes one with a mask of the dice's. Then the codes that may close the connection; none:
// it lives on.
const FRAME_TRICKS = [
	['unmasked', (f) => [f(OP.TEXT, '6', { mask: false })], [1002]],
	['reserved bits', (f, dice) => [f(OP.TEXT, '6', { rsv: dice.between(1, 7) })], [1002]],
	['reserved opcode', (f, dice) => [f(dice.pick([3, 4, 5, 6, 7, 11, 12, 13, 14, 15]), '6')], [1002]],
	['a control frame in pieces', (f, dice) => [f(dice.pick([OP.PING, OP.PONG, OP.CLOSE]), 'ab', { fin: false })], [1002]],
	['a long control frame', (f, dice) => [f(dice.pick([OP.PING, OP.PONG, OP.CLOSE]), Buffer.alloc(dice.between(126, 3000), 97))], [1002]],
	['continuation of nothing', (f, dice) => [f(OP.CONTINUATION, '6', { fin: dice.chance(1, 2) })], [1002]],
	['a message within a message', (f, dice) => [f(OP.TEXT, '6', { fin: false }), f(dice.pick([OP.TEXT, OP.BINARY]), '6')], [1002]],
	['bad UTF-8', (f, dice) => [f(OP.TEXT, Buffer.concat([latin('6'), dice.pick(BAD_UTF8)]))], [1007]],
	['bad UTF-8 in pieces', (f, dice) => {
		const text = Buffer.concat([latin('6abc'), dice.pick(BAD_UTF8)]);
		const at = dice.between(1, text.length - 1);
		return [f(OP.TEXT, text.subarray(0, at), { fin: false }), f(OP.CONTINUATION, text.subarray(at))];
	}, [1007]],
	['a close of one byte', (f) => [f(OP.CLOSE, 'a')], [1002]],
	['a close with a code that is none', (f, dice) =>
		[f(OP.CLOSE, closePayload(dice.pick([0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535])))], [1002]],
	['a close with bad UTF-8', (f, dice) => [f(OP.CLOSE, Buffer.concat([closePayload(1000), dice.pick(BAD_UTF8)]))], [1002, 1007]],
	['a close', (f) => [f(OP.CLOSE, closePayload(1000, 'bye'))], [1000]],
	['a close, and on', (f) => [f(OP.CLOSE, closePayload(4999)), f(OP.TEXT, '6'), f(OP.CLOSE)], [4999]],
	['a length past 2^63', (f, dice) => [f(OP.BINARY, 'a', { length: dice.pick([2n ** 63n, 2n ** 64n - 1n]) })], [1002, 1009]],
	['a length that is too much', (f, dice) =>
		[f(dice.pick([OP.TEXT, OP.BINARY]), 'a', { length: dice.pick([2n ** 63n - 1n, 2n ** 40n, 2n ** 32n, 65_537n, 1_000_001n]) })],
	[1002, 1009]],
	['too much in pieces', (f) => [f(OP.BINARY, Buffer.alloc(40_000), { fin: false }), f(OP.CONTINUATION, Buffer.alloc(40_000))], [1009]],
	['a wide length', (f, dice) => [f(OP.PING, 'a', { wide: dice.pick([16, 64]) })], [1002]],
	['a hundred empty pieces', (f) => [f(OP.TEXT, '6', { fin: false }), ...Array.from({ length: 100 }, () =>
		f(OP.CONTINUATION, '', { fin: false })), f(OP.CONTINUATION)], []],
	['control frames within a message', (f) => [f(OP.TEXT, '', { fin: false }), f(OP.PING, 'x'), f(OP.CONTINUATION, '6'), f(OP.PONG)], []],
];

const goodFrames = (f) => Buffer.concat([f(OP.TEXT, '6'), f(OP.PING, 'hello'), f(OP.TEXT, '6', { fin: false }), f(OP.PONG, 'a'),
	f(OP.CONTINUATION, ''), f(OP.TEXT, '3')]);

function frames(dice) {
	const f = (opcode, payload, options = {}) => frame(opcode, payload, { ...options, key: options.key ?? dice.bytes(4) });
	const path_ = dice.chance(1, 3) ? 'plain' : 'engine';
	const how = dice.below(20);
	if (how < 10) {
		const [what, make, codes] = dice.pick(FRAME_TRICKS);
		return { what, path: path_, codes, bytes: Buffer.concat(make(f, dice)) };
	}
	if (how < 16)
		return { path: path_, ...damage(dice, goodFrames(f)) };
	if (how < 19)
		return { path: path_, ...damage(dice, found(dice, 'ws', (bytes) => bytes.subarray(1))) };
	return { what: 'chance', path: path_, bytes: dice.bytes(dice.between(1, 400)) };
}

// --- Packets of Engine.IO and Socket.IO ---

const PLACE = '{"_placeholder":true,"num":0}';
const BLOB = Buffer.from([1, 2, 3]);
const JUNK = ['', 'x', '{', '[', '{}', '[]', 'null', '5', '"a"', '-1', ' ', ',', '/', '/,', '/a', '/a,', '\0', '\ud83d\ude00'];

const PACKET_REFUSED = [
	...['44', '44{"message":"a"}', '41{}', '40', '40{"token":"a"}', '42', '4212', '42{}', '42[]', '42[{}]', '42[[]]', '42[null]', '42 ["a"]',
		'42abc["a"]', '42-1["a"]', '42["a"]x', '42["a"', '42["a",]', '42["a",01]', '42["a",NaN]', '42["a","\\ud800"]', '42["a","\\x"]',
		'42["a","\n"]', '42["connect"]', '421["disconnect",1]', '42["newListener"]', '431{}', '431"a"', '42/nope,["a"]',
		'43/nope,1[]', '41/nope,', '42/lobby,["login"]', '4', '47', '4-', '4\0', '', '0', '2', '2probe', '7', 'a', '-', '40[]', '40null',
		'46', '45', '451', '451-', '450-["a"]', '4511-["a"]', '45-1-["a"]', '451.5-["a"]', '45["a"]', `451["a",${PLACE}]`, '421-["a"]',
		'455999999999-', '4599999999999999999999-["a"]', '451e1-["a"]'].map((text) => [text]),
	[BLOB],
	[`451-["a",${PLACE}]`, '42["a"]'],
	[`451-["a",${PLACE}]`, '41'],
	[`451-["a",${PLACE}]`, `451-["a",${PLACE}]`],
	[`451-["a",${PLACE}]`, BLOB, BLOB],
	[`452-["a",${PLACE}]`, BLOB, '42["a"]'],
	...['-1', '1', '"x"', '1e9', '0.5', '-0.5', 'null', '[]', '9223372036854775808', '{"_placeholder":true,"num":0}']
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
	['42["nobody",1]'], ['42["__proto__",1]'], ['42["",1]'], ['42[5,"a"]'], ['421["nobody"]'], ['42999999999999999999["nobody"]'],
	[`451-["nobody",${PLACE}]`, BLOB], [`461-5[${PLACE}]`, BLOB], ['451-["nobody",1]', BLOB], ['42["send_message"]'], ['421["send_message",5]'],
	['421["send_message",{"channelId":5,"content":[]}]'], ['40/nope,'], ['40/nope,{"token":5}'], ['40/a?b=c,'], ['42["error",{}]'],
	['42["constructor"]'], ['42["a\\u0000b"]'], [`42[${'"x",'.repeat(500)}1]`],
];

// Acknowledgement ids of 19 digits and more are refused; so are namespaces that nobody joined.
function madeUp(dice) {
	const id = dice.pick(['', '', '1', '0', '00', '9223372036854775807', '9223372036854775808', '18446744073709551616', '9'.repeat(200)]);
	const count = dice.pick(['', '', '1-', '2-', '0-', '10-', '11-', '-', '1', '1e9-', '5999999999-', '0x1-', '-1-']);
	const nsp = dice.pick(['', '', '', '/,', '/channels,', '/lobby,', '/a b,', '//,', '/\0,', `/${'n'.repeat(500)},`, '/\u00fc,', '/a']);
	const data = dice.pick([...JUNK, '["a"]', '["ping"]', `["ping",${PLACE}]`, '[{"_placeholder":true,"num":-1}]', '["ping",{"_placeholder":true,"num":1e9}]',
		`[${PLACE},${PLACE}]`, '{"token":5}']);
	return [`4${dice.below(8)}${count}${nsp}${id}${data}`, ...Array.from({ length: dice.pick([0, 0, 1, 2]) }, () => BLOB)];
}

function goodPackets(dice, place) {
	const content = JSON.stringify({ channelId: place.channel, content: 'a message' });
	return dice.pick([['42["ping"]'], [`421["send_message",${content}]`], [`42["typing_start",{"channelId":"${place.channel}"}]`],
		[`451-["nobody",${PLACE}]`, BLOB], ['3'], ['6']]);
}

const asBytes = (message) => Buffer.isBuffer(message) ? message : Buffer.from(message);

function packets(dice, place) {
	const over = dice.chance(1, 5) ? 'polling' : 'websocket';
	const how = dice.below(20);
	if (how < 6)
		return { what: 'bad', over, expect: 'refused', messages: dice.pick(PACKET_REFUSED) };
	if (how < 7)
		return { what: 'odd', over, expect: 'taken', messages: dice.pick(PACKET_TAKEN) };
	if (how < 11)
		return { what: 'made up', over, messages: madeUp(dice) };
	if (how < 17) {
		const messages = [...goodPackets(dice, place)];
		const at = dice.below(messages.length);
		const { what, bytes } = damage(dice, asBytes(messages[at]));
		const binary = Buffer.isBuffer(messages[at]);
		messages[at] = binary ? bytes : { text: bytes };
		return { what, over, messages };
	}
	if (how < 19) {
		const target = dice.pick(['socketio', 'engineio']);
		const { what, bytes } = damage(dice, found(dice, target));
		return { what: `${target} ${what}`, over, messages: [{ text: target === 'socketio' ? Buffer.concat([latin('4'), bytes]) : bytes }] };
	}
	return { what: 'chance', over, messages: [{ text: dice.bytes(dice.between(0, 60)) }] };
}

// --- JSON ---

const BAD_JSON = ['{"content":"\\x41"}', '{"content":"\\u12"}', '{"content":"\\ud800"}', '{"content":"\\udc00\\ud800"}', '{"content":"a\nb"}',
	'{"content":"\0"}', '{"content":01}', '{"content":+1}', '{"content":.5}', '{"content":1.}', '{"content":1e}', '{"content":0x10}',
	'{"content":NaN}', '{"content":-Infinity}', '{"content":tru}', '{"content":truee}', '{"content":"a",}', '{"content"}', '{"content":}',
	'{content:"a"}', '{\'content\':\'a\'}', '{"content":"a"/*b*/}', '\ufeff{"content":"a"}', '{"content":"a"}{}', '{"content":"a"} x', '{', '[', '"',
	'{"content":"a', '[1,2', ']', '}', ',', 'nul', '{"a":1 "b":2}', '{"a"::1}', '{,}', '{"a":[}]', '[{]}', '{"content":"a"\0}', '--1', '{"a":-}'];

const NUMBERS = ['1e999', '-1e999', '1e-999', '-0', '0.1e1', '123456789012345678901234567890', '9223372036854775807', '9223372036854775808',
	'-9223372036854775809', '1.7976931348623157e309', '5e-324', '4294967296', '2147483648'];

const VALUES = ['null', 'true', '5', '-1', '""', '"\\u0000"', '[]', '{}', '[[]]', '{"a":{}}', '"\\ud83d\\ude00"', '"\u2028"', '"\\/"', ...NUMBERS];

function jsonRoutes(place) {
	return [
		{ path: `/room/post/${place.room}`, fields: { content: '"a post"', clientMessageId: '"one"' } },
		{ path: '/room/create/', fields: { users: '["nobody"]' } },
		{ path: '/api/channels', fields: { name: '"general"', private: 'false', members: '[]' } },
		{ path: '/api/conversations', fields: { userId: '"nobody"' } },
		{ path: `/api/channels/${place.channel}/members`, fields: { users: '["nobody"]' } },
		{ path: `/room/invite/${place.room}`, fields: { users: '["nobody"]' } },
	];
}

function objectText(fields) {
	return `{${fields.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(',')}}`;
}

// A text whose fields are of other types, twice there, missing, deep or out of range.
function otherValues(dice, fields) {
	const all = Object.entries(fields);
	for (let n = dice.between(1, 2); n > 0; n--) {
		const at = dice.below(all.length);
		const depth = dice.between(25, 60);
		const value = dice.pick([dice.pick(VALUES), dice.pick(NUMBERS), `${'['.repeat(depth)}${']'.repeat(depth)}`,
			`${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`, `"${'\u00e9'.repeat(dice.between(1, 5000))}"`, `[${'1,'.repeat(dice.between(1, 2000))}1]`]);
		const how = dice.below(4);
		if (how === 0)
			all.push([all[at][0], value]);
		else if (how === 1 && all.length > 1)
			all.splice(at, 1);
		else
			all[at] = [all[at][0], value];
	}
	return objectText(all);
}

// What ECMAScript says to a text; undefined: that it is none.
function readJson(bytes) {
	try {
		return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
	} catch {
		return undefined;
	}
}

function jsonText(dice, fields) {
	const how = dice.below(20);
	if (how < 6)
		return { what: 'bad', body: Buffer.from(dice.pick(BAD_JSON)) };
	if (how < 11)
		return { what: 'other values', body: Buffer.from(otherValues(dice, fields)) };
	if (how < 17) {
		const { what, bytes } = damage(dice, Buffer.from(objectText(Object.entries(fields))));
		return { what, body: bytes };
	}
	if (how < 18)
		return { what: 'nested', body: Buffer.from(dice.pick(['[', '{"a":', '[{"a":']).repeat(dice.between(33, 5000))) };
	if (how < 19)
		return { what: 'of the fuzzer', body: damage(dice, found(dice, 'json')).bytes };
	return { what: 'chance', body: dice.bytes(dice.between(1, 60)) };
}

function json(dice, place) {
	if (dice.chance(1, 12)) {
		const { what, body } = jsonText(dice, { channelId: JSON.stringify(place.channel), content: '"a message"' });
		const text = Buffer.concat([latin('["send_message",'), body, latin(']')]);
		return { what, over: 'websocket', expect: readJson(text) === undefined ? 'refused' : undefined,
			messages: [{ text: Buffer.concat([latin('421'), text]) }] };
	}
	const { path: where, fields } = dice.pick(jsonRoutes(place));
	const { what, body } = jsonText(dice, fields);
	const value = readJson(body);
	const object = value !== null && typeof value === 'object' && !Array.isArray(value);
	return { what, over: 'rest', path: where, body, expect: body.length > 0 && !object ? [400] : undefined };
}

// --- multipart/form-data ---

const BOUNDARY = 'x-boundary-7MA4YWxk';

function partText({ lines = ['Content-Disposition: form-data; name="file"; filename="a.txt"', 'Content-Type: text/plain'],
	content = 'hello\n', delimiter = `--${BOUNDARY}` } = {}) {
	return `${delimiter}\r\n${lines.map((text) => `${text}\r\n`).join('')}\r\n${content}\r\n`;
}

const END = `--${BOUNDARY}--\r\n`;
const FORM = `multipart/form-data; boundary=${BOUNDARY}`;
const disposition = (text) => partText({ lines: [`Content-Disposition: ${text}`] }) + END;

// [what, body, the statuses it may have, the Content-Type].
const FORM_TRICKS = [
	['no boundary', partText() + END, [415], 'multipart/form-data'],
	['an empty boundary', partText() + END, [415], 'multipart/form-data; boundary='],
	['a long boundary', partText() + END, [415], `multipart/form-data; boundary=${'b'.repeat(71)}`],
	['another type', partText() + END, [415], 'multipart/mixed; boundary=a'],
	['a quote that does not end', partText() + END, [415], `multipart/form-data; boundary="${BOUNDARY}`],
	['another boundary', partText() + END, [400], 'multipart/form-data; boundary=other'],
	['no end', partText(), [400]],
	['half an end', `${partText()}--${BOUNDARY}-`, [400]],
	['an end that goes on', `${partText()}--${BOUNDARY}-x\r\n`, [400]],
	['a delimiter that goes on', partText({ delimiter: `--${BOUNDARY}x` }) + END, [400]],
	['nothing but the end', END, [422]],
	['no delimiter', 'hello', [400]],
	['no head', `--${BOUNDARY}\r\n\r\nhello\r\n${END}`, [400]],
	['no name', disposition('form-data; filename="a.txt"'), [400]],
	['no form-data', disposition('attachment; name="file"'), [400]],
	['a name without an end', disposition('form-data; name="file'), [400]],
	['a name without quotes or text', disposition('form-data; name='), [400]],
	['no semicolon', disposition('form-data name="file"'), [400]],
	['no file name', disposition('form-data; name="file"'), [422]],
	['another field', disposition('form-data; name="other"; filename="a.txt"'), [422]],
	['an empty file name', disposition('form-data; name="file"; filename=""'), [201]],
	['a file name of bad UTF-8', disposition('form-data; name="file"; filename="\xff\xfe.txt"'), [422]],
	['a long file name', disposition(`form-data; name="file"; filename="${'n'.repeat(300)}.txt"`), [422]],
	['NUL in the head', disposition('form-data; name="fi\0le"; filename="a.txt"'), [400]],
	['two dispositions', partText({ lines: ['Content-Disposition: form-data; name="file"; filename="a.txt"',
		'content-disposition: form-data; name="file"; filename="b.txt"'] }) + END, [400]],
	['a long head', partText({ lines: ['Content-Disposition: form-data; name="file"; filename="a.txt"', `X: ${'y'.repeat(20_000)}`] }) + END, [400]],
	['a head without an end', `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"`, [400]],
	['bare LFs', (partText() + END).replaceAll('\r\n', '\n'), [400]],
	['no content', partText({ content: '' }) + END, [415, 422]],
	['six files', partText().repeat(6) + END, [422]],
	['a thousand parts', disposition('form-data; name="x"').slice(0, -END.length).repeat(1000) + END, [400, 413, 422]],
	['a large file', partText({ content: 'x'.repeat(5000) }) + END, [413]],
	['a forbidden file', partText({ content: '\x7fELF\x01\x01' }) + END, [415, 422]],
	['delimiters in the content', partText({ content: `\r\n--${BOUNDARY.slice(0, -1)}\r\n--\r\n-${BOUNDARY}` }) + END, [201]],
	['an escaped name', disposition('form-data; name="file"; filename="a%22\\"b%0d%0a.txt"')],
	['a path for a name', disposition('form-data; name="file"; filename="../../../etc/passwd.txt"')],
	['filename*', disposition('form-data; name="file"; filename*=UTF-8\'\'a%00.txt')],
];

function multipart(dice) {
	const how = dice.below(20);
	const good = latin(partText().repeat(dice.between(1, 3)) + END);
	if (how < 9) {
		const [what, body, expect, type = FORM] = dice.pick(FORM_TRICKS);
		return { what, type, body: latin(body), expect };
	}
	if (how < 16)
		return { type: FORM, ...renamed(damage(dice, good)) };
	if (how < 17)
		return { what: 'a length that lies', type: FORM, body: good, length: good.length + dice.between(-40, 4000) };
	if (how < 18)
		return { what: 'a damaged type', body: good, type: damage(dice, latin(FORM)).bytes.toString('latin1').replace(/[\0\r\n]/g, '') };
	if (how < 19) {
		const bytes = found(dice, 'multipart', (all) => all.subarray(1));
		const at = bytes.indexOf('\n');
		const type = bytes.subarray(0, Math.max(0, at)).toString('latin1').replace(/[^\t -~]/g, '');
		return { what: 'of the fuzzer', type: type || FORM, body: bytes.subarray(at + 1) };
	}
	return { what: 'chance', type: FORM, body: Buffer.concat([latin(`--${BOUNDARY}\r\n`), dice.bytes(dice.between(1, 300))]) };
}

function renamed({ what, bytes }) {
	return { what, body: bytes };
}

// --- Tokens ---

const base64 = (text) => Buffer.from(text).toString('base64url');

function signed(header, payload, { secret = SECRET, hash = 'sha256' } = {}) {
	const body = `${base64(header)}.${base64(payload)}`;
	return `${body}.${createHmac(hash, secret).update(body).digest('base64url')}`;
}

const HEADER = '{"alg":"HS256","typ":"JWT"}';
const HEADERS = ['none', 'NoNe', 'NONE', 'None', '', 'hs256', 'HS256 ', 'HS384', 'HS512', 'RS256', 'ES256', 'PS256', 'EdDSA', 'HS256\\u0000', 'dir']
	.map((alg) => `{"alg":"${alg}","typ":"JWT"}`).concat(['{}', '[]', 'null', '"HS256"', '', '{"typ":"JWT"}', '{"alg":null}', '{"alg":256}',
		'{"alg":["HS256"]}', '{"alg":"HS256","alg":"none"}', '{"alg":"none","alg":"HS256"}', '{"alg":"HS256","kid":5}', '{"alg":"HS256","kid":null}',
		'{"alg":"HS256","kid":{}}', '{"alg":"HS256","crit":["exp"],"exp":1}', '{"alg":"HS256"', '\ufeff{"alg":"HS256"}', '{"alg":"HS256"}x']);
const KIDS = ['../../etc/passwd', '/dev/null', 'a\\u0000', '\' or 1=1', 'x'.repeat(3000), ''].map((kid) => `{"alg":"HS256","typ":"JWT","kid":"${kid}"}`);

const soon = () => Math.floor(Date.now() / 1000);
const claimTricks = (dice) => {
	const exp = soon() + 3600;
	return dice.pick([
		...['"9999999999"', '1e400', '9999999999.5', '-1', '0', 'true', '[]', '{}', 'null', '1', String(soon() - 100), '9223372036854775808',
			'999999999999999999', '""'].map((value) => `{"sub":"ann","exp":${value}}`),
		...['"x"', String(soon() + 1000), '-1', '1.5', 'null'].map((value) => `{"sub":"ann","exp":${exp},"nbf":${value}}`),
		...['""', '5', 'null', '[]', '{}', 'true', `"${'s'.repeat(129)}"`, '"a\\u0000"', '"a\\nb"', '"\\u00e9"', '"\u00e9"', '"\\ud800"']
			.map((value) => `{"sub":${value},"exp":${exp}}`),
		`{"exp":${exp}}`, '{}', '[]', 'null', '', '5', `{"sub":"ann","sub":"eve","exp":${exp}}`, `{"sub":"ann","exp":1,"exp":${exp}}`,
		`{"sub":"ann","exp":${exp}`, `{"sub":"ann","exp":${exp}}{}`, `\ufeff{"sub":"ann","exp":${exp}}`, `{"sub":"ann","exp":${exp},"a":"${'x'.repeat(8000)}"}`,
		`{"sub":"ann","exp":${exp},"a":${'['.repeat(3000)}}`, `{"sub":"ann","exp":${exp},"name":5,"username":[],"image":{},"email":true}`,
		`{"sub":"ann","exp":${exp},"name":"\\u0000","username":"a b","image":"javascript:x"}`,
	]);
};

// Whether one may take this token at all; the server may still find it too long, too deep or said twice.
function mayBeTaken(text) {
	const parts = text.split('.');
	const mac = createHmac('sha256', SECRET).update(parts.slice(0, 2).join('.')).digest();
	if (parts.length !== 3 || !Buffer.from(parts[2], 'base64url').equals(mac))
		return false;
	const [header, claims] = parts.slice(0, 2).map((part) => readJson(Buffer.from(part, 'base64url')));
	const timely = claims?.exp === undefined || (typeof claims.exp === 'number' && claims.exp > soon() - 10);
	return header?.alg === 'HS256' && typeof claims?.sub === 'string' && claims.sub.length > 0 && claims.sub.length <= 128 && timely;
}

function tokenText(dice, place) {
	const good = place.token;
	const [header, payload, signature] = good.split('.');
	const claims = `{"sub":"${place.user}","exp":${soon() + 3600}}`;
	const how = dice.below(20);
	if (how < 4)
		return signed(dice.pick(HEADERS), claims);
	if (how < 5)
		return signed(dice.pick(KIDS), claims);
	if (how < 9)
		return signed(HEADER, claimTricks(dice));
	if (how < 10)
		return signed(HEADER, claims, dice.pick([{ secret: '' }, { secret: 'other' }, { hash: 'sha384' }, { hash: 'sha512' }, { secret: `${SECRET}\0` }]));
	if (how < 13)
		return dice.pick([`${header}.${payload}`, `${header}.${payload}.`, `${header}..${signature}`, `.${payload}.${signature}`, '..', '...', '.', 'a.b.c',
			`${good}.`, `.${good}`, `${good}.${signature}`, `${good}=`, `${good}==`, `${header}=.${payload}.${signature}`, good.replace(/.$/, ''),
			`${good}A`, good.toUpperCase(), `${signature}.${payload}.${header}`, `${header}.${payload}.${signature.slice(0, 20)}`,
			`${header}.${payload}.${'A'.repeat(43)}`, `${header}.${payload}.${'A'.repeat(9000)}`, good.repeat(60), `Bearer ${good}`, `"${good}"`,
			`${good} ${good}`, `${good},${good}`, token({ sub: place.user }, { alg: 'none' }), 'null', 'undefined', '[object Object]']);
	if (how < 18)
		return damage(dice, latin(good)).bytes.toString('latin1');
	if (how < 19)
		return found(dice, 'token').toString('latin1');
	return dice.bytes(dice.between(1, 200)).toString('latin1');
}

function tokens(dice, place) {
	const text = tokenText(dice, place);
	// What can't stand in a header's value, or begins or ends with what is taken off there, goes into a query.
	const inHeader = /^[!-~\x80-\xff]([\t -~\x80-\xff]*[!-~\x80-\xff])?$/.test(text) && text.length < 14_000 && !/^Bearer /i.test(text);
	const inQuery = text.length < 2500;
	const over = dice.pick(['rest', 'rest', 'rest', 'rest', 'rest', 'rest', 'rest', 'rest', 'plain', 'socket']);
	return { what: 'token', token: text, over: over === 'rest' ? (inHeader ? 'rest' : 'plain') : over === 'plain' && !inQuery ? 'socket' : over,
		expect: mayBeTaken(text) ? undefined : 'refused' };
}

// --- All ---

const MAKERS = { http, frames, packets, json, multipart, tokens };
export const KINDS = Object.keys(MAKERS);

// The input of that kind and number. `place`: { token, user, channel, room } of the server it is for.
export function malformed(seed, kind, index, place) {
	return { kind, index, ...MAKERS[kind](new Dice(seed, kind, index), place) };
}

// A well-formed input of the same kind, taken as `expect` says. `padding`: bytes of one more line, in HTTP.
export function wellFormed(seed, kind, index, place, padding) {
	const dice = new Dice(seed, kind, index, 'good');
	const made = {
		http: () => {
			const request = requests(place)[dice.below(6)];
			return { bytes: latin(requestText({ ...request, lines: [...request.lines, `X-Padding: ${'x'.repeat(padding)}`] })) };
		},
		frames: () => ({ path: dice.chance(1, 3) ? 'plain' : 'engine', codes: [],
			bytes: goodFrames((opcode, payload, options) => frame(opcode, payload, { ...options, key: dice.bytes(4) })) }),
		packets: () => ({ over: dice.chance(1, 5) ? 'polling' : 'websocket', expect: 'taken', messages: goodPackets(dice, place) }),
		json: () => ({ over: 'rest', path: `/room/post/${place.room}`, body: Buffer.from('{"content":"a post"}'), expect: [201, 200] }),
		multipart: () => ({ type: FORM, body: latin(partText() + END), expect: [201] }),
		tokens: () => ({ over: dice.pick(['rest', 'rest', 'rest', 'rest', 'plain']), token: place.token, expect: 'taken' }),
	};
	return { kind, index, what: 'well-formed', ...made[kind]() };
}

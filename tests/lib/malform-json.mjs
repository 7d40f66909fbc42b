// Malformed JSON and tokens, in well-formed requests and packets; see malform.mjs.
import { createHmac } from 'node:crypto';
import { damage, found, latin } from './chance.mjs';
import { SECRET, token } from './token.mjs';

// --- JSON ---

const BAD_JSON = ['{"content":"\\x41"}', '{"content":"\\u12"}', '{"content":"\\ud800"}',
	'{"content":"\\udc00\\ud800"}', '{"content":"a\nb"}',
	'{"content":"\0"}', '{"content":01}', '{"content":+1}', '{"content":.5}', '{"content":1.}',
		'{"content":1e}', '{"content":0x10}',
	'{"content":NaN}', '{"content":-Infinity}', '{"content":tru}', '{"content":truee}', '{"content":"a",}',
		'{"content"}', '{"content":}',
	'{content:"a"}', '{\'content\':\'a\'}', '{"content":"a"/*b*/}', '\ufeff{"content":"a"}',
		'{"content":"a"}{}', '{"content":"a"} x', '{', '[', '"',
	'{"content":"a', '[1,2', ']', '}', ',', 'nul', '{"a":1 "b":2}', '{"a"::1}', '{,}', '{"a":[}]', '[{]}',
		'{"content":"a"\0}', '--1', '{"a":-}'];

const NUMBERS = ['1e999', '-1e999', '1e-999', '-0', '0.1e1', '123456789012345678901234567890',
	'9223372036854775807', '9223372036854775808',
	'-9223372036854775809', '1.7976931348623157e309', '5e-324', '4294967296', '2147483648'];

const VALUES = ['null', 'true', '5', '-1', '""', '"\\u0000"', '[]', '{}', '[[]]', '{"a":{}}',
	'"\\ud83d\\ude00"', '"\u2028"', '"\\/"', ...NUMBERS];

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
		const value = dice.pick([dice.pick(VALUES), dice.pick(NUMBERS),
			`${'['.repeat(depth)}${']'.repeat(depth)}`,
			`${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`, `"${'\u00e9'.repeat(dice.between(1, 5000))}"`,
				`[${'1,'.repeat(dice.between(1, 2000))}1]`]);
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
		return { what: 'nested', body: Buffer.from(dice.pick(['[', '{"a":', '[{"a":']).repeat(dice.between(33,
			5000))) };
	if (how < 19)
		return { what: 'of the fuzzer', body: damage(dice, found(dice, 'json')).bytes };
	return { what: 'chance', body: dice.bytes(dice.between(1, 60)) };
}

export function json(dice, place) {
	if (dice.chance(1, 12)) {
		const { what, body } = jsonText(dice, { channelId: JSON.stringify(place.channel),
			content: '"a message"' });
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

// --- Tokens ---

const base64 = (text) => Buffer.from(text).toString('base64url');

function signed(header, payload, { secret = SECRET, hash = 'sha256' } = {}) {
	const body = `${base64(header)}.${base64(payload)}`;
	return `${body}.${createHmac(hash, secret).update(body).digest('base64url')}`;
}

const HEADER = '{"alg":"HS256","typ":"JWT"}';
const HEADERS = ['none', 'NoNe', 'NONE', 'None', '', 'hs256', 'HS256 ', 'HS384', 'HS512', 'RS256', 'ES256',
	'PS256', 'EdDSA', 'HS256\\u0000', 'dir']
	.map((alg) => `{"alg":"${alg}","typ":"JWT"}`).concat(['{}', '[]', 'null', '"HS256"', '', '{"typ":"JWT"}',
		'{"alg":null}', '{"alg":256}',
		'{"alg":["HS256"]}', '{"alg":"HS256","alg":"none"}', '{"alg":"none","alg":"HS256"}',
			'{"alg":"HS256","kid":5}', '{"alg":"HS256","kid":null}',
		'{"alg":"HS256","kid":{}}', '{"alg":"HS256","crit":["exp"],"exp":1}', '{"alg":"HS256"',
			'\ufeff{"alg":"HS256"}', '{"alg":"HS256"}x']);
const KIDS = ['../../etc/passwd', '/dev/null', 'a\\u0000', '\' or 1=1', 'x'.repeat(3000),
	''].map((kid) => `{"alg":"HS256","typ":"JWT","kid":"${kid}"}`);

const soon = () => Math.floor(Date.now() / 1000);
const claimTricks = (dice) => {
	const exp = soon() + 3600;
	return dice.pick([
		...['"9999999999"', '1e400', '9999999999.5', '-1', '0', 'true', '[]', '{}', 'null', '1',
			String(soon() - 100), '9223372036854775808',
			'999999999999999999', '""'].map((value) => `{"sub":"ann","exp":${value}}`),
		...['"x"', String(soon() + 1000), '-1', '1.5',
			'null'].map((value) => `{"sub":"ann","exp":${exp},"nbf":${value}}`),
		...['""', '5', 'null', '[]', '{}', 'true', `"${'s'.repeat(129)}"`, '"a\\u0000"', '"a\\nb"', '"\\u00e9"',
			'"\u00e9"', '"\\ud800"']
			.map((value) => `{"sub":${value},"exp":${exp}}`),
		`{"exp":${exp}}`, '{}', '[]', 'null', '', '5', `{"sub":"ann","sub":"eve","exp":${exp}}`,
			`{"sub":"ann","exp":1,"exp":${exp}}`,
		`{"sub":"ann","exp":${exp}`, `{"sub":"ann","exp":${exp}}{}`, `\ufeff{"sub":"ann","exp":${exp}}`,
			`{"sub":"ann","exp":${exp},"a":"${'x'.repeat(8000)}"}`,
		`{"sub":"ann","exp":${exp},"a":${'['.repeat(3000)}}`,
			`{"sub":"ann","exp":${exp},"name":5,"username":[],"image":{},"email":true}`,
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
	return header?.alg === 'HS256' && typeof claims?.sub === 'string' && claims.sub.length > 0 &&
		claims.sub.length <= 128 && timely;
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
		return signed(HEADER, claims, dice.pick([{ secret: '' }, { secret: 'other' }, { hash: 'sha384' },
			{ hash: 'sha512' }, { secret: `${SECRET}\0` }]));
	if (how < 13)
		return dice.pick([`${header}.${payload}`, `${header}.${payload}.`, `${header}..${signature}`,
			`.${payload}.${signature}`, '..', '...', '.', 'a.b.c',
			`${good}.`, `.${good}`, `${good}.${signature}`, `${good}=`, `${good}==`,
				`${header}=.${payload}.${signature}`, good.replace(/.$/, ''),
			`${good}A`, good.toUpperCase(), `${signature}.${payload}.${header}`,
				`${header}.${payload}.${signature.slice(0, 20)}`,
			`${header}.${payload}.${'A'.repeat(43)}`, `${header}.${payload}.${'A'.repeat(9000)}`,
				good.repeat(60), `Bearer ${good}`, `"${good}"`,
			`${good} ${good}`, `${good},${good}`, token({ sub: place.user }, { alg: 'none' }), 'null',
				'undefined', '[object Object]']);
	if (how < 18)
		return damage(dice, latin(good)).bytes.toString('latin1');
	if (how < 19)
		return found(dice, 'token').toString('latin1');
	return dice.bytes(dice.between(1, 200)).toString('latin1');
}

export function tokens(dice, place) {
	const text = tokenText(dice, place);
	// What can't stand in a header's value, or begins or ends with what is taken off there, goes into a query.
	const inHeader = /^[!-~\x80-\xff]([\t -~\x80-\xff]*[!-~\x80-\xff])?$/.test(text) && text.length < 14_000 &&
		!/^Bearer /i.test(text);
	const inQuery = text.length < 2500;
	const over = dice.pick(['rest', 'rest', 'rest', 'rest', 'rest', 'rest', 'rest', 'rest', 'plain', 'socket']);
	return { what: 'token', token: text,
		over: over === 'rest' ? (inHeader ? 'rest' : 'plain') : over === 'plain' && !inQuery ? 'socket' : over,
		expect: mayBeTaken(text) ? undefined : 'refused' };
}

export function goodJson(dice, place) {
	return { over: 'rest', path: `/room/post/${place.room}`, body: Buffer.from('{"content":"a post"}'),
		expect: [200, 201] };
}

export function goodToken(dice, place) {
	return { over: dice.pick(['rest', 'rest', 'rest', 'rest', 'plain']), token: place.token, expect: 'taken' };
}

// What a hostile client sends for a field, made from its row in the server's tables, and what has to come of it.
//
//   REFUSED   the field is to blame, and is named
//   FINE      as good as a valid one, or as none
//   JUDGED    of the right form: what it means decides (an id of nothing, a name that nobody has)
//   BROKEN    no JSON text, so that there is nobody to answer: a session ends, a request is answered with 400
export const [REFUSED, FINE, JUDGED, BROKEN] = ['refused', 'fine', 'judged', 'broken'];

export const JSON_DEPTH = 32;            // how deep the server lets a text nest
const ASTRAL = '😀';                     // one code point, two UTF-16 units, four bytes
const ID_MAX = 128;

const text = (value) => JSON.stringify(value);
export const nested = (levels) => '['.repeat(levels) + ']'.repeat(levels);
const within = (min, max) => (n) => (min === 0 && max === 0) || (n >= min && (max < min || n <= max));

const NUMBERS = {
	'a number': '5', 'a negative number': '-5', 'a fraction': '1.5', 'an exponent': '1e400',
	'2^63': String(2n ** 63n), '2^64': String(2n ** 64n), 'minus 2^63 and 1': String(-(2n ** 63n) - 1n),
};
const CONTAINERS = {
	'an array': '[]', 'an array of one': '["x"]', 'an object': '{}',
	'an object that looks like it': '{"id":"x","length":1,"toString":"x"}',
};
const TRUTHS = { true: 'true', false: 'false' };
const OBJECTS = { 'an object': '{}', 'an object with a length': '{"length":0}' };
const TEXTS = { 'a text': '"five"', 'digits': '"5"', 'the empty text': '""', 'a NUL': '"a\\u0000b"' };

// As many astral characters as fit; no two of these are equal, for they may be ids.
let brims = 0;
const brim = (max) => text(String.fromCodePoint(0x20000 + brims++ % 0xa000) + ASTRAL.repeat(max - 1));

// The same verdict for all of them.
const all = (values, verdict) => Object.entries(values).map(([what, json]) => ({ what, json, verdict }));

// Texts at the bounds: lengths count code points.
function lengths({ min, max }) {
	const fits = within(min, max);
	const long = max > 0 ? [
		{ what: 'a character too many', json: text('x'.repeat(max + 1)), verdict: REFUSED },
		{ what: 'an astral character too many', json: text(ASTRAL.repeat(max + 1)), verdict: REFUSED },
		{ what: 'astral characters to the brim', json: () => brim(max), verdict: JUDGED },
	] : [{ what: '10,000 characters', json: text('x'.repeat(10_000)), verdict: JUDGED }];
	return [{ what: 'the empty text', json: '""', verdict: fits(0) ? JUDGED : REFUSED }, ...long,
		{ what: 'a NUL', json: '"a\\u0000b"', verdict: REFUSED },
		{ what: 'nothing but a NUL', json: '"\\u0000"', verdict: REFUSED }];
}

// What an array has in it that it should not have.
const elements = (bad) => bad.map((one) =>
	({ what: `an array of ${one.slice(0, 20)}`, json: `[${one}]`, verdict: REFUSED }));
const MANY = { what: 'an array of 20,000', json: () => `[${Array(20_000).fill('0').join()}]`, verdict: REFUSED };

const KINDS = {
	string: (field) => [...all({ ...NUMBERS, ...CONTAINERS, ...TRUTHS }, REFUSED), ...lengths(field)],
	// A number is an id, too: the text of it.
	id: () => [
		...all(NUMBERS, JUDGED), ...all({ ...CONTAINERS, ...TRUTHS }, REFUSED),
		...all({ 'the empty text': '""', 'a NUL': '"a\\u0000b"', 'a line feed': '"a\\nb"', 'a DEL': '"\\u007f"',
			'a letter that is not ASCII': '"é"', 'an astral character': text(ASTRAL) }, REFUSED),
		{ what: 'a character too many', json: text('x'.repeat(ID_MAX + 1)), verdict: REFUSED },
		{ what: 'the longest there is', json: text('x'.repeat(ID_MAX)), verdict: JUDGED },
		{ what: 'a key of Redis', json: '"users"', verdict: JUDGED },
		{ what: 'a glob', json: '"*"', verdict: JUDGED },
	],
	integer: ({ min, max }) => [
		...all({ ...CONTAINERS, ...TRUTHS, ...TEXTS }, REFUSED),
		...Object.entries(NUMBERS).map(([what, json]) => ({ what, json,
			verdict: Number.isSafeInteger(Number(json)) && within(min, max)(Number(json)) ? FINE : REFUSED })),
		{ what: 'one with an exponent', json: '1e0', verdict: REFUSED },
		{ what: 'one too few', json: String(min - 1), verdict: REFUSED },
		{ what: 'one too many', json: String(max + 1), verdict: REFUSED },
	],
	boolean: () => all({ ...NUMBERS, zero: '0', one: '1', ...CONTAINERS, ...TEXTS, 'a word': '"true"' }, REFUSED),
	array: ({ max }) => [
		...all({ ...NUMBERS, ...TRUTHS, ...TEXTS, ...OBJECTS }, REFUSED),
		...elements(['5', 'null', 'true', '""', '[]', '{}', '"x"', '{"id":5}', '{"id":"*"}', '"https://"']),
		...elements([Array((max || 10) + 1).fill('{"id":"x"}').join()]), MANY,
		{ what: 'the empty array', json: '[]', verdict: FINE },
	],
	ids: ({ min, max }) => [
		...all({ ...NUMBERS, ...TRUTHS, ...TEXTS, ...OBJECTS }, REFUSED),
		...elements(['null', 'true', '""', '[]', '{}', '"é"', '"a\\u0000b"', text('x'.repeat(ID_MAX + 1)), '"x",""']),
		...elements([Array(max + 1).fill('"x"').join()]), MANY,
		{ what: 'the empty array', json: '[]', verdict: min > 0 ? REFUSED : FINE },
		{ what: 'an array of a number', json: '[5]', verdict: JUDGED },
		{ what: 'an array of the same one', json: '["x","x"]', verdict: JUDGED },
	],
	strings: ({ min, max }) => [
		...all({ ...NUMBERS, ...TRUTHS, ...TEXTS, 'an object': '{}' }, REFUSED),
		...elements(['5', 'null', 'true', '[]', '{}', '"a\\u0000b"', Array(max + 1).fill('"x"').join()]),
		{ what: 'the empty array', json: '[]', verdict: min > 0 ? REFUSED : FINE },
	],
	object: () => all({ ...NUMBERS, ...TRUTHS, ...TEXTS, 'an array': '[]' }, REFUSED),
	any: () => all({ ...NUMBERS, ...TRUTHS, ...TEXTS, ...CONTAINERS }, JUDGED),
};

// All that a JSON value can be that the field is not; `json` undefined: left out; a function: makes it. `outer`: how
// many containers the value stands in.
export function garbled(field, outer) {
	const { name, type, required } = field;
	if (!(type in KINDS))
		throw new Error(`${name} is ${type}: say in garble.mjs what is wrong for such a field`);
	const absent = required ? REFUSED : FINE;
	return [
		{ what: 'nothing', json: undefined, verdict: absent },
		{ what: 'null', json: 'null', verdict: absent },
		...KINDS[type](field),
		{ what: 'as deep as may be', json: nested(JSON_DEPTH - outer), verdict: type === 'any' ? JUDGED : REFUSED },
		{ what: 'too deep', json: nested(JSON_DEPTH - outer + 1), verdict: BROKEN },
		{ what: 'half of a pair', json: '"\\ud800"', verdict: BROKEN },
		{ what: 'bytes that are not UTF-8', json: Buffer.from([0x22, 0xc3, 0x28, 0x22]), verdict: BROKEN },
	];
}

// Just under the limit of a payload.
export function enormous({ type, min, max }, bytes) {
	const json = () => text('x'.repeat(bytes));
	const bounded = type !== 'string' || max > min;
	return { what: 'as long as a payload may be', json, isLarge: true,
		verdict: type === 'any' || !bounded ? JUDGED : REFUSED };
}

// What is no JSON value at all, wherever it stands.
export const NONSENSE = {
	'far too deep': nested(100_000),
	'the other half of a pair': '"\\udc00"', 'a pair the wrong way round': '"\\udc00\\ud800"',
	'a pair that is none': '"\\ud800\\u0041"', 'half an escape': '"\\u00"', 'an escape that is none': '"\\x41"',
	'a raw line feed': '"a\nb"', 'a raw NUL': '"a\0b"', 'an open text': '"a', 'NaN': 'NaN', 'undefined': 'undefined',
	'Infinity': '-Infinity', 'a leading zero': '01', 'a hexadecimal': '0x10', 'a dot': '1.', 'a plus': '+1',
	'a comma too many': '[1,]', 'a comment': '/**/1', 'single quotes': "'a'",
	'an overlong NUL': Buffer.from([0x22, 0xc0, 0x80, 0x22]),
	'a surrogate in UTF-8': Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]),
	'beyond Unicode': Buffer.from([0x22, 0xf4, 0x90, 0x80, 0x80, 0x22]),
	'half a character': Buffer.from([0x22, 0xe2, 0x82, 0x22]),
};

const TRAPS = ['__proto__', 'constructor', 'prototype', 'hasOwnProperty', 'toString', '', 'a\u0000b', ASTRAL,
	'x'.repeat(10_000)];

// Members that an object has besides those that are valid: [what, members], as JSON texts.
export const EXTRAS = [
	['an unknown member', '"unknown":{"a":[1]}'],
	['1,000 unknown members', Array.from({ length: 1000 }, (_, n) => `"m${n}":${n}`).join()],
	...TRAPS.flatMap((key) => [
		[`a member ${text(key).slice(0, 20)}`, `${text(key)}:{"content":5,"admin":true}`],
		[`null at ${text(key).slice(0, 20)}`, `${text(key)}:null`]]),
];

// What `json` of a case is.
export const made = (json) => (typeof json === 'function' ? json() : json);

// An object as JSON, of `members` (name → JSON text), and of `more` behind them.
export function object(members, more = []) {
	const own = Object.entries(members).filter(([, json]) => json !== undefined)
		.flatMap(([name, json]) => [',', `${text(name)}:`, made(json)]);
	const rest = more.flatMap((one) => [',', ...[one].flat()]);
	return join('{', ...[...own, ...rest].slice(1), '}');
}

// Pieces of JSON, texts or bytes, as one.
export function join(...pieces) {
	return Buffer.concat(pieces.map((one) => Buffer.from(one)));
}

// --- In a path or a query, where all is text

const UNREADABLE = {
	'a NUL': '%00', 'a byte that is not UTF-8': 'a%ffb', 'an overlong character': '%c0%80', 'a surrogate': '%ed%a0%80',
	'half a character': '%e2%82', 'half an escape': 'a%4', 'an escape that is none': '%zz', 'a percent sign': '%',
};
const raw = (values, verdict) => Object.entries(values).map(([what, chars]) => ({ what, chars, verdict }));

const TEXTUAL = {
	string: () => raw({ 'a star': '*', 'a line feed': 'a%0Ab', '3,000 characters': 'x'.repeat(3000),
		'500 astral characters': '%F0%9F%98%80'.repeat(500), 'a number': '5', JSON: '%7B%22a%22%3A1%7D' }, JUDGED),
	id: () => [
		...raw({ 'a letter that is not ASCII': '%C3%A9', 'a line feed': 'a%0Ab', 'a DEL': '%7f',
			'a character too many': 'x'.repeat(ID_MAX + 1), '3,000 characters': 'x'.repeat(3000) }, REFUSED),
		...raw({ 'a number': '5', 'a star': '*', 'a key of Redis': 'users', 'dots': '%2e%2e',
			'the longest there is': 'x'.repeat(ID_MAX) }, JUDGED),
	],
	integer: ({ min, max }) => raw({ 'a word': 'five', 'a fraction': '1.5', 'an exponent': '1e0',
		'a huge exponent': '1e400', '2^63': String(2n ** 63n), '2^64': String(2n ** 64n), 'a truth': 'true',
		'null': 'null', 'an array': '[]', 'an object': '{}',
		'a text': '%221%22', 'a plus': '%2B1', 'hexadecimal': '0x1', 'two': '1,2', '3,000 digits': '1'.repeat(3000),
		'one too few': String(min - 1), 'one too many': String(max + 1), 'a negative number': '-5' }, REFUSED),
};

// What is wrong for a field in a path, or in a query: there it may also be left out (`chars` undefined), or empty.
export function garbledText(field, { isPath }) {
	const { name, type, min, required } = field;
	if (!(type in TEXTUAL))
		throw new Error(`${name} is ${type}: say in garble.mjs what is wrong for such a field in a path or query`);
	const all = [...raw(UNREADABLE, REFUSED), ...TEXTUAL[type](field)];
	if (isPath)
		return all;
	const empty = type === 'string' && min === 0 ? JUDGED : REFUSED;
	return [...all, { what: 'nothing', chars: undefined, verdict: required ? REFUSED : FINE },
		{ what: 'the empty text', chars: '', verdict: empty }];
}

// What a hostile client sends as events, made of the server's tables and of what a good client sends. A case is
// { key, event, what, field, verdict, array, blob? }: `array` makes the event's JSON of a base, which is what is good.
import assert from 'node:assert/strict';
import { EXTRAS, FINE, JSON_DEPTH, JUDGED, NONSENSE, REFUSED, enormous, garbled, join, made, nested,
	object } from './garble.mjs';
import { EVENTS, STRICTER, fateOf } from './valid.mjs';

// How long the longest texts are: just under max-payload, and under what a request may have.
const PAYLOAD = 1_000_000 - 1000;

export const json = (value) => JSON.stringify(value);
export const membersOf = (base) => Object.fromEntries(Object.entries(base).map(([key, value]) => [key, json(value)]));

// The event with these arguments, which are JSON.
export const called = (event, args) => join('[', json(event), ...args.flatMap((one) => [',', one]), ']');

// What is not an object, for each type of field but one.
const wrong = ({ type }) => (type === 'object' || type === 'any' ? '[]' : '{}');

// Members that come twice: the last one counts.
function doubled(field, isThere) {
	const { name, required } = field;
	const bad = `${json(name)}:${wrong(field)}`;
	const escaped = `"\\u${name.charCodeAt(0).toString(16).padStart(4, '0')}${name.slice(1)}":${wrong(field)}`;
	const behind = (more) => (members) => object(members, [more]);
	const first = (members) => {
		const rest = object(members).subarray(1);
		return join('{', bad, rest.length > 1 ? ',' : '', rest);
	};
	return [
		{ what: 'twice, the second one bad', argument: behind(bad), verdict: REFUSED },
		{ what: 'twice, the second one in escapes', argument: behind(escaped), verdict: REFUSED },
		{ what: 'twice, the second one null', argument: behind(`${json(name)}:null`),
			verdict: required ? REFUSED : FINE },
		{ what: 'twice, the first one bad', argument: first, verdict: isThere ? FINE : REFUSED },
	];
}

// One field after the other, of an object; `argument`: of the members that are good, as JSON, that object.
export function memberCases(fields, base, outer) {
	return fields.flatMap((field) => [
		...[...garbled(field, outer), enormous(field, PAYLOAD)].map(({ json: value, ...one }) =>
			({ ...one, argument: (members) => object({ ...members, [field.name]: value }) })),
		...doubled(field, field.name in base),
	].map((one) => ({ ...one, field: field.name, also: field.also })));
}

// What is asked for beside the fields.
export const besides = EXTRAS.map(([what, more]) =>
	({ what, argument: (members) => object(members, [more]), verdict: FINE, isExtra: true }));

const PLACEHOLDER = '{"_placeholder":true,"num":0}';

function argumentCases(fields) {
	const required = fields.filter((field) => field.required).map(({ name }) => name);
	const no = (what, ...args) => ({ what, args, verdict: REFUSED, field: 'data' });
	const missing = required.length > 0 ? { verdict: REFUSED, field: required } : { verdict: FINE };
	return [
		no('null', 'null'), no('a text', '"text"'), no('a number', '5'), no('a truth', 'true'), no('an array', '[]'),
		no('an array of it', (argument) => join('[', argument, ']')), no('as deep as may be', nested(JSON_DEPTH - 1)),
		no('something before it', '5', (argument) => argument), no('null before it', 'null', (argument) => argument),
		{ what: 'no arguments', args: [], ...missing },
		{ what: 'an empty object', args: ['{}'], ...missing },
		{ what: 'bytes for an object', args: [PLACEHOLDER], blob: Buffer.from('x'), ...missing },
		{ what: 'something behind it', args: [(argument) => argument, '5', 'null', '{"content":5}'], verdict: FINE },
	];
}

// All there is for an event whose argument is an object.
function objectCases({ name, raw }, fields, base) {
	const blobs = fields.map((field) => {
		const value = field.type === 'object' ? `[${PLACEHOLDER}]` : PLACEHOLDER;
		return { what: 'bytes', field: field.name, also: field.also, verdict: field.type === 'any' ? JUDGED : REFUSED,
			blob: Buffer.from([0, 255, 1]), argument: (members) => object({ ...members, [field.name]: value }) };
	});
	// Raw ones may take their fields one by one, too: which of them is blamed is their own affair.
	const some = argumentCases(fields).map((one) =>
		(raw && one.field === 'data' ? { ...one, field: fields.map((field) => field.name) } : one));
	return [...memberCases(fields, base, 2), ...blobs, ...besides, ...some].map(({ args, argument, ...one }) => ({
		...one, array: (from) => {
			const members = membersOf(from);
			const whole = object(members);
			return called(name, argument ? [argument(members)] :
				args.map((arg) => (typeof arg === 'function' ? arg(whole) : arg)));
		} }));
}

// The same where the argument is the one field.
function valueCases({ name }, [field]) {
	const call = (value) => () => called(name, value === undefined ? [] : [made(value)]);
	return [
		...[...garbled(field, 1), enormous(field, PAYLOAD)].map(({ json: value, ...one }) =>
			({ ...one, field: field.name, array: call(value) })),
		{ what: 'bytes', field: field.name, verdict: REFUSED, blob: Buffer.from('x'), array: call(PLACEHOLDER) },
		{ what: 'something behind it', verdict: FINE, array: (base) => called(name, [json(base), '5', 'null']) },
	];
}

// And where arguments are not looked at.
const junkCases = ({ name }) => [[], ['null'], ['5', '{}'], [nested(JSON_DEPTH - 1)], ['{"__proto__":{"a":1}}']]
	.map((args) => ({ what: `junk ${args.join().slice(0, 20)}`, verdict: FINE, array: () => called(name, args) }));

// The rows of an API with what good clients send: { api, row, key, base }, where there are several ways one for each.
export function rowsOf({ name: api, events }) {
	return events.flatMap((row) => {
		const base = EVENTS[api]?.[row.name];
		assert.ok(base, `say in valid.mjs what a good ${row.name} of ${api} is`);
		const key = `${api} ${row.name}`;
		return typeof base === 'function' ? [{ api, row, key, base }] :
			Object.entries(base).map(([variant, one]) => ({ api, row, key: `${key} ${variant}`, base: one }));
	});
}

// All cases of a row; which there are depends on what the base has.
export function casesOf({ row, key }, base) {
	const fields = (row.fields ?? []).map((field) => ({ ...field, ...STRICTER[key]?.[field.name] }));
	const some = row.fields === null ? junkCases(row) :
		typeof base === 'object' ? objectCases(row, fields, base) : valueCases(row, fields);
	return some.map((one) => ({ key, event: row.name, ...one })).map((one) => ({ ...one, verdict: fateOf(one) }));
}

// --- Names that no event has

const SHOWN = 100;       // bytes of a name that are repeated
const RESERVED = ['connect', 'connect_error', 'disconnect', 'disconnecting', 'newListener', 'removeListener'];
const NAMES = [
	'sing', '', 'error', '__proto__', 'constructor', 'a\0b', 'PING', ' ping ', '*', 'new_message', 'ack', '\u{1f600}',
	...['x', '\u{1f600}', '€'].map((letter) => letter.repeat(10_000)),
];
const NUMBERS = ['5', '-1.5', '1e400'];

// As much of a name as the server repeats: whole characters, and none behind a NUL.
function cut(name) {
	const [bytes] = Buffer.from(name).subarray(0, SHOWN).toString().split('\0');
	return bytes.replace(/\ufffd+$/, '');
}

// Events that nobody knows, with all sorts of arguments; `text`: what is said of them.
export function unknownCases(api) {
	const all = [...NAMES.map((name) => [json(name), name]), ...NUMBERS.map((name) => [name, name])];
	return all.flatMap(([name, said]) => ['', ',{}', ',null', ',"a",5'].map((args) => ({
		key: `${api} event`, what: `${name.slice(0, 50)}${args}`, array: join(`[${name}${args}]`), verdict: REFUSED,
		text: `Unknown event: ${cut(said)}` })));
}

// What is no event of that API, or no JSON.
export function nonsenseCases({ name: api, events }) {
	const { name, fields: [{ name: field }] } = events.find(({ fields }) => fields?.length > 0);
	const names = [...RESERVED.map(json), 'null', 'true', '{}', '[]', '["ping"]', '"\\ud800"'];
	return [
		...Object.entries(NONSENSE)
			.map(([what, value]) => ({ what, array: called(name, [object({ [field]: value })]) })),
		...[...names.map((one) => `[${one},{}]`), '', '{}', 'null', '"ping"', '[]', '[', '5', '[]]']
			.map((array) => ({ what: `no event: ${array}`, array: Buffer.from(array) })),
	].map((one) => ({ ...one, key: api }));
}

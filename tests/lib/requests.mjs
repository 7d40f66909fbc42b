// What a hostile client sends as requests, made of the server's tables, of their document and of what a good client
// sends. A case is { key, what, field, verdict, asked }: `asked` makes { method, path, body? } of a base, which is what
// is good.
import { besides, json, memberCases, membersOf } from './calls.mjs';
import { load, resolve } from './documents.mjs';
import { BROKEN, FINE, JSON_DEPTH, NONSENSE, REFUSED, garbledText, join, nested, object } from './garble.mjs';
import { fateOf } from './valid.mjs';

const openapi = load('openapi.json');
export const operations = new Map(Object.entries(openapi.paths).flatMap(([where, item]) => Object.entries(item)
	.map(([method, one]) => [`${method.toUpperCase()} ${where.replace(/{(\w+)}/g, ':$1')}`, one])));

const partsOf = ({ name }) => name.split(' ');
const isPath = ({ name }, field) => name.split(/[ /]/).includes(`:${field.name}`);
const hasBody = ({ name }) => name.startsWith('POST ');

// The fields of a route with the bounds that its document has, which knows more than its row.
function fieldsOf(route) {
	const schema = operations.get(route.name).requestBody?.content['application/json'].schema ?? {};
	const said = resolve(openapi, schema).properties ?? {};
	return (route.fields ?? []).map((field) => {
		const { minLength: min, maxLength: max } = resolve(openapi, said[field.name] ?? {});
		return { ...field, ...(min !== undefined && { min }), ...(max !== undefined && { max }) };
	});
}

// What a request of a route is made of: the base's members, by where they belong. `raw`: in the path or the query, by
// name, as they are written there (undefined: left out); `body`: bytes instead of those of the base.
export function request(route, base, more = {}) {
	const { raw = {}, query = '' } = more;
	const [method, pattern] = partsOf(route);
	const { token: _, ...members } = base;
	const inPath = (name) => pattern.includes(`:${name}`);
	const written = (name) => (name in raw ? raw[name] : encodeURIComponent(members[name]));
	const where = pattern.replace(/:(\w+)/g, (_, name) => written(name));
	const others = Object.keys({ ...members, ...raw }).filter((name) => !inPath(name));
	if (hasBody(route)) {
		const own = Object.fromEntries(others.map((name) => [name, members[name]]));
		return { method, path: where, body: 'body' in more ? more.body : object(membersOf(own)) };
	}
	const pairs = others.filter((name) => written(name) !== undefined).map((name) => `${name}=${written(name)}`);
	const search = [...pairs, query].filter(Boolean).join('&');
	return { method, path: search ? `${where}?${search}` : where };
}

// A body's members, without those that are in the path.
function bodyOf(route, base) {
	const [, pattern] = partsOf(route);
	return membersOf(Object.fromEntries(Object.entries(base).filter(([name]) =>
		name !== 'token' && !pattern.includes(`:${name}`))));
}

function textCases(route, field) {
	const inPath = isPath(route, field);
	const { name, required } = field;
	const of = (what, verdict, more) => ({ what, verdict, field: name, asked: (base) => request(route, base, more) });
	const some = garbledText(field, { isPath: inPath })
		.map(({ what, chars, verdict }) => of(what, verdict, { raw: { [name]: chars } }));
	if (inPath)
		return some;
	return [...some, of('twice, the second one bad', REFUSED, { query: `${name}=%ff` }),
		of('in brackets', required ? REFUSED : FINE, { raw: { [name]: undefined }, query: `${name}[]=1` })];
}

const QUERY = 'unknown=1&__proto__=x&__proto__[content]=1&constructor[prototype][a]=b&=&&=x&%ff=1&a%00b=1&toString';
const BODIES = ['[]', 'null', '5', '"x"', 'true', '{', '}', '{}{}', '{"a":1},', '\ufeff{}', '{a:1}', "{'a':1}", '{"a":}',
	'\0', '%7B%7D', 'a=1&b=2'];

function bodyCases(route, fields, base) {
	const own = fields.filter((field) => !isPath(route, field));
	const bodied = (what, verdict, argument) =>
		({ what, verdict, asked: (one) => request(route, one, { body: argument(bodyOf(route, one)) }) });
	const [first = { name: 'unknown' }] = own;
	// Where a password is hashed for each.
	const isCostly = route.name.includes('/login/');
	const empty = own.some(({ required }) => required) ? BROKEN : FINE;
	return [
		...memberCases(own, base, 1).map(({ argument, what, verdict, field }) =>
			({ field, ...bodied(what, verdict, argument) })),
		...(isCostly ? besides.slice(0, 3) : besides).map(({ what, argument }) => bodied(what, FINE, argument)),
		...Object.entries(NONSENSE).map(([what, value]) =>
			bodied(what, BROKEN, (members) => object({ ...members, [first.name]: value }))),
		...BODIES.map((text) => bodied(`the body ${text}`, BROKEN, () => Buffer.from(text))),
		bodied('an unknown member too deep', BROKEN, (members) => object(members, [`"u":${nested(JSON_DEPTH)}`])),
		bodied('no body', empty, () => undefined), bodied('an empty body', empty, () => Buffer.alloc(0)),
		bodied('an array of it', BROKEN, (members) => join('[', object(members), ']')),
	];
}

// All cases of a route; which there are depends on what the base has.
export function requestsOf(route, base) {
	const fields = fieldsOf(route);
	const inText = fields.filter((field) => !hasBody(route) || isPath(route, field));
	const some = [
		...inText.flatMap((field) => textCases(route, field)),
		...(hasBody(route) ? bodyCases(route, fields, base) : []),
		{ what: 'strange parameters', verdict: FINE, asked: (one) => request(route, one, { query: QUERY }) },
	];
	return some.map((one) => ({ key: route.name, ...one })).map((one) => ({ ...one, verdict: fateOf(one) }));
}

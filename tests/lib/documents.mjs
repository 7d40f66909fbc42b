// The documents of the APIs (web/openapi.json, web/asyncapi.json), the server's tables beside them, and examples
// that are tried on a server.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { ROOT, program } from './server.mjs';

export function load(name) {
	return JSON.parse(fs.readFileSync(path.join(ROOT, 'web', name), 'utf8'));
}

// What tests/tables/print.c says.
export function tables() {
	return JSON.parse(execFileSync(program('tables'), { encoding: 'utf8' }));
}

// The part of a document that a node stands for.
export function resolve(document, node) {
	while (node?.$ref !== undefined) {
		const steps = node.$ref.slice(2).split('/').map((step) => step.replace(/~1/g, '/').replace(/~0/g, '~'));
		node = steps.reduce((at, step) => {
			assert.ok(Object.hasOwn(at, step), `${node.$ref} leads nowhere`);
			return at[step];
		}, document);
	}
	return node;
}

// A copy in which objects have no members but those that are named: what a server says must be in its document.
function strict(schema) {
	if (schema === null || typeof schema !== 'object')
		return schema;
	if (Array.isArray(schema))
		return schema.map(strict);
	const copy = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, strict(value)]));
	if (copy.type === 'object' && copy.properties && copy.additionalProperties === undefined)
		copy.additionalProperties = false;
	return copy;
}

// Gives a function that fails unless a value fits a schema of the document. `ajv`: of the right dialect.
export function judge(document, ajv) {
	const schemas = strict(document.components.schemas);
	const compiled = new Map();
	return (value, schema, what) => {
		const key = JSON.stringify(schema);
		if (!compiled.has(key))
			compiled.set(key, ajv.compile({ allOf: [strict(schema)], components: { schemas } }));
		const fits = compiled.get(key);
		assert.ok(fits(value), `${what} is ${JSON.stringify(value)}: ${ajv.errorsText(fits.errors)}`);
	};
}

// --- Fields

const FIELD_TYPES = {
	string: 'string', id: 'string', object: 'object', array: 'array', strings: 'array', ids: 'array',
	integer: 'integer', boolean: 'boolean',
};
const BOUNDS = {
	string: ['minLength', 'maxLength'], array: ['minItems', 'maxItems'], integer: ['minimum', 'maximum'],
};
// Whether a bound says anything: 0 characters or elements at least are no bound.
const bounds = (type, [min, max]) => {
	const [low, high] = BOUNDS[type] ?? [];
	return { ...(min !== undefined && (type === 'integer' || min > 0) && { [low]: min }),
		...(max !== undefined && { [high]: max }) };
};

// A row of a schema table, as a document would have it.
export function tabled({ type, min, max, required }) {
	const bounded = min !== 0 || max !== 0;
	const of = type === 'id' ? [1, 128] : bounded ? [min, max >= min ? max : undefined] : [];
	const json = FIELD_TYPES[type];
	return { type: json, ...bounds(json, of), required, ...(type === 'ids' && { of: 'id' }) };
}

// The same of a property or parameter of a document.
export function documented(document, schema, required) {
	const found = resolve(document, schema);
	const [low, high] = BOUNDS[found.type] ?? [];
	const items = found.items && resolve(document, found.items);
	return { type: found.type, ...bounds(found.type, [found[low], found[high]]), required,
		...(items?.pattern === '^[ -~]*$' && { of: 'id' }) };
}

// The properties of an object's schema: name → as `documented` has it.
export function properties(document, schema) {
	const found = resolve(document, schema);
	return Object.fromEntries(Object.entries(found?.properties ?? {}).map(([name, property]) =>
		[name, documented(document, property, (found.required ?? []).includes(name))]));
}

// --- Examples: their ids, times and tokens stand for those that a server gives

const ID = '[urmx][0-9a-f]{23}';
const FILE = '[0-9a-f]{32}';
const VARIES = new RegExp(`${ID}|${FILE}|\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z|eyJ[\\w-]+\\.[\\w-]+\\.[\\w-]+`, 'g');

// What any text of the same kind looks like.
function likeness(text) {
	if (/^\d{4}-/.test(text))
		return text.replace(/\d/g, '\\d').replace(/\./g, '\\.');
	if (text.startsWith('eyJ'))
		return '[\\w-]+\\.[\\w-]+\\.[\\w-]+';
	return text.length === 32 ? FILE : `${text[0]}[0-9a-f]{23}`;
}

const literally = (text) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');

export class Examples {
	#live = new Map();   // what an example says → what it stands for

	bind(example, live) {
		this.#live.set(example, live);
	}

	// An example, with all that is known in place.
	fill(value) {
		if (typeof value === 'string')
			return value.replace(VARIES, (text) => this.#live.get(text) ?? text);
		if (value === null || typeof value !== 'object')
			return value;
		if (Array.isArray(value))
			return value.map((one) => this.fill(one));
		return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, this.fill(one)]));
	}

	// Fails unless a live value is what the example says. An id that is new stands for what is in its place.
	match(example, live, what) {
		if (typeof example === 'string' && typeof live === 'string')
			return this.#matchText(example, live, what);
		if (example === null || typeof example !== 'object')
			return assert.deepEqual(live, example, what);
		assert.deepEqual(Object.keys(live ?? {}).sort(), Object.keys(example).sort(), what);
		for (const [key, one] of Object.entries(example))
			this.match(one, live[key], `${what}.${key}`);
	}

	#matchText(example, live, what) {
		const varies = example.match(VARIES) ?? [];
		const pattern = example.split(VARIES).map((text, i) => i === 0 ? literally(text)
			: `(${this.#expected(varies[i - 1])})${literally(text)}`).join('');
		const found = new RegExp(`^${pattern}$`).exec(live);
		assert.ok(found, `${what} is ${JSON.stringify(live)}, but the example says ${JSON.stringify(example)}`);
		for (const [i, text] of varies.entries())
			if (!/^\d{4}-/.test(text))
				this.#live.set(text, found[i + 1]);
	}

	#expected(text) {
		const known = this.#live.get(text);
		return known !== undefined && !text.startsWith('eyJ') ? literally(known) : likeness(text);
	}
}

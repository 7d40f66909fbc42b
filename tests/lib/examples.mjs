// Runs the examples of a reference page, so that it says what is so. Every block fenced as ```js is the body
// of an async function; the blocks run one after the other, with the same names in scope. Behind a
// statement, on its line or the next,
//
//     // → {id: "…", name: "ann", tags: ["a", …], more: …, …}
//
// says what its expression, or the constant it declares, gives: "…" in a text stands for any text; bare, for
// any value, and at the end of a list or an object for any more of them.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { ROOT } from './server.mjs';
import { until } from './wait.mjs';

const ANY = Symbol('any');
const MORE = Symbol('more');
const AsyncFunction = (async () => {}).constructor;

// Spread into a list or an object it leaves its mark there.
class Rest {
	[MORE] = true;
	* [Symbol.iterator]() { yield MORE; }
}

// What is written behind an arrow, as a value to compare with.
function expected(source) {
	const parts = source.split(/("(?:[^"\\]|\\.)*")/);
	const code = parts.map((part, i) => i % 2 ? part
		: part.replace(/:\s*…/g, ': ANY').replace(/^\s*…\s*$/, 'ANY').replaceAll('…', '...REST')).join('');
	return Function('ANY', 'REST', `return (${code});`)(ANY, new Rest());
}

function fits(is, wanted) {
	if (wanted === ANY)
		return true;
	if (typeof wanted === 'string' && typeof is === 'string') {
		const pieces = wanted.split('…').map((piece) => piece.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
		return new RegExp(`^${pieces.join('.*')}$`, 's').test(is);
	}
	if (wanted === null || typeof wanted !== 'object')
		return Object.is(is, wanted);
	if (is === null || typeof is !== 'object' || Array.isArray(is) !== Array.isArray(wanted))
		return false;
	if (Array.isArray(wanted)) {
		const some = wanted.at(-1) === MORE ? wanted.slice(0, -1) : wanted;
		return (some !== wanted || is.length === some.length) && is.length >= some.length &&
			some.every((one, i) => fits(is[i], one));
	}
	const keys = Object.keys(wanted);
	return (wanted[MORE] || keys.length === Object.keys(is).length) &&
		keys.every((key) => Object.hasOwn(is, key) && fits(is[key], wanted[key]));
}

// Fails unless `is` is what the page says, at that line of it.
function check(is, source, line) {
	if (!fits(is, expected(source)))
		assert.fail(`line ${line} says ${source}, but it is ${JSON.stringify(is)}`);
}

// The statement and what is said of it, as code that looks whether it is so.
function checked(statement, source, line) {
	const call = (value) => `check(${value}, ${JSON.stringify(source)}, ${line});`;
	const declared = /^\s*(?:const|let)\s+(\w+)\s*=/.exec(statement);
	if (declared)
		return `${statement}\n${call(declared[1])}`;
	return call(statement.trim().replace(/;$/, ''));
}

// The body of a block: a statement ends with a line that ends with a semicolon.
function compile(lines, first) {
	const code = [];
	let statement = [];
	for (const [i, line] of lines.entries()) {
		const [, text, source] = /^(.*?)\s*(?:\/\/ → (.*))?$/.exec(line);
		if (text !== '')
			statement.push(text);
		const next = lines[i + 1] ?? '';
		if (source !== undefined) {
			code.push(checked(statement.join('\n'), source, first + i));
			statement = [];
		} else if (/;(\s*\/\/.*)?$/.test(text) && !/^\s*\/\/ → /.test(next)) {
			code.push(statement.join('\n'));
			statement = [];
		}
	}
	return [...code, ...statement].join('\n');
}

// The examples of a page, each with the heading it stands under.
export function examples(file) {
	const lines = fs.readFileSync(path.join(ROOT, file), 'utf8').split('\n');
	const found = [];
	let heading = '';
	let start = -1;
	for (const [i, line] of lines.entries()) {
		if (start < 0 && line.startsWith('#'))
			heading = line.replace(/^#+ /, '');
		if (start < 0 && line === '```js') {
			start = i + 1;
		} else if (start >= 0 && line === '```') {
			found.push({ file, heading, line: start + 1, lines: lines.slice(start, i) });
			start = -1;
		}
	}
	assert.ok(found.length > 0, `${file} has examples`);
	return found;
}

// Runs one; `scope`: name → what it is there.
export async function run({ file, line, lines }, scope) {
	const code = compile(lines, line);
	try {
		await new AsyncFunction('check', ...Object.keys(scope), code)(check, ...Object.values(scope));
	} catch (error) {
		throw new Error(`${file}:${line}: ${error.message}\n${code}`, { cause: error });
	}
}

// For examples that hear: `next(socket, name)` gives the argument of the next event of that name, of those that
// came since the socket was given to `listen`; each is given once.
export function ears() {
	const heard = new Map();
	return {
		listen(socket) {
			heard.set(socket, []);
			socket.onAny((name, ...args) => heard.get(socket).push({ name, args }));
			return socket;
		},
		async next(socket, name) {
			const all = heard.get(socket);
			const at = () => all.findIndex((event) => event.name === name);
			await until(() => at() >= 0, `event ${name}`, { every: 5 });
			return all.splice(at(), 1)[0].args[0];
		},
	};
}

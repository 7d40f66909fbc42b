// What is not left to rules: numbers by chance, damages to any bytes, and what fuzzers found.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const CORPUS = fileURLToPath(new URL('../fuzz/corpus', import.meta.url));
const LARGEST_SEED = 4096;

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

export const latin = (text) => Buffer.from(text, 'latin1');

const NASTY = ['\0', '\r', '\n', '\r\n', '\r\n\r\n', '\t', '\v', '\x1e', '\x7f', '\xff', '\xfe\xff', '\xc0\x80',
	'\xed\xa0\x80',
	'\xf4\x90\x80\x80', '\xe2\x82', '\xef\xbb\xbf', '"', '\\', '\'', '{', '}', '[', ']', ',', ':', ';', '=',
		'-', '--', '/', '.',
	'%', '%00', '%zz', '%c0%af', '\\ud800', '\\u0000', '\\x41', '0', '-1', '1e999', '2147483648',
		'9223372036854775808',
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
export function damage(dice, bytes) {
	const names = Array.from({ length: dice.pick([1, 1, 1, 2, 3]) }, () => dice.pick(Object.keys(DAMAGES)));
	for (const name of names)
		bytes = DAMAGES[name](dice, bytes);
	return { what: names.join(', '), bytes };
}

// What fuzzers found, by target; `cut` takes off what is only for the target.
const known = new Map();
export function found(dice, target, cut = (bytes) => bytes) {
	if (!known.has(target)) {
		const dir = path.join(CORPUS, target);
		known.set(target, fs.readdirSync(dir).sort().map((name) => fs.readFileSync(path.join(dir, name)))
			.filter(({ length }) => length <= LARGEST_SEED));
	}
	return cut(dice.pick(known.get(target)));
}

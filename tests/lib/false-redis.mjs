// A Redis that can be told to misbehave, since a real one can't: a proxy in front of a real redis-server, which
// knows whose connection it is and which answer belongs to which command.
import net from 'node:net';
import { freePort } from './server.mjs';

export const KINDS = ['commands', 'subscriptions', 'master'];

// A fault: subscriptions are made no more; all else is well.
export const DEAF = {
	on: ['subscriptions'],
	answer: (bytes) => (bytes.includes('$9\r\nsubscribe\r\n') ? '' : bytes),
};

const CRLF = Buffer.from('\r\n');
const FILLER = Buffer.alloc(256 * 1024, 'x');

// Where the value that begins at `at` ends; -1: it is not all there.
function endOf(bytes, at = 0) {
	const line = bytes.indexOf(CRLF, at);
	if (line < 0)
		return -1;
	const type = String.fromCharCode(bytes[at]);
	const number = Number(bytes.toString('latin1', at + 1, line));
	let end = line + 2;
	if (type === '$')
		return number < 0 ? end : end + number + 2 <= bytes.length ? end + number + 2 : -1;
	for (let i = 0; type === '*' && i < number; i++) {
		end = endOf(bytes, end);
		if (end < 0)
			return -1;
	}
	return end;
}

// Cuts a stream into whole values.
class Cutter {
	#held = Buffer.alloc(0);

	*add(bytes) {
		this.#held = Buffer.concat([this.#held, bytes]);
		for (let end; this.#held.length > 0 && (end = endOf(this.#held)) > 0;) {
			const one = this.#held.subarray(0, end);
			this.#held = this.#held.subarray(end);
			yield one;
		}
	}
}

// The words of a command: an array of strings.
function words(bytes) {
	const all = [];
	for (let at = bytes.indexOf(CRLF) + 2; at < bytes.length;) {
		const head = bytes.indexOf(CRLF, at);
		const length = Number(bytes.toString('latin1', at + 1, head));
		all.push(bytes.toString('latin1', head + 2, head + 2 + length));
		at = head + 4 + length;
	}
	return all;
}

// One connection of Confab's, and ours to the real Redis behind it.
class Link {
	kind = 'unknown';    // 'commands', 'subscriptions' or 'master' once it is clear
	#owed = [];          // commands whose answers are to come; empty on a subscription
	#asks = new Cutter();
	#answers = new Cutter();
	#dripping = [];
	#lying = false;      // never comes to an end

	constructor(redis, near, port) {
		this.redis = redis;
		this.near = near;
		this.far = net.connect({ port, host: '127.0.0.1' });
		for (const end of [near, this.far]) {
			end.setNoDelay(true);
			end.on('error', () => {});
			end.on('close', () => this.cut());
		}
		near.on('data', (bytes) => this.#asked(bytes));
		this.far.on('data', (bytes) => this.#answered(bytes));
	}

	cut() {
		this.redis.links.delete(this);
		clearInterval(this.dripper);
		this.near.destroy();
		this.far.destroy();
	}

	hold(held) {
		for (const end of [this.near, this.far])
			held ? end.pause() : end.resume();
	}

	#asked(bytes) {
		for (const one of this.#asks.add(bytes)) {
			const command = words(one);
			this.#learn(command);
			if (this.kind !== 'subscriptions')
				this.#owed.push(command);
			this.redis.commands += 1;
		}
		this.far.write(bytes);
	}

	#learn([name, first]) {
		if (this.kind !== 'unknown')
			return;
		if (/SUBSCRIBE$/.test(name) || (name === 'PING' && first !== undefined))
			this.kind = 'subscriptions';
		else if (name === 'INFO')
			this.kind = 'commands';
		else if (['worker_lease', 'confab_version'].includes(first) || name === 'FUNCTION')
			this.kind = 'master';
		if (this.kind !== 'unknown')
			this.redis.befriend(this);
	}

	#answered(bytes) {
		for (const one of this.#answers.add(bytes)) {
			const command = this.#owed.shift() ?? [];
			const fault = this.redis.faultOf(this, command);
			if (fault && !this.#lying)
				this.#misbehave(fault, one, command);
			else
				this.#write(one);
		}
	}

	#write(bytes) {
		if (this.#lying)
			return;
		if (this.#dripping.length > 0)
			this.#dripping.push(...bytes);
		else
			this.near.write(bytes);
	}

	#misbehave(fault, answer, command) {
		this.redis.faults += 1;
		if (fault.cut) {
			this.near.write(answer.subarray(0, Math.ceil(answer.length / 2)), () => this.cut());
			this.#lying = true;
		} else if (fault.drip) {
			this.#drip(answer);
		} else if (fault.endless) {
			this.near.write(fault.endless);
			this.#lying = true;
			fault.slowly ? this.#trickle() : this.#fill();
		} else {
			this.#write(Buffer.from(fault.answer(answer, command), 'latin1'));
		}
	}

	#drip(bytes) {
		this.#dripping.push(...bytes);
		this.dripper ??= setInterval(() => {
			const byte = this.#dripping.shift();
			if (byte !== undefined)
				this.near.write(Buffer.of(byte));
		}, 1);
	}

	#fill() {
		if (this.near.destroyed)
			return;
		this.redis.filled += FILLER.length;
		if (this.near.write(FILLER))
			setImmediate(() => this.#fill());
		else
			this.near.once('drain', () => this.#fill());
	}

	#trickle() {
		if (this.near.destroyed)
			return;
		this.near.write('xxxxxxxx');
		setTimeout(() => this.#trickle(), 20);
	}

	// What it was doing wrong ends: what drips comes at once, what never ends is cut off.
	behave() {
		clearInterval(this.dripper);
		this.dripper = undefined;
		this.near.write(Buffer.from(this.#dripping));
		this.#dripping = [];
		this.hold(false);
		if (this.#lying)
			this.cut();
	}
}

// A fault is { name, on, … } with one of
//   answer(bytes, command)   what is sent instead of each answer, as Latin-1 or a Buffer
//   endless                  the beginning of what never ends, and comes fast, or `slowly`
//   cut, drip, silent        half an answer and the end; a byte a millisecond; nothing at all
//   hangUp, refuse           connections end as soon as they are made; are not taken
// `on`: which connections, of 'commands', 'subscriptions' and 'master'. `functions`: only calls of functions, so
// that a connection seems to be well; `first`: so many answers, then it behaves.
export class FalseRedis {
	links = new Set();
	accepted = 0;
	commands = 0;
	faults = 0;          // answers that were spoilt
	filled = 0;          // bytes of what has no end
	#fault = null;
	#left = 0;

	static async open(port) {
		const redis = new FalseRedis();
		redis.behind = port;
		redis.server = net.createServer((near) => redis.#accept(near));
		// One that it can take again, after it refused connections for a while.
		redis.port = await freePort();
		await redis.#listen(redis.port);
		return redis;
	}

	get address() {
		return `127.0.0.1:${this.port}`;
	}

	#listen(port) {
		return new Promise((resolve, reject) => {
			this.server.once('error', reject);
			this.server.listen(port, '127.0.0.1', resolve);
		});
	}

	#accept(near) {
		this.accepted += 1;
		if (this.#fault?.hangUp) {
			near.destroy();
			return;
		}
		const link = new Link(this, near, this.behind);
		this.links.add(link);
		if (this.#fault?.silent)
			link.hold(this.#fault.on.length === KINDS.length);
	}

	// Whose connection it is turned out: what was held back because it might be another's goes on.
	befriend(link) {
		link.hold(Boolean(this.#fault?.silent && this.#fault.on.includes(link.kind)));
	}

	faultOf(link, [name, first]) {
		const fault = this.#fault;
		if (!fault || fault.silent || (link.kind !== 'unknown' && !fault.on.includes(link.kind)))
			return null;
		const called = /^FCALL/.test(name) && first !== 'worker_hello';
		if (fault.functions && link.kind !== 'subscriptions' && !called)
			return null;
		// A connection of which nothing is known yet may be one of those that are to be well.
		if (link.kind === 'unknown' && fault.on.length < KINDS.length)
			return null;
		return this.#left-- > 0 ? fault : null;
	}

	async misbehave(fault) {
		this.#left = fault.first ?? Infinity;
		this.#fault = fault;
		if (fault.refuse)
			this.server.close();
		for (const link of [...this.links]) {
			if (fault.refuse || fault.hangUp)
				link.cut();
			else if (fault.silent && fault.on.includes(link.kind))
				link.hold(true);
		}
	}

	async behave() {
		const refused = this.#fault?.refuse;
		this.#fault = null;
		for (const link of [...this.links])
			link.behave();
		if (refused)
			await this.#listen(this.port);
	}

	close() {
		this.server.close();
		for (const link of [...this.links])
			link.cut();
	}
}

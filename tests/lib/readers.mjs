// Many light readers of one channel, in a process of their own, who can stop reading and go on. Each message of a
// `Speaker` has a number and a time: they know at once what is missing, twice, or late.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Guest } from './crowd.mjs';
import { sleep, within } from './wait.mjs';

const PROGRAM = fileURLToPath(new URL('readers-process.mjs', import.meta.url));
const PATIENCE_MS = 120_000;

export const microseconds = () => Number(process.hrtime.bigint() / 1000n);

export class Readers {
	#waiting = new Map();
	#asked = 0;

	constructor(child) {
		this.child = child;
		child.on('message', ({ id, result, error }) => {
			const { resolve, reject } = this.#waiting.get(id);
			this.#waiting.delete(id);
			if (error)
				reject(new Error(`readers: ${error}`));
			else
				resolve(result);
		});
	}

	// `n` connections of one user, which follow nothing yet.
	static async open(server, { token, n }) {
		const readers = new Readers(fork(PROGRAM, [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }));
		await readers.#ask('open', { port: server.port, token, n });
		return readers;
	}

	follow(room) {
		return this.#ask('follow', { room });
	}

	// They read no byte from now on.
	stop() {
		return this.#ask('stop');
	}

	go() {
		return this.#ask('go');
	}

	// Those whose connection has ended come back to their sessions: { back, recovered }.
	comeBack() {
		return this.#ask('comeBack');
	}

	// { last: the lowest number that all have heard up to, wrong: messages that were not the next, over:
	// connections that have ended, pings, gap: the longest ms between two pings }
	report() {
		return this.#ask('report');
	}

	// How late messages were since the last look: { n, p50, p99, max } in µs.
	latency() {
		return this.#ask('latency');
	}

	dismiss() {
		this.child.kill();
	}

	#ask(act, more = {}) {
		const id = ++this.#asked;
		this.child.send({ id, act, ...more });
		return within(new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject })),
			`answer of the readers: ${act}`, PATIENCE_MS);
	}
}

export class Speaker {
	said = 0;

	static async enter(server, token, room) {
		const speaker = new Speaker();
		speaker.guest = await (await Guest.open(server)).join('/channels', { token });
		speaker.guest.hear = () => {};
		speaker.room = room;
		return speaker;
	}

	async say(length) {
		this.said += 1;
		const { ok, error } = await this.guest.ask('send_message', { channelId: this.room,
			content: `${this.said} ${microseconds()} ${'x'.repeat(length)}` });
		if (!ok)
			throw new Error(`it was not taken: ${error}`);
	}

	// So many a second, for so long; gives how many.
	async speak({ rate, ms, length }) {
		const begun = performance.now();
		const answers = [];
		for (let due = begun; due < begun + ms; due += 1000 / rate) {
			await sleep(Math.max(0, due - performance.now()));
			answers.push(this.say(length));
		}
		return (await Promise.all(answers)).length;
	}
}

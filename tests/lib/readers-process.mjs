// The process of readers.mjs.
import { Guest } from './crowd.mjs';
import { microseconds } from './readers.mjs';
import { pool } from './wait.mjs';

const AT_ONCE = 32;

let readers = [];
let server;
let credentials;
let late = [];

class Reader {
	last = null;         // the number of the newest message
	wrong = 0;
	pings = 0;
	gap = 0;
	#pinged = null;

	async open(auth) {
		this.guest = await Guest.open(server);
		this.guest.hear = (name, args) => this.#hear(name, args);
		this.guest.pinged = () => this.#ping();
		this.guest.offset = this.offset ?? '';
		await this.guest.join('/channels', auth);
	}

	#hear(name, [body]) {
		if (name !== 'new_message')
			return;
		const [n, at] = body.content.split(' ', 2).map(Number);
		if (this.last !== null && n !== this.last + 1)
			this.wrong += 1;
		this.last = n;
		late.push(microseconds() - at);
	}

	#ping() {
		const now = performance.now();
		if (this.#pinged !== null)
			this.gap = Math.max(this.gap, now - this.#pinged);
		this.#pinged = now;
		this.pings += 1;
	}

	// True if the session was taken up.
	async comeBack() {
		const { sid, pid, offset } = this.guest;
		this.offset = offset;
		await this.open({ ...credentials, pid, offset });
		return this.guest.sid === sid;
	}
}

const all = (measure, of) => of(...readers.map(measure));

const acts = {
	async open({ port, token, n }) {
		server = { port };
		credentials = { token };
		readers = Array.from({ length: n }, () => new Reader());
		await pool(readers, AT_ONCE, (reader) => reader.open(credentials));
	},
	follow: ({ room }) => pool(readers, AT_ONCE, ({ guest }) => guest.ask('join_channel', { channelId: room })),
	stop: () => readers.forEach(({ guest }) => guest.socket.pause()),
	go: () => readers.forEach(({ guest }) => guest.socket.resume()),
	async comeBack() {
		const gone = readers.filter(({ guest }) => guest.over);
		const recovered = [];
		await pool(gone, AT_ONCE, async (reader) => recovered.push(await reader.comeBack()));
		return { back: gone.length, recovered: recovered.filter(Boolean).length };
	},
	report: () => ({
		last: all(({ last }) => last ?? 0, Math.min),
		wrong: readers.reduce((sum, { wrong }) => sum + wrong, 0),
		over: readers.filter(({ guest }) => guest.over).length,
		pings: all(({ pings }) => pings, Math.min),
		gap: Math.round(all(({ gap }) => gap, Math.max)),
	}),
	latency() {
		const sorted = Float64Array.from(late).sort();
		const at = (q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
		late = [];
		return { n: sorted.length, p50: at(0.5), p99: at(0.99), max: sorted.at(-1) };
	},
};

process.on('message', async ({ id, act, ...more }) => {
	try {
		process.send({ id, result: await acts[act](more) });
	} catch (error) {
		process.send({ id, error: error.message });
	}
});
process.on('disconnect', () => process.exit());

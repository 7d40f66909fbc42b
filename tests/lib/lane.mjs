// A Socket.IO client that sends any bytes, by polling or by WebSocket, and says what came back for each of them.
// Each packet is followed by a fence, an event that nobody knows, so that it is seen which packet ended a session.
import assert from 'node:assert/strict';
import { Polling, Streaming } from './engine.mjs';
import { join } from './garble.mjs';
import { OP } from './websocket.mjs';
import { PATIENCE_MS, until, within } from './wait.mjs';

const FENCE = '["fence"]';
const RS = '\x1e';
const AT_ONCE = 40;              // packets in one go
const BYTES_AT_ONCE = 300_000;

export const TRAVEL = { polling: Polling, websocket: Streaming };

// A session may have one POST at a time; the answer to a ping is one, too.
function inTurn(session) {
	const post = session.post?.bind(session);
	let last = Promise.resolve();
	session.post = (...args) => {
		last = last.catch(() => {}).then(() => post(...args));
		return last;
	};
}

export class Lane {
	#acks = new Map();       // id → arguments
	#events = [];            // [name, ...arguments], of those that no `run` gave yet
	#next = 0;
	over = null;             // why it reads no more

	constructor(session, nsp) {
		Object.assign(this, { session, nsp });
	}

	// In that namespace, as the bearer of the token.
	static async open(server, { travel, nsp, token }) {
		const session = await TRAVEL[travel].open(server.port);
		inTurn(session);
		const lane = new Lane(session, nsp);
		await lane.#send([Buffer.from(`40${nsp},${token ? JSON.stringify({ token }) : ''}`)]);
		lane.#listen();
		await until(() => lane.#acks.has('connected') || lane.over, `CONNECT of ${nsp}`, { every: 1 });
		assert.equal(lane.over, null);
		return lane;
	}

	get isPolling() {
		return this.session instanceof Polling;
	}

	async #listen() {
		try {
			while (this.over === null)
				this.#take(await this.session.next());
		} catch (error) {
			this.over ??= error.message;
		}
		this.#wake?.();
	}

	#wake;

	#take(packet) {
		if (typeof packet !== 'string') {
			// Closed: by a WebSocket's close, or by nothing more to come.
			this.over = packet === null ? 'gone' : JSON.stringify(packet);
			return;
		}
		assert.doesNotMatch(packet, /\ufffd/, 'what the server says is UTF-8');
		const [, type, id, data] = new RegExp(`^4([0234])${this.nsp},(\\d*)(.*)$`, 's').exec(packet) ?? [];
		if (type === '0')
			this.#acks.set('connected', JSON.parse(data));
		else if (type === '3')
			this.#acks.set(id, JSON.parse(data));
		else if (type === '2')
			this.#events.push(JSON.parse(data));
		else
			this.over = packet;
		this.#wake?.();
	}

	async #send(packets) {
		if (!this.isPolling) {
			for (const packet of packets)
				this.session.websocket.frame(packet.blob ? OP.BINARY : OP.TEXT, packet.blob ?? packet);
			return;
		}
		const shown = (packet) => (packet.blob ? `b${packet.blob.toString('base64')}` : packet);
		const answer = await this.session.post(join(...packets.flatMap((packet) => [RS, shown(packet)]).slice(1)));
		if (answer.status !== 200)
			throw new Error(`a POST was answered with ${answer.status}: ${answer.body}`);
	}

	// `array`: JSON, as bytes; `blob`: its attachment, if it has one; `id`: none for no acknowledgement.
	#packets({ array, blob }, id = '') {
		return blob ? [join(`451-${this.nsp},${id}`, array), { blob }] : [join(`42${this.nsp},${id}`, array)];
	}

	async #wait(done, what, ms = PATIENCE_MS) {
		const all = (async () => {
			while (!done() && this.over === null)
				await new Promise((resolve) => { this.#wake = resolve; });
		})();
		await within(all, what, ms);
		if (!done())
			throw new Error(`${what()}: the session is over: ${this.over}`);
	}

	// Sends events, `{array, blob?}` (an array in JSON, as bytes), and gives what each was acknowledged with (an array
	// of arguments; undefined where no acknowledgement is asked for), and the events that came. `due`: how many must.
	async run(sent, { acked, due = 0 }) {
		const answers = [];
		for (let at = 0; at < sent.length;) {
			const some = this.#cut(sent, at);
			at += some.length;
			await this.#send(some.flatMap(({ event, id, fence }) =>
				[...this.#packets(event, acked ? id : ''), ...this.#packets({ array: FENCE }, fence)]));
			const late = () => some.find(({ id, fence }) =>
				!this.#acks.has(fence) || (acked && !this.#acks.has(id)));
			await this.#wait(() => late() === undefined, () => {
				const { fence, event } = late();
				return `${this.#acks.has(fence) ? 'answer' : 'sign of life'} after ${event.array.subarray(0, 200)}`;
			});
			answers.push(...some.map(({ id }) => this.#acks.get(id)));
			this.#acks.clear();
		}
		// Whoever wants them sees which is missing.
		await this.#wait(() => this.#heard().length >= due, () => 'events', PATIENCE_MS).catch(() => {});
		const events = this.#heard();
		this.#events = [];
		return { answers, events };
	}

	// The next few of them, with ids.
	#cut(sent, at) {
		const some = [];
		for (let bytes = 0; at < sent.length && some.length < AT_ONCE && bytes < BYTES_AT_ONCE; at++) {
			bytes += sent[at].array.length;
			if (some.length === 0 || bytes < BYTES_AT_ONCE)
				some.push({ event: sent[at], id: String(this.#next++), fence: String(this.#next++) });
		}
		return some;
	}

	#heard() {
		return this.#events.filter(([, first]) => first?.message !== 'Unknown event: fence');
	}

	// All that is under way is not counted.
	async forget() {
		await this.ask('fence');
		this.#events = [];
	}

	// What one event, with these arguments, is acknowledged with: the one argument of that.
	async ask(name, ...args) {
		const array = Buffer.from(JSON.stringify([name, ...args]));
		const { answers } = await this.run([{ array }], { acked: true });
		return answers[0][0];
	}

	// Sends what no server can read: fails unless the session is over by that, and unanswered.
	async breaks(event, what) {
		await this.#send(this.#packets(event, '7')).catch(() => {});
		await within((async () => {
			while (this.over === null)
				await new Promise((resolve) => { this.#wake = resolve; });
		})(), `end of the session after ${what}`);
		assert.ok(!this.#acks.has('7'), `${what} is not answered`);
		this.close();
		return this.over;
	}

	close() {
		if (this.over === null && this.isPolling)
			this.session.post('1').catch(() => {});
		this.over ??= 'closed here';
		this.session.destroy();
	}
}

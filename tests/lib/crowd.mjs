// Light Socket.IO clients, thousands in one process: a bare TCP socket each, one namespace, frames read as
// they come.
import net from 'node:net';
import { websocketPath } from './engine.mjs';
import { pool, until, within } from './wait.mjs';
import { OP, closePayload, frame, upgradeHeaders } from './websocket.mjs';
import { requestBytes } from './wire.mjs';

const END_OF_HEAD = Buffer.from('\r\n\r\n');
const AT_ONCE = 64;
const BATCH = 2000;
const ADDRESSES = 100;

const CLOSE = frame(OP.CLOSE, closePayload(1000));

const there = new Set();
let made = 0;

// Ends all guests of this process; for `after`.
export function dismissAll() {
	for (const guest of there)
		guest.cut();
}

// One whole frame of the server's: { opcode, payload, end }, or null if it is not all there.
function readFrame(bytes) {
	if (bytes.length < 2)
		return null;
	const short = bytes[1] & 0x7f;
	const head = short === 127 ? 10 : short === 126 ? 4 : 2;
	if (bytes.length < head)
		return null;
	const length = short === 127 ? Number(bytes.readBigUInt64BE(2)) : short === 126 ? bytes.readUInt16BE(2) : short;
	const end = head + length;
	return bytes.length < end ? null : { opcode: bytes[0] & 15, payload: bytes.subarray(head, end), end };
}

export class Guest {
	heard = [];          // { name, args } in the order of arrival, unless `hear` takes them
	hear = (name, args) => this.heard.push({ name, args });
	pinged = () => {};   // at each ping of Engine.IO
	over = false;        // the connection has ended
	joined = false;
	mute = false;        // deaf, too: as one whose cable is cut
	offset = '';         // of the last event that had one
	#held = Buffer.alloc(0);
	#upgraded = false;
	#waiting = new Map(); // '0', '40' or the id of an acknowledgement → { resolve, reject }
	#asked = 0;

	constructor(socket) {
		this.socket = socket;
		this.ended = new Promise((resolve) => {
			socket.once('close', () => {
				this.over = true;
				there.delete(this);
				for (const { reject } of this.#waiting.values())
					reject(new Error('the connection ended'));
				resolve();
			});
		});
		there.add(this);
		socket.on('data', (bytes) => this.#take(bytes));
		// 'close' follows.
		socket.on('error', () => {});
	}

	// An Engine.IO session over a WebSocket, in no namespace yet.
	// The kernel spreads connections over the workers by address and port: of one address, too few ports lead to
	// the same worker.
	static async open(server, { localAddress = `127.0.0.${1 + made++ % ADDRESSES}` } = {}) {
		const socket = net.connect({ port: server.port, host: '127.0.0.1', localAddress });
		socket.setNoDelay(true);
		const guest = new Guest(socket);
		const opened = guest.#wait('0');
		socket.write(requestBytes({ path: websocketPath(), headers: upgradeHeaders() }));
		await within(opened, 'Engine.IO handshake').catch((error) => {
			guest.cut();
			throw error;
		});
		guest.end = `${socket.localAddress}:${socket.localPort}`;
		return guest;
	}

	// Connects to a namespace; fails if that is refused.
	async join(nsp, auth) {
		this.nsp = nsp;
		const answer = this.#wait('40');
		this.#text(`40${nsp},${auth ? JSON.stringify(auth) : ''}`);
		Object.assign(this, await within(answer, `answer of ${nsp}`));
		this.joined = true;
		return this;
	}

	emit(name, ...args) {
		this.#text(`42${this.nsp},${JSON.stringify([name, ...args])}`);
	}

	// Emits and gives the first argument of the acknowledgement.
	ask(name, ...args) {
		const id = String(++this.#asked);
		const answer = this.#wait(`3${id}`);
		this.#text(`42${this.nsp},${id}${JSON.stringify([name, ...args])}`);
		return within(answer, `acknowledgement of ${name}`);
	}

	count(name, match = () => true) {
		return this.heard.filter((event) => event.name === name && match(...event.args)).length;
	}

	// As a stock client goes: it says so, and closes.
	leave() {
		this.#text(`41${this.nsp},`);
		this.socket.write(CLOSE);
		this.socket.end();
	}

	// Gone without a word.
	cut() {
		this.socket.destroy();
	}

	reset() {
		this.socket.resetAndDestroy();
	}

	#text(text) {
		this.socket.write(frame(OP.TEXT, text));
	}

	#wait(key) {
		return new Promise((resolve, reject) => {
			if (this.over)
				reject(new Error('the connection has ended'));
			this.#waiting.set(key, { resolve, reject });
		});
	}

	#answer(key, value) {
		this.#waiting.get(key)?.resolve(value);
		this.#waiting.delete(key);
	}

	#take(bytes) {
		if (this.mute)
			return;
		this.#held = this.#held.length > 0 ? Buffer.concat([this.#held, bytes]) : bytes;
		if (!this.#upgraded && !this.#takeHead())
			return;
		let found;
		while ((found = readFrame(this.#held))) {
			this.#held = this.#held.subarray(found.end);
			if (found.opcode === OP.TEXT)
				this.#packet(found.payload.toString('utf8'));
			else if (found.opcode === OP.CLOSE)
				this.socket.end(CLOSE);
		}
	}

	#takeHead() {
		const at = this.#held.indexOf(END_OF_HEAD);
		if (at < 0)
			return false;
		if (!this.#held.toString('latin1', 0, 13).startsWith('HTTP/1.1 101')) {
			this.cut();
			return false;
		}
		this.#upgraded = true;
		this.#held = this.#held.subarray(at + END_OF_HEAD.length);
		return true;
	}

	#packet(text) {
		if (text[0] === '0')
			this.#answer('0');
		else if (text[0] === '2')
			this.#pong();
		else if (text[0] === '4')
			this.#message(text[1], text.slice(text.indexOf(',') + 1));
	}

	#pong() {
		this.pinged();
		this.#text('3');
	}

	#message(type, rest) {
		if (type === '0') {
			this.#answer('40', JSON.parse(rest));
		} else if (type === '2') {
			const [name, ...args] = JSON.parse(rest);
			if (/^\d+-\d+$/.test(args.at(-1)))
				this.offset = args.pop();
			this.hear(name, args);
		} else if (type === '3') {
			const at = rest.indexOf('[');
			this.#answer(`3${rest.slice(0, at)}`, JSON.parse(rest.slice(at))[0]);
		} else {
			// Disconnected, or refused.
			this.#waiting.get('40')?.reject(new Error(`refused: ${rest}`));
			this.cut();
		}
	}
}

// Opens `n` connections that lie with workers as `wanted` says (pid → how many); those that land elsewhere are
// given up. Gives pid → guests.
export async function gather(server, wanted) {
	const found = new Map([...wanted.keys()].map((pid) => [pid, []]));
	const missing = () => [...wanted].reduce((sum, [pid, n]) => sum + n - found.get(pid).length, 0);
	while (missing() > 0) {
		const size = Math.min(BATCH, 4 * missing() + 8);
		const opened = [];
		await pool(Array.from({ length: size }), AT_ONCE, async () => opened.push(await Guest.open(server)));
		// A connection can be open before its worker has taken it from the backlog; but it has answered.
		const homes = server.homes();
		for (const guest of opened) {
			const pid = homes.get(guest.end);
			if (wanted.has(pid) && found.get(pid).length < wanted.get(pid))
				found.get(pid).push(guest);
			else
				guest.reset();
		}
	}
	return found;
}

// Joins all of them, some at once.
export function joinAll(guests, nsp, authOf) {
	return pool(guests, AT_ONCE, (guest, i) => guest.join(nsp, authOf(i)));
}

// The guest has heard so many such events.
export function hears(guest, name, match, { times = 1, ...bound } = {}) {
	return until(() => guest.count(name, match) >= times, `${name}`, { every: 10, ...bound });
}

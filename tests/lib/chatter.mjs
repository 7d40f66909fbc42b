// A stock Socket.IO client that remembers what it heard, so that no test can look too late.
import { io } from 'socket.io-client';
import { until, within, PATIENCE_MS } from './wait.mjs';

// The three ways a client may travel; `upgrade`: it begins by polling and moves to WebSocket.
export const TRAVEL = {
	polling: ['polling'],
	websocket: ['websocket'],
	upgrade: ['polling', 'websocket'],
};

const open = new Set();

// Ends all clients of this process; for `after` and `afterEach`.
export function leaveAll() {
	for (const chatter of open)
		chatter.leave();
}

export class Chatter {
	heard = [];          // { name, args } in the order of arrival
	disconnects = [];    // reasons
	#taken = new Map();  // name → how far its events were taken

	constructor(server, { token, travel = 'websocket', nsp = '', reconnection = false, ...options } = {}) {
		this.travel = travel;
		this.socket = io(server.url + nsp, {
			transports: TRAVEL[travel], forceNew: true, reconnection, reconnectionDelay: 50,
			reconnectionDelayMax: 500, timeout: PATIENCE_MS, auth: token ? { token } : {}, ...options,
		});
		this.socket.onAny((name, ...args) => this.heard.push({ name, args }));
		this.socket.on('disconnect', (reason) => this.disconnects.push(reason));
		open.add(this);
	}

	get engine() {
		return this.socket.io.engine;
	}

	// Connected; in the `upgrade` way, moved to WebSocket too.
	async connected() {
		await within(new Promise((resolve, reject) => {
			if (this.socket.connected)
				resolve();
			this.socket.once('connect', resolve);
			this.socket.once('connect_error', reject);
			// Closed before the namespace answered: the server wants it to come again.
			if (!this.socket.io.reconnection())
				this.socket.io.once('close', (reason) => reject(new Error(`closed: ${reason}`)));
		}), 'connection');
		if (this.travel === 'upgrade')
			await until(() => this.engine.transport.name === 'websocket', 'upgrade to WebSocket');
		return this;
	}

	// Refused: the error of the CONNECT.
	refused() {
		return within(new Promise((resolve, reject) => {
			this.socket.once('connect_error', resolve);
			this.socket.once('connect', () => reject(new Error('it was let in')));
		}), 'refusal');
	}

	// The argument of the next event `name` after the last one of that name that was taken this way;
	// `match` may pick one, those before it are passed over.
	async next(name, match = () => true, ms = PATIENCE_MS) {
		const find = () => this.heard.findIndex((event, at) =>
			at >= (this.#taken.get(name) ?? 0) && event.name === name && match(event.args[0]));
		await until(() => find() >= 0, `event ${name}`, { ms, every: 5 })
			.catch((error) => { throw new Error(`${error.message}; heard: ${this.#names()}`); });
		const at = find();
		this.#taken.set(name, at + 1);
		return this.heard[at].args[0];
	}

	// Takes all events of that name that are there.
	forget(name) {
		this.#taken.set(name, this.heard.length);
	}

	#names() {
		return this.heard.slice(-20).map(({ name, args }) =>
			name === 'error' ? `error ${args[0]?.message}` : name).join(', ') || 'nothing';
	}

	// How often `name` was heard, with arguments that `match`.
	count(name, match = () => true) {
		return this.heard.filter((event) => event.name === name && match(event.args[0])).length;
	}

	all(name) {
		return this.heard.filter((event) => event.name === name).map(({ args }) => args[0]);
	}

	emit(name, ...args) {
		this.socket.emit(name, ...args);
	}

	// Emits with an acknowledgement and gives it.
	ask(name, ...args) {
		return this.socket.timeout(PATIENCE_MS).emitWithAck(name, ...args);
	}

	// Everything the server wrote to this socket before it handled this is here when it returns.
	async fence() {
		this.emit('ping');
		await this.next('pong');
	}

	async disconnected() {
		await until(() => this.disconnects.length > 0, 'disconnection');
		return this.disconnects[0];
	}

	leave() {
		open.delete(this);
		this.socket.disconnect();
	}
}

// A connected client.
export function enter(server, options) {
	return new Chatter(server, options).connected();
}

// The pid of the worker that a client's WebSocket is at.
export function workerOfChatter(server, chatter) {
	return server.workerOf(chatter.engine.transport.ws._socket.localPort);
}

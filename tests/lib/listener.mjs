// A plain WebSocket of the notifications API, by the package that its document uses, which remembers what
// it heard, so that no test can look too late.
import WebSocket from 'ws';
import { until, within } from './wait.mjs';

const open = new Set();

// Ends all listeners of this process; for `after`.
export function hangUpAll() {
	for (const listener of open)
		listener.hangUp();
}

export class Listener {
	heard = [];         // parsed messages in the order of arrival
	pings = 0;
	ended = null;       // { code, reason } once it is closed
	#taken = 0;

	constructor(server, { token, path = '/room/websocket', ...options } = {}) {
		const query = token === undefined ? '' : `?token=${token}`;
		this.socket = new WebSocket(`ws://127.0.0.1:${server.port}${path}${query}`, options);
		this.socket.on('message', (data) => this.heard.push(JSON.parse(data)));
		this.socket.on('ping', () => { this.pings += 1; });
		this.closing = new Promise((resolve) => {
			this.socket.on('close', (code, reason) => {
				open.delete(this);
				this.ended = { code, reason: reason.toString() };
				resolve(this.ended);
			});
		});
		this.opening = new Promise((resolve, reject) => {
			this.socket.on('open', resolve);
			this.socket.on('error', reject);
		});
		this.opening.catch(() => {});
		open.add(this);
	}

	async opened() {
		await within(this.opening, 'open WebSocket');
		return this;
	}

	// The next message that was not taken yet.
	async next() {
		await until(() => this.heard.length > this.#taken, 'notification', { every: 5 });
		this.#taken += 1;
		return this.heard[this.#taken - 1];
	}

	// What is there and was not taken yet.
	rest() {
		const rest = this.heard.slice(this.#taken);
		this.#taken = this.heard.length;
		return rest;
	}

	closed() {
		return within(this.closing, 'close of the WebSocket');
	}

	// Whether it is open, and was not only let in to be told that it may not.
	async answers() {
		await this.opening;
		const pong = new Promise((resolve) => this.socket.once('pong', () => resolve(true)));
		this.socket.ping();
		return within(Promise.race([pong, this.closing.then(() => false)]), 'pong or close');
	}

	get localPort() {
		return this.socket._socket.localPort;
	}

	hangUp() {
		open.delete(this);
		this.socket.terminate();
	}
}

// An open one; from here on it hears all that happens.
export function listen(server, { token }, options = {}) {
	return new Listener(server, { token, ...options }).opened();
}

// HTTP over a bare TCP socket: exact bytes out, one response at a time in.
import net from 'node:net';
import { within, PATIENCE_MS } from './wait.mjs';

const CRLF2 = Buffer.from('\r\n\r\n');

export class Wire {
	#socket;
	#held = Buffer.alloc(0);
	#wake = () => {};
	ended = false;

	constructor(socket) {
		this.#socket = socket;
		socket.on('data', (bytes) => {
			this.#held = Buffer.concat([this.#held, bytes]);
			this.#wake();
		});
		const over = () => {
			this.ended = true;
			this.#wake();
		};
		// A reset is an end like any other; what was answered before it still counts.
		socket.on('error', over);
		socket.on('end', over);
		socket.on('close', over);
	}

	static async connect(port, { host = '127.0.0.1', localAddress } = {}) {
		const socket = net.connect({ port, host, localAddress });
		socket.setNoDelay(true);
		await within(new Promise((resolve, reject) => {
			socket.once('connect', resolve);
			socket.once('error', reject);
		}), `connection to port ${port}`);
		return new Wire(socket);
	}

	get localPort() {
		return this.#socket.localPort;
	}

	// Strings go out as Latin-1, so that '\xff' is one byte; use a Buffer for UTF-8.
	send(bytes) {
		this.#socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
		return this;
	}

	// The client's half of the connection is over; the server may still answer.
	finish() {
		this.#socket.end();
	}

	destroy() {
		this.#socket.destroy();
	}

	reset() {
		// Node cannot reset what the server has ended: it would keep the process alive.
		if (this.#socket.writableEnded)
			this.#socket.destroy();
		else
			this.#socket.resetAndDestroy();
	}

	// Bytes that the kernel has not taken yet, because the server does not.
	get unsent() {
		return this.#socket.writableLength;
	}

	pause() {
		this.#socket.pause();
	}

	resume() {
		this.#socket.resume();
	}

	async #more(what, ms) {
		if (this.ended)
			throw new Error(`connection ended before ${what}; held: ${this.#shown()}`);
		await within(new Promise((resolve) => { this.#wake = resolve; }),
			() => `${what}; held: ${this.#shown()}`, ms);
	}

	#shown() {
		return JSON.stringify(this.#held.subarray(0, 300).toString('latin1'));
	}

	async take(length, what = `${length} bytes`, ms = PATIENCE_MS) {
		while (this.#held.length < length)
			await this.#more(what, ms);
		const bytes = this.#held.subarray(0, length);
		this.#held = this.#held.subarray(length);
		return bytes;
	}

	async takeLine(what) {
		let at;
		while ((at = this.#held.indexOf('\r\n')) < 0)
			await this.#more(what, PATIENCE_MS);
		return (await this.take(at + 2)).subarray(0, at).toString('latin1');
	}

	// Waits for the server to close and gives what came before; fails if it stays open.
	async end(ms = PATIENCE_MS) {
		while (!this.ended)
			await this.#more('end of the connection', ms);
		const bytes = this.#held;
		this.#held = Buffer.alloc(0);
		return bytes;
	}

	// Whether anything is there to read, without waiting.
	get idle() {
		return this.#held.length === 0 && !this.ended;
	}

	// Reads one response. `head`: it answers a HEAD and has no body.
	async response({ head = false, ms = PATIENCE_MS } = {}) {
		let at;
		while ((at = this.#held.indexOf(CRLF2)) < 0)
			await this.#more('response head', ms);
		const lines = (await this.take(at + 4)).subarray(0, at).toString('latin1').split('\r\n');
		const [, version, status, reason] = /^HTTP\/(1\.[01]) (\d{3})(?: (.*))?$/.exec(lines[0]) ?? [];
		if (!status)
			throw new Error(`not a status line: ${JSON.stringify(lines[0])}`);
		const headers = {};
		for (const line of lines.slice(1)) {
			const [, name, value] = /^([^\s:]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
			if (!name)
				throw new Error(`not a header: ${JSON.stringify(line)}`);
			const key = name.toLowerCase();
			headers[key] = key in headers ? `${headers[key]}, ${value}` : value;
		}
		const answer = { version, status: Number(status), reason, headers, bytes: Buffer.alloc(0) };
		if (!head && answer.status >= 200 && answer.status !== 204 && answer.status !== 304)
			answer.bytes = await this.#body(headers, ms);
		answer.body = answer.bytes.toString('utf8');
		return answer;
	}

	async #body(headers, ms) {
		if (/chunked/i.test(headers['transfer-encoding'] ?? ''))
			return this.#chunks();
		if ('content-length' in headers)
			return this.take(Number(headers['content-length']), 'response body', ms);
		return this.end(ms);
	}

	async #chunks() {
		const parts = [];
		for (;;) {
			const size = parseInt(await this.takeLine('chunk size'), 16);
			if (size > 0)
				parts.push(await this.take(size, 'chunk'));
			await this.takeLine('end of chunk');
			if (size === 0)
				return Buffer.concat(parts);
		}
	}
}

// The bytes of a well-formed request.
export function requestBytes({ method = 'GET', path = '/', headers = {}, body } = {}) {
	const content = body === undefined ? null : Buffer.from(body);
	const lines = [`${method} ${path} HTTP/1.1`];
	const all = { Host: 'localhost', ...headers };
	if (content && !('Content-Length' in all))
		all['Content-Length'] = content.length;
	for (const [name, value] of Object.entries(all)) {
		if (value !== undefined)
			lines.push(`${name}: ${value}`);
	}
	const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
	return content ? Buffer.concat([head, content]) : head;
}

// One request on a TCP connection of its own.
export async function request(port, options) {
	const wire = await Wire.connect(port);
	try {
		wire.send(requestBytes(options));
		return await wire.response({ head: options.method === 'HEAD', ms: options.ms });
	} finally {
		wire.destroy();
	}
}

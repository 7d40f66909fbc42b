// A WebSocket client that can do everything wrong: frames are made and read by hand (RFC 6455).
import { createHash, randomBytes } from 'node:crypto';
import { Wire, requestBytes } from './wire.mjs';

export const OP = { CONTINUATION: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 };
const MAGIC = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

export function upgradeHeaders(key = randomBytes(16).toString('base64')) {
	return {
		Connection: 'Upgrade', Upgrade: 'websocket',
		'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': key,
	};
}

export function acceptOf(key) {
	return createHash('sha1').update(key + MAGIC).digest('base64');
}

// One frame as a client sends it. `length` lies about the payload's; `wide` picks a longer form of it; `key` is
// the mask's.
export function frame(opcode, payload = '', { fin = true, rsv = 0, mask = true, length, wide, key } = {}) {
	const content = Buffer.from(payload);
	const n = BigInt(length ?? content.length);
	const form = wide ?? (n < 126n ? 7 : n < 65536n ? 16 : 64);
	const size = Buffer.alloc(form === 7 ? 1 : form === 16 ? 3 : 9);
	size[0] = form === 7 ? Number(n) : form === 16 ? 126 : 127;
	if (form === 16)
		size.writeUInt16BE(Number(n), 1);
	if (form === 64)
		size.writeBigUInt64BE(n, 1);
	const first = Buffer.from([(fin ? 0x80 : 0) | (rsv << 4) | opcode]);
	if (!mask)
		return Buffer.concat([first, size, content]);
	size[0] |= 0x80;
	key ??= randomBytes(4);
	const masked = Buffer.alloc(content.length);
	for (let i = 0; i < content.length; i++)
		masked[i] = content[i] ^ key[i & 3];
	return Buffer.concat([first, size, key, masked]);
}

export function closePayload(code, reason = '') {
	const head = Buffer.alloc(2);
	head.writeUInt16BE(code);
	return Buffer.concat([head, Buffer.from(reason)]);
}

export class WebSocket {
	wire;
	answer;

	constructor(wire, answer) {
		this.wire = wire;
		this.answer = answer;
	}

	// Asks for an upgrade; fails unless it is granted by the book.
	static async open(port, path, { headers = {} } = {}) {
		const key = randomBytes(16).toString('base64');
		const wire = await Wire.connect(port);
		wire.send(requestBytes({ path, headers: { ...upgradeHeaders(key), ...headers } }));
		const answer = await wire.response();
		if (answer.status !== 101)
			throw new Error(`no 101 for ${path} but ${answer.status}: ${answer.body}`);
		if (answer.headers['sec-websocket-accept'] !== acceptOf(key))
			throw new Error('wrong Sec-WebSocket-Accept');
		return new WebSocket(wire, answer);
	}

	frame(...args) {
		this.wire.send(frame(...args));
		return this;
	}

	text(text) {
		return this.frame(OP.TEXT, text);
	}

	binary(bytes) {
		return this.frame(OP.BINARY, bytes);
	}

	close(code, reason) {
		return this.frame(OP.CLOSE, code === undefined ? '' : closePayload(code, reason));
	}

	destroy() {
		this.wire.destroy();
	}

	// The next frame as it is on the wire; null when the server closed the connection without one.
	async nextFrame() {
		let head;
		try {
			head = await this.wire.take(2, 'WebSocket frame');
		} catch (error) {
			if (this.wire.ended)
				return null;
			throw error;
		}
		const [first, second] = head;
		if (second & 0x80)
			throw new Error('the server masked a frame');
		let length = second & 0x7f;
		if (length === 126)
			length = (await this.wire.take(2)).readUInt16BE();
		else if (length === 127)
			length = Number((await this.wire.take(8)).readBigUInt64BE());
		const payload = Buffer.from(await this.wire.take(length, 'frame payload'));
		return { fin: first >> 7 === 1, rsv: (first >> 4) & 7, opcode: first & 15, payload };
	}

	// The next text (a string) or binary (a Buffer) message; a close as { code, reason }.
	async next() {
		const parts = [];
		let opcode;
		for (;;) {
			const f = await this.nextFrame();
			if (!f)
				return { code: 1006, reason: '' };
			if (f.rsv)
				throw new Error('the server set a reserved bit');
			if (f.opcode === OP.CLOSE)
				return closeOf(f.payload);
			if (f.opcode === OP.PING || f.opcode === OP.PONG)
				continue;
			opcode ??= f.opcode;
			parts.push(f.payload);
			if (f.fin) {
				const whole = Buffer.concat(parts);
				return opcode === OP.TEXT ? whole.toString('utf8') : whole;
			}
		}
	}

	// Reads on to the close frame and the end of the connection: { code, reason, before }.
	async closed() {
		const before = [];
		for (;;) {
			const message = await this.next();
			if (typeof message === 'string' || Buffer.isBuffer(message)) {
				before.push(message);
				continue;
			}
			// A server waits for the answer to its close (RFC 6455 §7.1.1), so give one.
			if (!this.wire.ended)
				this.frame(OP.CLOSE, message.code === 1005 ? '' : closePayload(message.code));
			await this.wire.end();
			this.wire.destroy();
			return { ...message, before };
		}
	}
}

function closeOf(payload) {
	if (payload.length === 0)
		return { code: 1005, reason: '' };
	return { code: payload.readUInt16BE(), reason: payload.subarray(2).toString('utf8') };
}

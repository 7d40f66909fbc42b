// Delivers malformed input to a server and judges what comes of it. Each input is answered, or ends its connection
// in a way that says why, or is fit to be taken; and a fence behind it on the same connection is answered, or the
// connection is closed. All else, and silence above all, is an error that names the seed and the input.
import net from 'node:net';
import { encodePayload, pollingPath, websocketPath } from './engine.mjs';
import { malformed, wellFormed } from './malform.mjs';
import { PATIENCE_MS, within } from './wait.mjs';
import { OP, frame, upgradeHeaders } from './websocket.mjs';
import { requestBytes } from './wire.mjs';

const ADDRESSES = 200;
const EMPTY = Buffer.alloc(0);
const END_OF_HEAD = Buffer.from('\r\n\r\n');
const HEAD = Buffer.from('HTTP/1.1 ');

// What a client may be told of its own faults; 501 and 505 are such, by their numbers only they are not.
const isOurFault = (status) => status >= 500 && status !== 501 && status !== 505;
const CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009];

// An input may announce more than it brings. Mostly that is brought a moment later; where there is patience, one of
// so many stays silent, and the server's own time-outs have to end it.
const PATIENT_EVERY = 40;
const NUDGE_MS = 250;
const NUDGE = Buffer.alloc(70_000);

const FENCE_ID = '7777777';
const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

let made = 0;

// A connection that is read as it comes.
class Line {
	held = EMPTY;
	ended = false;
	#wake = () => {};

	// `sent` hears how many bytes were.
	constructor(port, sent = () => {}) {
		this.sent = sent;
		this.socket = net.connect({ port, host: '127.0.0.1',
			localAddress: `127.0.0.${1 + made++ % ADDRESSES}` });
		this.socket.setNoDelay(true);
		this.socket.on('data', (bytes) => {
			this.held = this.held.length > 0 ? Buffer.concat([this.held, bytes]) : bytes;
			this.#wake();
		});
		for (const name of ['error', 'end', 'close']) {
			this.socket.on(name, () => {
				this.ended = true;
				this.#wake();
			});
		}
	}

	send(...pieces) {
		const bytes = Buffer.concat(pieces.map((piece) => Buffer.from(piece, 'latin1')));
		this.sent(bytes.length);
		this.socket.write(bytes);
	}

	// Whether there are so many bytes to read, now or later; false: the connection has ended before.
	async has(length) {
		while (this.held.length < length && !this.ended) {
			await within(new Promise((resolve) => { this.#wake = resolve; }), () =>
				`word of the server; held: ${JSON.stringify(this.held.toString('latin1', 0, 200))}`);
		}
		return this.held.length >= length;
	}

	take(length) {
		const bytes = this.held.subarray(0, length);
		this.held = this.held.subarray(length);
		return bytes;
	}

	// The next final answer; null at the end of the connection. One to HEAD has no body: another answer, or the end,
	// follows at once.
	async answer() {
		let at;
		while ((at = this.held.indexOf(END_OF_HEAD)) < 0) {
			if (!await this.has(this.held.length + 1)) {
				if (this.held.length === 0)
					return null;
				throw new Error(`half an answer: ${JSON.stringify(this.held.toString('latin1', 0, 200))}`);
			}
		}
		const [first, ...rest] = this.take(at + 4).toString('latin1', 0, at).split('\r\n');
		const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(first)?.[1]);
		if (!status)
			throw new Error(`not a status line: ${JSON.stringify(first)}`);
		if (status === 100)
			return this.answer();
		const headers = Object.fromEntries(rest.map((text) => {
			const colon = text.indexOf(': ');
			return [text.slice(0, colon).toLowerCase(), text.slice(colon + 2)];
		}));
		const answer = { status, headers, body: '' };
		const length = status === 101 || status === 204 ||
			status === 304 ? 0 : Number(headers['content-length']);
		if (length > 0 && await this.has(Math.min(length, HEAD.length)) && !this.held.subarray(0,
			HEAD.length).equals(HEAD)) {
			if (!await this.has(length))
				throw new Error(`an answer of ${length} bytes that is cut`);
			answer.body = this.take(length).toString('utf8');
		}
		return answer;
	}

	// The next frame: { opcode, payload }; null at the end of the connection.
	async frame() {
		if (!await this.has(2))
			return null;
		const short = this.held[1] & 0x7f;
		const head = short === 127 ? 10 : short === 126 ? 4 : 2;
		if (!await this.has(head))
			throw new Error('half a frame');
		const length = short === 127 ? Number(this.held.readBigUInt64BE(2)) : short === 126
			? this.held.readUInt16BE(2) : short;
		if (!await this.has(head + length))
			throw new Error('half a frame');
		const bytes = this.take(head + length);
		return { opcode: bytes[0] & 15, payload: bytes.subarray(head) };
	}

	close() {
		// Half-closed, it can't be reset any more: its descriptor would stay open.
		if (this.ended)
			this.socket.destroy();
		else
			this.socket.resetAndDestroy();
	}
}

function check(fine, what) {
	if (!fine)
		throw new Error(what);
}

function checkRefusal({ status, headers, body }) {
	check(!isOurFault(status), `the server says that it is its fault: ${status} ${body}`);
	if (status >= 400 && headers['content-type'] === 'application/json' && body) {
		const { message, errors, code } = JSON.parse(body);
		check(typeof message === 'string' && (errors !== undefined || code !== undefined),
			`a refusal of another form: ${body}`);
	}
}

const closeCode = ({ payload }) => payload.length < 2 ? 1005 : payload.readUInt16BE();

const text = (bytes) => frame(OP.TEXT, bytes);

// A message of malform.mjs: a text, the bytes of a text, or a blob.
function messageFrame(message) {
	return Buffer.isBuffer(message) ? frame(OP.BINARY, message) : text(message.text ?? message);
}

function httpBytes(input, token) {
	if (input.bytes)
		return input.bytes;
	return requestBytes({ method: 'POST', path: '/api/upload', body: input.body,
		headers: { Authorization: `Bearer ${token}`,
		'Content-Type': input.type, 'Content-Length': String(input.length ?? input.body.length) } });
}

function restBytes(input, token) {
	if (input.kind === 'tokens')
		return requestBytes({ path: '/login/me', headers: { Authorization: `Bearer ${input.token}` } });
	return requestBytes({ method: 'POST', path: input.path, body: input.body,
		headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' } });
}

export class Onslaught {
	nudges = true;            // false: all inputs are left to the time-outs, and no byte is sent for them
	patient = false;          // some of them are
	outcomes = new Map();     // what came of the inputs → how often
	bytes = 0;                // sent, handshakes and fences included

	// `place`: as malformed() wants it.
	constructor(server, place, seed) {
		Object.assign(this, { port: server.port, place, seed });
	}

	// Inputs `from` to `from + count` of a kind, `lanes` at a time; those that leave a connection usable share it,
	// `abreast` in one write.
	async run(kind, from, count, { lanes = 64, abreast = 8 } = {}) {
		const end = from + count;
		let next = from;
		let failure;
		const lane = async () => {
			while (next < end && !failure) {
				const first = next;
				next = Math.min(end, next + abreast);
				const inputs = Array.from({ length: next - first }, (_, i) => malformed(this.seed, kind,
					first + i, this.place));
				await this.#together(inputs.filter(({ over }) => over === 'rest'));
				for (const input of inputs.filter(({ over }) => over !== 'rest'))
					await this.deliver(input);
			}
		};
		await Promise.all(Array.from({ length: lanes }, () => lane().catch((error) => { failure ??= error; })));
		if (failure)
			throw failure;
	}

	// One malformed input, on a connection of its own.
	one(kind, index) {
		return this.deliver(malformed(this.seed, kind, index, this.place));
	}

	// `padding`: so many bytes more, as far as it is HTTP.
	good(kind, index, padding = 0) {
		return this.deliver(wellFormed(this.seed, kind, index, this.place, padding));
	}

	async deliver(input) {
		if (input.over === 'rest') {
			await this.#together([input]);
			return;
		}
		const ways = { http: this.#http, multipart: this.#http, frames: this.#frames, websocket: this.#packets,
			polling: this.#payload, plain: this.#plain, socket: this.#socket };
		const line = this.#line();
		let nudge;
		if (this.nudges && !input.over && !(this.patient && input.index % PATIENT_EVERY === 0))
			nudge = setTimeout(() => line.send(NUDGE), NUDGE_MS);
		try {
			this.#note(await ways[input.over ?? input.kind].call(this, line, input));
		} catch (error) {
			throw this.#named(input, error);
		} finally {
			clearTimeout(nudge);
			line.close();
		}
	}

	#line() {
		return new Line(this.port, (n) => { this.bytes += n; });
	}

	#note(outcome) {
		this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1);
	}

	#named(input, error) {
		const asText = (_, value) => value?.type === 'Buffer' ? Buffer.from(value.data).toString('latin1') : value;
		const shown = JSON.stringify(input, asText);
		const which = `SEED=${this.seed} ONLY=${input.kind}:${input.index}`;
		return new Error(`${which}: ${error.message}\n${shown.slice(0, 3000)}`, { cause: error });
	}

	// --- HTTP, and forms ---

	// Behind it a preflight that asks for a header of that name: nobody else gets such an answer.
	async #http(line, input) {
		const fence = `fence-${input.index}`;
		const { uploaders } = this.place;
		line.send(httpBytes(input, uploaders[input.index % uploaders.length]), `OPTIONS /fence HTTP/1.1\r\nHost: localhost\r\n` +
			`Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: ${fence}\r\n\r\n`);
		const statuses = [];
		const opened = [];
		for (;;) {
			const answer = await line.answer();
			if (answer === null)
				break;
			if (answer.headers['access-control-allow-headers']?.includes(fence)) {
				statuses.push('on');
				break;
			}
			checkRefusal(answer);
			statuses.push(answer.status);
			if (/^0\{"sid":/.test(answer.body))
				opened.push(JSON.parse(answer.body.slice(1)).sid);
			if (answer.status === 101)
				statuses.push(await this.#closing(line));
			if (answer.status === 101)
				break;
		}
		check(statuses.length > 0, 'closed without an answer');
		await this.#leave(opened);
		check(!input.expect || input.expect.includes(statuses[0]), `${statuses} instead of ${input.expect}`);
		return statuses.slice(0, 2).join(' ');
	}

	// Closes sessions that poll: nobody else would, for long.
	async #leave(sids) {
		for (const sid of sids) {
			const line = new Line(this.port);
			await this.#poll(line, pollingPath({ sid }), '1').finally(() => line.close());
		}
	}

	// Reads on to the close frame; its code.
	async #closing(line, seen = () => undefined) {
		for (;;) {
			const got = await line.frame();
			check(got !== null, 'closed without a close frame');
			if (got.opcode === OP.CLOSE)
				return closeCode(got);
			const found = seen(got);
			if (found !== undefined)
				return found;
		}
	}

	// --- WebSocket frames ---

	async #frames(line, input) {
		const path = input.path === 'plain' ? `/room/websocket?token=${this.place.token}` : websocketPath();
		const fence = `fence-${input.index}`;
		line.send(requestBytes({ path, headers: upgradeHeaders(KEY) }), input.bytes, frame(OP.PING, fence));
		check((await line.answer())?.status === 101, 'no WebSocket');
		const end = await this.#closing(line, ({ opcode, payload }) =>
			opcode === OP.PONG && payload.toString('latin1') === fence ? 'on' : undefined);
		if (input.codes)
			check(input.codes.length > 0 ? input.codes.includes(end) : end === 'on',
				`${end} instead of ${input.codes}`);
		// A close of the client's own is echoed.
		check(end === 'on' || CODES.includes(end) || end === 1005 || (end >= 1010 && end <= 1014) ||
			(end >= 3000 && end < 5000), `code ${end}`);
		return end >= 3000 ? 'echoed' : String(end);
	}

	// --- Packets ---

	// A session in the namespace "/"; then the messages, then an event that is acknowledged.
	async #packets(line, input) {
		const { token } = this.place;
		line.send(requestBytes({ path: websocketPath(), headers: upgradeHeaders(KEY) }),
			text(`40${JSON.stringify({ token })}`));
		check((await line.answer())?.status === 101, 'no WebSocket');
		const joined = await this.#closing(line, ({ payload }) => payload.toString('latin1', 0, 3) === '40{' ||
			undefined);
		check(joined === true, `not joined: ${joined}`);
		line.send(...input.messages.map(messageFrame), text(`42${FENCE_ID}["ping"]`));
		const end = await this.#closing(line, ({ opcode, payload }) =>
			opcode === OP.TEXT && payload.toString('latin1').startsWith(`43${FENCE_ID}[`) ? 'on' : undefined);
		check(end === 'on' || CODES.includes(end), `code ${end}`);
		if (input.expect)
			check(input.expect === 'taken' ? end === 'on' : end === 1008 || end === 1007,
				`${end} instead of ${input.expect}`);
		return String(end);
	}

	async #poll(line, path, body) {
		line.send(requestBytes({ method: body === undefined ? 'GET' : 'POST', path, body,
			headers: body === undefined ? {} : { 'Content-Type': 'text/plain' } }));
		const answer = await line.answer();
		check(answer !== null, 'closed without an answer');
		checkRefusal(answer);
		return answer;
	}

	// Polls until that comes; false: the session has ended.
	async #polled(line, path, wanted) {
		for (;;) {
			const { status, body } = await this.#poll(line, path);
			if (status !== 200 || /(^|\x1e)1$/.test(body))
				return false;
			if (body.split('\x1e').some((packet) => packet.startsWith(wanted)))
				return true;
		}
	}

	// The same over polling, in one payload.
	async #payload(line, input) {
		const { token } = this.place;
		const opened = await this.#poll(line, pollingPath());
		const path = pollingPath({ sid: JSON.parse(opened.body.slice(1)).sid });
		await this.#poll(line, path, `40${JSON.stringify({ token })}`);
		check(await this.#polled(line, path, '40{'), 'not joined');
		const packets = input.messages.map((message) => message.text ?? Buffer.from(encodePayload([message])));
		const { status } = await this.#poll(line, path, Buffer.concat(packets.flatMap((packet,
			i) => i > 0 ? [Buffer.from('\x1e'), packet] : [packet])));
		let on = false;
		if ((await this.#poll(line, path, `42${FENCE_ID}["ping"]`)).status === 200)
			on = await this.#polled(line, path, `43${FENCE_ID}[`);
		if (on)
			await this.#poll(line, path, '1');
		if (input.expect)
			check(input.expect === 'taken' ? on : !on,
				`${status}, ${on ? 'lives on' : 'ended'}, instead of ${input.expect}`);
		return `polling ${status}${on ? ' on' : ''}`;
	}

	// --- REST: the requests themselves are well-formed, so that many go behind one another ---

	async #together(inputs) {
		if (inputs.length === 0)
			return;
		const line = this.#line();
		try {
			line.send(...inputs.map((input) => restBytes(input, this.place.token)));
			for (const input of inputs)
				await this.#rest(line, input).catch((error) => { throw this.#named(input, error); });
		} finally {
			line.close();
		}
	}

	async #rest(line, input) {
		const answer = await line.answer();
		check(answer !== null, 'closed without an answer');
		checkRefusal(answer);
		const { status } = answer;
		if (input.expect === 'refused')
			check(status === 401, `${status} ${answer.body}`);
		else if (input.expect === 'taken')
			check(status === 200, `${status} ${answer.body}`);
		else if (input.expect)
			check(input.expect.includes(status), `${status} instead of ${input.expect}: ${answer.body}`);
		this.#note(String(status));
	}

	// --- Tokens elsewhere than in REST ---

	async #plain(line, input) {
		const escaped = Buffer.from(input.token, 'latin1').toString('hex').replace(/../g, '%$&');
		const path = `/room/websocket?token=${escaped}`;
		const fence = frame(OP.PING, 'fence');
		line.send(requestBytes({ path, headers: upgradeHeaders(KEY) }), fence);
		const answer = await line.answer();
		if (answer?.status !== 101) {
			check(answer?.status === 414, `${answer?.status} instead of a WebSocket`);
			return '414';
		}
		const end = await this.#closing(line, ({ opcode }) => opcode === OP.PONG ? 'on' : undefined);
		check(end === 'on' || end === 1008, `code ${end}`);
		check(!input.expect || (input.expect === 'taken') === (end === 'on'),
			`${end} instead of ${input.expect}`);
		return `plain ${end}`;
	}

	// CONNECT with it is answered by a CONNECT or a CONNECT_ERROR.
	async #socket(line, input) {
		line.send(requestBytes({ path: websocketPath(), headers: upgradeHeaders(KEY) }),
			text(`40${JSON.stringify({ token: input.token })}`));
		check((await line.answer())?.status === 101, 'no WebSocket');
		const end = await this.#closing(line,
			({ payload }) => /^4[04]\{/.exec(payload.toString('latin1'))?.[0].slice(1, 2));
		check(end === '0' || end === '4', `code ${end}`);
		check(!input.expect || (input.expect === 'taken') === (end === '0'),
			`${end} instead of ${input.expect}`);
		return `socket ${end}`;
	}
}

// The connection: one, with two namespaces. `channels` carries what is said, `messenger` who is online and
// what is unread in direct rooms. The client comes back by itself; what the server then replays is counted.
import { io } from '/socket.io/socket.io.esm.min.js';
import { changed } from './model.js';

const NO_ANSWER_MS = 8000;
const REPLAY_MS = 10000;

export const link = {
	channels: null, messenger: null,
	state: 'connecting',     // or connected, waiting
	worker: null, transport: null,
	since: null,             // when it was lost
	returns: 0, recovered: 0, replayed: 0, repeated: 0,
	last: null,              // of the last return: { recovered, replayed, tookMs }
};

// A session's id, in base64: 12 random bytes, 3 of the host, 1 of the worker, and a MAC over them.
function workerOf(sid) {
	try {
		return atob(sid.replaceAll('-', '+').replaceAll('_', '/')).charCodeAt(15);
	} catch {
		return null;
	}
}

function readEngine() {
	const { engine } = link.channels.io;
	link.worker = engine ? workerOf(engine.id) : null;
	link.transport = engine?.transport.name ?? null;
	changed('status');
}

// What comes with every connection, and so is no replay.
const GREETINGS = new Set(['authenticated', 'pong']);

// When that happened which an event tells; NaN where it does not say.
function timeOf(body) {
	return Date.parse(body?.message?.createdAt ?? body?.updatedAt ?? body?.createdAt);
}

// What had happened before the server answers a ping was replayed, whenever it arrives: the room's log may
// have to be read first.
async function countReplay() {
	const back = { recovered: link.channels.recovered, replayed: 0, tookMs: performance.now() - link.since };
	let now = Infinity;      // by the server's clock
	const count = (name, body) => {
		const at = timeOf(body);
		if (GREETINGS.has(name) || (Number.isNaN(at) ? now < Infinity : at >= now))
			return;
		back.replayed++;
		link.replayed++;
		changed('status');
	};
	link.last = back;
	changed('status');
	if (!back.recovered)
		return;
	link.channels.onAny(count);
	setTimeout(() => link.channels.offAny(count), REPLAY_MS);
	const answer = await link.channels.timeout(NO_ANSWER_MS).emitWithAck('ping').catch(() => null);
	now = answer?.timestamp ?? Date.now();
}

function connected() {
	const comesBack = link.since !== null;
	link.state = 'connected';
	readEngine();
	link.channels.io.engine.once('upgrade', readEngine);
	if (comesBack) {
		link.returns++;
		link.recovered += link.channels.recovered;
		countReplay();
	}
	link.since = null;
}

function lost() {
	link.state = 'waiting';
	link.since ??= performance.now();
	changed('status');
}

export function connect(token) {
	const options = {
		auth: { token }, transports: ['websocket', 'polling'], tryAllTransports: true,
		reconnectionDelay: 200, reconnectionDelayMax: 2000,
	};
	link.channels = io('/channels', options);
	link.messenger = io('/messenger', options);
	link.channels.on('connect', connected);
	link.channels.on('disconnect', lost);
	link.channels.on('connect_error', lost);
	return link;
}

export function disconnect() {
	link.channels?.disconnect();
	link.messenger?.disconnect();
}

// As a cable that is pulled: the client notices, and comes back.
export function cut() {
	link.channels.io.engine.close();
}

// Asks, and gives the acknowledgement; fails when none came in time or the connection was lost.
export function call(name, args) {
	return link.channels.timeout(NO_ANSWER_MS).emitWithAck(name, args);
}

export function callMessenger(name, args) {
	return link.messenger.timeout(NO_ANSWER_MS).emitWithAck(name, args);
}

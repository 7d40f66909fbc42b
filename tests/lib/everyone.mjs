// People with a socket of each API, each socket at the worker where it is wanted, and what all of them hear
// between two fences.
import { Chatter, leaveAll } from './chatter.mjs';
import { Listener, hangUpAll } from './listener.mjs';
import { conversation, person } from './people.mjs';
import { until, within } from './wait.mjs';

// A person's sockets: one of each API, and a second one of channels, which joins no room.
export const SEATS = ['notifications', 'gateway', 'messenger', 'channels', 'bystander'];

const PLACES = {
	gateway: { nsp: '/gateway' },
	messenger: { path: '/ws/', nsp: '/chat' },
	channels: { nsp: '/channels' },
	bystander: { nsp: '/channels' },
};

const AT_ONCE = 4;       // sockets opened at once, to find one at the wanted worker

// A socket of that API, which may not be open yet.
export function knock(server, token, seat, options) {
	return seat === 'notifications' ? new Listener(server, { token, ...options }) :
		new Chatter(server, { token, ...PLACES[seat], ...options });
}

// One that is let in and greeted.
export async function open(server, token, seat, options) {
	const one = knock(server, token, seat, options);
	await (one.opened?.() ?? one.connected());
	if (seat === 'gateway')
		await one.next('updateChatHistory');
	return one;
}

const portOf = (one) => one.localPort ?? one.engine.transport.ws._socket.localPort;

const hangUp = (one) => (one instanceof Listener ? one.hangUp() : one.leave());

// One socket of that API, at the worker with that pid.
export function openAt(server, token, seat, pid, options = {}) {
	return until(async () => {
		const some = await Promise.all(Array.from({ length: AT_ONCE }, () => open(server, token, seat, options)));
		const homes = server.homes();
		const found = some.find((one) => homes.get(`127.0.0.1:${portOf(one)}`) === pid);
		for (const one of some) {
			if (one !== found)
				hangUp(one);
		}
		return found;
	}, `socket of ${seat} at worker ${pid}`, { every: 0 });
}

// What a socket hears, as [name, body].
class Ear {
	#from = 0;           // what comes before was taken

	constructor(seat, socket) {
		this.seat = seat;
		this.socket = socket;
	}

	get #all() {
		return this.socket.heard;
	}

	#said(event) {
		if (this.seat !== 'notifications')
			return [event.name, event.args[0]];
		const { type, ...body } = event;
		return typeof event === 'string' ? [event] : [type, body];
	}

	get isOpen() {
		return this.seat === 'notifications' ? this.socket.ended === null : this.socket.socket.connected;
	}

	has(text) {
		return this.#all.slice(this.#from).some((event) => JSON.stringify(event).includes(text));
	}

	// All that was not taken yet, without what is somebody's business whose id is given.
	since(except) {
		return this.#all.slice(this.#from).map((event) => this.#said(event))
			.filter((event) => !JSON.stringify(event).includes(except));
	}

	take() {
		this.#from = this.#all.length;
	}

	get everything() {
		return this.#all.map((event) => this.#said(event));
	}
}

// Those who are there, and a herald whom nobody counts: a message of the herald's to each of them follows all
// that happened before, on every socket.
export class Everyone {
	people = [];         // with `ears`: seat → Ear
	#fences = 0;
	#turn = 0;

	static async gather(server) {
		const all = new Everyone();
		all.server = server;
		all.pids = server.workers().map(({ pid }) => pid);
		all.herald = await person(server, 'Herald');
		all.voice = await open(server, all.herald.token, 'messenger');
		return all;
	}

	// Somebody new with a socket on each of those seats: sockets of one person are at different workers, and so
	// are those of one API.
	async come(stem, seats = SEATS) {
		const user = await person(this.server, stem);
		user.ears = {};
		const first = this.#turn++;
		await Promise.all(seats.map(async (seat) => {
			const pid = this.pids[(first + SEATS.indexOf(seat)) % this.pids.length];
			user.ears[seat] = new Ear(seat, await openAt(this.server, user.token, seat, pid));
		}));
		const id = await conversation(this.server, this.herald, user);
		for (const seat of ['channels', 'bystander'].filter((each) => each in user.ears))
			await user.ears[seat].socket.ask('join_conversation', { conversationId: id });
		// Presence is told a little later.
		const told = seats.length > 0 ? [this.voice, ...this.#ears('messenger').map(({ socket }) => socket)] : [];
		for (const one of told)
			await one.next('user-join', (said) => said.user === user.username);
		this.people.push(user);
		return user;
	}

	// Is listened to no more, but stays.
	forget(user) {
		this.people = this.people.filter((one) => one !== user);
	}

	#ears(seat) {
		return this.people.flatMap(({ ears }) => Object.values(ears))
			.filter((ear) => ear.isOpen && (!seat || ear.seat === seat));
	}

	// What one has heard since the last fence.
	heard(user, seat) {
		return user.ears[seat]?.since(this.herald.id) ?? [];
	}

	// Whatever was told before this, each of them has heard when it returns.
	async fence() {
		const message = `fence ${this.#fences++} of ${this.herald.id}`;
		const listening = this.#ears();
		await Promise.all(this.people.filter(({ ears }) => Object.values(ears).some(({ isOpen }) => isOpen))
			.map(({ username }) => this.voice.ask('send-message', { user: username, message })));
		await within(Promise.all(listening.map((ear) =>
			until(() => ear.has(message) || !ear.isOpen, `${message} at ${ear.seat}`, { every: 5 }))), 'fence');
	}

	// From here on counts what is heard.
	async listen() {
		await this.fence();
		for (const { ears } of this.people) {
			for (const ear of Object.values(ears))
				ear.take();
		}
	}

	// The worker of each of somebody's sockets, in the order of SEATS.
	workersOf(user) {
		const homes = this.server.homes();
		return SEATS.map((seat) => user.ears[seat].socket).map((socket) => homes.get(`127.0.0.1:${portOf(socket)}`));
	}
}

export function allLeave() {
	leaveAll();
	hangUpAll();
}

// Random work on a server, in fast motion: clients come, go, are cut off and come back, log in to the lobby
// and out of it; workers are killed, stopped and replaced, connections to Redis are cut. What must be true
// meanwhile is watched, what must be true at the end is compared with the sockets that are open then.
import { Dice } from './chance.mjs';
import { Guest } from './crowd.mjs';
import { redis } from './redis.mjs';
import { token } from './token.mjs';
import { sleep, until } from './wait.mjs';

const USERS = 100;
const ROOMS = 4;
const NAMES = 10;
const MOST = 80;             // sockets at once
const STEP_MS = 8;
const SETTLED_MS = 40_000;

const sorted = (list) => [...list].sort();

export class Soak {
	guests = new Set();
	dropped = [];        // what those who were cut off need to come back
	under_way = new Set();
	faults = [];
	announced = 0;       // comings and goings
	done = new Map();    // what was done → how often

	constructor(server, seed) {
		this.server = server;
		this.dice = new Dice(seed);
		this.killed_ms = 0;
		// What is done, by how often in a thousand.
		this.work = [
			[220, this.enter], [90, this.enterLobby], [60, this.comeBack], [90, this.leave], [120, this.cut],
			[20, this.freeze], [140, this.login], [70, this.logout], [70, this.say], [90, this.wait],
			[8, this.killWorker], [8, this.stopWorker], [8, this.cutRedis], [1, this.roll],
		];
	}

	// --- Chance ---

	any(match) {
		return this.dice.pick([...this.guests].filter((guest) => !guest.over && guest.joined && match(guest)));
	}

	pick() {
		let at = this.dice.below(this.work.reduce((sum, [weight]) => sum + weight, 0));
		return this.work.find(([weight]) => (at -= weight) < 0)[1];
	}

	// --- The work ---

	async run(ms) {
		await this.listen();
		const end = Date.now() + ms;
		while (Date.now() < end) {
			const step = this.pick();
			this.done.set(step.name, (this.done.get(step.name) ?? 0) + 1);
			// A client that is cut off in the middle of something is what this is about.
			const work = step.call(this).catch(() => {}).finally(() => this.under_way.delete(work));
			this.under_way.add(work);
			await sleep(this.dice.below(2 * STEP_MS));
		}
		await Promise.all(this.under_way);
		// Else there might be nobody to compare with.
		while (!this.any(({ mute }) => !mute)) {
			await this.enter().catch(() => {});
			await sleep(STEP_MS);
		}
	}

	async come(api, user, auth) {
		if (this.guests.size >= MOST)
			return;
		const guest = await Guest.open(this.server);
		Object.assign(guest, { api, user, login: null, users: null, knows: new Map(), waits: new Map() });
		guest.hear = (name, args) => this.hear(guest, name, args);
		this.guests.add(guest);
		guest.ended.then(() => this.guests.delete(guest));
		await guest.join(`/${api}`, auth);
	}

	async enter() {
		const user = `user${this.dice.below(USERS)}`;
		await this.come(this.dice.pick(['messenger', 'channels']), user, { token: token({ sub: user, username: user }) });
	}

	async enterLobby() {
		await this.come('lobby');
	}

	async comeBack() {
		if (this.dropped.length === 0)
			return;
		const [{ api, user, auth }] = this.dropped.splice(this.dice.below(this.dropped.length), 1);
		await this.come(api, user, auth);
	}

	async leave() {
		this.any(() => true)?.leave();
	}

	async cut() {
		const guest = this.any(() => true);
		if (!guest)
			return;
		this.drop(guest);
		if (this.dice.chance(1, 2))
			guest.cut();
		else
			guest.reset();
	}

	// The server has to find out by itself that nobody is there.
	async freeze() {
		const guest = this.any(({ mute }) => !mute);
		if (!guest)
			return;
		this.drop(guest);
		guest.mute = true;
	}

	drop({ api, user, pid, offset }) {
		if (user && pid)
			this.dropped.push({ api, user, auth: { token: token({ sub: user, username: user }), pid, offset } });
	}

	async login() {
		const guest = this.any(({ api, login, asks }) => api === 'lobby' && !login && !asks);
		if (!guest)
			return;
		guest.asks = true;
		const { user } = await guest.ask('login', { name: `name${this.dice.below(NAMES)}`, room: `room${this.dice.below(ROOMS)}` });
		guest.login = user ?? null;
		guest.asks = false;
	}

	async logout() {
		const guest = this.any(({ login, asks }) => login && !asks);
		if (!guest)
			return;
		guest.asks = true;
		const refused = await guest.ask('logout');
		if (!refused)
			guest.login = guest.users = null;
		guest.asks = false;
	}

	async say() {
		this.any(({ login }) => login)?.emit('roomMessage', 'something');
	}

	async wait() {
		const guest = this.any(({ api, mute }) => api === 'messenger' && !mute);
		const user = `user${this.dice.below(USERS)}`;
		if (!guest || guest.waits.has(user))
			return;
		// Known only once it is acknowledged; what is told before is kept.
		guest.waits.set(user, { sure: false, last: null });
		const refused = await guest.ask('wait-for-user', { user });
		if (refused?.error)
			guest.waits.delete(user);
		else
			guest.waits.get(user).sure = true;
	}

	async killWorker() {
		// The master waits longer and longer with those that die young; that is no news here.
		if (Date.now() - this.killed_ms < 1500)
			return;
		this.killed_ms = Date.now();
		process.kill(this.dice.pick(this.server.workers()).pid, 'SIGKILL');
	}

	async stopWorker() {
		const { pid } = this.dice.pick(this.server.workers());
		process.kill(pid, 'SIGSTOP');
		await sleep(this.dice.below(1500));
		process.kill(pid, 'SIGCONT');
	}

	async cutRedis() {
		const own = [this.reader, this.ear].map(({ id }) => id);
		for (const [, id] of (await this.reader.client('LIST')).matchAll(/^id=(\d+)/gm)) {
			if (!own.includes(Number(id)) && this.dice.chance(2, 5))
				await this.reader.client('KILL', 'ID', id);
		}
	}

	// The workers are replaced one after another.
	async roll() {
		this.server.child.kill('SIGHUP');
	}

	// --- What must be true meanwhile ---

	fault(text) {
		this.faults.push(text);
	}

	async listen() {
		this.reader = redis(this.server);
		this.ear = redis(this.server);
		for (const r of [this.reader, this.ear])
			r.id = Number(await r.client('ID'));
		this.state = { came: new Map(), online: new Map() };
		this.ear.on('pmessage', (_, feed, text) => this.told(JSON.parse(text.slice(text.indexOf('{')))));
		await this.ear.psubscribe('presence*');
	}

	// Coming and going take turns.
	turn(known, user, here, where) {
		if (known.get(user) === here)
			this.fault(`${where}: ${user} ${here ? 'comes' : 'goes'} twice in a row`);
		known.set(user, here);
	}

	told({ type, user }) {
		this.announced += 1;
		if (type === 'came' || type === 'went')
			this.turn(this.state.came, user, type === 'came', 'Redis');
		else
			this.turn(this.state.online, user, type === 'online', 'Redis, presence:ID');
	}

	hear(guest, name, [about]) {
		if (name === 'users')
			guest.users = about.map(({ id, name: called }) => `${called} ${id}`);
		if (name === 'user-join' || name === 'user-leave')
			this.turn(guest.knows, about.user, name === 'user-join', 'a client');
		if (name === 'user-online' || name === 'user-offline')
			this.hearAwaited(guest, about.user, name === 'user-online');
	}

	hearAwaited(guest, user, online) {
		const waits = guest.waits.get(user);
		if (!waits)
			return;      // of an earlier life
		if (waits.last === online)
			this.fault(`a client that waits: ${user} ${online ? 'online' : 'offline'} twice in a row`);
		waits.last = online;
	}

	// --- What must be true at the end ---

	// pid → name in Redis, as the log has them.
	names() {
		const host = / host=([0-9a-f]+)/.exec(this.server.output)[1];
		const names = new Map();
		const starts = this.server.output.matchAll(/worker (\d+) pid=(\d+) generation=(\d+) started/g);
		for (const [, index, pid, generation] of starts)
			names.set(Number(pid), `${host}.${index}.${generation}`);
		return names;
	}

	// What Redis should hold: key → content.
	expected() {
		const names = this.names();
		const homes = this.server.homes();
		const all = new Map();
		const add = (key, value) => all.set(key, [...new Set([...(all.get(key) ?? []), value])].sort());
		for (const { pid } of this.server.workers())
			add('workers', names.get(pid));
		for (const guest of this.guests) {
			if (!guest.joined)
				continue;
			const worker = names.get(homes.get(guest.end));
			if (guest.user) {
				add('online', guest.user);
				add(`user:${guest.user}:workers`, worker);
				add(`worker:${worker}:users`, guest.user);
				add(`worker:${worker}:sessions`, guest.pid);
			}
			if (guest.login) {
				const { name, room } = guest.login;
				add(`lobby:${room}`, `${name} ${guest.sid} ${worker}`);
				add(`worker:${worker}:lobby`, `${room} ${name} ${guest.sid}`);
			}
		}
		return Object.fromEntries(sorted(all));
	}

	async content(key) {
		const r = this.reader;
		if (key.startsWith('lobby:')) {
			const users = Object.entries(await r.hgetall(key));
			return users.map(([name, value]) => `${name} ${value.split(' ').slice(1).join(' ')}`);
		}
		return await r.type(key) === 'zset' ? r.zrange(key, 0, -1) : r.smembers(key);
	}

	async actual() {
		const keys = await this.reader.keys('*');
		const ours = keys.filter((key) =>
			/^(online|leaving|unleased|workers|user:.*:workers|worker:.*|lobby:.*)$/.test(key));
		const found = {};
		for (const key of ours.sort())
			found[key] = sorted(await this.content(key));
		return found;
	}

	// The differences, as lines.
	async difference() {
		const expected = this.expected();
		const actual = await this.actual();
		const keys = sorted(new Set([...Object.keys(expected), ...Object.keys(actual)]));
		return keys.filter((key) => String(expected[key]) !== String(actual[key]))
			.map((key) => `${key}: ${actual[key] ?? 'nothing'} instead of ${expected[key] ?? 'nothing'}`)
			.concat(this.misheard(actual));
	}

	// What clients were told last must be so.
	misheard(actual) {
		const lines = [];
		const online = new Set(actual.online);
		for (const [what, known] of Object.entries(this.state)) {
			for (const [user, here] of known) {
				if (here !== online.has(user))
					lines.push(`${what}: ${user} was told to be ${here ? 'here' : 'gone'}`);
			}
		}
		for (const guest of this.guests) {
			for (const [user, { last, sure }] of guest.waits) {
				if (sure && (last ?? false) !== online.has(user))
					lines.push(`a client that waits for ${user} heard last: ${last}`);
			}
			if (guest.login && String(sorted(guest.users)) !== String(this.inRoom(actual, guest.login.room)))
				lines.push(`a client in ${guest.login.room} saw last: ${guest.users}`);
		}
		return lines;
	}

	inRoom(actual, room) {
		return sorted((actual[`lobby:${room}`] ?? []).map((user) => user.split(' ').slice(0, 2).join(' ')));
	}

	// Waits until all has come to rest, and gives what is wrong then.
	async settle() {
		let wrong;
		await until(async () => {
			// Workers that were told to go may have taken the last ones with them.
			if (!this.any(() => true))
				await this.enter();
			const frozen = [...this.guests].some(({ mute }) => mute);
			wrong = this.server.workers().length === 4 ? await this.difference() : ['a worker is missing'];
			return !frozen && wrong.length === 0;
		}, 'rest', { ms: SETTLED_MS, every: 200 }).catch((error) => wrong.push(error.message));
		return [...this.faults, ...wrong];
	}

	end() {
		this.reader?.disconnect();
		this.ear?.disconnect();
	}
}

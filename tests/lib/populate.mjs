// Fills a server's Redis with users, rooms and messages, by its own functions, many calls at a time.
import assert from 'node:assert/strict';

const AT_ONCE = 2000;      // calls in one pipeline
const IDS_AT_ONCE = 500;   // users added to a room in one call
const OFTEN = 4;           // of so many messages, one is in the second largest room

const id = (n) => `u${n}`;

// Calls functions as fast as Redis takes them; gives the answers of those that `keep` them.
export async function callAll(redis, calls) {
	const answers = [];
	let batch = redis.pipeline();
	let n = 0;
	const flush = async () => {
		for (const [error, answer] of await batch.exec()) {
			assert.ifError(error);
			answers.push(answer);
		}
		batch = redis.pipeline();
		n = 0;
	};
	for (const [name, ...args] of calls) {
		batch.fcall(name, 0, ...args.map(String));
		if (++n === AT_ONCE)
			await flush();
	}
	await flush();
	return answers;
}

const roomsOf = (answers) => answers.map(([json]) => JSON.parse(json).id);

// `users` u0 …, and rooms: the first has all users; then channels and groups of 3 to 22; u0 is in all of them,
// and in a direct room with everybody. Half of the messages are in the first room, a quarter in the second, and
// the rest everywhere. Gives { everyone, second, rooms, directs, hub: the id of u0 }.
export async function populate(redis, { users, rooms, messages }) {
	const names = Array.from({ length: users }, (_, n) => id(n));
	await callAll(redis, names.map((name) => ['user_enter', name, name.toUpperCase(), name, '', '', 1, `${name}x`]));
	const made = Array.from({ length: rooms }, (_, n) => {
		const others = Array.from({ length: n === 0 ? 0 : 2 + n % 20 }, (__, i) => id(1 + (n * 7 + i * 11) % (users - 1)));
		return n % 3 === 2 ? ['room_create', 'u0', 'group', `g${n}`, 'PRIVATE', '', ...others] :
			['room_create', 'u0', 'channel', `c${n}`, 'PUBLIC', '', ...others];
	});
	const all = roomsOf(await callAll(redis, made));
	const added = [];
	for (let from = 1; from < users; from += IDS_AT_ONCE)
		added.push(['room_add', 'u0', all[0], ...names.slice(from, from + IDS_AT_ONCE)]);
	await callAll(redis, added);
	const directs = roomsOf(await callAll(redis, names.slice(1).map((name) => ['room_direct', 'u0', name])));
	await callAll(redis, posts([...all, ...directs], users, messages));
	return { everyone: all[0], second: all[1], rooms: all, directs, hub: 'u0' };
}

function* posts(rooms, users, messages) {
	for (let n = 0; n < messages; n++) {
		const room = n % 2 === 0 ? rooms[0] : n % OFTEN === 1 ? rooms[1] : rooms[n % rooms.length];
		const author = room === rooms[0] ? id(n % users) : 'u0';
		yield ['message_post', author, room, '', `message ${n} of those that are here before anybody comes`, '', '',
			'', 0, 0, 0, 0];
	}
}

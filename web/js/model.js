// What the page knows: who is signed in, rooms with their messages, who is online. Whoever changes something
// says so by `changed`, and what is shown follows, once for all changes of a turn.

export const model = {
	me: null,                // { id, username, name }
	rooms: new Map(),        // id → room
	online: new Map(),       // username in lower case → { username, isOnline }
	ids: new Map(),          // user id → { id, username, name }: those who may be invited
	current: null,           // the room that is shown
	uploads: true,           // until the server says that it has none
};

const parts = { rooms: [], room: [], status: [] };
const dirty = new Set();

// `show` is called after changes of that part.
export function shows(part, show) {
	parts[part].push(show);
}

export function changed(...names) {
	if (dirty.size === 0)
		queueMicrotask(() => {
			const now = [...dirty];
			dirty.clear();
			for (const name of now)
				parts[name].forEach((show) => show());
		});
	names.forEach((name) => dirty.add(name));
}

export function makeRoom(id, kind) {
	return {
		id, kind, name: null, peer: null, isMember: true, isPrivate: false, ownerId: null, memberCount: 0, unread: 0,
		touched: performance.now(),      // when we came to know it, or joined: older lists do not count
		messages: [], old: new Set(), loaded: false, page: 0, hasMore: false, joined: false, failed: null,
		freshFrom: null,         // the first message that was unread when the room was opened
	};
}

export function roomOf(id, kind = 'channel') {
	if (!model.rooms.has(id))
		model.rooms.set(id, makeRoom(id, kind));
	return model.rooms.get(id);
}

export function titleOf(room) {
	if (room.kind === 'direct')
		return room.peer.name ?? room.peer.username;
	return room.name ?? 'A group';
}

export function isOnline(username) {
	return model.online.get(username.toLowerCase())?.isOnline ?? false;
}

export function directWith(username) {
	return [...model.rooms.values()].find((room) =>
		room.kind === 'direct' && room.peer.username.toLowerCase() === username.toLowerCase());
}

export function unreadOfAll() {
	return [...model.rooms.values()].reduce((sum, room) => sum + (room.isMember ? room.unread : 0), 0);
}

// Puts a message where it belongs: ids and times grow together, but what waits to be sent stands last.
export function putMessage(room, message) {
	const at = room.messages.findIndex(({ id }) => id === message.id);
	if (at >= 0) {
		room.messages[at] = { ...room.messages[at], ...message };
		return false;
	}
	let place = room.messages.length;
	while (place > 0 && (room.messages[place - 1].waits || room.messages[place - 1].id > message.id))
		place--;
	room.messages.splice(place, 0, message);
	return true;
}

export function messageIn(room, id) {
	return room?.messages.find((message) => message.id === id);
}

// Rooms as the server has them: lists, history, who reads what, coming and going.
import { call, callMessenger, link } from './link.js';
import { changed, directWith, makeRoom, model, putMessage, roomOf } from './model.js';
import { ask, list } from './rest.js';

const PAGE = 50;
const JOIN_AT_MOST = 150;    // further rooms are joined when they are opened

const pathOf = (room, page) => room.kind === 'direct'
	? `/api/conversations/${encodeURIComponent(room.id)}/messages?page=${page}&limit=${PAGE}`
	: `/api/messages?channelId=${encodeURIComponent(room.id)}&page=${page}&limit=${PAGE}`;

// --- Lists ---

function takeChannel(channel, asOf = Infinity) {
	const room = roomOf(channel.id);
	if (room.touched > asOf)
		return;
	Object.assign(room, {
		name: channel.name, isPrivate: channel.private, ownerId: channel.ownerId, isMember: channel.isMember,
		memberCount: channel.memberCount,
	});
}

function takeConversation(conversation) {
	const room = roomOf(conversation.id, 'direct');
	room.peer = conversation.user;
	model.ids.set(conversation.user.id, conversation.user);
	return room;
}

// A draft is a conversation without an id: nobody has said anything in it yet.
export function draftWith(username) {
	const room = directWith(username) ?? makeRoom(`@${username}`, 'direct');
	if (!room.peer) {
		Object.assign(room, { peer: { username, name: null }, loaded: true, isDraft: true });
		model.rooms.set(room.id, room);
		changed('rooms');
	}
	return room;
}

function dropDraft(room) {
	for (const [id, draft] of model.rooms) {
		if (!draft.isDraft || draft.peer.username.toLowerCase() !== room.peer.username.toLowerCase())
			continue;
		model.rooms.delete(id);
		if (model.current === draft)
			location.replace(`#${room.id}`);
	}
}

// Left, or put out of it, here or elsewhere.
function dropRoom(room) {
	model.rooms.delete(room.id);
	if (model.current === room)
		location.hash = '';
}

async function readLists() {
	const asOf = performance.now();
	const [channels, conversations, mine] = await Promise.all([
		list('/api/channels', 'data'), list('/api/conversations', 'data'), list('/room/', 'rooms')]);
	const known = new Set([...channels, ...conversations].map(({ id }) => id));
	for (const room of [...model.rooms.values()])
		if (!known.has(room.id) && !room.isDraft && room.touched < asOf)
			dropRoom(room);
	channels.forEach((channel) => takeChannel(channel, asOf));
	conversations.map(takeConversation).forEach(dropDraft);
	for (const { roomId, unread } of mine) {
		const room = model.rooms.get(roomId);
		if (room && !(room === model.current && isLookedAt()))
			room.unread = unread;
	}
	changed('rooms', 'room');
	await joinAll();
}

// Asked for again while it is under way, it is done once more: whoever asks sees what was when they asked.
let refreshing = null, refreshAgain = null;
export function refreshLists() {
	if (refreshing) {
		refreshAgain ??= refreshing.catch(() => {}).then(() => {
			refreshAgain = null;
			return refreshLists();
		});
		return refreshAgain;
	}
	refreshing = readLists().finally(() => { refreshing = null; });
	return refreshing;
}

// --- Hearing ---

export async function join(room) {
	if (room.joined || room.isDraft || !link.channels.connected)
		return;
	room.joined = true;
	const direct = room.kind === 'direct';
	const answer = await call(direct ? 'join_conversation' : 'join_channel',
		{ [direct ? 'conversationId' : 'channelId']: room.id }).catch(() => ({ ok: false }));
	room.joined = answer.ok;
}

async function joinAll() {
	const mine = [...model.rooms.values()].filter(({ isMember, joined, isDraft }) => isMember && !joined && !isDraft);
	const news = mine.slice(0, JOIN_AT_MOST);
	await Promise.all(news.map(join));
	const peers = news.filter(({ kind }) => kind === 'direct').map(({ peer }) => peer.username);
	await Promise.all(peers.map((user) => callMessenger('wait-for-user', { user }).catch(() => {})));
}

// The session is a new one: nothing is joined, and what was said meanwhile is only in the history.
export function beginAnew() {
	for (const room of model.rooms.values()) {
		if (room.isDraft)
			continue;
		room.joined = room.loaded = false;
		room.old = new Set(room.messages.filter(({ waits }) => !waits).map(({ id }) => id));
	}
}

export async function refreshPeople() {
	let after;
	do {
		const page = await callMessenger('fetch-users', { after });
		if (page.error)
			return;
		for (const user of page.users)
			model.online.set(user.username.toLowerCase(), user);
		after = page.users.length === 1000 ? page.users.at(-1).username : undefined;
	} while (after && model.online.size < 5000);
	changed('rooms', 'room');
}

// --- History ---

export async function loadPage(room, page) {
	const { data, hasMore } = await ask('GET', pathOf(room, page));
	// Between what was there before and this page there may be a gap.
	room.messages = room.messages.filter(({ id }) => !room.old.has(id));
	room.old.clear();
	for (const message of data)
		putMessage(room, message);
	if (page >= room.page)
		Object.assign(room, { page, hasMore });
	return data.length;
}

// The room is shown for the first time, or there is a gap since: joined first, so that none is missed.
export async function load(room) {
	room.failed = null;
	try {
		await join(room);
		room.page = 0;
		await loadPage(room, 1);
		room.loaded = true;
		markFresh(room);
	} catch (error) {
		room.failed = error.message;
	}
	changed('room');
}

// Where the line "New" goes: before the last `unread` messages of others.
export function markFresh(room) {
	let left = room.unread;
	room.freshFrom = null;
	for (let i = room.messages.length - 1; i >= 0 && left > 0; i--) {
		if (room.messages[i].userId === model.me.id)
			continue;
		left--;
		room.freshFrom = room.messages[i].id;
	}
}

// --- Reading ---

export function isLookedAt() {
	return document.visibilityState === 'visible' && document.hasFocus();
}

async function readDirect(room) {
	const { chats = [] } = await callMessenger('fetch-conversation-with-user', { user: room.peer.username, limit: 100 });
	const mine = model.me.username.toLowerCase();
	await Promise.all(chats
		.filter((chat) => chat.recipient.toLowerCase() === mine && !chat.has_read)
		.map(({ id }) => callMessenger('read-chat', { id })));
	for (const chat of chats)
		if (chat.has_read && chat.sender.toLowerCase() === mine)
			markRead(room, chat.id);
	room.unread = 0;
}

export function markRead(room, id) {
	const message = room.messages.find((one) => one.id === id);
	if (message && !message.isRead) {
		message.isRead = true;
		changed('room');
	}
}

// What is shown has been read. Asked for again while it is under way, it is done once more.
const reading = new Map();   // room → whether to read on
export async function read(room) {
	if (!room || room.isDraft || !room.isMember || !isLookedAt())
		return;
	room.unread = 0;
	changed('rooms');
	if (reading.has(room)) {
		reading.set(room, true);
		return;
	}
	do {
		reading.set(room, false);
		const work = room.kind === 'direct' ? readDirect(room)
			: ask('GET', `/room/posts/${encodeURIComponent(room.id)}?limit=1`);
		await work.catch(() => {});
	} while (reading.get(room));
	reading.delete(room);
}

// --- Coming and going ---

export async function makeChannel(name, isPrivate) {
	const { data } = await ask('POST', '/api/channels', { name, private: isPrivate });
	takeChannel(data);
	changed('rooms');
	return roomOf(data.id);
}

export async function enterChannel(room) {
	await ask('POST', `/api/channels/${encodeURIComponent(room.id)}/members`, { users: [model.me.id] });
	room.isMember = true;
	room.touched = performance.now();
	await refreshLists();
}

export async function addMember(room, id) {
	await ask('POST', `/api/channels/${encodeURIComponent(room.id)}/members`, { users: [id] });
}

export async function removeMember(room, id) {
	await ask('DELETE', `/api/channels/${encodeURIComponent(room.id)}/members/${encodeURIComponent(id)}`);
	if (id === model.me.id)
		await refreshLists();
}

export async function membersOf(room) {
	const members = await list(`/api/channels/${encodeURIComponent(room.id)}/members`, 'data', 1000);
	for (const member of members)
		model.ids.set(member.id, member);
	return members;
}

// What the server tells, and what that changes.
import { link } from './link.js';
import { changed, directWith, messageIn, model, putMessage } from './model.js';
import { heardOwn } from './outbox.js';
import { isLookedAt, markRead, read, refreshLists } from './rooms.js';

// What came while the room was looked at, for those who listen to the page.
function speak(room, message) {
	const spoken = document.getElementById('spoken');
	const line = document.createElement('p');
	line.textContent = `${message.user.name}: ${message.content}`;
	spoken.append(line);
	while (spoken.childElementCount > 20)
		spoken.firstChild.remove();
}

function hearMessage(message, kind) {
	const room = roomFor(message, kind);
	if (!room)
		return;
	const mine = message.userId === model.me.id;
	if (mine && heardOwn(room, message))
		return;
	if (!putMessage(room, { ...message, arrives: true }) || mine) {
		changed('room');
		return;
	}
	if (room === model.current && isLookedAt()) {
		speak(room, message);
		read(room);
	} else if (kind === 'channel') {
		room.unread++;
	}
	changed('rooms', 'room');
}

// A room that is not known yet is in the lists by now.
function roomFor(data, kind) {
	const room = model.rooms.get(kind === 'direct' ? data.conversationId : data.channelId);
	if (!room)
		refreshLists().catch(() => {});
	return room;
}

function change(data, kind, fields) {
	const room = roomFor(data, kind);
	const message = messageIn(room, data.messageId);
	if (!message)
		return;
	putMessage(room, { id: message.id, ...fields(message) });
	for (const other of room.messages)
		if (other.replyTo?.id === message.id)
			other.replyTo = { ...other.replyTo, content: messageIn(room, message.id).content };
	changed('room');
}

const edited = ({ content, updatedAt }) => () => ({ content, updatedAt });

const deleted = () => () => ({
	content: '[This message was deleted]', deletedAt: new Date().toISOString(), reactions: [], attachments: [],
});

const reacted = (reaction) => ({ reactions }) => ({
	reactions: [...reactions.filter(({ userId, emoji }) => userId !== reaction.userId || emoji !== reaction.emoji), reaction],
});

const unreacted = ({ userId, emoji }) => ({ reactions }) => ({
	reactions: reactions.filter((one) => one.userId !== userId || one.emoji !== emoji),
});

// A reaction says which message, not always which room.
function hearReaction(reaction, kind) {
	for (const room of model.rooms.values()) {
		if (!messageIn(room, reaction.messageId))
			continue;
		const where = kind === 'direct' ? { conversationId: room.id } : { channelId: room.id };
		change({ ...where, messageId: reaction.messageId }, kind, reacted(reaction));
	}
}

function came(user, isOnline) {
	model.online.set(user.toLowerCase(), { username: user, isOnline });
	changed('rooms', 'room');
}

function hearCount({ user, unreadChatsCount }) {
	const room = directWith(user);
	if (!room || room.isDraft)
		refreshLists().catch(() => {});
	else if (room !== model.current || !isLookedAt())
		room.unread = unreadChatsCount;
	changed('rooms');
}

const channels = {
	new_message: (data) => hearMessage(data, 'channel'),
	message_forwarded: ({ message }) => hearMessage(message, 'channel'),
	message_edited: (data) => change(data, 'channel', edited(data)),
	message_deleted: (data) => change(data, 'channel', deleted()),
	reaction_added: (data) => hearReaction(data, 'channel'),
	reaction_removed: (data) => change(data, 'channel', unreacted(data)),
	new_direct_message: (data) => hearMessage(data, 'direct'),
	message_forwarded_to_direct: ({ message }) => hearMessage(message, 'direct'),
	direct_message_edited: (data) => change(data, 'direct', edited(data)),
	direct_message_deleted: (data) => change(data, 'direct', deleted()),
	direct_reaction_added: (data) => hearReaction(data, 'direct'),
	direct_reaction_removed: (data) => change(data, 'direct', unreacted(data)),
};

const messenger = {
	'user-join': ({ user }) => came(user, true),
	'user-leave': ({ user }) => came(user, false),
	'user-online': ({ user }) => came(user, true),
	'user-offline': ({ user }) => came(user, false),
	'unread-chats-count': hearCount,
	'read-chat': ({ id, user }) => {
		const room = directWith(user);
		if (room)
			markRead(room, id);
	},
};

export function hearAll() {
	for (const [name, hear] of Object.entries(channels))
		link.channels.on(name, hear);
	for (const [name, hear] of Object.entries(messenger))
		link.messenger.on(name, hear);
}

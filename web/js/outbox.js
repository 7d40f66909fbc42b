// What was said and is not acknowledged yet. It is shown at once and sent, again and again where that makes sense,
// under one clientMessageId, so that it is said once whatever was lost on the way.
import { call, callMessenger, link } from './link.js';
import { changed, model, putMessage } from './model.js';

const PAUSE_MS = [500, 1000, 2000, 4000, 8000];
const REFUSALS_TO_RETRY = /^Failed to|^Rate limit/;

const waiting = [];          // messages, oldest first

function newId() {
	const bytes = crypto.getRandomValues(new Uint8Array(16));
	return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function drop(room, message) {
	room.messages = room.messages.filter((one) => one !== message);
	const at = waiting.findIndex(({ message: other }) => other === message);
	if (at >= 0)
		waiting.splice(at, 1);
}

// It has an id now: the waiting one makes way, or becomes the one that was heard already.
function said(room, message, id, fields) {
	drop(room, message);
	putMessage(room, { ...message, ...fields, id, key: message.key, waits: false });
	changed('room', 'rooms');
}

function failed(message, reason) {
	message.failed = reason;
	changed('room');
}

async function sendOnce(room, message) {
	const direct = room.kind === 'direct';
	const answer = await call(direct ? 'send_direct_message' : 'send_message', {
		[direct ? 'conversationId' : 'channelId']: room.id, content: message.content,
		replyToId: message.replyToId ?? undefined, attachments: message.attachments.map(({ id }) => ({ id })),
		clientMessageId: message.clientMessageId,
	});
	if (!answer.ok)
		throw new Error(answer.error);
	return answer.message;
}

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

async function deliver(entry) {
	const { room, message } = entry;
	entry.busy = true;
	for (let attempt = 0; !message.failed && link.channels.connected; attempt++) {
		if (attempt > 0)
			link.repeated++;
		try {
			const answer = await sendOnce(room, message);
			said(room, message, answer.id, answer);
			break;
		} catch (error) {
			const mayWork = /timed out|disconnected/.test(error.message) || REFUSALS_TO_RETRY.test(error.message);
			if (!mayWork || attempt === PAUSE_MS.length)
				failed(message, error.message);
			else
				await pause(PAUSE_MS[attempt]);
		}
	}
	entry.busy = false;
}

// One after the other, so that they arrive in the order in which they were said.
let working = false;
export async function flush() {
	if (working)
		return;
	working = true;
	for (let entry; link.channels.connected && (entry = waiting.find(({ message }) => !message.failed));)
		await deliver(entry);
	working = false;
}

export function say(room, content, { replyTo = null, attachments = [] } = {}) {
	const now = new Date().toISOString();
	const clientMessageId = newId();
	const message = {
		id: `waiting-${clientMessageId}`, key: clientMessageId, clientMessageId, content, waits: true, failed: null,
		userId: model.me.id, user: { id: model.me.id, name: model.me.name }, createdAt: now, updatedAt: now,
		replyToId: replyTo?.id ?? null, replyTo, attachments, reactions: [],
	};
	room.messages.push(message);
	waiting.push({ room, message });
	changed('room');
	flush();
}

export function retry(message) {
	message.failed = null;
	changed('room');
	flush();
}

export function discard(room, message) {
	drop(room, message);
	changed('room');
}

// The first word to somebody makes the conversation.
export async function sayFirst(username, content) {
	const clientMessageId = newId();
	for (let attempt = 0; ; attempt++) {
		try {
			const answer = await callMessenger('send-message', { user: username, message: content, clientMessageId });
			if (answer.error)
				throw new Error(answer.error.message);
			return answer.chat;
		} catch (error) {
			if (attempt === 2 || !/timed out|disconnected/.test(error.message))
				throw error;
		}
	}
}

// One's own message was heard before its acknowledgement came: it is the oldest of that text that waits.
export function heardOwn(room, heard) {
	const found = waiting.find((entry) => entry.room === room && entry.message.content === heard.content && entry.busy);
	if (!found)
		return false;
	said(room, found.message, heard.id, heard);
	return true;
}

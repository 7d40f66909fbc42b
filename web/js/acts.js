// What can be done with a message. Each gives null, or a text that says why it was not done.
import { call } from './link.js';
import { model } from './model.js';

const within = (room) => room.kind === 'direct' ? { conversationId: room.id } : { channelId: room.id };

async function act(room, inChannel, inDirect, args) {
	try {
		const answer = await call(room.kind === 'direct' ? inDirect : inChannel, args);
		return answer.ok ? null : answer.error;
	} catch {
		return 'No answer: try again when the connection is back';
	}
}

export function edit(room, message, content) {
	return act(room, 'edit_message', 'edit_direct_message', { messageId: message.id, content, ...within(room) });
}

export function remove(room, message) {
	return act(room, 'delete_message', 'delete_direct_message', { messageId: message.id, ...within(room) });
}

export function toggleReaction(room, message, emoji) {
	const args = { messageId: message.id, emoji, ...within(room) };
	const mine = message.reactions.some((one) => one.userId === model.me.id && one.emoji === emoji);
	return mine ? act(room, 'remove_reaction', 'remove_direct_reaction', args)
		: act(room, 'add_reaction', 'add_direct_reaction', args);
}

export function forward(room, message, target) {
	const args = { messageId: message.id, ...within(room) };
	return target.kind === 'direct'
		? act(target, '', 'forward_to_direct', { ...args, targetConversationId: target.id })
		: act(target, 'forward_message', '', { ...args, targetChannelId: target.id });
}

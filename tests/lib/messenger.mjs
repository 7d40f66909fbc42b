// Stock clients of the messenger's, and what they say and hear.
import assert from 'node:assert/strict';
import { enter, workerOfChatter } from './chatter.mjs';
import { person } from './people.mjs';
import { until } from './wait.mjs';

// Where it is on every port.
export const PLACE = { path: '/ws', nsp: '/chat' };

// A messenger's socket of that user.
export async function sit(server, user, options = {}) {
	const one = await enter(server, { token: user.token, ...PLACE, ...options });
	one.user = user;
	return one;
}

// One on a worker where none of `others` is.
export async function apart(server, user, ...others) {
	const homes = others.map((other) => workerOfChatter(server, other));
	const tried = [];
	const found = await until(async () => {
		const one = await sit(server, user);
		if (!homes.includes(workerOfChatter(server, one)))
			return one;
		tried.push(one);
		return null;
	}, 'socket on another worker', { every: 0 });
	for (const one of tried)
		one.leave();
	return found;
}

export const say = async (from, to, message, more = {}) => {
	const answer = await from.ask('send-message', { user: to.username, message, ...more });
	assert.ok(answer.chat, JSON.stringify(answer));
	return answer.chat;
};

// A herald's chat comes the way of all news: when it is here, what was told before it is, too.
export async function settled(server, ...chatters) {
	server.herald ??= person(server, 'Herald').then((user) => sit(server, user));
	const herald = await server.herald;
	for (const one of chatters) {
		const { id } = await say(herald, one.user, 'Is all well?');
		await until(() => one.count('chat', ({ chat }) => chat.id === id) > 0, 'herald');
	}
}

// What it heard of that name, the herald's left out.
export function heard(one, name) {
	return one.all(name).filter((said) => !/^Herald/.test(said.chat?.sender ?? said.user));
}

export const about = (user) => (said) => said.user === user.username;

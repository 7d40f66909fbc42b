// Rooms over REST, /room/…, and what is heard of them by notifications.
import assert from 'node:assert/strict';
import { person } from './people.mjs';
import { rest } from './rest.mjs';
import { until } from './wait.mjs';

export const WAY = '/room/websocket';

export const get = (server, who, where) => rest(server, 'GET', where, who.token);
export const post = (server, who, where, body) => rest(server, 'POST', where, who.token, body);

export async function make(server, who, users = [], more = {}) {
	const answer = await post(server, who, '/room/create/', { users: users.map(({ id }) => id), ...more });
	assert.equal(answer.status, 201, answer.body);
	return answer.json.roomId;
}

export async function say(server, who, room, content) {
	const answer = await post(server, who, `/room/post/${room}`, { content });
	assert.equal(answer.status, 201, answer.body);
	return answer.json;
}

// All that a listener heard and nobody took, up to a post of now in a room of its own.
export async function heardBy(server, listener, user) {
	const other = await person(server, 'Marker');
	const room = await make(server, other, [user]);
	await until(() => listener.heard.some((n) => n.roomId === room), 'marker', { every: 5 });
	return listener.rest().filter((n) => n.roomId !== room);
}

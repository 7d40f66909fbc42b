// Users, channels and conversations for the tests of the channels API.
import assert from 'node:assert/strict';
import { rest } from './rest.mjs';
import { token } from './token.mjs';

let counter = 0;

// A name that no other test of this file uses.
export function unique(stem) {
	counter += 1;
	return `${stem}-${process.pid}-${counter}`;
}

// A user as another service would sign one in, known to the server by a first visit.
export async function person(server, stem, claims = {}) {
	const id = unique(stem);
	const user = { id, name: stem, username: id.replace(/[^\w.-]/g, '_').slice(0, 32) };
	user.token = token({ sub: id, username: user.username, name: stem, ...claims });
	const answer = await rest(server, 'GET', '/login/me', user.token);
	assert.equal(answer.status, 200, answer.body);
	return user;
}

// A public channel of `owner` with other members; gives its id.
export async function channel(server, owner, members = [], more = {}) {
	const body = { name: unique('channel'), members: members.map(({ id }) => id), ...more };
	const answer = await rest(server, 'POST', '/api/channels', owner.token, body);
	assert.equal(answer.status, 201, answer.body);
	return answer.json.data.id;
}

export async function conversation(server, one, other) {
	const answer = await rest(server, 'POST', '/api/conversations', one.token, { userId: other.id });
	assert.ok([200, 201].includes(answer.status), answer.body);
	return answer.json.data.id;
}

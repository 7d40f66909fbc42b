// Every door through which a message is sent, in one form: what is said there, and what became of it.
import assert from 'node:assert/strict';
import { enter } from './chatter.mjs';
import { listen } from './listener.mjs';
import { channel, conversation, person } from './people.mjs';
import { rest } from './rest.mjs';
import { until } from './wait.mjs';

// What each API answers, as { id } of the message or { refusal }, a text.
const ANSWERS = {
	channels: ({ ok, message, error }) => (ok ? { id: message.id } : { refusal: error }),
	gateway: ({ id, message }) => (id ? { id } : { refusal: message }),
	messenger: ({ chat, error }) => (chat ? { id: chat.id } : { refusal: error.message, code: error.code }),
	rest: ({ status, headers, json }) => (status === 201 ? { id: json.postId } :
		{ refusal: json.message, status, retryAfter: Number(headers['retry-after']), errors: json.errors }),
};

const NAMESPACES = { channels: '/channels', gateway: '/gateway', messenger: '/messenger' };

// `kind`: of the room that is sent to; `shows`: of which rooms its API can show a message; `error`: the event
// that says a refusal where no acknowledgement is asked for.
const CHANNEL = { api: 'channels', kind: 'channel', shows: ['channel'], error: 'error' };
const DIRECT = { api: 'channels', kind: 'direct', shows: ['direct'], error: 'error' };
const ANY = ['channel', 'direct'];

export const DOORS = {
	send_message: { ...CHANNEL, body: (c, content) => ({ channelId: c.channel, content }) },
	'send_message, a reply': { ...CHANNEL, event: 'send_message',
		body: (c, content) => ({ channelId: c.channel, content, replyToId: c.original }) },
	send_direct_message: { ...DIRECT, body: (c, content) => ({ conversationId: c.direct, content }) },
	// What is forwarded has its own text, and no other.
	forward_message: { ...CHANNEL, fixed: true,
		body: (c) => ({ messageId: c.original, channelId: c.channel, targetChannelId: c.channel }) },
	forward_to_direct: { ...DIRECT, fixed: true,
		body: (c) => ({ messageId: c.original, channelId: c.channel, targetConversationId: c.direct }) },
	sendMessage: { api: 'gateway', kind: 'channel', shows: ANY, error: 'sendMessageError',
		body: (c, text) => ({ room: c.name, text }) },
	'sendMessage, to a user': { api: 'gateway', kind: 'direct', shows: ANY, error: 'sendMessageError',
		event: 'sendMessage', body: (c, text) => ({ room: `${c.ann.username}/${c.bob.username}`, text }) },
	'send-message': { api: 'messenger', kind: 'direct', shows: ['direct'],
		body: (c, message) => ({ user: c.bob.username, message }) },
	'POST /room/post': { api: 'rest', kind: 'channel', shows: ANY, body: (c, content) => ({ content }) },
	'POST /room/post, to a user': { api: 'rest', kind: 'direct', shows: ANY, body: (c, content) => ({ content }) },
};

// Ann, who sends; Bob, who is in the same rooms and listens; and a message of his.
export class Cast {
	#fences = 0;

	static async gather(server) {
		const c = new Cast();
		c.server = server;
		[c.ann, c.bob, c.carl] = [await person(server, 'Ann'), await person(server, 'Bob'), await person(server, 'Carl')];
		c.channel = await channel(server, c.bob, [c.ann, c.carl]);
		c.name = (await rest(server, 'GET', '/api/channels', c.bob.token)).json.data.find(({ id }) => id === c.channel).name;
		c.direct = await conversation(server, c.ann, c.bob);
		c.original = (await c.#post(c.bob, 'original')).postId;
		c.ear = await listen(server, c.bob);
		c.sockets = {};
		for (const [api, nsp] of Object.entries(NAMESPACES))
			c.sockets[api] = await enter(server, { token: c.ann.token, nsp });
		return c;
	}

	async #post(user, content) {
		const { status, json } = await rest(this.server, 'POST', `/room/post/${this.channel}`, user.token, { content });
		assert.equal(status, 201);
		return json;
	}

	// The raw answer; `more` is added to the body.
	async ask(name, content, more = {}) {
		const door = DOORS[name];
		const body = { ...door.body(this, content), ...more };
		if (door.api !== 'rest')
			return this.sockets[door.api].ask(door.event ?? name, body);
		return rest(this.server, 'POST', `/room/post/${this[door.kind]}`, this.ann.token, body);
	}

	// { id } or { refusal }.
	async send(name, content, more) {
		return ANSWERS[DOORS[name].api](await this.ask(name, content, more));
	}

	// Without an acknowledgement.
	emit(name, content) {
		const door = DOORS[name];
		this.sockets[door.api].emit(door.event ?? name, door.body(this, content));
	}

	// The ids of what Bob has been told of since he was asked last, and of all that was sent before. `herald`
	// says that it is all.
	async heard(herald = this.carl) {
		const text = `fence ${this.#fences++}`;
		await this.#post(herald, text);
		await until(() => this.ear.heard.some(({ content }) => content === text), text, { every: 5 });
		return this.ear.rest().filter(({ content }) => !/^fence /.test(content))
			.map(({ postId, type }) => postId ?? type);
	}
}

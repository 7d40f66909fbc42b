// For each event and each route what a good client sends, so that whatever is changed in it is what is refused.
// A row of the server's tables that has none here is an error, by its name.
import assert from 'node:assert/strict';
import { FINE, JUDGED } from './garble.mjs';
import { channel, conversation, person, unique } from './people.mjs';
import { rest } from './rest.mjs';

const letters = (stem) => unique(stem).replace(/[^A-Za-z0-9]/g, '');

// Two users with a channel and a conversation, and what they said there.
export async function peopled(server) {
	const [ann, bob] = [await person(server, 'ann'), await person(server, 'bob')];
	const world = { server, ann, bob, name: letters('general') };
	world.channelId = await channel(server, ann, [bob], { name: world.name });
	world.conversationId = await conversation(server, ann, bob);
	world.groupId = (await asked(world, 'POST', '/room/create/', { users: [bob.id] })).roomId;
	world.messageId = await post(world, ann, world.channelId);
	world.directId = await post(world, ann, world.conversationId);
	world.chatId = await post(world, bob, world.conversationId);
	const signed = account();
	await asked(world, 'POST', '/login/signup', signed);
	return { ...world, ...signed };
}

async function asked({ server, ann }, method, path, body, { token } = ann) {
	const answer = await rest(server, method, path, token, body);
	assert.ok(answer.status < 300, `${method} ${path}: ${answer.body}`);
	return answer.json;
}

const post = async (world, who, room) =>
	(await asked(world, 'POST', `/room/post/${room}`, { content: 'Hello!' }, who)).postId;

// A public channel of Bob's: its name.
async function elsewhere(world) {
	const name = letters('elsewhere');
	await asked(world, 'POST', '/api/channels', { name }, world.bob);
	return name;
}

async function group(world) {
	return (await asked(world, 'POST', '/room/create/', { users: [world.bob.id] })).roomId;
}

const pick = (...names) => (world) => Object.fromEntries(names.map((name) => [name, world[name]]));
const inChannel = pick('channelId', 'messageId');
const inTalk = ({ conversationId, directId }) => ({ conversationId, messageId: directId });
const content = 'Hello, world!';
const emoji = '👍';

// By API and event: the argument, for that world and lane. Where it depends on one member what the others may be, one
// for each, by that.
export const EVENTS = {
	channels: {
		join_channel: pick('channelId'),
		leave_channel: pick('channelId'),
		send_message: (w) => ({ content, channelId: w.channelId }),
		edit_message: (w) => ({ ...inChannel(w), content }),
		delete_message: async (w) => ({ channelId: w.channelId, messageId: await post(w, w.ann, w.channelId) }),
		forward_message: {
			'from a channel': (w) => ({ ...inChannel(w), targetChannelId: w.channelId }),
			'from a conversation': (w) => ({ ...inTalk(w), targetChannelId: w.channelId }),
		},
		add_reaction: (w) => ({ ...inChannel(w), emoji }),
		remove_reaction: (w) => ({ ...inChannel(w), emoji }),
		join_conversation: pick('conversationId'),
		leave_conversation: pick('conversationId'),
		send_direct_message: (w) => ({ content, conversationId: w.conversationId }),
		edit_direct_message: (w) => ({ ...inTalk(w), content }),
		delete_direct_message: async (w) =>
			({ conversationId: w.conversationId, messageId: await post(w, w.ann, w.conversationId) }),
		forward_to_direct: (w) => ({ messageId: w.messageId, targetConversationId: w.conversationId }),
		add_direct_reaction: (w) => ({ ...inTalk(w), emoji }),
		remove_direct_reaction: (w) => ({ ...inTalk(w), emoji }),
		ping: () => undefined,
	},
	gateway: {
		sendMessage: (w) => ({ room: w.name, text: content }),
		createChannel: {
			PUBLIC: () => ({ name: letters('public'), status: 'PUBLIC' }),
			PRIVATE: () => ({ name: letters('private'), status: 'PRIVATE', password: 'open sesame' }),
			DIRECT: (w) => ({ name: w.bob.username, status: 'DIRECT' }),
		},
		joinChannel: async (w) => ({ name: await elsewhere(w) }),
		leaveChannel: async (w, lane) => {
			const name = await elsewhere(w);
			await lane.ask('joinChannel', { name });
			return { name };
		},
	},
	messenger: {
		'fetch-users': () => ({}),
		'fetch-conversation-with-user': (w) => ({ user: w.bob.username }),
		'fetch-unread-chats-count': (w) => ({ user: w.bob.username }),
		'read-chat': (w) => ({ id: w.chatId }),
		'send-message': (w) => ({ message: content, user: w.bob.username }),
		'wait-for-user': (w) => ({ user: w.bob.username }),
		'stop-waiting-for-user': (w) => ({ user: w.bob.username }),
	},
	lobby: {
		login: async (w, lane) => {
			await lane.ask('logout');
			return { name: letters('ann'), room: letters('kitchen') };
		},
		logout: async (w, lane) => {
			await lane.ask('login', { name: letters('ann'), room: letters('kitchen') });
			return undefined;
		},
		roomMessage: async (w, lane) => {
			await lane.ask('login', { name: letters('ann'), room: letters('kitchen') });
			return content;
		},
		ping: () => undefined,
	},
};

const account = () => ({ username: letters('new'), password: 'correct horse' });

// One who has an account of their own, and no other use.
async function passing(world) {
	return (await asked(world, 'POST', '/login/signup', account())).token;
}

// By route: what is in its path, its query or its body, by the name of the field; and whose token it shows, if not
// Ann's.
export const ROUTES = {
	'POST /login/signup': () => account(),
	'POST /login/signin': pick('username', 'password'),
	'GET /login/me': () => ({}),
	'DELETE /login/delete': async (w) => ({ token: await passing(w) }),
	'POST /login/delete': async (w) => ({ token: await passing(w) }),
	'GET /api/channels': () => ({}),
	'POST /api/channels': () => ({ name: letters('channel') }),
	'GET /api/channels/:id/members': (w) => ({ id: w.channelId }),
	'POST /api/channels/:id/members': (w) => ({ id: w.channelId, users: [w.bob.id] }),
	'DELETE /api/channels/:id/members/:userId': async (w) =>
		({ id: await channel(w.server, w.ann, [w.bob]), userId: w.bob.id }),
	'GET /api/conversations': () => ({}),
	'POST /api/conversations': (w) => ({ userId: w.bob.id }),
	'GET /api/messages': pick('channelId'),
	'GET /api/conversations/:id/messages': (w) => ({ id: w.conversationId }),
	'GET /api/rooms': () => ({}),
	'GET /api/rooms/:name/members': pick('name'),
	'GET /api/rooms/:name/messages': pick('name'),
	'GET /health': () => ({}),
	'GET /metrics': () => ({}),
	'POST /room/create/': (w) => ({ users: [w.bob.id] }),
	'POST /room/post/:roomId': (w) => ({ roomId: w.groupId, content }),
	'POST /room/invite/:roomId': (w) => ({ roomId: w.groupId, users: [w.bob.id] }),
	'POST /room/leave/:roomId': async (w) => ({ roomId: await group(w) }),
	'GET /room/': () => ({}),
	'GET /room/:roomId': (w) => ({ roomId: w.groupId }),
	'GET /room/posts/:roomId': (w) => ({ roomId: w.groupId }),
	'GET /api/stats': () => ({}),
	'GET /api/ws/stats': () => ({}),
};

// --- What the tables do not say, and the pages do

// More of a field than its row has, by "API EVENT" or "API EVENT VARIANT". `also`: what may be blamed as well.
export const STRICTER = {
	// What is forwarded to a channel is named by its room, too.
	'channels forward_message from a channel': { channelId: { required: true } },
	'channels forward_message from a conversation': { conversationId: { required: true, also: 'channelId' } },
	'gateway createChannel PRIVATE': { password: { required: true, min: 1, max: 128 } },
	'lobby login': { name: { min: 1, max: 32 }, room: { min: 1, max: 32 } },
};

// Where what is of the right form is good, whatever it says: "API EVENT FIELD" or "ROUTE FIELD", perhaps with
// ": WHAT". (FINE and REFUSED need no such list: those are rules, which garble.mjs says.)
const TAKEN = [
	// A text may say anything.
	/^channels .+ (content|emoji|clientMessageId)$/, /^gateway sendMessage (text|clientMessageId)$/,
	/^messenger send-message (message|clientMessageId)$/, /^lobby roomMessage message$/,
	/^POST \/room\/post\/:roomId (content|clientMessageId)$/, /^POST \/login\/signup (name|image)$/,
	// What has one room needs no other.
	/^channels forward_message from a channel conversationId$/,
	// A name may be of any characters; a password is for private ones.
	/^gateway createChannel (PUBLIC|PRIVATE) name$/, /^POST \/(api\/channels|room\/create\/) name$/,
	/^gateway (createChannel (PUBLIC|DIRECT)|joinChannel) password$/,
	// A place in a list need not be taken.
	/^messenger fetch-users after$/,
	// An empty place in a list is its start; some are numbers.
	/^GET .* (after|before): the empty text$/,
	/^GET \/(api\/rooms|api\/rooms\/:name\/members|api\/channels\/:id\/members|room\/:roomId) after: a number$/,
	// Who leaves what one has not joined has left it.
	/^channels leave_\w+ \w+Id$/,
];

// What becomes of a case.
export const fateOf = ({ key, field, what, verdict }) =>
	(verdict === JUDGED && TAKEN.some((one) => one.test(`${key} ${field}`) || one.test(`${key} ${field}: ${what}`)) ?
		FINE : verdict);

// One conversation through all APIs: what happens, by whichever API, is heard through each that tells of it,
// in its words, by exactly those who should. TABLE says so; whoever is not in it must hear nothing.
//
// Ann does it, unless a row says who; Bob is a member, Eve is none, Fay was one and left. Each has a socket
// on every seat (tests/lib/everyone.mjs), spread over four workers; those of `channels` have joined the room,
// where they may, those of `bystander` have not.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { Guest, dismissAll } from '../lib/crowd.mjs';
import { Everyone, SEATS, allLeave } from '../lib/everyone.mjs';
import { listen } from '../lib/listener.mjs';
import { person, unique } from '../lib/people.mjs';
import { rest } from '../lib/rest.mjs';
import { start } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';

let server;
let all;
const cast = {};             // ann, bob, eve, fay

// --- How it is done: `f` is what is known of the row's case: server, people, room, … ---

async function request(who, method, path, body) {
	const answer = await rest(server, method, path, who.token, body);
	assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.body}`);
	return answer.json;
}

// Asks on that seat of somebody; fails unless the answer is what the API says of success.
async function ask(who, seat, event, body) {
	const answer = await who.ears[seat].socket.ask(event, body);
	const done = /^(Message sent|Channel (created|joined|left)|Conversation opened)$/;
	const good = { gateway: done.test(answer.message), messenger: !answer.error,
		channels: answer.ok, bystander: answer.ok }[seat];
	assert.ok(good, `${event}: ${JSON.stringify(answer)}`);
	return answer;
}

// By an API's socket or request; `answer` is the event by which the socket on that seat is answered.
const by = (name, act, more = {}) => ({ name, act, ...more });
const byGateway = (event, act) => by(`gateway ${event}`, act, { seat: 'gateway', answer: `${event}Success` });

const actor = (f) => f.who ?? f.ann;

const post = by('POST /room/post', (f) =>
	request(actor(f), 'POST', `/room/post/${f.room}`, { content: f.content, ...f.more }));
const sendMessage = byGateway('sendMessage', (f) =>
	ask(actor(f), 'gateway', 'sendMessage', { room: f.called, text: f.content, ...f.more }));
const sendChat = by('messenger send-message', (f) =>
	ask(f.ann, 'messenger', 'send-message', { user: (f.dan ?? f.bob).username, message: f.content, ...f.more }));
const byChannels = (event, target, seat, more = '') => by(`channels ${event}${more}`, (f) =>
	ask(actor(f), seat, event, { [target]: f.room, content: f.content, ...f.more }), { seat });
const sendUnjoined = (event, target) => byChannels(event, target, 'bystander', ', not joined');
const sendToChannel = byChannels('send_message', 'channelId', 'channels');
const sendToChannelUnjoined = sendUnjoined('send_message', 'channelId');
const sendDirect = byChannels('send_direct_message', 'conversationId', 'channels');
const sendDirectUnjoined = sendUnjoined('send_direct_message', 'conversationId');

const inRoom = (f, body) => ({ [f.direct ? 'conversationId' : 'channelId']: f.room, ...body });
const change = (event, body) => (f) => ask(f.ann, 'channels', f.direct ? event.replace('_', '_direct_') : event,
	inRoom(f, { messageId: f.message.id, ...body }));
const EMOJI = '👍';

const create = by('POST /room/create', async (f) => {
	f.room = (await request(f.ann, 'POST', '/room/create', { name: 'Pals', users: [f.bob.id] })).roomId;
});
const createChannel = by('POST /api/channels', async (f) => {
	const body = { name: unique('new'), members: [f.bob.id] };
	f.room = (await request(f.ann, 'POST', '/api/channels', body)).data.id;
});
const createAlone = byGateway('createChannel', (f) =>
	ask(f.ann, 'gateway', 'createChannel', { name: unique('new'), status: 'PUBLIC' }));
const converse = async (f) => {
	f.room = (await request(f.ann, 'POST', '/api/conversations', { userId: f.dan.id })).data.id;
};
const createDirect = byGateway('createChannel', (f) =>
	ask(f.ann, 'gateway', 'createChannel', { name: f.dan.username, status: 'DIRECT' }));

const invite = by('POST /room/invite', (f) =>
	request(f.ann, 'POST', `/room/invite/${f.room}`, { users: [f.eve.id] }));
const addMember = by('POST /api/channels/{id}/members', (f) =>
	request(f.ann, 'POST', `/api/channels/${f.room}/members`, { users: [f.eve.id] }));
const joinChannel = byGateway('joinChannel', (f) =>
	ask(f.eve, 'gateway', 'joinChannel', { name: f.called, password: f.password }));
const addOneself = by('POST /api/channels/{id}/members', (f) =>
	request(f.eve, 'POST', `/api/channels/${f.room}/members`, { users: [f.eve.id] }));
const leave = by('POST /room/leave', (f) => request(f.bob, 'POST', `/room/leave/${f.room}`));
const removeOneself = by('DELETE /api/channels/{id}/members/{userId}', (f) =>
	request(f.bob, 'DELETE', `/api/channels/${f.room}/members/${f.bob.id}`));
const leaveChannel = byGateway('leaveChannel', (f) =>
	ask(f.bob, 'gateway', 'leaveChannel', { name: f.called }));
const leaveBySocket = by('channels leave_channel', (f) =>
	ask(f.bob, 'channels', 'leave_channel', { channelId: f.room }));
const remove = by('DELETE /api/channels/{id}/members/{userId}', (f) =>
	request(f.ann, 'DELETE', `/api/channels/${f.room}/members/${f.bob.id}`));

// The same, said after something else has happened.
const following = (happened, doer) =>
	({ ...doer, name: `${doer.name}, after ${happened.name}`, before: happened.act });
// The same once more, with its clientMessageId.
const again = (first, doer) => ({ ...doer, name: `${doer.name}, after ${first.name}`, before: async (f) => {
	f.more = { clientMessageId: unique('cmid') };
	await first.act(f);
} });
// It is to be refused.
const refused = (doer) => ({ ...doer, answer: doer.answer?.replace('Success', 'Error') ?? 'error',
	act: (f) => assert.rejects(doer.act(f), assert.AssertionError) });

// --- The cases: what is there before ---

// Ann's and Bob's; Fay was there too.
async function settle(room, ...more) {
	const members = [cast.ann, cast.bob, cast.fay, ...more];
	for (const { ears } of members)
		await ears.channels?.socket.ask('join_channel', { channelId: room });
	await request(cast.fay, 'POST', `/room/leave/${room}`);
	return { room };
}

async function channel(more = {}, ...others) {
	const called = unique('channel');
	const members = [cast.bob, cast.fay, ...others].map(({ id }) => id);
	const { data } = await request(cast.ann, 'POST', '/api/channels', { name: called, members, ...more });
	return { ...await settle(data.id, ...others), called, ...more };
}

async function group(name) {
	const users = [cast.bob.id, cast.fay.id];
	const { roomId } = await request(cast.ann, 'POST', '/room/create', name ? { name, users } : { users });
	return { ...await settle(roomId), called: name && `${name}#${roomId}` };
}

const named = () => group('Pals');
const unnamed = () => group();
const ofThree = () => channel({}, cast.eve);
const closed = () => channel({ private: true, password: 'open sesame' });

const directName = (a, b) => [a.username, b.username]
	.sort((x, y) => Buffer.compare(Buffer.from(x.toLowerCase()), Buffer.from(y.toLowerCase()))).join('/');

// Ann's and Bob's, always the same.
async function direct() {
	const { data } = await request(cast.ann, 'POST', '/api/conversations', { userId: cast.bob.id });
	for (const { ears } of [cast.ann, cast.bob])
		await ears.channels.socket.ask('join_conversation', { conversationId: data.id });
	const { unreadChatsCount } =
		await ask(cast.bob, 'messenger', 'fetch-unread-chats-count', { user: cast.ann.username });
	return { direct: true, room: data.id, unread: unreadChatsCount, called: directName(cast.ann, cast.bob) };
}

async function newest(f) {
	const path = f.direct ? `/api/conversations/${f.room}/messages?` : `/api/messages?channelId=${f.room}&`;
	return (await request(f.ann, 'GET', `${path}limit=1`)).data[0];
}

// The room has a message of Ann's.
const withMessage = (kind) => async () => {
	const f = { ...cast, ...await kind(), content: unique('said') };
	await (f.direct ? sendDirect : sendToChannel).act(f);
	return { ...f, message: await newest(f) };
};

const withReaction = (kind) => async () => {
	const f = await withMessage(kind)();
	await change('add_reaction', { emoji: EMOJI })(f);
	return f;
};

// And another room, which Eve is in too, has the message that is forwarded.
const withSource = (target, source) => async () => {
	const from = await withMessage(source)();
	return { from, original: from.message, ...await target() };
};
const forward = by('channels forward_message', (f) => ask(f.ann, 'channels', 'forward_message',
	{ messageId: f.original.id, targetChannelId: f.room, ...inRoom(f.from) }));
const forwardDirect = by('channels forward_to_direct', (f) => ask(f.ann, 'channels', 'forward_to_direct',
	{ messageId: f.original.id, targetConversationId: f.room }));

// Somebody new.
async function stranger() {
	const dan = await all.come('Dan');
	return { dan, direct: true, called: directName(cast.ann, dan) };
}

// Dan is there with a room of each kind: one with Ann and Bob, one with Bob, and one for the two of them.
const inThree = (seats) => async () => {
	const dan = await all.come('Dan', seats);
	const made = await channel({}, dan);
	const { roomId } = await request(dan, 'POST', '/room/create', { users: [cast.bob.id] });
	const { data } = await request(cast.bob, 'POST', '/api/conversations', { userId: dan.id });
	for (const { ears } of [dan, cast.bob]) {
		await ears.channels?.socket.ask('join_channel', { channelId: roomId });
		await ears.channels?.socket.ask('join_conversation', { conversationId: data.id });
	}
	return { dan, rooms: [made.room, roomId, data.id] };
};
const deleteAccount = (method) => by(`${method} /login/delete`, (f) => request(f.dan, method, '/login/delete'));

// Somebody without a socket; Bob waits for them.
async function newcomer() {
	const dan = await person(server, 'Dan');
	await ask(cast.bob, 'messenger', 'wait-for-user', { user: dan.username });
	return { dan };
}

// Whoever came, to go when their row comes.
const guests = [];
const comes = (api) => by(`a socket of ${api}`, async ({ dan }) => {
	if (api === 'notifications') {
		const one = await listen(server, dan);
		guests.push({ dan, leave: () => one.hangUp() });
		return;
	}
	const one = await Guest.open(server);
	await one.join(`/${api}`, { token: dan.token });
	guests.push({ dan, leave: () => one.leave() });
});
const comesToLobby = by('a socket of lobby', async () => {
	const one = await Guest.open(server);
	await one.join('/lobby');
	assert.ok((await one.ask('login', { name: 'dan', room: unique('lobby').replace(/\W/g, '') })).user);
	guests.push({ leave: () => one.leave() });
});
const allGo = by('sockets of each API, at once', () => guests.forEach(({ leave: go }) => go()));

// --- In whose words ---

const seconds = (iso) => iso.replace(/\.\d+Z$/, 'Z');

const NewPost = (f) => ['NewPost', { userId: f.ann.id, roomId: f.room, postId: f.message.id,
	content: f.message.content, createdAt: seconds(f.message.createdAt) }];
const RoomCreated = (f) => ['RoomCreated', { creatorId: f.ann.id, roomId: f.room }];
const RoomInvitation = (f) => ['RoomInvitation', { userWhoInvited: f.ann.id, roomId: f.room }];
const NewUsersInRoom = (who) => (f) =>
	['NewUsersInRoom', { userWhoInvited: f[who].id, newUsers: [f.eve.id], roomId: f.room }];
const UserLeftRoom = (f) => ['UserLeftRoom', { userId: f.bob.id, roomId: f.room, userDeleted: false }];
const leftByDeletion = (i) => (f) =>
	['UserLeftRoom', { userId: f.dan.id, roomId: f.rooms[i], userDeleted: true }];

const newMessage = (f) => ['newMessage', { id: f.message.id, room: f.called, sender: f.ann.username,
	text: f.message.content, createdAt: f.message.createdAt }];
const reconnectNeeded = () =>
	['reconnectNeeded', { message: 'Somebody opened a direct conversation with you' }];

const recipient = (f) => (f.dan ?? f.bob).username;
const unread = (f) => ['unread-chats-count', { unreadChatsCount: (f.unread ?? 0) + 1, user: f.ann.username }];
const chat = (f) => ['chat', { chat: { id: f.message.id, sender: f.ann.username, recipient: recipient(f),
	message: f.message.content, has_read: false } }];
const presence = (name) => ({ dan }) => [name, { user: dan.username }];
const went = (name) => [0, 1, 2, 3].map((i) => () => [name, { user: guests[i].dan.username }]);

const new_message = (f) => ['new_message', f.message];
const new_direct_message = (f) => ['new_direct_message', f.message];
const message_forwarded = (f) =>
	['message_forwarded', { originalMessage: f.original, targetChannelId: f.room, message: f.message }];
const message_forwarded_to_direct = (f) => ['message_forwarded_to_direct',
	{ originalMessage: f.original, targetConversationId: f.room, message: f.message }];
const changed = (name, body) => (f) => [f.direct ? `direct_${name}` : name,
	inRoom(f, { messageId: f.message.id, ...body(f) })];
const message_edited = changed('message_edited', ({ message }) =>
	({ content: 'another text', updatedAt: message.updatedAt }));
const message_deleted = changed('message_deleted', () => ({}));
const reaction_added = (f) => [f.direct ? 'direct_reaction_added' : 'reaction_added', f.message.reactions[0]];
const reaction_removed = changed('reaction_removed', ({ ann }) => ({ emoji: EMOJI, userId: ann.id }));

const FAILED = { message: 'Authentication failed' };
const goodbye = (name, ...body) => () => [name, ...body];

// --- The table ---
//
// Per seat, who hears which words; `from` is the case, `by` each way to do it, `anyOrder`: of different feeds.

const said = { notifications: { bob: [NewPost] }, messenger: {} };
const inChannel = { ...said, gateway: { ann: [newMessage], bob: [newMessage] },
	channels: { ann: [new_message], bob: [new_message] } };
const ways = [post, sendMessage, sendToChannel, sendToChannelUnjoined];
const inDirect = { ...said, gateway: inChannel.gateway, messenger: { bob: [unread, chat] } };
const toAdded = { notifications: { bob: [NewPost], eve: [NewPost] }, messenger: {},
	gateway: { ann: [newMessage], bob: [newMessage], eve: [newMessage] }, channels: inChannel.channels };
const withoutBob = { notifications: {}, messenger: {},
	gateway: { ann: [newMessage] }, channels: { ann: [new_message] } };
const nobody = { notifications: {}, gateway: {}, messenger: {}, channels: {} };
const everybody = (...words) => ({ ann: words, bob: words, eve: words, fay: words });
const onlyChannels = (word) => ({ ...nobody, channels: { ann: [word], bob: [word] } });

const TABLE = [
	// a message in a group room or channel
	{ happened: 'message in a group', from: named, by: ways, ...inChannel },
	{ happened: 'message in a group without a name', from: unnamed,
		by: [post, sendToChannel, sendToChannelUnjoined],
		...inChannel, gateway: {} },
	{ happened: 'message in a channel', from: channel, by: ways, ...inChannel },
	{ happened: 'message in a private channel', from: closed, by: ways, ...inChannel },
	{ happened: 'message in a channel that Eve is in by now', from: channel,
		by: [following(invite, post), following(addMember, sendToChannel),
			following(joinChannel, sendMessage), following(addOneself, sendToChannel)],
		...toAdded },
	{ happened: 'message in a channel that Bob is in no more', from: channel,
		by: [following(leave, post), following(removeOneself, sendMessage),
			following(leaveChannel, sendToChannel), following(remove, sendToChannel)],
		...withoutBob },
	{ happened: 'message in a channel that Bob’s socket has left', from: channel,
		by: [following(leaveBySocket, sendToChannel)],
		...inChannel, channels: { ann: [new_message] } },
	{ happened: 'message a second time (clientMessageId)', from: channel,
		by: [again(post, post), again(sendToChannel, post), again(post, sendMessage),
			again(sendMessage, sendToChannel)],
		...nobody },
	{ happened: 'message of one who is no member', from: channel, who: 'eve',
		by: [post, sendMessage, sendToChannel].map(refused), ...nobody },
	{ happened: 'message of one who was a member', from: channel, who: 'fay',
		by: [post, sendMessage, sendToChannel].map(refused), ...nobody },

	// a message in a direct room
	{ happened: 'message in a direct room', from: direct,
		by: [post, sendMessage, sendChat, sendDirect, sendDirectUnjoined],
		...inDirect, channels: { ann: [new_direct_message], bob: [new_direct_message] } },
	{ happened: 'chat a second time (clientMessageId)', from: direct,
		by: [again(sendChat, sendChat), again(post, sendChat), again(sendChat, sendDirect)],
		...nobody },
	{ happened: 'message of another in a direct room', from: direct, who: 'eve',
		by: [post, sendMessage, sendDirect].map(refused), ...nobody },

	// a forward
	{ happened: 'forward of a channel’s to a channel', from: withSource(channel, ofThree), by: [forward],
		...inChannel, channels: { ann: [message_forwarded], bob: [message_forwarded] } },
	{ happened: 'forward of a channel’s to a group', from: withSource(named, ofThree), by: [forward],
		...inChannel, channels: { ann: [message_forwarded], bob: [message_forwarded] } },
	{ happened: 'forward of a direct room’s to a channel', from: withSource(channel, direct), by: [forward],
		...inChannel, channels: { ann: [message_forwarded], bob: [message_forwarded] } },
	{ happened: 'forward of a channel’s to a direct room', from: withSource(direct, ofThree),
		by: [forwardDirect],
		...inDirect, channels: { ann: [message_forwarded_to_direct], bob: [message_forwarded_to_direct] } },
	{ happened: 'forward of a direct room’s to itself', from: withSource(direct, direct), by: [forwardDirect],
		...inDirect, channels: { ann: [message_forwarded_to_direct], bob: [message_forwarded_to_direct] } },

	// an edit, a deletion, a reaction
	...[['group', named], ['channel', channel], ['direct room', direct]].flatMap(([kind, from]) => [
		{ happened: `edit in a ${kind}`, from: withMessage(from),
			by: [by('channels edit_message', change('edit_message', { content: 'another text' }))],
			...onlyChannels(message_edited) },
		{ happened: `reaction in a ${kind}`, from: withMessage(from),
			by: [by('channels add_reaction', change('add_reaction', { emoji: EMOJI }))],
			...onlyChannels(reaction_added) },
		{ happened: `reaction taken back in a ${kind}`, from: withReaction(from),
			by: [by('channels remove_reaction', change('remove_reaction', { emoji: EMOJI }))],
			...onlyChannels(reaction_removed) },
		{ happened: `deletion in a ${kind}`, from: withMessage(from),
			by: [by('channels delete_message', change('delete_message'))],
			...onlyChannels(message_deleted) },
	]),

	// a room created with somebody in it
	{ happened: 'room created with Bob in it', from: () => ({}), by: [create, createChannel],
		...nobody, notifications: { bob: [RoomCreated] } },
	{ happened: 'room created with nobody else in it', from: () => ({}), by: [createAlone], ...nobody },
	{ happened: 'direct room created with Dan', from: stranger,
		by: [by('POST /api/conversations', converse), createDirect],
		...nobody, notifications: { dan: [RoomCreated] }, gateway: { dan: [reconnectNeeded] } },
	{ happened: 'first chat to Dan', from: stranger, by: [sendChat],
		notifications: { dan: [RoomCreated, NewPost] },
		gateway: { dan: [reconnectNeeded, newMessage], ann: [newMessage] },
		messenger: { dan: [unread, chat] }, channels: {} },
	{ happened: 'direct room there already', from: () => ({ dan: cast.bob, direct: true }),
		by: [by('POST /api/conversations', converse), createDirect], ...nobody },

	// added to an existing room; joined by oneself
	{ happened: 'Eve added to a group', from: named, by: [invite, addMember],
		...nobody, notifications: { eve: [RoomInvitation], bob: [NewUsersInRoom('ann')] } },
	{ happened: 'Eve added to a channel', from: channel, by: [invite, addMember],
		...nobody, notifications: { eve: [RoomInvitation], bob: [NewUsersInRoom('ann')] } },
	{ happened: 'member added again', from: ofThree, by: [invite, addMember], ...nobody },
	{ happened: 'Eve joined a public channel by herself', from: channel, who: 'eve', by: [joinChannel, addOneself],
		...nobody, notifications: { ann: [NewUsersInRoom('eve')], bob: [NewUsersInRoom('eve')] } },
	{ happened: 'Eve joined a private channel by herself', from: closed, who: 'eve', by: [joinChannel],
		...nobody, notifications: { ann: [NewUsersInRoom('eve')], bob: [NewUsersInRoom('eve')] } },

	// a member left, was removed, or deleted the account
	{ happened: 'Bob left a group', from: named, who: 'bob', by: [leave, removeOneself, leaveChannel],
		...nobody, notifications: { ann: [UserLeftRoom] } },
	{ happened: 'Bob left a channel', from: ofThree, who: 'bob', by: [leave, removeOneself, leaveChannel],
		...nobody, notifications: { ann: [UserLeftRoom], eve: [UserLeftRoom] } },
	{ happened: 'Bob removed from a channel by Ann', from: ofThree, by: [remove],
		...nobody, notifications: { bob: [UserLeftRoom], eve: [UserLeftRoom] } },

	{ happened: 'account deleted', from: inThree(SEATS), by: [deleteAccount('DELETE')], anyOrder: true,
		notifications: { ann: [leftByDeletion(0)], bob: [0, 1, 2].map(leftByDeletion),
			dan: [goodbye('UserIsDeleted')] },
		gateway: { dan: [goodbye('accessDenied', FAILED)] },
		messenger: { dan: [goodbye('auth-failed', FAILED)], ...everybody(presence('user-leave')) },
		channels: { dan: [goodbye('error', FAILED)] }, bystander: { dan: [goodbye('error', FAILED)] } },
	{ happened: 'account without a socket deleted', from: inThree([]), by: [deleteAccount('POST')], anyOrder: true,
		...nobody, notifications: { ann: [leftByDeletion(0)], bob: [0, 1, 2].map(leftByDeletion) } },

	// a user came or went
	{ happened: 'user came', from: newcomer, by: ['notifications', 'gateway', 'messenger', 'channels'].map(comes),
		anyOrder: true, ...nobody,
		messenger: { ...everybody(presence('user-join')), bob: [presence('user-join'), presence('user-online')] } },
	{ happened: 'user came to the lobby', from: () => ({}), by: [comesToLobby], ...nobody },
	{ happened: 'users went', from: () => ({}), by: [allGo], anyOrder: true, ...nobody,
		messenger: { ...everybody(...went('user-leave')), bob: [...went('user-leave'), ...went('user-offline')] } },
];

// --- The cells ---

function expected(row, f, who, seat) {
	return ((row[seat] ?? {})[who] ?? []).map((word) => word(f));
}

// What is known of the case once it is done.
async function learn(f) {
	if (f.direct && !f.room)
		await converse(f);
	if (f.room)
		f.message = await newest(f);
}

// What one heard; the answer to whoever asked is the doer's own affair.
function heardBy(doer, f, who, seat) {
	const heard = all.heard(f[who], seat);
	const at = f[who] === actor(f) && seat === doer.seat ? heard.findIndex(([name]) => name === doer.answer) : -1;
	return heard.filter((_, i) => i !== at);
}

const inOrder = (row, events) => (row.anyOrder ? events.map((e) => JSON.stringify(e)).sort() : events);

async function check(row, doer) {
	const f = { ...cast, who: cast[row.who], content: unique('said'), ...await row.from() };
	await doer.before?.(f);
	await all.listen();
	await doer.act(f);
	await learn(f);
	const hearers = [...Object.keys(cast), 'dan'].filter((who) => all.people.includes(f[who]));
	const cells = hearers.flatMap((who) => Object.keys(f[who].ears).map((seat) =>
		({ who, seat, expected: expected(row, f, who, seat) })));
	const isHeard = ({ who, seat, expected: { length } }) => heardBy(doer, f, who, seat).length >= length;
	// If it does not come, the cells say what is missing.
	await until(() => cells.every(isHeard), 'news', { every: 5 }).catch(() => {});
	await all.fence();
	const faults = cells.map((cell) => ({ ...cell, heard: heardBy(doer, f, cell.who, cell.seat) }))
		.filter(({ expected: wanted, heard }) => !isDeepStrictEqual(inOrder(row, heard), inOrder(row, wanted)));
	if (f.dan && f.dan !== cast.bob)
		all.forget(f.dan);
	const told = faults.map(({ who, seat, expected: wanted, heard }) =>
		`“${row.happened}” by ${doer.name}, heard by ${who} on ${seat}:\n` +
		`  expected ${JSON.stringify(wanted)}\n  heard    ${JSON.stringify(heard)}`);
	if (told.length > 0)
		assert.fail(told.join('\n'));
}

describe('across the APIs', { timeout: 600_000 }, () => {
	before(async () => {
		server = await start({ root: 'none' });
		all = await Everyone.gather(server);
		for (const name of ['ann', 'bob', 'eve', 'fay'])
			cast[name] = await all.come(name[0].toUpperCase() + name.slice(1));
	});
	after(async () => {
		allLeave();
		dismissAll();
		await server?.stop();
	});

	test('the sockets of each are at four workers, and so are those on each seat', () => {
		const places = Object.values(cast).map((user) => all.workersOf(user));
		for (const at of places)
			assert.equal(new Set(at).size, 4);
		for (const i of SEATS.keys())
			assert.equal(new Set(places.map((at) => at[i])).size, 4);
	});

	for (const row of TABLE) {
		for (const doer of row.by)
			test(`${row.happened}: by ${doer.name}`, () => check(row, doer));
	}

	test('in the end nobody has heard anything twice', () => {
		const often = /^(reconnectNeeded|joined_channel|conversation_joined|\w+(Success|Error))$/;
		for (const [who, { ears }] of Object.entries(cast)) {
			for (const [seat, ear] of Object.entries(ears)) {
				const events = ear.everything.filter(([name]) => !often.test(name))
					.map((event) => JSON.stringify(event));
				const twice = events.filter((event, i) => events.indexOf(event) !== i);
				assert.deepEqual(twice, [], `${who} on ${seat}`);
			}
		}
	});
});

// Somebody with sockets of all APIs at all workers, who is in a thousand rooms, deletes the account: nothing is
// left of them but what they said, also if a worker or all of Confab dies meanwhile.
//
// ROOMS: how many rooms (1,000).
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { dismissAll, gather } from '../lib/crowd.mjs';
import { allLeave, knock, open, openAt } from '../lib/everyone.mjs';
import { Listener } from '../lib/listener.mjs';
import { conversation, person, unique } from '../lib/people.mjs';
import { alive } from '../lib/procs.mjs';
import { redis } from '../lib/redis.mjs';
import { rest } from '../lib/rest.mjs';
import { start } from '../lib/server.mjs';
import { token } from '../lib/token.mjs';
import { sleep, until, within } from '../lib/wait.mjs';
import { WebSocket, upgradeHeaders } from '../lib/websocket.mjs';
import { Wire, requestBytes } from '../lib/wire.mjs';

const ROOMS = Number(process.env.ROOMS ?? 1000);
const PASSWORD = 'correct horse';
const APIS = ['notifications', 'gateway', 'messenger', 'channels'];
const CLOSED_MS = 20_000;    // a second, on a machine that does nothing else
const LEFT_MS = 60_000;

// What a socket of each API hears last.
const GOODBYE = { gateway: 'accessDenied', messenger: 'auth-failed', channels: 'error' };
const FAILED = { message: 'Authentication failed' };

let server;
let control;
let pids;

async function request(who, method, path, body, status = 200) {
	const answer = await rest(server, method, path, who.token, body);
	assert.equal(answer.status, status, `${method} ${path}: ${answer.body}`);
	return answer.json;
}

// Somebody who signed up here.
async function signUp(stem) {
	const username = unique(stem);
	const answer = await rest(server, 'POST', '/login/signup', null, { username, password: PASSWORD, name: stem });
	assert.equal(answer.status, 201, answer.body);
	return { ...answer.json.user, token: answer.json.token };
}

// Makes as many rooms of the two, of every kind, each of them owning some.
async function makeRooms(one, other, n) {
	const pipeline = control.pipeline();
	for (let i = 0; i < n - 1; i++) {
		const [owner, member] = i % 2 === 0 ? [one, other] : [other, one];
		const [kind, status] = i % 10 < 2 ? ['channel', 'PUBLIC'] : ['group', 'PRIVATE'];
		const name = kind === 'channel' ? unique('room') : '';
		pipeline.fcall('room_create', 0, owner.id, kind, name, status, '', member.id);
	}
	pipeline.fcall('room_direct', 0, one.id, other.id);
	const rooms = (await pipeline.exec()).map(([error, reply]) => {
		assert.equal(error, null);
		return JSON.parse(reply[0]).id;
	});
	return { rooms, direct: rooms.at(-1) };
}

// A socket of an API, and when it `ended`.
function seatOf(api, one, pid) {
	const seat = { api, one, pid, ended: null, refusals: [] };
	one.socket.on(api === 'notifications' ? 'close' : 'disconnect', () => { seat.ended ??= performance.now(); });
	one.socket.on('connect_error', ({ message }) => seat.refusals.push(message));
	return seat;
}

// A socket of each API at each worker, and one that polls.
async function sitEverywhere(user, options) {
	const sockets = [];
	for (const api of APIS) {
		for (const pid of pids)
			sockets.push(seatOf(api, await openAt(server, user.token, api, pid, options), pid));
		if (api !== 'notifications')
			sockets.push(seatOf(api, await open(server, user.token, api, { ...options, travel: 'polling' })));
	}
	return sockets;
}

// Notifications at each worker.
async function listenEverywhere(user) {
	const listeners = new Map();
	for (const pid of pids)
		listeners.set(pid, await openAt(server, user.token, 'notifications', pid));
	return listeners;
}

const allEnded = (sockets) =>
	until(() => sockets.every(({ ended }) => ended !== null), 'end of all sockets', { every: 5 });
const slowest = (sockets, since) => Math.round(Math.max(...sockets.map(({ ended }) => ended)) - since);

// Connections to the worker with that pid that have served a request already.
async function wiresAt(wanted) {
	const found = new Map(pids.map((pid) => [pid, []]));
	await until(async () => {
		const wire = await Wire.connect(server.port);
		await exchange(wire, 'GET', '/health');
		const mine = found.get(server.workerOf(wire.localPort));
		if (mine.length < wanted)
			mine.push(wire);
		else
			wire.destroy();
		return [...found.values()].every(({ length }) => length === wanted);
	}, 'connections to all workers', { every: 0 });
	return found;
}

function exchange(wire, method, path, jwt, body) {
	wire.send(requestBytes({ method, path, body: body && JSON.stringify(body), headers: {
		...(jwt && { Authorization: `Bearer ${jwt}` }), ...(body && { 'Content-Type': 'application/json' }),
	} }));
	return wire.response();
}

const leftRooms = (listener, user) => listener.heard.filter(({ type, userId }) =>
	type === 'UserLeftRoom' && userId === user.id);

// Has heard once of each room that the deleted user left, and of nothing else.
async function hearsAll(listener, user, rooms) {
	await until(() => leftRooms(listener, user).length >= rooms.length, 'all rooms left',
		{ ms: LEFT_MS, every: 10 });
	const left = leftRooms(listener, user);
	assert.ok(left.every(({ userDeleted }) => userDeleted === true));
	assert.deepEqual(left.map(({ roomId }) => roomId).sort(), [...rooms].sort());
}

const roomsToLeave = async ({ id }) =>
	await control.zcard(`user:${id}:rooms`) + await control.zcard(`user:${id}:directs`);

// The logs say of each room once that the user left; nobody but the other one is in any.
async function assertLeftOnce(user, other, rooms) {
	assert.deepEqual([await roomsToLeave(user), await control.sismember('deleting', user.id)], [0, 0]);
	const pipeline = control.pipeline();
	for (const id of rooms)
		pipeline.xrange(`room:${id}:log`, '-', '+').zrange(`room:${id}:members`, 0, -1)
			.hmget(`room:${id}`, 'kind', 'owner');
	const replies = (await pipeline.exec()).map(([error, reply]) => {
		assert.equal(error, null);
		return reply;
	});
	for (const [i, id] of rooms.entries()) {
		const [log, members, [kind, owner]] = replies.slice(3 * i, 3 * i + 3);
		const left = log.map(([, fields]) => JSON.parse(fields[3])).filter(({ type }) => type === 'left');
		assert.deepEqual(left.map((event) => [event.user, event.userDeleted]), [[user.id, true]], id);
		assert.deepEqual(members, [other.id], id);
		assert.equal(owner, kind === 'direct' ? null : other.id, id);
	}
}

describe('a deleted account', { timeout: 600_000 }, () => {
	before(async () => {
		server = await start({ root: 'none' });
		control = redis(server);
		pids = server.workers().map(({ pid }) => pid);
	});
	after(async () => {
		allLeave();
		dismissAll();
		control?.disconnect();
		await server?.stop();
	});

	describe('with sockets of all APIs at all workers, in a thousand rooms', () => {
		let ann, dan, rooms, direct;
		before(async () => {
			[ann, dan] = [await person(server, 'Ann'), await signUp('Dan')];
			({ rooms, direct } = await makeRooms(dan, ann, ROOMS));
		});

		test('sockets end, rooms are left, the token is no good at any worker, at once', async (t) => {
			await request(dan, 'POST', `/room/post/${direct}`, { content: 'farewell' }, 201);
			const sockets = await sitEverywhere(dan);
			const listeners = await listenEverywhere(ann);
			const others = await Promise.all(APIS.slice(1).map((api) => openAt(server, ann.token, api, pids[0])));
			const herald = await person(server, 'Herald');
			const line = await conversation(server, herald, ann);
			await others[2].ask('join_channel', { channelId: rooms[0] });
			await others[2].ask('join_conversation', { conversationId: line });
			for (const one of others)
				one.heard = [];
			const guests = await gather(server, new Map(pids.map((pid) => [pid, 3])));
			const wires = await wiresAt(2);

			const asked = performance.now();
			await request(dan, 'DELETE', '/login/delete');
			const answered = performance.now();
			await Promise.all(pids.map((pid) => isRefused(dan, direct, guests.get(pid), wires.get(pid))));
			const refused = performance.now();
			await allEnded(sockets);
			for (const { api, one } of sockets) {
				if (api === 'notifications') {
					assert.deepEqual([one.heard, one.ended],
						[['UserIsDeleted'], { code: 1008, reason: 'UserIsDeleted' }]);
				} else {
					assert.deepEqual(one.heard.at(-1), { name: GOODBYE[api], args: [FAILED] });
					assert.deepEqual(one.disconnects, ['io server disconnect']);
				}
			}
			t.diagnostic(`answered after ${Math.round(answered - asked)} ms, ` +
				`${sockets.length} sockets closed by ${slowest(sockets, asked)} ms, ` +
				`refused everywhere by ${Math.round(refused - asked)} ms`);
			assert.ok(slowest(sockets, asked) < CLOSED_MS);

			for (const listener of listeners.values())
				await hearsAll(listener, dan, rooms);
			t.diagnostic(`${rooms.length} rooms left, and heard of at each worker, ` +
				`by ${Math.round(performance.now() - asked)} ms`);
			await assertLeftOnce(dan, ann, rooms);
			// In the other APIs it is no news, but that Dan went.
			await request(herald, 'POST', `/room/post/${line}`, { content: 'fence' }, 201);
			for (const one of others) {
				const said = () => one.heard.map(({ name, args: [body] }) => JSON.stringify([name, body]));
				await until(() => said().some((text) => text.includes('"fence"')), 'fence', { every: 5 });
				const gone = JSON.stringify(['user-leave', { user: dan.username }]);
				assert.deepEqual(said().filter((text) => !text.includes(herald.username) && text !== gone), []);
			}
			allLeave();
		});

		// Each API, and REST, at one worker.
		async function isRefused(user, room, [gatewayGuest, messengerGuest, channelsGuest], [wire, plain]) {
			for (const [guest, api] of [[gatewayGuest, 'gateway'], [messengerGuest, 'messenger']]) {
				await guest.join(`/${api}`, { token: user.token });
				await within(guest.ended, 'end of the guest');
				assert.deepEqual(guest.heard, [{ name: GOODBYE[api], args: [FAILED] }]);
			}
			await assert.rejects(channelsGuest.join('/channels', { token: user.token }),
				/refused: \{"message":"Authentication failed"\}/);
			for (const [method, path, body] of [
				['GET', '/login/me'], ['DELETE', '/login/delete'], ['GET', '/room/'], ['GET', `/room/posts/${room}`],
				['POST', `/room/post/${room}`, { content: 'still here' }], ['POST', '/room/create', { users: [] }],
				['GET', '/api/channels'], ['GET', '/api/conversations'], ['GET', '/api/rooms'], ['GET', '/api/stats'],
			]) {
				const { status } = await exchange(wire, method, path, user.token, body);
				assert.equal(status, 401, `${method} ${path}`);
			}
			plain.send(requestBytes({ path: `/room/websocket?token=${user.token}`, headers: upgradeHeaders() }));
			assert.deepEqual(await new WebSocket(plain, await plain.response()).closed(),
				{ before: ['"UserIsDeleted"'], code: 1008, reason: 'UserIsDeleted' });
			wire.destroy();
		}

		test('the name stays taken', async () => {
			for (const username of [dan.username, dan.username.toUpperCase()]) {
				const up = await rest(server, 'POST', '/login/signup', null, { username, password: PASSWORD });
				assert.equal(up.status, 409, up.body);
				const signIn = await rest(server, 'POST', '/login/signin', null, { username, password: PASSWORD });
				assert.equal(signIn.status, 401);
				const heir = { token: token({ sub: unique('heir'), username }) };
				assert.match((await request(heir, 'GET', '/login/me')).user.username, /^user-[0-9a-f]{12}$/);
			}
		});

		test('the direct room can be read, and not be written to', async () => {
			const name = encodeURIComponent([ann, dan].map(({ username }) => username).sort().join('/'));
			const contents = [
				(await request(ann, 'GET', `/room/posts/${direct}`)).posts,
				(await request(ann, 'GET', `/api/conversations/${direct}/messages`)).data,
			].map((list) => list.map(({ content }) => content));
			assert.deepEqual(contents, [['farewell'], ['farewell']]);
			const { messages } = await request(ann, 'GET', `/api/rooms/${name}/messages`);
			assert.deepEqual(messages.map(({ sender, text }) => [sender, text]), [[dan.username, 'farewell']]);
			const [gateway, messenger, channels] =
				await Promise.all(APIS.slice(1).map((api, i) => openAt(server, ann.token, api, pids[i])));
			const user = dan.username;
			const { chats } = await messenger.ask('fetch-conversation-with-user', { user });
			assert.deepEqual(chats.map(({ message }) => message), ['farewell']);
			assert.equal((await channels.ask('join_conversation', { conversationId: direct })).ok, true);

			const said = { content: 'are you there?', conversationId: direct };
			await request(ann, 'POST', `/room/post/${direct}`, { content: said.content }, 403);
			const denied = { ok: false, error: 'Access denied to conversation' };
			assert.deepEqual(await channels.ask('send_direct_message', said), denied);
			assert.deepEqual(await channels.ask('forward_to_direct',
				{ messageId: chats[0].id, targetConversationId: direct }), denied);
			assert.deepEqual(await gateway.ask('sendMessage', { room: decodeURIComponent(name), text: said.content }),
				{ message: 'The other user has deleted the account' });
			assert.deepEqual(await messenger.ask('send-message', { user, message: said.content }),
				{ error: { code: 'not-found', message: 'There is no such user' } });
			// The room of the two is the one that is there.
			assert.equal((await request(ann, 'POST', '/api/conversations', { userId: dan.id })).data.id, direct);
			assert.equal((await request(ann, 'GET', `/room/posts/${direct}`)).posts.length, 1);
			allLeave();
		});
	});

	test('what was on its way at that moment is refused, also where the room is not left yet', async () => {
		const [ann, dan] = [await person(server, 'Ann'), await signUp('Dan')];
		const { rooms, direct } = await makeRooms(dan, ann, 300);
		const room = rooms.at(-2);
		const { postId } = await request(dan, 'POST', `/room/post/${room}`, { content: 'mine' }, 201);
		// The rest of the rooms waits for the master.
		process.kill(server.pid, 'SIGSTOP');
		await request(dan, 'DELETE', '/login/delete');
		// As a worker would ask that has not heard of it.
		const verbs = [['room_enter', room, ''], ['room_posts', room, '', '10'], ['room_remove', room, dan.id],
			['room_add', room, ann.id], ['message_edit', postId, room, '', 'other'],
			['message_react', postId, room, '', 'x'], ['message_delete', postId, room, ''],
			['message_read', postId, ''], ['room_enter', direct, ''], ['direct_page', ann.username, '', '10'],
			['message_post', room, '', 'again', '', '', '', '0', '0', '0', '0']];
		for (const [name, ...args] of verbs)
			await assert.rejects(control.fcall(name, 0, dan.id, ...args), /^ReplyError: (NOTMEMBER|USERDELETED) /, name);
		assert.ok(await control.zscore(`room:${room}:members`, dan.id), 'it was not left yet');
		process.kill(server.pid, 'SIGCONT');
		await until(async () => await roomsToLeave(dan) === 0, 'all rooms left', { ms: LEFT_MS });
		await assertLeftOnce(dan, ann, rooms);
	});

	test('who connects at that very moment is out, too', async () => {
		const dan = await signUp('Dan');
		const seats = [];
		const letIn = () => seats.filter(({ one }) =>
			one.heard.some(({ name }) => ['updateChatHistory', 'authenticated'].includes(name)));
		let deleted = 0;     // how many there were by then
		const comeOn = async () => {
			for (let i = 0; deleted === 0 || i < deleted + 20; i++) {
				const api = APIS[i % APIS.length];
				seats.push(seatOf(api, knock(server, dan.token, api)));
				await sleep(2);
			}
		};
		const remove = async () => {
			await until(() => letIn().length > 4, 'first of them', { every: 1 });
			await request(dan, 'DELETE', '/login/delete');
			deleted = seats.length;
		};
		await Promise.all([comeOn(), remove()]);
		await until(() => seats.every(({ ended, refusals }) => ended !== null || refusals.length > 0), 'end of all');
		assert.ok(seats.slice(deleted).every((seat) => !letIn().includes(seat)), 'nobody is let in afterwards');
		await until(async () => await control.exists(`user:${dan.id}:workers`) === 0, 'nobody there');
	});

	test('a worker that is killed meanwhile changes nothing', async (t) => {
		const [ann, dan] = [await person(server, 'Ann'), await signUp('Dan')];
		const { rooms } = await makeRooms(dan, ann, ROOMS);
		// The last one hangs: it hears of nothing until it is killed.
		const victim = pids.at(-1);
		const sockets = await sitEverywhere(dan, { reconnection: true });
		const listeners = await listenEverywhere(ann);
		const [[wire]] = [...(await wiresAt(1)).values()];
		process.kill(victim, 'SIGSTOP');
		// The rest of the rooms waits for the master, as long as that takes here.
		process.kill(server.pid, 'SIGSTOP');
		const asked = performance.now();
		assert.equal((await exchange(wire, 'DELETE', '/login/delete', dan.token)).status, 200);
		await until(() => leftRooms(listeners.get(pids[0]), dan).length > 0, 'first room left', { every: 5 });
		const elsewhere = sockets.filter(({ pid }) => pid !== undefined && pid !== victim);
		await allEnded(elsewhere);
		const left = await roomsToLeave(dan);
		assert.ok(left > 0, 'it was killed in the middle');
		assert.ok(sockets.every(({ pid, ended }) => pid !== victim || ended === null), 'the victim hears nothing');
		process.kill(victim, 'SIGKILL');
		process.kill(server.pid, 'SIGCONT');

		// Its clients come again, at whichever worker, and are refused there.
		await allEnded(sockets);
		for (const { api, one, refusals } of sockets.filter(({ pid }) => pid === victim)) {
			if (api === 'notifications') {
				assert.equal(one.ended.code, 1006);
				assert.deepEqual(await new Listener(server, { token: dan.token }).closed(),
					{ code: 1008, reason: 'UserIsDeleted' });
			} else if (api === 'channels') {
				await until(() => refusals.includes(FAILED.message), 'refusal');
			} else {
				assert.deepEqual(await one.next(GOODBYE[api]), FAILED);
				await until(() => one.disconnects.length === 2, 'disconnect');
			}
			if (api !== 'notifications')
				assert.equal(one.socket.active, false);
		}
		for (const [pid, listener] of listeners) {
			if (pid !== victim)
				await hearsAll(listener, dan, rooms);
		}
		t.diagnostic(`killed with ${left} rooms to leave, ` +
			`all left by ${Math.round(performance.now() - asked)} ms`);
		await assertLeftOnce(dan, ann, rooms);
		allLeave();
	});

	test('if all of Confab is killed meanwhile, the rest of the rooms is left afterwards', async (t) => {
		await until(() => server.workers().length === 4, 'all workers');
		pids = server.workers().map(({ pid }) => pid);
		const [ann, dan] = [await person(server, 'Ann'), await signUp('Dan')];
		const { rooms, direct } = await makeRooms(dan, ann, ROOMS);
		const sockets = await sitEverywhere(dan);
		const listener = await openAt(server, ann.token, 'notifications', pids[0]);
		// So that the rest of the rooms waits for the next master.
		process.kill(server.pid, 'SIGSTOP');
		await request(dan, 'DELETE', '/login/delete');
		await until(() => leftRooms(listener, dan).length > 0, 'some of the rooms left', { every: 5 });
		await allEnded(sockets);
		server.noteFamily();
		const family = [...server.family.values()];
		control.disconnect();
		process.kill(server.pid, 'SIGKILL');
		await server.ended;
		// Workers and Redis go with their master.
		await until(() => !family.some(alive), 'end of all processes');
		const heard = leftRooms(listener, dan).map(({ roomId }) => roomId);
		assert.ok(heard.length < rooms.length, 'it was killed in the middle');

		server.status = null;
		server.launch();
		const launched = performance.now();
		await until(() => server.ready(), 'server that serves', { ms: 60_000 });
		assert.equal(server.status, null, server.tail());
		control = redis(server);
		pids = server.workers().map(({ pid }) => pid);
		const again = await openAt(server, ann.token, 'notifications', pids[1]);
		const left = await roomsToLeave(dan);
		assert.equal((await rest(server, 'GET', '/login/me', dan.token)).status, 401);
		await until(async () => await roomsToLeave(dan) === 0, 'all rooms left', { ms: LEFT_MS });
		t.diagnostic(`killed with ${rooms.length - heard.length} rooms to leave, all left ` +
			`${Math.round(performance.now() - launched)} ms after the new start`);
		await assertLeftOnce(dan, ann, rooms);
		await until(() => leftRooms(again, dan).length >= left, 'rooms left', { every: 5 });
		const now = leftRooms(again, dan).map(({ roomId }) => roomId);
		assert.equal(new Set([...heard, ...now]).size, heard.length + now.length, 'each room once');
		await request(ann, 'POST', `/room/post/${direct}`, { content: 'are you there?' }, 403);
	});
});

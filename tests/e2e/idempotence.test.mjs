// clientMessageId at every door that sends: the same id again is the first message, and nothing is sent twice.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { enter, leaveAll } from '../lib/chatter.mjs';
import { Cast, DOORS } from '../lib/doors.mjs';
import { hangUpAll } from '../lib/listener.mjs';
import { unique } from '../lib/people.mjs';
import { redis } from '../lib/redis.mjs';
import { rest } from '../lib/rest.mjs';
import { start } from '../lib/server.mjs';

const wait = { timeout: 120_000 };
const OTHER_KIND = 'clientMessageId was used in a room of another kind';

// How each API says that about a field.
const blames = {
	channels: (text) => `Invalid message data: ${text}`,
	gateway: (text) => text,
	messenger: (text) => text,
	rest: (text) => text,
};

describe('clientMessageId', { timeout: 600_000 }, () => {
	let server;
	let c;
	let control;
	before(async () => {
		server = await start();
		c = await Cast.gather(server);
		control = redis(server);
	});
	after(async () => {
		leaveAll();
		hangUpAll();
		control?.disconnect();
		await server?.stop();
	});

	for (const [first, { api, kind }] of Object.entries(DOORS)) {
		test(`sent by ${first} (${api}), then again by every door`, wait, async () => {
			await c.heard();
			const clientMessageId = unique('id');
			// At once, and with another text: one message.
			const answers = await Promise.all(['a', 'a', 'b'].map((text) => c.ask(first, text, { clientMessageId })));
			for (const answer of answers) {
				delete answer.headers;
				assert.deepEqual(answer, answers[0]);
			}
			const { id } = await c.send(first, 'c', { clientMessageId });
			for (const [name, door] of Object.entries(DOORS)) {
				const again = await c.send(name, 'other', { clientMessageId });
				if (door.shows.includes(kind))
					assert.equal(again.id, id, name);
				else
					assert.equal(again.refusal, blames[door.api](OTHER_KIND), name);
			}
			assert.deepEqual(await c.heard(), [id]);
		});
	}

	for (const [name, { api }] of Object.entries(DOORS)) {
		test(`${name} (${api}): what an id may be`, wait, async () => {
			await c.heard();
			const sent = new Set();
			for (const clientMessageId of ['x', unique('i').padEnd(64, 'x'), '😀'.repeat(64), '%: \t"', null]) {
				const { id, refusal } = await c.send(name, 'fine', { clientMessageId });
				assert.ok(id, `${clientMessageId}: ${refusal}`);
				sent.add(id);
			}
			for (const clientMessageId of ['', 'x'.repeat(65), '😀'.repeat(65), 7, true, ['x'], { x: 1 }, 'a\0b']) {
				const { id, refusal, status, errors } = await c.send(name, 'wrong', { clientMessageId });
				assert.equal(id, undefined, JSON.stringify(clientMessageId));
				assert.match(refusal, /clientMessageId /, JSON.stringify(clientMessageId));
				if (api === 'rest')
					assert.deepEqual([status, Object.keys(errors)], [422, ['clientMessageId']]);
			}
			// Those that were fine may have been said by a door before this one.
			for (const id of await c.heard())
				assert.ok(sent.has(id), `${id} was sent for a wrong one`);
			await control.del(...await control.keys(`user:${c.ann.id}:sent:*`));
		});

		test(`${name} (${api}): it is looked at before rights`, wait, async () => {
			const own = await Cast.gather(server);
			const clientMessageId = unique('id');
			const { id } = await own.send(name, 'said', { clientMessageId });
			await own.heard();
			// Neither in the channel any more, nor is there anybody to write to.
			assert.equal((await rest(server, 'POST', `/room/leave/${own.channel}`, own.ann.token)).status, 200);
			await control.hset(`user:${own.bob.id}`, 'deleted', Date.now());
			assert.ok((await own.send(name, 'new')).refusal, 'was let in');
			assert.equal((await own.send(name, 'said', { clientMessageId })).id, id);
			await control.hdel(`user:${own.bob.id}`, 'deleted');
			assert.deepEqual(await own.heard(), ['UserLeftRoom']);
		});
	}

	test('an edit has none', wait, async () => {
		const { channels } = c.sockets;
		const { id } = await c.send('send_message', 'mine', { clientMessageId: unique('id') });
		const ref = { channelId: c.channel, messageId: id, clientMessageId: 'the same' };
		for (const content of ['one', 'two']) {
			const { ok, message } = await channels.ask('edit_message', { ...ref, content });
			assert.deepEqual([ok, message.content], [true, content]);
		}
	});

	test('nor has the lobby', wait, async () => {
		const one = await enter(server, { nsp: '/lobby' });
		await one.ask('login', { name: 'one', room: 'once' });
		for (let i = 0; i < 2; i++)
			await one.ask('roomMessage', 'again');
		await one.ask('roomMessage', 'fence');
		await one.next('roomMessage', ({ message }) => message === 'fence');
		assert.deepEqual(one.all('roomMessage').map(({ message }) => message), ['again', 'again', 'fence']);
	});
});

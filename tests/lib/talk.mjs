// A conversation that goes on while a test does something to the server: numbered messages into a channel, and
// who hears them. What was not acknowledged is said again afterwards, as clients do.
import assert from 'node:assert/strict';
import { enter } from './chatter.mjs';
import { channel, person, unique } from './people.mjs';
import { pool, sleep, until } from './wait.mjs';

const PATIENCE_MS = 30_000;

export class Talk {
	refusals = new Map();    // an error's text → how often
	said = [];               // { n, id }, as acknowledged
	#open = new Map();       // number → what is to be said again
	#underWay = new Set();
	#n = 0;

	static async begin(server, { listeners = 2, every = 10 } = {}) {
		const talk = new Talk();
		talk.server = server;
		talk.every = every;
		talk.ann = await person(server, 'Ann');
		talk.room = await channel(server, talk.ann);
		talk.stem = unique('talk');
		const come = async () => {
			const one = await enter(server, { token: talk.ann.token });
			assert.equal((await one.ask('join_channel', { channelId: talk.room })).ok, true);
			return one;
		};
		talk.sender = await come();
		talk.listeners = [];
		for (let i = 0; i < listeners; i++)
			talk.listeners.push(await come());
		return talk;
	}

	async #say(n) {
		this.#open.set(n, true);
		const { socket } = this.sender;
		// What a client without a connection is given, it keeps and waits.
		const answer = !socket.connected ? { error: 'no connection' } :
			await socket.timeout(PATIENCE_MS).emitWithAck('send_message',
				{ channelId: this.room, content: String(n), clientMessageId: `${this.stem}-${n}` })
				.catch((error) => ({ error: `no answer: ${error.message}` }));
		if (answer.ok) {
			this.#open.delete(n);
			this.said.push({ n, id: answer.message.id });
		} else {
			this.refusals.set(answer.error, (this.refusals.get(answer.error) ?? 0) + 1);
		}
	}

	// Talks while `work` is done.
	async during(work) {
		let over = false;
		const talking = (async () => {
			while (!over) {
				const one = this.#say(++this.#n).finally(() => this.#underWay.delete(one));
				this.#underWay.add(one);
				await sleep(this.every);
			}
		})();
		try {
			return await work();
		} finally {
			over = true;
			await talking;
		}
	}

	// All that was said is acknowledged in the end.
	async settle(ms = PATIENCE_MS) {
		await Promise.all(this.#underWay);
		await until(async () => {
			await pool(this.#open.keys(), 8, (n) => this.#say(n));
			return this.#open.size === 0;
		}, 'acknowledgement of all', { ms, every: 50 });
	}

	// Everybody heard each message once, in order, and nobody was cut off.
	async check({ ms = PATIENCE_MS } = {}) {
		for (const [i, one] of this.listeners.entries()) {
			const missing = () => {
				const heard = new Set(one.all('new_message').map(({ id }) => id));
				return this.said.filter(({ id }) => !heard.has(id)).map(({ n }) => n);
			};
			await until(() => missing().length === 0, 'all that was said', { ms }).catch(() => {});
			assert.deepEqual(missing(), [], `acknowledged and lost (listener ${i})`);
			const heard = one.all('new_message');
			const ids = heard.map(({ id }) => id);
			assert.equal(new Set(heard.map(({ content }) => content)).size, heard.length, `listener ${i} heard some twice`);
			assert.deepEqual(ids, [...ids].sort((a, b) => (a < b ? -1 : 1)), `listener ${i} heard them out of order`);
		}
		for (const one of [this.sender, ...this.listeners])
			assert.deepEqual(one.disconnects, []);
	}
}

// What Prometheus reads, read strictly: the text exposition format 0.0.4.
import assert from 'node:assert/strict';
import { request } from './wire.mjs';

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"';
const SAMPLE = new RegExp(`^(${NAME})(?:\\{((?:${LABEL})(?:,${LABEL})*)\\})? (\\d+(?:\\.\\d+)?)$`);
const KINDS = ['counter', 'gauge', 'histogram'];

// Those that came, those that went, those that are there: the first is the sum of the others.
export const PASSAGES = {
	clients: ['confab_connects_total', 'confab_disconnects_total', 'confab_connections'],
	sockets: ['confab_socket_connects_total', 'confab_socket_disconnects_total', 'confab_sockets'],
	tcp: ['confab_tcp_connects_total', 'confab_tcp_disconnects_total', 'confab_tcp_connections'],
};

export class Metrics {
	families = new Map();    // name → { kind, help, samples: [{ name, labels, value }] }
	series = new Map();      // a sample's name and labels, as they stand there → value

	constructor(text) {
		assert.ok(text.endsWith('\n'), 'the last line ends');
		let family;
		for (const line of text.slice(0, -1).split('\n'))
			family = this.#line(line, family);
	}

	// HELP, TYPE, then all samples of one family; then the next.
	#line(line, family) {
		const [, keyword, name, rest] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
		if (keyword === 'HELP') {
			assert.ok(!this.families.has(name), `${name} comes once`);
			this.families.set(name, { name, help: rest, samples: [] });
			return this.families.get(name);
		}
		if (keyword === 'TYPE') {
			assert.equal(name, family?.name, 'TYPE follows HELP');
			assert.ok(family.kind === undefined && KINDS.includes(rest), line);
			family.kind = rest;
			return family;
		}
		this.#sample(line, family);
		return family;
	}

	#sample(line, family) {
		const [, name, labels = '', value] = SAMPLE.exec(line) ?? [];
		assert.ok(name, `a line that is no sample: ${line}`);
		const ending = name.slice(family.name.length);
		assert.ok(name.startsWith(family.name), line);
		assert.ok(family.kind === 'histogram' ? ['_bucket', '_sum', '_count'].includes(ending) : ending === '', line);
		const key = `${name}{${labels}}`;
		assert.ok(!this.series.has(key), `twice: ${key}`);
		this.series.set(key, Number(value));
		const pairs = [...labels.matchAll(/([a-zA-Z0-9_]+)="((?:[^"\\]|\\.)*)"/g)].map(([, k, v]) => [k, v]);
		family.samples.push({ name, labels: Object.fromEntries(pairs), value: Number(value) });
	}

	// The samples of that name with these labels.
	samples(name, labels = {}) {
		const family = this.families.get(name) ?? this.families.get(name.replace(/_(bucket|sum|count)$/, ''));
		assert.ok(family, `there is no ${name}`);
		return family.samples.filter((sample) => sample.name === name &&
			Object.entries(labels).every(([key, value]) => sample.labels[key] === String(value)));
	}

	sum(name, labels) {
		return this.samples(name, labels).reduce((all, { value }) => all + value, 0);
	}

	// Fails unless all that came to each worker is there or went.
	accounted() {
		for (const { labels: { worker } } of this.samples('confab_worker_up')) {
			for (const [kind, [came, went, there]] of Object.entries(PASSAGES))
				assert.equal(this.sum(came, { worker }) - this.sum(went, { worker }), this.sum(there, { worker }),
					`${kind} of worker ${worker}`);
		}
		return this;
	}

	// The series that only ever grow.
	get growing() {
		return [...this.families.values()].filter(({ kind }) => kind !== 'gauge')
			.flatMap(({ samples }) => samples.map(({ name, labels, value }) =>
				[`${name} ${JSON.stringify(labels)}`, value]));
	}
}

export async function scrape(server, headers = {}) {
	const answer = await request(server.port, { path: '/metrics', headers });
	assert.equal(answer.status, 200, answer.body);
	return new Metrics(answer.body);
}

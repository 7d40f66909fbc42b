// What Prometheus reads: its format, that it adds up, that it outlives workers; and the board that shows it.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { enter, leaveAll, workerOfChatter } from '../lib/chatter.mjs';
import { Listener, hangUpAll } from '../lib/listener.mjs';
import { Metrics, PASSAGES, scrape } from '../lib/metrics.mjs';
import { channel, person } from '../lib/people.mjs';
import { RedisChild } from '../lib/redis.mjs';
import { rest } from '../lib/rest.mjs';
import { ROOT, start } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';
import { Wire, request, requestBytes } from '../lib/wire.mjs';

const WORKERS = 4;
const HISTOGRAMS = ['confab_delivery_seconds', 'confab_redis_call_seconds', 'confab_rest_request_seconds'];

const noPromtool = spawnSync('promtool', ['--version']).error && 'there is no promtool (scripts/setup --dev)';

function promtool(args, input) {
	const { status, stdout, stderr } = spawnSync('promtool', args, { input, encoding: 'utf8' });
	assert.equal(status, 0, stdout + stderr);
	return stdout + stderr;
}

// From one scrape to another: by how much the samples of that name and labels have grown, in all.
function growth(one, other) {
	return (name, labels) => other.sum(name, labels) - one.sum(name, labels);
}

function open(metrics, labels) {
	return metrics.sum('confab_connects_total', labels) - metrics.sum('confab_disconnects_total', labels);
}

describe('metrics', { timeout: 300_000 }, () => {
	let server;
	let ann;
	let id;
	before(async () => {
		server = await start({ options: { workers: WORKERS } });
		ann = await person(server, 'Ann');
		id = await channel(server, ann);
	});
	after(async () => {
		leaveAll();
		hangUpAll();
		await server?.stop();
	});

	// A scrape in which so many clients are connected, in so many sockets.
	const settled = (n) => until(async () => {
		const now = await scrape(server);
		return now.sum('confab_connections') === n && now.sum('confab_sockets') === n && now.accounted();
	}, `metrics of ${n} clients`);

	// Clients in the channel, at least one on every worker, and the worker of each.
	const gather = async () => {
		const crowd = [];
		const homes = [];
		await until(async () => {
			const one = await enter(server, { token: ann.token });
			crowd.push(one);
			homes.push(workerOfChatter(server, one));
			return new Set(homes).size === WORKERS;
		}, 'client on every worker', { every: 0, ms: 60_000 });
		for (const one of crowd)
			assert.equal((await one.ask('join_channel', { channelId: id })).ok, true);
		return { crowd, homes };
	};

	test('come as text in the format 0.0.4, on HEAD without it', async () => {
		for (const method of ['GET', 'HEAD']) {
			const answer = await request(server.port, { method, path: '/metrics' });
			assert.equal(answer.status, 200);
			assert.equal(answer.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
			assert.equal(answer.body.length > 0, method === 'GET');
		}
		assert.equal((await request(server.port, { method: 'POST', path: '/metrics' })).status, 405);
	});

	test('each has a help, a kind and a fitting name', async () => {
		const { families } = await scrape(server);
		assert.ok(families.size > 20);
		for (const { name, kind, help, samples } of families.values()) {
			assert.match(name, /^confab_[a-z_]+$/);
			assert.match(help, /\.$/, name);
			assert.equal(name.endsWith('_total'), kind === 'counter', name);
			assert.equal(kind === 'histogram', HISTOGRAMS.includes(name), name);
			assert.ok(samples.length > 0, name);
		}
	});

	test('a histogram counts in buckets that include those below', async () => {
		const metrics = await scrape(server);
		for (const name of HISTOGRAMS) {
			for (let worker = 0; worker < WORKERS; worker++) {
				const buckets = metrics.samples(`${name}_bucket`, { worker });
				const bounds = buckets.map(({ labels: { le } }) => le === '+Inf' ? Infinity : Number(le));
				assert.deepEqual(bounds, [...bounds].sort((a, b) => a - b));
				assert.deepEqual([bounds[0], bounds.at(-2), bounds.at(-1)], [0.0001, 10, Infinity]);
				buckets.reduce((below, { value }) => (assert.ok(value >= below, name), value), 0);
				assert.equal(buckets.at(-1).value, metrics.sum(`${name}_count`, { worker }));
			}
		}
	});

	test('promtool accepts them', { skip: noPromtool }, async () => {
		const { body } = await request(server.port, { path: '/metrics' });
		assert.equal(promtool(['check', 'metrics'], body), '');
	});

	test('any worker answers for all', async () => {
		const answers = await Promise.all(Array.from({ length: 16 }, () => scrape(server)));
		const pids = server.workers().map(({ pid }) => pid);
		for (const metrics of answers) {
			for (const name of ['confab_worker_up', 'confab_redis_up'])
				assert.deepEqual(metrics.samples(name).map(({ labels, value }) => [labels.worker, value]),
					Array.from({ length: WORKERS }, (_, worker) => [String(worker), 1]));
			assert.equal(metrics.samples('confab_build_info')[0].value, 1);
		}
		const [metrics] = answers;
		assert.equal(pids.length, WORKERS);
		const generations = metrics.samples('confab_worker_generation').map(({ value }) => value);
		assert.equal(new Set(generations).size, WORKERS);
		for (const { value } of metrics.samples('confab_worker_start_time_seconds'))
			assert.ok(Math.abs(Date.now() / 1000 - value) < 300, String(value));
	});

	test('what a worker uses is what the system says', async () => {
		const metrics = await scrape(server);
		const known = server.workers().map(({ pid }) => ({
			memory: 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]),
			files: fs.readdirSync(`/proc/${pid}/fd`).length,
		}));
		const memory = metrics.samples('confab_worker_resident_memory_bytes').map(({ value }) => value);
		const files = metrics.samples('confab_worker_open_fds').map(({ value }) => value);
		// They were measured a while ago.
		const all = (list) => list.reduce((sum, n) => sum + n, 0);
		const near = (is, wanted) => assert.ok(is > wanted / 2 && is < wanted * 2, `${is} is not near ${wanted}`);
		near(all(memory), all(known.map((one) => one.memory)));
		near(all(files), all(known.map((one) => one.files)));
	});

	test('counts add up over all workers', async () => {
		leaveAll();
		const empty = await settled(0);
		const { crowd, homes } = await gather();
		for (const travel of ['polling', 'upgrade']) {
			const one = await enter(server, { token: ann.token, travel });
			await one.ask('join_channel', { channelId: id });
			crowd.push(one);
		}
		for (const one of crowd)
			await one.fence();
		const first = await settled(crowd.length);
		const came = growth(empty, first);
		assert.equal(came('confab_connects_total'), crowd.length);
		assert.equal(came('confab_disconnects_total'), 0);
		// Each joined, and asked for a pong.
		assert.equal(came('confab_events_total', { api: 'channels' }), 2 * crowd.length);
		assert.equal(first.sum('confab_sockets', { api: 'channels' }), crowd.length);
		assert.equal(first.sum('confab_users') >= WORKERS, true);

		const said = 10;
		const heard = () => crowd.reduce((sum, one) => sum + one.count('new_message'), 0);
		for (let i = 0; i < said; i++)
			assert.equal((await crowd[i % crowd.length].ask('send_message', { channelId: id, content: `n ${i}` })).ok, true);
		await until(() => heard() === said * crowd.length, 'all messages at all');
		const second = await settled(crowd.length);
		const told = growth(first, second);
		assert.equal(told('confab_events_total', { api: 'channels' }), said);
		assert.equal(told('confab_events_total'), said);
		assert.equal(told('confab_deliveries_total'), heard());
		assert.ok(told('confab_redis_calls_total') >= said);
		assert.ok(told('confab_redis_call_seconds_count') >= said);
		// Once for each message and worker, and none took as long as this test may.
		const times = told('confab_delivery_seconds_count');
		assert.equal(times, said * new Set(homes).size);
		assert.ok(told('confab_delivery_seconds_sum') > 0);
		assert.equal(told('confab_delivery_seconds_bucket', { le: '10' }), times);
		assert.equal(open(second), crowd.length);
		for (let worker = 0; worker < WORKERS; worker++)
			assert.equal(open(second, { worker }), second.sum('confab_connections', { worker }));

		leaveAll();
		const last = await settled(0);
		assert.equal(growth(second, last)('confab_disconnects_total'), crowd.length);
		assert.equal(last.sum('confab_users'), 0);
		assert.equal(open(last), 0);
	});

	test('what is told again to one who comes back is delivered, but not late', async () => {
		const { crowd, homes } = await gather();
		const late = await enter(server, { token: ann.token, reconnection: true });
		await late.ask('join_channel', { channelId: id });
		const first = await settled(crowd.length + 1);
		late.engine.close();
		await late.disconnected();
		for (let i = 0; i < 3; i++)
			assert.equal((await crowd[0].ask('send_message', { channelId: id, content: `missed ${i}` })).ok, true);
		await until(() => late.socket.connected && late.count('new_message') === 3, 'what was missed');
		assert.equal(late.socket.recovered, true);
		for (const one of crowd)
			await until(() => one.count('new_message') === 3, 'all messages');
		const grown = growth(first, await settled(crowd.length + 1));
		assert.equal(grown('confab_deliveries_total'), 3 * (crowd.length + 1));
		assert.equal(grown('confab_delivery_seconds_count'), 3 * new Set(homes).size);
		leaveAll();
		await settled(0);
	});

	test('plain WebSockets count, too', async () => {
		const first = await settled(0);
		const listener = await new Listener(server, { token: ann.token }).opened();
		listener.socket.send('ignored');
		const second = await until(async () => {
			const now = await scrape(server);
			return growth(first, now)('confab_events_total', { api: 'notifications' }) === 1 && now;
		}, 'its message among the events');
		assert.equal(second.sum('confab_sockets', { api: 'notifications' }), 1);
		hangUpAll();
		const last = await settled(0);
		assert.equal(growth(first, last)('confab_connects_total'), 1);
		assert.equal(growth(first, last)('confab_disconnects_total'), 1);
	});

	test('REST answers by status', async () => {
		const first = await scrape(server);
		for (let i = 0; i < 5; i++)
			assert.equal((await rest(server, 'GET', '/api/channels', ann.token)).status, 200);
		for (let i = 0; i < 3; i++)
			assert.equal((await rest(server, 'GET', '/api/channels')).status, 401);
		assert.equal((await rest(server, 'GET', '/nowhere')).status, 404);
		const second = await until(async () => {
			const now = await scrape(server);
			return growth(first, now)('confab_rest_responses_total', { code: '4xx' }) === 4 && now;
		}, 'all of them counted');
		const grown = growth(first, second);
		// The scrapes are answers as well.
		assert.ok(grown('confab_rest_responses_total', { code: '2xx' }) >= 6);
		assert.equal(grown('confab_rest_responses_total', { code: '5xx' }), 0);
		assert.ok(grown('confab_rest_request_seconds_count') >= 9);
		assert.ok(grown('confab_http_requests_total') >= 10);
	});

	test('after a worker was killed nothing goes backwards, and its clients are accounted for', async () => {
		const { crowd, homes } = await gather();
		const first = await settled(crowd.length);
		const [victim] = homes;
		const lost = homes.filter((home) => home === victim).length;
		const seen = [first];
		let busy = true;
		const watch = (async () => {
			// A scrape may have been the killed one's.
			while (busy)
				await scrape(server).then((now) => seen.push(now), () => {});
		})();
		process.kill(victim, 'SIGKILL');
		await until(() => server.workers().length === WORKERS &&
			!server.workers().some(({ pid }) => pid === victim), 'successor');
		const survivors = crowd.filter((_, i) => homes[i] !== victim);
		for (const one of survivors)
			assert.equal((await one.ask('send_message', { channelId: id, content: 'still' })).ok, true);
		const last = await until(async () => {
			const now = await scrape(server);
			return now.sum('confab_worker_up') === WORKERS && now.sum('confab_redis_up') === WORKERS &&
				now.sum('confab_connections') === survivors.length && now;
		}, 'successor that serves');
		busy = false;
		await watch;
		seen.push(await scrape(server));
		assert.ok(seen.length > 3, String(seen.length));
		let before = new Map();
		for (const metrics of seen) {
			for (const [series, value] of metrics.growing)
				assert.ok(value >= (before.get(series) ?? 0), `${series} went back to ${value}`);
			before = new Map(metrics.growing);
		}

		const grown = growth(first, last);
		for (const name of ['confab_disconnects_total', 'confab_socket_disconnects_total'])
			assert.equal(grown(name, { reason: 'worker ended' }), lost, name);
		// Perhaps with the connections of a scrape.
		assert.ok(grown('confab_tcp_disconnects_total', { reason: 'worker ended' }) >= lost);
		await until(async () => (await scrape(server)).accounted(), 'all accounted for');
		assert.equal(open(last), survivors.length);
		assert.equal(grown('confab_worker_starts_total'), 1);
		const [worker] = Array.from({ length: WORKERS }, (_, i) => i)
			.filter((i) => grown('confab_worker_starts_total', { worker: i }) === 1);
		assert.ok(grown('confab_worker_generation', { worker }) > 0);
		assert.equal(last.sum('confab_connections', { worker }), 0);
		assert.equal(last.sum('confab_sockets', { worker }), 0);
		assert.ok(last.sum('confab_events_total', { worker }) > 0, 'what its predecessor counted');
		leaveAll();
		await settled(0);
	});

	test('workers that are replaced in peace lose nobody', async () => {
		const { crowd } = await gather();
		const first = await settled(crowd.length);
		process.kill(server.pid, 'SIGHUP');
		const last = await until(async () => {
			const now = await scrape(server);
			const grown = growth(first, now);
			return grown('confab_worker_starts_total') === WORKERS && now.sum('confab_redis_up') === WORKERS &&
				grown('confab_tcp_disconnects_total', { reason: 'going away' }) >= crowd.length &&
				now.sum('confab_connections') === 0 && now;
		}, 'successors of all, and the end of those before');
		const grown = growth(first, last);
		assert.equal(grown('confab_disconnects_total', { reason: 'going away' }), crowd.length);
		assert.equal(grown('confab_disconnects_total'), crowd.length);
		for (const name of ['confab_socket_disconnects_total', 'confab_tcp_disconnects_total'])
			assert.ok(grown(name, { reason: 'going away' }) >= crowd.length, name);
		for (const [, went] of Object.values(PASSAGES))
			assert.equal(grown(went, { reason: 'worker ended' }), 0, went);
		assert.equal(open(last), 0);
		assert.equal(last.sum('confab_worker_up'), WORKERS);
	});

	test('the board asks for what is there, and for all of it', async () => {
		const { families } = await scrape(server);
		const board = JSON.parse(fs.readFileSync(path.join(ROOT, 'docs/grafana.json'), 'utf8'));
		const queries = board.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
		const asked = new Set(queries.join(' ').match(/confab_\w+/g)
			.map((name) => name.replace(/(_seconds)_(bucket|sum|count)$/, '$1')));
		assert.deepEqual([...asked].sort(), [...families.keys()].sort());
		const ids = board.panels.map((panel) => panel.id);
		assert.equal(new Set(ids).size, ids.length);
		for (const { name, labels } of [...families.values()].map(({ samples: [one] }) => one))
			assert.ok(labels.worker !== undefined || name === 'confab_build_info', name);
	});

	test('its queries are PromQL', { skip: noPromtool }, () => {
		const board = JSON.parse(fs.readFileSync(path.join(ROOT, 'docs/grafana.json'), 'utf8'));
		const queries = board.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
			.map((expr) => expr.replaceAll('$__rate_interval', '5m').replaceAll('$instance', '.*'));
		assert.ok(queries.length > 30);
		for (const query of queries)
			assert.doesNotMatch(query, /\$/);
		const rules = { groups: [{ name: 'board', rules: queries.map((expr, i) => ({ record: `q${i}`, expr })) }] };
		const file = path.join(server.dir, 'rules.json');
		fs.writeFileSync(file, JSON.stringify(rules));
		promtool(['check', 'rules', file]);
	});

	test('the page on operations names all of them', async () => {
		const { families } = await scrape(server);
		const page = fs.readFileSync(path.join(ROOT, 'docs/operations.md'), 'utf8');
		for (const name of families.keys())
			assert.ok(page.includes(`\`${name}\``), name);
	});
});

test('with a metrics-token, who shows it may read', { timeout: 60_000 }, async () => {
	const server = await start({ options: { 'metrics-token': 'open sesame' } });
	try {
		const ask = (Authorization) => request(server.port,
			{ path: '/metrics', headers: Authorization ? { Authorization } : {} });
		const ann = await person(server, 'Ann');
		for (const wrong of [undefined, 'Bearer open sesam', 'Bearer open sesamf', 'Bearer ', `Bearer ${ann.token}`])
			assert.equal((await ask(wrong)).status, 401, wrong);
		const answer = await ask('Bearer open sesame');
		assert.equal(answer.status, 200);
		assert.ok(new Metrics(answer.body).families.size > 20);
		assert.equal((await request(server.port, { path: '/health' })).status, 200);
	} finally {
		await server.stop();
	}
});

test('connections that find no descriptor are counted, and served later', { timeout: 60_000 }, async () => {
	const server = await start({ options: { workers: 1 } });
	try {
		const [{ pid }] = server.workers();
		const watcher = await Wire.connect(server.port);
		const read = async () => {
			watcher.send(requestBytes({ path: '/metrics' }));
			return new Metrics((await watcher.response()).body);
		};
		assert.equal((await read()).sum('confab_accept_failures_total'), 0);
		const limit = (n) => execFileSync('prlimit', ['--pid', String(pid), `--nofile=${n}:`]);
		const few = Math.max(...fs.readdirSync(`/proc/${pid}/fd`).map(Number)) + 1;
		limit(few);
		const waiting = await Promise.all(Array.from({ length: few }, () => Wire.connect(server.port)));
		await until(async () => (await read()).sum('confab_accept_failures_total') > 0, 'a failure');
		limit(few + 2 * waiting.length);
		for (const one of waiting) {
			one.send(requestBytes({ path: '/health' }));
			assert.equal((await one.response()).status, 200);
			one.destroy();
		}
		watcher.destroy();
	} finally {
		await server.stop();
	}
});

test('without Redis they are there, and say so', { timeout: 60_000 }, async () => {
	const child = await RedisChild.start();
	const server = await start({ options: { redis: child.address } });
	try {
		assert.equal((await scrape(server)).sum('confab_redis_up'), WORKERS);
		child.process.kill('SIGKILL');
		await child.ended;
		await until(async () => (await scrape(server)).sum('confab_redis_up') === 0, 'Redis away at all workers');
		assert.equal((await request(server.port, { path: '/health' })).status, 503);
		await until(async () => (await scrape(server)).sum('confab_rest_responses_total', { code: '5xx' }) > 0,
			'its answer counted');
	} finally {
		await server.stop();
		fs.rmSync(child.dir, { recursive: true, force: true });
	}
});

// Clients who mean harm.
import { scrape } from './metrics.mjs';
import { stat } from './procs.mjs';
import { cpuOf } from './usage.mjs';
import { sleep, until } from './wait.mjs';

const CHUNK = 64 * 1024;
const QUIET_MS = 300;

// Sends `bytes` again and again, about `total` in all, as fast as they are taken; stops when nothing more is
// taken though the worker `pid` has nothing to do, or the connection ended. Gives how many bytes were taken.
export async function pour(wire, bytes, total, pid) {
	const times = Math.max(1, Math.floor(CHUNK / bytes.length));
	const chunk = Buffer.concat(Array.from({ length: times }, () => Buffer.from(bytes)));
	let sent = 0;
	let stuck = false;
	while (sent < total && !stuck && !wire.ended) {
		wire.send(chunk);
		sent += chunk.length;
		stuck = !await taken(wire, pid);
	}
	return sent - wire.unsent;
}

async function taken(wire, pid) {
	for (;;) {
		const before = cpuOf(pid);
		const unsent = wire.unsent;
		const all = await until(() => wire.unsent === 0 || wire.ended, 'room', { ms: QUIET_MS, every: 2 })
			.then(() => true, () => false);
		// Others on this machine may keep it from its work: it sleeps only when it has none.
		const idle = stat(pid).state === 'S' && cpuOf(pid) - before < QUIET_MS / 4;
		if (all || (idle && wire.unsent === unsent))
			return all;
	}
}

// The largest value of a gauge, summed over the workers, while `work` was done.
export async function highest(server, name, work) {
	let most = 0;
	let over = false;
	const look = (async () => {
		while (!over) {
			most = Math.max(most, (await scrape(server)).sum(name));
			await sleep(50);
		}
	})();
	const result = await work().finally(() => { over = true; });
	await look;
	most = Math.max(most, (await scrape(server)).sum(name));
	return { most, result };
}

// How clients left since `before`: reason → how many.
export async function departures(server, before) {
	const now = await scrape(server);
	const left = {};
	for (const { labels, value } of now.samples('confab_disconnects_total')) {
		const grown = value - before.sum('confab_disconnects_total', { reason: labels.reason, worker: labels.worker });
		if (grown > 0)
			left[labels.reason] = (left[labels.reason] ?? 0) + grown;
	}
	return left;
}

// Nothing is connected any more but what was before, and this look.
export async function allGone(server, before, bound) {
	const was = before.sum('confab_tcp_connections');
	await until(async () => (await scrape(server)).sum('confab_tcp_connections') <= was, 'end of all connections', bound);
	return scrape(server);
}

// What processes have used, from /proc: CPU of all their threads, memory they hold alone or share.
import fs from 'node:fs';

function read(path) {
	try {
		return fs.readFileSync(path, 'latin1');
	} catch {
		return '';       // it ended
	}
}

function threads(pid) {
	try {
		return fs.readdirSync(`/proc/${pid}/task`);
	} catch {
		return [];
	}
}

// Thread → µs of CPU so far. By schedstat, which counts ns where stat counts hundredths of a second.
export function cpuOf(pids) {
	const used = new Map();
	for (const pid of pids) {
		for (const thread of threads(pid))
			used.set(thread, parseInt(read(`/proc/${pid}/task/${thread}/schedstat`), 10) / 1000 || 0);
	}
	return used;
}

// µs of CPU between two of these.
export function cpuBetween(before, after) {
	let sum = 0;
	for (const [thread, us] of after)
		sum += us - (before.get(thread) ?? 0);
	return sum;
}

// Bytes of memory; what n processes share counts for a nth in each.
export function memoryOf(pids) {
	let sum = 0;
	for (const pid of pids)
		sum += 1024 * Number(/^Pss:\s+(\d+)/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0);
	return sum;
}

export function nameOf(pid) {
	return read(`/proc/${pid}/comm`).trim();
}

// What a process uses, as /proc knows it.
import fs from 'node:fs';
import { VARIANT } from './server.mjs';

// clear_refs: the peak of VmHWM begins anew.
const FORGET_PEAK = '5';
const TICK_MS = 10;

function kilobytes(pid, name) {
	const text = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
	return 1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)[1]);
}

// Bytes of memory that are its own.
export function memoryOf(pid) {
	return kilobytes(pid, 'RssAnon');
}

// The most bytes that it had in memory since forgetPeak.
export function peakOf(pid) {
	return kilobytes(pid, 'VmHWM');
}

export function forgetPeak(pid) {
	fs.writeFileSync(`/proc/${pid}/clear_refs`, FORGET_PEAK);
}

// Milliseconds of processor time so far.
export function cpuOf(pid) {
	const text = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
	const [user, system] = text.slice(text.lastIndexOf(')') + 2).split(' ').slice(11, 13);
	return (Number(user) + Number(system)) * TICK_MS;
}

export function descriptorsOf(pid) {
	return fs.readdirSync(`/proc/${pid}/fd`).length;
}

// Whether memory says anything: a sanitizer keeps what was freed, and more.
export const MEMORY_COUNTS = VARIANT === 'release';

export function mib(bytes) {
	return `${(bytes / 2 ** 20).toFixed(2)} MiB`;
}

// How much the worker's memory peaked above where it was, while `work` was done.
export async function growthDuring(pid, work) {
	forgetPeak(pid);
	const before = peakOf(pid);
	const result = await work();
	return { grown: peakOf(pid) - before, result };
}

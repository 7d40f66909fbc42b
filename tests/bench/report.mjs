// Medians, tables and the comparison with what is aimed at.
import { scenarios } from './scenarios.mjs';
import { servers } from './servers.mjs';

const P99 = { first: 1.3, then: 1.3 };
const REDIS = { first: 2.5, then: 2.5 };

function median(numbers) {
	const sorted = [...numbers].sort((a, b) => a - b);
	const middle = sorted.length >> 1;
	return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

// One row for many: each figure is the median of its own.
export function medians(rows) {
	const names = Object.keys(rows[0]);
	return Object.fromEntries(names.map((name) => [name, median(rows.map((row) => row[name]))]));
}

function digits(n) {
	if (!Number.isFinite(n))
		return '–';
	if (n >= 1000)
		return Math.round(n).toLocaleString('en');
	return n.toFixed(n >= 100 ? 0 : n >= 10 ? 1 : 2);
}

const ratio = (n, floor) => (floor ? `${digits(n / floor)} ×` : '–');

function table(head, rows) {
	const all = [head, ...rows];
	const widths = head.map((_, i) => Math.max(...all.map((row) => row[i].length)));
	const line = (row) => `| ${row.map((cell, i) =>
		(i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join(' | ')} |`;
	const rule = widths.map((width, i) => '-'.repeat(width + 1) + (i === 0 ? '-' : ':'));
	return [line(head), `|${rule.join('|')}|`, ...rows.map(line)].join('\n');
}

function judge(what, value, unit, { first, then }) {
	const verdict = value <= then ? 'reached' : value <= first ? 'the first is reached' : 'MISSED';
	const aims = first === then ? `aim ≤ ${first}${unit}` : `first ≤ ${first}${unit}, then ≤ ${then}${unit}`;
	return `${what}: ${digits(value)}${unit}; ${aims}: ${verdict}`;
}

function conversation(scenario, found) {
	const floors = ['floor-send', 'floor-coalesce'].map((name) => found[name]?.cpu);
	const rows = Object.entries(found).map(([name, row]) => [servers[name].title, digits(row.cpu),
		...floors.map((floor) => ratio(row.cpu, floor)), row.redis > 0 ? digits(row.redis) : '–',
		digits(row.rate), digits(row.frame),
		...[row.p50, row.p99, row.p999].map((us) => digits(us / 1000))]);
	const head = ['server', 'CPU µs/delivery', '× send', '× coalesce', 'Redis µs/message',
		'deliveries/s', 'bytes', 'p50 ms', 'p99 ms', 'p99.9 ms'];
	const { aim } = scenario;
	const lines = [table(head, rows)];
	if (found.confab && found[aim.floor])
		lines.push(judge(`× ${aim.floor}`, found.confab.cpu / found[aim.floor].cpu, '', aim));
	// In a closed loop latency says only how much is in flight.
	if (found.confab && found['floor-send'] && scenario.send[0] === '--rate')
		lines.push(judge("p99 × floor-send's", found.confab.p99 / found['floor-send'].p99, '', P99));
	if (found.confab && found['socketio-redis'])
		lines.push(judge("Redis' CPU × that of the adapter's publish",
			found.confab.redis / found['socketio-redis'].redis, '', REDIS));
	return lines.join('\n');
}

function idleness(scenario, found) {
	const rows = Object.entries(found).map(([name, row]) => [servers[name].title, digits(row.bytes),
		digits(row.connect), digits(row.join), digits(row.connect + row.join)]);
	const lines = [table(['server', 'bytes/connection', 'CPU µs/connect', 'µs/join', 'both'], rows)];
	if (found.confab) {
		lines.push(judge('bytes a connection', found.confab.bytes, '', scenario.aims.bytes));
		lines.push(judge('a connect', found.confab.connect, ' µs', scenario.aims.connect));
	}
	return lines.join('\n');
}

// `found`: server → figures.
export function report(name, found) {
	const scenario = scenarios[name];
	const body = scenario === scenarios.idle ? idleness(scenario, found) : conversation(scenario, found);
	return `\n${scenario.title}\n\n${body}`;
}

// Measures Confab beside a floor and its peers (docs/benchmarks.md).
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { parseArgs } from 'node:util';
import { medians, report } from './report.mjs';
import { pace, run, scenarios } from './scenarios.mjs';
import { servers } from './servers.mjs';

const USAGE = `usage: bench.mjs [--servers NAME,…] [--scenarios NAME,…] [--runs N] [--short] [--frame BYTES]
                 [--json FILE]
  --servers    ${Object.keys(servers).join(', ')} (default: all)
  --scenarios  ${Object.keys(scenarios).join(', ')} (default: all)
  --runs       how often each is run; what is said is the median (default: 1)
  --short      seconds, not minutes: to see that all works
  --frame      bytes of the floors' frames (default: as long as Confab's were)
  --json       a file for the figures of all runs`;

const DEFAULT_FRAME = 400;

function fail(why) {
	console.error(`${why}\n${USAGE}`);
	process.exit(2);
}

function chosen(given, all) {
	const names = given ? given.split(',') : Object.keys(all);
	const unknown = names.find((name) => !Object.hasOwn(all, name));
	if (unknown !== undefined)
		fail(`unknown: ${unknown}`);
	return Object.keys(all).filter((name) => names.includes(name));
}

function options() {
	const text = { type: 'string' };
	try {
		return parseArgs({ options: {
			servers: text, scenarios: text, runs: text, frame: text, json: text,
			short: { type: 'boolean' }, help: { type: 'boolean', short: 'h' },
		} }).values;
	} catch (error) {
		return fail(error.message);
	}
}

// Clients, and files that a process has beside them.
function checkFiles(times) {
	const files = Number(execFileSync('bash', ['-c', 'ulimit -Hn | sed s/unlimited/1000000/'], { encoding: 'utf8' }));
	const most = Math.floor((files - 500) / scenarios.idle.members);
	if (times.idleRooms > most) {
		times.idleRooms = most;
		console.log(`only ${files} files may be open: ${most * scenarios.idle.members} idle connections`);
	}
}

async function runAll(names, given, times, all) {
	let frame = Number(given.frame ?? 0);
	for (const server of chosen(given.servers, servers)) {
		const row = await run(scenarios[names.scenario], servers[server].start, frame || DEFAULT_FRAME, times);
		if (!given.frame && server === 'confab' && row.frame)
			frame = Math.round(row.frame);
		(all[names.scenario][server] ??= []).push(row);
		console.error(`run ${names.run}, ${names.scenario}, ${server}: ${JSON.stringify(row)}`);
	}
}

const given = options();
if (given.help) {
	console.log(USAGE);
	process.exit();
}
const times = { ...pace[given.short ? 'short' : 'full'] };
const runs = Number(given.runs ?? 1);
const wanted = chosen(given.scenarios, scenarios);
const all = Object.fromEntries(wanted.map((name) => [name, {}]));

checkFiles(times);
const cores = os.cpus();
console.log(`${cores.length} × ${cores[0]?.model}, Linux ${os.release()}, Node ${process.version}; ` +
	`${runs} ${runs === 1 ? 'run' : 'runs'}${given.short ? ', short' : ''}, ${new Date().toISOString().slice(0, 10)}`);
for (let number = 1; number <= runs; number++) {
	for (const scenario of wanted)
		await runAll({ scenario, run: number }, given, times, all);
}
for (const scenario of wanted) {
	const found = Object.entries(all[scenario]).map(([server, rows]) => [server, medians(rows)]);
	console.log(report(scenario, Object.fromEntries(found)));
}
if (given.json)
	fs.writeFileSync(given.json, `${JSON.stringify(all, null, '\t')}\n`);

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
	const files = Number(execFileSync('bash', ['-c', 'ulimit -Hn | sed s/unlimited/1000000/']));
	const most = Math.floor((files - 500) / scenarios.idle.members);
	if (times.idleRooms > most) {
		times.idleRooms = most;
		const clients = most * scenarios.idle.members;
		console.log(`only ${files} files may be open: ${clients} idle connections`);
	}
}

// Runs a scenario against the servers named, and adds what was found to `found`: server → rows.
async function runServers(scenario, names, given, times, found) {
	let frame = Number(given.frame ?? DEFAULT_FRAME);
	for (const name of names) {
		const row = await run(scenario, servers[name].start, frame, times);
		if (!given.frame && name === 'confab' && row.frame)
			frame = Math.round(row.frame);
		(found[name] ??= []).push(row);
		console.error(`${scenario.title}, ${name}: ${JSON.stringify(row)}`);
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
const against = chosen(given.servers, servers);
const all = Object.fromEntries(wanted.map((name) => [name, {}]));

checkFiles(times);
const cores = os.cpus();
console.log(`${cores.length} × ${cores[0]?.model}, Linux ${os.release()}, Node ${process.version}; ` +
	`${runs} ${runs === 1 ? 'run' : 'runs'}${given.short ? ', short' : ''}`);
for (let number = 1; number <= runs; number++) {
	console.error(`run ${number} of ${runs}`);
	for (const name of wanted)
		await runServers(scenarios[name], against, given, times, all[name]);
}
for (const scenario of wanted) {
	const found = Object.entries(all[scenario]).map(([server, rows]) => [server, medians(rows)]);
	console.log(report(scenario, Object.fromEntries(found)));
}
if (given.json)
	fs.writeFileSync(given.json, `${JSON.stringify(all, null, '\t')}\n`);

// Starts a Confab of its own for a test file, and sees that it ends as it must.
import { spawn } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { alive, descendants, homes, workerOf, workers } from './procs.mjs';
import { SECRET } from './token.mjs';
import { sleep, until, within } from './wait.mjs';
import { Wire, requestBytes } from './wire.mjs';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const ATTEMPTS = 5;
const KNOCKS = 8;      // connections at once, to find all workers
const KNOCKS_MAX = 64;
// What a sanitizer says when it found something.
const REPORT = /AddressSanitizer|runtime error:|LeakSanitizer|ThreadSanitizer|Assertion .* failed/;

export const VARIANT = process.env.CONFAB_VARIANT ??
	(fs.existsSync(path.join(ROOT, 'build/address-undefined')) ? 'address-undefined' : 'release');

export function program(name) {
	return path.join(ROOT, 'build', VARIANT, name);
}

// Above all that browsers keep from, and below those that the kernel gives to outgoing connections: one that is
// free stays free.
const LOWEST = 11_000;
const OUTGOING = Number(fs.readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'latin1').split(/\s/)[0]);
const HIGHEST = OUTGOING > 2 * LOWEST ? OUTGOING : 65_535;

async function isFree(port) {
	const probe = net.createServer();
	const free = await new Promise((resolve) => {
		probe.once('error', () => resolve(false));
		probe.listen(port, '127.0.0.1', () => resolve(true));
	});
	await new Promise((resolve) => probe.close(resolve));
	return free;
}

// A port that was free a moment ago.
export async function freePort() {
	for (;;) {
		const port = LOWEST + crypto.randomInt(HIGHEST - LOWEST);
		if (await isFree(port))
			return port;
	}
}

// What is still running when the tests end, by whatever way, ends with them.
const running = new Set();
process.on('exit', () => {
	for (const server of running)
		server.abandon();
});

class Server {
	output = '';
	status = null;      // { code, signal } once it has ended
	family = new Map(); // pid → process, of all that ever ran below it

	constructor({ binary, port, dir, healthy, lines, options, env, log }) {
		Object.assign(this, { binary, port, dir, healthy, log });
		this.size = options.workers ?? 1;
		this.runDir = path.join(dir, 'run');
		this.dataDir = path.join(dir, 'data');
		this.file = path.join(dir, 'confab.conf');
		fs.writeFileSync(this.file, lines.map((line) => `${line}\n`).join(''));
		const all = { 'run-dir': this.runDir, 'data-dir': this.dataDir, ...options };
		this.args = ['-c', this.file];
		for (const [name, value] of Object.entries(all)) {
			for (const one of [value].flat())
				this.args.push(`--${name}`, String(one));
		}
		this.env = { ...process.env, ...env };
	}

	get url() {
		return `http://127.0.0.1:${this.port}`;
	}

	get pid() {
		return this.child.pid;
	}

	launch() {
		this.child = spawn(program(this.binary), this.args,
			{ cwd: ROOT, env: this.env, stdio: ['ignore', 'pipe', this.log ?? 'pipe'] });
		running.add(this);
		for (const stream of [this.child.stdout, this.child.stderr].filter(Boolean))
			stream.setEncoding('utf8').on('data', (text) => { this.output += text; });
		this.ended = new Promise((resolve) => {
			this.child.once('error', (error) => {
				this.output += `cannot run ${program(this.binary)}: ${error.message}\n`;
				this.status = { code: -1, signal: null };
				resolve(this.status);
			});
			// 'close' comes when all that hold the output have ended too; 'exit' is the master alone.
			this.child.once('exit', (code, signal) => {
				this.status = { code, signal };
				resolve(this.status);
			});
		});
	}

	// Whether each worker serves. One is asked first: where connections have a rate, it must not be spent while
	// nobody is there.
	async ready() {
		if (this.status)
			return true;
		const wires = [];
		try {
			let found = 0;
			for (let n = 1; found < this.size && wires.length < KNOCKS_MAX; n = KNOCKS) {
				if (!await this.#knock(wires, n))
					return false;
				const homes = this.homes();
				found = new Set(wires.map(({ localPort }) => homes.get(`127.0.0.1:${localPort}`)).filter(Boolean)).size;
			}
			return found >= this.size;
		} finally {
			for (const wire of wires)
				wire.destroy();
		}
	}

	// Awaits that all workers serve, and so have Redis, as after it was away: each finds back by itself.
	serves() {
		return until(() => this.ready(), 'workers that all serve');
	}

	// Adds so many connections, which the kernel spreads over the workers; whether all of them are served.
	async #knock(wires, n) {
		const answers = await Promise.all(Array.from({ length: n }, async () => {
			const wire = await Wire.connect(this.port);
			wires.push(wire);
			return wire.send(requestBytes({ path: '/health' })).response({ ms: 5000 });
		}));
		return answers.every(({ status }) => this.healthy.includes(status));
	}

	tail(lines = 40) {
		return this.output.split('\n').slice(-lines).join('\n');
	}

	workers() {
		return workers(this.pid);
	}

	workerOf(localPort) {
		return workerOf(this.pid, this.port, localPort);
	}

	// The worker of each connection: the client's "address:port" → pid.
	homes() {
		return homes(this.pid, this.port);
	}

	// The unix socket of the embedded Redis.
	redisSocket() {
		const all = fs.readdirSync(this.runDir, { withFileTypes: true });
		const found = all.find((entry) => entry.isSocket() && /redis/.test(entry.name));
		return path.join(this.runDir, found.name);
	}

	sockets() {
		if (!fs.existsSync(this.runDir))
			return [];
		const all = fs.readdirSync(this.runDir, { withFileTypes: true, recursive: true });
		return all.filter((entry) => entry.isSocket()).map((entry) => entry.name);
	}

	noteFamily() {
		for (const process of descendants(this.pid))
			this.family.set(process.pid, process);
	}

	survivors() {
		return [...this.family.values()].filter(alive).map(({ pid }) => pid);
	}

	// Ends it by `signal` and fails unless it ended clean: status 0, no report of a sanitizer, no
	// process and no socket left behind.
	async stop({ signal = 'SIGTERM' } = {}) {
		this.noteFamily();
		if (!this.status)
			this.child.kill(signal);
		try {
			await within(this.ended, `end after ${signal}`, 30_000);
			const faults = [];
			if (this.status.code !== 0)
				faults.push(`exit status ${this.status.code ?? this.status.signal}`);
			await until(() => this.survivors().length === 0, 'end of all processes')
				.catch(() => faults.push(`processes left: ${this.survivors().join(' ')}`));
			if (this.sockets().length > 0)
				faults.push(`sockets left in the run directory: ${this.sockets().join(' ')}`);
			if (REPORT.test(this.output))
				faults.push('a sanitizer or an assertion reported');
			if (faults.length > 0)
				throw new Error(`${this.binary}: ${faults.join('; ')}\n${this.report()}`);
		} finally {
			this.abandon();
		}
	}

	// The output around the first report, or else its end.
	report() {
		const at = this.output.search(REPORT);
		return at < 0 ? this.tail() : this.output.slice(Math.max(0, at - 500), at + 6000);
	}

	// Kills what is left of it, and removes its directory.
	abandon() {
		if (!running.delete(this))
			return;
		if (!this.status && this.child.pid) {
			this.noteFamily();
			this.child.kill('SIGKILL');
		}
		for (const pid of this.survivors()) {
			try {
				process.kill(pid, 'SIGKILL');
			} catch {
				// It ended by itself meanwhile.
			}
		}
		fs.rmSync(this.dir, { recursive: true, force: true });
	}
}

// Options that all tests want: no limits in their way, except where a test is about a limit.
const COMMON = {
	workers: 4,
	'jwt-secret': SECRET,
	'message-rate': 'off',
	'event-rate': 'off',
};

// Starts build/VARIANT/`binary` on a free port, with `root` as the API of its namespace "/", and waits
// until all workers serve. `options`: directive → value or values; null leaves a common one out.
// `file`: the configuration to start from, whose `listen` lines are replaced. `healthy`: the answers of
// GET /health that say that a worker serves. `log`: a descriptor for its standard error, which is then not in
// `output`.
export async function start({ binary = 'confab', root = 'channels', file, options = {}, env = {},
	healthy = [200], log } = {}) {
	const given = Object.entries({ ...COMMON, ...options }).filter(([, value]) => value !== null);
	const lines = file ? fs.readFileSync(path.join(ROOT, file), 'utf8').split('\n') : [];
	for (let attempt = 1; ; attempt++) {
		const port = await freePort();
		// Short, since the path of a unix socket has at most 107 bytes.
		const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'confab-'));
		const server = new Server({
			binary, port, dir, env, healthy, log,
			lines: lines.filter((line) => !/^\s*(listen|run-dir|data-dir)\s/.test(line)),
			options: { listen: `127.0.0.1:${port} ${root}`, ...Object.fromEntries(given) },
		});
		server.launch();
		const failed = await until(() => server.ready(), 'server that serves', { ms: 60_000 })
			.then(() => server.status && 'it ended', (error) => error.message);
		if (!failed) {
			server.noteFamily();
			return server;
		}
		const tail = server.tail();
		server.abandon();
		// Somebody else took the port between our look and the server's.
		if (attempt < ATTEMPTS && /in use|EADDRINUSE|is listening there/i.test(tail)) {
			await sleep(50 * attempt);
			continue;
		}
		throw new Error(`${program(binary)} did not start: ${failed}\n${tail}`);
	}
}

const PROTOCOL = 'tests/conformance/protocol.conf';

// The conformance server: echo at "/" and "/custom", /engine.io/ and /echo. Its timings are slowed down
// so that no heartbeat comes in the way, unless the test asks for those of the file.
export function startConformance({ options = {}, timings = 'slow', ...rest } = {}) {
	const slow = { 'ping-interval': '60s', 'ping-timeout': '60s', 'connect-timeout': '60s' };
	return start({
		binary: 'confab-conformance', root: 'echo', file: PROTOCOL, ...rest,
		// It has no REST, and so no /health: that it says so is enough.
		healthy: [404],
		options: { ...(timings === 'slow' ? slow : {}), ...options },
	});
}

// Redis as tests see it: a connection to a server's own, and one that several servers share.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import Redis from 'ioredis';
import { freePort } from './server.mjs';
import { until } from './wait.mjs';

const ATTEMPTS = 5;

// A connection of the test's own to the server's Redis; the caller disconnects it.
export function redis(server) {
	return new Redis({ path: server.redisSocket(), maxRetriesPerRequest: 2 });
}

// A redis-server for several hosts, as an operator runs it.
export class RedisChild {
	static async start({ env = {} } = {}) {
		for (let attempt = 1; ; attempt++) {
			const child = new RedisChild();
			await child.#launch({ ...process.env, ...env });
			// Whoever answers there is somebody else if this one could not take the port.
			if (await child.#listens())
				return child;
			await child.end();
			if (attempt === ATTEMPTS)
				throw new Error('redis-server did not start');
		}
	}

	async #launch(env) {
		this.port = await freePort();
		this.dir = mkdtempSync(path.join(tmpdir(), 'redis-'));
		this.process = spawn('redis-server', ['--port', this.port, '--bind', '127.0.0.1', '--dir', this.dir,
			'--save', '', '--appendonly', 'yes', '--appendfsync', 'everysec'], { stdio: 'ignore', env });
		this.ended = new Promise((resolve) => this.process.once('exit', resolve));
		process.once('exit', () => this.process.kill('SIGKILL'));
	}

	#listens() {
		return until(async () => {
			if (this.process.exitCode !== null)
				return 'it ended';
			const r = await this.connect();
			try {
				return Number(/process_id:(\d+)/.exec(await r.info('server'))[1]) === this.process.pid && 'it listens';
			} finally {
				r.disconnect();
			}
		}, 'Redis').then((said) => said === 'it listens');
	}

	get address() {
		return `127.0.0.1:${this.port}`;
	}

	async connect() {
		const r = new Redis(this.port, '127.0.0.1', { retryStrategy: null, lazyConnect: true });
		// What fails is said by the promise.
		r.on('error', () => {});
		await r.connect();
		return r;
	}

	async end() {
		this.process.kill('SIGTERM');
		await this.ended;
		rmSync(this.dir, { recursive: true, force: true });
	}
}

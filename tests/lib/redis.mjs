// Redis as tests see it: a connection to a server's own, and one that several servers share.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import Redis from 'ioredis';
import { freePort } from './server.mjs';
import { until } from './wait.mjs';

// A connection of the test's own to the server's Redis; the caller disconnects it.
export function redis(server) {
	return new Redis({ path: server.redisSocket(), maxRetriesPerRequest: 2 });
}

// A redis-server for several hosts, as an operator runs it.
export class RedisChild {
	static async start({ env = {} } = {}) {
		const child = new RedisChild();
		child.port = await freePort();
		child.dir = mkdtempSync(path.join(tmpdir(), 'redis-'));
		child.process = spawn('redis-server', ['--port', child.port, '--bind', '127.0.0.1', '--dir', child.dir,
			'--save', '', '--appendonly', 'yes', '--appendfsync', 'everysec'], { stdio: 'ignore', env: { ...process.env, ...env } });
		child.ended = new Promise((resolve) => child.process.once('exit', resolve));
		process.once('exit', () => child.process.kill('SIGKILL'));
		await until(() => child.connect().then((r) => r.disconnect()).then(() => true), 'Redis');
		return child;
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

// What may befall the master: signals that reach more than it, keys that cannot be read, descriptors that are not
// there, and a Redis of its own that dies again and again.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { descendants } from '../lib/procs.mjs';
import { freePort, program, start } from '../lib/server.mjs';
import { until, within } from '../lib/wait.mjs';
import { request } from '../lib/wire.mjs';

const ATTEMPTS = 5;

const pids = (server) => server.workers().map(({ pid }) => pid).sort();

// The embedded Redis, once it is that program; undefined while there is none.
function redisOf(server) {
	return descendants(server.pid).find(({ pid }) =>
		fs.readFileSync(`/proc/${pid}/comm`, 'latin1').startsWith('redis'))?.pid;
}

async function killRedis(server) {
	const pid = await until(() => redisOf(server), 'Redis', { every: 1 });
	process.kill(pid, 'SIGKILL');
	await until(() => redisOf(server) !== pid, 'end of Redis', { every: 1 });
}

// The sockets that a process has open beside the standard descriptors.
function socketsOf(pid) {
	return fs.readdirSync(`/proc/${pid}/fd`).filter((fd) => fd > 2)
		.map((fd) => fs.readlinkSync(`/proc/${pid}/fd/${fd}`)).filter((what) => what.startsWith('socket:'));
}

describe('the master', { timeout: 300_000 }, () => {
	test('what a terminal sends to all of its group, workers leave to the master', async () => {
		const server = await start({ options: { workers: 2 } });
		try {
			const before = pids(server);
			for (const pid of before)
				for (const signal of ['SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'])
					process.kill(pid, signal);
			// One that took it for its own answers once more at most.
			await server.serves();
			await server.serves();
			assert.deepEqual(pids(server), before);
		} finally {
			await server.stop();
		}
	});

	test('a key that cannot be read ends the start', async () => {
		await assert.rejects(start({ options: { 'jwt-key': '/nowhere/none.pem RS256' } }),
			/did not start: it ended\n[^]*error master \/nowhere\/none\.pem: No such file/);
	});

	test('a reload with a mistake is refused, and all stays as it was', async () => {
		const server = await start({ options: { workers: 2 } });
		const good = fs.readFileSync(server.file);
		const reload = (more, said) => {
			fs.writeFileSync(server.file, `${good}${more}\n`);
			process.kill(server.pid, 'SIGHUP');
			return until(() => said.test(server.output), `line ${said}`);
		};
		try {
			const before = pids(server);
			await reload('ping-interval soon', /kept as it was: \S+confab\.conf:\d+: ping-interval "soon": must/);
			await reload('jwt-key /nowhere/none.pem RS256', /kept as it was: \/nowhere\/none\.pem: No such file/);
			await server.serves();
			assert.deepEqual(pids(server), before);
			await reload('ping-interval 24s', /configuration read again/);
			await until(() => pids(server).length === 2 && pids(server).every((pid) => !before.includes(pid)), 'successors');
			await server.serves();
		} finally {
			await server.stop();
		}
	});

	// One that serves, without descriptors 0, 1 and 2; started again if another took its port meanwhile.
	async function startBare(dir) {
		for (let attempt = 1; ; attempt++) {
			const port = await freePort();
			const child = spawn('sh', ['-c', 'exec "$0" "$@" <&- >&- 2>&-', program('confab'), '--workers', '1',
				'--listen', `127.0.0.1:${port} none`, '--run-dir', `${dir}/run`, '--data-dir', `${dir}/data`]);
			const ended = once(child, 'exit');
			await until(async () => child.exitCode !== null ||
				(await request(port, { path: '/health' })).status === 200, 'server that serves');
			if (child.exitCode === null || attempt === ATTEMPTS)
				return { child, ended };
			fs.rmSync(dir, { recursive: true });
		}
	}

	test('started without standard descriptors, it takes none of its files for them', async () => {
		const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'confab-'));
		const { child, ended } = await startBare(dir);
		try {
			assert.equal(fs.readFileSync(`${dir}/run/confab.pid`, 'latin1'), `${child.pid}\n`);
			child.kill('SIGTERM');
			assert.deepEqual(await within(ended, 'end'), [0, null]);
			assert.match(fs.readFileSync(`${dir}/data/host-id`, 'latin1'), /^[0-9a-f]{12}\n$/);
			assert.match(fs.readFileSync(`${dir}/data/generation`, 'latin1'), /^0{9}1\n$/);
		} finally {
			child.kill('SIGKILL');
			fs.rmSync(dir, { recursive: true, force: true });
		}
	});

	test('told to stop while Redis waits to be started again, it leaves no socket', async () => {
		const server = await start({ options: { workers: 1 } });
		try {
			// With each that dies at once the pause grows; after the fifth it is 0.8 s.
			for (let n = 0; n < 5; n++)
				await killRedis(server);
		} finally {
			await server.stop();
		}
	});

	test('a Redis that is started again has nothing of the master\'s connections', async () => {
		const server = await start({ options: { workers: 1 } });
		try {
			const before = socketsOf(server.pid);
			assert.notEqual(before.length, 0);
			await killRedis(server);
			await server.serves();
			const now = await until(() => socketsOf(redisOf(server)), 'look at Redis');
			assert.deepEqual(now.filter((socket) => before.includes(socket)), []);
		} finally {
			await server.stop();
		}
	});
});

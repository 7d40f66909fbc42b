// What may befall the master: signals that reach more than it, keys that cannot be read, descriptors that are not
// there, and a Redis of its own that dies while it is told to stop.
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { start } from '../lib/server.mjs';

const pids = (server) => server.workers().map(({ pid }) => pid).sort();

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
});

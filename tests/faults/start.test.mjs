// The embedded Redis answers, and then is slow to take the functions: a start that a busy machine spoils would be
// given up for nothing.
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import { ROOT, start } from '../lib/server.mjs';
import { FULL } from '../lib/size.mjs';

const env = (how) => ({
	LATE_REDIS: how, PATH: `${path.join(ROOT, 'tests/lib/late-redis')}:${process.env.PATH}` });

describe('a Redis that takes its time to begin', { timeout: 200_000 }, () => {
	test('one that is late with the functions is waited for', async () => {
		const server = await start({ env: env('late') });
		assert.match(server.output, /functions: Redis does not take \S+: no answer in time; trying on/);
		assert.match(server.output, /functions: version \d+ loaded/);
		await server.stop();
	});

	test('one that refuses them ends the start, with its words', async () => {
		await assert.rejects(start({ env: env('refuses') }), /functions: Redis does not take \S+: ERR not today/);
	});

	test('one that never answers ends it after half a minute',
		{ skip: !FULL && 'it takes 30 s, which are for make faults' }, async () => {
			await assert.rejects(start({ env: env('silent') }), /functions: Redis does not take \S+: no answer in time/);
		});
});

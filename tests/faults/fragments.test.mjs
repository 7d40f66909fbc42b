// A message that never ends, in the smallest of pieces: what each piece costs is bounded by their number.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { websocketPath } from '../lib/engine.mjs';
import { sized } from '../lib/size.mjs';
import { target } from '../lib/target.mjs';
import { MEMORY_COUNTS, growthDuring, mib } from '../lib/usage.mjs';
import { until } from '../lib/wait.mjs';
import { OP, WebSocket, frame } from '../lib/websocket.mjs';

const MAX = 1_000_000;
const MANY = sized(30_000, 1_000_000);
const A_WRITE = 10_000;

describe('fragments', { timeout: 300_000 }, () => {
	let server;
	let token;
	let pid;
	let others;
	before(async () => {
		({ server, token, pid, others } = await target({ 'max-payload': MAX }, { every: 10 }));
	});
	after(async () => {
		others?.stop();
		await server?.stop();
	});

	const PLACES = [
		['Socket.IO', async () => {
			const one = await WebSocket.open(server.port, websocketPath());
			await one.next();
			return one;
		}],
		['a plain WebSocket', () => WebSocket.open(server.port, `/room/websocket?token=${token}`)],
	];
	const part = (bytes) => frame(OP.CONTINUATION, bytes, { fin: false });
	const PIECES = [
		['of 1 byte', part('x')],
		['of 0 bytes', part('')],
		['of 1 byte, with pings between', Buffer.concat([part('x'), frame(OP.PING, '')])],
		['of 0 bytes, with pings between', Buffer.concat([part(''), frame(OP.PING, 'x'.repeat(125))])],
		['of 0 and of 1 byte in turn', Buffer.concat([part(''), part('x')])],
	];
	for (const [where, open] of PLACES) {
		for (const [what, piece] of PIECES) {
			test(`${MANY} fragments ${what} at ${where}: closed with 1009`, async (t) => {
				const one = await open();
				const { grown, result } = await growthDuring(pid, () => others.during(async () => {
					one.frame(OP.BINARY, 'x', { fin: false });
					const some = Buffer.concat(Array.from({ length: A_WRITE }, () => piece));
					for (let i = 0; i < MANY / A_WRITE && !one.wire.ended; i++) {
						one.wire.send(some);
						await until(() => one.wire.unsent === 0 || one.wire.ended, 'room', { every: 1 });
					}
					return (await one.closed()).code;
				}));
				t.diagnostic(`memory: ${mib(grown)} at its peak; others: p99 ${result.p99?.toFixed(1)} ms`);
				assert.equal(result.result, 1009);
				assert.equal(result.gone + result.unanswered, 0);
				if (MEMORY_COUNTS)
					assert.ok(grown <= 2 * MAX, `${grown} bytes at its peak`);
			});
		}
	}
});

// What a slow reader is told when it is closed.
import assert from 'node:assert/strict';

// The server keeps its last words for so long (worker/net/conn.c).
const LINGER_MS = 2000;

// Fails unless the close says why. `since`: when it was open still; who reads on so late, for the machine stood still,
// finds the connection cut.
export function assertTold({ code, reason }, why, since) {
	if (code === 1006 && performance.now() - since >= LINGER_MS)
		return;
	assert.deepEqual({ code, reason }, { code: 1008, reason: why });
}

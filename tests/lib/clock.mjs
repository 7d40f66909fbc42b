// A wall clock that a test sets, of the processes that are started with its `env` alone (tests/faults/clock.c).
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { program } from './server.mjs';

export class Clock {
	by = 0;              // seconds before (less than 0: behind) this process' clock

	constructor() {
		this.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'clock-'));
		this.file = path.join(this.dir, 'seconds');
		this.put(0);
		const library = program('clock.so');
		assert.ok(fs.existsSync(library), `${library} is there`);
		this.env = {
			LD_PRELOAD: library, TEST_CLOCK: this.file,
			// Nothing that a sanitizer wants to be first is in it.
			ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ''}:verify_asan_link_order=0`,
		};
	}

	// All eight bytes at once: they are mapped.
	put(seconds) {
		this.by = seconds;
		const bytes = Buffer.alloc(8);
		bytes.writeBigInt64LE(BigInt(seconds));
		const fd = fs.openSync(this.file, fs.existsSync(this.file) ? 'r+' : 'w');
		fs.writeSync(fd, bytes, 0, 8, 0);
		fs.closeSync(fd);
	}

	// Seconds since 1970.
	now() {
		return Math.floor(Date.now() / 1000) + this.by;
	}

	remove() {
		fs.rmSync(this.dir, { recursive: true, force: true });
	}
}

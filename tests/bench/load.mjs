// Drives the load generator: steps in, answers out.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { within } from '../lib/wait.mjs';
import { program } from './servers.mjs';

const PATIENCE_MS = 90_000;

export class Load {
	#waiting = null;

	// `send`: --rate N or --loop N, or nothing; seats as the server gave them.
	constructor({ speech, ports }, seats, send) {
		this.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'bench-'));
		const file = path.join(this.dir, 'seats');
		fs.writeFileSync(file, seats.map(({ room, token }) => `${room} ${token}\n`).join(''));
		this.child = spawn(program('load'), [...send, speech, ports.join(','), file],
			{ stdio: ['pipe', 'pipe', 'inherit'] });
		this.child.stdin.on('error', () => {});
		this.ended = new Promise((resolve) => this.child.once('exit', (code) => {
			this.#waiting?.reject(new Error(`the load generator ended with ${code}`));
			this.over = true;
			resolve();
		}));
		readline.createInterface({ input: this.child.stdout })
			.on('line', (line) => this.#waiting?.resolve(JSON.parse(line)));
	}

	async step(name) {
		if (this.over)
			throw new Error('the load generator has ended');
		const answer = new Promise((resolve, reject) => { this.#waiting = { resolve, reject }; });
		this.child.stdin.write(`${name}\n`);
		return within(answer, `answer to ${name}`, PATIENCE_MS);
	}

	async end() {
		this.child.stdin.end();
		await this.ended;
		fs.rmSync(this.dir, { recursive: true, force: true });
	}
}

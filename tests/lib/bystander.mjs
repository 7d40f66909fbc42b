// Clients who have nothing to do with what a test does to a server, in a process of their own: all the time one
// of them asks the server for an answer, and how long that takes is remembered.
import { fork } from 'node:child_process';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { within } from './wait.mjs';

const PROGRAM = fileURLToPath(new URL('bystander-process.mjs', import.meta.url));

function told(child, what) {
	return within(new Promise((resolve) => child.once('message', resolve)), `word of the bystanders: ${what}`);
}

class Bystanders {
	constructor(child) {
		this.child = child;
	}

	// What there was since the last mark: how many answers came, after how many ms (`times`: each, sorted); who
	// was cut off.
	async mark() {
		this.child.send('mark');
		return told(this.child, 'mark');
	}

	// What there is while `work` is done.
	async during(work) {
		await this.mark();
		const result = await work();
		return { ...await this.mark(), result };
	}

	stop() {
		this.child.kill();
	}
}

// `clients` of one user, spread over the workers by chance; one asks every `every` ms.
export async function bystanders(server, { token, clients = 8, every = 10 }) {
	const child = fork(PROGRAM, [String(server.port), token, String(clients), String(every)]);
	const word = await told(child, 'ready');
	if (word !== 'ready')
		throw new Error(`bystanders: ${word}`);
	return new Bystanders(child);
}

// This process stands back behind all others, so that what others lose they lose to the server's work, not to
// ours. Call it when the server and the bystanders have been started, for children inherit it.
export function standBack() {
	os.setPriority(19);
}

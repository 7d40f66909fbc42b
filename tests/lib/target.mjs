// What is attacked: a server with one worker, somebody who has a token there, and others who look on.
import { bystanders } from './bystander.mjs';
import { person } from './people.mjs';
import { start } from './server.mjs';

// `every`: how often one of the others asks, in ms; null for none. Gives { server, ann, token, pid: of the worker, others }.
export async function target(options = {}, { every = null } = {}) {
	const server = await start({ options: { workers: 1, ...options } });
	const ann = await person(server, 'Ann');
	const others = every === null ? null : await bystanders(server, { token: ann.token, every });
	const [{ pid }] = server.workers();
	return { server, ann, token: ann.token, pid, others };
}

// The process of bystander.mjs.
import { Guest } from './crowd.mjs';
import { sleep } from './wait.mjs';

const [port, token, clients, every] = process.argv.slice(2);

let times = [];
let unanswered = 0;
const guests = [];

function quantile(sorted, q) {
	return sorted.length > 0 ? sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] : null;
}

function summary() {
	const sorted = times.sort((a, b) => a - b);
	const told = {
		n: sorted.length, unanswered, gone: guests.filter(({ over }) => over).length,
		p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), max: sorted.at(-1) ?? null, times: sorted,
	};
	times = [];
	unanswered = 0;
	return told;
}

async function ask(guest) {
	const begun = performance.now();
	try {
		await guest.ask('ping');
		times.push(performance.now() - begun);
	} catch {
		unanswered += 1;
	}
}

process.on('message', () => process.send(summary()));
process.on('disconnect', () => process.exit());

for (let i = 0; i < Number(clients); i++) {
	const guest = await Guest.open({ port: Number(port) });
	guest.hear = () => {};
	guests.push(await guest.join('/channels', { token }));
}
process.send('ready');
for (let i = 0; ; i++) {
	ask(guests[i % guests.length]);
	await sleep(Number(every));
}

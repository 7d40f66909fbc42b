// What is measured, and how one scenario is run against one server.
import { sleep } from '../lib/wait.mjs';
import { Load } from './load.mjs';
import { cpuBetween, cpuOf, memoryOf } from './usage.mjs';

// `aim`: the floor it is compared with, what is to be reached first, and then.
export const scenarios = {
	big: {
		title: 'big room', rooms: 1, members: 1000, send: ['--rate', '50'],
		aim: { floor: 'floor-send', first: 1.3, then: 1.1 },
	},
	saturated: {
		title: 'saturated', rooms: 1, members: 1000, send: ['--loop', '16'],
		aim: { floor: 'floor-coalesce', first: 2, then: 1.2 },
	},
	many: {
		title: 'many rooms', rooms: 100, members: 10, send: ['--rate', '2000'],
		aim: { floor: 'floor-send', first: 2.3, then: 1.6 },
	},
	pairs: {
		title: 'pairs', rooms: 1000, members: 2, send: ['--rate', '2000'],
		aim: { floor: 'floor-send', first: 3.5, then: 2.2 },
	},
	idle: {
		title: 'idle', rooms: 1000, members: 10, send: [],
		aims: { bytes: { first: 1536, then: 1024 }, connect: { first: 60, then: 25 } },
	},
};

// How long, in ms, and how many rooms the idle scenario has.
export const pace = {
	full: { warm: 2000, measure: 8000, settle: 3000, idleRooms: 1000 },
	short: { warm: 500, measure: 2000, settle: 1000, idleRooms: 200 },
};

// Connecting and joining, each with its CPU per client, and the memory that they leave behind.
async function enter(server, load, settle) {
	const memory = memoryOf(server.processes());
	const start = cpuOf(server.processes());
	const { clients } = await load.step('connect');
	await sleep(settle);
	const entered = cpuOf(server.processes());
	await load.step('join');
	await sleep(settle);
	return {
		clients,
		connect: cpuBetween(start, entered) / clients,
		join: cpuBetween(entered, cpuOf(server.processes())) / clients,
		bytes: (memoryOf(server.processes()) - memory) / clients,
	};
}

async function converse(server, load, { warm, measure }) {
	await load.step('connect');
	await load.step('join');
	await load.step('send');
	await sleep(warm);
	const [cpu, redis] = [cpuOf(server.processes()), cpuOf(server.redis())];
	await load.step('measure');
	await sleep(measure);
	const used = cpuBetween(cpu, cpuOf(server.processes()));
	const usedByRedis = cpuBetween(redis, cpuOf(server.redis()));
	const heard = await load.step('stop');
	if (heard.missing !== 0 || heard.refused !== 0)
		throw new Error(`${heard.missing} deliveries missing, ${heard.refused} messages refused`);
	return {
		cpu: used / heard.deliveries,
		redis: usedByRedis / heard.sent,
		rate: heard.deliveries / heard.seconds,
		frame: heard.bytes / heard.deliveries,
		p50: heard.p50, p99: heard.p99, p999: heard.p999,
	};
}

// The figures of one run: µs of CPU a delivery (`cpu`), of Redis a message (`redis`), latencies in µs; or,
// of the idle one, µs a connect and join, bytes a connection.
export async function run(scenario, start, frame, times) {
	const server = await start(frame);
	let load;
	try {
		const rooms = scenario === scenarios.idle ? times.idleRooms : scenario.rooms;
		load = new Load(server, await server.seats(rooms, scenario.members), scenario.send);
		return scenario === scenarios.idle ? await enter(server, load, times.settle)
			: await converse(server, load, times);
	} finally {
		await load?.end();
		await server.stop();
	}
}

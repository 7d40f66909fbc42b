// The servers that are measured. Each start gives { speech, ports, processes(), redis(), seats(), stop() }:
// how and where it is spoken to, the processes that count, those of its Redis, and who sits where.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { descendants } from '../lib/procs.mjs';
import { token } from '../lib/token.mjs';
import { pool, until, within } from '../lib/wait.mjs';
import { nameOf } from './usage.mjs';

process.env.CONFAB_VARIANT ??= 'release';
const { ROOT, VARIANT, start: startConfab } = await import('../lib/server.mjs');

const HERE = path.dirname(fileURLToPath(import.meta.url));
const AT_ONCE = 32;

export function program(name) {
	return path.join(ROOT, 'build', VARIANT, 'bench', name);
}

// A program that says its port on its first line, and ends with its standard input.
async function say(command, args) {
	const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
	const ended = new Promise((resolve) => child.once('exit', resolve));
	const port = await within(new Promise((resolve, reject) => {
		child.stdout.setEncoding('utf8').once('data', (line) => resolve(Number(line)));
		ended.then((code) => reject(new Error(`${command} ended with ${code}`)));
	}), `port of ${command}`, 20_000);
	return { pid: child.pid, port, stop: () => (child.stdin.end(), ended) };
}

// Rooms by number, members after one another; nobody has to be known.
function plainSeats(rooms, members) {
	const all = Array.from({ length: rooms * members });
	return all.map((_, i) => ({ room: Math.floor(i / members), token: '-' }));
}

async function startFloor(mode, frame) {
	const child = await say(program('floor'), [mode, String(frame)]);
	return {
		speech: 'floor', ports: [child.port], stop: child.stop,
		processes: () => [child.pid], redis: () => [],
		seats: plainSeats,
	};
}

// A Redis for the peers that stores nothing.
async function startRedis() {
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'bench-'));
	const socket = path.join(dir, 'redis');
	const child = spawn('redis-server', ['--port', '0', '--unixsocket', socket, '--save', '',
		'--appendonly', 'no', '--dir', dir], { stdio: ['ignore', 'ignore', 'inherit'] });
	const ended = new Promise((resolve) => child.once('exit', resolve));
	process.once('exit', () => child.kill('SIGKILL'));
	await until(() => fs.existsSync(socket), 'Redis');
	const stop = async () => {
		child.kill();
		await ended;
		fs.rmSync(dir, { recursive: true, force: true });
	};
	return { pid: child.pid, socket, stop };
}

async function startPeers(count) {
	const redis = count > 1 ? await startRedis() : null;
	const file = path.join(HERE, 'peer.mjs');
	const peers = [];
	for (let i = 0; i < count; i++)
		peers.push(await say(process.execPath, [file, ...(redis ? [redis.socket] : [])]));
	return {
		speech: 'socketio', ports: peers.map(({ port }) => port),
		processes: () => peers.map(({ pid }) => pid), redis: () => (redis ? [redis.pid] : []),
		seats: plainSeats,
		async stop() {
			await Promise.all(peers.map((peer) => peer.stop()));
			await redis?.stop();
		},
	};
}

async function ask(server, method, where, bearer, body) {
	const headers = { authorization: `Bearer ${bearer}` };
	if (body)
		headers['content-type'] = 'application/json';
	const answer = await fetch(`${server.url}${where}`, { method, headers, body: body && JSON.stringify(body) });
	const text = await answer.text();
	if (!answer.ok)
		throw new Error(`${method} ${where}: ${answer.status} ${text}`);
	return JSON.parse(text);
}

// Users of another service, known by a first visit, in channels of their own. The tokens they come with
// later are others than those of that visit, so that nobody has seen them yet.
async function confabSeats(server, rooms, members) {
	const now = Math.floor(Date.now() / 1000);
	const sign = (id, iat) => token({ sub: id, username: id, name: `Member ${id}`, iat });
	const ids = Array.from({ length: rooms * members }, (_, i) => `member-${i}`);
	const seats = [];
	await pool(ids, AT_ONCE, (id) => ask(server, 'GET', '/login/me', sign(id, now - 1)));
	await pool(Array.from({ length: rooms }), AT_ONCE, async (_, number) => {
		const all = ids.slice(number * members, (number + 1) * members);
		const made = await ask(server, 'POST', '/api/channels', sign(all[0], now - 1),
			{ name: `room-${number}`, members: all.slice(1) });
		all.forEach((id, i) => {
			seats[number * members + i] = { room: made.data.id, token: sign(id, now) };
		});
	});
	return seats;
}

async function startTheConfab() {
	const server = await startConfab({ options: { workers: 2 } });
	const family = descendants(server.pid).map(({ pid }) => pid);
	const isRedis = (pid) => nameOf(pid).startsWith('redis-server');
	return {
		speech: 'confab', ports: [server.port],
		processes: () => [server.pid, ...family.filter((pid) => !isRedis(pid))],
		redis: () => family.filter(isRedis),
		seats: (rooms, members) => confabSeats(server, rooms, members),
		stop: () => server.stop(),
	};
}

// In this order, since the floors' frames are as long as Confab's were.
export const servers = {
	confab: { title: 'Confab, 2 workers + Redis', start: startTheConfab },
	'floor-send': { title: 'floor-send', start: (frame) => startFloor('send', frame) },
	'floor-coalesce': { title: 'floor-coalesce', start: (frame) => startFloor('coalesce', frame) },
	socketio: { title: 'Socket.IO 4.8, 1 process', start: () => startPeers(1) },
	'socketio-redis': { title: 'Socket.IO 4.8, 2 + redis-adapter', start: () => startPeers(2) },
};

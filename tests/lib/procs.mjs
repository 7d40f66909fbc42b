// What /proc knows: a server's processes, and which of them holds a connection.
import fs from 'node:fs';

// { pid, ppid, state, start } or null once it is gone.
export function stat(pid) {
	let text;
	try {
		text = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
	} catch {
		return null;
	}
	// The name stands in parentheses and may itself hold any byte.
	const rest = text.slice(text.lastIndexOf(')') + 2).split(' ');
	return { pid: Number(pid), state: rest[0], ppid: Number(rest[1]), start: rest[19] };
}

export function alive(process) {
	const now = stat(process.pid);
	return now !== null && now.start === process.start && now.state !== 'Z';
}

function title(pid) {
	try {
		return fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim();
	} catch {
		return '';
	}
}

function all() {
	return fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(stat).filter(Boolean);
}

// All processes below `pid`, it not included.
export function descendants(pid) {
	const processes = all();
	const found = [];
	const parents = [pid];
	while (parents.length > 0) {
		const parent = parents.pop();
		for (const process of processes) {
			if (process.ppid === parent) {
				found.push(process);
				parents.push(process.pid);
			}
		}
	}
	return found;
}

// The workers below a master, by their process title "confab: worker N" or, where the title is not
// set, as the children that run the master's own program.
export function workers(master) {
	const program = fs.readlinkSync(`/proc/${master}/exe`);
	return descendants(master).filter((process) => {
		if (process.ppid !== master || process.state === 'Z')
			return false;
		try {
			return /worker/.test(title(process.pid)) ||
				fs.readlinkSync(`/proc/${process.pid}/exe`) === program;
		} catch {
			return false;
		}
	});
}

// The last four bytes of an address in /proc/net/tcp (little-endian hex), and the port: "127.0.0.1:40000".
function endOf(text) {
	const [address, port] = text.split(':');
	const bytes = address.slice(-8).match(/../g).map((hex) => parseInt(hex, 16));
	return `${bytes.reverse().join('.')}:${parseInt(port, 16)}`;
}

// Which worker holds the server's end of each connection to `port`: the client's "address:port" → pid.
export function homes(master, port) {
	const end = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
	const clients = new Map();   // link of the server's end → the client's
	for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) {
		for (const line of fs.readFileSync(file, 'utf8').split('\n').slice(1)) {
			const [, local, remote, , , , , , , inode] = line.trim().split(/\s+/);
			if (local?.endsWith(end))
				clients.set(`socket:[${inode}]`, endOf(remote));
		}
	}
	const found = new Map();
	for (const { pid } of workers(master)) {
		for (const link of links(pid)) {
			if (clients.has(link))
				found.set(clients.get(link), pid);
		}
	}
	return found;
}

// The pid of the worker that holds the server's end of the connection from `localPort` to `port`.
export function workerOf(master, port, localPort) {
	return [...homes(master, port)].find(([client]) => client.endsWith(`:${localPort}`))?.[1];
}

// What a process has open.
function links(pid) {
	const dir = `/proc/${pid}/fd`;
	try {
		return fs.readdirSync(dir).map((fd) => {
			try {
				return fs.readlinkSync(`${dir}/${fd}`);
			} catch {
				return null;
			}
		});
	} catch {
		return [];
	}
}

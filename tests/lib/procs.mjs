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

// The pid of the worker that holds the server's end of the connection from `localPort` to `port`.
export function workerOf(master, port, localPort) {
	const hex = (n) => n.toString(16).toUpperCase().padStart(4, '0');
	let inode;
	for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) {
		for (const line of fs.readFileSync(file, 'utf8').split('\n').slice(1)) {
			const [, local, remote, , , , , , , number] = line.trim().split(/\s+/);
			if (local?.endsWith(`:${hex(port)}`) && remote.endsWith(`:${hex(localPort)}`))
				inode = number;
		}
	}
	return workers(master).map(({ pid }) => pid).find((pid) => holds(pid, `socket:[${inode}]`));
}

function holds(pid, link) {
	try {
		return fs.readdirSync(`/proc/${pid}/fd`).some((fd) => {
			try {
				return fs.readlinkSync(`/proc/${pid}/fd/${fd}`) === link;
			} catch {
				return false;
			}
		});
	} catch {
		return false;
	}
}

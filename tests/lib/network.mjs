// A network of a test file's own: its own loopback, and settings of TCP that hold only there.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const LOOPBACK_UP = 'PATH=$PATH:/usr/sbin:/sbin; ip link set lo up || ifconfig lo up';

// Runs the test file once more, in a network namespace where nobody else has a port, and ends with its status.
// `setup` is further shell for the new network. Gives why not where that can't be had, else null: it is inside.
export function enterNetwork(file, setup = ':') {
	if (process.env.CONFAB_OWN_NETWORK)
		return null;
	const prepare = `${LOOPBACK_UP} && { ${setup}; }`;
	let why;
	for (const user of [[], ['--user', '--map-root-user']]) {
		const unshare = ['--net', ...user, 'sh', '-c'];
		const tried = spawnSync('unshare', [...unshare, prepare], { encoding: 'utf8' });
		if (tried.status !== 0) {
			why = tried.error?.message ?? tried.stderr.trim();
			continue;
		}
		const again = [process.execPath, ...process.execArgv, fileURLToPath(file)];
		const { status } = spawnSync('unshare', [...unshare, `${prepare}; exec "$@"`, 'sh', ...again],
			{ stdio: 'inherit', env: { ...process.env, CONFAB_OWN_NETWORK: '1' } });
		process.exit(status ?? 1);
	}
	return why || 'no network namespace';
}

// So little waits in the kernel for a reader that stands still that the server's own queues are seen.
export const SMALL_BUFFERS = 'cd /proc/sys/net/ipv4 && echo "4096 16384 65536" > tcp_wmem && ' +
	'echo "4096 32768 65536" > tcp_rmem && cd "$OLDPWD"';

// A redis-server, started as Confab starts one, that answers PING at once and FUNCTION LOAD as LATE_REDIS says:
// `late`: it is held back for two seconds, the first time; `refuses`: with an error; `silent`: not at all.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';

const LATE_MS = 2000;
const here = path.join(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), 'late-redis');
const args = process.argv.slice(2);
const at = args.indexOf('--unixsocket') + 1;
const [near, far] = [args[at], `${args[at]}.real`];
args[at] = far;

const PATH = process.env.PATH.split(':').filter((dir) => path.resolve(dir) !== here).join(':');
const real = spawn('redis-server', args, { stdio: 'inherit', env: { ...process.env, PATH } });
process.on('SIGTERM', () => real.kill('SIGTERM'));
process.on('exit', () => real.kill('SIGKILL'));
real.on('exit', (code) => process.exit(code ?? 1));

let held = false;

// The answer to the functions; gives what becomes of the rest of them.
const TAKES = {
	late(one, pass) {
		if (!held) {
			held = true;
			one.pause();
			setTimeout(() => one.resume(), LATE_MS);
		}
		return pass;
	},
	refuses(one) {
		one.write('-ERR not today\r\n');
		return () => {};
	},
	silent: () => () => {},
};

function join(one) {
	const other = net.connect(far);
	let pass = (bytes) => other.write(bytes);
	for (const end of [one, other])
		end.on('error', () => {}).on('close', () => { one.destroy(); other.destroy(); });
	other.on('data', (bytes) => one.write(bytes));
	one.on('data', (bytes) => {
		if (bytes.includes('$4\r\nLOAD\r\n'))
			pass = TAKES[process.env.LATE_REDIS](one, pass);
		pass(bytes);
	});
}

const door = net.createServer(join);
const looking = setInterval(() => {
	if (!fs.existsSync(far))
		return;
	clearInterval(looking);
	door.listen(near);
}, 5);

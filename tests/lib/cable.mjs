// A cable between clients and a server, which can be pulled, or frozen so that nothing of the server's comes
// through: a TCP proxy of its own port.
import net from 'node:net';

export class Cable {
	#ends = new Set();
	#pairs = new Map();  // the server's end → the client's
	#pulled = false;
	#frozen = false;

	static async lay(port) {
		const cable = new Cable();
		cable.proxy = net.createServer((client) => cable.#join(client, port));
		await new Promise((resolve) => cable.proxy.listen(0, '127.0.0.1', resolve));
		cable.port = cable.proxy.address().port;
		return cable;
	}

	get url() {
		return `http://127.0.0.1:${this.port}`;
	}

	#join(client, port) {
		if (this.#pulled) {
			client.resetAndDestroy();
			return;
		}
		const server = net.connect({ port, host: '127.0.0.1' });
		this.#pairs.set(server, client);
		for (const [end, other] of [[client, server], [server, client]]) {
			this.#ends.add(end);
			end.setNoDelay(true);
			if (end === client || !this.#frozen)
				end.pipe(other);
			end.on('error', () => {});
			end.on('close', () => {
				this.#ends.delete(end);
				this.#pairs.delete(end);
				other.destroy();
			});
		}
	}

	// Nobody reads what the server says, though the connections stand.
	freeze() {
		this.#frozen = true;
		for (const [server, client] of this.#pairs) {
			server.unpipe(client);
			server.pause();
		}
	}

	thaw() {
		this.#frozen = false;
		for (const [server, client] of this.#pairs)
			server.pipe(client);
	}

	// All connections break, new ones are refused.
	pull() {
		this.#pulled = true;
		for (const end of this.#ends)
			end.resetAndDestroy();
	}

	plug() {
		this.#pulled = false;
	}

	remove() {
		this.pull();
		this.proxy.close();
	}
}

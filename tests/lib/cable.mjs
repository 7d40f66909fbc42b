// A cable between clients and a server, which can be pulled: a TCP proxy of its own port.
import net from 'node:net';

export class Cable {
	#ends = new Set();
	#pulled = false;

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
		for (const [end, other] of [[client, server], [server, client]]) {
			this.#ends.add(end);
			end.setNoDelay(true);
			end.pipe(other);
			end.on('error', () => {});
			end.on('close', () => {
				this.#ends.delete(end);
				other.destroy();
			});
		}
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

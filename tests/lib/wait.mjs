// Waiting for events with an upper bound, so that a test that would hang fails and says for what.

// The bound is generous on purpose: the suites run on busy machines under sanitizers.
export const PATIENCE_MS = Number(process.env.CONFAB_PATIENCE_MS ?? 30_000);

export function sleep(ms) {
	return new Promise((resolve) => setTimeout(resolve, ms));
}

// The promise's outcome, or an error that names `what` after `ms`. `what` may be a function.
export async function within(promise, what, ms = PATIENCE_MS) {
	let timer;
	const late = new Promise((_, reject) => {
		timer = setTimeout(() => {
			const text = typeof what === 'function' ? what() : what;
			reject(new Error(`no ${text} within ${ms} ms`));
		}, ms);
	});
	try {
		return await Promise.race([promise, late]);
	} finally {
		clearTimeout(timer);
	}
}

// Asks `probe` until it gives something truthy, which is returned. An error of the probe counts as no.
export async function until(probe, what, { ms = PATIENCE_MS, every = 25 } = {}) {
	const end = Date.now() + ms;
	let last;
	for (;;) {
		try {
			const found = await probe();
			if (found)
				return found;
			last = undefined;
		} catch (error) {
			last = error;
		}
		if (Date.now() >= end)
			throw new Error(`no ${what} within ${ms} ms${last ? `: ${last.message}` : ''}`);
		await sleep(every);
	}
}

// Runs `work(item, index)` over all items, at most `width` at once; stops at the first error.
export async function pool(items, width, work) {
	const queue = [...items].entries();
	const lane = async () => {
		for (const [index, item] of queue)
			await work(item, index);
	};
	await Promise.all(Array.from({ length: width }, lane));
}

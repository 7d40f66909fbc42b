// How much of a thing a test does: the small size in `make test`, the whole in `make faults` (FULL=1).
export const FULL = Boolean(process.env.FULL);

export function sized(small, whole) {
	return FULL ? whole : small;
}

// JSON Web Tokens signed with the secret that the harness gives the server.
import { createHmac } from 'node:crypto';

export const SECRET = 'test-secret-of-at-least-32-characters';

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

// A token for the claims; `exp` in an hour unless given. `null` for a claim leaves it out.
export function token(claims, { secret = SECRET, alg = 'HS256' } = {}) {
	const all = { exp: Math.floor(Date.now() / 1000) + 3600, ...claims };
	const kept = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null));
	const body = `${encode({ alg, typ: 'JWT' })}.${encode(kept)}`;
	if (alg === 'none')
		return `${body}.`;
	const hash = { HS256: 'sha256', HS384: 'sha384', HS512: 'sha512' }[alg];
	return `${body}.${createHmac(hash, secret).update(body).digest('base64url')}`;
}

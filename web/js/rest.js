// Requests with the token of who is signed in. The token is kept for this tab, or for this device, and goes
// into headers only.

const KEY = 'confab.token';

export class Refused extends Error {
	constructor(status, message) {
		super(message);
		this.status = status;
	}
}

export function token() {
	return sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY);
}

export function keepToken(text, stays) {
	forgetToken();
	(stays ? localStorage : sessionStorage).setItem(KEY, text);
}

export function forgetToken() {
	sessionStorage.removeItem(KEY);
	localStorage.removeItem(KEY);
}

let expired = () => {};

// Called when the server does not take the token any more.
export function onExpired(hear) {
	expired = hear;
}

async function answerOf(response) {
	const json = await response.json().catch(() => ({}));
	if (response.ok)
		return json;
	if (response.status === 401 && token())
		expired();
	throw new Refused(response.status, json.message ?? `The server answered ${response.status}`);
}

async function send(method, path, options) {
	const headers = { ...options.headers };
	if (token())
		headers.Authorization = `Bearer ${token()}`;
	let response;
	try {
		response = await fetch(path, { ...options, method, headers, cache: 'no-store', credentials: 'omit' });
	} catch {
		throw new Refused(0, 'The server cannot be reached');
	}
	return answerOf(response);
}

export function ask(method, path, body) {
	if (body === undefined)
		return send(method, path, {});
	return send(method, path, { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
}

// One file; the attachment that it became.
export async function upload(file) {
	const form = new FormData();
	form.append('file', file);
	const { data } = await send('POST', '/api/upload', { body: form });
	return Array.isArray(data) ? data[0] : data;
}

// All pages of a list, up to `most` items.
export async function list(path, name, most = 5000) {
	const all = [];
	let after = null;
	do {
		const page = await ask('GET', after === null ? path : `${path}?after=${encodeURIComponent(after)}`);
		all.push(...page[name]);
		after = page.next;
	} while (after !== null && all.length < most);
	return all;
}

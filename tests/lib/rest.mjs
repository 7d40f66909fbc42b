// REST calls with a JSON body and a bearer token.
import { request } from './wire.mjs';

// { status, headers, json, body }; `json` is undefined when the answer has none.
export async function rest(server, method, path, token, body, headers = {}) {
	const all = { ...headers };
	if (token)
		all.Authorization = `Bearer ${token}`;
	if (body !== undefined && !('Content-Type' in all))
		all['Content-Type'] = 'application/json';
	const content = body === undefined || typeof body === 'string' || Buffer.isBuffer(body)
		? body : JSON.stringify(body);
	const answer = await request(server.port, { method, path, headers: all, body: content });
	if (/^application\/json/.test(answer.headers['content-type'] ?? ''))
		answer.json = JSON.parse(answer.body);
	return answer;
}

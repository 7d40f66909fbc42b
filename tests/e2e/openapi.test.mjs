// The document of the REST endpoints (/api-json): it is valid, says what the tables say, and a server answers as
// it says. Its examples are one story, told here.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Validator } from '@seriousme/openapi-schema-validator';
import Ajv2020 from 'ajv/dist/2020.js';
import { enter, leaveAll } from '../lib/chatter.mjs';
import { Examples, judge, load, properties, documented, resolve, tabled, tables } from '../lib/documents.mjs';
import { freePort, start } from '../lib/server.mjs';
import { token } from '../lib/token.mjs';
import { request } from '../lib/wire.mjs';

const api = load('openapi.json');
const judged = judge(api, new Ajv2020({ strict: false, validateFormats: false, allErrors: true }));
const JSON_TYPE = 'application/json';

// Endpoints with doors of their own, which are in no table.
const OTHER_DOORS = ['GET /uploads/{id}/{filename}', 'POST /api/upload'];
// What the domain knows beyond the schemas: "OPERATION FIELD".
const DEEPER = {
	'signUp username': { minLength: 1, maxLength: 32 },
	'signUp password': { minLength: 8, maxLength: 128 },
	'signUp name': { minLength: 1, maxLength: 64 },
	'signUp image': { maxLength: 2048 },
};
// What else an operation says of what is not there. (A clientMessageId is looked at before the room.)
const NOWHERE = {
	converse: { body: { userId: 'nobody' } },
	post: { body: { content: 'Hello?' } },
};
// Answers that count, and so differ each time.
const COUNTS = new Set(['showStats', 'showWsStats', 'health']);

// Such that each of them is reached.
const LIMITS = { 'message-rate': '20 60', 'upload-max-file': 600_000, 'upload-user-quota': 1 };

// A picture of one pixel.
const PICTURE = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk' +
	'+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');

// What a browser sends of a form's files.
function form(files) {
	const parts = files.flatMap(([name, bytes]) => [
		`--edge\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\n\r\n`, bytes, '\r\n']);
	return { type: 'multipart/form-data; boundary=edge',
		body: Buffer.concat([...parts, '--edge--\r\n'].map((part) => Buffer.from(part))) };
}

const operations = Object.entries(api.paths).flatMap(([path, item]) =>
	Object.entries(item).map(([method, operation]) => {
		const all = { ...operation, method: method.toUpperCase(), path, name: `${method.toUpperCase()} ${path}` };
		all.parameters = (operation.parameters ?? []).map((one) => resolve(api, one));
		const security = operation.security ?? api.security;
		all.secured = security.length > 0 && security.every((one) => 'token' in one);
		all.json = operation.requestBody?.content[JSON_TYPE];
		all.responses = Object.fromEntries(Object.entries(operation.responses)
			.map(([status, one]) => [status, resolve(api, one)]));
		return all;
	}));
const byId = new Map(operations.map((operation) => [operation.operationId, operation]));
const tabledOnes = operations.filter(({ name }) => !OTHER_DOORS.includes(name));
const answering = (status) => operations.filter(({ responses }) => status in responses);
// What an operation answers by its example.
const exampleOf = (operationId) => byId.get(operationId).responses[200].content[JSON_TYPE].example;

describe('the document', () => {
	test('is valid OpenAPI 3.1', async () => {
		const { valid, errors } = await new Validator().validate(structuredClone(api));
		assert.ok(valid, JSON.stringify(errors));
		assert.equal(api.openapi, '3.1.0');
	});

	test('names each operation, tag and path parameter once, and uses all of its components', () => {
		assert.equal(byId.size, operations.length);
		const tags = new Set(operations.flatMap((operation) => operation.tags));
		assert.deepEqual([...tags].sort(), api.tags.map(({ name }) => name).sort());
		for (const { name, path, parameters } of operations) {
			const named = parameters.filter((one) => one.in === 'path').map((one) => one.name);
			assert.deepEqual([...path.matchAll(/{(\w+)}/g)].map(([, one]) => one), named, name);
		}
		const text = JSON.stringify(api);
		for (const [kind, all] of Object.entries(api.components)) {
			for (const name of Object.keys(all).filter(() => kind !== 'securitySchemes'))
				assert.ok(text.includes(`"#/components/${kind}/${name}"`), `${kind}/${name} is used`);
		}
	});

	test('its examples fit its schemas', () => {
		const contents = (one) => Object.values(one?.content ?? {});
		for (const { name, requestBody, parameters, responses } of operations) {
			const all = [requestBody, ...Object.values(responses)].flatMap(contents);
			for (const { schema, example, examples = {} } of [...parameters, ...all]) {
				for (const value of [example, ...Object.values(examples).map((one) => one.value)])
					if (value !== undefined)
						judged(value, schema, `an example of ${name}`);
			}
		}
	});
});

describe('the tables', () => {
	const routes = new Map(tables().routes.map((route) =>
		[route.name.replace(/:(\w+)/g, '{$1}'), route]));

	test('have the operations of the document, and no others', () => {
		assert.deepEqual([...routes.keys(), ...OTHER_DOORS].sort(),
			operations.map(({ name }) => name).sort());
	});

	for (const operation of tabledOnes) {
		const { name, operationId, parameters, json, secured } = operation;
		test(`${name}: token, parameters and fields`, () => {
			const route = routes.get(name);
			assert.equal(secured, route.token);
			const said = json ? properties(api, json.schema) : {};
			for (const one of parameters)
				said[one.name] = { ...documented(api, one.schema, one.required ?? false), in: one.in };
			const wanted = {};
			for (const field of route.fields ?? []) {
				wanted[field.name] = { ...tabled(field), ...DEEPER[`${operationId} ${field.name}`] };
				const found = parameters.find((one) => one.name === field.name);
				if (found)
					wanted[field.name].in = found.in;
				// In a path it is always there.
				if (found?.in === 'path')
					wanted[field.name].required = true;
			}
			assert.deepEqual(said, wanted);
		});
	}
});

describe('a server', { timeout: 300_000 }, () => {
	const examples = new Examples();
	const seen = new Set();          // "OPERATION STATUS"
	const errors = new Set();        // messages
	const who = {};                  // name → token
	let server;
	before(async () => { server = await start({ options: LIMITS }); });
	after(async () => {
		leaveAll();
		await server?.stop();
	});

	// Asks as the document's examples do, or otherwise where `path`, `query` and `body` say so. The answer must be
	// one of the document's.
	async function ask(operationId, asked = {}) {
		const { as, path = {}, query = {}, body, type = JSON_TYPE, headers = {}, on = server } = asked;
		const { method, path: pattern, parameters, json, responses } = byId.get(operationId);
		const value = (one, other) => other[one.name] ?? examples.fill(one.example);
		const url = pattern.replace(/{(\w+)}/g, (_, name) =>
			value(parameters.find((one) => one.name === name), path));
		const search = parameters.filter((one) => one.in === 'query' && value(one, query) !== undefined)
			.map((one) => `${one.name}=${encodeURIComponent(value(one, query))}`).join('&');
		const sent = body ?? (json && examples.fill(json.example));
		const answer = await request(on.port, {
			method, path: search ? `${url}?${search}` : url,
			headers: { ...(as && { Authorization: `Bearer ${who[as] ?? as}` }),
				...(sent !== undefined && { 'Content-Type': type }), ...headers },
			body: typeof sent === 'object' && !Buffer.isBuffer(sent) ? JSON.stringify(sent) : sent,
		});
		const what = `${operationId} ${answer.status}`;
		const response = responses[answer.status];
		assert.ok(response, `${what} is documented: ${answer.body}`);
		seen.add(what);
		answer.response = response;
		answer.what = what;
		checkHeaders(answer);
		checkBody(answer);
		return answer;
	}

	function checkHeaders({ headers, response, what }) {
		for (const name of Object.keys(response.headers ?? {}))
			assert.ok(name.toLowerCase() in headers, `${what} has ${name}`);
	}

	function checkBody(answer) {
		const { headers, response, what, body } = answer;
		const [type] = (headers['content-type'] ?? '').split(';');
		if (response.content === undefined)
			return assert.equal(body, '', what);
		const content = response.content[type] ?? response.content['*/*'];
		assert.ok(content, `${what} is of a documented type, not ${type}`);
		if (type !== JSON_TYPE)
			return;
		answer.json = JSON.parse(body);
		answer.content = content;
		judged(answer.json, content.schema, what);
		if (answer.status >= 400)
			errors.add(answer.json.message);
	}

	// Asks, and gets what the example says.
	async function tell(operationId, status, asked = {}) {
		const answer = await ask(operationId, asked);
		assert.equal(answer.status, status, `${operationId}: ${answer.body}`);
		if (!COUNTS.has(operationId) && answer.content?.example !== undefined)
			examples.match(answer.content.example, answer.json, answer.what);
		return answer.json;
	}

	async function refuse(operationId, status, asked) {
		const answer = await ask(operationId, asked);
		assert.equal(answer.status, status, `${operationId}: ${answer.body}`);
		return answer.json;
	}

	describe('answers as the examples say', () => {
		const [, bob] = exampleOf('listMembers').data;
		const [, , eve] = exampleOf('showRoom').users;

		test('accounts', async () => {
			await tell('signUp', 201);
			({ token: who.ann } = await tell('signIn', 200));
			await tell('showMe', 200, { as: 'ann' });
			for (const [username, name, id] of [['bob', 'Bob', bob.id], ['eve', 'Eve', eve.userId]]) {
				const body = { username, name, password: 'correct horse' };
				const { status, json } = await ask('signUp', { body });
				assert.equal(status, 201);
				examples.bind(id, json.user.id);
				who[username] = json.token;
			}
		});

		test('rooms', async () => {
			await tell('createRoom', 201, { as: 'ann' });
			await tell('post', 201, { as: 'ann' });
			await tell('invite', 200, { as: 'ann' });
			await tell('listRooms', 200, { as: 'bob' });
			await tell('showRoom', 200, { as: 'bob' });
			await tell('readPosts', 200, { as: 'bob' });
			await tell('leaveRoom', 200, { as: 'eve' });
		});

		test('channels', async () => {
			await tell('createChannel', 201, { as: 'ann' });
			await tell('listChannels', 200, { as: 'bob' });
			await tell('listMembers', 200, { as: 'bob' });
			await tell('addMembers', 200, { as: 'bob' });
			await tell('removeMember', 200, { as: 'ann' });
			await tell('listNamedMembers', 200, { as: 'bob' });
		});

		test('conversations', async () => {
			await tell('converse', 201, { as: 'ann' });
			await tell('converse', 200, { as: 'ann' });
			await tell('listConversations', 200, { as: 'ann' });
		});

		test('history', async () => {
			const [reply, first] = exampleOf('listMessages').data;
			const [direct] = exampleOf('listDirectMessages').data;
			const ann = await enter(server, { token: who.ann });
			const bobs = await enter(server, { token: who.bob });
			const send = async (one, event, { content, channelId, conversationId, replyToId }) =>
				one.ask(event, examples.fill({ content, channelId, conversationId, replyToId }));
			const { message } = await send(ann, 'send_message', first);
			examples.bind(first.id, message.id);
			await send(bobs, 'send_message', reply);
			await bobs.ask('add_reaction', examples.fill({
				messageId: first.id, channelId: first.channelId, emoji: first.reactions[0].emoji }));
			await send(ann, 'send_direct_message', direct);
			leaveAll();
			await tell('listMessages', 200, { as: 'bob' });
			await tell('listDirectMessages', 200, { as: 'bob' });
		});

		test('rooms by name', async () => {
			await tell('listNamedRooms', 200, { as: 'bob' });
			await tell('listNamedMessages', 200, { as: 'bob' });
		});

		test('files', async () => {
			const [picture, text] = [PICTURE, Buffer.from('Meow.')];
			await tell('upload', 201, { as: 'ann', ...form([['cat.png', picture]]) });
			const files = form([['cat.png', picture], ['cat.txt', text]]);
			const several = await ask('upload', { as: 'ann', ...files });
			assert.equal(several.json.data.length, 2);
			const whole = await ask('download');
			assert.deepEqual([whole.status, whole.bytes], [200, picture]);
			const part = await ask('download', { headers: { Range: 'bytes=0-3' } });
			assert.deepEqual([part.status, part.bytes], [206, picture.subarray(0, 4)]);
			const same = await ask('download', { headers: { 'If-None-Match': whole.headers.etag } });
			assert.equal(same.status, 304);
			assert.equal((await ask('download', { headers: { Range: 'bytes=1000-' } })).status, 416);
		});

		test('the service', async () => {
			await tell('showStats', 200, { as: 'bob' });
			await tell('showWsStats', 200, { as: 'bob' });
			await tell('health', 200);
			await tell('metrics', 200);
		});
	});

	describe('refuses as the document says', () => {
		const title = ({ name }) => name;

		for (const operation of operations.filter(({ secured }) => secured)) {
			test(`401: ${title(operation)}`, async () => {
				await refuse(operation.operationId, 401);
				await refuse(operation.operationId, 401, { as: token({ sub: 'ann', exp: 1 }) });
			});
		}

		for (const operation of answering(400)) {
			test(`400: ${title(operation)}`, async () => {
				const multipart = operation.requestBody?.content['multipart/form-data'];
				await refuse(operation.operationId, 400, { as: 'ann', body: multipart ? '--' : '[]',
					type: multipart ? 'multipart/form-data; boundary=x' : JSON_TYPE });
			});
		}

		for (const operation of answering(415)) {
			test(`415: ${title(operation)}`, async () => {
				await refuse(operation.operationId, 415, { as: 'ann', body: '{}', type: 'text/plain' });
			});
		}

		for (const operation of answering(413)) {
			test(`413: ${title(operation)}`, async () => {
				const bytes = Buffer.alloc(1_000_001, 'a');
				const large = operation.operationId === 'upload'
					? form([['big.txt', bytes.subarray(0, 700_000)]]) : { body: bytes };
				await refuse(operation.operationId, 413, { as: 'ann', ...large });
			});
		}

		for (const operation of answering(403)) {
			test(`403: ${title(operation)}`, async () => {
				const bob = examples.fill(exampleOf('listMembers').data[1].id);
				await refuse(operation.operationId, 403, { as: 'eve', path: { userId: bob },
					...(operation.operationId === 'addMembers' && { body: { users: [bob] } }) });
			});
		}

		for (const operation of answering(404)) {
			test(`404: ${title(operation)}`, async () => {
				const nowhere = { id: 'nowhere', roomId: 'nowhere', name: 'nowhere' };
				await refuse(operation.operationId, 404, { as: 'ann', path: nowhere,
					query: { channelId: 'nowhere' }, ...NOWHERE[operation.operationId] });
			});
		}

		test('409: names that are taken', async () => {
			await refuse('signUp', 409);
			await refuse('createChannel', 409, { as: 'ann' });
		});

		test('507: files', async () => {
			const half = Buffer.alloc(550_000, 'a');
			await refuse('upload', 507, { as: 'ann', ...form([['a.txt', half], ['b.txt', half]]) });
		});

		test('429: wrong passwords', async () => {
			const body = { username: 'bob', password: 'wrong horse' };
			for (let i = 0; i < 10; i++)
				await refuse('signIn', 401, { body });
			await refuse('signIn', 429, { body });
		});

		test('429: posts', async () => {
			const { status, json } = await ask('createRoom', { as: 'eve', body: { users: [] } });
			assert.equal(status, 201);
			const path = { roomId: json.roomId };
			const all = await Promise.all(Array.from({ length: 100 }, (_, i) =>
				ask('post', { as: 'eve', path, body: { content: `${i}` } })));
			assert.ok(all.some((answer) => answer.status === 429));
		});
	});

	describe('refuses what does not fit', () => {
		const field = async (operation, name, body) => {
			const { errors: blamed } = await refuse(operation.operationId, 422, { as: 'ann', body });
			assert.deepEqual(Object.keys(blamed), [name], JSON.stringify(blamed));
		};

		// Values that a schema does not allow. An id may be a number.
		function* unfit(schema) {
			yield schema.type === 'string' ? true : 'x';
			if (schema.type === 'string' && schema.minLength)
				yield 'x'.repeat(schema.minLength - 1);
			if (schema.maxLength)
				yield 'x'.repeat(schema.maxLength + 1);
			if (schema.pattern)
				yield '@/ é'.padEnd(schema.minLength, 'x');
			if (schema.minItems)
				yield Array(schema.minItems - 1).fill('x');
			if (schema.maxItems)
				yield Array(schema.maxItems + 1).fill('x');
		}

		for (const operation of operations.filter(({ json }) => json)) {
			test(`422: ${operation.name}`, async () => {
				const schema = resolve(api, operation.json.schema);
				const good = examples.fill(operation.json.example);
				for (const [name, property] of Object.entries(schema.properties)) {
					for (const value of unfit(resolve(api, property)))
						await field(operation, name, { ...good, [name]: value });
				}
				for (const name of schema.required)
					await field(operation, name, { ...good, [name]: undefined });
			});
		}

		for (const operation of answering(422).filter(({ requestBody }) => !requestBody)) {
			test(`422: ${operation.name}`, async () => {
				const { operationId, parameters } = operation;
				const asked = { as: 'ann', body: operation.method === 'POST' ? {} : undefined };
				for (const { name, in: where, schema } of parameters) {
					const { type, minimum, maximum } = resolve(api, schema);
					const off = type === 'integer' ? ['x', minimum - 1, maximum + 1] : [];
					const values = where === 'path' ? ['%zz'] : off;
					for (const value of values) {
						const { errors: blamed } = await refuse(operationId, 422,
							{ ...asked, [where]: { [name]: value } });
						assert.deepEqual(Object.keys(blamed), [name]);
					}
				}
			});
		}

		test('a cursor that is none', async () => {
			for (const { operationId, parameters } of operations) {
				for (const { name } of parameters.filter((one) => ['after', 'before'].includes(one.name)))
					await refuse(operationId, 422, { as: 'ann', query: { [name]: 'zz' } });
			}
		});

		test('files', async () => {
			await refuse('upload', 422, { as: 'ann', ...form([]) });
		});
	});

	test('deletes accounts', async () => {
		await tell('deleteMe', 200, { as: 'bob' });
		await refuse('showMe', 401, { as: 'bob' });
		// Nobody hears what is said to a deleted user.
		const roomId = examples.fill(exampleOf('listConversations').data[0].id);
		await refuse('post', 403, { as: 'ann', path: { roomId }, body: { content: 'Bob?' } });
		await tell('deleteMeByPost', 200, { as: 'eve' });
	});

	test('without Redis is unavailable', async () => {
		const away = await start({ healthy: [503],
			options: { redis: `127.0.0.1:${await freePort()}`, 'metrics-token': 'for the scraper' } });
		try {
			for (const { operationId } of answering(503))
				await refuse(operationId, 503, { as: token({ sub: 'ann' }), on: away,
					...(operationId === 'upload' && form([['cat.png', PICTURE]])) });
			await tell('showStats', 200, { as: token({ sub: 'ann' }), on: away });
			await refuse('metrics', 401, { on: away });
			await tell('metrics', 200, { as: 'for the scraper', on: away });
		} finally {
			await away.stop();
		}
	});

	// What is written about an answer that never comes is no documentation.
	test('has given every answer of the document', () => {
		const all = operations.flatMap(({ operationId, responses }) =>
			Object.keys(responses).map((status) => `${operationId} ${status}`));
		assert.deepEqual(all.filter((one) => !seen.has(one)), []);
	});

	test('has said every error of the examples', () => {
		const all = Object.values(api.components.responses).flatMap(({ content }) =>
			Object.values(content[JSON_TYPE].examples ?? {}).map(({ value }) => value.message));
		assert.deepEqual(all.filter((message) => !errors.has(message)), []);
	});
});

// The reference of the REST endpoints at /api, in a browser: Swagger's user interface over /api-json.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { launch } from '../lib/browser.mjs';
import { load } from '../lib/documents.mjs';
import { channel, person } from '../lib/people.mjs';
import { rest } from '../lib/rest.mjs';
import { start } from '../lib/server.mjs';
import { PATIENCE_MS } from '../lib/wait.mjs';

describe('the reference', { timeout: 300_000 }, () => {
	const faults = [];       // what the browser complained of
	const elsewhere = [];    // requests to anybody but the server
	let server;
	let browser;
	let page;
	before(async () => {
		server = await start();
		browser = await launch();
		page = await browser.newPage();
		page.setDefaultTimeout(PATIENCE_MS);
		page.on('pageerror', (error) => faults.push(error.message));
		page.on('console', (line) => ['error', 'warning'].includes(line.type()) && faults.push(line.text()));
		page.on('request', (request) => {
			if (!request.url().startsWith(server.url) && !request.url().startsWith('data:'))
				elsewhere.push(request.url());
		});
		await page.goto(`${server.url}/api`);
	});
	after(async () => {
		await browser?.close();
		await server?.stop();
	});

	const operation = (id) => page.locator(`[id$="-${id}"].opblock`);

	// Opens an operation, fills in its parameters and executes it; gives the status and the body that are shown.
	async function execute(id, values = {}) {
		const block = operation(id);
		await block.locator('.opblock-summary-control').click();
		for (const [name, value] of Object.entries(values))
			await block.locator(`tr[data-param-name="${name}"] input`).fill(value);
		await block.locator('button.execute').click();
		const live = block.locator('.live-responses-table .response');
		const status = await live.locator('.response-col_status').first().innerText();
		const body = await live.locator('.response-col_description pre').first().innerText();
		return { status: Number.parseInt(status, 10), json: JSON.parse(body) };
	}

	async function authorise(token) {
		await page.locator('.auth-wrapper button.authorize').first().click();
		await page.locator('.modal-ux input').fill(token);
		await page.locator('.modal-ux button.authorize').click();
		await page.locator('.modal-ux button.btn-done').click();
	}

	test('the documents are served as they are', async () => {
		for (const [path, name] of [['/api-json', 'openapi.json'], ['/asyncapi.json', 'asyncapi.json']]) {
			const answer = await rest(server, 'GET', path);
			assert.equal(answer.status, 200, answer.body);
			assert.deepEqual(answer.json, load(name));
		}
	});

	test('shows every operation', async () => {
		const { paths, info } = load('openapi.json');
		await page.locator('.opblock').first().waitFor();
		assert.match(await page.locator('.info .title').innerText(), new RegExp(info.title));
		const shown = await page.locator('.opblock').count();
		assert.equal(shown, Object.values(paths).flatMap(Object.keys).length);
	});

	test('without a token an endpoint refuses', async () => {
		const { status, json } = await execute('showMe');
		assert.deepEqual([status, json], [401, { message: 'Authentication token required', errors: {} }]);
	});

	test('with a token it answers', async () => {
		const ann = await person(server, 'Ann');
		const id = await channel(server, ann);
		await authorise(ann.token);
		const { status, json } = await execute('listMembers', { id });
		assert.equal(status, 200);
		assert.deepEqual(json.data.map((one) => [one.id, one.role]), [[ann.id, 'owner']]);
	});

	test('a body is sent as the example says', async () => {
		const { status, json } = await execute('signUp');
		assert.equal(status, 201);
		assert.equal(json.user.username, 'ann');
	});

	test('nothing is blocked, and nobody else is asked', () => {
		// The browser itself tells of answers of 400 and more.
		assert.deepEqual(faults.filter((text) => !/status of 401/.test(text)), []);
		assert.deepEqual(elsewhere, []);
	});
});

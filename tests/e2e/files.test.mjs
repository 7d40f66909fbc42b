// Files over HTTP: the page, the reference, the Socket.IO client.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import zlib from 'node:zlib';
import { person } from '../lib/people.mjs';
import { rest } from '../lib/rest.mjs';
import { ROOT, program, start } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';
import { Wire, request, requestBytes } from '../lib/wire.mjs';

const CLIENT = '/socket.io/socket.io.js';

describe('files', { timeout: 120_000 }, () => {
	let server;
	before(async () => { server = await start({ options: { workers: 2 } }); });
	after(() => server?.stop());

	const get = (path, headers, method = 'GET') => request(server.port, { method, path, headers });

	test('the page is at /, with a policy that lets in only what is its own', async () => {
		const answer = await get('/');
		assert.equal(answer.status, 200);
		assert.equal(answer.headers['content-type'], 'text/html; charset=utf-8');
		assert.equal(answer.body, fs.readFileSync(path.join(ROOT, 'web/index.html'), 'utf8'));
		assert.equal(answer.headers['x-content-type-options'], 'nosniff');
		assert.equal(answer.headers['cache-control'], 'no-cache');
		const policy = answer.headers['content-security-policy'];
		assert.match(policy, /^default-src 'none'; script-src 'self'; connect-src 'self'; /);
		assert.doesNotMatch(policy, /unsafe|\*|data:|https?:/);
	});

	test('nothing in the page asks for what its policy forbids', () => {
		const page = fs.readFileSync(path.join(ROOT, 'web/index.html'), 'utf8');
		assert.doesNotMatch(page, /<style|\sstyle=|<script(?![^>]*\ssrc=)|\son\w+=/);
		for (const name of fs.readdirSync(path.join(ROOT, 'web/js'))) {
			const script = fs.readFileSync(path.join(ROOT, 'web/js', name), 'utf8');
			assert.doesNotMatch(script, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b/, name);
		}
	});

	test('each file has its type', async () => {
		for (const [path, type] of [['/js/app.js', 'text/javascript; charset=utf-8'], ['/css/page.css', 'text/css; charset=utf-8'],
			['/icon.svg', 'image/svg+xml'], [CLIENT, 'text/javascript; charset=utf-8'], [`${CLIENT}.map`, 'application/json']]) {
			const answer = await get(path);
			assert.equal(answer.status, 200, path);
			assert.equal(answer.headers['content-type'], type);
			assert.equal(answer.headers['content-security-policy'], undefined);
		}
	});

	test('the client is where Socket.IO servers have it, as npm has it', async () => {
		const dist = path.join(ROOT, 'web/node_modules/socket.io-client/dist');
		for (const name of fs.readdirSync(dist).filter((name) => name.startsWith('socket.io.'))) {
			const answer = await get(`/socket.io/${name}`);
			assert.equal(answer.status, 200, name);
			assert.ok(answer.bytes.equals(fs.readFileSync(path.join(dist, name))), name);
		}
		// All else below it is Engine.IO's.
		assert.equal((await get('/socket.io/')).body, '{"code":0,"message":"Transport unknown"}');
		assert.equal((await get('/socket.io/other.js')).status, 400);
		assert.equal((await get('/socket.io/socket.io.none.js')).status, 404);
	});

	test('HEAD is GET without the content; other methods are refused', async () => {
		const whole = await get('/');
		const head = await get('/', {}, 'HEAD');
		assert.equal(head.status, 200);
		assert.equal(head.headers['content-length'], String(whole.bytes.length));
		assert.equal(head.headers.etag, whole.headers.etag);
		const refused = await get('/', {}, 'POST');
		assert.equal(refused.status, 405);
		assert.equal(refused.headers.allow, 'GET, HEAD');
	});

	test('compressed as the client accepts', async () => {
		const plain = await get(CLIENT);
		const hash = createHash('sha256').update(plain.bytes).digest('hex');
		assert.equal(plain.headers['content-encoding'], undefined);
		assert.match(plain.headers.vary, /Accept-Encoding/);
		const etags = new Set([plain.headers.etag]);
		for (const [accepted, coding, decode] of [['gzip, deflate', 'gzip', zlib.gunzipSync],
			['gzip, deflate, br', 'br', zlib.brotliDecompressSync], ['br;q=0, gzip;q=0.5', 'gzip', zlib.gunzipSync]]) {
			const answer = await get(CLIENT, { 'Accept-Encoding': accepted });
			assert.equal(answer.headers['content-encoding'], coding, accepted);
			assert.ok(answer.bytes.length < plain.bytes.length / 2);
			assert.equal(createHash('sha256').update(decode(answer.bytes)).digest('hex'), hash);
			etags.add(answer.headers.etag);
		}
		assert.equal(etags.size, 3);
		for (const accepted of ['identity', 'gzip;q=0, br;q=0.0', 'zstd', '', ';;,,'])
			assert.equal((await get(CLIENT, { 'Accept-Encoding': accepted })).headers['content-encoding'], undefined, accepted);
	});

	test('what the client has already is not sent again', async () => {
		const { headers: { etag } } = await get(CLIENT);
		for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
			const answer = await get(CLIENT, { 'If-None-Match': known });
			assert.equal(answer.status, 304, known);
			assert.equal(answer.headers.etag, etag);
			assert.equal(answer.bytes.length, 0);
		}
		assert.equal((await get(CLIENT, { 'If-None-Match': '"other"' })).status, 200);
		assert.equal((await get(CLIENT, { 'If-None-Match': etag, 'Accept-Encoding': 'br' })).status, 200);
	});

	test('what is no file is not found, by whatever spelling', async () => {
		for (const path of ['/nothing', '/js', '/js/', '/js/../index.html', '/js/%2e%2e/index.html', '//index.html',
			'/../../etc/passwd', '/.built', '/index.html.gz', '/INDEX.HTML']) {
			const answer = await get(path);
			assert.equal(answer.status, 404, path);
			assert.equal(answer.body, '{"message":"Not found","errors":{}}');
		}
	});

	test('where there is an endpoint, no file is looked for', async () => {
		const answer = await get('/login/signup');
		assert.equal(answer.status, 405);
		assert.equal(answer.headers.allow, 'POST');
	});

	test('who asks and does not read gets no more', async () => {
		const ann = await person(server, 'Ann');
		const many = 300;
		const { bytes } = await get(CLIENT);
		const wire = await Wire.connect(server.port);
		wire.pause();
		wire.send(Buffer.concat(Array.from({ length: many }, () => requestBytes({ path: CLIENT }))));
		const queued = async () => (await rest(server, 'GET', '/api/stats', ann.token)).json.queueBytes;
		await until(async () => await queued() > 0, 'full queue');
		assert.ok(await queued() < 2e6, `${await queued()} bytes wait`);
		wire.resume();
		for (let i = 0; i < many; i++)
			assert.ok((await wire.response()).bytes.equals(bytes), `answer ${i}`);
		wire.destroy();
	});
});

describe('without a build of the page', { timeout: 60_000 }, () => {
	test('the server says so and serves its APIs', async () => {
		const dir = fs.mkdtempSync(path.join(ROOT, 'build/bare-'));
		try {
			fs.mkdirSync(path.join(dir, 'release'));
			for (const name of ['confab', 'functions.lua'])
				fs.copyFileSync(program(name), path.join(dir, 'release', name));
			const binary = path.relative(program('.'), path.join(dir, 'release/confab'));
			const bare = await start({ binary, options: { workers: 1 } });
			assert.match(bare.output, /there is no page at \//);
			assert.equal((await request(bare.port, { path: '/' })).status, 404);
			assert.equal((await request(bare.port, { path: '/health' })).status, 200);
			await bare.stop();
		} finally {
			fs.rmSync(dir, { recursive: true, force: true });
		}
	});
});

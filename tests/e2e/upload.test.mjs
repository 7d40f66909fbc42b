// Files: uploaded, refused, attached, served and removed.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { deflateSync } from 'node:zlib';
import Redis from 'ioredis';
import { enter, leaveAll } from '../lib/chatter.mjs';
import { channel, conversation, person } from '../lib/people.mjs';
import { rest } from '../lib/rest.mjs';
import { start } from '../lib/server.mjs';
import { token } from '../lib/token.mjs';
import { until } from '../lib/wait.mjs';
import { Wire, request, requestBytes } from '../lib/wire.mjs';

const MIB = 1024 * 1024;
const MAX = 10 * MIB;
const BOUNDARY = 'x-boundary-7MA4YWxkTrZu0gW';
const TYPE = `multipart/form-data; boundary=${BOUNDARY}`;

function pngChunk(name, data) {
	const length = Buffer.alloc(4);
	length.writeUInt32BE(data.length);
	// Nobody here checks the sum.
	return Buffer.concat([length, Buffer.from(name), data, Buffer.alloc(4)]);
}

const PNG = Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
	pngChunk('IHDR', Buffer.from([0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0])),
	pngChunk('IDAT', deflateSync(Buffer.from([0, 0]))), pngChunk('IEND', Buffer.alloc(0))]);

// A PNG of so many bytes, with whatever behind its end.
function pngOf(size) {
	return Buffer.concat([PNG, randomBytes(size - PNG.length)]);
}

// One stored file, without its sums.
function zipOf(name, content) {
	const head = Buffer.alloc(30);
	head.write('PK\x03\x04\x14', 'latin1');
	head.writeUInt32LE(content.length, 18);
	head.writeUInt32LE(content.length, 22);
	head.writeUInt16LE(name.length, 26);
	return Buffer.concat([head, Buffer.from(name), Buffer.from(content)]);
}

function part(content, filename, name = 'file') {
	const as = filename === undefined ? '' : `; filename="${filename}"`;
	return Buffer.concat([
		Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"${as}\r\n` +
			'Content-Type: application/octet-stream\r\n\r\n'),
		Buffer.from(content), Buffer.from('\r\n')]);
}

function form(...parts) {
	return Buffer.concat([...parts, Buffer.from(`--${BOUNDARY}--\r\n`)]);
}

const sha = (bytes) => createHash('sha256').update(bytes).digest('hex');

// All files that the server keeps, or has begun.
function filesOf(server, where = '') {
	const dir = path.join(server.dataDir, 'uploads', where);
	if (!fs.existsSync(dir))
		return [];
	return fs.readdirSync(dir, { recursive: true, withFileTypes: true })
		.filter((entry) => entry.isFile()).map((entry) => entry.name);
}

// The memory that is a worker's own, in bytes, of the largest.
function largest(server) {
	return Math.max(...server.workers().map(({ pid }) =>
		1024 * Number(/RssAnon:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1])));
}

describe('uploads', { timeout: 280_000 }, () => {
	let server;
	let ann;
	let bob;
	let redis;
	before(async () => {
		// What is freed is to be seen as free.
		const ASAN_OPTIONS = `${process.env.ASAN_OPTIONS ?? ''}:quarantine_size_mb=1`;
		server = await start({ env: { ASAN_OPTIONS } });
		[ann, bob] = [await person(server, 'Ann'), await person(server, 'Bob')];
		redis = new Redis({ path: server.redisSocket() });
	});
	after(async () => {
		leaveAll();
		redis?.disconnect();
		await server?.stop();
	});

	const send = (body, { who = ann, type = TYPE, headers = {} } = {}) =>
		rest(server, 'POST', '/api/upload', who?.token, body, { 'Content-Type': type, ...headers });
	const get = (url, headers = {}, method = 'GET') => request(server.port, { method, path: url, headers });
	// One file; gives its Attachment.
	async function upload(content, filename, who = ann) {
		const answer = await send(form(part(content, filename)), { who });
		assert.equal(answer.status, 201, answer.body);
		return answer.json.data;
	}
	// Fails unless this is refused so and leaves no file behind.
	async function refused(status, body, options, field) {
		const kept = filesOf(server).length;
		const answer = await send(body, options);
		assert.equal(answer.status, status, answer.body);
		assert.equal(typeof answer.json.message, 'string');
		assert.deepEqual(Object.keys(answer.json.errors), field ? [field] : []);
		await until(() => filesOf(server).length === kept, 'end of what was begun');
		return answer.json;
	}

	test('a file, as it is and as it is served', async () => {
		const file = await upload(PNG, 'Bild é.png');
		assert.deepEqual(file, { id: file.id, filename: 'Bild.png', originalName: 'Bild é.png', mimeType: 'image/png',
			size: PNG.length, url: `/uploads/${file.id}/Bild.png`, createdAt: file.createdAt });
		assert.match(file.id, /^[0-9a-f]{32}$/);
		assert.match(file.createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
		const { status, headers, bytes } = await get(file.url);
		assert.equal(status, 200);
		assert.deepEqual(bytes, PNG);
		const said = { 'content-type': 'image/png', etag: `"${file.id}"`, 'accept-ranges': 'bytes',
			'cache-control': 'private, max-age=31536000, immutable', 'x-content-type-options': 'nosniff',
			'content-security-policy': "default-src 'none'; sandbox",
			'content-disposition': 'inline; filename="Bild.png"; filename*=UTF-8\'\'Bild%20%C3%A9.png' };
		for (const [name, value] of Object.entries(said))
			assert.equal(headers[name], value);
		const head = await get(file.url, {}, 'HEAD');
		assert.deepEqual([head.status, head.headers['content-length'], head.headers.etag],
			[200, String(PNG.length), `"${file.id}"`]);
		assert.deepEqual(filesOf(server, file.id.slice(0, 2)), [file.id]);
	});

	test('several at once, and fields that nobody knows', async () => {
		const answer = await send(form(part('some text, as it is\n', 'a.md'), part('x', undefined, 'title'),
			part(PNG, 'b.png', 'other'), part(PNG, 'c.png')));
		assert.equal(answer.status, 201, answer.body);
		assert.deepEqual(answer.json.data.map(({ originalName, mimeType }) => [originalName, mimeType]),
			[['a.md', 'text/plain'], ['c.png', 'image/png']]);
	});

	const KINDS = [
		['a GIF', Buffer.from('GIF89a\x01\x00\x01\x00\x00\x00\x00;', 'latin1'), 'a.gif', 'image/gif', 'inline'],
		['a JPEG', Buffer.from('ffd8ffe000104a46494600010100000100010000ffd9', 'hex'), 'a.JPG', 'image/jpeg', 'inline'],
		['a WebP', Buffer.from('RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00', 'latin1'), 'a.webp', 'image/webp', 'inline'],
		['a text', 'grüße aus dem Text\n', 'a.txt', 'text/plain', 'inline'],
		['a PDF', '%PDF-1.4\n1 0 obj\n<<>>\nendobj\n', 'a.pdf', 'application/pdf', 'attachment'],
		['a zip', zipOf('a.txt', 'hi'), 'a.zip', 'application/zip', 'attachment'],
		['an OpenDocument', zipOf('mimetype', 'application/vnd.oasis.opendocument.text'), 'a.odt',
			'application/vnd.oasis.opendocument.text', 'attachment'],
		['an old office document', Buffer.concat([Buffer.from('d0cf11e0a1b11ae1', 'hex'), Buffer.alloc(700)]), 'a.doc',
			'application/x-ole-storage', 'attachment'],
	];
	for (const [what, content, filename, mimeType, disposition] of KINDS) {
		test(`${what} is taken`, async () => {
			const file = await upload(content, filename);
			assert.deepEqual([file.mimeType, file.filename], [mimeType, filename]);
			const { headers, bytes } = await get(file.url);
			assert.equal(headers['content-type'], mimeType === 'text/plain' ? 'text/plain; charset=utf-8' : mimeType);
			assert.ok(headers['content-disposition'].startsWith(`${disposition};`));
			assert.deepEqual(bytes, Buffer.from(content));
		});
	}

	for (const [what, content, filename] of [
		['a script', '#!/bin/sh\nrm -rf /\n', 'a.png'],
		['a page', '<!DOCTYPE html><script>alert(1)</script>', 'a.txt'],
		['a drawing with a script', '<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>', 'a.png'],
		['a program', Buffer.from(`MZ${'\0'.repeat(58)}\x40\0\0\0PE\0\0${'\0'.repeat(200)}`, 'latin1'), 'a.txt'],
		['bytes that are nothing', Buffer.from('\x00\x01\x02\xfd\xfe', 'latin1'), 'a.zip'],
	])
		test(`${what} named ${filename} is refused`, async () => {
			await refused(415, form(part(content, filename)));
			// One of several is enough.
			await refused(415, form(part(PNG, 'good.png'), part(content, filename)));
		});

	for (const [name, originalName, filename] of [
		['photo.txt', 'photo.txt', 'photo.txt.png'],
		['../../../etc/passwd', 'passwd', 'passwd.png'],
		['C:\\Users\\ann\\a.png', 'a.png', 'a.png'],
		['..', 'file', 'file.png'],
		['', 'file', 'file.png'],
		['.png', '.png', 'file.png'],
		['日本語.png', '日本語.png', 'file.png'],
		['a"b<c>.png', 'a"b<c>.png', 'a_b_c.png'],
		['-rf --no.png', '-rf --no.png', 'rf_--no.png'],
		['42.zip', '42.zip', '42.zip.png'],
		[`${'x'.repeat(251)}.png`, `${'x'.repeat(251)}.png`, `${'x'.repeat(100)}.png`],
	])
		test(`a PNG named ${JSON.stringify(name).slice(0, 40)}`, async () => {
			const file = await upload(PNG, name.replaceAll('\\', '\\\\').replaceAll('"', '%22'));
			assert.deepEqual([file.originalName, file.filename, file.mimeType], [originalName, filename, 'image/png']);
			assert.deepEqual((await get(file.url)).bytes, PNG);
			const disposition = (await get(file.url)).headers['content-disposition'];
			assert.equal(decodeURIComponent(/UTF-8''(\S+)$/.exec(disposition)[1]), originalName);
		});

	test('names that are refused', async () => {
		await refused(422, form(part(PNG, `${'é'.repeat(252)}.png`)), {}, 'file');
		await refused(422, form(part(PNG, 'a%0D%0Ab.png')), {}, 'file');
		await refused(400, form(part(PNG, 'a\0b.png')));
		await refused(400, form(part(PNG, 'x'.repeat(9000))));
		const latin = Buffer.concat([Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="`),
			Buffer.from([0xe9, 0x2e]), Buffer.from(`"\r\n\r\nhello\r\n--${BOUNDARY}--\r\n`)]);
		await refused(422, latin, {}, 'file');
	});

	test('bodies that are refused', async () => {
		await refused(422, form(), {}, 'file');
		await refused(422, form(part('x', undefined)), {}, 'file');
		await refused(422, form(part('', 'empty.txt')), {}, 'file');
		await refused(422, form(...Array.from({ length: 6 }, (_, i) => part(PNG, `${i}.png`))), {}, 'file');
		await refused(400, part(PNG, 'a.png'));
		await refused(400, Buffer.from('hello'));
		await refused(400, form(Buffer.from(`--${BOUNDARY}\r\n\r\nhello\r\n`)));
		await refused(415, '{}', { type: 'application/json' });
		await refused(415, form(part(PNG, 'a.png')), { type: 'multipart/form-data' });
		await refused(415, form(part(PNG, 'a.png')), { type: 'multipart/mixed; boundary=a' });
		await refused(401, form(part(PNG, 'a.png')), { who: null });
		await refused(401, form(part(PNG, 'a.png')), { who: { token: token({ sub: ann.id, exp: 1 }) } });
		const answer = await get('/api/upload', {}, 'GET');
		assert.deepEqual([answer.status, answer.headers.allow], [405, 'POST']);
		assert.equal((await get('/api/upload/x', {}, 'POST')).status, 404);
	});

	test('10 MiB are taken, one byte more is not', async () => {
		const file = await upload(pngOf(MAX), 'large.png');
		assert.equal(file.size, MAX);
		await refused(413, form(part(pngOf(MAX + 1), 'large.png')));
		// Refused by what it announces, before it comes.
		const wire = await Wire.connect(server.port);
		wire.send(requestBytes({ method: 'POST', path: '/api/upload', headers: { 'Content-Type': TYPE,
			Authorization: `Bearer ${ann.token}`, 'Content-Length': 60 * MIB, Expect: '100-continue' } }));
		assert.equal((await wire.response()).status, 413);
		wire.destroy();
	});

	test('chunked, in small pieces, after 100 Continue', async () => {
		const wire = await Wire.connect(server.port);
		wire.send(requestBytes({ method: 'POST', path: '/api/upload', headers: { 'Content-Type': TYPE,
			Authorization: `Bearer ${ann.token}`, 'Transfer-Encoding': 'chunked', Expect: '100-continue' } }));
		assert.equal((await wire.response()).status, 100);
		const body = form(part(PNG, 'a.png'));
		for (let at = 0; at < body.length; at += 7) {
			const piece = body.subarray(at, at + 7);
			wire.send(Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]));
		}
		wire.send('0\r\n\r\n');
		const answer = await wire.response();
		assert.equal(answer.status, 201, answer.body);
		// The connection goes on.
		wire.send(requestBytes({ path: JSON.parse(answer.body).data.url }));
		assert.deepEqual((await wire.response()).bytes, PNG);
		wire.destroy();
	});

	test('ranges, and what a client has already', async () => {
		const content = randomBytes(3000).toString('hex');
		const file = await upload(content, 'a.txt');
		const tag = `"${file.id}"`;
		const size = content.length;
		for (const [range, from, end] of [
			['bytes=0-0', 0, 1], ['bytes=10-19', 10, 20], ['bytes=5990-', 5990, size], ['bytes=-10', size - 10, size],
			['bytes=-99999', 0, size], ['bytes=100-99999', 100, size],
		]) {
			const answer = await get(file.url, { Range: range });
			assert.equal(answer.status, 206, range);
			assert.equal(answer.headers['content-range'], `bytes ${from}-${end - 1}/${size}`);
			assert.equal(answer.body, content.slice(from, end), range);
		}
		for (const range of ['bytes=6000-', 'bytes=-0', 'bytes=99999-100000']) {
			const answer = await get(file.url, { Range: range });
			assert.deepEqual([answer.status, answer.headers['content-range']], [416, `bytes */${size}`], range);
		}
		for (const range of ['bytes=0-1,3-4', 'bytes=5-1', 'bytes=', 'bytes=x-y', 'lines=0-1', 'bytes=-', 'bytes=1'])
			assert.deepEqual([(await get(file.url, { Range: range })).status, range], [200, range]);
		assert.equal((await get(file.url, { Range: 'bytes=0-0', 'If-Range': tag })).status, 206);
		assert.equal((await get(file.url, { Range: 'bytes=0-0', 'If-Range': '"other"' })).status, 200);
		for (const match of [tag, `W/${tag}`, `"other", ${tag}`, '*']) {
			const answer = await get(file.url, { 'If-None-Match': match });
			assert.deepEqual([answer.status, answer.body, answer.headers.etag], [304, '', tag]);
		}
		assert.equal((await get(file.url, { 'If-None-Match': '"other"' })).status, 200);
	});

	test('what is not there', async () => {
		const file = await upload(PNG, 'a.png');
		for (const url of ['/uploads', '/uploads/', `/uploads/${file.id}`, `/uploads/${file.id}/`, `/uploads/${file.id}/b.png`,
			`/uploads/${file.id}/a.png/`, `/uploads/${'0'.repeat(32)}/a.png`, `/uploads/../${file.id}/a.png`,
			`/uploads/new/${file.id}`, `/uploads/${file.id.toUpperCase()}x/a.png`])
			assert.deepEqual([(await get(url)).status, url], [404, url]);
		assert.equal((await get(file.url, {}, 'DELETE')).status, 405);
		fs.rmSync(path.join(server.dataDir, 'uploads', file.id.slice(0, 2), file.id));
		assert.equal((await get(file.url)).status, 404);
	});

	test('a client that goes away leaves nothing', async () => {
		const kept = filesOf(server).length;
		const body = form(part(pngOf(MIB), 'a.png'));
		const wire = await Wire.connect(server.port);
		wire.send(requestBytes({ method: 'POST', path: '/api/upload', headers: { 'Content-Type': TYPE,
			Authorization: `Bearer ${ann.token}`, 'Content-Length': body.length } }));
		wire.send(body.subarray(0, body.length / 2));
		await until(() => filesOf(server, 'new').length === 1, 'beginning of the file');
		wire.reset();
		await until(() => filesOf(server).length === kept, 'end of it');
	});

	test('50 clients with 10 MiB each: memory stays flat, and all is there', async () => {
		const content = pngOf(MAX);
		const body = form(part(content, 'large.png'));
		await upload(PNG, 'first.png');
		const at = largest(server);
		let most = 0;
		const watch = setInterval(() => { most = Math.max(most, largest(server)); }, 20);
		const answers = await Promise.all(Array.from({ length: 50 }, async () => {
			const wire = await Wire.connect(server.port);
			wire.send(requestBytes({ method: 'POST', path: '/api/upload', headers: { 'Content-Type': TYPE,
				Authorization: `Bearer ${bob.token}`, 'Content-Length': body.length } }));
			wire.send(body);
			const answer = await wire.response({ ms: 120_000 });
			wire.destroy();
			return answer;
		}));
		for (const { status, body: said } of answers)
			assert.equal(status, 201, said);
		assert.deepEqual(filesOf(server, 'new'), []);
		const flat = (what) => assert.ok(most > 0 && most - at < 32 * MIB, `${what}: ${((most - at) / MIB).toFixed(1)} MiB more`);
		flat('written');
		const urls = answers.map((answer) => JSON.parse(answer.body).data.url);
		// All begin to read, and stop: what waits for them must not wait in memory.
		const readers = await Promise.all(urls.map(async (url) => {
			const wire = await Wire.connect(server.port);
			wire.pause();
			wire.send(requestBytes({ path: url }));
			return wire;
		}));
		assert.equal((await get(urls[0])).bytes.length, MAX);
		for (const wire of readers)
			wire.resume();
		for (const wire of readers) {
			assert.equal(sha((await wire.response({ ms: 120_000 })).bytes), sha(content));
			wire.destroy();
		}
		clearInterval(watch);
		flat('read');
	});

	describe('in messages', () => {
		const KINDS = {
			channel: {
				room: () => channel(server, ann, [bob]), field: 'channelId', join: 'join_channel', send: 'send_message',
				heard: 'new_message', remove: 'delete_message', path: (id) => `/api/messages?channelId=${id}`,
			},
			conversation: {
				room: () => conversation(server, ann, bob), field: 'conversationId', join: 'join_conversation',
				send: 'send_direct_message', heard: 'new_direct_message', remove: 'delete_direct_message',
				path: (id) => `/api/conversations/${id}/messages`,
			},
		};
		for (const [kind, words] of Object.entries(KINDS))
			test(`of a ${kind}: what was uploaded, whatever else is said of it`, async () => {
				const id = await words.room();
				const [one, other] = [await enter(server, { token: ann.token }), await enter(server, { token: bob.token })];
				await other.ask(words.join, { [words.field]: id });
				const file = await upload(PNG, 'a.png');
				const answer = await one.ask(words.send, { [words.field]: id, content: 'see',
					attachments: [{ ...file, url: 'javascript:alert(1)', mimeType: 'text/html', size: 1 }] });
				assert.equal(answer.ok, true, answer.error);
				assert.deepEqual(answer.message.attachments, [file]);
				assert.deepEqual((await other.next(words.heard)).attachments, [file]);
				const history = await rest(server, 'GET', words.path(id), bob.token);
				assert.deepEqual(history.json.data[0].attachments, [file]);
				for (const attachments of [[file], [{ id: '0'.repeat(32) }], [{}], ['x'], [{ id: '{"id":"x"}' }], [null]])
					assert.equal((await other.ask(words.send, { [words.field]: id, content: 'mine', attachments })).error,
						'Invalid message data: attachments name an unknown upload');
				assert.match((await one.ask(words.send, { [words.field]: id, content: 'x', attachments: Array(11).fill(file) })).error,
					/^Invalid message data: attachments /);
				await one.ask(words.remove, { [words.field]: id, messageId: answer.message.id });
				assert.deepEqual((await rest(server, 'GET', words.path(id), bob.token)).json.data[0].attachments, []);
			});

		test('messenger: media, also links to elsewhere', async () => {
			const one = await enter(server, { nsp: '/messenger', token: ann.token });
			const other = await enter(server, { nsp: '/messenger', token: bob.token });
			const file = await upload(PNG, 'a.png');
			const media = ['https://img.example/a.png', file.url];
			const { chat } = await one.ask('send-message', { user: bob.username, message: 'see', media });
			assert.deepEqual(chat.media, media);
			assert.deepEqual((await other.next('chat')).chat.media, media);
			const { error } = await other.ask('send-message', { user: ann.username, message: 'mine', media });
			assert.deepEqual(error, { code: 'bad-request', message: 'media name an unknown upload' });
			const id = await conversation(server, ann, bob);
			const { json } = await rest(server, 'GET', `/api/conversations/${id}/messages`, bob.token);
			assert.deepEqual(json.data[0].attachments[1], file);
		});
	});

	test('a day without a message, and a file is gone', async () => {
		const id = await channel(server, ann);
		const one = await enter(server, { token: ann.token });
		const [kept, lost] = [await upload(PNG, 'kept.png'), await upload(PNG, 'lost.png')];
		await one.ask('send_message', { channelId: id, content: 'see', attachments: [kept] });
		assert.equal(await redis.zscore('uploads:idle', kept.id), null);
		await redis.zincrby('uploads:idle', -86_400_000, lost.id);
		await until(() => !filesOf(server).includes(lost.id), 'removal');
		await until(async () => await redis.zscore('uploads:going', lost.id) === null, 'that it is said');
		assert.equal((await get(lost.url)).status, 404);
		assert.equal((await get(kept.url)).status, 200);
		assert.equal((await one.ask('send_message', { channelId: id, content: 'late', attachments: [lost] })).ok, false);
	});
});

describe('uploads and limits', { timeout: 120_000 }, () => {
	let server;
	let ann;
	const run = async (options) => {
		server = await start({ options: { workers: 2, ...options } });
		ann = await person(server, 'Ann');
	};
	after(() => server?.stop());
	const send = (body) => rest(server, 'POST', '/api/upload', ann.token, body, { 'Content-Type': TYPE });
	async function full(body) {
		const before = filesOf(server);
		const answer = await send(body);
		assert.equal(answer.status, 507, answer.body);
		assert.deepEqual(answer.json.errors, {});
		await until(() => filesOf(server).length === before.length, 'end of what was begun');
		return answer.json.message;
	}

	test('the quota of a user', async () => {
		await run({ 'upload-user-quota': 1, 'body-timeout': '4s' });
		assert.equal((await send(form(part(pngOf(600_000), 'a.png')))).status, 201);
		assert.match(await full(form(part(pngOf(600_000), 'b.png'))), /^Your files/);
		assert.equal((await send(form(part(pngOf(300_000), 'c.png')))).status, 201);
	});

	test('a client that stops is told so', async () => {
		const body = form(part(pngOf(50_000), 'a.png'));
		const wire = await Wire.connect(server.port);
		wire.send(requestBytes({ method: 'POST', path: '/api/upload', headers: { 'Content-Type': TYPE,
			Authorization: `Bearer ${ann.token}`, 'Content-Length': body.length } }));
		wire.send(body.subarray(0, 1000));
		const answer = await wire.response();
		assert.equal(answer.status, 408, answer.body);
		await wire.end();
		assert.deepEqual(filesOf(server, 'new'), []);
	});

	test('files that the system lets be no larger', async () => {
		for (const { pid } of server.workers())
			execFileSync('prlimit', [`--pid=${pid}`, '--fsize=50000:50000']);
		assert.equal(await full(form(part(pngOf(60_000), 'a.png'))), 'There is no space left for uploads');
		assert.equal((await send(form(part(pngOf(40_000), 'a.png')))).status, 201);
		await server.stop();
	});

	test('the quota of all, and a disk that is to be left free', async () => {
		await run({ 'upload-quota': 1 });
		assert.match(await full(form(part(pngOf(600_000), 'a.png'), part(pngOf(600_000), 'b.png'))), /^There is no space/);
		await server.stop();
		await run({ 'upload-free': 1_000_000_000 });
		await full(form(part(PNG, 'a.png')));
		await server.stop();
	});

	test('a disk that is full', async (t) => {
		await run({ 'upload-free': 0 });
		const dir = path.join(server.dataDir, 'uploads');
		fs.mkdirSync(dir);
		try {
			execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', dir], { stdio: 'ignore' });
		} catch {
			t.skip('mounting is not allowed here');
			return;
		}
		try {
			await full(form(part(pngOf(2 * MIB), 'a.png')));
			assert.equal((await send(form(part(pngOf(MIB / 2), 'a.png')))).status, 201);
			await full(form(part(pngOf(MIB / 2), 'b.png'), part(pngOf(MIB / 2), 'c.png')));
		} finally {
			execFileSync('umount', ['-l', dir]);
		}
	});
});

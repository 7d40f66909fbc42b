// Requests that two servers could read in two ways, or that want too much: each is refused and its
// connection closed, before anything behind it is looked at (RFC 9112).
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Polling } from '../lib/engine.mjs';
import { startConformance } from '../lib/server.mjs';
import { Wire } from '../lib/wire.mjs';

const BODY = '4smuggled';

// A POST to the path of a living session, with these header lines.
function post(lines, body = BODY) {
	return (url) => `POST ${url} HTTP/1.1\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n${body}`;
}

const HOST = 'Host: localhost';
const LENGTH = `Content-Length: ${BODY.length}`;
const CHUNKED = 'Transfer-Encoding: chunked';
const chunks = (...lines) => post([HOST, CHUNKED], lines.join(''));

const GOOD = [
	['a plain request', post([HOST, LENGTH])],
	['blanks around a value', post([HOST, `Content-Length: \t ${BODY.length} \t`])],
	['names in any case', post(['hOsT: a', `CONTENT-LENGTH: ${BODY.length}`])],
	['an empty line before the request', (url) => `\r\n${post([HOST, LENGTH])(url)}`],
	['an empty value', post([HOST, LENGTH, 'X-Empty:'])],
	['a value with high bytes', post([HOST, LENGTH, 'X-Name: J\xfcrgen'])],
	['chunks', chunks('9\r\n', BODY, '\r\n0\r\n\r\n')],
	['chunks in capitals', post([HOST, 'Transfer-Encoding: CHUNKED'], `9\r\n${BODY}\r\n0\r\n\r\n`)],
	['leading zeros of a chunk size', chunks('0009\r\n', BODY, '\r\n000\r\n\r\n')],
	['a chunk extension', chunks('9;name="va;l"\r\n', BODY, '\r\n0;last\r\n\r\n')],
	['an absolute target', (url) => post([HOST, LENGTH])(`http://localhost${url}`)],
	['60 more headers', post([HOST, LENGTH, ...Array.from({ length: 60 }, (_, i) => `X-${i}: a`)])],
];

const LONG = 'x'.repeat(20_000);

const BAD = [
	['Content-Length and Transfer-Encoding', post([HOST, LENGTH, CHUNKED], `9\r\n${BODY}\r\n0\r\n\r\n`)],
	['Transfer-Encoding and Content-Length', post([HOST, CHUNKED, 'Content-Length: 0'], `0\r\n\r\n`)],
	['two different lengths', post([HOST, LENGTH, 'Content-Length: 3'])],
	['the same length twice', post([HOST, LENGTH, LENGTH])],
	['a list of lengths', post([HOST, 'Content-Length: 9, 9'])],
	...['+9', '-9', '0x9', '9.0', '9 9', '', '9;', '1e1', '\xb9', '"9"'].map((value) =>
		[`the length ${JSON.stringify(value)}`, post([HOST, `Content-Length: ${value}`])]),
	...['9223372036854775808', '18446744073709551616', '18446744073709551625',
		'99999999999999999999999999'].map((value) =>
		[`the length ${value}`, post([HOST, `Content-Length: ${value}`]), [400, 413]]),
	...['gzip', 'identity', 'xchunked', 'chunkedx', 'chunked, gzip', 'gzip, chunked',
		'chunked, chunked', 'chunked, identity', 'chunked;q=1', ',chunked', '"chunked"', 'chu nked', '']
		.map((value) => [`the transfer coding ${JSON.stringify(value)}`,
			post([HOST, `Transfer-Encoding: ${value}`], `9\r\n${BODY}\r\n0\r\n\r\n`), [400, 501]]),
	['two transfer codings', post([HOST, CHUNKED, CHUNKED], `9\r\n${BODY}\r\n0\r\n\r\n`), [400, 501]],
	['chunked and identity', post([HOST, CHUNKED, 'Transfer-Encoding: identity'],
		`9\r\n${BODY}\r\n0\r\n\r\n`), [400, 501]],
	['chunked in HTTP/1.0', (url) => chunks('9\r\n', BODY, '\r\n0\r\n\r\n')(url)
		.replace('HTTP/1.1', 'HTTP/1.0')],

	['a blank before the colon', post([HOST, `Content-Length : ${BODY.length}`])],
	['a tab before the colon', post([HOST, `Transfer-Encoding\t: chunked`, LENGTH])],
	['a blank before the colon of Host', post(['Host : localhost', LENGTH])],
	['a blank before a name', post([HOST, ` ${LENGTH}`])],
	['a folded line', post([HOST, 'X-Folded: a', ' b', LENGTH])],
	['a line folded by a tab', post([HOST, 'X-Folded: a', `\t${LENGTH}`, LENGTH])],
	['a fold in the first header', post([' a', HOST, LENGTH])],
	['a line without a colon', post([HOST, 'nonsense', LENGTH])],
	['an empty name', post([HOST, ': a', LENGTH])],
	['a name with a blank', post([HOST, 'X Name: a', LENGTH])],
	['a name with a slash', post([HOST, 'X/Name: a', LENGTH])],
	['a name with a high byte', post([HOST, 'X-\xe9: a', LENGTH])],
	['NUL in a name', post([HOST, 'X-\0: a', LENGTH])],
	['NUL in a value', post([HOST, 'X-Value: a\0b', LENGTH])],
	['NUL in the length', post([HOST, `Content-Length: ${BODY.length}\0`])],
	['CR in a value', post([HOST, 'X-Value: a\rb', LENGTH])],
	['CR before a smuggled header', post([HOST, `X-Value: a\r${CHUNKED}`, LENGTH])],
	['a control character in a value', post([HOST, 'X-Value: a\x01b', LENGTH])],
	['DEL in a value', post([HOST, 'X-Value: a\x7fb', LENGTH])],
	['two CRs', post([HOST, 'X-Value: a\r', LENGTH])],

	['bare LF after the request line', (url) => `POST ${url} HTTP/1.1\n${HOST}\r\n${LENGTH}\r\n\r\n${BODY}`],
	['bare LF after a header', (url) => `POST ${url} HTTP/1.1\r\n${HOST}\n${LENGTH}\r\n\r\n${BODY}`],
	['bare LF everywhere', (url) => `POST ${url} HTTP/1.1\n${HOST}\n${LENGTH}\n\n${BODY}`],
	['bare LF at the end of the head', (url) => `POST ${url} HTTP/1.1\r\n${HOST}\r\n${LENGTH}\r\n\n${BODY}`],
	['bare CR at the end of the head', (url) => `POST ${url} HTTP/1.1\r\n${HOST}\r\n${LENGTH}\r\n\r${BODY}\r\n`],

	['no Host', post([LENGTH])],
	['two Hosts', post([HOST, HOST, LENGTH])],
	['two different Hosts', post([HOST, 'Host: evil', LENGTH])],

	['two blanks in the request line', (url) => post([HOST, LENGTH])(` ${url}`)],
	['a blank in the target', (url) => post([HOST, LENGTH])(`${url} x`)],
	['a tab in the request line', (url) => `POST\t${url}\tHTTP/1.1\r\n${HOST}\r\n${LENGTH}\r\n\r\n${BODY}`],
	['NUL in the target', (url) => post([HOST, LENGTH])(`${url}\0`)],
	['a control character in the target', (url) => post([HOST, LENGTH])(`${url}\x0b`)],
	['a high byte in the target', (url) => post([HOST, LENGTH])(`${url}\xff`)],
	['a fragment in the target', (url) => post([HOST, LENGTH])(`${url}#x`)],
	['a target without a slash', (url) => post([HOST, LENGTH])(url.slice(1))],
	['no target', () => `POST HTTP/1.1\r\n${HOST}\r\n${LENGTH}\r\n\r\n${BODY}`],
	['no method', (url) => ` ${url} HTTP/1.1\r\n${HOST}\r\n${LENGTH}\r\n\r\n${BODY}`],
	['a method that is no token', (url) => `PO(ST ${url} HTTP/1.1\r\n${HOST}\r\n${LENGTH}\r\n\r\n${BODY}`],
	['no version', (url) => `POST ${url}\r\n${HOST}\r\n${LENGTH}\r\n\r\n${BODY}`],
	...['HTTP/2.0', 'HTTP/1.2', 'HTTP/0.9', 'HTTP/1.10', 'HTTP/1', 'http/1.1', 'HTTP/1.1 ', 'HTTP/11',
		'HTTPS/1.1', 'HTTP/ 1.1', 'HTTP/1.x'].map((version) =>
		[`the version ${JSON.stringify(version)}`, (url) =>
			`POST ${url} ${version}\r\n${HOST}\r\n${LENGTH}\r\n\r\n${BODY}`, [400, 505]]),
	['a TLS hello', () => '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
	['the preface of HTTP/2', () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', [400, 505]],

	['a target of 20 KB', (url) => post([HOST, LENGTH])(`${url}&x=${LONG}`), [414, 431, 400]],
	['a header of 20 KB', post([HOST, LENGTH, `Cookie: ${LONG}`]), [431, 400]],
	['a name of 20 KB', post([HOST, LENGTH, `${LONG}: a`]), [431, 400]],
	['65 headers', post([HOST, LENGTH, ...Array.from({ length: 63 }, (_, i) => `X-${i}: a`)]), [431]],
	['10,000 headers', post([HOST, LENGTH, ...Array.from({ length: 10_000 }, (_, i) => `X-${i}: a`)]), [431]],

	['an empty chunk size', chunks('\r\n', BODY, '\r\n0\r\n\r\n')],
	...['+9', '-9', '0x9', 'g', '9 9', ' 9', '9 ', '\t9'].map((size) =>
		[`the chunk size ${JSON.stringify(size)}`, chunks(`${size}\r\n`, BODY, '\r\n0\r\n\r\n')]),
	['a chunk size past 2^64', chunks('10000000000000009\r\n', BODY, '\r\n0\r\n\r\n'), [400, 413]],
	['a chunk size of 2^63', chunks('8000000000000000\r\n', BODY, '\r\n0\r\n\r\n'), [400, 413]],
	['bare LF after a chunk size', chunks('9\n', BODY, '\r\n0\r\n\r\n')],
	['bare LF after a chunk', chunks('9\r\n', BODY, '\n0\r\n\r\n')],
	['bare CR after a chunk size', chunks('9\r', BODY, '\r\n0\r\n\r\n')],
	['no line end after a chunk', chunks('9\r\n', BODY, '0\r\n\r\n')],
	['a chunk that is longer than its size', chunks('3\r\n', BODY, '\r\n0\r\n\r\n')],
	['a trailer', chunks('9\r\n', BODY, '\r\n0\r\nX-Trailer: a\r\n\r\n')],
	['a length in a trailer', chunks('9\r\n', BODY, '\r\n0\r\nContent-Length: 5\r\n\r\n')],
	['bare LF after the last chunk', chunks('9\r\n', BODY, '\r\n0\n\n')],
	['bare LF in a chunk extension', chunks('9;a\nb\r\n', BODY, '\r\n0\r\n\r\n')],
	['a chunk extension without an end', chunks(`9;${LONG}\r\n`, BODY, '\r\n0\r\n\r\n'), [400, 413]],
];

// A second request behind the bad one, which must never be answered.
const BEHIND = 'GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: localhost\r\n\r\n';

describe('requests of two readings', { timeout: 300_000 }, () => {
	let server;
	before(async () => { server = await startConformance(); });
	after(() => server?.stop());

	const open = () => Polling.open(server.port, { path: '/engine.io/' });

	for (const [what, bytes] of GOOD) {
		test(`${what} is taken`, async () => {
			const session = await open();
			const wire = await Wire.connect(server.port);
			wire.send(bytes(session.url));
			assert.equal((await wire.response()).body, 'ok');
			// What came was the body and no byte more.
			wire.send(BEHIND);
			assert.match((await wire.response()).body, /^0\{/);
			assert.equal((await session.poll()).body, BODY);
			wire.destroy();
		});
	}

	for (const [what, bytes, statuses = [400]] of BAD) {
		test(`${what} is refused, the connection closed`, async () => {
			const session = await open();
			const wire = await Wire.connect(server.port);
			wire.send(bytes(session.url) + BEHIND);
			const answer = await wire.response();
			assert.ok(statuses.includes(answer.status), `answered ${answer.status}`);
			assert.match(answer.headers.connection ?? '', /close/i);
			assert.equal((await wire.end()).toString(), '', 'something behind it was answered');
			wire.destroy();
			// Nothing of it reached the session: what comes first is what is sent now.
			const alive = await session.post('4after');
			if (alive.status === 200)
				assert.equal((await session.poll()).body, '4after');
		});
	}

	test('a request cut at any byte does no harm', async () => {
		const { url } = await open();
		const whole = post([HOST, LENGTH])(url);
		for (let cut = 0; cut < whole.length; cut += 7) {
			const wire = await Wire.connect(server.port);
			wire.send(whole.slice(0, cut));
			if (cut % 2)
				wire.reset();
			else
				wire.finish();
			if (cut % 2 === 0)
				assert.doesNotMatch((await wire.end()).toString(), /200 OK/);
			wire.destroy();
		}
		await (await open()).post('4a');
	});

	test('random bytes do no harm', async () => {
		// A linear congruential generator: the same bytes in every run.
		let state = 12345;
		const byte = () => (state = (state * 1103515245 + 12345) & 0x7fffffff) >> 16 & 255;
		for (let i = 0; i < 50; i++) {
			const wire = await Wire.connect(server.port);
			wire.send(Buffer.from(Array.from({ length: 1 + i * 13 }, byte)));
			wire.finish();
			assert.doesNotMatch((await wire.end()).toString('latin1'), /HTTP\/1\.1 2/);
			wire.destroy();
		}
		await open();
	});
});

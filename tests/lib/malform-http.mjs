// Malformed HTTP, and malformed forms in well-formed HTTP; see malform.mjs.
import { damage, found, latin } from './chance.mjs';

// --- HTTP ---

const CRLF = '\r\n';

function requestText({ method = 'GET', target = '/', version = 'HTTP/1.1', lines = [], body = '',
	end = CRLF }) {
	return [`${method} ${target} ${version}`, ...lines, '', body].join(end);
}

const HOST = 'Host: localhost';
const CHUNKED = 'Transfer-Encoding: chunked';

function requests(place) {
	const post = JSON.stringify({ content: 'a post' });
	const json = [HOST, 'Content-Type: application/json', `Authorization: Bearer ${place.token}`];
	return [
		{ target: '/health', lines: [HOST] },
		{ target: '/', lines: [HOST, 'Accept-Encoding: br, gzip', 'If-None-Match: "a", W/"b"'] },
		{ method: 'HEAD', target: '/', lines: [HOST, 'Connection: keep-alive'] },
		{ target: 'http://localhost/api/channels?limit=5&after=%41', lines: json },
		{ target: '/api/channels', version: 'HTTP/1.0', lines: [...json, 'Connection: keep-alive'] },
		{ target: `/room/posts/${place.room}?limit=3`, lines: [...json, 'Range: bytes=0-5'] },
		{ target: '/socket.io/?EIO=4&transport=polling', lines: [HOST, 'Cookie: a=b', 'Origin: http://a'] },
		{ target: '/socket.io/?EIO=4&transport=websocket', lines: [HOST, 'Connection: Upgrade',
			'Upgrade: websocket',
			'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='] },
		{ method: 'OPTIONS', target: '*', lines: [HOST, 'Access-Control-Request-Method: PUT'] },
		{ method: 'POST', target: `/room/post/${place.room}`, body: post, lines: [...json,
			`Content-Length: ${post.length}`] },
		{ method: 'POST', target: `/room/post/${place.room}`, lines: [...json, CHUNKED, 'Expect: 100-continue'],
			body: `5\r\n${post.slice(0, 5)}\r\n${(post.length - 5).toString(16)};x=y\r\n${post.slice(5)}\r\n0\r\n\r\n` },
	];
}

const lengthOf = (value) => (r) => r.lines.push(`Content-Length: ${value}`);
const line = (text) => (r) => r.lines.push(text);
const chunks = (body) => (r) => {
	r.method = 'POST';
	r.target = '/room/create/';
	r.lines = [...r.lines.filter((text) => !/^(content-|transfer-|connection|upgrade|expect|auth)/i.test(text)),
		'Content-Type: application/json', CHUNKED];
	r.version = 'HTTP/1.1';
	r.body = body;
};

// [what, how, the statuses it may have]. Of a request that announces nothing of a body, unless chunked.
const HTTP_TRICKS = [
	['length and chunked', (r) => r.lines.push('Content-Length: 5', CHUNKED), [400]],
	['chunked and length', (r) => r.lines.push(CHUNKED, 'Content-Length: 5'), [400]],
	['two lengths', (r) => r.lines.push('Content-Length: 5', 'Content-Length: 6'), [400]],
	['the same length twice', (r) => r.lines.push('Content-Length: 5', 'content-length: 5'), [400]],
	...['+5', '-5', '5,5', '0x5', '5.0', '5 5', '1e1', '', '\xb2', '5;'].map((n) => [`length ${n}`, lengthOf(n),
		[400]]),
	...['9223372036854775808', '18446744073709551615', '18446744073709551616', '9'.repeat(60)]
		.map((n) => [`length ${n}`, lengthOf(n), [413]]),
	...['chunked, chunked', '\x0bchunked', 'chunked\0', ',chunked', '', 'chunked;q=1', 'gzip', 'xchunked',
		'identity, chunked',
		'"chunked"'].map((c) => [`coding ${c}`, line(`Transfer-Encoding: ${c}`), [400, 501]]),
	['a blank before the colon', line('Transfer-Encoding : chunked'), [400]],
	['a folded line', (r) => r.lines.push('X-A: b', ' c: d'), [400]],
	['a line without a colon', line('nonsense'), [400]],
	['an empty name', line(': a'), [400]],
	['NUL in a name', line('X-\0: a'), [400]],
	['NUL in a value', line('X-A: b\0c'), [400]],
	['a bare CR', line('X-A: b\rTransfer-Encoding: chunked'), [400]],
	['a bare LF', line('X-A: b\nContent-Length: 3'), [400]],
	['bare LFs', (r) => { r.end = '\n'; }, [400]],
	['bare CRs', (r) => { r.end = '\r'; }, [400]],
	['no Host', (r) => { r.lines.shift(); r.version = 'HTTP/1.1'; }, [400]],
	['two Hosts', line('host: evil'), [400]],
	...['a b', 'a,b', 'a/b', '[::1', 'a:b', 'a@b'].map((h) => [`Host ${h}`,
		(r) => { r.lines[0] = `Host: ${h}`; }, [400]]),
	['too many lines', (r, dice) => r.lines.push(...Array.from({ length: dice.between(65, 300) }, (_,
		i) => `X-${i}: a`)), [431]],
	['a long line', (r, dice) => r.lines.push(`X-A: ${'b'.repeat(dice.between(17_000, 40_000))}`), [431]],
	['a long name', (r, dice) => r.lines.push(`${'b'.repeat(dice.between(17_000, 40_000))}: a`), [431]],
	['a long target', (r, dice) => { r.target = `/${'x'.repeat(dice.between(8193, 15_000))}`; }, [414]],
	['a long method', (r, dice) => { r.method = 'A'.repeat(dice.between(33, 9000)); }, [501]],
	['a method that is none', (r, dice) => { r.method = dice.pick(['', 'G T', '(', 'G\0T', '\xc3', '"GET"']); },
		[400]],
	['a target that is none', (r, dice) => { r.target = dice.pick(['', 'health', 'a b', '/\0', '/#', '/\xff',
		'\\', 'ftp://a/',
		'http://', 'http://@/']); }, [400]],
	['a version that is none', (r, dice) => { r.version = dice.pick(['HTTP/1', 'http/1.1', 'HTTP/1.1 ',
		'HTTP/+1.1', 'HTTP/1.x', '',
		'HTTPS/1.1', 'HTTP/11.1']); }, [400]],
	['another version', (r, dice) => { r.version = dice.pick(['HTTP/2.0', 'HTTP/0.9', 'HTTP/1.2',
		'HTTP/9.9']); }, [505]],
	...['\r\n', '+5\r\n', '0x5\r\nabcde\r\n', '5 \r\nabcde\r\n', ' 5\r\nabcde\r\n', 'g\r\n', '5\nabcde\r\n',
		'5\rabcde\r\n',
		'5\r\nabcdef\r\n', '5\r\nabcde0\r\n\r\n', '5;a\x01\r\nabcde\r\n', `5;${'x'.repeat(300)}\r\nabcde\r\n`,
			'11111111111111111\r\n',
		'2\r\n{}\r\n0\r\nX: y\r\n\r\n', '2\r\n{}\r\n0\r\nContent-Length: 9\r\n\r\n', '2\r\n{}\r\n0\n\n']
		.map((body) => [`chunks ${JSON.stringify(body.slice(0, 30))}`, chunks(body), [400, 401]]),
	...['8000000000000000\r\n', 'ffffffffffffffff\r\n', '7fffffffffffffff\r\n', 'f4241\r\n']
		.map((body) => [`chunks ${JSON.stringify(body)}`, chunks(body), [413, 401]]),
	['a bad escape in the path', (r,
		dice) => { r.target = `/room/${dice.pick(['%00', '%', '%zz', '%c0%af', '%ed%a0%80', '%ff'])}`; }],
	['a bad escape in the query', (r,
		dice) => { r.target += `${r.target.includes('?') ? '&' : '?'}limit=${dice.pick(['%00', '%', '%zz',
		'%ff', '-1', '1e9', '9223372036854775808', '5&limit=6', ''])}`; }],
	['a bad key of a WebSocket', (r,
		dice) => { r.target = '/socket.io/?EIO=4&transport=websocket'; r.method = 'GET'; r.version = 'HTTP/1.1';
		r.lines = [HOST, 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13',
			`Sec-WebSocket-Key: ${dice.pick(['', 'a',
			'dGhlIHNhbXBsZSBub25jZQ', `${'A'.repeat(24)}`, '\xff'.repeat(24)])}`]; }, [400]],
	['a sid that is none', (r,
		dice) => { r.target = `/socket.io/?EIO=4&transport=polling&sid=${dice.pick(['a', '', '%00', 'A'.repeat(36),
		'A'.repeat(4000), '..%2f..', '-_'.repeat(18)])}`; }],
	['another Engine.IO', (r,
		dice) => { r.target = `/socket.io/?EIO=${dice.pick(['3', '4.0', '', '-4', '44', '%34'])}&transport=${
		dice.pick(['polling', 'websocket', '', 'x', 'polling&transport=websocket', 'constructor'])}`; }],
];

function tricked(dice, place) {
	const [what, trick, expect] = dice.pick(HTTP_TRICKS);
	const plain = requests(place).filter(({ body, version, method }) => !body && !version &&
		method !== 'OPTIONS');
	const request = { ...dice.pick(plain) };
	request.lines = [...request.lines];
	// HEAD may have no body, but says its status as others do.
	trick(request, dice);
	return { what, expect, bytes: latin(requestText(request)) };
}

export function http(dice, place) {
	const base = latin(requestText(dice.pick(requests(place))));
	const how = dice.below(20);
	if (how < 9)
		return tricked(dice, place);
	if (how < 16)
		return damage(dice, base);
	if (how < 17)
		return { what: 'a second one, damaged', bytes: Buffer.concat([base, damage(dice, base).bytes]) };
	if (how < 19)
		return damage(dice, found(dice, 'head'));
	return { what: 'chance', bytes: dice.bytes(dice.between(1, 400)) };
}

// --- multipart/form-data ---

const BOUNDARY = 'x-boundary-7MA4YWxk';

function partText({ lines = ['Content-Disposition: form-data; name="file"; filename="a.txt"',
	'Content-Type: text/plain'],
	content = 'hello\n', delimiter = `--${BOUNDARY}` } = {}) {
	return `${delimiter}\r\n${lines.map((text) => `${text}\r\n`).join('')}\r\n${content}\r\n`;
}

const END = `--${BOUNDARY}--\r\n`;
const FORM = `multipart/form-data; boundary=${BOUNDARY}`;
const disposition = (text) => partText({ lines: [`Content-Disposition: ${text}`] }) + END;

// [what, body, the statuses it may have, the Content-Type].
const FORM_TRICKS = [
	['no boundary', partText() + END, [415], 'multipart/form-data'],
	['an empty boundary', partText() + END, [415], 'multipart/form-data; boundary='],
	['a long boundary', partText() + END, [415], `multipart/form-data; boundary=${'b'.repeat(71)}`],
	['another type', partText() + END, [415], 'multipart/mixed; boundary=a'],
	['a quote that does not end', partText() + END, [415], `multipart/form-data; boundary="${BOUNDARY}`],
	['another boundary', partText() + END, [400], 'multipart/form-data; boundary=other'],
	['no end', partText(), [400]],
	['half an end', `${partText()}--${BOUNDARY}-`, [400]],
	['an end that goes on', `${partText()}--${BOUNDARY}-x\r\n`, [400]],
	['a delimiter that goes on', partText({ delimiter: `--${BOUNDARY}x` }) + END, [400]],
	['nothing but the end', END, [422]],
	['no delimiter', 'hello', [400]],
	['no head', `--${BOUNDARY}\r\n\r\nhello\r\n${END}`, [400]],
	['no name', disposition('form-data; filename="a.txt"'), [400]],
	['no form-data', disposition('attachment; name="file"'), [400]],
	['a name without an end', disposition('form-data; name="file'), [400]],
	['a name without quotes or text', disposition('form-data; name='), [400]],
	['no semicolon', disposition('form-data name="file"'), [400]],
	['no file name', disposition('form-data; name="file"'), [422]],
	['another field', disposition('form-data; name="other"; filename="a.txt"'), [422]],
	['an empty file name', disposition('form-data; name="file"; filename=""'), [201]],
	['a file name of bad UTF-8', disposition('form-data; name="file"; filename="\xff\xfe.txt"'), [422]],
	['a long file name', disposition(`form-data; name="file"; filename="${'n'.repeat(300)}.txt"`), [422]],
	['NUL in the head', disposition('form-data; name="fi\0le"; filename="a.txt"'), [400]],
	['two dispositions', partText({ lines: ['Content-Disposition: form-data; name="file"; filename="a.txt"',
		'content-disposition: form-data; name="file"; filename="b.txt"'] }) + END, [400]],
	['a long head', partText({ lines: ['Content-Disposition: form-data; name="file"; filename="a.txt"',
		`X: ${'y'.repeat(20_000)}`] }) + END, [400]],
	['a head without an end', `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"`, [400]],
	['bare LFs', (partText() + END).replaceAll('\r\n', '\n'), [400]],
	['no content', partText({ content: '' }) + END, [415, 422]],
	['six files', partText().repeat(6) + END, [422]],
	['a thousand parts', disposition('form-data; name="x"').slice(0, -END.length).repeat(1000) + END, [400, 413,
		422]],
	['a large file', partText({ content: 'x'.repeat(5000) }) + END, [413]],
	['a forbidden file', partText({ content: '\x7fELF\x01\x01' }) + END, [415, 422]],
	['delimiters in the content',
		partText({ content: `\r\n--${BOUNDARY.slice(0, -1)}\r\n--\r\n-${BOUNDARY}` }) + END, [201]],
	['an escaped name', disposition('form-data; name="file"; filename="a%22\\"b%0d%0a.txt"')],
	['a path for a name', disposition('form-data; name="file"; filename="../../../etc/passwd.txt"')],
	['filename*', disposition('form-data; name="file"; filename*=UTF-8\'\'a%00.txt')],
];

export function multipart(dice) {
	const how = dice.below(20);
	const good = latin(partText().repeat(dice.between(1, 3)) + END);
	if (how < 9) {
		const [what, body, expect, type = FORM] = dice.pick(FORM_TRICKS);
		return { what, type, body: latin(body), expect };
	}
	if (how < 16)
		return { type: FORM, ...renamed(damage(dice, good)) };
	if (how < 17)
		return { what: 'a length that lies', type: FORM, body: good, length: good.length + dice.between(-40,
			4000) };
	if (how < 18)
		return { what: 'a damaged type', body: good, type: damage(dice,
			latin(FORM)).bytes.toString('latin1').replace(/[\0\r\n]/g, '') };
	if (how < 19) {
		const bytes = found(dice, 'multipart', (all) => all.subarray(1));
		const at = bytes.indexOf('\n');
		const type = bytes.subarray(0, Math.max(0, at)).toString('latin1').replace(/[^\t -~]/g, '');
		return { what: 'of the fuzzer', type: type || FORM, body: bytes.subarray(at + 1) };
	}
	return { what: 'chance', type: FORM, body: Buffer.concat([latin(`--${BOUNDARY}\r\n`),
		dice.bytes(dice.between(1, 300))]) };
}

function renamed({ what, bytes }) {
	return { what, body: bytes };
}

export function goodHttp(dice, place, padding) {
	const request = dice.pick(requests(place).slice(0, 6));
	return { bytes: latin(requestText({ ...request, lines: [...request.lines,
		`X-Padding: ${'x'.repeat(padding)}`] })) };
}

export function goodForm() {
	return { type: FORM, body: latin(partText() + END), expect: [201] };
}

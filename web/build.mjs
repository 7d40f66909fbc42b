// Lays out the files that the server serves, by their paths, and beside each the two compressed forms of it.
//
// usage: node build.mjs DIR
import fs from 'node:fs';
import path from 'node:path';
import zlib from 'node:zlib';
import { fileURLToPath } from 'node:url';

const WEB = path.dirname(fileURLToPath(import.meta.url));
const [, , OUT] = process.argv;

const CLIENT = 'node_modules/socket.io-client/dist';
const SWAGGER = 'node_modules/swagger-ui-dist';

// What goes where; a directory with all that is below it. What is not there is left out.
const LAYOUT = [
	['index.html', 'index.html'],
	['icon.svg', 'icon.svg'],
	['css', 'css'],
	['js', 'js'],
	['openapi.json', 'openapi.json'],
	['asyncapi.json', 'asyncapi.json'],
	['swagger', 'api'],
	...['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png'].map((name) =>
		[`${SWAGGER}/${name}`, `api/${name}`]),
	...['', '.min', '.esm.min', '.msgpack.min'].flatMap((form) => [`socket.io${form}.js`, `socket.io${form}.js.map`])
		.map((name) => [`${CLIENT}/${name}`, `socket.io/${name}`]),
];

function* filesBelow(from, to) {
	if (!fs.statSync(from).isDirectory()) {
		yield [from, to];
		return;
	}
	for (const name of fs.readdirSync(from))
		yield* filesBelow(path.join(from, name), path.join(to, name));
}

function brotli(bytes) {
	return zlib.brotliCompressSync(bytes, {
		params: { [zlib.constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
	});
}

// A form that saves less than a tenth is not worth its memory.
function addForm(name, bytes, form) {
	if (form.length < bytes.length * 0.9)
		fs.writeFileSync(name, form);
}

function add(from, to) {
	const bytes = fs.readFileSync(from);
	fs.mkdirSync(path.dirname(to), { recursive: true });
	fs.writeFileSync(to, bytes);
	if (/\.png$/.test(to))
		return;
	addForm(`${to}.gz`, bytes, zlib.gzipSync(bytes, { level: 9 }));
	addForm(`${to}.br`, bytes, brotli(bytes));
}

// Beside it first, so that a server that starts meanwhile finds either all of the old or all of the new.
const fresh = `${OUT}.new`;
fs.rmSync(fresh, { recursive: true, force: true });
for (const [from, to] of LAYOUT) {
	const source = path.join(WEB, from);
	if (!fs.existsSync(source))
		continue;
	for (const [file, place] of filesBelow(source, path.join(fresh, to)))
		add(file, place);
}
fs.writeFileSync(path.join(fresh, '.built'), '');
fs.rmSync(OUT, { recursive: true, force: true });
fs.renameSync(fresh, OUT);

// The page at "/", as people use it.
//
// SHOTS: a directory for pictures of what they saw.
import { after, afterEach, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { findFaults, launch, Visitor } from '../lib/browser.mjs';
import { Cable } from '../lib/cable.mjs';
import { person, unique } from '../lib/people.mjs';
import { redis } from '../lib/redis.mjs';
import { rest } from '../lib/rest.mjs';
import { start } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';

const PICTURE = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEklEQVR4nGNkYPjPgA0wYRUdtBIAO4UBDxHpKjsAAAAASUVORK5CYII=', 'base64');

describe('the page', { timeout: 300_000 }, () => {
	let server, browser;
	const there = [];
	before(async () => {
		[server, browser] = await Promise.all([start({ options: { workers: 2 } }), launch()]);
	});
	after(async () => {
		await browser?.close();
		await server?.stop();
	});
	// Whatever a test was about: nothing is wrong in the browser, and no token was in an address.
	afterEach(async () => {
		const all = there.splice(0);
		await Promise.all(all.map((one) => one.leave()));
		assert.deepEqual(all.flatMap(({ problems }) => problems), []);
		for (const { urls, host } of all) {
			for (const url of urls) {
				assert.equal(new URL(url).host, host);
				assert.doesNotMatch(url, /token|eyJ/);
			}
		}
	});

	const open = async (options, way = server) => {
		const one = await Visitor.come(browser, way, options);
		there.push(one);
		return one;
	};

	const come = async (name, options, way) => {
		const username = unique('user');
		const { token } = await person(server, name, { username });
		const one = await open({ token, ...options }, way);
		await one.connected();
		return Object.assign(one, { username });
	};

	async function makeChannel(visitor) {
		const name = unique('channel');
		await visitor.button('New channel').click();
		await visitor.page.getByLabel('Name', { exact: true }).fill(name);
		await visitor.button('Make it').click();
		await visitor.page.getByRole('heading', { name: `# ${name}` }).waitFor();
		return name;
	}

	async function enterChannel(visitor, name) {
		const row = visitor.button(name);
		if (!await row.isVisible())
			await visitor.page.reload();
		await row.click();
		await visitor.button('Join').click();
		await visitor.field.waitFor();
	}

	// Ann by another way, if there is one.
	async function both(options, way) {
		const [ann, bob] = await Promise.all([come('Ann', options, way), come('Bob', options)]);
		const name = await makeChannel(ann);
		await enterChannel(bob, name);
		return { ann, bob, name };
	}

	// The process that goes by that number.
	function pidOf(worker) {
		return server.workers().map(({ pid }) => pid).find((pid) =>
			fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1').startsWith(`confab-worker${worker}`));
	}

	test('a conversation: reply, reaction, edit, forward, delete', async () => {
		const { ann, bob } = await both();
		await ann.say('Hello, is anybody there?');
		await bob.hears('Hello, is anybody there?');
		const hello = bob.message('Hello, is anybody there?');
		await hello.hover();
		await hello.getByRole('button', { name: 'Reply' }).click();
		await bob.page.keyboard.type('I am');
		await bob.page.keyboard.press('Enter');
		await ann.message('I am').getByRole('button', { name: 'Ann: Hello, is anybody there?' }).waitFor();

		const reply = ann.message('I am');
		await reply.hover();
		await reply.getByRole('button', { name: 'React' }).click();
		await reply.getByRole('button', { name: 'React with 🎉' }).click();
		await bob.message('I am').getByRole('button', { name: '🎉, 1: Ann' }).click();
		await ann.message('I am').getByRole('button', { name: '🎉, 2: you, Bob' }).click();
		await bob.message('I am').getByRole('button', { name: '🎉, 1: you' }).waitFor();

		await bob.message('I am').hover();
		await bob.message('I am').getByRole('button', { name: 'Edit' }).click();
		await bob.say('I was');
		await ann.message('I was').getByText('edited').waitFor();
		await ann.shot('conversation');

		await ann.message('I was').hover();
		await ann.message('I was').getByRole('button', { name: 'Forward' }).click();
		await ann.page.locator('#forward-rooms button').first().click();
		await until(async () => await bob.message('I was').count() === 2, 'forwarded message');

		const mine = bob.message('I was').first();
		await mine.hover();
		await mine.getByRole('button', { name: 'Delete' }).click();
		await ann.hears('[This message was deleted]');
	});

	test('two in private: who is online, what is unread, what was read', async () => {
		const [ann, bob] = await Promise.all([come('Ann'), come('Bob', { width: 390 })]);
		await ann.page.keyboard.press('Control+k');
		await ann.page.getByLabel('Find a username').fill(bob.username);
		await ann.page.getByRole('button', { name: `online ${bob.username}` }).click();
		await ann.say('Between us');
		await ann.hears('Between us');
		await bob.button('Ann, online, 1 unread').waitFor();
		await until(async () => /^\(1\)/.test(await bob.page.title()), 'count in the title');
		await bob.shot('unread');
		await bob.button('Ann, online, 1 unread').click();
		await bob.hears('Between us');
		await ann.message('Between us').getByText('✓ read').waitFor();
		await bob.leave();
		there.splice(there.indexOf(bob), 1);
		await ann.button('Bob, offline').waitFor();
	});

	test('what is unread in a channel is counted, and where it begins is shown', async () => {
		const { ann, bob, name } = await both({ width: 390 });
		await bob.button('Back to the rooms').click();
		await ann.say('one');
		await ann.say('two');
		await bob.button(`${name}, 2 unread`).click();
		await bob.hears('two');
		assert.deepEqual((await bob.page.locator('#messages > li:not(.day)').allInnerTexts()).map((text) => text.split('\n').at(-1)),
			['New', 'one', 'two']);
		await bob.button('Back to the rooms').click();
		await bob.page.reload();
		await bob.button(name).waitFor();
		assert.equal(await bob.button(/unread/).count(), 0);
	});

	test('a worker is killed in the midst of it: nothing missing, nothing twice, and one sees it', async () => {
		const { ann, bob } = await both();
		const said = Array.from({ length: 12 }, (_, i) => `number ${i};`);
		for (const [i, text] of said.entries()) {
			if (i === 4)
				process.kill(pidOf(await ann.worker()), 'SIGKILL');
			await bob.say(text);
		}
		await ann.status(/Connected to worker \d · back after .* session recovered, \d+ events? replayed/);
		for (const one of [ann, bob]) {
			await one.hears(said.at(-1));
			assert.deepEqual(await one.said(), said);
		}
		await ann.shot('recovered');
		assert.equal(await bob.page.locator('.waiting').count(), 0);
	});

	test('a connection that is cut comes back, and what was said meanwhile with it', async (t) => {
		const cable = await Cable.lay(server.port);
		t.after(() => cable.remove());
		const { ann, bob } = await both({}, cable);
		cable.pull();
		await ann.status('Connection lost');
		await bob.say('while you were away');
		await bob.hears('while you were away');
		await ann.say('while I was away');
		await ann.message('while I was away').getByText('Sending …').waitFor();
		cable.plug();
		await ann.status('session recovered, 1 event replayed');
		await bob.hears('while I was away');
		assert.deepEqual(await ann.said(), ['while you were away', 'while I was away']);
		// By hand, from the dialog.
		await ann.button('Connection').click();
		await ann.button('Cut the connection').click();
		await ann.status('session recovered, 0 events replayed');
	});

	test('where the session cannot be had again, the history fills the gap', async (t) => {
		const cable = await Cable.lay(server.port);
		const store = redis(server);
		t.after(() => {
			cable.remove();
			store.disconnect();
		});
		const { ann, bob } = await both({}, cable);
		await ann.say('before');
		await bob.hears('before');
		cable.pull();
		await ann.status('Connection lost');
		const gone = await until(async () => {
			const all = await store.keys('session:*');
			const ttls = await Promise.all(all.map((key) => store.ttl(key)));
			return all.filter((_, i) => ttls[i] > 0);
		}, 'lost session');
		await store.del(gone);
		const missed = Array.from({ length: 3 }, (_, i) => `missed ${i};`);
		for (const text of missed)
			await bob.say(text);
		await bob.hears(missed.at(-1));
		cable.plug();
		await ann.status('with a new session');
		await ann.hears(missed.at(-1));
		await bob.say('after');
		await ann.hears('after');
		assert.deepEqual(await ann.said(), ['before', ...missed, 'after']);
	});

	test('texts and names are texts, whatever they look like', async () => {
		const evil = '<img src=x onerror="document.title=1"><script>alert(1)</script>';
		const [ann, bob] = await Promise.all([come('Ann'), come(evil)]);
		await enterChannel(bob, await makeChannel(ann));
		await bob.say(evil);
		await bob.say('javascript:alert(1)');
		await ann.hears('javascript:alert(1)');
		assert.deepEqual(await ann.said(), [evil, 'javascript:alert(1)']);
		assert.equal(await ann.page.locator('.message .head b').first().innerText(), evil);
		assert.equal(await ann.page.locator('#messages img, #messages script, #side ul img').count(), 0);
		await ann.page.keyboard.press('Control+k');
		await ann.page.getByRole('button', { name: bob.username }).waitFor();
	});

	test('a file is shown, where the server takes files', async () => {
		const { ann, bob } = await both();
		const probe = await rest(server, 'POST', '/api/upload');
		await ann.page.locator('#composer-pick').setInputFiles({ name: 'cat.png', mimeType: 'image/png', buffer: PICTURE });
		if (probe.status === 404) {
			await ann.page.getByText('This server takes no files').waitFor();
			assert.equal(await ann.button('Attach a file').count(), 0);
			return;
		}
		await ann.button('Leave out cat.png').waitFor();
		await until(async () => await ann.page.locator('#composer-files .hint').textContent() === '', 'upload');
		await ann.say('My cat');
		const picture = bob.message('My cat').getByRole('img', { name: 'cat.png' });
		await picture.waitFor();
		await until(() => picture.evaluate((img) => img.complete && img.naturalWidth === 8), 'picture');
	});

	test('by keyboard alone', async () => {
		const ann = await open();
		const { keyboard } = ann.page;
		const focus = () => ann.page.evaluate(() => document.activeElement.id || document.activeElement.className);
		const at = (what) => until(async () => (await focus()).includes(what), `focus at ${what}`);
		await at('sign-username');
		await keyboard.type(unique('ann'));
		await keyboard.press('Tab');
		await keyboard.type('Ann');
		await keyboard.press('Tab');
		await keyboard.type('correct horse');
		await keyboard.press('Enter');
		await ann.connected();
		await at('channel-new');
		await keyboard.press('Enter');
		await at('channel-name');
		await keyboard.type(unique('keys'));
		await keyboard.press('Enter');
		await at('composer-text');
		for (const text of ['first', 'second']) {
			await keyboard.type(text);
			await keyboard.press('Enter');
			await ann.hears(text);
		}
		await keyboard.press('Control+ArrowUp');
		await at('message');
		await keyboard.press('ArrowUp');
		await keyboard.press('l');
		await ann.message('first').getByRole('button', { name: '👍, 1: you' }).waitFor();
		await keyboard.press('r');
		await at('composer-text');
		await keyboard.type('a reply');
		await keyboard.press('Enter');
		await ann.hears('a reply');
		await keyboard.press('ArrowUp');
		await until(async () => await ann.field.inputValue() === 'a reply', 'edit');
		await keyboard.type(', edited');
		await keyboard.press('Enter');
		await ann.message('a reply, edited').getByText('edited', { exact: true }).waitFor();
		await keyboard.press('Control+ArrowUp');
		await keyboard.press('ArrowUp');
		await keyboard.press('Delete');
		await ann.hears('[This message was deleted]');
		// From the message by Tab to what can be done with it, and back by Escape.
		await keyboard.press('ArrowDown');
		await keyboard.press('Tab');
		assert.equal(await ann.page.evaluate(() => document.activeElement.dataset.act), 'quote');
		await keyboard.press('Escape');
		await at('composer-text');
		await keyboard.press('Control+ArrowUp');
		await keyboard.press('?');
		await ann.page.getByRole('dialog', { name: 'Keyboard' }).waitFor();
		await ann.shot('keyboard');
		await keyboard.press('Escape');
		await at('message');
	});

	test('signing up; a reload is signed in, signing out ends it, signing in', async () => {
		const ann = await open();
		const username = unique('ann');
		await ann.signUp(username, 'Ann');
		const name = await makeChannel(ann);
		await ann.say('kept');
		await ann.hears('kept');
		await ann.page.reload();
		await ann.hears('kept');
		await ann.button('Sign out').click();
		await ann.page.getByLabel('Username', { exact: true }).waitFor();
		assert.deepEqual(await ann.page.evaluate(() => [localStorage.length, Object.values(sessionStorage).join('')]), [0, '']);
		await ann.page.getByLabel('Sign in').check();
		await ann.page.getByLabel('Username', { exact: true }).fill(username);
		await ann.page.getByLabel('Password', { exact: true }).fill('wrong horse');
		await ann.button('Sign in').click();
		await ann.page.getByRole('alert').getByText('Wrong username or password').waitFor();
		await ann.page.getByLabel('Password', { exact: true }).fill('correct horse');
		await ann.button('Sign in').click();
		await ann.button(name).click();
		await ann.hears('kept');
	});

	for (const width of [320, 1100]) {
		test(`${width} px, light and dark: legible, within the window, everything named`, async () => {
			const faults = {};
			const look = async (one, what) => {
				for (const colorScheme of ['light', 'dark']) {
					await one.page.emulateMedia({ colorScheme });
					faults[`${what}, ${colorScheme}`] = await one.page.evaluate(findFaults);
					await one.shot(`${width}-${what}-${colorScheme}`);
				}
			};
			await look(await open({ width }), 'sign');
			const { ann, bob } = await both({ width });
			await bob.say('Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft');
			await bob.say('https://example.org/a/very/long/address/that/has/no/place/to/break/at/all/and/so/on/and/so/on');
			await ann.hears('https');
			const message = ann.message('Donau').first();
			await message.click();
			await message.getByRole('button', { name: 'Reply' }).click();
			await ann.say('Yes, indeed');
			await ann.hears('Yes, indeed');
			await message.click();
			await look(ann, 'room');
			await message.getByRole('button', { name: 'React' }).click();
			await look(ann, 'emoji');
			for (const [button, what] of [['Members', 'members'], ['Connection', 'connection']]) {
				await ann.button(button).click();
				await ann.page.locator('dialog[open] :is(li, td)').first().waitFor();
				await look(ann, what);
				await ann.page.keyboard.press('Escape');
			}
			if (width === 320)
				await ann.button('Back to the rooms').click();
			await look(ann, 'rooms');
			await ann.page.keyboard.press('Control+k');
			await look(ann, 'people');
			await ann.page.keyboard.press('Escape');
			assert.deepEqual(faults, Object.fromEntries(Object.keys(faults).map((what) => [what, []])));
			for (const role of ['navigation', 'contentinfo'])
				assert.equal(await ann.page.getByRole(role).count(), 1, role);
		});
	}
});

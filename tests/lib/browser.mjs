// People in front of the page: headless Chromium, one context each.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { PATIENCE_MS } from './wait.mjs';

function executable() {
	return execFileSync('sh', ['-c', 'command -v chromium || command -v chromium-browser || command -v google-chrome'],
		{ encoding: 'utf8' }).trim();
}

export async function launch() {
	// Without a sandbox, since root has none; and with the machine's memory in place of /dev/shm, which
	// containers make small.
	return chromium.launch({ executablePath: executable(), args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}

export class Visitor {
	problems = [];       // what the browser complained of: errors, and what the policy forbade
	urls = [];           // all that was asked for

	// With a `token`, as one who signed in before.
	static async come(browser, server, { width = 1100, height = 720, token, ...options } = {}) {
		const visitor = new Visitor();
		visitor.host = new URL(server.url).host;
		const localStorage = token ? [{ name: 'confab.token', value: token }] : [];
		visitor.context = await browser.newContext({
			viewport: { width, height }, reducedMotion: 'reduce', storageState: { cookies: [], origins: [{ origin: server.url, localStorage }] },
			...options,
		});
		visitor.page = await visitor.context.newPage();
		visitor.page.setDefaultTimeout(PATIENCE_MS);
		visitor.page.on('console', (message) => {
			// That a connection was lost is what some tests are about.
			if (['error', 'warning'].includes(message.type()) && !/WebSocket connection|ERR_|net::|status of 4/.test(message.text()))
				visitor.problems.push(message.text());
		});
		visitor.page.on('pageerror', (error) => visitor.problems.push(error.stack));
		visitor.page.on('request', (request) => visitor.urls.push(request.url()));
		visitor.page.on('websocket', (socket) => visitor.urls.push(socket.url()));
		await visitor.page.goto(server.url);
		return visitor;
	}

	async signUp(username, name) {
		await this.page.getByLabel('Username', { exact: true }).fill(username);
		await this.page.getByLabel(/Shown as/).fill(name);
		await this.page.getByLabel('Password', { exact: true }).fill('correct horse');
		await this.page.getByRole('button', { name: 'Sign up' }).click();
		await this.connected();
		return this;
	}

	// Waits until the line at the foot of the page says that.
	async status(pattern) {
		const line = this.page.locator('#status-text');
		await line.filter({ hasText: pattern }).waitFor().catch(async (error) => {
			throw new Error(`the status is: ${await line.innerText()}`, { cause: error });
		});
	}

	connected() {
		return this.status('Connected to worker');
	}

	async worker() {
		const text = await this.page.locator('#status-text').innerText();
		return Number(/worker (\d+)/.exec(text)[1]);
	}

	button(name) {
		return this.page.getByRole('button', { name });
	}

	get field() {
		return this.page.getByRole('textbox', { name: 'Message', exact: true });
	}

	message(text) {
		return this.page.locator('.message', { hasText: text });
	}

	async say(text) {
		await this.field.fill(text);
		await this.page.keyboard.press('Enter');
	}

	hears(text) {
		return this.message(text).and(this.page.locator(':not(.waiting)')).waitFor();
	}

	// The texts that are shown, from the oldest on.
	said() {
		return this.page.locator('.message .text').allInnerTexts();
	}

	async shot(name) {
		if (process.env.SHOTS) {
			fs.mkdirSync(process.env.SHOTS, { recursive: true });
			await this.page.screenshot({ path: path.join(process.env.SHOTS, `${name}.png`) });
		}
	}

	leave() {
		return this.context.close();
	}
}

// Runs in the page: texts whose contrast to what is behind them is less than WCAG 2.2 wants (1.4.3, AA), and
// fields and buttons without a name.
export function findFaults() {
	const channels = (color) => color.match(/[\d.]+/g).map(Number);
	const luminance = (rgb) => {
		const [r, g, b] = rgb.slice(0, 3).map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const behind = (element) => {
		for (let at = element; at; at = at.parentElement) {
			const color = channels(getComputedStyle(at).backgroundColor);
			if (color.length < 4 || color[3] > 0)
				return color;
		}
		return [255, 255, 255];
	};
	const isShown = (element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest('.unseen, :disabled, .waiting');
	const faults = [];
	for (const element of document.querySelectorAll('body *')) {
		const text = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data).join('').trim();
		if (!text || !isShown(element))
			continue;
		const style = getComputedStyle(element);
		const [light, dark] = [luminance(channels(style.color)), luminance(behind(element))].sort((a, b) => b - a);
		const ratio = (light + 0.05) / (dark + 0.05);
		const isLarge = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700);
		if (ratio < (isLarge ? 3 : 4.5))
			faults.push(`${text.slice(0, 30)}: contrast ${ratio.toFixed(2)}`);
	}
	for (const control of document.querySelectorAll('button, input, textarea, a')) {
		const name = control.getAttribute('aria-label') || control.textContent.trim() || control.labels?.[0]?.textContent.trim() ||
			control.querySelector('img')?.alt;
		if (!name && isShown(control))
			faults.push(`${control.id || control.outerHTML.slice(0, 60)} has no name`);
	}
	if (document.documentElement.scrollWidth > document.documentElement.clientWidth)
		faults.push(`${document.documentElement.scrollWidth} px wide in ${document.documentElement.clientWidth}`);
	return faults;
}

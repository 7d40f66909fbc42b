// Begins: who is it, then rooms and the connection; and what concerns the page as a whole.
import { beginComposer } from './composer.js';
import { $, openDialog } from './dom.js';
import { hearAll } from './hear.js';
import { connect, disconnect, link } from './link.js';
import { changed, model } from './model.js';
import { flush } from './outbox.js';
import { beginPeople, openPeople } from './people.js';
import { beginRoom, chooseNewest, openRoom } from './room.js';
import { beginAnew, draftWith, isLookedAt, load, read, refreshLists, refreshPeople } from './rooms.js';
import { ask, forgetToken, onExpired, token } from './rest.js';
import { beginSide } from './side.js';
import { showSign } from './sign.js';
import { beginStatus } from './status.js';

const REFRESH_MS = 20_000;   // nobody tells Socket.IO clients that they were added to a channel

const isNarrow = matchMedia('(max-width: 44rem)');

// --- Which room: the address says it, so that Back and reload do what they should ---

function addressed() {
	let id;
	try {
		id = decodeURIComponent(location.hash.slice(1));
	} catch {
		return null;
	}
	if (/^@[\w.-]{1,32}$/.test(id))
		return draftWith(id.slice(1));
	return model.rooms.get(id) ?? null;
}

function followAddress() {
	const room = addressed();
	$('chat').dataset.pane = room ? 'room' : 'rooms';
	if (!room) {
		model.current = null;
		changed('rooms', 'room');
		return;
	}
	openRoom(room);
	if (!isNarrow.matches)
		$('composer-text').focus();
	else
		$('room-title').focus();
}

// --- The connection ---

async function onConnect() {
	if (!link.channels.recovered) {
		beginAnew();
		await refreshLists().catch(() => {});
		if (model.current && !model.current.isDraft)
			await load(model.current);
	}
	read(model.current);
	flush();
}

// The server ended it for good: the token is not good any more, or it never was.
async function onDisconnect(reason) {
	if (reason === 'io server disconnect')
		await ask('GET', '/login/me').catch(() => {});
}

function onRefused(error) {
	if (/^Authentication/.test(error.message))
		signOut('Please sign in again');
}

function listen() {
	connect(token());
	hearAll();
	link.channels.on('connect', onConnect);
	link.channels.on('disconnect', onDisconnect);
	link.channels.on('connect_error', onRefused);
	link.messenger.on('connect', () => refreshPeople().catch(() => {}));
}

// --- Signing out ---

// All that the page knows goes with it.
function signOut(why = '') {
	forgetToken();
	disconnect();
	sessionStorage.setItem('confab.why', why);
	history.replaceState(null, '', '/');
	location.reload();
}

// --- Keys, focus, visibility ---

function onKey(event) {
	const writes = /^(INPUT|TEXTAREA)$/.test(event.target.tagName);
	if (event.key === 'k' && (event.ctrlKey || event.metaKey)) {
		event.preventDefault();
		openPeople();
	} else if (event.key === '?' && !writes && !document.querySelector('dialog[open]')) {
		openDialog($('help-dialog'));
	}
}

function onLook() {
	if (!isLookedAt())
		return;
	read(model.current);
	refreshLists().catch(() => {});
}

function beginPage() {
	$('back').addEventListener('click', () => { location.hash = ''; });
	$('sign-out').addEventListener('click', () => signOut());
	$('help-open').addEventListener('click', () => openDialog($('help-dialog')));
	document.querySelector('[data-skip]').addEventListener('click', (event) => {
		event.preventDefault();
		$(event.target.dataset.skip).focus();
	});
	document.addEventListener('keydown', onKey);
	document.addEventListener('visibilitychange', onLook);
	window.addEventListener('focus', onLook);
	window.addEventListener('hashchange', followAddress);
	setInterval(() => { if (document.visibilityState === 'visible') refreshLists().catch(() => {}); }, REFRESH_MS);
}

async function enter(user) {
	model.me = user;
	onExpired(() => signOut('Please sign in again'));
	$('sign').hidden = true;
	$('chat').hidden = false;
	$('chat').dataset.pane = 'rooms';
	[beginPage, beginSide, beginRoom, beginPeople, beginStatus].forEach((begin) => begin());
	beginComposer(chooseNewest);
	listen();
	await refreshLists().catch(() => {});
	followAddress();
	if (!model.current)
		$('channel-new').focus();
}

async function begin() {
	if (!token()) {
		const why = sessionStorage.getItem('confab.why') ?? '';
		sessionStorage.removeItem('confab.why');
		showSign(enter, why);
		return;
	}
	onExpired(() => signOut('Please sign in again'));
	try {
		const { user } = await ask('GET', '/login/me');
		enter(user);
	} catch (error) {
		if (error.status === 401)
			return;
		showSign(enter, error.message);
	}
}

begin();

// The room that is shown: its messages, and moving among them.
import { forward, remove, toggleReaction } from './acts.js';
import { $, arrows, dayOf, keep, make, openDialog, plural } from './dom.js';
import { composeEdit, composeReply, note } from './composer.js';
import { showMessage } from './message.js';
import { changed, isOnline, model, messageIn, shows, titleOf } from './model.js';
import { discard, retry } from './outbox.js';
import { enterChannel, load, loadPage, markFresh, read } from './rooms.js';

const SAME_BREATH_MS = 5 * 60_000;
const NEAR_PX = 80;

let reacting = null;         // the message whose emoji are shown
let below = 0;               // messages that came while one looked further up
let shownRoom = null, shownLast = null;

// --- What can be done ---

async function tell(work) {
	const why = await work;
	if (why)
		note(why);
}

const acts = {
	isReacting: (message) => reacting === message.id,
	pick(message) {
		reacting = message.id;
		changed('room');
		queueMicrotask(() => elementOf(message.id)?.querySelector('.emoji button')?.focus());
	},
	react(message, emoji) {
		stopReacting();
		tell(toggleReaction(model.current, message, emoji));
	},
	reply: (message) => composeReply(message),
	edit: (message) => composeEdit(message),
	remove(message) {
		tell(remove(model.current, message));
	},
	forward: (message) => askWhere(message),
	retry: (message) => retry(message),
	discard: (message) => discard(model.current, message),
	goTo(id) {
		const element = elementOf(id);
		if (element)
			choose(element);
		else
			note('That message is further up: see the earlier ones');
	},
};

function elementOf(id) {
	return $('messages').querySelector(`[data-id="${CSS.escape(id)}"]`);
}

function stopReacting() {
	if (!reacting)
		return;
	const element = elementOf(reacting);
	reacting = null;
	element?.focus({ preventScroll: true });
	changed('room');
}

function askWhere(message) {
	const from = model.current;
	const rooms = [...model.rooms.values()].filter(({ isMember, isDraft }) => isMember && !isDraft);
	$('forward-text').textContent = message.content;
	$('forward-error').textContent = '';
	$('forward-rooms').replaceChildren(...rooms.map((room) => make('li', {}, make('button', {
		onclick: async () => {
			const why = await forward(from, message, room);
			if (why)
				$('forward-error').textContent = why;
			else
				$('forward-dialog').close();
		},
	}, make('span', { class: 'label' }, titleOf(room))))));
	openDialog($('forward-dialog'));
}

// --- What is shown ---

function items(room) {
	const all = [];
	let before = null, day = null;
	for (const message of room.messages) {
		const today = dayOf(message.createdAt);
		if (today !== day)
			all.push({ key: `day-${today}`, day: today });
		if (message.id === room.freshFrom)
			all.push({ key: 'fresh', fresh: true });
		const follows = before !== null && today === day && before.userId === message.userId && !message.replyTo &&
			message.id !== room.freshFrom && new Date(message.createdAt) - new Date(before.createdAt) < SAME_BREATH_MS;
		all.push({ key: message.key ?? message.id, message, follows });
		day = today;
		before = message;
	}
	return all;
}

// All that an element says, so that it is made anew only when that changed.
function looks({ message, follows, day, fresh }) {
	if (!message)
		return day ?? String(fresh);
	const { id, content, waits, failed, updatedAt, deletedAt, reactions, attachments, isRead, replyTo, user } = message;
	return JSON.stringify([id, follows, content, waits, failed, updatedAt, deletedAt, isRead, replyTo?.content, user.name,
		attachments.length, reactions.map(({ emoji, userId }) => [emoji, userId]), reacting === id]);
}

function show(item) {
	if (item.day)
		return make('li', { class: 'day' }, item.day);
	if (item.fresh)
		return make('li', { class: 'fresh-line' }, 'New');
	return showMessage(item, acts);
}

function isAtEnd() {
	const scroller = $('scroller');
	return scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_PX;
}

function toEnd() {
	const scroller = $('scroller');
	scroller.scrollTop = scroller.scrollHeight;
	below = 0;
	$('newest').hidden = true;
}

// At the end one stays there; further up, what comes is counted.
function follow(room, wasAtEnd) {
	const last = room.messages.at(-1);
	const isNew = last && last.id !== shownLast?.id && last.key !== (shownLast?.key ?? shownLast?.id);
	if (room !== shownRoom || wasAtEnd || (isNew && last.waits))
		toEnd();
	else if (isNew && shownLast)
		below++;
	$('newest').hidden = below === 0;
	$('newest').textContent = `↓ ${plural(below, 'new message')}`;
	shownRoom = room;
	shownLast = last ?? null;
}

function describe(room) {
	if (room.kind === 'direct')
		return `@${room.peer.username} · ${isOnline(room.peer.username) ? 'online' : 'offline'}`;
	return `${room.isPrivate ? 'Private channel' : 'Channel'} · ${plural(room.memberCount, 'member')}`;
}

function nothingText(room) {
	if (room.failed)
		return `The messages cannot be had now: ${room.failed}`;
	if (!room.isMember)
		return '';
	return room.loaded ? 'Nothing has been said here yet.' : 'Loading …';
}

function showNone() {
	$('room-title').textContent = 'Welcome';
	$('room-note').textContent = '';
	$('messages').replaceChildren();
	$('nothing').textContent = 'Choose a channel or somebody to talk to, or begin with a new channel.';
	for (const id of ['members-open', 'earlier', 'newest'])
		$(id).hidden = true;
	$('nothing').hidden = false;
	shownRoom = null;
}

function showRoom() {
	const room = model.current;
	if (!room) {
		showNone();
		return;
	}
	$('room-title').textContent = (room.kind === 'direct' || !room.name ? '' : '# ') + titleOf(room);
	$('room-note').textContent = describe(room);
	$('members-open').hidden = room.kind === 'direct' || !room.isMember;
	const wasAtEnd = isAtEnd();
	keep($('messages'), items(room), ({ key }) => key, looks, show);
	$('nothing').hidden = room.messages.length > 0;
	$('nothing').textContent = nothingText(room);
	if (!room.isMember)
		$('nothing').append(make('p', {}, `You are not in ${titleOf(room)} yet.`), make('p', {}, make('button', {
			class: 'primary', onclick: () => enterChannel(room).then(() => load(room)).catch(({ message }) => note(message)),
		}, 'Join')));
	$('earlier').hidden = !room.hasMore;
	offerFirst();
	follow(room, wasAtEnd);
}

// Exactly one message can be reached by Tab: the one chosen last, or the newest.
function offerFirst() {
	const all = [...$('messages').querySelectorAll('.message')];
	if (all.length > 0 && !all.some(({ tabIndex }) => tabIndex === 0))
		all.at(-1).tabIndex = 0;
}

// --- Moving among them ---

function choose(element) {
	element.scrollIntoView({ block: 'nearest' });
	element.focus({ preventScroll: true });
}

function unmark() {
	for (const old of $('messages').querySelectorAll('[data-current]'))
		delete old.dataset.current;
}

function mark(element) {
	unmark();
	for (const old of $('messages').querySelectorAll('.message[tabindex="0"]'))
		old.tabIndex = -1;
	element.dataset.current = '';
	element.tabIndex = 0;
}

export function chooseNewest() {
	const all = $('messages').querySelectorAll('.message');
	if (all.length > 0)
		choose(all[all.length - 1]);
}

const KEYS = {
	r: (message) => acts.reply(message),
	l: (message) => acts.react(message, '👍'),
	f: (message) => acts.forward(message),
	e: (message) => message.userId === model.me.id && acts.edit(message),
	Delete: (message) => message.userId === model.me.id && acts.remove(message),
};

function onKey(event) {
	if (event.key === 'Escape') {
		if (reacting)
			stopReacting();
		else
			$('composer-text').focus();
		return;
	}
	const element = event.target.closest('.message');
	const message = messageIn(model.current, element?.dataset.id);
	const run = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
	if (!run || !message || message.waits || message.deletedAt || event.ctrlKey || event.metaKey || event.altKey)
		return;
	event.preventDefault();
	run(message);
}

async function loadEarlier() {
	const room = model.current;
	const scroller = $('scroller');
	const fromEnd = scroller.scrollHeight - scroller.scrollTop;
	$('earlier').disabled = true;
	await loadPage(room, room.page + 1).catch(({ message }) => note(message));
	$('earlier').disabled = false;
	changed('room');
	queueMicrotask(() => queueMicrotask(() => { scroller.scrollTop = scroller.scrollHeight - fromEnd; }));
}

// --- Opening ---

function readOn(room) {
	markFresh(room);
	read(room);
}

export function openRoom(room) {
	if (model.current && model.current !== room)
		model.current.freshFrom = null;
	model.current = room;
	reacting = null;
	below = 0;
	$('composer').hidden = !room.isMember;
	changed('rooms', 'room');
	if (!room.loaded && room.isMember)
		load(room).then(() => read(room));
	else
		readOn(room);
}

export function beginRoom() {
	shows('room', showRoom);
	shows('room', () => { $('composer').hidden = !model.current?.isMember; });
	arrows($('messages'), '.message');
	$('messages').addEventListener('keydown', onKey);
	$('messages').addEventListener('focusin', (event) => {
		const element = event.target.closest('.message');
		if (element)
			mark(element);
	});
	document.addEventListener('focusin', ({ target }) => {
		if (!$('messages').contains(target))
			unmark();
	});
	$('earlier').addEventListener('click', loadEarlier);
	$('newest').addEventListener('click', toEnd);
	$('scroller').addEventListener('scroll', () => {
		if (isAtEnd() && below > 0)
			toEnd();
	});
	new ResizeObserver(() => { if (below === 0 && shownRoom === model.current) toEnd(); }).observe($('scroller'));
	// Pictures grow when they are there.
	$('messages').addEventListener('load', () => { if (below === 0) toEnd(); }, true);
}

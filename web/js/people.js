// The dialogs about people and channels: finding somebody, making a channel, its members.
import { $, arrows, keep, make, openDialog, plural } from './dom.js';
import { isOnline, model, shows, titleOf } from './model.js';
import { addMember, draftWith, makeChannel, membersOf, refreshLists, refreshPeople, removeMember } from './rooms.js';
import { addressOf } from './side.js';

const SHOWN = 200;

function go(room) {
	location.hash = addressOf(room);
}

function presence(username) {
	return [make('span', { 'class': isOnline(username) ? 'dot on' : 'dot', 'aria-hidden': 'true' }),
		make('span', { class: 'unseen' }, isOnline(username) ? 'online' : 'offline')];
}

// --- Finding somebody ---

function found() {
	const wanted = $('people-search').value.trim().toLowerCase();
	return [...model.online.values()]
		.filter(({ username }) => username !== model.me.username && username.toLowerCase().includes(wanted))
		.sort((a, b) => b.isOnline - a.isOnline || a.username.localeCompare(b.username));
}

function talkTo(username) {
	$('people-dialog').close();
	go(draftWith(username));
	$('composer-text').focus();
}

function showPeople() {
	if (!$('people-dialog').open)
		return;
	const all = found();
	const online = all.filter((user) => user.isOnline).length;
	$('people-count').textContent = `${plural(all.length, 'person', 'people')}, ${online} online`;
	keep($('people'), all.slice(0, SHOWN), ({ username }) => username, (user) => String(user.isOnline), ({ username }) =>
		make('li', {}, make('button', { 'data-act': 'talk', onclick: () => talkTo(username) },
			presence(username), make('span', { class: 'label' }, username))));
}

export function openPeople() {
	$('people-search').value = '';
	openDialog($('people-dialog'));
	showPeople();
	refreshPeople().catch(() => {});
}

// --- A new channel ---

async function submitChannel(event) {
	event.preventDefault();
	$('channel-error').textContent = '';
	try {
		const room = await makeChannel($('channel-name').value, $('channel-private').checked);
		$('channel-dialog').close();
		$('channel-form').reset();
		go(room);
	} catch (error) {
		$('channel-error').textContent = error.message;
		$('channel-name').focus();
	}
}

// --- Members ---

async function attempt(work) {
	$('members-error').textContent = '';
	try {
		await work;
		await showMembers();
	} catch (error) {
		$('members-error').textContent = error.message;
	}
}

function memberRow(room, member) {
	const mayRemove = room.ownerId === model.me.id && member.id !== model.me.id;
	return make('li', {}, presence(member.username), make('span', { class: 'label' }, member.name,
		make('span', { class: 'hint' }, ` @${member.username}${member.role === 'owner' ? ' · owner' : ''}`)),
	mayRemove ? make('button', { 'class': 'quiet', 'data-act': 'remove', 'aria-label': `Remove ${member.name}`,
		onclick: () => attempt(removeMember(room, member.id)) }, 'Remove') : null);
}

async function showMembers() {
	const room = model.current;
	const members = await membersOf(room);
	const there = new Set(members.map(({ id }) => id));
	const others = [...model.ids.values()].filter(({ id, username }) => username && !there.has(id) && id !== model.me.id);
	room.memberCount = members.length;
	keep($('members'), members, ({ id }) => id, ({ username, role }) => `${role} ${isOnline(username)}`,
		(member) => memberRow(room, member));
	keep($('invitees'), others, ({ id }) => id, ({ username }) => String(isOnline(username)), (user) => make('li', {},
		make('button', { 'data-act': 'add', onclick: () => attempt(addMember(room, user.id)) }, presence(user.username),
			make('span', { class: 'label' }, `Add ${user.name ?? user.username}`, make('span', { class: 'hint' }, ` @${user.username}`)))));
	$('invite').hidden = others.length === 0;
}

function openMembers() {
	$('members-title').textContent = `Members of ${titleOf(model.current)}`;
	openDialog($('members-dialog'));
	attempt(Promise.resolve());
	// Whom one may add: those one knows from other channels, too.
	const known = [...model.rooms.values()].filter(({ kind, isMember }) => kind === 'channel' && isMember).slice(0, 20);
	Promise.all(known.map(membersOf)).then(showMembers).catch(() => {});
}

async function leave() {
	try {
		await removeMember(model.current, model.me.id);
		$('members-dialog').close();
		location.hash = '';
	} catch (error) {
		$('members-error').textContent = error.message;
	}
}

export function beginPeople() {
	shows('rooms', showPeople);
	arrows($('people'), 'button');
	arrows($('invitees'), 'button');
	arrows($('forward-rooms'), 'button');
	$('people-open').addEventListener('click', openPeople);
	$('people-search').addEventListener('input', showPeople);
	$('people-search').addEventListener('keydown', (event) => {
		if (event.key === 'ArrowDown')
			$('people').querySelector('button')?.focus();
		else if (event.key === 'Enter')
			$('people').querySelector('button')?.click();
	});
	$('channel-new').addEventListener('click', () => openDialog($('channel-dialog')));
	$('channel-form').addEventListener('submit', submitChannel);
	$('members-open').addEventListener('click', openMembers);
	$('leave').addEventListener('click', leave);
	$('members-dialog').addEventListener('close', () => refreshLists().catch(() => {}));
}

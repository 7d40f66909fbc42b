// The lists of rooms.
import { $, arrows, keep, make } from './dom.js';
import { isOnline, model, shows, titleOf, unreadOfAll } from './model.js';

export function addressOf(room) {
	return `#${encodeURIComponent(room.id)}`;
}

function sign(room) {
	if (room.kind === 'direct')
		return make('span', { 'class': isOnline(room.peer.username) ? 'dot on' : 'dot', 'aria-hidden': 'true' });
	return make('span', { 'class': 'kind', 'aria-hidden': 'true' }, room.isPrivate ? '∗' : '#');
}

function spoken(room) {
	const parts = [titleOf(room)];
	if (room.kind === 'direct')
		parts.push(isOnline(room.peer.username) ? 'online' : 'offline');
	else if (room.isPrivate)
		parts.push('private');
	if (room.unread > 0)
		parts.push(`${room.unread} unread`);
	return parts.join(', ');
}

function row(room) {
	const count = room.unread > 0 && room.isMember
		? make('span', { class: 'count' }, room.unread > 99 ? '99+' : String(room.unread)) : null;
	return make('li', {}, make('button', {
		'class': count ? 'rooms-row fresh' : 'rooms-row', 'data-act': 'open', 'aria-label': spoken(room),
		'aria-current': room === model.current ? 'true' : null,
		onclick: () => { location.hash = addressOf(room); },
	}, sign(room), make('span', { class: 'label' }, titleOf(room)), count));
}

function looks(room) {
	return JSON.stringify([spoken(room), room === model.current, room.isMember]);
}

const byTitle = (a, b) => titleOf(a).localeCompare(titleOf(b));

function showSide() {
	const all = [...model.rooms.values()];
	const lists = {
		channels: all.filter(({ kind, isMember }) => kind === 'channel' && isMember).sort(byTitle),
		directs: all.filter(({ kind }) => kind === 'direct').sort(byTitle),
		others: all.filter(({ kind, isMember }) => kind === 'channel' && !isMember).sort(byTitle),
	};
	for (const [id, rooms] of Object.entries(lists))
		keep($(id), rooms, ({ id: key }) => key, looks, row);
	$('others-heading').hidden = lists.others.length === 0;
	const unread = unreadOfAll();
	const where = model.current ? `${titleOf(model.current)} · ` : '';
	document.title = `${unread > 0 ? `(${unread}) ` : ''}${where}Confab`;
}

export function beginSide() {
	shows('rooms', showSide);
	arrows($('side'), '.rooms-row');
	$('me').replaceChildren(make('b', {}, model.me.name), ` @${model.me.username}`);
}

// One message as it is shown.
import { make, time } from './dom.js';
import { model } from './model.js';

const EMOJI = ['👍', '❤️', '😂', '🎉', '😮', '🙏'];
const PICTURE = /^image\/(png|jpeg|gif|webp)$/;

const isMine = (message) => message.userId === model.me.id;

// Which names a chip stands for.
function chips(message, acts) {
	const by = new Map();
	for (const { emoji, userId, user } of message.reactions) {
		const chip = by.get(emoji) ?? { emoji, names: [], mine: false };
		chip.names.push(userId === model.me.id ? 'you' : user?.name ?? 'somebody');
		chip.mine ||= userId === model.me.id;
		by.set(emoji, chip);
	}
	if (by.size === 0)
		return null;
	return make('p', { class: 'chips' }, [...by.values()].map(({ emoji, names, mine }) => make('button', {
		'class': 'chip', title: names.join(', '), 'aria-pressed': String(mine),
		'aria-label': `${emoji}, ${names.length}: ${names.join(', ')}`, 'data-act': `chip-${emoji}`,
		onclick: () => acts.react(message, emoji),
	}, `${emoji} ${names.length}`)));
}

// A file of ours, or a link that somebody sent; other kinds of links are none.
function addressOf(file) {
	try {
		const url = new URL(file.url, location.origin);
		return /^https?:$/.test(url.protocol) ? url : null;
	} catch {
		return null;
	}
}

function sizeOf(bytes) {
	return bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.max(1, Math.round(bytes / 1e3))} KB`;
}

function attachment(file) {
	const url = addressOf(file);
	if (!url)
		return null;
	const name = file.originalName ?? file.filename ?? url.pathname.split('/').at(-1) ?? 'file';
	const options = { href: url.href, target: '_blank', rel: 'noopener noreferrer' };
	if (url.origin === location.origin && PICTURE.test(file.mimeType))
		return make('a', options, make('img', { src: url.href, alt: name, loading: 'lazy' }));
	return make('p', {}, make('a', options, name), file.size ? make('span', { class: 'hint' }, ` ${sizeOf(file.size)}`) : null);
}

// Not while it waits, and not of what is gone.
function tools(message, acts) {
	if (message.waits || message.deletedAt)
		return null;
	if (acts.isReacting(message))
		return make('div', { 'class': 'tools emoji', role: 'group', 'aria-label': 'React' }, EMOJI.map((emoji) =>
			make('button', {
				'data-act': `emoji-${emoji}`, 'aria-label': `React with ${emoji}`,
				onclick: () => acts.react(message, emoji),
			}, emoji)));
	const tool = (act, text, run) => make('button', { 'data-act': act, onclick: () => run(message) }, text);
	return make('div', { 'class': 'tools', role: 'group', 'aria-label': 'This message' },
		tool('react', 'React', acts.pick), tool('reply', 'Reply', acts.reply), tool('forward', 'Forward', acts.forward),
		isMine(message) ? tool('edit', 'Edit', acts.edit) : null,
		isMine(message) ? tool('delete', 'Delete', acts.remove) : null);
}

function marks(message, acts) {
	const parts = [];
	if (message.failed) {
		parts.push(make('span', { class: 'wrong' }, `Not sent: ${message.failed} `),
			make('button', { 'data-act': 'retry', onclick: () => acts.retry(message) }, 'Try again'), ' ',
			make('button', { 'data-act': 'discard', onclick: () => acts.discard(message) }, 'Discard'));
	} else if (message.waits) {
		parts.push('Sending …');
	}
	if (message.updatedAt !== message.createdAt && !message.deletedAt && !message.waits)
		parts.push('edited ');
	if (message.isRead)
		parts.push(make('span', { title: 'It has been read' }, '✓ read'));
	return parts.length > 0 ? make('p', { class: 'marks' }, parts) : null;
}

function quote(message, acts) {
	if (!message.replyTo)
		return null;
	const { id, user, content } = message.replyTo;
	return make('button', { 'class': 'quote', 'data-act': 'quote', onclick: () => acts.goTo(id) },
		`${user?.name ?? 'Somebody'}: ${content}`);
}

function letter(name) {
	return [...name.trim()][0]?.toUpperCase() ?? '·';
}

// `follows`: the same author a moment ago, whose name need not be said again.
export function showMessage({ message, follows }, acts) {
	const classes = ['message', follows && 'follows', message.waits && 'waiting', message.deletedAt && 'deleted',
		message.arrives && 'arrives'].filter(Boolean).join(' ');
	message.arrives = false;
	const element = make('li', { 'class': classes, tabIndex: -1, 'data-id': message.id },
		make('span', { 'class': 'face', 'aria-hidden': 'true' }, letter(message.user.name)),
		make('div', { class: 'body' },
			make('p', { class: 'head' }, make('b', {}, message.user.name), time(message.createdAt)),
			follows ? make('span', { class: 'unseen' }, `${message.user.name}: `) : null,
			quote(message, acts),
			message.content ? make('p', { class: 'text' }, message.content) : null,
			message.attachments.length > 0 ? make('div', { class: 'pictures' }, message.attachments.map(attachment)) : null,
			chips(message, acts), marks(message, acts)),
		tools(message, acts));
	return element;
}

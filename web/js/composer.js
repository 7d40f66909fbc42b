// Where one writes: a message, a reply, or another text of an earlier message.
import { edit } from './acts.js';
import { $, keep, make } from './dom.js';
import { changed, model, shows } from './model.js';
import { say, sayFirst } from './outbox.js';
import { refreshLists } from './rooms.js';
import { upload } from './rest.js';

const MOST_CHARACTERS = 2000;

let about = null;            // { way: 'reply' or 'edit', message, room }
let files = [];              // { name, state, attachment }
const drafts = new Map();    // room id → text

export function note(text) {
	$('composer-note').textContent = text;
}

function isOver(text) {
	return [...text].length > MOST_CHARACTERS;
}

// --- What it is about ---

function setAbout(next) {
	about = next;
	$('composer-about').hidden = !about;
	if (!about)
		return;
	$('composer-about-text').textContent = about.way === 'edit' ? 'Editing your message'
		: `Replying to ${about.message.user.name}: ${about.message.content}`;
	$('composer-text').focus();
}

export function composeReply(message) {
	if (about?.way === 'edit')
		drop();
	setAbout({ way: 'reply', message, room: model.current });
}

export function composeEdit(message) {
	$('composer-text').value = message.content;
	setAbout({ way: 'edit', message, room: model.current });
}

function drop() {
	if (about?.way === 'edit')
		$('composer-text').value = '';
	setAbout(null);
	note('');
}

// --- Files ---

function showFiles() {
	keep($('composer-files'), files, ({ key }) => key, ({ state }) => state, (file) => make('li', {},
		make('span', {}, file.name), make('span', { class: 'hint' }, file.state === 'there' ? '' : ' …'),
		make('button', { type: 'button', 'aria-label': `Leave out ${file.name}`, onclick: () => removeFile(file) }, '×')));
	$('composer-attach').hidden = !model.uploads || Boolean(model.current?.isDraft);
}

function removeFile(file) {
	files = files.filter((one) => one !== file);
	showFiles();
	$('composer-text').focus();
}

async function addFile(source) {
	const file = { key: `${Date.now()}-${files.length}`, name: source.name || 'picture', state: 'sending', attachment: null };
	files.push(file);
	showFiles();
	try {
		file.attachment = await upload(source);
		file.state = 'there';
		note('');
	} catch (error) {
		model.uploads = error.status !== 404;
		note(model.uploads ? `${file.name}: ${error.message}` : 'This server takes no files');
		files = files.filter((one) => one !== file);
	}
	showFiles();
}

// --- Sending ---

async function sayToDraft(room, text) {
	$('composer-text').value = '';
	try {
		await sayFirst(room.peer.username, text);
		await refreshLists();
	} catch (error) {
		$('composer-text').value = text;
		note(`Not sent: ${error.message}`);
	}
}

async function saveEdit(text) {
	const { room, message } = about;
	const why = await edit(room, message, text);
	if (why)
		note(why);
	else
		drop();
}

function send() {
	const room = model.current;
	const text = $('composer-text').value.trim();
	const attachments = files.filter(({ state }) => state === 'there').map(({ attachment }) => attachment);
	// What a message says may not be nothing, so a file alone is said by its name.
	const content = text || attachments.map((file) => file.originalName ?? file.filename).join(', ').slice(0, MOST_CHARACTERS);
	if (!content || !room)
		return;
	if (isOver(content) || files.some(({ state }) => state === 'sending')) {
		note(isOver(content) ? `At most ${MOST_CHARACTERS} characters, please` : 'A file is still on its way');
		return;
	}
	note('');
	if (about?.way === 'edit') {
		saveEdit(content);
		return;
	}
	if (room.isDraft) {
		sayToDraft(room, content);
		return;
	}
	say(room, content, { replyTo: about?.message ?? null, attachments });
	$('composer-text').value = '';
	files = [];
	drafts.delete(room.id);
	setAbout(null);
	showFiles();
}

// --- Keys ---

function editLast() {
	const mine = model.current?.messages.findLast(({ userId, waits, deletedAt }) =>
		userId === model.me.id && !waits && !deletedAt);
	if (mine)
		composeEdit(mine);
}

function onKey(event, chooseNewest) {
	if (event.isComposing)
		return;
	if (event.key === 'Enter' && !event.shiftKey) {
		event.preventDefault();
		send();
	} else if (event.key === 'Escape') {
		drop();
	} else if (event.key === 'ArrowUp' && event.ctrlKey) {
		event.preventDefault();
		chooseNewest();
	} else if (event.key === 'ArrowUp' && event.target.value === '' && !about) {
		event.preventDefault();
		editLast();
	}
}

// Each room has its own unsent text.
let shownRoom = null;
function onRoom() {
	if (model.current === shownRoom)
		return;
	if (shownRoom)
		drafts.set(shownRoom.id, about?.way === 'edit' ? '' : $('composer-text').value);
	shownRoom = model.current;
	files = [];
	setAbout(null);
	note('');
	$('composer-text').value = drafts.get(shownRoom?.id) ?? '';
	$('composer-text').placeholder = 'Message';
	showFiles();
}

// `chooseNewest`: goes from here to the newest message.
export function beginComposer(chooseNewest) {
	shows('room', onRoom);
	$('composer').addEventListener('submit', (event) => {
		event.preventDefault();
		send();
	});
	$('composer-text').addEventListener('keydown', (event) => onKey(event, chooseNewest));
	$('composer-text').addEventListener('paste', (event) => {
		if (model.uploads && event.clipboardData.files.length > 0 && !model.current?.isDraft)
			[...event.clipboardData.files].forEach(addFile);
	});
	$('composer-about-drop').addEventListener('click', () => {
		drop();
		$('composer-text').focus();
	});
	$('composer-attach').addEventListener('click', () => $('composer-pick').click());
	$('composer-pick').addEventListener('change', ({ target }) => {
		[...target.files].forEach(addFile);
		target.value = '';
	});
	changed('room');
}

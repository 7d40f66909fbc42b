// Signing up and in.
import { $ } from './dom.js';
import { ask, keepToken } from './rest.js';

const form = $('sign-form');

const TITLES = { signup: 'Sign up', signin: 'Sign in' };

function way() {
	return form.elements.way.value;
}

function showWay() {
	const isNew = way() === 'signup';
	$('sign-name-row').hidden = !isNew;
	$('sign-password-hint').hidden = !isNew;
	$('sign-go').textContent = TITLES[way()];
	$('sign-password').autocomplete = isNew ? 'new-password' : 'current-password';
	$('sign-error').textContent = '';
}

// The first field that does not fit, by the browser's own rules.
function complaint() {
	const field = [...form.elements].find((one) => one.willValidate && !one.checkValidity());
	if (!field)
		return null;
	field.focus();
	const label = field.labels[0].firstChild.textContent.trim();
	return `${label}: ${field.validationMessage || 'does not fit'}`;
}

async function submit(done) {
	$('sign-error').textContent = complaint() ?? '';
	if ($('sign-error').textContent)
		return;
	const { username, password, name, stay } = form.elements;
	const body = { username: username.value, password: password.value };
	if (way() === 'signup' && name.value.trim())
		body.name = name.value.trim();
	$('sign-go').disabled = true;
	try {
		const { token, user } = await ask('POST', `/login/${way()}`, body);
		keepToken(token, stay.checked);
		password.value = '';
		done(user);
	} catch (error) {
		$('sign-error').textContent = error.message;
	} finally {
		$('sign-go').disabled = false;
	}
}

export function showSign(done, why = '') {
	$('sign').hidden = false;
	$('chat').hidden = true;
	form.onsubmit = (event) => {
		event.preventDefault();
		submit(done);
	};
	form.onchange = ({ target }) => { if (target.name === 'way') showWay(); };
	showWay();
	$('sign-error').textContent = why;
	$('sign-username').focus();
}

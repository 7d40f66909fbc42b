// Elements without markup: all text goes in as text.

export const $ = (id) => document.getElementById(id);

// make('li', { class: 'x', onclick }, 'text', child, null): properties, attributes where there is no such
// property, and children.
export function make(tag, props = {}, ...children) {
	const element = document.createElement(tag);
	for (const [name, value] of Object.entries(props)) {
		if (value === undefined || value === null || value === false)
			continue;
		if (name in element && !name.startsWith('aria'))
			element[name] = value;
		else
			element.setAttribute(name, value === true ? '' : value);
	}
	element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
	return element;
}

// Which control of `element` has the focus, to find it again in its successor.
function focusIn(element) {
	const at = document.activeElement;
	if (!element.contains(at))
		return null;
	return at === element ? '' : at.dataset.act ?? '';
}

function replace(old, fresh) {
	const act = focusIn(old);
	if (old.dataset.current !== undefined)
		fresh.dataset.current = '';
	if (old.hasAttribute('tabindex'))
		fresh.tabIndex = old.tabIndex;
	old.replaceWith(fresh);
	if (act !== null)
		(act && fresh.querySelector(`[data-act="${CSS.escape(act)}"]`) || fresh).focus({ preventScroll: true });
}

// Makes the children of `parent` those of `items`, in their order; what did not change stays as it is, and
// the focus where it was. `keyOf` names an item, `looksOf` says whether it changed, `show` makes its element.
export function keep(parent, items, keyOf, looksOf, show) {
	const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
	let before = null;
	for (const item of items) {
		const key = String(keyOf(item));
		const looks = looksOf(item);
		let element = old.get(key);
		old.delete(key);
		if (!element || element.looks !== looks) {
			const fresh = show(item);
			fresh.dataset.key = key;
			fresh.looks = looks;
			if (element)
				replace(element, fresh);
			element = fresh;
		}
		const place = before ? before.nextSibling : parent.firstChild;
		if (place !== element)
			parent.insertBefore(element, place);
		before = element;
	}
	for (const gone of old.values())
		gone.remove();
}

// Arrow keys, Home and End go from one to the next of those that `selector` finds.
export function arrows(parent, selector) {
	parent.addEventListener('keydown', (event) => {
		const all = [...parent.querySelectorAll(selector)];
		const at = all.indexOf(document.activeElement);
		if (at < 0 || event.ctrlKey || event.altKey || event.metaKey)
			return;
		const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: all.length - 1 }[event.key];
		if (to === undefined)
			return;
		event.preventDefault();
		all[Math.max(0, Math.min(to, all.length - 1))].focus();
	});
}

export function openDialog(dialog) {
	if (!dialog.open)
		dialog.showModal();
}

for (const dialog of document.querySelectorAll('dialog')) {
	dialog.addEventListener('click', (event) => {
		if (event.target === dialog || event.target.closest('[data-close]'))
			dialog.close();
	});
}

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const day = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });

export function time(iso) {
	return make('time', { dateTime: iso, title: new Date(iso).toLocaleString(), class: 'hint' }, clock.format(new Date(iso)));
}

export function dayOf(iso) {
	return day.format(new Date(iso));
}

export function plural(n, one, many = `${one}s`) {
	return `${n} ${n === 1 ? one : many}`;
}

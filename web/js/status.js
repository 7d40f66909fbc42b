// How the connection does: in a line at the foot of the page, and at length in a dialog.
import { $, make, openDialog, plural } from './dom.js';
import { cut, link } from './link.js';
import { shows } from './model.js';
import { ask } from './rest.js';

const COLUMNS = [
	['connections', 'Connections'], ['requests', 'Requests'], ['events', 'Events'], ['deliveries', 'Deliveries'],
	['calls', 'Redis calls'],
];

function lastReturn() {
	if (!link.last)
		return '';
	const { recovered, replayed, tookMs } = link.last;
	const took = `${(tookMs / 1000).toFixed(1)} s`;
	return recovered ? ` · back after ${took}: session recovered, ${plural(replayed, 'event')} replayed`
		: ` · back after ${took} with a new session`;
}

function line() {
	if (link.state === 'connecting')
		return 'Connecting …';
	if (link.state === 'waiting')
		return 'Connection lost. Reconnecting … what you write is kept.';
	return `Connected to worker ${link.worker}${lastReturn()}`;
}

function fact(name, value) {
	return make('div', {}, make('dt', {}, name), make('dd', {}, String(value)));
}

function showStatus() {
	const text = line();
	if ($('status-text').textContent !== text)
		$('status-text').textContent = text;
	$('status-dot').className = link.state === 'connected' ? 'dot on' : 'dot waits';
	$('server-facts').replaceChildren(
		fact('Worker', link.worker ?? '–'), fact('Transport', link.transport ?? '–'),
		fact('Socket', link.channels?.id ?? '–'),
		fact('Times come back', link.returns), fact('… with the session recovered', link.recovered),
		fact('Events replayed', link.replayed), fact('Messages sent again', link.repeated));
	$('cut').disabled = link.state !== 'connected';
}

async function showWorkers() {
	const stats = await ask('GET', '/api/stats').catch(() => null);
	if (!stats)
		return;
	$('server-workers').replaceChildren(
		make('thead', {}, make('tr', {}, make('th', { scope: 'col' }, 'Worker'),
			COLUMNS.map(([, title]) => make('th', { scope: 'col' }, title)))),
		make('tbody', {}, stats.workers.map((worker) => make('tr', { class: worker.worker === link.worker ? 'here' : '' },
			make('th', { scope: 'row' }, `${worker.worker}${worker.worker === link.worker ? ' (yours)' : ''}`),
			COLUMNS.map(([name]) => make('td', {}, String(worker[name] ?? '–')))))));
}

export function beginStatus() {
	shows('status', showStatus);
	$('server-open').addEventListener('click', () => {
		openDialog($('server-dialog'));
		showStatus();
		showWorkers();
	});
	$('cut').addEventListener('click', () => {
		cut();
		$('server-dialog').close();
	});
}

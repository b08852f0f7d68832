// Every page works without this file. It saves a person a reload: search while
// typing, a page that follows what is going on, times in the browser's own
// zone, a lock when nobody is there, a question before words are lost.

const token = document.querySelector('meta[name="form-token"]')?.content ?? '';

// fetchPage gets a page as a document. XMLHttpRequest parses it without running
// anything, and needs no Trusted Types policy, unlike DOMParser and innerHTML.
function fetchPage(url, { method = 'GET', body = null, signal } = {}) {
	return new Promise((resolve, reject) => {
		const x = new XMLHttpRequest();
		x.open(method, url);
		x.responseType = 'document';
		if (body) {
			x.setRequestHeader('Content-Type', 'application/x-www-form-urlencoded');
			x.setRequestHeader('X-Form-Token', token);
		}
		signal?.addEventListener('abort', () => x.abort());
		x.onload = () => resolve({ status: x.status, page: x.response });
		x.onerror = () => reject(new Error('no answer'));
		x.onabort = () => reject(new DOMException('', 'AbortError'));
		x.send(body);
	});
}

// swap fills the regions marked data-live with what another page has in theirs.
// The regions themselves stay, so that an <output> among them is read aloud.
function swap(page) {
	for (const fresh of page.querySelectorAll('[data-live][id]')) {
		const old = document.getElementById(fresh.id);
		if (!old) continue;
		old.toggleAttribute('data-follow', fresh.hasAttribute('data-follow'));
		if (fresh.dataset.follow) old.dataset.follow = fresh.dataset.follow;
		old.replaceChildren(...document.importNode(fresh, true).childNodes);
	}
	tellTime();
	follow();
}

// Search: the form's own answer, a moment after the last key.
let wanted = null, searching = Promise.resolve();
function search(form) {
	wanted?.abort();
	const mine = wanted = new AbortController();
	const fields = new URLSearchParams(new FormData(form));
	const post = form.method === 'post';
	const url = post ? form.action : `${form.action.split('?')[0]}?${fields}`;
	searching = fetchPage(url, { method: post ? 'POST' : 'GET', body: post ? fields : null, signal: mine.signal })
		.then(({ status, page }) => {
			if (status === 401) location.reload();
			else if (status === 200 && page) swap(page);
		})
		.catch(() => {}); // offline, or overtaken by the next key: what is shown stays
	return searching;
}

let pause;
document.addEventListener('input', (e) => {
	const form = e.target.closest?.('form[role=search]');
	if (!form || e.isComposing) return;
	clearTimeout(pause);
	pause = setTimeout(() => search(form), 60);
});

// Enter opens the first that was found.
document.addEventListener('submit', async (e) => {
	const form = e.target.closest('form[role=search]');
	if (!form || !document.querySelector('[data-live]')) return;
	e.preventDefault();
	clearTimeout(pause);
	await search(form);
	document.querySelector('[data-live] tbody a[href], [data-live] li a[href]')?.click();
});

document.addEventListener('keydown', (e) => {
	const writes = e.target.closest?.('input, textarea, select, [contenteditable]');
	if (e.key !== '/' || writes || e.ctrlKey || e.metaKey || e.altKey) return;
	const field = document.querySelector('form[role=search] input[type=search]');
	if (!field) return;
	e.preventDefault();
	field.focus();
	field.select();
});

// Times: the browser's own zone and words. Ages stay as the server counted them.
function tellTime() {
	const now = new Date();
	for (const el of document.querySelectorAll('time[data-time=day], time[data-time=moment]')) {
		const at = new Date(el.dateTime);
		if (Number.isNaN(at.getTime())) continue;
		const year = at.getFullYear() === now.getFullYear() ? undefined : 'numeric';
		const day = at.toLocaleDateString(document.documentElement.lang, { year, month: 'short', day: 'numeric' });
		if (el.dataset.time === 'day') { el.textContent = day; continue; }
		const clock = at.toLocaleTimeString(document.documentElement.lang, { hour: 'numeric', minute: '2-digit' }).toLowerCase();
		el.textContent = (at.toDateString() === now.toDateString() ? 'today ' : `${day}, `) + clock;
	}
}

// Follow: while a region says data-follow (seconds), the page is asked again.
let following;
function follow() {
	clearTimeout(following);
	const el = document.querySelector('[data-live][data-follow]');
	if (!el) return;
	following = setTimeout(async () => {
		if (document.hidden) return follow();
		try {
			const { status, page } = await fetchPage(location.href);
			if (status === 401) return location.reload();
			if (status === 200 && page) return swap(page);
		} catch { /* offline: ask again */ }
		follow();
	}, Math.max(1, Number(el.dataset.follow)) * 1000);
}

// Unsaved: a form marked data-unsaved asks before its words are lost.
let unsaved = false;
document.addEventListener('input', (e) => { if (e.target.closest?.('form[data-unsaved]')) unsaved = true; });
document.addEventListener('submit', (e) => { if (e.target.matches('form[data-unsaved]')) unsaved = false; });
document.addEventListener('saved', () => { unsaved = false; });
window.addEventListener('beforeunload', (e) => { if (unsaved) e.preventDefault(); });

// Lock: when nobody has touched any of our tabs for a while, close the room.
// A script that holds unsaved words hears "closing" and may wait: e.detail.until(promise).
const lockAfter = Number(document.querySelector('meta[name="lock-after"]')?.content ?? 0) * 1000;
const tabs = 'BroadcastChannel' in window ? new BroadcastChannel('quietroom') : null;
let touched = Date.now(), told = 0;
function touch() {
	touched = Date.now();
	if (touched - told > 5000) { told = touched; tabs?.postMessage('touched'); }
}
async function close() {
	clearInterval(watch);
	const waits = [];
	document.dispatchEvent(new CustomEvent('closing', { detail: { until: (p) => waits.push(p) } }));
	await Promise.race([Promise.allSettled(waits), new Promise((r) => setTimeout(r, 3000))]);
	try { await fetch('/lock', { method: 'POST', headers: { 'X-Form-Token': token }, redirect: 'manual' }); } catch { /* the server closes by itself */ }
	tabs?.postMessage('locked');
	cover();
}
function cover() {
	clearInterval(watch);
	unsaved = false;
	document.querySelector('main')?.replaceChildren(); // nothing stays on the screen, even offline
	location.replace(`/unlock?next=${encodeURIComponent(location.pathname)}`);
}
let watch;
if (lockAfter > 0) {
	for (const kind of ['pointerdown', 'keydown', 'scroll', 'touchstart']) addEventListener(kind, touch, { passive: true, capture: true });
	tabs?.addEventListener('message', (e) => { if (e.data === 'touched') touched = Date.now(); else if (e.data === 'locked') cover(); });
	watch = setInterval(() => { if (Date.now() - touched >= lockAfter) close(); }, 1000);
	document.addEventListener('submit', (e) => { if (e.target.getAttribute('action') === '/lock') tabs?.postMessage('locked'); });
}

// A page brought back from the browser's memory may be of a closed session.
addEventListener('pageshow', (e) => { if (e.persisted) location.reload(); });

tellTime();
follow();

// A note keeps itself: a while after the last word, and when the room closes.
// Without this file "Keep as a draft" does the same.

const form = document.getElementById('sheet');
const told = document.getElementById('sealed');
const token = document.querySelector('meta[name="form-token"]')?.content ?? '';
const pause = 3000;

let words = 0, sealed = 0, timer, going = null, stopped = false;

// keep sends what stands on the sheet. One at a time: each needs the version
// that the one before it made.
async function keep() {
	clearTimeout(timer);
	if (going) await going;
	if (stopped || words === sealed) return;
	going = send();
	try { await going; } finally { going = null; }
}

async function send() {
	const upTo = words;
	const body = new URLSearchParams(new FormData(form));
	body.set('act', 'keep');
	let answer;
	try {
		answer = await fetch(form.action, { method: 'POST', headers: { Accept: 'application/json', 'X-Form-Token': token }, body, redirect: 'error' });
	} catch {
		return say('needs', 'Not sealed yet: no connection', true);
	}
	if (answer.status === 409) {
		stopped = true;
		return say('needs', 'Somebody else wrote here too. Keep as a draft to see both', false);
	}
	if (answer.status === 401) {
		stopped = true;
		return say('needs', 'The room is closed. Copy your words before you leave', false);
	}
	if (!answer.ok) return say('needs', 'Not sealed yet', true);
	form.elements.version.value = (await answer.json()).version;
	sealed = upTo;
	if (words === sealed) document.dispatchEvent(new Event('saved'));
	say('safe', 'Sealed just now', words !== sealed);
}

function say(is, text, again) {
	told.dataset.is = is;
	told.textContent = text;
	if (again) timer = setTimeout(keep, pause);
}

form.addEventListener('input', () => {
	words++;
	if (told.textContent && told.dataset.is === 'safe') told.textContent = '';
	clearTimeout(timer);
	timer = setTimeout(keep, pause);
});

// Signing waits for a draft that is on its way, so that the two do not meet.
form.addEventListener('submit', async (e) => {
	clearTimeout(timer);
	stopped = true;
	if (!going) return;
	e.preventDefault();
	await going.catch(() => {});
	going = null;
	form.requestSubmit(e.submitter);
});

document.addEventListener('keydown', (e) => {
	if (e.key === 'Enter' && (e.ctrlKey || e.metaKey) && e.target.form === form) form.requestSubmit(form.querySelector('button[value=sign]'));
});

// So does covering the screen by hand: the words are sealed first.
document.addEventListener('submit', async (e) => {
	if (e.target.getAttribute('action') !== '/lock' || words === sealed || stopped) return;
	e.preventDefault();
	await keep();
	stopped = true;
	e.target.requestSubmit(e.submitter);
});

document.addEventListener('visibilitychange', () => { if (document.hidden) keep(); });
document.addEventListener('closing', (e) => e.detail.until(keep()));

// A page of a session that was ended elsewhere covers itself. The house is asked
// a little more than once a second, while somebody can see the page; asking keeps
// no session alive. Without this file the next request is refused.

const every = 700;
let asking = false;

async function look() {
	if (document.hidden || asking) return;
	asking = true;
	try {
		const answer = await fetch('/session/live', { headers: { Accept: 'application/json' }, cache: 'no-store', redirect: 'error', signal: AbortSignal.timeout(5000) });
		if (answer.status === 401) cover();
	} catch { /* no network: the page locks by itself when nobody is there */ }
	asking = false;
}

function cover() {
	clearInterval(watching);
	document.dispatchEvent(new Event('saved')); // nothing can be kept any more: do not ask whether to stay
	document.querySelector('main')?.replaceChildren();
	location.replace(`/unlock?next=${encodeURIComponent(location.pathname)}`);
}

const watching = setInterval(look, every);
document.addEventListener('visibilitychange', look);

// Was it a person who pressed? This notes that a hand, a key or a screen reader
// was there, as counts and durations, and puts them into the form that is sent.
// No position, no key and nothing about the computer is noted. Without this
// script the page works the same.
const form = document.querySelector('form[data-act]');
const field = form?.elements.how;

const entry = performance.getEntriesByType('navigation')[0];
const paint = performance.getEntriesByType('paint')[0]?.startTime ?? entry?.domInteractive ?? performance.now();
let shown = Math.max(Math.min(paint, performance.now()), entry?.activationStart ?? 0);
if (document.prerendering) document.addEventListener('prerenderingchange', () => { shown = performance.now(); }, { once: true });
document.addEventListener('visibilitychange', () => { if (!document.hidden) shown = performance.now(); });

let moves = 0, firstMove = 0, lastMove = 0, down = 0, press = 0, pointer = '', keys = 0, firstKey = 0, lastKey = 0, kind = '', trusted = false;
addEventListener('pointermove', (e) => { if (e.isTrusted) { moves++; lastMove = performance.now(); firstMove ||= lastMove; } }, { passive: true, capture: true });
addEventListener('pointerdown', (e) => { if (e.isTrusted) { down = performance.now(); press = 0; pointer = e.pointerType; } }, { passive: true, capture: true });
addEventListener('pointerup', (e) => { if (e.isTrusted && down) press = performance.now() - down; }, { passive: true, capture: true });
addEventListener('keydown', (e) => { if (e.isTrusted && !e.repeat) { keys++; lastKey = performance.now(); firstKey ||= lastKey; } }, { capture: true });
addEventListener('click', (e) => {
	if (!e.target.closest?.('form[data-act] button')) return;
	trusted = e.isTrusted;
	const now = performance.now();
	if (down && now - down < 3000) kind = pointer;
	else if (keys && now - lastKey < 1000) kind = 'key';
	else kind = '';
	write();
}, { capture: true });

function write() {
	const whole = (n) => Math.max(0, Math.round(n));
	field.value = JSON.stringify({
		kind, trusted, active: navigator.userActivation ? navigator.userActivation.hasBeenActive : null,
		driven: navigator.webdriver === true, hidden: document.hidden, shown: whole(performance.now() - shown),
		moves, span: whole(lastMove - firstMove), press: whole(press), keys, typed: whole(lastKey - firstKey),
	});
}
if (form) {
	write();
	form.addEventListener('submit', write);
	addEventListener('pageshow', write);
}

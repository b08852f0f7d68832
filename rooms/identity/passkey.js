// Passkeys, codes and the kit, at the browser's end. What a key can be made of
// leaves this page sealed to one question of the server (see seal.Ceremony), so
// that no proxy on the way holds it. PRF output `second` and the notes part of a
// code never leave this page at all.

const text = new TextEncoder();
const form = () => document.querySelector('meta[name="form-token"]')?.content ?? '';
let token = form();

// Bytes and base64url, as Go's encoding/json and WebAuthn write them.
export const bytes = (s) => Uint8Array.from(atob(s.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
export const base64 = (b) => btoa(String.fromCharCode(...new Uint8Array(b)));
const base64url = (b) => base64(b).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
export const join = (...parts) => {
	const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
	let at = 0;
	for (const p of parts) { all.set(p, at); at += p.length; }
	return all;
};
const sized = (b) => { const n = new Uint8Array(4); new DataView(n.buffer).setUint32(0, b.length); return join(n, b); };

// Said is an error whose words a person may read.
export class Said extends Error {}

// ask posts JSON and returns the answer, or throws what the server says.
export async function ask(path, body = {}, headers = {}) {
	let answer;
	try {
		answer = await fetch(path, {
			method: 'POST', body: JSON.stringify(body), cache: 'no-store',
			headers: { 'Content-Type': 'application/json', Accept: 'application/json', 'X-Form-Token': token, ...headers },
		});
	} catch {
		throw Object.assign(new Said('The house did not answer. Nothing is lost: look at the network, then press the button again.'), { unknown: true });
	}
	const said = await answer.json().catch(() => ({}));
	if (answer.ok) return said;
	throw Object.assign(new Said([said.text ?? 'That did not work.', said.fix].filter(Boolean).join(' ')), { status: answer.status });
}

// derive is seal.DeriveKey: HKDF-SHA-256, no salt, parts bound by their lengths.
export async function derive(secret, label, ...parts) {
	const info = join(text.encode('quietroom ' + label), ...parts.map(sized));
	const key = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveBits']);
	return new Uint8Array(await crypto.subtle.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(), info }, key, 256));
}

// sealTo is seal.SealToCeremony: an ephemeral P-256 point, then nonce, ciphertext and tag.
export async function sealTo(question, plain) {
	const theirs = bytes(question.seal), name = text.encode(question.ceremony);
	const mine = await crypto.subtle.generateKey({ name: 'ECDH', namedCurve: 'P-256' }, false, ['deriveBits']);
	const point = new Uint8Array(await crypto.subtle.exportKey('raw', mine.publicKey));
	const peer = await crypto.subtle.importKey('raw', theirs, { name: 'ECDH', namedCurve: 'P-256' }, false, []);
	const shared = new Uint8Array(await crypto.subtle.deriveBits({ name: 'ECDH', public: peer }, mine.privateKey, 256));
	const raw = await derive(shared, 'ceremony v1', theirs, point, name);
	const key = await crypto.subtle.importKey('raw', raw, 'AES-GCM', false, ['encrypt']);
	const iv = crypto.getRandomValues(new Uint8Array(12));
	const box = new Uint8Array(await crypto.subtle.encrypt({ name: 'AES-GCM', iv, additionalData: name }, key, plain));
	for (const b of [shared, raw, plain]) b.fill(0);
	return base64(join(point, iv, box));
}

// ---- Codes: as seal.Code, so that the server never sees one.

const letters = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
function encode(b) {
	let out = '', bits = 0, held = 0;
	for (const x of b) {
		held = (held << 8) | x;
		for (bits += 8; bits >= 5; bits -= 5) out += letters[(held >> (bits - 5)) & 31];
		held &= (1 << bits) - 1;
	}
	return bits > 0 ? out + letters[(held << (5 - bits)) & 31] : out;
}
function decode(s) {
	const out = [];
	let bits = 0, held = 0;
	for (const c of s) {
		const v = letters.indexOf(c);
		if (v < 0) return null;
		held = (held << 5) | v;
		if ((bits += 5) >= 8) { out.push((held >> (bits - 8)) & 255); bits -= 8; }
		held &= (1 << bits) - 1;
	}
	return new Uint8Array(out);
}
async function check(kind, secret) {
	const sum = await crypto.subtle.digest('SHA-256', join(text.encode(`quietroom code v1 ${kind} `), secret));
	return encode(new Uint8Array(sum)).slice(0, 4);
}
export const plainCode = (s) => s.toUpperCase().replace(/[\s\p{Pd}]/gu, '').replaceAll('O', '0').replace(/[IL]/g, '1');

export async function newCode(kind) {
	const secret = crypto.getRandomValues(new Uint8Array(20));
	return (encode(secret) + await check(kind, secret)).match(/.{4}/g).join('-');
}

const kinds = { personal: 'a personal code', kit: 'the practice’s recovery kit', share: 'a share of the recovery kit' };
export async function readCode(kind, typed) {
	const s = plainCode(typed);
	if (s.length !== 36) throw new Said('This is not a code: a code has 36 letters and digits in nine groups of four.');
	const secret = decode(s.slice(0, 32));
	for (const k of secret ? Object.keys(kinds) : []) {
		if (await check(k, secret) !== s.slice(32)) continue;
		if (k !== kind) throw new Said(`This is ${kinds[k]}; ${kinds[kind]} is needed here.`);
		return secret;
	}
	throw new Said('The code has a typing error: its check letters do not fit. Please compare it with the paper.');
}
// parts: auth proves, kek opens, notes stays here.
export const part = (secret, name) => derive(secret, `code ${name} v1`);

// ---- The key that renews this browser's session. It cannot be exported.

function keys(mode, act) {
	return new Promise((resolve, reject) => {
		const open = indexedDB.open('quietroom', 1);
		open.onupgradeneeded = () => open.result.createObjectStore('keys');
		open.onerror = () => reject(open.error);
		open.onsuccess = () => {
			const db = open.result;
			const asked = act(db.transaction('keys', mode).objectStore('keys'));
			asked.onsuccess = () => { db.close(); resolve(asked.result); };
			asked.onerror = () => { db.close(); reject(asked.error); };
		};
	});
}
export async function newRenewalKey() {
	const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
	await keys('readwrite', (s) => s.put(pair.privateKey, 'fresh'));
	return base64(await crypto.subtle.exportKey('raw', pair.publicKey));
}
// settle makes the fresh key the one in use, once the server has taken it.
export async function settle() {
	const fresh = await keys('readonly', (s) => s.get('fresh'));
	await keys('readwrite', (s) => s.put(fresh, 'renew'));
	localStorage.setItem('quietroom renewed', Date.now());
}

async function renew() {
	const key = await keys('readonly', (s) => s.get('renew'));
	if (!key) return;
	const { challenge } = await ask('/session/renew', { challenge: '' });
	const label = text.encode('session renewal v1');
	const message = join(text.encode('quietroom signed v1'), sized(label), bytes(challenge));
	const signature = base64(await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, key, message));
	await ask('/session/renew', { challenge, signature });
	localStorage.setItem('quietroom renewed', Date.now());
}

// While somebody is there the proof is renewed once a minute, in one tab. When
// nobody is, it runs out, and the room is closed.
if (document.querySelector('meta[name="lock-after"]')) {
	let touched = Date.now();
	for (const kind of ['pointerdown', 'keydown', 'scroll', 'touchstart']) addEventListener(kind, () => { touched = Date.now(); }, { passive: true, capture: true });
	const look = () => navigator.locks.request('quietroom renew', { ifAvailable: true }, async (mine) => {
		const last = Number(localStorage.getItem('quietroom renewed') ?? 0);
		if (!mine || touched <= last || Date.now() - last < 45_000) return;
		try { await renew(); } catch (e) { if (e.status === 401 || e.status === 403) location.reload(); /* else: no network; try again */ }
	});
	look();
	setInterval(look, 15_000);
}

// ---- Passkeys

function options(o) {
	const out = { ...o, challenge: bytes(o.challenge) };
	if (o.user) out.user = { ...o.user, id: bytes(o.user.id) };
	for (const list of ['allowCredentials', 'excludeCredentials']) {
		if (o[list]) out[list] = o[list].map((c) => ({ ...c, id: bytes(c.id) }));
	}
	const { first, second } = o.extensions.prf.eval;
	out.extensions = { ...o.extensions, prf: { eval: { first: bytes(first), second: bytes(second) } } };
	return out;
}

const dismissed = 'The passkey was not shown, or it did not recognise you. Nothing was changed; try again.';
const keyless = 'This passkey cannot open records: it gives no key. Nothing was kept of it. Use a hardware security key or another phone or computer, or make a printed code. You may delete the passkey you just made.';

async function shown(act) {
	try { return await act(); } catch (e) {
		if (e.name === 'InvalidStateError') throw new Said('This device has a passkey for you already. Use another device or a security key.');
		if (e.name === 'NotAllowedError' || e.name === 'AbortError') throw new Said(dismissed);
		throw Object.assign(new Said('This browser could not use a passkey here. Try another browser, or a security key.'), { cause: e });
	}
}

// credential is what goes to the server: never the PRF's results.
function credential(c, extensions) {
	const r = c.response, out = { id: c.id, rawId: base64url(c.rawId), type: c.type, clientExtensionResults: extensions, response: { clientDataJSON: base64url(r.clientDataJSON) } };
	if (c.authenticatorAttachment) out.authenticatorAttachment = c.authenticatorAttachment;
	if (r.attestationObject) {
		out.response.attestationObject = base64url(r.attestationObject);
		out.response.transports = r.getTransports?.() ?? [];
	} else {
		out.response.authenticatorData = base64url(r.authenticatorData);
		out.response.signature = base64url(r.signature);
		if (r.userHandle) out.response.userHandle = base64url(r.userHandle);
	}
	return out;
}

// answerWith signs a question with a passkey and seals what its PRF gave.
async function answerWith(question) {
	const c = await shown(() => navigator.credentials.get({ publicKey: options(question.publicKey) }));
	const first = c.getClientExtensionResults().prf?.results?.first;
	if (!first) throw new Said('This passkey proved who you are, but it gives no key here, so it cannot open records. Use a hardware security key, another phone or computer, or your printed code.');
	return { ceremony: question.ceremony, credential: credential(c, {}), box: await sealTo(question, new Uint8Array(first)) };
}

// register makes a passkey that gives keys. Where making it gives none yet, it
// is asked for them at once; where there are none, nothing of it is kept.
export async function register(question) {
	const publicKey = options(question.publicKey);
	let c;
	try {
		c = await navigator.credentials.create({ publicKey });
	} catch (e) {
		if (e.name !== 'UnknownError') c = await shown(() => { throw e; });
		// Some Windows Hello refuse to be asked for a key while they make a passkey:
		// make it without, then ask.
		const { prf, ...rest } = publicKey.extensions;
		c = await shown(() => navigator.credentials.create({ publicKey: { ...publicKey, extensions: rest } }));
	}
	const made = c.getClientExtensionResults().prf;
	let first = made?.results?.first;
	if (!first && made?.enabled !== false) {
		const again = await shown(() => navigator.credentials.get({ publicKey: {
			challenge: crypto.getRandomValues(new Uint8Array(32)), rpId: question.publicKey.rp.id, userVerification: 'required',
			allowCredentials: [{ type: 'public-key', id: c.rawId }], extensions: { prf: publicKey.extensions.prf },
		} }));
		first = again.getClientExtensionResults().prf?.results?.first;
	}
	if (!first) {
		await window.PublicKeyCredential.signalUnknownCredential?.({ rpId: question.publicKey.rp.id, credentialId: c.id }).catch(() => {});
		throw new Said(keyless);
	}
	return { ceremony: question.ceremony, credential: credential(c, { prf: { enabled: true } }), box: await sealTo(question, new Uint8Array(first)) };
}

// tap asks for one act on one object, and returns its ticket.
export async function tap(act, object) {
	const question = await ask('/tap/begin', { act, object });
	if (question.demo) return (await ask('/tap/finish', { ceremony: question.ceremony })).ticket;
	const meant = new Uint8Array(await crypto.subtle.digest('SHA-256', join(bytes(question.nonce), text.encode(`${act}\0${object}`))));
	if (base64url(meant) !== base64url(bytes(question.publicKey.challenge))) throw new Said('The house asked for another act than this page. Nothing was tapped.');
	return (await ask('/tap/finish', await answerWith(question))).ticket;
}

// ---- The pages

export const say = (f, words) => { const out = f.querySelector('[role=status]') ?? f.closest('main').querySelector('[role=status]'); if (out) out.textContent = words; };
export const field = (f, name) => f.elements[name]?.value ?? '';
export const leave = (f) => location.assign(field(f, 'next') || '/');

// freshToken gets the form token of a session that was opened on this page.
function freshToken(path) {
	return new Promise((resolve) => {
		const x = new XMLHttpRequest();
		x.open('GET', path);
		x.responseType = 'document';
		x.onloadend = () => { token = x.response?.querySelector('meta[name="form-token"]')?.content ?? token; resolve(); };
		x.send();
	});
}

export const acts = {
	async 'sign-in'(f) {
		const key = await newRenewalKey();
		await ask('/passkey/finish', { ...await answerWith(await ask('/passkey/begin')), key });
		await settle();
		location.replace(field(f, 'next') || '/');
	},
	async claim(f) {
		const key = await newRenewalKey(), at = f.dataset.at;
		const answer = await register(await ask(`${at}/begin`));
		await ask(`${at}/finish`, { ...answer, key, label: field(f, 'label') });
		await settle();
		location.replace('/first/door');
	},
	async join(f) {
		const at = f.dataset.at;
		await ask(`${at}/finish`, { ...await register(await ask(`${at}/begin`)), label: field(f, 'label') });
		leave(f);
	},
	async 'join-code'(f) {
		const secret = await readBack(f, 'personal');
		const question = await ask('/code/begin');
		const box = await sealTo(question, join(await part(secret, 'auth'), await part(secret, 'kek')));
		await ask(f.dataset.at, { ceremony: question.ceremony, box, label: field(f, 'label') });
		leave(f);
	},
	async 'add-passkey'(f) {
		const ticket = handed ?? await tap('add-door', f.dataset.person);
		handed = null;
		const answer = await register(await ask('/doors/begin'));
		await ask('/doors/passkey', { ...answer, label: field(f, 'label') }, { 'X-Tap': ticket });
		leave(f);
	},
	async 'add-code'(f) {
		const secret = await readBack(f, 'personal');
		const ticket = await tap('add-door', f.dataset.person);
		const question = await ask('/code/begin');
		const box = await sealTo(question, join(await part(secret, 'auth'), await part(secret, 'kek')));
		await ask('/doors/code', { ceremony: question.ceremony, box, label: field(f, 'label') }, { 'X-Tap': ticket });
		leave(f);
	},
	async code(f) {
		const secret = await readCode('personal', field(f, 'code'));
		const next = await newCode('personal'), after = await readCode('personal', next);
		const key = await newRenewalKey();
		const question = await ask('/code/begin');
		const box = await sealTo(question, join(await part(secret, 'auth'), await part(secret, 'kek'), await part(after, 'auth'), await part(after, 'kek')));
		let opened;
		try { opened = await ask('/code/finish', { ceremony: question.ceremony, box, key }); } catch (e) {
			if (e.unknown) { // it may have been spent: show what would then open the room
				showCode(document.getElementById('next-code'), next);
				throw new Said('The house did not answer, so it is not known whether your code was used. Keep both papers: one of the two codes opens the room.');
			}
			throw e;
		}
		await settle();
		if (!opened.spent) return location.replace(field(f, 'next') || '/');
		handed = opened.ticket;
		await freshToken('/doors');
		(f.closest('[data-typed]') ?? f).hidden = true;
		showCode(document.getElementById('next-code'), next);
		document.querySelector('#next-code h2, #next-code h1')?.focus();
	},
	async demo(f) {
		const key = f.elements.key;
		if (key) { key.value = base64url(bytes(await newRenewalKey())); await settle(); }
		f.submit();
	},
};
let lost = false; // an answer of the house
let handed = null; // a ticket that a typed code gave

for (const f of document.querySelectorAll('form[data-act]')) {
	f.addEventListener('submit', async (e) => {
		e.preventDefault();
		const button = f.querySelector('button:not([type=button])');
		if (button.disabled) return;
		button.disabled = true;
		say(f, f.dataset.wait ?? 'One moment.');
		try {
			// After an answer that got lost a session may be open already.
			if (lost) await freshToken(location.pathname);
			lost = false;
			await acts[f.dataset.act](f);
		} catch (err) {
			lost ||= Boolean(err.unknown);
			say(f, err instanceof Said ? err.message : 'Something in this page did not work. Load it again and repeat the step.');
			if (!(err instanceof Said)) console.error(err);
		}
		button.disabled = false;
	});
	f.querySelector('button:not([type=button])').disabled = false;
}

// A form with data-tap carries the ticket of a tap for its one act.
for (const f of document.querySelectorAll('form[data-tap]')) {
	f.addEventListener('submit', async (e) => {
		if (f.elements._tap?.value) return;
		e.preventDefault();
		say(f, 'Please tap your passkey for this step.');
		try {
			const ticket = await tap(f.dataset.tap, f.dataset.object ?? '');
			const held = f.elements._tap ?? f.appendChild(Object.assign(document.createElement('input'), { type: 'hidden', name: '_tap' }));
			held.value = ticket;
			f.requestSubmit(e.submitter);
		} catch (err) { say(f, err instanceof Said ? err.message : 'The tap did not work. Try again.'); }
	});
}

// A code that is made here: shown, printed, read back.
const made = new WeakMap();
export function showCode(region, code) {
	if (!region) return;
	const groups = code.split('-').map((g) => Object.assign(document.createElement('span'), { textContent: g }));
	region.querySelector('.kit').replaceChildren(...groups.flatMap((g) => [g, ' ']));
	region.hidden = false;
}
export async function readBack(f, kind) {
	const code = made.get(f);
	if (!code) throw new Said('Press “Make it” first, and print it.');
	if (plainCode(field(f, 'typed')) !== plainCode(code)) throw new Said(fitting(f, code).words);
	return readCode(kind, code);
}
function fitting(f, code) {
	const want = code.split('-'), got = plainCode(field(f, 'typed')).match(/.{1,4}/g) ?? [];
	let fit = 0;
	while (fit < want.length && got[fit] === want[fit]) fit++;
	const rest = got[fit]?.length === 4 ? ' The next one does not: compare it with the paper.' : '';
	return { fit, words: fit === want.length ? 'All nine groups fit.' : `${fit} of ${want.length} groups fit so far.${rest}` };
}
for (const f of document.querySelectorAll('form[data-make]')) {
	const region = f.querySelector('[data-made]');
	f.querySelector('button[data-do=make]').addEventListener('click', async (e) => {
		const code = await newCode(f.dataset.make);
		made.set(f, code);
		showCode(region, code);
		e.currentTarget?.remove();
		f.querySelector('button[data-do=make]')?.remove();
		say(f, 'It is shown once. Print it, then type it from the paper.');
	});
	f.elements.typed.addEventListener('input', () => { if (made.has(f)) say(f, fitting(f, made.get(f)).words); });
}
// The paper holds the code, and not the field it is typed into.
const onPaper = (is) => { for (const el of document.querySelectorAll('[data-screen], form[data-act=add-passkey]')) el.hidden = is; };
addEventListener('beforeprint', () => onPaper(true));
addEventListener('afterprint', () => onPaper(false));
for (const b of document.querySelectorAll('button[data-do=print]')) b.addEventListener('click', () => print());

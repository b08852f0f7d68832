// ---- The recovery kit's pages: made, shared, tried and used in the browser. What the
// paper holds, and the private halves that come from it, never leave this page.

const own = await import(document.querySelector('script[src*="passkey"]').src);
const { ask, acts, bytes, base64, derive, field, join, leave, newCode, newRenewalKey, part, plainCode, readBack, readCode, register, Said, say, sealTo, settle, showCode, tap } = own;

// kitKeys are both private halves of a kit's secret.
async function kitKeys(kek, practice) {
	const id = utf8.encode(practice);
	return { pair: await pairFrom(await derive(kek, 'recovery v1', id)), signer: await signerFrom(await derive(kek, 'recovery sign v1', id), derive) };
}
const proof = (practice) => ({ kind: 'kit-proof', practice, holder: 'recovery' });
const teamSlot = (practice, b) => ({ kind: 'team-key', practice, holder: 'recovery', subject: b.team, version: b.epoch });

// name takes a kit into use, once this browser has opened something with it.
async function name(f, kek, more) {
	say(f, 'One moment: this browser tries the kit.');
	const practice = f.dataset.house, { pair, signer } = await kitKeys(kek, practice), key = base64(pair.public);
	const { box } = await ask('/kit/try', { public: key });
	const nonce = base64(await pair.open(bytes(box), proof(practice)));
	say(f, 'Please tap your passkey: it signs this kit for the practice.');
	const ticket = await tap('set-kit', f.dataset.person);
	await ask('/kit', { public: key, sign: base64(signer.public), nonce, ...more }, { 'X-Tap': ticket });
	kek.fill(0);
	leave(f);
}
acts.kit = async (f) => name(f, await part(await readBack(f, 'kit'), 'kek'), {});

// ---- Shares: three papers, of which any two open. As seal.SplitKit and JoinKit.

const pairKey = (a, b) => derive(join(a, b), 'kit pair v1');
const aes = (raw, use) => crypto.subtle.importKey('raw', raw, 'AES-GCM', false, [use]);
const shareSlot = (practice, i) => slot({ kind: 'kit-share', practice, chunk: i });
async function split(kek, shares, practice) {
	return Promise.all([0, 1, 2].map(async (i) => {
		const key = await aes(await pairKey(shares[i], shares[(i + 1) % 3]), 'encrypt'), iv = crypto.getRandomValues(new Uint8Array(12));
		const box = await crypto.subtle.encrypt({ name: 'AES-GCM', iv, additionalData: shareSlot(practice, i) }, key, kek);
		return base64(join([1], iv, new Uint8Array(box)));
	}));
}
async function unite(a, b, boxes, practice) {
	for (let i = 0; i < boxes.length; i++) {
		for (const raw of [await pairKey(a, b), await pairKey(b, a)]) {
			const box = bytes(boxes[i]);
			try {
				return new Uint8Array(await crypto.subtle.decrypt({ name: 'AES-GCM', iv: box.slice(1, 13), additionalData: shareSlot(practice, i) }, await aes(raw, 'decrypt'), box.slice(13)));
			} catch { /* these two are not this pair */ }
		}
	}
	throw new Said('These two papers are not shares of the kit that is in use. Look for the newest ones; two different people have them.');
}
let shares = null;
document.querySelector('button[data-do=make-shares]')?.addEventListener('click', async (e) => {
	const f = e.currentTarget.form;
	e.currentTarget.remove();
	shares = await Promise.all([0, 1, 2].map(() => newCode('share')));
	f.querySelectorAll('[data-share]').forEach((region, i) => showCode(region, shares[i]));
	f.querySelector('[data-after]').hidden = false;
	say(f, 'The three shares are shown once. Print them, then type each from its paper.');
});
acts['kit-shares'] = async (f) => {
	if (!shares) throw new Said('Press “Make the shares” first, and print them.');
	const typed = [...f.querySelectorAll('textarea')].map((t) => plainCode(t.value));
	shares.forEach((s, i) => { if (typed[i] !== plainCode(s)) throw new Said(`Share ${i + 1} does not fit what was printed. Compare it with the paper.`); });
	const trusted = [...f.querySelectorAll('input[name=trusted]')].map((t) => t.value.trim());
	if (trusted.some((t) => !t)) throw new Said('Write the names of the three people.');
	const kek = crypto.getRandomValues(new Uint8Array(32));
	const keks = await Promise.all(shares.map(async (s) => part(await readCode('share', s), 'kek')));
	await name(f, kek, { trusted, boxes: await split(kek, keks, f.dataset.house) });
};

// typedKit reads the kit of a form: one paper, or two shares.
async function typedKit(f, practice, boxes) {
	if (f.elements.kit) return part(await readCode('kit', field(f, 'kit')), 'kek');
	const [a, b] = await Promise.all(['first', 'second'].map(async (n) => part(await readCode('share', field(f, n)), 'kek')));
	return unite(a, b, boxes, practice);
}
// openAll opens every box that is sealed to the kit.
async function openAll(f, keys, practice, boxes) {
	const all = [];
	for (const b of boxes) {
		say(f, `Opening what is sealed to the kit: ${all.length + 1} of ${boxes.length}.`);
		all.push(await keys.pair.open(bytes(b.box), teamSlot(practice, b)));
	}
	return all;
}
async function opened(f, at) {
	const begun = await ask(at);
	const keys = await kitKeys(await typedKit(f, begun.practice, begun.shares ?? []), begun.practice);
	let nonce;
	try { nonce = base64(await keys.pair.open(bytes(begun.box), proof(begun.practice))); } catch { throw new Said('This is not the recovery kit that is in use. A newer one takes an older one’s place: look for the newest paper.'); }
	return { begun, keys, nonce };
}

// ---- Coming back

let held = null; // the kit's private halves, while this page is open
acts['kit-show'] = async (f) => {
	const { begun, keys, nonce } = await opened(f, '/unlock/kit/begin');
	const answer = await ask('/unlock/kit/prove', { nonce });
	f.reset();
	if (answer.from) {
		say(f, `The kit fits. It opens from ${answer.from} on: come back to this page then, with the paper. Everybody of the practice has been told.`);
		return;
	}
	held = { keys, practice: begun.practice, pass: answer.pass };
	const next = document.getElementById('kit-next'), who = next.querySelector('select');
	who.replaceChildren(...answer.owners.map((o) => new Option(o.name, o.id)));
	f.closest('[data-typed]').hidden = true;
	next.hidden = false;
	next.querySelector('h2').focus();
};
acts['kit-finish'] = async (f) => {
	if (!held) throw new Said('Show the kit first.');
	const { keys, practice, pass } = held, person = field(f, 'person'), key = await newRenewalKey();
	const answer = await register(await ask('/unlock/kit/passkey', { pass, person }));
	const made = await ask('/unlock/kit/keys', { ...answer, pass, label: field(f, 'label') });
	const body = bytes(made.body), entry = JSON.parse(new TextDecoder().decode(body));
	if (entry.act !== 'rekey' || entry.by !== 'recovery' || entry.person !== person) throw new Said('The house asked the kit to sign something else. Nothing was signed.');
	const all = await openAll(f, keys, practice, made.boxes ?? []);
	const box = await sealTo(made, join(...all));
	await ask('/unlock/kit/finish', { ceremony: made.ceremony, box, key, pass, signature: base64(await keys.signer.sign('roster entry v1', body)) });
	held = null;
	await settle();
	location.replace('/doors?did=kit');
};

// ---- The rehearsal: everything that is sealed to the kit is opened, here

acts['code-rehearse'] = async (f) => {
	const secret = await readCode('personal', field(f, 'code')), question = await ask('/code/begin');
	await ask('/rehearse/code', { ceremony: question.ceremony, box: await sealTo(question, join(await part(secret, 'auth'), await part(secret, 'kek'))) });
	leave(f);
};
acts['kit-rehearse'] = async (f) => {
	const { begun, keys, nonce } = await opened(f, '/rehearse/kit/begin');
	const all = await openAll(f, keys, begun.practice, begun.boxes ?? []);
	const commitments = [];
	for (const k of all) { commitments.push(base64(await derive(k, 'commitment v1'))); k.fill(0); }
	await ask('/rehearse/kit', { nonce, commitments });
	leave(f);
};

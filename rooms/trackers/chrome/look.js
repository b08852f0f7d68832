// Runs in a world of its own beside the page: it sees the page's elements, in
// all frames and shadow trees, and the page does not see it.
globalThis.qr ??= (() => {
	const done = new WeakSet(), released = new WeakSet();
	const documents = (w = window, deep = 0, all = []) => {
		try { if (w.document) all.push(w.document); } catch { return all; }
		if (deep < 6) for (let i = 0; i < Math.min(w.frames.length, 40); i++) { try { documents(w.frames[i], deep + 1, all); } catch { /* elsewhere */ } }
		return all;
	};
	const roots = (root, all = [], budget = { n: 20000 }) => {
		all.push(root);
		const walk = root.ownerDocument ?? root;
		const it = walk.createNodeIterator(root, 1);
		for (let el; (el = it.nextNode()) && budget.n-- > 0;) if (el.shadowRoot) roots(el.shadowRoot, all, budget);
		return all;
	};
	const most = 1500; // of anything on one page: some have 10,000 links
	const every = (css) => documents().flatMap((d) => d.documentElement ? roots(d).flatMap((r) => [...r.querySelectorAll(css)].slice(0, most)) : []).slice(0, 2 * most);
	const shown = (el) => {
		const r = el.getBoundingClientRect();
		if (r.width < 2 || r.height < 2) return false;
		const s = el.ownerDocument.defaultView.getComputedStyle(el);
		return s.visibility !== 'hidden' && s.display !== 'none' && el.closest('[hidden],[inert]') === null;
	};
	const words = (el) => (el?.innerText ?? el?.textContent ?? '').replace(/\s+/g, ' ').trim();
	const label = (el) => {
		const root = el.getRootNode();
		const by = el.getAttribute('aria-labelledby');
		const named = by ? by.split(' ').map((i) => words(root.getElementById?.(i))).join(' ') : '';
		const group = ['radio', 'checkbox'].includes(el.type) ? words(el.closest('fieldset')?.querySelector('legend')) : '';
		return (group || el.getAttribute('aria-label') || named || [...(el.labels ?? [])].map(words).join(' ') || el.placeholder || el.name || el.id || '').slice(0, 80);
	};
	const at = (el) => { // the middle of an element, in the window's own points
		el.scrollIntoView({ block: 'center', behavior: 'instant' });
		const r = el.getBoundingClientRect();
		let x = r.left + r.width / 2, y = r.top + Math.min(r.height / 2, 20);
		for (let w = el.ownerDocument.defaultView; w && w !== window; w = w.parent) {
			const f = w.frameElement?.getBoundingClientRect();
			if (!f) return null;
			x += f.left; y += f.top;
		}
		return x < 0 || y < 0 || x > innerWidth || y > innerHeight ? null : { x, y };
	};
	const skip = new Set(['hidden', 'submit', 'button', 'image', 'reset', 'file', 'color', 'range']);
	const fields = 'input,textarea,select,[contenteditable=""],[contenteditable=true],[contenteditable=plaintext-only],[role=textbox]';
	const apart = (() => { try { return top !== window && !top.document; } catch { return true; } })(); // a frame of others: its points are not the window's
	const press = (el) => { const p = apart ? null : at(el); if (!p) el.click(); return p; };
	const slot = /\b\d{1,2}[:.]\d{2}\s*([ap]\.?m\.?)?\b|\b\d{1,2}\s*[ap]\.?m\.?\b/i;
	const onward = /^(next|continue|go on|proceed|begin|start|let.s (go|start|begin)|step [2-9]|[→›»>]$|weiter|fortfahren|suivant|continuer|siguiente|continuar|avanti|continua|volgende|verder|n[aä]chste[rs]?)\b/i;
	const sends = /submit|send|book|confirm|request|schedule|pay|sign|log ?in|absenden|senden|buchen|anmelden|envoyer|enviar|reservar|invia/i;
	const yes = /^(yes,? )?(i )?(accept|allow|agree|consent|akzeptieren|zustimmen|annehmen|einverstanden|accepter|j.accepte|aceptar|acepto|accetta|accetto|accepteren|akkoord)\b.*$|^(alle[sn]?|tout|todo|todas|tutti) (akzeptieren|annehmen|zulassen|accepter|autoriser|aceptar|accettare|accepteren)|^(ok|okay|got it|understood|verstanden|d.accord|de acuerdo)[.!]?$/i;
	const no = /^(no,? )?(reject|decline|deny|refuse|disagree|ablehnen|verweigern|refuser|rechazar|denegar|rifiuta|weigeren|afwijzen)\b.*$|^(alle[sn]?|tout|todo|todas|tutti) (ablehnen|verweigern|refuser|rechazar|rifiutare|weigeren)|^(use |accept )?(only )?(strictly )?(necessary|essential|required)( cookies)?( only)?$|^(nur|uniquement|solo|alleen) |^continue without/i;
	const about = /cookie|consent|privacy|gdpr|tracking|datenschutz|confidentialit|privacidad|rastreo/i;
	const buttons = () => every('button,a,[role=button],input[type=button],input[type=submit]').filter(shown);
	const text = (el) => (words(el) || el.value || el.getAttribute('aria-label') || '').slice(0, 60);
	const inBanner = (el) => {
		for (let e = el, i = 0; e && i < 7; i++, e = e.parentElement ?? e.getRootNode()?.host) {
			if (e === e.ownerDocument?.body) return false;
			if (about.test(`${e.id} ${typeof e.className === 'string' ? e.className : ''}`)) return true;
			if (i > 0 && about.test(words(e).slice(0, 1500))) return true;
		}
		const d = el.ownerDocument; // a banner that is a frame of its own
		return d.defaultView !== window && about.test(words(d.body).slice(0, 1500));
	};
	return {
		facts() {
			const scripted = every('[onclick*=location],[data-href],[data-url]').slice(0, 200).map((b) => ({ to: b.dataset.href ?? b.dataset.url ?? /location[^'"]*['"]([^'"]+)['"]/.exec(b.getAttribute('onclick') ?? '')?.[1], text: text(b) }))
				.flatMap((b) => { try { return b.to ? [{ url: new URL(b.to, location.href).href, text: b.text }] : []; } catch { return []; } });
			const links = every('a[href],area[href]').map((a) => ({ url: a.href, text: (words(a) || a.getAttribute('aria-label') || '').slice(0, 80) })).concat(scripted).filter((l) => /^https?:/.test(l.url));
			const forms = every('form').slice(0, 50).map((f) => ({ action: f.getAttribute('action') ? f.action + '' : '', method: f.method, fields: f.elements.length, personal: !!f.querySelector('input[type=email],input[type=tel],textarea,input[name*=name i],input[name*=mail i],input[name*=phone i]'), label: (f.getAttribute('aria-label') || f.id || f.name || '') + '' }));
			return { title: document.title, lang: document.documentElement?.lang ?? '', url: location.href, links, forms, text: words(document.body).slice(0, 4000), password: every('input[type=password]').some(shown),
				captcha: every('iframe[src*=recaptcha],iframe[src*=hcaptcha],iframe[src*="challenges.cloudflare"],.g-recaptcha,.h-captcha,.cf-turnstile').length > 0,
				frames: [...document.querySelectorAll('iframe[src],frame[src]')].slice(0, 50).map((f) => f.src), closed: (() => { let n = 0; for (let i = 0; i < Math.min(frames.length, 40); i++) { try { void frames[i].document.body; } catch { n++; } } return n; })(),
				types: document.contentType, height: document.documentElement?.scrollHeight ?? 0 };
		},
		banner(want) {
			const all = buttons().filter((b) => text(b).length < 60 && (yes.test(text(b)) || no.test(text(b))) && inBanner(b));
			const of = (re) => all.find((b) => re.test(text(b)));
			const accept = of(yes), reject = all.find((b) => no.test(text(b)));
			const pick = want === 'accept' ? all.find((b) => yes.test(text(b)) && !no.test(text(b))) ?? accept : want === 'reject' ? reject : null;
			return { found: all.length > 0, pressed: pick ? text(pick) : '', at: pick ? press(pick) : null };
		},
		next() { // the next field that nobody has filled, focused
			for (const el of every(fields)) {
				const choice = el.type === 'radio' || el.type === 'checkbox';
				if (done.has(el) || skip.has(el.type) || el.disabled || el.readOnly) continue;
				if (!shown(el) && !(choice && [...(el.labels ?? [])].some(shown))) continue;
				done.add(el);
				const f = { tag: el.tagName.toLowerCase(), type: el.type ?? 'text', name: el.name || el.id || '', label: label(el), hint: `${el.autocomplete ?? ''} ${el.placeholder ?? ''}`, most: el.maxLength > 0 ? el.maxLength : 0, min: el.min ?? '', max: el.max ?? '', chosen: '', value: '', at: null, marked: '' };
				if (el.tagName === 'SELECT') {
					const options = [...el.options].filter((o) => !o.disabled && o.value !== '' && !/^(please |-|choose|select|bitte)/i.test(o.text.trim()));
					const pick = options[Math.min(1, options.length - 1)];
					if (!pick) continue;
					el.focus();
					pick.selected = true;
					el.dispatchEvent(new Event('input', { bubbles: true, composed: true }));
					el.dispatchEvent(new Event('change', { bubbles: true }));
					return { ...f, type: 'select', chosen: words(pick) || pick.text, value: pick.value };
				}
				if (el.type === 'radio' || el.type === 'checkbox') {
					if (el.type === 'radio') { // the second of a group, so that a choice is made
						const group = every('input[type=radio]').filter((o) => o.name === el.name && o.form === el.form && o.ownerDocument === el.ownerDocument);
						group.forEach((o) => done.add(o));
						const pick = group[Math.min(1, group.length - 1)] ?? el;
						const own = [...(pick.labels ?? [])].map(words).join(' ');
						return { ...f, chosen: own, value: pick.value, at: shown(pick) ? press(pick) : (pick.click(), null) };
					}
					if (el.checked) continue;
					const own = [...(el.labels ?? [])].map(words).join(' ');
					return { ...f, chosen: own, value: el.value, at: shown(el) ? press(el) : (el.click(), null) };
				}
				el.scrollIntoView({ block: 'center', behavior: 'instant' });
				el.focus();
				try { el.select?.(); } catch { /* no text in it */ }
				globalThis.qr.last = el;
				return { ...f, at: el.getRootNode().activeElement === el && el.ownerDocument.hasFocus() || apart ? null : at(el) };
			}
			return null;
		},
		set(value) { // for fields that take no keys, such as dates
			const el = globalThis.qr.last;
			const proto = el.ownerDocument.defaultView[el.tagName === 'TEXTAREA' ? 'HTMLTextAreaElement' : 'HTMLInputElement'].prototype;
			Object.getOwnPropertyDescriptor(proto, 'value')?.set.call(el, value);
			el.dispatchEvent(new Event('input', { bubbles: true, composed: true }));
			el.dispatchEvent(new Event('change', { bubbles: true }));
			return true;
		},
		reached() { try { return top !== window && !!top.document; } catch { return false; } },
		hurry(name) { for (const d of documents()) d.defaultView?.dispatchEvent(new Event(name)); return true; },
		rest() { globalThis.qr.last?.blur(); return true; },
		has() { const el = globalThis.qr.last; return String(el?.value ?? words(el)); },
		choose() { // an appointment, a clinician, an answer: whatever can be chosen without sending
			const fresh = (css) => every(css).filter((b) => !done.has(b) && !b.disabled && b.getAttribute('aria-disabled') !== 'true' && shown(b) && !(b.type === 'submit' && b.form) && !(b.tagName === 'A' && !/^(#|javascript:|$)/.test(b.getAttribute('href') ?? '')));
			const take = (b, label, chosen = text(b)) => { done.add(b); return { label, chosen, value: told(b), at: press(b) }; };
			const told = (b) => [b.value, b.id, ...Object.values(b.dataset)].filter((v) => typeof v === 'string' && v.length > 3).sort((x, y) => y.length - x.length)[0] ?? '';
			const times = fresh('button,a,[role=button],[role=radio],[role=option],[role=gridcell]').filter((b) => slot.test(text(b)));
			if (times.length) { times.forEach((b) => done.add(b)); return take(times[0], 'appointment'); }
			for (const group of every('[role=radiogroup],[role=listbox]')) {
				if (done.has(group)) continue;
				const all = fresh('[role=radio],[role=option]').filter((o) => group.contains(o));
				if (!all.length) continue;
				done.add(group);
				return take(all[Math.min(1, all.length - 1)], group.getAttribute('aria-label') || '');
			}
			const who = fresh('button,[role=button],a').filter((b) => /^(select|choose|pick|book with|w[aä]hlen|choisir|elegir)\b/i.test(text(b)));
			if (who.length) {
				who.forEach((b) => done.add(b));
				const head = words(who[0].closest('li,article,section,tr,div')?.querySelector('h1,h2,h3,h4,h5,strong,b'));
				return take(who[0], 'choice', head || text(who[0]));
			}
			const days = fresh('[role=gridcell] button,td button,[role=gridcell]').filter((b) => /^\d{1,2}$/.test(words(b)));
			if (days.length && !globalThis.qr.day) { globalThis.qr.day = true; return take(days[days.length - 1], 'day'); }
			return null;
		},
		onward() { // the button to a form's next step
			for (const b of buttons()) {
				if (done.has(b) || b.tagName === 'A' && !/^(#|javascript:)/.test(b.getAttribute('href') ?? '#') || !onward.test(text(b)) || sends.test(text(b)) || inBanner(b)) continue;
				done.add(b);
				return { text: text(b), at: press(b) };
			}
			return null;
		},
		menu() { // something folded that can be opened
			for (const b of every('button[aria-expanded=false],[aria-haspopup][aria-expanded=false],summary').filter(shown)) {
				if (done.has(b) || b.closest('details[open]') || b.type === 'submit' && b.form) continue;
				done.add(b);
				return { at: press(b) };
			}
			return null;
		},
		open() { // what brings a form up, on a page that shows none
			if (every(fields).some((f) => !skip.has(f.type) && shown(f))) return null;
			for (const b of every('button,[role=button],a[href^="#"]').filter(shown)) {
				if (done.has(b) || b.form || inBanner(b) || !/book|appointment|contact|request|get started|schedule|sign ?up|subscribe|message|questionnaire|self.?test|quiz|chat|callback|call me/i.test(text(b))) continue;
				done.add(b);
				return { at: press(b) };
			}
			return null;
		},
		send() {
			for (const b of every('button:not([type=button]),input[type=submit]').filter(shown)) if (b.form && b.form.elements.length > 1) return { text: text(b), at: press(b) };
			return null;
		},
		release() { // what would send something, the forms' own buttons first
			const all = buttons().filter((b) => !released.has(b) && !inBanner(b) && (b.tagName !== 'A' || /^(#|javascript:|$)/.test(b.getAttribute('href') ?? '')));
			const filled = (b) => b.form && [...b.form.elements].some((e) => done.has(e) && !skip.has(e.type));
			const pick = all.find((b) => filled(b) && b.type === 'submit') ?? all.find((b) => filled(b) && sends.test(text(b))) ?? all.find((b) => sends.test(text(b)) && !b.closest('nav,header,footer'));
			if (!pick) return null;
			released.add(pick);
			return { text: text(pick), at: press(pick) };
		},
		hints() { return every('link[rel~=dns-prefetch],link[rel~=preconnect]').slice(0, 100).map((l) => l.href).filter(Boolean); },
		storage() {
			const all = [];
			for (const d of documents()) {
				for (const kind of ['localStorage', 'sessionStorage']) {
					try {
						const s = d.defaultView[kind];
						for (let i = 0; i < Math.min(s.length, 100); i++) all.push({ kind, host: d.location.host, key: s.key(i).slice(0, 200), value: (s.getItem(s.key(i)) ?? '').slice(0, 4000) });
					} catch { /* closed */ }
				}
			}
			return all;
		},
	};
})();

// The recovery kit's pair, at the browser's end: what the server does with
// crypto/hpke (RFC 9180 with MLKEM768-P256, HKDF-SHA-256, AES-256-GCM), so that
// the kit's private half is made, used and forgotten in this page. Browsers have no
// ML-KEM yet (FIPS 203); this is the whole of it, with the check of each box by
// encrypting again. See ground/seal/pair.go; browser tests hold both together.

const utf8 = new TextEncoder();
const cat = (...parts) => {
	const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
	let at = 0;
	for (const p of parts) { all.set(p, at); at += p.length; }
	return all;
};
const be = (n, size) => Uint8Array.from({ length: size }, (_, i) => Number((BigInt(n) >> BigInt(8 * (size - 1 - i))) & 255n));
const num = (b) => b.reduce((n, x) => (n << 8n) | BigInt(x), 0n);

// ---- SHA-3 (FIPS 202)

const M64 = (1n << 64n) - 1n;
const rounds = [], turns = [];
{
	let r = 1;
	const bit = () => { const b = r & 1; r = r & 128 ? ((r << 1) ^ 0x171) : r << 1; return b; };
	for (let i = 0; i < 24; i++) {
		let c = 0n;
		for (let j = 0; j < 7; j++) if (bit()) c |= 1n << BigInt((1 << j) - 1);
		rounds.push(c);
	}
	for (let t = 0, x = 1, y = 0; t < 24; t++) {
		turns.push([x + 5 * y, BigInt(((t + 1) * (t + 2) / 2) % 64)]);
		[x, y] = [y, (2 * x + 3 * y) % 5];
	}
}
const rot = (x, n) => n ? ((x << n) | (x >> (64n - n))) & M64 : x;
function permute(a) {
	const c = Array(5), b = Array(25);
	for (const rc of rounds) {
		for (let x = 0; x < 5; x++) c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
		for (let x = 0; x < 5; x++) {
			const d = c[(x + 4) % 5] ^ rot(c[(x + 1) % 5], 1n);
			for (let y = 0; y < 25; y += 5) a[x + y] ^= d;
		}
		b[0] = a[0];
		for (const [at, n] of turns) {
			const x = at % 5, y = (at - x) / 5;
			b[y + 5 * ((2 * x + 3 * y) % 5)] = rot(a[at], n);
		}
		for (let y = 0; y < 25; y += 5) for (let x = 0; x < 5; x++) a[x + y] = b[x + y] ^ (~b[(x + 1) % 5 + y] & M64 & b[(x + 2) % 5 + y]);
		a[0] ^= rc;
	}
}
// sponge returns a reader of the stream that a message gives.
function sponge(rate, suffix, message) {
	const a = Array(25).fill(0n), padded = new Uint8Array(Math.ceil((message.length + 1) / rate) * rate);
	padded.set(message);
	padded[message.length] ^= suffix;
	padded[padded.length - 1] ^= 128;
	for (let at = 0; at < padded.length; at += rate) {
		for (let i = 0; i < rate / 8; i++) {
			let lane = 0n;
			for (let k = 7; k >= 0; k--) lane = (lane << 8n) | BigInt(padded[at + 8 * i + k]);
			a[i] ^= lane;
		}
		permute(a);
	}
	let used = 0;
	return (n) => Uint8Array.from({ length: n }, () => {
		if (used === rate) { permute(a); used = 0; }
		const b = Number((a[used >> 3] >> BigInt(8 * (used & 7))) & 255n);
		used++;
		return b;
	});
}
const shake128 = (m) => sponge(168, 0x1f, m), shake256 = (m) => sponge(136, 0x1f, m);
const sha3 = (m) => sponge(136, 6, m)(32), sha3long = (m) => sponge(72, 6, m)(64);

// ---- ML-KEM-768 (FIPS 203)

const Q = 3329, K = 3;
const power = (e) => { let r = 1; for (let i = 0; i < e; i++) r = r * 17 % Q; return r; };
const brv = (i) => { let r = 0; for (let k = 0; k < 7; k++) r |= ((i >> k) & 1) << (6 - k); return r; };
const zetas = Array.from({ length: 128 }, (_, i) => power(brv(i)));
const gammas = Array.from({ length: 128 }, (_, i) => power(2 * brv(i) + 1));

function ntt(f) {
	let i = 1;
	for (let len = 128; len >= 2; len >>= 1) for (let start = 0; start < 256; start += 2 * len) {
		const z = zetas[i++];
		for (let j = start; j < start + len; j++) {
			const t = z * f[j + len] % Q;
			f[j + len] = (f[j] - t + Q) % Q;
			f[j] = (f[j] + t) % Q;
		}
	}
	return f;
}
function back(f) {
	let i = 127;
	for (let len = 2; len <= 128; len <<= 1) for (let start = 0; start < 256; start += 2 * len) {
		const z = zetas[i--];
		for (let j = start; j < start + len; j++) {
			const t = f[j];
			f[j] = (t + f[j + len]) % Q;
			f[j + len] = z * (f[j + len] - t + Q) % Q;
		}
	}
	return f.map((x) => x * 3303 % Q);
}
const plus = (a, b) => a.map((x, i) => (x + b[i]) % Q);
const times = (a, b) => {
	const c = Array(256);
	for (let i = 0; i < 128; i++) {
		const [a0, a1, b0, b1] = [a[2 * i], a[2 * i + 1], b[2 * i], b[2 * i + 1]];
		c[2 * i] = (a0 * b0 + (a1 * b1 % Q) * gammas[i]) % Q;
		c[2 * i + 1] = (a0 * b1 + a1 * b0) % Q;
	}
	return c;
};
const dot = (a, b) => a.map((x, i) => times(x, b[i])).reduce(plus);

function uniform(rho, j, i) {
	const read = shake128(cat(rho, [j, i])), f = [];
	while (f.length < 256) {
		const [a, b, c] = read(3);
		const d1 = a + 256 * (b % 16), d2 = (b >> 4) + 16 * c;
		if (d1 < Q) f.push(d1);
		if (d2 < Q && f.length < 256) f.push(d2);
	}
	return f;
}
function noise(seed, n) {
	const b = shake256(cat(seed, [n]))(128), f = Array(256);
	const at = (k) => (b[k >> 3] >> (k & 7)) & 1;
	for (let i = 0; i < 256; i++) f[i] = (at(4 * i) + at(4 * i + 1) - at(4 * i + 2) - at(4 * i + 3) + Q) % Q;
	return f;
}
function pack(f, bits) {
	const out = new Uint8Array(32 * bits);
	f.forEach((x, i) => { for (let k = 0; k < bits; k++) out[(i * bits + k) >> 3] |= ((x >> k) & 1) << ((i * bits + k) & 7); });
	return out;
}
function unpack(b, bits) {
	return Array.from({ length: 256 }, (_, i) => { let x = 0; for (let k = 0; k < bits; k++) x |= ((b[(i * bits + k) >> 3] >> ((i * bits + k) & 7)) & 1) << k; return x; });
}
const squeeze = (f, bits) => pack(f.map((x) => Math.floor((x * 2 ** (bits + 1) + Q) / (2 * Q)) % 2 ** bits), bits);
const expand = (b, bits) => unpack(b, bits).map((x) => Math.floor((x * Q * 2 + 2 ** bits) / 2 ** (bits + 1)));

// kem makes the key pair of a 64-byte seed. take returns the secret of a ciphertext;
// of one that was not made for this key it returns another, as FIPS 203 wants it.
function kem(seed) {
	const d = seed.slice(0, 32), z = seed.slice(32);
	const both = sha3long(cat(d, [K])), rho = both.slice(0, 32), sigma = both.slice(32);
	const A = Array.from({ length: K }, (_, i) => Array.from({ length: K }, (_, j) => uniform(rho, j, i)));
	const s = [0, 1, 2].map((n) => ntt(noise(sigma, n))), e = [3, 4, 5].map((n) => ntt(noise(sigma, n)));
	const t = A.map((row, i) => plus(dot(row, s), e[i]));
	const ek = cat(...t.map((f) => pack(f, 12)), rho), h = sha3(ek);
	const encrypt = (m, r) => {
		const y = [0, 1, 2].map((n) => ntt(noise(r, n)));
		const u = [0, 1, 2].map((i) => plus(back(dot(A.map((row) => row[i]), y)), noise(r, K + i)));
		const v = plus(plus(back(dot(t, y)), noise(r, 2 * K)), expand(m, 1));
		return cat(...u.map((f) => squeeze(f, 10)), squeeze(v, 4));
	};
	const take = (c) => {
		if (c.length !== 1088) throw new Error('a ciphertext has 1088 bytes');
		const u = [0, 1, 2].map((i) => expand(c.slice(320 * i, 320 * i + 320), 10)), v = expand(c.slice(960), 4);
		const w = plus(v, back(dot(s, u.map((f) => ntt([...f])))).map((x) => (Q - x) % Q));
		const m = squeeze(w, 1), g = sha3long(cat(m, h)), again = encrypt(m, g.slice(32));
		let differs = 0;
		for (let i = 0; i < c.length; i++) differs |= c[i] ^ again[i];
		return differs ? shake256(cat(z, c))(32) : g.slice(0, 32);
	};
	return { ek, take };
}

// ---- P-256: the public point of a secret number; WebCrypto does the rest

const P = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const G = [0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296n, 0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5n];
const mod = (x) => ((x % P) + P) % P;
function inverse(a) {
	let [r, x] = [[P, mod(a)], [0n, 1n]];
	while (r[1]) { const q = r[0] / r[1]; r = [r[1], r[0] - q * r[1]]; x = [x[1], x[0] - q * x[1]]; }
	return mod(x[0]);
}
function sum(a, b) {
	if (!a) return b;
	if (!b) return a;
	if (a[0] === b[0] && a[1] !== b[1]) return null;
	const slope = a[0] === b[0] ? mod((3n * a[0] * a[0] - 3n) * inverse(2n * a[1])) : mod((b[1] - a[1]) * inverse(b[0] - a[0]));
	const x = mod(slope * slope - a[0] - b[0]);
	return [x, mod(slope * (a[0] - x) - a[1])];
}
function point(scalar) {
	let at = null;
	for (let i = 255n; i >= 0n; i--) {
		at = sum(at, at);
		if ((scalar >> i) & 1n) at = sum(at, G);
	}
	return at;
}
const inRange = (b) => { const n = num(b); return n > 0n && n < ORDER; };
const url = (b) => btoa(String.fromCharCode(...b)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
async function curveKey(secret, algorithm, uses) {
	const [x, y] = point(num(secret)).map((n) => be(n, 32));
	const jwk = { kty: 'EC', crv: 'P-256', d: url(secret), x: url(x), y: url(y), ext: true };
	return { key: await crypto.subtle.importKey('jwk', jwk, { name: algorithm, namedCurve: 'P-256' }, false, uses), bytes: cat([4], x, y) };
}

// ---- HPKE (RFC 9180), base mode, one message

const mac = async (key, m) => new Uint8Array(await crypto.subtle.sign('HMAC', await crypto.subtle.importKey('raw', key, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']), m));
const suite = cat(utf8.encode('HPKE'), [0, 0x50, 0, 1, 0, 2]), version = utf8.encode('HPKE-v1');
const extract = (salt, label, ikm) => mac(salt ?? new Uint8Array(32), cat(version, suite, utf8.encode(label), ikm));
const expandTo = async (secret, label, info, n) => (await mac(secret, cat(be(n, 2), version, suite, utf8.encode(label), info, [1]))).slice(0, n);

const sized = (b) => cat(be(b.length, 4), b);
// slot is seal.Slot: the place a box belongs to.
export const slot = (s) => cat([1], ...['kind', 'practice', 'holder', 'subject', 'part', 'record'].map((f) => sized(utf8.encode(s[f] ?? ''))), be(s.version ?? 0, 8), be(s.chunk ?? 0, 8), [s.last ? 1 : 0]);

// pairFrom is seal.PairFrom: the pair of a 32-byte key. open throws where a box is
// not for it, or does not belong in the slot.
export async function pairFrom(key) {
	const label = utf8.encode('DeriveKeyPair');
	const read = shake256(shake256(cat(key, version, utf8.encode('KEM'), [0, 0x50], be(label.length, 2), label, be(32, 2)))(32));
	const pq = kem(read(64));
	let secret = read(32);
	while (!inRange(secret)) secret = read(32);
	const t = await curveKey(secret, 'ECDH', ['deriveBits']);
	secret.fill(0);
	const open = async (box, s) => {
		if (box[0] !== 1 || box.length < 1 + 1088 + 65 + 16) throw new Error('not a box of this format');
		const cPQ = box.slice(1, 1089), cT = box.slice(1089, 1154), info = slot(s);
		const theirs = await crypto.subtle.importKey('raw', cT, { name: 'ECDH', namedCurve: 'P-256' }, false, []);
		const ssT = new Uint8Array(await crypto.subtle.deriveBits({ name: 'ECDH', public: theirs }, t.key, 256));
		const shared = sha3(cat(pq.take(cPQ), ssT, cT, t.bytes, utf8.encode('MLKEM768-P256')));
		const context = cat([0], await extract(null, 'psk_id_hash', []), await extract(null, 'info_hash', info));
		const root = await extract(shared, 'secret', []);
		const aes = await crypto.subtle.importKey('raw', await expandTo(root, 'key', context, 32), 'AES-GCM', false, ['decrypt']);
		const iv = await expandTo(root, 'base_nonce', context, 12);
		return new Uint8Array(await crypto.subtle.decrypt({ name: 'AES-GCM', iv }, aes, box.slice(1154)));
	};
	return { public: cat(pq.ek, t.bytes), open };
}

// signerFrom is seal.SignerFrom. derive is HKDF with the product's labels.
export async function signerFrom(key, derive) {
	for (let i = 0; i < 100; i++) {
		const candidate = await derive(key, 'sign v1', utf8.encode(String(i)));
		if (!inRange(candidate)) continue;
		const s = await curveKey(candidate, 'ECDSA', ['sign']);
		const sign = async (label, message) => new Uint8Array(await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, s.key, cat(utf8.encode('quietroom signed v1'), sized(utf8.encode(label)), message)));
		return { public: s.bytes, sign };
	}
	throw new Error('no candidate in range');
}

package seal

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
	"errors"
	"fmt"
)

// Pair is a key pair to which others seal without holding a secret: HPKE
// (RFC 9180) with ML-KEM-768 and P-256, HKDF-SHA-256, AES-256-GCM. Whoever
// breaks only one of the two halves opens nothing.
//
// HPKE names no sender: a box that opens says nothing about who sealed it.
// What it holds is checked against the signed roster.
type Pair struct{ private hpke.PrivateKey }

// Public is the public half of a Pair: 1249 bytes.
type Public []byte

func kem() hpke.KEM { return hpke.MLKEM768P256() }

// PairFrom derives the pair that belongs to a secret key, always the same one.
func PairFrom(k Key) (*Pair, error) {
	defer k.Wipe() // this function's own copy
	private, err := kem().DeriveKeyPair(k[:])
	if err != nil {
		return nil, fmt.Errorf("derive key pair: %w", err)
	}
	return &Pair{private}, nil
}

// Public returns the half that may be shown.
func (p *Pair) Public() Public { return p.private.PublicKey().Bytes() }

// SealTo puts plain into a box that only the holder of the private half opens, in this slot only.
func SealTo(to Public, plain []byte, s Slot) ([]byte, error) {
	key, err := kem().NewPublicKey(to)
	if err != nil {
		return nil, fmt.Errorf("seal to a public key: %w", err)
	}
	box, err := hpke.Seal(key, hpke.HKDFSHA256(), hpke.AES256GCM(), s.bind(), plain)
	if err != nil {
		return nil, fmt.Errorf("seal to a public key: %w", err)
	}
	return append([]byte{Format}, box...), nil
}

// Open returns what is in the box, or ErrSealed or ErrFormat.
func (p *Pair) Open(box []byte, s Slot) ([]byte, error) {
	if len(box) == 0 || box[0] != Format {
		return nil, ErrFormat
	}
	plain, err := hpke.Open(p.private, hpke.HKDFSHA256(), hpke.AES256GCM(), s.bind(), box[1:])
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

// OpenKey unwraps a key that was sealed to this pair.
func (p *Pair) OpenKey(box []byte, s Slot) (k Key, err error) {
	plain, err := p.Open(box, s)
	if err != nil {
		return k, err
	}
	defer clear(plain)
	return KeyFrom(plain)
}

// Equal tells whether two public keys are the same.
func (p Public) Equal(q Public) bool { return bytes.Equal(p, q) }

// Sizes of the ML-KEM-768 half and of the P-256 half, an uncompressed point.
const (
	kemSize   = 1184
	pointSize = 65
)

// Check refuses bytes that are no public key. It makes the checks of FIPS 203
// 7.2 (length, and every coefficient below q) and of SP 800-56A 5.6.2.3.4 (the
// point lies on the curve), and leaves out expanding the key's matrix, which is
// work for sealing only: a roster of 200 keys is read five times faster.
func (p Public) Check() error {
	if len(p) != kemSize+pointSize || !reduced(p[:kemSize-32]) {
		return errNoPublic
	}
	if _, err := ecdh.P256().NewPublicKey(p[kemSize:]); err != nil {
		return errNoPublic
	}
	return nil
}

var errNoPublic = errors.New("seal: not a public key of this format")

// reduced tells whether all 12-bit coefficients, packed two in three bytes, are
// below ML-KEM's q.
func reduced(t []byte) bool {
	const q = 3329
	for ; len(t) >= 3; t = t[3:] {
		a := uint16(t[0]) | uint16(t[1]&15)<<8
		b := uint16(t[1]>>4) | uint16(t[2])<<4
		if a >= q || b >= q {
			return false
		}
	}
	return true
}

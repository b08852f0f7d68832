package seal

import (
	"bytes"
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

// Check refuses bytes that are no public key.
func (p Public) Check() error {
	if _, err := kem().NewPublicKey(p); err != nil {
		return errors.New("seal: not a public key of this format")
	}
	return nil
}

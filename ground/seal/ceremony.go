package seal

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"fmt"
)

// Ceremony is the server's half of one sign-in, at most two minutes old. The
// browser seals a PRF output or a code's parts to it, so that no proxy, log or
// TLS terminator on the way holds a key: ECDH P-256, HKDF-SHA-256, AES-256-GCM,
// which every browser's WebCrypto has.
type Ceremony struct{ private *ecdh.PrivateKey }

// NewCeremony makes an ephemeral key.
func NewCeremony() (*Ceremony, error) {
	private, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("new ceremony: %w", err)
	}
	return &Ceremony{private}, nil
}

// CeremonyFrom restores a ceremony from Bytes.
func CeremonyFrom(b []byte) (*Ceremony, error) {
	private, err := ecdh.P256().NewPrivateKey(b)
	if err != nil {
		return nil, fmt.Errorf("restore ceremony: %w", err)
	}
	return &Ceremony{private}, nil
}

// Bytes is the ceremony's private key, for the ceremony row (memory, or an UNLOGGED table).
func (c *Ceremony) Bytes() []byte { return c.private.Bytes() }

// Public is what the browser seals to: an uncompressed point, 65 bytes.
func (c *Ceremony) Public() []byte { return c.private.PublicKey().Bytes() }

// Open opens what the browser sealed for this ceremony: its ephemeral point,
// then nonce, ciphertext and tag.
func (c *Ceremony) Open(name string, box []byte) ([]byte, error) {
	if len(box) < 65+12+16 {
		return nil, ErrFormat
	}
	theirs, err := ecdh.P256().NewPublicKey(box[:65])
	if err != nil {
		return nil, ErrFormat
	}
	key, err := agree(c.private, theirs, c.Public(), box[:65], name)
	if err != nil {
		return nil, err
	}
	defer key.Wipe()
	plain, err := key.aead().Open(nil, nil, box[65:], []byte(name))
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

// SealToCeremony is the browser's side, for the command line and software authenticators.
func SealToCeremony(public []byte, name string, plain []byte) ([]byte, error) {
	theirs, err := ecdh.P256().NewPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("seal to a ceremony: %w", err)
	}
	mine, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("seal to a ceremony: %w", err)
	}
	point := mine.PublicKey().Bytes()
	key, err := agree(mine, theirs, public, point, name)
	if err != nil {
		return nil, err
	}
	defer key.Wipe()
	return key.aead().Seal(bytes.Clone(point), nil, plain, []byte(name)), nil
}

// agree derives the one key of a ceremony from both public points and its name.
func agree(mine *ecdh.PrivateKey, theirs *ecdh.PublicKey, server, browser []byte, name string) (Key, error) {
	secret, err := mine.ECDH(theirs)
	if err != nil {
		return Key{}, ErrFormat
	}
	defer clear(secret)
	return DeriveKey(secret, "ceremony v1", string(server), string(browser), name), nil
}

package seal

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"strconv"
)

// Signer signs roster entries in a person's name: ECDSA P-256 with SHA-256.
type Signer struct{ private *ecdsa.PrivateKey }

// SignPublic is the public half of a Signer: 65 bytes, uncompressed point.
type SignPublic []byte

// SignerFrom derives the signer that belongs to a secret key, always the same one.
func SignerFrom(k Key) (*Signer, error) {
	defer k.Wipe()       // this function's own copy
	for i := range 100 { // a candidate is out of range once in 2^32
		candidate := k.Derive("sign v1", strconv.Itoa(i))
		private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), candidate[:])
		candidate.Wipe()
		if err == nil {
			return &Signer{private}, nil
		}
	}
	return nil, errors.New("derive signer: no candidate in range")
}

// Public returns the half that may be shown.
func (s *Signer) Public() SignPublic {
	b, err := s.private.PublicKey.Bytes()
	if err != nil {
		panic(err) // only for other curves
	}
	return b
}

// Sign signs a message under a label, so that a signature for one purpose is none for another.
func (s *Signer) Sign(label string, message []byte) ([]byte, error) {
	digest := signed(label, message)
	sig, err := ecdsa.SignASN1(rand.Reader, s.private, digest)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", label, err)
	}
	return sig, nil
}

// Verify tells whether sig is this signer's signature of the message under the label.
func (p SignPublic) Verify(label string, message, sig []byte) bool {
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), p)
	return err == nil && ecdsa.VerifyASN1(public, signed(label, message), sig)
}

// VerifyES256 checks a signature as JSON Web Signatures have it (RFC 7518, 3.4):
// r and s, 32 bytes each, over the message alone. It is for keys that sign for
// nothing else: no label tells one purpose from another.
func (p SignPublic) VerifyES256(message, sig []byte) bool {
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), p)
	if err != nil || len(sig) != 64 {
		return false
	}
	digest := sha256.Sum256(message)
	return ecdsa.Verify(public, digest[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
}

// Check refuses bytes that are no public key.
func (p SignPublic) Check() error {
	if _, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), p); err != nil {
		return errNoPublic
	}
	return nil
}

func signed(label string, message []byte) []byte {
	b := appendText([]byte("quietroom signed v1"), label)
	d := sha256.Sum256(append(b, message...))
	return d[:]
}

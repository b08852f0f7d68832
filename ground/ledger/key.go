package ledger

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"quietroom/ground/seal"
)

// Key signs the heads of one ledger, or only checks them. Its name is the
// ledger's: "quietroom/<practice id>". The signing part lives in a file outside
// of the database, so that writing to the database is not enough to sign.
type Key struct {
	name     string
	signer   note.Signer // nil: can only check
	verifier note.Verifier
	public   string   // the verifier as text
	waiting  seal.Key // of the MAC of waiting facts; with the signer only
}

// NewKey makes an Ed25519 key in the two text forms of the note package: signer
// is secret, verifier is for witnesses and proof bundles.
func NewKey(name string) (signer, verifier string, err error) {
	if !only(strings.ReplaceAll(name, "/", ""), ident) || name == "" {
		return "", "", errors.New(`ledger: name the key "quietroom/" and the practice's identifier`)
	}
	return note.GenerateKey(rand.Reader, name)
}

// ParseKey reads either text form; with a verifier the Key can only check.
// The error never repeats the text.
func ParseKey(text string) (Key, error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "PRIVATE+KEY+") {
		return parseSigner(text)
	}
	v, err := note.NewVerifier(text)
	if err != nil {
		return Key{}, errors.New("ledger: this is not a key of a ledger")
	}
	return Key{name: v.Name(), verifier: v, public: text}, nil
}

func parseSigner(text string) (Key, error) {
	s, err := note.NewSigner(text)
	if err != nil {
		return Key{}, errors.New("ledger: this is not a signing key of a ledger")
	}
	parts := strings.SplitN(text, "+", 5) // PRIVATE+KEY+name+hash+base64, which may hold a + of its own
	seed, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(seed) != 1+ed25519.SeedSize {
		return Key{}, errors.New("ledger: this is not a signing key of a ledger")
	}
	public := ed25519.NewKeyFromSeed(seed[1:]).Public().(ed25519.PublicKey)
	text, err = note.NewEd25519VerifierKey(s.Name(), public)
	if err != nil {
		return Key{}, fmt.Errorf("ledger: derive the verifier: %w", err)
	}
	v, err := note.NewVerifier(text)
	if err != nil {
		return Key{}, fmt.Errorf("ledger: derive the verifier: %w", err)
	}
	return Key{name: s.Name(), signer: s, verifier: v, public: text, waiting: seal.DeriveKey(seed[1:], "ledger waiting v1")}, nil
}

// String keeps a key out of logs.
func (k Key) String() string { return "[secret]" }

// GoString keeps a key out of %#v.
func (k Key) GoString() string { return "[secret]" }

// Another derives a secret for another purpose of the same house. Like the key
// itself it is nowhere in the database. It is for a Key with its signing part.
func (k Key) Another(purpose string) seal.Key { return k.waiting.Derive("house secret v1", purpose) }

// Verifier is the public half as text, for witnesses and proof bundles. ParseKey
// reads it back.
func (k Key) Verifier() string { return k.public }

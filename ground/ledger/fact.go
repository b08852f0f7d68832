package ledger

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
)

// Fact is one thing that happened. It holds opaque identifiers and fixed words,
// never a name, a title or a typed reason.
type Fact struct {
	At      time.Time // kept in milliseconds
	Actor   id.Actor  // who; empty where the house itself acted
	Kind    string    // "vault.opened": room first, past tense, of a-z . -
	Subject string    // identifier of a patient, a person, a device; or ""
	Part    string    // compartment or other fixed word, of a-z -; or ""
	Record  string    // identifier of a record, or ""
	Version int64     // of the record or key
	Hash    []byte    // SHA-256 of the ciphertext that was written, nil if none was; see Nothing
	Reason  string    // a word from a fixed list, of a-z -; or ""
	Ref     string    // identifier of a sealed reason or of another thing, or ""
}

// Entry is a fact with its place in the log.
type Entry struct {
	Fact
	N int64 // counted from 1; 0 while the fact is not numbered yet
}

// Nothing is the Hash of a fact that tells of a record's removal: a write of no bytes.
var Nothing = sha256.Sum256(nil)

// maxWord bounds every identifier and word.
const maxWord = 64

// Append writes a fact in the act's own transaction, so that one never stands
// without the other. It refuses whatever is not an identifier or a fixed word;
// the error names the field and never repeats its content. Beside the fact goes
// a MAC under the ledger's key, which every lookup checks: whoever can write the
// database alone puts in no fact, not even until the next Verify.
func Append(ctx context.Context, tx *store.Tx, f Fact) error {
	if err := f.check(); err != nil {
		return fmt.Errorf("append a fact: %w", err)
	}
	key, ok := tx.Attached(macKey{}).(seal.Key)
	if !ok {
		return fmt.Errorf("append fact %s: %w", f.Kind, ErrKeyless)
	}
	body := string(encode(f))
	if err := tx.Send(ctx, `INSERT INTO ledger_waiting (body, mac) VALUES ($1, $2)`, body, mac(key, body)); err != nil {
		return fmt.Errorf("append fact %s: %w", f.Kind, err)
	}
	return nil
}

// macKey is where the database keeps the key of waiting facts for Append.
type macKey struct{}

func mac(key seal.Key, body string) []byte {
	m := key.Derive("waiting fact v1", body)
	return m[:]
}

func (f Fact) check() error {
	room, deed, _ := strings.Cut(f.Kind, ".")
	ms := f.At.UnixMilli()
	switch {
	case f.At.IsZero() || ms <= 0 || ms > maxTime:
		return errors.New("it has no time")
	case room == "" || deed == "" || len(f.Kind) > maxWord || !only(f.Kind, kind):
		return errors.New(`its kind is not of the form "room.deed", in a-z, dots and dashes`)
	case f.Version < 0:
		return errors.New("its version is negative")
	case f.Hash != nil && len(f.Hash) != sha256.Size:
		return fmt.Errorf("its hash has %d bytes, want %d", len(f.Hash), sha256.Size)
	}
	for _, w := range [...]struct {
		name, text string
		form       form
	}{
		{"person", string(f.Actor.Person), ident}, {"device", string(f.Actor.Device), ident},
		{"session", string(f.Actor.Session), ident}, {"subject", f.Subject, ident}, {"part", f.Part, fixed},
		{"record", f.Record, ident}, {"reason", f.Reason, fixed}, {"ref", f.Ref, ident},
	} {
		if len(w.text) > maxWord {
			return fmt.Errorf("its %s has %d characters, more than %d", w.name, len(w.text), maxWord)
		}
		if !only(w.text, w.form) {
			return fmt.Errorf("its %s is not %s", w.name, w.form)
		}
	}
	return nil
}

// form is what a text may be made of.
type form byte

const (
	fixed form = 1 << iota
	kind
	ident
)

func (f form) String() string {
	if f == fixed {
		return "a fixed word (a-z -)"
	}
	return "an identifier (A-Z a-z 0-9 . -)"
}

// forms tells in which forms a character may stand.
var forms = func() (t [256]form) {
	for c := range t {
		switch {
		case 'a' <= c && c <= 'z' || c == '-':
			t[c] = fixed | kind | ident
		case c == '.':
			t[c] = kind | ident
		case 'A' <= c && c <= 'Z' || '0' <= c && c <= '9':
			t[c] = ident
		}
	}
	return t
}()

func only(s string, f form) bool {
	for i := range len(s) {
		if forms[s[i]]&f == 0 {
			return false
		}
	}
	return true
}

package ledger

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"quietroom/ground/id"
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
// the error names the field and never repeats its content.
func Append(ctx context.Context, tx *store.Tx, f Fact) error {
	if err := f.check(); err != nil {
		return fmt.Errorf("append a fact: %w", err)
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO ledger_facts (body) VALUES ($1)`, string(encode(f))); err != nil {
		return fmt.Errorf("append fact %s: %w", f.Kind, err)
	}
	return nil
}

func (f Fact) check() error {
	room, deed, _ := strings.Cut(f.Kind, ".")
	ms := f.At.UnixMilli()
	switch {
	case f.At.IsZero() || ms <= 0 || ms > maxTime:
		return errors.New("it has no time")
	case room == "" || deed == "" || len(f.Kind) > maxWord || !only(f.Kind, isKind):
		return errors.New(`its kind is not of the form "room.deed", in a-z, dots and dashes`)
	case f.Version < 0:
		return errors.New("its version is negative")
	case f.Hash != nil && len(f.Hash) != sha256.Size:
		return fmt.Errorf("its hash has %d bytes, want %d", len(f.Hash), sha256.Size)
	}
	for _, w := range f.words() {
		if len(w.text) > maxWord {
			return fmt.Errorf("its %s has %d characters, more than %d", w.name, len(w.text), maxWord)
		}
		if !only(w.text, w.allowed) {
			return fmt.Errorf("its %s is not %s", w.name, w.want)
		}
	}
	return nil
}

type word struct {
	name, text string
	allowed    func(byte) bool
	want       string
}

func (f Fact) words() [8]word {
	ident := func(name, text string) word { return word{name, text, isIdent, "an identifier (A-Z a-z 0-9 . -)"} }
	fixed := func(name, text string) word { return word{name, text, isFixed, "a fixed word (a-z -)"} }
	return [...]word{
		ident("person", string(f.Actor.Person)), ident("device", string(f.Actor.Device)), ident("session", string(f.Actor.Session)),
		ident("subject", f.Subject), fixed("part", f.Part), ident("record", f.Record),
		fixed("reason", f.Reason), ident("ref", f.Ref),
	}
}

func only(s string, allowed func(byte) bool) bool {
	for i := range len(s) {
		if !allowed(s[i]) {
			return false
		}
	}
	return true
}

func isFixed(c byte) bool { return 'a' <= c && c <= 'z' || c == '-' }
func isKind(c byte) bool  { return isFixed(c) || c == '.' }
func isIdent(c byte) bool { return isKind(c) || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' }

// Package seal holds the house's cryptography: keys, sealed boxes, sealed
// streams, key pairs, codes and the signed roster. It protects what is at rest
// against whoever copies disk, database or backup, and against whoever can
// write the database and moves, replays or forges sealed rows.
//
// It is the only package that imports crypto/aes, cipher, hpke, hkdf, mlkem and
// ecdh. Every primitive is NIST-approved: AES-256-GCM (SP 800-38D), HKDF-SHA-256
// (SP 800-56C), ML-KEM-768 (FIPS 203) with P-256, ECDSA P-256 (FIPS 186-5).
// The formats are written down in docs/formats.md, golden vectors in testdata.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
)

// Format is the first byte of everything sealed, and part of what it is bound to.
const Format = 1

// Errors that callers act upon.
var (
	// ErrSealed means that this key does not open this box in this place: the
	// key is another one, or the box was changed, moved or replaced.
	ErrSealed = errors.New("seal: the box does not open with this key in this place")
	// ErrFormat means that a newer program sealed the box, or that it is no box.
	ErrFormat = errors.New("seal: unknown format; a newer program may have sealed this")
)

// Key is a secret AES-256 key. It never prints itself.
type Key [32]byte

// NewKey makes a random key.
func NewKey() (k Key) {
	rand.Read(k[:]) // never fails: crypto/rand ends the program instead
	return k
}

// KeyFrom takes a key from its 32 bytes.
func KeyFrom(b []byte) (k Key, err error) {
	if len(b) != len(k) {
		return k, fmt.Errorf("seal: a key has 32 bytes, not %d", len(b))
	}
	copy(k[:], b)
	return k, nil
}

// String, Format and LogValue keep a key out of every log and error, whatever
// the verb. They cannot help where a key lies in an unexported field of a struct
// that is printed: give such a struct a String of its own.
func (Key) String() string             { return "[secret]" }
func (Key) Format(w fmt.State, _ rune) { io.WriteString(w, "[secret]") }
func (Key) LogValue() slog.Value       { return slog.StringValue("[secret]") }

// Wipe overwrites the key.
func (k *Key) Wipe() { clear(k[:]) }

// Derive makes another key from this one. Parts are bound by their lengths, so
// that ("ab","c") and ("a","bc") give different keys.
func (k Key) Derive(label string, parts ...string) Key {
	defer k.Wipe() // this method's own copy
	return DeriveKey(k[:], label, parts...)
}

// minSecret is what a secret has at least: NIST's 112 bits, which the FIPS
// module also asks for, rounded up.
const minSecret = 16

// DeriveKey makes a key from a secret of full strength, such as a PRF output, a
// cookie or a code: HKDF-SHA-256 with an empty salt (SP 800-56C). A secret of
// less than 16 bytes is none: what comes from outside is measured before, and
// passing it here is a mistake in the program, which panics.
func DeriveKey(secret []byte, label string, parts ...string) (k Key) {
	if len(secret) < minSecret {
		panic(fmt.Sprintf("seal: derive %s: a secret has at least %d bytes, not %d", label, minSecret, len(secret)))
	}
	info := []byte("quietroom " + label)
	for _, p := range parts {
		info = appendText(info, p)
	}
	out, err := hkdf.Key(sha256.New, secret, nil, string(info), len(k))
	if err != nil {
		panic(err) // only for impossible lengths
	}
	copy(k[:], out)
	clear(out)
	return k
}

// Combine makes one key from two, of which neither alone tells anything.
func Combine(label string, a, b Key) Key {
	both := slices.Concat(a[:], b[:])
	defer clear(both)
	return DeriveKey(both, label)
}

// Commitment is a public value that fits this key and no other. It stands in
// the signed roster, so that a forged team key is refused.
func (k Key) Commitment() []byte {
	c := k.Derive("commitment v1")
	return c[:]
}

// Slot is the place a box belongs to. A box opens only in its own slot: whoever
// moves it to another patient, record or version has destroyed it.
type Slot struct {
	Kind     string // what it is: "record", "patient-key", "team-key", "ring" ...
	Practice string
	Holder   string // who can open it: a team and its epoch, a person, a door
	Subject  string // whom it is about: a patient, a team, a person
	Part     string // compartment
	Record   string
	Version  uint64
	Chunk    uint64
	Last     bool // the last chunk of a stream
}

// bind writes the slot as associated data: the format, then each field with its length.
func (s Slot) bind() []byte {
	b := make([]byte, 0, 160)
	b = append(b, Format)
	for _, t := range [...]string{s.Kind, s.Practice, s.Holder, s.Subject, s.Part, s.Record} {
		b = appendText(b, t)
	}
	b = binary.BigEndian.AppendUint64(b, s.Version)
	b = binary.BigEndian.AppendUint64(b, s.Chunk)
	if s.Last {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendText(b []byte, t string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(t)))
	return append(b, t...)
}

// Overhead is by how many bytes a box is longer than its content: format, nonce, tag.
const Overhead = 1 + 12 + 16

// Seal puts plain into a box that opens with this key in this slot only.
func (k Key) Seal(plain []byte, s Slot) []byte {
	return sealWith(k.aead(), nil, plain, s)
}

// Open returns what is in the box, or ErrSealed or ErrFormat.
func (k Key) Open(box []byte, s Slot) ([]byte, error) {
	return openWith(k.aead(), nil, box, s)
}

// OpenInto opens a box into room that the caller wipes and uses again; room may
// be nil or too small.
func (k Key) OpenInto(room, box []byte, s Slot) ([]byte, error) {
	return openWith(k.aead(), room[:0], box, s)
}

// SealKey wraps another key: 61 bytes.
func (k Key) SealKey(inner Key, s Slot) []byte {
	defer inner.Wipe() // this method's own copy
	return k.Seal(inner[:], s)
}

// OpenKey unwraps another key.
func (k Key) OpenKey(box []byte, s Slot) (inner Key, err error) {
	plain, err := k.Open(box, s)
	if err != nil {
		return inner, err
	}
	defer clear(plain)
	return KeyFrom(plain)
}

// aead uses a random nonce for each box, chosen inside the cryptographic module
// (SP 800-38D 8.2.2): good for 2^32 boxes a key, and no key here seals more than some thousands.
func (k Key) aead() cipher.AEAD {
	defer k.Wipe() // this method's own copy; the expanded key is left to the collector
	block, err := aes.NewCipher(k[:])
	if err != nil {
		panic(err) // only for other key lengths
	}
	a, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // only for other ciphers
	}
	return a
}

func sealWith(a cipher.AEAD, dst, plain []byte, s Slot) []byte {
	if dst == nil {
		dst = make([]byte, 0, len(plain)+Overhead)
	}
	return a.Seal(append(dst, Format), nil, plain, s.bind())
}

func openWith(a cipher.AEAD, dst, box []byte, s Slot) ([]byte, error) {
	if len(box) == 0 || box[0] != Format {
		return nil, ErrFormat
	}
	plain, err := a.Open(dst, nil, box[1:], s.bind())
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

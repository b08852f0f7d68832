package seal

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unicode"
)

// CodeKind says what a code is for. A code typed in the wrong place is
// recognised and named.
type CodeKind string

// The kinds of codes.
const (
	Personal CodeKind = "personal" // one person's way in without a passkey
	Kit      CodeKind = "kit"      // the practice's recovery kit
	Share    CodeKind = "share"    // one of three shares of the kit
)

// Code is a printed secret of 160 random bits. Nothing a person chooses or
// remembers opens anything (NIST SP 800-63B 5.1.2 asks for 64 bits).
type Code struct {
	Kind   CodeKind
	secret [20]byte
}

// letters leaves out I, L, O and U (Crockford), so that a printed code reads one way only.
var letters = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// ErrCode means that the text is no code; ErrTypo that one character is off.
var (
	ErrCode = errors.New("this is not a code: a code has 36 letters and digits in nine groups of four")
	ErrTypo = errors.New("the code has a typing error: its check letters do not fit; please compare it with the paper")
)

// WrongKind means that a good code was typed where another kind is wanted.
type WrongKind struct{ Got, Want CodeKind }

func (e *WrongKind) Error() string {
	name := map[CodeKind]string{Personal: "a personal code", Kit: "the practice's recovery kit", Share: "a share of the recovery kit"}
	return fmt.Sprintf("this is %s; %s is needed here", name[e.Got], name[e.Want])
}

// NewCode makes a random code.
func NewCode(kind CodeKind) (c Code) {
	c.Kind = kind
	rand.Read(c.secret[:])
	return c
}

// Text is the code as it is printed: nine groups of four characters, of which
// the last four check for typing errors and name the kind.
func (c Code) Text() string {
	s := letters.EncodeToString(c.secret[:]) + c.check(c.Kind)
	var groups []string
	for i := 0; i < len(s); i += 4 {
		groups = append(groups, s[i:i+4])
	}
	return strings.Join(groups, "-")
}

// String, Format and LogValue keep a code out of every log and error.
func (Code) String() string             { return "[secret]" }
func (Code) Format(w fmt.State, _ rune) { io.WriteString(w, "[secret]") }
func (Code) LogValue() slog.Value       { return slog.StringValue("[secret]") }

func (c Code) check(kind CodeKind) string {
	sum := sha256.Sum256(append([]byte("quietroom code v1 "+string(kind)+" "), c.secret[:]...))
	return letters.EncodeToString(sum[:])[:4]
}

// ParseCode reads a typed code. Case, and spaces and dashes of any kind, do not
// matter; O reads as 0, I and L as 1. ErrCode, ErrTypo or *WrongKind otherwise.
func ParseCode(kind CodeKind, text string) (c Code, err error) {
	s := strings.NewReplacer("O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) {
			return -1
		}
		return r
	}, text)))
	if len(s) != 36 {
		return c, ErrCode
	}
	b, err := letters.DecodeString(s[:32])
	if err != nil {
		return c, ErrTypo
	}
	copy(c.secret[:], b)
	clear(b)
	for _, k := range []CodeKind{Personal, Kit, Share} {
		if c.check(k) == s[32:] {
			c.Kind = k
			if k != kind {
				return Code{}, &WrongKind{Got: k, Want: kind}
			}
			return c, nil
		}
	}
	return Code{}, ErrTypo
}

// The three parts of a code. The browser splits it in the same way and never
// sends it whole: auth is compared by its hash, kek opens the seed, notes stays
// in the browser.

// Auth is shown to the server to prove that one has the code.
func (c Code) Auth() Key { return c.part("code auth v1") }

// KEK opens what the code is a door to.
func (c Code) KEK() Key { return c.part("code kek v1") }

// Notes opens psychotherapy notes; it is used in the browser only.
func (c Code) Notes() Key { return c.part("code notes v1") }

func (c Code) part(label string) Key {
	defer clear(c.secret[:]) // this method's own copy
	return DeriveKey(c.secret[:], label)
}

// AuthHash is what the server keeps of a code: it opens nothing.
func AuthHash(auth Key) []byte {
	sum := sha256.Sum256(append([]byte("quietroom code hash v1 "), auth[:]...))
	return sum[:]
}

package seal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
)

func TestASecretNeverPrintsItself(t *testing.T) {
	k := must(KeyFrom(bytes.Repeat([]byte{0xab}, 32)))
	c := goldenCode(Personal, "")
	copy(c.secret[:], k[:])
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("a mistake", "key", k, "seed", Seed{k}, "code", c)
	}
	for _, secret := range []any{k, &k, Seed{k}, c, &c, []Key{k}, map[string]Key{"a": k}, struct{ K Key }{k}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%b", "%o", "%c", "%U"} {
			fmt.Fprintf(&log, verb+"\n", secret)
		}
	}
	for _, shown := range []string{"ab", "AB", "171", "253", "10101011", "\u00ab", c.Text()} {
		if bytes.Contains(log.Bytes(), []byte(shown)) {
			t.Errorf("a secret printed itself as %q:\n%s", shown, log.String())
		}
	}
}

func TestADoorNeedsAWholeSecret(t *testing.T) {
	for _, n := range []int{0, 16, 31, 33, 64} {
		if _, err := DoorFromPRF(make([]byte, n), "P", "ana", "D"); err == nil {
			t.Errorf("a PRF output of %d bytes made a door", n)
		}
	}
	for _, n := range []int{0, 1, 15} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a key was derived from %d bytes", n)
				}
			}()
			DeriveKey(make([]byte, n), "example v1")
		}()
	}
	if _, err := KeyFrom(make([]byte, 31)); err == nil {
		t.Error("31 bytes were taken for a key")
	}
}

func TestASignatureIsForOneLabelOneMessageAndOneSigner(t *testing.T) {
	s, other := must(SignerFrom(NewKey())), must(SignerFrom(NewKey()))
	sig := must(s.Sign("a", []byte("b")))
	if !s.Public().Verify("a", []byte("b"), sig) {
		t.Fatal("a good signature is refused")
	}
	for what, ok := range map[string]bool{
		"label":          s.Public().Verify("ab", nil, sig),
		"moved border":   s.Public().Verify("", []byte("ab"), sig),
		"message":        s.Public().Verify("a", []byte("c"), sig),
		"signer":         other.Public().Verify("a", []byte("b"), sig),
		"no key":         SignPublic(nil).Verify("a", []byte("b"), sig),
		"no signature":   s.Public().Verify("a", []byte("b"), nil),
		"longer":         s.Public().Verify("a", []byte("b"), append(sig, 0)),
		"another's form": SignPublic(append([]byte{2}, s.Public()[1:33]...)).Verify("a", []byte("b"), sig),
	} {
		if ok {
			t.Errorf("a signature is taken for another one: %s", what)
		}
	}
}

func TestAWipedKeyIsGone(t *testing.T) {
	k := NewKey()
	kept := k
	k.SealKey(kept, recordSlot)
	k.Derive("example v1")
	if k != kept {
		t.Fatal("a method wiped its caller's key")
	}
	k.Wipe()
	if k != (Key{}) || kept == (Key{}) {
		t.Error("Wipe wiped another key than its own")
	}
	if _, err := json.Marshal(kept); err != nil {
		t.Error("rings are kept as JSON, sealed:", err)
	}
}

// Check says what the library says, at every border of a coefficient and of a length.
func TestAPublicKeyIsCheckedAsTheLibraryDoes(t *testing.T) {
	good := must(PairFrom(NewKey())).Public()
	say := func(p Public, want bool) {
		t.Helper()
		_, err := kem().NewPublicKey(p)
		if ours := p.Check() == nil; ours != want || (err == nil) != want {
			t.Errorf("Check says %v, the library %v, want %v", ours, err, want)
		}
	}
	for c, want := range map[uint16]bool{0: true, 3328: true, 3329: false, 3330: false, 4095: false} {
		for _, at := range []int{0, 3, 1149} { // a coefficient is the lower or the upper half of three bytes
			p := bytes.Clone(good)
			p[at], p[at+1] = byte(c), p[at+1]&0xf0|byte(c>>8)
			say(p, want)
			p = bytes.Clone(good)
			p[at+1], p[at+2] = p[at+1]&15|byte(c<<4), byte(c>>4)
			say(p, want)
		}
	}
	say(good[:len(good)-1], false)
	say(append(bytes.Clone(good), 0), false)
	for _, at := range []int{kemSize, kemSize + 1, len(good) - 1} {
		p := bytes.Clone(good)
		p[at] ^= 1
		say(p, false)
	}
	p := bytes.Clone(good)
	copy(p[kemSize-32:kemSize], bytes.Repeat([]byte{0xff}, 32)) // the seed of the matrix is any bytes
	say(p, true)
}

func TestRoomThatIsUsedAgainHoldsWhatOpenedOrNothing(t *testing.T) {
	k, plain := NewKey(), []byte("names of a day")
	box := k.Seal(plain, recordSlot)
	for _, size := range []int{0, 3, 100} {
		room := bytes.Repeat([]byte{'x'}, size)
		if got, err := k.OpenInto(room, box, recordSlot); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("room for %d bytes: %q, %v", size, got, err)
		}
		torn := bytes.Clone(box)
		torn[len(torn)-1] ^= 1
		if got, err := k.OpenInto(room, torn, recordSlot); !refused(err) || got != nil || bytes.Contains(room, plain) {
			t.Errorf("room for %d bytes: a torn box left %q, %v", size, room, err)
		}
	}
}

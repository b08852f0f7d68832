package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"
)

// Whatever a stranger hands in, a parser answers with one of its errors, and
// never with something that was not sealed. The golden files are what is good
// here: a fuzzer is several processes, which have to mean the same.

type boxVector struct {
	Key, Secret, Box Hex
	Slot             slotVector
}

func FuzzOpen(f *testing.F) {
	v := golden[[]boxVector](f, "boxes", nil)[3]
	fuzzOpen(f, v, v.Key.key(f).Open)
}

func FuzzOpenPair(f *testing.F) {
	v := golden[[]boxVector](f, "pairs", nil)[1]
	fuzzOpen(f, v, must(PairFrom(v.Secret.key(f))).Open)
}

func fuzzOpen(f *testing.F, v boxVector, open func([]byte, Slot) ([]byte, error)) {
	for _, b := range [][]byte{nil, {Format}, v.Box, v.Box[:len(v.Box)-1], append(bytes.Clone(v.Box), 0)} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, box []byte) {
		_, err := open(box, Slot(v.Slot))
		if (err == nil) != bytes.Equal(box, v.Box) {
			t.Errorf("%v for %x", err, box)
		}
		if err != nil && !refused(err) {
			t.Errorf("an error that no caller knows: %v", err)
		}
	})
}

func FuzzOpenStream(f *testing.F) {
	v := golden[[]struct {
		Key, Sealed Hex
		Slot        slotVector
	}](f, "streams", nil)[1]
	k, good, s := v.Key.key(f), v.Sealed, Slot(v.Slot)
	for _, b := range [][]byte{nil, {Format}, good, good[:headerSize], good[:len(good)-1], append(bytes.Clone(good), good...)} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, sealed []byte) {
		plain, err := io.ReadAll(k.OpenStream(bytes.NewReader(sealed), s))
		if err == nil && !bytes.Equal(sealed, good) {
			t.Errorf("a stream opened that nobody sealed: %x", sealed)
		}
		if err != nil && len(plain) > 0 {
			t.Errorf("%d bytes came out of a stream of one chunk that does not open", len(plain))
		}
		if err != nil && !refused(err) {
			t.Errorf("an error that no caller knows: %v", err)
		}
	})
}

func FuzzParseCode(f *testing.F) {
	for _, kind := range []CodeKind{Personal, Kit, Share} {
		f.Add(goldenCode(kind, "").Text())
	}
	f.Add("0000 0000–0000—0000\u00a00000 0000 oooo IIII llll")
	f.Add("UUUU")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseCode(Personal, text)
		var wrong *WrongKind
		if err != nil {
			if !errors.Is(err, ErrCode) && !errors.Is(err, ErrTypo) && !errors.As(err, &wrong) {
				t.Errorf("an error that no page knows: %v", err)
			}
			if c != (Code{}) {
				t.Error("a refused code came back all the same")
			}
			return
		}
		if again, err := ParseCode(Personal, c.Text()); err != nil || again != c {
			t.Errorf("a code that was read prints as one that is not: %v", err)
		}
	})
}

func FuzzRosterEntry(f *testing.F) {
	var chain []Signed
	for _, e := range golden[struct {
		Entries []struct {
			Body      string
			Signature Hex
		}
	}](f, "roster", nil).Entries {
		chain = append(chain, Signed{[]byte(e.Body), e.Signature})
		f.Add([]byte(e.Body), []byte(e.Signature))
	}
	next := len(chain) / 2
	roster := must(ReadRoster(chain[:next], nil))
	f.Add([]byte(`{"number":1,"number":2}`), []byte{})
	f.Fuzz(func(t *testing.T, body, sig []byte) {
		if e, err := parseEntry(body); err == nil {
			if again, _ := json.Marshal(e); !bytes.Equal(again, body) {
				t.Errorf("an entry has two written forms: %q and %q", body, again)
			}
		}
		r := roster.Clone()
		if err := r.Add(Signed{body, sig}); err == nil && !bytes.Equal(body, chain[next].Body) {
			t.Errorf("an entry was taken in that nobody signed as the next: %q", body)
		}
		empty := emptyRoster()
		if err := empty.Add(Signed{body, sig}); err == nil && !bytes.Equal(body, chain[0].Body) {
			t.Errorf("a practice was founded by an entry that nobody signed: %q", body)
		}
	})
}

// What nobody signs can say one thing only, and only of a plan that waits.
func FuzzDue(f *testing.F) {
	var chain []Signed
	for _, e := range golden[struct {
		Entries []struct {
			Body      string
			Signature Hex
		}
	}](f, "plan", nil).Entries {
		chain = append(chain, Signed{[]byte(e.Body), e.Signature})
		f.Add([]byte(e.Body), []byte(e.Signature))
		f.Add([]byte(e.Body), []byte{})
	}
	last := len(chain) - 1
	roster := must(ReadRoster(chain[:last], nil))
	f.Fuzz(func(t *testing.T, body, sig []byte) {
		r := roster.Clone()
		if err := r.Add(Signed{body, sig}); err == nil && (!bytes.Equal(body, chain[last].Body) || len(sig) > 0) {
			t.Errorf("an entry was taken in that nobody signed: %q", body)
		}
		if err := r.Add(Signed{body, sig}); err == nil {
			t.Errorf("a plan was carried out twice: %q", body)
		}
	})
}

func FuzzCeremony(f *testing.F) {
	v := golden[struct {
		ServerPrivate Hex `json:"server_private"`
		Box           Hex
	}](f, "ceremony", nil)
	c, good := must(CeremonyFrom(v.ServerPrivate)), v.Box
	for _, b := range [][]byte{nil, good, good[:65], c.Public(), good[:len(good)-1]} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, box []byte) {
		if _, err := c.Open("sign-in 1", box); err == nil && !bytes.Equal(box, good) {
			t.Errorf("a message opened that nobody sealed: %x", box)
		} else if err != nil && !refused(err) {
			t.Errorf("an error that no caller knows: %v", err)
		}
		if back, err := CeremonyFrom(box); err == nil && !bytes.Equal(back.Bytes(), box) {
			t.Errorf("a ceremony was restored as another one")
		}
		if _, err := SealToCeremony(box, "sign-in 1", nil); err == nil && len(box) != pointSize {
			t.Errorf("sealed to %d bytes that are no key", len(box))
		}
	})
}

// Check leaves out what costs time; it must say the same as the library.
func FuzzPublic(f *testing.F) {
	p := must(PairFrom(secret32("public").key(f))).Public()
	for _, i := range []int{0, 1, 500, kemSize - 33, kemSize, kemSize + 1, len(p) - 1} {
		q := bytes.Clone(p)
		q[i] ^= 0xff
		f.Add([]byte(q))
	}
	f.Add([]byte(p))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := kem().NewPublicKey(b)
		if ours := Public(b).Check(); (ours == nil) != (err == nil) {
			t.Errorf("Check says %v, the library says %v: %x", ours, err, b)
		}
		if SignPublic(b).Check() == nil && len(b) != pointSize {
			t.Errorf("%d bytes pass for a signer's key", len(b))
		}
	})
}

package seal

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

var anySlot = rapid.Custom(func(t *rapid.T) Slot {
	word := rapid.SampledFrom([]string{"", "a", "b", "ab", "record", "team-1.2", "\x00", "\x00\x00\x00\x01a"})
	number := rapid.SampledFrom([]uint64{0, 1, 2, 255, 256, 1 << 63})
	return Slot{word.Draw(t, "kind"), word.Draw(t, "practice"), word.Draw(t, "holder"), word.Draw(t, "subject"), word.Draw(t, "part"), word.Draw(t, "record"),
		number.Draw(t, "version"), number.Draw(t, "chunk"), rapid.Bool().Draw(t, "last")}
})

// elsewhere draws a slot that differs from s in one field, or that holds the
// same words shifted over the borders between fields.
func elsewhere(t *rapid.T, s Slot) Slot {
	texts := []*string{&s.Kind, &s.Practice, &s.Holder, &s.Subject, &s.Part, &s.Record}
	switch i := rapid.IntRange(0, 9).Draw(t, "field"); i {
	case 6:
		s.Version ^= 1 << rapid.IntRange(0, 63).Draw(t, "bit")
	case 7:
		s.Chunk ^= 1 << rapid.IntRange(0, 63).Draw(t, "bit")
	case 8:
		s.Last = !s.Last
	case 9:
		j := rapid.IntRange(0, 4).Draw(t, "border")
		*texts[j], *texts[j+1] = *texts[j]+"x"+*texts[j+1], ""
	default:
		*texts[i] += rapid.SampledFrom([]string{"x", "\x00", "a"}).Draw(t, "more")
	}
	return s
}

// damaged draws a change of b: a flipped bit, a cut, an addition, a doubled or
// swapped piece.
func damaged(t *rapid.T, b []byte) []byte {
	if len(b) == 0 {
		return []byte{1}
	}
	i := rapid.IntRange(0, len(b)-1).Draw(t, "at")
	j := rapid.IntRange(i, len(b)).Draw(t, "to")
	c := bytes.Clone(b)
	switch rapid.IntRange(0, 6).Draw(t, "damage") {
	case 0:
		c = c[:i]
	case 1:
		c = c[i+1:]
	case 2:
		c = slices.Insert(c, i, rapid.Byte().Draw(t, "byte"))
	case 3:
		c = slices.Delete(c, i, j)
	case 4:
		c = slices.Concat(b[:j], b[i:])
	case 5:
		c = slices.Concat(b[i:], b[:i])
	}
	if bytes.Equal(c, b) {
		c[i] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
	}
	return c
}

// boxKinds are all kinds of boxes; newOpener has one way to seal and to open each.
var boxKinds = []string{"box", "pair", "ceremony", "stream"}

type sealing struct {
	seal func(plain []byte, s Slot) []byte
	open func(box []byte, s Slot) ([]byte, error)
}

func newOpener(kind string) sealing {
	k := NewKey()
	switch kind {
	case "pair":
		p := must(PairFrom(k))
		return sealing{func(plain []byte, s Slot) []byte { return must(SealTo(p.Public(), plain, s)) }, p.Open}
	case "ceremony": // whose name is a text, as the slot's bytes are
		c := must(NewCeremony())
		return sealing{
			func(plain []byte, s Slot) []byte { return must(SealToCeremony(c.Public(), string(s.bind()), plain)) },
			func(box []byte, s Slot) ([]byte, error) { return c.Open(string(s.bind()), box) }}
	case "stream":
		return sealing{
			func(plain []byte, s Slot) []byte {
				var b bytes.Buffer
				w := must(k.SealStream(&b, s))
				w.Write(plain)
				w.Close()
				return b.Bytes()
			},
			func(box []byte, s Slot) ([]byte, error) { return io.ReadAll(k.OpenStream(bytes.NewReader(box), s)) }}
	}
	return sealing{k.Seal, k.Open}
}

func refused(err error) bool { return errors.Is(err, ErrSealed) || errors.Is(err, ErrFormat) }

func TestABoxOpensWholeInItsPlaceOnly(t *testing.T) {
	for _, kind := range boxKinds {
		t.Run(kind, rapid.MakeCheck(func(t *rapid.T) {
			mine, other := newOpener(kind), newOpener(kind)
			plain, s := rapid.SliceOfN(rapid.Byte(), 0, 80).Draw(t, "plain"), anySlot.Draw(t, "slot")
			if kind == "stream" { // which sets these two by itself
				s.Last = false
			}
			box := mine.seal(plain, s)
			if got, err := mine.open(box, s); err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("a box does not open in its place: %v", err)
			}
			if len(plain) > 15 && bytes.Contains(box, plain) {
				t.Fatal("a box shows what is in it")
			}
			if _, err := mine.open(damaged(t, box), s); !refused(err) {
				t.Fatalf("a damaged box: %v", err)
			}
			there := elsewhere(t, s)
			if kind == "stream" {
				there.Last = false
			}
			if there != s {
				if _, err := mine.open(box, there); !refused(err) {
					t.Fatalf("a box of %+v opened in %+v: %v", s, there, err)
				}
			}
			if _, err := other.open(box, s); !refused(err) {
				t.Fatalf("a stranger's key: %v", err)
			}
			if _, err := mine.open(other.seal(plain, s), s); !refused(err) {
				t.Fatalf("a forged box: %v", err)
			}
		}))
	}
}

func TestTwoSlotsAreNeverBoundAlike(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anySlot.Draw(t, "a"), anySlot.Draw(t, "b")
		if (a == b) != bytes.Equal(a.bind(), b.bind()) {
			t.Fatalf("%+v and %+v", a, b)
		}
	})
}

func TestAWrapHoldsAKeyAndNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k, inner, s := NewKey(), NewKey(), anySlot.Draw(t, "slot")
		box := k.SealKey(inner, s)
		if got, err := k.OpenKey(box, s); err != nil || got != inner || len(box) != 61 {
			t.Fatalf("a wrap of %d bytes gave another key: %v", len(box), err)
		}
		if got, err := k.OpenKey(damaged(t, box), s); err == nil || got != (Key{}) {
			t.Fatalf("a damaged wrap gave a key: %v", err)
		}
		n := rapid.SampledFrom([]int{0, 31, 33, 64}).Draw(t, "length")
		if got, err := k.OpenKey(k.Seal(make([]byte, n), s), s); err == nil || got != (Key{}) {
			t.Fatalf("%d bytes were taken for a key", n)
		}
	})
}

func TestDerivedKeysDifferWhereTheirPartsDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.SampledFrom([]string{"", "a", "b", "ab", "\x00\x00\x00\x01a"}), 0, 3)
		k, a, b := NewKey(), parts.Draw(t, "a"), parts.Draw(t, "b")
		if (k.Derive("example", a...) == k.Derive("example", b...)) != slices.Equal(a, b) {
			t.Fatalf("%q and %q", a, b)
		}
		if k.Derive("example", a...) == k.Derive("other", a...) || k.Derive("example", a...) == NewKey().Derive("example", a...) {
			t.Fatal("another label or secret gives the same key")
		}
	})
}

// A stream of several chunks, whose pieces are then put together in another way.
func TestAStreamPutTogetherOtherwiseDoesNotOpen(t *testing.T) {
	k := NewKey()
	whole := func(n int) []byte { return sealedStream(t, k, recordSlot, make([]byte, n)) }
	pieces := func(b []byte) (p [][]byte) {
		p = append(p, b[:headerSize])
		return slices.AppendSeq(p, slices.Chunk(b[headerSize:], chunk+Overhead))
	}
	a, b := whole(2*chunk+9), whole(2*chunk+9)
	all := append(pieces(a), pieces(b)...)
	rapid.Check(t, func(t *rapid.T) {
		var made []byte
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(all)-1), 0, 6).Draw(t, "pieces") {
			made = append(made, all[i]...)
		}
		if bytes.Equal(made, a) || bytes.Equal(made, b) {
			return
		}
		n, err := io.Copy(io.Discard, k.OpenStream(bytes.NewReader(made), recordSlot))
		if !refused(err) {
			t.Fatalf("%d bytes came out, then %v", n, err)
		}
	})
	for _, cut := range []int{1, 9, 10, 9 + Overhead, chunk, len(a) - headerSize, len(a)} {
		if _, err := io.Copy(io.Discard, k.OpenStream(bytes.NewReader(a[:len(a)-cut]), recordSlot)); !refused(err) {
			t.Errorf("a stream cut by %d bytes: %v", cut, err)
		}
	}
}

func TestAnyTwoSharesOpenTheKitAndOneDoesNot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kek := NewKey()
		shares := [3]Code{NewCode(Share), NewCode(Share), NewCode(Share)}
		boxes := SplitKit(kek, shares, "P")
		i, j := rapid.IntRange(0, 2).Draw(t, "i"), rapid.IntRange(0, 2).Draw(t, "j")
		got, err := JoinKit(shares[i], shares[j], boxes, "P")
		if i != j && (err != nil || got != kek) {
			t.Fatalf("shares %d and %d do not open the kit: %v", i, j, err)
		}
		if i == j && (err == nil || got == kek) {
			t.Fatalf("one share, typed twice, opens the kit")
		}
		if got, err := JoinKit(shares[i], NewCode(Share), boxes, "P"); err == nil || got == kek {
			t.Fatal("one share and an invented one open the kit")
		}
		if _, err := JoinKit(shares[0], shares[1], boxes, "Q"); err == nil {
			t.Fatal("the shares open another practice's kit")
		}
		wrong := shares[1]
		wrong.Kind = Personal
		if _, err := JoinKit(shares[0], wrong, boxes, "P"); err == nil {
			t.Fatal("a personal code was taken for a share")
		}
		boxes[0], boxes[1] = boxes[1], boxes[0]
		boxes[2] = damaged(t, boxes[2])
		if got, err := JoinKit(shares[i], shares[j], boxes, "P"); err == nil || got == kek {
			t.Fatal("swapped boxes opened")
		}
	})
}

// Every wrong letter in every place of three codes.
func TestATypingErrorInACodeIsNoticed(t *testing.T) {
	for _, kind := range []CodeKind{Personal, Kit, Share} {
		c := goldenCode(kind, "")
		for i, was := range []byte(c.Text()) {
			for _, letter := range []byte("0123456789ABCDEFGHJKMNPQRSTVWXYZU!") {
				typed := []byte(c.Text())
				if typed[i] = letter; was == '-' || was == letter {
					continue
				}
				if got, err := ParseCode(kind, string(typed)); !errors.Is(err, ErrTypo) || got != (Code{}) {
					t.Errorf("%s for %s: %v", typed, c.Text(), err)
				}
			}
		}
	}
}

func TestACodeIsReadHoweverItIsTyped(t *testing.T) {
	c := Code{Kind: Kit, secret: [20]byte{0, 0x11}} // prints with 0 and 1
	text := c.Text()
	for _, typed := range []string{
		text, " " + text + "\r\n",
		string(bytes.ReplaceAll([]byte(text), []byte("-"), nil)),
		string(bytes.ReplaceAll([]byte(text), []byte("-"), []byte(" \u2013\u00a0"))),
		string(bytes.ReplaceAll([]byte(text), []byte("0"), []byte("o"))),
		string(bytes.ReplaceAll([]byte(text), []byte("1"), []byte("l"))),
		string(bytes.ToLower([]byte(text))),
	} {
		if got, err := ParseCode(Kit, typed); err != nil || got != c {
			t.Errorf("%q: %v", typed, err)
		}
	}
	var wrong *WrongKind
	if _, err := ParseCode(Personal, text); !errors.As(err, &wrong) || wrong.Got != Kit {
		t.Errorf("the kit in a personal code's place: %v", err)
	}
	for _, s := range []string{"", "hello", text[1:], text + "0"} {
		if _, err := ParseCode(Kit, s); !errors.Is(err, ErrCode) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

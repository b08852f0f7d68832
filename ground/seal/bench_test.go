package seal

import (
	"bytes"
	"fmt"
	"io"
	"testing"
)

func BenchmarkSealOneKilobyte(b *testing.B) {
	k, plain := NewKey(), make([]byte, 1<<10)
	b.SetBytes(int64(len(plain)))
	for b.Loop() {
		k.Seal(plain, recordSlot)
	}
}

func BenchmarkOpenOneKilobyte(b *testing.B) { benchmarkOpen(b, 1<<10) }

// The names of 33,000 patients, opened as a whole at sign-in.
func BenchmarkOpenDirectoryOf3MB(b *testing.B) { benchmarkOpen(b, 3<<20) }

func benchmarkOpen(b *testing.B, n int) {
	k := NewKey()
	box := k.Seal(make([]byte, n), recordSlot)
	b.SetBytes(int64(n))
	for b.Loop() {
		if _, err := k.Open(box, recordSlot); err != nil {
			b.Fatal(err)
		}
	}
}

// The nightly check opens 33,000 of these.
func BenchmarkOpenKey(b *testing.B) {
	k := NewKey()
	box := k.SealKey(NewKey(), recordSlot)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.OpenKey(box, recordSlot); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSealToPublic(b *testing.B) {
	p := must(PairFrom(NewKey()))
	public, plain := p.Public(), make([]byte, 32)
	for b.Loop() {
		if _, err := SealTo(public, plain, recordSlot); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenWithPair(b *testing.B) {
	p := must(PairFrom(NewKey()))
	box := must(SealTo(p.Public(), make([]byte, 32), recordSlot))
	for b.Loop() {
		if _, err := p.Open(box, recordSlot); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUserFromSeed(b *testing.B) {
	s := NewSeed()
	for b.Loop() {
		if _, err := s.User(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDoorFromPRF(b *testing.B) {
	first := NewKey()
	for b.Loop() {
		if _, err := DoorFromPRF(first[:], "P", "ANA", "D"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckPublic(b *testing.B) {
	p := must(PairFrom(NewKey())).Public()
	for b.Loop() {
		if err := p.Check(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadRosterOf200(b *testing.B) {
	chain := longChain(b, 200)
	for b.Loop() {
		if _, err := ReadRoster(chain, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// longChain is a practice of n entries: people who join and teams of one.
func longChain(b *testing.B, n int) []Signed {
	u := must(NewSeed().User())
	r, first, err := Begin("ANA", u, Entry{Practice: "P", At: 1})
	if err != nil {
		b.Fatal(err)
	}
	chain, keys := []Signed{first}, u.Keys()
	for i := 1; i < n; i++ {
		who := fmt.Sprintf("P%03d", i)
		e := Entry{At: int64(i), Act: Join, Person: who, Keys: &keys, Roles: []string{"clinician"}, Doors: map[string]Door{"D": {"passkey", keys.Pair}, "E": {"code", keys.Pair}}}
		if i%2 == 0 {
			e = Entry{At: int64(i), Act: Form, Team: who, Kind: "care", Members: []string{"ANA"}, Epoch: 1, Commitment: NewKey().Commitment(), Public: keys.Pair}
		}
		chain = append(chain, must(r.Sign("ANA", u.Signer, e)))
	}
	return chain
}

func BenchmarkStreamSeal(b *testing.B) {
	k, plain := NewKey(), make([]byte, 16<<20)
	b.SetBytes(int64(len(plain)))
	for b.Loop() {
		w := must(k.SealStream(io.Discard, recordSlot))
		w.Write(plain)
		w.Close()
	}
}

func BenchmarkStreamOpen(b *testing.B) {
	k, plain := NewKey(), make([]byte, 16<<20)
	var sealed bytes.Buffer
	w := must(k.SealStream(&sealed, recordSlot))
	w.Write(plain)
	w.Close()
	b.SetBytes(int64(len(plain)))
	for b.Loop() {
		if n, err := io.Copy(io.Discard, k.OpenStream(bytes.NewReader(sealed.Bytes()), recordSlot)); err != nil || n != int64(len(plain)) {
			b.Fatal(n, err)
		}
	}
}

// recordSlot is a slot with every field in use.
var recordSlot = Slot{Kind: "record", Practice: "PRACTICE", Holder: "TEAM.1", Subject: "PATIENT", Part: "chart", Record: "RECORD", Version: 3, Chunk: 5}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

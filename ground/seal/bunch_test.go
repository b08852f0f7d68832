package seal

import (
	"bytes"
	"testing"
)

func TestABunchOpensWithTheOneKeyThatFitsAndInItsSlotOnly(t *testing.T) {
	keys := make([]Key, 20)
	for i := range keys {
		keys[i] = NewKey()
	}
	bunch, slot, plain := NewBunch(keys), Slot{Kind: "record", Record: "R"}, []byte("what was said")
	for i, k := range keys {
		box := k.Seal(plain, slot)
		if which, got := bunch.Open(nil, box, slot); which != i || !bytes.Equal(got, plain) {
			t.Fatalf("key %d: got key %d and %q", i, which, got)
		}
		if which, _ := bunch.Open(nil, box, Slot{Kind: "record", Record: "S"}); which != -1 {
			t.Fatalf("key %d opened the box in another slot", which)
		}
	}
	for name, box := range map[string][]byte{"a stranger's box": NewKey().Seal(plain, slot), "nothing": nil, "one byte": {Format}, "another format": {Format + 1, 2, 3}} {
		if which, _ := bunch.Open(nil, box, slot); which != -1 {
			t.Errorf("%s: opened with key %d", name, which)
		}
	}
}

func BenchmarkBunch(b *testing.B) {
	keys := make([]Key, 100)
	for i := range keys {
		keys[i] = NewKey()
	}
	slot := Slot{Kind: "patient-key", Practice: "AAAAAAAAAAAAAAAAAAAAAAAAAA", Holder: "AAAAAAAAAAAAAAAAAAAAAAAAAA.1", Subject: "AAAAAAAAAAAAAAAAAAAAAAAAAA", Part: "chart", Version: 1}
	bunch, box, room := NewBunch(keys), NewKey().SealKey(NewKey(), slot), make([]byte, 0, 4096)
	for b.Loop() {
		bunch.Open(room, box, slot)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/try")
}

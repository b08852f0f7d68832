package ledger

import (
	"encoding/json"
	"testing"
)

func FuzzBody(f *testing.F) {
	f.Add(string(encode(opened(1))))
	f.Add(string(encode(wrote("ANN", "R1", 3, "x"))))
	f.Add(`{"at":1,"kind":"a.b"}`)
	f.Add(`{"at":01,"kind":"a.b"}`)
	f.Add(`{"at":1,"kind":"a.b","version":9223372036854775808}`)
	f.Fuzz(func(t *testing.T, body string) {
		fact, err := parse(body)
		if err != nil {
			return
		}
		if got := string(encode(fact)); got != body {
			t.Fatalf("two texts for one fact: %q and %q", body, got)
		}
		var any map[string]any
		if err := json.Unmarshal([]byte(body), &any); err != nil {
			t.Fatalf("%q is no JSON: %v", body, err)
		}
	})
}

func FuzzCheckpoint(f *testing.F) {
	key := testKey(f)
	c, err := newCheckpoint(key, 1234, merkle(nil))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(c.Note))
	f.Add([]byte("quietroom/TEST\n1\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := ParseCheckpoint(text, key)
		if err == nil && (got.Size != c.Size || got.Root != c.Root) {
			t.Fatalf("a head that nobody signed: %q", text)
		}
	})
}

func FuzzProofs(f *testing.F) {
	l := openLedger(f)
	appendMany(f, l, 300)
	sequence(f, l)
	older, err := l.Head(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	appendMany(f, l, 77)
	sequence(f, l)
	head, err := l.Head(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	in, err := l.Prove(f.Context(), 17)
	if err != nil {
		f.Fatal(err)
	}
	con, err := l.Consistency(f.Context(), older.Size, head.Size)
	if err != nil {
		f.Fatal(err)
	}
	for _, p := range []any{in, con} {
		text, err := json.Marshal(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var p Inclusion
		if json.Unmarshal(text, &p) == nil {
			if e, err := p.Check(head); err == nil && string(encode(e.Fact)) != bodyOf(t, l, e.N) {
				t.Fatalf("proof of a fact that never was: %s", text)
			}
		}
		var c Consistency
		if json.Unmarshal(text, &c) == nil {
			forked := older
			forked.Root[0] ^= 1
			if c.Check(forked, head) == nil {
				t.Fatalf("proof of a fork: %s", text)
			}
		}
	})
}

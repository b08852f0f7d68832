package ledger

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"quietroom/ground/id"
	"quietroom/ground/store"
)

func openStore(t testing.TB) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "house.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func testKey(t testing.TB) Key {
	t.Helper()
	signer, _, err := NewKey("quietroom/TEST")
	if err != nil {
		t.Fatal(err)
	}
	key, err := ParseKey(signer)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func openLedger(t testing.TB) *Ledger {
	t.Helper()
	l, err := Open(t.Context(), openStore(t), testKey(t), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// opened is a fact as the vault writes it for every opening.
func opened(i int) Fact {
	return Fact{
		At:    time.UnixMilli(1764000000000 + int64(i)).UTC(),
		Actor: id.Actor{Person: "P7H2K4M6Q2R5T7V3W5X7Y2Z4A6", Device: "D7H2K4M6Q2R5T7V3W5X7Y2Z4A6"},
		Kind:  "vault.opened", Subject: "S7H2K4M6Q2R5T7V3W5X7Y2Z4A6", Part: "chart",
	}
}

func appendFacts(t fataler, db *store.DB, facts ...Fact) {
	t.Helper()
	err := db.Update(context.Background(), func(tx *store.Tx) error {
		for _, f := range facts {
			if err := Append(context.Background(), tx, f); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func appendMany(t testing.TB, l *Ledger, n int) {
	t.Helper()
	facts := make([]Fact, n)
	for i := range facts {
		facts[i] = opened(i)
	}
	appendFacts(t, l.db, facts...)
}

func sequence(t testing.TB, l *Ledger) {
	t.Helper()
	if err := l.drain(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestEveryFactIsProvenInEveryTree(t *testing.T) {
	l := openLedger(t)
	var heads []Checkpoint
	for range 40 {
		appendMany(t, l, 17)
		sequence(t, l)
		head, err := l.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		heads = append(heads, head)
	}
	last := heads[len(heads)-1]
	if last.Size != 40*17 {
		t.Fatalf("the tree has %d facts, want %d", last.Size, 40*17)
	}
	for n := int64(1); n <= last.Size; n += 13 {
		p, err := l.Prove(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		if e, err := p.Check(last); err != nil || e.N != n {
			t.Fatalf("fact %d: %v", n, err)
		}
	}
	for _, head := range heads {
		p, err := l.Consistency(t.Context(), head.Size, last.Size)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Check(head, last); err != nil {
			t.Fatalf("%d facts begin %d: %v", head.Size, last.Size, err)
		}
	}
}

func TestTheTreeIsTheOneOfRFC6962(t *testing.T) {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = stored[x]
		}
		return out, nil
	})
	var e edge
	for n := range int64(3*256*256 + 300) {
		body := encode(opened(int(n)))
		hashes, err := tlog.StoredHashes(n, body, reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
		e.push(0, tlog.RecordHash(body), func(int, []Hash) {})
		if n > 600 && n%997 != 0 && n&(n+1) != 0 && (n+1)%65536 != 0 {
			continue
		}
		want, err := tlog.TreeHash(n+1, reader)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.root(); got != want {
			t.Fatalf("root over %d facts is %v, want %v", n+1, got, want)
		}
	}
}

func hashOf(body string) Hash { return tlog.RecordHash([]byte(body)) }

// fataler is a testing.TB or a rapid.T.
type fataler interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// empty begins a ledger anew.
func empty(t fataler, l *Ledger) {
	t.Helper()
	for _, table := range []string{"facts", "waiting", "tiles", "heads"} {
		exec(t, l.db, "DELETE FROM ledger_"+table)
	}
	if err := l.db.Update(context.Background(), l.begin); err != nil {
		t.Fatal(err)
	}
}

package ledger

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
	"time"

	"quietroom/ground/store"
	"quietroom/ground/store/storetest"
)

// wrote is the fact of a write.
func wrote(subject, record string, version int64, text string) Fact {
	sum := sha256.Sum256([]byte(text))
	f := opened(int(version))
	f.Kind, f.Subject, f.Record, f.Version, f.Hash = "vault.written", subject, record, version, sum[:]
	return f
}

func TestWrittenIsTheLatestWriteOfEachRecord(t *testing.T) {
	storetest.Databases(t, func(t *testing.T, open func() *store.DB) {
		l, err := Open(t.Context(), open(), testKey(t), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		appendFacts(t, l.db, wrote("ANN", "R1", 1, "a"), wrote("ANN", "R2", 1, "b"), wrote("BEA", "R3", 1, "c"), wrote("ANN", "R1", 2, "d"))
		sequence(t, l)
		removal := wrote("ANN", "R4", 2, "")
		read := wrote("ANN", "R1", 1, "")
		read.Hash = nil // an opening writes nothing
		appendFacts(t, l.db, wrote("ANN", "R2", 2, "e"), wrote("ANN", "R4", 1, "f"), removal, wrote("BEA", "R2", 9, "g"), read)
		for _, step := range []string{"waiting", "numbered"} {
			got, err := l.Written(t.Context(), "ANN")
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256([]byte("e"))
			if len(got) != 3 || got["R1"].Version != 2 || got["R2"].Version != 2 || string(got["R2"].Hash) != string(sum[:]) || !got["R4"].Removed() || got["R1"].Removed() {
				t.Fatalf("%s: got %v", step, got)
			}
			sequence(t, l)
		}
	})
}

func TestFactsAreFoundByWhatIsAsked(t *testing.T) {
	storetest.Databases(t, func(t *testing.T, open func() *store.DB) {
		l, err := Open(t.Context(), open(), testKey(t), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		at := func(i int) time.Time { return opened(i).At }
		for i := range 1200 { // more than two pages
			f := opened(i)
			f.Subject = []string{"ANN", "BEA"}[i%2]
			f.Record = []string{"R0", "R1", "R2", "R3"}[i%4]
			if i%3 == 0 {
				f.Kind = "vault.written"
			}
			appendFacts(t, l.db, f)
			if i == 1100 { // the last 99 wait
				sequence(t, l)
			}
		}
		for _, c := range []struct {
			name        string
			q           Query
			count       int
			first, last int // index of the first and the last one
		}{
			{"all", Query{}, 1200, 0, 1199},
			{"the newest first", Query{Newest: true}, 1200, 1199, 0},
			{"some", Query{Limit: 3}, 3, 0, 2},
			{"the newest few", Query{Newest: true, Limit: 150}, 150, 1199, 1050},
			{"of one subject", Query{Subject: "BEA"}, 600, 1, 1199},
			{"of one record, newest first", Query{Subject: "BEA", Record: "R1", Newest: true}, 300, 1197, 1},
			{"of a kind", Query{Kinds: []string{"vault.written"}}, 400, 0, 1197},
			{"of kinds", Query{Kinds: []string{"vault.written", "vault.opened"}, Limit: 700}, 700, 0, 699},
			{"of a time", Query{Since: at(10), Until: at(1150)}, 1140, 10, 1149},
			{"of nobody", Query{Subject: "CAT"}, 0, 0, 0},
		} {
			t.Run(c.name, func(t *testing.T) {
				var got []Entry
				for e, err := range l.Facts(t.Context(), c.q) {
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, e)
				}
				if len(got) != c.count {
					t.Fatalf("got %d facts, want %d", len(got), c.count)
				}
				if c.count > 0 && (!got[0].At.Equal(at(c.first)) || !got[len(got)-1].At.Equal(at(c.last))) {
					t.Fatalf("got facts from %v to %v, want %v to %v", got[0].At, got[len(got)-1].At, at(c.first), at(c.last))
				}
			})
		}
	})
}

func TestFollowWaitsForTheNextFact(t *testing.T) {
	l := openLedger(t)
	appendMany(t, l, 1100)
	sequence(t, l)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	next := int64(7)
	for e, err := range l.Follow(ctx, next) {
		if err != nil || e.N != next {
			t.Fatalf("got fact %d (%v), want %d", e.N, err, next)
		}
		if next++; next == 1101 {
			appendMany(t, l, 5)
			sequence(t, l)
		}
		if next == 1106 {
			stop()
		}
	}
	if next != 1106 {
		t.Fatalf("followed to %d, want 1106", next)
	}
}

func TestAFactHoldsIdentifiersAndFixedWordsOnly(t *testing.T) {
	db := openLedger(t).db
	for name, spoil := range map[string]func(*Fact){
		"no time":             func(f *Fact) { f.At = time.Time{} },
		"a time before 1970":  func(f *Fact) { f.At = time.Unix(-1, 0) },
		"no kind":             func(f *Fact) { f.Kind = "" },
		"a kind without room": func(f *Fact) { f.Kind = ".opened" },
		"a kind with a space": func(f *Fact) { f.Kind = "vault.opened Ann" },
		"a name":              func(f *Fact) { f.Subject = "Ann Bell" },
		"a quote":             func(f *Fact) { f.Ref = `x"` },
		"a typed reason":      func(f *Fact) { f.Reason = "Ann asked" },
		"a long word":         func(f *Fact) { f.Record = strings.Repeat("a", 65) },
		"half a hash":         func(f *Fact) { f.Hash = make([]byte, 16) },
		"a negative version":  func(f *Fact) { f.Version = -1 },
		"an upper-case part":  func(f *Fact) { f.Part = "Chart" },
	} {
		t.Run(name, func(t *testing.T) {
			f := opened(1)
			spoil(&f)
			err := db.Update(t.Context(), func(tx *store.Tx) error { return Append(t.Context(), tx, f) })
			if err == nil {
				t.Fatal("it was taken")
			}
			if strings.Contains(err.Error(), "Ann") {
				t.Fatalf("the error repeats what was typed: %v", err)
			}
		})
	}
}

func TestAFactStandsOrFallsWithItsAct(t *testing.T) {
	l := openLedger(t)
	broken := errors.New("the act failed")
	err := l.db.Update(t.Context(), func(tx *store.Tx) error {
		if err := Append(t.Context(), tx, opened(1)); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if r := verify(t, l); r.Facts != 0 {
		t.Fatalf("an act that did not happen left %d facts", r.Facts)
	}
}

func TestAWrongClockIsRecordedAndStopsNobody(t *testing.T) {
	now := time.Now()
	l, err := Open(t.Context(), openStore(t), testKey(t), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	for range 6 {
		f := opened(1)
		f.At = now
		appendFacts(t, l.db, f)
		sequence(t, l)
		now = now.Add(-40 * time.Hour)
	}
	if r := verify(t, l); !r.Held() || r.Facts != 6 {
		t.Fatalf("%+v %+v", r, r.Finding)
	}
}

func TestAReaderNumbersNothing(t *testing.T) {
	l := openLedger(t)
	appendMany(t, l, 3)
	r := reader(l)
	if _, err := r.Sequence(t.Context()); !errors.Is(err, ErrKeyless) {
		t.Fatalf("got %v, want ErrKeyless", err)
	}
	if rep := verify(t, r); !rep.Held() || rep.Waiting != 3 {
		t.Fatalf("%+v %+v, want 3 waiting facts", rep, rep.Finding)
	}
}

func TestNothingIsSignedOnABrokenTree(t *testing.T) {
	l, _ := days(t, openStore(t), 300)
	exec(t, l.db, `UPDATE ledger_tiles SET hashes = $1 WHERE level = 0 AND tile = 1`, make([]byte, 44*32))
	appendMany(t, l, 1)
	if _, err := l.Sequence(t.Context()); !errors.Is(err, ErrBroken) {
		t.Fatalf("got %v, want ErrBroken", err)
	}
	if _, err := l.Prove(t.Context(), 280); err == nil {
		t.Fatal("a proof was made of a changed hash")
	}
}

func TestSixWords(t *testing.T) {
	list := strings.Fields(wordText)
	seen := map[string]bool{}
	for _, w := range list {
		seen[w] = true
	}
	if len(list) != 1<<wordBits || len(seen) != len(list) {
		t.Fatalf("the list has %d words, %d different ones, want %d", len(list), len(seen), 1<<wordBits)
	}
	var root Hash
	for i := range root {
		root[i] = 0xff
	}
	if got := Words(root); got[0] != list[1023] || got[5] != list[1023] {
		t.Fatalf("got %v", got)
	}
	// 0000000001 0000000010 0000000011 0000000100 0000000101 0000000110
	root = Hash{0x00, 0x40, 0x20, 0x0c, 0x04, 0x01, 0x40, 0x60}
	if got := Words(root); got != [6]string{list[1], list[2], list[3], list[4], list[5], list[6]} {
		t.Fatalf("got %v, want words 1 to 6 of the list", got)
	}
}

func TestWrittenKnowsWhatOthersAddAndLosesNothing(t *testing.T) {
	storetest.Databases(t, func(t *testing.T, open func() *store.DB) {
		key, db := testKey(t), open()
		here, err := Open(t.Context(), db, key, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		if db.Kind() == store.Postgres { // on SQLite one process has the house
			db = open()
		}
		there, err := Open(t.Context(), db, key, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		want := func(l *Ledger, version int64) {
			t.Helper()
			for range 3 { // read, remembered, and read on
				if got, err := l.Written(t.Context(), "ANN"); err != nil || len(got) != 1 || got["R1"].Version != version {
					t.Fatalf("got %v, %v; want version %d", got, err, version)
				}
			}
		}
		for version := int64(1); version < 6; version++ {
			appendFacts(t, there.db, wrote("ANN", "R1", version, "x"), wrote("BEA", "R1", version+10, "y"))
			want(here, version)
			want(there, version)
			sequence(t, there)
			want(here, version)
			want(there, version)
		}
		exec(t, there.db, `DELETE FROM ledger_facts WHERE version = 5`)
		want(here, 5)
		if got, err := here.WrittenAnew(t.Context(), "ANN"); err != nil || got["R1"].Version != 4 {
			t.Fatalf("anew: got %v, %v; want version 4", got, err)
		}
	})
}

// Somebody who writes the database copies a genuine fact to a number far ahead:
// what is numbered later still counts.
func TestAFactPutInFarAheadHidesNone(t *testing.T) {
	storetest.Databases(t, func(t *testing.T, open func() *store.DB) {
		l, err := Open(t.Context(), open(), testKey(t), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		appendFacts(t, l.db, wrote("ANN", "R1", 1, "a"))
		sequence(t, l)
		exec(t, l.db, `INSERT INTO ledger_facts (n, body, mac) SELECT 1000000, body, mac FROM ledger_facts WHERE n = 1`)
		for version := int64(1); version < 5; version++ {
			for range 3 {
				if got, err := l.Written(t.Context(), "ANN"); err != nil || got["R1"].Version != version {
					t.Fatalf("got %v, %v; want version %d", got, err, version)
				}
			}
			appendFacts(t, l.db, wrote("ANN", "R1", version+1, "b"))
			sequence(t, l)
		}
	})
}

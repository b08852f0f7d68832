package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/store/storetest"
)

// exec does what somebody with write access to the database does.
func exec(t fataler, db *store.DB, query string, args ...any) {
	t.Helper()
	err := db.Update(context.Background(), func(tx *store.Tx) error {
		_, err := tx.ExecContext(context.Background(), query, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// reader opens the ledger without the signing key, as a copied house is verified.
func reader(l *Ledger) *Ledger {
	return &Ledger{db: l.db, key: Key{name: l.key.name, verifier: l.key.verifier}, now: l.now}
}

func verify(t fataler, l *Ledger, witness ...Checkpoint) Report {
	t.Helper()
	r, err := l.Verify(context.Background(), Options{Witness: witness})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wantFinding(t testing.TB, r Report, want string) {
	t.Helper()
	if r.Finding == nil || !strings.Contains(r.Finding.Text, want) {
		t.Fatalf("verify says %+v, want %q", r.Finding, want)
	}
}

// again takes the ledger out of a database.
func again(t fataler, db *store.DB) {
	t.Helper()
	for _, table := range []string{"facts", "waiting", "tiles", "heads"} {
		exec(t, db, "DROP TABLE IF EXISTS ledger_"+table)
	}
	exec(t, db, "DELETE FROM store_versions WHERE room = 'ledger'")
}

// days is a ledger of three days, with the head of each.
func days(t *testing.T, db *store.DB, sizes ...int) (l *Ledger, heads []Checkpoint) {
	now := time.Unix(1764000000, 0)
	l, err := Open(t.Context(), db, testKey(t), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range sizes {
		now = now.Add(24 * time.Hour)
		facts := make([]Fact, size)
		for i := range facts {
			facts[i] = opened(i)
			facts[i].Version = int64(len(heads)*100000 + i + 1) // no two alike
		}
		appendFacts(t, db, facts...)
		sequence(t, l)
		head, err := l.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		heads = append(heads, head)
	}
	return l, heads
}

const setBody = `UPDATE ledger_facts SET body = $2 WHERE n = $1`

func bodyOf(t fataler, l *Ledger, n int64) (body string) {
	t.Helper()
	if err := l.db.QueryRowContext(context.Background(), `SELECT body FROM ledger_facts WHERE n = $1`, n).Scan(&body); err != nil {
		t.Fatal(err)
	}
	return body
}

func forged(i int) string {
	f := opened(i)
	f.Subject = "ANOTHERPATIENT"
	return string(encode(f))
}

func TestVerifyNamesTheFirstBadRow(t *testing.T) {
	const total = 700 + 600 + 250
	cases := []struct {
		name   string
		tamper func(t *testing.T, l *Ledger, heads []Checkpoint)
		want   string
	}{
		{"a fact's text is changed", func(t *testing.T, l *Ledger, _ []Checkpoint) {
			exec(t, l.db, setBody, 1311, forged(1))
			exec(t, l.db, setBody, 1313, forged(2))
		}, "fact 1311: its text was changed"},
		{"a fact of the last, unfinished tile is changed", func(t *testing.T, l *Ledger, _ []Checkpoint) {
			exec(t, l.db, setBody, total, forged(1))
		}, fmt.Sprintf("fact %d: its text was changed", total)},
		{"white space is put into a fact", func(t *testing.T, l *Ledger, _ []Checkpoint) {
			exec(t, l.db, setBody, 5, strings.Replace(bodyOf(t, l, 5), ":", ": ", 1))
		}, "fact 5: its text was changed"},
		{"a line feed is put into a fact", func(t *testing.T, l *Ledger, _ []Checkpoint) {
			exec(t, l.db, setBody, 5, bodyOf(t, l, 5)+"\n")
		}, "fact 5: its text was changed"},
		{"a fact is deleted", func(t *testing.T, l *Ledger, _ []Checkpoint) {
			exec(t, l.db, `DELETE FROM ledger_facts WHERE n = 700`)
		}, "fact 700 is missing"},
		{"a fact is deleted and the next ones move up", func(t *testing.T, l *Ledger, _ []Checkpoint) {
			exec(t, l.db, `DELETE FROM ledger_facts WHERE n = 700`)
			for n := 701; n <= total; n++ {
				exec(t, l.db, `UPDATE ledger_facts SET n = n - 1 WHERE n = $1`, n)
			}
		}, "fact 700: fact 701 stands in its place"},
		{"two facts change places", func(t *testing.T, l *Ledger, _ []Checkpoint) {
			a, b := bodyOf(t, l, 20), bodyOf(t, l, 900)
			exec(t, l.db, setBody, 20, b)
			exec(t, l.db, setBody, 900, a)
		}, "fact 20: fact 900 stands in its place"},
		{"the last facts are deleted", func(t *testing.T, l *Ledger, _ []Checkpoint) {
			exec(t, l.db, `DELETE FROM ledger_facts WHERE n > 1000`)
		}, "fact 1001 is missing"},
		{"a stored hash is changed", func(t *testing.T, l *Ledger, _ []Checkpoint) {
			data, err := readTile(t.Context(), l.db, 0, 2)
			if err != nil {
				t.Fatal(err)
			}
			data[3*32]++
			exec(t, l.db, `UPDATE ledger_tiles SET hashes = $1 WHERE level = 0 AND tile = 2`, data)
		}, "fact 516: its stored hash was changed"},
		{"stored hashes are deleted", func(t *testing.T, l *Ledger, _ []Checkpoint) {
			exec(t, l.db, `DELETE FROM ledger_tiles WHERE level = 0 AND tile = 2`)
		}, "fact 513: its stored hash is missing"},
		{"a hash above is changed", func(t *testing.T, l *Ledger, _ []Checkpoint) {
			data, err := readTile(t.Context(), l.db, 1, 0)
			if err != nil {
				t.Fatal(err)
			}
			data[33]++
			exec(t, l.db, `UPDATE ledger_tiles SET hashes = $1 WHERE level = 1`, data)
		}, "a hash stored above it was changed (row 1/0)"},
		{"a fact is changed with its stored hash", func(t *testing.T, l *Ledger, _ []Checkpoint) {
			exec(t, l.db, setBody, 300, forged(1))
			rehash(t, l, 1)
		}, "facts 257 to 512: one of them was changed"},
		{"a fact is changed with all hashes", func(t *testing.T, l *Ledger, _ []Checkpoint) {
			exec(t, l.db, setBody, 800, forged(1))
			rehash(t, l, 1, 3)
			rehash(t, l, 0)
			rehashAbove(t, l)
		}, "facts 701 to 1300 are not the ones that the head of 1300 facts was signed for"},
		{"the newest head is edited", func(t *testing.T, l *Ledger, _ []Checkpoint) {
			exec(t, l.db, `UPDATE ledger_heads SET note = replace(note, '1550', '1549') WHERE size = 1550`)
		}, "the head of 1550 facts: the house's key did not sign it"},
		{"an older head is edited", func(t *testing.T, l *Ledger, heads []Checkpoint) {
			exec(t, l.db, `UPDATE ledger_heads SET note = $1 WHERE size = 700`, strings.Replace(heads[0].Note, "700", "701", 1))
		}, "the head of 700 facts: the house's key did not sign it"},
		{"a head is signed by another key", func(t *testing.T, l *Ledger, heads []Checkpoint) {
			c, err := newCheckpoint(testKey(t), 1550, heads[2].Root)
			if err != nil {
				t.Fatal(err)
			}
			exec(t, l.db, `UPDATE ledger_heads SET note = $1 WHERE size = 1550`, c.Note)
		}, "the head of 1550 facts: the house's key did not sign it"},
		{"the newest head is taken away", func(t *testing.T, l *Ledger, _ []Checkpoint) {
			exec(t, l.db, `DELETE FROM ledger_heads WHERE size = 1550`)
		}, "fact 1301 has a number, and no signed head covers it"},
		{"all heads are taken away", func(t *testing.T, l *Ledger, _ []Checkpoint) {
			exec(t, l.db, `DELETE FROM ledger_heads`)
		}, "the head of the tree is missing"},
		{"a stranger puts in a numbered fact, and others wait", func(t *testing.T, l *Ledger, _ []Checkpoint) {
			exec(t, l.db, `INSERT INTO ledger_facts (n, body) VALUES ($1, $2)`, total+1, forged(1))
			appendMany(t, l, 3)
		}, "fact 1551 has a number, and no signed head covers it"},
		{"a stranger puts in a fact before the first", func(t *testing.T, l *Ledger, _ []Checkpoint) {
			exec(t, l.db, `INSERT INTO ledger_facts (n, body) VALUES (0, $1)`, forged(1))
		}, "fact 0: numbers begin at 1"},
		{"the heads are gone, and a number is enormous", func(t *testing.T, l *Ledger, _ []Checkpoint) {
			exec(t, l.db, `INSERT INTO ledger_facts (n, body) VALUES (9000000000000000000, $1)`, forged(1))
			exec(t, l.db, `DELETE FROM ledger_heads`)
		}, "the head of the tree is missing"},
		{"a stranger writes a waiting fact", func(t *testing.T, l *Ledger, _ []Checkpoint) {
			exec(t, l.db, `INSERT INTO ledger_waiting (body, mac) VALUES ('{"at": 1}', $1)`, []byte("x"))
		}, "was not written by this program"},
	}
	storetest.Databases(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		if err := db.Migrate(t.Context(), "ledger", schema); err != nil {
			t.Fatal(err)
		}
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				again(t, db)
				l, heads := days(t, db, 700, 600, 250)
				if r := verify(t, l, heads...); !r.Held() || r.Facts != total || r.Witness != total {
					t.Fatalf("an untouched ledger: %+v %+v", r, r.Finding)
				}
				c.tamper(t, l, heads)
				wantFinding(t, verify(t, reader(l)), c.want)
				wantFinding(t, verify(t, l), c.want)
			})
		}
	})
}

// rehash makes stored hashes fit changed facts.
func rehash(t *testing.T, l *Ledger, tiles ...int64) {
	t.Helper()
	for _, tile := range tiles {
		rows, err := l.page(t.Context(), statement{`SELECT n, body FROM ledger_facts WHERE n > $1 AND n <= $2 ORDER BY n`, []any{tile * tileWidth, (tile + 1) * tileWidth}})
		if err != nil {
			t.Fatal(err)
		}
		var leaves []Hash
		for _, r := range rows {
			leaves = append(leaves, hashOf(r.body))
		}
		exec(t, l.db, `UPDATE ledger_tiles SET hashes = $1 WHERE level = 0 AND tile = $2`, join(leaves), tile)
	}
}

func rehashAbove(t *testing.T, l *Ledger) {
	t.Helper()
	var above []Hash
	for tile := range int64(6) {
		data, err := readTile(t.Context(), l.db, 0, tile)
		if err != nil {
			t.Fatal(err)
		}
		above = append(above, merkle(split(data)))
	}
	exec(t, l.db, `UPDATE ledger_tiles SET hashes = $1 WHERE level = 1`, join(above))
}

// Whoever can write the database, and does not have the ledger's key, puts in no
// fact: not for Written, by which the vault tells a record's latest version, and
// not into the signed tree.
func TestAWaitingFactWithoutTheKeysMACCountsForNothing(t *testing.T) {
	storetest.Databases(t, func(t *testing.T, open func() *store.DB) {
		l, _ := days(t, open(), 3)
		subject := id.New[id.Patient]()
		forgery := string(encode(Fact{At: time.Now(), Kind: "vault.written", Subject: string(subject), Record: "R", Version: 9, Hash: Nothing[:]}))
		exec(t, l.db, `INSERT INTO ledger_waiting (body, mac) VALUES ($1, $2)`, forgery, mac(seal.NewKey(), forgery))
		if got, err := l.Written(t.Context(), string(subject)); err == nil {
			t.Errorf("a forged fact is taken for a write: %v", got)
		}
		wantFinding(t, verify(t, l), "was not written by this program")
		if _, err := l.Sequence(t.Context()); !errors.Is(err, ErrBroken) {
			t.Errorf("a forged fact gets a number: %v", err)
		}
	})
}

// rewrite makes the whole ledger anew with the real key, as its thief can.
func rewrite(t *testing.T, l *Ledger, change func([]string) []string) {
	t.Helper()
	rows, err := l.page(t.Context(), statement{text: `SELECT n, body FROM ledger_facts ORDER BY n`})
	if err != nil {
		t.Fatal(err)
	}
	var bodies []string
	for _, r := range rows {
		bodies = append(bodies, r.body)
	}
	for _, table := range []string{"facts", "tiles", "heads"} {
		exec(t, l.db, "DELETE FROM ledger_"+table)
	}
	for _, body := range change(bodies) {
		exec(t, l.db, `INSERT INTO ledger_waiting (body, mac) VALUES ($1, $2)`, body, mac(l.key.waiting, body))
	}
	if err := l.db.Update(t.Context(), l.begin); err != nil {
		t.Fatal(err)
	}
	sequence(t, l)
}

func TestOnlyAWitnessFindsARewriteWithTheRealKey(t *testing.T) {
	changes := []struct {
		name   string
		change func([]string) []string
		want   string
	}{
		{"a fact is replaced", func(b []string) []string { b[349] = forged(1); return b }, "facts 301 to 600 are not the ones that a witness has seen"},
		{"a fact is replaced, and as many are signed as the witness has seen", func(b []string) []string { b[349] = forged(1); return b[:600] }, "facts 301 to 600 are not the ones that a witness has seen"},
		{"a fact is left out", func(b []string) []string { return append(b[:349], b[350:]...) }, "facts 301 to 600 are not the ones that a witness has seen"},
		{"the end is cut off", func(b []string) []string { return b[:500] }, "facts 501 to 600 are gone: a witness has seen 600 facts"},
		{"everything is gone", func(b []string) []string { return nil }, "facts 1 to 300 are gone: a witness has seen 300 facts"},
	}
	for _, c := range changes {
		t.Run(c.name, func(t *testing.T) {
			l, heads := days(t, openStore(t), 300, 300, 100)
			rewrite(t, l, c.change)
			if r := verify(t, l); !r.Held() {
				t.Fatalf("without a witness: %+v; the limits in the package doc are no longer true", r.Finding)
			}
			witness := heads[:2] // it has not seen the newest head
			wantFinding(t, verify(t, l, witness...), c.want)

			head, err := l.Head(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			p, err := l.Consistency(t.Context(), witness[1].Size, head.Size)
			if err == nil {
				err = p.Check(witness[1], head)
			}
			if err == nil {
				t.Fatal("the witness accepts a proof of consistency with a rewritten ledger")
			}
		})
	}
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/layer"
)

// tamper changes the ledger of a copy of the practice's own house, and of the
// trial house, in every way that somebody with write access can, also with the
// real signing key. Verify has to find each, and name where it begins.
func (t *trial) tamper() layer.Drill {
	return layer.Drill{Name: "tamper", Proves: "every change of the ledger is found", Run: func(ctx context.Context, s *layer.Stage) (layer.Report, error) {
		r := layer.Report{Findings: []string{}, More: map[string]any{}}
		taken, err := s.Trial.Take(ctx)
		if err != nil {
			return r, err
		}
		const inTrial, inCopy = 400, 42
		for _, house := range []struct {
			name, dir string
			times     int
		}{{"trial house", taken, inTrial}, {"copy", s.Copy, inCopy}} {
			path := filepath.Join(house.dir, "whole.db")
			d := &tampers{report: &r, house: house.name, seed: newSeed(), dir: house.dir, sabotage: s.Sabotage, told: map[string]bool{}}
			if err := d.open(ctx, path); err != nil {
				return r, fmt.Errorf("%s: %w", house.name, err)
			}
			err := d.run(ctx, house.times, func(done int) { s.Step(done, house.times) })
			if err = errors.Join(err, d.db.Close()); err != nil {
				return r, fmt.Errorf("%s: %w", house.name, err)
			}
		}
		r.Held = new(len(r.Findings) == 0)
		return r, nil
	}}
}

// tampers is one ledger under attack. What is changed is put back after each try.
type tampers struct {
	report   *layer.Report
	house    string
	dir      string
	sabotage bool
	told     map[string]bool // kinds of tampering that were told of
	seed     uint64
	dice     dice

	db      *store.DB
	key     ledger.Key
	ledger  *ledger.Ledger
	witness []ledger.Checkpoint // heads that others have kept
	early   state               // as it was at the first of them
	size    int64
	touched touched
}

// state is what signs a ledger of so many facts: the last tiles and heads.
type state struct {
	size         int64
	tiles, heads []stored
}

type stored struct {
	a, b int64
	data []byte
}

// tampering is one way to change a ledger of d.size facts.
type tampering struct {
	name string
	do   func(ctx context.Context, d *tampers, n int64) (first, last int64, err error)
}

// tamperings are tried in turn, each at another place n; first and last bound
// the fact that Verify has to name.
var tamperings = []tampering{
	{"a fact's text is changed", changeText},
	{"white space is put into a fact", addSpace},
	{"a fact is deleted", deleteFact},
	{"two facts change places", swapFacts},
	{"facts are cut off", cutOff},
	{"a stored hash is changed", changeHash},
	{"a fact is changed and its stored hash with it", changeTextAndHash},
	{"a fact is put in behind the head", putBehind},
	{"a fact is put in before the first", putBefore},
	{"a fact is put in between, and later ones move on", putBetween},
	{"the newest head is deleted", deleteHead},
	{"the newest head is changed", changeHead},
	// Of these only heads kept elsewhere tell: whoever did it has the real key.
	{"facts and tree are put back to an older state, signed with the real key", putBack},
	{"facts are rewritten after an older state, signed with the real key", fork},
}

func (d *tampers) open(ctx context.Context, path string) (err error) {
	d.dice = dice(d.seed)
	if d.key, err = readLedgerKey(filepath.Join(d.dir, "house")); err != nil {
		return err
	}
	if d.db, err = store.Open(ctx, path); err != nil {
		return err
	}
	if d.ledger, err = ledger.Open(ctx, d.db, d.key, time.Now); err != nil {
		return err
	}
	// The house goes on while others keep its heads: two are kept, some facts apart.
	for range 2 {
		if err := d.appendFacts(ctx, d.ledger, d.db, 150); err != nil {
			return err
		}
		head, err := d.ledger.Head(ctx)
		if err != nil {
			return err
		}
		d.witness, d.size = append(d.witness, head), head.Size
		if d.early.size == 0 {
			if d.early, err = d.state(ctx, head.Size); err != nil {
				return err
			}
		}
	}
	return d.exec(ctx, `CREATE TABLE kept_facts AS SELECT n, body, mac FROM ledger_facts`, `CREATE TABLE kept_tiles AS SELECT * FROM ledger_tiles`,
		`CREATE TABLE kept_heads AS SELECT * FROM ledger_heads`, `CREATE UNIQUE INDEX kept_n ON kept_facts (n)`)
}

// run tries every way of tampering in turn, some hundred times in all.
func (d *tampers) run(ctx context.Context, times int, step func(done int)) error {
	if r, err := d.verify(ctx, d.db); err != nil || r.Finding != nil {
		return errors.Join(err, d.fails("nothing was changed yet, and verify says: %v", r.Finding))
	}
	for i := range times {
		x := tamperings[i%len(tamperings)]
		n := 2 + d.dice.below(d.early.size-2)
		d.touched = touched{some: []int64{n}}
		first, last, err := x.do(ctx, d, n)
		if err != nil {
			return fmt.Errorf("%s: %w", x.name, err)
		}
		d.report.Tried++
		r, err := d.verify(ctx, d.db)
		if err != nil {
			return fmt.Errorf("verify after %s: %w", x.name, err)
		}
		if err := d.judge(x.name, n, first, last, r.Finding); err != nil {
			return err
		}
		if err := d.restore(ctx, d.touched); err != nil {
			return err
		}
		step(i + 1)
	}
	if r, err := d.verify(ctx, d.db); err != nil || r.Finding != nil {
		return errors.Join(err, d.fails("all was put back, and verify says: %v", r.Finding))
	}
	d.report.More[d.house] = map[string]any{"seed": d.seed, "facts": d.size, "ways": len(tamperings), "rewritten_whole": d.size <= mostRewritten}
	if d.size > mostRewritten {
		return nil
	}
	return d.rewrite(ctx)
}

// mostRewritten bounds the ledgers that are rewritten as a whole: a larger one
// takes long to write, and the trial's shows the same.
const mostRewritten = 20_000

func (d *tampers) judge(name string, n, first, last int64, f *ledger.Finding) error {
	switch {
	case f == nil:
		d.report.Opened++
		return d.failsOnce(name, "%s (fact %d, seed %d): verify found nothing", name, n, d.seed)
	case f.Fact < first || f.Fact > last:
		return d.failsOnce(name, "%s (fact %d, seed %d): verify named fact %d, not one of %d to %d: %s", name, n, d.seed, f.Fact, first, last, f.Text)
	}
	return nil
}

func (d *tampers) fails(format string, a ...any) error {
	d.report.Findings = append(d.report.Findings, d.house+": "+fmt.Sprintf(format, a...))
	return nil
}

// failsOnce tells of the first try of each kind; Opened counts all.
func (d *tampers) failsOnce(name, format string, a ...any) error {
	if d.told[name] {
		return nil
	}
	d.told[name] = true
	return d.fails(format, a...)
}

// verify verifies as somebody with heads kept elsewhere does; under sabotage as
// if nobody had kept any.
func (d *tampers) verify(ctx context.Context, db *store.DB) (ledger.Report, error) {
	l, err := ledger.Open(ctx, db, d.key, time.Now)
	if err != nil {
		return ledger.Report{}, err
	}
	o := ledger.Options{Witness: d.witness}
	if d.sabotage {
		o.Witness = nil
	}
	return l.Verify(ctx, o)
}

func (d *tampers) exec(ctx context.Context, statements ...string) error {
	return d.db.Update(ctx, func(tx *store.Tx) error {
		for _, s := range statements {
			if _, err := tx.ExecContext(ctx, s); err != nil {
				return err
			}
		}
		return nil
	})
}

func (d *tampers) do(ctx context.Context, statement string, args ...any) error {
	return d.db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, statement, args...)
		return err
	})
}

// touched are the facts that a tampering changes: some, and all from a number on.
type touched struct {
	some []int64
	from int64
}

// restore puts back what was touched, and all of the tree.
func (d *tampers) restore(ctx context.Context, t touched) error {
	return d.db.Update(ctx, func(tx *store.Tx) error {
		if t.from == 0 {
			t.from = d.size + 1
		}
		exec := func(statement string, args ...any) error {
			_, err := tx.ExecContext(ctx, statement, args...)
			return err
		}
		err := errors.Join(exec(`DELETE FROM ledger_facts WHERE n < 1 OR n >= $1`, t.from), exec(`INSERT INTO ledger_facts (n, body, mac) SELECT n, body, mac FROM kept_facts WHERE n >= $1`, t.from))
		for _, n := range t.some {
			err = errors.Join(err, exec(`INSERT INTO ledger_facts (n, body, mac) SELECT n, body, mac FROM kept_facts WHERE n = $1 ON CONFLICT (n) DO UPDATE SET body = excluded.body, mac = excluded.mac`, n))
		}
		for _, table := range []string{"tiles", "heads"} {
			err = errors.Join(err, exec(`DELETE FROM ledger_`+table), exec(`INSERT INTO ledger_`+table+` SELECT * FROM kept_`+table))
		}
		return errors.Join(err, exec(`DELETE FROM ledger_waiting`))
	})
}

// state reads the tiles that still grow, and all heads.
func (d *tampers) state(ctx context.Context, size int64) (s state, err error) {
	s.size = size
	s.tiles, err = d.read(ctx, `SELECT level, tile, hashes FROM ledger_tiles WHERE length(hashes) < 8192`)
	if err != nil {
		return s, err
	}
	s.heads, err = d.read(ctx, `SELECT day, size, note FROM ledger_heads`)
	return s, err
}

func (d *tampers) read(ctx context.Context, query string) (list []stored, err error) {
	rows, err := d.db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s stored
		if err := rows.Scan(&s.a, &s.b, &s.data); err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, rows.Err()
}

func (d *tampers) body(ctx context.Context, n int64) (body string, err error) {
	err = d.db.QueryRowContext(ctx, `SELECT body FROM ledger_facts WHERE n = $1`, n).Scan(&body)
	return body, err
}

// anotherBody is a fact's text with one letter of an identifier changed, as
// somebody changes it who wants to have been another person.
func (d *tampers) anotherBody(ctx context.Context, n int64) (string, error) {
	body, err := d.body(ctx, n)
	if err != nil {
		return "", err
	}
	var f map[string]any
	if err := json.Unmarshal([]byte(body), &f); err != nil {
		return "", err
	}
	for _, field := range []string{"subject", "person", "record", "ref"} {
		if old, ok := f[field].(string); ok && old != "" {
			other := "A" + old[1:]
			if other == old {
				other = "B" + old[1:]
			}
			return strings.Replace(body, old, other, 1), nil
		}
	}
	return strings.Replace(body, `{"at":1`, `{"at":2`, 1), nil
}

const setBody = `UPDATE ledger_facts SET body = $2 WHERE n = $1`

func changeText(ctx context.Context, d *tampers, n int64) (int64, int64, error) {
	other, err := d.anotherBody(ctx, n)
	if err != nil {
		return 0, 0, err
	}
	return n, n, d.do(ctx, setBody, n, other)
}

func addSpace(ctx context.Context, d *tampers, n int64) (int64, int64, error) {
	return n, n, d.do(ctx, `UPDATE ledger_facts SET body = replace(body, ',"kind"', ', "kind"') WHERE n = $1`, n)
}

func deleteFact(ctx context.Context, d *tampers, n int64) (int64, int64, error) {
	return n, n, d.do(ctx, `DELETE FROM ledger_facts WHERE n = $1`, n)
}

func swapFacts(ctx context.Context, d *tampers, n int64) (int64, int64, error) {
	m := n - 1 - d.dice.below(n-1)
	for { // two facts of the same text may change places unseen: nothing changes
		a, err := d.body(ctx, m)
		if err != nil {
			return 0, 0, err
		}
		b, err := d.body(ctx, n)
		if err != nil {
			return 0, 0, err
		}
		if a == b {
			n++
			continue
		}
		d.touched.some = []int64{m, n}
		return m, m, errors.Join(d.do(ctx, setBody, m, b), d.do(ctx, setBody, n, a))
	}
}

func cutOff(ctx context.Context, d *tampers, n int64) (int64, int64, error) {
	n = max(n, d.size-2000) // more takes longer to put back, and shows the same
	d.touched.from = n + 1
	return n + 1, n + 1, d.do(ctx, `DELETE FROM ledger_facts WHERE n > $1`, n)
}

func changeHash(ctx context.Context, d *tampers, n int64) (int64, int64, error) {
	tile, at := (n-1)/256, (n-1)%256*32
	rows, err := d.read(ctx, fmt.Sprintf(`SELECT level, tile, hashes FROM ledger_tiles WHERE level = 0 AND tile = %d`, tile))
	if err != nil || len(rows) != 1 {
		return 0, 0, fmt.Errorf("read hashes of tile %d: %w", tile, err)
	}
	rows[0].data[at+d.dice.below(32)] ^= 1 << d.dice.below(8)
	return n, n, d.do(ctx, `UPDATE ledger_tiles SET hashes = $2 WHERE level = 0 AND tile = $1`, tile, rows[0].data)
}

// changeTextAndHash is what somebody does who knows the tree, without the key.
// The first bad fact is known to its tile only: 256 facts.
func changeTextAndHash(ctx context.Context, d *tampers, n int64) (int64, int64, error) {
	first, _, err := changeText(ctx, d, n)
	if err != nil {
		return 0, 0, err
	}
	body, err := d.body(ctx, n)
	if err != nil {
		return 0, 0, err
	}
	tile, at := (n-1)/256, (n-1)%256*32
	rows, err := d.read(ctx, fmt.Sprintf(`SELECT level, tile, hashes FROM ledger_tiles WHERE level = 0 AND tile = %d`, tile))
	if err != nil || len(rows) != 1 {
		return 0, 0, fmt.Errorf("read hashes of tile %d: %w", tile, err)
	}
	leaf := ledger.Leaf(body)
	copy(rows[0].data[at:], leaf[:])
	low := tile*256 + 1
	if tile == d.early.size/256 { // of a tile that still grows no hash stands above
		low = 1
	}
	return low, first, d.do(ctx, `UPDATE ledger_tiles SET hashes = $2 WHERE level = 0 AND tile = $1`, tile, rows[0].data)
}

func putBehind(ctx context.Context, d *tampers, n int64) (int64, int64, error) {
	return d.size + 1, d.size + 1, d.do(ctx, `INSERT INTO ledger_facts (n, body) SELECT $1, body FROM ledger_facts WHERE n = $2`, d.size+1, n)
}

func putBefore(ctx context.Context, d *tampers, n int64) (int64, int64, error) {
	before := -d.dice.below(1000)
	return before, before, d.do(ctx, `INSERT INTO ledger_facts (n, body) SELECT $1, body FROM ledger_facts WHERE n = $2`, before, n)
}

func putBetween(ctx context.Context, d *tampers, n int64) (int64, int64, error) {
	n = max(n, d.size-2000)
	d.touched.from = n
	other, err := d.anotherBody(ctx, n)
	if err != nil {
		return 0, 0, err
	}
	return n, n, errors.Join( // by way of numbers that are free
		d.do(ctx, `UPDATE ledger_facts SET n = n + 1000000000 WHERE n >= $1`, n),
		d.do(ctx, `UPDATE ledger_facts SET n = n - 999999999 WHERE n >= 1000000000`),
		d.do(ctx, `INSERT INTO ledger_facts (n, body) VALUES ($1, $2)`, n, other))
}

// deleteHead leaves the facts of the day without a head: the first of them is
// named, or, where no earlier day's head is left, the head itself (fact 0).
func deleteHead(ctx context.Context, d *tampers, _ int64) (int64, int64, error) {
	return 0, d.size, d.do(ctx, `DELETE FROM ledger_heads WHERE size = (SELECT max(size) FROM ledger_heads)`)
}

func changeHead(ctx context.Context, d *tampers, n int64) (int64, int64, error) {
	return 0, d.size, d.do(ctx, `UPDATE ledger_heads SET note = replace(note, char(10) || size || char(10), char(10) || $1 || char(10)), size = $1 WHERE size = $2`, n, d.size)
}

// putBack puts everything back to the earlier state: it was signed with the real key.
func putBack(ctx context.Context, d *tampers, _ int64) (int64, int64, error) {
	first := d.early.size + 1
	d.touched.from = first
	return first, first, d.db.Update(ctx, func(tx *store.Tx) error {
		for _, s := range []string{`DELETE FROM ledger_facts WHERE n > $1`, `DELETE FROM ledger_tiles WHERE level = 0 AND tile > $1 / 256`, `DELETE FROM ledger_heads WHERE size > $1`} {
			if _, err := tx.ExecContext(ctx, s, d.early.size); err != nil {
				return err
			}
		}
		for _, t := range d.early.tiles {
			if _, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO ledger_tiles (level, tile, hashes) VALUES ($1, $2, $3)`, t.a, t.b, t.data); err != nil {
				return err
			}
		}
		for _, h := range d.early.heads {
			if _, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO ledger_heads (day, size, note) VALUES ($1, $2, $3)`, h.a, h.b, string(h.data)); err != nil {
				return err
			}
		}
		return nil
	})
}

// fork writes other facts after the earlier state, and signs them with the real key.
func fork(ctx context.Context, d *tampers, n int64) (int64, int64, error) {
	first, _, err := putBack(ctx, d, n)
	if err != nil {
		return 0, 0, err
	}
	return first, first, d.appendFacts(ctx, d.ledger, d.db, 150+int(d.dice.below(50)))
}

// rewrite writes the whole ledger anew into another database, with one fact
// changed, and signs it with the real key: only heads kept elsewhere tell.
func (d *tampers) rewrite(ctx context.Context) error {
	db, err := store.Open(ctx, filepath.Join(d.dir, "rewritten.db"))
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := ledger.Open(ctx, db, d.key, time.Now); err != nil {
		return err
	}
	var facts []ledger.Fact
	for e, err := range d.ledger.Facts(ctx, ledger.Query{}) {
		if err != nil {
			return err
		}
		facts = append(facts, e.Fact)
	}
	n := d.dice.below(d.early.size)
	facts[n].Actor.Person = id.New[id.Person]()
	for some := range slices.Chunk(facts, 2000) {
		err := db.Update(ctx, func(tx *store.Tx) error {
			for _, f := range some {
				if err := ledger.Append(ctx, tx, f); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	r, err := d.verify(ctx, db) // numbers and signs them first
	if err != nil {
		return err
	}
	d.report.Tried++
	return d.judge("the whole ledger is rewritten with the real key", n+1, 1, n+1, r.Finding)
}

// appendFacts appends facts as the house does, and signs the head.
func (d *tampers) appendFacts(ctx context.Context, l *ledger.Ledger, db *store.DB, count int) error {
	err := db.Update(ctx, func(tx *store.Tx) error {
		for range count {
			f := ledger.Fact{At: time.Now(), Kind: "drill.tampered", Ref: string(id.New[id.Record]())}
			if err := ledger.Append(ctx, tx, f); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for {
		if n, err := l.Sequence(ctx); err != nil || n == 0 {
			return err
		}
	}
}

package backup

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/rooms/backup/restic"
)

// proofEvery is how often a backup is opened again by itself.
const proofEvery = 7 * day

// Proof is what bringing the newest backup back into an empty house showed.
type Proof struct {
	At       time.Time     `json:"at"`
	Held     bool          `json:"held"`
	Target   string        `json:"target"` // its name; empty: none could be proven
	Pair     string        `json:"pair,omitempty"`
	Newest   time.Time     `json:"newest,omitzero"` // when the newest state there was saved
	Took     time.Duration `json:"took"`
	Drill    int           `json:"drill"` // drill records that opened
	Bytes    int64         `json:"bytes"` // that came back
	Checked  Checked       `json:"checked"`
	Skipped  []string      `json:"skipped,omitempty"` // places that did not answer, and how
	Findings []string      `json:"findings,omitempty"`
}

// Prove brings the newest state of a random place back into an empty house and
// looks at it: is it as new as it should be, is everything there that was saved
// there, are all rows the ones that were written, do the drill records open, do
// ledger and list of people hold. A place that does not answer is named, and the
// next one has its turn. What does not hold stands in Findings; an error means
// that nothing could be tried.
func (b *Backup) Prove(ctx context.Context, step func(what string)) (p Proof, err error) {
	b.one.Lock()
	defer b.one.Unlock()
	defer b.now.set("", 0, 0)
	tell := func(what string) {
		b.now.set(what, 0, 0)
		if step != nil {
			step(what)
		}
	}
	targets, err := b.Targets(ctx)
	if err != nil {
		return p, err
	}
	targets = slices.DeleteFunc(targets, func(t Target) bool { return !b.takes(t) })
	if len(targets) == 0 {
		return p, errNowhere
	}
	p.At = b.Now()
	if _, err := b.engine(targets[0]).Version(ctx); err != nil {
		return p, err
	}
	l, err := lookAround(ctx, b.engine, b.Password(), targets)
	if err != nil {
		return p, err
	}
	for name, silent := range l.silent {
		p.Skipped = append(p.Skipped, name+": "+plain(silent))
	}
	slices.Sort(p.Skipped)
	for _, t := range shuffled(targets) {
		if l.silent[t.Name] != nil {
			continue
		}
		if err := b.proveAt(ctx, t, l, &p, tell); err != nil {
			return p, err
		}
		break
	}
	if p.Target == "" {
		p.Findings = append(p.Findings, "No place answered: "+strings.Join(p.Skipped, "; ")+".")
	}
	p.Took, p.Held = b.Now().Sub(p.At), len(p.Findings) == 0
	return p, b.keepProof(ctx, p)
}

func shuffled(list []Target) []Target {
	list = slices.Clone(list)
	for i := range list {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(i+1)))
		if err != nil {
			panic(err) // crypto/rand does not fail
		}
		j := int(n.Int64())
		list[i], list[j] = list[j], list[i]
	}
	return list
}

// proveAt proves the newest state at one place. Records from an append-only place
// get their keys from another one.
func (b *Backup) proveAt(ctx context.Context, t Target, l look, p *Proof, tell func(string)) error {
	p.Target = t.Name
	s, err := b.Settings(ctx)
	if err != nil {
		return err
	}
	at := func(list []where) int {
		return slices.IndexFunc(list, func(w where) bool { return w.target.ID == t.ID })
	}
	var newest *state
	half := false
	for i := range l.states {
		st := &l.states[i]
		r := at(st.records)
		if r < 0 {
			continue
		}
		if !st.whole() || t.Expires && at(st.wraps) < 0 {
			half = true
			continue
		}
		newest = st
		p.Newest = st.records[r].at
		break
	}
	find := func(format string, a ...any) { p.Findings = append(p.Findings, fmt.Sprintf(format, a...)) }
	if newest == nil {
		find("Nothing whole lies at %s.", t.Name)
		return nil
	}
	p.Pair = newest.pair
	if half {
		find("The newest state at %s is only half there. An older one was opened.", t.Name)
	}
	for id, n := range l.newest {
		if id == t.ID && n.at.After(p.At.Add(10*time.Minute)) {
			find("A state at %s was saved in the future, by this server’s clock. The clock was set back, or was ahead.", t.Name)
		}
	}
	last, err := b.Last(ctx)
	if err != nil {
		return err
	}
	if mine, ok := last[t.ID]; ok && !b.weak && mine.Pair != newest.pair && mine.Facts >= newest.facts && !half {
		if !slices.ContainsFunc(l.states, func(s state) bool { return s.pair == mine.Pair }) {
			find("%s answers and has lost what was saved there last.", t.Name)
		}
	}
	if age := p.At.Sub(p.Newest); !b.weak && age > s.every()+graceOf(s) {
		find("The newest state at %s was saved %s, and one is due every %s.", t.Name, web.Age(p.At, p.Newest), web.Minutes(s.EveryMinutes))
	}
	// Its own copy of each half is proven, not that of another place.
	only := func(list []where) []where {
		if i := at(list); i >= 0 {
			return list[i : i+1]
		}
		return list
	}
	newest = &state{newest.pair, newest.facts, newest.at, only(newest.records), only(newest.wraps)}
	dir := filepath.Join(b.Dir, "run", "proof")
	defer os.RemoveAll(dir)
	size, _ := sizeOf(b.Dir)
	if err := freeFor(b.Free, b.Dir, size+size/2); err != nil {
		return err
	}
	f, tried, err := fetch(ctx, b.engine, b.Password(), *newest, dir, tell)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		for _, text := range tried {
			find("It did not come back whole. %s.", text)
		}
		if len(tried) == 0 {
			find("It did not come back: %s.", plain(err))
		}
		return nil
	}
	p.Bytes, _ = sizeOf(dir)
	tell("Opening")
	erased, err := b.Erased(ctx)
	if err != nil {
		return err
	}
	p.Checked, err = b.Check(ctx, dir, f.Manifest, erased, func(db *store.DB) error {
		found, err := compareTables(ctx, db, f.Manifest)
		p.Findings = append(p.Findings, found...)
		if err != nil {
			return err
		}
		if b.Keys != nil {
			sums, err := b.Keys.KeySums(ctx, db)
			if err != nil {
				return err
			}
			if err := b.keepRestored(ctx, p.At, sums); err != nil {
				return err
			}
		}
		p.Drill, err = openDrill(ctx, db, b.Secret, b.Practice)
		if err != nil || p.Drill != drillRecords {
			find("%d of %d drill records opened.", p.Drill, drillRecords)
		}
		return nil
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		find("What came back is no house: %s.", withoutPlace(err))
		return nil
	}
	p.Findings = append(p.Findings, p.Checked.Findings...)
	if p.Checked.Facts < f.Facts {
		find("The ledger came back with %d facts, and had %d.", p.Checked.Facts, f.Facts)
	}
	return nil
}

// graceOf is how late a backup may be before its age is a finding.
func graceOf(s Settings) time.Duration { return max(s.every(), 30*time.Minute) }

// withoutPlace is an error's last part, which names no directory.
func withoutPlace(err error) string {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err.Error()
		}
		err = next
	}
}

// compareTables compares every table with what was saved of it. A house that
// came from the other database has the same rows in another order.
func compareTables(ctx context.Context, db *store.DB, m Manifest) (findings []string, err error) {
	snap, err := db.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	tables, err := snap.Tables(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range tables {
		was, ok := m.Tables[t.Name]
		if !ok {
			continue
		}
		sum := sha256.New()
		rows, err := snap.Write(ctx, sum, t)
		if err != nil {
			return findings, err
		}
		same := hex.EncodeToString(sum.Sum(nil)) == was.Sum || m.Kind != db.Kind() || !slices.Equal(t.Columns, was.Columns)
		if rows != was.Rows {
			findings = append(findings, fmt.Sprintf("The table %s came back with %d rows, and had %d.", t.Name, rows, was.Rows))
		} else if !same {
			findings = append(findings, fmt.Sprintf("The table %s came back with other rows than it had.", t.Name))
		}
	}
	return findings, nil
}

func (b *Backup) keepProof(ctx context.Context, p Proof) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	held, reason := 0, "failed"
	if p.Held {
		held, reason = 1, "held"
	}
	return b.DB.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO backup_proofs (at, held, report) VALUES ($1, $2, $3) ON CONFLICT (at) DO UPDATE SET held = excluded.held, report = excluded.report`,
			p.At.UnixMilli(), held, string(text)); err != nil {
			return err
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: b.Now(), Kind: "backup.proven", Reason: reason})
	})
}

// Proofs are the newest proofs, the newest first.
func (b *Backup) Proofs(ctx context.Context, most int) ([]Proof, error) {
	rows, err := b.DB.QueryContext(ctx, `SELECT report FROM backup_proofs ORDER BY at DESC LIMIT $1`, most)
	if err != nil {
		return nil, fmt.Errorf("read proofs: %w", err)
	}
	defer rows.Close()
	var list []Proof
	for rows.Next() {
		var text string
		var p Proof
		if err := rows.Scan(&text); err != nil {
			return nil, fmt.Errorf("read proofs: %w", err)
		}
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			return nil, fmt.Errorf("read proofs: %w", err)
		}
		list = append(list, p)
	}
	return list, rows.Err()
}

// proveWhenDue is the job: once a week, and again in a day after a failure.
func (b *Backup) proveWhenDue(ctx context.Context) error {
	last, err := b.Last(ctx)
	if err != nil || len(last) == 0 {
		return err
	}
	proofs, err := b.Proofs(ctx, 1)
	if err != nil {
		return err
	}
	if len(proofs) > 0 {
		wait := proofEvery - time.Hour
		if !proofs[0].Held {
			wait = day
		}
		if age := b.Now().Sub(proofs[0].At); age >= 0 && age < wait {
			return nil
		}
	}
	_, err = b.Prove(ctx, nil)
	if errors.Is(err, errNowhere) || errors.Is(err, restic.ErrMissing) {
		return nil // the evidence says so
	}
	return err
}

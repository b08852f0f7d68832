package compliance

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/layer"
)

// Keep writes down what the rooms said at the last look: a state that goes on is
// one row, a change begins another, and so does a time in which nobody saw it.
func (c *Compliance) Keep(ctx context.Context) error {
	all, err := c.Evidence(ctx)
	if err != nil {
		return err
	}
	return c.DB.Update(ctx, func(tx *store.Tx) error {
		nth, now := map[string]int{}, c.Now()
		for _, e := range all {
			n := nth[e.Claim]
			nth[e.Claim]++
			e = e.At(now)
			if e.State == layer.NotKnown || e.Seen.IsZero() {
				continue // what was not observed leaves no observation
			}
			if err := keepOne(ctx, tx, n, e); err != nil {
				return err
			}
		}
		return nil
	})
}

func keepOne(ctx context.Context, tx *store.Tx, nth int, e layer.Evidence) error {
	var row, state string
	var last, until int64
	err := tx.QueryRowContext(ctx, `SELECT id, state, last, until FROM compliance_seen WHERE claim = $1 AND nth = $2 ORDER BY last DESC, first DESC LIMIT 1`, e.Claim, nth).Scan(&row, &state, &last, &until)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("read what was seen of %s: %w", e.Claim, err)
	}
	seen := e.Seen.UnixMilli()
	goesOn := err == nil && state == e.State.Is() && (until == 0 || seen <= until)
	switch {
	case err == nil && seen < last:
		return nil // older than what is kept: a clock went back
	case goesOn:
		_, err = tx.ExecContext(ctx, `UPDATE compliance_seen SET text = $1, last = $2, until = $3, fact = $4 WHERE id = $5`, e.Text, seen, millis(e.Until), e.Fact, row)
	default:
		_, err = tx.ExecContext(ctx, `INSERT INTO compliance_seen (id, claim, nth, text, state, first, last, until, fact) VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8)`,
			string(id.New[id.Record]()), e.Claim, nth, e.Text, e.State.Is(), seen, millis(e.Until), e.Fact)
	}
	if err != nil {
		return fmt.Errorf("keep what was seen of %s: %w", e.Claim, err)
	}
	return nil
}

// Stretch is a time in which a claim was in one state.
type Stretch struct {
	Claim       string
	Nth         int
	Text        string
	State       layer.State
	First, Last time.Time
	Until       time.Time
}

// stretches are all that reach into a period, by claim, oldest first.
func (c *Compliance) stretches(ctx context.Context, from, to time.Time) (map[string][]Stretch, error) {
	rows, err := c.DB.QueryContext(ctx, `SELECT claim, nth, text, state, first, last, until FROM compliance_seen WHERE first <= $2 AND (last >= $1 OR until >= $1) ORDER BY claim, nth, first`, millis(from), millis(to))
	if err != nil {
		return nil, fmt.Errorf("read what was seen: %w", err)
	}
	defer rows.Close()
	all := map[string][]Stretch{}
	for rows.Next() {
		var s Stretch
		var state string
		var first, last, until int64
		if err := rows.Scan(&s.Claim, &s.Nth, &s.Text, &state, &first, &last, &until); err != nil {
			return nil, fmt.Errorf("read what was seen: %w", err)
		}
		s.State, s.First, s.Last, s.Until = stateOf(state), moment(first), moment(last), moment(until)
		all[s.Claim] = append(all[s.Claim], s)
	}
	return all, rows.Err()
}

// What a person may say of a control.
const (
	said    = "said"       // what only a person can say
	off     = "off"        // it does not apply here, because
	instead = "instead"    // addressable: something equivalent is done, which is
	notDone = "not-done"   // addressable: not reasonable and appropriate here, because
	back    = "taken-back" // what was said before does not hold any more
)

// word is what a person said.
type word struct {
	ID, Control, Kind, Text string
	Person                  id.Person
	At, Review              time.Time
}

// words are the newest of each control.
func (c *Compliance) words(ctx context.Context) (map[string]word, error) {
	all, err := c.allWords(ctx, "")
	newest := map[string]word{}
	for _, w := range all {
		newest[w.Control] = w
	}
	for control, w := range newest {
		if w.Kind == back {
			delete(newest, control)
		}
	}
	return newest, err
}

// allWords are those of one control, or of all, oldest first.
func (c *Compliance) allWords(ctx context.Context, control string) ([]word, error) {
	rows, err := c.DB.QueryContext(ctx, `SELECT id, control, kind, text, person, at, review FROM compliance_words WHERE control = $1 OR $1 = '' ORDER BY n`, control)
	if err != nil {
		return nil, fmt.Errorf("read what people said: %w", err)
	}
	defer rows.Close()
	var all []word
	for rows.Next() {
		var w word
		var at, review int64
		if err := rows.Scan(&w.ID, &w.Control, &w.Kind, &w.Text, &w.Person, &at, &review); err != nil {
			return nil, fmt.Errorf("read what people said: %w", err)
		}
		w.At, w.Review = moment(at), moment(review)
		all = append(all, w)
	}
	return all, rows.Err()
}

// keepWord adds what somebody said, with its fact.
func (c *Compliance) keepWord(ctx context.Context, w word) error {
	return c.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO compliance_words (id, n, control, kind, text, person, at, review)
			SELECT $1, COALESCE(MAX(n), 0) + 1, $2, $3, $4, $5, CAST($6 AS BIGINT), CAST($7 AS BIGINT) FROM compliance_words`,
			w.ID, w.Control, w.Kind, w.Text, string(w.Person), millis(w.At), millis(w.Review))
		if err != nil {
			return fmt.Errorf("keep what was said of %s: %w", w.Control, err)
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: w.At, Actor: id.From(ctx), Kind: "compliance.word-given", Part: w.Kind, Ref: w.ID})
	})
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// stateOf reads a state by its attribute: a word that nobody knows is not known.
func stateOf(is string) layer.State {
	for s := layer.NotKnown; s <= layer.Urgent; s++ {
		if s.Is() == is {
			return s
		}
	}
	return layer.NotKnown
}

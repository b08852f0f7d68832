package home

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/layer"
)

// item is one evidence as it is kept.
type item struct {
	layer.Evidence
	Since time.Time // when it came into this state
	drill bool      // it is an attack that was, or was not, tried
	Took  string    // how long that ran
}

// which names a row: the nth thing that a claim is said of.
type which struct {
	claim string
	nth   int
}

// keep puts one look in the place of the one before.
func (h *Home) keep(ctx context.Context, said answers) error {
	return h.DB.Update(ctx, func(tx *store.Tx) error {
		before, err := states(ctx, tx)
		if err != nil {
			return err
		}
		now, fresh := h.Now(), map[string]int{}
		for _, e := range said.seen {
			if said.replaces(e.Claim) {
				fresh[e.Claim] = 0
			}
		}
		for w := range before {
			if _, again := fresh[w.claim]; !again && !said.forgets(w.claim) {
				continue
			}
			if _, err := tx.ExecContext(ctx, `DELETE FROM home_evidence WHERE claim = $1 AND nth = $2`, w.claim, w.nth); err != nil {
				return fmt.Errorf("forget %s: %w", w.claim, err)
			}
		}
		for _, e := range said.seen {
			if !said.replaces(e.Claim) {
				continue
			}
			w, since := which{e.Claim, fresh[e.Claim]}, now
			if was, ok := before[w]; ok && was.state == e.State {
				since = was.since
			}
			if err := insert(ctx, tx, w, item{Evidence: e, Since: since}); err != nil {
				return err
			}
			fresh[e.Claim]++
		}
		return nil
	})
}

func insert(ctx context.Context, tx *store.Tx, w which, i item) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO home_evidence
		(claim, nth, place, text, state, seen, until, fact, page, fix, minutes, due, why, since)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
		w.claim, w.nth, string(i.Place), i.Text, i.State.Is(), millis(i.Seen), millis(i.Until), i.Fact, i.Page, i.Fix, i.Minutes, millis(i.By), i.Why, millis(i.Since))
	if err != nil {
		return fmt.Errorf("keep %s: %w", w.claim, err)
	}
	return nil
}

type was struct {
	state layer.State
	since time.Time
}

func states(ctx context.Context, tx *store.Tx) (map[which]was, error) {
	rows, err := tx.QueryContext(ctx, `SELECT claim, nth, state, since FROM home_evidence`)
	if err != nil {
		return nil, fmt.Errorf("read what was kept: %w", err)
	}
	defer rows.Close()
	all := map[which]was{}
	for rows.Next() {
		var w which
		var state string
		var since int64
		if err := rows.Scan(&w.claim, &w.nth, &state, &since); err != nil {
			return nil, fmt.Errorf("read what was kept: %w", err)
		}
		all[w] = was{stateOf(state), moment(since)}
	}
	return all, rows.Err()
}

// kept is all evidence of the last look, as it was said then.
func (h *Home) kept(ctx context.Context) ([]item, error) {
	rows, err := h.DB.QueryContext(ctx, `SELECT claim, place, text, state, seen, until, fact, page, fix, minutes, due, why, since FROM home_evidence ORDER BY claim, nth`)
	if err != nil {
		return nil, fmt.Errorf("read evidence: %w", err)
	}
	defer rows.Close()
	var all []item
	for rows.Next() {
		var i item
		var state string
		var seen, until, due, since int64
		if err := rows.Scan(&i.Claim, &i.Place, &i.Text, &state, &seen, &until, &i.Fact, &i.Page, &i.Fix, &i.Minutes, &due, &i.Why, &since); err != nil {
			return nil, fmt.Errorf("read evidence: %w", err)
		}
		i.State, i.Seen, i.Until, i.By, i.Since = stateOf(state), moment(seen), moment(until), moment(due), moment(since)
		all = append(all, i)
	}
	return all, rows.Err()
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

// tally is how many patients are sealed here, and when they were counted.
type tally struct {
	Patients int
	Counted  time.Time
}

func (h *Home) keepCount(ctx context.Context, n int) error {
	return h.DB.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE home_count SET patients = $1, counted = $2`, n, millis(h.Now())); err != nil {
			return fmt.Errorf("keep the count of patients: %w", err)
		}
		return nil
	})
}

func (h *Home) tally(ctx context.Context) (t tally, err error) {
	var counted int64
	if err := h.DB.QueryRowContext(ctx, `SELECT patients, counted FROM home_count`).Scan(&t.Patients, &counted); err != nil {
		return t, fmt.Errorf("read the count of patients: %w", err)
	}
	t.Counted = moment(counted)
	return t, nil
}

// mostFindings is how many findings of a drill are kept.
const mostFindings = 20

// Save keeps the outcome of a drill that ended at at, with its fact:
// home.drill-held or home.drill-failed. A skipped drill proves nothing, so it
// replaces no outcome and has no fact. What --sabotage gave must not come here.
func (h *Home) Save(ctx context.Context, r layer.Report, at time.Time) error {
	return h.DB.Update(ctx, func(tx *store.Tx) error {
		if r.Held == nil {
			return saveSkipped(ctx, tx, r, at)
		}
		if err := saveTried(ctx, tx, r, at); err != nil {
			return err
		}
		kind := "home.drill-failed"
		if *r.Held {
			kind = "home.drill-held"
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: at, Kind: kind, Part: r.Drill})
	})
}

func saveSkipped(ctx context.Context, tx *store.Tx, r layer.Report, at time.Time) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO home_drills (drill, skipped, skipped_at) VALUES ($1, $2, $3)
		ON CONFLICT (drill) DO UPDATE SET skipped = excluded.skipped, skipped_at = excluded.skipped_at`, r.Drill, r.Skipped, millis(at))
	if err != nil {
		return fmt.Errorf("keep that drill %s was skipped: %w", r.Drill, err)
	}
	return nil
}

func saveTried(ctx context.Context, tx *store.Tx, r layer.Report, at time.Time) error {
	held := 0
	if *r.Held {
		held = 1
	}
	first := append([]string{}, r.Findings[:min(len(r.Findings), mostFindings)]...)
	findings, err := json.Marshal(first)
	if err != nil {
		return fmt.Errorf("keep drill %s: %w", r.Drill, err)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO home_drills (drill, at, held, tried, opened, took, findings, found) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (drill) DO UPDATE SET at = excluded.at, held = excluded.held, tried = excluded.tried, opened = excluded.opened,
			took = excluded.took, findings = excluded.findings, found = excluded.found, skipped = ''
		WHERE excluded.at >= home_drills.at`, r.Drill, millis(at), held, r.Tried, r.Opened, r.TookMS, string(findings), len(r.Findings))
	if err != nil {
		return fmt.Errorf("keep drill %s: %w", r.Drill, err)
	}
	return nil
}

// outcomes are the kept drills, by name.
func (h *Home) outcomes(ctx context.Context) (map[string]outcome, error) {
	rows, err := h.DB.QueryContext(ctx, `SELECT drill, at, held, tried, opened, took, findings, found, skipped, skipped_at FROM home_drills`)
	if err != nil {
		return nil, fmt.Errorf("read drills: %w", err)
	}
	defer rows.Close()
	all := map[string]outcome{}
	for rows.Next() {
		var o outcome
		var at, held, took, skippedAt int64
		var findings string
		if err := rows.Scan(&o.Drill, &at, &held, &o.Tried, &o.Opened, &took, &findings, &o.Found, &o.Skipped, &skippedAt); err != nil {
			return nil, fmt.Errorf("read drills: %w", err)
		}
		if err := json.Unmarshal([]byte(findings), &o.Findings); err != nil {
			return nil, fmt.Errorf("read drill %s: %w", o.Drill, err)
		}
		o.At, o.Held, o.Took, o.SkippedAt = moment(at), held == 1, time.Duration(took)*time.Millisecond, moment(skippedAt)
		all[o.Drill] = o
	}
	return all, rows.Err()
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

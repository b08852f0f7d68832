package compliance

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"time"

	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/layer"
)

// ledgerLasts is how long a reading of the whole ledger counts.
const ledgerLasts = 3 * 24 * time.Hour

// evidence says when the ledger was last read as a whole, and what people have
// to say again. What nobody ever said waits on the page of proof, and nags nobody.
func (c *Compliance) evidence(ctx context.Context) iter.Seq2[layer.Evidence, error] {
	return func(yield func(layer.Evidence, error) bool) {
		if !yield(c.ledgerRead(ctx)) {
			return
		}
		if e, due, err := c.wordsDue(ctx); due || err != nil {
			yield(e, err)
		}
	}
}

// ReadLedger reads the whole ledger again and keeps what came of it.
func (c *Compliance) ReadLedger(ctx context.Context) error {
	r, err := c.Ledger.Verify(ctx, ledger.Options{})
	if err != nil {
		return err
	}
	finding := ""
	if r.Finding != nil {
		finding = r.Finding.Text
	}
	return c.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO compliance_ledger (one, at, facts, finding) VALUES (1, $1, $2, $3)
			ON CONFLICT (one) DO UPDATE SET at = excluded.at, facts = excluded.facts, finding = excluded.finding`, millis(c.Now()), r.Facts, finding)
		if err != nil {
			return fmt.Errorf("keep that the ledger was read: %w", err)
		}
		return nil
	})
}

func (c *Compliance) ledgerRead(ctx context.Context) (layer.Evidence, error) {
	e := layer.Evidence{Claim: "compliance.ledger", Place: layer.Records, Page: "/proof/164.312(b)", Text: "The record of events was not read as a whole yet."}
	var at, facts int64
	var finding string
	err := c.DB.QueryRowContext(ctx, `SELECT at, facts, finding FROM compliance_ledger`).Scan(&at, &facts, &finding)
	if errors.Is(err, sql.ErrNoRows) {
		e.State = layer.Checking
		e.Seen, e.Until = c.Now(), c.Now().Add(time.Hour)
		return e, nil
	}
	if err != nil {
		return e, fmt.Errorf("read when the ledger was read: %w", err)
	}
	e.Seen, e.Until = moment(at), moment(at).Add(ledgerLasts)
	e.State, e.Text = layer.Safe, fmt.Sprintf("The record of events holds: all %d entries are as they were signed.", facts)
	if finding != "" {
		e.State, e.Text, e.Fix, e.Minutes = layer.Urgent, "The record of events is not as it was signed: "+finding+".", "Keep a copy of the server’s directory as it is, and ask for help", 15
	}
	return e, nil
}

// wordsDue is one thing for all statements that have to be said again.
func (c *Compliance) wordsDue(ctx context.Context) (layer.Evidence, bool, error) {
	words, err := c.words(ctx)
	if err != nil {
		return layer.Evidence{}, false, err
	}
	n := 0
	var oldest time.Time
	for _, w := range words {
		if s := c.said(ctx, w); !s.Counts() {
			n++
			if oldest.IsZero() || w.Review.Before(oldest) {
				oldest = w.Review
			}
		}
	}
	if n == 0 {
		return layer.Evidence{}, false, nil
	}
	e := layer.Evidence{Claim: "compliance.words", Place: layer.People, State: layer.NeedsYou, Seen: c.Now(), Until: c.Now().Add(24 * time.Hour), Page: "/proof?state=unknown", Fix: "Say them again", Minutes: 2 * n,
		Text: fmt.Sprintf("%d sentences that only a person can say have to be said again.", n), By: oldest.AddDate(0, 0, 14)}
	if n == 1 {
		e.Text = "One sentence that only a person can say has to be said again."
	}
	return e, true, nil
}

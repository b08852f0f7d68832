package antivirus

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/rooms/antivirus/clamav"
)

// What became of a finding.
const (
	isolated = "isolated" // harmful, nobody opens it
	asked    = "asked"    // harmful, one person asked to let it out
	released = "released" // harmful, two people let it out
	waits    = "waits"    // not looked through, nobody decided yet
	taken    = "taken"    // not looked through, a person took it in
	left     = "left"     // a person decided that it stays closed
)

// finding is what a box holds.
type finding struct {
	ID        id.Record  `json:"id"`
	Patient   id.Patient `json:"patient,omitempty"`
	From      string     `json:"from"`
	At        int64      `json:"at"`
	By        id.Person  `json:"by,omitempty"`   // who brought it
	Name      string     `json:"name,omitempty"` // what was found
	Why       string     `json:"why,omitempty"`  // why it was not looked through
	Size      int64      `json:"size"`
	State     string     `json:"state"`
	Asked     id.Person  `json:"asked,omitempty"`
	AskedAt   int64      `json:"asked_at,omitempty"`
	Decided   id.Person  `json:"decided,omitempty"` // of a release: the second person
	DecidedAt int64      `json:"decided_at,omitempty"`
}

// out tells whether it may be opened.
func (f finding) out() bool { return f.State == released || f.State == taken }

// open tells whether it waits for somebody.
func (f finding) open() bool { return f.State == waits || f.State == asked }

var errUnknown = &web.Error{Status: http.StatusNotFound, Text: "There is no such finding here.", Back: "/"}

func (a *Antivirus) write(ctx context.Context, tx *store.Tx, f finding, tag string) error {
	b, err := json.Marshal(f)
	if err != nil {
		return err
	}
	open := 0
	if f.open() {
		open = 1
	}
	err = tx.Send(ctx, `INSERT INTO antivirus_findings (finding, patient, tag, at, open, box) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (finding) DO UPDATE SET open = excluded.open, box = excluded.box`, string(f.ID), string(f.Patient), tag, f.At, open, a.Key.Seal(b, a.slot(f.ID)))
	if err != nil {
		return fmt.Errorf("keep a finding: %w", err)
	}
	return nil
}

type reader interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func (a *Antivirus) read(ctx context.Context, db reader, where string, args ...any) (all []finding, err error) {
	rows, err := db.QueryContext(ctx, `SELECT finding, box FROM antivirus_findings WHERE `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read findings: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var name id.Record
		var box []byte
		if err := rows.Scan(&name, &box); err != nil {
			return nil, fmt.Errorf("read findings: %w", err)
		}
		b, err := a.Key.Open(box, a.slot(name))
		if err != nil {
			return nil, fmt.Errorf("read finding %s: %w", name, err)
		}
		var f finding
		if err := json.Unmarshal(b, &f); err != nil || f.ID != name {
			return nil, fmt.Errorf("read finding %s: it is not the one that was written", name)
		}
		all = append(all, f)
	}
	return all, rows.Err()
}

func (a *Antivirus) find(ctx context.Context, name id.Record) (finding, error) {
	all, err := a.read(ctx, a.DB, `finding = $1`, string(name))
	if err != nil {
		return finding{}, err
	}
	if len(all) == 0 {
		return finding{}, errUnknown
	}
	return all[0], nil
}

// letIn finds what people let in with this content.
func (a *Antivirus) letIn(ctx context.Context, tag string) (finding, bool, error) {
	all, err := a.read(ctx, a.DB, `tag = $1 AND open = 0 ORDER BY at DESC LIMIT 50`, tag)
	for _, f := range all {
		if f.State == released || f.State == taken && f.Why != clamav.Missing {
			return f, true, err
		}
	}
	return finding{}, false, err
}

// change has decide say what becomes of a finding, in one transaction with its fact.
func (a *Antivirus) change(ctx context.Context, name id.Record, decide func(f *finding) (fact string, err error)) error {
	return a.DB.Update(ctx, func(tx *store.Tx) error {
		all, err := a.read(ctx, tx, `finding = $1`, string(name))
		if err != nil {
			return err
		}
		if len(all) == 0 {
			return errUnknown
		}
		f := all[0]
		kind, err := decide(&f)
		if err != nil {
			return err
		}
		if err := a.write(ctx, tx, f, ""); err != nil { // its tag stays
			return err
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: a.Now(), Actor: id.From(ctx), Kind: kind, Subject: string(f.Patient), Part: f.From, Reason: f.Why, Ref: string(f.ID)})
	})
}

// erase forgets what was found in files about a patient.
func (a *Antivirus) erase(ctx context.Context, tx *store.Tx, p id.Patient) error {
	return tx.Send(ctx, `DELETE FROM antivirus_findings WHERE patient = $1`, string(p))
}

// server is how it is with one server's scanner.
type server struct {
	first, at time.Time
	state     string // "": it sees; "missing", "no-memory-place", "blind", "down"
	engine    string
	number    int
	built     time.Time
	refused   string
	tried     time.Time
	outcome   clamav.Outcome
}

func (a *Antivirus) servers(ctx context.Context, where string, args ...any) (all []server, err error) {
	rows, err := a.DB.QueryContext(ctx, `SELECT first, at, state, engine, number, built, refused, tried, outcome FROM antivirus_servers WHERE `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read how the scanner is: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var s server
		var first, at, built, tried int64
		if err := rows.Scan(&first, &at, &s.state, &s.engine, &s.number, &built, &s.refused, &tried, &s.outcome); err != nil {
			return nil, fmt.Errorf("read how the scanner is: %w", err)
		}
		s.first, s.at, s.built, s.tried = moment(first), moment(at), moment(built), moment(tried)
		all = append(all, s)
	}
	return all, rows.Err()
}

func (a *Antivirus) serverRow(ctx context.Context) (server, bool, error) {
	all, err := a.servers(ctx, `server = $1`, a.server)
	if err != nil || len(all) == 0 {
		return server{}, false, err
	}
	return all[0], true, nil
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// check looks at the engine and keeps how it is. What changed is a fact.
func (a *Antivirus) check(ctx context.Context) error {
	if _, known, err := a.serverRow(ctx); err != nil || known && !a.Served() && id.From(ctx).Person == "" {
		return err // a house that nobody comes into looks when something comes in
	}
	s := a.Engine.Check(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	state := ""
	switch {
	case errors.Is(s.Err, clamav.ErrMissing):
		state = "missing"
	case errors.Is(s.Err, clamav.ErrNoMemoryPlace):
		state = "no-memory-place"
	case errors.Is(s.Err, clamav.ErrBlind):
		state = "blind"
	case s.Err != nil:
		state = "down"
		a.Log.WarnContext(ctx, "the virus scanner does not work", "err", s.Err)
	}
	now := a.Now()
	return a.DB.Update(ctx, func(tx *store.Tx) error {
		var was string
		err := tx.QueryRowContext(ctx, `SELECT state FROM antivirus_servers WHERE server = $1`, a.server).Scan(&was)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("keep how the scanner is: %w", err)
		}
		fresh := err != nil
		if err := tx.Send(ctx, `INSERT INTO antivirus_servers (server, first, at, state, engine, number, built, refused, tried, outcome) VALUES ($1, $2, $2, $3, $4, $5, $6, $7, 0, '')
			ON CONFLICT (server) DO UPDATE SET at = $2, state = $3, engine = $4, number = $5, built = $6, refused = $7`,
			a.server, now.UnixMilli(), state, s.Engine, int64(s.Number), millis(s.Built), s.Refused); err != nil {
			return fmt.Errorf("keep how the scanner is: %w", err)
		}
		if !fresh && was == state || fresh && state == "missing" {
			return nil
		}
		kind := "antivirus.scanner-works"
		if state != "" {
			kind = "antivirus.scanner-down"
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: now, Actor: id.From(ctx), Kind: kind, Reason: state})
	})
}

// fetch gets new signatures and keeps how that went.
func (a *Antivirus) fetch(ctx context.Context) error {
	if !a.Served() || a.MadeUp {
		return nil
	}
	if err := a.check(ctx); err != nil {
		return err
	}
	before, known, err := a.serverRow(ctx)
	if err != nil || !known || before.state == "missing" {
		return err
	}
	outcome, err := a.Engine.Update(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		a.Log.WarnContext(ctx, "signatures could not be fetched", "outcome", string(outcome), "err", err)
	}
	now := a.Now()
	err = a.DB.Update(ctx, func(tx *store.Tx) error {
		if err := tx.Send(ctx, `UPDATE antivirus_servers SET tried = $2, outcome = $3 WHERE server = $1`, a.server, now.UnixMilli(), string(outcome)); err != nil {
			return fmt.Errorf("keep how an update went: %w", err)
		}
		kind := "antivirus.update-failed"
		switch {
		case outcome == clamav.Updated:
			kind = "antivirus.updated"
		case outcome == clamav.Same || outcome == before.outcome: // said already
			return nil
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: now, Kind: kind, Reason: string(outcome)})
	})
	if err != nil {
		return err
	}
	return a.check(ctx)
}

package leaving

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/store"
	"quietroom/layer"
)

// act is one leaving as it is kept.
type act struct {
	ID        id.Record
	Person    id.Person
	Successor id.Person
	Entered   time.Time
	Hour      time.Time
	Plan      uint64
	Closed    time.Time // zero: the doors stand open
	Took      time.Duration
	Ended     time.Time // of a plan that was taken back or replaced
	Tried     time.Time
	Walk      *layer.Report
	Walked    time.Time
}

// Planned tells that the doors stand open until an hour.
func (a act) Planned() bool { return a.Closed.IsZero() && a.Ended.IsZero() }

// reader is what both store.DB and store.Tx can do.
type reader interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) store.Row
}

const actColumns = `leaving, person, successor, entered, hour, plan, closed, took, ended, tried, walk, walked`

func scanAct(row interface{ Scan(...any) error }) (a act, err error) {
	var entered, hour, closed, took, ended, tried, walked int64
	var walk string
	if err := row.Scan(&a.ID, &a.Person, &a.Successor, &entered, &hour, &a.Plan, &closed, &took, &ended, &tried, &walk, &walked); err != nil {
		return a, err
	}
	a.Entered, a.Hour, a.Closed, a.Ended, a.Tried, a.Walked = moment(entered), moment(hour), moment(closed), moment(ended), moment(tried), moment(walked)
	a.Took = time.Duration(took) * time.Microsecond
	if walk != "" {
		a.Walk = &layer.Report{}
		if err := json.Unmarshal([]byte(walk), a.Walk); err != nil {
			return a, fmt.Errorf("read leaving %s: %w", a.ID, err)
		}
	}
	return a, nil
}

// errNoLeaving means that there is no such leaving.
var errNoLeaving = errors.New("leaving: there is no such leaving")

func readAct(ctx context.Context, db reader, leaving id.Record) (act, error) {
	a, err := scanAct(db.QueryRowContext(ctx, `SELECT `+actColumns+` FROM leaving_acts WHERE leaving = $1`, leaving))
	if errors.Is(err, sql.ErrNoRows) {
		return a, errNoLeaving
	}
	if err != nil {
		return a, fmt.Errorf("read leaving %s: %w", leaving, err)
	}
	return a, nil
}

// acts returns all leavings that count, the newest first: plans that were taken
// back do not.
func (l *Leaving) acts(ctx context.Context) (all []act, err error) {
	rows, err := l.DB.QueryContext(ctx, `SELECT `+actColumns+` FROM leaving_acts WHERE ended = 0 ORDER BY entered DESC, leaving`)
	if err != nil {
		return nil, fmt.Errorf("list leavings: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		a, err := scanAct(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, rows.Err()
}

// byPlan returns the leaving of a plan.
func byPlan(ctx context.Context, db reader, plan uint64) (act, error) {
	a, err := scanAct(db.QueryRowContext(ctx, `SELECT `+actColumns+` FROM leaving_acts WHERE plan = $1`, plan))
	if errors.Is(err, sql.ErrNoRows) {
		return a, errNoLeaving
	}
	return a, err
}

// begin writes a leaving down. A plan of the same person that waits is over.
func begin(ctx context.Context, tx *store.Tx, a act, team id.Team) error {
	if err := endPlan(ctx, tx, a.Person, a.Entered); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO leaving_acts (leaving, person, successor, entered, hour, plan) VALUES ($1, $2, $3, $4, $5, $6)`,
		a.ID, a.Person, a.Successor, a.Entered.UnixMilli(), a.Hour.UnixMilli(), a.Plan)
	if err != nil {
		return fmt.Errorf("begin leaving %s: %w", a.ID, err)
	}
	if team == "" {
		return nil
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO leaving_patients (leaving, team) VALUES ($1, $2)`, a.ID, team)
	return err
}

// endPlan ends what waits of a person's plans, and forgets their keys.
func endPlan(ctx context.Context, tx *store.Tx, p id.Person, at time.Time) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM leaving_keys WHERE plan IN (SELECT plan FROM leaving_acts WHERE person = $1 AND closed = 0)`, p); err != nil {
		return fmt.Errorf("end the plan for %s: %w", p, err)
	}
	_, err := tx.ExecContext(ctx, `UPDATE leaving_acts SET ended = $1 WHERE person = $2 AND closed = 0 AND ended = 0`, at.UnixMilli(), p)
	return err
}

// closed writes down that the doors are closed, and which they were.
func closed(ctx context.Context, tx *store.Tx, a act, doors []answer) error {
	if _, err := tx.ExecContext(ctx, `UPDATE leaving_acts SET closed = $1 WHERE leaving = $2`, a.Closed.UnixMilli(), a.ID); err != nil {
		return fmt.Errorf("close leaving %s: %w", a.ID, err)
	}
	return keepDoors(ctx, tx, a.ID, doors, true)
}

// keepDoors puts what the doors said in place of what they said before.
func keepDoors(ctx context.Context, tx *store.Tx, leaving id.Record, doors []answer, before bool) error {
	was := map[string]bool{}
	if !before {
		old, err := doorsOf(ctx, tx, leaving)
		if err != nil {
			return err
		}
		for _, d := range old {
			was[d.Room+" "+d.Kind+" "+d.Key] = d.Before
		}
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM leaving_doors WHERE leaving = $1`, leaving); err != nil {
		return fmt.Errorf("keep the doors of leaving %s: %w", leaving, err)
	}
	for n, d := range doors {
		_, err := tx.ExecContext(ctx, `INSERT INTO leaving_doors (leaving, n, room, kind, name, key, before, open, micros) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			leaving, n, d.Room, d.Kind, d.Name, d.Key, number(before && d.Open || was[d.Room+" "+d.Kind+" "+d.Key]), number(d.Open), d.took.Microseconds())
		if err != nil {
			return fmt.Errorf("keep the doors of leaving %s: %w", leaving, err)
		}
	}
	return nil
}

// keptDoor is a door as it is kept.
type keptDoor struct {
	layer.Door
	Before bool
	Took   time.Duration
}

func doorsOf(ctx context.Context, db reader, leaving id.Record) (doors []keptDoor, err error) {
	rows, err := db.QueryContext(ctx, `SELECT room, kind, name, key, before, open, micros FROM leaving_doors WHERE leaving = $1 ORDER BY n`, leaving)
	if err != nil {
		return nil, fmt.Errorf("read the doors of leaving %s: %w", leaving, err)
	}
	defer rows.Close()
	for rows.Next() {
		var d keptDoor
		var before, open, micros int64
		if err := rows.Scan(&d.Room, &d.Kind, &d.Name, &d.Key, &before, &open, &micros); err != nil {
			return nil, fmt.Errorf("read the doors of leaving %s: %w", leaving, err)
		}
		d.Before, d.Open, d.Took = before == 1, open == 1, time.Duration(micros)*time.Microsecond
		doors = append(doors, d)
	}
	return doors, rows.Err()
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

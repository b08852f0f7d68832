package glass

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/store"
)

// made is the pair as it was made last.
type made struct {
	making string
	by     id.Person
	at     time.Time
}

// making returns the pair as it was made last. ErrOff if there is none; what it
// returns with that tells who turned it off, if anybody did.
func (g *Glass) making(ctx context.Context) (m made, err error) {
	var at int64
	err = g.DB.QueryRowContext(ctx, `SELECT making, person, at FROM glass_making WHERE one = 1`).Scan(&m.making, &m.by, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return m, ErrOff
	}
	if err != nil {
		return m, fmt.Errorf("read the glass: %w", err)
	}
	m.at = time.UnixMilli(at)
	if m.making == "" {
		return m, ErrOff
	}
	return m, nil
}

// still tells whether the pair is the one that a sealing began with.
func (g *Glass) still(ctx context.Context, tx *store.Tx, making string) (bool, error) {
	var now string
	err := tx.QueryRowContext(ctx, `SELECT making FROM glass_making WHERE one = 1`).Scan(&now)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return now == making, err
}

// writeMaking replaces all that belongs to the pair before.
func (g *Glass) writeMaking(ctx context.Context, tx *store.Tx, making string, by id.Person, halves map[id.Person][]byte, keys []keyBox) error {
	for _, table := range []string{"halves", "keys"} {
		if _, err := tx.ExecContext(ctx, `DELETE FROM glass_`+table); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO glass_making (one, making, person, at) VALUES (1, $1, $2, $3)
		ON CONFLICT (one) DO UPDATE SET making = excluded.making, person = excluded.person, at = excluded.at`, making, by, g.Now().UnixMilli())
	if err != nil {
		return err
	}
	for p, box := range halves {
		if _, err := tx.ExecContext(ctx, `INSERT INTO glass_halves (person, making, box) VALUES ($1, $2, $3)`, p, making, box); err != nil {
			return err
		}
	}
	for _, k := range keys {
		if err := addKey(ctx, tx, making, k); err != nil {
			return err
		}
	}
	return nil
}

// half returns half A of a person, sealed. ErrNotYou if there is none.
func (g *Glass) half(ctx context.Context, p id.Person, making string) (box []byte, err error) {
	err = g.DB.QueryRowContext(ctx, `SELECT box FROM glass_halves WHERE person = $1 AND making = $2`, p, making).Scan(&box)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotYou
	}
	if err != nil {
		return nil, fmt.Errorf("read the half of %s: %w", p, err)
	}
	return box, nil
}

// holders are those to whom half A is sealed.
func (g *Glass) holders(ctx context.Context) (people []id.Person, err error) {
	rows, err := g.DB.QueryContext(ctx, `SELECT person FROM glass_halves ORDER BY person`)
	if err != nil {
		return nil, fmt.Errorf("read who may break the glass: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var p id.Person
		if err := rows.Scan(&p); err != nil {
			return nil, err
		}
		people = append(people, p)
	}
	return people, rows.Err()
}

// keyBox is a team key, sealed to the pair.
type keyBox struct {
	team  id.Team
	epoch uint64
	box   []byte
}

func addKey(ctx context.Context, tx *store.Tx, making string, b keyBox) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO glass_keys (team, epoch, making, box) VALUES ($1, $2, $3, $4)
		ON CONFLICT (team, epoch) DO UPDATE SET making = excluded.making, box = excluded.box`, b.team, b.epoch, making, b.box)
	if err != nil {
		return fmt.Errorf("seal key of team %s for the glass: %w", b.team, err)
	}
	return nil
}

type reader interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func (g *Glass) keyBoxes(ctx context.Context, db reader) (boxes []keyBox, err error) {
	rows, err := db.QueryContext(ctx, `SELECT team, epoch, box FROM glass_keys ORDER BY team, epoch`)
	if err != nil {
		return nil, fmt.Errorf("read the keys of the glass: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var b keyBox
		if err := rows.Scan(&b.team, &b.epoch, &b.box); err != nil {
			return nil, err
		}
		boxes = append(boxes, b)
	}
	return boxes, rows.Err()
}

// breaking is one time that somebody broke the glass.
type breaking struct {
	id       string
	patient  id.Patient
	person   id.Person
	session  id.Session
	at, ends time.Time
	ended    time.Time // zero while nobody ended it
	reason   string
	care     []id.Team
	words    []byte
	due      time.Time
	reviewer id.Person
	reviewed time.Time
	decided  string
	verdict  []byte
}

// until is when it was, or will be, over.
func (b *breaking) until() time.Time {
	if !b.ended.IsZero() && b.ended.Before(b.ends) {
		return b.ended
	}
	return b.ends
}

const breakingColumns = `break, patient, person, session, at, ends, ended, reason, care, words, due, reviewer, reviewed, decided, verdict`

func scanBreaking(scan func(...any) error) (b breaking, err error) {
	var at, ends, ended, due, reviewed int64
	var care string
	err = scan(&b.id, &b.patient, &b.person, &b.session, &at, &ends, &ended, &b.reason, &care, &b.words, &due, &b.reviewer, &reviewed, &b.decided, &b.verdict)
	if err != nil {
		return b, err
	}
	b.at, b.ends, b.due = time.UnixMilli(at), time.UnixMilli(ends), time.UnixMilli(due)
	if ended > 0 {
		b.ended = time.UnixMilli(ended)
	}
	if reviewed > 0 {
		b.reviewed = time.UnixMilli(reviewed)
	}
	for team := range strings.FieldsSeq(care) {
		b.care = append(b.care, id.Team(team))
	}
	return b, nil
}

var errNoBreaking = errors.New("glass: no such breaking")

func (g *Glass) breaking(ctx context.Context, name string) (breaking, error) {
	b, err := scanBreaking(g.DB.QueryRowContext(ctx, `SELECT `+breakingColumns+` FROM glass_breaks WHERE break = $1`, name).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return b, errNoBreaking
	}
	if err != nil {
		return b, fmt.Errorf("read breaking %s: %w", name, err)
	}
	return b, nil
}

// breakings returns those that wait for a review, the oldest first, or the
// newest of those that were reviewed.
func (g *Glass) breakings(ctx context.Context, reviewed bool, most int) (all []breaking, err error) {
	where := `reviewed = 0 ORDER BY due`
	if reviewed {
		where = `reviewed > 0 ORDER BY at DESC`
	}
	rows, err := g.DB.QueryContext(ctx, `SELECT `+breakingColumns+` FROM glass_breaks WHERE `+where+` LIMIT $1`, most)
	if err != nil {
		return nil, fmt.Errorf("list breakings: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		b, err := scanBreaking(rows.Scan)
		if err != nil {
			return nil, fmt.Errorf("list breakings: %w", err)
		}
		all = append(all, b)
	}
	return all, rows.Err()
}

func addBreaking(ctx context.Context, tx *store.Tx, b breaking) error {
	care := make([]string, len(b.care))
	for n, team := range b.care {
		care[n] = string(team)
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO glass_breaks (break, patient, person, session, at, ends, reason, care, words, due) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		b.id, b.patient, b.person, b.session, b.at.UnixMilli(), b.ends.UnixMilli(), b.reason, strings.Join(care, " "), b.words, b.due.UnixMilli())
	if err != nil {
		return fmt.Errorf("write breaking %s: %w", b.id, err)
	}
	return nil
}

// endAll ends what is open: of one person, or of everybody.
func (g *Glass) endAll(ctx context.Context, tx *store.Tx, p id.Person) error {
	now := g.Now().UnixMilli()
	_, err := tx.ExecContext(ctx, `UPDATE glass_breaks SET ended = $1 WHERE ended = 0 AND ends > $1 AND ($2 = '' OR person = $2)`, now, string(p))
	if err != nil {
		return fmt.Errorf("end what was broken open: %w", err)
	}
	return nil
}

package leaving

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/store"
	"quietroom/ground/web"
)

// handover is how far somebody's patients are with a colleague.
type handover struct {
	Team  id.Team
	Left  int // patients whose charts the team holds still
	Moved int
	Shut  int // of the last round: not within reach of who did it
}

// handover returns how far it is; a zero Team if the person had no patients of
// their own.
func (l *Leaving) handover(ctx context.Context, leaving id.Record) (h handover, err error) {
	err = l.DB.QueryRowContext(ctx, `SELECT team, moved, shut FROM leaving_patients WHERE leaving = $1`, leaving).Scan(&h.Team, &h.Moved, &h.Shut)
	if errors.Is(err, sql.ErrNoRows) {
		return h, nil
	}
	if err != nil {
		return h, fmt.Errorf("read how far leaving %s is handed over: %w", leaving, err)
	}
	caring, err := l.Records.Caring(ctx)
	h.Left = caring[h.Team]
	return h, err
}

// atOnce is how many patients are handed over before progress is written down.
const atOnce = 128

var errNoHandOver = &web.Error{Status: http.StatusConflict, Text: "Nobody is named yet who takes these patients over.", Fix: "Choose a colleague first.", Back: "/leaving"}

// HandOver gives the patients of who leaves to the colleague, as far as the acting
// person's keys reach and until a moment. Each patient is handed over whole, chart
// and drafts with it, or not yet: whoever goes on later goes on where this ended.
func (l *Leaving) HandOver(ctx context.Context, leaving id.Record, until time.Time) error {
	a, err := readAct(ctx, l.DB, leaving)
	if err != nil {
		return err
	}
	h, err := l.handover(ctx, leaving)
	if err != nil || h.Team == "" || h.Left == 0 {
		return err
	}
	roster, err := l.Identity.Roster(ctx)
	if err != nil {
		return err
	}
	to := ownTeam(roster, a.Successor)
	if next, ok := roster.Person(string(a.Successor)); to == "" || !ok || next.Gone {
		return errNoHandOver
	}
	shut, after := 0, id.Patient("")
	for {
		moved, closed, next, err := l.Records.HandOver(ctx, h.Team, to, after, atOnce)
		if err != nil {
			return err
		}
		shut += closed
		if err := l.progress(ctx, leaving, moved, shut); err != nil {
			return err
		}
		if after = next; after == "" || time.Now().After(until) {
			return nil
		}
	}
}

func (l *Leaving) progress(ctx context.Context, leaving id.Record, moved, shut int) error {
	return l.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE leaving_patients SET moved = moved + $1, shut = $2 WHERE leaving = $3`, moved, shut, leaving)
		return err
	})
}

// name names who takes the patients over.
func (l *Leaving) name(ctx context.Context, leaving id.Record, successor id.Person) error {
	a, err := readAct(ctx, l.DB, leaving)
	if err != nil {
		return err
	}
	roster, err := l.Identity.Roster(ctx)
	if err != nil {
		return err
	}
	if next, ok := roster.Person(string(successor)); !ok || next.Gone || successor == a.Person || ownTeam(roster, successor) == "" {
		return errSuccessor
	}
	return l.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE leaving_acts SET successor = $1 WHERE leaving = $2`, successor, leaving)
		return err
	})
}

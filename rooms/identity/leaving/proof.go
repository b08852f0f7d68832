package leaving

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/layer"
	"quietroom/rooms/identity"
)

// tryEvery is how often the doors of who left are tried again.
const tryEvery = 24 * time.Hour

// Try asks every door of somebody who left at its verifier, with what the house
// knows of it, and writes down what they said. That is no replay: the secrets are
// with the person who left. Walk is the one that holds secrets, of somebody made up.
func (l *Leaving) Try(ctx context.Context, leaving id.Record) error {
	a, err := readAct(ctx, l.DB, leaving)
	if err != nil || a.Closed.IsZero() {
		return err
	}
	kept, err := doorsOf(ctx, l.DB, leaving)
	if err != nil {
		return err
	}
	var known []layer.Door
	for _, d := range kept {
		known = append(known, d.Door)
	}
	answers, err := l.knocks(ctx, a.Person, known)
	if err != nil {
		return fmt.Errorf("try the doors of leaving %s: %w", leaving, err)
	}
	if len(answers) < len(known) {
		return fmt.Errorf("try the doors of leaving %s: %d of %d rooms' doors gave no answer", leaving, len(known)-len(answers), len(known))
	}
	open, why := 0, "none-open"
	for _, d := range answers {
		if d.Open {
			open, why = open+1, "some-open"
		}
	}
	now := l.Now()
	return l.DB.Update(ctx, func(tx *store.Tx) error {
		if err := keepDoors(ctx, tx, leaving, answers, false); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE leaving_acts SET tried = $1 WHERE leaving = $2`, now.UnixMilli(), leaving); err != nil {
			return err
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: now, Actor: id.From(ctx), Kind: "identity.doors-tried", Subject: string(a.Person), Version: int64(open), Reason: why, Ref: string(leaving)})
	})
}

// tryAgain tries the doors of everybody who left, once a day.
func (l *Leaving) tryAgain(ctx context.Context) error {
	acts, err := l.acts(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, a := range acts {
		if !a.Closed.IsZero() && l.Now().Sub(a.Tried) >= tryEvery {
			errs = append(errs, l.Try(ctx, a.ID))
		}
	}
	return errors.Join(errs...)
}

// walkMadeUp has a made-up person leave for every leaving that had none yet. One walk
// stands for all that wait.
func (l *Leaving) walkMadeUp(ctx context.Context) error {
	if l.Walk == nil {
		return nil
	}
	var waiting int
	if err := l.DB.QueryRowContext(ctx, `SELECT count(*) FROM leaving_acts WHERE closed > 0 AND walked = 0`).Scan(&waiting); err != nil || waiting == 0 {
		return err
	}
	asked := l.Now()
	report, err := l.Walk(ctx)
	if err != nil {
		return fmt.Errorf("have a made-up person leave: %w", err)
	}
	text, err := json.Marshal(report)
	if err != nil {
		return err
	}
	return l.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE leaving_acts SET walk = $1, walked = $2 WHERE closed > 0 AND closed <= $3 AND walked = 0`, string(text), l.Now().UnixMilli(), asked.UnixMilli())
		return err
	})
}

// again has the doors tried now, and a made-up person leave anew.
func (l *Leaving) again(ctx context.Context, leaving id.Record) error {
	if err := l.Try(ctx, leaving); err != nil {
		return err
	}
	err := l.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE leaving_acts SET walked = 0 WHERE leaving = $1`, leaving)
		return err
	})
	wake(l.walks)
	return err
}

// tally is what the doors of a leaving said, in numbers.
type tally struct {
	Doors, Open   int // ways in
	Keys, Reached int // the teams' newest keys
}

func tallied(doors []keptDoor) (t tally) {
	for _, d := range doors {
		if d.Kind == identity.DoorKey {
			t.Keys++
			if d.Open {
				t.Reached++
			}
			continue
		}
		t.Doors++
		if d.Open {
			t.Open++
		}
	}
	return t
}

// held are the numbers of the team keys that somebody had before leaving.
func held(doors []keptDoor) map[id.Team]uint64 {
	keys := map[id.Team]uint64{}
	for _, d := range doors {
		if d.Kind != identity.DoorKey {
			continue
		}
		team, number, _ := strings.Cut(d.Key, ".")
		if n, err := strconv.ParseUint(number, 10, 64); err == nil {
			keys[id.Team(team)] = n
		}
	}
	return keys
}

package leaving

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/rooms/identity"
)

// mostAhead is how far ahead a leaving can be planned. What is signed for a day
// that nobody thinks of any more would surprise somebody.
const mostAhead = 366 * 24 * time.Hour

var errHour = &web.Error{Status: http.StatusUnprocessableEntity, Text: "This hour is over, or more than a year away.", Fix: "Go back and choose another hour, or close the doors now.", Back: "/leaving"}

// Plan has an owner sign a leaving ahead of its hour, with the next keys of the
// person's teams, sealed to those who stay. Until then nothing changes; at the
// hour nobody has to be there. A newer plan for the person takes the place of this
// one. It returns the leaving's id. *web.Error where it cannot be.
func (l *Leaving) Plan(ctx context.Context, by *identity.Unlocked, asked Asked) (id.Record, error) {
	now := l.Now()
	if !asked.Hour.After(now) || asked.Hour.After(now.Add(mostAhead)) {
		return "", errHour
	}
	a := act{ID: id.New[id.Record](), Person: asked.Person, Successor: asked.Successor, Entered: now, Hour: asked.Hour}
	actor := id.From(ctx)
	err := l.Identity.Change(ctx, by, func(c *identity.Change) error {
		own, err := l.check(ctx, c.Roster(), by.Person, asked)
		if err != nil {
			return err
		}
		teams, boxes, err := l.nextKeys(c.Roster(), asked.Person)
		if err != nil {
			return err
		}
		if err := c.Sign(seal.Entry{Act: seal.Foresee, Person: string(asked.Person), After: asked.Hour.UnixMilli(), Teams: teams}); err != nil {
			return err
		}
		a.Plan = c.Roster().Number
		c.Write(func(tx *store.Tx) error {
			if err := begin(ctx, tx, a, own); err != nil {
				return err
			}
			return keepKeys(ctx, tx, a.Plan, teams, boxes)
		})
		c.Tell(ctx, ledger.Fact{Actor: actor, Kind: "identity.leaving-planned", Subject: string(a.Person), Version: int64(a.Plan), Ref: string(a.ID)})
		return nil
	})
	if err != nil {
		return "", inWords(err)
	}
	l.wakeAt(asked.Hour)
	return a.ID, nil
}

// nextKeys makes the next key of each of a person's teams, for those who stay.
func (l *Leaving) nextKeys(roster *seal.Roster, p id.Person) (teams []seal.PlannedTeam, boxes []map[string][]byte, err error) {
	for _, name := range roster.Teams() {
		t, _ := roster.Team(name)
		left := staying(roster, t, p)
		if len(left)+1 != len(t.Members) || !in(t.Members, p) {
			continue // not the person's, or somebody left already: an owner's tap gives that one its key
		}
		var members []string
		for _, m := range left {
			members = append(members, string(m))
		}
		next, sealed, err := l.Identity.NextKey(roster, id.Team(name), members)
		if err != nil {
			return nil, nil, err
		}
		teams, boxes = append(teams, next), append(boxes, sealed)
	}
	return teams, boxes, nil
}

func in(members []string, p id.Person) bool {
	for _, m := range members {
		if m == string(p) {
			return true
		}
	}
	return false
}

func keepKeys(ctx context.Context, tx *store.Tx, plan uint64, teams []seal.PlannedTeam, boxes []map[string][]byte) error {
	for i, t := range teams {
		for holder, box := range boxes[i] {
			_, err := tx.ExecContext(ctx, `INSERT INTO leaving_keys (plan, team, epoch, holder, box) VALUES ($1, $2, $3, $4, $5)`, plan, t.Team, t.Epoch, holder, box)
			if err != nil {
				return fmt.Errorf("keep the keys of plan %d: %w", plan, err)
			}
		}
	}
	return nil
}

var errNoPlan = &web.Error{Status: http.StatusConflict, Text: "There is no plan to take back any more: it was carried out, replaced or taken back before.", Fix: "The page of leavings shows how it stands.", Back: "/leaving"}

// Withdraw takes a plan back, in an owner's name.
func (l *Leaving) Withdraw(ctx context.Context, by *identity.Unlocked, leaving id.Record) error {
	a, err := readAct(ctx, l.DB, leaving)
	if err != nil {
		return err
	}
	if !a.Planned() {
		return errNoPlan
	}
	actor := id.From(ctx)
	err = l.Identity.Change(ctx, by, func(c *identity.Change) error {
		if p, ok := c.Roster().PlanOf(string(a.Person)); !ok || p.Number != a.Plan || p.Done {
			return errNoPlan
		}
		if err := c.Sign(seal.Entry{Act: seal.Withdraw, Plan: a.Plan}); err != nil {
			return err
		}
		c.Write(func(tx *store.Tx) error { return endPlan(ctx, tx, a.Person, l.Now()) })
		c.Tell(ctx, ledger.Fact{Actor: actor, Kind: "identity.leaving-withdrawn", Subject: string(a.Person), Version: int64(a.Plan), Ref: string(a.ID)})
		return nil
	})
	return inWords(err)
}

// wakeAt wakes the job of plans at an hour that comes before its next look.
func (l *Leaving) wakeAt(hour time.Time) {
	if wait := hour.Sub(l.Now()); wait < 2*dueEvery {
		time.AfterFunc(max(wait, 0), func() { wake(l.due) })
	}
}

// carryOutDue has every plan happen whose hour has come, as the signed list has
// them, and finishes what was carried out without the doors: after a crash that
// cannot be, but somebody who writes the database can have it so.
func (l *Leaving) carryOutDue(ctx context.Context) error {
	if !l.Identity.Founded() {
		return nil
	}
	roster, err := l.Identity.Roster(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range roster.Plans() {
		switch hour := time.UnixMilli(p.After); {
		case p.Done:
			errs = append(errs, l.finish(ctx, p))
		case hour.After(l.Now()):
			l.wakeAt(hour)
		default:
			errs = append(errs, l.carryOut(ctx, p))
		}
	}
	return errors.Join(errs...)
}

// carryOut closes the doors of one plan. A plan that does not count any more is
// left alone: evidence tells of it.
func (l *Leaving) carryOut(ctx context.Context, p seal.Plan) error {
	person := id.Person(p.Person)
	doors, err := l.knocks(ctx, person, nil)
	if err != nil {
		return err
	}
	began := time.Now()
	var leaving id.Record
	err = l.Identity.CarryOut(ctx, p.Number, func(tx *store.Tx, then *seal.Roster) error {
		a, err := l.close(ctx, tx, then, p, doors)
		leaving = a.ID
		return err
	})
	if e, ok := errors.AsType[*seal.RosterError](err); ok {
		if l.Log != nil {
			l.Log.WarnContext(ctx, "a planned leaving is not carried out", "plan", p.Number, "why", e.Reason)
		}
		return nil
	}
	if err != nil {
		return err
	}
	return l.after(ctx, leaving, time.Since(began))
}

// finish closes the doors of a plan that stands as carried out on the list while
// they are open.
func (l *Leaving) finish(ctx context.Context, p seal.Plan) error {
	a, err := byPlan(ctx, l.DB, p.Number)
	if err != nil && !errors.Is(err, errNoLeaving) || err == nil && !a.Closed.IsZero() {
		return err
	}
	doors, err := l.knocks(ctx, id.Person(p.Person), nil)
	if err != nil {
		return err
	}
	began := time.Now()
	roster, err := l.Identity.Roster(ctx)
	if err != nil {
		return err
	}
	err = l.DB.Update(ctx, func(tx *store.Tx) (err error) {
		a, err = l.close(ctx, tx, roster, p, doors)
		return err
	})
	if err != nil {
		return err
	}
	return l.after(ctx, a.ID, time.Since(began))
}

// close closes all rooms' doors to the person of a plan, and gives those who stay
// the keys that were made for them. then is the list with the plan carried out.
func (l *Leaving) close(ctx context.Context, tx *store.Tx, then *seal.Roster, p seal.Plan, doors []answer) (act, error) {
	now := l.Now()
	a, err := byPlan(ctx, tx, p.Number)
	if errors.Is(err, errNoLeaving) {
		a = act{ID: id.New[id.Record](), Person: id.Person(p.Person), Entered: now, Hour: time.UnixMilli(p.After), Plan: p.Number}
		err = begin(ctx, tx, a, ownTeam(then, a.Person))
	}
	if err != nil {
		return a, err
	}
	a.Closed = now
	if err := l.giveKeys(ctx, tx, then, p); err != nil {
		return a, err
	}
	if err := l.Offboard(ctx, tx, layer.Leaving{Person: a.Person, Successor: a.Successor, At: now}); err != nil {
		return a, err
	}
	if err := closed(ctx, tx, a, doors); err != nil {
		return a, err
	}
	why := ""
	if now.Before(a.Hour) {
		why = "early"
	}
	return a, ledger.Append(ctx, tx, ledger.Fact{At: now, Kind: "identity.left", Subject: p.Person, Version: int64(p.Number), Reason: why, Ref: string(a.ID)})
}

// giveKeys hands those who stay the keys of a plan, for the teams that got them.
func (l *Leaving) giveKeys(ctx context.Context, tx *store.Tx, then *seal.Roster, p seal.Plan) error {
	rows, err := tx.QueryContext(ctx, `SELECT team, epoch, holder, box FROM leaving_keys WHERE plan = $1`, p.Number)
	if err != nil {
		return fmt.Errorf("read the keys of plan %d: %w", p.Number, err)
	}
	type key struct {
		team   id.Team
		epoch  uint64
		holder string
		box    []byte
	}
	var keys []key
	for rows.Next() {
		var k key
		if err := rows.Scan(&k.team, &k.epoch, &k.holder, &k.box); err != nil {
			rows.Close()
			return fmt.Errorf("read the keys of plan %d: %w", p.Number, err)
		}
		keys = append(keys, k)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return fmt.Errorf("read the keys of plan %d: %w", p.Number, err)
	}
	for _, k := range keys {
		if who, ok := then.Person(k.holder); !got(then, p, string(k.team), k.epoch) || ok && (who.Gone || who.Keyed > p.Number) {
			continue
		}
		if err := l.Identity.PutTeamKey(ctx, tx, k.team, k.epoch, k.holder, k.box); err != nil {
			return err
		}
	}
	for _, t := range p.Teams {
		if !got(then, p, t.Team, t.Epoch) {
			continue
		}
		f := ledger.Fact{At: l.Now(), Kind: "identity.team-keyed", Subject: t.Team, Version: int64(t.Epoch)}
		if err := ledger.Append(ctx, tx, f); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM leaving_keys WHERE plan = $1`, p.Number)
	return err
}

// got tells whether a team has the key that a plan gave it.
func got(then *seal.Roster, p seal.Plan, team string, epoch uint64) bool {
	t, _ := then.Team(team)
	for _, planned := range p.Teams {
		if planned.Team == team && planned.Epoch == epoch {
			return string(t.Commitments[epoch]) == string(planned.Commitment)
		}
	}
	return false
}

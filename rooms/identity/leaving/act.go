package leaving

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/rooms/identity"
)

// Asked is a leaving as an owner asks for it.
type Asked struct {
	Person    id.Person
	Successor id.Person // who takes the patients over; may be empty
	Hour      time.Time // of a plan: when it is to happen; else when the person left
}

// What an owner reads whose act the signed list does not allow.
var (
	errNobody    = &web.Error{Status: http.StatusConflict, Text: "Nobody of that name belongs to the practice any more, so there is no door left to close.", Fix: "Somebody else may have been quicker. The list of people shows how it stands.", Back: "/people"}
	errLastOwner = &web.Error{Status: http.StatusConflict, Text: "This is the only owner. Without an owner nobody could sign for the practice any more, so nothing was changed.", Fix: "Make somebody else an owner first, then close these doors.", Back: "/people"}
	errLeft      = &web.Error{Status: http.StatusForbidden, Text: "You left the practice a moment ago, so this was not done.", Fix: "If that is a mistake, talk to the owner: you can be invited again.", Back: "/unlock"}
	errSuccessor = &web.Error{Status: http.StatusUnprocessableEntity, Text: "The person who takes the patients over has to be a clinician who stays.", Fix: "Go back and choose somebody else, or nobody for now.", Back: "/leaving"}
	errBusy      = &web.Error{Status: http.StatusConflict, Text: "Somebody changed the list of people in the same moment, so nothing was done.", Fix: "Look at the list, and press the button again.", Back: "/leaving"}
)

// check refuses what cannot be before anything is made, in words.
func (l *Leaving) check(ctx context.Context, roster *seal.Roster, by id.Person, asked Asked) (team id.Team, err error) {
	who, ok := roster.Person(string(asked.Person))
	me, known := roster.Person(string(by))
	switch {
	case !known || me.Gone:
		return "", errLeft
	case !ok || who.Gone:
		return "", errNobody
	case slices.Contains(who.Roles, identity.Owner) && others(roster, asked.Person) == 0:
		return "", errLastOwner
	}
	if asked.Successor != "" {
		if next, ok := roster.Person(string(asked.Successor)); !ok || next.Gone || asked.Successor == asked.Person || ownTeam(roster, asked.Successor) == "" {
			return "", errSuccessor
		}
	}
	return ownTeam(roster, asked.Person), nil
}

// others counts the owners who stay.
func others(roster *seal.Roster, but id.Person) (n int) {
	for _, name := range roster.People() {
		if p, _ := roster.Person(name); name != string(but) && !p.Gone && slices.Contains(p.Roles, identity.Owner) {
			n++
		}
	}
	return n
}

// ownTeam is the care team that somebody's patients belong to, if there is one.
func ownTeam(roster *seal.Roster, p id.Person) id.Team {
	for _, name := range roster.Teams() {
		if t, _ := roster.Team(name); t.Kind == identity.CareTeam && t.Own == string(p) {
			return id.Team(name)
		}
	}
	return ""
}

// staying are those members of a team who belong to the practice, but for one.
func staying(roster *seal.Roster, t seal.RosterTeam, but id.Person) (members []id.Person) {
	for _, m := range t.Members {
		if p, ok := roster.Person(m); ok && !p.Gone && m != string(but) {
			members = append(members, id.Person(m))
		}
	}
	return members
}

// Close closes every door to a person: an owner's line on the signed list, new keys
// for the teams, and all rooms' doors, in one transaction. It returns the leaving's
// id. *web.Error where it cannot be.
func (l *Leaving) Close(ctx context.Context, by *identity.Unlocked, asked Asked) (id.Record, error) {
	doors, err := l.knocks(ctx, asked.Person, nil)
	if err != nil {
		return "", err
	}
	began := time.Now()
	a := act{ID: id.New[id.Record](), Person: asked.Person, Successor: asked.Successor, Entered: l.Now(), Hour: asked.Hour, Closed: l.Now()}
	actor := id.From(ctx)
	err = l.Identity.Change(ctx, by, func(c *identity.Change) error {
		team, err := l.check(ctx, c.Roster(), by.Person, asked)
		if err != nil {
			return err
		}
		if err := c.Sign(seal.Entry{Act: seal.Leave, Person: string(asked.Person)}); err != nil {
			return err
		}
		if err := rotateStale(ctx, c); err != nil {
			return err
		}
		c.Write(func(tx *store.Tx) error {
			if err := begin(ctx, tx, a, team); err != nil {
				return err
			}
			if err := l.Offboard(ctx, tx, layer.Leaving{Person: a.Person, Successor: a.Successor, By: actor, At: a.Closed}); err != nil {
				return err
			}
			return closed(ctx, tx, a, doors)
		})
		c.Tell(ctx, ledger.Fact{Actor: actor, Kind: "identity.left", Subject: string(a.Person), Ref: string(a.ID)})
		return nil
	})
	if err != nil {
		return "", inWords(err)
	}
	return a.ID, l.after(ctx, a.ID, time.Since(began))
}

// rotateStale gives a new key to each team whose newest key is one that somebody
// who is gone could hold.
func rotateStale(ctx context.Context, c *identity.Change) error {
	for _, name := range c.Roster().Teams() {
		if !c.Roster().Stale(name) {
			continue
		}
		t, _ := c.Roster().Team(name)
		if err := c.Rotate(ctx, id.Team(name), staying(c.Roster(), t, "")); err != nil {
			return err
		}
	}
	return nil
}

// NewKeys gives a new key to every team that still has one which somebody who
// left could hold: where a plan could not be carried out in full.
func (l *Leaving) NewKeys(ctx context.Context, by *identity.Unlocked) error {
	return inWords(l.Identity.Change(ctx, by, func(c *identity.Change) error { return rotateStale(ctx, c) }))
}

// after writes down how long the doors took, has them tried, and has a made-up
// person leave in the same way. The doors are closed whatever comes of it.
func (l *Leaving) after(ctx context.Context, leaving id.Record, took time.Duration) error {
	err := l.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE leaving_acts SET took = $1 WHERE leaving = $2`, took.Microseconds(), leaving)
		return err
	})
	wake(l.walks)
	return errors.Join(err, l.Try(ctx, leaving))
}

// inWords tells a person what the signed list does not allow.
func inWords(err error) error {
	if e, ok := errors.AsType[*seal.RosterError](err); ok {
		words := *errBusy
		words.Err = e
		return &words
	}
	return err
}

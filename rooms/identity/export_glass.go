package identity

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
)

// What the package glass, a part of this room, needs of it.

// keptGlass is kept while a glass is broken, an hour at most.
const keptGlass = "glass"

// ErrGone means that a session keeps nothing under this name, or not any more.
var ErrGone = errGone

// HeldKey is a team key in somebody's hands.
type HeldKey struct {
	Team  id.Team
	Epoch uint64
	Key   seal.Key
}

// HeldKeys are the team keys that the acting session holds, of those teams that
// its person is in now. The caller wipes them.
func (i *Identity) HeldKeys(ctx context.Context) ([]HeldKey, error) {
	r := ringFrom(ctx)
	if r == nil {
		return nil, nil
	}
	roster, err := i.known(ctx)
	if err != nil {
		return nil, err
	}
	return r.held(roster), nil
}

// HeldKeys are the team keys of somebody whose door was just opened.
func (u *Unlocked) HeldKeys(roster *seal.Roster) []HeldKey { return u.ring.held(roster) }

func (r *ring) held(roster *seal.Roster) (held []HeldKey) {
	for team, keys := range r.Teams {
		if !member(roster, team, r.Person) {
			continue
		}
		for epoch, key := range keys {
			held = append(held, HeldKey{team, epoch, key})
		}
	}
	return held
}

// OpenKey opens a key that was sealed to the person whose door was just opened.
func (u *Unlocked) OpenKey(box []byte, s seal.Slot) (seal.Key, error) { return u.user.OpenKey(box, s) }

// ChangedSince names those who left the practice, or got other keys, after a
// public key of it was named last, as the signed list says.
func (i *Identity) ChangedSince(ctx context.Context, name string) (people []id.Person, err error) {
	_, chain, err := i.checkedChain(ctx)
	if err != nil {
		return nil, err
	}
	entry := func(number int) (e seal.Entry, err error) {
		if number < 1 || number > len(chain) {
			return e, fmt.Errorf("read roster entry %d: there is none", number)
		}
		return e, json.Unmarshal(chain[number-1].Body, &e)
	}
	for n := len(chain); n > 0; n-- {
		e, err := entry(n)
		if err != nil {
			return nil, err
		}
		if e.Act == seal.Due {
			if e, err = entry(int(e.Plan)); err != nil {
				return nil, err
			}
			e.Act = seal.Leave
		}
		switch e.Act {
		case seal.Leave, seal.Rekey:
			people = append(people, id.Person(e.Person))
		case seal.Name:
			if e.Name == name {
				return people, nil
			}
		}
	}
	return people, nil
}

// Keep keeps something for the browser session behind a request until it ends,
// sealed under the session's cookie: while no request of it is in flight, nobody
// opens it. ErrGone where there is no such session.
func (i *Identity) Keep(ctx context.Context, name string, plain []byte, ends time.Time) error {
	v := visitFrom(ctx)
	if v == nil {
		return ErrGone
	}
	return i.kept.put(ctx, keptGlass, v.glass(name), v.key.Seal(plain, i.glassSlot(v, name)), ends)
}

// Kept returns what Keep was given, in a request of the same session. ErrGone if
// it has ended.
func (i *Identity) Kept(ctx context.Context, name string) ([]byte, error) {
	v := visitFrom(ctx)
	if v == nil {
		return nil, ErrGone
	}
	box, err := i.kept.get(ctx, keptGlass, v.glass(name), i.Now())
	if err != nil {
		return nil, err
	}
	plain, err := v.key.Open(box, i.glassSlot(v, name))
	if err != nil {
		return nil, ErrGone // it was put there from outside
	}
	return plain, nil
}

// Unkeep forgets what Keep was given.
func (i *Identity) Unkeep(ctx context.Context, name string) error {
	v := visitFrom(ctx)
	if v == nil {
		return ErrGone
	}
	_, err := i.kept.take(ctx, keptGlass, v.glass(name), i.Now())
	return err
}

func (v *visit) glass(name string) string { return string(v.ID) + " " + name }

func (i *Identity) glassSlot(v *visit, name string) seal.Slot {
	return seal.Slot{Kind: "glass-ring", Practice: i.Anchor.Practice(), Holder: string(v.Person), Subject: string(v.ID), Record: name}
}

package identity

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
)

// Unlocked is a person whose door was just opened: the seed is at hand, for
// this one act. Wipe it when the act is done.
type Unlocked struct {
	Person id.Person
	Door   string

	seed seal.Seed
	user seal.User
	ring *ring
}

// Wipe overwrites the seed and the team keys.
func (u *Unlocked) Wipe() {
	u.seed.Wipe()
	u.ring.wipe()
}

func (u *Unlocked) actor() id.Actor { return id.Actor{Person: u.Person} }

// UnlockCode opens a person's seed with the two parts of a personal code. A
// wrong code gives ErrNoDoor, whoever it is meant for.
func (i *Identity) UnlockCode(ctx context.Context, auth, kek seal.Key) (*Unlocked, error) {
	var p id.Person
	var doorID string
	var box []byte
	err := i.DB.QueryRowContext(ctx, `SELECT person, door, seed FROM identity_doors WHERE auth = $1`, seal.AuthHash(auth)).Scan(&p, &doorID, &box)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNoDoor
	}
	if err != nil {
		return nil, fmt.Errorf("unlock by code: %w", err)
	}
	pair, err := seal.DoorFromCode(kek, i.Anchor.Practice(), string(p), doorID)
	if err != nil {
		return nil, err
	}
	return i.open(ctx, p, doorID, pair, box)
}

// unlockPasskey opens a person's seed with the PRF output `first` of one of the
// person's passkeys, whose assertion was checked before.
func (i *Identity) unlockPasskey(ctx context.Context, doorID string, first []byte) (*Unlocked, error) {
	var p id.Person
	var box []byte
	err := i.DB.QueryRowContext(ctx, `SELECT person, seed FROM identity_doors WHERE door = $1 AND kind = $2`, doorID, passkeyDoor).Scan(&p, &box)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNoDoor
	}
	if err != nil {
		return nil, fmt.Errorf("unlock by passkey: %w", err)
	}
	pair, err := seal.DoorFromPRF(first, i.Anchor.Practice(), string(p), doorID)
	if err != nil {
		return nil, err
	}
	return i.open(ctx, p, doorID, pair, box)
}

// open opens the seed and checks all it leads to against the signed roster:
// nothing that stands only in the database is believed.
func (i *Identity) open(ctx context.Context, p id.Person, doorID string, pair *seal.Pair, box []byte) (*Unlocked, error) {
	key, err := pair.OpenKey(box, i.seedSlot(p, doorID))
	if err != nil {
		return nil, ErrNoDoor
	}
	roster, err := i.Roster(ctx)
	if err != nil {
		return nil, err
	}
	if who, ok := roster.Person(string(p)); ok && !who.Doors[doorID].Pair.Equal(pair.Public()) {
		return nil, ErrNoDoor
	}
	u, err := i.unlock(ctx, p, doorID, seal.Seed{Key: key})
	if err == nil {
		i.tryCatchUp(ctx, u)
		i.tryComplete(ctx, u)
	}
	return u, err
}

// tryCatchUp gives overdue teams their new keys while an owner's seed is open.
// Where that fails the owner comes in all the same: the teams stay overdue, the
// evidence says so, and the next opening tries again.
func (i *Identity) tryCatchUp(ctx context.Context, u *Unlocked) { _ = i.CatchUp(ctx, u) }

// unlock follows a seed to its keys, and checks them against the signed roster.
func (i *Identity) unlock(ctx context.Context, p id.Person, doorID string, seed seal.Seed) (_ *Unlocked, err error) {
	u := &Unlocked{Person: p, Door: doorID, seed: seed, ring: newRing(p)}
	defer func() {
		if err != nil {
			u.Wipe()
		}
	}()
	if u.user, err = u.seed.User(); err != nil {
		return nil, err
	}
	roster, chain, err := i.checkedChain(ctx)
	if err != nil {
		return nil, err
	}
	who, ok := roster.Person(string(p))
	keys := u.user.Keys()
	switch {
	case !ok || !who.Keys.Pair.Equal(keys.Pair) || string(who.Keys.Sign) != string(keys.Sign):
		return nil, fmt.Errorf("%w: person %s has other keys", ErrForged, p)
	case who.Gone:
		return nil, ErrNoDoor
	}
	if _, ok := who.Doors[doorID]; !ok {
		return nil, ErrNoDoor
	}
	if err := i.checkPin(ctx, u, roster, chain); err != nil {
		return nil, err
	}
	ring, err := i.openRing(ctx, u, roster)
	if err != nil {
		return nil, err
	}
	u.ring = ring
	return u, nil
}

// openRing opens every team key sealed to the person, and keeps those only that
// the practice signed. A box of a team that the person is no member of is left
// alone: it may have been put back from an old copy.
func (i *Identity) openRing(ctx context.Context, u *Unlocked, roster *seal.Roster) (*ring, error) {
	boxes, err := teamBoxes(ctx, i.DB, string(u.Person))
	if err != nil {
		return nil, err
	}
	r := newRing(u.Person)
	for _, b := range boxes {
		if !member(roster, b.team, u.Person) {
			continue
		}
		key, err := u.user.OpenKey(b.box, i.teamSlot(string(u.Person), b.team, b.epoch))
		if err == nil {
			err = roster.CheckTeamKey(string(b.team), b.epoch, key)
		}
		if err == nil {
			err = checkInbox(roster, b, key)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: key %d of team %s: %w", ErrForged, b.epoch, b.team, err)
		}
		r.add(b.team, b.epoch, key)
	}
	return r, nil
}

// checkInbox tells whether the inbox that the list names for a team is the one
// that the team's key opens: else what is handed to the team goes elsewhere.
func checkInbox(roster *seal.Roster, b teamBox, key seal.Key) error {
	t, _ := roster.Team(string(b.team))
	if t.Epoch != b.epoch {
		return nil
	}
	inbox, err := seal.TeamInbox(key)
	if err != nil {
		return err
	}
	if !t.Inbox.Equal(inbox.Public()) {
		return seal.ErrSealed
	}
	return nil
}

// checkPin compares the chain with what the person has seen of it before, and
// remembers more of it.
func (i *Identity) checkPin(ctx context.Context, u *Unlocked, roster *seal.Roster, chain []seal.Signed) error {
	var box []byte
	err := i.DB.QueryRowContext(ctx, `SELECT box FROM identity_pins WHERE person = $1`, u.Person).Scan(&box)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%w: what person %s has seen of the list is gone", ErrForged, u.Person)
	}
	if err != nil {
		return fmt.Errorf("read pin: %w", err)
	}
	plain, err := u.seed.Pin().Open(box, i.pinSlot(u.Person))
	var pin seal.Pin
	if err == nil {
		err = json.Unmarshal(plain, &pin)
	}
	if err == nil {
		err = roster.CheckPin(pin, chain)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrForged, err)
	}
	if pin.Number == roster.Number {
		return nil
	}
	return i.writePin(ctx, u)
}

func (i *Identity) writePin(ctx context.Context, u *Unlocked) error {
	roster, err := i.Roster(ctx)
	if err != nil {
		return err
	}
	return i.DB.Update(ctx, func(tx *store.Tx) error { return i.pin(ctx, tx, u.Person, u.seed, roster.Pin()) })
}

// pin writes what a person's seed remembers of the chain.
func (i *Identity) pin(ctx context.Context, tx *store.Tx, p id.Person, seed seal.Seed, pin seal.Pin) error {
	box, err := i.pinBox(p, seed, pin)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO identity_pins (person, box) VALUES ($1, $2) ON CONFLICT (person) DO UPDATE SET box = excluded.box`, p, box)
	return err
}

func (i *Identity) pinBox(p id.Person, seed seal.Seed, pin seal.Pin) ([]byte, error) {
	plain, err := json.Marshal(pin)
	if err != nil {
		return nil, err
	}
	return seed.Pin().Seal(plain, i.pinSlot(p)), nil
}

package identity

import (
	"context"
	"fmt"
	"slices"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
)

// A seed that somebody else may know is replaced: after a door was removed, a
// code was used, or a session was reported stolen.

// reseed gives the person who makes the change a new seed. It is sealed to the
// doors that stay, by their public keys in the signed list and so without a tap
// of them, and to one that comes, if any; the door that is gone opens nothing any
// more, and all sessions of the person but the acting one end. The old keys sign nothing from now on, and nothing more is sealed to
// them. Team keys that the person holds are sealed to the new ones. Each of the
// person's teams then needs a key that the old seed never reached: an owner makes
// them at once; for everybody else they are made at an owner's next tap, see
// catchUp.
func (c *Change) reseed(ctx context.Context, a id.Actor, gone string, come func(seal.Seed) (door, error)) error {
	p := c.by.Person
	c.by.ring.keep(c.roster) // somebody may have been taken out of a team since the door was opened
	who, _ := c.roster.Person(string(p))
	seed := seal.NewSeed()
	user, err := seed.User()
	if err != nil {
		return err
	}
	doors, boxes := map[string]seal.Door{}, map[string][]byte{}
	for name, d := range who.Doors {
		if name == gone {
			continue
		}
		if boxes[name], err = seal.SealTo(d.Pair, seed.Key[:], c.i.seedSlot(p, name)); err != nil {
			return err
		}
		doors[name] = d
	}
	var fresh *door
	if come != nil {
		d, err := come(seed)
		if err != nil {
			return err
		}
		fresh, doors[d.id] = &d, seal.Door{Kind: d.kind, Pair: d.public}
	}
	if err := c.Sign(seal.Entry{Act: seal.Rekey, Person: string(p), Keys: new(user.Keys()), Doors: doors}); err != nil {
		return fmt.Errorf("%w: %w", ErrNoDoor, err) // the seed is not the newest any more
	}
	c.seed, c.user = seed, user
	for team, keys := range c.by.ring.Teams {
		for epoch, key := range keys {
			box, err := c.i.teamBox(c.roster, team, epoch, key, string(p))
			if err != nil {
				return err
			}
			c.Write(func(tx *store.Tx) error { return addTeamKey(ctx, tx, team, epoch, string(p), box) })
		}
	}
	c.Write(func(tx *store.Tx) error {
		if err := writeSeed(ctx, tx, p, boxes, gone, fresh, c.i.Now().UnixMilli()); err != nil {
			return err
		}
		if err := c.i.EndSessions(ctx, tx, p, a.Session); err != nil {
			return err
		}
		if err := c.i.pin(ctx, tx, p, seed, c.roster.Pin()); err != nil {
			return err
		}
		return c.i.tellOwn(ctx, tx, p, "Your keys were made new", "A way in of yours was closed, a printed code of yours was used, or you reported a session that was not yours. All your other sessions have ended.")
	})
	c.Tell(ctx, ledger.Fact{Actor: a, Kind: "identity.reseeded", Subject: string(p), Ref: gone, Version: int64(c.roster.Number)})
	if slices.Contains(who.Roles, Owner) {
		return c.RotateAll(ctx, p, false)
	}
	return nil
}

func writeSeed(ctx context.Context, tx *store.Tx, p id.Person, boxes map[string][]byte, gone string, fresh *door, at int64) error {
	for name, box := range boxes {
		if _, err := tx.ExecContext(ctx, `UPDATE identity_doors SET seed = $1 WHERE door = $2`, box, name); err != nil {
			return err
		}
	}
	var label string
	if gone != "" {
		if err := tx.QueryRowContext(ctx, `DELETE FROM identity_doors WHERE door = $1 RETURNING label`, gone).Scan(&label); err != nil {
			return fmt.Errorf("remove door %s: %w", gone, err)
		}
	}
	if fresh == nil {
		return nil
	}
	d := *fresh
	if label != "" {
		d.label = label // a code that takes another one's place keeps its name
	}
	return addDoor(ctx, tx, p, d, at)
}

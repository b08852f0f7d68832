package identity

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
)

// Change is one act upon the list of people and keys in the making: entries that
// one person signs, and the rows and facts that belong to them. They are written
// in one transaction or not at all; see Identity.Change.
type Change struct {
	i       *Identity
	by      *Unlocked
	seed    seal.Seed // the signer's, as it will be: see reseed
	user    seal.User
	roster  *seal.Roster // as it will be
	entries []numbered
	writes  []func(*store.Tx) error
	made    []madeKey
	given   []givenKey
}

type numbered struct {
	number uint64
	entry  seal.Signed
}

type madeKey struct {
	team    id.Team
	epoch   uint64
	key     seal.Key
	members []id.Person
}

// givenKey is a team key that was sealed to somebody.
type givenKey struct {
	holder id.Person
	team   id.Team
	epoch  uint64
	key    seal.Key
}

// Change lets build sign entries in a person's name, one upon the other, and
// says with Write what is written with them; then it writes everything in one
// transaction. An error of build, of a write or of the commit leaves the list,
// the rows and the person's keys in memory as they were. One change at a time is
// made in this process; a second one on another server loses by the number of
// its entry, and may be tried again.
//
// What takes time, such as sealing, belongs in build and not in a Write: that
// waits for nobody and may run twice.
func (i *Identity) Change(ctx context.Context, by *Unlocked, build func(*Change) error) error {
	i.acts.Lock()
	defer i.acts.Unlock()
	roster, err := i.Roster(ctx)
	if err != nil {
		return err
	}
	c := &Change{i: i, by: by, seed: by.seed, user: by.user, roster: roster.Clone()}
	if err := build(c); err != nil {
		return err
	}
	err = i.DB.Update(ctx, func(tx *store.Tx) error {
		for _, e := range c.entries {
			if err := i.addEntry(ctx, tx, e.number, e.entry); err != nil {
				return err
			}
		}
		for _, write := range c.writes {
			if err := write(tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	c.by.seed, c.by.user = c.seed, c.user
	for _, m := range c.made {
		if slices.Contains(m.members, c.by.Person) {
			c.by.ring.add(m.team, m.epoch, m.key)
		}
	}
	i.handOn(ctx, c.given)
	return nil
}

// Roster is the list as it will be, with all entries signed so far. The caller
// changes nothing in it.
func (c *Change) Roster() *seal.Roster { return c.roster }

// Sign puts one more entry on the list, in the name of the person who makes the
// change. *seal.RosterError if the list does not allow it.
func (c *Change) Sign(e seal.Entry) error {
	e.At = c.i.Now().UnixMilli()
	s, err := c.roster.Sign(string(c.by.Person), c.user.Signer, e)
	if err != nil {
		return err
	}
	c.entries = append(c.entries, numbered{c.roster.Number, s})
	return nil
}

// Write has f write rows and facts in the transaction of the change, after the
// entries, in the order of the calls. f may run twice.
func (c *Change) Write(f func(*store.Tx) error) { c.writes = append(c.writes, f) }

// Tell appends a fact with the change; time and actor are filled in where they are empty.
func (c *Change) Tell(ctx context.Context, f ledger.Fact) {
	if f.At.IsZero() {
		f.At = c.i.Now()
	}
	if f.Actor == (id.Actor{}) {
		f.Actor = c.by.actor()
	}
	c.Write(func(tx *store.Tx) error { return ledger.Append(ctx, tx, f) })
}

// Form makes a team with its first key; of t it takes kind, name and whose own
// it is. The signer need not be a member.
func (c *Change) Form(ctx context.Context, team id.Team, t seal.RosterTeam, members []id.Person) error {
	return c.keyTeam(ctx, team, seal.RosterTeam{Kind: t.Kind, Name: t.Name, Own: t.Own}, 1, seal.NewKey(), members)
}

// AddMember seals the team's keys, old ones too, to one more person. The signer
// has to hold them: ErrNoKey.
func (c *Change) AddMember(ctx context.Context, team id.Team, p id.Person) error {
	t, ok := c.roster.Team(string(team))
	if !ok {
		return fmt.Errorf("team %s: unknown", team)
	}
	keys := c.keysOf(team)
	key, ok := keys[t.Epoch]
	if !ok {
		return ErrNoKey
	}
	delete(keys, t.Epoch)
	if err := c.keyTeam(ctx, team, t, t.Epoch, key, append(ids(t.Members), p)); err != nil {
		return err
	}
	for epoch, old := range keys {
		if err := c.giveKey(ctx, team, epoch, old, string(p)); err != nil {
			return err
		}
	}
	return nil
}

// keysOf are a team's keys that the signer holds, with those that the change makes.
func (c *Change) keysOf(team id.Team) map[uint64]seal.Key {
	keys := map[uint64]seal.Key{}
	maps.Copy(keys, c.by.ring.Teams[team])
	for _, m := range c.made {
		if m.team == team {
			keys[m.epoch] = m.key
		}
	}
	return keys
}

// SetRecovery names the practice's recovery pair, and seals every team key that
// the signer holds to it.
func (c *Change) SetRecovery(ctx context.Context, public seal.Public) error {
	return c.nameRecovery(ctx, seal.Entry{Act: seal.Name, Name: recoveryHolder, Public: public})
}

func (c *Change) nameRecovery(ctx context.Context, e seal.Entry) error {
	if err := c.Sign(e); err != nil {
		return err
	}
	c.Write(func(tx *store.Tx) error {
		if err := dropOldKit(ctx, tx); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE identity_team_keys SET holder = $1 WHERE holder = $2`, recoveryBefore, recoveryHolder)
		return err
	})
	for team := range c.by.ring.Teams {
		for epoch, key := range c.keysOf(team) {
			if err := c.giveKey(ctx, team, epoch, key, recoveryHolder); err != nil {
				return err
			}
		}
	}
	c.Write(func(tx *store.Tx) error { return dropOldKit(ctx, tx) })
	c.Tell(ctx, ledger.Fact{Kind: "identity.recovery-named", Subject: string(c.by.Person)})
	return nil
}

// Rotate gives a team a new key, for these members only: sealed to each of them
// and to the recovery pair. Who is left out loses the boxes of the older keys,
// keeps what was read before, and reads nothing that is written later. The signer
// need not be a member.
func (c *Change) Rotate(ctx context.Context, team id.Team, members []id.Person) error {
	t, ok := c.roster.Team(string(team))
	if !ok {
		return fmt.Errorf("team %s: unknown", team)
	}
	if err := c.keyTeam(ctx, team, t, t.Epoch+1, seal.NewKey(), members); err != nil {
		return err
	}
	for _, m := range t.Members {
		if !slices.Contains(members, id.Person(m)) {
			c.Write(func(tx *store.Tx) error { return dropTeamKeys(ctx, tx, team, m) })
		}
	}
	return nil
}

// RotateAll gives each of a person's teams a new key. With out, the person is in
// none of them any more.
func (c *Change) RotateAll(ctx context.Context, p id.Person, out bool) error {
	for _, name := range c.roster.Teams() {
		t, _ := c.roster.Team(name)
		if !slices.Contains(t.Members, string(p)) {
			continue
		}
		members := ids(t.Members)
		if out {
			members = slices.DeleteFunc(members, func(m id.Person) bool { return m == p })
		}
		if err := c.Rotate(ctx, id.Team(name), members); err != nil {
			return err
		}
	}
	return nil
}

// keyTeam signs the team as it shall be, and seals its key to each member and to
// the recovery pair.
func (c *Change) keyTeam(ctx context.Context, team id.Team, t seal.RosterTeam, epoch uint64, key seal.Key, members []id.Person) error {
	e, err := teamEntry(team, t, epoch, key, members)
	if err != nil {
		return err
	}
	if err := c.Sign(e); err != nil {
		return err
	}
	for _, holder := range append(slices.Clone(e.Members), recoveryHolder) {
		if err := c.giveKey(ctx, team, epoch, key, holder); err != nil {
			return err
		}
	}
	c.Tell(ctx, ledger.Fact{Kind: "identity.team-keyed", Subject: string(team), Version: int64(epoch)})
	c.made = append(c.made, madeKey{team, epoch, key, members})
	return nil
}

// giveKey seals a team key to a holder, as the list will be.
func (c *Change) giveKey(ctx context.Context, team id.Team, epoch uint64, key seal.Key, holder string) error {
	box, err := c.i.teamBox(c.roster, team, epoch, key, holder)
	if err != nil || box == nil {
		return err
	}
	c.Write(func(tx *store.Tx) error { return addTeamKey(ctx, tx, team, epoch, holder, box) })
	c.given = append(c.given, givenKey{id.Person(holder), team, epoch, key})
	return nil
}

package identity

import (
	"context"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
)

// Newcomer is somebody who is about to join: keys are made, nothing is written.
type Newcomer struct {
	Person id.Person
	Name   string
	Mail   string
	Roles  []string

	practice string
	seed     seal.Seed
	user     seal.User
	doors    []door
}

// door is one way to open a seed, as it is kept.
type door struct {
	id, kind, label          string
	public                   seal.Public
	auth                     []byte // code
	credentialID, credential []byte // passkey
	seed                     []byte // the seed, sealed to public
}

// Kinds of doors.
const (
	passkeyDoor = "passkey"
	codeDoor    = "code"
)

// Newcomer makes the keys of somebody who is about to join.
func (i *Identity) Newcomer(name, mail string, roles ...string) (*Newcomer, error) {
	n := &Newcomer{Person: id.New[id.Person](), Name: name, Mail: mail, Roles: roles, practice: i.Anchor.Practice(), seed: seal.NewSeed()}
	var err error
	n.user, err = n.seed.User()
	return n, err
}

// AddCode gives the newcomer a personal code as a door. The code is to be
// printed and then forgotten: the house keeps its auth hash only.
func (i *Identity) AddCode(n *Newcomer, code seal.Code, label string) error {
	d, err := i.codeDoor(n.Person, n.seed, code.Auth(), code.KEK(), label)
	if err != nil {
		return err
	}
	n.doors = append(n.doors, d)
	return nil
}

func (i *Identity) codeDoor(p id.Person, seed seal.Seed, auth, kek seal.Key, label string) (door, error) {
	d := door{id: string(id.New[id.Record]()), kind: codeDoor, label: label, auth: seal.AuthHash(auth)}
	pair, err := seal.DoorFromCode(kek, i.Anchor.Practice(), string(p), d.id)
	if err != nil {
		return d, err
	}
	return d, i.fit(&d, p, seed, pair.Public())
}

// passkeyDoor makes a door of a passkey from its PRF output `first`.
func (i *Identity) passkeyDoor(p id.Person, seed seal.Seed, doorID string, first []byte, label string, credentialID, credential []byte) (door, error) {
	d := door{id: doorID, kind: passkeyDoor, label: label, credentialID: credentialID, credential: credential}
	pair, err := seal.DoorFromPRF(first, i.Anchor.Practice(), string(p), d.id)
	if err != nil {
		return d, err
	}
	return d, i.fit(&d, p, seed, pair.Public())
}

// fit seals the seed to the door.
func (i *Identity) fit(d *door, p id.Person, seed seal.Seed, public seal.Public) (err error) {
	d.public = public
	d.seed, err = seal.SealTo(public, seed.Key[:], i.seedSlot(p, d.id))
	return err
}

func (n *Newcomer) entry(act seal.Act) seal.Entry {
	keys := n.user.Keys()
	doors := map[string]seal.Door{}
	for _, d := range n.doors {
		doors[d.id] = seal.Door{Kind: d.kind, Pair: d.public}
	}
	return seal.Entry{Act: act, Person: string(n.Person), Name: n.Name, Keys: &keys, Doors: doors, Roles: n.Roles}
}

// Join takes a newcomer into the practice, in an owner's name. Teams come apart: see AddMember and FormTeam.
func (i *Identity) Join(ctx context.Context, by *Unlocked, n *Newcomer) error {
	return i.Change(ctx, by, func(c *Change) error { return c.Join(ctx, n) })
}

// Join takes a newcomer into the practice.
func (c *Change) Join(ctx context.Context, n *Newcomer) error {
	if err := c.Sign(n.entry(seal.Join)); err != nil {
		return err
	}
	pin := c.roster.Pin() // from the first day on the seed knows the list: a pin that is missing was taken away
	c.Write(func(tx *store.Tx) error {
		if err := c.i.writeNewcomer(ctx, tx, n, c.i.Now().UnixMilli()); err != nil {
			return err
		}
		return c.i.pin(ctx, tx, n.Person, n.seed, pin)
	})
	c.Tell(ctx, ledger.Fact{Kind: "identity.joined", Subject: string(n.Person)})
	return nil
}

func (i *Identity) writeNewcomer(ctx context.Context, tx *store.Tx, n *Newcomer, at int64) error {
	if err := addPerson(ctx, tx, n, at); err != nil {
		return err
	}
	for _, d := range n.doors {
		if err := addDoor(ctx, tx, n.Person, d, at); err != nil {
			return err
		}
	}
	return nil
}

package identity

import (
	"context"
	"crypto/sha256"

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
	return i.act(ctx, by, n.entry(seal.Join), func(tx *store.Tx, number uint64, s seal.Signed) error {
		if err := i.writeNewcomer(ctx, tx, n, number, s, i.Now().UnixMilli()); err != nil {
			return err
		}
		// From the first day on the seed knows the list: a pin that is missing was taken away.
		sum := sha256.Sum256(s.Body)
		if err := i.pin(ctx, tx, n.Person, n.seed, seal.Pin{Root: i.Anchor.Root(), Number: number, Head: sum[:]}); err != nil {
			return err
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: i.Now(), Actor: by.actor(), Kind: "identity.joined", Subject: string(n.Person)})
	})
}

func (i *Identity) writeNewcomer(ctx context.Context, tx *store.Tx, n *Newcomer, number uint64, s seal.Signed, at int64) error {
	if err := i.addEntry(ctx, tx, number, s); err != nil {
		return err
	}
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

// act signs one roster entry in a person's name and writes it, together with
// what belongs to it, in one transaction. A second writer on another instance
// loses by the entry's number, and its caller may try again.
func (i *Identity) act(ctx context.Context, by *Unlocked, e seal.Entry, write func(tx *store.Tx, number uint64, s seal.Signed) error) error {
	i.acts.Lock()
	defer i.acts.Unlock()
	return i.actLocked(ctx, by, e, write)
}

func (i *Identity) actLocked(ctx context.Context, by *Unlocked, e seal.Entry, write func(tx *store.Tx, number uint64, s seal.Signed) error) error {
	roster, err := i.Roster(ctx)
	if err != nil {
		return err
	}
	next := roster.Clone()
	e.At = i.Now().UnixMilli()
	s, err := next.Sign(string(by.Person), by.user.Signer, e)
	if err != nil {
		return err
	}
	return i.DB.Update(ctx, func(tx *store.Tx) error { return write(tx, next.Number, s) })
}

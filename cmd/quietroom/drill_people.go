package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"quietroom/ground/id"
	"quietroom/ground/seal"
)

// The part of row-swap that changes the list of people, their doors and their
// team keys. Each change is looked at by the person concerned, who signs in
// anew, and by the attacker, who tries to.

// crowd is everybody's rows, and the keys that each holds when all is well.
type crowd struct {
	*swaps
	dice   dice
	before []row
	rows   []row
	person map[string]id.Person // by handle
	held   map[string]map[string]seal.Key
	code   seal.Code // of the attacker
}

// people changes rows of the list of people, one change at a time.
func (d *swaps) people(ctx context.Context) error {
	c := &crowd{swaps: d, dice: dice(d.seed ^ 0xc0de), person: map[string]id.Person{}, held: map[string]map[string]seal.Key{}, code: seal.NewCode(seal.Personal)}
	if err := d.enter(ctx); err != nil {
		return err
	}
	for _, table := range []string{"identity_doors", "identity_team_keys", "identity_pins", "identity_roster"} {
		some, err := readRows(ctx, d.Trial.DB, table, "")
		if err != nil {
			return err
		}
		c.before = append(c.before, some...)
	}
	for handle, session := range d.sessions {
		c.person[handle], c.held[handle] = id.From(session).Person, c.keysOf(session)
	}
	_, _, times := d.times()
	for range times {
		if err := c.one(ctx); err != nil {
			return err
		}
	}
	for _, handle := range slices.Sorted(maps.Keys(c.held)) {
		if noticed, accepted := c.signIn(ctx, handle); noticed || accepted {
			return fmt.Errorf("all rows were put back, and %s cannot sign in as before (seed %d)", handle, d.seed)
		}
	}
	return nil
}

func (c *crowd) keysOf(session context.Context) map[string]seal.Key {
	keys := map[string]seal.Key{}
	teams, _ := c.identity.Teams(session)
	for _, t := range teams {
		for epoch := uint64(1); epoch <= t.Epoch; epoch++ {
			if k, err := c.identity.TeamKey(session, t.ID, epoch); err == nil {
				keys[fmt.Sprint(t.ID, ".", epoch)] = k
			}
		}
	}
	return keys
}

func (c *crowd) one(ctx context.Context) error {
	var m peopleMutation
	var handle string
	for handle == "" || slices.EqualFunc(c.before, c.rows, row.equal) {
		m, c.rows = peopleMutations[c.dice.below(int64(len(peopleMutations)))], copyRows(c.before)
		names := slices.Sorted(maps.Keys(c.person))
		handle = names[c.dice.below(int64(len(names)))]
		if !m.do(c, c.person[handle]) {
			handle = ""
		}
	}
	after := c.rows
	if err := turn(ctx, c.Trial.DB, c.before, after); err != nil {
		return fmt.Errorf("%s: %w", m.name, err)
	}
	noticed, accepted := c.signIn(ctx, handle)
	if _, done, err := c.identity.Enter(ctx, c.code); err == nil {
		done()
		accepted = true
	}
	c.tally(m.name, string(c.person[handle]), noticed, accepted)
	if err := turn(ctx, c.Trial.DB, after, c.before); err != nil {
		return err
	}
	if err := c.identity.Recheck(ctx); err != nil {
		return fmt.Errorf("all rows were put back after %s (seed %d): %w", m.name, c.seed, err)
	}
	return nil
}

// signIn signs a person in with the own code, after the whole list was read
// again. A team key that is missing is noticed: what it opens is refused. One
// that is another is not.
func (c *crowd) signIn(ctx context.Context, handle string) (noticed, accepted bool) {
	if err := c.identity.Recheck(ctx); err != nil {
		return true, false
	}
	session, done, err := c.Trial.Unlock(ctx, c.Trial.Codes[handle])
	if err != nil {
		return true, false
	}
	defer done()
	if id.From(session).Person != c.person[handle] {
		return false, true
	}
	have := c.keysOf(session)
	for name, key := range c.held[handle] {
		k, ok := have[name]
		noticed = noticed || !ok
		accepted = accepted || ok && k != key
	}
	return noticed, accepted || len(have) > len(c.held[handle])
}

// of picks a row of a table that belongs to a person, or any.
func (c *crowd) of(table, column string, p id.Person) *row {
	var some []*row
	for i := range c.rows {
		if r := &c.rows[i]; r.table == table && (p == "" || r.text(column) == string(p)) {
			some = append(some, r)
		}
	}
	if len(some) == 0 {
		return nil
	}
	return some[c.dice.below(int64(len(some)))]
}

// door is the door of a person that the code in the drill's hands opens: there
// may be others. Without a person it is any.
func (c *crowd) door(p id.Person) *row {
	if p == "" {
		return c.of("identity_doors", "person", "")
	}
	for handle, who := range c.person {
		if who != p {
			continue
		}
		auth := seal.AuthHash(c.codeOf(handle).Auth())
		for i := range c.rows {
			if r := &c.rows[i]; r.table == "identity_doors" && bytes.Equal(r.bytes("auth"), auth) {
				return r
			}
		}
	}
	return nil
}

// codeOf is the personal code in the drill's hands.
func (t *trial) codeOf(handle string) seal.Code {
	c, _ := seal.ParseCode(seal.Personal, t.Codes[handle]) // it was printed by this program
	return c
}
func (c *crowd) key(p id.Person) *row { return c.of("identity_team_keys", "holder", p) }

// entries are the rows of the signed list, in order.
func (c *crowd) entries() (list []*row) {
	for i := range c.rows {
		if c.rows[i].table == "identity_roster" {
			list = append(list, &c.rows[i])
		}
	}
	return list
}

type peopleMutation struct {
	name string
	do   func(c *crowd, p id.Person) bool // false: nothing here that fits
}

func ofPerson(pick func(*crowd, id.Person) *row, do func(c *crowd, r *row)) func(*crowd, id.Person) bool {
	return func(c *crowd, p id.Person) bool {
		r := pick(c, p)
		if r == nil {
			return false
		}
		do(c, r)
		return true
	}
}

// withAnother lets a person's row and another one of the table change cells.
func withAnother(pick func(*crowd, id.Person) *row, columns ...string) func(*crowd, id.Person) bool {
	return func(c *crowd, p id.Person) bool {
		a, b := pick(c, p), pick(c, "")
		if a == nil || a == b {
			return false
		}
		swapCells(a, b, columns...)
		return true
	}
}

func flipIn(column string) func(*crowd, *row) {
	return func(c *crowd, r *row) { b := r.bytes(column); b[c.dice.below(int64(len(b)))] ^= 1 << c.dice.below(8) }
}

func delRow(_ *crowd, r *row) { r.gone = true }

func (c *crowd) pinOf(p id.Person) *row { return c.of("identity_pins", "person", p) }
func (c *crowd) entry(id.Person) *row {
	all := c.entries()
	return all[c.dice.below(int64(len(all)))]
}

var peopleMutations = []peopleMutation{
	{"seed of another door", withAnother((*crowd).door, "seed")},
	{"code of another person", withAnother((*crowd).door, "auth")},
	{"door of another person", withAnother((*crowd).door, "person")},
	{"a bit of a seed", ofPerson((*crowd).door, flipIn("seed"))},
	{"door deleted", ofPerson((*crowd).door, delRow)},
	{"attacker's seed sealed to a person's door", (*crowd).forgeSeed},
	{"attacker's code as a person's door", (*crowd).forgeDoor},
	{"team key of another team or person", withAnother((*crowd).key, "box")},
	{"a bit of a team key", ofPerson((*crowd).key, flipIn("box"))},
	{"team key deleted", ofPerson((*crowd).key, delRow)},
	{"team key's number", ofPerson((*crowd).key, func(c *crowd, r *row) { r.cells["epoch"] = r.number("epoch") + 7 })},
	{"attacker's team key sealed to a person", (*crowd).forgeTeamKey},
	{"attacker's next team key sealed to a person", (*crowd).forgeNextKey},
	{"pin of another person", withAnother((*crowd).pinOf, "box")},
	{"pin deleted", ofPerson((*crowd).pinOf, delRow)},
	{"a bit of a pin", ofPerson((*crowd).pinOf, flipIn("box"))},
	{"a bit of a signed entry", ofPerson((*crowd).entry, flipIn("body"))},
	{"a bit of a signature", ofPerson((*crowd).entry, flipIn("signature"))},
	{"signed entries change places", withAnother((*crowd).entry, "body", "signature")},
	{"signed entry deleted", ofPerson((*crowd).entry, delRow)},
	{"newest signed entries deleted", (*crowd).cutRoster},
	{"attacker's recovery key", func(c *crowd, p id.Person) bool {
		return c.forgeEntry(func(u seal.User) seal.Entry {
			return seal.Entry{Act: seal.Name, Name: "recovery", Public: u.Pair.Public()}
		})
	}},
	{"attacker's keys in a person's place", func(c *crowd, p id.Person) bool {
		return c.forgeEntry(func(u seal.User) seal.Entry {
			return seal.Entry{Act: seal.Rekey, Person: string(p), Keys: new(u.Keys())}
		})
	}},
	{"attacker joins", func(c *crowd, p id.Person) bool {
		return c.forgeEntry(func(u seal.User) seal.Entry {
			return seal.Entry{Act: seal.Join, Person: string(id.New[id.Person]()), Keys: new(u.Keys()), Roles: []string{"owner"}}
		})
	}},
	{"attacker's inbox of a team", (*crowd).forgeInbox},
	{"attacker founds the practice anew", (*crowd).forgeRoot},
}

func (c *crowd) slot(kind, holder, subject string, version uint64) seal.Slot {
	return seal.Slot{Kind: kind, Practice: c.ID, Holder: holder, Subject: subject, Version: version}
}

// forgeSeed seals an attacker's seed to a person's real door, whose public half
// stands in the signed list for everybody to read.
func (c *crowd) forgeSeed(p id.Person) bool {
	r := c.door(p)
	roster, err := c.identity.Roster(context.Background())
	if err != nil || r == nil {
		return false
	}
	who, _ := roster.Person(string(p))
	theirs := seal.NewSeed()
	box, err := seal.SealTo(who.Doors[r.text("door")].Pair, theirs.Key[:], c.slot("seed", r.text("door"), string(p), 0))
	r.cells["seed"] = box
	return err == nil
}

// forgeDoor adds a door of the attacker's own code to a person.
func (c *crowd) forgeDoor(p id.Person) bool {
	r := copyRows([]row{*c.door(p)})[0]
	door := string(id.New[id.Record]())
	pair, err := seal.DoorFromCode(c.code.KEK(), c.ID, string(p), door)
	if err != nil {
		return false
	}
	theirs := seal.NewSeed()
	box, err := seal.SealTo(pair.Public(), theirs.Key[:], c.slot("seed", door, string(p), 0))
	r.cells["door"], r.cells["auth"], r.cells["seed"] = door, seal.AuthHash(c.code.Auth()), box
	if c.dice.below(2) == 0 { // in place of the person's own
		c.door(p).gone = true
	} else {
		c.alsoDamage(p)
	}
	c.rows = append(c.rows, r)
	return err == nil
}

// alsoDamage makes the person's own way in fail: what is only added for the
// attacker disturbs nobody, and is judged by whether the attacker gets in.
func (c *crowd) alsoDamage(p id.Person) { flipIn("seed")(c, c.door(p)) }

func (c *crowd) forgeTeamKey(p id.Person) bool { return c.forgeKey(p, 0) }

func (c *crowd) forgeNextKey(p id.Person) bool { return c.forgeKey(p, 1) }

// forgeKey seals an attacker's team key to a person's real public key.
func (c *crowd) forgeKey(p id.Person, later uint64) bool {
	r := c.key(p)
	roster, err := c.identity.Roster(context.Background())
	if err != nil || r == nil {
		return false
	}
	who, _ := roster.Person(string(p))
	epoch := uint64(r.number("epoch")) + later*9
	theirs := seal.NewKey()
	box, err := seal.SealTo(who.Keys.Pair, theirs[:], c.slot("team-key", string(p), r.text("team"), epoch))
	r.cells["box"], r.cells["epoch"] = box, int64(epoch)
	return err == nil
}

func (c *crowd) cutRoster(id.Person) bool {
	all := c.entries()
	for _, r := range all[len(all)-1-int(c.dice.below(3)):] {
		r.gone = true
	}
	return true
}

// forgeEntry appends an entry in the owner's name that the attacker has signed.
func (c *crowd) forgeEntry(entry func(seal.User) seal.Entry) bool {
	all := c.entries()
	last := all[len(all)-1]
	user, err := seal.NewSeed().User()
	if err != nil {
		return false
	}
	var first seal.Entry
	if json.Unmarshal(all[0].bytes("body"), &first) != nil {
		return false
	}
	previous := sha256.Sum256(last.bytes("body"))
	e := entry(user)
	e.Number, e.Previous, e.At, e.By = uint64(len(all)+1), previous[:], first.At, first.By
	body, err := json.Marshal(e)
	if err != nil {
		return false
	}
	signature, err := user.Signer.Sign("roster entry v1", body)
	c.rows = append(c.rows, row{table: "identity_roster", cells: map[string]any{"number": int64(e.Number), "body": body, "signature": signature}})
	return err == nil
}

func (c *crowd) forgeInbox(id.Person) bool {
	r := c.key("")
	roster, err := c.identity.Roster(context.Background())
	if err != nil {
		return false
	}
	team, _ := roster.Team(r.text("team"))
	return c.forgeEntry(func(u seal.User) seal.Entry {
		return seal.Entry{Act: seal.Form, Team: r.text("team"), Kind: team.Kind, Members: team.Members, Epoch: team.Epoch + 1, Commitment: bytes.Repeat([]byte{7}, 32), Public: u.Pair.Public()}
	})
}

// forgeRoot puts another practice's first entry, well signed, in place of the list.
func (c *crowd) forgeRoot(id.Person) bool {
	user, err := seal.NewSeed().User()
	if err != nil {
		return false
	}
	_, first, err := seal.Begin(string(id.New[id.Person]()), user, seal.Entry{Practice: c.ID})
	all := c.entries()
	for _, r := range all[1:] {
		r.gone = true
	}
	all[0].cells["body"], all[0].cells["signature"] = first.Body, first.Signature
	return errors.Join(err) == nil
}

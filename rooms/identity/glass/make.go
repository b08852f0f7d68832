package glass

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/rooms/identity"
)

// Make makes the pair, or makes it anew, in an owner's name: its public half is
// signed onto the list, half A is sealed to each of people, and the team keys
// that the owner holds are sealed to it, with those that the old pair reached
// where the owner may break the glass. What is still missing, members seal when
// they come in next: see fill. Without people, everybody may who treats.
//
// It is made anew whenever somebody may no longer, left, or got other keys: who
// knew half A knows nothing of the new one. With an old copy of the house's disk
// such a person could have every team's key: so all teams get new ones with it.
func (g *Glass) Make(ctx context.Context, by *identity.Unlocked, people ...id.Person) error {
	roster, err := g.Identity.Roster(ctx)
	if err != nil {
		return err
	}
	if len(people) == 0 {
		people = treating(roster)
	}
	for _, p := range people {
		if who, _ := roster.Person(string(p)); !mayBreak(who) {
			return fmt.Errorf("make the glass: %w", ErrNotYou)
		}
	}
	held, err := g.reached(ctx, by, roster)
	if err != nil {
		return err
	}
	defer wipe(held)
	outsiders, err := g.outsiders(ctx, roster, people)
	if err != nil {
		return err
	}
	house, err := g.House.MakeGlassHalf()
	if err != nil {
		return fmt.Errorf("make the glass: %w", err)
	}
	defer house.Wipe()
	a, making := seal.NewKey(), string(id.New[id.Record]())
	defer a.Wipe()
	pair, err := seal.GlassPair(a, seal.GlassHalf(house, roster.Practice, making), roster.Practice, making)
	if err != nil {
		return err
	}
	return g.Identity.Change(ctx, by, func(c *identity.Change) error {
		if outsiders {
			if err := rekeyTeams(ctx, c); err != nil {
				return err
			}
		}
		if err := c.Sign(seal.Entry{Act: seal.Name, Name: seal.GlassKey, Public: pair.Public()}); err != nil {
			return err
		}
		halves := map[id.Person][]byte{}
		for _, p := range people {
			who, _ := c.Roster().Person(string(p))
			box, err := seal.SealTo(who.Keys.Pair, a[:], seal.GlassSlot(roster.Practice, string(p), making))
			if err != nil {
				return err
			}
			halves[p] = box
		}
		keys, err := g.sealKeys(c.Roster(), pair.Public(), held)
		if err != nil {
			return err
		}
		c.Write(func(tx *store.Tx) error { return g.writeMaking(ctx, tx, making, by.Person, halves, keys) })
		c.Tell(ctx, ledger.Fact{Actor: g.actor(ctx, by), Kind: "glass.made", Subject: string(by.Person), Ref: making, Version: int64(len(people))})
		return nil
	})
}

// outsiders tells whether somebody may know half A of the pair before who is to
// know none from now on, or had other keys then.
func (g *Glass) outsiders(ctx context.Context, roster *seal.Roster, people []id.Person) (bool, error) {
	if _, ok := roster.PublicKey(seal.GlassKey); !ok {
		return false, nil
	}
	worn, err := g.worn(ctx, roster)
	if err != nil || len(worn) > 0 {
		return true, err
	}
	held, err := g.holders(ctx)
	return slices.ContainsFunc(held, func(p id.Person) bool { return !slices.Contains(people, p) }), err
}

// rekeyTeams gives every team a new key, for the members who are there.
func rekeyTeams(ctx context.Context, c *identity.Change) error {
	for _, name := range c.Roster().Teams() {
		t, _ := c.Roster().Team(name)
		var members []id.Person
		for _, m := range t.Members {
			if who, _ := c.Roster().Person(m); !who.Gone {
				members = append(members, id.Person(m))
			}
		}
		if len(members) == 0 {
			continue // nobody writes under it
		}
		if err := c.Rotate(ctx, id.Team(name), members); err != nil {
			return err
		}
	}
	return nil
}

// Off ends it: nobody may break the glass any more, and what was sealed for it is
// removed. The list names a key then that nobody has.
func (g *Glass) Off(ctx context.Context, by *identity.Unlocked) error {
	nobody, err := seal.PairFrom(seal.NewKey())
	if err != nil {
		return err
	}
	err = g.Identity.Change(ctx, by, func(c *identity.Change) error {
		if err := c.Sign(seal.Entry{Act: seal.Name, Name: seal.GlassKey, Public: nobody.Public()}); err != nil {
			return err
		}
		c.Write(func(tx *store.Tx) error {
			if err := g.writeMaking(ctx, tx, "", by.Person, nil, nil); err != nil {
				return err
			}
			return g.endAll(ctx, tx, "")
		})
		c.Tell(ctx, ledger.Fact{Actor: g.actor(ctx, by), Kind: "glass.off", Subject: string(by.Person)})
		return nil
	})
	if err != nil {
		return err
	}
	return g.House.DropGlassHalf()
}

// actor is who acts; at the command line there is no session.
func (g *Glass) actor(ctx context.Context, by *identity.Unlocked) id.Actor {
	if a := id.From(ctx); a.Person == by.Person {
		return a
	}
	return id.Actor{Person: by.Person}
}

// treating are those who treat, in order of id.
func treating(roster *seal.Roster) (people []id.Person) {
	for _, name := range roster.People() {
		if who, _ := roster.Person(name); mayBreak(who) {
			people = append(people, id.Person(name))
		}
	}
	return people
}

// reached are the team keys that an open person holds, and those that the old
// pair gives where the person may break the glass.
func (g *Glass) reached(ctx context.Context, by *identity.Unlocked, roster *seal.Roster) ([]identity.HeldKey, error) {
	held := by.HeldKeys(roster)
	lend, done, err := g.lend(ctx, by)
	if err != nil {
		return held, onlyTrouble(err)
	}
	defer done()
	boxes, err := g.keyBoxes(ctx, g.DB)
	if err != nil {
		return held, err
	}
	for _, b := range boxes {
		if slices.ContainsFunc(held, func(h identity.HeldKey) bool { return h.Team == b.team && h.Epoch == b.epoch }) {
			continue
		}
		key, err := lend(b.team, b.epoch)
		if err != nil {
			continue // put there from outside: it is left behind
		}
		held = append(held, identity.HeldKey{Team: b.team, Epoch: b.epoch, Key: key})
	}
	return held, nil
}

// onlyTrouble lets pass what keeps an old pair from being used.
func onlyTrouble(err error) error {
	for _, known := range []error{ErrOff, ErrNotYou, ErrNoHalf, ErrUnfit} {
		if errors.Is(err, known) {
			return nil
		}
	}
	return err
}

func wipe(held []identity.HeldKey) {
	for n := range held {
		held[n].Key.Wipe()
	}
}

func (g *Glass) keySlot(practice string, team id.Team, epoch uint64) seal.Slot {
	return seal.Slot{Kind: "team-key", Practice: practice, Holder: seal.GlassKey, Subject: string(team), Version: epoch}
}

// sealKeys seals team keys to the pair: those that the practice signed.
func (g *Glass) sealKeys(roster *seal.Roster, public seal.Public, held []identity.HeldKey) (boxes []keyBox, err error) {
	for _, h := range held {
		if err := roster.CheckTeamKey(string(h.Team), h.Epoch, h.Key); err != nil {
			return nil, err
		}
		box, err := seal.SealTo(public, h.Key[:], g.keySlot(roster.Practice, h.Team, h.Epoch))
		if err != nil {
			return nil, err
		}
		boxes = append(boxes, keyBox{h.Team, h.Epoch, box})
	}
	return boxes, nil
}

// Sessions has each session that comes in seal what the pair misses of the team
// keys that it holds: new ones, and those of teams that no owner is in.
func (g *Glass) Sessions(inner web.Sessions) web.Sessions { return filling{inner, g} }

type filling struct {
	web.Sessions
	glass *Glass
}

// Enter lets the request in, whatever becomes of the sealing: what is missing
// stands in the evidence, and the next request tries again.
func (f filling) Enter(w http.ResponseWriter, r *http.Request) (context.Context, func(), error) {
	ctx, done, err := f.Sessions.Enter(w, r)
	if err == nil {
		_ = f.glass.fill(ctx)
	}
	return ctx, done, err
}

// mark is up to where a session has sealed what it holds.
type mark struct {
	list uint64
	keys int
}

// fill seals the team keys that the acting session holds and the pair does not reach.
func (g *Glass) fill(ctx context.Context) error {
	roster, err := g.Identity.Roster(ctx)
	if err != nil {
		return err
	}
	public, ok := roster.PublicKey(seal.GlassKey)
	if !ok {
		return nil
	}
	held, err := g.Identity.HeldKeys(ctx)
	if err != nil {
		return err
	}
	defer wipe(held)
	session, now := id.From(ctx).Session, mark{roster.Number, len(held)}
	g.mu.Lock()
	done := g.filled[session] == now
	g.mu.Unlock()
	if done {
		return nil
	}
	if err := g.fillFrom(ctx, roster, public, held); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.filled) > 10_000 {
		clear(g.filled)
	}
	g.filled[session] = now
	return nil
}

func (g *Glass) fillFrom(ctx context.Context, roster *seal.Roster, public seal.Public, held []identity.HeldKey) error {
	m, err := g.making(ctx)
	if errors.Is(err, ErrOff) {
		return nil
	}
	if err != nil {
		return err
	}
	if worn, err := g.worn(ctx, roster); err != nil || len(worn) > 0 {
		return err // somebody outside may know half A: nothing more goes to this pair
	}
	there, err := g.keyBoxes(ctx, g.DB)
	if err != nil {
		return err
	}
	var missing []identity.HeldKey
	for _, h := range held {
		if !slices.ContainsFunc(there, func(b keyBox) bool { return b.team == h.Team && b.epoch == h.Epoch }) {
			missing = append(missing, h)
		}
	}
	defer wipe(missing)
	if len(missing) == 0 {
		return nil
	}
	boxes, err := g.sealKeys(roster, public, missing)
	if err != nil {
		return err
	}
	return g.DB.Update(ctx, func(tx *store.Tx) error {
		if still, err := g.still(ctx, tx, m.making); err != nil || !still {
			return err
		}
		for _, b := range boxes {
			if err := addKey(ctx, tx, m.making, b); err != nil {
				return err
			}
			f := ledger.Fact{At: g.Now(), Actor: id.From(ctx), Kind: "glass.reaches", Subject: string(b.team), Version: int64(b.epoch), Ref: m.making}
			if err := ledger.Append(ctx, tx, f); err != nil {
				return err
			}
		}
		return nil
	})
}

// worn names those who may know half A and should not any more: who left, or got
// other keys, since the pair was made.
func (g *Glass) worn(ctx context.Context, roster *seal.Roster) (people []id.Person, err error) {
	changed, err := g.Identity.ChangedSince(ctx, seal.GlassKey)
	if err != nil || len(changed) == 0 {
		return nil, err
	}
	held, err := g.holders(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range changed {
		who, _ := roster.Person(string(p))
		who.Gone = false // whether they treated, while they were here
		if (mayBreak(who) || slices.Contains(held, p)) && !slices.Contains(people, p) {
			people = append(people, p)
		}
	}
	return people, nil
}

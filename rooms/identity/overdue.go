package identity

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
)

// marks are the numbers of the entries that say when a key was last replaced.
type marks struct {
	read    int               // entries so far
	epochs  map[string]uint64 // team -> number of its newest key
	keyed   map[string]uint64 // team -> the entry that gave it this key
	rekeyed map[string]mark   // person -> the entry that gave new keys, if any
}

type mark struct {
	number uint64
	at     int64
}

// Overdue is a team whose newest key somebody may know who should not: until an
// owner gives it another one, what is written for the team goes under that key.
type Overdue struct {
	Team id.Team
	Who  id.Person // whose leaving, or whose lost door, it is
	Gone bool      // that person has left
	At   time.Time // since when
}

// Overdue reads off the signed list which teams wait for a new key: a member has
// got new keys since (a door was removed, a code used, a session stolen), or has
// left. Nobody who writes the database takes a team off it.
func (i *Identity) Overdue(ctx context.Context) ([]Overdue, error) {
	roster, chain, err := i.checkedChain(ctx)
	if err != nil {
		return nil, err
	}
	ended, err := i.ended(ctx, roster)
	if err != nil {
		return nil, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if err := i.marks.follow(chain); err != nil {
		return nil, err
	}
	var all []Overdue
	for _, name := range roster.Teams() {
		t, _ := roster.Team(name)
		for _, m := range t.Members {
			p, _ := roster.Person(m)
			since := i.marks.rekeyed[m]
			if at, over := ended[id.Person(m)]; over {
				all = append(all, Overdue{Team: id.Team(name), Who: id.Person(m), Gone: true, At: at})
			} else if p.Gone || since.number > i.marks.keyed[name] {
				all = append(all, Overdue{Team: id.Team(name), Who: id.Person(m), Gone: p.Gone, At: time.UnixMilli(since.at)})
			}
		}
	}
	return all, nil
}

// follow reads the entries of a checked chain that came since.
func (m *marks) follow(chain []seal.Signed) error {
	if m.read > len(chain) || m.read == 0 {
		*m = marks{epochs: map[string]uint64{}, keyed: map[string]uint64{}, rekeyed: map[string]mark{}}
	}
	for _, s := range chain[m.read:] {
		var e struct {
			Number uint64   `json:"number"`
			At     int64    `json:"at"`
			Act    seal.Act `json:"act"`
			Person string   `json:"person"`
			Team   string   `json:"team"`
			Epoch  uint64   `json:"epoch"`
			Plan   uint64   `json:"plan"`
		}
		if err := json.Unmarshal(s.Body, &e); err != nil {
			return fmt.Errorf("read roster entry %d: %w", m.read+1, err)
		}
		switch {
		case e.Act == seal.Form && e.Epoch > m.epochs[e.Team]:
			m.epochs[e.Team], m.keyed[e.Team] = e.Epoch, e.Number
		case e.Act == seal.Rekey || e.Act == seal.Leave:
			m.rekeyed[e.Person] = mark{e.Number, e.At}
		case e.Act == seal.Due && e.Plan > 0 && e.Plan < e.Number:
			if err := m.carriedOut(chain[e.Plan-1], e.Number); err != nil {
				return err
			}
		}
		m.read++
	}
	return nil
}

// signedAt is when an entry was signed, as its signer's clock said.
func signedAt(s seal.Signed) (time.Time, error) {
	var e struct {
		At int64 `json:"at"`
	}
	if err := json.Unmarshal(s.Body, &e); err != nil {
		return time.Time{}, fmt.Errorf("read a roster entry: %w", err)
	}
	return time.UnixMilli(e.At), nil
}

// carriedOut notes a leaving that was planned: its keys are as old as the plan.
func (m *marks) carriedOut(plan seal.Signed, number uint64) error {
	var e seal.Entry
	if err := json.Unmarshal(plan.Body, &e); err != nil {
		return fmt.Errorf("read the plan of roster entry %d: %w", number, err)
	}
	for _, t := range e.Teams {
		if t.Epoch > m.epochs[t.Team] {
			m.epochs[t.Team], m.keyed[t.Team] = t.Epoch, e.Number
		}
	}
	m.rekeyed[e.Person] = mark{number, e.After}
	return nil
}

// CatchUp does what waits for an owner, if the open person is one: every overdue
// team gets its new key, who has left or whose last day is over is taken out, and
// who was invited and has made keys joins. It is done at each opening of an owner's
// door by itself.
func (i *Identity) CatchUp(ctx context.Context, u *Unlocked) error {
	roster, err := i.Roster(ctx)
	if err != nil {
		return err
	}
	if p, ok := roster.Person(string(u.Person)); !ok || !slices.Contains(p.Roles, Owner) {
		return nil
	}
	late, err := i.Overdue(ctx)
	if err != nil {
		return err
	}
	newcomers, _, err := i.invitations(ctx)
	if err != nil {
		return err
	}
	newcomers = slices.DeleteFunc(newcomers, func(v invitation) bool {
		due, back := v.opensAt()
		return v.over(i.Now()) || !(v.state == waiting && !v.Back || back && !i.Now().Before(due))
	})
	if len(late) == 0 && len(newcomers) == 0 {
		return nil
	}
	return i.Change(ctx, u, func(c *Change) error {
		if err := c.renew(ctx, late); err != nil {
			return err
		}
		return c.takeIn(ctx, newcomers)
	})
}

// renew gives overdue teams new keys, without those who are gone.
func (c *Change) renew(ctx context.Context, late []Overdue) error {
	gone := map[string]bool{}
	for _, o := range late {
		if p, _ := c.roster.Person(string(o.Who)); o.Gone && !p.Gone && !gone[string(o.Who)] {
			if err := c.Sign(seal.Entry{Act: seal.Leave, Person: string(o.Who)}); err != nil {
				return err
			}
			c.Tell(ctx, ledger.Fact{Kind: "identity.left", Subject: string(o.Who), Reason: "last-day"})
		}
		gone[string(o.Who)] = gone[string(o.Who)] || o.Gone
	}
	done := map[id.Team]bool{}
	for _, o := range late {
		if done[o.Team] {
			continue
		}
		done[o.Team] = true
		t, _ := c.roster.Team(string(o.Team))
		members := slices.DeleteFunc(ids(t.Members), func(m id.Person) bool {
			p, _ := c.roster.Person(string(m))
			return p.Gone || gone[string(m)]
		})
		if err := c.Rotate(ctx, o.Team, members); err != nil {
			return err
		}
	}
	return nil
}

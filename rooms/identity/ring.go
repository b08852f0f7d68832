package identity

import (
	"context"
	"encoding/binary"
	"errors"

	"quietroom/ground/id"
	"quietroom/ground/seal"
)

// ring is what a session can open: team keys, and never the seed.
type ring struct {
	Person id.Person
	Teams  map[id.Team]map[uint64]seal.Key
}

func newRing(p id.Person) *ring {
	return &ring{Person: p, Teams: map[id.Team]map[uint64]seal.Key{}}
}

func (r *ring) add(team id.Team, epoch uint64, key seal.Key) {
	if r.Teams[team] == nil {
		r.Teams[team] = map[uint64]seal.Key{}
	}
	r.Teams[team][epoch] = key
}

func (r *ring) wipe() {
	for team := range r.Teams {
		r.drop(team)
	}
}

// drop wipes and forgets the keys of one team.
func (r *ring) drop(team id.Team) {
	keys := r.Teams[team]
	for epoch := range keys {
		keys[epoch] = seal.Key{} // delete alone forgets entries and leaves their bytes
	}
	clear(keys)
	delete(r.Teams, team)
}

// keep drops the keys of teams that the signed list does not have the person in.
func (r *ring) keep(roster *seal.Roster) {
	for team := range r.Teams {
		if !member(roster, team, r.Person) {
			r.drop(team)
		}
	}
}

// bytes writes the ring: each text with its length, each key with its number.
// The caller wipes what it gets.
func (r *ring) bytes() []byte {
	b := appendText(nil, string(r.Person))
	for team, keys := range r.Teams {
		for epoch, key := range keys {
			b = binary.BigEndian.AppendUint64(appendText(b, string(team)), epoch)
			b = append(b, key[:]...)
		}
	}
	return b
}

func appendText(b []byte, t string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(t))), t...)
}

var errRing = errors.New("identity: a ring is torn")

// readRing reads what bytes wrote.
func readRing(b []byte) (*ring, error) {
	person, b, ok := cutText(b)
	if !ok {
		return nil, errRing
	}
	r := newRing(id.Person(person))
	for len(b) > 0 {
		var team string
		if team, b, ok = cutText(b); !ok || len(b) < 8+len(seal.Key{}) {
			return nil, errRing
		}
		r.add(id.Team(team), binary.BigEndian.Uint64(b), seal.Key(b[8:8+len(seal.Key{})]))
		b = b[8+len(seal.Key{}):]
	}
	return r, nil
}

func cutText(b []byte) (text string, rest []byte, ok bool) {
	if len(b) < 2 || len(b) < 2+int(binary.BigEndian.Uint16(b)) {
		return "", nil, false
	}
	n := 2 + int(binary.BigEndian.Uint16(b))
	return string(b[2:n]), b[n:], true
}

type ringKey struct{}
type unlockedKey struct{}

func withRing(ctx context.Context, r *ring) context.Context {
	return context.WithValue(ctx, ringKey{}, r)
}

func ringFrom(ctx context.Context) *ring {
	r, _ := ctx.Value(ringKey{}).(*ring)
	return r
}

// withUnlocked lets one act use the seed: the command line, or a tap.
func withUnlocked(ctx context.Context, u *Unlocked) context.Context {
	return context.WithValue(ctx, unlockedKey{}, u)
}

// UnlockedFrom returns the person whose seed is open for this one act.
func UnlockedFrom(ctx context.Context) (*Unlocked, bool) {
	u, ok := ctx.Value(unlockedKey{}).(*Unlocked)
	return u, ok
}

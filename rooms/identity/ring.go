package identity

import (
	"context"

	"quietroom/ground/id"
	"quietroom/ground/seal"
)

// ring is what a session can open: team keys, and never the seed.
type ring struct {
	Person id.Person                       `json:"person"`
	Teams  map[id.Team]map[uint64]seal.Key `json:"teams"`
}

func (r *ring) add(team id.Team, epoch uint64, key seal.Key) {
	if r.Teams[team] == nil {
		r.Teams[team] = map[uint64]seal.Key{}
	}
	r.Teams[team][epoch] = key
}

func (r *ring) wipe() {
	for _, keys := range r.Teams {
		clear(keys)
	}
	clear(r.Teams)
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
